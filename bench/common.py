"""What the benchmarks share: rows, medians, taking turns, a hub to measure, and cached weights."""
import collections, json, os, socket, statistics, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Row = collections.namedtuple('Row', 'what hug peer unit less_is_better peer_name', defaults=('',))
ROUNDS = int(os.environ.get('BENCH_ROUNDS', 5))


def in_turn(*contestants, rounds=ROUNDS):
    """Calls each in turn, round after round; the median of each one's figures."""
    figures = [[] for _ in contestants]
    for _ in range(rounds):
        for values, contestant in zip(figures, contestants):
            values.append(contestant())
    return [statistics.median(values) for values in figures]


def said(*command):
    """What a command prints as JSON."""
    return json.loads(subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, check=True).stdout)


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(port, process):
    while process.poll() is None:
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.0005)
    raise RuntimeError('the server ended')


class Hub:
    """hug serve over a folder of its own, logging nothing."""

    def __init__(self, hug, data):
        self.hug, self.data, self.port = hug, data, free_port()
        self.url, self.process = f'http://127.0.0.1:{self.port}', None

    def start(self):
        self.process = subprocess.Popen([self.hug, 'serve', '--data', self.data, '--listen', f'127.0.0.1:{self.port}',
                                         '--log', 'error', '--no-request-log', '--rate-window', '0'], stdout=subprocess.DEVNULL)
        wait_for(self.port, self.process)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def token(self, user):
        subprocess.run([self.hug, 'admin', 'user', 'add', user, '--data', self.data], check=True)
        return subprocess.run([self.hug, 'admin', 'token', 'add', '--user', user, '--data', self.data],
                              check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def resident_mb(self):
        for line in Path(f'/proc/{self.process.pid}/status').read_text().splitlines():
            if line.startswith('VmRSS'):
                return int(line.split()[1]) / 1024


def venv(packages, environment=None):
    """The Python of a cached virtual environment with these packages, made if it is not there."""
    listing = Path(tempfile.mkdtemp()) / 'requirements.txt'
    listing.write_text('\n'.join(packages) + '\n')
    done = subprocess.run([ROOT / 'tools/venv', listing], env=os.environ | (environment or {}), stdout=subprocess.PIPE,
                          text=True, check=True)
    return done.stdout.strip()


def smollm2():
    """The weights that the demo shows."""
    return Path(subprocess.run([ROOT / 'tools/weights'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
