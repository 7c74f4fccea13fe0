"""The pages in a real Chromium: walk.mjs has the stories, this file the hub and what lies in it.

Screenshots of every page, at both widths and in both colours, lie in BROWSER_SHOTS if that is set."""
import json, os, shutil, subprocess
from pathlib import Path

import pytest, requests

from conftest import DOT, REAL_HOME, ROOT, Site

CARD = '''---
license: mit
language: en
pipeline_tag: text-generation
library_name: transformers
widget:
- text: Once upon a time
  example_title: A story
---
# Reading

| a | b |
|---|--:|
| 1 | 2 |
| 3 | 4 |

```python
import sys
```

![A dot](dot.png) ![Elsewhere](https://elsewhere.invalid/x.png)

<script>window.attacked = 1</script>
<img src="nothing" onerror="window.attacked = 2" alt="">
<iframe src="/"></iframe><form action="/logout"><button>x</button></form>
'''


@pytest.fixture(scope='session')
def browser():
    """What walk.mjs needs; skips where there is no Chromium or no node."""
    chromium = shutil.which('chromium') or shutil.which('chromium-browser')
    if not chromium or not shutil.which('node'):
        pytest.skip('chromium or node is not installed')
    packages = subprocess.run([ROOT / 'tools/node', 'tests/browser/package.json'], text=True,
                              stdout=subprocess.PIPE, env=os.environ | {'HOME': REAL_HOME}, check=True)
    return {'chromium': chromium, 'packages': packages.stdout.strip()}


@pytest.fixture(scope='session')
def reading(api, tiny_gpt2):
    """A model with a card, an image, source code, weights and three commits."""
    repo = 'me/reading'
    api.create_repo(repo)
    api.upload_folder(repo_id=repo, folder_path=tiny_gpt2, ignore_patterns='README.md',
                      commit_message='Weights')
    from huggingface_hub import CommitOperationAdd as Add
    api.create_commit(repo, [Add('README.md', CARD.encode()), Add('dot.png', DOT),
                             Add('src/run.py', b'import sys\nprint("one")\n')], commit_message='First thoughts')
    api.create_commit(repo, [Add('src/run.py', b'import sys\nprint("two")\n')],
                      commit_message='Second thoughts')
    return repo


@pytest.fixture
def walk(hub, browser, reading, tmp_path):
    def go(story, **more):
        told = {'url': hub.url, 'user': 'me', 'password': hub.passwords['me'], 'repo': reading,
                'folder': str(tmp_path), 'out': os.environ.get('BROWSER_SHOTS', '')} | browser | more
        done = subprocess.run(['node', Path(__file__).with_name('walk.mjs'), story, json.dumps(told)],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=280)
        assert done.returncode == 0, done.stdout
    return go


