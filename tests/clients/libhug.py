"""python libhug.py LIBRARY MODEL DTYPE < prompts.json: the logits behind each prompt, on stdout as f32."""
import ctypes, json, sys


class Error(ctypes.Structure):
    _fields_ = [('kind', ctypes.c_char * 32), ('text', ctypes.c_char * 512)]


library, path, dtype = sys.argv[1:]
hug = ctypes.CDLL(library)
hug.hug_model_open.restype = ctypes.c_void_p
hug.hug_model_logits.restype = ctypes.c_void_p
hug.hug_model_vocab_size.restype = ctypes.c_int64
error = Error()
model = ctypes.c_void_p(hug.hug_model_open(path.encode(), dtype.encode(), ctypes.byref(error)))
if not model:
    sys.exit(error.text.decode())
size = hug.hug_model_vocab_size(model) * ctypes.sizeof(ctypes.c_float)
for ids in json.load(sys.stdin):
    logits = hug.hug_model_logits(model, (ctypes.c_int32 * len(ids))(*ids), ctypes.c_size_t(len(ids)), ctypes.byref(error))
    if not logits:
        sys.exit(error.text.decode())
    sys.stdout.buffer.write(ctypes.string_at(logits, size))
hug.hug_model_free(model)
