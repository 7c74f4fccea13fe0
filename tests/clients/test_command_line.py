"""`hug` and `hf` in turn on the same things: tokens, cache, repositories."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download

from conftest import HUG, TEMP, run


@pytest.fixture
def home(tmp_path):
    """A HF_HOME of its own, without HF_TOKEN."""
    return {'HF_HOME': str(tmp_path / 'home'), 'HF_TOKEN': ''}


def test_tokens_are_shared(hub, hug, hf, home):
    assert run(HUG, 'auth', 'token', ok=False, **home).returncode == 1
    assert json.loads(hug('auth', 'list', '--json', **home)) == []
    assert hug('auth', 'login', '--token', hub.token, **home) == 'logged in as me\n'
    hf('auth', 'login', '--token', hub.read_token, **home)
    listed = json.loads(hug('auth', 'ls', '--json', **home))
    assert {t['name']: t['active'] for t in listed} == {'tests': '', 'reader': '*'}
    assert listed[0]['token'].startswith('hf_****') and hub.read_token not in str(listed)
    assert hug('auth', 'token', **home).strip() == hub.read_token
    assert 'using' in hug('auth', 'switch', '--token-name', 'tests', **home)
    assert hf('auth', 'token', **home).split()[0] == hub.token
    assert '* tests' in ' '.join(hf('auth', 'list', **home).split())
    hug('auth', 'logout', '--token-name', 'tests', **home)
    assert run(HUG, 'auth', 'whoami', ok=False, **home).returncode == 1
    assert list(json.loads(hug('auth', 'list', '--json', **home))[0].values())[1] == 'reader'
    hug('auth', 'logout', **home)
    assert not {'token', 'stored_tokens'} & set(os.listdir(home['HF_HOME']))
    wrong = run(HUG, 'auth', 'switch', '--token-name', 'nobody', ok=False, **home)
    assert wrong.returncode == 1 and 'hug auth list' in wrong.stderr


def test_git_is_told_the_token(hub, hug, home, tmp_path):
    config = {'HOME': str(tmp_path)} | home
    run('git', 'config', '--global', 'credential.helper', 'store', HOME=str(tmp_path))
    hug('auth', 'login', '--token', hub.token, '--add-to-git-credential', **config)
    kept = (tmp_path / '.git-credentials').read_text()
    assert f'hf_user:{hub.token}@127.0.0.1' in kept
    hug('auth', 'logout', **config)
    assert hub.token not in (tmp_path / '.git-credentials').read_text()


@pytest.fixture
def cache(api, hug, tmp_path):
    """Two revisions of one model, one of them without a name, and a dataset; fetched by both."""
    first = api.create_repo('me/thin', exist_ok=True)
    files = tmp_path / 'files'
    (files / 'd').mkdir(parents=True)
    (files / 'd/x.txt').write_text('one')
    (files / 'same.bin').write_bytes(b'\0' * 50_000)
    hug('upload', 'me/thin', files)
    folder = tmp_path / 'hub'
    snapshot_download('me/thin', cache_dir=folder)
    (files / 'd/x.txt').write_text('two and more')
    hug('upload', 'me/thin', files)
    hug('download', 'me/thin', '--cache-dir', folder)
    hug('upload', 'me/rows', files / 'd', '--type', 'dataset')
    hug('download', 'datasets/me/rows', '--cache-dir', folder)
    return folder


def both(hug, hf, *args):
    """What both commands say, as JSON."""
    return json.loads(hug(*args, '--format', 'json')), json.loads(hf(*args, '--format', 'json'))


def test_both_list_the_same_cache(hug, hf, cache):
    for args in ([], ['--revisions'], ['--filter', 'size>1kb', '--sort', 'name:desc']):
        ours, theirs = both(hug, hf, 'cache', 'ls', '--cache-dir', cache, *args)
        assert ours == theirs and ours
    assert hug('cache', 'ls', '-q', '--cache-dir', cache).split() == ['dataset/me/rows', 'model/me/thin']
    table = hug('cache', 'ls', '--cache-dir', cache)
    assert table.startswith('ID ') and 'Found 2 repo(s) for a total of 3 revision(s)' in table
    assert run(HUG, 'cache', 'ls', '--filter', 'colour=red', ok=False).returncode == 2


def test_pruning_leaves_what_hf_finds(hug, hf, cache):
    (cache / 'models--me--thin/blobs/dead.incomplete').write_bytes(b'x' * 1000)
    ours, theirs = both(hug, hf, 'cache', 'prune', '--dry-run', '--cache-dir', cache)
    assert ours == theirs == {'dry_run': True, 'revisions': 1, 'incomplete': 1, 'shared_blobs': 0,
                              'size': '1.0K'}
    assert run(HUG, 'cache', 'prune', '--cache-dir', cache, ok=False).returncode == 2  # nobody to ask
    hug('cache', 'prune', '--yes', '--cache-dir', cache)
    left = scan_cache_dir(cache)
    assert not left.warnings and not left.incomplete_files and len(left.repos) == 2
    path = snapshot_download('me/thin', cache_dir=cache, local_files_only=True)
    assert (Path(path) / 'd/x.txt').read_text() == 'two and more'
    assert len(os.listdir(cache / 'models--me--thin/snapshots')) == 1
    assert 'Nothing to prune' in hf('cache', 'prune', '--cache-dir', cache)


def test_large_content_is_kept_once_for_all_repositories(hub, hug, hf, api, tmp_path):
    """By either command, and it goes with the last repository that has it."""
    large = tmp_path / 'large.bin'
    large.write_bytes(os.urandom(5_000_000))
    for name in ('me/twin-a', 'me/twin-b', 'me/twin-c'):
        # `hf cache rm` goes by commits: equal ones in two repositories would confuse it.
        hug('upload', name, large, '--commit-message', name)
    folder = tmp_path / 'hub'
    hug('download', 'me/twin-a', '--cache-dir', folder)
    snapshot_download('me/twin-b', cache_dir=folder)
    before = hub.log.stat().st_size
    path = hug('download', 'me/twin-c', 'large.bin', '--cache-dir', folder).strip()
    assert Path(path).read_bytes() == large.read_bytes()
    assert 'reconstructions' not in hub.log.read_bytes()[before:].decode()
    [content] = [p for p in folder.glob('blobs/*/*') if len(p.name) == 64]
    assert len(content.with_name(content.name + '.refs').read_text().split()) == 3
    hug('cache', 'rm', 'model/me/twin-a', '-y', '--cache-dir', folder)
    hf('cache', 'rm', 'model/me/twin-b', '-y', '--cache-dir', folder)
    assert content.exists() and scan_cache_dir(folder).size_on_disk == 5_000_000
    # What somebody has spoilt is not believed.
    content.chmod(0o644)
    content.write_bytes(large.read_bytes()[:-1] + b'x')
    again = hug('download', 'me/twin-a', 'large.bin', '--cache-dir', folder).strip()
    assert Path(again).read_bytes() == large.read_bytes()
    for name in ('a', 'c'):
        hug('cache', 'rm', f'model/me/twin-{name}', '-y', '--cache-dir', folder)
    assert not [p for p in folder.glob('blobs/*/*') if len(p.name) == 64]


def test_removing_by_name_file_and_commit(hug, hf, cache):
    ours, theirs = both(hug, hf, 'cache', 'rm', 'model/me/thin', '--dry-run', '--cache-dir', cache)
    assert ours['size'] == theirs['size'] and ours['revisions'] == theirs['revisions'] == 2
    ours, theirs = both(hug, hf, 'cache', 'rm', 'hf://me/thin/d/x.txt', '--dry-run', '--cache-dir', cache)
    assert ours['size'] == theirs['size'] == '15.0' and ours['files'] == theirs['files'] == 2
    hug('cache', 'rm', 'hf://models/me/thin/d/x.txt', '-y', '--cache-dir', cache)
    assert not list(cache.glob('models--me--thin/snapshots/*/d/x.txt'))
    commit = os.listdir(cache / 'datasets--me--rows/snapshots')[0]
    assert 'Deleted 1 repo(s)' in hug('cache', 'rm', commit, '-y', '--cache-dir', cache)
    assert not (cache / 'datasets--me--rows').exists()
    missing = run(HUG, 'cache', 'rm', 'model/none', '--cache-dir', cache, ok=False)
    assert missing.returncode == 0 and 'Could not find in cache: model/none' in missing.stderr
    assert not scan_cache_dir(cache).warnings


def test_a_spoilt_cache_is_noticed(hub, hug, cache):
    args = ('cache', 'verify', 'me/thin', '--cache-dir', cache)
    assert json.loads(hug(*args, '--json'))['checked'] == 3
    [x] = [p for p in cache.glob('models--me--thin/blobs/*') if p.read_bytes() == b'two and more']
    x.write_text('two and less')
    done = run(HUG, *args, ok=False, HF_TOKEN=hub.token)
    assert done.returncode == 1 and 'd/x.txt: expected' in done.stdout and '--force-download' in done.stderr
    hug('download', 'me/thin', '--force-download', '--cache-dir', cache)
    hug(*args)


def test_repositories(hub, hug, api, tmp_path):
    made = json.loads(hug('repos', 'create', 'line', '--private', '--json'))
    assert made == {'repo_id': 'me/line', 'url': f'{hub.url}/me/line'}
    hug('repos', 'settings', 'me/line', '--public', '--gated', 'manual')
    info = api.model_info('me/line')
    assert not info.private and info.gated == 'manual'
    assert run(HUG, 'repos', 'settings', 'me/line', ok=False, HF_TOKEN=hub.token).returncode == 2
    hug('repos', 'settings', 'me/line', '--gated', 'false')
    hug('repos', 'move', 'me/line', 'me/moved')
    assert 'me/moved' in [r['id'] for r in json.loads(hug('repos', 'ls', '--search', 'moved', '--json'))]
    mine = hug('repos', 'ls', '--namespace', 'me', '--limit', '0', '-q', HF_TOKEN='', HF_HOME='/nowhere').split()
    assert 'me/moved' in mine  # anybody may ask
    for name in ('a.txt', 'b.json', 'c/d.json'):
        api.upload_file(path_or_fileobj=b'x', path_in_repo=name, repo_id='me/moved')
    hug('repos', 'branch', 'create', 'me/moved', 'dev/one')
    hug('repos', 'branch', 'create', 'me/moved', 'dev/one', '--exist-ok')
    hug('repos', 'tag', 'create', 'me/moved', 'v1', '-m', 'First')
    again = run(HUG, 'repos', 'tag', 'create', 'me/moved', 'v1', ok=False, HF_TOKEN=hub.token)
    assert again.returncode == 1 and 'v1' in again.stderr
    assert [t['name'] for t in json.loads(hug('repos', 'tag', 'ls', 'me/moved', '--json'))] == ['v1']
    hug('repos', 'delete-files', 'me/moved', '*.json', '--commit-message', 'Less')
    assert set(api.list_repo_files('me/moved')) == {'.gitattributes', 'a.txt'}
    assert len(api.list_repo_files('me/moved', revision='dev/one')) == 4
    hug('repos', 'branch', 'delete', 'me/moved', 'dev/one')
    hug('repos', 'tag', 'delete', 'me/moved', 'v1', '--yes')
    refs = api.list_repo_refs('me/moved')
    assert [b.name for b in refs.branches] == ['main'] and not refs.tags
    hug('repos', 'delete', 'me/moved', '--yes')
    assert not api.repo_exists('me/moved')


def test_files_are_copied(hub, hug, api, tmp_path):
    api.create_repo('me/from')
    (tmp_path / 'x.txt').write_text('one file')
    hug('cp', tmp_path / 'x.txt', 'hf://me/from/docs/')
    assert run(HUG, 'cp', '-', 'hf://me/from/typed.txt', input='typed', HF_TOKEN=hub.token)
    assert set(api.list_repo_files('me/from')) == {'.gitattributes', 'docs/x.txt', 'typed.txt'}
    assert hug('cp', 'hf://me/from/typed.txt', '-') == 'typed'
    hug('repos', 'cp', 'hf://me/from/docs/x.txt', f'{tmp_path}/new/')
    assert (tmp_path / 'new/x.txt').read_text() == 'one file'
    assert os.listdir(tmp_path / 'new') == ['x.txt']
    api.upload_file(path_or_fileobj=b'\1' * 3_000_000, path_in_repo='docs/large.bin', repo_id='me/from')
    api.create_repo('me/to', repo_type='dataset')
    before = hub.log.stat().st_size
    hug('cp', 'hf://me/from/docs/', 'hf://datasets/me/to/deep/')
    hug('cp', 'hf://me/from/docs', 'hf://datasets/me/to')
    hug('cp', 'hf://me/from/docs/large.bin', 'hf://datasets/me/to/renamed.bin')
    assert set(api.list_repo_files('me/to', repo_type='dataset')) == {
        '.gitattributes', 'deep/x.txt', 'deep/large.bin', 'docs/x.txt', 'docs/large.bin', 'renamed.bin'}
    assert 'large.bin status' not in hub.log.read_bytes()[before:].decode()  # its bytes stayed where they are
    assert len(hug('cp', 'hf://datasets/me/to/renamed.bin', '-')) == 3_000_000
    assert run(HUG, 'cp', 'hf://me/from/nothing', 'hf://datasets/me/to/', ok=False, HF_TOKEN=hub.token).returncode == 1
    for args in (('a', 'b'), ('hf://me', 'b'), ('hf://me/from', 'b')):
        assert run(HUG, 'cp', *args, ok=False, HF_TOKEN=hub.token).returncode == 2


def test_addresses_stand_for_type_and_revision(hub, hug, api, tmp_path):
    (tmp_path / 'x.txt').write_text('x')
    hug('upload', 'hf://datasets/me/addressed/deep', tmp_path)
    api.create_branch('me/addressed', repo_type='dataset', branch='dev')
    path = hug('download', 'hf://datasets/me/addressed@dev/deep/x.txt', '--local-dir', tmp_path / 'one').strip()
    assert Path(path).read_text() == 'x'
    path = hug('download', 'hf://datasets/me/addressed/deep/', '--local-dir', tmp_path / 'all').strip()
    assert (Path(path) / 'deep/x.txt').exists()
    assert run(HUG, 'download', 'hf://me/addressed', '--type', 'dataset', ok=False).returncode == 2


def test_errors_say_what_to_do_next(hub):
    away = {'HF_ENDPOINT': 'http://127.0.0.1:9', 'HF_TOKEN': hub.token}
    for args, env, words in ((('repos', 'ls'), away, '`hug serve`'), (('repos', 'ls'), {'HF_TOKEN': ''}, '`hug auth login`'),
                             (('download', 'me/nowhere'), {}, '--type')):
        done = run(HUG, *args, ok=False, **{'HF_HOME': str(TEMP / 'nobody')} | env)
        assert done.returncode == 1 and words in done.stderr and done.stderr.count('\n') == 1, done.stderr


def test_uploads_open_pull_requests_and_make_branches(hug, api, tmp_path):
    (tmp_path / 'x.txt').write_text('x')
    api.create_repo('me/asked')
    hug('upload', 'me/asked', tmp_path, '--create-pr', '--commit-message', 'Please')
    [pull] = api.get_repo_discussions('me/asked')
    assert pull.is_pull_request and pull.title == 'Please'
    assert 'x.txt' in api.list_repo_files('me/asked', revision='refs/pr/1')
    hug('upload', 'me/asked', tmp_path, '--revision', 'side')
    assert 'x.txt' in api.list_repo_files('me/asked', revision='side')
    assert 'x.txt' not in api.list_repo_files('me/asked')


def test_a_log_is_uploaded_every_so_often(hub, api, tmp_path):
    (tmp_path / 'log.txt').write_text('one\n')
    process = subprocess.Popen([HUG, 'upload', 'me/logs', tmp_path, '--every', '0.01'], text=True,
                               env=os.environ | {'HF_TOKEN': hub.token}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert '/me/logs/commit/' in process.stdout.readline()
    (tmp_path / 'log.txt').write_text('one\ntwo\n')
    process.stdout.readline()
    (tmp_path / 'log.txt').write_text('one\ntwo\nthree\n')
    process.terminate()  # makes the last commit
    assert process.wait(20) == 0 and 'Ctrl-C' in process.stderr.read()
    process.stdout.close()
    assert Path(api.hf_hub_download('me/logs', 'log.txt', local_dir=tmp_path / 'out')).read_text().endswith('three\n')
    assert run(HUG, 'upload', 'me/logs', tmp_path, '--every', '-1', ok=False).returncode == 2


def test_a_dry_run_downloads_nothing(hug, hf, api, tmp_path):
    api.create_repo('me/dry')
    api.upload_file(path_or_fileobj=b'b', path_in_repo='a/b.txt', repo_id='me/dry')
    args = ('download', 'me/dry', '--dry-run', '--cache-dir', tmp_path)
    ours, theirs = both(hug, hf, *args)
    assert ours == theirs and {'file': 'a/b.txt', 'size': '1.0'} in ours
    hug('download', 'me/dry', 'a/b.txt', '--cache-dir', tmp_path)
    assert {'file': 'a/b.txt', 'size': '-'} in json.loads(hug(*args, '--json'))
    assert len(list(tmp_path.glob('*/blobs/*'))) == 1


def test_help_and_completion_know_every_command(hug, tmp_path):
    home = {'HOME': str(tmp_path)}
    script = Path(hug('--install-completion', 'bash', **home).strip())
    assert script.is_relative_to(tmp_path) and script.read_text() == hug('--show-completion', 'bash')
    offered = run('bash', '-c', f'. {script}; COMP_WORDS=(hug repos br); COMP_CWORD=2; _hug; echo "${{COMPREPLY[@]}}"',
                  PATH=f'{Path(HUG).parent}:{os.environ["PATH"]}')
    assert offered.split() == ['branch']
    assert run(HUG, '--show-completion', 'csh', ok=False).returncode == 2
    assert json.loads(hug('env'))['user'] == 'me'
    assert 'branch create' in hug('help', 'repos') and '--exist-ok' in hug('repos', 'branch', 'create', '--help')
    assert 'branch' in hug('--complete', 'repos').split() and 'create' in hug('--complete', 'repos', 'branch').split()
    assert '--dry-run' in hug('--complete', 'cache', 'rm').split()
    assert run(HUG, 'repos', 'brunch', ok=False).returncode == 2


def test_a_benchmark_says_what_it_takes():
    said = run(HUG, 'bench', 'gemm', '--help')
    assert said.startswith('hug bench gemm ') and '--rows' in said and 'attention' not in said
    assert said in run(HUG, 'bench')
    wrong = run(HUG, 'bench', 'gemm', '--bogus', ok=False)
    assert wrong.returncode == 2 and '`hug help bench`' in wrong.stderr
    assert '`hug bench WHAT --help`' in run(HUG, 'help', 'bench')


@pytest.fixture(scope='module')
def owl(api):
    """A model with a card, a folder, a large file, a discussion and a pull request."""
    api.create_repo('me/owl')
    card = '---\nlicense: mit\npipeline_tag: text-generation\ntags: [night]\n---\n# Owl\n'
    for path, content in (('README.md', card), ('a/b.txt', 'b'), ('a/c/d.txt', 'd'), ('w.bin', b'\0' * 20_000)):
        api.upload_file(path_or_fileobj=content if isinstance(content, bytes) else content.encode(),
                        path_in_repo=path, repo_id='me/owl')
    api.create_discussion('me/owl', 'Why owls?', description='Because.')
    api.create_pull_request('me/owl', 'More owls')
    return 'me/owl'


def test_lists_and_cards_are_those_of_hf(hug, hf, owl):
    ours, theirs = both(hug, hf, 'models', 'info', owl)
    assert ours == theirs
    ours, theirs = both(hug, hf, 'models', 'ls', '--author', 'me', '--search', 'owl', '--expand', 'likes,tags,createdAt')
    assert ours == theirs and ours[0]['id'] == owl
    ours, theirs = both(hug, hf, 'models', 'ls', owl, '-R')
    assert ours == theirs and len(ours) == 7
    assert [r['id'] for r in json.loads(hug('models', 'ls', '--filter', 'night', '--json'))] == [owl]
    assert hug('models', 'ls', owl, '--tree', '-q').splitlines() == [
        '├── .gitattributes', '├── README.md', '├── a/', '└── w.bin']
    assert '│       └── d.txt' in hug('models', 'ls', owl, '--tree', '-R', '-h')
    assert hug('models', 'card', owl, '--text').strip() == '# Owl'
    assert json.loads(hug('models', 'card', owl, '--metadata'))['license'] == 'mit'
    assert hug('datasets', 'ls', '--search', 'no such', '-q') == ''


def test_discussions(hub, hug, hf, api, owl):
    ours, theirs = both(hug, hf, 'discussions', 'ls', owl)
    assert [{k: d[k] for k in ('num', 'title', 'author', 'created_at', 'is_pull_request', 'status')} for d in theirs] == [
        {k: d[k] for k in ('num', 'title', 'author', 'created_at', 'is_pull_request', 'status')} for d in ours]
    made = json.loads(hug('discussions', 'create', owl, '--title', 'More', '--body', 'Text', '--json'))
    assert made['url'] == f'{hub.url}/{owl}/discussions/{made["num"]}'
    number = str(made['num'])
    hug('discussions', 'comment', owl, number, '--body', 'Yes')
    events = json.loads(hug('discussions', 'info', owl, number))['events']
    comment = [e['id'] for e in events if e['type'] == 'comment'][-1]
    hug('discussions', 'edit', owl, number, comment, '--body', 'No')
    hug('discussions', 'rename', owl, number, 'Less')
    hug('discussions', 'close', owl, number, '--yes', '--comment', 'Done')
    details = api.get_discussion_details(owl, int(number))
    assert (details.title, details.status) == ('Less', 'closed') and 'No' in [getattr(e, 'content', '') for e in details.events]
    assert number in hug('discussions', 'ls', owl, '-s', 'closed', '-q').split()
    hug('discussions', 'reopen', owl, number, '-y')
    assert api.get_discussion_details(owl, int(number)).status == 'open'
    pull = hug('discussions', 'ls', owl, '-k', 'pull_request', '-s', 'all', '-q').split()[0]
    api.upload_file(path_or_fileobj=b'new', path_in_repo='new.txt', repo_id=owl, revision=f'refs/pr/{pull}')
    assert '+new' in hug('discussions', 'diff', owl, pull)
    if api.get_discussion_details(owl, int(pull)).status == 'draft':
        api.change_discussion_status(owl, int(pull), 'open')
    hug('discussions', 'merge', owl, pull, '--yes')
    assert 'new.txt' in api.list_repo_files(owl)
    assert run(HUG, 'discussions', 'info', owl, 'x', ok=False, HF_TOKEN=hub.token).returncode == 2


def test_addresses_follow_the_kind_in_a_name(hub, hug, api):
    api.create_repo('me/sheet', repo_type='dataset')
    made = json.loads(hug('discussions', 'create', 'datasets/me/sheet', '--title', 'More', '--json'))
    assert made['url'] == f'{hub.url}/datasets/me/sheet/discussions/{made["num"]}'
    copy = json.loads(hug('repos', 'duplicate', 'datasets/me/sheet', 'sheet-copy', '--json'))
    assert copy == {'from_id': 'datasets/me/sheet', 'to_id': 'me/sheet-copy',
                    'url': f'{hub.url}/datasets/me/sheet-copy'}
    assert api.repo_exists('me/sheet-copy', repo_type='dataset')


def test_collections(hug, hf, owl):
    slug = json.loads(hug('collections', 'create', 'Birds', '--description', 'All', '--json'))['slug']
    hug('collections', 'add-item', slug, owl, 'model', '--note', 'wise')
    hug('collections', 'add-item', slug, owl, 'model', '--exists-ok')
    ours, theirs = both(hug, hf, 'collections', 'info', slug)
    assert ours == theirs
    item = ours['items'][0]['item_object_id']
    hug('collections', 'update-item', slug, item, '--note', 'wiser')
    hug('collections', 'update', slug, '--title', 'More birds', '--private')
    after = json.loads(hug('collections', 'info', slug))
    assert (after['title'], after['private'], after['items'][0]['note']) == ('More birds', True, 'wiser')
    slug = after['slug']
    assert slug in hug('collections', 'ls', '--owner', 'me', '-q').split()
    hug('collections', 'delete-item', slug, item)
    hug('collections', 'delete', slug)
    hug('collections', 'delete', slug, '--missing-ok')


def test_webhooks(hub, hug, hf):
    made = json.loads(hug('webhooks', 'create', '--url', 'https://example.com/hook', '--watch', 'user:me',
                          '--domain', 'repo', '--secret', 'quiet', '--json'))['id']
    hug('webhooks', 'update', made, '--url', 'https://example.com/other', '--domain', 'discussion')
    ours, theirs = both(hug, hf, 'webhooks', 'ls')
    [mine] = [w for w in ours if w['id'] == made]  # other stories have theirs
    assert ours == theirs and mine['watched'] == ['user:me'] and mine['url'].endswith('other')
    assert mine['domains'] == ['discussion']
    hug('webhooks', 'disable', made)
    assert json.loads(hug('webhooks', 'info', made))['disabled']
    hug('webhooks', 'enable', made)
    hug('webhooks', 'delete', made, '--yes')
    assert made not in hug('webhooks', 'ls', '-q')
    assert run(HUG, 'webhooks', 'create', '--url', 'https://x', '--watch', 'me', ok=False, HF_TOKEN=hub.token).returncode == 2
