// What scripts add to every page: copy buttons, the theme switch, menus that close. All pages work
// without it.
'use strict';

function copied(button) {
  button.classList.add('done');
  const label = button.getAttribute('aria-label');
  button.setAttribute('aria-label', 'Copied');
  setTimeout(() => {
    button.classList.remove('done');
    button.setAttribute('aria-label', label);
  }, 1500);
}

// Plain http on another machine has no clipboard object: select and copy as in the old days.
async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.setAttribute('readonly', '');
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  copied(button);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('[data-copy]');
  if (button) copy(button);
  for (const menu of document.querySelectorAll('details.menu[open]'))
    if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    menu.open = false;
    menu.querySelector('summary').focus();
  }
});

const theme = document.querySelector('form.theme');
theme?.addEventListener('submit', (event) => {
  event.preventDefault();
  const dark = getComputedStyle(document.documentElement).colorScheme.startsWith('dark') ||
    (document.documentElement.dataset.theme === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  const next = dark ? 'light' : 'dark';
  document.documentElement.dataset.theme = next;
  document.cookie = `hug_theme=${next}; Path=/; SameSite=Lax; Max-Age=31536000`;
});

// Filters are open on wide pages and closed on phones.
const filters = document.querySelector('details.filters');
if (filters && matchMedia('(max-width: 900px)').matches) filters.open = false;

// A repository is deleted only when its name has been typed.
for (const input of document.querySelectorAll('[data-confirm]')) {
  const button = input.form.querySelector('button.danger');
  const check = () => { button.disabled = input.value.trim() !== input.dataset.confirm; };
  input.addEventListener('input', check);
  check();
}
