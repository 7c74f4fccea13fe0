"""Webhooks: what a repository's life looks like to who listens, in the form that huggingface_hub's own model of
payloads accepts; who may make one; that nothing is lost, and that nobody waits for a server that does not answer."""
import hashlib, hmac, json, subprocess

import pytest, requests
from conftest import Ear, Site, serving, until
from huggingface_hub import HfApi, WebhookPayload


def payloads(ear, n, path='/'):
    """What was sent to this path, once there are n of it."""
    found = lambda: [json.loads(body) for p, _, body in ear.heard if p == path]
    until(lambda: len(found()) >= n, lambda: f'{n} requests: {ear.heard}')
    assert len(found()) == n, [p['event'] for p in found()]
    return found()


@pytest.fixture
def ear():
    ear = Ear()
    yield ear
    ear.close()


@pytest.fixture(scope='module')
def own(tmp_path_factory):
    """A hub that may call this machine."""
    with serving(tmp_path_factory.mktemp('webhooks'), '--webhooks-allow', '127.0.0.1', '--webhook-retry', '0',
                 '--webhook-attempts', '3') as own:
        own.add_user('you')
        own.other_token = own.add_token('you')
        own.api = HfApi(own.url, token=own.token)
        own.other = HfApi(own.url, token=own.other_token)
        yield own


def watch(api, ear, what, path='/', **more):
    kind, name = what.split(':')
    return api.create_webhook(url=f'http://127.0.0.1:{ear.port}{path}', watched=[{'type': kind, 'name': name}], **more)


def call(hub, method, path, token=None, **more):
    return requests.request(method, f'{hub.url}/api/settings/webhooks{path}', timeout=20, **more,
                            headers={'Authorization': f'Bearer {token or hub.token}'})


def test_the_life_of_a_repository(own, ear, tmp_path):
    api, repo = own.api, 'me/life'
    hook = watch(own.other, ear, 'user:me', secret='open sesame'.replace(' ', '-'))
    api.create_repo(repo)
    api.upload_file(path_or_fileobj=b'one', path_in_repo='a.txt', repo_id=repo)
    api.create_branch(repo, branch='dev')
    api.create_tag(repo, tag='v1')
    url = own.url.replace('http://', f'http://me:{own.token}@')
    subprocess.run(['git', 'clone', '-q', f'{url}/{repo}', tmp_path / 'x'], check=True, timeout=60)
    (tmp_path / 'x/b.txt').write_text('two')
    for command in (['add', 'b.txt'], ['commit', '-qm', 'Two'], ['tag', 'v2'],
                    ['push', '-q', 'origin', 'main', 'v2', ':refs/tags/v1']):
        subprocess.run(['git', *command], cwd=tmp_path / 'x', check=True, timeout=60)
    talk = own.other.create_discussion(repo, title='Why?', description='I *wonder*.')
    said = api.comment_discussion(repo, talk.num, comment='Because.')
    api.edit_discussion_comment(repo, talk.num, said.id, new_content='Because of that.')
    api.change_discussion_status(repo, talk.num, new_status='closed')
    pull = own.other.upload_file(path_or_fileobj=b'3', path_in_repo='c.txt', repo_id=repo, create_pr=True).pr_num
    api.merge_pull_request(repo, pull)
    settings = requests.put(f'{own.url}/api/models/{repo}/settings', json={'discussionsDisabled': True},
                            headers={'Authorization': f'Bearer {own.token}'})
    assert settings.ok
    api.move_repo(repo, 'me/moved')
    api.delete_repo('me/moved')

    heard = payloads(ear, len(EXPECTED))
    order = [tuple(p['event'].values()) for p in heard]
    assert sorted(order) == sorted(EXPECTED)
    assert order[0] == ('create', 'repo') and order[-1] == ('delete', 'repo')
    for payload, (_, headers, body) in zip(heard, ear.heard):
        parsed = WebhookPayload.model_validate(payload)
        assert (parsed.webhook.id, parsed.webhook.version, parsed.repo.type) == (hook.id, 3, 'model')
        assert parsed.repo.url.web.startswith(f'{own.url}/me/') and headers['X-Webhook-Secret'] == 'open-sesame'
        seal = hmac.new(b'open-sesame', body, hashlib.sha256).hexdigest()
        assert headers['X-Hub-Signature-256'] == f'sha256={seal}' and headers['X-Webhook-Delivery']
    pushed, = [p for p in heard if len(p.get('updatedRefs', [])) == 3]
    refs = {r['ref']: (bool(r['oldSha']), bool(r['newSha'])) for r in pushed['updatedRefs']}
    assert refs == {'refs/heads/main': (True, True), 'refs/tags/v2': (False, True), 'refs/tags/v1': (True, False)}
    moved, = [p for p in heard if p['event']['action'] == 'move']
    assert moved['repo']['name'] == repo and moved['movedTo']['name'] == 'me/moved'
    own.other.delete_webhook(hook.id)


