"""What list_models, list_datasets, list_spaces and their *_info ask: every filter, sort and expand."""
import base64, json, struct, typing

import numpy as np
import pytest, requests
from conftest import until
from huggingface_hub import CommitOperationAdd, EvalResultEntry, hf_api
from safetensors.numpy import save


def card(**data):
    return ('---\n' + json.dumps(data) + '\n---\n# Card\n').encode()


def push(api, repo, files, kind='model', **more):
    api.create_repo(repo, repo_type=kind, exist_ok=True, **more)
    api.create_commit(repo, repo_type=kind, commit_message='files',
                      operations=[CommitOperationAdd(path, data) for path, data in files.items()])


def gguf(parameters):
    def text(s):
        return struct.pack('<Q', len(s)) + s.encode()
    values = [('general.architecture', 8, text('llama')), ('llama.context_length', 4, struct.pack('<I', 2048)),
              ('tokenizer.chat_template', 8, text('{{ x }}'))]
    head = b'GGUF' + struct.pack('<IQQ', 3, 1, len(values))
    for key, kind, value in values:
        head += text(key) + struct.pack('<I', kind) + value
    head += text('token_embd.weight') + struct.pack('<IQIQ', 1, parameters, 0, 0)
    return head + b'\0' * (-len(head) % 32) + b'\0' * (4 * parameters)


@pytest.fixture(scope='module')
def world(hub):
    """A base model with children of each kind, a dataset, a Space that uses both."""
    api = hf_api.HfApi(endpoint=hub.url, token=hub.token)
    weights = {'model.safetensors': save({'a.weight': np.zeros((100, 20), 'float32'), 'b': np.zeros(7, 'float16')})}
    config = json.dumps({'architectures': ['LlamaForCausalLM'], 'model_type': 'llama'}).encode()
    push(api, 'me/d-base', {'README.md': card(license='mit', language=['en', 'fr'], datasets=['me/d-data'], library_name='transformers', widget=[{'text': 'Hi'}]),
                            'config.json': config, **weights,
                            '.eval_results/d.yaml': json.dumps([{'dataset': {'id': 'me/d-data', 'task_id': 'all'}, 'value': 0.5,
                                                                 'source': {'url': 'https://x.example', 'name': 'logs'}}]).encode()})
    push(api, 'me/d-tune', {'README.md': card(base_model='me/d-base', pipeline_tag='text-generation'), 'config.json': config, **weights})
    push(api, 'me/d-gguf', {'README.md': card(base_model=['me/d-base']), 'x.gguf': gguf(1234)})
    push(api, 'me/d-lora', {'README.md': card(base_model='me/d-base'), 'adapter_config.json': b'{}'})
    push(api, 'me/d-merge', {'README.md': card(base_model=['me/d-base', 'me/d-tune'])})
    push(api, 'me/d-data', {'README.md': card(license='mit', language=['en'], task_categories=['question-answering'], size_categories=['n<1K'])
                            + b'\nAbout birds.\n\n```\n@misc{x, title={Birds}}\n```\n', 'train.csv': b'a,b\n1,2\n'}, 'dataset')
    push(api, 'me/d-show', {'README.md': card(title='Show', sdk='static', models=['me/d-base'], datasets=['me/d-data'])}, 'space', space_sdk='static')
    push(api, 'me/d-hidden', {'README.md': card(base_model='me/d-base')}, private=True)
    return api


def names(listed):
    return [x.id.removeprefix('me/d-') for x in listed if x.id.startswith('me/d-')]


def test_every_expand_of_a_model(world):
    every = list(typing.get_args(hf_api.ExpandModelProperty_T))
    m = world.model_info('me/d-base', expand=every)
    assert m.author == 'me' and m.card_data.license == 'mit' and m.config['model_type'] == 'llama'
    assert m.base_models is None and world.model_info('me/d-gguf', expand=['baseModels']).base_models == {
        'relation': 'quantized', 'models': [{'_id': m._id, 'id': 'me/d-base'}]}
    assert m.children_model_count == {'adapter': 1, 'finetune': 2, 'merge': 1, 'quantized': 1}    # its owner sees the hidden one
    nobody = hf_api.HfApi(endpoint=world.endpoint, token=False)
    assert nobody.model_info('me/d-base', expand=['childrenModelCount']).children_model_count['finetune'] == 1
    assert m.safetensors.parameters == {'F32': 2000, 'F16': 7} and m.safetensors.total == 2007
    assert m.spaces == ['me/d-show'] and m.widget_data == [{'text': 'Hi'}] and m.pipeline_tag == 'text-generation'
    assert m.transformers_info.auto_model == 'AutoModelForCausalLM' and m.library_name == 'transformers'
    assert m.inference == 'warm' and m.used_storage > 8000 and m.downloads_all_time >= 0 and m.trending_score >= 0
    assert m.eval_results == [EvalResultEntry(dataset_id='me/d-data', task_id='all', value=0.5, source_url='https://x.example', source_name='logs')]
    assert m.gated is False and m.private is False and m.disabled is False and m.sha and m.created_at and m.last_modified
    assert {s.rfilename for s in m.siblings} >= {'config.json', 'model.safetensors'} and 'dataset:me/d-data' in m.tags
    assert m.resource_group is None and m.likes == 0 and m.model_index is None and m.mask_token is None
    g = world.model_info('me/d-gguf', expand=['gguf']).gguf
    assert g == {'total': 1234, 'architecture': 'llama', 'context_length': 2048, 'chat_template': '{{ x }}'}
    listed = {x.id: x for x in world.list_models(author='me', search='d-', expand=every)}
    one = listed['me/d-base']
    for field in set(vars(m)) - {'last_modified', 'lastModified'}:
        assert getattr(one, field) == getattr(m, field), field


