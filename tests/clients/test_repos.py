"""Repositories of all three kinds: made, listed, described, renamed, deleted; private ones stay so."""
import pytest
import requests
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

KINDS = ('model', 'dataset', 'space')
PREFIX = {'model': '', 'dataset': 'datasets/', 'space': 'spaces/'}


def create(api, name, kind='model', **more):
    return api.create_repo(name, repo_type=kind, space_sdk='static' if kind == 'space' else None, **more)


@pytest.mark.parametrize('kind', KINDS)
def test_a_new_repository_has_a_first_commit(hub, api, kind):
    url = create(api, 'me/first', kind)
    assert str(url) == f'{hub.url}/{PREFIX[kind]}me/first'
    info = api.repo_info('me/first', repo_type=kind)
    assert info.id == 'me/first' and info.author == 'me' and info.private is False
    assert len(info.sha) == 40
    files = api.list_repo_files('me/first', repo_type=kind)
    assert '.gitattributes' in files and ('README.md' in files) == (kind == 'space')
    commits = api.list_repo_commits('me/first', repo_type=kind)
    assert [c.title for c in commits] == ['initial commit'] and commits[0].commit_id == info.sha
    refs = api.list_repo_refs('me/first', repo_type=kind)
    assert [(b.name, b.ref, b.target_commit) for b in refs.branches] == [('main', 'refs/heads/main', info.sha)]
    assert [r.id for r in getattr(api, f'list_{kind}s')(author='me', search='first')] == ['me/first']
    api.delete_repo('me/first', repo_type=kind)
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info('me/first', repo_type=kind)


def test_a_name_without_owner_is_mine(api):
    assert create(api, 'bare-name').repo_id == 'me/bare-name'


def test_making_it_twice(api):
    create(api, 'me/twice')
    create(api, 'me/twice', exist_ok=True)
    with pytest.raises(HfHubHTTPError) as error:
        create(api, 'me/twice')
    assert error.value.response.status_code == 409
    # Names differ by more than the case of their letters.
    with pytest.raises(HfHubHTTPError):
        create(api, 'me/Twice')


def test_hf_repos_commands(hub, hf, api):
    assert 'me/by-hf' in hf('repos', 'create', 'me/by-hf')
    assert 'me/by-hf' in hf('repos', 'ls')
    hf('repos', 'create', 'me/by-hf', '--repo-type', 'dataset', '--private')
    assert api.dataset_info('me/by-hf').private
    hf('repos', 'create', 'me/by-hf', '--exist-ok')
    hf('repos', 'move', 'me/by-hf', 'me/moved-by-hf')
    assert api.model_info('me/moved-by-hf').id == 'me/moved-by-hf'
    hf('repos', 'delete', 'me/moved-by-hf', '--yes')
    assert not api.repo_exists('me/moved-by-hf')


def test_a_renamed_repository_redirects(api):
    create(api, 'me/old-name')
    api.upload_file(path_or_fileobj=b'hello', path_in_repo='a.txt', repo_id='me/old-name')
    api.move_repo('me/old-name', 'me/new-name')
    assert api.model_info('me/old-name').id == 'me/new-name'
    with open(api.hf_hub_download('me/old-name', 'a.txt')) as file:
        assert file.read() == 'hello'
    create(api, 'me/in-the-way')
    with pytest.raises(HfHubHTTPError, match='already exists'):
        api.move_repo('me/new-name', 'me/in-the-way')


@pytest.mark.parametrize('kind', KINDS)
def test_private_repositories_do_not_exist_for_others(hub, api, kind):
    create(api, 'me/secret', kind, private=True)
    api.upload_file(path_or_fileobj=b'secret', path_in_repo='a.txt', repo_id='me/secret', repo_type=kind)
    other, anyone = HfApi(hub.url, token=hub.other_token), HfApi(hub.url, token=False)
    assert api.repo_info('me/secret', repo_type=kind).private
    assert HfApi(hub.url, token=hub.read_token).repo_exists('me/secret', repo_type=kind)
    for stranger in (other, anyone):
        with pytest.raises(RepositoryNotFoundError):
            stranger.repo_info('me/secret', repo_type=kind)
        with pytest.raises(RepositoryNotFoundError):
            stranger.list_repo_files('me/secret', repo_type=kind)
        listed = getattr(stranger, f'list_{kind}s')(author='me')
        assert 'me/secret' not in [r.id for r in listed]
    for path in (f'/{PREFIX[kind]}me/secret', f'/{PREFIX[kind]}me/secret/resolve/main/a.txt',
                 f'/{PREFIX[kind]}me/secret/info/refs?service=git-upload-pack'):
        answer = requests.get(hub.url + path)
        assert answer.status_code in (401, 404) and b'secret' not in answer.content.replace(b'me/secret', b'')
        there = requests.get(hub.url + path, headers={'Authorization': f'Bearer {hub.other_token}'})
        assert there.status_code in (401, 404)
    api.update_repo_settings('me/secret', repo_type=kind, private=False)
    assert anyone.repo_info('me/secret', repo_type=kind).private is False