EXPECTED = [('create', 'repo')] + 4 * [('update', 'repo.content')] + [
    ('create', 'discussion'), ('create', 'discussion.comment'), ('update', 'discussion.comment'), ('update', 'discussion'),
    ('update', 'repo.content'), ('create', 'discussion'), ('update', 'repo.content'), ('update', 'discussion'),
    ('update', 'repo.config'), ('move', 'repo'), ('delete', 'repo')]


def test_only_its_owner_and_tokens_that_say_so(own, ear):
    hook = watch(own.api, ear, 'user:me')
    assert own.other.list_webhooks() == []
    for method, path in (('GET', ''), ('POST', ''), ('DELETE', ''), ('POST', '/disable'), ('POST', '/test'), ('GET', '/logs')):
        assert call(own, method, f'/{hook.id}{path}', own.other_token, json={}).status_code == 404, path
        assert requests.request(method, f'{own.url}/api/settings/webhooks/{hook.id}{path}').status_code == 401

    reader = own.add_token('me', 'read', 'reader')
    assert [w['id'] for w in call(own, 'GET', '', reader).json()] == [hook.id]
    assert call(own, 'POST', f'/{hook.id}/disable', reader).status_code == 403
    fine = lambda name, scope: own.admin('token', 'add', '--user', 'me', '--role', 'fineGrained', '--name', name, '--scope', scope)
    nothing, reads = fine('a', 'me=repo.write'), fine('b', 'me=user.webhooks.read')
    writes = fine('c', 'me=user.webhooks.read,user.webhooks.write')
    assert call(own, 'GET', '', nothing).status_code == 403
    assert call(own, 'GET', f'/{hook.id}', reads).ok and call(own, 'POST', f'/{hook.id}/disable', reads).status_code == 403
    assert call(own, 'POST', f'/{hook.id}/disable', writes).json()['webhook']['disabled'] is True
    own.api.delete_webhook(hook.id)


def test_what_it_says_is_checked(own, ear):
    good = {'url': 'https://example.org/x', 'watched': [{'type': 'user', 'name': 'me'}], 'domains': ['repo']}
    for bad in ({'url': 'example.org'}, {'url': 5}, {'url': None}, {'watched': []}, {'watched': 'me'}, {'watched': [3]},
                {'watched': [{'type': 'bucket', 'name': 'me/x'}]}, {'domains': []}, {'domains': ['space']},
                {'secret': 'ä'}, {'secret': 'a\r\nb'}, {'url': 'http://10.0.0.1/'}, {'url': 'http://[::ffff:10.0.0.1]/'}):
        answer = call(own, 'POST', '', json=good | bad)
        assert answer.status_code in (400, 403), (bad, answer.text)
    assert call(own, 'POST', '', json=good | {'jobSourceId': '1'}).status_code == 400
    assert own.api.list_webhooks() == []
    # A change says what changes, and an empty list of the watched is none (the client sends it always).
    hook = own.api.create_webhook(url=good['url'], watched=good['watched'], secret='s')
    hook = own.api.update_webhook(hook.id, url='https://example.org/y')
    assert (hook.url, hook.secret, hook.watched[0].name, hook.domains) == ('https://example.org/y', 's', 'me', ['repo', 'discussion'])
    own.api.delete_webhook(hook.id)


