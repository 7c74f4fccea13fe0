"""The OpenAI-compatible calls, by the clients that people point at them."""
import json
import shutil

import pytest
import requests

from conftest import run

TEMPLATE = ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant: {% endif %}")
MESSAGES = [{'role': 'system', 'content': 'Be short.'}, {'role': 'user', 'content': 'What is a layer?'}]


@pytest.fixture(scope='module')
def chatty(hub, api, tiny_gpt2, tmp_path_factory):
    """A model with a chat template; its id."""
    folder = tmp_path_factory.mktemp('chatty') / 'model'
    shutil.copytree(tiny_gpt2, folder)
    path = folder / 'tokenizer_config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'chat_template': TEMPLATE}))
    api.create_repo('me/chatty')
    api.upload_folder(repo_id='me/chatty', folder_path=folder)
    return 'me/chatty'


SCRIPT = '''
import asyncio, json, sys
import openai
url, token, model = sys.argv[1:]
client = openai.OpenAI(base_url=url + "/v1", api_key=token)
messages = [{"role": "user", "content": "What is a layer?"}]
ask = dict(model=model, messages=messages, max_tokens=12, temperature=0)

assert model in [m.id for m in client.models.list()]
assert client.models.retrieve(model).owned_by == "me"

whole = client.chat.completions.create(**ask)
assert whole.object == "chat.completion" and whole.model == model and whole.id.startswith("chatcmpl-")
choice = whole.choices[0]
assert choice.message.role == "assistant" and choice.finish_reason in ("length", "stop")
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens

chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert text == choice.message.content, (text, choice.message.content)
assert chunks[0].choices[0].delta.role == "assistant" and len({c.id for c in chunks}) == 1
assert chunks[-2].choices[0].finish_reason == choice.finish_reason
assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage

parts = client.chat.completions.create(**ask | {"messages": [{"role": "user", "content": [
    {"type": "text", "text": "What is "}, {"type": "text", "text": "a layer?"}]}]})
assert parts.choices[0].message.content == choice.message.content

probable = client.chat.completions.create(**ask, logprobs=True).choices[0].logprobs.content
assert len(probable) == whole.usage.completion_tokens and all(p.logprob <= 0 for p in probable)

two = client.chat.completions.create(**ask | {"temperature": 1, "n": 2, "seed": 3})
assert [c.index for c in two.choices] == [0, 1]

done = client.completions.create(model=model, prompt=["A file", "A folder"], max_tokens=6, temperature=0, echo=True)
assert [c.index for c in done.choices] == [0, 1] and done.choices[1].text.startswith("A folder")
one = client.completions.create(model=model, prompt="A file", max_tokens=6, temperature=0)
pieces = client.completions.create(model=model, prompt="A file", max_tokens=6, temperature=0, stream=True)
assert "".join(p.choices[0].text for p in pieces) == one.choices[0].text == done.choices[0].text[len("A file"):]
if len(one.choices[0].text) > 2:
    stop = one.choices[0].text[2]
    cut = client.completions.create(model=model, prompt="A file", max_tokens=6, temperature=0, stop=stop)
    assert cut.choices[0].text == one.choices[0].text.split(stop)[0] and cut.choices[0].finish_reason == "stop"

def refused(kind, words, call):
    try:
        call()
    except kind as e:
        assert words in f"{e} {e.code}", e
    else:
        raise AssertionError(kind)
refused(openai.NotFoundError, "model_not_found", lambda: client.chat.completions.create(**ask | {"model": "me/none"}))
refused(openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("me/none"))
refused(openai.AuthenticationError, "invalid_api_key", lambda: openai.OpenAI(
    base_url=url + "/v1", api_key="hf_wrong").chat.completions.create(**ask))
refused(openai.BadRequestError, "temperature", lambda: client.chat.completions.create(**ask | {"temperature": -1}))
refused(openai.BadRequestError, "tools", lambda: client.chat.completions.create(
    **ask, tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]))
refused(openai.BadRequestError, "messages", lambda: client.chat.completions.create(**ask | {"messages": []}))

async def at_once():
    other = openai.AsyncOpenAI(base_url=f"{url}/models/{model}/v1", api_key=token)
    return await asyncio.gather(*(other.chat.completions.create(**ask | {"model": "dummy"}) for _ in range(4)))
assert {a.choices[0].message.content for a in asyncio.run(at_once())} == {choice.message.content}
print(json.dumps(choice.message.content))
'''