def test_every_page_is_sound_at_both_widths_and_in_both_colours(walk, hub, api, reading):
    from huggingface_hub import CommitOperationAdd as Add, HfApi
    api.create_repo('me/pages', repo_type='dataset', exist_ok=True)
    api.create_repo('me/pages', repo_type='space', space_sdk='gradio', exist_ok=True)
    api.create_commit('me/pages', [Add('train.csv', b'word,n\nlong ' + b'word ' * 200 + b',1\n')], repo_type='dataset',
                      commit_message='Rows')
    api.create_repo('me/page-pictures', repo_type='dataset', exist_ok=True)
    api.create_commit('me/page-pictures', [Add(f'{kind}/{i}.png', DOT) for kind in ('cat', 'dog') for i in range(2)], repo_type='dataset',
                      commit_message='Pictures')
    talk = api.create_discussion(reading, 'Why two?', description='**One** would do, or `three`.').num
    pull = api.create_commit(reading, [Add('src/run.py', b'import sys\nprint("three")\n')], create_pr=True,
                             commit_message='Third thoughts', commit_description='Better yet.').pr_num
    site = Site(hub, 'me')
    site.post('/organizations/new', name='page-people', fullname='People of the pages')
    site.post('/organizations/page-people/settings/members', user='you', role='write')
    hook = api.create_webhook(url='https://example.org/hook?key=1', watched=[{'type': 'user', 'name': 'me'}])
    call = lambda path, **more: requests.request(headers={'Authorization': f'Bearer {hub.token}'}, url=f'{hub.url}/api/settings/webhooks/{hook.id}{path}', **more)
    call('/test', method='POST')
    delivery = call('/logs', method='GET').json()[0]['id']
    site.post('/you/follow', on='yes')
    HfApi(hub.url, token=hub.other_token).create_discussion(reading, title='A question to somebody', description='Hello @me')
    walk('every_page', pages={
        'notifications': '/notifications?show=all', 'notification-settings': '/settings/notifications', 'account': '/settings/account',
        'following': '/me?tab=following',
        'webhooks': '/settings/webhooks', 'new-webhook': '/settings/webhooks/new', 'webhook': f'/settings/webhooks/{hook.id}',
        'delivery': f'/settings/webhooks/{hook.id}/logs/{delivery}',
        'organisations': '/settings/organizations', 'new-organisation': '/organizations/new', 'organisation': '/page-people',
        'members': '/organizations/page-people/settings/members', 'organisation-profile': '/organizations/page-people/settings/profile',
        'storage': f'/{reading}/settings/storage', 'duplicate': f'/{reading}/duplicate',
        'organisation-tokens': '/organizations/page-people/settings/tokens', 'new-token': '/settings/tokens/new?ownUserPermissions=repo.write',
        'discussions': f'/{reading}/discussions', 'discussion': f'/{reading}/discussions/{talk}',
        'pull': f'/{reading}/discussions/{pull}', 'pull-files': f'/{reading}/discussions/{pull}/files',
        'new-discussion': f'/{reading}/discussions/new',
        'home': '/', 'models': '/models', 'datasets': '/datasets', 'spaces': '/spaces',
        'filtered': '/models?license=license:mit&sort=likes&search=read', 'model': f'/{reading}',
        'dataset': '/datasets/me/pages', 'rows': '/datasets/me/pages/viewer', 'space': '/spaces/me/pages', 'files': f'/{reading}/tree/main',
        'file': f'/{reading}/blob/main/src/run.py', 'readme': f'/{reading}/blob/main/README.md',
        'weights': f'/{reading}/blob/main/model.safetensors', 'image': f'/{reading}/blob/main/dot.png',
        'history': f'/{reading}/commits/main', 'commit': f'/{reading}/commit/main', 'profile': '/me',
        'settings': f'/{reading}/settings', 'tokens': '/settings/tokens', 'me': '/settings/profile',
        'pictures': '/datasets/me/page-pictures/viewer', 'card-form': f'/{reading}/card/main',
        'edit': f'/{reading}/edit/main/README.md', 'new-file': f'/{reading}/new/main/src',
        'delete-file': f'/{reading}/delete/main/src/run.py', 'upload': f'/{reading}/upload/main/src',
        'search': '/search?q=reading', 'leaderboard': '/leaderboard?days=7', 'admin': '/admin',
        'new-model': '/new', 'new-dataset': '/new-dataset', 'new-space': '/new-space'})


def test_a_person_signs_up_logs_in_and_makes_a_token(walk):
    walk('account', new_user='walker')


def test_people_share_an_organisation_and_make_a_token_for_one_repository(walk, hub):
    walk('organisation', other={'user': 'you', 'password': hub.passwords['you']})


def test_a_repository_is_made_liked_renamed_hidden_and_deleted(walk):
    walk('repository')


def test_a_card_files_history_and_differences_are_read(walk):
    walk('reading')


def test_files_are_written_edited_uploaded_and_deleted_in_the_browser(walk, hub, api):
    mine = 'me/written-here'
    api.create_repo(mine)
    walk('editing', mine=mine, other='you', other_password=hub.passwords['you'])
    files = api.list_repo_files(mine)
    assert {'notes/first.txt', 'large.bin'} <= set(files) and 'small.txt' not in files
    assert [c.title for c in api.list_repo_commits(mine)][:4] == \
        ['Delete small.txt', 'Upload 2 files', 'Count on', 'Create notes/first.txt']
    [pull] = list(api.get_repo_discussions(mine))
    assert pull.is_pull_request and pull.author == 'you' and pull.status == 'open'
    assert 'notes/second.txt' in api.list_repo_files(mine, revision='refs/pr/1')


def test_a_change_is_proposed_talked_about_and_merged(walk, api, reading):
    from huggingface_hub import CommitOperationAdd as Add
    pull = api.create_commit(reading, [Add('src/more.py', b'print("more")\n')], create_pr=True,
                             commit_message='More thoughts').pr_num
    walk('community', pull=pull)
    assert api.get_discussion_details(reading, pull).status == 'merged'
    assert api.file_exists(reading, 'src/more.py')


def test_the_panel_streams_stops_and_works_without_scripts(walk):
    walk('try_it')


def test_the_search_box_answers_while_one_types(walk):
    walk('finding', word='Elsewhere')


def test_the_keyboard_is_enough(walk):
    walk('keyboard')


def test_forms_without_their_token_are_refused(hub):
    answer = requests.post(f'{hub.url}/login', data={'name': 'me', 'password': hub.passwords['me']},
                           headers={'Accept': 'text/html'})
    assert answer.status_code == 403 and 'expired' in answer.text
    assert 'hug_session' not in answer.cookies
