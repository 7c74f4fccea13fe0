#!/usr/bin/env python3
"""Makes tests/golden/{gpt2,llama}*: tiny random checkpoints and what transformers says of them.

    $(tools/venv) tools/golden/decoders.py [NAME...]        without names: all

NAME.gguf holds the same tensors as the folder NAME, stored as that format has them.
Each folder holds config.json, model.safetensors and golden.safetensors:
  prompts [20,40] i64 (padded with -1), tokens [20,64] i64 (greedy), logits [20,V] f32 (behind the
  prompt), margins [20,64] f32 (how far the second-best token was behind at each step); the versions
  and the seed are in its metadata. Weights are drawn wide, so that the greedy choice is none of
  rounding; the least margin is printed and should stay above a few thousandths.
"""
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

root = Path(__file__).resolve().parents[2] / 'tests/golden'
PROMPTS, NEW, LONGEST, LEAST_MARGIN = 20, 64, 40, 0.005

gpt2 = dict(vocab_size=203, n_embd=36, n_layer=2, n_head=3, n_positions=128, bos_token_id=202, eos_token_id=202)
llama = dict(vocab_size=211, hidden_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=72, max_position_embeddings=128, bos_token_id=1, eos_token_id=2)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=10000.0, **more))


# name: (configuration class, its arguments, a function that changes the tensors on disk)
cases = {
    'gpt2': (transformers.GPT2Config, gpt2, None),
    # As the first published file has it: no prefix, and the masks among the weights.
    'gpt2-bare': (transformers.GPT2Config,
                  gpt2 | dict(n_inner=50, activation_function='gelu', scale_attn_by_inverse_layer_idx=True),
                  'bare'),
    'llama': (transformers.LlamaConfig, llama | dict(rms_norm_eps=1e-5), None),
    'llama-3': (transformers.LlamaConfig,
                llama | rope('llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=32)
                | dict(tie_word_embeddings=True, attention_bias=True, mlp_bias=True, head_dim=12), None),
    'llama-linear': (transformers.LlamaConfig,
                     llama | rope('linear', factor=4.0) | dict(num_key_value_heads=1), None),
    'llama-yarn': (transformers.LlamaConfig,
                   llama | rope('yarn', factor=4.0, original_max_position_embeddings=32)
                   | dict(num_key_value_heads=4), None),
}


def spread(model, seed):
    """Widens what the initializer drew narrowly, norms and biases included."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.dim() == 1:
            centre = 1.0 if name.endswith('weight') else 0.0
            p.data = centre + 0.2 * torch.randn(p.shape, generator=generator)
        else:
            p.data = torch.randn(p.shape, generator=generator) * 0.5
    head = model.get_output_embeddings().weight
    head.data = torch.randn(head.shape, generator=generator) * 1.2


def on_disk(folder, change):
    if change == 'bare':
        path = folder / 'model.safetensors'
        tensors = {k.removeprefix('transformer.'): v for k, v in load_file(path).items()}
        for i in range(gpt2['n_layer']):
            tensors[f'h.{i}.attn.bias'] = np.tril(np.ones((1, 1, 8, 8), np.float32))
        save_file(tensors, path, metadata={'format': 'pt'})


def record(model, vocab, seed):
    generator = np.random.default_rng(seed)
    prompts = np.full((PROMPTS, LONGEST), -1, np.int64)
    tokens = np.zeros((PROMPTS, NEW), np.int64)
    logits = np.zeros((PROMPTS, vocab), np.float32)
    margins = np.zeros((PROMPTS, NEW), np.float32)
    for i in range(PROMPTS):
        length = 1 + i * (LONGEST - 1) // (PROMPTS - 1)
        prompts[i, :length] = generator.integers(3, vocab - 1, length)
        with torch.no_grad():
            out = model.generate(torch.tensor(prompts[i:i + 1, :length]), max_new_tokens=NEW, min_new_tokens=NEW,
                                 do_sample=False, eos_token_id=None, pad_token_id=0, output_logits=True,
                                 return_dict_in_generate=True)
        tokens[i] = out.sequences[0, length:].numpy()
        steps = torch.stack(out.logits)[:, 0]
        logits[i] = steps[0].numpy()
        best = steps.topk(2).values
        margins[i] = (best[:, 0] - best[:, 1]).numpy()
    return dict(prompts=prompts, tokens=tokens, logits=logits, margins=margins)


def interleave(rows, heads):
    """The order of q's and k's rows in GGUF: within each head the halves alternate."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write_gguf(name, arch):
    tensors = load_file(root / name / 'model.safetensors')
    w = gguf.GGUFWriter(root / f'{name}.gguf', gguf.MODEL_ARCH_NAMES[arch])
    hf = transformers.AutoConfig.from_pretrained(root / name)
    w.add_context_length(hf.max_position_embeddings)
    w.add_embedding_length(hf.hidden_size)
    w.add_block_count(hf.num_hidden_layers)
    w.add_head_count(hf.num_attention_heads)
    if arch == gguf.MODEL_ARCH.LLAMA:
        w.add_feed_forward_length(hf.intermediate_size)
        w.add_head_count_kv(hf.num_key_value_heads)
        w.add_layer_norm_rms_eps(hf.rms_norm_eps)
        w.add_rope_freq_base(10000.0)
        w.add_key_length(hf.head_dim)
        w.add_value_length(hf.head_dim)
        w.add_rope_dimension_count(hf.head_dim)
        if hf.rope_parameters['rope_type'] == 'llama3':
            # The converter stores what the frequencies are divided by.
            plain = 10000.0 ** -(np.arange(0, hf.head_dim, 2) / hf.head_dim)
            scaled = transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS['llama3'](hf, 'cpu')[0].numpy()
            w.add_tensor('rope_freqs.weight', (plain / scaled).astype(np.float32))
    else:
        w.add_feed_forward_length(4 * hf.hidden_size)
        w.add_layer_norm_eps(hf.layer_norm_epsilon)
    names = gguf.get_tensor_name_map(arch, hf.num_hidden_layers)
    for key, value in tensors.items():
        if 'q_proj' in key:
            value = interleave(value, hf.num_attention_heads)
        if 'k_proj' in key:
            value = interleave(value, hf.num_key_value_heads)
        if arch == gguf.MODEL_ARCH.GPT2 and value.ndim == 2 and '.h.' in key:
            value = value.T
        w.add_tensor(names.get_name(key, ('.weight', '.bias')), np.ascontiguousarray(value))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make(name, seed):
    config_class, arguments, change = cases[name]
    model = transformers.AutoModelForCausalLM.from_config(config_class(**arguments)).float().eval()
    spread(model, seed)
    golden = record(model, arguments['vocab_size'], seed)
    if golden['margins'].min() < LEAST_MARGIN:
        return False
    folder = root / name
    model.save_pretrained(folder)
    (folder / 'generation_config.json').unlink(missing_ok=True)
    on_disk(folder, change)
    save_file(golden, folder / 'golden.safetensors',
              metadata=dict(transformers=transformers.__version__, torch=torch.__version__, seed=str(seed)))
    for path in folder.iterdir():
        path.chmod(0o644)
    print(f"{name}: seed {seed}, least margin {golden['margins'].min():.4f}, logits to "
          f"{abs(golden['logits']).max():.1f}, {len(set(golden['tokens'].ravel()))} different tokens")
    return True


for name in sys.argv[1:] or cases:
    next(seed for seed in range(1, 100) if make(name, seed))
for name, arch in (('llama', gguf.MODEL_ARCH.LLAMA), ('llama-3', gguf.MODEL_ARCH.LLAMA),
                   ('gpt2', gguf.MODEL_ARCH.GPT2)):
    if name in (sys.argv[1:] or cases):
        write_gguf(name, arch)
