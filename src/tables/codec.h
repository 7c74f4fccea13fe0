/* Codecs of pages: one block in, as many bytes out as the page's header promises. */
#pragma once

#include "base/str.h"

/* Fills out with exactly n bytes. ERR_UNSUPPORTED names a codec that we do not have; ERR_INVALID
 * where the bytes are no such block or come to another length. `codec` is Parquet's number. */
bool codec_unpack(int64_t codec, Str packed, uint8_t *out, size_t n, Error *err);
/* A whole gzip or zstd file of unknown length, told by its first bytes; out has the limit. */
bool codec_is_packed(Str start);
bool codec_unpack_file(Str packed, Buf *out, Error *err);
