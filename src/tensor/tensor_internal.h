/* What the files of tensor/ share: graphs and tensors, the operation table, weights, caches. */
#pragma once

#include "tensor/kernels_internal.h"
#include "tensor/tensor.h"

enum { MAX_INPUTS = 8 };

typedef struct Op Op;
typedef struct Piece Piece;

/* Gradients of views and where in the base's gradient they go; see gradient.c. */
enum { JOIN_PARTS = MAX_INPUTS - 1, MARKS_STEP = 64 };
typedef struct Join {
    int64_t strides[SHAPE_MAX_RANK]; // of the result
    const Tensor *views[JOIN_PARTS]; // of the base, one for each part
    bool tiled;                      // the parts cover all of it once
} Join;

/* Pooling and resizing; see spatial.c. */
typedef enum SpatialKind {
    SPATIAL_MAX,
    SPATIAL_AVERAGE,
    SPATIAL_ADAPTIVE,
    SPATIAL_RESIZE
} SpatialKind;
typedef struct Spatially {
    SpatialKind kind;
    Window window;
    Resize resize;
} Spatially;

/* What an operation needs to know beside its inputs. */
typedef struct Params {
    float factor; // scale, eps
    Activation activation;
    bool transposed;
    Rope rope;
    bool inverse; // of the rotation
    bool centred; // layer_norm, not rms_norm
    Attend attend;
    CrossEntropy cross_entropy;
    Conv conv; // of a group norm the groups
    Spatially spatially;
    Shape shape;      // of a result that no input has
    const Join *join; // of the graph's
    uint32_t stream;  // of random numbers
} Params;

/* A value of the graph: a node with memory of its own, or a view of one. */
struct Tensor {
    const Op *op; // NULL: input, parameter or view
    Shape shape;
    int64_t strides[SHAPE_MAX_RANK]; // in elements
    DType type;
    Tensor *in[MAX_INPUTS];
    Params params;
    Graph *graph;
    Weight *weight; // of a parameter
    Tensor *base;   // whose memory it lies in; itself unless a view
    int64_t offset; // in elements, from base's start
    bool input, output;
    int64_t kept; // floats behind the values that the run leaves there for a gradient

    // While the backward pass is built.
    bool differentiable; // a trainable weight is behind it
    Tensor *gradient;
    Piece *pieces;

    // What the plan says.
    int index;    // place in the graph's order
    bool needed;  // an output depends on it
    int uses;     // how often needed operations read it or a view of it
    Tensor *user; // one that does, directly
    int last_use; // step behind which its memory is free
    // A linear layer with operations fused behind it runs as the last of them, its tail, and writes
    // that one's memory.
    Tensor *tail, *head;
    bool fused; // runs as part of a tail
    Activation activation;
    Tensor *factor, *addend;
    size_t place; // bytes from the start of the graph's memory
    char *data;   // of bases
};

/* One operation. Adding one means its code above, one row in ops.c and its builder there. */
struct Op {
    const char *name;
    /* Sets t->shape from t->in and t->params, or records the graph's failure. */
    void (*shape)(Graph *g, Tensor *t);
    /* Computes t; inputs are ready. */
    void (*run)(const Tensor *t);
    /* Looks at run-time inputs before anything runs; NULL if nothing can be wrong. */
    bool (*check)(const Tensor *t, Error *err);
    /* Bytes of working memory; NULL for none. */
    size_t (*scratch)(const Tensor *t);
    /* Adds to the graph what computes the inputs' gradients from t's; NULL: not differentiable. */
    void (*gradient)(Graph *g, Tensor *t, Tensor *dt);
    bool in_place; // may write over its first input
    bool effect;   // adds to weights' gradients: runs though nobody reads its result
    /* What may run inside it when nobody else reads what lies between; see plan.c. */
    enum { FUSES_NOTHING, FUSES_ACTIVATION, FUSES_ALL } fuses;
};

