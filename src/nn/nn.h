/* Layers, and what an architecture is made of: a scope that names parameters as the checkpoint
 * does, and the step that a decoder takes.
 *
 * A model definition never sees weights, caches or types. It asks nn_linear(g, at(s, "q_proj"), x,
 * n) for a layer; the layer looks "….q_proj.weight" up, checks its shape against the file, and uses
 * it in the form that the kernels want (made once; later graphs share it). Threads: a graph and its
 * step belong to one thread; see nn/weights.h for the weights. */
#pragma once

#include "nn/rope.h"
#include "nn/weights.h"
#include "tensor/tensor.h"

#include <math.h>

/* Where layers look for their parameters. Plain data; the name lives as long as the graph. */
typedef struct Scope {
    Weights *weights;
    Graph *graph;
    const char *name; // "" at the root
    bool numbered;    // one of a row of layers
} Scope;

Scope nn_root(Graph *g, Weights *w);
/* The scope inside s that the format names: at(s, "h.%d", i). The outermost number says that a
 * layer begins, which is where a training graph may put a checkpoint. */
Scope at(Scope s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What may be asked of a decoder beside its logits. */
enum { INSIDE_LAYERS = 32 };
typedef struct Inside {
    bool states; // what the head reads, of all tokens
    // The logits that the head would give had the decoder ended before these layers; 0: the first.
    int layers[INSIDE_LAYERS], n_layers;
} Inside;

/* What a decoder is given to go on with: T more tokens of each of B sequences. */
typedef struct Step {
    Tensor *tokens;      // [B,T] i32
    Tensor *positions;   // [B,T] i32
    Tensor *wanted;      // [R] i32, rows of [B*T] whose logits are asked for; NULL: all
    Precision precision; // of attention's products where no cache is read
    float noise;         // of embedded tokens in training; see nn_embed_tokens
    KvSpec kv;           // nn_attend notes here what a cache must hold
    Inside inside;       // what is asked for; step_layer and nn_head give it:
    Tensor *states;      // [B,T,E]
    Tensor *inputs[INSIDE_LAYERS], *early[INSIDE_LAYERS]; // [B,T,E], [R,V]
    int layers;                                           // how many there are
} Step;

/* Says that x [B,T,E] goes into this layer. */
void step_layer(Step *step, int layer, Tensor *x);
/* Only the rows whose logits are asked for: [R,E] of x [B,T,E]; before the last norm and head. */
Tensor *step_wanted(Graph *g, const Step *step, Tensor *x);
/* The output layer: logits [R,V] of what step_wanted left, normed. */
Tensor *nn_head(Graph *g, Scope s, Step *step, Tensor *x, int64_t vocab);

/* x [...,I] times weight [O,I] of the scope, without bias: [...,O]. */
Tensor *nn_linear(Graph *g, Scope s, Tensor *x, int64_t out);
/* The same with a bias [O] if `bias` is set: for models whose configuration decides. */
Tensor *nn_affine(Graph *g, Scope s, Tensor *x, int64_t out, bool bias);
/* The same with a bias, for weights stored [I,O]: GPT-2's Conv1D. */
Tensor *nn_conv1d(Graph *g, Scope s, Tensor *x, int64_t out);
/* nn_affine to heads * head_dim values, as heads: [B,T,I] to [B,H,T,D]. */
Tensor *nn_heads(Graph *g, Scope s, Tensor *x, int64_t heads, int64_t head_dim, bool bias);
/* Rows of weight [n,width] by ids [...]: [...,width]. */
Tensor *nn_embed(Graph *g, Scope s, Tensor *ids, int64_t n, int64_t width);
/* The same of the step's tokens; in training with noise where the step says so. */
Tensor *nn_embed_tokens(Graph *g, Scope s, const Step *step, int64_t n, int64_t width);
Tensor *nn_rms_norm(Graph *g, Scope s, Tensor *x, float eps);   // weight
Tensor *nn_layer_norm(Graph *g, Scope s, Tensor *x, float eps); // weight and bias
/* By the name in the configuration ("gelu_new"). Sticky ERR_UNSUPPORTED for one we do not have. */
Tensor *nn_activation(Graph *g, const char *name, Tensor *x);
/* Rotates heads [B,H,T,D]. Where a checkpoint brings a tensor "rope_freqs.weight" (GGUF's form of
 * llama3 scaling), the frequencies are divided by it. */
Tensor *nn_rope(Graph *g, Scope s, Tensor *x, const Step *step, const RopeConfig *rope);
/* Attends q [B,H,T,D] to k, v [B,K,T,D] and to what the cache holds of earlier steps, causally; of
 * `how` the scale (0: 1 / sqrt(D)) and the dropout count. Returns [B,H,T,D]. */
Tensor *nn_attend(Graph *g, Step *step, int layer, Tensor *q, Tensor *k, Tensor *v,
                  const Attend *how);

/* An architecture: one file in models/, one row in its table. */

enum { ARCH_NAMES = 8, ARCH_IGNORABLE = 16 };

typedef struct Architecture {
    const char *name;               // config.json's "model_type", and GGUF's "general.architecture"
    const char *claims[ARCH_NAMES]; // config.json's "architectures", ending with NULL
    size_t config_size;
    const Field *fields;
    size_t n_fields;
    bool (*prepare)(void *config, Error *err); // fills in what follows from the fields; may be NULL
    /* Logits [R,V] (all rows: [B,T,V]) of one step of a decoder. */
    Tensor *(*decoder)(Graph *g, Scope root, const void *config, Step *step);
    // Other spellings in files; see nn/stored.h.
    const char *prefix;
    const char *ignorable[ARCH_IGNORABLE]; // patterns of names no layer needs, ending with NULL
    const Rename *gguf_names;
    // Patterns of the matrices that end a residual path: those of a model that begins from scratch
    // are smaller by the root of twice the layers. Ending with NULL.
    const char *residual[ARCH_NAMES];
    const char *lora_targets[ARCH_NAMES]; // layers that adapters are for when nobody says which
    bool transposed;                      // linear layers are stored [in,out] (Conv1D)
} Architecture;

#define CONFIG(type, table) .config_size = sizeof(type), .fields = (table), .n_fields = COUNT(table)
/* A dimension that must be there; one that may be, 0 if absent. */
#define DIM(type, member, name)                                                                    \
    {                                                                                              \
        .key = (name), .kind = FIELD_INT, .offset = offsetof(type, member), .needed = true,        \
        .min = 1, .max = DIM_MAX                                                                   \
    }
#define DIM_OR_0(type, member, name) OPT_RANGE(type, member, INT, name, 0, 1, DIM_MAX)
#define DIM_MAX (1 << 24)
