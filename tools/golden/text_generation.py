#!/usr/bin/env python3
"""Makes tests/golden/text-generation/: a tiny GPT-2 with a tokenizer and a chat template, and what
transformers' pipeline answers.

    $(tools/venv) tools/golden/text_generation.py

cases.json: a list of {"inputs", "parameters", "answer"}, all greedy. The tokenizer is
tests/golden/tokenizers/byte-level.json (run tokenizer.py first). Weights are drawn wide, so that
the greedy choice is none of rounding.
"""
import json
from pathlib import Path

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, pipeline

golden = Path(__file__).resolve().parents[2] / 'tests/golden'
out = golden / 'text-generation'
TEMPLATE = ("{% for m in messages %}\n<{{ m['role'] }}>{{ m['content'] | trim }}{{ eos_token }}\n{% endfor %}\n"
            "{% if add_generation_prompt %}\n<assistant>\n{%- endif %}\n")
SEED = 3


def user(text, *more):
    turns = [text, *more]
    return [dict(role='assistant' if i % 2 else 'user', content=t) for i, t in enumerate(turns)]


cases = [
    ('Hello world', dict(max_new_tokens=20)),
    ('Hello world', dict(max_new_tokens=20, return_full_text=False)),
    ('', dict(max_new_tokens=4)),
    ('Ünïcödé 🤗 中文', dict(max_new_tokens=30)),
    ('a  b\n', dict(max_new_tokens=40, repetition_penalty=1.3)),
    ('a  b\n', dict(max_length=16)),
    ('some words', dict(max_new_tokens=12, prefix='before ')),
    (['a', 'b c'], dict(max_new_tokens=5)),
    (['only'], dict(max_new_tokens=5)),
    (user('héllo'), dict(max_new_tokens=12)),
    (user('héllo'), dict(max_new_tokens=12, return_full_text=False)),
    (user('one', 'two', 'three'), dict(max_new_tokens=12)),
    (user('hi', 'I am '), dict(max_new_tokens=12)),
    ([user('x'), user('y')], dict(max_new_tokens=6)),
]


def main():
    torch.manual_seed(SEED)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(golden / 'tokenizers/byte-level.json'),
                                        bos_token='<|endoftext|>', eos_token='<|endoftext|>')
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(out)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=512,
                                       bos_token_id=0, eos_token_id=0))
    for name, p in model.named_parameters():
        centre = 1.0 if 'ln' in name and name.endswith('weight') else 0.0
        p.data = centre + torch.randn(p.shape) * (0.4 if p.dim() > 1 else 0.2)
    model.save_pretrained(out)
    pipe = pipeline('text-generation', model=str(out), dtype=torch.float32)
    rows = [dict(inputs=inputs, parameters=parameters, answer=pipe(inputs, do_sample=False, **parameters))
            for inputs, parameters in cases]
    lines = ',\n'.join(json.dumps(row, ensure_ascii=False) for row in rows)
    (out / 'cases.json').write_text(f'{{"transformers":"{transformers.__version__}","seed":{SEED},"cases":[\n{lines}\n]}}\n')


main()
