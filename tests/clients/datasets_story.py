"""Run by test_datasets.py in an environment with the datasets library: loads what was pushed to the hub
that HF_ENDPOINT names, in every format, whole and streamed, and says the name of each chapter as it
is done. Usage: datasets_story.py WORK_FOLDER OTHER_TOKEN"""
import io, json, socket, sys, tarfile, types, wave
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
from datasets import (Audio, ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, Image, Value, disable_progress_bars, get_dataset_config_names,
                      get_dataset_split_names, load_dataset, load_dataset_builder)
from datasets.exceptions import DatasetNotFoundError
from datasets.utils import _dataset_viewer
from huggingface_hub import HfApi, HfFileSystem, get_token
from huggingface_hub.errors import GatedRepoError
from huggingface_hub.utils import get_session
from PIL import Image as Pillow

work, other_token = Path(sys.argv[1]), sys.argv[2]
api = HfApi()
rows = [{'id': i, 'text': f'row {i}, "quoted"\nof two lines', 'score': i / 4} for i in range(10)]
frame = pd.DataFrame(rows)


def csv(part): return part.to_csv(index=False)
def jsonl(part): return part.to_json(orient='records', lines=True)
def parquet(part):
    out = io.BytesIO()
    part.to_parquet(out)
    return out.getvalue()


def push(name, files, card=None, **settings):
    """A dataset me/NAME with these files, each its path and its text or bytes."""
    folder = work / name
    for path, content in (files | ({'README.md': f'---\n{card}\n---\n'} if card else {})).items():
        at = folder / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(content.encode() if isinstance(content, str) else content)
    repo = f'me/{name}'
    api.create_repo(repo, repo_type='dataset', private=settings.pop('private', False))
    api.upload_folder(repo_id=repo, repo_type='dataset', folder_path=folder)
    if settings:
        api.update_repo_settings(repo, repo_type='dataset', **settings)
    return repo


def same(repo, want, *args, **more):
    """Whole and streamed, the same rows, in the same splits."""
    whole = load_dataset(repo, *args, **more)
    streamed = load_dataset(repo, *args, streaming=True, **more)
    assert {s: list(d) for s, d in whole.items()} == want, (repo, {s: list(d)[:2] for s, d in whole.items()})
    assert {s: list(d) for s, d in streamed.items()} == want, repo
    return whole


def formats():
    halves = {'train': rows[:6], 'test': rows[6:]}
    parts = {'train': frame[:6], 'test': frame[6:]}
    for suffix, write in {'csv': csv, 'jsonl': jsonl, 'parquet': parquet}.items():
        same(push(f'as-{suffix}', {f'{s}.{suffix}': write(p) for s, p in parts.items()}), halves)
    same(push('as-json', {'data.json': json.dumps(rows)}), {'train': rows})
    same(push('as-field', {'rows.json': json.dumps({'version': 1, 'data': rows})}), {'train': rows}, field='data')
    same(push('as-tsv', {'data.tsv': frame.to_csv(index=False, sep='\t')}), {'train': rows})
    lines = ['first', 'second', '', 'fourth']
    same(push('as-text', {'train.txt': '\n'.join(lines) + '\n'}), {'train': [{'text': t} for t in lines]})
    packed = io.BytesIO()
    frame.to_csv(packed, index=False, compression='gzip')
    same(push('as-gzip', {'data.csv.gz': packed.getvalue()}), {'train': rows})


def layouts():
    """Splits by the names of files and folders, and what the card says instead."""
    thirds = {'train': frame[:5], 'validation': frame[5:7], 'test': frame[7:]}
    want = {s: p.to_dict('records') for s, p in thirds.items()}
    sharded = {'data/train-00000-of-00002.parquet': parquet(frame[:2]),
               'data/train-00001-of-00002.parquet': parquet(frame[2:5]),
               'data/validation-00000-of-00001.parquet': parquet(frame[5:7]),
               'data/test-00000-of-00001.parquet': parquet(frame[7:])}
    same(push('shards', sharded), want)
    same(push('folders', {f'{s}/part.csv': csv(p) for s, p in thirds.items()}), want)
    same(push('keywords', {'my_training_set.csv': csv(frame[:5]), 'my-dev.csv': csv(frame[5:7]),
                           'evaluation.csv': csv(frame[7:])}), want)
    card = '''configs:
- config_name: small
  data_files: little/*.csv
- config_name: large
  default: true
  data_files:
  - split: train
    path: [big/a.csv, big/b.csv]
  - split: holdout
    path: big/h*.csv'''
    repo = push('configured', {'little/x.csv': csv(frame[:1]), 'big/a.csv': csv(frame[:2]), 'big/b.csv': csv(frame[2:4]),
                               'big/hold.csv': csv(frame[4:5])}, card)
    assert get_dataset_config_names(repo) == ['small', 'large']
    assert get_dataset_split_names(repo, 'large') == ['train', 'holdout']
    same(repo, {'train': rows[:4], 'holdout': rows[4:5]})
    same(repo, {'train': rows[:1]}, 'small')
    same(push('in-a-folder', {'en/train.csv': csv(frame[:3]), 'de/train.csv': csv(frame[3:5])}), {'train': rows[:3]},
         data_dir='en')


