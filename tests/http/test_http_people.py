"""Profiles, pictures and followers: over the API, as huggingface_hub reads them, and on the pages."""
import re

import pytest
import requests
from conftest import DOT, Site
from huggingface_hub import HfApi

TEXT = bytes.fromhex('0000000474455874686f6d6500000000')


@pytest.fixture(scope='module')
def pages(hub):
    """Two browsers that are logged in: of "me" and of "you"."""
    return {name: Site(hub, name) for name in ('me', 'you')}


def test_an_overview_has_what_the_client_reads(hub, api):
    api.create_repo('me/overview', exist_ok=True)
    api.create_repo('me/overview-secret', private=True, exist_ok=True)
    hub.admin('org', 'add', 'overseers', '--owner', 'me', '--fullname', 'The overseers')
    requests.post(f'{hub.url}/api/models/me/overview-secret/like', headers={'Authorization': f'Bearer {hub.token}'})
    mine, theirs = api.get_user_overview('me'), HfApi(hub.url, token=False).get_user_overview('me')
    assert mine.user_type == 'user' and mine.username == 'me' and mine.is_pro is False
    assert mine.avatar_url == f'{hub.url}/avatars/me'
    public = list(HfApi(hub.url, token=False).list_models(author='me'))
    assert theirs.num_models == len(public) < mine.num_models == len(list(api.list_models(author='me')))
    assert mine.num_likes == theirs.num_likes + 1
    assert 'overseers' in [o.name for o in mine.orgs] and mine.orgs[0].avatar_url.startswith(hub.url)
    assert mine.is_following is False and theirs.is_following is None
    for field in ('discussions', 'papers', 'upvotes', 'following', 'followers', 'datasets', 'spaces'):
        assert isinstance(getattr(mine, f'num_{field}'), int), field
    org = api.get_organization_overview('overseers')
    assert (org.name, org.fullname, org.num_users, org.is_verified) == ('overseers', 'The overseers', 1, False)
    assert [m.username for m in api.list_organization_members('overseers')] == ['me']
    for path in ('users/overseers', 'organizations/me', 'users/nobody-at-all'):
        assert requests.get(f'{hub.url}/api/{path}/overview').status_code == 404
    who = api.whoami()
    assert who['avatarUrl'] == f'{hub.url}/avatars/me' and who['orgs'][0]['avatarUrl']


def test_following_by_api_and_in_pages(hub, api, pages):
    you = {'Authorization': f'Bearer {hub.other_token}'}
    assert requests.post(f'{hub.url}/api/users/me/follow', headers=you).json()['isFollowing']
    assert requests.post(f'{hub.url}/api/users/you/follow', headers=you).status_code == 400
    assert requests.post(f'{hub.url}/api/users/me/follow').status_code == 401
    assert requests.post(f'{hub.url}/api/users/you/follow',
                         headers={'Authorization': f'Bearer {hub.read_token}'}).status_code == 403
    follower, = api.list_user_followers('me')
    assert (follower.username, follower.avatar_url) == ('you', f'{hub.url}/avatars/you')
    assert [u.username for u in api.list_user_following('you')] == ['me']
    assert HfApi(hub.url, token=hub.other_token).get_user_overview('me').is_following

    page = pages['you'].get('/me').text
    assert 'No longer follow me' in page
    assert '>you</b>' in pages['me'].get('/me?tab=followers').text
    assert pages['you'].submit('/me/follow', on='no').ok
    assert not list(api.list_user_followers('me'))
    assert requests.post(f'{hub.url}/api/users/me/follow', headers=you).ok
    assert requests.delete(f'{hub.url}/api/users/me/follow', headers=you).ok
    # A repository may have the name of a button.
    api.create_repo('me/follow')
    assert requests.get(f'{hub.url}/me/follow', headers={'Accept': 'text/html'}).ok


