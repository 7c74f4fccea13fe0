/* Writing safetensors files; reading them is checkpoint_open's.
 * Layout: u64 header length, a JSON header {"name": {"dtype", "shape", "data_offsets"}} padded with
 * spaces to a multiple of 8, then the tensors without gaps. Source: the safetensors format
 * description, version 0.8. */
#pragma once

#include "formats/checkpoint.h"

/* Writes path atomically and durably, byte for byte as the reference library does: tensors by type
 * (widest first), then name. metadata is an object of strings or NULL. Block types have no name in
 * this format: ERR_UNSUPPORTED. */
bool safetensors_write(const char *path, const StoredTensor *tensors, size_t n,
                       const json_t *metadata, Error *err);
