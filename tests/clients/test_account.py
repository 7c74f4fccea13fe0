"""Who am I: `hf auth` and whoami, right and wrong tokens."""
import pytest
import requests
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from conftest import HUG, run


def test_hf_auth_whoami(hf):
    assert 'user: me' in hf('auth', 'whoami')


def test_hf_auth_login_keeps_the_token(hub, hf, tmp_path):
    hf('auth', 'login', '--token', hub.token, HF_HOME=str(tmp_path), HF_TOKEN='')
    assert (tmp_path / 'token').read_text() == hub.token
    assert 'user: me' in hf('auth', 'whoami', HF_HOME=str(tmp_path), HF_TOKEN='')


def test_whoami_has_what_libraries_read(hub, api):
    me = api.whoami()
    assert me['name'] == 'me' and me['type'] == 'user' and all(org['type'] == 'org' for org in me['orgs'])
    assert len(me['id']) == 24 and int(me['id'], 16)
    assert me['auth']['type'] == 'access_token'
    assert me['auth']['accessToken']['displayName'] == 'tests'
    assert me['auth']['accessToken']['role'] == 'write'
    assert HfApi(hub.url, token=hub.read_token).whoami()['auth']['accessToken']['role'] == 'read'
    assert HfApi(hub.url, token=hub.other_token).whoami()['name'] == 'you'


def test_a_wrong_token_is_said_to_be_one(hub):
    answer = requests.get(f'{hub.url}/api/whoami-v2', headers={'Authorization': 'Bearer hf_' + 'x' * 34})
    assert answer.status_code == 401 and answer.json()['error']
    assert requests.get(f'{hub.url}/api/whoami-v2').status_code == 401
    with pytest.raises(HfHubHTTPError, match='(?i)invalid'):
        HfApi(hub.url, token='hf_' + 'x' * 34).whoami()


def test_tokens_are_printed_alone_on_a_line(hub):
    token = hub.add_token('you', 'read', 'one line')
    assert token.startswith('hf_') and token.isascii() and len(token) >= 37
    assert token.replace('hf_', '', 1).isalnum()


def test_admin_says_what_is_wrong(hub):
    done = run(HUG, 'admin', 'token', 'add', '--user', 'nobody', *hub.place, ok=False)
    assert done.returncode == 1 and 'nobody' in done.stderr and done.stderr.count('\n') == 1
    done = run(HUG, 'admin', 'user', 'add', 'me', *hub.place, ok=False)
    assert done.returncode == 1 and 'me' in done.stderr
    assert run(HUG, 'admin', 'nonsense', ok=False).returncode == 2


def test_admin_finds_the_database_that_the_hub_has(tmp_path):
    data, elsewhere = tmp_path / 'data', f'sqlite:{tmp_path}/elsewhere.db'
    data.mkdir()
    (data / 'hug.conf').write_text(f'# ours\nrate-api = 0\ndb = {elsewhere}\n')
    run(HUG, 'admin', 'user', 'add', 'ada', '--data', data)
    run(HUG, 'admin', 'user', 'add', 'bob', '--data', tmp_path / 'other', HUG_DB=elsewhere)
    listed = run(HUG, 'admin', 'user', 'list', '--data', data, '--db', elsewhere)
    assert listed.split() == ['ada', 'user', 'bob', 'user']
    assert not (data / 'hub.db').exists() and not (tmp_path / 'other').exists()
    # The command line goes before both.
    run(HUG, 'admin', 'user', 'add', 'cy', '--data', data, '--db', f'sqlite:{data}/hub.db')
    assert run(HUG, 'admin', 'user', 'list', '--data', data) == listed
    (data / 'hug.conf').write_text('database = x\n')
    wrong = run(HUG, 'admin', 'user', 'list', '--data', data, ok=False)
    assert wrong.returncode == 2 and 'line 1' in wrong.stderr
