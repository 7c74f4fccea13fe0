// Uploads with progress: files are chosen or dropped, folders with their names, and go in one form.
// Without scripts the same form sends what was chosen.
'use strict';

function size(n) {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) { n /= 1000; i++; }
  return `${i ? n.toFixed(1) : n} ${units[i]}`;
}

// All files below what was dropped, with their paths. A folder gives its entries a hundred a call.
async function* walk(entry, path = '') {
  if (entry.isFile) {
    yield [await new Promise((ok, bad) => entry.file(ok, bad)), path + entry.name];
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((ok, bad) => reader.readEntries(ok, bad));
    if (!some.length) return;
    for (const e of some) yield* walk(e, `${path}${entry.name}/`);
  }
}

class Uploader {
  constructor(form) {
    this.form = form;
    this.files = new Map(); // path to file: the later of a name wins
    this.list = form.querySelector('.sending');
    this.total = form.querySelector('.total');
    this.trouble = form.querySelector('.trouble');
    const drop = form.querySelector('.drop');
    for (const hidden of drop.querySelectorAll('[hidden]')) hidden.hidden = false;
    for (const input of drop.querySelectorAll('input'))
      input.addEventListener('change', () => {
        for (const f of input.files) this.files.set(f.webkitRelativePath || f.name, f);
        input.value = '';
        this.show();
      });
    drop.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); });
    drop.addEventListener('dragleave', () => drop.classList.remove('over'));
    drop.addEventListener('drop', (event) => { event.preventDefault(); drop.classList.remove('over'); this.take(event.dataTransfer); });
    form.addEventListener('submit', (event) => { event.preventDefault(); this.send(event.submitter); });
  }

  async take(given) {
    const entries = [...given.items].map((i) => i.webkitGetAsEntry()).filter(Boolean);
    try {
      for (const entry of entries)
        for await (const [file, path] of walk(entry)) this.files.set(path, file);
    } catch (e) {
      this.fail(`This cannot be read: ${e.message}`);
    }
    this.show();
  }

  // One row a file, with a bar; a thousand at most are shown.
  show() {
    this.list.replaceChildren();
    this.bars = [];
    for (const [path, file] of this.files) {
      if (this.bars.length === 1000) break;
      const row = document.createElement('li');
      const name = document.createElement('span');
      const bytes = document.createElement('span');
      const bar = document.createElement('progress');
      const away = document.createElement('button');
      name.className = 'mono';
      name.textContent = path;
      bytes.className = 'muted';
      bytes.textContent = size(file.size);
      bar.max = Math.max(file.size, 1);
      bar.value = 0;
      bar.setAttribute('aria-label', path);
      away.type = 'button';
      away.className = 'quiet';
      away.textContent = 'Leave out';
      away.addEventListener('click', () => { this.files.delete(path); this.show(); });
      row.append(name, bytes, bar, away);
      this.list.append(row);
      this.bars.push(bar);
    }
    this.list.hidden = this.total.hidden = !this.files.size;
    this.bytes = [...this.files.values()].reduce((sum, f) => sum + f.size, 0);
    this.say(`${this.files.size} files, ${size(this.bytes)}`);
  }

  say(text) { this.total.textContent = text; }

  fail(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = false;
    this.busy(false);
  }

  busy(on) {
    for (const button of this.form.querySelectorAll('button')) button.disabled = on;
  }

  // `sent` bytes of all files: they go one behind the other, so the bars fill in their order.
  progress(sent) {
    const seconds = (performance.now() - this.began) / 1000;
    const rate = sent / Math.max(seconds, 0.1);
    const left = Math.ceil((this.bytes - sent) / Math.max(rate, 1));
    this.say(sent < this.bytes
      ? `${size(sent)} of ${size(this.bytes)}, ${size(rate)}/s, ${left} s left`
      : 'All sent: the hub makes the commit…');
    for (const bar of this.bars) {
      bar.value = Math.max(0, Math.min(bar.max, sent));
      sent -= bar.max;
    }
  }

  send(button) {
    if (!this.files.size) { this.fail('Choose at least one file.'); return; }
    this.trouble.hidden = true;
    const body = new FormData();
    for (const name of ['csrf', 'summary', 'description']) body.append(name, this.form.elements[name].value);
    for (const [path, file] of this.files) body.append('files', file, path);
    const call = new XMLHttpRequest();
    call.open('POST', button?.formAction || this.form.action);
    call.setRequestHeader('Accept', 'application/json');
    call.responseType = 'json';
    call.upload.addEventListener('progress', (e) => this.progress(Math.min(e.loaded, this.bytes)));
    call.addEventListener('load', () => {
      if (call.status === 200) location.assign(call.response.url);
      else this.fail(call.response?.error || `The hub answered ${call.status}.`);
    });
    call.addEventListener('error', () => this.fail('The connection broke: nothing was committed. Try again.'));
    this.began = performance.now();
    this.busy(true);
    call.send(body);
  }
}

for (const form of document.querySelectorAll('[data-upload]')) new Uploader(form);
