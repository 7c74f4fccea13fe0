/* Low-rank adapters: beside the matrix W [out,in] of a linear layer, A [r,in] and B [out,r], so
 * that y = W x + scale * B A x. Only they are trained, and only they are stored, in the files that
 * the peft library writes: adapter_config.json and adapter_model.safetensors. Source: Hu 2021,
 * arXiv:2106.09685.  Threads: free of state. */
#pragma once

#include "base/json.h"

typedef struct Lora {
    int64_t r;
    double alpha, dropout; // scale is alpha / r
    bool rslora;           // scale is alpha / sqrt(r); Kalajdzievski 2023, arXiv:2312.03732
    // Ends of layers' names ("q_proj"), ending with NULL; NULL: all linear layers but the head.
    const char *const *targets;
} Lora;

float lora_scale(const Lora *l);
/* Whether a layer has an adapter; `numbered`: it is inside a row of layers, not the head. */
bool lora_has(const Lora *l, const char *layer, bool numbered);

/* Reads adapter_config.json; texts go to the arena. ERR_UNSUPPORTED names what we do not do (DoRA,
 * trained biases, ranks by layer, ...). */
bool lora_read(Lora *l, const json_t *config, Arena *a, Error *err);
/* And writes it. transposed: the layers are Conv1D. The caller's. */
json_t *lora_json(const Lora *l, const char *base_model, bool transposed);

/* "base_model.model.LAYER.lora_A.weight" into out. */
enum { LORA_NAME = 600 };
void lora_name(const char *layer, char which, char out[LORA_NAME]);
