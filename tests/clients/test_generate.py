"""Decoders in their real shapes against transformers, live: tokens identical, logits within 1e-4 of the
largest. The recorded cases are in tests/golden; these are too large to record."""
import json, os, subprocess, sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from conftest import HUG, REAL_HOME, ROOT, library_environment, run

NEW = 64


def library_logits(path, dtype, prompts):
    """libhug's logits behind each prompt, through ctypes, as another language would use it."""
    env = library_environment()
    done = subprocess.run([sys.executable, Path(__file__).with_name('libhug.py'), env['LIBHUG'], path, dtype],
                          input=json.dumps(prompts).encode(), env=os.environ | env, stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(prompts), -1)


def greedy(path, ids, dtype='f32', new=NEW):
    out = run(HUG, 'generate', path, '--prompt-ids', ','.join(map(str, ids)), '--greedy', '--json', '--dtype', dtype,
              '--max-new-tokens', new)
    return json.loads(out)


@torch.inference_mode()
def compare(model, path, prompts, dtype='f32'):
    """The reference is `model`, ours the weights at `path`."""
    for ids, logits in zip(prompts, library_logits(path, dtype, prompts)):
        # Without a mask of its own, generate() takes token 0 in a prompt for padding.
        out = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False,
                             max_new_tokens=NEW, eos_token_id=None, pad_token_id=0, output_logits=True,
                             return_dict_in_generate=True)
        want = out.sequences[0, len(ids):].tolist()
        reference = out.logits[0][0].numpy()
        off = abs(logits - reference).max() / abs(reference).max()
        assert off < 1e-4, f'logits are off by {off:.2e} of the largest behind {len(ids)} tokens'
        answer = greedy(path, ids, dtype)
        ended = answer['finish_reason'] == 'eos_token'
        assert answer['token_ids'] == want[:len(answer['token_ids']) if ended else NEW]
        assert answer['prompt_ids'] == list(ids) and (ended or answer['finish_reason'] == 'length')


def prompts_of(vocab, *lengths):
    generator = np.random.default_rng(5)
    return [generator.integers(0, vocab, n).tolist() for n in lengths]


def without_end(folder):
    """Random weights must not end by chance."""
    for name in ('config.json', 'generation_config.json'):
        path = Path(folder) / name
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != 'eos_token_id'}))


def test_gpt2_of_124m_parameters(tmp_path):
    torch.manual_seed(11)
    model = GPT2LMHeadModel(GPT2Config()).eval()
    model.save_pretrained(tmp_path)
    without_end(tmp_path)
    compare(model, tmp_path, prompts_of(50257, 13, 700))


def test_llama_3_shapes_in_bf16(tmp_path):
    """Heads of 64, four queries a key, llama3 rotation, weights stored as bf16 and computed in f32."""
    torch.manual_seed(12)
    config = LlamaConfig(vocab_size=32000, hidden_size=512, intermediate_size=1408, num_hidden_layers=4,
                         num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=4096,
                         tie_word_embeddings=True,
                         rope_parameters=dict(rope_type='llama3', rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                                              high_freq_factor=4.0, original_max_position_embeddings=512))
    LlamaForCausalLM(config).bfloat16().save_pretrained(tmp_path, max_shard_size='10MB')
    assert (tmp_path / 'model.safetensors.index.json').exists()
    without_end(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    compare(model, tmp_path, prompts_of(32000, 3, 1500), 'auto')


@pytest.fixture(scope='module')
def smollm2():
    """A real model; skipped, not passed, where it cannot be fetched."""
    found = subprocess.run([ROOT / 'tools/weights'], text=True, env={'HOME': REAL_HOME, 'PATH': '/usr/bin:/bin'},
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if found.returncode:
        pytest.skip(f'no weights: {found.stderr.strip()}')
    return Path(found.stdout.strip())


def test_smollm2_says_what_was_recorded(smollm2):
    """transformers 5.24 on the dequantised weights, recorded; quantised kernels must choose the same."""
    want = [7042, 30, 198, 198, 504, 2988, 314, 42, 216, 34, 32, 33, 40, 29, 32, 33, 29, 34, 34, 216, 33, 34, 42, 33]
    for dtype in ('f32', 'auto'):
        out = json.loads(run(HUG, 'generate', smollm2, 'The capital of France is', '--greedy', '--json',
                             '--max-new-tokens', len(want), '--dtype', dtype))
        assert out['prompt_ids'] == [504, 3575, 282, 4649, 314]
        assert out['token_ids'] == want, dtype
        assert out['text'].startswith(' Paris.\n\nThe')


def dequantised(path):
    """The GGUF file as a transformers model in f32, and its values as they are in the file."""
    from gguf import GGUFReader
    from gguf.quants import dequantize
    reader = GGUFReader(path)
    value = {f.name.partition('.')[2]: f.contents() for f in reader.fields.values() if f.name.startswith('llama.')}
    heads, kv_heads = value['attention.head_count'], value['attention.head_count_kv']
    config = LlamaConfig(vocab_size=value['vocab_size'], hidden_size=value['embedding_length'],
                         intermediate_size=value['feed_forward_length'], num_hidden_layers=value['block_count'],
                         num_attention_heads=heads, num_key_value_heads=kv_heads,
                         max_position_embeddings=value['context_length'], rope_theta=value['rope.freq_base'],
                         rms_norm_eps=value['attention.layer_norm_rms_epsilon'], tie_word_embeddings=True)
    names = {'token_embd': 'model.embed_tokens', 'output_norm': 'model.norm', 'attn_norm': 'input_layernorm',
             'ffn_norm': 'post_attention_layernorm', 'attn_q': 'self_attn.q_proj', 'attn_k': 'self_attn.k_proj',
             'attn_v': 'self_attn.v_proj', 'attn_output': 'self_attn.o_proj', 'ffn_gate': 'mlp.gate_proj',
             'ffn_up': 'mlp.up_proj', 'ffn_down': 'mlp.down_proj'}
    state = {}
    for t in reader.tensors:
        data = dequantize(t.data, t.tensor_type)
        block, _, stem = t.name.removesuffix('.weight').rpartition('.')
        if stem in ('attn_q', 'attn_k'):  # halves of a head alternate in the file
            data = data.reshape(heads if stem == 'attn_q' else kv_heads, -1, 2, data.shape[1]).swapaxes(1, 2)
            data = data.reshape(-1, data.shape[-1])
        layer = block.replace('blk.', 'model.layers.') + '.' if block else ''
        state[f'{layer}{names[stem]}.weight'] = torch.tensor(data)
    state['lm_head.weight'] = state['model.embed_tokens.weight']
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict(state)
    return model


def test_smollm2_against_transformers_dequantised(smollm2):
    tokenizer = AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)
    texts = ('The capital of France is', 'def fibonacci(n):', 'Once upon a time, in a land far away,')
    compare(dequantised(smollm2), smollm2, [tokenizer(t)['input_ids'] for t in texts])
