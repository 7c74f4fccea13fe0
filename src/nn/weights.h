/* The parameters of one loaded model, in the form that the kernels read.
 *
 * Each is made when a layer first asks for it, and then shared by all graphs. The policy says in
 * which type matrices are kept; vectors (norms, biases) are f32, embedding tables stay as stored.
 * Threads: weights_find and weights_matrix write while the model's first graph is built; after
 * weights_seal a Weights is immutable and shared; trainable ones belong to the thread that trains.
 */
#pragma once

#include "nn/lora.h"
#include "nn/stored.h"
#include "tensor/tensor.h"

typedef struct Weights Weights;

/* How parameters begin where there is no checkpoint, as transformers' _init_weights: norms at 1,
 * biases at 0, all else normal around 0. Each is drawn from the seed and its name alone. */
typedef struct WeightInit {
    double deviation;
    double residual_deviation;   // of those that end a residual path (GPT-2's scaled ones)
    const char *const *residual; // patterns of their names as in stored.h, ending with NULL
    uint64_t seed;
} WeightInit;

typedef struct WeightPolicy {
    bool convert;        // else matrices stay in the file's type
    DType as;            // a matrix whose rows are no whole blocks of it becomes f32
    Precision precision; // of the products
    // All parameters are f32 values that may be written, with gradients, in the model's own shapes;
    // a table that is also a matrix (a tied head) is one.
    bool trainable;
    const WeightInit *init; // NULL: they come from the checkpoint; borrowed
} WeightPolicy;

/* "auto" (as stored), "f32", "bf16", "f16", "q8_0", "q4_0", ...; ERR_UNSUPPORTED lists them. Behind
 * it "+f32", "+bf16" or "+int8" may say how products are formed (Precision), as in "q4_1+int8";
 * without, bf16 weights have bf16 products and all others f32. */
bool weight_policy_parse(WeightPolicy *p, const char *name, Error *err);

/* c is consumed, also on failure; NULL with a policy that has an init. */
Weights *weights_new(Checkpoint *c, const StoredNames *names, const WeightPolicy *policy,
                     Error *err);
void weights_free(Weights *w);
AUTO_FREE(Weights, weights_free)

/* Gives linear layers adapters; said before any parameter is asked for. `adapters` has their values
 * and is consumed; NULL: they begin, A uniform and B zero, as peft's do. lora is borrowed. */
void weights_adapt(Weights *w, const Lora *lora, Checkpoint *adapters, bool trainable,
                   uint64_t seed);
const Lora *weights_lora(const Weights *w); // NULL: no adapters

typedef enum WeightUse {
    USE_MATRIX,            // [out,in] of a linear layer
    USE_TRANSPOSED_MATRIX, // [in,out] of one
    USE_TABLE,             // [n,width] of an embedding
    USE_VECTOR,            // a norm's or a bias's
} WeightUse;

/* The parameter of this name and shape (for USE_TRANSPOSED_MATRIX: [in,out]). *turned tells that
 * the matrix is [out,in] although [in,out] was asked for. ERR_NOT_FOUND or ERR_INVALID name it,
 * with what the model wants and what the file has. */
Weight *weights_find(Weights *w, const char *name, WeightUse use, Shape shape, bool *turned,
                     Error *err);
typedef struct Adapter {
    Weight *down, *up; // A [r,in] and B [out,r]; NULL: the layer has none
    float scale, dropout;
} Adapter;
/* The adapter of a linear layer, if it has one; `numbered` as in lora_has. */
bool weights_adapter(Weights *w, const char *layer, bool numbered, int64_t in, int64_t out,
                     Adapter *adapter, Error *err);
/* A vector that is small and read while building: n f32 values, borrowed. */
const float *weights_floats(Weights *w, const char *name, int64_t n, Error *err);
bool weights_have(const Weights *w, const char *name);
Precision weights_precision(const Weights *w); // of the products
/* All parameters have been asked for: ERR_INVALID if the file has others. */
bool weights_seal(Weights *w, Error *err);
/* All that were asked for, in that order; names are the model's. */
size_t weights_count(const Weights *w);
Weight *weights_at(const Weights *w, size_t i);
/* Bytes in memory: packed copies and the maps that are read in place. */
size_t weights_memory(const Weights *w);
const Checkpoint *weights_checkpoint(const Weights *w); // NULL for those that began here
