"""From the command to the first token: GPT-2 124M in f32, 500 MB of safetensors in the page cache, and the most memory
that it takes. The peer is a Python process that imports transformers, loads the same folder and picks one token. Before
each run as much memory as either takes is used and freed: a virtual machine that has been idle has given its pages back
to its host, and the first to need them again would wait for that (here up to two seconds)."""
import os, subprocess, sys, tempfile, time

from common import ROOT, Row, in_turn

GPT2_SCRIPT = '''
import sys, torch
from transformers import GPT2Config, GPT2LMHeadModel
torch.manual_seed(0)
GPT2LMHeadModel(GPT2Config()).save_pretrained(sys.argv[1])
'''

TORCH_SCRIPT = '''
import sys, torch
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
with torch.inference_mode():
    print(model(torch.tensor([[464]])).logits[0, -1].argmax().item())
'''


# In a process of its own: the peak of a child counts what its parent held when it was started.
WAKE_SCRIPT = '''
import mmap
pages = mmap.mmap(-1, 1500 << 20, flags=mmap.MAP_PRIVATE)
pages.madvise(mmap.MADV_HUGEPAGE)
for at in range(0, len(pages), 4096):
    pages[at] = 1
'''


def measured(*command):
    """Seconds, and megabytes at most, of a process from start to end."""
    subprocess.run([sys.executable, '-c', WAKE_SCRIPT], check=True)
    began = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(f'{command[0]} ended with {status}')
    return time.perf_counter() - began, usage.ru_maxrss * 1024 / 1e6


def rows(hug):
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix='hug-bench-') as folder:
        subprocess.run([python, '-c', GPT2_SCRIPT, folder], check=True)
        mine = (hug, 'generate', folder, '--prompt-ids', '464', '--max-new-tokens', '1', '--greedy', '--dtype', 'f32', '--json')
        peer = (python, '-c', TORCH_SCRIPT, folder)
        peaks = {}

        def once(name, command):
            seconds, peaks[name] = measured(*command)
            return seconds

        seconds = in_turn(lambda: once('hug', mine), lambda: once('peer', peer))
        yield Row('load 500 MB of f32 and give the first token', *seconds, 's', True, 'transformers, 2 threads')
        yield Row('memory for it at most', peaks['hug'], peaks['peer'], 'MB', True, 'transformers')
