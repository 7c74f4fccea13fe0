/* Tokenizers from one file format to the other: tokenizer.json (and the older files of a model
 * folder) into a GGUF file's metadata, and back.
 *
 * GGUF names the expression that splits words instead of carrying it, so only the expressions in
 * the table of tokenizer_gguf.c can be said there; it knows byte-level BPE and sentencepiece BPE.
 * Threads: free of state. */
#pragma once

#include "formats/gguf_write.h"
#include "text/tokenizer.h"

/* Puts the tokenizer of a model folder into w, with its roles and chat template. vocab is how many
 * rows the embedding has: missing tokens are filled up as unused. ERR_NOT_FOUND if the folder has
 * no tokenizer, ERR_UNSUPPORTED for one that GGUF cannot express. */
bool tokenizer_put_gguf(GgufWriter *w, const char *folder, int64_t vocab, Error *err);
/* Writes tokenizer.json and tokenizer_config.json into a folder, as transformers reads them.
 * ERR_NOT_FOUND if the file has no tokenizer. */
bool tokenizer_save_json(const Gguf *gguf, const char *folder, Error *err);
