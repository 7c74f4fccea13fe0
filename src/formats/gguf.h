/* The metadata of a GGUF file: typed values by dotted key ("llama.block_count",
 * "tokenizer.ggml.tokens"). They stay in the mapped file; these functions read them there, so that
 * a vocabulary of 150,000 strings costs nothing until somebody asks for it.
 * Source: the GGUF format description (ggml), versions 2 and 3.
 * Threads: immutable, may be shared. Lifetime: the checkpoint's. */
#pragma once

#include "formats/checkpoint.h"

bool gguf_has(const Gguf *g, const char *key);
/* The value of any integer or boolean type; false if absent or of another kind. */
bool gguf_int(const Gguf *g, const char *key, int64_t *out);
/* The value of any number type, or `otherwise`. */
double gguf_num(const Gguf *g, const char *key, double otherwise);
bool gguf_flag(const Gguf *g, const char *key, bool otherwise);
/* Borrowed from the file; empty if absent or not a string. */
Str gguf_str(const Gguf *g, const char *key);
/* The items of an array of strings, borrowed from the file, the array itself in the arena.
 * Returns how many; 0 with *out NULL if absent or of another kind. */
size_t gguf_strs(const Gguf *g, const char *key, Arena *a, Str **out);
/* The items of an array of any number type, or a single number as an array of one. */
size_t gguf_nums(const Gguf *g, const char *key, Arena *a, double **out);

/* Everything as JSON with flat dotted keys, for people and tools; arrays longer than `longest` are
 * given as {"length": n}. The caller's. */
json_t *gguf_to_json(const Gguf *g, size_t longest);
