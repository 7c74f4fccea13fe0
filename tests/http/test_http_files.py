"""resolve and raw: headers, ranges, and what is missing."""
import base64, json

import pytest, requests


@pytest.fixture(scope='module')
def repo(hub):
    auth = {'Authorization': f'Bearer {hub.token}'}
    requests.post(f'{hub.url}/api/repos/create', json={'name': 'http-served'}, headers=auth).raise_for_status()
    page = '<script>alert(1)</script>'
    body = [('header', {'summary': 'x'}), ('file', {'path': 'p.html', 'content': page}),
            ('file', {'path': 'dir/ünï "q".txt', 'content': '0123456789'}),
            ('file', {'path': 'b.dat', 'encoding': 'base64', 'content': base64.b64encode(bytes(256)).decode()})]
    requests.post(f'{hub.url}/api/models/me/http-served/commit/main', headers=auth,
                  data='\n'.join(json.dumps({'key': k, 'value': v}) for k, v in body)).raise_for_status()
    return f'{hub.url}/me/http-served'


def test_headers(hub, repo):
    info = requests.get(f'{hub.url}/api/models/me/http-served?blobs=true').json()
    blobs = {s['rfilename']: s for s in info['siblings']}
    head = requests.head(f'{repo}/resolve/main/dir/ünï "q".txt', headers={'Accept-Encoding': 'identity'})
    assert head.status_code == 200
    assert head.headers['X-Repo-Commit'] == info['sha']
    assert head.headers['ETag'] == f'"{blobs["dir/ünï "+chr(34)+"q"+chr(34)+".txt"]["blobId"]}"'
    assert head.headers['Content-Length'] == '10'
    assert head.headers['Accept-Ranges'] == 'bytes'
    assert "filename*=UTF-8''%C3%BCn%C3%AF%20%22q%22.txt" in head.headers['Content-Disposition']
    assert head.headers['Cache-Control'] == 'no-cache'
    pinned = requests.head(f'{repo}/resolve/{info["sha"]}/p.html')
    assert 'immutable' in pinned.headers['Cache-Control']


def test_user_content_does_not_run_here(repo):
    answer = requests.get(f'{repo}/resolve/main/p.html')
    assert answer.headers['Content-Type'].startswith('text/plain')
    assert answer.headers['X-Content-Type-Options'] == 'nosniff'
    assert 'sandbox' in answer.headers['Content-Security-Policy']
    assert requests.get(f'{repo}/resolve/main/b.dat').headers['Content-Type'] == 'application/octet-stream'
    download = requests.get(f'{repo}/resolve/main/p.html?download=true')
    assert download.headers['Content-Disposition'].startswith('attachment')


@pytest.mark.parametrize('asked, status, content, said', [
    ('bytes=0-0', 206, b'0', 'bytes 0-0/10'), ('bytes=4-', 206, b'456789', 'bytes 4-9/10'),
    ('bytes=-3', 206, b'789', 'bytes 7-9/10'), ('bytes=8-99', 206, b'89', 'bytes 8-9/10'),
    ('bytes=10-', 416, None, 'bytes */10')])
def test_range(repo, asked, status, content, said):
    answer = requests.get(f'{repo}/resolve/main/dir/ünï "q".txt', headers={'Range': asked})
    assert (answer.status_code, answer.headers['Content-Range']) == (status, said)
    assert content is None or answer.content == content


def test_what_is_missing_says_what(hub, repo):
    sha = requests.get(f'{hub.url}/api/models/me/http-served').json()['sha']
    file = requests.head(f'{repo}/resolve/main/no.txt')
    assert (file.status_code, file.headers['X-Error-Code'], file.headers['X-Repo-Commit']) == (404, 'EntryNotFound', sha)
    folder = requests.head(f'{repo}/resolve/main/dir')
    assert folder.headers['X-Error-Code'] == 'EntryNotFound'
    revision = requests.head(f'{repo}/resolve/no/p.html')
    assert (revision.status_code, revision.headers['X-Error-Code']) == (404, 'RevisionNotFound')
    gone = requests.head(f'{hub.url}/me/no/resolve/main/p.html')
    assert (gone.status_code, gone.headers['X-Error-Code']) == (401, 'RepoNotFound')
    known = requests.head(f'{hub.url}/me/no/resolve/main/p.html', headers={'Authorization': f'Bearer {hub.other_token}'})
    assert (known.status_code, known.headers['X-Error-Code']) == (404, 'RepoNotFound')


def test_revisions_with_slashes(hub, repo):
    auth = {'Authorization': f'Bearer {hub.token}'}
    requests.post(f'{hub.url}/api/models/me/http-served/branch/dev%2Fa', headers=auth).raise_for_status()
    assert requests.get(f'{repo}/resolve/dev%2Fa/p.html').ok
    assert requests.get(f'{repo}/resolve/refs%2Fheads%2Fdev%2Fa/p.html').ok
    assert len(requests.get(f'{hub.url}/api/models/me/http-served/tree/dev%2Fa').json()) == 4
    assert len(requests.get(f'{hub.url}/api/models/me/http-served/tree/refs/heads/dev/a/dir').json()) == 1
    # Below it there may be any number of folders: not each of them is tried as the name of a ref.
    deep = requests.get(f'{hub.url}/api/models/me/http-served/tree/refs/heads/dev/a' + '/a' * 3000)
    assert deep.status_code == 404 and deep.headers['X-Error-Code'] == 'EntryNotFound'


def test_tree_and_paths(hub, repo):
    api = f'{hub.url}/api/models/me/http-served'
    tree = requests.get(f'{api}/tree/main?recursive=true').json()
    assert [(e['type'], e['path']) for e in tree][-3:-1] == [('directory', 'dir'), ('file', 'dir/ünï "q".txt')]
    page = requests.get(f'{api}/tree/main?recursive=true&limit=2')
    found = page.json()
    while 'next' in page.links:
        assert page.links['next']['url'].startswith('http://')
        page = requests.get(page.links['next']['url'])
        found += page.json()
    assert found == tree
    form = requests.post(f'{api}/paths-info/main', data={'paths': ['dir', 'no', 'b.dat'], 'expand': 'true'}).json()
    assert [(e['path'], e['lastCommit']['title']) for e in form] == [('dir', 'x'), ('b.dat', 'x')]
    assert requests.post(f'{api}/paths-info/main', json={'paths': ['dir', 'no', 'b.dat']}).json()[0]['type'] == 'directory'
    assert requests.get(f'{api}/tree/main/no').headers['X-Error-Code'] == 'EntryNotFound'


def test_raw_is_what_git_has(repo):
    assert requests.get(f'{repo}/raw/main/p.html').text == '<script>alert(1)</script>'
