"""Requests at the same time are computed together, and each gets what it gets alone."""
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

PROMPTS = [f'{word} is what number {n} says' + ' and says' * n for n, word in enumerate(
    ['A file', 'The hub', 'Nobody', 'Äöü', 'In the beginning', 'x', 'The hub', 'The hub'])]


@pytest.fixture(scope='module')
def model(hub, api, tiny_gpt2):
    api.create_repo('me/batched')
    api.upload_folder(repo_id='me/batched', folder_path=tiny_gpt2)
    return f'{hub.url}/models/me/batched'


def text(hub, model, prompt, **parameters):
    parameters = {'max_new_tokens': 48, 'do_sample': False, 'return_full_text': False} | parameters
    answer = requests.post(model, json={'inputs': prompt, 'parameters': parameters},
                           headers={'Authorization': f'Bearer {hub.token}'})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]['generated_text']


def streamed(hub, model, prompt):
    body = {'inputs': prompt, 'stream': True,
            'parameters': {'max_new_tokens': 48, 'do_sample': False, 'return_full_text': False}}
    with requests.post(model, json=body, stream=True,
                       headers={'Authorization': f'Bearer {hub.token}'}) as answer:
        events = [json.loads(line[5:]) for line in answer.iter_lines() if line.startswith(b'data:')]
    assert len([e for e in events if e['token']]) >= 48
    return events[-1]['generated_text']


def test_eight_clients_get_what_each_gets_alone(hub, model):
    alone = [text(hub, model, prompt) for prompt in PROMPTS]
    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        for call in (text, streamed):
            assert list(pool.map(lambda prompt: call(hub, model, prompt), PROMPTS)) == alone


def test_seeds_repeat_in_company(hub, model):
    sampled = {'do_sample': True, 'seed': 7, 'temperature': 2.0}
    alone = [text(hub, model, prompt, **sampled) for prompt in PROMPTS]
    with ThreadPoolExecutor(len(PROMPTS)) as pool:
        assert list(pool.map(lambda prompt: text(hub, model, prompt, **sampled), PROMPTS)) == alone


def test_who_leaves_does_not_disturb_the_others(hub, model):
    def leave(prompt):
        body = {'inputs': prompt, 'stream': True, 'parameters': {'max_new_tokens': 900}}
        with requests.post(model, json=body, stream=True,
                           headers={'Authorization': f'Bearer {hub.token}'}) as answer:
            next(answer.iter_lines())
        return None

    alone = [text(hub, model, prompt) for prompt in PROMPTS]
    with ThreadPoolExecutor(2 * len(PROMPTS)) as pool:
        left = pool.map(leave, PROMPTS)
        stayed = pool.map(lambda prompt: text(hub, model, prompt), PROMPTS)
        assert list(stayed) == alone
        assert set(left) == {None}


def test_metrics_are_for_administrators(hub, model):
    text(hub, model, 'Count me')
    url = f'{hub.url}/metrics'
    told = requests.get(url, headers={'Authorization': f'Bearer {hub.token}'}).text
    values = dict(line.split() for line in told.splitlines() if not line.startswith('#'))
    assert int(values['hug_requests_total']) > 0 and int(values['hug_batch_sequences_max']) > 1
    assert int(values['hug_prefix_reused_tokens_total']) > 0 and int(values['hug_cache_bytes']) > 0
    assert requests.get(url).status_code == 401
    assert requests.get(url, headers={'Authorization': f'Bearer {hub.other_token}'}).status_code == 403