def test_private_repositories_are_told_to_nobody_else(own, ear):
    own.api.create_repo('me/hidden', private=True)
    hooks = [watch(own.other, ear, what, '/other') for what in ('user:me', 'model:me/hidden')]
    hooks.append(watch(own.api, ear, 'model:me/hidden', '/mine'))
    own.api.upload_file(path_or_fileobj=b'one', path_in_repo='a.txt', repo_id='me/hidden')
    own.api.create_discussion('me/hidden', title='Psst')
    payloads(ear, 2, '/mine')
    own.api.update_repo_settings('me/hidden', private=False)
    assert len(payloads(ear, 2, '/other')) == 2 and all(p['updatedConfig'] == {'private': False} for p in payloads(ear, 2, '/other'))
    own.api.update_repo_settings('me/hidden', private=True)
    own.api.delete_repo('me/hidden')
    payloads(ear, 5, '/mine')
    assert len(payloads(ear, 2, '/other')) == 2
    assert [len(call(own, 'GET', f'/{h.id}/logs', own.other_token).json()) for h in hooks[:2]] == [1, 1]
    for api, hook in zip((own.other, own.other, own.api), hooks):
        api.delete_webhook(hook.id)


def test_the_log_and_sending_it_again(own, ear):
    hook = watch(own.api, ear, 'model:me/logged')
    own.api.create_repo('me/logged')
    payloads(ear, 1)
    ear.status = 500
    assert call(own, 'POST', f'/{hook.id}/test').json()['success']
    log = lambda: call(own, 'GET', f'/{hook.id}/logs').json()
    until(lambda: log()[0]['state'] == 'failed', log)
    test, created = log()
    assert (test['attempts'], test['status'], 'repo' in test) == (3, 500, False)
    assert created['event'] == {'action': 'create', 'scope': 'repo'} and created['repo']['name'] == 'me/logged'
    assert WebhookPayload.model_validate_json(ear.heard[-1][2]).repo.name == 'me/a-test'
    assert len({h['X-Webhook-Delivery'] for _, h, _ in ear.heard[1:]}) == 1    # three attempts at one delivery
    ear.status, ear.heard = 200, []
    again = call(own, 'POST', f"/{hook.id}/replay/{created['id']}").json()['id']
    payload, = payloads(ear, 1)
    until(lambda: log()[0]['state'] == 'delivered', log)
    whole = call(own, 'GET', f'/{hook.id}/logs/{again}').json()
    assert json.loads(whole['request']) == payload and whole['status'] == 200
    first = call(own, 'GET', f'/{hook.id}/logs?limit=2')
    assert len(first.json()) == 2 and len(requests.get(first.links['next']['url'], headers={
        'Authorization': f'Bearer {own.token}'}).json()) == 1
    assert call(own, 'POST', f'/{hook.id}/replay/{24 * "0"}').status_code == 404
    own.api.delete_webhook(hook.id)