/* The operation table. */
#define OPS(X)                                                                                     \
    X(OP_ADD)                                                                                      \
    X(OP_SUB)                                                                                      \
    X(OP_MUL)                                                                                      \
    X(OP_SCALE)                                                                                    \
    X(OP_ACTIVATE)                                                                                 \
    X(OP_SOFTMAX)                                                                                  \
    X(OP_RMS_NORM)                                                                                 \
    X(OP_LAYER_NORM)                                                                               \
    X(OP_LINEAR)                                                                                   \
    X(OP_EMBED)                                                                                    \
    X(OP_TAKE_ROWS)                                                                                \
    X(OP_ROPE_TABLE)                                                                               \
    X(OP_ROPE)                                                                                     \
    X(OP_COPY)                                                                                     \
    X(OP_ATTEND)                                                                                   \
    X(OP_ATTEND_DENSE)                                                                             \
    X(OP_ATTEND_BACKWARD)                                                                          \
    X(OP_CONV)                                                                                     \
    X(OP_CONV_TRANSPOSE)                                                                           \
    X(OP_CONV_GRADIENT)                                                                            \
    X(OP_GROUP_NORM)                                                                               \
    X(OP_GROUP_NORM_GRADIENT)                                                                      \
    X(OP_BATCH_NORM)                                                                               \
    X(OP_SPATIAL)                                                                                  \
    X(OP_SPATIAL_GRADIENT)                                                                         \
    X(OP_SUM_ROWS)                                                                                 \
    X(OP_EXPAND)                                                                                   \
    X(OP_DROPOUT)                                                                                  \
    X(OP_NOISE)                                                                                    \
    X(OP_CROSS_ENTROPY)                                                                            \
    X(OP_CROSS_ENTROPY_GRADIENT)                                                                   \
    X(OP_ACCUMULATE)                                                                               \
    X(OP_JOIN)                                                                                     \
    X(OP_ACTIVATE_GRADIENT)                                                                        \
    X(OP_SOFTMAX_GRADIENT)                                                                         \
    X(OP_NORM_GRADIENT)                                                                            \
    X(OP_LINEAR_GRADIENT)                                                                          \
    X(OP_EMBED_GRADIENT)                                                                           \
    X(OP_SCATTER_ROWS)

typedef enum OpCode {
#define X(code) code,
    OPS(X)
#undef X
        OP_COUNT
} OpCode;
extern const Op ops[OP_COUNT];
static inline bool tensor_is(const Tensor *t, OpCode code)
{
    return t->op == &ops[code];
}

struct Graph {
    Arena *arena;
    Error error;
    Tensor **tensors; // in order of building: an order of execution
    int n, cap;
    Tensor nowhere; // what failed builders return
    GraphMode mode;
    uint64_t seed;    // of dropout
    uint32_t streams; // dropouts so far
    int *marks;       // checkpoints: segments begin at these tensors
    int n_marks;
    bool use_marks;
    KvCache *cache;
    bool planned;
    Tensor **steps; // what runs, in order
    int n_steps;
    char *memory;
    size_t memory_bytes;
    char *scratch; // shared by the steps
};

/* What one of its dropouts goes by in this run. */
static inline uint64_t dropout_seed(const Graph *g, uint32_t stream)
{
    return g->seed + (stream + UINT64_C(1)) * UINT64_C(0x9E3779B97F4A7C15);
}

/* A new tensor of the graph, contiguous when its shape is set. */
Tensor *graph_add(Graph *g, const Op *op, DType type);
/* Builds a node: op's shape rule runs, strides become contiguous unless the rule set them. */
Tensor *graph_node(Graph *g, const Op *op, const Params *params, Tensor *a, Tensor *b, Tensor *c,
                   Tensor *d);
/* The same for more inputs. */
Tensor *graph_node_of(Graph *g, const Op *op, const Params *params, Tensor *const in[MAX_INPUTS]);
Tensor *graph_view(Graph *g, Tensor *of, const Shape *shape, const int64_t *strides,
                   int64_t offset);
/* A contiguous copy of t. */
Tensor *graph_add_copy(Graph *g, Tensor *t);
bool graph_plan(Graph *g, Error *err);

/* What the gradient column holds, and the rows that it makes use of; in gradient_ops.c and
 * gradient_run.c, gradient_linear.c and loss.c. */
