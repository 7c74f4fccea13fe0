/* The table of architectures, and models opened from files.
 *
 * To add an architecture: write one file with one `const Architecture`, and name it in registry.c.
 * docs/how-to/add-a-model.md walks through it.
 * Threads: a Model is immutable once opened, and may be shared. */
#pragma once

#include "nn/nn.h"

/* Ending with NULL. */
extern const Architecture *const architectures[];

/* The architecture that a configuration asks for: by "architectures", else by "model_type".
 * ERR_UNSUPPORTED says which it is and lists those we have. */
const Architecture *architecture_find(const json_t *config, Error *err);

typedef struct Model {
    Arena *arena;
    const Architecture *architecture;
    json_t *config_json;
    void *config; // the architecture's own struct
    Weights *weights;
    KvSpec kv;     // of a cache for one sequence; capacity: as many positions as the model takes
    int64_t vocab; // width of the logits
    int layers;
    bool tied; // the output layer's weight is the embedding's
} Model;

/* path is what checkpoint_open takes; dtype is weight_policy_parse's, NULL for "auto". Every
 * parameter is checked and made ready here, so that a model that opens also runs. A folder with
 * adapter_config.json is an adapter: the model it names, with its values beside. */
Model *model_open(const char *path, const char *dtype, Error *err);
/* The same to be trained: all weights are f32 values with gradients (weights_count, weights_at),
 * and products are of this precision. */
Model *model_open_trainable(const char *path, Precision precision, Error *err);
/* A new model to be trained: path is a folder with a config.json; its parameters begin at random,
 * the same for equal seeds. */
Model *model_begin(const char *path, Precision precision, uint64_t seed, Error *err);
/* A model with adapters to be trained, and nothing else of it; lora without targets and not all
 * layers: the architecture's own. adapters: a folder to go on from, or NULL to begin. */
typedef struct AdapterOptions {
    Lora lora;
    bool all_layers;
    Precision precision;
    uint64_t seed;
    const char *adapters;
} AdapterOptions;
Model *model_open_adapted(const char *path, const AdapterOptions *options, Error *err);
void model_free(Model *m);
AUTO_FREE(Model, model_free)

/* A graph of one step for T tokens, which the cache's spans divide among sequences, with the logits
 * of R of them. */
typedef struct StepGraph {
    Graph *graph;
    Tensor *tokens, *positions, *wanted; // inputs: [1,T], [1,T], [R]
    Tensor *logits;                      // output: [R,V]
    Tensor *states;                      // [1,T,E], if they are asked for
    Tensor *early[INSIDE_LAYERS];        // [R,V] for each of the layers
    KvSpec kv;                           // what its cache must hold, capacity aside
    int64_t n, rows;                     // T, R
    int layers;
} StepGraph;

/* inside may be NULL. */
bool step_graph_build(StepGraph *out, const Model *m, int64_t n, int64_t rows, const Inside *inside,
                      Error *err);
void step_graph_done(StepGraph *s);