def media():
    """Folders of images and sounds with what is known of each, and archives of samples."""
    def picture(color, kind='PNG'):
        out = io.BytesIO()
        Pillow.new('RGB', (8, 6), color).save(out, kind)
        return out.getvalue()

    def sound(n):
        out = io.BytesIO()
        with wave.open(out, 'wb') as w:
            w.setparams((1, 2, 8000, 0, 'NONE', ''))
            w.writeframes(bytes(2 * n))
        return out.getvalue()

    labelled = load_dataset(push('by-folder', {'cat/1.png': picture('red'), 'cat/2.png': picture('green'),
                                               'dog/1.png': picture('blue')}), split='train')
    assert labelled.features['label'] == ClassLabel(names=['cat', 'dog']) and labelled['label'] == [0, 0, 1]
    assert labelled[2]['image'].getpixel((0, 0)) == (0, 0, 255)
    pictures = {'train/a.jpg': picture('red', 'JPEG'), 'test/b.jpg': picture('blue', 'JPEG')}
    known = {'train': ('a.jpg', 'red'), 'test': ('b.jpg', 'blue')}
    for suffix, line in {'csv': 'file_name,caption\n{},{}\n', 'jsonl': '{{"file_name": "{}", "caption": "{}"}}\n'}.items():
        repo = push(f'captions-{suffix}', pictures | {f'{s}/metadata.{suffix}': line.format(*k) for s, k in known.items()})
        for streaming in (False, True):
            for split, data in load_dataset(repo, streaming=streaming).items():
                first = next(iter(data))
                assert first['caption'] == known[split][1] and first['image'].size == (8, 6)
    repo = push('sounds', {'audio/1.wav': sound(80), 'audio/2.wav': sound(160),
                           'audio/metadata.csv': 'file_name,words\n1.wav,one\n2.wav,two\n'})
    # Sounds are loaded here and not decoded, which alone takes a gigabyte of torch; only its name is asked for.
    stand_in = ['torch', 'torchcodec', 'torchcodec.encoders']
    sys.modules |= {name: types.SimpleNamespace(AudioEncoder=None, Tensor=(), Generator=(), nn=types.SimpleNamespace(Module=()))
                    for name in stand_in}
    sounds = load_dataset(repo, split='train').cast_column('audio', Audio(decode=False))
    assert sounds['words'] == ['one', 'two']
    assert [len(Path(s['path']).read_bytes()) for s in sounds['audio']] == [204, 364]
    for name in stand_in:
        del sys.modules[name]

    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode='w') as out:
        for i in range(3):
            for name, content in {f'{i}.png': picture('red'), f'{i}.json': json.dumps({'n': i}).encode()}.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                out.addfile(member, io.BytesIO(content))
    archive = push('archive', {'train-0000.tar': tar.getvalue()})
    for streaming in (False, True):
        samples = list(load_dataset(archive, split='train', streaming=streaming))
        assert [s['json']['n'] for s in samples] == [0, 1, 2] and samples[0]['png'].size == (8, 6)


def who_and_when():
    """Revisions, private and gated datasets."""
    repo = push('versions', {'data.csv': csv(frame[:1])})
    api.create_tag(repo, tag='v1', repo_type='dataset')
    first = api.dataset_info(repo).sha
    api.upload_file(path_or_fileobj=csv(frame).encode(), path_in_repo='data.csv', repo_id=repo, repo_type='dataset')
    for revision in ('v1', first):
        same(repo, {'train': rows[:1]}, revision=revision)
    same(repo, {'train': rows})
    pull = api.upload_file(path_or_fileobj=csv(frame[:3]).encode(), path_in_repo='data.csv', repo_id=repo,
                           repo_type='dataset', create_pr=True)
    same(repo, {'train': rows[:3]}, revision=pull.pr_revision)

    hidden = push('hidden', {'data.csv': csv(frame)}, private=True)
    gated = push('gated-rows', {'data.csv': csv(frame)}, gated='manual')
    for closed in (hidden, gated):
        for token in (False, other_token):  # before anything lies in a cache
            for streaming in (False, True):
                try:
                    next(iter(load_dataset(closed, split='train', token=token, streaming=streaming)))
                except (DatasetNotFoundError, FileNotFoundError, GatedRepoError) as e:
                    assert closed == hidden or 'gated' in str(e), e
                    continue
                raise AssertionError(f'{closed} was loaded with {token}')
        same(closed, {'train': rows})