typedef void GradientRule(Graph *g, Tensor *t, Tensor *dt);
GradientRule gradient_add_op, gradient_sub, gradient_mul, gradient_scale, gradient_activate,
    gradient_softmax, gradient_rms_norm, gradient_layer_norm, gradient_linear, gradient_embed,
    gradient_take_rows, gradient_rope, gradient_copy, gradient_attend, gradient_sum_rows,
    gradient_expand, gradient_dropout, gradient_cross_entropy;
typedef void ShapeRule(Graph *g, Tensor *t);
ShapeRule shape_given, shape_effect, shape_join, shape_cross_entropy;
typedef void Runner(const Tensor *t);
Runner run_sum_rows, run_expand, run_dropout, run_noise, run_cross_entropy,
    run_cross_entropy_gradient, run_accumulate, run_join, run_activate_gradient,
    run_softmax_gradient, run_norm_gradient, run_linear_gradient, run_embed_gradient,
    run_scatter_rows;
size_t scratch_norm_gradient(const Tensor *t);
size_t scratch_linear_gradient(const Tensor *t);
bool check_labels(const Tensor *t, Error *err);

/* Row i of those that t has in its last dimension, from the start of its values. */
int64_t tensor_row(const Tensor *t, int64_t i);
/* The pool passes a context that its tasks may change; a tensor's are only read. */
static inline void *context_of(const Tensor *t)
{
    return (void *)(uintptr_t)t;
}
/* range(t, from, to) over the rows of t, some together. */
void run_rows(const Tensor *t, void (*range)(void *context, int64_t from, int64_t to));
/* The builders' ways to operands. */
Tensor *operand_f32(Graph *g, const char *name, Tensor *t); // NULL stays
Tensor *op_linear_either(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, bool transposed);
Tensor *op_rope_table(Graph *g, Tensor *positions, const Rope *rope, bool inverse);
Tensor *op_turn(Graph *g, Tensor *x, Tensor *table, const Rope *rope);

/* What the rows of the table call; in run.c, linear.c and attend.c. */
void run_binary(const Tensor *t);
void run_scale(const Tensor *t);
void run_activate(const Tensor *t);
void run_softmax(const Tensor *t);
void run_rms_norm(const Tensor *t);
void run_layer_norm(const Tensor *t);
void run_embed(const Tensor *t);
void run_take_rows(const Tensor *t);
void run_rope_table(const Tensor *t);
void run_rope(const Tensor *t);
void run_copy(const Tensor *t);
bool check_indices(const Tensor *t, Error *err);
bool check_linear(const Tensor *t, Error *err);
void run_linear(const Tensor *t);
size_t scratch_linear(const Tensor *t);
bool check_attend(const Tensor *t, Error *err);
Runner run_conv, run_conv_gradient, run_group_norm, run_group_norm_gradient, run_batch_norm,
    run_spatial, run_spatial_gradient;
bool check_conv(const Tensor *t, Error *err);
size_t scratch_conv(const Tensor *t);
size_t scratch_conv_gradient(const Tensor *t);
size_t scratch_group_norm(const Tensor *t);
ShapeRule shape_conv, shape_conv_transpose, shape_group_norm, shape_spatial;
GradientRule gradient_conv, gradient_group_norm, gradient_batch_norm, gradient_spatial;
void run_attend(const Tensor *t);
size_t scratch_attend(const Tensor *t);
void run_attend_dense(const Tensor *t);
size_t scratch_attend_dense(const Tensor *t);
/* The gradients of q, k and v into out, from dt, that of the attention t; t keeps what they need.
 * dt has rows without gaps. */
void attend_backward(Graph *g, Tensor *t, Tensor *dt, Tensor *out[3]);
void shape_attend_backward(Graph *g, Tensor *t);
void run_attend_backward(const Tensor *t);
size_t scratch_attend_backward(const Tensor *t);

