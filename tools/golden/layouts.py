"""Makes tests/golden/layouts.json: what the datasets library makes of cards and lists of files, each row with the
format, the configs and the files of each split, or that it refuses. By hand first, then at random, seed 3.

Usage: python tools/golden/layouts.py [RANDOM_ROWS]     with tests/clients/requirements-datasets.txt"""
import json, os, random, sys, tempfile
from pathlib import Path

import yaml
from datasets import load
from datasets.data_files import DataFilesDict, get_data_patterns, sanitize_patterns
from datasets.packaged_modules import (_ALL_ALLOWED_EXTENSIONS, _MODULE_TO_EXTENSIONS, _MODULE_TO_METADATA_EXTENSIONS,
                                       _MODULE_TO_METADATA_FILE_NAMES)
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

target = Path(__file__).resolve().parent.parent.parent / 'tests/golden/layouts.json'


def library(card, files):
    """As the factory for datasets of the Hub goes about it, over a folder instead."""
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            at = Path(folder, path)
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(b'')
        configs = MetadataConfigs.from_dataset_card_data(DatasetCardData(**(yaml.safe_load(card) or {})))
        first = next(iter(configs.values())) if configs else {}
        patterns = sanitize_patterns(first['data_files']) if first.get('data_files') is not None else get_data_patterns(folder)
        data_files = DataFilesDict.from_patterns(patterns, folder, _ALL_ALLOWED_EXTENSIONS)
        module, kwargs = load.infer_module_for_data_files(data_files)
        if configs:
            path = load._PACKAGED_DATASETS_MODULES[module][0]
            built, default = load.create_builder_configs_from_metadata_configs(path, configs, folder, kwargs)
            found = {}
            for config in built:
                config._resolve_data_files(folder, None)
                found[config.name] = config.data_files
        else:
            default = 'default'
            found = {default: data_files.filter(
                extensions=_MODULE_TO_EXTENSIONS[module] + _MODULE_TO_METADATA_EXTENSIONS[module],
                file_names=_MODULE_TO_METADATA_FILE_NAMES[module])}
        names = {str(c): {str(s): [os.path.relpath(f, folder) for f in fs] for s, fs in splits.items()} for c, splits in found.items()}
        return {'module': module, 'separator': kwargs.get('sep', ',') if module == 'csv' else None, 'default': default, 'configs': names}


def row(files, card=''):
    try:
        answer = library(card, files)
    except Exception as e:
        answer = {'refused': type(e).__name__}
    return {'card': card, 'files': sorted(files)} | answer


def config(*entries):
    return yaml.safe_dump({'configs': list(entries)}, sort_keys=False)


base = ['README.md', '.gitattributes']
by_hand = [
    ['data.csv'], ['train.csv', 'test.csv'], ['data/train.csv', 'data/test.csv'], ['data/train/a.csv', 'data/test/b.csv'], ['a.jsonl', 'b.jsonl'],
    ['train-0.csv', 'train-1.csv', 'dev.csv'], ['my_train_file.csv', 'validation_1.csv'], ['training.csv', 'testing.csv', 'valid.csv'],
    ['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet', 'data/test-00000-of-00001.parquet'],
    ['data/random-00000-of-00001.csv', 'data/validation-00000-of-00001.csv', 'data/a.b-00000-of-00001.csv', 'extra.csv'],
    ['data/no-good-00000-of-00001.csv'], ['data/x-00000-of-00001.parquet', 'data/x-00000-of-00001-hash.parquet'],
    ['sub/data/train-00000-of-00001.parquet'], ['a.txt', 'b.txt', 'c.csv'], ['a.csv', 'b.json'], ['a.csv', 'b.parquet'], ['train.csv', 'test.json'],
    ['train.csv', 'test.tsv'], ['a.tsv'], ['a.csv.gz', 'b.csv.gz'], ['a.zip'], [], ['notes.md'], ['image.png', 'metadata.csv'],
    ['cat/1.PNG', 'cat/2.jpeg', 'dog/3.Jpg', 'metadata.jsonl'], ['train/a.wav', 'train/metadata.csv', 'test/b.wav', 'test/metadata.csv'],
    ['a.mp4', 'b.mp3', 'c.mp3'], ['shard-0.tar', 'shard-1.tar'], ['.hidden.csv', 'a.csv'], ['.hidden/a.csv', 'b.csv'], ['__pycache__/a.csv', 'b.csv'],
    ['__cache__/train.csv'], ['config.json', 'data.jsonl'], ['dataset_infos.json'], ['data/dataset_info.json', 'data/a.json'],
    ['train_test.csv'], ['test_train.csv'], ['train/test.csv', 'test/train.csv'], ['eval.csv', 'evaluation/a.csv'], ['trained.csv', 'latest.csv'],
    ['TRAIN.csv', 'Test.csv'], ['a/b/c/d/e.csv'], ['train data.csv', 'test data.csv'], ['1train1.csv', '2test2.csv'], ['x.eval', 'train.csv'],
    ['t/task.toml', 't/instruction.md'], ['a.pdf', 'b.pdf'], ['m.glb'], ['a.h5'], ['a.xml'], ['a.arrow', 'b.parquet'], ['a.json', 'b.jsonl'],
    ['train.jsonl', 'metadata.jsonl'], ['train/train.csv'], ['training_train.csv'], ['data/train.csv', 'data/unrelated.csv'], ['é-train.csv', 'ü.csv'],
    ['train.csv', 'script.py', 'LICENSE'], ['a.fasta', 'b.fa'], ['x.tar.gz'], ['x.csv.zip', 'y.csv.zip'], ['a.b.csv', 'c.d.json.csv'], ['dev/a.csv', 'train/a.csv'],
    ['a.conll'], ['a.nii.gz'], ['metadata.csv', 'metadata.parquet'], ['train_metadata.csv', 'train.png'], ['a.webp', 'b.ndjson'],
]
tree = ['en/train.csv', 'en/test.csv', 'de/train.csv', 'de/test.csv', 'de/dev.csv', 'all.csv', 'img/1.png', 'img/metadata.csv', 'data/a.json', 'data/b.json',
        'data/part/c.json', 'data/.d.json', 'x [1].csv']
