"""A gate stands before the files of a repository on every way to them, and opens for who was let in."""
import csv, io, subprocess

import pytest
import requests
from conftest import Site
from huggingface_hub import HfApi


def gated_model(api, files):
    api.create_repo('me/gated')
    api.upload_folder(repo_id='me/gated', folder_path=files)
    api.update_repo_settings('me/gated', gated='manual')
    return 'me/gated'


@pytest.fixture(scope='module')
def gated(api, tiny_gpt2):
    return gated_model(api, tiny_gpt2)


def ways(hub, repo, token):
    """Each way to a file's bytes: its name and the status that it answers with."""
    auth = {'Authorization': f'Bearer {token}'} if token else {}
    info = requests.get(f'{hub.url}/api/models/{repo}?blobs=true').json()
    lfs = next(f['lfs'] for f in info['siblings'] if 'lfs' in f)
    get = lambda path, **more: requests.get(hub.url + path, headers=auth | more, allow_redirects=False).status_code
    yield 'resolve', get(f'/{repo}/resolve/main/config.json')
    yield 'resolve of LFS', get(f'/{repo}/resolve/main/model.safetensors')
    yield 'raw', get(f'/{repo}/raw/main/config.json')
    yield 'compare', get(f'/api/models/{repo}/compare/HEAD..main')
    yield 'auth-check', get(f'/api/models/{repo}/auth-check')
    yield 'xet', get(f'/api/models/{repo}/xet-read-token/main')
    yield 'git', get(f'/{repo}.git/info/refs?service=git-upload-pack')
    yield 'git fetch', requests.post(f'{hub.url}/{repo}.git/git-upload-pack', headers=auth, data=b'0000').status_code
    batch = {'operation': 'download', 'transfers': ['basic'], 'objects': [{'oid': lfs['sha256'], 'size': lfs['size']}]}
    yield 'lfs batch', requests.post(f'{hub.url}/{repo}.git/info/lfs/objects/batch', headers=auth, json=batch).status_code
    yield 'a page of a file', get(f'/{repo}/blob/main/config.json', Accept='text/html')
    yield 'a page of a commit', get(f'/{repo}/commit/main', Accept='text/html')
    if token:
        yield 'inference', requests.post(f'{hub.url}/models/{repo}', headers=auth, timeout=60,
                                         json={'inputs': 'x', 'parameters': {'max_new_tokens': 1}}).status_code


def test_every_way_is_closed_to_strangers_and_opens_when_they_are_let_in(hub, api, gated):
    for token in (None, hub.other_token):
        for way, status in ways(hub, gated, token):
            assert status in (401, 403, 303), f'{way} as {"a stranger" if token else "nobody"}: {status}'
    # What describes it stays open.
    stranger = HfApi(hub.url, token=hub.other_token)
    assert stranger.model_info(gated).gated == 'manual'
    assert 'config.json' in stranger.list_repo_files(gated)

    asked = requests.post(f'{hub.url}/api/models/{gated}/ask-access', json={'why': 'work'},
                          headers={'Authorization': f'Bearer {hub.other_token}'})
    assert asked.json()['status'] == 'pending'
    request, = api.list_pending_access_requests(gated)
    assert request.username == 'you' and request.fields == {'why': 'work'}
    assert all(status in (401, 403, 303) for _, status in ways(hub, gated, hub.other_token))
    api.accept_access_request(gated, 'you')
    # git's second step is asked without saying what to fetch, which is its error; pages know cookies, not tokens.
    closed = [(w, s) for w, s in ways(hub, gated, hub.other_token)
              if s not in (200, 302, 307) and w != 'git fetch' and 'page' not in w]
    assert not closed
    api.reject_access_request(gated, 'you', rejection_reason='No more.')
    assert all(status in (401, 403, 303) for _, status in ways(hub, gated, hub.other_token))


