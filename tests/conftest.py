"""What the tests of clients/ and browser/ share: a hub of their own, and models to push into it.

Every fixture starts from a fresh `build/hug serve` on a free port with an empty data folder; HF_HOME,
HOME and the git configuration are temporary too, so nothing of the machine leaks in. The Hugging
Face libraries read HF_ENDPOINT when they are imported: it is set here, before any test imports one.

    def test_creates(hub, api):                  # the server, and an HfApi for user "me"
        url = api.create_repo('me/new')
        assert requests.get(f'{hub.url}/me/new').ok

Under `tools/postgres pytest ...` each hub has a schema of its own there instead of a file.

Users: "me" (an administrator) and "you" (an ordinary account); passwords in Hub.passwords."""
import contextlib, http.server, importlib.machinery, importlib.util, os, re, shutil, socket, subprocess, sys, tempfile, threading, time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HUG = Path(os.environ.get('HUG', ROOT / 'build/hug')).resolve()
TEMP = Path(tempfile.mkdtemp(prefix='hug-clients-'))
REAL_HOME = os.path.expanduser('~')
# A PNG of one pixel.
DOT = bytes.fromhex('89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944'
                    '4154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082')


# tools/postgres, which is a command and a module.
_loader = importlib.machinery.SourceFileLoader('postgres', str(ROOT / 'tools/postgres'))
postgres = importlib.util.module_from_spec(importlib.util.spec_from_loader('postgres', _loader))
_loader.exec_module(postgres)
ON_POSTGRES = os.environ.get('HUG_TEST_POSTGRES')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


PORT = free_port()
URL = f'http://127.0.0.1:{PORT}'


def pytest_configure(config):
    for name in [n for n in os.environ if n.startswith(('HF_', 'HUGGING', 'GIT_'))]:
        del os.environ[name]
    home = TEMP / 'home'
    home.mkdir(exist_ok=True)
    os.environ |= {
        'HF_ENDPOINT': URL, 'HF_HOME': str(TEMP / 'hf'), 'HOME': str(home),
        'HF_HUB_DISABLE_TELEMETRY': '1', 'HF_HUB_DISABLE_PROGRESS_BARS': '1',
        'TRANSFORMERS_VERBOSITY': 'error', 'TOKENIZERS_PARALLELISM': 'false',
        'GIT_TERMINAL_PROMPT': '0', 'GIT_CONFIG_NOSYSTEM': '1', 'NO_PROXY': '127.0.0.1',
        # Two cores: the libraries must not start a thread pool each.
        'OMP_NUM_THREADS': '2',
    }
    (home / '.gitconfig').write_text('[user]\n\tname = Me\n\temail = me@example.org\n'
                                     '[init]\n\tdefaultBranch = main\n')


def pytest_unconfigure(config):
    shutil.rmtree(TEMP, ignore_errors=True)


def pytest_report_header(config):
    return f'{HUG} at {URL}, everything in {TEMP}'


class Hub:
    """A `hug serve` process over one data folder: start, stop, kill, restart, and `hug admin`."""
    passwords = {'me': 'correct horse battery', 'you': 'staple horse correct'}

    def __init__(self, data, port=None, args=(), db=None):
        self.data = Path(data)
        self.db = db or (postgres.new_schema(ON_POSTGRES) if ON_POSTGRES else None)
        self.port = port or free_port()
        self.url = f'http://127.0.0.1:{self.port}'
        self.args = list(args)
        self.log = self.data.with_name(self.data.name + '.log')
        self.process = None

    @property
    def place(self):
        """The options that say where everything lies."""
        return ['--data', self.data] + (['--db', self.db] if self.db else [])

    def start(self):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [HUG, 'serve', *self.place, '--listen', f'127.0.0.1:{self.port}', *self.args],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f'hug serve does not answer; its last words:\n{self.tail()}')

    def stop(self):
        """The polite way; the exit status."""
        if self.process:
            self.process.terminate()
            try:
                return self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise

    def kill(self):
        """As a power cut does it: SIGKILL, at once."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def tail(self, lines=40):
        return '\n'.join(self.log.read_text(errors='replace').splitlines()[-lines:])

    def admin(self, *args, input=None):
        """Runs `hug admin ARGS`; what it prints, without the white space around it."""
        done = subprocess.run([HUG, 'admin', *args, *self.place], input=input, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, f'hug admin {" ".join(args)}: {done.stderr}'
        return done.stdout.strip()

    def password_of(self, name):
        return self.passwords.get(name, name + ' has a password')

    def add_user(self, name, *args):
        self.admin('user', 'add', name, '--password-stdin', *args, input=self.password_of(name) + '\n')

    def add_token(self, user, role='write', name='tests'):
        return self.admin('token', 'add', '--user', user, '--role', role, '--name', name)

    @property
    def memory_mb(self):
        """Resident memory of the server, now and at its highest, in MB."""
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        values = dict(line.split(':', 1) for line in status.splitlines() if ':' in line)
        return tuple(int(values[key].split()[0]) / 1024 for key in ('VmRSS', 'VmHWM'))


class Ear:
    """A server that notes what it is sent, as (path, headers, body); `status` is what it answers, after
    `delay` seconds."""
    def __init__(self, port=0):
        ear, self.heard, self.status, self.delay = self, [], 200, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                time.sleep(ear.delay)
                ear.heard.append((self.path, dict(self.headers), body))
                self.send_response(ear.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Meter:
    """Stands before the hub and counts the bytes of both directions. What `holds(meter, data)`, and all that follows in
    its connection, is not passed on."""

    def __init__(self, port, holds=None):
        self.up, self.down, self.holds = 0, 0, holds
        self.target = port
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = 'http://127.0.0.1:%d' % self.listener.getsockname()[1]
        self.released = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def let_go(self):
        """What is held is cut off; nothing is held from now on."""
        self.holds = None
        self.released.set()

    def close(self):
        self.let_go()
        self.listener.shutdown(socket.SHUT_RDWR)    # close() alone leaves accept() waiting
        self.listener.close()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            try:
                far = socket.create_connection(('127.0.0.1', self.target))
            except OSError:    # the hub is gone
                near.close()
                continue
            threading.Thread(target=self.pump, args=(near, far, 'up'), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, 'down'), daemon=True).start()

    def pump(self, source, sink, way):
        try:
            while data := source.recv(1 << 18):
                setattr(self, way, getattr(self, way) + len(data))
                if self.holds and self.holds(self, data):
                    return self.released.wait()
                sink.sendall(data)
        except OSError:
            pass
        finally:
            for s in source, sink:
                try:
                    s.shutdown(socket.SHUT_RDWR)    # wakes the other thread
                except OSError:
                    pass
                s.close()    # and with what nobody has read, tells the sender so

    def take(self):
        """(up, down) since the last call."""
        counts = self.up, self.down
        self.up = self.down = 0
        return counts


def until(condition, what, seconds=15):
    """Waits for it; `what` says, when it has not come, what there is instead."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)


