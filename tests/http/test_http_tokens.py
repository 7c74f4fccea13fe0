"""Access tokens by their page: what is ticked is what they may; shown once, changed, renewed, revoked."""
import re

import pytest, requests
from conftest import Site


@pytest.fixture(scope='module')
def site(hub, api):
    for name in ('tok', 'tok-other'):
        hub.add_user(name)
    site = Site(hub, 'tok')
    assert site.post('/organizations/new', name='tok-team', fullname='').status_code == 303
    token = hub.add_token('tok')
    for name in ('tok/one', 'tok/two', 'tok-team/three'):
        owner, repo = name.split('/')
        requests.post(f'{hub.url}/api/repos/create', headers={'Authorization': f'Bearer {token}'},
                      json={'name': repo, 'organization': owner, 'private': True}).raise_for_status()
    return site


def secret(answer):
    assert answer.status_code in (200, 201), answer.text
    return re.search(r'data-copy="(hf_\w{34})"', answer.text)[1]


def may(hub, token):
    """What a token may: reading and changing each of the three repositories, as "r" and "w"."""
    auth, out = {'Authorization': f'Bearer {token}'}, []
    for name in ('tok/one', 'tok/two', 'tok-team/three'):
        read = requests.get(f'{hub.url}/api/models/{name}', headers=auth).status_code == 200
        write = requests.put(f'{hub.url}/api/models/{name}/settings', headers=auth, json={'private': True}).status_code == 200
        out.append(read * 'r' + write * 'w')
    return out


def id_of(site, name, path='/settings/tokens'):
    return re.search(rf'href="{path}/(\w+)"><b>{name}</b>', site.get(path).text)[1]


def test_a_token_may_what_was_ticked(hub, site):
    made = secret(site.post('/settings/tokens', name='fine', role='fineGrained', repo='repo.content.read',
                            repos='tok/one\r\n tok/two = repo.write\r\n'))
    assert may(hub, made) == ['r', 'rw', '']
    assert made not in site.get('/settings/tokens').text    # shown once
    token = id_of(site, 'fine')
    page = site.get(f'/settings/tokens/{token}').text
    assert 'tok/one = repo.content.read\n' in page and 'tok/two = repo.write\n' in page and made not in page
    # The form as it stands changes nothing; then what is ticked now holds, at once.
    changed = {'name': 'finer', 'expires': '', 'repos': 'tok/one\ntok-team/three', 'repo': 'repo.write', 'org:tok-team': 'repo.content.read'}
    assert site.post(f'/settings/tokens/{token}', **changed).status_code == 303
    assert may(hub, made) == ['rw', '', 'rw'] and id_of(site, 'finer') == token
    again = secret(site.post(f'/settings/tokens/{token}/rotate'))
    assert may(hub, made) == ['', '', ''] and may(hub, again) == ['rw', '', 'rw']
    assert site.post(f'/settings/tokens/{token}/revoke').status_code == 303
    assert may(hub, again) == ['', '', '']


def test_an_account_is_ticked_as_a_whole(hub, site):
    assert may(hub, secret(site.post('/settings/tokens', name='own', role='fineGrained', own='repo.write'))) == ['rw', 'rw', '']
    team = secret(site.post('/settings/tokens', name='team', role='fineGrained', **{'org:tok-team': 'repo.content.read'}))
    assert may(hub, team) == ['', '', 'r']
    assert may(hub, secret(site.post('/settings/tokens', name='all', role='write'))) == ['rw', 'rw', 'rw']
    assert may(hub, secret(site.post('/settings/tokens', name='eyes', role='read'))) == ['r', 'r', 'r']


