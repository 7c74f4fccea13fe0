"""git-lfs as people use it: locks and who may break them, what a push does about them, fetching what is
recent, moving history into LFS, and what it says when something is refused."""
import os

import pytest
import requests
from huggingface_hub import HfApi

from conftest import run

LFS = 'application/vnd.git-lfs+json'


class Clone:
    """A clone with git-lfs: called, it runs git in it."""

    def __init__(self, hub, name, path, user='me', token=None):
        self.path, self.name, self.url = path, name, f'{hub.url}/{name}'
        run('git', 'clone', '-q', self.url.replace('http://', f'http://{user}:{token or hub.token}@'), path)
        self('lfs', 'install', '--local')

    def __call__(self, *args, ok=True, **more):
        return run('git', *args, cwd=self.path, ok=ok, **more)

    def refused(self, *args):
        done = self(*args, ok=False)
        assert done.returncode, done.stdout + done.stderr
        return done.stdout + done.stderr

    def commit(self, path, content):
        (self.path / path).write_bytes(content)
        self('add', '.')
        self('commit', '-q', '-m', path)


@pytest.fixture
def mine(hub, api, tmp_path, request):
    """A clone by "me" of a repository of an organisation in which "you" may write as well."""
    if 'painters' not in [org['name'] for org in api.whoami()['orgs']]:
        hub.admin('org', 'add', 'painters', '--owner', 'me')
        hub.admin('org', 'member', 'painters', 'you', '--role', 'write')
    name = 'painters/' + request.node.originalname.replace('_', '-')[:80]
    api.create_repo(name)
    return Clone(hub, name, tmp_path / 'mine')


def test_a_lock_stops_the_pushes_of_others(mine, hub, tmp_path):
    mine.commit('art.bin', b'first')
    mine('push', 'origin', 'main')
    assert 'Locked art.bin' in mine('lfs', 'lock', 'art.bin')
    assert mine('lfs', 'locks').split()[:2] == ['art.bin', 'me']
    theirs = Clone(hub, mine.name, tmp_path / 'theirs', 'you', hub.other_token)
    assert 'is locked by me' in theirs.refused('lfs', 'lock', 'art.bin')
    theirs('config', 'lfs.locksverify', 'true')
    theirs.commit('other.bin', b'free')
    theirs('push', 'origin', 'main')
    theirs.commit('art.bin', b'second')
    said = theirs.refused('push', 'origin', 'main')
    assert 'Unable to push locked files' in said and 'art.bin' in said
    # It is their git-lfs that stops them: the hub itself refuses nothing because of a lock.
    theirs('-c', 'lfs.locksverify=false', 'push', 'origin', 'main')
    mine('pull', '-q')
    mine.commit('art.bin', b'third')
    assert 'Consider unlocking your own locked files' in mine('push', 'origin', 'main')
    mine('lfs', 'unlock', 'art.bin')
    assert mine('lfs', 'locks') == ''


def test_breaking_a_lock_takes_force(mine, hub, tmp_path):
    mine.commit('art.bin', b'art')
    mine('push', 'origin', 'main')
    mine('lfs', 'lock', 'art.bin')
    theirs = Clone(hub, mine.name, tmp_path / 'theirs', 'you', hub.other_token)
    assert 'is locked by me' in theirs.refused('lfs', 'unlock', 'art.bin')
    theirs('lfs', 'unlock', '--force', 'art.bin')
    assert mine('lfs', 'locks', '--json') == '[]\n'


def test_locks_need_the_right_to_write(mine, hub):
    stranger = {'Authorization': f'Bearer {hub.read_token}'}
    url = f'{mine.url}.git/info/lfs/locks'
    ask = lambda method, path='', headers=None, **more: requests.request(method, url + path, headers=headers, **more)
    nobody = ask('POST', json={'path': 'x'})
    assert nobody.status_code == 401 and nobody.headers['Content-Type'] == LFS and nobody.json()['message']
    assert nobody.headers['LFS-Authenticate'].startswith('Basic')
    denied = ask('POST', headers=stranger, json={'path': 'x'})
    assert denied.status_code == 403 and denied.json()['message'] and denied.json()['request_id']
    assert ask('POST', '/verify', headers=stranger, json={}).status_code == 403
    assert ask('GET').json() == {'locks': []}  # who may read may know
    writer = {'Authorization': f'Bearer {hub.token}'}
    made = ask('POST', headers=writer, json={'path': 'x', 'ref': {'name': 'refs/heads/main'}})
    assert made.status_code == 201 and made.headers['Content-Type'] == LFS
    lock = made.json()['lock']
    assert lock['path'] == 'x' and lock['owner'] == {'name': 'me'} and lock['locked_at'].endswith('Z')
    again = ask('POST', headers=writer, json={'path': 'x', 'ref': {'name': 'refs/heads/main'}})
    assert again.status_code == 409 and again.json() == {'lock': lock, 'message': 'x is locked by me'}
    for path in ('', '../x', '/etc/passwd', '.git/config', 'a' * 5000):
        assert ask('POST', headers=writer, json={'path': path}).status_code == 422
    assert ask('POST', headers=writer, json={'path': 'y', 'ref': {'name': 'no ref'}}).status_code == 422
    assert ask('GET', '?refspec=refs/heads/side').json() == {'locks': []}
    assert ask('GET', f'?id={lock["id"]}').json() == {'locks': [lock]}
    assert ask('GET', '?path=x&refspec=refs/heads/main').json() == {'locks': [lock]}
    assert ask('POST', f'/{lock["id"]}/unlock', headers=stranger, json={}).status_code == 403
    assert ask('POST', f'/{"0" * 24}/unlock', headers=writer, json={}).status_code == 404
    assert ask('POST', f'/{lock["id"]}/unlock', headers=writer, json={}).json() == {'lock': lock}


