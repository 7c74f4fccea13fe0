"""Making, finding, moving and listing repositories, and who may."""
import pytest, requests


def create(hub, name, token=None, **more):
    return requests.post(f'{hub.url}/api/repos/create', json={'name': name} | more,
                         headers={'Authorization': f'Bearer {token or hub.token}'})


def test_creating_twice_is_409_with_the_url(hub):
    assert create(hub, 'http-twice').json()['url'] == f'{hub.url}/me/http-twice'
    again = create(hub, 'HTTP-TWICE')
    assert again.status_code == 409 and again.json() == {'error': 'You already created this model repo', 'url': f'{hub.url}/me/http-twice'}
    assert create(hub, 'http-twice', type='dataset').json()['url'] == f'{hub.url}/datasets/me/http-twice'
    assert create(hub, 'http-twice', type='space').status_code == 400                    # no sdk
    assert create(hub, 'http-twice', type='space', sdk='static').json()['name'] == 'me/http-twice'


@pytest.mark.parametrize('name', ['', '-a', 'a--b', 'a..b', 'x.git', 'a b', 'ü', 'a' * 97, '.a'])
def test_a_bad_name_is_400(hub, name):
    assert create(hub, name).status_code == 400


def test_names_of_others_are_refused(hub):
    assert create(hub, 'x', organization='me', token=hub.other_token).status_code == 403
    assert create(hub, 'x', organization='nobody-at-all', token=hub.other_token).status_code == 403
    assert create(hub, 'x', token=hub.read_token).status_code == 403
    assert requests.post(f'{hub.url}/api/repos/create', json={'name': 'x'}).status_code == 401


def test_private_is_nobody_elses_business(hub, auth):
    create(hub, 'http-hidden', private=True)
    url = f'{hub.url}/api/models/me/http-hidden'
    assert requests.get(url, headers=auth).json()['private'] is True
    for headers, status in (({}, 401), ({'Authorization': f'Bearer {hub.other_token}'}, 404)):
        answer = requests.get(url, headers=headers)
        assert (answer.status_code, answer.headers['X-Error-Code']) == (status, 'RepoNotFound')
        assert requests.put(f'{url}/settings', json={'private': False}, headers=headers).status_code in (401, 404)
    listed = [m['id'] for m in requests.get(f'{hub.url}/api/models?author=me&limit=1000').json()]
    assert 'me/http-hidden' not in listed


def test_a_moved_repository_redirects(hub, auth):
    create(hub, 'http-before')
    moved = requests.post(f'{hub.url}/api/repos/move', headers=auth,
                          json={'fromRepo': 'me/http-before', 'toRepo': 'me/http-after', 'type': 'model'})
    assert moved.status_code == 200
    for path, to in (('/api/models/me/http-before', '/api/models/me/http-after'),
                     ('/me/http-before/resolve/main/.gitattributes', '/me/http-after/resolve/main/.gitattributes'),
                     ('/api/models/Me/HTTP-before/tree/main?recursive=true', '/api/models/me/http-after/tree/main?recursive=true')):
        answer = requests.get(hub.url + path, allow_redirects=False)
        assert (answer.status_code, answer.headers['Location']) == (307, to)
        assert requests.get(hub.url + path).ok
    gone = requests.delete(f'{hub.url}/api/repos/delete', json={'name': 'http-before'}, headers=auth)
    assert gone.status_code == 404 and requests.get(f'{hub.url}/api/models/me/http-after').ok


def test_lists_come_in_pages(hub):
    for i in range(5):
        create(hub, f'http-leaf-{i}')
    page = requests.get(f'{hub.url}/api/models?search=http-leaf&limit=2&sort=createdAt')
    assert page.headers['X-Total-Count'] == '5'
    seen = [m['id'] for m in page.json()]
    while 'next' in page.links:
        assert page.links['next']['url'].startswith(f'{hub.url}/api/models?') and 'search=http-leaf' in page.links['next']['url']
        page = requests.get(page.links['next']['url'])
        seen += [m['id'] for m in page.json()]
    assert sorted(seen) == [f'me/http-leaf-{i}' for i in range(5)]


def test_unknown_choices_are_named(hub):
    create(hub, 'http-choices')
    answer = requests.get(f'{hub.url}/api/models/me/http-choices?expand=likes&expand=nope')
    assert answer.status_code == 400 and 'expected one of "author"|"baseModels"|"cardData"' in answer.json()['error']
    assert requests.get(f'{hub.url}/api/models?sort=nope').status_code == 400
    assert requests.get(f'{hub.url}/api/models?limit=x').status_code == 400
    assert requests.get(f'{hub.url}/api/models?cursor=x').status_code == 400
    asked = requests.get(f'{hub.url}/api/models/me/http-choices?expand[]=likes').json()
    assert set(asked) == {'_id', 'id', 'likes'}


def test_a_cookie_needs_the_pages_token(hub):
    """Another site can make a browser send the cookie, but not the header."""
    answer = requests.post(f'{hub.url}/api/repos/create', json={'name': 'x'}, cookies={'hug_session': 'f' * 64})
    assert answer.status_code == 401                                  # no such session


def test_errors_are_json(hub, auth):
    for method, path in (('GET', '/api/whoami-v2'), ('GET', '/api/nothing/here/at/all'), ('PATCH', '/api/models')):
        answer = requests.request(method, hub.url + path)
        assert answer.status_code in (401, 404, 405) and answer.json()['error']
    broken = requests.post(f'{hub.url}/api/repos/create', data='{', headers=auth)
    assert broken.status_code == 400 and 'line 1' in broken.json()['error']
    assert requests.get(f'{hub.url}/api/whoami-v2', headers={'Authorization': 'Bearer hf_wrong'}).headers['X-Error-Message'] == 'Invalid credentials in Authorization header'
