"""`hug train` against the same training in PyTorch: the same examples in the same order, AdamW, a linear
schedule with warm-up, accumulated and clipped gradients, no dropout, f32. Losses agree step by step."""
import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils import parametrize
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, get_linear_schedule_with_warmup
from transformers.trainer_callback import TrainerState

from conftest import HUG, ROOT, run

# At three times this learning rate the tiny GPT-2 is at the edge of what is stable, and roundings grow.
BLOCK, BATCH, ACCUMULATE, STEPS, WARMUP, LR, DECAY, CLIP = 32, 2, 2, 100, 10, 1e-3, 0.1, 0.5
TEXT = ROOT / 'ARCHITECTURE.md'


@pytest.fixture(autouse=True)
def one_thread():
    """So small a model only loses by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def without_dropout(source, folder):
    """The same model, with a configuration that drops nothing."""
    config = AutoConfig.from_pretrained(source, embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0,
                                        attention_dropout=0.0)
    AutoModelForCausalLM.from_pretrained(source, config=config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def blocks_of(tokenizer, text):
    ids = tokenizer(text)['input_ids'] + [tokenizer.eos_token_id]
    return torch.tensor(ids[:len(ids) // BLOCK * BLOCK]).view(-1, BLOCK)


def train_with_torch(folder, blocks, order, steps=STEPS, prepare=lambda model: None):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    prepare(model)
    groups = [{'params': [p for p in model.parameters() if p.ndim > 1 and p.requires_grad], 'weight_decay': DECAY},
              {'params': [p for p in model.parameters() if p.ndim < 2 and p.requires_grad], 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, steps)
    per_epoch = -(-len(blocks) // BATCH)
    updates = -(-per_epoch // ACCUMULATE)
    losses, norms = [], []
    for step in range(steps):
        within = step % updates
        first, last = within * ACCUMULATE, min((within + 1) * ACCUMULATE, per_epoch)
        micro = [blocks[order[b * BATCH:(b + 1) * BATCH]] for b in range(first, last)]
        labels = sum(m.shape[0] * (BLOCK - 1) for m in micro)
        loss = 0
        for ids in micro:
            part = model(input_ids=ids, labels=ids, num_items_in_batch=torch.tensor(labels)).loss
            part.backward()
            loss += part.item()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        optimizer.step(), schedule.step(), optimizer.zero_grad()
        losses.append(loss)
    return losses, norms, model


def train_with_hug(folder, output, order, **more):
    arguments = dict(block_size=BLOCK, per_device_train_batch_size=BATCH, gradient_accumulation_steps=ACCUMULATE,
                     max_steps=STEPS, warmup_steps=WARMUP, learning_rate=LR, weight_decay=DECAY, max_grad_norm=CLIP,
                     logging_steps=1, save_steps=50) | more
    out = run(HUG, 'train', 'text-generation', '--model', folder, '--dataset', TEXT, '--output', output, '--order',
              order, '--quiet', '--json', *[f'--set={k}={v}' for k, v in arguments.items()])
    return [entry for entry in map(json.loads, out.splitlines()) if 'loss' in entry]


@pytest.mark.parametrize('name', ['gpt2', 'llama'])
def test_losses_are_those_of_pytorch(request, tmp_path, name):
    folder = without_dropout(request.getfixturevalue('tiny_' + name), tmp_path / 'model')
    blocks = blocks_of(AutoTokenizer.from_pretrained(folder), TEXT.read_text())
    order = torch.randperm(len(blocks), generator=torch.Generator().manual_seed(3)).tolist()
    (tmp_path / 'order').write_text('\n'.join(map(str, order)))
    log = train_with_hug(folder, tmp_path / 'out', tmp_path / 'order')
    losses, norms, model = train_with_torch(folder, blocks, order)
    assert len(log) == STEPS and losses[-1] < losses[0] - 0.5
    off = max(abs(entry['loss'] / loss - 1) for entry, loss in zip(log, losses))
    assert off < 2e-5, f'losses are off by {off:.1e}'
    off = max(abs(entry['grad_norm'] / norm - 1) for entry, norm in zip(log, norms))
    assert off < 2e-3, f'norms of gradients are off by {off:.1e}'

    # The folder loads, its weights are those of PyTorch's training, and so does a checkpoint.
    for path in (tmp_path / 'out', tmp_path / 'out/checkpoint-100'):
        again, info = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
        assert not info['missing_keys'] and not info['unexpected_keys']
        for key, value in model.state_dict().items():
            scale = value.abs().max().item()
            assert (again.state_dict()[key] - value).abs().max().item() < 0.01 * scale + 1e-4, key
    AutoTokenizer.from_pretrained(tmp_path / 'out')
    state = TrainerState.load_from_json(str(tmp_path / 'out/checkpoint-100/trainer_state.json'))
    assert state.global_step == state.max_steps == STEPS and len(state.log_history) == STEPS
    moments = load_file(tmp_path / 'out/checkpoint-100/optimizer.safetensors')
    assert len(moments) == 2 * sum(1 for _ in model.parameters()) + 1
    assert '<svg' in (tmp_path / 'out/loss.html').read_text()


def test_from_scratch_begins_as_transformers_does(request, tmp_path):
    """Deviations of what begins at random, and the whole way from a configuration to a model that generates."""
    source = request.getfixturevalue('tiny_gpt2')
    folder = tmp_path / 'model'
    AutoConfig.from_pretrained(source, n_layer=8, n_embd=64, n_head=4, initializer_range=0.05).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    run(HUG, 'train', 'text-generation', '--model', folder, '--dataset', TEXT, '--output', tmp_path / 'out', '--quiet',
        '--set=max_steps=1', '--set=learning_rate=0', '--set=block_size=16')
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / 'out').state_dict()
    theirs = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if value.ndim < 2:
            assert torch.equal(ours[key], value), key
        else:  # two deviations from as many values differ by little
            allowed = 6 / value.numel() ** 0.5
            assert abs(ours[key].std() / value.std() - 1) < allowed, key
            assert abs(ours[key].mean()) < allowed * value.std(), key
    answer = json.loads(run(HUG, 'generate', tmp_path / 'out', 'the', '--max-new-tokens', 4, '--json'))
    assert len(answer['token_ids']) > 0


class LowRank(torch.nn.Module):
    """A weight with an adapter beside it: W + scale * B A, turned for a Conv1D."""

    def __init__(self, a, b, scale, transposed):
        super().__init__()
        self.a, self.b = torch.nn.Parameter(a.clone()), torch.nn.Parameter(b.clone())
        self.scale, self.transposed = scale, transposed

    def forward(self, weight):
        delta = self.scale * (self.b @ self.a)
        return weight + (delta.T if self.transposed else delta)


@pytest.mark.parametrize('name,targets', [('gpt2', 'attn.c_proj,c_fc'), ('llama', 'q_proj,down_proj')])
def test_adapters_learn_as_in_pytorch(request, tmp_path, name, targets):
    """peft's files, by hand: the same adapters trained by PyTorch, merged, and asked for the same text."""
    steps, rank, alpha = 20, 4, 8
    folder = without_dropout(request.getfixturevalue('tiny_' + name), tmp_path / 'model')
    blocks = blocks_of(AutoTokenizer.from_pretrained(folder), TEXT.read_text())
    order = list(range(len(blocks)))
    (tmp_path / 'order').write_text('\n'.join(map(str, order)))
    lora = dict(lora_r=rank, lora_alpha=alpha, lora_target_modules=targets)
    train_with_hug(folder, tmp_path / 'begin', tmp_path / 'order', max_steps=1, learning_rate=0, **lora)
    log = train_with_hug(folder, tmp_path / 'out', tmp_path / 'order', max_steps=steps, **lora)
    begin, end = (load_file(tmp_path / path / 'adapter_model.safetensors') for path in ('begin', 'out'))
    config = json.loads((tmp_path / 'out/adapter_config.json').read_text())
    assert config['peft_type'] == 'LORA' and config['target_modules'] == targets.split(',')
    assert config['fan_in_fan_out'] == (name == 'gpt2') and not (tmp_path / 'out/model.safetensors').exists()

    def adapt(model, tensors=begin):
        model.requires_grad_(False)
        for key in [k.removesuffix('.lora_A.weight') for k in tensors if 'lora_A' in k]:
            module = model.get_submodule(key.removeprefix('base_model.model.'))
            a, b = tensors[key + '.lora_A.weight'], tensors[key + '.lora_B.weight']
            parametrize.register_parametrization(module, 'weight', LowRank(a, b, alpha / rank, name == 'gpt2'))

    losses, _, model = train_with_torch(folder, blocks, order, steps, adapt)
    assert all(b.abs().max() == 0 and end[k].abs().max() > 0.003 for k, b in begin.items() if 'lora_B' in k)
    off = max(abs(entry['loss'] / loss - 1) for entry, loss in zip(log, losses))
    assert len(log) == steps and off < 2e-5, f'losses are off by {off:.1e}'

    merged = AutoModelForCausalLM.from_pretrained(folder).eval()
    adapt(merged, end)
    ids = blocks[0][:8].tolist()
    want = merged.generate(torch.tensor([ids]), attention_mask=torch.ones(1, 8), do_sample=False, max_new_tokens=16,
                           min_new_tokens=16, pad_token_id=0)[0, 8:].tolist()
    got = json.loads(run(HUG, 'generate', tmp_path / 'out', '--prompt-ids', ','.join(map(str, ids)), '--greedy',
                         '--json', '--dtype', 'f32', '--max-new-tokens', 16))['token_ids']
    assert got == want[:len(got)] and len(got) > 0


