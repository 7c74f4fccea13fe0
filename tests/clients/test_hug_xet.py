"""`hug upload` and `hug download` by Xet, beside hf_xet: each reads what the other wrote, a changed file
moves its changes alone, and what was cut off goes on."""
import filecmp
import hashlib
import os
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download, snapshot_download

from conftest import HUG, Meter, disk_of, run

MB = 1_000_000


@pytest.fixture
def home(tmp_path):
    return {'HF_HOME': str(tmp_path / 'home')}


def sent(hub, *args, **env):
    """Runs `hug upload`; the bytes of large files that it says it has sent."""
    done = run(HUG, 'upload', *args, ok=False, HF_TOKEN=hub.token, **env)
    assert done.returncode == 0, done.stderr
    found = re.search(r'sent ([\d.]+) (B|kB|MB) of', done.stderr)
    return float(found[1]) * {'B': 1, 'kB': 1e3, 'MB': 1e6}[found[2]] if found else None


def change(path, at, content, insert=False):
    data = bytearray(path.read_bytes())
    data[at:at if insert else at + len(content)] = content
    path.write_bytes(data)


def test_each_reads_what_the_other_wrote(hub, hug, api, home, tmp_path):
    """Random bytes, floats that pack well by groups, and text; sizes around the edges of chunks."""
    rng = random.Random(7)
    files = tmp_path / 'files'
    files.mkdir()
    (files / 'random.bin').write_bytes(rng.randbytes(9 * MB + 1))
    (files / 'floats.bin').write_bytes(b''.join(bytes([rng.randrange(256), rng.randrange(256), 0x80, 0x3f])
                                                for _ in range(500_000)))
    (files / 'zeros.bin').write_bytes(b'\0' * 5 * MB)
    (files / 'chunk.bin').write_bytes(b'\0' * 131_072)
    (files / 'one.bin').write_bytes(b'1')
    (files / '.gitattributes').write_text('*.bin filter=lfs diff=lfs merge=lfs -text\n')
    hug('upload', 'me/xet-by-hug', files, **home)
    theirs = snapshot_download('me/xet-by-hug', cache_dir=tmp_path / 'theirs')
    api.create_repo('me/xet-by-hf')
    api.upload_folder(folder_path=files, repo_id='me/xet-by-hf')
    ours = hug('download', 'me/xet-by-hf', **home).strip()
    for name in sorted(os.listdir(files)):
        assert filecmp.cmp(f'{theirs}/{name}', files / name, shallow=False), name
        assert filecmp.cmp(f'{ours}/{name}', files / name, shallow=False), name
    # Both cut and hash alike: the files have the same hash at the store.
    hashes = [{f.path: f.xet_hash for f in api.list_repo_tree(repo, expand=False) if f.path.endswith('.bin')}
              for repo in ('me/xet-by-hug', 'me/xet-by-hf')]
    assert hashes[0] == hashes[1] and all(hashes[0].values())


def test_a_changed_file_moves_its_changes_alone(hub, hug, home, tmp_path):
    weights = tmp_path / 'w.safetensors'
    weights.write_bytes(os.urandom(60 * MB))
    assert sent(hub, 'me/changed', weights, **home) is None  # all of it
    change(weights, 20 * MB, b'x' * 1000)
    change(weights, 40 * MB, b'four', insert=True)
    assert sent(hub, 'me/changed', weights, **home) < 0.01 * 60 * MB
    # Without our notes the hub says what it has.
    shutil.rmtree(tmp_path / 'home/xet')
    change(weights, 50 * MB, b'y' * 1000)
    assert sent(hub, 'me/changed', weights, **home) < 0.01 * 60 * MB
    # A copy elsewhere, beside another file, moves nothing.
    (tmp_path / 'more').mkdir()
    shutil.copy(weights, tmp_path / 'more/copy.safetensors')
    (tmp_path / 'more/again.safetensors').write_bytes(weights.read_bytes()[:30 * MB])
    assert sent(hub, 'me/elsewhere', tmp_path / 'more', **home) < 0.01 * 60 * MB
    got = hug('download', 'me/elsewhere', 'copy.safetensors', **home).strip()
    assert filecmp.cmp(got, weights, shallow=False)


def test_a_piece_that_many_parts_share_comes_once(hub, hug, home, tmp_path):
    """What is new all over a file lies together in one xorb, and the hub offers it as one piece."""
    weights = tmp_path / 'w.bin'
    weights.write_bytes(os.urandom(40 * MB))
    hug('upload', 'me/scattered', weights, **home)
    for at in range(MB, 40 * MB, MB):
        change(weights, at, b'changed')
    hug('upload', 'me/scattered', weights, **home)
    meter = Meter(hub.port)
    got = hug('download', 'me/scattered', **home, HF_ENDPOINT=meter.url).strip()
    assert filecmp.cmp(f'{got}/w.bin', weights, shallow=False)
    assert meter.down < 1.05 * 40 * MB
    meter.close()


