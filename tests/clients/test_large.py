"""Large files: the server never holds them in memory."""
import hashlib, http.client, os, sys, time
from pathlib import Path
from urllib.parse import urlsplit

import requests
from huggingface_hub import HfApi

from conftest import run

BLOCK = os.urandom(1 << 20)


def batch(hub, repo, oid, size, transfers):
    answer = requests.post(f'{hub.url}/{repo}.git/info/lfs/objects/batch', json={
        'operation': 'upload', 'transfers': transfers, 'objects': [{'oid': oid, 'size': size}]},
        headers={'Authorization': f'Bearer {hub.token}'})
    answer.raise_for_status()
    return answer.json()


def put(url, blocks):
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.netloc, timeout=120)
    connection.request('PUT', f'{at.path}?{at.query}', headers={'Content-Length': str(blocks << 20)},
                       body=(BLOCK for _ in range(blocks)))
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return answer.headers


def test_two_gigabytes_by_lfs_take_little_memory(own_hub):
    HfApi(own_hub.url, token=own_hub.token).create_repo('me/large')
    blocks, digest = 2048, hashlib.sha256()
    for _ in range(blocks):
        digest.update(BLOCK)
    oid = digest.hexdigest()
    found = batch(own_hub, 'me/large', oid, blocks << 20, ['basic'])
    started = time.monotonic()
    put(found['objects'][0]['actions']['upload']['href'], blocks)
    took = time.monotonic() - started
    assert 'actions' not in batch(own_hub, 'me/large', oid, blocks << 20, ['basic'])['objects'][0]
    down = requests.post(f'{own_hub.url}/me/large.git/info/lfs/objects/batch', json={
        'operation': 'download', 'objects': [{'oid': oid, 'size': blocks << 20}]}).json()
    received = 0
    with requests.get(down['objects'][0]['actions']['download']['href'], stream=True) as answer:
        for piece in answer.iter_content(1 << 20):
            received += len(piece)
    assert received == blocks << 20
    now, most = own_hub.memory_mb
    print(f'{(blocks << 20) / took / 1e6:.0f} MB/s up, {most:.0f} MB of memory at most')
    assert most < 200


class Parts:
    """An upload in parts of so many blocks, the last one shorter: send(number, bytes) one of them."""

    def __init__(self, hub, blocks):
        self.hub = hub
        HfApi(hub.url, token=hub.token).create_repo('me/parts')
        self.content = BLOCK * blocks + os.urandom(1000)
        self.oid, self.size = hashlib.sha256(self.content).hexdigest(), len(self.content)
        found = batch(hub, 'me/parts', self.oid, self.size, ['basic', 'multipart'])
        assert found['transfer'] == 'multipart'
        self.upload = found['objects'][0]['actions']['upload']
        self.urls = {int(k): v for k, v in self.upload['header'].items() if k.isdigit()}
        self.chunk = int(self.upload['header']['chunk_size'])
        assert (self.chunk, len(self.urls)) == (1 << 20, blocks + 1)

    def bytes_of(self, number):
        return self.content[(number - 1) * self.chunk:number * self.chunk]

    def send(self, number, content=None):
        return requests.put(self.urls[number], data=self.bytes_of(number) if content is None else content)

    def complete(self):
        return requests.post(self.upload['href'], json={'oid': self.oid, 'parts': []})

    @property
    def is_stored(self):
        return 'actions' not in batch(self.hub, 'me/parts', self.oid, self.size, ['basic'])['objects'][0]


def test_parts_come_in_any_order_and_over_a_kill(parts_hub):
    parts = Parts(parts_hub, 20)
    assert parts.complete().status_code in (404, 422)
    for number in sorted(parts.urls, reverse=True):
        if number == 7:  # killed while this part is on its way: it is sent again, those before it are not
            at = urlsplit(parts.urls[number])
            connection = http.client.HTTPConnection(at.netloc, timeout=20)
            connection.putrequest('PUT', f'{at.path}?{at.query}')
            connection.putheader('Content-Length', str(parts.chunk))
            connection.endheaders(parts.bytes_of(number)[:700_000])
            time.sleep(0.2)
            parts_hub.kill()
            connection.close()
            parts_hub.start()
        answer = parts.send(number)
        assert answer.status_code == 200
        assert answer.headers['ETag'] == f'"{hashlib.sha256(parts.bytes_of(number)).hexdigest()}"'
    assert not parts.is_stored
    parts_hub.kill()
    parts_hub.start()
    assert parts.complete().status_code == 200 and parts.is_stored
    assert parts.complete().status_code == 200  # asked again, because the answer was lost
    assert not list(parts_hub.data.glob('blobs/temp/*'))


def test_parts_that_are_wrong_are_refused_and_may_be_sent_again(parts_hub):
    parts = Parts(parts_hub, 9)
    assert parts.send(1, b'short').status_code == 422
    assert parts.send(1, parts.bytes_of(1) + b'!').status_code == 422
    for number in parts.urls:
        parts.send(number, os.urandom(len(parts.bytes_of(number))) if number == 3 else None)
    refused = parts.complete()
    assert refused.status_code == 422 and 'hash to' in refused.json()['message'] and not parts.is_stored
    assert parts.send(3).status_code == 200
    assert parts.complete().status_code == 200 and parts.is_stored


def test_a_slow_part_holds_up_nobody(parts_hub):
    parts = Parts(parts_hub, 9)
    at = urlsplit(parts.urls[1])
    slow = http.client.HTTPConnection(at.netloc, timeout=20)
    slow.putrequest('PUT', f'{at.path}?{at.query}')
    slow.putheader('Content-Length', str(parts.chunk))
    slow.endheaders()
    for number in sorted(parts.urls)[1:]:
        slow.send(parts.bytes_of(1)[(number - 2) * 100_000:(number - 1) * 100_000])
        assert parts.send(number).status_code == 200
    slow.send(parts.bytes_of(1)[900_000:])
    assert slow.getresponse().status == 200
    assert parts.complete().status_code == 200 and parts.is_stored


def test_git_lfs_sends_large_files_in_parts(parts_hub, tmp_path):
    """By the transfer agent that `hf lfs-enable-largefiles` sets up."""
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/hf').symlink_to(Path(sys.executable).with_name('hf'))
    clone, path = tmp_path / 'clone', f'{tmp_path / "bin"}:{os.environ["PATH"]}'
    git = lambda *args: run('git', *args, cwd=clone, PATH=path)
    HfApi(parts_hub.url, token=parts_hub.token).create_repo('me/parts')
    run('git', 'clone', '-q', parts_hub.url.replace('://', f'://me:{parts_hub.token}@') + '/me/parts', clone)
    git('lfs', 'install', '--local')
    git('config', 'lfs.concurrenttransfers', '1')  # each starts an agent
    run('hf', 'lfs-enable-largefiles', clone, PATH=path)
    content = os.urandom(12_500_000)
    (clone / 'large.bin').write_bytes(content)
    (clone / 'small.bin').write_bytes(content[:5000])
    git('add', '.')
    git('commit', '-q', '-m', 'Large')
    git('push', '-q', 'origin', 'main')
    assert parts_hub.log.read_text().count('method=PUT path=/api/lfs/models/me/parts') == 13
    for name, size in (('large.bin', 12_500_000), ('small.bin', 5000)):
        assert requests.get(f'{parts_hub.url}/me/parts/resolve/main/{name}').content == content[:size]
