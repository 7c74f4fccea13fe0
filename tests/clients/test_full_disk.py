"""A full disk: what does not fit is refused with a word, what was there stays, and the hub goes on."""
import hashlib, os, subprocess

import pytest
import requests
from huggingface_hub import HfApi

from conftest import Hub, disk_of


@pytest.fixture
def small_hub(tmp_path):
    """A hub on a disk of 96 MB."""
    with disk_of(96, tmp_path / 'disk') as disk:
        hub = Hub(disk / 'data', args=['--lfs-part-size', '4M'])
        hub.log = tmp_path / 'hub.log'  # not on the full disk
        hub.start()
        hub.add_user('me', '--admin')
        hub.token = hub.add_token('me')
        yield hub
        hub.stop()


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
    for setting in ('core.compression=0', 'core.bigFileThreshold=1m'):  # nothing here gets smaller
        git('config', *setting.split('='), check=True)
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


def test_parts_that_do_not_fit_leave_room_again(small_hub):
    HfApi(small_hub.url, token=small_hub.token).create_repo('me/small')
    content = os.urandom(120_000_000)
    oid = hashlib.sha256(content).hexdigest()
    upload = requests.post(f'{small_hub.url}/me/small.git/info/lfs/objects/batch', json={
        'operation': 'upload', 'transfers': ['multipart'], 'objects': [{'oid': oid, 'size': len(content)}]},
        headers={'Authorization': f'Bearer {small_hub.token}'}).json()['objects'][0]['actions']['upload']
    size = int(upload['header']['chunk_size'])
    sent = [requests.put(url, data=content[(int(number) - 1) * size:int(number) * size])
            for number, url in upload['header'].items() if number.isdigit()]
    refused = [answer for answer in sent if answer.status_code != 200]
    assert 5 < len(refused) < len(sent) - 5
    assert {(answer.status_code, answer.json()['message']) for answer in refused} == {(507, "The server's disk is full")}
    assert requests.post(upload['href'], json={'oid': oid, 'parts': []}).status_code == 422
    # What was sent stays for a day, to be gone on with where the disk grows; then a start clears it.
    parts, = small_hub.data.glob('blobs/temp/parts-*')
    small_hub.stop()
    os.utime(parts, (0, 0))
    small_hub.start()
    assert put(small_hub, os.urandom(60_000_000)).status_code == 200