def test_many_small_files_are_not_many_questions(hub, hug, home, tmp_path):
    files = tmp_path / 'files'
    files.mkdir()
    for i in range(300):
        (files / f'{i}.bin').write_bytes(os.urandom(2000))
    (files / '.gitattributes').write_text('*.bin filter=lfs diff=lfs merge=lfs -text\n')
    log = hub.log.stat().st_size
    hug('upload', 'me/many-small', files, **home)
    with open(hub.log) as lines:
        lines.seek(log)
        text = lines.read()
    assert text.count('/xorbs/') == 1 and 0 < text.count('/chunks/') < 50
    got = hug('download', 'me/many-small', **home).strip()
    assert all(filecmp.cmp(f'{got}/{i}.bin', files / f'{i}.bin', shallow=False) for i in range(300))


def test_notes_that_the_hub_has_forgotten_do_not_hold(own_hub, home, tmp_path):
    env = home | {'HF_ENDPOINT': own_hub.url}
    (tmp_path / 'w.bin').write_bytes(os.urandom(6 * MB))
    sent(own_hub, 'me/first', tmp_path / 'w.bin', **env)
    own_hub.stop()
    shutil.rmtree(own_hub.data / 'xet')
    own_hub.start()
    run(HUG, 'repos', 'delete', 'me/first', '--yes', HF_TOKEN=own_hub.token, **env)
    change(tmp_path / 'w.bin', 3 * MB, b'new')
    assert sent(own_hub, 'me/second', tmp_path / 'w.bin', **env) is None
    got = run(HUG, 'download', 'me/second', 'w.bin', HF_TOKEN=own_hub.token, **env).strip()
    assert filecmp.cmp(got, tmp_path / 'w.bin', shallow=False)


def test_without_xet_everything_goes_by_lfs(hub, hug, home, tmp_path):
    (tmp_path / 'w.bin').write_bytes(os.urandom(6 * MB))
    off = home | {'HF_HUB_DISABLE_XET': '1'}
    hug('upload', 'me/without-xet', tmp_path / 'w.bin', **off)
    assert filecmp.cmp(hug('download', 'me/without-xet', 'w.bin', **off).strip(), tmp_path / 'w.bin', shallow=False)
    assert not (tmp_path / 'home/xet').exists()


def wait_for(process, seen):
    """Until seen() is true, or the process is done."""
    while process.poll() is None and not seen():
        time.sleep(0.002)


def killed_when(process, seen):
    """kill -9 as soon as seen() is true; False if the process was done before."""
    wait_for(process, seen)
    process.kill()
    process.communicate()
    return process.returncode == -9


def is_half_sent(home):
    """Whether an upload of 100 MB has noted about half of its chunks as sent."""
    return any(len(p.name) == 64 and p.stat().st_size > 30_000 for p in (Path(home['HF_HOME']) / 'xet').rglob('*'))


def before_the_shard(hub):
    """A way to the hub that lets xorbs come and no shard: an upload does not end before we look."""
    return Meter(hub.port, lambda _, data: b'/shards ' in data)


