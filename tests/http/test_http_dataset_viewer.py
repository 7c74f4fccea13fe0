"""Splits and rows of datasets by the viewer's calls, for those who may read them."""
from pathlib import Path

import pytest
import requests

GOLDEN = Path(__file__).resolve().parent.parent / 'golden/tables'


@pytest.fixture(scope='module')
def viewed(api):
    """me/viewed: two configs, one of CSV in two files, one of Parquet (which LFS keeps)."""
    repo = 'me/viewed'
    api.create_repo(repo, repo_type='dataset')
    card = ('---\nconfigs:\n- config_name: csv\n  default: true\n  data_files: "part-*.csv"\n'
            '- config_name: other\n  data_files:\n  - {split: test, path: "part-1.csv"}\n---\n')
    from huggingface_hub import CommitOperationAdd as Add
    api.create_commit(repo, [Add('README.md', card.encode()), Add('part-1.csv', b'id,name\n1,one\n2,"two, too"\n'),
                             Add('part-2.csv', b'id,name\n3,three\n')], commit_message='rows', repo_type='dataset')
    return repo


def ask(hub, call, token=None, **query):
    auth = {'Authorization': f'Bearer {token}'} if token else {}
    return requests.get(f'{hub.url}/api/datasets-server/{call}', params=query, headers=auth)


def test_splits_follow_the_card(hub, api, viewed):
    got = ask(hub, 'splits', dataset=viewed)
    assert [(s['config'], s['split']) for s in got.json()['splits']] == [('csv', 'train'), ('other', 'test')]
    assert got.headers['X-Revision'] == api.dataset_info(viewed).sha
    assert ask(hub, 'splits').status_code == 422


def test_rows_go_on_from_file_to_file(hub, viewed):
    got = ask(hub, 'rows', dataset=viewed, config='csv', split='train', offset=1, length=2).json()
    assert [(r['row_idx'], r['row']) for r in got['rows']] == [(1, {'id': 2, 'name': 'two, too'}), (2, {'id': 3, 'name': 'three'})]
    assert got['num_rows_total'] == 3 and got['partial'] is False
    assert got['features'][0] == {'feature_idx': 0, 'name': 'id', 'type': {'dtype': 'int64', '_type': 'Value'}}
    assert ask(hub, 'rows', dataset=viewed, split='train', offset=9).json()['rows'] == []
    assert ask(hub, 'rows', dataset=viewed, config='csv', split='nope').status_code == 404
    assert ask(hub, 'rows', dataset=viewed, split='train', length=101).status_code == 422


def test_parquet_in_lfs_is_read_and_a_broken_file_is_named(hub, api):
    repo = 'me/viewed-parquet'
    api.create_repo(repo, repo_type='dataset')
    api.upload_file(path_or_fileobj=GOLDEN / 'series-paged.parquet', path_in_repo='data.parquet', repo_id=repo, repo_type='dataset')
    got = ask(hub, 'rows', dataset=repo, split='train', offset=200, length=3).json()
    assert [r['row']['id'] for r in got['rows']] == [200, 201, 202] and got['num_rows_total'] == 400
    api.upload_file(path_or_fileobj=b'PAR1 no more', path_in_repo='data.parquet', repo_id=repo, repo_type='dataset')
    bad = ask(hub, 'rows', dataset=repo, split='train')
    assert bad.status_code == 422 and 'data.parquet: offset 8' in bad.json()['error']


def test_private_and_gated_rows_are_for_those_let_in(hub, api, viewed):
    repo = 'me/viewed-closed'
    api.create_repo(repo, repo_type='dataset', private=True)
    api.upload_file(path_or_fileobj=b'a\n1\n', path_in_repo='a.csv', repo_id=repo, repo_type='dataset')
    for call in ('splits', 'rows'):
        for token, status in ((None, 401), (hub.other_token, 404), (hub.token, 200)):
            assert ask(hub, call, token, dataset=repo, split='train').status_code == status, (call, token)
    api.update_repo_settings(repo, repo_type='dataset', private=False, gated='manual')
    assert ask(hub, 'splits', dataset=repo).status_code == 200  # names, as the card shows them
    for token, status in ((None, 401), (hub.other_token, 403), (hub.token, 200)):
        assert ask(hub, 'rows', token, dataset=repo, split='train').status_code == status


