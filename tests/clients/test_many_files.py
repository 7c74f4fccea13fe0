"""Repositories of unusual size: 100,000 files, none at all, history made one commit, a fork by git."""
import os, subprocess, time

import pytest
import requests

from conftest import run

FILES, FLAT = 100_000, 2_500


def push_many(hub, name, folder):
    """By git: FILES files in folders of a thousand, and FLAT in one, as one commit."""
    run('git', 'init', '-q', folder)
    importer = subprocess.Popen(['git', 'fast-import', '--quiet'], cwd=folder, stdin=subprocess.PIPE)
    write = importer.stdin.write
    write(b'commit refs/heads/main\ncommitter Me <me@example.org> 1700000000 +0000\ndata 5\nMany\n')
    for i in range(FILES + FLAT):
        path = f'{i // 1000:03}/file-{i:06}.txt' if i < FILES else f'flat/{i - FILES:04}.txt'
        write(f'M 100644 inline {path}\ndata {len(path)}\n{path}\n'.encode())
    importer.stdin.close()
    assert importer.wait() == 0
    run('git', 'push', '-q', '--force', f'{hub.url}/{name}'.replace('://', f'://me:{hub.token}@'), 'main', cwd=folder)


def test_a_hundred_thousand_files(own_hub, tmp_path, capsys):
    from huggingface_hub import CommitOperationAdd, HfApi
    hub, name, times = own_hub, 'me/many', []
    api = HfApi(hub.url, token=hub.token)
    get = lambda path: requests.get(hub.url + path, headers={'Authorization': f'Bearer {hub.token}'})

    def timed(what, call):
        began = time.monotonic()
        found = call()
        times.append(f'{what} {time.monotonic() - began:.1f} s')
        return found

    api.create_repo(name)
    timed('push', lambda: push_many(hub, name, tmp_path / 'many'))
    assert len(timed('info', lambda: api.model_info(name)).siblings) == FILES + FLAT
    entries = timed('tree', lambda: list(api.list_repo_tree(name, recursive=True)))
    assert len({entry.path for entry in entries}) == FILES + FLAT + FILES // 1000 + 1
    assert len(list(api.list_repo_tree(name, '050', expand=True))) == 1000
    assert len(get(f'/{name}/tree/main').content) < 100_000
    first = timed('page', lambda: get(f'/{name}/tree/main/flat')).text
    last = get(f'/{name}/tree/main/flat?p=2').text
    assert 'flat/0000.txt' in first and 'flat/0999.txt' in first and 'flat/1000.txt' not in first
    assert 'flat/2499.txt' in last and 'flat/1999.txt' not in last and 'Page 3 of 3' in last
    assert [get(f'/{name}/tree/main/flat?p={p}').status_code for p in ('3', '-1', 'x')] == [404] * 3
    done = timed('commit', lambda: api.create_commit(name, [CommitOperationAdd('050/new.txt', b'new')], commit_message='One more'))
    assert api.get_paths_info(name, ['050/new.txt'], expand=True)[0].last_commit.oid == done.oid
    timed('snapshot of ten', lambda: api.snapshot_download(name, cache_dir=tmp_path / 'cache', allow_patterns='050/*00?.txt'))
    assert len(list((tmp_path / 'cache').glob('*/snapshots/*/050/*'))) == 10
    timed('squash', lambda: api.super_squash_history(name))
    assert [c.title for c in api.list_repo_commits(name)] == ['Super-squash branch \'main\' using huggingface_hub']
    timed('clone', lambda: run('git', 'clone', '-q', '--bare', f'{hub.url}/{name}', tmp_path / 'bare'))
    timed('delete', lambda: api.delete_repo(name))
    most = hub.memory_mb[1]
    with capsys.disabled():
        print('', ', '.join(times), f'{most:.0f} MB', end=' ')
    assert most < 600


def test_a_repository_without_files(hub, api, git, tmp_path):
    name = 'me/emptied'
    api.create_repo(name)
    api.delete_file('.gitattributes', name)
    assert api.list_repo_files(name) == [] == list(api.list_repo_tree(name, recursive=True))
    assert api.model_info(name, files_metadata=True).siblings == []
    api.snapshot_download(name, cache_dir=tmp_path / 'cache')
    for page in ('', '/tree/main', '/commits/main'):
        assert requests.get(f'{hub.url}/{name}{page}').status_code == 200
    git('clone', f'{hub.url}/{name}', 'clone')
    api.create_branch(name, branch='side')
    api.upload_file(path_or_fileobj=b'first', path_in_repo='first.txt', repo_id=name, revision='side')
    assert api.list_repo_files(name, revision='side') == ['first.txt']


@pytest.mark.parametrize('squashed', [False, True])
def test_a_fork_by_git_brings_its_large_files(hub, api, git, tmp_path, squashed):
    """What another account clones and pushes as its own, history and LFS content included."""
    from huggingface_hub import HfApi
    name, fork = f'me/forked-{squashed}'.lower(), f'you/fork-{squashed}'.lower()
    api.create_repo(name)
    contents = [os.urandom(30_000) for _ in range(2)]
    for content in contents:
        api.upload_file(path_or_fileobj=content, path_in_repo='w.bin', repo_id=name)
    if squashed:
        api.super_squash_history(name)
    theirs = HfApi(hub.url, token=hub.other_token)
    theirs.create_repo(fork)
    git('clone', f'{hub.url}/{name}', 'clone', GIT_LFS_SKIP_SMUDGE='1')
    here = tmp_path / 'clone'
    git('lfs', 'install', '--local', cwd=here)
    # The pointers alone are no way to the content: it must be had to be pushed.
    git('remote', 'add', 'fork', f'{hub.url}/{fork}'.replace('://', f'://you:{hub.other_token}@'), cwd=here)
    git('config', 'lfs.allowincompletepush', 'true', cwd=here)
    refused = git('push', '--force', 'fork', 'main', cwd=here, ok=False)
    assert 'LFS content' in refused.stderr and 'was not uploaded' in refused.stderr
    git('lfs', 'fetch', '--all', 'origin', cwd=here)
    git('push', '--force', 'fork', 'main', cwd=here)
    assert open(theirs.hf_hub_download(fork, 'w.bin', cache_dir=tmp_path / 'cache'), 'rb').read() == contents[-1]
    assert theirs.model_info(fork).sha == api.model_info(name).sha
