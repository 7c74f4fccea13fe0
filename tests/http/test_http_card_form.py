"""A card's metadata by form: what is kept to the byte, what is refused and beside which field, commits and pull requests."""
import re

import pytest, requests
from conftest import Site
from huggingface_hub import CommitOperationAdd as Add

CARD = '''---
# who may
license: mit  # for now
tags:
- old # stays
widget:
- text: |
    Once
base_model: me/x
---
# Title

text
'''


@pytest.fixture(scope='module')
def site(hub, api):
    api.create_repo('me/card-by-form')
    return Site(hub, 'me'), f'{hub.url}/me/card-by-form'


def readme(url):
    return requests.get(f'{url}/raw/main/README.md').text


def form(site, url):
    """The form's fields as a browser would send them back."""
    page = site.s.get(f'{url}/card/main').text
    fields = re.findall(r'<input name="([\w-]+)" value="([^"]*)" aria-label', page)
    return page, {'oid': re.search(r'name="oid" value="([^"]*)"', page)[1]}, [f for f in fields if f[1]]


def post(site, url, fields, how, **more):
    lists = {}
    for key, value in fields:
        lists.setdefault(key, []).append(value)
    return site.post(f'{url}/card/main', how=how, **lists, **more)


def test_the_form_changes_its_keys_and_nothing_else(site, api):
    site, url = site
    api.create_commit('me/card-by-form', [Add('README.md', CARD.encode())], commit_message='card')
    page, hidden, fields = form(site, url)
    assert sorted(fields) == [('base_model', 'me/x'), ('license', 'mit'), ('tags', 'old')]
    assert '<option value="apache-2.0">' in page and '<option value="text-generation">' in page
    fields = [('license', 'apache-2.0'), ('tags', 'old'), ('tags', ' new '), ('tags', ''), ('pipeline_tag', 'text-generation'), ('language', 'de'), ('base_model', 'me/x')]
    preview = post(site, url, fields, 'preview', **hidden)
    assert preview.status_code == 200 and 'apache-2.0' in preview.text and readme(url) == CARD
    done = post(site, url, fields, 'commit', summary='Say more', **hidden)
    assert done.status_code == 303 and done.headers['Location'] == '/me/card-by-form'
    assert readme(url) == CARD.replace('mit', 'apache-2.0').replace('- old # stays\n', '- old # stays\n- new\n').replace(
        'base_model: me/x\n', 'base_model: me/x\npipeline_tag: text-generation\nlanguage:\n- de\n')
    assert api.list_repo_commits('me/card-by-form')[0].title == 'Say more'
    assert api.model_info('me/card-by-form').pipeline_tag == 'text-generation'


def test_errors_stand_beside_their_fields_and_nothing_is_lost(site, api):
    site, url = site
    api.create_commit('me/card-by-form', [Add('README.md', b'# No front matter\n')], commit_message='card')
    _, hidden, _ = form(site, url)
    bad = post(site, url, [('license', 'my own'), ('language', 'english'), ('datasets', 'a b c'), ('tags', '<x>')], 'commit', **hidden)
    assert bad.status_code == 400
    for key in ('license', 'language', 'datasets'):
        assert re.search(rf'id="errors-{key}"><p class="field-bad">&(quot|#34);{key}', bad.text), key
    assert 'value="my own"' in bad.text and 'value="&lt;x&gt;"' in bad.text and 'id="errors-tags"' not in bad.text
    assert readme(url) == '# No front matter\n'
    assert 'Nothing was changed' in post(site, url, [], 'commit', **hidden).text
    more = post(site, url, [('tags', 'one')], 'more', **hidden).text
    assert more.count('name="tags"') == 7 and readme(url) == '# No front matter\n'
    raced = post(site, url, [('license', 'mit')], 'commit', oid='0' * 40)
    assert raced.status_code == 412 and 'changed meanwhile' in raced.text and 'value="mit"' in raced.text
    assert post(site, url, [('license', 'mit')], 'commit', **hidden).status_code == 303
    assert readme(url) == '---\nlicense: mit\n---\n\n# No front matter\n'


def test_what_a_field_cannot_say_stays(site, api):
    site, url = site
    api.create_commit('me/card-by-form', [Add('README.md', b'---\nlicense: [mit, gpl-3.0]\n---\n')], commit_message='two licenses')
    page, hidden, fields = form(site, url)
    assert 'What the card has here can be changed in its text only' in page and fields == []
    assert post(site, url, [('license', 'wtfpl'), ('tags', 'x')], 'commit', **hidden).status_code == 303
    assert readme(url) == '---\nlicense: [mit, gpl-3.0]\ntags:\n- x\n---\n'
    api.create_commit('me/card-by-form', [Add('README.md', b'---\nlicense: mit\n---\n')], commit_message='one')


def test_a_stranger_proposes(hub, site, api):
    me, url = site
    other = Site(hub, 'you')
    hidden = form(other, url)[1]
    assert post(other, url, [('license', 'gpl-3.0')], 'commit', **hidden).status_code == 403
    done = post(other, url, [('license', 'gpl-3.0')], 'pull', **hidden)
    assert done.status_code == 303 and re.fullmatch(r'/me/card-by-form/discussions/\d+', done.headers['Location'])
    assert 'license: mit' in readme(url)
    assert 'license: gpl-3.0' in requests.get(f'{url}/raw/refs%2Fpr%2F{done.headers["Location"].split("/")[-1]}/README.md').text
    assert requests.get(f'{url}/card/main', allow_redirects=False).status_code == 303  # to log in
    api.create_repo('me/card-by-form-hidden', private=True)
    assert other.s.get(f'{hub.url}/me/card-by-form-hidden/card/main').status_code == 404


def test_datasets_and_spaces_have_their_own_fields(hub, api):
    site = Site(hub, 'me')
    api.create_repo('me/card-by-form', repo_type='dataset')
    url = f'{hub.url}/datasets/me/card-by-form'
    page, hidden, _ = form(site, url)
    assert hidden['oid'] == '' and 'value="1K&lt;n&lt;10K"' in page
    assert post(site, url, [('size_categories', '1K<n<10K'), ('task_categories', 'summarization')], 'commit', **hidden).status_code == 303
    assert 'size_categories:1K<n<10K' in api.dataset_info('me/card-by-form').tags
    api.create_repo('me/card-by-form', repo_type='space', space_sdk='static')
    page, hidden, fields = form(site, f'{hub.url}/spaces/me/card-by-form')
    assert ('sdk', 'static') in fields
    long = post(site, f'{hub.url}/spaces/me/card-by-form', fields + [('short_description', 'x' * 61)], 'commit', **hidden)
    assert long.status_code == 400 and 'at most 60 characters' in long.text
