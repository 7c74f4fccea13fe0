#!/usr/bin/env python3
"""Makes tests/golden/decoding.json: what transformers' own generation code makes of logits and prompts.

    $(tools/venv) tools/golden/decoding.py

scores: {"parameters", "logits", "ids", "prompt", "max_length", "keep", "scores"}: the whole list of
processors that `generate` builds from a GenerationConfig, run on random logits. A case whose outcome
hangs on rounding (a filter's threshold) would move with the machine: seeds are such that none does.

texts: {"model", "assistant", "parameters", "prompt", "sequences"}: whole generations by the models of
tests/golden, greedy or by beams, end tokens included and padding cut off.

Recorded with transformers 5.24.0, torch 2.15.0.
"""
import json
import math
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

golden = Path(__file__).resolve().parents[2] / 'tests/golden'
VOCAB = 60
WATERMARK = dict(greenlist_ratio=0.25, bias=2.5, hashing_key=15485863, context_width=1)

DRAWN = [
    dict(temperature=0.7), dict(top_k=5), dict(top_k=1), dict(top_k=1000), dict(top_p=0.8), dict(top_p=0.01), dict(top_p=0.99),
    dict(top_h=0.4), dict(top_h=1.0), dict(top_h=0.01), dict(min_p=0.2), dict(min_p=0.9), dict(typical_p=0.3), dict(typical_p=0.95),
    dict(epsilon_cutoff=0.02), dict(eta_cutoff=0.02), dict(eta_cutoff=0.3), dict(epsilon_cutoff=0.5),
    dict(temperature=1.7, top_k=20, top_p=0.9), dict(temperature=0.5, top_h=0.6, top_k=4, min_p=0.1),
    dict(top_k=30, top_p=0.95, typical_p=0.8, epsilon_cutoff=0.01, eta_cutoff=0.01),
    dict(top_p=0.7, renormalize_logits=True), dict(top_k=10, watermarking_config=WATERMARK),
    dict(top_p=0.9, keep=3), dict(top_k=1, keep=3), dict(typical_p=0.1, keep=4), dict(min_p=0.99, keep=2),
    dict(epsilon_cutoff=0.6, keep=3), dict(eta_cutoff=0.6, keep=3),
]
GREEDY = [
    dict(repetition_penalty=1.3), dict(repetition_penalty=0.7), dict(encoder_repetition_penalty=1.5),
    dict(no_repeat_ngram_size=1), dict(no_repeat_ngram_size=2), dict(no_repeat_ngram_size=3), dict(encoder_no_repeat_ngram_size=2),
    dict(bad_words_ids=[[3], [1, 2], [5, 7, 9], [50]]),
    dict(sequence_bias=[[[4], 2.5], [[7, 8], -3.0], [[1, 2, 30], 1.5], [[2, 31], -0.5]]),
    dict(min_length=9), dict(min_length=8), dict(min_new_tokens=4), dict(min_new_tokens=3), dict(min_length=20, min_new_tokens=2),
    dict(forced_bos_token_id=6), dict(forced_eos_token_id=9), dict(forced_eos_token_id=[9, 10]),
    dict(exponential_decay_length_penalty=[1, 1.5]), dict(exponential_decay_length_penalty=[5, 1.5]),
    dict(suppress_tokens=[1, 2, 59]), dict(begin_suppress_tokens=[1, 2]), dict(renormalize_logits=True),
    dict(remove_invalid_values=True), dict(remove_invalid_values=True, bad_words_ids=[[3]], suppress_tokens=[4]),
    dict(watermarking_config=WATERMARK), dict(watermarking_config=dict(WATERMARK, seeding_scheme='selfhash')),
    dict(watermarking_config=dict(WATERMARK, seeding_scheme='selfhash', context_width=3)),
    dict(repetition_penalty=1.2, no_repeat_ngram_size=2, bad_words_ids=[[8]], min_new_tokens=9, suppress_tokens=[0]),
]


def number(x):
    return round(float(x), 6) if math.isfinite(x) else str(float(x))


def processed(model, parameters, ids, logits, prompt, max_length, keep, do_sample):
    config = GenerationConfig(do_sample=do_sample, eos_token_id=[50, 51], pad_token_id=50, **parameters)
    config.max_length = max_length
    if keep > 1:
        config.num_beams = 2
        config.eos_token_id = list(range(50, 49 + keep))
    if config.min_new_tokens is not None:
        config.min_length = config.min_new_tokens + prompt
    config = model._prepare_generation_config(config)[0]
    model._prepare_special_tokens(config, True, device='cpu')
    tokens = torch.tensor([ids])
    processors = model._get_logits_processor(generation_config=config, input_ids_seq_length=prompt, encoder_input_ids=tokens[:, :prompt],
                                             device='cpu', model_kwargs={})
    return processors(tokens, torch.tensor([logits]))[0], config


