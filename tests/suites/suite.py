"""What the runners of the clients' own suites share: the Python they run in, a hub of their own, what is excepted."""
import contextlib, os, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get('HUG_CACHE', Path.home() / '.cache/hug'))
sys.path.insert(0, str(ROOT / 'tests'))


def needs(*requirements):
    """Goes on in the environment that has these (the tests' own if none are named): the machine's Python may lack them."""
    python = subprocess.run([ROOT / 'tools/venv', *requirements], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if Path(sys.prefix) != Path(python).parents[1]:
        os.execv(python, [python, *sys.argv])


@contextlib.contextmanager
def hub_of(binary):
    """(hub, folder): `binary serve` over an empty folder, where there is room beside it."""
    os.environ['HUG'] = binary
    from conftest import Hub
    with tempfile.TemporaryDirectory(prefix='hug-suite-') as folder:
        hub = Hub(Path(folder) / 'data').start()
        try:
            yield hub, Path(folder)
        finally:
            hub.stop()


def exceptions(path):
    """{pattern: reason} of each line "PATTERN  # reason"."""
    lines = (line.partition('  # ') for line in path.read_text().splitlines() if line.strip() and line[0] != '#')
    found = {pattern.strip(): reason for pattern, _, reason in lines}
    assert all(found.values()), f'{path}: a line has no reason'
    return found


def skip(why):
    print(why)
    print('0 passed, 0 failed, 1 skipped, 0 excepted')
    sys.exit()


def end(passed, failed, skipped=0, excepted=0):
    print(f'{passed} passed, {failed} failed, {skipped} skipped, {excepted} excepted')
    sys.exit(bool(failed or not passed))
