"""Text generation beside the peers: SmolLM2 (Q4_1) and llama.cpp, GPT-2 124M and PyTorch."""
import json, subprocess, tempfile
from pathlib import Path

from common import ROOT, ROUNDS, Row, in_turn, said, smollm2, venv

# llama.cpp's own detection chooses AMX where it is, and that build crashes with gcc 12.
LLAMA = 'llama-cpp-python==0.3.36'
FLAGS = ('-DGGML_NATIVE=OFF -DGGML_AVX512=ON -DGGML_AVX512_VBMI=ON -DGGML_AVX512_VNNI=ON -DGGML_AVX512_BF16=ON '
         '-DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON')
PROMPT, NEW = 512, 64

LLAMA_SCRIPT = '''
import json, sys, time, llama_cpp
path, prompt, new = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
m = llama_cpp.Llama(path, n_ctx=prompt + new + 8, n_batch=512, n_threads=2, n_threads_batch=2, verbose=False)
ids = [(i * 7919) % 40000 + 100 for i in range(prompt)]
m.eval(ids[:8]); m.reset()
t = time.perf_counter(); m.eval(ids); prefill = time.perf_counter() - t
t = time.perf_counter()
for _ in range(new):
    m.eval([m.sample(temp=0.0)])
decode = time.perf_counter() - t
print(json.dumps({"prefill_tok_s": prompt / prefill, "decode_tok_s": new / decode}))
'''

TORCH_SCRIPT = '''
import json, sys, time, torch
from transformers import AutoModelForCausalLM
path, prompt, new, dtype = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(2)
m = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
ids = torch.tensor([[(i * 7919) % 40000 + 100 for i in range(prompt)]])
with torch.inference_mode():
    m(ids[:, :8])
    t = time.perf_counter(); out = m(ids, use_cache=True); prefill = time.perf_counter() - t
    past, token = out.past_key_values, out.logits[:, -1:].argmax(-1)
    t = time.perf_counter()
    for _ in range(new):
        out = m(token, past_key_values=past, use_cache=True)
        past, token = out.past_key_values, out.logits[:, -1:].argmax(-1)
    decode = time.perf_counter() - t
print(json.dumps({"prefill_tok_s": prompt / prefill, "decode_tok_s": new / decode}))
'''

GPT2_SCRIPT = '''
import sys, torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(0)
GPT2LMHeadModel(GPT2Config()).save_pretrained(sys.argv[1])
'''


# The shape of SmolLM2-135M, random: for speed the values are all one.
SMOLLM2_SCRIPT = '''
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
LlamaForCausalLM(LlamaConfig(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                             num_key_value_heads=3, tie_word_embeddings=True)).save_pretrained(sys.argv[1])
'''


def ours(hug, model, dtype, prompt=PROMPT):
    return said(hug, 'bench', 'generate', model, '--dtype', dtype, '--prompt-tokens', prompt, '--new-tokens', NEW, '--json')


def compare(what, mine, theirs, name):
    """Both figures of each run: two rows."""
    figures = {'hug': [], 'peer': []}

    def keep(key, run):
        def once():
            figures[key].append(run())
            return 0
        return once

    in_turn(keep('hug', mine), keep('peer', theirs), rounds=3)
    median = lambda key, field: sorted(f[field] for f in figures[key])[1]
    for label, field in ((f'prefill of {PROMPT}', 'prefill_tok_s'), ('decode', 'decode_tok_s')):
        yield Row(f'{what}: {label}', median('hug', field), median('peer', field), 'tok/s', False, name)


def beside_memory(hug, model, dtype):
    """What decoding reads of the weights, behind few tokens, beside what all cores read of memory just before: on a
    shared machine that is twice as much in one minute as in the next, so the figures are of the round in the middle."""
    read = (model / 'model.safetensors').stat().st_size * {'f32': 1, 'bf16': 0.5}[dtype] / 1e9
    rounds = []
    for _ in range(ROUNDS):
        limits = said(hug, 'bench', 'kernels', '--limits', '--json')
        memory = next(row['gb_s'] for row in limits if row['limit'] == 'memory of all cores')
        rounds.append((read * ours(hug, model, dtype, 8)['decode_tok_s'], memory))
    middle = sorted(rounds, key=lambda pair: pair[0] / pair[1])[ROUNDS // 2]
    return Row(f'GPT-2 124M {dtype}: weights read in decoding', *middle, 'GB/s', False, 'all cores reading memory')


def rows(hug):
    gguf = smollm2()
    llama = venv([LLAMA], {'CMAKE_ARGS': FLAGS})
    yield from compare('SmolLM2 135M Q4_1', lambda: ours(hug, gguf, 'q4_1'),
                       lambda: said(llama, '-c', LLAMA_SCRIPT, gguf, PROMPT, NEW), 'llama.cpp, 2 threads')
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix='hug-bench-') as folder:
        subprocess.run([python, '-c', GPT2_SCRIPT, folder], check=True)
        for mine, theirs in (('f32', 'float32'), ('bf16', 'bfloat16')):
            yield from compare(f'GPT-2 124M {mine}', lambda: ours(hug, folder, mine),
                               lambda: said(python, '-c', TORCH_SCRIPT, folder, PROMPT, NEW, theirs), 'PyTorch, 2 threads')
            yield beside_memory(hug, Path(folder), mine)
    with tempfile.TemporaryDirectory(prefix='hug-bench-') as folder:
        subprocess.run([python, '-c', SMOLLM2_SCRIPT, folder], check=True)
        yield from compare('SmolLM2 135M bf16', lambda: ours(hug, folder, 'bf16'),
                           lambda: said(python, '-c', TORCH_SCRIPT, folder, PROMPT, NEW, 'bfloat16'), 'PyTorch, 2 threads')
