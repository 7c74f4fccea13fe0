"""Records tests/golden/quantised.safetensors: how the reference reads blocks of each GGUF type, and how close its
writer comes to given values. Usage: quantised.py LIBGGML_BASE, the library inside llama-cpp-python.
Made with gguf 0.19.0 and llama-cpp-python 0.3.36, seed 4."""
import ctypes, sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize
from safetensors.numpy import save_file

READ = 'Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4 TQ1_0 TQ2_0'.split()
WRITE = 'Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K'.split()
N = 4096

ggml = ctypes.CDLL(sys.argv[1])
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]

random = np.random.default_rng(4)
# As weights are: mostly near zero, some far out, with a mean of their own in places.
x = (random.standard_t(4, N) * 0.05 + np.repeat(random.normal(0, 0.03, N // 32), 32)).astype(np.float32)
out = {'x': x}
for name in WRITE:
    kind = Type[name]
    block, size = GGML_QUANT_SIZES[kind]
    packed = np.zeros(N // block * size, np.uint8)
    ggml.ggml_quantize_chunk(kind.value, x.ctypes.data, packed.ctypes.data, 0, N // 256, 256, None)
    off = dequantize(packed, kind).astype(np.float64) - x
    out['error.' + name.lower()] = np.array(np.mean(off ** 2))
    if name in ('Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1'):
        out['written.' + name.lower()] = packed[:512 // block * size]
for name in READ:
    kind = Type[name]
    block, size = GGML_QUANT_SIZES[kind]
    count = max(512 // block, 2)
    blocks = random.integers(0, 256, (count, size), np.uint8)
    halves = {'Q4_1': (0, 2), 'Q5_1': (0, 2), 'Q2_K': (80, 82), 'Q3_K': (108,), 'Q4_K': (0, 2), 'Q5_K': (0, 2),
              'Q6_K': (208,), 'TQ1_0': (52,), 'TQ2_0': (64,), 'MXFP4': ()}.get(name, (0,))
    for at in halves:
        blocks[:, at:at + 2] = random.normal(0, 1, count).astype(np.float16)[:, None].view(np.uint8)
    if name == 'MXFP4':
        blocks[:, 0] = random.integers(100, 140, count)
        blocks[0, 0] = 1
    out[name.lower() + '.blocks'] = blocks.reshape(-1)
    out[name.lower() + '.values'] = dequantize(blocks, kind).astype(np.float32).reshape(-1)
path = Path(__file__).resolve().parents[2] / 'tests/golden/quantised.safetensors'
save_file(out, path)
