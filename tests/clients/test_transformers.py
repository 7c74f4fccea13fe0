"""transformers against our hub: push_to_hub, from_pretrained, the same numbers back."""
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


@pytest.mark.parametrize('name', ['gpt2', 'llama'])
def test_push_and_load(hub, request, name):
    folder = request.getfixturevalue('tiny_' + name)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    model.push_to_hub(f'me/pushed-{name}', token=hub.token)
    tokenizer.push_to_hub(f'me/pushed-{name}', token=hub.token)
    assert AutoConfig.from_pretrained(f'me/pushed-{name}').model_type == name
    again = AutoModelForCausalLM.from_pretrained(f'me/pushed-{name}')
    ids = AutoTokenizer.from_pretrained(f'me/pushed-{name}')('Read the header first', return_tensors='pt')
    with torch.no_grad():
        assert torch.equal(again(**ids).logits, model(**tokenizer('Read the header first', return_tensors='pt')).logits)


def test_a_private_model_needs_its_token(hub, api, tiny_gpt2):
    api.create_repo('me/private-gpt2', private=True)
    api.upload_folder(repo_id='me/private-gpt2', folder_path=tiny_gpt2)
    with pytest.raises(OSError):
        AutoConfig.from_pretrained('me/private-gpt2', token=False)
    assert AutoConfig.from_pretrained('me/private-gpt2', token=hub.token).n_layer == 2
