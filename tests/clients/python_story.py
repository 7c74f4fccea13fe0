"""What a program does with huggingface_hub, in every version of it that people have.

Usage: python python_story.py ENDPOINT REPO FOLDER     with HF_TOKEN; prints "VERSION done" behind the last step"""
import hashlib, os, random, subprocess, sys, time
from pathlib import Path

endpoint, repo, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
os.environ |= {'HF_ENDPOINT': endpoint, 'HF_HOME': str(folder / 'home'), 'HF_HUB_DISABLE_PROGRESS_BARS': '1', 'HF_HUB_DISABLE_TELEMETRY': '1'}

import huggingface_hub
from huggingface_hub import (CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, CommitScheduler, HfApi, HfFileSystem,
                             hf_hub_download, snapshot_download)
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

api = HfApi()
user = repo.split('/')[0]
random.seed(repo)
weights = random.randbytes(12_000_000)
sha256 = lambda content: hashlib.sha256(content).hexdigest()


def refused(error, call, *args, **more):
    try:
        call(*args, **more)
    except error as raised:
        return raised
    raise AssertionError(f'{call} was not refused')


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def repository():
    assert api.whoami()['name'] == user
    assert str(api.create_repo(repo)) == f'{endpoint}/{repo}'
    api.create_repo(repo, exist_ok=True)
    refused(HfHubHTTPError, api.create_repo, repo)
    assert api.repo_exists(repo) and not api.repo_exists(user + '/nothing')


def uploads():
    api.upload_file(path_or_fileobj=b'small', path_in_repo='small.txt', repo_id=repo)
    write(folder / 'up/weights.bin', weights)
    write(folder / 'up/a/b/deep.json', b'{}')
    write(folder / 'up/notes.tmp', b'not this one')
    api.upload_folder(repo_id=repo, folder_path=folder / 'up', ignore_patterns='*.tmp')
    with open(folder / 'up/weights.bin', 'rb') as file:  # a file object goes by git-lfs, whatever the version
        api.upload_file(path_or_fileobj=file, path_in_repo='again.bin', repo_id=repo)
    done = api.create_commit(repo, [
        CommitOperationAdd('more.bin', weights[:6_000_000]), CommitOperationAdd('small.txt', b'larger'),
        CommitOperationCopy(src_path_in_repo='weights.bin', path_in_repo='copy.bin'),
        CommitOperationDelete('a/')], commit_message='Edit', commit_description='Four at once')
    assert api.model_info(repo).sha == done.oid
    assert sorted(api.list_repo_files(repo)) == ['.gitattributes', 'again.bin', 'copy.bin', 'more.bin', 'small.txt', 'weights.bin']
    refused(HfHubHTTPError, api.create_commit, repo, [CommitOperationAdd('late', b'late')], commit_message='Late', parent_commit='0' * 40)
    api.delete_file('more.bin', repo)


def what_there_is():
    entries = {entry.path: entry for entry in api.list_repo_tree(repo, recursive=True, expand=True)}
    assert entries['copy.bin'].lfs.sha256 == sha256(weights) and entries['copy.bin'].last_commit.title == 'Edit'
    paths = api.get_paths_info(repo, ['small.txt', 'again.bin', 'nothing'])
    assert {p.path: p.size for p in paths} == {'small.txt': 6, 'again.bin': len(weights)}
    siblings = {s.rfilename: s for s in api.model_info(repo, files_metadata=True).siblings}
    assert siblings['weights.bin'].lfs.sha256 == sha256(weights) and siblings['small.txt'].size == 6
    assert repo in [model.id for model in api.list_models(author=user, search=repo.split('/')[1])]
    commits = api.list_repo_commits(repo)
    assert commits[1].title == 'Edit' and commits[1].message == 'Four at once' and commits[-1].title == 'initial commit'
    api.create_branch(repo, branch='side')
    api.create_tag(repo, tag='v1', tag_message='One')
    refs = api.list_repo_refs(repo)
    assert ([b.name for b in refs.branches], [t.name for t in refs.tags]) == (['main', 'side'], ['v1'])
    api.delete_branch(repo, branch='side')
    pull = api.create_commit(repo, [CommitOperationAdd('new.txt', b'new')], commit_message='Proposal', create_pr=True)
    assert api.file_exists(repo, 'new.txt', revision=pull.pr_revision) and not api.file_exists(repo, 'new.txt')


