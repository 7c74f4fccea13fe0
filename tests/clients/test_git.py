"""git and git-lfs as they are: clone, push with user:token, large files both ways, refusals."""
import os
import subprocess

import pytest
from huggingface_hub import HfApi

KINDS = ('model', 'dataset', 'space')
PREFIX = {'model': '', 'dataset': 'datasets/', 'space': 'spaces/'}


def with_token(hub, path, user='me', token=None):
    return hub.url.replace('http://', f'http://{user}:{token or hub.token}@') + '/' + path


def make(api, name, kind='model', **more):
    api.create_repo(name, repo_type=kind, space_sdk='static' if kind == 'space' else None, **more)


@pytest.mark.parametrize('kind', KINDS)
def test_clone_commit_push(hub, api, git, tmp_path, kind):
    make(api, 'me/git', kind)
    git('clone', f'{hub.url}/{PREFIX[kind]}me/git', 'clone')
    here = tmp_path / 'clone'
    (here / 'hello.txt').write_text('hello\n')
    git('add', '.', cwd=here)
    git('commit', '-m', 'By git', cwd=here)
    git('push', with_token(hub, f'{PREFIX[kind]}me/git'), 'main', cwd=here)
    assert git('rev-parse', 'HEAD', cwd=here).strip() == api.repo_info('me/git', repo_type=kind).sha
    log = api.list_repo_commits('me/git', repo_type=kind)
    assert [c.title for c in log] == ['By git', 'initial commit']
    # And the other way: what the API commits, git pulls.
    api.upload_file(path_or_fileobj=b'by api\n', path_in_repo='api.txt', repo_id='me/git', repo_type=kind)
    git('pull', '--ff-only', cwd=here)
    assert (here / 'api.txt').read_text() == 'by api\n'
    assert git('fsck', '--strict', cwd=here) is not None


def test_lfs_goes_up_by_git_and_down_by_both(hub, api, git, tmp_path):
    make(api, 'me/lfs-up')
    content = os.urandom(5_000_000)
    git('clone', with_token(hub, 'me/lfs-up'), 'up')
    here = tmp_path / 'up'
    git('lfs', 'install', '--local', cwd=here)
    (here / 'model.safetensors').write_bytes(content)
    (here / 'tiny.bin').write_bytes(b'\0')
    git('add', '.', cwd=here)
    git('commit', '-m', 'Weights', cwd=here)
    git('push', 'origin', 'main', cwd=here)
    assert 'oid sha256:' in git('cat-file', 'blob', 'HEAD:model.safetensors', cwd=here)
    assert open(api.hf_hub_download('me/lfs-up', 'model.safetensors'), 'rb').read() == content
    info = api.model_info('me/lfs-up', files_metadata=True)
    assert {s.rfilename: s.size for s in info.siblings}['model.safetensors'] == len(content)
    git('clone', f'{hub.url}/me/lfs-up', 'down', GIT_LFS_SKIP_SMUDGE='1')
    there = tmp_path / 'down'
    git('lfs', 'install', '--local', cwd=there)
    git('lfs', 'pull', cwd=there)
    assert (there / 'model.safetensors').read_bytes() == content
    git('lfs', 'fsck', cwd=there)


def test_what_xet_uploaded_git_lfs_downloads(hub, api, git, tmp_path):
    make(api, 'me/lfs-down')
    content = os.urandom(4_000_000)
    (tmp_path / 'w.bin').write_bytes(content)
    api.upload_file(path_or_fileobj=tmp_path / 'w.bin', path_in_repo='w.bin', repo_id='me/lfs-down')
    git('clone', f'{hub.url}/me/lfs-down', 'down', GIT_LFS_SKIP_SMUDGE='1')
    there = tmp_path / 'down'
    git('lfs', 'install', '--local', cwd=there)
    git('lfs', 'pull', cwd=there)
    assert (there / 'w.bin').read_bytes() == content


def refused(*command, cwd):
    done = subprocess.run(['git', *command], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode, done.stdout
    return done.stdout


def test_pushes_that_are_refused(hub, api, git, tmp_path):
    make(api, 'me/guarded')
    git('clone', f'{hub.url}/me/guarded', 'clone')
    here = tmp_path / 'clone'
    (here / 'a.txt').write_text('a\n')
    git('add', '.', cwd=here)
    git('commit', '-m', 'A', cwd=here)
    before = api.model_info('me/guarded').sha
    refused('push', 'origin', 'main', cwd=here)                                           # nobody
    refused('push', with_token(hub, 'me/guarded', token='hf_' + 'x' * 34), 'main', cwd=here)  # a wrong token
    refused('push', with_token(hub, 'me/guarded', 'you', hub.other_token), 'main', cwd=here)  # not theirs
    refused('push', with_token(hub, 'me/guarded', token=hub.read_token), 'main', cwd=here)    # may only read
    refused('push', with_token(hub, 'me/nothing'), 'main', cwd=here)
    refused('push', with_token(hub, 'me/guarded'), ':main', cwd=here)                     # main stays
    assert api.model_info('me/guarded').sha == before
    # A pointer whose content never came: the push must not be taken.
    (here / 'w.txt').write_text('version https://git-lfs.github.com/spec/v1\noid sha256:' + '1' * 64 + '\nsize 3\n')
    (here / '.gitattributes').write_text('w.txt filter=lfs diff=lfs merge=lfs -text\n')
    git('add', '.', cwd=here)
    git('commit', '-m', 'Empty promise', cwd=here)
    refused('push', with_token(hub, 'me/guarded'), 'main', cwd=here)
    assert api.model_info('me/guarded').sha == before


def test_private_clones_need_a_token(hub, api, git, tmp_path):
    make(api, 'me/private-git', private=True)
    refused('clone', f'{hub.url}/me/private-git', cwd=tmp_path)
    refused('clone', with_token(hub, 'me/private-git', 'you', hub.other_token), cwd=tmp_path)
    git('clone', with_token(hub, 'me/private-git', token=hub.read_token), 'mine')
    assert (tmp_path / 'mine/.gitattributes').exists()


def test_a_branch_pushed_by_git_is_a_revision(hub, api, git, tmp_path):
    make(api, 'me/git-branch')
    git('clone', with_token(hub, 'me/git-branch'), 'clone')
    here = tmp_path / 'clone'
    git('checkout', '-b', 'feature/x', cwd=here)
    (here / 'x.txt').write_text('x')
    git('add', '.', cwd=here)
    git('commit', '-m', 'X', cwd=here)
    git('tag', '-a', 'v1', '-m', 'one', cwd=here)
    git('push', 'origin', 'feature/x', 'v1', cwd=here)
    assert 'x.txt' in api.list_repo_files('me/git-branch', revision='feature/x')
    assert 'x.txt' in api.list_repo_files('me/git-branch', revision='v1')
    assert HfApi(hub.url, token=False).hf_hub_download('me/git-branch', 'x.txt', revision='feature/x')
