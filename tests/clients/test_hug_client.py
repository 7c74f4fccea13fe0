"""Our own client beside huggingface_hub: the same cache, file for file; the same words as `hf`."""
import filecmp
import json
import os
import ssl
import subprocess
import sys

import pytest
from huggingface_hub import snapshot_download

from conftest import HUG, Ear, run


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('mine')
    (path / 'README.md').write_text('---\nlicense: mit\n---\n# Mine\n')
    (path / 'sub').mkdir()
    (path / 'sub/ä b.txt').write_text('odd name')
    (path / 'empty').touch()
    (path / 'weights.safetensors').write_bytes(os.urandom(6_000_000))
    (path / 'large.txt').write_text('line\n' * 3_000_000)
    return path


def tree(path):
    """Every file and link below, with what it holds or where it points; locks and markers aside."""
    found = {}
    for top, folders, files in os.walk(path):
        for name in files:
            full = os.path.join(top, name)
            key = os.path.relpath(full, path)
            if not key.startswith('.locks') and name not in ('CACHEDIR.TAG',) and 'tree' not in key.split('/'):
                if not key.endswith('.lock'):
                    found[key] = os.readlink(full) if os.path.islink(full) else open(full, 'rb').read()
    return found


def test_upload_download_and_the_same_cache(hub, hug, api, folder, tmp_path):
    url = hug('upload', 'me/by-hug', folder, '--commit-message', 'By hug').strip()
    assert url == f"{hub.url}/me/by-hug/commit/{api.model_info('me/by-hug').sha}"
    assert {c.title for c in api.list_repo_commits('me/by-hug')} == {'By hug', 'initial commit'}
    ours = hug('download', 'me/by-hug', '--cache-dir', tmp_path / 'ours').strip()
    # One at a time: two that it has at once may find the shared store half made, and do without.
    theirs = snapshot_download('me/by-hug', cache_dir=tmp_path / 'theirs', max_workers=1)
    for name in ('README.md', 'sub/ä b.txt', 'empty', 'weights.safetensors', 'large.txt'):
        assert filecmp.cmp(f'{ours}/{name}', folder / name, shallow=False), name
    mine, other = tree(tmp_path / 'ours'), tree(tmp_path / 'theirs')
    assert not {k: (v[:60], other.get(k, '-')[:60]) for k, v in mine.items() if other.get(k) != v}
    # Each finds what the other fetched.
    assert snapshot_download('me/by-hug', cache_dir=tmp_path / 'ours', local_files_only=True) == ours
    assert hug('download', 'me/by-hug', '--cache-dir', tmp_path / 'theirs', HF_HUB_OFFLINE='1').strip() == theirs
    absent = run(HUG, 'download', 'me/never', '--cache-dir', tmp_path / 'theirs', ok=False, HF_HUB_OFFLINE='1')
    assert absent.returncode == 1 and 'HF_HUB_OFFLINE' in absent.stderr and 'running' not in absent.stderr


def test_uploading_again_sends_nothing(hug, api, folder):
    hug('upload', 'me/again', folder)
    before = api.model_info('me/again').sha
    hug('upload', 'me/again', folder)
    assert api.model_info('me/again').sha == before


