"""Nothing acknowledged is lost: four kinds of writers at work, the server killed with SIGKILL at random
moments and started again. Afterwards everything that was answered with success is there, bytes and all,
and the stores are consistent."""
import base64, hashlib, json, os, random, sqlite3, subprocess, threading, time

import pytest
import requests
from huggingface_hub import HfApi

ROUNDS = 8
SEED = int(os.environ.get('HUG_TEST_SEED', time.time()))


class Writer(threading.Thread):
    """Writes one file after another until told to stop; notes those that were acknowledged."""

    def __init__(self, hub, tmp_path):
        super().__init__(daemon=True)
        self.hub, self.tmp_path = hub, tmp_path
        self.repo = f'me/{type(self).__name__.lower()}'
        self.random = random.Random(f'{SEED} {self.repo}')
        self.acknowledged, self.tries, self.over = {}, 0, threading.Event()
        self.auth = {'Authorization': f'Bearer {hub.token}'}
        HfApi(hub.url, token=hub.token).create_repo(self.repo)

    def run(self):
        while not self.over.is_set():
            self.tries += 1
            path, content = f'{self.tries}.bin', self.random.randbytes(self.random.randrange(10, 300_000))
            try:
                self.write(path, content)
            except Exception:  # the server was killed: the file may be there or not
                time.sleep(0.02)
            else:
                self.acknowledged[path] = content

    def post(self, path, **more):
        answer = requests.post(self.hub.url + path, headers=self.auth, timeout=20, **more)
        answer.raise_for_status()
        return answer

    def commit(self, kind, **value):
        lines = [{'key': 'header', 'value': {'summary': value['path']}}, {'key': kind, 'value': value}]
        self.post(f'/api/models/{self.repo}/commit/main', data='\n'.join(map(json.dumps, lines)))


class Commit(Writer):
    def write(self, path, content):
        self.commit('file', path=path, content=base64.b64encode(content).decode(), encoding='base64')


class Lfs(Writer):
    def write(self, path, content):
        oid, size = hashlib.sha256(content).hexdigest(), len(content)
        asked = {'operation': 'upload', 'transfers': ['basic'], 'objects': [{'oid': oid, 'size': size}]}
        found = self.post(f'/{self.repo}.git/info/lfs/objects/batch', json=asked).json()['objects'][0]
        if 'actions' in found:
            requests.put(found['actions']['upload']['href'], data=content, timeout=20).raise_for_status()
        self.commit('lfsFile', path=path, algo='sha256', oid=oid, size=size)


class Xet(Writer):
    def write(self, path, content):
        (self.tmp_path / path).write_bytes(content)
        HfApi(self.hub.url, token=self.hub.token).upload_file(
            path_or_fileobj=self.tmp_path / path, path_in_repo=path, repo_id=self.repo)


class Push(Writer):
    def __init__(self, hub, tmp_path):
        super().__init__(hub, tmp_path)
        self.folder = tmp_path / 'push'
        url = hub.url.replace('http://', f'http://me:{hub.token}@')
        subprocess.run(['git', 'clone', '-q', f'{url}/{self.repo}', self.folder], check=True, timeout=60)
        self.git('config', 'gc.auto', '0')

    def git(self, *args):
        subprocess.run(['git', *args], cwd=self.folder, check=True, timeout=60, capture_output=True)

    def write(self, path, content):
        (self.folder / path).write_bytes(content)
        self.git('add', path)
        self.git('-c', 'core.hooksPath=/dev/null', 'commit', '-q', '-m', path)
        self.git('push', '-q', 'origin', 'main')


def check_stores(data):
    for repo in data.glob('repos/*/*.git'):
        done = subprocess.run(['git', '--git-dir', repo, 'fsck', '--full', '--strict'], capture_output=True, text=True)
        assert done.returncode == 0, f'{repo}: {done.stderr}'
    blobs = [p for p in data.glob('blobs/sha256/*/*/*')]
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert not list(data.glob('blobs/temp/*')) and not list(data.glob('xet/temp/*'))
    for database in data.glob('*.db'):
        assert sqlite3.connect(database).execute('pragma integrity_check').fetchone() == ('ok',)
    return len(blobs)


def test_what_was_acknowledged_survives_sigkill(own_hub, tmp_path, capsys):
    print(f'HUG_TEST_SEED={SEED}')
    writers = [kind(own_hub, tmp_path) for kind in (Commit, Lfs, Xet, Push)]
    for writer in writers:
        writer.start()
    pause = random.Random(SEED)
    for _ in range(ROUNDS):
        time.sleep(pause.uniform(0.05, 1.2))
        own_hub.kill()
        own_hub.start()
    # A killed push may have left a lock behind: every kind of writer must get on afterwards.
    before, deadline = {w: len(w.acknowledged) for w in writers}, time.monotonic() + 60
    while time.monotonic() < deadline and any(len(w.acknowledged) == before[w] for w in writers):
        time.sleep(0.1)
    stuck = [w.repo for w in writers if len(w.acknowledged) == before[w]]
    for writer in writers:
        writer.over.set()
    for writer in writers:
        writer.join(60)
    assert not stuck, f'{stuck} wrote nothing more after the last restart'
    own_hub.kill()
    own_hub.start()
    for writer in writers:
        for path, content in writer.acknowledged.items():
            answer = requests.get(f'{own_hub.url}/{writer.repo}/resolve/main/{path}', timeout=20)
            assert answer.status_code == 200, f'{writer.repo} {path}: {answer.status_code} {answer.text}'
            assert answer.content == content, f'{writer.repo} {path}: other bytes'
    blobs = check_stores(own_hub.data)
    with capsys.disabled():
        print('', ', '.join(f'{w.repo}: {len(w.acknowledged)} of {w.tries}' for w in writers), f'{blobs} blobs', end=' ')
