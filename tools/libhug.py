"""libhug's tokenizers for Python scripts, by ctypes: see include/hug/tokenizer.h."""
import ctypes, os
from ctypes import POINTER, c_bool, c_char_p, c_int, c_int8, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_void_p
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parent.parent
STRATEGIES = [None, 'longest_first', 'only_first', 'only_second']


class HugError(ctypes.Structure):
    _fields_ = [('kind', ctypes.c_char * 32), ('text', ctypes.c_char * 512)]


class Text(ctypes.Structure):
    _fields_ = [('text', c_char_p), ('bytes', c_size_t), ('pair', c_char_p), ('pair_bytes', c_size_t)]


class Options(ctypes.Structure):
    _fields_ = [('special', c_bool), ('offsets', c_bool), ('details', c_bool), ('truncate', c_int), ('truncate_left', c_bool),
                ('max_length', c_int64), ('stride', c_int64), ('pad', c_bool), ('pad_left', c_bool), ('pad_length', c_int64),
                ('pad_to_multiple_of', c_int64), ('pad_id', c_int32), ('pad_type_id', c_int32), ('threads', c_int)]


class Tokens(ctypes.Structure):
    _fields_ = [('n', c_size_t), ('ids', POINTER(c_int32)), ('offsets', POINTER(c_uint32)), ('words', POINTER(c_int32)),
                ('type_ids', POINTER(c_int32)), ('attention_mask', POINTER(c_uint8)), ('special_tokens_mask', POINTER(c_uint8)),
                ('sequences', POINTER(c_int8)), ('n_overflow', c_size_t)]

    def array(self, name):
        """A copy; offsets come in rows of two."""
        pointer = getattr(self, name)
        n = self.n * (2 if name == 'offsets' else 1)
        if not pointer or not n:
            return numpy.zeros((0, 2) if name == 'offsets' else 0, dtype=numpy.int64)
        flat = numpy.ctypeslib.as_array(pointer, shape=(n,)).astype(numpy.int64)
        return flat.reshape(-1, 2) if name == 'offsets' else flat


def library():
    lib = ctypes.CDLL(os.environ.get('LIBHUG', str(ROOT / 'build/src/libhug.so')))
    lib.hug_tokenizer_open.restype = lib.hug_tokenizer_encode_batch.restype = lib.hug_decode_stream_new.restype = c_void_p
    lib.hug_tokenizer_open.argtypes = [c_char_p, POINTER(HugError)]
    lib.hug_tokenizer_free.argtypes = lib.hug_batch_free.argtypes = lib.hug_text_free.argtypes = lib.hug_decode_stream_free.argtypes = [c_void_p]
    lib.hug_tokenizer_encode_batch.argtypes = [c_void_p, POINTER(Text), c_size_t, POINTER(Options), POINTER(HugError)]
    lib.hug_batch_tokens.restype = Tokens
    lib.hug_batch_tokens.argtypes = [c_void_p, c_size_t, c_size_t]
    lib.hug_tokenizer_decode_all.restype = c_void_p
    lib.hug_tokenizer_decode_all.argtypes = [c_void_p, POINTER(c_int32), c_size_t, POINTER(c_size_t)]
    lib.hug_decode_stream_new.argtypes = [c_void_p, c_bool]
    lib.hug_decode_stream_add.restype = lib.hug_decode_stream_finish.restype = c_void_p
    lib.hug_decode_stream_add.argtypes = [c_void_p, c_int32, POINTER(c_size_t)]
    lib.hug_decode_stream_finish.argtypes = [c_void_p, POINTER(c_size_t)]
    return lib


class Tokenizer:
    def __init__(self, path):
        self.lib = library()
        err = HugError()
        self.ptr = self.lib.hug_tokenizer_open(os.fsencode(path), err)
        if not self.ptr:
            raise ValueError(err.text.decode(errors='replace'))

    def __del__(self):
        if getattr(self, 'ptr', None):
            self.lib.hug_tokenizer_free(self.ptr)

    def encode(self, texts, windows=False, **options):
        """texts: bytes, or pairs of bytes. A list of Tokens-like dicts of arrays; with windows each has
        `overflowing`, a list of the same."""
        rows = (Text * len(texts))()
        for row, text in zip(rows, texts):
            first, second = text if isinstance(text, tuple) else (text, None)
            row.text, row.bytes = first, len(first)
            if second is not None:
                row.pair, row.pair_bytes = second, len(second)
        err = HugError()
        batch = self.lib.hug_tokenizer_encode_batch(self.ptr, rows, len(texts), Options(**options), err)
        if not batch:
            raise ValueError(err.text.decode(errors='replace'))
        names = ['ids'] + ['offsets'] * bool(options.get('offsets')) + [
            'words', 'type_ids', 'attention_mask', 'special_tokens_mask', 'sequences'] * bool(options.get('details'))
        out = []
        for i in range(len(texts)):
            t = self.lib.hug_batch_tokens(batch, i, 0)
            one = {name: t.array(name) for name in names}
            if windows:
                parts = [self.lib.hug_batch_tokens(batch, i, k + 1) for k in range(t.n_overflow)]
                one['overflowing'] = [{name: p.array(name) for name in names} for p in parts]
            out.append(one)
        self.lib.hug_batch_free(batch)
        return out

    def count(self, texts, offsets=False, threads=1):
        """How many tokens, nothing copied: for timing."""
        rows = (Text * len(texts))()
        for row, text in zip(rows, texts):
            row.text, row.bytes = text, len(text)
        err = HugError()
        batch = self.lib.hug_tokenizer_encode_batch(self.ptr, rows, len(texts), Options(offsets=offsets, threads=threads), err)
        if not batch:
            raise ValueError(err.text.decode(errors='replace'))
        n = sum(self.lib.hug_batch_tokens(batch, i, 0).n for i in range(len(texts)))
        self.lib.hug_batch_free(batch)
        return n

    def decode(self, ids):
        ids = numpy.ascontiguousarray(ids, dtype=numpy.int32)
        n = c_size_t()
        text = self.lib.hug_tokenizer_decode_all(self.ptr, ids.ctypes.data_as(POINTER(c_int32)), len(ids), n)
        out = ctypes.string_at(text, n.value)
        self.lib.hug_text_free(text)
        return out

    def stream(self, ids, skip_special=False):
        """What each id gives, and what was left at the end."""
        d = self.lib.hug_decode_stream_new(self.ptr, skip_special)
        n = c_size_t()
        out = [ctypes.string_at(self.lib.hug_decode_stream_add(d, int(i), n), n.value) for i in ids]
        out.append(ctypes.string_at(self.lib.hug_decode_stream_finish(d, n), n.value))
        self.lib.hug_decode_stream_free(d)
        return out
