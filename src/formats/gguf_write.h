/* Writing GGUF files, version 3; reading them is checkpoint_open's and gguf.h's.
 *
 *     AUTO(gguf_writer_free) GgufWriter *w = gguf_writer_new();
 *     gguf_put_str(w, "general.architecture", S("llama"));
 *     ok = gguf_write(path, w, tensors, n, NULL, err);
 *
 * A key that is put twice keeps its last value. Source: the GGUF format description (ggml).
 * Threads: a GgufWriter belongs to one thread at a time. */
#pragma once

#include "formats/feed.h"
#include "formats/gguf.h"

typedef struct GgufWriter GgufWriter;
GgufWriter *gguf_writer_new(void) __attribute__((returns_nonnull));
void gguf_writer_free(GgufWriter *w);
AUTO_FREE(GgufWriter, gguf_writer_free)

void gguf_put_str(GgufWriter *w, const char *key, Str value);
void gguf_put_u32(GgufWriter *w, const char *key, uint32_t value);
void gguf_put_f32(GgufWriter *w, const char *key, float value);
void gguf_put_flag(GgufWriter *w, const char *key, bool value);
void gguf_put_strs(GgufWriter *w, const char *key, const Str *items, size_t n);
void gguf_put_i32s(GgufWriter *w, const char *key, const int32_t *items, size_t n);
void gguf_put_f32s(GgufWriter *w, const char *key, const float *items, size_t n);
/* Every value of another file, in its own type. */
void gguf_put_all(GgufWriter *w, const Gguf *from);
bool gguf_writer_has(const GgufWriter *w, const char *key);
/* A model's configuration in GGUF's words below "ARCH.": what the table of gguf_config.c can say.
 * `config` has the spelling of config.json. */
void gguf_put_config(GgufWriter *w, const char *arch, const json_t *config);

/* Writes path atomically and durably: the metadata in the order in which they were put, then the
 * tensors in the order given, each at a multiple of 32 bytes. feed is as for safetensors_write.
 * ERR_UNSUPPORTED for a type without a GGUF code (f8, unsigned), ERR_LIMIT past four dimensions. */
bool gguf_write(const char *path, const GgufWriter *w, const StoredTensor *tensors, size_t n,
                const TensorFeed *feed, Error *err);
