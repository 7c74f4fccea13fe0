"""What Xet is for: of a large file of which a little has changed, a little travels and is stored.

HUG_XET_MB=1024 pytest tests/clients/test_xet.py -s      the same with a gigabyte, and the figures
"""
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi, hf_hub_download

from conftest import Meter, until

MB = 1 << 20
SIZE = int(os.environ.get('HUG_XET_MB', 32)) * MB
CHANGED = max(SIZE // 1024, 64 << 10)


@pytest.fixture
def meter(hub):
    meter = Meter(hub.port)
    yield meter
    meter.close()


def files_in(hub, *folders):
    """(inode, bytes) of each file below; some go while one looks."""
    for folder in folders:
        for path in (hub.data / folder).rglob('*'):
            try:
                info = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(info.st_mode):
                yield info.st_ino, info.st_size


def stored(hub):
    """Bytes that the content of files takes on the hub's disk."""
    return sum(dict(files_in(hub, 'blobs', 'xet')).values())


def wait_until_cut(hub):
    """Files that came whole are cut into chunks in the background."""
    whole = lambda: [size for _, size in files_in(hub, 'blobs/sha256') if size >= 128 << 10]
    until(lambda: not whole(), whole, 60 + SIZE / (20 * MB))


def make_weights(path):
    """Noise in the shape of a safetensors file."""
    with open(path, 'wb') as out:
        header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (SIZE, SIZE)
        out.write(len(header).to_bytes(8, 'little') + header)
        for _ in range(SIZE // MB):
            out.write(os.urandom(MB))


def change(path, where):
    with open(path, 'r+b') as out:
        out.seek(int(SIZE * where))
        out.write(os.urandom(CHANGED))


def sha256(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


UPLOAD = '''
import sys
from huggingface_hub import HfApi
api = HfApi(endpoint=sys.argv[1], token=sys.argv[2])
api.upload_file(path_or_fileobj=sys.argv[3], path_in_repo='model.safetensors', repo_id=sys.argv[4])
'''
DOWNLOAD = '''
import sys
from huggingface_hub import hf_hub_download
print(hf_hub_download(sys.argv[4], 'model.safetensors', token=sys.argv[2], endpoint=sys.argv[1], local_dir=sys.argv[3]))
'''


def client(script, url, token, path, repo, home, **env):
    """A client on a machine of its own: with empty caches."""
    subprocess.run([sys.executable, '-c', script, url, token, path, repo], check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {'HF_HOME': str(home), 'HF_ENDPOINT': url} | env)


def say(what, moved, kept):
    print(f'{what}: {moved / MB:.2f} MB moved ({100 * moved / SIZE:.2f} %), '
          f'{kept / MB:.2f} MB stored ({100 * kept / SIZE:.2f} %)')


def test_a_little_change_is_a_little_upload(hub, api, meter, tmp_path):
    repo = api.create_repo('me/xet-large').repo_id
    path = tmp_path / 'model.safetensors'
    make_weights(path)
    start, before = stored(hub), stored(hub)

    def upload(what, limit, script=UPLOAD, home='first', **env):
        nonlocal before
        meter.take()
        client(script, meter.url, hub.token, path, repo, tmp_path / home, **env)
        moved = meter.take()[0]
        wait_until_cut(hub)
        kept, before = stored(hub) - before, stored(hub)
        say(what, moved, kept)
        assert kept < limit * SIZE, what
        if not env:
            assert moved < limit * SIZE, what
        return kept

    first = upload('the first upload', 1.05)
    assert first > 0.9 * SIZE
    change(path, 0.3)
    upload('0.1 % changed', 0.02)
    change(path, 0.6)
    upload('0.1 % changed, from another machine', 0.02, home='second')
    change(path, 0.8)
    upload('0.1 % changed, by git-lfs', 0.02, HF_HUB_DISABLE_XET='1')
    # The same again into another repository of the same user: nothing but its row.
    repo = api.create_repo('me/xet-large-too').repo_id
    upload('into another repository', 0.02, home='third')

    digest = sha256(path)
    meter.take()
    client(DOWNLOAD, meter.url, hub.token, tmp_path / 'down', repo, tmp_path / 'fourth')
    say('a download by Xet', meter.take()[1], 0)
    assert sha256(tmp_path / 'down/model.safetensors') == digest
    shutil.rmtree(tmp_path / 'down')
    client(DOWNLOAD, meter.url, hub.token, tmp_path / 'down', repo, tmp_path / 'fourth', HF_HUB_DISABLE_XET='1')
    say('a download without', meter.take()[1], 0)
    assert sha256(tmp_path / 'down/model.safetensors') == digest
    url = f'{hub.url}/{repo}/resolve/main/model.safetensors'
    with open(path, 'rb') as file:
        for at in 0, 1, SIZE // 2, SIZE - 5:
            file.seek(at)
            got = requests.get(url, headers={'Range': f'bytes={at}-{at + 299999}'})
            assert got.status_code == 206 and got.content == file.read(300000)


def test_old_versions_stay_whole(hub, api, tmp_path):
    """Each revision gives the bytes that it had, though they share chunks; also after a restart."""
    repo = api.create_repo('me/xet-versions').repo_id
    path, versions = tmp_path / 'w.bin', {}
    path.write_bytes(os.urandom(3 * MB))
    for i in range(3):
        with open(path, 'r+b') as out:
            out.seek(i * MB)
            out.write(os.urandom(1000))
        commit = api.upload_file(path_or_fileobj=path, path_in_repo='w.bin', repo_id=repo)
        versions[commit.oid] = path.read_bytes()
    hub.restart()
    for i, (revision, content) in enumerate(versions.items()):
        got = hf_hub_download(repo, 'w.bin', revision=revision, cache_dir=tmp_path / f'cache-{i}')
        assert Path(got).read_bytes() == content
        assert requests.get(f'{hub.url}/{repo}/resolve/{revision}/w.bin').content == content


# ---- Who may ----

def cas(hub, kind, repo, token):
    answer = requests.get(f'{hub.url}/api/models/{repo}/xet-{kind}-token/main',
                          headers={'Authorization': f'Bearer {token}'} if token else {})
    answer.raise_for_status()
    return answer.json()['casUrl'], {'Authorization': 'Bearer ' + answer.json()['accessToken']}


def xet_hash(hub, repo, path, token):
    answer = requests.head(f'{hub.url}/{repo}/resolve/main/{path}', headers={'Authorization': f'Bearer {token}'})
    assert 'xet-auth' in answer.links and 'xet-reconstruction-info' in answer.links
    return answer.headers['X-Xet-Hash']


def test_a_hash_alone_opens_nothing(hub, api, tmp_path):
    token, yours = hub.token, hub.other_token
    secret = api.create_repo('me/xet-hidden', private=True).repo_id
    other = api.create_repo('me/xet-open').repo_id
    content = os.urandom(MB)
    api.upload_file(path_or_fileobj=content, path_in_repo='w.bin', repo_id=secret)
    known = xet_hash(hub, secret, 'w.bin', token)
    url, headers = cas(hub, 'read', secret, token)
    terms = requests.get(f'{url}/v1/reconstructions/{known}', headers=headers).json()
    xorb = terms['terms'][0]['hash']
    piece = terms['fetch_info'][xorb][0]

    for kind in 'v1', 'v2':
        assert requests.get(f'{url}/{kind}/reconstructions/{known}').status_code == 401
        for repo, who in (other, token), (other, None), (other, yours):
            got = requests.get(f'{url}/{kind}/reconstructions/{known}', headers=cas(hub, 'read', repo, who)[1])
            assert got.status_code == 404, (repo, who)
    # The piece's URL is for these bytes and no others.
    assert requests.get(piece['url']).ok
    assert requests.get(piece['url'].replace('from=0', 'from=1')).status_code == 403
    assert requests.get(piece['url'].replace(xorb, '0' * 64)).status_code == 403
    assert requests.get(f'{url}/v1/xorbs/default/{xorb}').status_code == 403

    # Which xorbs have a chunk is told to who sent it, with a token for writing.
    chunk = f'{url}/v1/chunks/default/{xorb if piece["range"]["end"] == 1 else known}'
    assert requests.get(chunk, headers=headers).status_code == 403
    theirs = HfApi(endpoint=hub.url, token=yours).create_repo('you/xet-mine').repo_id
    assert requests.get(chunk, headers=cas(hub, 'write', theirs, yours)[1]).status_code == 404
    # Nor can a private repository be asked for by who may not see it.
    assert requests.get(f'{hub.url}/api/models/{secret}/xet-read-token/main',
                        headers={'Authorization': f'Bearer {yours}'}).status_code == 404
    # A pointer by hand shows no hash and gives no file.
    size = len(content)
    pointer = f'version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize {size}\n'
    HfApi(endpoint=hub.url, token=yours).upload_file(path_or_fileobj=pointer.encode(), path_in_repo='p.txt', repo_id=theirs)
    tree = requests.get(f'{hub.url}/api/models/{theirs}/tree/main').json()
    assert not any('xetHash' in e for e in tree)
    got = requests.get(f'{hub.url}/{theirs}/resolve/main/p.txt')
    assert 'X-Xet-Hash' not in got.headers and content not in got.content


def test_ranges_of_a_reconstruction(hub, api):
    repo = api.create_repo('me/xet-ranges').repo_id
    content = os.urandom(2 * MB)
    api.upload_file(path_or_fileobj=content, path_in_repo='w.bin', repo_id=repo)
    known = xet_hash(hub, repo, 'w.bin', hub.token)
    url, headers = cas(hub, 'read', repo, hub.token)

    def terms(given):
        return requests.get(f'{url}/v2/reconstructions/{known}', headers=headers | {'Range': given})

    part = terms('bytes=1000000-1000009').json()
    assert len(part['terms']) == 1 and part['terms'][0]['unpacked_length'] <= 128 << 10
    assert part['offset_into_first_range'] < part['terms'][0]['unpacked_length']
    whole = terms(f'bytes=0-{2**64 - 2}').json()
    assert sum(t['unpacked_length'] for t in whole['terms']) == 2 * MB
    assert terms(f'bytes={2 * MB}-').status_code == 416
    entry = part['xorbs'][part['terms'][0]['hash']][0]
    packed = requests.get(entry['url'], headers={'Range': 'bytes=%(start)d-%(end)d' % entry['ranges'][0]['bytes']})
    assert packed.status_code == 206
    # A raw chunk: 8 bytes of header, then the bytes as they are.
    assert packed.content[4] == 0
    at = 8 + part['offset_into_first_range']
    assert packed.content[at:at + 10] == content[1000000:1000010]


def test_deleted_repositories_give_their_content_back(hub, api, tmp_path):
    """The chunks stay while a client may refer to them; the files go at once."""
    repo = api.create_repo('me/xet-gone').repo_id
    content = os.urandom(MB)
    api.upload_file(path_or_fileobj=content, path_in_repo='w.bin', repo_id=repo)
    sha = hashlib.sha256(content).hexdigest()
    recipe = hub.data / 'xet/files' / sha[:2] / sha
    assert recipe.exists()
    api.delete_repo(repo)
    assert not recipe.exists()


# ---- When things break ----

def put_by_lfs(hub, repo, path, content):
    api = HfApi(endpoint=hub.url, token=hub.token)
    api.create_repo(repo, exist_ok=True)
    (hub.data / 'sent').write_bytes(content)
    subprocess.run([sys.executable, '-c', UPLOAD.replace('model.safetensors', path), hub.url, hub.token,
                    hub.data / 'sent', repo], check=True, env=os.environ | {'HF_HUB_DISABLE_XET': '1', 'HF_ENDPOINT': hub.url})


def test_a_hub_that_is_killed_while_it_cuts(own_hub):
    """What was acknowledged is there after each start, and is cut up in the end."""
    content = {f'{i}.bin': os.urandom(8 * MB) for i in range(3)}
    for path, bytes in content.items():
        put_by_lfs(own_hub, 'me/xet-cut', path, bytes)
        own_hub.kill()    # in the middle of it, mostly
        own_hub.start()
        time.sleep(0.02)
        own_hub.kill()
        own_hub.start()
    wait_until_cut(own_hub)
    own_hub.restart()
    for path, bytes in content.items():
        assert requests.get(f'{own_hub.url}/me/xet-cut/resolve/main/{path}').content == bytes
    assert not list((own_hub.data / 'xet/temp').iterdir())


def test_a_damaged_xorb_is_noticed(own_hub):
    """The download breaks off and never gives false bytes as if they were all; other files are fine."""
    repo = HfApi(endpoint=own_hub.url, token=own_hub.token).create_repo('me/xet-damaged').repo_id
    # Bytes that pack: a change in what is packed cannot go unnoticed.
    put_by_lfs(own_hub, repo, 'a.bin', b''.join(b'%d ' % i for i in range(300_000)))
    put_by_lfs(own_hub, repo, 'b.bin', os.urandom(MB))
    wait_until_cut(own_hub)
    xorbs = sorted((p for p in (own_hub.data / 'xet/xorbs').rglob('*') if p.is_file()), key=lambda p: p.stat().st_size)
    whole = {p: p.read_bytes() for p in xorbs}
    packed = next(p for p in xorbs if p.stat().st_size < MB)
    for damaged in whole[packed][:-1], whole[packed][:200_000] + b'\xFF' * 99 + whole[packed][200_099:]:
        packed.chmod(0o600)
        packed.write_bytes(damaged)
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(f'{own_hub.url}/{repo}/resolve/main/a.bin').raise_for_status()
        assert len(requests.get(f'{own_hub.url}/{repo}/resolve/main/b.bin').content) == MB
    packed.write_bytes(whole[packed])
    assert requests.get(f'{own_hub.url}/{repo}/resolve/main/a.bin').ok
