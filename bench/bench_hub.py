"""The hub beside nginx: start-up, memory at rest, requests a second, large downloads."""
import os, re, shutil, subprocess, tempfile, time
from pathlib import Path

from common import ROOT, Hub, Row, free_port, in_turn, wait_for

LARGE = 1 << 30
NGINX = '''
daemon off; {2} worker_processes 2; pid {0}/nginx.pid; error_log {0}/error.log;
events {{ worker_connections 512; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {0}/t1; proxy_temp_path {0}/t2; fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;
  server {{ listen 127.0.0.1:{1}; root {0}/www; }} }}
'''


def wrk(url, seconds=4):
    """Requests a second of 16 connections by one thread; any answer but 2xx is an error."""
    said = subprocess.run(['wrk', '-t1', '-c16', f'-d{seconds}s', url], stdout=subprocess.PIPE, text=True, check=True).stdout
    if 'Non-2xx' in said:
        raise RuntimeError(f'{url}: {said}')
    return float(re.search(r'Requests/sec:\s+([\d.]+)', said)[1])


def download(url):
    """MB a second of one whole download into nothing."""
    said = subprocess.run(['curl', '-sSfL', '-o', '/dev/null', '-w', '%{size_download} %{time_total}', url],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert int(said[0]) == LARGE, said
    return int(said[0]) / float(said[1]) / 1e6


def bare_server(folder):
    """Compiles and starts libmicrohttpd alone; its address and process."""
    program = folder / 'bare_server'
    subprocess.run(['cc', '-O2', '-o', program, ROOT / 'bench/bare_server.c', '-lmicrohttpd'], check=True)
    process = subprocess.Popen([program, str(port := free_port())])
    wait_for(port, process)
    return f'http://127.0.0.1:{port}/', process


def start_ms(hub):
    began = time.perf_counter()
    hub.start()
    took = time.perf_counter() - began
    hub.stop()
    return 1000 * took


def rows(hug):
    folder = Path(tempfile.mkdtemp(prefix='hug-bench-'))
    nginx = bare = None
    hub = Hub(hug, folder / 'data')
    try:
        hub.start()
        token = hub.token('me')
        www = folder / 'www'
        www.mkdir()
        (www / 'small.json').write_bytes(b'{' + b' ' * 10238 + b'}')
        with open(www / 'large.bin', 'wb') as file:
            for _ in range(LARGE >> 24):
                file.write(os.urandom(1 << 24))
        environment = os.environ | {'HF_ENDPOINT': hub.url, 'HF_TOKEN': token}
        subprocess.run([hug, 'upload', '-q', 'me/bench', www], env=environment, stdout=subprocess.DEVNULL, check=True)
        hub.stop()

        yield Row('start to first connection', in_turn(lambda: start_ms(hub), rounds=11)[0], None, 'ms', True)
        hub.start()
        time.sleep(1)
        yield Row('memory at rest', hub.resident_mb(), None, 'MB', True)

        (folder / 'nginx.conf').write_text(NGINX.format(folder, port := free_port(), 'user root;' if os.geteuid() == 0 else ''))
        nginx = subprocess.Popen(['/usr/sbin/nginx', '-e', f'{folder}/error.log', '-c', f'{folder}/nginx.conf'])
        wait_for(port, nginx)
        peer = f'http://127.0.0.1:{port}'
        library, bare = bare_server(folder)
        model, small = f'{hub.url}/api/models/me/bench', f'{hub.url}/me/bench/resolve/main/small.json'
        info, resolved, plain, least = in_turn(*(lambda url=url: wrk(url, 2) for url in (model, small, f'{peer}/small.json', library)))
        yield Row('GET /api/models/me/bench', info, plain, 'req/s', False, 'nginx, a plain file of 10 KB')
        yield Row('GET resolve of 10 KB', resolved, plain, 'req/s', False, 'nginx, a plain file of 10 KB')
        yield Row('GET resolve of 10 KB', resolved, least, 'req/s', False, 'libmicrohttpd alone, 10 KB of memory')
        ours, theirs = in_turn(lambda: download(f'{hub.url}/me/bench/resolve/main/large.bin'), lambda: download(f'{peer}/large.bin'))
        yield Row('download of 1 GiB in LFS', ours, theirs, 'MB/s', False, 'nginx, sendfile')
        yield Row('memory after that', hub.resident_mb(), None, 'MB', True)
    finally:
        hub.stop()
        for process in filter(None, (nginx, bare)):
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