def test_every_expand_of_a_dataset_and_a_space(world):
    every = list(typing.get_args(hf_api.ExpandDatasetProperty_T))
    d = world.dataset_info('me/d-data', expand=every)
    assert d.description.startswith('Card About birds.') and d.citation == '@misc{x, title={Birds}}'
    assert d.main_size == d.used_storage > 0 and 'task_categories:question-answering' in d.tags
    one = next(x for x in world.list_datasets(author='me', expand=every) if x.id == 'me/d-data')
    for field in set(vars(d)) - {'last_modified', 'lastModified'}:
        assert getattr(one, field) == getattr(d, field), field
    every = list(typing.get_args(hf_api.ExpandSpaceProperty_T))
    s = world.space_info('me/d-show', expand=every)
    assert (s.sdk, s.models, s.datasets, s.subdomain, s.region) == ('static', ['me/d-base'], ['me/d-data'], 'me-d-show', 'us')
    assert 'me/d-show' in [x.id for x in world.list_spaces(author='me', expand=every)]


def test_filters_of_models(world):
    def models(**query):
        return sorted(names(world.list_models(author='me', **query)))
    assert models(filter='base_model:quantized:me/d-base') == ['gguf']
    assert models(filter='base_model:me/d-base') == ['gguf', 'hidden', 'lora', 'merge', 'tune']
    assert models(filter=('en', 'license:mit')) == ['base'] and models(trained_dataset='me/d-data') == ['base']
    assert models(apps='ollama') == models(apps=['llama.cpp', 'jan']) == ['gguf'] and models(apps='vllm') == ['base', 'tune']
    assert models(num_parameters='min:1K,max:2K') == ['gguf'] and models(num_parameters='min:0.002M') == ['base', 'tune']
    assert models(num_parameters='max:1500') == ['gguf']
    assert models(inference='warm') == ['base', 'gguf', 'tune'] == models(inference_provider='all')
    assert models(inference_provider='together') == [] == models(gated=True, search='d-')
    assert models(pipeline_tag='text-generation', filter='safetensors') == ['base', 'tune'] and models(search='D-TU') == ['tune']
    for bad in ({'num_parameters': 'big'}, {'apps': 'nope'}):
        with pytest.raises(hf_api.HfHubHTTPError, match='Bad request'):
            models(**bad)
    assert names(world.list_datasets(author='me', language='en', size_categories='n<1K', task_categories='question-answering')) == ['data']
    assert names(world.list_spaces(models='me/d-base', datasets=['me/d-data'])) == ['show'] and names(world.list_spaces(models='me/d-tune')) == []
    assert names(world.list_spaces(linked=True, search='d-show')) == ['show']


@pytest.mark.parametrize('sort', typing.get_args(hf_api.ModelSort_T))
def test_sorts_and_pages_hold_while_others_come(world, sort):
    key = {'created_at': lambda m: m.created_at, 'last_modified': lambda m: m.last_modified}.get(sort, lambda m: getattr(m, sort))
    listed = list(world.list_models(author='me', search='d-', sort=sort, full=True))
    assert [key(m) for m in listed] == sorted((key(m) for m in listed), reverse=True)
    url, seen = f'{world.endpoint}/api/models?author=me&search=d-&limit=2&sort={ {"created_at": "createdAt", "last_modified": "lastModified", "trending_score": "trendingScore"}.get(sort, sort) }', []
    while url:
        page = requests.get(url)
        seen += [m['id'] for m in page.json()]
        url = page.links.get('next', {}).get('url')
        push(world, f'me/d-new-{sort.replace("_", "-")}-{len(seen)}', {'a': b'1'})
    assert len(seen) == len(set(seen)) and set(seen) >= {'me/d-base', 'me/d-tune', 'me/d-gguf', 'me/d-lora', 'me/d-merge'}


