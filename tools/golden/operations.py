#!/usr/bin/env python3
"""Makes tests/golden/operations.json: what PyTorch gives for attention, convolutions, norms, pooling and
resizing, with the gradients of their operands.

    $(tools/venv) tools/golden/operations.py

{"torch", "cases": {name: {"operands": [...], "slope", "result", "gradients": [...]}}}, every tensor as
{"shape", "values"}. The loss is the sum of slope * result. Operands have three decimals, so that a file of
text says exactly what was computed with; results come from doubles. Which operation a case is says
src/tensor/operations_test.c by its name.
"""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(11)
CAUSAL = torch.ones(5, 7, dtype=torch.bool).tril(2)  # queries are the last of the keys' positions
BIAS = [[-0.5, 0.25, 0, 1, -1, 0.125, 0.75]]


def attention(mask=None, **options):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True, **options)


CASES = {
    'attention': (attention(), (1, 2, 3, 8), (1, 2, 3, 8), (1, 2, 3, 8)),
    'attention, causal, grouped, more keys': (attention(CAUSAL), (1, 4, 5, 6), (1, 2, 7, 6), (1, 2, 7, 6)),
    'attention, bias of keys, scaled': (attention(torch.tensor(BIAS, dtype=torch.float64), scale=0.7),
                                        (2, 1, 3, 5), (2, 1, 7, 5), (2, 1, 7, 5)),
    'conv2d': (lambda x, w, b: F.conv2d(x, w, b, padding=1), (2, 3, 4, 5), (4, 3, 3, 3), (4,)),
    'conv2d, strided, dilated': (lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
                                 (1, 2, 6, 5), (3, 2, 3, 2), (3,)),
    'conv2d, groups': (lambda x, w, b: F.conv2d(x, w, b, groups=2), (1, 4, 4, 3), (6, 2, 2, 2), (6,)),
    'conv2d, depthwise': (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, groups=5), (1, 5, 5, 4), (5, 1, 3, 3), (5,)),
    'conv1d': (lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1), (2, 3, 9), (4, 3, 3), (4,)),
    'conv_transpose2d': (lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 3), padding=1, output_padding=(1, 2)),
                         (1, 3, 3, 4), (3, 2, 3, 4), (2,)),
    'conv_transpose1d': (lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2, groups=2, dilation=2), (1, 4, 5), (4, 3, 3), (6,)),
    'group_norm': (lambda x, w, b: F.group_norm(x, 2, w, b, 1e-5), (2, 6, 3, 4), (6,), (6,)),
    'group_norm, signal, silu': (lambda x, w, b: F.silu(F.group_norm(x, 3, w, b, 1e-3)), (2, 3, 8), (3,), (3,)),
    'max_pool': (lambda x: F.max_pool2d(x, 3, 2, 1), (1, 2, 6, 7)),
    'max_pool, ceil': (lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True), (1, 2, 5, 7)),
    'avg_pool': (lambda x: F.avg_pool2d(x, 3, 2, 1), (1, 2, 6, 7)),
    'avg_pool, ceil, without padding': (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 2, 6, 7)),
    'avg_pool, signal': (lambda x: F.avg_pool1d(x, 2), (2, 3, 7)),
    'adaptive_avg_pool': (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), (1, 2, 7, 5)),
    'nearest': (lambda x: F.interpolate(x, size=(5, 8)), (1, 2, 3, 4)),
    'nearest, smaller': (lambda x: F.interpolate(x, size=(3, 5)), (1, 2, 7, 8)),
    'bilinear': (lambda x: F.interpolate(x, size=(5, 8), mode='bilinear'), (1, 2, 3, 4)),
    'bilinear, smaller': (lambda x: F.interpolate(x, size=(3, 3), mode='bilinear'), (1, 2, 7, 5)),
    'bilinear, aligned': (lambda x: F.interpolate(x, size=(5, 8), mode='bilinear', align_corners=True), (1, 2, 3, 4)),
    'linear, signal': (lambda x: F.interpolate(x, size=7, mode='linear'), (1, 3, 4)),
}


def drawn(shape):
    return (torch.randn(shape) * 1000).round().to(torch.float64) / 1000


def told(t, digits=8):
    return {'shape': list(t.shape), 'values': [float(f'{v:.{digits}g}') for v in t.flatten().tolist()]}


def record(operation, *shapes):
    operands = [drawn(s).requires_grad_() for s in shapes]
    result = operation(*operands)
    slope = drawn(result.shape)
    gradients = torch.autograd.grad((result * slope).sum(), operands)
    return {'operands': [told(o.detach()) for o in operands], 'slope': told(slope), 'result': told(result.detach()),
            'gradients': [told(g) for g in gradients]}


def main():
    cases = {name: record(*case) for name, case in CASES.items()}
    out = Path(__file__).resolve().parents[2] / 'tests/golden/operations.json'
    lines = ',\n'.join(f'{json.dumps(n)}: {json.dumps(c, separators=(",", ":"))}' for n, c in cases.items())
    out.write_text(f'{{"torch": "{torch.__version__}", "cases": {{\n{lines}\n}}}}\n')


main()
