#!/usr/bin/env python3
"""Makes tests/golden/NAME/gradients.safetensors: what PyTorch says of the gradients of the tiny
checkpoints that decoders.py made.

    $(tools/venv) tools/golden/gradients.py

Each holds tokens [3,17] i32, labels [3,17] i32 (those of the next position; -100 does not count),
loss [1] f32, and for each parameter, by its name in the model, every STEP-th value of its gradient in
row-major order, with the square root of the sum of the squares of all behind them. Computed in f64,
so that what differs is ours. The versions are in the metadata.
"""
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

root = Path(__file__).resolve().parents[2] / 'tests/golden'
B, T, STEP = 3, 17, 5

for name in ('gpt2', 'gpt2-bare', 'llama', 'llama-3', 'llama-yarn'):
    model = transformers.AutoModelForCausalLM.from_pretrained(root / name, attn_implementation='eager').double().eval()
    generator = np.random.default_rng(11)
    tokens = generator.integers(3, model.config.vocab_size - 1, (B, T)).astype(np.int32)
    labels = np.concatenate([tokens[:, 1:], np.full((B, 1), -100, np.int32)], 1)
    labels[1, 9:] = -100
    logits = model(torch.tensor(tokens, dtype=torch.long)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(labels, dtype=torch.long).flatten())
    loss.backward()
    out = dict(tokens=tokens, labels=labels, loss=np.array([loss.item()], np.float32))
    for key, p in model.named_parameters():
        gradient = p.grad.flatten()
        out[key] = torch.cat([gradient[::STEP], gradient.norm()[None]]).float().numpy()
    save_file(out, root / name / 'gradients.safetensors',
              metadata=dict(transformers=transformers.__version__, torch=torch.__version__))
    (root / name / 'gradients.safetensors').chmod(0o644)
    print(f'{name}: loss {loss.item():.6f}, {len(out) - 3} parameters')
