"""Compiles every header alone: a header brings what it needs."""
import subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

src, compiler = Path(sys.argv[1]), sys.argv[2:]
parts = subprocess.run(['pkg-config', '--cflags', 'jansson', 'libgit2', 'libmicrohttpd', 'libcurl'],
                       capture_output=True, text=True).stdout.split()
flags = ['-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter',
         '-Wno-sign-compare', '-Wno-missing-field-initializers', '-fsyntax-only', f'-I{src}',
         f'-I{src.parent}/include', *parts]


def check(header):
    run = subprocess.run([*compiler, *flags, '-x', 'c', '-'], input=f'#include "{header}"\n',
                         capture_output=True, text=True)
    return f'{header}: {run.stderr}' if run.returncode else ''


headers = sorted(src.glob('*/**/*.h')) + sorted((src.parent / 'include').glob('**/*.h'))
with ThreadPoolExecutor(2) as pool:
    errors = [e for e in pool.map(check, headers) if e]
print('\n'.join(errors) or f'{len(headers)} headers compile alone')
sys.exit(bool(errors))