def test_only_the_owner_may_change_it(hub, api):
    create(api, 'me/mine')
    other, reader = HfApi(hub.url, token=hub.other_token), HfApi(hub.url, token=hub.read_token)
    for stranger, status in ((other, 403), (reader, 403), (HfApi(hub.url, token=False), 401)):
        with pytest.raises(HfHubHTTPError) as error:
            stranger.upload_file(path_or_fileobj=b'x', path_in_repo='x', repo_id='me/mine')
        assert error.value.response.status_code == status
        with pytest.raises(HfHubHTTPError):
            stranger.delete_repo('me/mine')
    with pytest.raises(HfHubHTTPError):
        other.create_repo('me/not-yours')
    assert api.list_repo_files('me/mine') == ['.gitattributes']


def test_names_are_checked(hub, auth):
    for name in ('a..b', '-a', 'a.git', 'a/b/c', 'a' * 97, 'ä', '', 'a b', '.', '..', 'a--b'):
        answer = requests.post(f'{hub.url}/api/repos/create', json={'name': name}, headers=auth)
        assert answer.status_code == 400 and answer.json()['error'], name


def test_lists_filter_sort_and_page(hub, api):
    for i in range(5):
        create(api, f'me/paged-{i}')
        tag = 'even' if i % 2 == 0 else 'odd'
        ModelCard(f'---\nlicense: mit\ntags:\n- {tag}\npipeline_tag: text-generation\n---\n# {i}\n').push_to_hub(
            f'me/paged-{i}', token=hub.token)
    found = [m.id for m in api.list_models(search='paged', filter='even')]
    assert sorted(found) == ['me/paged-0', 'me/paged-2', 'me/paged-4']
    newest = [m.id for m in api.list_models(search='paged', sort='created_at')]
    assert newest == [f'me/paged-{i}' for i in (4, 3, 2, 1, 0)]
    assert len(list(api.list_models(search='paged', limit=2))) == 2
    assert len(list(api.list_models(search='paged', filter='license:mit'))) == 5
    assert len(list(api.list_models(search='paged', pipeline_tag='text-generation'))) == 5
    # Pages: an absolute Link until there is none.
    seen, url = [], f'{hub.url}/api/models?search=paged&limit=2'
    while url:
        answer = requests.get(url)
        seen += [m['id'] for m in answer.json()]
        url = answer.links.get('next', {}).get('url')
        assert url is None or url.startswith(hub.url)
    assert sorted(seen) == [f'me/paged-{i}' for i in range(5)]


def test_model_info_reads_the_card(hub, api):
    create(api, 'me/carded')
    ModelCard('---\nlicense: apache-2.0\nlanguage: en\nlibrary_name: transformers\ndatasets: [squad]\n'
              'pipeline_tag: text-generation\n---\n# Hello\n').push_to_hub('me/carded', token=hub.token)
    info = api.model_info('me/carded')
    assert info.card_data.license == 'apache-2.0' and info.pipeline_tag == 'text-generation'
    assert {'license:apache-2.0', 'en', 'transformers', 'dataset:squad'} <= set(info.tags)
    assert api.model_info('me/carded', expand=['likes']).likes == 0
    with pytest.raises(RevisionNotFoundError):
        api.model_info('me/carded', revision='nope')


def test_branches_and_tags(api):
    create(api, 'me/refs')
    head = api.model_info('me/refs').sha
    api.create_branch('me/refs', branch='dev/new')
    api.upload_file(path_or_fileobj=b'1', path_in_repo='dev.txt', repo_id='me/refs', revision='dev/new')
    api.create_tag('me/refs', tag='v1', revision='dev/new', tag_message='the first')
    refs = api.list_repo_refs('me/refs')
    assert sorted(b.name for b in refs.branches) == ['dev/new', 'main']
    assert [t.name for t in refs.tags] == ['v1']
    assert refs.tags[0].target_commit == api.model_info('me/refs', revision='dev/new').sha != head
    assert 'dev.txt' in api.list_repo_files('me/refs', revision='v1')
    assert 'dev.txt' not in api.list_repo_files('me/refs')
    with pytest.raises(HfHubHTTPError) as error:
        api.create_branch('me/refs', branch='dev/new')
    assert error.value.response.status_code == 409
    api.delete_branch('me/refs', branch='dev/new')
    api.delete_tag('me/refs', tag='v1')
    with pytest.raises(RevisionNotFoundError):
        api.delete_tag('me/refs', tag='v1')
    assert [b.name for b in api.list_repo_refs('me/refs').branches] == ['main']


def test_errors_say_which_thing_is_missing(hub, auth):
    missing = requests.get(f'{hub.url}/api/models/me/nothing-here', headers=auth)
    assert missing.status_code == 404 and missing.headers['X-Error-Code'] == 'RepoNotFound'
    assert missing.json()['error']
