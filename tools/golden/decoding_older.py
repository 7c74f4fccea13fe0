#!/usr/bin/env python3
"""Makes tests/golden/decoding_older.json: texts by strategies that transformers has moved out of itself since.

    python3 -m venv /tmp/older && /tmp/older/bin/pip install 'transformers==4.48.3' torch
    /tmp/older/bin/python tools/golden/decoding_older.py

{"texts": [{"model", "parameters", "prompt", "sequences"}]}: contrastive search, groups of beams, DoLa and beams with words that
must be there by the models of tests/golden, one of them made here because DoLa tells layers of deep models apart; end tokens included, padding cut off. Groups and words
have one end token: with several the reference writes the first in place of the one that was found. `constraints` are written as force_words_ids are.

Recorded with transformers 4.48.3, torch 2.15.0.
"""
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, DisjunctiveConstraint, GenerationConfig, GPT2Config, GPT2LMHeadModel, PhrasalConstraint

golden = Path(__file__).resolve().parents[2] / 'tests/golden'
PAD = 150  # groups that are done count as having chosen it

CONTRASTIVE = [
    dict(penalty_alpha=0.6, top_k=4), dict(penalty_alpha=0.3, top_k=2), dict(penalty_alpha=0.9, top_k=8), dict(penalty_alpha=0.6),
    dict(penalty_alpha=1.0, top_k=5), dict(penalty_alpha=0.5, top_k=6, repetition_penalty=1.2), dict(penalty_alpha=0.7, top_k=4, no_repeat_ngram_size=2),
    dict(penalty_alpha=0.6, top_k=5, bad_words_ids=[[11], [3, 4]]), dict(penalty_alpha=0.6, top_k=1),
]
GROUPS = [
    dict(num_beams=4, num_beam_groups=2, diversity_penalty=1.0), dict(num_beams=4, num_beam_groups=4, diversity_penalty=0.3, num_return_sequences=4),
    dict(num_beams=6, num_beam_groups=3, diversity_penalty=0.5, num_return_sequences=6), dict(num_beams=6, num_beam_groups=2, diversity_penalty=5.0, num_return_sequences=3),
    dict(num_beams=4, num_beam_groups=2, diversity_penalty=0.7, length_penalty=2.0, num_return_sequences=2),
    dict(num_beams=4, num_beam_groups=2, diversity_penalty=0.7, length_penalty=-1.0, num_return_sequences=2),
    dict(num_beams=4, num_beam_groups=2, diversity_penalty=0.4, early_stopping=True, num_return_sequences=3),
    dict(num_beams=6, num_beam_groups=3, diversity_penalty=0.4, early_stopping='never', length_penalty=1.5, num_return_sequences=2),
    dict(num_beams=4, num_beam_groups=2, diversity_penalty=1.5, repetition_penalty=1.3, no_repeat_ngram_size=2, num_return_sequences=4),
    dict(num_beams=2, num_beam_groups=2, diversity_penalty=1.0, min_new_tokens=6, renormalize_logits=True, num_return_sequences=2),
]
DOLA = [
    dict(dola_layers='low'), dict(dola_layers='high'), dict(dola_layers=[0, 1]), dict(dola_layers=[1]), dict(dola_layers=[1, 9, 0]),
    dict(dola_layers='high', repetition_penalty=1.2), dict(dola_layers=[0, 1], no_repeat_ngram_size=2, suppress_tokens=[5, 6]),
]
# The middle of a prompt is 3, 4, 1: a word that is there already.
WORDS = [
    dict(num_beams=2, force_words_ids=[[17]]), dict(num_beams=4, force_words_ids=[[17, 18, 19]], num_return_sequences=4),
    dict(num_beams=4, force_words_ids=[[17, 18], [40]], num_return_sequences=2), dict(num_beams=3, force_words_ids=[[3, 4, 1], [50, 51], [50, 52]], num_return_sequences=3),
    dict(num_beams=4, force_words_ids=[[[17, 18], [40], [41, 42, 43]]], num_return_sequences=4),
    dict(num_beams=5, force_words_ids=[[[30, 31, 32], [30, 31, 33, 34], [30, 35], [36]], [60, 61]], num_return_sequences=2),
    dict(num_beams=6, force_words_ids=[[[30, 31], [30, 32], [30, 33]], [[44, 45, 46], [44, 45, 47], [44, 48, 45]], [30, 32, 70]], num_return_sequences=6),
    dict(num_beams=4, force_words_ids=[[17, 17, 18]], early_stopping=True, num_return_sequences=2),
    dict(num_beams=4, force_words_ids=[[21, 22], [23]], early_stopping='never', length_penalty=1.5, num_return_sequences=3),
    dict(num_beams=4, force_words_ids=[[21, 22], [23]], length_penalty=-1.0, repetition_penalty=1.3, no_repeat_ngram_size=2),
    dict(num_beams=3, force_words_ids=[[9 + i, 10 + i, 11 + i, 12 + i] for i in range(0, 40, 4)], num_return_sequences=3),  # more than fit
    dict(num_beams=3, constraints=[[25, 26]]), dict(num_beams=4, constraints=[[[25, 26], [27]]], force_words_ids=[[28, 29]], num_return_sequences=4),
    dict(num_beams=3, force_words_ids=[[[80, 81, 82], [80, 81, 83], [80, 84]]], min_new_tokens=8, num_return_sequences=2),
]


def as_constraints(row):
    if 'constraints' not in row:
        return row
    return dict(row, constraints=[DisjunctiveConstraint(w) if isinstance(w[0], list) else PhrasalConstraint(w) for w in row['constraints']])


def cut(ids, eos):
    for i, token in enumerate(ids):
        if token in eos:
            return ids[:i + 1]
    return ids


def make_deep():
    torch.manual_seed(7)
    config = GPT2Config(vocab_size=160, n_positions=48, n_embd=16, n_layer=7, n_head=2, initializer_range=0.4, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(golden / 'gpt2-deep')


def texts():
    prompts = [[5, 6, 7], [9], [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]]
    for name in ('gpt2', 'llama', 'gpt2-deep'):
        model = AutoModelForCausalLM.from_pretrained(golden / name, torch_dtype=torch.float32).eval()
        likely = torch.stack([model(torch.tensor([p])).logits[0, -1] for p in prompts]).mean(0).topk(6).indices.tolist()
        model.generation_config = GenerationConfig(pad_token_id=PAD)
        for row in DOLA if name == 'gpt2-deep' else CONTRASTIVE + GROUPS + DOLA + WORDS:
            for eos in ([likely[4], likely[5]], [likely[2]], []):
                if ('num_beam_groups' in row or row in WORDS) and len(eos) > 1:
                    continue
                if 'min_new_tokens' in row and not eos:
                    continue
                for prompt in prompts:
                    config = GenerationConfig(pad_token_id=PAD, do_sample=False, max_new_tokens=24, eos_token_id=eos or None, **as_constraints(row))
                    out = model.generate(torch.tensor([prompt]), generation_config=config)
                    sequences = [cut(s.tolist()[len(prompt):], eos) for s in out]
                    parameters = dict(row, max_new_tokens=24, eos_token_id=eos, pad_token_id=PAD)
                    yield dict(model=name, parameters=parameters, prompt=prompt, sequences=sequences)


def main():
    torch.set_grad_enabled(False)
    make_deep()
    rows = list(texts())
    lines = ',\n'.join(json.dumps(row, separators=(',', ':')) for row in rows)
    (golden / 'decoding_older.json').write_text('{"texts":[\n' + lines + ']}\n')
    print(len(rows), 'texts')


if __name__ == '__main__':
    main()