def test_the_pages(own, ear):
    site, other = Site(own, 'me'), Site(own, 'you')
    assert 'No webhooks yet' in site.get('/settings/webhooks').text
    form = {'url': f'http://127.0.0.1:{ear.port}/page', 'watched': 'me\r\n\r\ndatasets/me/data\r\n you/model ', 'secret': 'abc', 'repo': 'yes'}
    for change, said in (({'url': 'http://10.0.0.1/'}, 'not an address of the open internet'), ({'watched': ' '}, 'watched: say what'),
                         ({'repo': ''}, 'domains'), ({'secret': 'a b'}, 'secret'), ({'watched': 'a/b/c/d'}, 'watched')):
        answer = site.post('/settings/webhooks', **form | change)
        assert answer.status_code in (400, 403) and said in answer.text and (form | change)['url'] in answer.text, change
    path = site.post('/settings/webhooks', **form).headers['Location']
    hook, = own.api.list_webhooks()
    assert [(w.type, w.name) for w in hook.watched] == [('user', 'me'), ('dataset', 'me/data'), ('model', 'you/model')]
    assert (hook.domains, hook.secret, path) == (['repo'], 'abc', f'/settings/webhooks/{hook.id}')
    page = site.get(path).text
    assert 'Nothing sent yet' in page and 'me\ndatasets/me/data\nyou/model' in page.replace('&#x2F;', '/')
    assert other.get(path).status_code == 404 and other.post(f'{path}/delete').status_code == 404

    log = site.post(f'{path}/test').headers['Location']
    assert payloads(ear, 1, '/page')[0]['test'] is True
    until(lambda: 'delivered' in site.get(log).text, lambda: site.get(log).text)
    assert 'a-test' in site.get(log).text and '200' in site.get(path).text
    again = site.post(f'{log}/replay').headers['Location']
    assert again != log and len(payloads(ear, 2, '/page')) == 2
    assert 'Saved' in site.post(path, **form | {'watched': 'you', 'discussion': 'yes'}).text
    assert site.post(f'{path}/enable', do='disable').status_code == 303
    assert 'Disabled' in site.get(path).text and site.post(f'{path}/test').status_code == 400
    assert site.post(f'{path}/enable', do='enable').status_code == 303
    hook, = own.api.list_webhooks()
    assert (hook.watched[0].name, hook.domains, hook.disabled) == ('you', ['repo', 'discussion'], False)
    assert site.post(f'{path}/delete').headers['Location'] == '/settings/webhooks' and own.api.list_webhooks() == []


def test_nobody_waits_for_a_server_that_does_not_answer(own, ear):
    slow = Ear()
    slow.delay = 10
    hooks = [watch(own.other, slow, 'user:me') for _ in range(5)] + [watch(own.api, ear, 'user:me')]
    own.api.create_repo('me/quick')
    for i in range(3):
        own.api.upload_file(path_or_fileobj=b'%d' % i, path_in_repo='a.txt', repo_id='me/quick')
    payloads(ear, 4)
    assert not slow.heard
    for api, hook in zip(5 * [own.other] + [own.api], hooks):
        api.delete_webhook(hook.id)
    slow.close()


def test_nothing_is_lost_when_the_server_is_killed(tmp_path):
    with serving(tmp_path, '--webhooks-allow', '127.0.0.0/8', '--webhook-retry', '1') as own:
        api, ear = HfApi(own.url, token=own.token), Ear()
        port = ear.port
        watch(api, ear, 'user:me')
        ear.close()                      # nobody listens
        api.create_repo('me/x')
        shas = [api.upload_file(path_or_fileobj=b'%d' % i, path_in_repo='a.txt', repo_id='me/x').oid for i in range(5)]
        own.kill()
        ear = Ear(port)
        own.start()
        try:
            until(lambda: len({h['X-Webhook-Delivery'] for _, h, _ in ear.heard}) == 6, lambda: ear.heard)
            told = {r['newSha'] for _, _, b in ear.heard for r in json.loads(b).get('updatedRefs', [])}
            assert told == set(shas)
        finally:
            ear.close()


def test_this_machine_and_its_network_are_not_called(hub, api, ear):
    for url in (f'http://127.0.0.1:{ear.port}/', 'http://192.168.1.1/', 'http://[fe80::1]/'):
        assert call(hub, 'POST', '', json={'url': url, 'watched': [{'type': 'user', 'name': 'me'}]}).status_code == 403
    # A name is looked up when it is called.
    hook = api.create_webhook(url=f'http://localhost:{ear.port}/', watched=[{'type': 'user', 'name': 'me'}])
    call(hub, 'POST', f'/{hook.id}/test')
    log = lambda: call(hub, 'GET', f'/{hook.id}/logs').json()
    until(lambda: log()[0]['state'] == 'failed', log)
    assert 'not an address of the open internet' in log()[0]['error'] and not ear.heard
    api.delete_webhook(hook.id)
