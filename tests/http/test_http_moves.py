"""Accounts that take another name, and accounts that go: over pages, API, git and `hug admin`, and when it is cut off."""
import subprocess, time

import pytest
import requests
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from conftest import HUG, Site, until


def confirmed(site, path, **form):
    """A form that asks for the password again."""
    return site.submit(path, **{'password': site.password} | form)


def test_everything_under_the_old_name_leads_to_the_new_one(hub, tmp_path):
    hub.add_user('oldie')
    hub.add_user('asker')
    old = HfApi(hub.url, token=hub.add_token('oldie'))
    old.create_repo('oldie/model')
    old.upload_file(path_or_fileobj=b'hello', path_in_repo='a.txt', repo_id='oldie/model')
    HfApi(hub.url, token=hub.add_token('asker')).create_discussion('oldie/model', title='Hm', description='@oldie?')
    page = Site(hub, 'oldie')
    assert confirmed(page, '/settings/account/rename', to='newbie', password='wrong').status_code == 400
    assert 'taken' in confirmed(page, '/settings/account/rename', to='me').text
    assert confirmed(page, '/settings/account/rename', to='newbie').ok

    assert old.whoami()['name'] == 'newbie' and old.get_user_overview('oldie').username == 'newbie'
    assert old.model_info('oldie/model').id == 'newbie/model'
    assert [m.id for m in old.list_models(author='Oldie')] == ['newbie/model']
    assert requests.get(f'{hub.url}/oldie/model/resolve/main/a.txt').text == 'hello'
    assert requests.get(f'{hub.url}/oldie', headers={'Accept': 'text/html'}).url == f'{hub.url}/newbie'
    assert requests.get(f'{hub.url}/avatars/oldie').ok
    subprocess.run(['git', 'clone', '-q', f'{hub.url}/oldie/model', tmp_path / 'clone'], check=True)
    assert (tmp_path / 'clone/a.txt').read_text() == 'hello'
    old.upload_file(path_or_fileobj=b'more', path_in_repo='b.txt', repo_id='oldie/model')
    assert old.get_discussion_details('newbie/model', 1).title == 'Hm'
    # Who was watching still is, and nobody else gets the name.
    HfApi(hub.url, token=hub.add_token('asker', name='two')).comment_discussion('newbie/model', 1, 'Hello?')
    told = requests.get(f'{hub.url}/api/notifications', headers={'Authorization': f'Bearer {old.token}'}).json()
    assert told['notifications'][0]['repo']['name'] == 'newbie/model'
    refused = subprocess.run([HUG, 'admin', 'user', 'add', 'oldie', *hub.place], text=True, capture_output=True)
    assert refused.returncode and 'taken' in refused.stderr


def test_an_account_goes_with_what_it_has_and_leaves_what_it_said(hub):
    hub.add_user('leaver')
    hub.add_user('stayer')
    leaver, stayer = (HfApi(hub.url, token=hub.add_token(name)) for name in ('leaver', 'stayer'))
    leaver.create_repo('leaver/own', private=True)
    stayer.create_repo('stayer/talk')
    leaver.create_discussion('stayer/talk', title='I was here', description='Really.')
    requests.post(f'{hub.url}/api/models/stayer/talk/like', headers={'Authorization': f'Bearer {leaver.token}'})
    hub.admin('org', 'add', 'leavers', '--owner', 'leaver')
    page = Site(hub, 'leaver')
    assert 'only admin of leavers' in confirmed(page, '/settings/account/delete', name='leaver').text
    settings = '/organizations/leavers/settings/account'
    assert Site(hub, 'stayer').get(settings).status_code in (403, 404)
    assert confirmed(page, f'{settings}/rename', to='leavers-two').ok
    assert requests.get(f'{hub.url}/api/organizations/leavers/overview').json()['name'] == 'leavers-two'
    assert confirmed(page, '/organizations/leavers-two/settings/account/delete', name='leavers-two').ok
    assert requests.get(f'{hub.url}/api/organizations/leavers-two/overview').status_code == 404

    assert 'Type the name' in confirmed(page, '/settings/account/delete', name='stayer').text
    gone = confirmed(page, '/settings/account/delete', name='leaver')
    assert gone.ok and 'Log in' in gone.text
    assert requests.get(f'{hub.url}/api/users/leaver/overview').status_code == 404
    assert requests.get(f'{hub.url}/api/whoami-v2', headers={'Authorization': f'Bearer {leaver.token}'}).status_code == 401
    thread = stayer.get_discussion_details('stayer/talk', 1)
    assert thread.author == 'deleted' and thread.events[0].content == 'Really.'
    assert 'omebody who left' in requests.get(f'{hub.url}/stayer/talk/discussions/1', headers={'Accept': 'text/html'}).text
    assert stayer.model_info('stayer/talk').likes == 0
    told = requests.get(f'{hub.url}/api/notifications', headers={'Authorization': f'Bearer {stayer.token}'}).json()
    assert told['notifications'][0]['discussion']['title'] == 'I was here'


def test_a_rename_or_deletion_that_is_cut_off_has_happened_or_not(own_hub):
    """`hug admin` is killed in the middle, again and again: all of an account is in one place, or all of it is gone."""
    hub = own_hub
    hub.add_user('one')
    api = HfApi(hub.url, token=hub.add_token('one'))
    repos = {f'r{i}' for i in range(40)}
    for name in repos:
        api.create_repo(f'one/{name}')
    begun = time.monotonic()
    hub.admin('user', 'rename', 'one', 'two')
    whole = time.monotonic() - begun

    def cut_off(after, *args):
        process = subprocess.Popen([HUG, 'admin', *args, *hub.place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(after)
        process.kill()
        process.wait()
        time.sleep(1.1)  # another process's changes are seen within a second

    def owned(owner):
        return {m.id for m in api.list_models(author=owner, token=False)}
    name, other = 'two', 'one'
    for i in range(5):
        cut_off(whole * (0.2 + i / 5), 'user', 'rename', name, other)
        now = api.get_user_overview(name).username
        name, other = (name, other) if now == name else (other, name)
        assert now == name and owned(name) == owned(other) == {f'{name}/{r}' for r in repos}
    assert {api.model_info(f'{n}/r0').id for n in ('one', 'two')} == {f'{name}/r0'}
    for i in range(4):
        cut_off(whole * (0.2 + i / 4), 'user', 'delete', name)
        there = requests.get(f'{hub.url}/api/users/{name}/overview').ok
        assert owned(name) == ({f'{name}/{r}' for r in repos} if there else set())
        if not there:
            break
    else:
        hub.admin('user', 'delete', name)
    time.sleep(1.1)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(f'{name}/r0', token=False)
    # What the files left behind is cleared by the hub.
    left = lambda: list((hub.data / 'repos').glob('*/*.git*'))
    until(lambda: not left(), left, 25)
