"""Large files: the server never holds them in memory."""
import hashlib, http.client, os, time
from urllib.parse import urlsplit

import requests
from huggingface_hub import HfApi

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


def test_parts_of_a_large_object(own_hub):
    HfApi(own_hub.url, token=own_hub.token).create_repo('me/parts')
    blocks, digest = 600, hashlib.sha256()
    for _ in range(blocks):
        digest.update(BLOCK)
    oid, size = digest.hexdigest(), blocks << 20
    found = batch(own_hub, 'me/parts', oid, size, ['basic', 'multipart'])
    assert found['transfer'] == 'multipart'
    upload = found['objects'][0]['actions']['upload']
    parts = {int(k): v for k, v in upload['header'].items() if k.isdigit()}
    chunk = int(upload['header']['chunk_size'])
    assert len(parts) == -(-size // chunk)
    assert requests.post(upload['href'], json={'oid': oid, 'parts': []}).status_code in (404, 422)
    done = []
    for number in sorted(parts, reverse=True):  # in any order, over a restart
        if number == 3:
            own_hub.kill()
            own_hub.start()
        headers = put(parts[number], min(chunk, size - (number - 1) * chunk) >> 20)
        done.append({'partNumber': number, 'etag': headers['ETag']})
    completed = requests.post(upload['href'], json={'oid': oid, 'parts': done})
    assert completed.status_code == 200, completed.text
    assert 'actions' not in batch(own_hub, 'me/parts', oid, size, ['basic'])['objects'][0]
    assert own_hub.memory_mb[1] < 200
