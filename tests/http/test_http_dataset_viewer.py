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
