"""A training step of GPT-2 124M (forwards, backwards, clipping, AdamW) beside PyTorch: bf16 products over f32
weights (there autocast and the fused AdamW), and f32 alone."""
import json, subprocess, tempfile

from common import ROOT, Row, in_turn

BATCH, LENGTH, STEPS = 4, 256, 2

GPT2_SCRIPT = '''
import sys, torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(0)
GPT2LMHeadModel(GPT2Config(embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0)).save_pretrained(sys.argv[1])
'''

TORCH_SCRIPT = '''
import contextlib, sys, time, torch
from transformers import AutoModelForCausalLM
path, batch, length, steps, dtype = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).train()
groups = [{"params": [p for p in model.parameters() if p.ndim > 1]},
          {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=1e-5, fused=True)
ids = torch.randint(0, model.config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(1))
cast = torch.autocast("cpu", torch.bfloat16) if dtype == "bf16" else contextlib.nullcontext()
times = []
for _ in range(1 + steps):
    began = time.perf_counter()
    with cast:
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step(); optimizer.zero_grad()
    times.append(time.perf_counter() - began)
print(batch * length / sorted(times[1:])[steps // 2])
'''


def ours(hug, model, dtype):
    out = subprocess.run([hug, 'bench', 'train', model, '--batch', str(BATCH), '--length', str(LENGTH), '--dtype',
                          dtype, '--rounds', str(STEPS), '--json'], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out)['train_tok_s']


def theirs(python, model, dtype):
    out = subprocess.run([python, '-c', TORCH_SCRIPT, model, str(BATCH), str(LENGTH), str(STEPS), dtype],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return float(out)


def rows(hug):
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix='hug-bench-') as folder:
        subprocess.run([python, '-c', GPT2_SCRIPT, folder], check=True)
        for dtype, name in (('bf16', 'PyTorch, autocast'), ('f32', 'PyTorch')):
            mine, other = in_turn(lambda: ours(hug, folder, dtype), lambda: theirs(python, folder, dtype), rounds=3)
            yield Row(f'GPT-2 124M training step {BATCH}x{LENGTH} {dtype}', mine, other, 'tok/s', False, name)
