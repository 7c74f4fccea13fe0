"""Organisations by their pages: made, joined, left; who may do what in them; and their tokens."""
import re

import pytest, requests
from conftest import Site


@pytest.fixture(scope='module')
def people(hub):
    """Sessions of an administrator, a member in the making and a stranger."""
    for name in ('ada', 'ben', 'cyd'):
        hub.add_user(name)
    return [Site(hub, name) for name in ('ada', 'ben', 'cyd')]


@pytest.fixture
def org(people, request):
    """An organisation of its own for each test, named after it; ada leads it."""
    name = 'org-' + request.node.name.split('_')[1]
    answer = people[0].post('/organizations/new', name=name, fullname='Some people')
    assert answer.status_code == 303 and answer.headers['Location'] == f'/organizations/{name}/settings/members'
    return name


def roles(hub, org):
    return {m['user']: m['role'] for m in requests.get(f'{hub.url}/api/organizations/{org}/members').json()} if org else {}


def role_on_page(site, org, user):
    """The role that the page of members shows as chosen for a member; None for others."""
    page = site.get(f'/organizations/{org}/settings/members').text
    form = re.search(rf'action="[^"]*/members/{user}">(.*?)</form>', page, re.S)
    return form and re.search(r'value="(\w+)" selected', form[1])[1]


def join(org, leader, site, name, role='read'):
    assert leader.post(f'/organizations/{org}/settings/members', user=name, role=role).status_code == 303
    assert site.post(f'/settings/organizations/{org}', do='join').status_code == 303


def test_invited_people_join_and_leave(people, org):
    ada, ben, cyd = people
    members = f'/organizations/{org}/settings/members'
    assert ada.post(members, user='ben', role='write').status_code == 303
    assert ada.post(members, user='ben', role='read').status_code == 303            # thought again
    assert role_on_page(ada, org, 'ben') is None and 'ben' in ada.get(members).text  # asked, not in
    assert org in ben.get('/settings/organizations').text
    # Nobody else's invitation is mine, and an answer is one only once.
    assert cyd.post(f'/settings/organizations/{org}', do='join').status_code == 404
    assert ben.post(f'/settings/organizations/{org}', do='join').status_code == 303
    assert role_on_page(ada, org, 'ben') == 'read'
    assert ben.post(f'/settings/organizations/{org}', do='join').status_code == 404
    assert ada.post(members, user='ben', role='write').status_code == 409           # is in already
    assert ada.post(f'{members}/ben', role='write').status_code == 303
    assert role_on_page(ada, org, 'ben') == 'write'
    assert ben.post(f'/settings/organizations/{org}', do='leave').status_code == 303
    assert role_on_page(ada, org, 'ben') is None


def test_declined_and_withdrawn_invitations_are_gone(people, org):
    ada, ben, _ = people
    members = f'/organizations/{org}/settings/members'
    ada.post(members, user='ben', role='admin')
    assert ben.post(f'/settings/organizations/{org}', do='decline').status_code == 303
    assert ben.post(f'/settings/organizations/{org}', do='join').status_code == 404
    ada.post(members, user='ben', role='admin')
    assert ada.post(f'/organizations/{org}/settings/invitations/ben').status_code == 303
    assert ben.post(f'/settings/organizations/{org}', do='join').status_code == 404
    for user, role, status in (('nobody-here', 'read', 404), ('ben', 'king', 400), (org, 'read', 400)):
        assert ada.post(members, user=user, role=role).status_code == status


def test_leaderless_it_never_is(people, org):
    ada, ben, _ = people
    members, own = f'/organizations/{org}/settings/members', f'/settings/organizations/{org}'
    for last in ((own, {'do': 'leave'}), (f'{members}/ada', {'do': 'remove'}), (f'{members}/ada', {'role': 'write'})):
        answer = ada.post(last[0], **last[1])
        assert answer.status_code == 409 and 'last administrator' in answer.text
    join(org, ada, ben, 'ben', 'admin')
    assert ada.post(own, do='leave').status_code == 303
    assert ben.post(own, do='leave').status_code == 409
    assert ada.get(members).status_code == 403


def test_settings_are_for_administrators(people, org):
    ada, ben, cyd = people
    join(org, ada, ben, 'ben', 'write')
    base = f'/organizations/{org}/settings'
    for page in ('profile', 'members', 'tokens', 'tokens/new'):
        assert [site.get(f'{base}/{page}').status_code for site in people] == [200, 403, 403]
    for site in (ben, cyd):
        assert site.post(f'{base}/members', user='cyd', role='admin').status_code == 403
        assert site.post(f'{base}/members/ben', role='admin').status_code == 403
        assert site.post(f'{base}/members/ada', do='remove').status_code == 403
        assert site.post(f'{base}/profile', fullname='Mine now').status_code == 403
        assert site.post(f'{base}/tokens', name='x', role='write').status_code == 403
    assert 'href="/organizations/' in ada.get(f'/{org}').text and f'/{org}/settings' not in ben.get(f'/{org}').text
    answer = ada.post(f'{base}/profile', fullname='Some other people', about='We <b>do</b> things', private='yes')
    assert answer.status_code == 200 and 'We &lt;b&gt;do' in ada.get(f'/{org}').text
    assert ada.get('/organizations/not-there/settings/members').status_code == 404
    assert ada.get('/organizations/ada/settings/members').status_code == 404    # a person


def test_names_are_taken_once(people, org):
    assert people[1].post('/organizations/new', name=org.upper(), fullname='').status_code == 409
    for bad in ('ada', 'settings', 'a b', '', 'x' * 97):
        assert people[1].post('/organizations/new', name=bad, fullname='').status_code in (400, 409)


def test_roles_in_its_repositories(hub, people, org):
    ada, ben, _ = people
    create = lambda token, name: requests.post(f'{hub.url}/api/repos/create', headers={'Authorization': f'Bearer {token}'},
                                               json={'name': name, 'organization': org, 'private': True})
    mine, yours = hub.add_token('ada'), hub.add_token('ben')
    assert create(mine, 'hers').status_code == 200
    look = lambda token: requests.get(f'{hub.url}/api/models/{org}/hers', headers={'Authorization': f'Bearer {token}'}).status_code
    assert look(yours) == 404 and create(yours, 'his').status_code == 403
    join(org, ada, ben, 'ben', 'read')
    assert look(yours) == 200 and create(yours, 'his').status_code == 403
    ada.post(f'/organizations/{org}/settings/members/ben', role='contributor')
    change = lambda name: requests.put(f'{hub.url}/api/models/{org}/{name}/settings', headers={'Authorization': f'Bearer {yours}'},
                                       json={'private': True}).status_code
    assert create(yours, 'his').status_code == 200 and change('his') == 200 and change('hers') == 403
    ada.post(f'/organizations/{org}/settings/members/ben', do='remove')
    assert look(yours) == 404 and change('his') in (403, 404)
