"""Products of matrices as linear layers have them, beside PyTorch's (oneDNN inside), and what this machine's
arithmetic and memory can do at all, measured in the same run: a kernel can reach its limit and no more."""
import json, subprocess

from common import ROOT, Row, in_turn, said

# Rows of the input, outputs, inputs.
SHAPES = [(512, 3072, 768), (1024, 4096, 4096)]
# Type of the weights and precision of ours, and PyTorch's type; it has no int8 product of two plain matrices.
KINDS = [('f32', 'f32', 'float32'), ('bf16', 'bf16', 'bfloat16'), ('q8_0', 'int8', None)]

TORCH_SCRIPT = '''
import json, sys, time, torch
rows, out, inputs, dtype = *map(int, sys.argv[1:4]), getattr(torch, sys.argv[4])
torch.set_num_threads(2)
layer = torch.nn.Linear(inputs, out, bias=False, dtype=dtype)
x = torch.randn(rows, inputs, dtype=dtype)
with torch.inference_mode():
    layer(x)
    took = []
    for _ in range(10):
        began = time.perf_counter(); layer(x); took.append(time.perf_counter() - began)
print(json.dumps(2e-9 * rows * out * inputs / min(took)))
'''


def ours(hug, shape, dtype, precision):
    rows, out, inputs = shape
    return said(hug, 'bench', 'gemm', '--rows', rows, '--out', out, '--in', inputs, '--dtype', dtype,
                '--precision', precision, '--json')[0]['gflop_s']


def limits(hug):
    """The fastest set's limits of arithmetic on one core, and memory's."""
    arithmetic, memory = {}, []
    for row in said(hug, 'bench', 'kernels', '--limits', '--json'):
        speed = row.get('gflop_s') or row.get('gop_s') or row.get('gb_s')
        if row['set'] is None:
            memory.append((row['limit'], speed))
        else:
            arithmetic[row['limit']] = max(speed, arithmetic.get(row['limit'], 0))
    for name, speed in memory:
        yield Row(f'limit: reads from {name}', speed, None, 'GB/s', False, 'measured, no kernel of ours')
    for name, speed in arithmetic.items():
        yield Row(f'limit: {name} products, one core', speed, None, 'Gop/s', False, 'measured in registers')


def rows(hug):
    yield from limits(hug)
    python = subprocess.run([ROOT / 'tools/venv'], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    for shape in SHAPES:
        name = 'x'.join(map(str, shape))
        for dtype, precision, theirs in KINDS:
            mine = lambda: ours(hug, shape, dtype, precision)
            if theirs:
                peer = lambda: said(python, '-c', TORCH_SCRIPT, *shape, theirs)
                yield Row(f'GEMM {name} {precision}', *in_turn(mine, peer, rounds=3), 'GFLOP/s', False, 'PyTorch, 2 threads')
            else:
                yield Row(f'GEMM {name} {precision}', in_turn(mine, rounds=3)[0], None, 'Gop/s', False)