def test_its_owner_may_clone_it(hub, gated, tmp_path):
    url = hub.url.replace('http://', f'http://me:{hub.token}@')
    subprocess.run(['git', 'clone', '-q', f'{url}/{gated}', tmp_path / 'x'], check=True, timeout=60,
                   env={'PATH': '/usr/bin:/bin', 'HOME': str(tmp_path), 'GIT_LFS_SKIP_SMUDGE': '1'})
    assert (tmp_path / 'x/config.json').exists()


def test_a_model_that_others_run_is_not_named(own_hub, tiny_gpt2):
    """Where a request names no model, the one that was used last is meant: of those that the caller may run. On a hub
    where nobody has run another one."""
    hub, repo = own_hub, gated_model(HfApi(own_hub.url, token=own_hub.token), tiny_gpt2)
    hub.add_user('you')
    stranger = hub.add_token('you')
    run = lambda path, token: requests.post(hub.url + path, headers={'Authorization': f'Bearer {token}'}, timeout=60,
                                            json={'inputs': 'x', 'prompt': 'x', 'max_tokens': 1, 'parameters': {'max_new_tokens': 1}})
    assert run(f'/models/{repo}', hub.token).status_code == 200
    assert run('/generate', hub.token).status_code == 200
    for path in ('/generate', '/generate_stream', '/v1/completions'):
        answer = run(path, stranger)
        assert answer.status_code in (400, 404) and repo not in answer.text, answer.text


def test_to_edit_a_file_is_to_read_it(hub, gated):
    you = Site(hub, 'you')
    assert you.get(f'/{gated}/edit/main/config.json').headers['Location'] == f'/{gated}#gate'
    answer = you.post(f'/{gated}/edit/main/config.json', oid='0', file='config.json', text='x', how='pull')
    assert answer.status_code == 303 and 'n_embd' not in answer.text
    assert you.get(f'/{gated}/new/main').status_code == 200     # a file of one's own may be proposed


def test_what_the_card_asks_is_answered_or_not_asked(hub, api):
    """The form's questions hold whoever sends it; their answers are exported for the owner's own programs."""
    card = """---
extra_gated_heading: Before you go on
extra_gated_prompt: Be kind to it
extra_gated_button_content: I will
extra_gated_fields:
  Company: text
  Country:
    type: select
    options: [Here, {label: There, value: there}]
  I agree: checkbox
---
"""
    api.create_repo('me/asking')
    api.upload_file(repo_id='me/asking', path_in_repo='README.md', path_or_fileobj=card.encode())
    api.update_repo_settings('me/asking', gated='manual')
    you, me = Site(hub, 'you'), Site(hub, 'me')
    page = you.get('/me/asking').text
    assert all(text in page for text in ('Before you go on', 'Be kind to it', 'I will', 'field:Company', '<option>There</option>'))
    answers = {'field:Company': '=1+1, "Ltd"', 'field:Country': 'There', 'field:I agree': 'yes'}
    for missing in answers:
        answer = you.post('/me/asking/ask-access', **{k: v for k, v in answers.items() if k != missing})
        assert answer.status_code == 400 and missing.split(':')[1] in answer.text
    assert you.post('/me/asking/ask-access', **answers | {'field:Country': 'Nowhere'}).status_code == 400
    ask = lambda body: requests.post(f'{hub.url}/api/models/me/asking/ask-access', json=body, headers={'Authorization': f'Bearer {hub.other_token}'})
    assert ask({}).status_code == 400 and ask({'Company': 'x', 'Country': 'Here', 'I agree': False}).status_code == 400
    assert you.post('/me/asking/ask-access', **answers).status_code == 303
    table = me.get('/me/asking/settings/access.csv')
    assert table.headers['Content-Type'].startswith('text/csv') and 'attachment' in table.headers['Content-Disposition']
    head, row = csv.reader(io.StringIO(table.text))
    assert head == ['user', 'fullname', 'email', 'status', 'asked', 'Company', 'Country', 'I agree', 'reason']
    assert row[:4] == ['you', 'you', '', 'pending'] and row[5:] == ['\'=1+1, "Ltd"', 'There', 'yes', '']
    assert you.get('/me/asking/settings/access.csv').status_code == 403
