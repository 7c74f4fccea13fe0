"""What git may push and how it may fetch: protocol versions, shallow and partial clones, and the rules
that the hub's hook states in words that git shows."""
import os

import pytest

from conftest import run


@pytest.fixture
def clone(hub, api, git, tmp_path, request):
    """A clone of a fresh repository that may push; clone(...) runs git in it."""
    name = f'me/{request.node.originalname.replace("_", "-")}'[:90]
    api.create_repo(name, exist_ok=True)
    url = hub.url.replace('http://', f'http://me:{hub.token}@')
    git('clone', f'{url}/{name}', 'clone')
    here = lambda *args, **more: run('git', *args, cwd=tmp_path / 'clone', **more)
    here.path, here.name, here.url = tmp_path / 'clone', name, f'{hub.url}/{name}'
    return here


def commit(clone, path, content):
    (clone.path / path).write_bytes(content)
    clone('add', path)
    clone('commit', '-m', path)


def refused(clone, *args):
    done = clone('push', 'origin', *args, ok=False)
    assert done.returncode, done.stderr
    return done.stderr


def test_a_large_plain_file_is_refused(clone, api):
    commit(clone, 'large.txt', os.urandom(11 << 20))
    assert 'remote: large.txt is larger than 10 MiB: track it with git-lfs' in refused(clone, 'main')
    assert 'large.txt' not in api.list_repo_files(clone.name)
    clone('reset', '--hard', 'HEAD~1')
    commit(clone, 'fits.txt', os.urandom(9 << 20))  # more than git sends at once: a chunked body
    clone('push', 'origin', 'main')
    assert 'fits.txt' in api.list_repo_files(clone.name)


def test_a_broken_card_is_refused(clone):
    commit(clone, 'README.md', b'---\nlicense: [\n---\n# Card\n')
    assert 'remote: README.md:' in refused(clone, 'main')
    commit(clone, 'README.md', b'---\nlicense: mit\n---\n# Card\n')
    clone('push', 'origin', 'main')


def test_only_branches_tags_and_requests_may_be_pushed(clone, api):
    commit(clone, 'a.txt', b'a')
    assert 'refs/evil/x: only branches, tags and refs/pr/' in refused(clone, 'main:refs/evil/x')
    assert 'There is no discussion 1' in refused(clone, 'main:refs/pr/1')
    api.create_pull_request(clone.name, title='By git')
    clone('push', 'origin', 'main:refs/pr/1')
    assert clone('rev-parse', 'main').strip() in clone('ls-remote', 'origin', 'refs/pr/1')
    assert [e.type for e in api.get_discussion_details(clone.name, 1).events] == ['comment', 'commit']


def test_strangers_push_to_their_own_request_alone(clone, hub, api):
    from huggingface_hub import HfApi
    api.create_pull_request(clone.name, title='Not yours')
    HfApi(hub.url, token=hub.other_token).create_pull_request(clone.name, title='Mine')
    clone('remote', 'set-url', 'origin', f'{hub.url}/{clone.name}'.replace('://', f'://you:{hub.other_token}@'))
    commit(clone, 'b.txt', b'b')
    assert 'You may not change' in refused(clone, 'main')
    assert 'belongs to a pull request of me' in refused(clone, 'main:refs/pr/1')
    clone('push', 'origin', 'main:refs/pr/2')
    assert api.file_exists(clone.name, 'b.txt', revision='refs/pr/2')
    assert not api.file_exists(clone.name, 'b.txt')


def test_history_may_be_rewritten_and_branches_deleted(clone, api):
    commit(clone, 'a.txt', b'a')
    clone('push', 'origin', 'main', 'main:refs/heads/side')
    clone('commit', '--amend', '-m', 'Another title')
    assert 'rejected' in refused(clone, 'main')
    clone('push', '--force', 'origin', 'main')
    assert api.list_repo_commits(clone.name)[0].title == 'Another title'
    clone('push', 'origin', ':side')
    assert [b.name for b in api.list_repo_refs(clone.name).branches] == ['main']


@pytest.mark.parametrize('options', [
    ['-c', 'protocol.version=0', 'clone'], ['-c', 'protocol.version=1', 'clone'],
    ['clone', '--depth', '1'], ['clone', '--filter', 'blob:none'], ['clone', '--mirror'],
    ['-c', 'http.postBuffer=65536', 'clone']], ids=lambda o: ' '.join(o))
def test_all_ways_to_fetch(clone, git, options):
    for i in range(3):
        commit(clone, f'{i}.txt', os.urandom(1000))
    clone('push', 'origin', 'main', ok=False)
    git(*options, clone.url, 'again')
    git('fsck', cwd=clone.path.parent / 'again')
    commit(clone, 'more.txt', os.urandom(1000))
    clone('push', 'origin', 'main')
    git('fetch', cwd=clone.path.parent / 'again')
