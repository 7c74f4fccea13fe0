#!/usr/bin/env python3
"""libhug exports the functions that include/hug declares, all of them and nothing else."""
import re, subprocess, sys
from pathlib import Path

headers = sorted((Path(__file__).resolve().parent.parent / 'include/hug').glob('*.h'))
declared = {name for h in headers for name in re.findall(r'HUG_API[^;(]*?(hug_\w+)\(', h.read_text())}
lines = subprocess.run(['nm', '-D', '--defined-only', sys.argv[1]], check=True, capture_output=True,
                       text=True).stdout.splitlines()
exported = {line.split()[-1] for line in lines}
for name in sorted(declared - exported):
    print(f'{name} is declared but not exported')
for name in sorted(exported - declared):
    print(f'{name} is exported but not declared')
sys.exit(declared != exported or not declared)