def test_openai_s_client(hub, chatty, python_openai):
    run(python_openai, '-c', SCRIPT, hub.url, hub.token, chatty)


def test_the_inference_client_chats(hub, chatty):
    from huggingface_hub import InferenceClient
    ask = dict(max_tokens=12, temperature=0)
    by_url = InferenceClient(model=f'{hub.url}/models/{chatty}', token=hub.token)
    by_base = InferenceClient(base_url=f'{hub.url}/v1', api_key=hub.token)
    a = by_url.chat_completion(MESSAGES, **ask)
    b = by_base.chat.completions.create(MESSAGES, model=chatty, **ask)
    assert a.choices[0].message.content == b.choices[0].message.content
    pieces = by_url.chat_completion(MESSAGES, **ask, stream=True)
    assert ''.join(p.choices[0].delta.content or '' for p in pieces) == a.choices[0].message.content


def test_the_inference_client_reads_details(hub, chatty):
    from huggingface_hub import InferenceClient
    client = InferenceClient(model=f'{hub.url}/models/{chatty}', token=hub.token)
    whole = client.text_generation('A file', max_new_tokens=5, details=True, return_full_text=False)
    assert whole.details.generated_tokens == len(whole.details.tokens) <= 5
    events = list(client.text_generation('A file', max_new_tokens=5, details=True, stream=True))
    assert [e.token.id for e in events] == [t.id for t in whole.details.tokens]
    assert events[-1].details.finish_reason == whole.details.finish_reason


def test_every_path_of_a_model(hub, chatty, auth):
    body = {'inputs': 'A file', 'parameters': {'max_new_tokens': 4, 'do_sample': False}}
    answers = [requests.post(hub.url + path, json=body, headers=auth) for path in (
        '/models/me/chatty', '/models/chatty', '/models/me%2Fchatty', '/models/me/chatty@main',
        '/pipeline/text-generation/me/chatty', '/models/me/chatty/pipeline/text-generation',
        '/hf-inference/models/me/chatty')]
    assert {a.status_code for a in answers} == {200} and len({a.text for a in answers}) == 1
    headers = answers[0].headers
    assert headers['x-compute-type'] == 'cpu' and float(headers['x-compute-time']) >= 0 and len(headers['x-sha']) == 40
    chat = {'model': 'dummy', 'messages': MESSAGES, 'max_tokens': 4, 'temperature': 0}
    texts = {requests.post(f'{hub.url}{path}/v1/chat/completions', json=chat, headers=auth).json()['choices'][0]['message']['content']
             for path in ('/models/me/chatty', '/models/chatty', '/hf-inference/models/me/chatty')}
    assert len(texts) == 1


def test_what_a_model_s_state_is(hub, chatty, auth):
    requests.post(f'{hub.url}/models/{chatty}', json={'inputs': 'A'}, headers=auth)
    assert requests.get(f'{hub.url}/status/{chatty}', headers=auth).json() == {
        'loaded': True, 'state': 'Loaded', 'compute_type': 'cpu', 'framework': 'transformers'}
    shown = requests.get(f'{hub.url}/models/{chatty}', headers=auth).json()
    assert shown['id'] == chatty and shown['pipeline_tag'] == 'text-generation' and shown['status'] == 'Loaded'


def test_a_request_id_comes_back(hub, chatty, auth):
    answer = requests.post(f'{hub.url}/models/{chatty}', data='A text as it is', headers=auth | {'X-Request-Id': 'mine-1'})
    assert answer.status_code == 200 and answer.headers['x-request-id'] == 'mine-1'
    assert answer.json()[0]['generated_text'].startswith('A text as it is')


def test_a_model_that_may_not_be_loaded_says_so(hub, api, tiny_gpt2, auth):
    api.create_repo('me/cold')
    api.upload_folder(repo_id='me/cold', folder_path=tiny_gpt2)
    body = {'inputs': 'A', 'options': {'dont_load_model': True}}
    answer = requests.post(f'{hub.url}/models/me/cold', json=body, headers=auth)
    assert answer.status_code == 503 and answer.headers['Retry-After']
    assert answer.json()['error'] == 'Model me/cold is currently loading' and answer.json()['estimated_time'] > 0


def test_a_task_that_nobody_knows(hub, chatty, auth):
    answer = requests.post(f'{hub.url}/pipeline/image-classification/{chatty}', json={'inputs': 'A'}, headers=auth)
    assert answer.status_code == 400 and 'image-classification' in answer.json()['error']