def downloads():
    assert Path(hf_hub_download(repo, 'small.txt')).read_bytes() == b'larger'
    assert Path(hf_hub_download(repo, 'small.txt', revision='v1')).read_bytes() == b'larger'
    whole = Path(snapshot_download(repo))
    assert sha256((whole / 'weights.bin').read_bytes()) == sha256((whole / 'copy.bin').read_bytes()) == sha256(weights)
    some = Path(snapshot_download(repo, local_dir=folder / 'local', allow_patterns='*.txt'))
    assert [p.name for p in some.glob('*.*') if p.is_file()] == ['small.txt']
    refused(EntryNotFoundError, hf_hub_download, repo, 'nothing')
    refused(RevisionNotFoundError, hf_hub_download, repo, 'small.txt', revision='nothing')
    refused(RepositoryNotFoundError, hf_hub_download, user + '/nothing', 'small.txt')
    refused(RepositoryNotFoundError, api.model_info, user + '/nothing')
    refused(HfHubHTTPError, HfApi(token='hf_' + 'x' * 34).model_info, repo)


def file_system():
    fs = HfFileSystem(endpoint=endpoint, skip_instance_cache=True)
    with fs.open(f'{repo}/fs/one.txt', 'w') as file:
        file.write('one')
    assert fs.read_text(f'{repo}/fs/one.txt') == 'one'
    fs.cp_file(f'{repo}/weights.bin', f'{repo}/fs/two.bin')
    fs.mv(f'{repo}/fs/one.txt', f'{repo}/fs/moved.txt')
    assert sorted(fs.glob(f'{repo}/fs/*')) == [f'{repo}/fs/moved.txt', f'{repo}/fs/two.bin']
    assert {e['name'] for e in fs.ls(repo)} >= {f'{repo}/fs', f'{repo}/small.txt'}
    with fs.open(f'{repo}/fs/two.bin', 'rb', block_size=100_000) as file:
        file.seek(5_000_000)
        assert file.read(70_000) == weights[5_000_000:5_070_000]
    assert fs.du(f'{repo}/fs') == len(weights) + 3
    fs.rm(f'{repo}/fs', recursive=True)
    assert not fs.exists(f'{repo}/fs')


def many_files():
    """upload_large_folder, which later versions have no more: upload_folder does it there."""
    large = repo + '-large'
    for i in range(30):
        write(folder / f'large/{i % 3}/{i}.{"bin" if i % 5 == 0 else "txt"}', random.randbytes(2000 + i))
    if hasattr(api, 'upload_large_folder'):
        from huggingface_hub import _upload_large_folder
        _upload_large_folder.WAITING_TIME_IF_NO_TASKS = 0.2  # seconds; ten otherwise
        api.upload_large_folder(repo_id=large, folder_path=folder / 'large', repo_type='dataset', num_workers=2, print_report=False)
    else:
        api.create_repo(large, repo_type='dataset')
        api.upload_folder(repo_id=large, folder_path=folder / 'large', repo_type='dataset')
    assert len(api.list_repo_files(large, repo_type='dataset')) == 31
    api.delete_repo(large, repo_type='dataset')


def scheduled():
    """A folder that is committed every few moments."""
    log = folder / 'log'
    write(log / 'a.txt', b'a')
    scheduler = CommitScheduler(repo_id=repo, folder_path=log, path_in_repo='log', every=10)
    scheduler.trigger().result()
    with scheduler.lock:
        write(log / 'b.bin', random.randbytes(1000))
    scheduler.trigger().result()
    scheduler.stop()
    assert {'log/a.txt', 'log/b.bin'} <= set(api.list_repo_files(repo))


def command():
    """`hf upload --every`, until it is interrupted."""
    name = next(n for n in ('hf', 'huggingface-cli') if Path(sys.executable).with_name(n).exists())
    (folder / 'watched').mkdir()
    # 0.29 sends nothing where nothing is included by name.
    every = subprocess.Popen([Path(sys.executable).with_name(name), 'upload', repo, folder / 'watched', 'watched',
                              '--include', '*', '--every', '0.01'], stdout=subprocess.DEVNULL)
    try:
        for path in ('one', 'two'):
            write(folder / f'watched/{path}.txt', path.encode())
            deadline = time.monotonic() + 60
            while not api.file_exists(repo, f'watched/{path}.txt'):
                assert time.monotonic() < deadline and every.poll() is None, f'{path}.txt was not sent'
                time.sleep(0.1)
    finally:
        every.terminate()
        every.wait(20)


for step in (repository, uploads, what_there_is, downloads, file_system, many_files, scheduled, command):
    began = time.monotonic()
    step()
    print(f'{step.__name__}: {time.monotonic() - began:.1f} s', flush=True)
api.delete_repo(repo)
assert not api.repo_exists(repo)
print(huggingface_hub.__version__, 'done')
