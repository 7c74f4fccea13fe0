"""Files that are changed by the pages' forms: what is kept to the byte, and what is refused."""
import re

import pytest, requests
from conftest import Site


@pytest.fixture(scope='module')
def site(hub, api):
    """A session of "me", the address of a repository, and a function that posts a form with its token."""
    api.create_repo('me/edited', exist_ok=True)
    return Site(hub, 'me'), f'{hub.url}/me/edited'


def oid(page):
    return re.search(r'name="oid" value="([^"]*)"', page)[1]


def raw(url, path):
    return requests.get(f'{url}/raw/main/{path}').content


def commit(api, path, data):
    from huggingface_hub import CommitOperationAdd as Add
    api.create_commit('me/edited', [Add(path, data)], commit_message='by the API')


def test_line_ends_stay_as_the_file_has_them(site, api):
    site, url = site
    for before, typed, after in ((b'a\nb\n', 'a\r\nc\r\n', b'a\nc\n'), (b'a\r\nb\r\n', 'a\r\nc\r\n', b'a\r\nc\r\n'),
                                 (b'\n\nx', '\r\n\r\ny', b'\n\ny')):
        commit(api, 'ends.txt', before)
        page = site.s.get(f'{url}/edit/main/ends.txt').text
        assert site.post(f'{url}/edit/main/ends.txt', oid=oid(page), file='ends.txt', text=typed).status_code == 303
        assert raw(url, 'ends.txt') == after


def test_a_file_is_renamed_but_never_over_another(site, api):
    site, url = site
    commit(api, 'old name.txt', b'x')
    commit(api, 'there.txt', b'y')
    page = site.s.get(f'{url}/edit/main/old name.txt').text
    answer = site.post(f'{url}/edit/main/old name.txt', oid=oid(page), file='there.txt', text='x')
    assert answer.status_code == 409 and 'is there already' in answer.text and raw(url, 'there.txt') == b'y'
    answer = site.post(f'{url}/edit/main/old name.txt', oid=oid(page), file='ä/new name.txt', text='x')
    assert answer.status_code == 303 and answer.headers['Location'].endswith('/blob/main/%C3%A4/new%20name.txt')
    names = api.list_repo_files('me/edited')
    assert 'ä/new name.txt' in names and 'old name.txt' not in names


def test_what_was_changed_meanwhile_is_not_overwritten(site, api):
    site, url = site
    commit(api, 'raced.txt', b'one')
    began = oid(site.s.get(f'{url}/edit/main/raced.txt').text)
    commit(api, 'raced.txt', b'two')
    answer = site.post(f'{url}/edit/main/raced.txt', oid=began, file='raced.txt', text='three <b>')
    assert answer.status_code == 412 and 'three &lt;b&gt;' in answer.text
    assert raw(url, 'raced.txt') == b'two'


def test_only_texts_of_moderate_length_are_edited(site, api):
    site, url = site
    commit(api, 'data.bin', b'\0' * 100)
    commit(api, 'long.txt', b'x' * (1 << 20) + b'y')
    assert site.s.get(f'{url}/edit/main/data.bin').status_code == 413    # by LFS
    assert site.s.get(f'{url}/edit/main/long.txt').status_code == 413
    assert site.s.get(f'{url}/edit/main/absent.txt').status_code == 404
    assert site.post(f'{url}/new/main', file='x.txt', text='x' * (5 << 20)).status_code == 413


@pytest.mark.parametrize('name', ['../x', '/x', 'a//b', '.git/config', 'a/', '', 'x/../y'])
def test_a_hostile_name_is_refused(site, name):
    site, url = site
    before = requests.get(f'{url.replace("/me/", "/api/models/me/")}').json()['sha']
    assert site.post(f'{url}/new/main', file=name, text='x').status_code == 400
    files = [('csrf', (None, site.csrf)), ('files', (name + 'x' if name.endswith('/') else name or '..', b'x'))]
    if name not in ('a/', '/x'):    # the one is a name here; a slash at the front is dropped by nobody
        assert site.s.post(f'{url}/upload/main', files=files).status_code == 400
    assert requests.get(f'{url.replace("/me/", "/api/models/me/")}').json()['sha'] == before


def test_an_upload_needs_the_forms_token_before_its_files(site, hub):
    site, url = site
    late = [('files', ('a.txt', b'x')), ('csrf', (None, site.csrf))]
    assert site.s.post(f'{url}/upload/main', files=late).status_code == 403
    wrong = [('csrf', (None, 'no')), ('files', ('a.txt', b'x'))]
    assert site.s.post(f'{url}/upload/main', files=wrong).status_code == 403
    none = [('csrf', (None, site.csrf)), ('files', ('', b''))]
    assert site.s.post(f'{url}/upload/main', files=none).status_code == 400
    assert 'a.txt' not in requests.get(f'{hub.url}/api/models/me/edited').text


def test_an_upload_keeps_folders_and_bytes(site, api):
    import hashlib, os
    site, url = site
    data = {'a.txt': b'text\n', 'deep/er/b.bin': os.urandom(100_000), 'deep/empty': b'', 'large.txt': b'long line\n' * 1_200_000}
    files = [('csrf', (None, site.csrf))] + [('files', (n, b)) for n, b in data.items()]
    answer = site.s.post(f'{url}/upload/main/sub', files=files, headers={'Accept': 'application/json'})
    assert answer.json()['url'] == '/me/edited/tree/main/sub'
    for name, want in data.items():
        assert requests.get(f'{url}/resolve/main/sub/{name}').content == want
    lfs = {e.path: e.lfs for e in api.list_repo_tree('me/edited', 'sub', recursive=True) if hasattr(e, 'lfs')}
    assert lfs['sub/a.txt'] is None and lfs['sub/deep/empty'] is None
    assert lfs['sub/large.txt'].sha256 == hashlib.sha256(data['large.txt']).hexdigest()
    assert lfs['sub/deep/er/b.bin'].size == 100_000


def test_strangers_propose_and_never_commit(hub, api, site):
    _, url = site
    you = Site(hub, 'you')
    assert you.post(f'{url}/new/main', file='yours.txt', text='x').status_code == 403
    assert you.s.post(f'{url}/upload/main', files=[('csrf', (None, you.csrf)), ('files', ('y.txt', b'x'))]).status_code == 403
    answer = you.post(f'{url}/new/main', file='yours.txt', text='x', how='pull')
    assert answer.status_code == 303 and '/discussions/' in answer.headers['Location']
    assert 'yours.txt' not in api.list_repo_files('me/edited')
    assert requests.get(f'{url}/edit/main/README.md', headers={'Accept': 'text/html'}, allow_redirects=False).status_code == 303
    api.create_repo('me/edited-hidden', private=True, exist_ok=True)
    assert you.s.get(f'{hub.url}/me/edited-hidden/upload/main').status_code == 404
