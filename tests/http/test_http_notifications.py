"""Mentions and notifications: who hears of what, by page and API, and what a token may do with them."""
import re, sqlite3

import pytest
import requests
from conftest import Site
from huggingface_hub import HfApi


@pytest.fixture(scope='module')
def people(hub, api):
    """"me" owns what is talked about, "you" asks, "eve" is mentioned."""
    hub.add_user('eve')
    tokens = {'me': hub.token, 'you': hub.other_token, 'eve': hub.add_token('eve')}

    class Person:
        def __init__(self, name):
            self.api = HfApi(hub.url, token=tokens[name])
            self.session = requests.Session()
            self.session.headers['Authorization'] = f'Bearer {tokens[name]}'

        def call(self, method, path, **more):
            return self.session.request(method, f'{hub.url}/api/{path}', **more)

        def told(self, **query):
            """Titles of the notifications, the newest first."""
            return [n['discussion']['title'] for n in self.call('GET', 'notifications', params=query).json()['notifications']]

        def unread(self):
            return self.call('GET', 'notifications').json()['count']['unread']
    return {name: Person(name) for name in tokens}


@pytest.fixture(scope='module')
def browser(hub, people):
    return Site(hub, 'eve')


def test_who_is_told_and_what_it_looks_like(hub, people):
    me, you, eve = people['me'], people['you'], people['eve']
    me.api.create_repo('me/told', exist_ok=True)
    asked = you.api.create_discussion('me/told', title='Which licence?', description='Ask @eve and @nobody-here; not `@you`.')
    assert me.told(repoName='me/told') == ['Which licence?'] and you.told(repoName='me/told') == []
    entry, = eve.call('GET', 'notifications', params={'mention': 'mentions'}).json()['notifications']
    assert entry['type'] == 'repo' and entry['read'] is False and entry['mention'] is True
    assert entry['repo'] == {'name': 'me/told', 'type': 'model'}
    assert entry['discussion']['num'] == asked.num and entry['discussion']['status'] == 'open'
    assert [p['user'] for p in entry['discussion']['participating']] == ['you']
    opening = you.api.get_discussion_details('me/told', asked.num).events[0]
    assert entry['discussionEventId'] == opening.id
    me.api.comment_discussion('me/told', asked.num, 'MIT.')
    assert you.told(repoName='me/told', mention='participating') == ['Which licence?']
    assert me.told(repoName='me/told', readStatus='unread') == []


def test_lists_are_filtered_and_marked(people):
    me, eve = people['me'], people['eve']
    for kind, name in (('dataset', 'me/told-data'), ('model', 'me/told-model')):
        me.api.create_repo(name, repo_type=kind, exist_ok=True)
        me.api.create_discussion(name, title=f'About a {kind}', description='@eve', repo_type=kind)
    assert eve.told(repoType='dataset') == ['About a dataset']
    assert eve.told(readStatus='unread')[:2] == ['About a model', 'About a dataset']
    everything = eve.call('GET', 'notifications').json()
    assert everything['start'] == 0 and everything['count']['view'] == everything['count']['all'] == len(everything['notifications'])
    newest = everything['notifications'][0]
    mark = lambda body, **query: eve.call('POST', 'notifications/mark-as-read', json=body, params=query)
    assert mark({'discussionIds': [newest['discussion']['id']]}).ok
    assert eve.unread() == everything['count']['unread'] - 1
    assert mark({'discussionIds': [newest['discussion']['id']], 'read': False}).ok
    assert mark({}, applyToAll='true', repoType='dataset').ok
    assert eve.told(readStatus='unread', repoType='dataset') == [] and 'About a model' in eve.told(readStatus='unread')
    assert mark({}, applyToAll='true', lastUpdate=newest['updatedAt']).ok and mark({}).status_code == 400
    assert eve.call('DELETE', 'notifications', json={'discussionIds': [newest['discussion']['id']]}).ok
    assert 'About a model' not in eve.told()
    for query in ({'p': '-1'}, {'readStatus': 'x'}, {'repoType': 'x'}, {'mention': 'x'}, {'lastUpdate': 'x'}):
        assert eve.call('GET', 'notifications', params=query).status_code == 400, query
    assert eve.call('DELETE', 'notifications', params={'applyToAll': 'true'}).ok and eve.told() == []


