"""Turns files into one C file, so that they are part of the binary: embed.py OUT.c FILE...

Each becomes a row {name, bytes, size, hash} of `embedded` (web/embedded.h); the name is its last two
parts, "templates/home.html"."""
import hashlib, sys
from pathlib import Path

out, *files = sys.argv[1:]
rows, arrays = [], []
for i, name in enumerate(files):
    path = Path(name)
    data = path.read_bytes()
    numbers = ','.join(map(str, data + b'\0'))
    arrays.append(f'static const unsigned char bytes_{i}[] = {{{numbers}}};')
    rows.append(f'    {{"{path.parent.name}/{path.name}", (const char *)bytes_{i}, {len(data)}, '
                f'"{hashlib.sha256(data).hexdigest()[:12]}"}},')
Path(out).write_text('#include "web/embedded.h"\n\n' + '\n'.join(arrays) +
                     '\n\nconst Embedded embedded[] = {\n' + '\n'.join(rows) +
                     f'\n}};\nconst size_t embedded_n = {len(files)};\n')
