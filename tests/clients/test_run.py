"""`make run` after the build: tools/run starts the hub at once, and the demo appears."""
import os
import re
import signal
import subprocess
import time

import requests

from conftest import HUG, REAL_HOME, ROOT, free_port, run


def start(tmp_path, **env):
    """tools/run in a process group of its own; its address and what it printed up to "ready"."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen([ROOT / 'tools/run', HUG], start_new_session=True, text=True, stdout=subprocess.PIPE,
                               stderr=open(tmp_path / 'stderr', 'a'), env=os.environ | {
                                   'HUG_DATA': str(tmp_path / 'data'), 'HUG_LISTEN': f'127.0.0.1:{port}',
                                   'HOME': REAL_HOME} | env)
    said = ''
    for line in process.stdout:
        said += line
        if line.startswith('ready'):
            break
    return process, f'http://127.0.0.1:{port}', said, time.monotonic() - began


def end(process):
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)


def test_a_first_start_and_a_second(tmp_path):
    process, url, said, _ = start(tmp_path, HUG_DEMO='0')
    try:
        assert url in said and str(tmp_path / 'data') in said
        password = re.search(r'with the password (\S+)', said)[1]
        assert requests.get(url + '/api/models').json() == []
    finally:
        end(process)
    process, url, said, took = start(tmp_path, HUG_DEMO='0')
    try:
        assert password not in said and 'password' not in said
        assert int(re.search(r'ready +in (\d+) ms', said)[1]) < 100 and took < 2
    finally:
        end(process)


def test_the_password_may_be_given(tmp_path):
    process, url, said, _ = start(tmp_path, HUG_DEMO='0', HUG_ADMIN_PASSWORD='given by the owner')
    try:
        assert 'given by the owner' not in said
    finally:
        end(process)


def test_the_demo_appears_and_answers(tmp_path, smollm2):
    process, url, said, _ = start(tmp_path)
    try:
        name = 'hug/SmolLM2-135M-Instruct-GGUF'
        for _ in range(200):
            answer = requests.get(f'{url}/{name}/resolve/main/README.md')
            if answer.ok:
                break
            time.sleep(0.1)
        assert 'license: apache-2.0' in answer.text
        info = requests.get(f'{url}/api/models/{name}?blobs=true').json()
        files = {f['rfilename']: f for f in info['siblings']}
        assert files['SmolLM2-135M-Instruct.Q4_1.gguf']['lfs']['size'] == 98_362_432
        assert info['pipeline_tag'] == 'text-generation' and 'license:apache-2.0' in info['tags']
        token = run(HUG, 'admin', 'token', 'add', '--user', 'hug', '--data', tmp_path / 'data').strip()
        for _ in range(100):
            answer = requests.post(f'{url}/models/{name}', headers={'Authorization': f'Bearer {token}'}, json={
                'inputs': 'The capital of France is', 'parameters': {'max_new_tokens': 2, 'do_sample': False}})
            if answer.status_code != 503:
                break
            time.sleep(0.2)
        assert answer.json() == [{'generated_text': 'The capital of France is Paris.'}]
    finally:
        end(process)


def test_without_network_it_says_so(tmp_path):
    """pip finds nothing: the index is a closed port, the cache is empty."""
    process, url, said, _ = start(tmp_path, HUG_CACHE=str(tmp_path / 'cache'), PIP_INDEX_URL='http://127.0.0.1:1/',
                                  PIP_RETRIES='0', PIP_NO_INDEX='1', PIP_NO_CACHE_DIR='1', PIP_FIND_LINKS=str(tmp_path))
    try:
        for _ in range(200):
            text = (tmp_path / 'stderr').read_text()
            if 'could not be fetched' in text:
                break
            time.sleep(0.1)
        assert 'demo: ' in text and 'could not be fetched' in text
        assert requests.get(url + '/api/models').status_code == 200
    finally:
        end(process)
