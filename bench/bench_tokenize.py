"""How fast text becomes tokens: hug against Hugging Face's tokenizers, one thread, the same text as one
document of a megabyte after another; English, code and mixed scripts (tools/corpus), for each vocabulary
of tools/vocabularies.py. hug gives ids (as encode_batch_fast does) and, in a second row, offsets too (as
encode does). Token counts must agree before anything is timed."""
import json, os, statistics, subprocess, sys, tempfile, time
from pathlib import Path

from common import ROOT, Row

os.environ['TOKENIZERS_PARALLELISM'] = 'false'
sys.path.insert(0, str(ROOT / 'tools'))
SIZE, ROUNDS = 1_000_000, 3
TEXTS = ('english', 'code', 'mixed')


def corpus():
    folder = Path(tempfile.gettempdir()) / 'hug-corpus'
    if not (folder / 'mixed.txt').exists():
        subprocess.run([ROOT / 'tools/corpus', folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def sample(path):
    """From the middle, whole characters."""
    data = path.read_bytes()
    at = max(0, len(data) // 2 - SIZE // 2)
    return data[at:at + SIZE].decode(errors='ignore')


def speed(ours, text, offsets):
    began = time.perf_counter()
    tokens = ours.count([text], offsets)
    return len(text) / 1e6 / (time.perf_counter() - began), tokens


def rows(hug):
    """In the Python that has the peer, which is not the one of bench/run."""
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with subprocess.Popen([python, __file__, hug], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            yield Row(*json.loads(line))
    if child.returncode:
        raise RuntimeError('see above')


def measure():
    import libhug, vocabularies
    folder = corpus()
    for name in vocabularies.NAMES:
        try:
            path, reference = vocabularies.open_vocabulary(name)
        except LookupError:
            continue
        ours = libhug.Tokenizer(path)
        for kind in TEXTS:
            text = sample(folder / f'{kind}.txt')
            data = text.encode()
            figures = {'ids': ([], []), 'offsets': ([], [])}
            for turn in range(ROUNDS + 1):  # the first warms up
                for what, (mine, theirs) in figures.items():
                    mb_s, tokens = speed(ours, data, what == 'offsets')
                    encode = reference.encode_batch if what == 'offsets' else reference.encode_batch_fast
                    began = time.perf_counter()
                    wanted = encode([text], add_special_tokens=False)
                    took = time.perf_counter() - began
                    if len(wanted[0].ids) != tokens:
                        raise RuntimeError(f'{name}, {kind}: {tokens} tokens, the reference has {len(wanted[0].ids)}')
                    if turn:
                        mine.append(mb_s)
                        theirs.append(len(data) / 1e6 / took)
            for what, (mine, theirs) in figures.items():
                yield Row(f'tokenize {kind}: {name}, {what}', statistics.median(mine), statistics.median(theirs), 'MB/s', False, 'tokenizers, 1 thread')


if __name__ == '__main__':
    for row in measure():
        print(json.dumps(row), flush=True)