cards = [
    config({'config_name': 'default', 'data_files': 'all.csv'}), config({'config_name': 'en', 'data_files': 'en/*.csv'}, {'config_name': 'de', 'data_files': 'de/*.csv'}),
    config({'config_name': 'en', 'data_dir': 'en'}, {'config_name': 'de', 'data_dir': 'de/', 'default': True}),
    config({'config_name': 'a', 'data_files': [{'split': 'train', 'path': 'en/train.csv'}, {'split': 'test', 'path': ['de/test.csv', 'en/te*.csv']}]}),
    config({'config_name': 'a', 'data_files': ['en/*.csv', 'de/*.csv']}), config({'config_name': 'a', 'data_files': 'nothing.csv'}),
    config({'config_name': 'a', 'data_files': 'nothing*.csv'}), config({'config_name': 'a', 'data_files': '**/*.json'}), config({'config_name': 'a', 'data_files': 'data/*'}),
    config({'config_name': 'a', 'data_files': 'data/**'}), config({'config_name': 'a', 'data_files': 'data/.*'}), config({'config_name': 'a', 'data_files': 'd**.json'}),
    config({'config_name': 'a', 'data_files': 'img/*'}), config({'data_files': 'all.csv'}), config({'config_name': 'a', 'data_files': [{'split': 'a b', 'path': 'all.csv'}]}),
    config({'config_name': 'a', 'data_files': [{'split': 'x', 'path': 'all.csv'}, {'split': 'x', 'path': 'all.csv'}]}),
    config({'config_name': 'a', 'data_files': 'all.csv', 'default': True}, {'config_name': 'default', 'data_files': 'all.csv'}),
    config({'config_name': 'a', 'data_files': 'all.csv'}, {'config_name': 'b', 'data_files': 'data/a.json'}),
    config({'config_name': 'a', 'data_files': 'all.csv'}, {'config_name': 'a', 'data_files': 'en/*'}),
    config({'config_name': 'a', 'data_files': 'train.csv', 'data_dir': 'en'}), config({'config_name': 'a', 'data_files': '*.csv', 'data_dir': 'en'}),
    config({'config_name': 'a', 'data_files': 'x [1].csv'}), config({'config_name': 'a', 'data_files': '[a-e]*/[!d]*.csv'}), config({'config_name': 'a', 'data_files': '??/test.csv'}),
    config({'config_name': 'a', 'data_files': [{'split': 'train', 'path': 'en/train.csv', 'more': 1}]}), config({'config_name': 'a'}),
    config({'config_name': 'a', 'data_files': [{'split': 'v1.0_x', 'path': './all.csv'}]}), config({'config_name': 'a', 'data_files': 'en'}), 'configs: []\n', 'license: mit\n',
    config({'config_name': 'a', 'data_files': []}), config({'config_name': 'a', 'data_files': None}), config({'config_name': 'a', 'data_dir': 'missing'}),
    config({'config_name': 'a', 'data_files': ['all.csv', {'split': 'x', 'path': 'all.csv'}]}), 'configs: yes please\n', config({'config_name': 'a', 'sep': ';', 'data_files': 'all.csv'}),
]


def at_random():
    words = ['train', 'test', 'dev', 'validation', 'val', 'data', 'x', 'eval', 'training', 'a', '1', 'img', 'part', '.x', '__y']
    suffixes = ['csv', 'csv', 'json', 'jsonl', 'parquet', 'txt', 'png', 'JPG', 'wav', 'tar', 'tsv', 'csv.gz', 'md', 'py', 'mp4']
    def name(): return random.choice(['', '', '-', '_', '.', ' ']).join(random.choices(words, k=random.randrange(1, 4)))
    used = random.sample(suffixes, random.randrange(1, 3))
    files = {'/'.join([name() for _ in range(random.choice([0, 0, 1, 2]))] + [f'{name()}.{random.choice(used)}']) for _ in range(random.randrange(1, 9))}
    files = [f for f in files if not any(g.startswith(f + '/') for g in files)]
    if random.random() < .7:
        return row(base + files)
    def pattern(): return random.choice(['*', '**', '*.csv', '**/*.json*', '*/*', 'data/*', 'train*', '**/train*', 'x/**', '[a-t]*', *files])
    entries = [{'config_name': n} | ({'data_files': pattern()} if random.random() < .5 else {'data_files': [
        {'split': s, 'path': pattern()} for s in random.sample(['train', 'test', 'x'], random.randrange(1, 3))]}) for n in random.sample(['a', 'b', 'default'], random.randrange(1, 3))]
    return row(base + files, config(*entries))


random.seed(3)
rows = [row(base + files) for files in by_hand] + [row(base + tree, card) for card in cards]
rows += [at_random() for _ in range(int(sys.argv[1]) if sys.argv[1:] else 60)]
out = Path(os.environ.get('OUT', target))
out.write_text('[\n' + ',\n'.join(json.dumps(r, ensure_ascii=False) for r in rows) + '\n]\n')
print(len(rows), 'rows,', sum('refused' in r for r in rows), 'refused,', out.stat().st_size, 'bytes')
