"""Makes tests/golden/tables: small files of every format and Parquet feature, and what pyarrow, pandas and
DuckDB read from each: NAME.rows.json is {"features": ..., "rows": [...]} in the shape of our JSON,
for all files whose names are NAME or begin with NAME and a dash.

Usage: python tools/golden/tables.py      with tests/clients/requirements-datasets.txt; seed 7"""
import base64, datetime, decimal, gzip, io, json, math, random, re, shutil
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.json as paj
import pyarrow.parquet as pq
from datasets import Features

out = Path(__file__).resolve().parent.parent.parent / 'tests/golden/tables'
shutil.rmtree(out, ignore_errors=True)
out.mkdir()
random.seed(7)


def plain(value):
    """A Python value as our JSON has it."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return f'{value:f}'
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def maps_as_lists(table):
    """Maps as what they are in the file: lists of keys and values."""
    for i, field in enumerate(table.schema):
        if pa.types.is_map(field.type):
            rows = [None if v is None else [{'key': k, 'value': w} for k, w in v] for v in table[i].to_pylist()]
            kind = pa.list_(pa.struct({'key': field.type.key_type, 'value': field.type.item_type}))
            table = table.set_column(i, field.name, pa.array(rows, kind))
    return table


def record(name, table):
    table = maps_as_lists(table)
    features = Features.from_arrow_schema(table.schema.remove_metadata()).to_dict()
    # Whether an Arrow list has a fixed length, or long offsets, is not part of a Parquet schema.
    features = json.loads(re.sub(r', "length": \d+', '', json.dumps(features)).replace('"large_string"', '"string"').replace('"large_binary"', '"binary"')
                          .replace('"LargeList"', '"List"'))
    path = out / f'{name.split("-")[0]}.rows.json'
    content = json.dumps({'features': features, 'rows': plain(table.to_pylist())}, ensure_ascii=False, separators=(',', ':'))
    assert not path.exists() or path.read_text() == content, name
    path.write_text(content)


def parquet(name, table, **options):
    pq.write_table(table, out / f'{name}.parquet', **options)
    record(name, pq.read_table(out / f'{name}.parquet'))


def some(n, make, nulls=0.2):
    return [None if random.random() < nulls else make(i) for i in range(n)]


words = 'the quick brown fox jumps over a lazy dog äöü 漢字 🦊'.split()
def sentence(i): return ' '.join(random.choices(words, k=random.randrange(6)))


# Every plain type, with nulls and without.
n = 37
utc = datetime.timezone.utc
moment = datetime.datetime(2024, 2, 29, 23, 59, 58, 123456)
scalars = pa.table({
    'bool': pa.array(some(n, lambda i: i % 3 == 0)), 'int8': pa.array(some(n, lambda i: i - 18), pa.int8()),
    'uint8': pa.array(some(n, lambda i: i * 6), pa.uint8()), 'int16': pa.array(some(n, lambda i: -i * 800), pa.int16()),
    'uint32': pa.array(some(n, lambda i: 2**32 - 1 - i), pa.uint32()), 'int64': pa.array(some(n, lambda i: i**11 - 2**60)),
    'uint64': pa.array(some(n, lambda i: 2**62 + i), pa.uint64()), 'half': pa.array(some(n, lambda i: i / 8 - 2), pa.float16()),
    'float': pa.array(some(n, lambda i: i / 3), pa.float32()), 'double': pa.array(some(n, lambda i: math.sin(i) if i % 9 else math.nan)),
    'string': pa.array(some(n, sentence)), 'required': pa.array(range(n)), 'bytes': pa.array(some(n, lambda i: bytes(range(i)))),
    'fixed': pa.array(some(n, lambda i: bytes([i] * 5)), pa.binary(5)),
    'date': pa.array(some(n, lambda i: datetime.date(1, 1, 1) + datetime.timedelta(90000 * i))),
    'time_ms': pa.array(some(n, lambda i: datetime.time(i % 24, i, i, 5000)), pa.time32('ms')),
    'time_us': pa.array(some(n, lambda i: datetime.time(i % 24, i, i, i)), pa.time64('us')),
    'at_ms': pa.array(some(n, lambda i: moment.replace(microsecond=i * 1000) - datetime.timedelta(9000 * i)), pa.timestamp('ms')),
    'at_us': pa.array(some(n, lambda i: moment - datetime.timedelta(7000 * i)), pa.timestamp('us')),
    'at_utc': pa.array(some(n, lambda i: moment.replace(tzinfo=utc)), pa.timestamp('us', 'UTC')),
    'money': pa.array(some(n, lambda i: decimal.Decimal(i * 1001 - 18000) / 100), pa.decimal128(9, 2)),
    'large': pa.array(some(n, lambda i: decimal.Decimal(-7)**i), pa.decimal128(38, 4)),
    'larger': pa.array(some(n, lambda i: decimal.Decimal(9)**i), pa.decimal256(60, 0)),
    'nothing': pa.nulls(n), 'category': pa.array(some(n, sentence)).dictionary_encode(),
}, schema=None)
for codec in ('none', 'snappy', 'gzip', 'zstd', 'lz4'):
    parquet(f'scalars-{codec}', scalars, compression=codec)
parquet('scalars-v2-pages', scalars, data_page_version='2.0', compression='snappy')
parquet('scalars-plain', scalars, use_dictionary=False, compression='zstd')
parquet('old', scalars.drop(['half', 'larger']), version='1.0')
parquet('int96', scalars.select(['at_us', 'required']).slice(0, 15), use_deprecated_int96_timestamps=True)

# Every encoding, over many small pages and row groups.
many = 400
series = pa.table({'id': pa.array(range(many)), 'walk': pa.array([random.randrange(-10**6, 10**6) for _ in range(many)]),
                   'small': pa.array(some(many, lambda i: i // 7, .1), pa.int32()), 'x': pa.array(some(many, lambda i: i / 7, .1)),
                   'y': pa.array([i / 3 for i in range(many)], pa.float32()),
                   'name': pa.array([f'item/{i // 10:04}/{i % 10}' for i in range(many)]),
                   'text': pa.array(some(many, sentence, .3)), 'few': pa.array([words[i % 5] for i in range(many)])})
small = {'data_page_size': 400, 'row_group_size': 170, 'write_batch_size': 50, 'use_dictionary': False}
for version in ('1.0', '2.0'):
    parquet(f'series-delta-v{version[0]}', series, **small, data_page_version=version, column_encoding={
        'id': 'DELTA_BINARY_PACKED', 'walk': 'DELTA_BINARY_PACKED', 'small': 'DELTA_BINARY_PACKED', 'x': 'BYTE_STREAM_SPLIT',
        'y': 'BYTE_STREAM_SPLIT', 'name': 'DELTA_BYTE_ARRAY', 'text': 'DELTA_LENGTH_BYTE_ARRAY'}, compression='snappy')
parquet('series-paged', series, **small | {'use_dictionary': True}, write_page_index=True, compression='zstd')
parquet('runs', pa.table({'flag': pa.array([i % 80 < 50 for i in range(many)]), 'same': pa.array(['x'] * many),
                          'gaps': pa.array([i if i % 90 < 60 else None for i in range(many)])}),
        column_encoding={'flag': 'RLE'}, use_dictionary=['same'], data_page_version='2.0')

# Lists, structs and maps in each other, with every kind of nothing.
def ints(i): return some(random.randrange(5), lambda k: k + i)
n = 71
nested = pa.table({
    'list': pa.array(some(n, ints)), 'lists': pa.array(some(n, lambda i: some(random.randrange(4), ints))),
    'struct': pa.array(some(n, lambda i: {'a': i, 'b': random.choice([None, sentence(i)])})),
    'structs': pa.array(some(n, lambda i: some(random.randrange(4), lambda k: {'k': k, 'tags': some(k, sentence), 'in': {'x': k / 2}}))),
    'deep': pa.array(some(n, lambda i: {'l': some(2, lambda k: {'m': some(2, lambda j: some(2, lambda h: h))})})),
    'map': pa.array(some(n, lambda i: [(w, len(w)) for w in words[:i % 4]]), pa.map_(pa.string(), pa.int64())),
    'turns': pa.array([[{'role': r, 'content': sentence(i)} for r in ('user', 'assistant')] for i in range(n)]),
    'fixed': pa.array(some(n, lambda i: [i, i + 1, i + 2], 0), pa.list_(pa.int32(), 3)),
})
parquet('nested', nested)
parquet('nested-v2', nested, data_page_version='2.0', data_page_size=300, write_batch_size=16, row_group_size=30, compression='zstd')
parquet('nested-paged', nested, data_page_size=300, write_batch_size=16, write_page_index=True, compression='none')
parquet('empty', nested.slice(0, 0))

# What other writers make of it.
frame = pl.from_arrow(series)
frame.write_parquet(out / 'series-polars.parquet', row_group_size=150)
record('series-polars', pq.read_table(out / 'series-polars.parquet'))
simple = nested.select(['list', 'struct', 'structs'])
for version in ('V1', 'V2'):
    duckdb.sql(f"copy (select * from simple) to '{out}/duckdb-{version}.parquet' (parquet_version {version}, compression zstd)")
    record(f'duckdb-{version}', pq.read_table(out / f'duckdb-{version}.parquet'))


# Text formats.
def text(name, content, table):
    (out / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    record(name, table)


def csv(name, content, **options):
    frame = pd.read_csv(io.StringIO(content), **options)
    text(name, content, pa.Table.from_pandas(frame, preserve_index=False))


csv('plain.csv', 'id,name,score,ok,when\n' + ''.join(f'{i},"say ""{words[i % 9]}"", then\nmore",{i / 4},{i % 2 == 0},2024-01-{i % 28 + 1:02}\n' for i in range(20)))
csv('gaps.csv', 'a,b,c,d\r\n1,,NA,true\r\n,x y,2.5,\r\n\r\n3,5" wide,nan,false\r\n')
csv('names.csv', 'a,a,,b\n1,2,3,4\n5,6\n')
csv('marked.csv', '\ufeffid,text\n1,ä\n'.replace('\ufeff', ''), )
csv('numbers.csv', 'int,big,exp,neg,mixed\n1,9223372036854775807,1e3,-5,1\n2,-1,2.5E-2,-6,two\n')
csv('tabs.tsv', 'a\tb\n1\tx,y\n2\t"q\tz"\n', sep='\t')
packed = 'id,text\n' + ''.join(f'{i},{sentence(i)}\n' for i in range(40))
text('packed.csv.gz', gzip.compress(packed.encode(), mtime=0), pa.Table.from_pandas(pd.read_csv(io.StringIO(packed)), preserve_index=False))

lines = [{'id': i, 'text': sentence(i), 'score': i if i % 2 else i / 2, 'tags': ints(i), 'meta': {'a': None, 'b': [{'c': i}]},
          'at': f'2024-01-02 03:04:{i % 60:02}', 'day': '2024-02-03'} for i in range(20)]
lines[7] |= {'late': True}
content = ''.join(json.dumps(line, ensure_ascii=False) + '\n' for line in lines)
text('lines.jsonl', content, paj.read_json(io.BytesIO(content.encode())))
text('list.json', json.dumps(lines, indent=1), paj.read_json(io.BytesIO(content.encode())))
text('strings.json', '["a", "b\\n", "c"]', pa.table({'text': ['a', 'b\n', 'c']}))
text('plain.txt', 'one\n\nthree\r\nfour', pa.table({'text': ['one', '', 'three', 'four']}))
print(sum(f.stat().st_size for f in out.iterdir()), 'bytes in', len(list(out.iterdir())), 'files')
