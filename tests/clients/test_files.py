"""Files go up and come down by the real client: commits, Xet, LFS, snapshots, ranges, errors."""
import base64
import hashlib
import io
import json
import os
import threading

import pytest
import requests
from huggingface_hub import (CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi,
                             HfFileSystem, hf_hub_download, snapshot_download)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RevisionNotFoundError

KINDS = ('model', 'dataset', 'space')
PREFIX = {'model': '', 'dataset': 'datasets/', 'space': 'spaces/'}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Small text files, one in a folder, and two that are LFS-class: by their name, and by their size."""
    path = tmp_path_factory.mktemp('upload')
    (path / 'README.md').write_text('---\nlicense: mit\n---\n# A folder\n')
    (path / 'config.json').write_text('{"a": 1}\n')
    (path / 'sub/deep').mkdir(parents=True)
    (path / 'sub/deep/ä file.txt').write_text('with a space and an umlaut\n')
    (path / 'empty.txt').touch()
    (path / 'weights.safetensors').write_bytes(os.urandom(3_000_000))
    (path / 'big.bin').write_bytes(os.urandom(1_000_000) * 20)
    return path


def contents(path):
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob('*')
            if f.is_file() and '.cache' not in f.parts}


@pytest.mark.parametrize('kind', KINDS)
def test_hf_upload_and_hf_download(hub, hf, folder, tmp_path, kind):
    name = f'me/folder-{kind}'
    if kind == 'space':
        hf('repos', 'create', name, '--repo-type', 'space', '--space-sdk', 'static')
    said = hf('upload', name, folder, '.', '--repo-type', kind, '--commit-message', 'All of it')
    assert f'{hub.url}/{PREFIX[kind]}{name}' in said
    hf('download', name, '--repo-type', kind, '--local-dir', tmp_path)
    got = contents(tmp_path)
    got.pop('.gitattributes')
    assert got == contents(folder)


def test_what_the_server_says_of_the_files(hub, api, folder):
    api.create_repo('me/described')
    commit = api.upload_folder(repo_id='me/described', folder_path=folder)
    info = api.model_info('me/described', files_metadata=True)
    files = {s.rfilename: s for s in info.siblings}
    assert set(files) == set(contents(folder)) | {'.gitattributes'}
    for path, content in contents(folder).items():
        assert files[path].size == len(content), path
    for path in ('weights.safetensors', 'big.bin'):
        content = (folder / path).read_bytes()
        assert files[path].lfs.sha256 == hashlib.sha256(content).hexdigest()
        assert files[path].lfs.size == len(content)
        assert files[path].lfs.pointer_size == len(requests.get(f'{hub.url}/me/described/raw/main/{path}').content)
    config = (folder / 'config.json').read_bytes()
    assert files['config.json'].lfs is None
    assert files['config.json'].blob_id == hashlib.sha1(b'blob %d\0' % len(config) + config).hexdigest()
    tree = {t.path: t for t in api.list_repo_tree('me/described', recursive=True, expand=True)}
    assert {'sub', 'sub/deep', 'sub/deep/ä file.txt'} <= set(tree)
    assert tree['config.json'].last_commit.oid == api.model_info('me/described').sha
    assert [p.path for p in api.get_paths_info('me/described', ['config.json', 'nope', 'sub'])] == ['config.json', 'sub']
    assert commit.oid is None or len(commit.oid) == 40


def test_commits_add_and_delete(api):
    api.create_repo('me/commits')
    first = api.create_commit('me/commits', [
        CommitOperationAdd('a.txt', b'one'), CommitOperationAdd('d/b.txt', b'two'),
        CommitOperationAdd('d/c.txt', b'three'), CommitOperationAdd('x.bin', io.BytesIO(b'\0\1' * 5000))],
        commit_message='Four files', commit_description='with a body')
    assert len(first.oid) == 40 and first.commit_url.endswith('/commit/' + first.oid)
    second = api.create_commit('me/commits', [
        CommitOperationDelete('a.txt'), CommitOperationDelete('d/'), CommitOperationAdd('e.txt', b'four'),
        CommitOperationCopy('x.bin', 'y.bin')], commit_message='Less', parent_commit=first.oid)
    assert sorted(api.list_repo_files('me/commits')) == ['.gitattributes', 'e.txt', 'x.bin', 'y.bin']
    assert sorted(api.list_repo_files('me/commits', revision=first.oid)) == [
        '.gitattributes', 'a.txt', 'd/b.txt', 'd/c.txt', 'x.bin']
    log = api.list_repo_commits('me/commits')
    assert [c.title for c in log] == ['Less', 'Four files', 'initial commit']
    assert log[1].message == 'with a body' and log[0].commit_id == second.oid
    with pytest.raises(HfHubHTTPError) as error:
        api.create_commit('me/commits', [CommitOperationAdd('f.txt', b'5')], commit_message='Late',
                          parent_commit=first.oid)
    assert error.value.response.status_code == 412
    with pytest.raises(EntryNotFoundError):
        api.create_commit('me/commits', [CommitOperationDelete('nope.txt')], commit_message='No')


def test_nothing_new_is_no_commit(api, folder):
    api.create_repo('me/unchanged')
    api.upload_folder(repo_id='me/unchanged', folder_path=folder)
    before = api.model_info('me/unchanged').sha
    api.upload_folder(repo_id='me/unchanged', folder_path=folder)
    assert api.model_info('me/unchanged').sha == before


def test_two_at_once_both_land(api):
    api.create_repo('me/race')
    failures = []

    def add(i):
        try:
            api.upload_file(path_or_fileobj=f'{i}'.encode(), path_in_repo=f'{i}.txt', repo_id='me/race')
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=[i]) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert {f'{i}.txt' for i in range(8)} <= set(api.list_repo_files('me/race'))


def test_snapshot_download_and_its_cache(api, hub, folder, tmp_path):
    api.create_repo('me/snapshot')
    api.upload_folder(repo_id='me/snapshot', folder_path=folder)
    path = snapshot_download('me/snapshot', cache_dir=tmp_path)
    sha = api.model_info('me/snapshot').sha
    assert path.endswith(sha)
    for name, content in contents(folder).items():
        assert open(os.path.join(path, name), 'rb').read() == content
    weights = hashlib.sha256((folder / 'weights.safetensors').read_bytes()).hexdigest()
    assert (tmp_path / 'models--me--snapshot/blobs' / weights).exists()
    assert (tmp_path / 'models--me--snapshot/refs/main').read_text() == sha
    assert snapshot_download('me/snapshot', cache_dir=tmp_path, local_files_only=True) == path
    some = snapshot_download('me/snapshot', cache_dir=tmp_path / 'some', allow_patterns='*.json')
    assert os.listdir(some) == ['config.json']


def test_hf_cache_verify_agrees(api, hf, folder, tmp_path):
    api.create_repo('me/verified')
    api.upload_folder(repo_id='me/verified', folder_path=folder)
    hf('download', 'me/verified', '--local-dir', tmp_path)
    assert hf('cache', 'verify', 'me/verified', '--local-dir', tmp_path)


def test_a_download_is_resumed(api, hub, folder, tmp_path):
    api.create_repo('me/resumed')
    api.upload_file(path_or_fileobj=folder / 'big.bin', path_in_repo='big.bin', repo_id='me/resumed')
    content = (folder / 'big.bin').read_bytes()
    blobs = tmp_path / 'models--me--resumed/blobs'
    blobs.mkdir(parents=True)
    (blobs / (hashlib.sha256(content).hexdigest() + '.incomplete')).write_bytes(content[:7_000_000])
    path = hf_hub_download('me/resumed', 'big.bin', cache_dir=tmp_path)
    assert open(path, 'rb').read() == content


def test_resolve_headers_and_ranges(api, hub, folder):
    api.create_repo('me/ranges')
    api.upload_folder(repo_id='me/ranges', folder_path=folder)
    url, sha = f'{hub.url}/me/ranges/resolve/main/', api.model_info('me/ranges').sha
    for name in ('config.json', 'big.bin', 'empty.txt'):
        content = (folder / name).read_bytes()
        head = requests.head(url + name, headers={'Accept-Encoding': 'identity'})
        assert head.status_code == 200 and head.headers['X-Repo-Commit'] == sha
        assert int(head.headers['Content-Length']) == len(content)
        assert head.headers['ETag'].startswith('"') and head.headers['Accept-Ranges'] == 'bytes'
        assert head.headers['X-Content-Type-Options'] == 'nosniff' and 'sandbox' in head.headers['Content-Security-Policy']
        assert requests.get(url + name).content == content
    content = (folder / 'big.bin').read_bytes()
    for span, expected in (('0-0', content[:1]), ('5-9', content[5:10]), ('19999990-', content[-10:]),
                           ('-7', content[-7:]), ('19999990-99999999', content[-10:])):
        part = requests.get(url + 'big.bin', headers={'Range': f'bytes={span}'})
        assert part.status_code == 206 and part.content == expected, span
        assert part.headers['Content-Range'].endswith('/20000000')
    past = requests.get(url + 'big.bin', headers={'Range': 'bytes=20000000-'})
    assert past.status_code == 416 and past.headers['Content-Range'] == 'bytes */20000000'
    attached = requests.head(url + 'config.json?download=true')
    assert attached.headers['Content-Disposition'].startswith('attachment')
    pinned = requests.get(f'{hub.url}/me/ranges/resolve/{sha}/config.json')
    assert pinned.content == (folder / 'config.json').read_bytes()


def test_missing_things_have_names(api, hub):
    api.create_repo('me/missing')
    with pytest.raises(EntryNotFoundError):
        hf_hub_download('me/missing', 'nope.txt')
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download('me/missing', '.gitattributes', revision='nope')
    answer = requests.head(f'{hub.url}/me/missing/resolve/main/nope.txt')
    assert answer.status_code == 404 and answer.headers['X-Error-Code'] == 'EntryNotFound'
    assert len(answer.headers['X-Repo-Commit']) == 40
    answer = requests.head(f'{hub.url}/me/missing/resolve/nope/a')
    assert answer.headers['X-Error-Code'] == 'RevisionNotFound'
    assert api.file_exists('me/missing', '.gitattributes') and not api.file_exists('me/missing', 'no')


def test_unsafe_paths_are_refused(hub, api, auth):
    api.create_repo('me/unsafe')
    before = api.model_info('me/unsafe').sha
    for path in ('../a', 'a/../../b', '/etc/passwd', '.git/config', 'a/.git/b', '.GIT/config', 'a\\b', '', 'a//b', 'a/',
                 './a', 'a\0b', 'x' * 5000):
        lines = [{'key': 'header', 'value': {'summary': 'x', 'description': ''}},
                 {'key': 'file', 'value': {'path': path, 'content': base64.b64encode(b'x').decode(), 'encoding': 'base64'}}]
        answer = requests.post(f'{hub.url}/api/models/me/unsafe/commit/main', headers=auth | {
            'Content-Type': 'application/x-ndjson'}, data='\n'.join(map(json.dumps, lines)))
        assert answer.status_code in (400, 422) and answer.json()['error'], path
    # A pointer to content that was never uploaded must not enter the history.
    lines[1] = {'key': 'lfsFile', 'value': {'path': 'a.bin', 'algo': 'sha256', 'oid': '0' * 64, 'size': 3}}
    answer = requests.post(f'{hub.url}/api/models/me/unsafe/commit/main', headers=auth | {
        'Content-Type': 'application/x-ndjson'}, data='\n'.join(map(json.dumps, lines)))
    assert answer.status_code in (400, 422)
    assert api.model_info('me/unsafe').sha == before


def test_without_xet_the_lfs_api_is_used(hub, hf, folder, api, tmp_path):
    hf('upload', 'me/by-lfs', folder / 'big.bin', 'big.bin', HF_HUB_DISABLE_XET='1')
    hf('download', 'me/by-lfs', 'big.bin', '--local-dir', tmp_path, HF_HUB_DISABLE_XET='1')
    assert (tmp_path / 'big.bin').read_bytes() == (folder / 'big.bin').read_bytes()


def test_the_file_system_interface(hub, api, folder):
    api.create_repo('me/fs', repo_type='dataset')
    fs = HfFileSystem(endpoint=hub.url, token=hub.token)
    with fs.open('datasets/me/fs/a/b.txt', 'w') as file:
        file.write('hello')
    assert fs.ls('datasets/me/fs/a', detail=False) == ['datasets/me/fs/a/b.txt']
    assert fs.read_text('datasets/me/fs/a/b.txt') == 'hello'
    api.upload_file(path_or_fileobj=folder / 'weights.safetensors', path_in_repo='w.safetensors', repo_id='me/fs',
                    repo_type='dataset')
    with fs.open('datasets/me/fs/w.safetensors', 'rb') as file:
        file.seek(1_000_000)
        assert file.read(100) == (folder / 'weights.safetensors').read_bytes()[1_000_000:1_000_100]


def test_strangers_content_never_runs_in_our_origin(hub, api):
    api.create_repo('me/hostile')
    api.upload_file(path_or_fileobj=b'<script>alert(1)</script>', path_in_repo='a.html', repo_id='me/hostile')
    answer = requests.get(f'{hub.url}/me/hostile/resolve/main/a.html')
    assert answer.headers['Content-Type'].startswith('text/plain')
    assert 'sandbox' in answer.headers['Content-Security-Policy']
