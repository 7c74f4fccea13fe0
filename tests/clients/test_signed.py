"""Uploads by capability: what a signed URL or a Xet token opens, and what it does not. Knowing a hash
must never be enough to get, or to commit, somebody else's file."""
import hashlib, os

import pytest
import requests

SECRET = os.urandom(5000)
OID = hashlib.sha256(SECRET).hexdigest()


@pytest.fixture(scope='module')
def repos(hub, api):
    """A private repository with SECRET in it, and one of a stranger's."""
    api.create_repo('me/vault', private=True)
    api.upload_file(path_or_fileobj=SECRET, path_in_repo='secret.bin', repo_id='me/vault')
    api.__class__(hub.url, token=hub.other_token).create_repo('you/thief')


def batch(hub, repo, token, operation, oid=OID, size=len(SECRET)):
    return requests.post(f'{hub.url}/{repo}.git/info/lfs/objects/batch', json={
        'operation': operation, 'objects': [{'oid': oid, 'size': size}]},
        headers={'Authorization': f'Bearer {token}'} if token else {})


def test_a_known_hash_opens_nothing(hub, repos):
    assert batch(hub, 'me/vault', None, 'download').status_code == 401
    assert batch(hub, 'me/vault', hub.other_token, 'download').status_code == 404
    found = batch(hub, 'you/thief', hub.other_token, 'download').json()['objects'][0]
    assert found['error']['code'] == 404
    found = batch(hub, 'you/thief', hub.other_token, 'upload').json()['objects'][0]
    assert 'upload' in found['actions']  # the store has it, the thief must send it all the same
    lines = ('{"key":"header","value":{"summary":"Mine"}}\n{"key":"lfsFile","value":{"path":"x.bin",'
             f'"algo":"sha256","oid":"{OID}","size":{len(SECRET)}}}}}')
    answer = requests.post(f'{hub.url}/api/models/you/thief/commit/main', data=lines,
                           headers={'Authorization': f'Bearer {hub.other_token}'})
    assert answer.status_code in (400, 422), answer.text


def test_a_known_hash_is_no_upload_in_parts(hub, repos):
    """All objects of a batch with a large one come in parts: that the whole is there already is no reason to send none."""
    secret = os.urandom(6000)
    oid = hashlib.sha256(secret).hexdigest()
    sent = batch(hub, 'me/vault', hub.token, 'upload', oid, 6000).json()['objects'][0]['actions']['upload']
    assert requests.put(sent['href'], data=secret).status_code == 200
    found = requests.post(f'{hub.url}/you/thief.git/info/lfs/objects/batch', json={
        'operation': 'upload', 'transfers': ['multipart'],
        'objects': [{'oid': oid, 'size': 6000}, {'oid': 'f' * 64, 'size': 1 << 40}]},
        headers={'Authorization': f'Bearer {hub.other_token}'}).json()
    action = found['objects'][0]['actions']['upload']
    complete = lambda: requests.post(action['href'], json={'oid': oid, 'parts': []}).status_code
    thief = lambda: batch(hub, 'you/thief', hub.other_token, 'download', oid, 6000).json()['objects'][0]
    assert complete() in (404, 422) and thief()['error']['code'] == 404
    assert requests.put(action['header']['00001'], data=bytes(6000)).status_code == 200
    assert complete() == 422 and thief()['error']['code'] == 404
    # Who has the bytes may, and may ask again, as the answer may have been lost.
    assert requests.put(action['header']['00001'], data=secret).status_code == 200
    assert complete() == 200 and complete() == 200
    assert requests.get(thief()['actions']['download']['href']).content == secret


def test_signatures_cover_what_they_sign(hub, repos):
    content = os.urandom(3000)
    oid = hashlib.sha256(content).hexdigest()
    href = batch(hub, 'you/thief', hub.other_token, 'upload', oid, 3000).json()['objects'][0]['actions']['upload']['href']
    assert requests.put(href.split('&sign=')[0], data=content).status_code == 403
    assert requests.put(href.replace('size=3000', 'size=3001'), data=content).status_code == 403
    assert requests.put(href.replace('you/thief', 'me/vault'), data=content).status_code == 403
    assert requests.put(href.replace(oid, OID), data=content).status_code == 403
    assert requests.get(href).status_code == 403
    assert requests.put(href, data=content[:-1]).status_code == 422
    assert requests.put(href, data=content).status_code == 200
    down = batch(hub, 'you/thief', hub.other_token, 'download', oid, 3000).json()['objects'][0]
    answer = requests.get(down['actions']['download']['href'], headers={'Range': 'bytes=1000-'})
    assert (answer.status_code, answer.content) == (206, content[1000:])


def test_a_wrong_upload_is_never_published(hub, repos):
    content = os.urandom(3000)
    oid = hashlib.sha256(content).hexdigest()
    found = batch(hub, 'you/thief', hub.other_token, 'upload', oid, 3000).json()['objects'][0]
    assert requests.put(found['actions']['upload']['href'], data=bytes(3000)).status_code == 422
    assert requests.post(found['actions']['verify']['href'], json={'oid': oid, 'size': 3000}).status_code == 404
    assert 'actions' in batch(hub, 'you/thief', hub.other_token, 'upload', oid, 3000).json()['objects'][0]


def test_xet_tokens(hub, repos, auth):
    token = lambda kind, headers: requests.get(f'{hub.url}/api/models/me/vault/xet-{kind}-token/main', headers=headers)
    other = {'Authorization': f'Bearer {hub.other_token}'}
    assert token('write', {}).status_code == 401
    assert token('write', other).status_code == 404
    assert token('write', {'Authorization': f'Bearer {hub.read_token}'}).status_code == 403
    for kind, status in ('read', 403), ('write', 400):
        given = token(kind, auth)
        assert given.headers['X-Xet-Access-Token'] == given.json()['accessToken']
        cas = given.json()['casUrl'] + '/v1/xorbs/default/' + 'a' * 64
        bearer = {'Authorization': 'Bearer ' + given.json()['accessToken']}
        assert requests.post(cas, data=b'not a xorb', headers=bearer).status_code == status
        assert requests.post(cas, data=b'x', headers={'Authorization': bearer['Authorization'][:-1] + '~'}).status_code == 401
    assert requests.post(given.json()['casUrl'] + '/v1/shards', data=b'no', headers=bearer).status_code == 400
    assert requests.post(cas, data=b'x', headers=auth).status_code == 401
