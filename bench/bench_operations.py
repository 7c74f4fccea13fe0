"""Attention and convolutions alone, beside PyTorch's (oneDNN inside), on the shapes of Stable Diffusion, Whisper,
MobileNet and small language models."""
import json, statistics, subprocess

from common import ROOT, ROUNDS, Row, said

# Queries, keys, heads, key/value heads, width, causal.
ATTENTION = [('4096 x 4096, 8 heads of 40', 4096, 4096, 8, 8, 40, False), ('1024 x 1024, 8 heads of 80', 1024, 1024, 8, 8, 80, False),
             ('4096 x 77, 8 heads of 40', 4096, 77, 8, 8, 40, False), ('512 causal, 12 heads of 64', 512, 512, 12, 12, 64, True),
             ('2048 causal, 8 (2) heads of 128', 2048, 2048, 8, 2, 128, True)]
# Channels, outputs, height (1: a signal), width, kernel, stride, groups.
CONV = [('320 to 320, 64 x 64, 3 x 3', 320, 320, 64, 64, 3, 1, 1), ('640 to 640, 32 x 32, 3 x 3', 640, 640, 32, 32, 3, 1, 1),
        ('1280 to 1280, 16 x 16, 3 x 3', 1280, 1280, 16, 16, 3, 1, 1), ('80 to 384, signal of 3000', 80, 384, 1, 3000, 3, 1, 1),
        ('32 depthwise, 112 x 112', 32, 32, 112, 112, 3, 1, 32), ('512 depthwise, 14 x 14', 512, 512, 14, 14, 3, 1, 512)]

TORCH_SCRIPT = '''
import json, sys, time, torch
import torch.nn.functional as F
attention, conv, rounds = json.loads(sys.argv[1])
torch.set_num_threads(2)

def best(run):
    run()
    took = []
    for _ in range(rounds):
        began = time.perf_counter(); run(); took.append(time.perf_counter() - began)
    return 1e6 * min(took)

answer = []
with torch.inference_mode():
    for dtype in torch.float32, torch.bfloat16:
        for _, t, s, h, k, d, causal in attention:
            q, key, v = (torch.randn(1, n, m, d, dtype=dtype) for n, m in ((h, t), (k, s), (k, s)))
            answer.append(best(lambda: F.scaled_dot_product_attention(q, key, v, is_causal=causal, enable_gqa=h != k)))
        for _, c, o, h, w, size, stride, groups in conv:
            # The faster of the two layouts is the peer.
            options = dict(padding=size // 2, stride=stride, groups=groups)
            if h == 1:
                x, kernel = torch.randn(1, c, w, dtype=dtype), torch.randn(o, c // groups, size, dtype=dtype)
                answer.append(best(lambda: F.conv1d(x, kernel, **options)))
                continue
            x, kernel = torch.randn(1, c, h, w, dtype=dtype), torch.randn(o, c // groups, size, size, dtype=dtype)
            took = []
            for layout in torch.contiguous_format, torch.channels_last:
                y, z = x.to(memory_format=layout), kernel.to(memory_format=layout)
                took.append(best(lambda: F.conv2d(y, z, **options)))
            answer.append(min(took))
print(json.dumps(answer))
'''


def ours(hug, rounds):
    """Microseconds of each shape, in PyTorch's order."""
    answer = []
    for dtype in [], ['--bf16']:
        for _, t, s, h, k, d, causal in ATTENTION:
            answer += said(hug, 'bench', 'attention', '--tokens', t, '--keys', s, '--heads', h, '--kv-heads', k, '--width', d,
                           '--rounds', rounds, '--json', *['--causal'] * causal, *dtype)
        for _, c, o, h, w, size, stride, groups in CONV:
            answer += said(hug, 'bench', 'conv', '--channels', c, '--out', o, '--height', h, '--width', w, '--kernel', size,
                           '--stride', stride, '--groups', groups, '--rounds', rounds, '--json', *dtype)
    return [a['us'] for a in answer]


def rows(hug):
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    mine, theirs, rounds = [], [], 15    # in the first ones a thread may still be asleep
    for _ in range(min(ROUNDS, 3)):
        mine.append(ours(hug, rounds))
        theirs.append(said(python, '-c', TORCH_SCRIPT, json.dumps([ATTENTION, CONV, rounds])))
    flop = [4 * t * s * h * d / (2 if causal else 1) for _, t, s, h, k, d, causal in ATTENTION]
    flop += [2 * c // groups * o * size * (size if h > 1 else 1) * h * w / stride for _, c, o, h, w, size, stride, groups in CONV]
    names = [f'attention {a[0]}' for a in ATTENTION] + [f'conv {c[0]}' for c in CONV]
    for i, name in enumerate([f'{n}, {d}' for d in ('f32', 'bf16') for n in names]):
        gflop_s = [flop[i % len(flop)] / 1e3 / statistics.median(us[i] for us in side) for side in (mine, theirs)]
        yield Row(name, *gflop_s, 'GFLOP/s', False, 'PyTorch, 2 threads')
