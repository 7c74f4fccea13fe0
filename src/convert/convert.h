/* Models from one file format, or one type of weights, to another.
 *
 * Tensors are streamed: what is in memory at once is the source's mapped pages and a few megabytes
 * a thread. The result appears under its name only when it is whole and safe on the disk.
 * Threads: free of state; a conversion uses all processors. */
#pragma once

#include "base/error.h"

#include <stdint.h>

typedef struct ConvertOptions {
    const char *format;     // "safetensors" or "gguf"
    const char *dtype;      // see recipe_names; NULL or "auto": as stored, where the format can
    int64_t max_shard_size; // bytes; 0: 5 GB
    bool quiet;             // no progress bar
} ConvertOptions;

/* source is what checkpoint_open takes. To safetensors, destination is a folder, which gets the
 * weights with config.json and the tokenizer's files, or a .safetensors file for the weights alone;
 * to GGUF it is a .gguf file, or a folder in which model.gguf is written. A folder that exists
 * keeps its other files. ERR_UNSUPPORTED says what the format, or an architecture, cannot express.
 */
bool convert_model(const char *source, const char *destination, const ConvertOptions *how,
                   Error *err);

/* "auto, f32, ... ": what dtype may be. */
void recipe_names(char *out, size_t size);
