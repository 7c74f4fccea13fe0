"""The page with a dataset's rows: every format, pages over several files, and files that are not what they say."""
import html, json, re

import pytest, requests

from conftest import DOT, ROOT


@pytest.fixture(scope='module')
def rows(hub, api):
    """Pushes files as a dataset and gives its page of rows as text."""
    def show(name, files, path='', status=200, **more):
        from huggingface_hub import CommitOperationAdd as Add
        if files:
            api.create_repo(f'me/{name}', repo_type='dataset', **more)
            api.create_commit(f'me/{name}', [Add(p, b) for p, b in files.items()], commit_message='data', repo_type='dataset')
        page = requests.get(f'{hub.url}/datasets/me/{name}/viewer{path}', headers={'Accept': 'text/html'})
        assert page.status_code == status
        return page.text
    return show


def cells(page):
    return [re.findall(r'<td class="\w+">(.*?)</td>', row) for row in re.findall(r'<tr><th scope="row">.*?</tr>', page, re.S)]


def test_csv_by_splits_of_its_names(rows):
    page = rows('view-csv', {'train.csv': b'a,b\n1,x\n2,<b>\n', 'test.csv': b'a,b\n3,\n'})
    assert cells(page) == [['1', 'x'], ['2', '&lt;b&gt;']]
    assert re.findall(r'<th scope="col">(\w) <span class="muted mono">(\w+)</span>', page) == [('a', 'int64'), ('b', 'string')]
    assert cells(rows('view-csv', None, '/default/test')) == [['3', 'null']]
    rows('view-csv', None, '/default/none', 404)
    rows('view-csv', None, '?offset=x', 400)


def test_pages_go_over_files_and_end(rows):
    lines = [b''.join(b'{"n": %d}\n' % i for i in range(k, k + 150)) for k in (0, 150)]
    page = rows('view-pages', {'data/train-00000-of-00002.jsonl': lines[0], 'data/train-00001-of-00002.jsonl': lines[1]})
    seen, offset = [], 0
    while True:
        seen += [int(c[0]) for c in cells(page)]
        after = re.search(r'href="([^"]*offset=\d+)">Later rows', page)
        if not after:
            break
        page = rows('view-pages', None, after[1].split('/viewer')[1])
    assert seen == list(range(300))
    assert 'There are no rows here' in rows('view-pages', None, '?offset=10000')


def test_parquet_by_lfs_with_lists(rows):
    folder = ROOT / 'tests/golden/tables'
    page = rows('view-parquet', {'data/train-00000-of-00001.parquet': (folder / 'nested.parquet').read_bytes()})
    want = json.loads((folder / 'nested.rows.json').read_text())['rows']
    got = cells(page)
    assert len(got) == min(len(want), 100)
    for row, shown in zip(want, got):
        for value, text in zip(row.values() if isinstance(row, dict) else row, shown):
            text = html.unescape(text)
            assert text.endswith('…') or (text == value if isinstance(value, str) else json.loads(text) == value)


def test_what_cannot_be_shown_is_said_calmly(rows):
    page = rows('view-empty', {'README.md': b'# Nothing\n'})
    assert 'there are no data files' in page, re.findall(r'role="status">[^<]*', page)
    assert 'train.parquet' in rows('view-broken', {'train.parquet': b'PAR1 and then nothing of the kind PAR1'})
    assert 'not shown here' in rows('view-arrow', {'train.arrow': b'ARROW1'})


def test_folders_of_files_are_rows_with_labels(rows, api):
    page = rows('view-images', {'cat/1.png': b'\x89PNG\r\n\x1a\n', 'cat/2.png': b'\x89PNG\r\n\x1a\n', 'dog/a b.png': b'\x89PNG\r\n\x1a\n'})
    sha = api.dataset_info('me/view-images').sha
    links = re.findall(r'<img src="([^"]+)" alt="([^"]+)" loading="lazy">', page)
    assert links == [(f'/datasets/me/view-images/resolve/{sha}/{p.replace(" ", "%20")}', p) for p in ('cat/1.png', 'cat/2.png', 'dog/a b.png')]
    assert re.findall(r'<td class="text">(\w+)</td>', page) == ['cat', 'cat', 'dog'] and '>label<' in page
    sound = rows('view-sounds', {'metadata.csv': b'file_name,words\nclips/1.wav,one\n', 'clips/1.wav': b'RIFF....WAVE'})
    assert '<audio controls preload="none" src="/datasets/me/view-sounds/resolve/' in sound and '>one<' in sound
    bad = rows('view-escape', {'metadata.csv': b'file_name\n../../x.png\n', '1.png': b'\x89PNG'})
    assert 'metadata.csv' in bad and 'loading="lazy"' not in bad


def test_private_rows_are_nobodys(rows, hub):
    rows('view-hidden', {'train.csv': b'a\nsecret\n'}, status=404, private=True)


def test_archives_are_rows_with_pictures(rows, hub):
    import io, tarfile
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tar:
        for i in range(120):
            for name, data in ((f's/{i:03}.json', b'{"n": %d}' % i), (f's/{i:03}.png', DOT), (f's/{i:03}.cls', b'%d\n' % i)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    page = rows('view-tar', {'train-0000.tar': out.getvalue()})
    assert re.findall(r'<th scope="col">(\w+) <span class="muted mono">(\w+)</span>', page) == [('json', 'json'), ('png', 'image'), ('cls', 'int64'), ('__key__', 'string')]
    assert page.count('loading="lazy"') == 100 and 'Later rows' in page
    second = rows('view-tar', None, '?offset=100')
    assert second.count('loading="lazy"') == 20 and 's/119' in second
    url = html.unescape(re.search(r'<img src="([^"]+row=119[^"]+)"', second)[1])
    got = requests.get(hub.url + url)
    assert got.content == DOT and got.headers['Content-Type'] == 'image/png'
    api_rows = requests.get(f'{hub.url}/api/datasets-server/rows?dataset=me/view-tar&split=train&offset=118').json()
    assert api_rows['num_rows_total'] == 120 and [r['row']['json'] for r in api_rows['rows']] == [{'n': 118}, {'n': 119}]
