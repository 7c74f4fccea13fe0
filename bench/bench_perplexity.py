"""Quality, not speed: the perplexity of the same weights over the same tokens in both engines, and what each type of
weights costs. The text is this repository's own prose. A ratio between 0.995 and 1.005 says that both compute the
same: llama.cpp rounds activations to eight bits where we keep f32."""
import json, subprocess, tempfile
from pathlib import Path

from common import ROOT, Row, said, smollm2, venv
from bench_generate import FLAGS, LLAMA

CONTEXT, WINDOWS = 512, 3

LLAMA_SCRIPT = '''
import json, sys, numpy as np, llama_cpp
path, context, ids = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
m = llama_cpp.Llama(path, n_ctx=context, n_batch=context, n_threads=2, n_threads_batch=2, verbose=False, logits_all=True)
nll = n = 0
for start in range(0, len(ids) - context + 1, context):
    window = ids[start:start + context]
    m.reset(); m.eval(window)
    x = m.scores[context // 2:context - 1].astype(np.float64)
    most = x.max(-1, keepdims=True)
    x = x - most - np.log(np.exp(x - most).sum(-1, keepdims=True))
    nll -= x[np.arange(len(x)), window[context // 2 + 1:]].sum(); n += len(x)
print(json.dumps(float(np.exp(nll / n))))
'''


def text(folder):
    """About WINDOWS windows; runs of spaces are one, because readers of GGUF split them differently before digits."""
    prose = ' '.join(' '.join((ROOT / name).read_text() for name in ('README.md', 'ARCHITECTURE.md', 'docs/train.md')).split())
    path = Path(folder) / 'text.txt'
    path.write_text(prose[:WINDOWS * CONTEXT * 4])
    return path


def rows(hug):
    source = smollm2()
    llama = venv([LLAMA], {'CMAKE_ARGS': FLAGS})
    with tempfile.TemporaryDirectory(prefix='hug-bench-') as folder:
        file = text(folder)
        ids = said(hug, 'tokenize', source, '--file', file, '--json')['ids']
        for dtype in ('q4_1', 'q8_0', 'q6_k', 'q5_0', 'q4_0'):
            model = source
            if dtype != 'q4_1':
                model = Path(folder) / f'{dtype}.gguf'
                subprocess.run([hug, 'convert', source, model, '--dtype', dtype, '--quiet'], check=True)
            mine = said(hug, 'bench', 'perplexity', model, '--file', file, '--context', CONTEXT, '--json')['perplexity']
            peer = subprocess.run([llama, '-c', LLAMA_SCRIPT, model, str(CONTEXT)], input=json.dumps(ids), text=True,
                                  stdout=subprocess.PIPE, check=True).stdout
            yield Row(f'perplexity of SmolLM2 135M {dtype}', mine, json.loads(peer), '', True, 'llama.cpp')