# ---- What sums a dataset up ----

def test_what_can_be_asked_of_it(hub, api, viewed):
    got = ask(hub, 'is-valid', dataset=viewed).json()
    assert got == {'preview': True, 'viewer': True, 'search': False, 'filter': False, 'statistics': True}
    for call in ('search', 'filter'):
        no = ask(hub, call, dataset=viewed, config='csv', split='train', query='one')
        assert no.status_code == 501 and 'no index' in no.json()['error']
    first = ask(hub, 'first-rows', dataset=viewed, config='other', split='test').json()
    assert (first['config'], first['split'], first['truncated']) == ('other', 'test', False)
    assert [r['row']['name'] for r in first['rows']] == ['one', 'two, too']


def test_size_and_info_count_rows_and_columns(hub, viewed):
    size = ask(hub, 'size', dataset=viewed).json()
    assert size['partial'] is False and size['size']['dataset']['num_rows'] == 5
    assert [(c['config'], c['num_rows'], c['num_columns']) for c in size['size']['configs']] == [('csv', 3, 2), ('other', 2, 2)]
    one = ask(hub, 'size', dataset=viewed, config='other').json()['size']
    assert one['config']['num_rows'] == 2 and [s['split'] for s in one['splits']] == ['test']
    info = ask(hub, 'info', dataset=viewed).json()['dataset_info']
    assert info['csv']['features'] == {'id': {'dtype': 'int64', '_type': 'Value'}, 'name': {'dtype': 'string', '_type': 'Value'}}
    assert info['csv']['splits']['train']['num_examples'] == 3 and info['other']['builder_name'] == 'csv'
    assert ask(hub, 'info', dataset=viewed, config='csv').json()['dataset_info'] == info['csv']
    assert ask(hub, 'info', dataset=viewed, config='no').status_code == 404


def test_a_split_that_cannot_be_read_fails_alone(hub, api):
    from huggingface_hub import CommitOperationAdd as Add
    api.create_repo('me/viewed-half', repo_type='dataset')
    api.create_commit('me/viewed-half', [Add('train.jsonl', b'{"a": 1}\n'), Add('test.jsonl', b'{"a": \n')], commit_message='x', repo_type='dataset')
    size = ask(hub, 'size', dataset='me/viewed-half').json()
    assert size['partial'] is True and [f['split'] for f in size['failed']] == ['test'] and 'test.jsonl' in size['failed'][0]['error']['error']
    assert size['size']['dataset']['num_rows'] == 1


@pytest.fixture(scope='module')
def parquet(api):
    from huggingface_hub import CommitOperationAdd as Add
    api.create_repo('me/viewed-shards', repo_type='dataset')
    api.create_commit('me/viewed-shards', [Add(f'data/train-0000{i}-of-00002.parquet', GOLDEN / 'series-paged.parquet') for i in range(2)],
                      commit_message='x', repo_type='dataset')
    return 'me/viewed-shards'