class Site:
    """The pages, as somebody who has logged in with a password sees them: `get` and `post` of forms, and `submit`,
    which goes on to the page that the form leads to. Without a user: as a visitor sees them."""
    def __init__(self, hub, user=None, headers={}):
        import requests    # not at the top: the suite's runner imports this file, and has none
        self.hub, self.s = hub, requests.Session()
        self.s.headers.update({'Accept': 'text/html'} | headers)
        self.csrf = self.token('/login')
        if not user:
            return
        self.password = hub.password_of(user)
        self.post('/login', name=user, password=self.password)
        self.csrf = self.token('/')

    def token(self, path):
        return re.search(r'name="csrf" content="([^"]+)"', self.get(path).text)[1]

    def get(self, path):
        return self.s.get(self.at(path), allow_redirects=False)

    def post(self, path, files=None, **fields):
        return self.s.post(self.at(path), data={'csrf': self.csrf} | fields, files=files, allow_redirects=False)

    def submit(self, path, **fields):
        answer = self.post(path, **fields)
        return self.s.get(self.at(answer.headers['Location'])) if answer.is_redirect else answer

    def at(self, path):
        return path if path.startswith('http') else self.hub.url + path


@pytest.fixture(scope='session')
def hub():
    """The hub that HF_ENDPOINT names. hub.token is a write token of "me", hub.read_token a read-only
    one, hub.other_token a write token of "you". Tests share it: use names of your own."""
    hub = Hub(TEMP / 'data', PORT).start()
    hub.add_user('me', '--admin')
    hub.add_user('you')
    hub.token = hub.add_token('me')
    hub.read_token = hub.add_token('me', 'read', 'reader')
    hub.other_token = hub.add_token('you')
    yield hub
    hub.stop()


@contextlib.contextmanager
def serving(folder, *args):
    """A hub of one's own in a folder, with these options: "me", an administrator, and hub.token."""
    hub = Hub(folder / 'data', args=args).start()
    try:
        hub.add_user('me', '--admin')
        hub.token = hub.add_token('me')
        yield hub
    finally:
        if hub.process.poll() is None:
            hub.stop()


@contextlib.contextmanager
def disk_of(megabytes, folder):
    """A folder that is a small disk; skips where none may be mounted."""
    folder.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={megabytes}m', 'tmpfs', folder], capture_output=True).returncode:
        pytest.skip('no right to mount a small disk')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '-l', folder], check=True)


@pytest.fixture
def own_hub(tmp_path):
    """A hub for one test alone: to be killed, restarted, measured."""
    with serving(tmp_path) as hub:
        yield hub


@pytest.fixture
def parts_hub(tmp_path):
    """The same, with git-lfs parts of a megabyte: what is larger than eight comes in parts."""
    with serving(tmp_path, '--lfs-part-size', '1M') as hub:
        yield hub


