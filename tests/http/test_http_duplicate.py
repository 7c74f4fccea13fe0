"""A repository made of another one on the hub: what comes along, what stays, and who may."""
import time

import pytest, requests
from conftest import Site
from huggingface_hub import CommitOperationAdd as Add, HfApi
from huggingface_hub.errors import HfHubHTTPError


@pytest.fixture(scope='module')
def you(hub):
    return HfApi(hub.url, token=hub.other_token)


def commit(api, repo, *operations, **more):
    return api.create_commit(repo, list(operations), commit_message='x', **more)


@pytest.fixture(scope='module')
def source(hub, api):
    """Public: two commits on main, a branch, a tag, a pull request with a large file of its own, and one never committed."""
    api.create_repo('me/copied')
    commit(api, 'me/copied', Add('big.bin', b'large' * 99), Add('README.md', b'# A card'))
    commit(api, 'me/copied', Add('big.bin', b'larger' * 99))
    api.create_branch('me/copied', branch='aside')
    api.create_tag('me/copied', tag='v1', tag_message='a release')
    commit(api, 'me/copied', Add('proposed.bin', b'proposed' * 99), create_pr=True)
    api.preupload_lfs_files('me/copied', [Add('unpublished.bin', b'unpublished' * 99)])
    return 'me/copied'


def member(hub, org, user, role):
    """By another process: the server looks again a second later."""
    hub.admin('org', 'member', org, user, '--role', role)
    time.sleep(1.1)


def get(hub, token, path):
    return requests.get(hub.url + path, headers={'Authorization': f'Bearer {token}'})


def test_history_and_large_files_come_along(hub, api, you, source):
    url = you.duplicate_repo(source, 'you/copy')
    assert url.repo_id == 'you/copy'
    assert [c.commit_id for c in you.list_repo_commits('you/copy')] == [c.commit_id for c in api.list_repo_commits(source)]
    refs = you.list_repo_refs('you/copy', include_pull_requests=True)
    assert {b.name for b in refs.branches} == {'main', 'aside'} and {t.name for t in refs.tags} == {'v1'} and not refs.pull_requests
    first = you.list_repo_commits('you/copy')[1].commit_id
    assert get(hub, hub.other_token, '/you/copy/resolve/main/big.bin').content == b'larger' * 99
    assert get(hub, hub.other_token, f'/you/copy/resolve/{first}/big.bin').content == b'large' * 99
    # Nothing that the history does not name: neither a proposal's file nor one that was never committed.
    assert sorted(f.size for f in you.list_lfs_files('you/copy')) == [5 * 99, 6 * 99]
    assert len(list(api.list_lfs_files(source))) == 4
    # Each keeps its own.
    you.permanently_delete_lfs_files('you/copy', you.list_lfs_files('you/copy'))
    assert get(hub, hub.token, f'/{source}/resolve/main/big.bin').content == b'larger' * 99
    you.duplicate_repo(source, 'you/copy2')
    commit(you, 'you/copy2', Add('mine.txt', b'mine'))
    assert 'mine.txt' not in api.list_repo_files(source) and 'mine.txt' in you.list_repo_files('you/copy2')


def test_a_name_is_taken_once(hub, api, you, source):
    you.create_repo('you/taken')
    with pytest.raises(HfHubHTTPError, match='409'):
        you.duplicate_repo(source, 'you/taken')
    assert you.duplicate_repo(source, 'you/taken', exist_ok=True).repo_id == 'you/taken'
    for bad, status in (('you', 400), ('you/a/b', 400), ('you/..', 400), ('me/theirs', 403), ('nobody/x', 403)):
        answer = requests.post(f'{hub.url}/api/models/{source}/duplicate', json={'repository': bad},
                               headers={'Authorization': f'Bearer {hub.other_token}'})
        assert answer.status_code == status, (bad, answer.text)


def test_a_private_one_stays_private(hub, api, you):
    api.create_repo('me/copied-private', private=True)
    hub.admin('org', 'add', 'copiers', '--owner', 'me')
    api.move_repo('me/copied-private', 'copiers/private')
    copy = lambda **body: requests.post(f'{hub.url}/api/models/copiers/private/duplicate', headers={'Authorization': f'Bearer {hub.other_token}'},
                                        json={'repository': 'you/private-copy'} | body)
    assert copy().status_code == 404
    member(hub, 'copiers', 'you', 'read')
    assert copy(visibility='public').status_code == 403     # what members see is not theirs to publish
    assert copy().status_code == 200 and you.repo_info('you/private-copy').private
    assert api.duplicate_repo('copiers/private', 'me/published', visibility='public') and not api.repo_info('me/published').private


def test_a_gate_is_copied_and_not_gone_round(hub, api, you):
    api.create_repo('me/copied-gated', repo_type='dataset')
    api.update_repo_settings('me/copied-gated', gated='auto', repo_type='dataset')
    with pytest.raises(HfHubHTTPError, match='403'):
        you.duplicate_repo('me/copied-gated', 'you/gated', repo_type='dataset')
    requests.post(f'{hub.url}/api/datasets/me/copied-gated/ask-access', headers={'Authorization': f'Bearer {hub.other_token}'}).raise_for_status()
    you.duplicate_repo('me/copied-gated', 'you/gated', repo_type='dataset')
    assert you.dataset_info('you/gated').gated == 'auto'


def test_page(hub, api, you, source):
    site = Site(hub, 'you')
    assert f'/{source}/duplicate' in site.get(f'/{source}').text and 'value="copied"' in site.get(f'/{source}/duplicate').text
    answer = site.post(f'/{source}/duplicate', owner='me', name='x', visibility='public')
    assert answer.status_code == 403 and 'rights' in answer.text
    assert site.post(f'/{source}/duplicate', owner='you', name='a b', visibility='public').status_code == 400
    answer = site.post(f'/{source}/duplicate', owner='you', name='by-page', visibility='private')
    assert answer.headers['Location'] == '/you/by-page' and you.repo_info('you/by-page').private


def test_moving_asks_both_sides(hub, api, you):
    """To give a repository away takes everything there, and the right to make one here."""
    hub.admin('org', 'add', 'movers', '--owner', 'me')
    you.create_repo('you/moving')
    move = lambda client, a, b: requests.post(f'{hub.url}/api/repos/move', json={'fromRepo': a, 'toRepo': b, 'type': 'model'},
                                              headers={'Authorization': f'Bearer {client.token}'}).status_code
    assert move(you, 'you/moving', 'movers/moving') == 403      # no member there
    assert move(you, 'you/moving', 'me/moving') == 403          # nobody's but theirs
    member(hub, 'movers', 'you', 'contributor')
    assert move(you, 'you/moving', 'movers/moving') == 200
    # Its maker may everything with it, a contributor nothing with others' here.
    api.create_repo('movers/theirs')
    assert move(you, 'movers/theirs', 'you/theirs') == 403 and move(you, 'movers/moving', 'you/back') == 200
    fine = hub.admin('token', 'add', '--user', 'you', '--role', 'fineGrained', '--scope', 'models/you/back=repo.write')
    assert move(HfApi(token=fine), 'you/back', 'movers/back') == 403 and move(HfApi(token=fine), 'you/back', 'you/other') == 403