def test_watching_and_settings(people):
    me, you, eve = people['me'], people['you'], people['eve']
    me.api.create_repo('me/watched', exist_ok=True)
    watched = eve.call('PATCH', 'settings/watch', json={'add': [{'id': 'me/watched', 'type': 'repo'}, {'id': 'you', 'type': 'user'}]})
    assert [(w['name'], w['type']) for w in watched.json()['watched']] == [('you', 'user'), ('me/watched', 'repo')]
    you.api.create_discussion('me/watched', title='One')
    assert eve.told(repoName='me/watched') == ['One']
    settings = eve.call('PATCH', 'settings/notifications', json={'notifications': {'web_discussions_watched': False, 'announcements': True}})
    assert settings.json()['notifications'] == {'web_discussions_watched': False, 'web_discussions_mentions': True, 'web_discussions_participating': True}
    you.api.create_discussion('me/watched', title='Two')
    assert eve.told(repoName='me/watched') == ['One']
    assert eve.call('PATCH', 'settings/notifications', json={'notifications': {'web_discussions_watched': True}}).ok
    ids = eve.call('GET', 'settings/watch').json()['watched']
    assert eve.call('PATCH', 'settings/watch', json={'delete': [{'id': w['id'], 'type': w['type']} for w in ids]}).json()['watched'] == []
    assert me.call('PATCH', 'settings/watch', json={'mute': [{'id': 'me/watched', 'type': 'repo'}]}).json()['muted'][0]['name'] == 'me/watched'
    before = me.told()
    you.api.create_discussion('me/watched', title='Three')
    assert me.told() == before and eve.told(repoName='me/watched') == ['One']
    assert eve.call('PATCH', 'settings/watch', json={'add': [{'id': 'me/none', 'type': 'repo'}]}).status_code == 404


def test_nothing_is_shown_that_may_no_longer_be_read(hub, people, browser):
    me, eve = people['me'], people['eve']
    me.api.create_repo('me/closing', exist_ok=True)
    me.api.create_discussion('me/closing', title='A secret title', description='@eve')
    page = lambda: browser.get('/notifications?show=all').text

    def shown():
        return 'A secret title' in eve.told(), 'A secret title' in page(), eve.unread()
    seen, on_page, unread = shown()
    assert seen and on_page
    me.api.update_repo_settings('me/closing', private=True)
    assert shown() == (False, False, unread - 1)
    # What is not shown is not touched either.
    assert eve.call('POST', 'notifications/mark-as-read', params={'applyToAll': 'true'}, json={}).ok
    me.api.update_repo_settings('me/closing', private=False)
    assert shown() == (True, True, 1)
    me.api.update_repo_settings('me/closing', gated='manual')
    assert shown()[0]  # a gate stands before files
    if not hub.db:
        with sqlite3.connect(hub.data / 'hub.db') as db:
            db.execute("UPDATE repos SET is_disabled = 1 WHERE full_name = 'me/closing'")
        assert shown() == (False, False, 0)
        with sqlite3.connect(hub.data / 'hub.db') as db:
            db.execute("UPDATE repos SET is_disabled = 0 WHERE full_name = 'me/closing'")
    me.api.delete_repo('me/closing')
    assert shown() == (False, False, 0)


