"""hug bench perplexity in transformers' strided way, token by token the same sum."""
import json

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from conftest import HUG, ROOT, run

FOLDER = ROOT / 'tests/golden/text-generation'
CONTEXT, STRIDE = 48, 20


@torch.inference_mode()
def test_the_strided_perplexity_is_transformers(tmp_path):
    text = (ROOT / 'README.md').read_text()[:1500]
    (tmp_path / 'text').write_text(text)
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
    ids = torch.tensor([AutoTokenizer.from_pretrained(FOLDER)(text)['input_ids']])
    nll, scored, begin, count = 0.0, 1, 0, 0
    while scored < ids.shape[1]:
        window = ids[:, begin:begin + CONTEXT]
        end = begin + window.shape[1]
        new = end - max(scored, begin + 1)
        logprobs = model(window[:, :-1]).logits[0, -new:].double().log_softmax(-1)
        nll -= logprobs.gather(1, window[0, -new:, None]).sum().item()
        scored, begin, count = end, begin + STRIDE, count + new
    out = json.loads(run(HUG, 'bench', 'perplexity', FOLDER, '--file', tmp_path / 'text', '--context', CONTEXT,
                         '--stride', STRIDE, '--dtype', 'f32', '--json'))
    assert out['tokens'] == count == ids.shape[1] - 1
    assert abs(out['nll'] - nll / count) < 1e-4 * (nll / count)
