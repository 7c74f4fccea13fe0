"""Holds src/ to the order in src/LAYERS: includes point down, never up, sideways or inside."""
import re, sys
from pathlib import Path

src = Path(sys.argv[1])
lines = [l.split('#')[0].split() for l in (src / 'LAYERS').read_text().splitlines()]
level = {name: i for i, names in enumerate(lines) for name in names}
errors = [f'{d.name}/: not named in LAYERS' for d in src.iterdir() if d.is_dir() and d.name not in level]
for file in sorted(src.glob('*/**/*.[ch]')):
    folder = file.relative_to(src).parts[0]
    for number, line in enumerate(file.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"(?:\.\./)*([a-z]+)/([^"]+)"', line)
        if not match or match[1] == folder or match[1] == 'hug':
            continue
        where = f'{file.relative_to(src)}:{number}: includes {match[1]}/{match[2]}'
        if match[1] not in level:
            errors.append(f'{where}: no such folder in LAYERS')
        elif level[match[1]] >= level.get(folder, -1):
            errors.append(f'{where}: not below {folder}')
        elif match[2].endswith('_internal.h'):
            errors.append(f'{where}: private to {match[1]}')
print('\n'.join(errors) or f'{len(level)} folders in order')
sys.exit(bool(errors))