def scores():
    model = AutoModelForCausalLM.from_pretrained(golden / 'gpt2')
    model.config.vocab_size = VOCAB
    generator = torch.Generator().manual_seed(11)
    for do_sample, rows in ((True, DRAWN), (False, GREEDY)):
        for row in rows:
            for ids, prompt in (([1, 2, 7, 8, 2, 5, 7, 9, 1, 2], 6), ([5], 1), ([1, 2, 1, 2, 1], 5)):
                parameters = {k: v for k, v in row.items() if k != 'keep'}
                keep = row.get('keep', 1)
                logits = [round(x, 4) for x in (torch.randn(VOCAB, generator=generator) * 2.5).tolist()]
                if parameters.get('remove_invalid_values'):
                    logits[10:13] = [float('nan'), float('inf'), float('-inf')]
                elif ids == [5]:
                    logits[12] = float('-inf')
                width = row.get('watermarking_config', {}).get('context_width', 1)
                if len(ids) < width:
                    continue
                max_length = len(ids) + 1 if 'forced_eos_token_id' in row and len(ids) > 5 else 40
                out, config = processed(model, parameters, ids, logits, prompt, max_length, keep, do_sample)
                neutral = dict(top_k=0) if do_sample and 'top_k' not in parameters else {}
                if neutral:
                    out, config = processed(model, dict(parameters, top_k=0), ids, logits, prompt, max_length, keep, do_sample)
                eos = list(range(50, 49 + keep)) if keep > 1 else [50, 51]
                yield dict(parameters=dict(parameters, **neutral, do_sample=do_sample, eos_token_id=eos), keep=keep, prompt=prompt,
                           ids=ids, max_length=max_length, logits=[number(x) for x in logits], scores=[number(x) for x in out.tolist()])


def texts():
    plain = dict(max_new_tokens=24)
    prompts = [[5, 6, 7], [9], [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]]
    rows = [
        dict(repetition_penalty=1.4), dict(no_repeat_ngram_size=2), dict(bad_words_ids=[[11], [3, 4]]), dict(encoder_repetition_penalty=1.8),
        dict(sequence_bias=[[[20], 1.5], [[1, 2], -4.0]]), dict(suppress_tokens=[5, 6, 7, 8]), dict(exponential_decay_length_penalty=[3, 1.3]),
        dict(forced_eos_token_id=7), dict(min_new_tokens=20), dict(guidance_scale=1.5), dict(guidance_scale=0.5),
        dict(num_beams=2), dict(num_beams=4), dict(num_beams=4, num_return_sequences=4), dict(num_beams=3, length_penalty=2.0, num_return_sequences=2),
        dict(num_beams=3, length_penalty=-1.0), dict(num_beams=3, length_penalty=0.0, early_stopping='never', num_return_sequences=3),
        dict(num_beams=4, early_stopping=True, num_return_sequences=3), dict(num_beams=4, early_stopping='never', length_penalty=1.5),
        dict(num_beams=5, repetition_penalty=1.3, no_repeat_ngram_size=2, num_return_sequences=2), dict(num_beams=3, renormalize_logits=True, bad_words_ids=[[11]]),
        dict(prompt_lookup_num_tokens=4), dict(prompt_lookup_num_tokens=6, max_matching_ngram_size=3, repetition_penalty=1.1),
        dict(assistant=True, num_assistant_tokens=5), dict(assistant=True, num_assistant_tokens=4, num_assistant_tokens_schedule='heuristic', repetition_penalty=1.2),
    ]
    models = {name: AutoModelForCausalLM.from_pretrained(golden / name, dtype=torch.float32).eval() for name in ('gpt2', 'llama')}
    for name, model in models.items():
        # Ends that the texts really meet, so that beams finish at different lengths.
        likely = torch.stack([model(torch.tensor([p])).logits[0, -1] for p in prompts]).mean(0).topk(6).indices.tolist()
        for row in rows:
            for eos in ([likely[4], likely[5]], None):
                for prompt in prompts:
                    parameters = dict(plain, **row, eos_token_id=eos if eos is not None else [VOCAB * 4 + 100])
                    assistant = parameters.pop('assistant', None)
                    if eos is None and ('forced_eos_token_id' in row or 'exponential_decay_length_penalty' in row or 'min_new_tokens' in row):
                        continue
                    if eos is None:
                        parameters.pop('eos_token_id')
                    config = GenerationConfig(pad_token_id=210, do_sample=False, **parameters)
                    model.generation_config = GenerationConfig(pad_token_id=210)
                    kwargs = dict(assistant_model=model) if assistant else {}
                    out = model.generate(torch.tensor([prompt]), generation_config=config, **kwargs)
                    sequences = [cut(s.tolist()[len(prompt):], eos) for s in out]
                    yield dict(model=name, assistant=bool(assistant), parameters=dict(parameters, eos_token_id=eos or []), prompt=prompt, sequences=sequences)


def cut(ids, eos):
    for i, token in enumerate(ids):
        if eos and token in eos:
            return ids[:i + 1]
    return ids


def main():
    torch.set_grad_enabled(False)
    data = dict(scores=list(scores()), texts=list(texts()))
    lines = ',\n'.join(f'"{key}":[\n' + ',\n'.join(json.dumps(row, separators=(',', ':')) for row in rows) + ']' for key, rows in data.items())
    (golden / 'decoding.json').write_text('{' + lines + '}\n')
    print({key: len(rows) for key, rows in data.items()})


if __name__ == '__main__':
    main()
