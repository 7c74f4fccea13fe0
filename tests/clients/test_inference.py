"""The Inference API: the call of the article word for word, its parameters, streams and refusals."""
import json

import pytest
import requests
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

PROMPT = 'Can you please let us know more details about your '


@pytest.fixture(scope='module')
def models(hub, api, tiny_gpt2, tiny_llama):
    """me/my-gpt2 and me/my-llama, pushed once."""
    for name, folder in (('me/my-gpt2', tiny_gpt2), ('me/my-llama', tiny_llama)):
        api.create_repo(name)
        api.upload_folder(repo_id=name, folder_path=folder)
    return {'me/my-gpt2': tiny_gpt2, 'me/my-llama': tiny_llama}


def ask(hub, model, body, token=None, **more):
    return requests.post(f'{hub.url}/models/{model}', json=body,
                         headers={'Authorization': f'Bearer {token or hub.token}'}, **more)


def greedy(folder, prompt, n):
    """What transformers says: the text behind the prompt."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(prompt, return_tensors='pt')
    with torch.no_grad():
        out = model.generate(**ids, do_sample=False, max_new_tokens=n)
    return tokenizer.decode(out[0, ids['input_ids'].shape[1]:], skip_special_tokens=True)


def test_the_article_word_for_word(hub, models):
    API_URL = f'{hub.url}/models/me/my-gpt2'
    headers = {"Authorization": f"Bearer {hub.token}"}

    def query(payload):
        response = requests.post(API_URL, headers=headers, json=payload)
        return response.json()

    output = query({"inputs": "Can you please let us know more details about your "})
    assert isinstance(output, list) and list(output[0]) == ['generated_text']
    assert output[0]['generated_text'].startswith(PROMPT)
    assert len(output[0]['generated_text']) > len(PROMPT)


@pytest.mark.parametrize('name', ['me/my-gpt2', 'me/my-llama'])
def test_greedy_text_is_that_of_transformers(hub, models, name):
    for prompt in (PROMPT, 'A file begins with', 'äöü ☃', '  two  spaces\n\nand lines'):
        body = {'inputs': prompt, 'parameters': {'max_new_tokens': 64, 'do_sample': False, 'return_full_text': False}}
        assert ask(hub, name, body).json() == [{'generated_text': greedy(models[name], prompt, 64)}], prompt


def test_a_gpt2_of_the_real_size(hub, api, tiny_tokenizer, tmp_path):
    """124M parameters in their real shape, with random weights."""
    torch.manual_seed(3)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    api.create_repo('me/gpt2-124m')
    api.upload_folder(repo_id='me/gpt2-124m', folder_path=tmp_path)
    body = {'inputs': PROMPT, 'parameters': {'max_new_tokens': 16, 'do_sample': False, 'return_full_text': False}}
    answer = ask(hub, 'me/gpt2-124m', body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == [{'generated_text': greedy(tmp_path, PROMPT, 16)}]


def test_a_gguf_of_the_real_smollm2(hub, api, smollm2):
    """Its weights in four bits; the reference is transformers on the same weights, dequantised."""
    api.create_repo('me/smollm2')
    api.upload_file(path_or_fileobj=smollm2, path_in_repo=smollm2.name, repo_id='me/smollm2')
    body = {'inputs': 'The capital of France is', 'parameters': {'max_new_tokens': 24, 'do_sample': False}}
    assert ask(hub, 'me/smollm2', body).json() == [
        {'generated_text': 'The capital of France is Paris.\n\nThe answer is: 2018-01-22 12:1'}]


def test_parameters(hub, models):
    def texts(**parameters):
        answer = ask(hub, 'me/my-gpt2', {'inputs': PROMPT, 'parameters': parameters})
        assert answer.status_code == 200, answer.text
        return [a['generated_text'] for a in answer.json()]

    sampled = dict(do_sample=True, max_new_tokens=20, return_full_text=False)
    one, same, other = (texts(**sampled, seed=s) for s in (1, 1, 2))
    assert one == same != other
    assert len(texts(**sampled, num_return_sequences=3)) == 3
    assert texts(**sampled, seed=5, top_k=1) == texts(do_sample=False, max_new_tokens=20, return_full_text=False)
    assert texts(**sampled, seed=5, temperature=0.7, top_p=0.9, top_k=40, repetition_penalty=1.2)
    full = texts(do_sample=False, max_new_tokens=20)[0]
    assert full.startswith(PROMPT)
    new = full[len(PROMPT):]
    stop = new[len(new) // 2:][:1]
    assert stop in texts(do_sample=False, max_new_tokens=20, return_full_text=False, stop=[stop])[0]
    assert len(texts(do_sample=False, max_new_tokens=20, stop=[stop])[0]) <= len(full)


@pytest.mark.parametrize('parameters', [{'max_new_tokens': -1}, {'temperature': -1}, {'top_p': 2}, {'top_k': 'many'},
                                        {'num_return_sequences': 0}])
def test_wrong_parameters_are_named(hub, models, parameters):
    answer = ask(hub, 'me/my-gpt2', {'inputs': 'a', 'parameters': parameters})
    assert answer.status_code in (400, 422)
    assert next(iter(parameters)) in json.dumps(answer.json()['error'])


def test_streams(hub, models):
    body = {'inputs': PROMPT, 'stream': True, 'parameters': {'max_new_tokens': 12, 'do_sample': False}}
    with ask(hub, 'me/my-gpt2', body, stream=True) as answer:
        assert answer.headers['Content-Type'].startswith('text/event-stream')
        events = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith(b'data:') and b'[DONE]' not in line]
    text = ''.join(e['token']['text'] for e in events if not e['token']['special'])
    assert events[-1]['generated_text'] and all(e['generated_text'] is None for e in events[:-1])
    expected = ask(hub, 'me/my-gpt2', body | {'stream': False, 'parameters': body['parameters'] | {
        'return_full_text': False}}).json()[0]['generated_text']
    assert text == expected and events[-1]['generated_text'].endswith(expected)


def test_the_inference_client(hub, models):
    from huggingface_hub import InferenceClient
    client = InferenceClient(model=f'{hub.url}/models/me/my-gpt2', token=hub.token)
    expected = greedy(models['me/my-gpt2'], PROMPT, 8)
    assert client.text_generation(PROMPT, max_new_tokens=8, do_sample=False, return_full_text=False) == expected
    pieces = client.text_generation(PROMPT, max_new_tokens=8, do_sample=False, stream=True)
    assert ''.join(pieces) == expected


def test_many_at_once(hub, models):
    from concurrent.futures import ThreadPoolExecutor
    prompts = [f'Number {i} is' for i in range(12)]

    def text(prompt):
        return ask(hub, 'me/my-gpt2', {'inputs': prompt, 'parameters': {'max_new_tokens': 16, 'do_sample': False}}).json()

    alone = [text(p) for p in prompts]
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(text, prompts)) == alone
    batch = ask(hub, 'me/my-gpt2', {'inputs': prompts[:3], 'parameters': {'max_new_tokens': 16, 'do_sample': False}}).json()
    assert [a if isinstance(a, list) else [a] for a in batch] == alone[:3]


def test_a_bad_token_is_401(hub, models):
    answer = ask(hub, 'me/my-gpt2', {'inputs': 'a'}, token='hf_' + 'x' * 34)
    assert answer.status_code == 401 and answer.json()['error']


def test_a_missing_model_is_404(hub):
    answer = ask(hub, 'me/no-such-model', {'inputs': 'a'})
    assert answer.status_code == 404 and answer.json()['error']


def test_a_private_model_is_404_for_others(hub, api, tiny_gpt2):
    api.create_repo('me/hidden-gpt2', private=True)
    api.upload_folder(repo_id='me/hidden-gpt2', folder_path=tiny_gpt2)
    assert ask(hub, 'me/hidden-gpt2', {'inputs': 'a'}, token=hub.other_token).status_code == 404
    assert ask(hub, 'me/hidden-gpt2', {'inputs': 'a'}).status_code == 200


def test_an_unsupported_kind_is_400_and_named(hub, api):
    api.create_repo('me/odd')
    from safetensors.torch import save
    for name, content in (('config.json', b'{"architectures": ["MambaForCausalLM"], "model_type": "mamba"}'),
                          ('model.safetensors', save({'a': torch.zeros(2)}))):
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id='me/odd')
    answer = ask(hub, 'me/odd', {'inputs': 'a'})
    assert answer.status_code == 400 and 'mamba' in answer.json()['error'].lower()
    api.create_repo('me/hollow')
    answer = ask(hub, 'me/hollow', {'inputs': 'a'})
    assert answer.status_code == 400 and 'me/hollow' in answer.json()['error']
    assert str(hub.data) not in answer.text  # where it lies on the server is nobody's business


def test_broken_weights_are_an_error_not_a_crash(hub, api, tiny_gpt2, models):
    api.create_repo('me/broken')
    weights = (tiny_gpt2 / 'model.safetensors').read_bytes()
    api.upload_folder(repo_id='me/broken', folder_path=tiny_gpt2, ignore_patterns='model.safetensors')
    api.upload_file(path_or_fileobj=weights[:len(weights) // 2], path_in_repo='model.safetensors', repo_id='me/broken')
    answer = ask(hub, 'me/broken', {'inputs': 'a'})
    assert 400 <= answer.status_code <= 500 and 'model.safetensors' in answer.json()['error']
    assert ask(hub, 'me/my-gpt2', {'inputs': 'a'}).status_code == 200


@pytest.mark.parametrize('body', [b'', b'{', b'{"inputs": 3}', b'{"inputs": {"a": 1}}', b'\xff\xfe'])
def test_bodies_that_make_no_sense(hub, models, body):
    answer = requests.post(f'{hub.url}/models/me/my-gpt2', data=body, headers={
        'Authorization': f'Bearer {hub.token}', 'Content-Type': 'application/json'})
    assert answer.status_code in (400, 422) and answer.json()['error']


def test_a_new_commit_is_a_new_answer(hub, api, tiny_gpt2):
    api.create_repo('me/replaced')
    api.upload_folder(repo_id='me/replaced', folder_path=tiny_gpt2)
    body = {'inputs': PROMPT, 'parameters': {'max_new_tokens': 24, 'do_sample': False}}
    before = ask(hub, 'me/replaced', body).json()
    model = AutoModelForCausalLM.from_pretrained(tiny_gpt2)
    with torch.no_grad():
        model.transformer.wpe.weight.normal_()  # positions decide now
    model.push_to_hub('me/replaced', token=hub.token)
    assert ask(hub, 'me/replaced', body).json() != before


def test_the_words_of_text_generation_servers(hub, models):
    """Beams as transformers has them, what is told of each token, and answers that must match."""
    model, tokenizer = (c.from_pretrained(models['me/my-gpt2']) for c in (AutoModelForCausalLM, AutoTokenizer))
    ids = tokenizer(PROMPT, return_tensors='pt')
    beams = dict(num_beams=3, num_return_sequences=2, length_penalty=0.5, max_new_tokens=10, do_sample=False)
    with torch.no_grad():
        wanted = model.generate(**ids, **beams)[:, ids['input_ids'].shape[1]:]
    got = ask(hub, 'me/my-gpt2', {'inputs': PROMPT, 'parameters': beams | {'return_full_text': False}}).json()
    assert [g['generated_text'] for g in got] == tokenizer.batch_decode(wanted, skip_special_tokens=True)

    with torch.no_grad():
        probable = model(**ids).logits[0].log_softmax(-1)
    told = ask(hub, 'me/my-gpt2/generate', {'inputs': PROMPT, 'parameters': {
        'max_new_tokens': 4, 'details': True, 'decoder_input_details': True, 'top_n_tokens': 3}}).json()
    prefill = told['details']['prefill']
    assert [t['id'] for t in prefill] == ids['input_ids'][0].tolist() and prefill[0]['logprob'] is None
    for i, token in enumerate(prefill[1:]):
        assert abs(token['logprob'] - probable[i, token['id']].item()) < 1e-3
    assert [t['id'] for t in told['details']['top_tokens'][0]] == probable[-1].topk(3).indices.tolist()

    from huggingface_hub import InferenceClient
    client = InferenceClient(model=f'{hub.url}/models/me/my-gpt2', token=hub.token)
    made = client.text_generation(PROMPT, max_new_tokens=200, return_full_text=False, grammar={
        'type': 'json', 'value': {'properties': {'n': {'type': 'integer', 'minimum': 3, 'maximum': 12}}, 'required': ['n']}})
    assert 3 <= json.loads(made)['n'] <= 12
    best = ask(hub, 'me/my-gpt2/generate', {'inputs': PROMPT, 'parameters': {
        'max_new_tokens': 4, 'do_sample': True, 'best_of': 3, 'details': True, 'seed': 1}}).json()
    assert len(best['details']['best_of_sequences']) == 2
    with ask(hub, 'me/my-gpt2/generate_stream', {'inputs': PROMPT, 'parameters': {'max_new_tokens': 3, 'top_n_tokens': 2}}, stream=True) as answer:
        events = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith(b'data:')]
    assert [e['index'] for e in events] == [1, 2, 3] and all(len(e['top_tokens']) == 2 for e in events)
    for parameters in ({'penalty_alpha': 0.6, 'top_k': 4}, {'num_beams': 4, 'num_beam_groups': 2, 'diversity_penalty': 1.0}, {'dola_layers': 'high'},
                       {'num_beams': 4, 'force_words_ids': [[257, 258]]}):
        made = ask(hub, 'me/my-gpt2', {'inputs': PROMPT, 'parameters': {'max_new_tokens': 5, **parameters}})
        assert made.ok and made.json()[0]['generated_text'].startswith(PROMPT), made.text
    for parameters, words in (({'num_beam_groups': 2, 'num_beams': 2}, 'num_beam_groups'), ({'force_words_ids': [[1]]}, 'force_words_ids'),
                              ({'grammar': {'type': 'regex', 'value': '('}}, "expected ')'"), ({'best_of': 2}, 'best_of')):
        refused = ask(hub, 'me/my-gpt2', {'inputs': 'a', 'parameters': parameters})
        assert refused.status_code in (400, 422) and words in refused.json()['error'], refused.text
