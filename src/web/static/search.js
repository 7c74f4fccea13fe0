// The header's search box answers while one types: a list of links below it, walked with the arrow
// keys. Without this script the form leads to the same results.
'use strict';

const groups = [
  ['models', 'Models', (x) => [`/${x.id}`, x.id]],
  ['datasets', 'Datasets', (x) => [`/datasets/${x.id}`, x.id]],
  ['spaces', 'Spaces', (x) => [`/spaces/${x.id}`, x.id]],
  ['orgs', 'Organisations', (x) => [`/${x.name}`, x.name]],
  ['users', 'People', (x) => [`/${x.user}`, x.user]],
  ['collections', 'Collections', (x) => [`/collections/${x.slug}`, x.title]],
];

function quickSearch(form) {
  const input = form.querySelector('input[type=search]');
  const list = document.createElement('div');
  let timer, asked = 0, at = -1;
  list.className = 'quick';
  list.id = 'quick';
  list.hidden = true;
  list.setAttribute('role', 'listbox');
  list.setAttribute('aria-label', 'Found');
  form.append(list);
  input.setAttribute('role', 'combobox');
  input.setAttribute('aria-expanded', 'false');
  input.setAttribute('aria-controls', 'quick');
  input.setAttribute('aria-autocomplete', 'list');

  const options = () => [...list.querySelectorAll('[role=option]')];

  function close() {
    list.hidden = true;
    at = -1;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  }

  function choose(next) {
    const all = options();
    if (!all.length) return;
    at = (next + all.length) % all.length;
    all.forEach((option, i) => option.setAttribute('aria-selected', i === at ? 'true' : 'false'));
    input.setAttribute('aria-activedescendant', all[at].id);
    all[at].scrollIntoView({ block: 'nearest' });
  }

  function option(href, text) {
    const link = document.createElement('a');
    link.href = href;
    link.id = `quick-${options().length}`;
    link.tabIndex = -1;
    link.setAttribute('role', 'option');
    link.setAttribute('aria-selected', 'false');
    link.textContent = text;
    return link;
  }

  function show(found, words) {
    list.replaceChildren();
    at = -1;
    for (const [key, title, row] of groups) {
      if (!found[key]?.length) continue;
      const group = document.createElement('div'), head = document.createElement('p');
      head.textContent = title;
      head.id = `quick-of-${key}`;
      group.setAttribute('role', 'group');
      group.setAttribute('aria-labelledby', head.id);
      group.append(head);
      list.append(group);
      for (const item of found[key]) group.append(option(...row(item)));
    }
    list.append(option(`/search?q=${encodeURIComponent(words)}`, `Everything about “${words}”`));
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
  }

  async function ask() {
    const words = input.value.trim(), mine = ++asked;
    if (words.length < 2) return close();
    try {
      const answer = await fetch(`/api/quicksearch?limit=5&q=${encodeURIComponent(words)}`);
      if (answer.ok && mine === asked) show(await answer.json(), words);
    } catch {
      close(); // the form still works
    }
  }

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  });
  input.addEventListener('keydown', (event) => {
    if (list.hidden) return;
    if (event.key === 'ArrowDown') choose(at + 1);
    else if (event.key === 'ArrowUp') choose(at < 0 ? -1 : at - 1);
    else if (event.key === 'Enter' && at >= 0) options()[at].click();
    else if (event.key === 'Escape') close();
    else return;
    event.preventDefault();
  });
  document.addEventListener('click', (event) => {
    if (!form.contains(event.target)) close();
  });
  form.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !form.contains(event.relatedTarget)) close();
  });
}

const find = document.querySelector('header form.find');
if (find) quickSearch(find);
