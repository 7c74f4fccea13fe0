#!/usr/bin/env python3
"""Reading a prompt and writing an answer: hug against transformers on PyTorch, side by side.

    $(tools/venv) bench/generate.py [--model FOLDER] [--prompt 512] [--new 64] [--dtypes f32,bf16]

Without --model: GPT-2's 124M shape with random weights. Both sides use the threads that the machine
has (at most --threads); each figure is the best of three rounds, after a warm-up. A ratio above 1
means that hug is faster."""
import argparse, json, os, subprocess, tempfile, time, warnings
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument('--model', type=Path)
parser.add_argument('--prompt', type=int, default=512)
parser.add_argument('--new', type=int, default=64)
parser.add_argument('--dtypes', default='f32,bf16')
parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
options = parser.parse_args()

import torch, transformers
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
warnings.simplefilter('ignore', FutureWarning)
torch.set_num_threads(options.threads)
HUG = Path(os.environ.get('HUG', Path(__file__).resolve().parent.parent / 'build/hug'))


def best(rounds, act):
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return min(times)


@torch.inference_mode()
def pytorch(folder, dtype):
    """Tokens a second of the prompt and of the answer, with the cache that generate() uses."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dict(f32=torch.float32, bf16=torch.bfloat16)[dtype])
    model.eval()
    ids = torch.randint(0, model.config.vocab_size, (1, options.prompt), generator=torch.Generator().manual_seed(1))
    state = {}

    def prefill():
        state['out'] = model(ids, use_cache=True, logits_to_keep=1)

    def decode():
        prefill()
        began = time.perf_counter()
        for i in range(options.new):
            state['out'] = model(ids[:, i:i + 1], past_key_values=state['out'].past_key_values, use_cache=True)
        state['decode'] = min(state.get('decode', 1e9), time.perf_counter() - began)

    prefill()
    prompt_time = best(3, prefill)
    best(3, decode)
    return options.prompt / prompt_time, options.new / state['decode']


def hug(folder, dtype):
    out = subprocess.run([HUG, 'bench', 'generate', folder, '--dtype', dtype, '--json', '--prompt-tokens',
                          str(options.prompt), '--new-tokens', str(options.new)],
                         check=True, stdout=subprocess.PIPE, env=os.environ | {'HUG_THREADS': str(options.threads)})
    figures = json.loads(out.stdout)
    return figures['prefill_tok_s'], figures['decode_tok_s']


with tempfile.TemporaryDirectory() as temp:
    folder = options.model
    if not folder:
        folder = Path(temp)
        torch.manual_seed(1)
        GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    print(f'{options.model or "GPT-2 124M, random weights"}, {options.threads} threads, '
          f'prompt {options.prompt}, answer {options.new}; tokens a second')
    print(f'{"":14} {"PyTorch":>10} {"hug":>10} {"ratio":>7}')
    for dtype in options.dtypes.split(','):
        theirs, ours = pytorch(folder, dtype), hug(folder, dtype)
        for what, t, h in zip(('prompt', 'answer'), theirs, ours):
            print(f'{dtype + " " + what:14} {t:10.1f} {h:10.1f} {h / t:7.2f}', flush=True)