def test_tokens_need_the_permission(hub, people):
    def token(name, *scopes):
        return hub.admin('token', 'add', '--user', 'eve', '--role', 'fineGrained', '--name', name, *scopes)
    reads = token('reads', '--scope', 'eve=user.notifications.read')
    writes = token('writes', '--scope', 'eve=user.notifications.write')
    nothing = token('nothing', '--scope', 'eve=repo.content.read')
    calls = [('GET', 'notifications', None, 'r'), ('GET', 'settings/notifications', None, 'r'), ('GET', 'settings/watch', None, 'r'),
             ('POST', 'notifications/mark-as-read?applyToAll=true', {}, 'w'), ('DELETE', 'notifications?applyToAll=true', {}, 'w')]
    for method, path, body, need in calls:
        for secret, may in ((reads, 'r'), (writes, 'w'), (nothing, ''), (None, '')):
            headers = {'Authorization': f'Bearer {secret}'} if secret else {}
            status = requests.request(method, f'{hub.url}/api/{path}', json=body, headers=headers).status_code
            assert status == (200 if need in may and may else 403 if secret else 401), (method, path, may)
    assert requests.patch(f'{hub.url}/api/settings/watch', json={'add': []}, headers={'Authorization': f'Bearer {reads}'}).status_code == 403
    # A token that may read no private repositories is told of none.
    hub.admin('org', 'add', 'readers', '--owner', 'me')
    hub.admin('org', 'member', 'readers', 'eve', '--role', 'read')
    people['me'].api.create_repo('readers/private', private=True)
    people['me'].api.create_discussion('readers/private', title='Among us')
    assert people['eve'].told() == ['Among us']
    told = requests.get(f'{hub.url}/api/notifications', headers={'Authorization': f'Bearer {reads}'}).json()
    assert told['notifications'] == [] and told['count'] == {'view': 0, 'unread': 0, 'all': 0}


def test_pages_show_a_bell_and_links_to_who_is_mentioned(hub, people, browser):
    me, eve = people['me'], people['eve']
    eve.call('DELETE', 'notifications', params={'applyToAll': 'true'})
    me.api.create_repo('me/paged', exist_ok=True)
    asked = me.api.create_discussion('me/paged', title='Look <here>',
                                     description='@EVE, @nobody-here, `@eve`, [@eve](https://elsewhere.invalid) <b onclick="x">@eve</b>')
    assert 'Notifications, 1 unread' in browser.get('/').text
    listed = browser.get('/notifications').text
    assert 'Look &lt;here&gt;' in listed and 'you were mentioned' in listed
    thread = browser.get(f'/me/paged/discussions/{asked.num}').text
    assert '<a href="/EVE">@EVE</a>, @nobody-here, <code>@eve</code>' in thread and '<b><a href="/eve">@eve</a></b>' in thread
    assert 'unread' not in re.search('aria-label="Notifications[^"]*"', browser.get('/').text)[0]
    # The buttons: unread again, done; watch the thread, and mute it.
    post = browser.submit
    ident = eve.call('GET', 'notifications').json()['notifications'][0]['discussion']['id']
    assert post('/notifications', discussion=ident, do='unread', show='all').ok and eve.unread() == 1
    assert post('/notifications', do='all-read', show='unread').ok and eve.unread() == 0
    assert post('/notifications', discussion=ident, do='done', show='all').ok and eve.told() == []
    path = f'/me/paged/discussions/{asked.num}'
    for on, state in (('yes', 'true'), ('no', 'false')):
        assert f'aria-pressed="{state}" title="Notifications of this' in post(f'{path}/watch', on=on).text
        assert f'aria-pressed="{state}" title="Notifications of what is said here' in post('/me/paged/watch', on=on).text
        assert f'aria-pressed="{state}" title="Notifications of what is said about' in post('/me/watch', on=on).text
    settings = browser.get('/settings/notifications').text
    assert settings.count('muted</span>') == 3 and 'Look &lt;here&gt;' in settings
    assert post('/settings/notifications', mentions='yes').ok
    assert eve.call('GET', 'settings/notifications').json()['notifications']['web_discussions_watched'] is False
    assert browser.post('/notifications', csrf='0', do='all-read').status_code == 403