bool shape_is_sane(const Shape *s);
void strides_of(const Shape *s, int64_t strides[SHAPE_MAX_RANK]);
bool tensor_is_contiguous(const Tensor *t);
/* Rows of t without gaps between the values of a row, and one distance from row to row. */
bool tensor_has_rows(const Tensor *t, int64_t *stride);
static inline int64_t tensor_count(const Tensor *t)
{
    return shape_count(&t->shape);
}
/* Where t's values are while the graph runs. */
static inline void *tensor_ptr(const Tensor *t);
static inline float *tensor_f32(const Tensor *t)
{
    return tensor_ptr(t);
}
static inline int64_t tensor_width(const Tensor *t) // of the last dimension
{
    return t->shape.dims[t->shape.rank - 1];
}

/* Memory for large things: zeroed, page-aligned. Dense: all of it will be used, in huge pages where
 * the system likes. Sparse: pages are taken as they are touched. */
typedef enum PagesKind { PAGES_DENSE, PAGES_SPARSE } PagesKind;
void *pages_new(size_t bytes, PagesKind kind, Error *err);
void pages_free(void *pages, size_t bytes);

/* A weight packed for linear layers; memory is NULL until one is built. */
typedef struct Panels {
    void *memory;
    size_t bytes;
    Packing packing;
    DType type; // in the panels
    int64_t in, out;
    bool transposed; // the weight lies as [in,out]
    int64_t groups;  // of a convolution's weight (weight_conv.c); 0: it is a linear layer's
    bool winograd;   // it is one of PANELS_CONV_WINOGRAD
} Panels;

/* The ways that a weight may be read. */
enum {
    PANELS_LINEAR,
    PANELS_TRANSPOSED,
    PANELS_CONV,
    PANELS_CONV_TRANSPOSED,
    PANELS_CONV_WINOGRAD, // a convolution's in another basis (conv_winograd.c)
    PANELS_COUNT
};

struct Weight {
    WeightSpec spec;
    Arena *arena;
    float *values;   // all of it as f32: for vectors, and where an operation wants it so
    float *gradient; // of a trainable weight
    bool zeroed;     // all of it is 0, whatever the memory says: who adds first may write instead
    Panels panels[PANELS_COUNT];
};

static inline void *tensor_ptr(const Tensor *t)
{
    const Tensor *base = t->base;
    char *data = base->weight ? (char *)base->weight->values : base->data;
    return data + (size_t)t->offset * sizeof(float); // f32 and i32 are all there is
}

/* Makes the gradient's memory zeros if they are still to be written. */
void weight_write_zeros(Weight *w);
/* Reads all values as f32 unless that is done. */
bool weight_read(Weight *w, Error *err);
/* Packs the weight unless it is already, as [out,in] or, transposed, [in,out]. */
bool weight_pack(Weight *w, bool transposed, Error *err);
/* The same as one of the PANELS_CONV of so many groups. */
bool weight_pack_conv(Weight *w, int64_t groups, int as, Error *err);
void weight_fill_conv(const Weight *w, const Panels *to);
void panels_release(void *panels);
static inline const void *panel_at(const Panels *p, int64_t panel)
{
    return (const char *)p->memory + (size_t)panel * packing_bytes(p->packing, p->in);
}

/* The spans of the current step. */
const KvSpan *kv_cache_spans(const KvCache *c, size_t *n);
/* Rows [D], `stride` apart. */
typedef struct KvRows {
    const float *first;
    int64_t stride;
} KvRows;
/* Puts the keys and values of positions [position, position + n). Threads: different heads or
 * positions at once. */
void kv_cache_put(KvCache *c, int layer, int sequence, int64_t head, int64_t position, int64_t n,
                  KvRows keys, KvRows values);
/* The keys of a page's positions as a panel [D,PANEL]; the values as panels
 * [ceil(D/PANEL)][PANEL positions][PANEL]. Where they lie, or in `room` of kv_room_floats. */
const float *kv_cache_keys(const KvCache *c, int layer, int sequence, int64_t head, int64_t page,
                           float *room);
const float *kv_cache_values(const KvCache *c, int layer, int sequence, int64_t head, int64_t page,
                             float *room);
static inline size_t kv_room_floats(int64_t head_dim)
{
    return (size_t)(2 * ((head_dim + PANEL - 1) / PANEL) * PANEL * PANEL);
}
