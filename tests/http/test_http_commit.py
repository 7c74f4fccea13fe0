"""The commit call: one JSON object a line, any length, one atomic commit."""
import base64, concurrent.futures, itertools, json

import pytest, requests


def line(key, **value):
    return json.dumps({'key': key, 'value': value}) + '\n'


def header(summary='a commit', **more):
    return line('header', summary=summary, **more)


def added(path, content):
    return line('file', path=path, content=base64.b64encode(content).decode(), encoding='base64')


def commit(hub, auth, repo, body, rev='main', **query):
    return requests.post(f'{hub.url}/api/models/{repo}/commit/{rev}', data=body, params=query,
                         headers=auth | {'Content-Type': 'application/x-ndjson'})


numbers = itertools.count()


@pytest.fixture
def repo(hub, auth):
    answer = requests.post(f'{hub.url}/api/repos/create', json={'name': f'http-commit-{next(numbers)}'}, headers=auth)
    assert answer.status_code == 200, answer.text
    return answer.json()['name']


def files(hub, repo, auth):
    return [f['rfilename'] for f in requests.get(f'{hub.url}/api/models/{repo}', headers=auth).json()['siblings']]


def test_answers_with_the_new_commit(hub, auth, repo):
    answer = commit(hub, auth, repo, header() + added('a/b.txt', b'hello') + line('file', path='c', content='plain', encoding='utf-8'))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said['success'] is True and len(said['commitOid']) == 40
    assert said['commitUrl'] == f'{hub.url}/{repo}/commit/{said["commitOid"]}'
    assert files(hub, repo, auth) == ['.gitattributes', 'a/b.txt', 'c']
    assert requests.get(f'{hub.url}/{repo}/resolve/main/c').text == 'plain'


def test_the_last_of_several_on_one_path_wins(hub, auth, repo):
    assert commit(hub, auth, repo, header() + added('x', b'1') + added('x', b'2')).status_code == 200
    assert requests.get(f'{hub.url}/{repo}/resolve/main/x').content == b'2'


HOSTILE = ['../x', 'a/../../x', '/etc/passwd', '.git/config', 'a/.GIT/hooks/x', 'a\\b', 'a//b', 'a/',
           'a\0b', 'git~1/x', '.', 'x' * 4000, 'y/' * 2100 + 'z', 'a\nb']


@pytest.mark.parametrize('number', range(len(HOSTILE)))
def test_hostile_path(hub, auth, repo, number):
    answer = commit(hub, auth, repo, header() + added(HOSTILE[number], b'x'))
    assert answer.status_code == 422, (HOSTILE[number][:40], answer.text)
    assert 'line 2' in answer.json()['error']
    assert files(hub, repo, auth) == ['.gitattributes']


@pytest.mark.parametrize('body', [
    '', '\n', 'nonsense\n', '[]\n', added('x', b'1'), header() + header(), header('') + added('x', b'1'),
    header() + line('unknown', path='x'), header() + line('file', path='x', content='%%', encoding='base64'),
    header() + line('file', path='x'), header() + line('lfsFile', path='x', oid='12', size=1),
    header() + line('lfsFile', path='x', oid='0' * 64, size=1), header() + added('x', b'1') + '{"key":'])
def test_malformed_body(hub, auth, repo, body):
    answer = commit(hub, auth, repo, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()['error']


def test_a_stale_parent_is_412(hub, auth, repo):
    first = commit(hub, auth, repo, header() + added('a', b'1')).json()['commitOid']
    assert commit(hub, auth, repo, header(parentCommit=first) + added('a', b'2')).status_code == 200
    answer = commit(hub, auth, repo, header(parentCommit=first) + added('a', b'3'))
    assert answer.status_code == 412 and 'refresh' in answer.json()['error']
    assert requests.get(f'{hub.url}/{repo}/resolve/main/a').content == b'2'


def test_commits_at_once_all_land(hub, auth, repo):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: commit(hub, auth, repo, header() + added(f'f{i}', b'x')), range(24)))
    assert [a.status_code for a in answers] == [200] * 24
    assert len(files(hub, repo, auth)) == 25
    history = requests.get(f'{hub.url}/api/models/{repo}/commits/main')
    assert len(history.json()) == 25 and history.headers['X-Total-Count'] == '25'


def test_deleting_what_is_not_there(hub, auth, repo):
    answer = commit(hub, auth, repo, header() + line('deletedFile', path='no'))
    assert answer.status_code == 404 and answer.headers['X-Error-Code'] == 'EntryNotFound'
    assert answer.json()['error'].endswith('A file with the name "no" does not exist')


def test_only_branches_take_commits(hub, auth, repo):
    sha = commit(hub, auth, repo, header() + added('a', b'1')).json()['commitOid']
    requests.post(f'{hub.url}/api/models/{repo}/tag/main', json={'tag': 'v1'}, headers=auth)
    for rev in sha, 'v1', 'nowhere':
        answer = commit(hub, auth, repo, header() + added('b', b'1'), rev)
        assert answer.status_code == 404 and answer.headers['X-Error-Code'] == 'RevisionNotFound'


def test_who_may_commit(hub, auth, repo):
    body = header() + added('a', b'1')
    for token, status in ((None, 401), ('hf_' + 'x' * 34, 401), (hub.read_token, 403), (hub.other_token, 403)):
        headers = {'Authorization': f'Bearer {token}'} if token else {}
        assert commit(hub, headers, repo, body).status_code == status, token


def test_a_body_of_any_length_never_sits_in_memory(own_hub):
    auth = {'Authorization': f'Bearer {own_hub.token}'}
    requests.post(f'{own_hub.url}/api/repos/create', json={'name': 'long'}, headers=auth).raise_for_status()
    before = own_hub.memory_mb[1]

    def body():                                  # 30 files of 8 MB: a body of 320 MB
        yield header().encode()
        for i in range(30):
            yield added(f'{i}', bytes([i]) * 8_000_000).encode()
    answer = commit(own_hub, auth, 'me/long', body())
    assert answer.status_code == 200, answer.text
    assert own_hub.memory_mb[1] - before < 120, own_hub.memory_mb
    assert requests.get(f'{own_hub.url}/me/long/resolve/main/7').content == b'\7' * 8_000_000


def test_a_line_that_is_too_long_is_413(hub, auth, repo):
    answer = commit(hub, auth, repo, header() + line('file', path='x', content='a' * (25 << 20)))
    assert answer.status_code == 413 and 'LFS' in answer.json()['error']


def test_what_was_acknowledged_survives_a_kill(own_hub):
    auth = {'Authorization': f'Bearer {own_hub.token}'}
    requests.post(f'{own_hub.url}/api/repos/create', json={'name': 'safe'}, headers=auth).raise_for_status()
    for i in range(3):
        sha = commit(own_hub, auth, 'me/safe', header() + added(f'f{i}', b'x')).json()['commitOid']
        own_hub.kill()
        own_hub.start()
        info = requests.get(f'{own_hub.url}/api/models/me/safe').json()
        assert info['sha'] == sha and f'f{i}' in [s['rfilename'] for s in info['siblings']]