def test_parquet_files_are_listed_and_followed(hub, api, viewed, parquet):
    got = ask(hub, 'parquet', dataset=parquet).json()
    assert got['partial'] is False and [f['filename'] for f in got['parquet_files']] == [f'train-0000{i}-of-00002.parquet' for i in range(2)]
    assert requests.get(got['parquet_files'][1]['url']).content == (GOLDEN / 'series-paged.parquet').read_bytes()
    links = requests.get(f'{hub.url}/api/datasets/{parquet}/parquet').json()
    assert links == {'default': {'train': [f'{hub.url}/api/datasets/{parquet}/parquet/default/train/{i}.parquet' for i in range(2)]}}
    assert requests.get(links['default']['train'][0]).content[:4] == b'PAR1'
    assert requests.get(f'{hub.url}/api/datasets/{parquet}/parquet/default/train').json() == links['default']['train']
    assert requests.get(f'{hub.url}/api/datasets/{parquet}/parquet/default/train/2.parquet').status_code == 404
    assert ask(hub, 'parquet', dataset=viewed).json() == {'parquet_files': [], 'pending': [], 'failed': [], 'partial': True}
    assert requests.get(f'{hub.url}/api/datasets/{viewed}/parquet').json() == {}
    size = ask(hub, 'size', dataset=parquet).json()['size']['dataset']
    assert size['num_rows'] == 800 and size['num_bytes_parquet_files'] == 2 * (GOLDEN / 'series-paged.parquet').stat().st_size


def test_statistics_of_columns(hub, api):
    import json, statistics
    rows = [{'n': i * 3, 'x': i / 7, 'kind': 'even' if i % 2 == 0 else 'odd', 'words': 'w' * (i % 50) + str(i), 'ok': i % 3 == 0,
             'list': [0] * (1 + i % 3), 'some': None if i % 4 == 0 else i} for i in range(200)]
    api.create_repo('me/viewed-stats', repo_type='dataset')
    api.upload_file(path_or_fileobj='\n'.join(map(json.dumps, rows)).encode(), path_in_repo='train.jsonl', repo_id='me/viewed-stats', repo_type='dataset')
    got = ask(hub, 'statistics', dataset='me/viewed-stats', split='train').json()
    assert got['num_examples'] == 200 and got['partial'] is False
    by = {s['column_name']: s for s in got['statistics']}
    assert {k: s['column_type'] for k, s in by.items()} == {'n': 'int', 'x': 'float', 'kind': 'string_label', 'words': 'string_text', 'ok': 'bool', 'list': 'list', 'some': 'int'}
    n, x = by['n']['column_statistics'], by['x']['column_statistics']
    assert (n['min'], n['max'], n['mean'], n['median']) == (0, 597, 298.5, 298.5) and n['std'] == pytest.approx(statistics.stdev(r['n'] for r in rows))
    assert n['histogram']['bin_edges'] == [60 * i for i in range(10)] + [597] and sum(n['histogram']['hist']) == 200
    assert x['histogram']['bin_edges'][-1] == pytest.approx(199 / 7) and x['histogram']['hist'] == [20] * 10
    assert by['kind']['column_statistics']['frequencies'] == {'even': 100, 'odd': 100}
    assert by['ok']['column_statistics']['frequencies'] == {'True': 67, 'False': 133}
    assert by['list']['column_statistics']['histogram'] == {'hist': [67, 67, 66], 'bin_edges': [1, 2, 3, 3]}
    assert by['some']['column_statistics']['nan_count'] == 50 and by['some']['column_statistics']['nan_proportion'] == 0.25


def test_pictures_have_addresses(hub, api):
    from huggingface_hub import CommitOperationAdd as Add
    png = b'\x89PNG\r\n\x1a\n'
    api.create_repo('me/viewed-images', repo_type='dataset')
    api.create_commit('me/viewed-images', [Add(p, png) for p in ('cat/1.png', 'dog/2.png')], commit_message='x', repo_type='dataset')
    got = ask(hub, 'rows', dataset='me/viewed-images', split='train').json()
    assert [f['type'] for f in got['features']] == [{'_type': 'Image'}, {'names': ['cat', 'dog'], '_type': 'ClassLabel'}]
    assert [r['row']['label'] for r in got['rows']] == [0, 1] and got['num_rows_total'] == 2
    assert requests.get(got['rows'][0]['row']['image']['src']).content == png


