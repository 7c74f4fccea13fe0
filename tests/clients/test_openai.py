"""The OpenAI-compatible calls, by the clients that people point at them."""
import json
import shutil

import pytest
import requests

from conftest import run

TEMPLATE = ("{% for t in tools or [] %}<tool_call>{{ t.function.name }}\n{% endfor %}"
            "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
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
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens
assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 0

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
refused(openai.BadRequestError, "suffix", lambda: client.completions.create(model=model, prompt="a", suffix="b"))
refused(openai.BadRequestError, "dependentSchemas", lambda: client.chat.completions.create(**ask, response_format={
    "type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "dependentSchemas": {"a": {}}}}}))
refused(openai.BadRequestError, "messages", lambda: client.chat.completions.create(**ask | {"messages": []}))

# Constrained output: whatever the model would say, it is what was asked for.
schema = {"type": "object", "properties": {"colour": {"enum": ["red", "green"]}, "sizes": {"type": "array", "items": {
    "type": "integer", "minimum": 1, "maximum": 20}, "minItems": 1, "maxItems": 3}}, "required": ["colour", "sizes"],
    "additionalProperties": False}
long = ask | {"max_tokens": 200}
for heat in (0, 1):
    made = client.chat.completions.create(**long | {"temperature": heat}, seed=5, response_format={
        "type": "json_schema", "json_schema": {"name": "thing", "schema": schema, "strict": True}}).choices[0]
    thing = json.loads(made.message.content)
    assert list(thing) == ["colour", "sizes"] and thing["colour"] in ("red", "green") and made.finish_reason == "stop", thing
    assert 1 <= len(thing["sizes"]) <= 3 and all(1 <= n <= 20 for n in thing["sizes"])
pieces = client.chat.completions.create(**long, stream=True, response_format={"type": "regex", "value": "(yes|no)!{2}"})
assert "".join(c.choices[0].delta.content or "" for c in pieces) in ("yes!!", "no!!")
free = client.chat.completions.create(**long | {"max_tokens": 40}, response_format={"type": "json_object"}).choices[0]
assert free.message.content.startswith("{") and (free.finish_reason == "length" or json.loads(free.message.content) is not None)
rule = client.completions.create(model=model, prompt="x", max_tokens=20, temperature=0, extra_body={"grammar": 'root ::= "a" [0-9]{2} "z"'})
assert len(rule.choices[0].text) == 4 and rule.choices[0].text[0] + rule.choices[0].text[-1] == "az"

# Calls of functions.
tools = [{"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": {
    "city": {"type": "string", "maxLength": 4}, "days": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["city", "days"],
    "additionalProperties": False}}} for name in ("weather", "travel")]
called = client.chat.completions.create(**long, tools=tools, tool_choice="required").choices[0]
call = called.message.tool_calls[0]
assert called.finish_reason == "tool_calls" and call.id.startswith("call_") and call.function.name in ("weather", "travel")
assert set(json.loads(call.function.arguments)) == {"city", "days"} and not called.message.content
named = client.chat.completions.create(**long, tools=tools, tool_choice={"type": "function", "function": {"name": "travel"}}).choices[0]
assert named.message.tool_calls[0].function.name == "travel" and named.finish_reason == "stop"
gathered, reason = {}, None
for c in client.chat.completions.create(**long, tools=tools, tool_choice="required", stream=True):
    assert not c.choices[0].delta.content
    reason = c.choices[0].finish_reason or reason
    for part in c.choices[0].delta.tool_calls or []:
        name, text = gathered.get(part.index, ("", ""))
        gathered[part.index] = (name + (part.function.name or ""), text + part.function.arguments)
assert gathered == {0: (call.function.name, call.function.arguments)} and reason == "tool_calls", gathered
answered = client.chat.completions.create(**ask | {"messages": messages + [
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {
        "name": "weather", "arguments": '{"city": "Rome", "days": 1}'}}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]}, tools=tools)
assert answered.choices[0].message.tool_calls is None
refused(openai.BadRequestError, "no function", lambda: client.chat.completions.create(**ask, tools=tools, tool_choice={
    "type": "function", "function": {"name": "none"}}))
refused(openai.BadRequestError, "exclude", lambda: client.chat.completions.create(**ask, tools=tools, response_format={"type": "json_object"}))

# Probabilities, biases, penalties.
told = client.chat.completions.create(**ask, logprobs=True, top_logprobs=3).choices[0].logprobs.content
assert all(len(t.top_logprobs) == 3 and t.top_logprobs[0].logprob == t.logprob and t.top_logprobs[0].token == t.token for t in told)
assert all(a.logprob >= b.logprob for t in told for a, b in zip(t.top_logprobs, t.top_logprobs[1:]))
assert bytes(b for t in told for b in t.bytes).decode(errors="replace") == choice.message.content or choice.finish_reason == "stop"
several = client.chat.completions.create(**ask | {"temperature": 1}, n=3, seed=1, logprobs=True, top_logprobs=1)
assert [len(c.logprobs.content) > 0 for c in several.choices] == [True] * 3
base = dict(model=model, prompt="A file", max_tokens=6, temperature=0)
plain = client.completions.create(**base, logprobs=2).choices[0]
assert len(plain.logprobs.tokens) == len(plain.logprobs.top_logprobs) == len(plain.logprobs.text_offset) == 6
assert all(t in top and len(top) <= 2 for t, top in zip(plain.logprobs.tokens, plain.logprobs.top_logprobs))
forced = client.completions.create(**base, logit_bias={"7": 100}, logprobs=1).choices[0]
assert len(set(forced.logprobs.tokens)) == 1
spread = client.completions.create(**base, logit_bias={"7": 100}, frequency_penalty=2, presence_penalty=2, logprobs=1).choices[0]
assert len(set(spread.logprobs.tokens)) == 1
echoed = client.completions.create(**base | {"max_tokens": 0}, echo=True, logprobs=0).choices[0]
assert echoed.text == "A file" and echoed.logprobs.token_logprobs[0] is None and len(echoed.logprobs.tokens) > 1
assert all(p < 0 for p in echoed.logprobs.token_logprobs[1:]) and "".join(echoed.logprobs.tokens) == "A file"
both = client.completions.create(**base, echo=True, logprobs=0).choices[0]
assert both.logprobs.token_logprobs[:len(echoed.logprobs.tokens)] == echoed.logprobs.token_logprobs
best = client.completions.create(**base | {"temperature": 1.5}, best_of=4, n=2, seed=3)
assert len(best.choices) == 2 and best.usage.completion_tokens >= best.choices[0].text.count("") // 100
ids = client.completions.create(**base | {"prompt": [[11, 12, 13], [9]]}, echo=True)
assert [c.index for c in ids.choices] == [0, 1] and ids.usage.prompt_tokens == 4
again = [client.completions.create(**base | {"temperature": 1}, seed=8).choices[0].text for _ in range(2)]
assert again[0] == again[1]
side = client.completions.create(**base | {"temperature": 1, "prompt": ["A file"] * 1}, seed=8, n=3).choices
assert side[0].text == again[0]
beams = client.completions.create(**base, extra_body={"num_beams": 3})
assert beams.choices[0].text
streamed = {}
for c in client.completions.create(**base | {"temperature": 1}, seed=8, n=2, stream=True):
    streamed[c.choices[0].index] = streamed.get(c.choices[0].index, "") + c.choices[0].text
assert streamed[0] == again[0] and len(streamed) == 2

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
