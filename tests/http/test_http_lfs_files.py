"""Large files are listed, also those that only old commits name, and deleted for good, here alone."""
import hashlib

import pytest, requests
from conftest import Site
from huggingface_hub import CommitOperationAdd as Add, CommitOperationDelete as Delete, HfApi


def commit(api, repo, *operations, **more):
    return api.create_commit(repo, list(operations), commit_message='x', **more)


def content(repo, name):
    return f'{repo} {name} '.encode() * 50


def sha(repo, name):
    return hashlib.sha256(content(repo, name)).hexdigest()


@pytest.fixture
def repo(api, request):
    """main has now.bin, an older commit had old.bin, a branch aside.bin; "shared.bin" is in another repository too."""
    repo = 'me/lfs-' + request.node.name.split('_')[1]
    api.create_repo(repo)
    commit(api, repo, Add('old.bin', content(repo, 'old')), Add('now.bin', content(repo, 'now')), Add('deep/shared.bin', content(repo, 'shared')), Add('a.txt', b'text'))
    commit(api, repo, Delete('old.bin'))
    api.create_branch(repo, branch='aside')
    commit(api, repo, Add('aside.bin', content(repo, 'aside')), revision='aside')
    return repo


def files(api, repo):
    return {f.filename: f for f in api.list_lfs_files(repo)}


def status(hub, auth, repo, path, rev='main'):
    return requests.get(f'{hub.url}/{repo}/resolve/{rev}/{path}', headers=auth).status_code


def test_all_of_them_are_listed(hub, api, repo):
    found = files(api, repo)
    assert {name: f.ref for name, f in found.items()} == {'now.bin': 'refs/heads/main', 'old.bin': None, 'aside.bin': 'refs/heads/aside',
                                                          'deep/shared.bin': 'refs/heads/main'}
    assert found['old.bin'].file_oid == sha(repo, 'old') and found['old.bin'].size == len(content(repo, 'old'))
    # A page at a time it is the same.
    url, seen = f'{hub.url}/api/models/{repo}/lfs-files?limit=3', []
    while url:
        answer = requests.get(url, headers={'Authorization': f'Bearer {hub.token}'})
        seen, url = seen + [f['filename'] for f in answer.json()], answer.links.get('next', {}).get('url')
    assert sorted(seen) == sorted(found)
    assert requests.get(f'{hub.url}/api/models/{repo}/lfs-files', headers={'Authorization': f'Bearer {hub.other_token}'}).status_code == 403


def test_gone_from_the_whole_history_and_from_nobody_else(hub, api, auth, repo):
    other = repo + '-other'
    api.create_repo(other)
    commit(api, other, Add('mine.bin', content(repo, 'shared')))
    head, found = api.repo_info(repo).sha, files(api, repo)
    api.permanently_delete_lfs_files(repo, [found['old.bin'], found['deep/shared.bin']])
    assert set(files(api, repo)) == {'now.bin', 'aside.bin'}
    assert set(api.list_repo_files(repo)) == {'.gitattributes', 'a.txt', 'now.bin'}
    assert set(api.list_repo_files(repo, revision='aside')) == {'.gitattributes', 'a.txt', 'now.bin', 'aside.bin'}
    assert len(api.list_repo_commits(repo)) == 3 and api.repo_info(repo).sha != head
    assert [status(hub, auth, repo, path) for path in ('deep/shared.bin', 'now.bin', 'a.txt')] == [404, 200, 200]
    assert status(hub, auth, repo, 'deep/shared.bin', head) == 404      # nor by the old commit's name
    assert status(hub, auth, other, 'mine.bin') == 200
    # It can be uploaded again.
    commit(api, repo, Add('again.bin', content(repo, 'old')))
    assert status(hub, auth, repo, 'again.bin') == 200


def test_pointers_stay_where_the_history_does(hub, api, auth, repo):
    head = api.repo_info(repo).sha
    api.permanently_delete_lfs_files(repo, [files(api, repo)['now.bin']], rewrite_history=False)
    assert api.repo_info(repo).sha == head and 'now.bin' in api.list_repo_files(repo)
    assert status(hub, auth, repo, 'now.bin') == 404 and 'now.bin' not in files(api, repo)


def test_page(hub, api, auth, repo):
    me, page = Site(hub, 'me'), f'/{repo}/settings/storage'
    text = me.get(page).text
    assert all(name in text for name in ('now.bin', 'old.bin', 'history only', 'deep/shared.bin')) and '4</span> files' in text
    assert me.post(page, name=repo).status_code == 400                            # nothing ticked
    assert me.post(page, file=sha(repo, 'now'), name='me').status_code == 400           # not confirmed
    assert me.post(page, file='../../x', name=repo).status_code == 400
    answer = me.post(page, file=[sha(repo, 'now'), sha(repo, 'old')], name=repo, rewrite='yes')
    assert answer.status_code == 200 and 'now.bin' not in answer.text and 'aside.bin' in answer.text
    assert status(hub, auth, repo, 'now.bin') == 404
    assert Site(hub, 'you').get(page).status_code == 403


def test_what_was_never_given_is_nobodys_loss(hub, api, auth, repo):
    """Somebody else's content cannot be deleted by its hash."""
    other = HfApi(hub.url, token=hub.other_token)
    other.create_repo('you/lfs-theirs')
    commit(other, 'you/lfs-theirs', Add('theirs.bin', content(repo, 'theirs')))
    answer = requests.post(f'{hub.url}/api/models/{repo}/lfs-files/batch', headers=auth,
                           json={'deletions': {'sha': [sha(repo, 'theirs')], 'rewriteHistory': True}})
    assert answer.status_code == 200 and status(hub, auth, 'you/lfs-theirs', 'theirs.bin') == 200
    for bad in ({}, {'deletions': {'sha': 'x'}}, {'deletions': {'sha': ['x']}}, {'deletions': {'sha': ['0' * 64] * 1001}}):
        assert requests.post(f'{hub.url}/api/models/{repo}/lfs-files/batch', headers=auth, json=bad).status_code == 400