def test_likes_come_in_pages(hub, api):
    names = [f'me/liked-{i}' for i in range(3)]
    for name in names:
        api.create_repo(name)
        requests.post(f'{hub.url}/api/models/{name}/like', headers={'Authorization': f'Bearer {hub.other_token}'})
    assert [u.username for u in api.list_repo_likers(names[0])] == ['you']
    first = requests.get(f'{hub.url}/api/users/you/likes?limit=2')
    assert [like['repo']['name'] for like in first.json()] == [names[2], names[1]]
    second = requests.get(first.links['next']['url'])
    assert second.json()[0]['repo'] == {'name': names[0], 'type': 'model'}
    assert set(names) <= set(api.list_liked_repos('you').models)


def test_a_picture_is_uploaded_cleaned_and_served_safely(hub, pages):
    me, path = pages['me'], f'{hub.url}/avatars/me'
    drawn = requests.get(path)
    assert drawn.headers['Content-Type'] == 'image/svg+xml' and '>M</text>' in drawn.text

    def send(picture, **more):
        return me.submit('/settings/avatar', files={'picture': ('x.png', picture, 'text/html')}, **more)
    assert send(DOT, csrf='0' * 64).status_code == 403
    assert send(DOT[:33] + TEXT + DOT[33:] + b'<script>').ok
    picture = requests.get(path)
    assert picture.content == DOT and picture.headers['Content-Type'] == 'image/png'
    assert picture.headers['X-Content-Type-Options'] == 'nosniff'
    assert 'sandbox' in picture.headers['Content-Security-Policy']
    assert requests.get(path, headers={'If-None-Match': picture.headers['ETag']}).status_code == 304
    version = picture.headers['ETag'].strip('"')
    assert f'/avatars/me?v={version}' in me.get('/').text
    assert 'immutable' in requests.get(f'{path}?v={version}').headers['Cache-Control']

    for bad, words in ((b'<svg xmlns="http://www.w3.org/2000/svg"/>', 'PNG, JPEG and WebP'), (DOT[:40], 'offset'),
                       (DOT[:33] + b'\0' * 2_000_000, 'at most')):
        answer = send(bad)
        assert 400 <= answer.status_code < 500 and words in answer.text
    assert requests.get(path).content == DOT
    assert send(b'').ok and requests.get(path).headers['Content-Type'] == 'image/svg+xml'
    assert requests.get(f'{hub.url}/avatars/nobody-at-all').status_code == 404
    assert requests.get(f'{hub.url}/api/users/me/avatar').json() == {'avatarUrl': path}
    for redirect in ('api/users/me/avatar?redirect=1', 'api/avatars/me'):
        assert requests.get(f'{hub.url}/{redirect}', allow_redirects=False).headers['Location'] == path


def test_a_profile_shows_its_website_and_nothing_else_clickable(hub, pages):
    you = pages['you']

    def change(**fields):
        return you.submit('/settings/profile', **fields)
    assert change(fullname='You & Co', about='Line one\n<b>two</b>', website='https://you.example').ok
    page = requests.get(f'{hub.url}/you', headers={'Accept': 'text/html'}).text
    assert 'You &amp; Co' in page and '&lt;b&gt;two' in page
    assert re.search('<a href="https://you.example" rel="nofollow[^"]*">', page)
    assert change(website='javascript:alert(1)').status_code == 400
    overview = requests.get(f'{hub.url}/api/users/you/overview').json()
    assert overview['websiteUrl'] == 'https://you.example' and overview['details'].startswith('Line one')
    assert change(fullname='you').ok


def test_an_organisation_has_a_picture_of_its_admins_choice(hub, pages):
    hub.admin('org', 'add', 'galleries', '--owner', 'me')
    settings = '/organizations/galleries/settings'

    def send(browser):
        return pages[browser].submit(f'{settings}/avatar', files={'picture': DOT})
    assert send('you').status_code in (403, 404)
    assert send('me').ok
    assert requests.get(f'{hub.url}/avatars/galleries').content == DOT
    assert pages['me'].submit(f'{settings}/profile', fullname='Painters', website='https://paint.example').ok
    overview = requests.get(f'{hub.url}/api/organizations/galleries/overview').json()
    assert (overview['fullname'], overview['websiteUrl']) == ('Painters', 'https://paint.example')