def pushed():
    """What push_to_hub makes: shards, a card that describes them, more configs beside."""
    features = Features({'id': Value('int32'), 'text': Value('string'), 'label': ClassLabel(names=['no', 'yes'])})
    def make(n): return Dataset.from_list([{'id': i, 'text': str(i), 'label': i % 2} for i in range(n)], features)
    DatasetDict({'train': make(12), 'test': make(4)}).push_to_hub('me/pushed', num_shards={'train': 3})
    files = api.list_repo_files('me/pushed', repo_type='dataset')
    assert 'data/train-00002-of-00003.parquet' in files and 'data/test-00000-of-00001.parquet' in files
    back = load_dataset('me/pushed')
    assert back['train'].features == features and len(back['train']) == 12 and len(back['test']) == 4
    make(5).push_to_hub('me/pushed', 'five', split='validation')
    make(6).push_to_hub('me/pushed', 'five', split='validation')  # in place of those
    assert get_dataset_config_names('me/pushed') == ['default', 'five']
    builder = load_dataset_builder('me/pushed', 'five')
    assert builder.info.features == features and builder.info.splits['validation'].num_examples == 6
    streamed = load_dataset('me/pushed', 'five', split='validation', streaming=True)
    assert [row['id'] for row in streamed.skip(2).take(3)] == [2, 3, 4]
    make(3).push_to_hub('me/pushed', 'later', revision='drafts', create_pr=False)
    assert 'later' in get_dataset_config_names('me/pushed', revision='drafts')
    assert 'later' not in get_dataset_config_names('me/pushed')
    pictures = Dataset.from_dict({'image': [Pillow.new('RGB', (4, 4), c) for c in ('red', 'blue')]}).cast_column('image', Image())
    pictures.push_to_hub('me/pictures', private=True)
    assert load_dataset('me/pictures', split='train')[1]['image'].getpixel((1, 1)) == (0, 0, 255)
    builder = load_dataset('me/pushed', split='train', streaming=True)
    assert sum(1 for _ in builder.shard(3, 1)) == 4


def viewed():
    """The dataset viewer's calls as the library makes them, at datasets-server. before the hub's host."""
    port = int(api.endpoint.rsplit(':', 1)[1])
    find = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *args, **more: find(host.replace('datasets-server.127.0.0.1', '127.0.0.1') if isinstance(host, str)
                                                          else host, *args, **more)
    repo = 'me/pushed'
    sha = api.dataset_info(repo).sha
    infos = _dataset_viewer.get_exported_dataset_infos(repo, sha, None)
    assert infos.keys() == {'default', 'five'}
    info = DatasetInfo.from_dict(infos['five'])
    assert info.features['text'] == Value('string') and info.splits['validation'].num_examples == 6
    files = _dataset_viewer.get_exported_parquet_files(repo, sha, None)
    assert sum(pd.read_parquet(f['url']).shape[0] for f in files if f['config'] == 'default') == 16
    assert all(f['url'].startswith(f'http://127.0.0.1:{port}/datasets/') for f in files)
    links = get_session().get(f'{api.endpoint}/api/datasets/{repo}/parquet').json()
    assert sum(len(pd.read_parquet(url)) for url in links['default']['train']) == 12  # each a redirect
    # Pictures inside Parquet have an address each, and come as what they are.
    auth = {'Authorization': f'Bearer {api.token or get_token()}'}
    first = get_session().get(f'{api.endpoint}/api/datasets-server/first-rows?dataset=me/pictures&config=default&split=train', headers=auth).json()
    assert first['features'][0]['type'] == {'_type': 'Image'}, first['features']
    second = get_session().get(first['rows'][1]['row']['image']['src'], headers=auth)
    assert second.headers['content-type'] == 'image/png' and 'sandbox' in second.headers['content-security-policy']
    assert Pillow.open(io.BytesIO(second.content)).getpixel((0, 0)) == (0, 0, 255)
    socket.getaddrinfo = find


def paths():
    """hf:// in pandas, polars, pyarrow and DuckDB."""
    at = 'hf://datasets/me/as-{0}/train.{0}'
    for got in (pd.read_csv(at.format('csv')), pd.read_json(at.format('jsonl'), lines=True),
                pd.read_parquet(at.format('parquet'))):
        assert got.to_dict('records') == rows[:6]
    frame[:2].to_parquet('hf://datasets/me/as-parquet/written.parquet')
    assert pd.read_parquet('hf://datasets/me/as-parquet/written.parquet')['id'].tolist() == [0, 1]
    assert pd.read_csv('hf://datasets/me/versions@v1/data.csv').shape == (1, 3)
    fs = HfFileSystem()
    assert fs.glob('datasets/me/shards/**/*.parquet') and pq.read_table('datasets/me/as-parquet/train.parquet', filesystem=fs).num_rows == 6
    with fs.open('datasets/me/as-parquet/train.parquet') as f:
        assert pq.ParquetFile(f).read_row_group(0, columns=['id'])['id'].to_pylist() == list(range(6))
        f.seek(0)
        assert pl.read_parquet(f.read())['id'].sum() == 15
    duckdb.register_filesystem(fs)
    got = duckdb.sql("select sum(id), count(*) from 'hf://datasets/me/shards/data/train-*.parquet'").fetchall()
    assert got == [(10, 5)]


disable_progress_bars()
for chapter in (formats, layouts, media, who_and_when, pushed, viewed, paths):
    chapter()
    print(chapter.__name__, flush=True)
