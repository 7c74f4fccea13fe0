"""Many sequences at once: decoding in one process beside PyTorch and llama.cpp, and streams through
the Inference API beside transformers' generate, which needs no server but all prompts at the start."""
import json, subprocess, tempfile, time, urllib.request
from concurrent.futures import ThreadPoolExecutor

from bench_generate import FLAGS, GPT2_SCRIPT, LLAMA, said
from common import ROOT, Hub, Row, in_turn, smollm2, venv

BATCH, PROMPT, NEW = 8, 64, 64

# The tokenizer is as small as it may be: of these random weights nobody reads the text.
MODEL_SCRIPT = GPT2_SCRIPT + '''
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast
bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(['a b c'], vocab_size=260, special_tokens=['<|endoftext|>'])
PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token='<|endoftext|>').save_pretrained(sys.argv[1])
'''

TORCH_SCRIPT = '''
import json, sys, time, torch
from transformers import AutoModelForCausalLM
path, batch, prompt, new = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(2)
m = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
ids = torch.tensor([[(i * 7919 + j * 31) % 40000 + 100 for i in range(prompt)] for j in range(batch)])
run = lambda n: m.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=n,
                           max_new_tokens=n, pad_token_id=0)
with torch.inference_mode():
    run(2)
    t = time.perf_counter(); run(1); first = time.perf_counter() - t
    t = time.perf_counter(); run(new); whole = time.perf_counter() - t
print(json.dumps({"decode_tok_s": batch * (new - 1) / (whole - first), "whole_tok_s": batch * new / whole}))
'''

LLAMA_SCRIPT = '''
import ctypes, json, sys, time, llama_cpp as l
silent = l.llama_log_callback(lambda *_: None)
l.llama_log_set(silent, ctypes.c_void_p(0))
path, batch, prompt, new = sys.argv[1].encode(), *map(int, sys.argv[2:])
l.llama_backend_init()
m = l.llama_model_load_from_file(path, l.llama_model_default_params())
p = l.llama_context_default_params()
p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max = batch * (prompt + new + 8), 512, 512, batch
p.n_threads = p.n_threads_batch = 2
c = l.llama_init_from_model(m, p)
b = l.llama_batch_init(512, 0, 1)
def decode(tokens):                   # (id, position, sequence, wants logits)
    b.n_tokens = len(tokens)
    for i, (token, pos, seq, logits) in enumerate(tokens):
        b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, pos, 1, logits
        b.seq_id[i][0] = seq
    assert l.llama_decode(c, b) == 0
ids = [(i * 7919) % 40000 + 100 for i in range(prompt)]
for s in range(batch):
    decode([(ids[i], i, s, i == prompt - 1) for i in range(prompt)])
t = time.perf_counter()
for n in range(new):
    decode([(ids[(n + s) % prompt], prompt + n, s, True) for s in range(batch)])
print(json.dumps({"decode_tok_s": batch * new / (time.perf_counter() - t)}))
'''


def ours(hug, model, dtype, batch):
    return said(hug, 'bench', 'generate', model, '--dtype', dtype, '--batch', batch, '--prompt-tokens', PROMPT,
                '--new-tokens', NEW, '--rounds', 1, '--json')['decode_tok_s']


def streams(hub, token, n):
    """Tokens a second of n streams at once, prompts included: always others, so that none is remembered."""
    def one(i):
        body = json.dumps({'inputs': f'{time.monotonic_ns()}' + ' a' * (PROMPT // 2 - 10), 'stream': True, 'parameters': {
            'max_new_tokens': NEW, 'min_new_tokens': NEW, 'do_sample': False}}).encode()
        request = urllib.request.Request(f'{hub.url}/models/me/model', body, {
            'Authorization': f'Bearer {token}', 'Content-Type': 'application/json'})
        with urllib.request.urlopen(request) as answer:
            return sum(line.startswith(b'data:') for line in answer)

    began = time.perf_counter()
    with ThreadPoolExecutor(n) as pool:
        tokens = sum(pool.map(one, range(n)))
    return tokens / (time.perf_counter() - began)


def push(hub, python, token, folder):
    """By the hub's own client; once."""
    script = ('import sys; from huggingface_hub import HfApi; api = HfApi(sys.argv[1], token=sys.argv[2]); '
              'api.create_repo("me/model"); api.upload_folder(repo_id="me/model", folder_path=sys.argv[3])')
    subprocess.run([python, '-c', script, hub.url, token, folder], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def gpt2_rows(hug, python):
    with tempfile.TemporaryDirectory(prefix='hug-bench-') as folder, \
         tempfile.TemporaryDirectory(prefix='hug-bench-') as data:
        subprocess.run([python, '-c', MODEL_SCRIPT, folder], check=True, stdout=subprocess.DEVNULL)
        torch = {}

        def peer():
            torch.update(said(python, '-c', TORCH_SCRIPT, folder, BATCH, PROMPT, NEW))
            return torch['decode_tok_s']

        one, many, them = in_turn(lambda: ours(hug, folder, 'f32', 1), lambda: ours(hug, folder, 'f32', BATCH), peer,
                                  rounds=3)
        yield Row(f'GPT-2 124M f32: decode, batch {BATCH}', many, them, 'tok/s', False, 'transformers, 2 threads')
        yield Row(f'GPT-2 124M f32: decode, batch {BATCH} beside batch 1', many, one, 'tok/s', False, 'hug, batch 1')
        hub = Hub(hug, data)
        hub.start()
        try:
            token = hub.token('me')
            push(hub, python, token, folder)
            streams(hub, token, 1)  # loads it
            whole, them = in_turn(lambda: streams(hub, token, BATCH), lambda: (peer(), torch['whole_tok_s'])[1],
                                  rounds=3)
        finally:
            hub.stop()
        yield Row(f'GPT-2 124M f32: {BATCH} streams of the API, prompts included', whole, them, 'tok/s', False,
                  'transformers, without a server')


def rows(hug):
    gguf, llama = smollm2(), venv([LLAMA], {'CMAKE_ARGS': FLAGS})
    mine, theirs = in_turn(lambda: ours(hug, gguf, 'auto', BATCH),
                           lambda: said(llama, '-c', LLAMA_SCRIPT, gguf, BATCH, PROMPT, NEW)['decode_tok_s'], rounds=3)
    yield Row(f'SmolLM2 135M Q4_1: decode, batch {BATCH}', mine, theirs, 'tok/s', False, 'llama.cpp, 2 threads')
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    yield from gpt2_rows(hug, python)