def test_facts_are_for_those_let_in(hub, api):
    repo = 'me/viewed-shut'
    api.create_repo(repo, repo_type='dataset', private=True)
    api.upload_file(path_or_fileobj=b'a\n1\n', path_in_repo='a.csv', repo_id=repo, repo_type='dataset')
    calls = ['croissant', 'size', 'info', 'parquet', 'statistics', 'first-rows', 'search', 'cell']
    wants = {'croissant': 200, 'size': 200, 'info': 200, 'parquet': 200, 'statistics': 200, 'first-rows': 200, 'search': 501, 'cell': 404}
    for call in calls:
        for token, status in ((None, 401), (hub.other_token, 404), (hub.token, wants[call])):
            assert ask(hub, call, token, dataset=repo, split='train', row=0, column='a').status_code == status, (call, token)
    assert requests.get(f'{hub.url}/api/datasets/{repo}/parquet').status_code == 401
    api.update_repo_settings(repo, repo_type='dataset', private=False, gated='manual')
    for call in calls:
        assert ask(hub, call, hub.other_token, dataset=repo, split='train', row=0, column='a').status_code == 403, call


def test_datasets_are_found_by_their_rows(hub, api, parquet):
    assert 'size_categories:n<1K' in api.dataset_info(parquet).tags
    api.create_repo('me/viewed-many', repo_type='dataset')
    api.upload_file(path_or_fileobj=b'a\n' + b'1\n' * 2500, path_in_repo='train.csv', repo_id='me/viewed-many', repo_type='dataset')
    api.create_repo('me/viewed-said', repo_type='dataset')
    from huggingface_hub import CommitOperationAdd as Add
    api.create_commit('me/viewed-said', [Add('train.csv', b'a\n1\n'), Add('README.md', b'---\nsize_categories: [1M<n<10M]\n---\n')],
                      commit_message='x', repo_type='dataset')
    found = {d.id for d in api.list_datasets(author='me', size_categories='1K<n<10K')}
    assert 'me/viewed-many' in found and not {'me/viewed-said', parquet} & found
    assert 'me/viewed-said' in {d.id for d in api.list_datasets(author='me', size_categories='1M<n<10M')}
    page = requests.get(f'{hub.url}/datasets?size=size_categories:1K%3Cn%3C10K', headers={'Accept': 'text/html'}).text
    assert 'viewed-many' in page and 'viewed-said' not in page


def test_models_are_found_by_their_parameters(api):
    import numpy as np
    from safetensors.numpy import save
    for name, n in (('counted-small', 1000), ('counted-large', 30000)):
        api.create_repo(f'me/{name}')
        api.upload_file(path_or_fileobj=save({'w': np.zeros(n, 'float32')}), path_in_repo='model.safetensors', repo_id=f'me/{name}')
    def found(span):
        return {m.id for m in api.list_models(author='me', num_parameters=span)} & {'me/counted-small', 'me/counted-large'}
    assert found('min:2K') == {'me/counted-large'} and found('max:2K') == {'me/counted-small'}
    assert found('min:500,max:1M') == {'me/counted-small', 'me/counted-large'} and found('min:1B') == set()


def test_croissant_describes_files_and_columns(hub, viewed, parquet):
    got = requests.get(f'{hub.url}/api/datasets/{viewed}/croissant').json()
    assert got == ask(hub, 'croissant', dataset=viewed).json()
    assert got['conformsTo'] == 'http://mlcommons.org/croissant/1.0' and got['url'] == f'{hub.url}/datasets/{viewed}'
    files = {d['@id']: d for d in got['distribution']}
    assert files['files-of-csv']['includes'] == ['part-1.csv', 'part-2.csv'] and files['files-of-csv']['encodingFormat'] == 'text/csv'
    assert [(f['@id'], f['dataType']) for f in got['recordSet'][0]['field']] == [('csv/id', 'sc:Integer'), ('csv/name', 'sc:Text')]
    assert ask(hub, 'croissant', dataset=parquet).json()['distribution'][1]['encodingFormat'] == 'application/x-parquet'
