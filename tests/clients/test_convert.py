"""hug convert beside the libraries whose formats it writes: safetensors to the byte, transformers loading both
formats, llama.cpp's own reader of quantised blocks."""
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from conftest import HUG, ROOT, run

GOLDEN = ROOT / 'tests/golden'


def convert(source, destination, *options):
    run(HUG, 'convert', source, destination, '--quiet', *options)
    return Path(destination)


@pytest.fixture(scope='module')
def gpt2(tmp_path_factory):
    folder = tmp_path_factory.mktemp('gpt2')
    torch.manual_seed(3)
    GPT2LMHeadModel(GPT2Config(vocab_size=512, n_embd=256, n_layer=3, n_head=4, n_positions=64)).save_pretrained(folder)
    return folder


@pytest.fixture(scope='module')
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp('llama')
    torch.manual_seed(4)
    LlamaForCausalLM(LlamaConfig(vocab_size=300, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=8,
                                 num_key_value_heads=4, max_position_embeddings=64)).save_pretrained(folder)
    return folder


def logits(model):
    with torch.inference_mode():
        return model(torch.arange(20)[None] * 7 % 200).logits.float().numpy()


def assert_close(a, b, tolerance=1e-4):
    assert abs(a - b).max() / abs(b).max() < tolerance


def test_safetensors_are_the_librarys_to_the_byte(llama, tmp_path):
    out = convert(llama, tmp_path / 'bf16', '--dtype', 'bf16')
    tensors = {name: t.to(torch.bfloat16) for name, t in load_file(llama / 'model.safetensors').items()}
    save_file(tensors, tmp_path / 'theirs.safetensors', {'format': 'pt'})
    assert (out / 'model.safetensors').read_bytes() == (tmp_path / 'theirs.safetensors').read_bytes()
    model = AutoModelForCausalLM.from_pretrained(out, dtype='auto')
    assert model.dtype == torch.bfloat16
    assert json.loads((out / 'config.json').read_text())['num_hidden_layers'] == 2


def test_shards_are_found_by_transformers(llama, tmp_path):
    out = convert(llama, tmp_path / 'shards', '--max-shard-size', '500KB')
    index = json.loads((out / 'model.safetensors.index.json').read_text())
    assert len(set(index['weight_map'].values())) > 3
    assert index['metadata']['total_size'] == sum(t.nbytes for t in load_file(llama / 'model.safetensors').values())
    assert_close(logits(AutoModelForCausalLM.from_pretrained(out)), logits(AutoModelForCausalLM.from_pretrained(llama)))


@pytest.mark.parametrize('kind', ['gpt2', 'llama'])
def test_transformers_reads_our_gguf_and_what_comes_back(kind, request, tmp_path):
    folder = request.getfixturevalue(kind)
    want = logits(AutoModelForCausalLM.from_pretrained(folder))
    file = convert(folder, tmp_path / 'm.gguf', '--dtype', 'f32')
    if kind == 'llama':  # of a GGUF file of GPT-2 transformers takes neither positions nor vocabulary
        assert_close(logits(AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file.name)), want)
    back = convert(file, tmp_path / 'back')
    assert_close(logits(AutoModelForCausalLM.from_pretrained(back)), want)


@pytest.mark.parametrize('dtype', ['f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'q4_k', 'q5_k_m', 'q6_k'])
def test_the_references_reader_finds_the_weights_in_every_type(llama, dtype, tmp_path):
    file = convert(llama, tmp_path / 'q.gguf', '--dtype', dtype)
    tensors = {t.name: t for t in GGUFReader(file).tensors}
    want = load_file(llama / 'model.safetensors')
    # What a type of so few bits may lose, of the mean square of the weights.
    most = {'f16': 1e-6, 'bf16': 1e-4, 'q8_0': 1e-4, 'q6_k': 1e-3, 'q5_k_m': 3e-3, 'q5_0': 4e-3, 'q5_1': 4e-3}.get(dtype, 1.5e-2)
    for name, theirs in (('blk.1.ffn_up.weight', 'mlp.up_proj'), ('blk.1.ffn_down.weight', 'mlp.down_proj'),
                         ('blk.1.attn_v.weight', 'self_attn.v_proj')):
        ours = dequantize(tensors[name].data, tensors[name].tensor_type)
        x = want[f'model.layers.1.{theirs}.weight'].numpy()
        assert ((ours - x) ** 2).mean() / (x ** 2).mean() < most
    assert tensors['blk.1.attn_norm.weight'].tensor_type.name == 'F32'


def test_the_tokenizer_survives_gguf(tmp_path):
    file = convert(GOLDEN / 'text-generation', tmp_path / 't.gguf')
    back = convert(file, tmp_path / 't')
    before, after = (AutoTokenizer.from_pretrained(f) for f in (GOLDEN / 'text-generation', back))
    for text in ("Hello, it's 1234 o'clock\n\n  now", 'naïve 日本 🙂', '', ' x'):
        assert before(text)['input_ids'] == after(text)['input_ids']
        ours = json.loads(run(HUG, 'tokenize', file, text, '--json'))['ids'] if text else []
        assert ours == before(text)['input_ids']
    assert before.chat_template == after.chat_template and before.eos_token == after.eos_token