@pytest.mark.parametrize('fields, says', [
    ({'repos': 'tok/one'}, 'Tick what the token may do'), ({'repos': 'one', 'repo': 'repo.write'}, 'owner/name'),
    ({'repos': 'tok/absent', 'repo': 'repo.write'}, 'tok/absent'), ({'own': 'repo.everything'}, 'no permission'),
    ({'own': 'org.write'}, 'cannot be given'), ({'global': 'repo.write'}, 'cannot be given'),
    ({'expires': '-1'}, 'number of days'), ({'role': 'root'}, 'role'), ({'repos': 'me/x = nothing'}, 'no permission'),
    ({'name': 'x' * 101}, 'at most'),
])
def test_a_form_that_cannot_be_comes_back_with_what_was_typed(site, fields, says):
    answer = site.post('/settings/tokens', **{'name': 'kept', 'role': 'fineGrained'} | fields)
    assert answer.status_code == 400 and says in answer.text and 'hf_' not in answer.text.split('<main')[1]
    if 'name' not in fields:
        assert 'value="kept"' in answer.text and fields.get('repos', '') + '</textarea>' in answer.text


def test_expiry(hub, site):
    made = secret(site.post('/settings/tokens', name='short', role='write', expires='7'))
    info = requests.get(f'{hub.url}/api/whoami-v2', headers={'Authorization': f'Bearer {made}'}).json()
    token = id_of(site, 'short')
    assert 'value="keep" selected' in site.get(f'/settings/tokens/{token}').text, info
    assert site.post(f'/settings/tokens/{token}', name='short', expires='keep').status_code == 303
    assert 'value="keep" selected' in site.get(f'/settings/tokens/{token}').text
    assert site.post(f'/settings/tokens/{token}', name='short', expires='').status_code == 303
    assert 'value="keep"' not in site.get(f'/settings/tokens/{token}').text


def test_links_of_the_documentation_fill_the_form(site):
    page = site.get('/settings/tokens/new?ownUserPermissions=repo.content.read&ownUserPermissions=repo.write'
                    '&canReadGatedRepos=true&tokenType=fineGrained&orgs=tok-team&orgPermissions=org.read,made.up').text
    boxes = re.findall(r'name="([^"]+)" value="([^"]+)" checked', page)
    assert set(boxes) == {('own', 'repo.content.read'), ('own', 'repo.write'), ('gated', 'yes'), ('org:tok-team', 'org.read'), ('role', 'fineGrained')}


def test_tokens_of_others_are_not_there(hub, site):
    secret(site.post('/settings/tokens', name='mine', role='write'))
    token, other = id_of(site, 'mine'), Site(hub, 'tok-other')
    for path in (f'/settings/tokens/{token}', '/organizations/tok-team/settings/tokens'):
        assert other.get(path).status_code in (403, 404)
    for action in ('', '/rotate', '/revoke'):
        assert other.post(f'/settings/tokens/{token}{action}', name='x', expires='').status_code == 404
        assert other.post(f'/organizations/tok-team/settings/tokens/{token}{action}').status_code == 403
        # Not by way of an organisation that they share either.
        assert site.post(f'/organizations/tok-team/settings/tokens/{token}{action}', name='x').status_code == 404
    assert site.get(f'/settings/tokens/{token}').status_code == 200


def test_an_organisations_token_acts_in_its_name(hub, site):
    path = '/organizations/tok-team/settings/tokens'
    made = secret(site.post(path, name='ci', role='write'))
    info = requests.get(f'{hub.url}/api/whoami-v2', headers={'Authorization': f'Bearer {made}'}).json()
    assert (info['name'], info['type']) == ('tok-team', 'org') and may(hub, made) == ['', '', 'rw']
    token = id_of(site, 'ci', path)
    assert may(hub, secret(site.post(f'{path}/{token}/rotate'))) == ['', '', 'rw']
    fine = secret(site.post(path, name='eyes', role='fineGrained', own='repo.content.read'))
    assert may(hub, fine) == ['', '', 'r']
    assert site.post(path, name='no', role='fineGrained', repos='tok/one', repo='repo.write').status_code == 400
    assert site.post(f'{path}/{token}/revoke').status_code == 303
