"""Webhooks by the client's own hands: made with `hf webhooks`, heard by its WebhooksServer."""
import json, os, subprocess, sys
from pathlib import Path

import pytest, requests
from conftest import REAL_HOME, ROOT, run, serving, until
from huggingface_hub import HfApi

# WebhooksServer puts its endpoints into the FastAPI application of a gradio page. Of gradio it needs nothing else, so a page
# that has such an application stands for it here; requests are handed to it as they come.
SERVER = '''
import http.server, json, sys
import huggingface_hub._webhooks_server as module
from fastapi import FastAPI
from fastapi.testclient import TestClient
from huggingface_hub import WebhookPayload, WebhooksServer

class Page:
    local_url = share_url = 'http://here'
    def launch(self, **options):
        return FastAPI(), None, None

module.is_gradio_available = lambda: True
app = WebhooksServer(ui=Page(), webhook_secret='s3cret')

@app.add_webhook('/heard')
async def heard(payload: WebhookPayload):
    print('HEARD', payload.model_dump_json(), flush=True)
    return {'thanks': payload.repo.name}

app.launch(prevent_thread_lock=True)
client = TestClient(app.fastapi_app)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        answer = client.post(self.path, content=body, headers=dict(self.headers))
        self.send_response(answer.status_code)
        self.end_headers()
        self.wfile.write(answer.content)

server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
print('PORT', server.server_port, flush=True)
server.serve_forever()
'''


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    with serving(tmp_path_factory.mktemp('webhooks'), '--webhooks-allow', '127.0.0.1', '--webhook-attempts', '1') as own:
        own.hf = lambda *args: run(Path(sys.executable).with_name('hf'), *args, HF_ENDPOINT=own.url, HF_TOKEN=own.token)
        yield own


@pytest.fixture
def listener(tmp_path):
    """The port of a WebhooksServer, and what it has heard."""
    python = run(ROOT / 'tools/venv', 'tests/suites/huggingface_hub/requirements.txt', HOME=REAL_HOME).strip()
    out = tmp_path / 'heard'
    env = os.environ | {'HF_HUB_DISABLE_EXPERIMENTAL_WARNING': '1'}
    with open(out, 'w') as file:
        process = subprocess.Popen([python, '-c', SERVER], stdout=file, stderr=subprocess.STDOUT, env=env)
    said = lambda word: [l.split(' ', 1)[1] for l in out.read_text().splitlines() if l.startswith(word + ' ')]
    try:
        until(lambda: said('PORT') or process.poll() is not None, out.read_text, 60)
        assert said('PORT'), out.read_text()
        yield said('PORT')[0], lambda: [json.loads(line) for line in said('HEARD')]
    finally:
        process.kill()
        process.wait()


def test_a_webhook_made_by_hf_is_heard_by_webhooks_server(own, listener):
    port, heard = listener
    made = own.hf('webhooks', 'create', '--url', f'http://127.0.0.1:{port}/webhooks/heard', '--watch', 'user:me',
                  '--secret', 's3cret', '--format', 'json')
    hook = json.loads(made)['id']
    own.hf('repos', 'create', 'me/one')
    own.hf('discussions', 'create', 'me/one', '--title', 'Why?', '--body', 'Because.')
    until(lambda: len(heard()) == 2, heard)
    assert [(p['event']['action'], p['event']['scope']) for p in heard()] == [('create', 'repo'), ('create', 'discussion')]
    assert heard()[1]['comment']['content'] == 'Because.' and heard()[1]['webhook'] == {'id': hook, 'version': 3}

    own.hf('webhooks', 'update', hook, '--secret', 'another')
    own.hf('repos', 'create', 'me/two')
    api = HfApi(own.url, token=own.token)
    log = lambda: requests.get(f'{own.url}/api/settings/webhooks/{hook}/logs', headers={'Authorization': f'Bearer {own.token}'}).json()
    until(lambda: log()[0]['state'] == 'failed', log)
    assert (log()[0]['status'], log()[0]['repo']['name']) == (403, 'me/two') and len(heard()) == 2
    assert {w['id'] for w in json.loads(own.hf('webhooks', 'ls', '--format', 'json'))} == {hook}
    own.hf('webhooks', 'disable', hook)
    assert api.get_webhook(hook).disabled
    own.hf('webhooks', 'enable', hook)
    own.hf('webhooks', 'delete', hook, '--yes')
    assert api.list_webhooks() == []
