// The try-it panel with scripts: streams the text from POST /models/{id}, with a stop button and the
// speed. Without scripts the same form is answered with a whole page.
'use strict';

// Server-sent events of a response body, one parsed JSON object each.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split('\n').filter((l) => l.startsWith('data:')).map((l) => l.slice(5).trim()).join('\n');
      if (data && data !== '[DONE]') yield JSON.parse(data);
    }
  }
}

class Panel {
  constructor(section) {
    this.model = section.dataset.model;
    this.chat = section.dataset.chat === 'yes';
    this.form = section.querySelector('form');
    this.text = section.querySelector('textarea');
    this.go = section.querySelector('.go');
    this.stop = section.querySelector('.stop');
    this.stats = section.querySelector('.stats');
    this.answer = section.querySelector('.answer');
    this.trouble = section.querySelector('.trouble');
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.run(); });
    this.stop.addEventListener('click', () => this.abort?.abort());
    this.text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
    for (const example of section.querySelectorAll('[data-text]'))
      example.addEventListener('click', () => { this.text.value = example.dataset.text; this.text.focus(); });
  }

  busy(on) {
    this.go.hidden = on;
    this.stop.hidden = !on;
    this.answer.classList.toggle('busy', on);
  }

  start() {
    this.trouble.hidden = true;
    this.answer.hidden = false;
    this.answer.textContent = '';
    if (!this.chat) {
      const given = document.createElement('span');
      given.className = 'given';
      given.textContent = this.text.value;
      this.answer.append(given);
    }
    this.stats.textContent = 'loading the model…';
    this.abort = new AbortController();
    this.busy(true);
  }

  async open() {
    const inputs = this.chat ? [{ role: 'user', content: this.text.value }] : this.text.value;
    const response = await fetch(`/models/${this.model}`, {
      method: 'POST',
      signal: this.abort.signal,
      headers: {
        'Content-Type': 'application/json',
        'Accept': 'text/event-stream',
        'X-CSRF-Token': document.querySelector('meta[name=csrf]').content,
      },
      body: JSON.stringify({ inputs, parameters: { max_new_tokens: 200, return_full_text: false }, stream: true }),
    });
    if (response.ok) return response;
    const body = await response.json().catch(() => ({}));
    throw new Error(body.error || `The hub answered ${response.status}`);
  }

  show(n, began) {
    const seconds = (performance.now() - began) / 1000;
    const speed = n > 1 && seconds > 0 ? `, ${((n - 1) / seconds).toFixed(1)} tokens/s` : '';
    this.stats.textContent = `${n} token${n === 1 ? '' : 's'}${speed}`;
  }

  async run() {
    if (!this.text.value.trim()) return;
    this.start();
    let n = 0, began = 0;
    try {
      const response = await this.open();
      for await (const event of events(response.body)) {
        if (event.error) throw new Error(event.error.message || event.error);
        if (!event.token) continue;
        if (n++ === 0) began = performance.now();
        if (!event.token.special) this.answer.append(event.token.text);
        this.answer.scrollTop = this.answer.scrollHeight;
        this.show(n, began);
      }
    } catch (error) {
      if (error.name !== 'AbortError') {
        this.trouble.textContent = error.message;
        this.trouble.hidden = false;
        this.answer.hidden = n === 0;
      }
      if (n === 0) this.stats.textContent = '';
    }
    this.busy(false);
  }
}

for (const section of document.querySelectorAll('.panel.try'))
  if (section.querySelector('form')) new Panel(section);