def test_leaderboard_tags_and_search(world, hub):
    [row] = world.get_dataset_leaderboard('me/d-data')
    assert (row.rank, row.model_id, row.value, row.filename, row.author.username) == (1, 'me/d-base', 0.5, '.eval_results/d.yaml', 'me')
    with pytest.raises(hf_api.HfHubHTTPError):
        push(world, 'me/d-other', {'a': b'1'}, 'dataset')
        world.get_dataset_leaderboard('me/d-other')
    tags, of_data = world.get_model_tags(), world.get_dataset_tags()
    assert {'pipeline_tag', 'library', 'dataset', 'language', 'license', 'region', 'other'} <= set(tags)
    assert {'id': 'en', 'label': 'en', 'type': 'language'} in tags['language'] and 'text-generation' in [t['id'] for t in tags['pipeline_tag']]
    assert 'task_categories:question-answering' in [t['id'] for t in of_data['task_categories']]
    assert [s.id for s in world.search_spaces('show')] == ['me/d-show']

    def ask(path, token=None):
        return requests.get(hub.url + path, headers={'Authorization': f'Bearer {token}'} if token else {}).json()
    quick = ask('/api/quicksearch?q=d-base')
    assert [m['id'] for m in quick['models']][0] == 'me/d-base' and {'datasets', 'spaces', 'orgs', 'users'} <= set(quick)
    assert ask('/api/quicksearch?q=me&type=user')['users'][0]['user'] == 'me' and 'models' not in ask('/api/quicksearch?q=me&type=user')
    assert ask('/api/quicksearch?q=d-hidden')['models'] == [] and ask('/api/quicksearch?q=d-hidden', hub.token)['modelsCount'] == 1
    assert ask('/api/quicksearch?q=d-hidden', hub.other_token)['modelsCount'] == 0
    hits = ask('/api/search/full-text?q=birds&type=dataset')['hits']
    assert [h['id'] for h in hits] == ['me/d-data']
    assert {'text': 'birds', 'type': 'highlight'} in hits[0]['formatted']['fileContent']
    # Other tests' datasets are newer; a like lifts this one over those that nobody likes.
    assert requests.post(f'{hub.url}/api/datasets/me/d-data/like', headers={'Authorization': f'Bearer {hub.token}'}).ok
    trending = ask('/api/trending?type=dataset&limit=20')['recentlyTrending']
    assert {x['repoType'] for x in trending} == {'dataset'} and 'me/d-data' in [x['repoData']['id'] for x in trending]


def test_the_index_is_made_anew_while_the_hub_serves(world, hub):
    hub.admin('search', 'rebuild')
    found = lambda: [h['id'] for h in requests.get(f'{hub.url}/api/search/full-text?q=birds&type=dataset').json()['hits']]
    until(lambda: found() == ['me/d-data'], found, 30)


def test_downloads_count_once_a_client(world, hub, tmp_path):
    for i in range(3):
        world.snapshot_download('me/d-tune', local_dir=tmp_path / str(i))
    hf_api.HfApi(endpoint=hub.url, token=hub.other_token).snapshot_download('me/d-tune', local_dir=tmp_path / 'other')
    for agent in ('one', 'two', 'one'):
        requests.get(f'{hub.url}/me/d-tune/resolve/main/config.json', headers={'User-Agent': agent})
        requests.get(f'{hub.url}/me/d-tune/resolve/main/README.md', headers={'User-Agent': 'reader'})
    counted = lambda: world.model_info('me/d-tune', expand=['downloads']).downloads
    until(lambda: counted() >= 4, counted)
    m = world.model_info('me/d-tune', expand=['downloads', 'downloadsAllTime', 'trendingScore'])
    assert (m.downloads, m.downloads_all_time, m.trending_score) == (4, 4, 4)
    assert names(world.list_models(author='me', sort='downloads', limit=1)) == ['tune']


def test_a_commit_with_a_broken_card_is_refused(world, hub):
    def commit(text):
        lines = [{'key': 'header', 'value': {'summary': 's'}},
                 {'key': 'file', 'value': {'path': 'README.md', 'encoding': 'base64', 'content': base64.b64encode(text.encode()).decode()}}]
        return requests.post(f'{hub.url}/api/models/me/d-lora/commit/main', data='\n'.join(map(json.dumps, lines)),
                             headers={'Authorization': f'Bearer {hub.token}', 'Content-Type': 'application/x-ndjson'})
    before = world.model_info('me/d-lora').sha
    for text, complaint in (('license: nope', '"license" must be one of'), ('language: english', 'ISO 639'),
                            ('model-index: [{name: x, results: [{task: {}}]}]', '"model-index[0].results[0].task.type" is required'),
                            ('base_model: "a b"', 'id of a model')):
        answer = commit(f'---\n{text}\n---\n')
        assert answer.status_code == 422 and 'Invalid metadata in README.md.' in answer.json()['error'] and complaint in answer.json()['error'], answer.text
        told = requests.post(f'{hub.url}/api/validate-yaml', json={'content': f'---\n{text}\n---\n', 'repoType': 'model'})
        assert told.status_code == 400 and complaint in told.json()['errors'][0]['message']
    assert world.model_info('me/d-lora').sha == before
    warned = requests.post(f'{hub.url}/api/validate-yaml', json={'content': '---\npipeline_tag: juggling\nlicense: other\n---\n', 'repoType': 'model'})
    assert warned.status_code == 200 and len(warned.json()['warnings']) == 2
