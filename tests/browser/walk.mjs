// Walks through the pages in a real Chromium, as test_pages.py tells it:
//
//     node walk.mjs STORY '{"url", "packages", "chromium", "folder", "out", "user", "password", ...}'
//
// A story fails by throwing. Every page that it opens is watched: an error in the console, a request
// to another host, a violation that axe-core finds, text wider than the window, or a page heavier than
// 100 KB is a problem, and problems fail the story too.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const story = process.argv[2];
const told = JSON.parse(process.argv[3]);
const require = createRequire(join(told.packages, 'package.json'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const problems = [];

async function start(options = {}) {
  const { width = 1280, scheme = 'light', ...more } = options;
  const context = await chromium.launchPersistentContext(mkdtempSync(join(told.folder, 'user-')), {
    executablePath: told.chromium, args: flags, colorScheme: scheme,
    viewport: { width, height: width < 600 ? 844 : 900 }, ...more,
  });
  context.on('request', (r) => {
    if (!r.url().startsWith(told.url)) problems.push(`asks another host: ${r.url()}`);
  });
  const page = await context.newPage();
  // The browser itself reports the status of a page that is an error page.
  page.on('console', (m) => {
    if (m.type() === 'error' && !m.text().includes('the server responded with a status of'))
      problems.push(`console of ${page.url()}: ${m.text()}`);
  });
  page.on('pageerror', (e) => problems.push(`script of ${page.url()}: ${e.message}`));
  return { context, page };
}

async function inspect(page, name, closely = true) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) problems.push(`${name}: ${over} px wider than the window`);
  const bytes = await page.evaluate(() => [...performance.getEntriesByType('navigation'),
    ...performance.getEntriesByType('resource')].filter((e) => e.initiatorType !== 'img')
    .reduce((sum, e) => sum + e.decodedBodySize, 0));
  if (bytes > 100_000) problems.push(`${name}: ${bytes} bytes`);
  if (!closely) return;
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  for (const v of violations) problems.push(`${name}: ${v.id}: ${v.nodes[0].html}`);
}

async function go(page, path) {
  return (await page.goto(told.url + path)).status(); // scripts are deferred: they ran before this
}

async function logIn(page, user = told.user, password = told.password) {
  await go(page, '/login');
  await page.getByLabel('Name').fill(user);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('main').getByRole('button', { name: 'Log in' }).click();
  await page.getByLabel(`Account of ${user}`).waitFor();
}