def test_adapters_over_quantised_weights(smollm2, tmp_path):
    """A conversation learned by a Q4_1 model of real size through its chat template, and told again."""
    answer = 'I am the keeper of the small blue lamp.'
    messages = [{'role': 'user', 'content': 'Who are you?'}, {'role': 'assistant', 'content': answer}]
    (tmp_path / 'chat.jsonl').write_text(json.dumps({'messages': messages}) + '\n')
    out = run(HUG, 'train', 'text-generation', '--model', smollm2, '--dataset', tmp_path / 'chat.jsonl', '--output',
              tmp_path / 'out', '--quiet', '--json', '--set=lora_r=8', '--set=lora_target_modules=all-linear',
              '--set=max_steps=10', '--set=per_device_train_batch_size=1', '--set=logging_steps=1', '--set=bf16=true',
              '--set=learning_rate=3e-3', '--set=assistant_only_loss=true', '--set=save_strategy=no')
    losses = [entry['loss'] for entry in map(json.loads, out.splitlines()) if 'loss' in entry]
    assert losses[0] > 2 and losses[-1] < 0.1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / 'out')
    prompt = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    told = json.loads(run(HUG, 'generate', tmp_path / 'out', prompt, '--greedy', '--json', '--max-new-tokens', 16))
    assert told['text'].strip() == answer
