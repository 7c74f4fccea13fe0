/* Writing safetensors files; reading them is checkpoint_open's.
 * Layout: u64 header length, a JSON header {"name": {"dtype", "shape", "data_offsets"}} padded with
 * spaces to a multiple of 8, then the tensors without gaps. Source: the safetensors format
 * description, version 0.8. */
#pragma once

#include "formats/feed.h"

/* Writes path atomically and durably, byte for byte as the reference library does: tensors by type
 * (widest first), then name. metadata is an object of strings or NULL; transformers asks for
 * {"format": "pt"}. feed gives the bytes of tensors without data, NULL if all have them. Block
 * types have no name in this format: ERR_UNSUPPORTED. */
bool safetensors_write(const char *path, const StoredTensor *tensors, size_t n,
                       const json_t *metadata, const TensorFeed *feed, Error *err);

typedef struct SafetensorsSave {
    const json_t *metadata; // as above; NULL: {"format": "pt"}
    const TensorFeed *feed;
    int64_t max_shard_size; // bytes; 0: 5 GB, as transformers
} SafetensorsSave;

/* Writes a model's weights into an existing folder as save_pretrained does: model.safetensors, or
 * model-00001-of-0000N.safetensors and model.safetensors.index.json where they pass max_shard_size.
 * Tensors are dealt out in the order given; one larger than a shard gets its own. Weight files of
 * an earlier save that are no longer needed go at the end. Each file is replaced atomically; where
 * a crash between two shards must not leave old and new side by side, save into a fresh folder. */
bool safetensors_save(const char *folder, const StoredTensor *tensors, size_t n,
                      const SafetensorsSave *how, Error *err);