@pytest.fixture(autouse=True)
def log_of_failures(request):
    """What the server logged meanwhile goes into the report of a test that fails."""
    hub = request.getfixturevalue('hub') if 'hub' in request.fixturenames else None
    start = hub.log.stat().st_size if hub else 0
    yield
    if hub:
        with open(hub.log, 'rb') as log:
            log.seek(start)
            print('--- hug serve ---', log.read()[-4000:].decode(errors='replace'), sep='\n')


@pytest.fixture(scope='session')
def api(hub):
    from huggingface_hub import HfApi
    return HfApi(endpoint=hub.url, token=hub.token)


@pytest.fixture
def auth(hub):
    """Headers of "me" for plain requests."""
    return {'Authorization': f'Bearer {hub.token}'}


def run(*command, ok=True, cwd=None, input=None, **env):
    """Runs a command; its standard output. ok=False: the CompletedProcess, whatever it said."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, input=input, text=True, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | env)
    if not ok:
        return done
    assert done.returncode == 0, f'{command}: {done.returncode}\n{done.stdout}\n{done.stderr}'
    return done.stdout


def library_environment():
    """LIBHUG, the library built beside the binary, and what a Python that loads it needs in its environment: a
    library with sanitizers wants their runtime loaded first."""
    library = next(iter(HUG.parent.glob('**/libhug.so')))
    env = {'LIBHUG': str(library)}
    if '__asan_init' in run('nm', '-D', library):
        env |= {'LD_PRELOAD': run('gcc', '-print-file-name=libasan.so').strip(), 'ASAN_OPTIONS': 'detect_leaks=0'}
    return env


@pytest.fixture
def hf(hub):
    """hf('upload', 'me/x', folder): the `hf` command of today's huggingface_hub, logged in as me."""
    return lambda *args, **more: run(Path(sys.executable).with_name('hf'), *args,
                                     **{'HF_TOKEN': hub.token} | more)


@pytest.fixture
def hug(hub):
    """hug('download', 'me/x'): our own command, logged in as me, with a cache of its own."""
    return lambda *args, **more: run(HUG, *args, **{'HF_TOKEN': hub.token,
                                                    'HF_HOME': str(TEMP / 'hug')} | more)


@pytest.fixture
def git(hub, tmp_path):
    """git('clone', url, cwd=...): git and git-lfs without anybody's credentials."""
    return lambda *args, **more: run('git', *args, **{'cwd': tmp_path} | more)


@pytest.fixture(scope='session')
def tiny_tokenizer():
    """A byte-level BPE trained on a few lines: 512 tokens, as GPT-2's is built."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast
    text = (ROOT / 'ARCHITECTURE.md').read_text()
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(text.splitlines(), vocab_size=512, special_tokens=['<|endoftext|>'],
                            show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, bos_token='<|endoftext|>',
                                   eos_token='<|endoftext|>', unk_token='<|endoftext|>',
                                   model_max_length=256)


@pytest.fixture(scope='session')
def tiny_gpt2(tiny_tokenizer):
    """A folder with a GPT-2 of two layers as transformers saves it: config, safetensors, tokenizer."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=len(tiny_tokenizer), n_positions=256, n_embd=64, n_layer=2, n_head=4,
                        bos_token_id=0, eos_token_id=0)
    return saved(GPT2LMHeadModel(config), tiny_tokenizer, TEMP / 'tiny-gpt2')


@pytest.fixture(scope='session')
def tiny_llama(tiny_tokenizer):
    """The same for a Llama with grouped queries and untied embeddings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    torch.manual_seed(2)
    config = LlamaConfig(vocab_size=len(tiny_tokenizer), hidden_size=64, intermediate_size=160,
                         num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                         max_position_embeddings=256, bos_token_id=0, eos_token_id=0)
    return saved(LlamaForCausalLM(config), tiny_tokenizer, TEMP / 'tiny-llama')


def saved(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / 'README.md').write_text('---\nlicense: apache-2.0\npipeline_tag: text-generation\n'
                                      'library_name: transformers\n---\n# Tiny\n\nRandom weights.\n')
    return folder


@pytest.fixture(scope='session')
def node_packages():
    """A folder whose node_modules has the JavaScript clients; skips where there is no node."""
    if not shutil.which('node'):
        pytest.skip('node is not installed')
    return Path(run(ROOT / 'tools/node', HOME=REAL_HOME).strip())


@pytest.fixture(scope='session')
def smollm2():
    """The path of a real small model's .gguf; skips where it cannot be fetched."""
    done = run(ROOT / 'tools/weights', ok=False, HOME=REAL_HOME)
    if done.returncode:
        pytest.skip('SmolLM2 could not be fetched: ' + done.stderr.strip())
    return Path(done.stdout.strip())


@pytest.fixture(scope='session')
def python_openai():
    """The Python of an environment with OpenAI's client."""
    return run(ROOT / 'tools/venv', 'tests/clients/requirements-openai.txt', HOME=REAL_HOME).strip()


@pytest.fixture(scope='session')
def python_datasets():
    """The Python of an environment with the datasets library, pandas, polars and DuckDB."""
    return run(ROOT / 'tools/venv', 'tests/clients/requirements-datasets.txt', HOME=REAL_HOME).strip()