def test_many_locks_come_in_pages(mine, hub):
    url, auth = f'{mine.url}.git/info/lfs/locks', {'Authorization': f'Bearer {hub.token}'}
    for i in range(7):
        assert requests.post(url, headers=auth, json={'path': f'{i}.bin'}).status_code == 201
    seen, page = [], requests.get(url, params={'limit': 3}).json()
    while page.get('next_cursor'):
        seen += page['locks']
        page = requests.get(url, params={'limit': 3, 'cursor': page['next_cursor']}).json()
    assert sorted(lock['path'] for lock in seen + page['locks']) == [f'{i}.bin' for i in range(7)]
    first = requests.post(url + '/verify', headers=auth, json={'limit': 5}).json()
    rest = requests.post(url + '/verify', headers=auth, json={'cursor': first['next_cursor']}).json()
    assert (len(first['ours']), len(rest['ours']), rest['theirs']) == (5, 2, [])
    others = requests.post(url + '/verify', headers={'Authorization': f'Bearer {hub.other_token}'}, json={}).json()
    assert (others['ours'], len(others['theirs'])) == ([], 7)
    assert len(mine('lfs', 'locks', '--limit', '4').splitlines()) == 4
    assert len(mine('lfs', 'locks', '--verify').splitlines()) == 7


def test_locks_of_a_private_repository_are_nobody_elses_business(hub, api):
    api.create_repo('me/hidden-locks', private=True)
    url = f'{hub.url}/me/hidden-locks.git/info/lfs/locks'
    assert requests.get(url).status_code == 401
    for method, path in (('GET', ''), ('POST', ''), ('POST', '/verify')):
        assert requests.request(method, url + path, json={'path': 'x'},
                                headers={'Authorization': f'Bearer {hub.other_token}'}).status_code == 404


def test_what_is_recent_is_fetched_and_old_versions_on_demand(mine, tmp_path):
    versions = [os.urandom(40_000) for _ in range(3)]
    for content in versions:
        mine.commit('w.bin', content)
    mine('branch', 'side')
    mine('push', 'origin', 'main', 'side')
    run('git', 'clone', '-q', mine.url, tmp_path / 'down', GIT_LFS_SKIP_SMUDGE='1')
    down = lambda *args: run('git', *args, cwd=tmp_path / 'down')
    objects = lambda: [p for p in (tmp_path / 'down/.git/lfs/objects').rglob('*') if p.is_file()]
    down('lfs', 'install', '--local')
    down('-c', 'lfs.fetchrecentcommitsdays=30', 'lfs', 'fetch', '--recent')
    assert len(objects()) == 3
    down('lfs', 'checkout')
    assert (tmp_path / 'down/w.bin').read_bytes() == versions[-1]
    down('checkout', '-q', 'HEAD~2')
    assert (tmp_path / 'down/w.bin').read_bytes() == versions[0]
    down('lfs', 'prune', '--recent', '--verify-remote')  # asks the hub whether it has what is about to go
    down('lfs', 'fsck')


def test_history_moves_into_lfs(mine, api):
    (mine.path / '.gitattributes').write_text('')
    content = b'plain ' * 1000
    mine.commit('a.dat', content)
    mine.commit('b.dat', content * 2)
    mine('push', 'origin', 'main')
    assert api.get_paths_info(mine.name, ['a.dat'])[0].lfs is None
    mine('lfs', 'migrate', 'import', '--everything', '--include=*.dat', '--yes')
    mine('push', '--force', 'origin', 'main')
    a, b = sorted(api.get_paths_info(mine.name, ['a.dat', 'b.dat']), key=lambda f: f.path)
    assert (a.lfs.size, b.lfs.size) == (len(content), 2 * len(content))
    assert open(api.hf_hub_download(mine.name, 'b.dat'), 'rb').read() == content * 2
    mine('lfs', 'migrate', 'export', '--everything', '--include=*.dat', '--yes')
    mine('push', '--force', 'origin', 'main')
    assert api.get_paths_info(mine.name, ['a.dat'])[0].lfs is None


def test_the_batch_says_what_is_wrong_in_its_own_words(mine, hub):
    url, auth = f'{mine.url}.git/info/lfs/objects/batch', {'Authorization': f'Bearer {hub.token}'}
    object = {'oid': 'a' * 64, 'size': 5}
    ask = lambda headers=auth, **body: requests.post(url, headers=headers, json={'operation': 'upload', 'objects': [object]} | body)
    assert ask(operation='steal').status_code == 422
    assert ask(objects={}).status_code == 422
    assert ask(objects=[object] * 10_001).status_code == 413
    refused = ask(hash_algo='sha512')
    assert refused.status_code == 409 and refused.headers['Content-Type'] == LFS and 'sha256' in refused.json()['message']
    assert ask(headers={}).status_code == 401
    missing = ask(operation='download').json()['objects'][0]
    assert missing['error']['code'] == 404 and 'actions' not in missing
    assert ask(objects=[{'oid': 'no', 'size': 1}]).json()['objects'][0]['error']['code'] == 422
    up = ask().json()['objects'][0]['actions']
    wrong = requests.put(up['upload']['href'], data=b'12345')
    assert wrong.status_code == 422 and wrong.headers['Content-Type'] == LFS and wrong.json()['message']
    unsent = requests.post(up['verify']['href'], json=object)
    assert unsent.status_code == 404 and unsent.json()['message']
    unsigned = requests.put(up['upload']['href'].split('&sign=')[0], data=b'12345')
    assert unsigned.status_code == 403 and 'not signed' in unsigned.json()['message']
