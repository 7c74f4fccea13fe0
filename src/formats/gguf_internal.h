/* What the parser, the writer and the configuration of GGUF share. */
#pragma once

#include "base/map.h"
#include "formats/formats_internal.h"
#include "formats/gguf.h"

enum { GGUF_MAX_RANK = 4, GGUF_ALIGNMENT = 32 };

/* The file's codes of value types. */
typedef enum GgufType {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STR,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES
} GgufType;

/* Bytes of a value, 0 where it varies. */
size_t gguf_type_size(GgufType type);

/* A value, or an array's n items of one type, as bytes of the file. */
typedef struct GgufValue {
    GgufType type;
    bool is_array;
    uint64_t n;
    const void *bytes;
    size_t size;
} GgufValue;

struct Gguf {
    Map values; // key -> GgufValue
};

typedef struct BlockType {
    uint32_t code;
    const char *name;
    int block, bytes;
    DType type; // DTYPE_COUNT: we do not read it
} BlockType;

const BlockType *block_type(uint32_t code); // NULL if unknown
const BlockType *block_type_of(DType type); // NULL if GGUF has none
