"""Writes tests/golden/training.json: what the optimizers of torch and transformers make of a small
parameter in a few updates, and the learning rate's factor of each schedule of transformers.

Recorded with torch 2.15.0 and transformers 5.24.0. Run: tools/venv, then
    python tools/golden/training.py
"""
import json
import pathlib

import torch
from transformers.optimization import Adafactor, get_scheduler

ROOT = pathlib.Path(__file__).resolve().parents[2]
UPDATES = 5

OPTIMIZERS = [
    ("adamw", torch.optim.AdamW, dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1), {}),
    ("adamw", torch.optim.AdamW, dict(lr=0.002, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.0), {}),
    ("sgd", torch.optim.SGD, dict(lr=0.1, weight_decay=0.05), {}),
    ("sgd", torch.optim.SGD, dict(lr=0.1, momentum=0.9, dampening=0.2), {}),
    ("sgd", torch.optim.SGD, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), {}),
    ("adagrad", torch.optim.Adagrad, dict(lr=0.1, lr_decay=0.1, weight_decay=0.01), dict(eps=1e-10)),
    ("rmsprop", torch.optim.RMSprop, dict(lr=0.01, alpha=0.9, eps=1e-8), {}),
    ("rmsprop", torch.optim.RMSprop, dict(lr=0.01, momentum=0.9, weight_decay=0.1),
     dict(alpha=0.99, eps=1e-8)),
    ("adafactor", Adafactor,
     dict(lr=0.01, scale_parameter=False, relative_step=False, weight_decay=0.1), {}),
]

SCHEDULES = [
    ("linear", 5, {}), ("linear", 0, {}), ("cosine", 5, {}), ("cosine", 0, dict(num_cycles=1.5)),
    ("cosine_with_restarts", 4, dict(num_cycles=3)),
    ("polynomial", 5, dict(lr_end=1e-4, power=2.0)), ("constant", 0, {}),
    ("constant_with_warmup", 7, {}), ("inverse_sqrt", 5, {}), ("inverse_sqrt", 0, {}),
    ("inverse_sqrt", 5, dict(timescale=20)),
    ("cosine_with_min_lr", 5, dict(min_lr=1e-4)), ("cosine_with_min_lr", 0, dict(min_lr_rate=0.2)),
    ("warmup_stable_decay", 5, dict(num_decay_steps=10)),
    ("warmup_stable_decay", 5,
     dict(num_decay_steps=8, num_stable_steps=12, decay_type="1-sqrt", warmup_type="cosine",
          min_lr_ratio=0.1)),
    ("warmup_stable_decay", 5,
     dict(num_decay_steps=8, decay_type="linear", warmup_type="1-sqrt")),
]
STEPS = 30


def lion(w, gradients, lr, betas, weight_decay):
    """Algorithm 2 of Chen 2023, arXiv:2302.06675, by the formula."""
    m, after = torch.zeros_like(w), []
    for g in gradients:
        u = torch.sign(betas[0] * m + (1 - betas[0]) * g)
        w = w * (1 - lr * weight_decay) - lr * u
        m = betas[1] * m + (1 - betas[1]) * g
        after.append(w.flatten().tolist())
    return after


def trained(make, options, shape):
    torch.manual_seed(7)
    w = torch.nn.Parameter(torch.randn(shape))
    gradients = [torch.randn(shape) * (0.5 + i) for i in range(UPDATES)]
    row = {"shape": list(shape), "values": w.detach().flatten().tolist(),
           "gradients": [g.flatten().tolist() for g in gradients]}
    if make is None:
        return row | {"after": lion(w.detach(), gradients, **options)}
    optimizer, row["after"] = make([w], **options), []
    for g in gradients:
        w.grad = g.clone()
        optimizer.step()
        row["after"].append(w.detach().flatten().tolist())
    return row


def named(options, more):
    named = dict(options) | more
    if "betas" in named:
        named["beta1"], named["beta2"] = named.pop("betas")
    if "alpha" in named:
        named["beta2"] = named.pop("alpha")
    return named


def optimizers():
    for kind, make, options, more in OPTIMIZERS:
        for shape in [(3, 5), (4,)]:
            yield {"kind": kind, "options": named(options, more)} | trained(make, options, shape)
    options = dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    yield {"kind": "lion", "options": named(options, {})} | trained(None, options, (3, 5))


def schedules():
    for kind, warmup, kwargs in SCHEDULES:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
        schedule = get_scheduler(kind, optimizer, num_warmup_steps=warmup,
                                 num_training_steps=STEPS, scheduler_specific_kwargs=dict(kwargs))
        factor = schedule.lr_lambdas[0]
        yield {"lr_scheduler_type": kind, "warmup_steps": warmup, "lr_scheduler_kwargs": kwargs,
               "steps": STEPS, "factors": [float(factor(i)) for i in range(STEPS + 2)]}


def main():
    golden = {"optimizers": list(optimizers()), "schedules": list(schedules())}
    text = json.dumps(golden, indent=None, separators=(",", ":"))
    (ROOT / "tests/golden/training.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