def test_what_downloads_note_is_not_uploaded(hug, api, tmp_path):
    for path in ('.cache/huggingface/download/x.metadata', '.git/config', '.cache/mine.txt', 'x.txt'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('x')
    hug('upload', 'me/noted', tmp_path)
    assert set(api.list_repo_files('me/noted')) == {'.gitattributes', '.cache/mine.txt', 'x.txt'}


def test_one_file_patterns_and_deletions(hug, api, folder, tmp_path):
    hug('upload', 'me/some', folder / 'README.md', 'docs/READ.md', '--repo-type', 'dataset')
    assert set(api.list_repo_files('me/some', repo_type='dataset')) == {'.gitattributes', 'docs/READ.md'}
    hug('upload', 'me/some', folder, '--include', '*.txt', '--delete', 'docs/*', '--type', 'dataset')
    assert set(api.list_repo_files('me/some', repo_type='dataset')) == {'.gitattributes', 'large.txt', 'sub/ä b.txt'}
    path = hug('download', 'datasets/me/some', 'sub/ä b.txt', '--local-dir', tmp_path).strip()
    assert path == str(tmp_path / 'sub/ä b.txt') and open(path).read() == 'odd name'
    hug('download', 'datasets/me/some', '--include', 'large*', '--local-dir', tmp_path / 'two')
    assert os.listdir(tmp_path / 'two') != [] and not (tmp_path / 'two/sub').exists()


def test_repos_and_auth(hub, hug, api, tmp_path):
    assert hug('repos', 'create', 'me/made', '--private').strip() == f'{hub.url}/me/made'
    assert api.model_info('me/made').private
    assert 'me/made' in hug('repos', 'ls')
    assert 'me/made' in [r['id'] for r in json.loads(hug('repos', 'ls', '--json', '--limit', '1000'))]
    hug('repos', 'create', 'me/made', '--exist-ok')
    assert run(HUG, 'repos', 'create', 'me/made', ok=False, HF_TOKEN=hub.token).returncode == 1
    hug('repos', 'delete', 'me/made', '--yes')
    hug('repos', 'delete', 'me/made', '--yes', '--missing-ok')
    assert not api.repo_exists('me/made')
    assert hug('auth', 'whoami').split('\n')[0] == 'me'
    home = {'HF_HOME': str(tmp_path), 'HF_TOKEN': ''}
    assert hug('auth', 'login', '--token', hub.token, **home) == 'logged in as me\n'
    assert hug('auth', 'whoami', **home).split('\n')[0] == 'me'
    # And `hf` sees the same log-in.
    assert 'user: me' in run(os.path.join(os.path.dirname(sys.executable), 'hf'), 'auth', 'whoami', **home)
    hug('auth', 'logout', **home)
    assert run(HUG, 'auth', 'whoami', ok=False, **home).returncode == 1


def test_errors_are_one_line_and_say_what(hub, hug):
    for args, word in ((('download', 'me/none'), 'me/none'), (('download', 'not a name'), 'not a name'),
                       (('upload', 'me/x', '/no/such'), '/no/such'), (('download', 'me/by-hug', 'nope'), 'nope')):
        done = run(HUG, *args, ok=False, HF_TOKEN=hub.token)
        assert done.returncode == 1 and word in done.stderr and done.stderr.count('\n') == 1, done.stderr
    bad = run(HUG, 'auth', 'whoami', ok=False, HF_TOKEN='hf_' + 'x' * 34)
    assert bad.returncode == 1 and 'nvalid' in bad.stderr


def test_a_certificate_of_the_house_is_believed(tmp_path):
    key, certificate = tmp_path / 'key.pem', tmp_path / 'certificate.pem'
    run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate,
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost')
    ear = Ear()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ear.server.socket = context.wrap_socket(ear.server.socket, server_side=True)
    create = [HUG, 'repos', 'create', 'me/house']
    there = {'HF_ENDPOINT': f'https://localhost:{ear.port}', 'HF_TOKEN': 'hf_' + 'x' * 34}
    assert 'certificate' in run(*create, ok=False, **there).stderr and not ear.heard
    run(*create, ok=False, **there, SSL_CERT_FILE=str(certificate))
    assert ear.heard[0][0] == '/api/repos/create'
    ear.close()


def test_private_repositories_and_revisions(hub, hug, api, folder):
    hug('upload', 'me/kept', folder / 'README.md', '--private')
    first = api.model_info('me/kept').sha
    hug('upload', 'me/kept', folder / 'sub/ä b.txt', 'new.txt')
    assert 'new.txt' not in os.listdir(hug('download', f'me/kept@{first}').strip())
    assert 'new.txt' in os.listdir(hug('download', 'me/kept').strip())
    assert run(HUG, 'download', 'me/kept', ok=False, HF_TOKEN=hub.other_token).returncode == 1


def test_the_cache_is_listed(hub, hug, folder, tmp_path):
    hug('upload', 'me/cached', folder)
    hug('download', 'me/cached', '--cache-dir', tmp_path)
    [repo] = json.loads(hug('cache', 'ls', '--json', '--cache-dir', tmp_path))
    assert repo['id'] == 'model/me/cached' and repo['refs'] == ['main'] and repo['size'] == '21.0M'


def test_two_at_once_share_one_download(hub, hug, folder, tmp_path):
    hug('upload', 'me/shared', folder)
    environment = os.environ | {'HF_TOKEN': hub.token}
    both = [subprocess.Popen([HUG, 'download', 'me/shared', '--cache-dir', tmp_path], env=environment,
                             stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {p.communicate()[0] for p in both}
    assert [p.returncode for p in both] == [0, 0] and len(paths) == 1
    assert not [f for f in os.listdir(tmp_path / 'models--me--shared/blobs') if f.endswith('.incomplete')]