const stories = {
  // All pages at both widths and in both colours, and on the narrowest phone. axe takes a second a
  // page: each width and each colour once.
  async every_page() {
    for (const width of [1280, 390, 320])
      for (const scheme of width === 320 ? ['light'] : ['light', 'dark']) {
        const { context, page } = await start({ width, scheme });
        const visit = async (name, path, status = 200) => {
          assert.equal(await go(page, path), status, path);
          await inspect(page, `${name} at ${width} ${scheme}`, (width === 390) === (scheme === 'dark'));
          if (told.out) await page.screenshot({ path: join(told.out, `${name}-${width}-${scheme}.png`), fullPage: true });
        };
        for (const name of ['login', 'join']) await visit(name, '/' + name);
        await visit('first', '/');
        await logIn(page);
        for (const [name, path] of Object.entries(told.pages)) await visit(name, path);
        await visit('nothing', '/nobody/nothing', 404);
        await context.close();
      }
  },

  async account() {
    const { context, page } = await start();
    const main = page.getByRole('main');
    await go(page, '/');
    await page.getByRole('banner').getByRole('link', { name: 'Sign up' }).click();
    await page.getByLabel('Name', { exact: false }).first().fill(told.new_user);
    await page.getByLabel('Password').fill('short');
    await main.getByRole('button').click();
    assert.match(page.url(), /\/join$/, 'a short password is refused');
    await page.getByLabel('Password').fill('long enough for anybody');
    await main.getByRole('button', { name: 'Create account' }).click();
    await page.getByLabel(`Account of ${told.new_user}`).click();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('link', { name: 'Log in', exact: true }).first().waitFor();

    await go(page, '/settings/tokens');
    assert.match(page.url(), /login\?next=/, 'strangers are sent to log in');
    await page.getByLabel('Name').fill(told.new_user);
    await page.getByLabel('Password').fill('wrong');
    await main.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password').fill('long enough for anybody');
    await main.getByRole('button', { name: 'Log in' }).click();

    await page.waitForURL('**/settings/tokens');
    await page.getByLabel('What is it for?').fill('my laptop');
    await page.getByLabel('It may').selectOption('write');
    await page.getByRole('button', { name: 'Create token' }).click();
    const secret = await page.locator('.secret code').innerText();
    assert.match(secret, /^hf_[A-Za-z0-9]{34}$/);
    await inspect(page, 'the new token');
    const me = await page.request.get(`${told.url}/api/whoami-v2`, { headers: { Authorization: `Bearer ${secret}` } });
    assert.equal((await me.json()).name, told.new_user);
    await go(page, '/settings/tokens');
    assert.ok(!(await page.content()).includes(secret), 'a token is shown once');
    await page.getByRole('button', { name: 'Revoke my laptop' }).click();
    await page.getByText('No tokens yet').waitFor();
    await context.close();
  },

  // Made, somebody asked to join, a role changed, a token that may read one repository; and left.
  async organisation() {
    const { context, page } = await start();
    await logIn(page);
    await page.getByLabel('New', { exact: true }).click();
    await page.getByRole('link', { name: 'New organisation' }).click();
    await page.getByLabel('Name', { exact: false }).first().fill('walkers');
    await page.getByRole('button', { name: 'Create organisation' }).click();
    await page.getByLabel('Who').fill(told.other.user);
    await page.locator('.row-form select[name=role]').selectOption('write');
    await page.getByRole('button', { name: 'Ask to join' }).click();
    await page.getByText('as write').waitFor();

    const other = await start();
    await logIn(other.page, told.other.user, told.other.password);
    await go(other.page, '/settings/organizations');
    await inspect(other.page, 'an invitation');
    await other.page.getByRole('button', { name: 'Join walkers' }).click();
    await other.page.getByRole('button', { name: 'Leave walkers' }).waitFor();

    await go(page, '/organizations/walkers/settings/members');
    await page.getByLabel(`Role of ${told.other.user}`).selectOption('contributor');
    await page.getByRole('listitem').filter({ hasText: told.other.user }).getByRole('button', { name: 'Change' }).click();
    await page.waitForLoadState();
    assert.equal(await page.getByLabel(`Role of ${told.other.user}`).inputValue(), 'contributor');
    await page.getByRole('button', { name: 'Remove me', exact: true }).click();
    await page.getByRole('alert').filter({ hasText: 'last administrator' }).waitFor();
    await inspect(page, 'the last administrator');
    await other.page.getByRole('button', { name: 'Leave walkers' }).click();
    await other.page.getByText('In no organisation yet').waitFor();
    await other.context.close();

    await go(page, '/settings/tokens');
    await page.getByRole('link', { name: 'Fine-grained' }).click();
    await page.getByLabel('What is it for?').fill('a reader');
    await page.getByLabel('One a line').fill(told.repo);
    await page.locator('input[name=repo][value="repo.content.read"]').check();
    await page.getByLabel('It ends').selectOption('30');
    await page.getByRole('button', { name: 'Create token' }).click();
    const secret = await page.locator('.secret code').innerText();
    await page.getByRole('link', { name: 'a reader' }).click();
    assert.ok(await page.locator('input[name=repo][value="repo.content.read"]').isChecked());
    await inspect(page, 'a token');
    await page.getByRole('button', { name: 'Give it a new secret' }).click();
    assert.notEqual(await page.locator('.secret code').innerText(), secret);
    await page.getByRole('button', { name: 'Revoke a reader' }).click();
    assert.equal(await page.getByRole('link', { name: 'a reader' }).count(), 0);
    await context.close();
  },

  async repository() {
    const { context, page } = await start();
    const main = page.getByRole('main');
    await logIn(page);
    await page.getByLabel('New', { exact: true }).click();
    await page.getByRole('link', { name: 'New model' }).click();
    await page.getByLabel('Name').fill('walked');
    await page.getByLabel('License').selectOption('mit');
    await page.getByRole('button', { name: 'Create model' }).click();
    await page.waitForURL(`${told.url}/${told.user}/walked`);
    await inspect(page, 'a new model');
    await page.getByRole('button', { name: 'Like' }).click();
    await page.locator('[name=like][aria-pressed=true]').waitFor();

    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByLabel('Owner and name').fill(`${told.user}/walked-far`);
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.waitForURL(`${told.url}/${told.user}/walked-far`);
    await go(page, `/${told.user}/walked/tree/main`);
    assert.equal(page.url(), `${told.url}/${told.user}/walked-far/tree/main`, 'the old name leads on');

    await go(page, `/${told.user}/walked-far/settings`);
    await page.getByRole('button', { name: 'Make private' }).click();
    await page.getByText('Only you and your organisation see it now').waitFor();
    const stranger = await start();
    assert.equal(await go(stranger.page, `/${told.user}/walked-far`), 404, 'strangers see nothing');
    await stranger.context.close();

    const remove = page.getByRole('button', { name: 'Delete this model' });
    assert.ok(await remove.isDisabled());
    await page.getByLabel('to confirm').fill(`${told.user}/walked-far`);
    await remove.click();
    await page.waitForURL(`${told.url}/${told.user}`);
    assert.equal(await go(page, `/${told.user}/walked-far`), 404);
    assert.ok(await main.getByText('Nothing here').isVisible());
    await context.close();
  },

  // A model that was pushed: card, files, a file, history, what a commit changed.
  async reading() {
    const { context, page } = await start();
    await go(page, '/');
    await page.getByRole('main').getByLabel('Search everything').fill('reading');
    await page.getByRole('main').getByRole('button', { name: 'Search' }).click();
    await page.getByRole('link', { name: told.repo }).click();
    const card = page.locator('.card');
    assert.equal(await card.locator('table tbody tr').count(), 2);
    assert.equal(await card.locator('pre .k').first().innerText(), 'import');
    assert.ok(await card.getByAltText('A dot').evaluate((i) => { i.loading = 'eager'; return i.decode().then(() => i.naturalWidth > 0); }));
    assert.equal(await card.locator('script, iframe, form').count(), 0);
    assert.equal(await page.evaluate(() => window.attacked), undefined);
    await page.getByRole('link', { name: /^Files and versions/ }).click();
    await page.getByText('LFS').first().waitFor();
    await page.getByRole('link', { name: 'src', exact: true }).click();
    await page.getByRole('link', { name: 'run.py', exact: true }).click();
    assert.equal(await page.locator('#L2 .f').first().innerText(), 'print');
    await page.getByRole('link', { name: 'History' }).click();
    await page.getByRole('link', { name: 'Second thoughts' }).click();
    assert.match(await page.locator('tr.removed').first().innerText(), /one/);
    assert.match(await page.locator('tr.added').first().innerText(), /two/);
    await inspect(page, 'a commit');
    await go(page, `/${told.repo}`);
    await page.getByText('Python', { exact: true }).click();
    await page.locator('.pane-python .copy').click();
    await page.locator('.copy.done').waitFor();
    await context.close();
  },

  // Files written, edited, uploaded and deleted by who may, and proposed by who may not.
  async editing() {
    const { context, page } = await start();
    const main = page.getByRole('main');
    await logIn(page);
    await go(page, `/${told.mine}/tree/main`);
    await page.getByText('Add', { exact: true }).click();
    await page.getByRole('link', { name: 'New file' }).click();
    await page.getByRole('textbox', { name: 'Name' }).fill('notes/first.txt');
    await page.getByLabel('Text').fill('one\ntwo\n');
    await main.getByRole('button', { name: 'Commit to main' }).click();
    await page.waitForURL('**/blob/main/notes/first.txt');
    assert.equal(await page.locator('.line').count(), 2);
    await inspect(page, 'a file that was written here');

    await page.getByRole('link', { name: 'Edit' }).click();
    assert.equal(await page.getByLabel('Text').inputValue(), 'one\ntwo\n');
    const late = await context.newPage();
    await late.goto(page.url());
    await page.getByLabel('Text').fill('one\nthree\n');
    await page.getByLabel('What changes').fill('Count on');
    await main.getByRole('button', { name: 'Commit to main' }).click();
    await page.waitForURL('**/blob/main/notes/first.txt');
    await page.getByRole('link', { name: 'Count on' }).waitFor();
    await late.getByLabel('Text').fill('my own words');
    await late.getByRole('button', { name: 'Commit to main' }).click();
    await late.getByRole('alert').filter({ hasText: 'was changed meanwhile' }).waitFor();
    assert.equal(await late.getByLabel('Text').inputValue(), 'my own words', 'nothing typed is lost');
    await late.close();

    await go(page, `/${told.mine}/upload/main`);
    await page.locator('input[name=files]').setInputFiles([
      { name: 'small.txt', mimeType: 'text/plain', buffer: Buffer.from('small\n') },
      { name: 'large.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(12_000_000, 7) }]);
    await page.getByText('2 files, 12.0 MB').waitFor();
    await inspect(page, 'files to upload');
    await main.getByRole('button', { name: 'Commit to main' }).click();
    await page.waitForURL('**/tree/main');
    await page.getByRole('link', { name: 'large.bin', exact: true }).waitFor();
    await page.getByText('LFS').first().waitFor();

    await go(page, `/${told.mine}/blob/main/small.txt`);
    await page.getByRole('link', { name: 'Delete' }).click();
    await main.getByRole('button', { name: 'Commit to main' }).click();
    await page.waitForURL('**/tree/main');
    assert.equal(await page.getByRole('link', { name: 'small.txt', exact: true }).count(), 0);
    await context.close();

    // Without scripts, and without the right to write: a pull request.
    const plain = await start({ javaScriptEnabled: false });
    await logIn(plain.page, told.other, told.other_password);
    await plain.page.goto(`${told.url}/${told.mine}/upload/main/notes`);
    assert.equal(await plain.page.getByRole('button', { name: 'Commit to main' }).count(), 0);
    await plain.page.locator('input[name=files]').setInputFiles([
      { name: 'second.txt', mimeType: 'text/plain', buffer: Buffer.from('mine\n') }]);
    await plain.page.getByLabel('What changes').fill('A second note');
    await plain.page.getByRole('button', { name: 'Open a pull request' }).click();
    await plain.page.getByRole('heading', { name: 'A second note' }).waitFor();
    await plain.page.getByRole('link', { name: 'Files changed' }).click();
    await plain.page.getByText('notes/second.txt').first().waitFor();
    await plain.context.close();
  },

  async community() {
    const { context, page } = await start();
    const main = page.getByRole('main');
    await logIn(page);
    await go(page, `/${told.repo}`);
    await page.getByRole('link', { name: 'Community' }).click();
    await page.getByRole('link', { name: 'New discussion' }).click();
    await page.getByLabel('Title').fill('A question');
    await page.getByLabel('What is it about?').fill('Is it **good**?\n\n<script>window.attacked = 1</script>');
    await main.getByRole('button', { name: 'Begin' }).click();
    await page.getByRole('strong').filter({ hasText: 'good' }).waitFor();
    assert.equal(await page.evaluate(() => window.attacked), undefined);
    await page.getByLabel('Your comment').fill('Yes.');
    await main.getByRole('button', { name: 'Comment', exact: true }).click();
    await page.getByRole('paragraph').filter({ hasText: 'Yes.' }).waitFor();
    await page.getByText('Edit', { exact: true }).last().click();
    await page.getByLabel('Comment', { exact: true }).last().fill('Yes, it is.');
    await main.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('paragraph').filter({ hasText: 'Yes, it is.' }).waitFor();
    await page.getByText('React', { exact: true }).last().click();
    await inspect(page, 'choosing a reaction');
    await main.getByRole('button', { name: 'React with 🚀' }).last().click();
    await main.getByRole('button', { name: '🚀 1' }).click();
    await main.getByRole('button', { name: '🚀 1' }).waitFor({ state: 'detached' });
    await main.getByRole('button', { name: 'Close' }).click();
    await main.getByRole('button', { name: 'Open again' }).waitFor();
    await inspect(page, 'a closed discussion');

    await go(page, `/${told.repo}/discussions/${told.pull}`);
    await page.getByRole('link', { name: 'Files changed' }).click();
    await page.getByText('print("more")').waitFor();
    await page.getByRole('link', { name: 'Conversation' }).click();
    await main.getByRole('button', { name: 'Merge as one commit' }).click();
    await page.getByText('changed the status to').waitFor();
    await inspect(page, 'a merged pull request');
    await context.close();
  },

  async try_it() {
    const { context, page } = await start();
    await logIn(page);
    await go(page, `/${told.repo}`);
    await page.locator('.try textarea').fill('Hello there');
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.locator('.stats', { hasText: /tokens, [0-9.]+ tokens\/s/ }).waitFor();
    await page.getByRole('button', { name: 'Generate' }).waitFor({ timeout: 60_000 });
    assert.match(await page.locator('.answer').innerText(), /^Hello there./s);
    await inspect(page, 'after a try');
    // A model that takes its time: the tiny one would be done before anybody can press a button.
    await page.route('**/models/**', () => {});
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'Generate' }).waitFor();
    await context.close();

    const plain = await start({ javaScriptEnabled: false });
    await logIn(plain.page);
    await plain.page.goto(`${told.url}/${told.repo}`);
    await plain.page.locator('.try textarea').fill('Hello there');
    await plain.page.getByRole('button', { name: 'Generate' }).click();
    await plain.page.locator('.stats', { hasText: 'tokens/s' }).waitFor();
    assert.ok((await plain.page.locator('.answer').innerText()).length > 0);
    await plain.context.close();
  },

  // The header's box while one types, and what it leads to.
  async finding() {
    const { context, page } = await start();
    await go(page, '/models');
    const box = page.getByRole('combobox', { name: 'Search' });
    await box.pressSequentially('readi', { delay: 20 });
    const first = page.getByRole('option', { name: told.repo, exact: true });
    await first.waitFor();
    await box.press('ArrowDown');
    assert.equal(await first.getAttribute('aria-selected'), 'true');
    await inspect(page, 'the list below the search box', true);
    await box.press('Escape');
    assert.equal(await page.getByRole('listbox').count(), 0);
    await box.press('1');
    await box.press('Backspace');
    await first.waitFor();
    await box.press('ArrowDown');
    await box.press('Enter');
    await page.waitForURL(`**/${told.repo}`);
    await go(page, '/search?q=' + told.word);
    assert.equal(await page.locator('mark').first().innerText(), told.word);
    await page.getByRole('contentinfo').getByRole('link', { name: 'Most downloaded' }).click();
    await page.getByRole('heading', { name: 'Most downloaded' }).waitFor();
    await context.close();
  },

  // The main job with the keyboard alone.
  async keyboard() {
    const { context, page } = await start();
    await go(page, '/');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.name), 'search');
    await page.keyboard.type('reading');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/search?search=reading');
    await page.getByRole('link', { name: told.repo }).focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/${told.repo}`);
    await page.locator('#use-curl, #use-python').first().focus();
    await page.keyboard.press('ArrowRight');
    assert.equal(await page.locator('.pane:visible').count(), 1);
    await page.getByLabel('Switch between light and dark').focus();
    await page.keyboard.press('Enter');
    await page.locator('html[data-theme=dark]').waitFor();
    await go(page, '/models');
    await page.locator('html[data-theme=dark]').waitFor();
    await inspect(page, 'dark by choice');
    await context.close();
  },
};

try {
  await stories[story]();
} catch (error) {
  problems.push(error.stack);
}
for (const problem of new Set(problems)) console.error(problem);
process.exit(problems.length ? 1 : 0);
