"""A full disk: what does not fit is refused with a word, what was there stays, and the hub goes on."""
import hashlib, os, subprocess

import pytest
import requests
from huggingface_hub import HfApi

from conftest import Hub


@pytest.fixture
def small_hub(tmp_path):
    """A hub on a disk of 96 MB."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', disk], capture_output=True).returncode:
        pytest.skip('no right to mount a small disk')
    try:
        hub = Hub(disk / 'data')
        hub.log = tmp_path / 'hub.log'  # not on the full disk
        hub.start()
        hub.add_user('me', '--admin')
        hub.token = hub.add_token('me')
        yield hub
        hub.stop()
    finally:
        subprocess.run(['umount', '-l', disk], check=True)


def put(hub, content):
    found = requests.post(f'{hub.url}/me/small.git/info/lfs/objects/batch', json={
        'operation': 'upload', 'objects': [{'oid': hashlib.sha256(content).hexdigest(), 'size': len(content)}]},
        headers={'Authorization': f'Bearer {hub.token}'}).json()['objects'][0]
    return requests.put(found['actions']['upload']['href'], data=content)


def test_a_full_disk_loses_nothing(small_hub, tmp_path):
    api = HfApi(small_hub.url, token=small_hub.token)
    api.create_repo('me/small')
    assert put(small_hub, os.urandom(60_000_000)).status_code == 200
    answer = put(small_hub, os.urandom(60_000_000))
    assert (answer.status_code, answer.json()['error']) == (507, "The server's disk is full")
    clone = tmp_path / 'clone'
    git = lambda *args, **more: subprocess.run(['git', '-C', clone, *args], capture_output=True, text=True, **more)
    clone.mkdir()
    git('clone', f'{small_hub.url.replace("http://", f"http://me:{small_hub.token}@")}/me/small', '.', check=True)
    for i in range(6):
        (clone / f'{i}').write_bytes(os.urandom(9_000_000))
    git('add', '.', check=True)
    git('commit', '-m', 'Too much', check=True)
    before = api.model_info('me/small').sha
    assert git('push', 'origin', 'main').returncode != 0
    assert api.model_info('me/small').sha == before
    api.upload_file(path_or_fileobj=b'fits', path_in_repo='fits.txt', repo_id='me/small')
    small_hub.kill()
    small_hub.start()
    assert requests.get(f'{small_hub.url}/me/small/resolve/main/fits.txt').text == 'fits'
    repo, = small_hub.data.glob('repos/*/*.git')
    assert subprocess.run(['git', '--git-dir', repo, 'fsck', '--strict']).returncode == 0