def start(hub, *args, **env):
    return subprocess.Popen([HUG, *map(str, args)], env=os.environ | {'HF_TOKEN': hub.token} | env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_killed_upload_goes_on(hub, api, home, tmp_path):
    weights = tmp_path / 'w.bin'
    weights.write_bytes(os.urandom(100 * MB))
    meter = before_the_shard(hub)
    env = home | {'HF_ENDPOINT': meter.url}
    process = start(hub, 'upload', 'me/killed', weights, **env)
    assert killed_when(process, lambda: is_half_sent(home))
    meter.let_go()
    assert 'w.bin' not in api.list_repo_files('me/killed')
    assert sent(hub, 'me/killed', weights, **env) < 60 * MB
    meter.close()
    assert filecmp.cmp(hf_hub_download('me/killed', 'w.bin', cache_dir=tmp_path / 'c'), weights, shallow=False)


def test_a_killed_download_goes_on(hub, hug, home, tmp_path):
    weights = tmp_path / 'w.bin'
    weights.write_bytes(os.urandom(100 * MB))
    hug('upload', 'me/broken-off', weights, **home)
    # Of many pieces: a few are fetched ahead, each is written when it has come whole.
    for at in range(5 * MB, 100 * MB, 5 * MB):
        change(weights, at, b'changed')
    hug('upload', 'me/broken-off', weights, **home)
    blobs = Path(home['HF_HOME']) / 'hub/models--me--broken-off/blobs'
    part = lambda: max([p.stat().st_size for p in blobs.glob('*.incomplete')], default=0)
    meter = Meter(hub.port, lambda meter, _: meter.down > 50 * MB)    # else it may be done before we look
    process = start(hub, 'download', 'me/broken-off', **home, HF_ENDPOINT=meter.url)
    assert killed_when(process, lambda: part() > 10 * MB)
    meter.close()
    kept, = blobs.glob('*.incomplete')
    # What is there is a beginning of the file; it is not fetched again.
    assert filecmp.cmp(kept, weights, shallow=False) or weights.read_bytes().startswith(kept.read_bytes())
    before = kept.stat().st_ino
    path = hug('download', 'me/broken-off', **home).strip()
    assert filecmp.cmp(f'{path}/w.bin', weights, shallow=False)
    assert os.stat(f'{path}/w.bin').st_ino == before and not list(blobs.glob('*.incomplete'))
    assert snapshot_download('me/broken-off', cache_dir=Path(home['HF_HOME']) / 'hub', local_files_only=True) == path


def test_many_who_want_one_file_fetch_it_once(hub, hug, home, tmp_path):
    (tmp_path / 'w.bin').write_bytes(os.urandom(40 * MB))
    hug('upload', 'me/wanted', tmp_path / 'w.bin', **home)
    log = hub.log.stat().st_size
    four = [start(hub, 'download', 'me/wanted', 'w.bin', **home) for _ in range(4)]
    paths = {p.communicate()[0] for p in four}
    assert [p.returncode for p in four] == [0] * 4 and len(paths) == 1
    assert filecmp.cmp(paths.pop().decode().strip(), tmp_path / 'w.bin', shallow=False)
    with open(hub.log) as lines:
        lines.seek(log)
        assert lines.read().count('/reconstructions/') == 1


def test_hf_and_hug_wait_for_each_other(hub, hug, home, tmp_path):
    """Both take the same lock: whoever comes second finds the file there."""
    from filelock import FileLock
    (tmp_path / 'w.bin').write_bytes(os.urandom(5 * MB))
    hug('upload', 'me/locked', tmp_path / 'w.bin', **home)
    cache = tmp_path / 'cache'
    etag = hashlib.sha256((tmp_path / 'w.bin').read_bytes()).hexdigest()
    lock = cache / f'.locks/models--me--locked/{etag}.lock'
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        process = start(hub, 'download', 'me/locked', 'w.bin', '--cache-dir', cache, **home)
        time.sleep(0.5)
        assert process.poll() is None and not list(cache.glob('models--me--locked/blobs/*'))
    assert process.wait(30) == 0 and filecmp.cmp(process.stdout.read().decode().strip(), tmp_path / 'w.bin', shallow=False)
    process.stdout.close(), process.stderr.close()


def test_an_upload_survives_its_hub(own_hub, home, tmp_path):
    """The hub dies in the middle of it and comes back: one line says so, and the next attempt goes on."""
    meter = before_the_shard(own_hub)
    env = home | {'HF_ENDPOINT': meter.url}
    weights = tmp_path / 'w.bin'
    weights.write_bytes(os.urandom(100 * MB))
    process = start(own_hub, 'upload', 'me/survives', weights, **env)
    wait_for(process, lambda: is_half_sent(home))
    own_hub.kill()
    meter.let_go()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and said.count(b'\n') == 1, said
    own_hub.start()
    assert sent(own_hub, 'me/survives', weights, **env) < 60 * MB
    got = run(HUG, 'download', 'me/survives', 'w.bin', HF_TOKEN=own_hub.token, **env).strip()
    assert filecmp.cmp(got, weights, shallow=False)
    meter.close()


@pytest.fixture
def small_disk(tmp_path):
    with disk_of(24, tmp_path / 'disk') as disk:
        yield disk


@pytest.mark.parametrize('xet', ['', '1'])
def test_a_full_disk_is_said_and_spoils_nothing(hub, hug, api, home, small_disk, tmp_path, xet):
    env = {'HF_HUB_DISABLE_XET': xet} | home
    repo = f'me/too-large{xet}'
    files = tmp_path / 'files'
    files.mkdir()
    (files / 'fits.bin').write_bytes(os.urandom(8 * MB))
    hug('upload', repo, files, **env)
    hug('download', repo, '--cache-dir', small_disk, **env)
    (files / 'large.bin').write_bytes(os.urandom(30 * MB))
    hug('upload', repo, files, **env)
    done = run(HUG, 'download', repo, '--cache-dir', small_disk, ok=False, HF_TOKEN=hub.token, **env)
    assert done.returncode == 1 and 'No space left' in done.stderr and done.stderr.count('\n') == 1, done.stderr
    # What was there before is still what it was, for both commands.
    old = hug('download', repo, '--cache-dir', small_disk, HF_HUB_OFFLINE='1', **env).strip()
    assert filecmp.cmp(f'{old}/fits.bin', files / 'fits.bin', shallow=False)
    hug('cache', 'verify', repo, '--cache-dir', small_disk, '--revision', os.path.basename(old), **env)
    assert snapshot_download(repo, cache_dir=small_disk, local_files_only=True) == old
    # With room again it goes on.
    hug('cache', 'prune', '--yes', '--cache-dir', small_disk, **env)
    (files / 'large.bin').unlink()
    api.delete_file('large.bin', repo)
    assert 'large.bin' not in os.listdir(hug('download', repo, '--cache-dir', small_disk, **env).strip())
