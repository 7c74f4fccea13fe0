"""Files as pages show them (tables, notebooks, JSON in long lines) and differences that are no lines of text."""
import base64, json, re

import numpy as np
import pytest, requests
from conftest import DOT, ROOT
from huggingface_hub import CommitOperationAdd as Add, CommitOperationDelete as Delete
from safetensors.numpy import save

NOTEBOOK = {'nbformat': 4, 'metadata': {'language_info': {'name': 'python'}}, 'cells': [
    {'cell_type': 'markdown', 'source': ['# Title\n', '\n', '<script>alert(1)</script>\n', '\n', '**bold**']},
    {'cell_type': 'code', 'execution_count': 7, 'source': 'import sys\nprint("<b>")', 'outputs': [
        {'output_type': 'stream', 'name': 'stdout', 'text': ['\x1b[31m<b>red\x1b[0m\n']},
        {'output_type': 'display_data', 'data': {'image/png': base64.b64encode(DOT).decode(), 'text/plain': '<Figure>'}},
        {'output_type': 'execute_result', 'data': {'text/html': '<table onclick="x()"><tr><td>cell</td></tr></table><iframe src="/"></iframe>', 'text/plain': 'x'}},
        {'output_type': 'error', 'ename': 'ValueError', 'evalue': 'no', 'traceback': ['\x1b[0;31mValueError\x1b[0m: no']}]},
    {'cell_type': 'raw', 'source': '<i>raw</i>'}]}


@pytest.fixture(scope='module')
def repo(hub, api):
    api.create_repo('me/views')
    files = {'t.csv': b'a,b\n1,<x>\n' + b'2,y\n' * 150, 'p.parquet': (ROOT / 'tests/golden/tables/series-paged.parquet').read_bytes(),
             'n.ipynb': json.dumps(NOTEBOOK).encode(), 'broken.ipynb': b'{"cells": 1}', 'long.json': json.dumps({'b': list(range(300)), 'a': '<'}).encode(),
             'short.json': b'{\n "kept":   1\n}\n', 'bad.csv': b'a\n"never closed\n'}
    api.create_commit('me/views', [Add(p, b) for p, b in files.items()], commit_message='files')
    return f'{hub.url}/me/views'


def see(repo, path):
    got = requests.get(f'{repo}/blob/main/{path}', headers={'Accept': 'text/html'})
    assert got.status_code == 200
    return got.text


def test_tables_show_their_first_rows_and_csv_its_text(repo):
    page = see(repo, 't.csv')
    assert '<td class="text">&lt;x&gt;</td>' in page and '151 rows, of which the first 100' in page and page.count('<tr><th scope="row">') == 100
    assert 'id="L3"' in see(repo, 't.csv?plain=1')
    assert '400 rows, of which the first 100 are shown' in see(repo, 'p.parquet')
    bad = see(repo, 'bad.csv')
    assert 'bad.csv' in bad and 'id="L1"' in bad  # why not, and the text


def test_notebooks_run_nothing(repo):
    page = see(repo, 'n.ipynb')
    assert '<strong>bold</strong>' in page and 'alert(1)' not in page and '[7]' in page
    assert '&lt;b&gt;red\n</pre>' in page and '<td>cell</td>' in page and 'onclick' not in page and '<iframe' not in page
    assert 'ValueError: no' in page and '&lt;i&gt;raw' in page
    picture = re.search(r'<img src="(/me/views/picture/[^"]+)" alt="&lt;Figure&gt;"', page)[1]
    got = requests.get(repo.split('/me/')[0] + picture.replace('&amp;', '&'))
    assert got.content == DOT and got.headers['Content-Type'] == 'image/png' and 'sandbox' in got.headers['Content-Security-Policy']
    assert requests.get(f'{repo}/picture/main/n.ipynb?n=1').status_code == 404
    assert requests.get(f'{repo}/picture/main/broken.ipynb?n=0').status_code == 400
    broken = see(repo, 'broken.ipynb')
    assert 'a list &#39;cells&#39;' in broken or "a list 'cells'" in broken
    assert 'id="L1"' in broken and 'id="L1"' in see(repo, 'n.ipynb?plain=1')


def test_json_in_long_lines_is_laid_out_and_other_json_left(repo):
    page = see(repo, 'long.json')
    assert page.count('class="line"') > 300 and page.index('>&quot;b&quot;' if '>&quot;b&quot;' in page else '"b"') < page.index('&lt;')
    assert see(repo, 'long.json?plain=1').count('class="line"') == 1
    assert '   ' in see(repo, 'short.json').split('<code>')[1] and see(repo, 'short.json').count('class="line"') == 3


def test_pictures_and_tensors_are_compared(hub, api):
    api.create_repo('me/compared')
    first = save({'a.weight': np.zeros((2, 2), 'float32'), 'b.weight': np.zeros(3, 'float32'), 'same': np.zeros(1, 'float32')})
    second = save({'a.weight': np.zeros((2, 2), 'float16'), 'c.weight': np.zeros(3, 'float32'), 'same': np.ones(1, 'float32')})
    api.create_commit('me/compared', [Add('dot.png', DOT), Add('model.safetensors', first)], commit_message='first')
    before = api.model_info('me/compared').sha
    api.create_commit('me/compared', [Add('dot.png', DOT + b'\0'), Add('model.safetensors', second)], commit_message='second')
    after = api.model_info('me/compared').sha
    page = requests.get(f'{hub.url}/me/compared/commit/{after}', headers={'Accept': 'text/html'}).text
    for sha in (before, after):
        assert f'<img src="/me/compared/resolve/{sha}/dot.png"' in page
    assert '1 added, 1 removed, 1 with another type or shape, 1 of the same form' in page
    rows = re.findall(r'<tr class="(\w+)"><th scope="row" class="mono">([\w.]+)</th><td class="mono">(.*?)</td><td class="mono">(.*?)</td>', page)
    assert sorted(rows, key=lambda t: t[1]) == [('changed', 'a.weight', 'F32 [2,2]', 'F16 [2,2]'), ('removed', 'b.weight', 'F32 [3]', ''), ('added', 'c.weight', '', 'F32 [3]')]
    api.create_commit('me/compared', [Delete('dot.png'), Delete('model.safetensors')], commit_message='third')
    page = requests.get(f'{hub.url}/me/compared/commit/main', headers={'Accept': 'text/html'}).text
    assert page.count('loading="lazy"') == 1 and '0 added, 3 removed' in page
    pull = api.create_commit('me/compared', [Add('model.safetensors', first)], commit_message='again', create_pr=True)
    page = requests.get(f'{hub.url}/me/compared/discussions/{pull.pr_num}/files', headers={'Accept': 'text/html'}).text
    assert '3 added, 0 removed' in page
