"""Git and large files: a clone of 1,000 commits beside git's own server under nginx, an upload of 1 GB beside hashing and storing it."""
import hashlib, json, os, shutil, subprocess, tempfile, time, urllib.request
from pathlib import Path

from common import Hub, Row, free_port, in_turn, wait_for

COMMITS = 1000
LARGE = 1 << 30
NGINX = '''
daemon off; {2} worker_processes 2; pid {0}/nginx.pid; error_log {0}/error.log;
events {{ worker_connections 512; }}
http {{ access_log off; client_max_body_size 0;
  client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;
  server {{ listen 127.0.0.1:{1};
    location ~ ^/git(/.*)$ {{ fastcgi_pass unix:{0}/cgi; fastcgi_param SCRIPT_FILENAME {3}/git-http-backend;
      fastcgi_param GIT_PROJECT_ROOT {0}; fastcgi_param GIT_HTTP_EXPORT_ALL 1; fastcgi_param PATH_INFO $1;
      fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string;
      fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length; }} }} }}
'''


def make_history(folder):
    """A thousand commits, each of which changes a configuration, a log and one of a hundred scripts."""
    subprocess.run(['git', 'init', '-q', '-b', 'main', folder], check=True)
    importer = subprocess.Popen(['git', '-C', folder, 'fast-import', '--quiet'], stdin=subprocess.PIPE)
    for i in range(COMMITS):
        log = ''.join(f'step {n}: loss {hashlib.md5(str(n).encode()).hexdigest()}\n' for n in range(i + 1))
        files = {'config.json': json.dumps({'step': i, 'rate': 1 / (i + 1)}), 'log.txt': log,
                 f'scripts/{i % 100:02}.py': f'VERSION = {i}\n' * 50}
        lines = [f'commit refs/heads/main\ncommitter Me <me@example.org> {1_700_000_000 + i} +0000\ndata 6\nchange\n']
        lines += [f'M 100644 inline {path}\ndata {len(text)}\n{text}\n' for path, text in files.items()]
        importer.stdin.write(''.join(lines).encode())
    importer.stdin.close()
    if importer.wait():
        raise RuntimeError('git fast-import failed')


def clone_ms(url, folder):
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    subprocess.run(['git', 'clone', '-q', '--bare', url, folder], check=True)
    return 1000 * (time.perf_counter() - began)


def clones(hub, folder, token):
    """Our milliseconds and those of git http-backend, which gets a copy of the very folder that the hub serves."""
    make_history(folder / 'source')
    subprocess.run(['git', '-C', folder / 'source', 'push', '-q', '--force', f'{hub.url}/me/bench'.replace('://', f'://me:{token}@'), 'main'],
                   check=True)
    stored, = (folder / 'data/repos').glob('*/*.git')
    shutil.copytree(stored, folder / 'bench.git')
    exec_path = subprocess.run(['git', '--exec-path'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    root = os.geteuid() == 0
    (folder / 'nginx.conf').write_text(NGINX.format(folder, port := free_port(), 'user root;' if root else '', exec_path))
    cgi = subprocess.Popen(['/usr/sbin/fcgiwrap', '-c', '2', '-s', f'unix:{folder}/cgi'])
    nginx = subprocess.Popen(['/usr/sbin/nginx', '-e', f'{folder}/error.log', '-c', f'{folder}/nginx.conf'])
    try:
        wait_for(port, nginx)
        return in_turn(lambda: clone_ms(f'{hub.url}/me/bench', folder / 'ours'),
                       lambda: clone_ms(f'http://127.0.0.1:{port}/git/bench.git', folder / 'theirs'), rounds=11)
    finally:
        for process in (nginx, cgi):
            process.terminate()
            process.wait()


def sha256_and_store(source, target):
    """MB a second of reading a file, hashing it and writing it durably, in one thread."""
    began = time.perf_counter()
    digest = hashlib.sha256()
    with open(source, 'rb', buffering=0) as read, open(target, 'wb', buffering=0) as write:
        while block := read.read(1 << 18):
            digest.update(block)
            write.write(block)
        os.fsync(write.fileno())
    took = time.perf_counter() - began
    os.remove(target)
    return LARGE / took / 1e6


def put(hub, token, source, salt):
    """MB a second of an upload by git-lfs, from its first byte to the answer. Each time other content: eight bytes differ."""
    with open(source, 'r+b') as file:
        file.write(salt.to_bytes(8, 'little'))
    with open(source, 'rb') as file:
        oid = hashlib.file_digest(file, 'sha256').hexdigest()
    body = json.dumps({'operation': 'upload', 'objects': [{'oid': oid, 'size': LARGE}]}).encode()
    asked = urllib.request.Request(f'{hub.url}/me/bench.git/info/lfs/objects/batch', body, {'Authorization': f'Bearer {token}'})
    href = json.load(urllib.request.urlopen(asked))['objects'][0]['actions']['upload']['href']
    seconds = subprocess.run(['curl', '-sSf', '-T', source, '-o', '/dev/null', '-w', '%{time_total}', href], stdout=subprocess.PIPE, text=True,
                             check=True).stdout
    shutil.rmtree(hub.data / 'blobs/sha256' / oid[:2], ignore_errors=True)  # nothing names it; the disk is not ours alone
    return LARGE / float(seconds) / 1e6


def rows(hug):
    folder = Path(tempfile.mkdtemp(prefix='hug-bench-'))
    hub = Hub(hug, folder / 'data')
    try:
        hub.start()
        token = hub.token('me')
        subprocess.run([hug, 'repos', 'create', 'me/bench'], env=os.environ | {'HF_ENDPOINT': hub.url, 'HF_TOKEN': token},
                       stdout=subprocess.DEVNULL, check=True)
        yield Row('clone of 1,000 commits', *clones(hub, folder, token), 'ms', True, 'git http-backend, nginx')
        source = folder / 'large.bin'
        with open(source, 'wb') as file:
            for _ in range(LARGE >> 24):
                file.write(os.urandom(1 << 24))
        salts = iter(range(1000))
        ours, theirs = in_turn(lambda: put(hub, token, source, next(salts)), lambda: sha256_and_store(source, folder / 'copy'), rounds=3)
        yield Row('upload of 1 GiB by git-lfs', ours, theirs, 'MB/s', False, 'sha256 and a synced file, one thread')
    finally:
        hub.stop()
        shutil.rmtree(folder, ignore_errors=True)
