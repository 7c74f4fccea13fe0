/* Computation: graphs of tensor operations, the memory they run in, and their execution.
 *
 * Building and running are separate acts. A model's forward pass builds a Graph with the op_…
 * functions; nothing is computed. The first graph_run plans memory once (buffers are shared by
 * tensors that never live at the same time, views take none, operations that the kernels can fuse
 * are fused); later runs allocate nothing. What changes from run to run (token ids, positions, the
 * length of the key/value cache) is input, not shape, so one graph of one token serves a whole
 * decoding loop.
 *
 *     Graph *g = graph_new();
 *     Tensor *ids = graph_input(g, DTYPE_I32, SHAPE(1, 4));
 *     Tensor *x = op_embed(g, op_weight(g, table), ids);                     // [1,4,E]
 *     x = op_linear(g, op_rms_norm(g, x, op_weight(g, norm), 1e-5F), op_weight(g, head), NULL);
 *     graph_output(g, x);
 *     if (!graph_ok(g, err))               // asked once: a Graph remembers its first failure
 *         return false;
 *     memcpy(tensor_data(ids), tokens, sizeof tokens);
 *     if (!graph_run(g, err))
 *         return false;
 *     const float *logits = tensor_data(x); // until the next run
 *
 * Dimensions are outermost first. Activations are f32, indices i32; weights have any type.
 * Names in comments: B sequences, T tokens, E width, H heads, K key/value heads, D head size.
 * Threads: a Graph and a KvCache belong to one thread at a time; a Weight is immutable once the
 * first graph that uses it is built, and shared. Kernels run on one pool of HUG_THREADS threads
 * (default: the processors this process may use); graphs of several threads take turns on it. */
#pragma once

#include "base/dtype.h"
#include "base/memory.h"

#include <stdatomic.h>

/* Shapes. */

enum { SHAPE_MAX_RANK = 6 };

typedef struct Shape {
    int rank;
    int64_t dims[SHAPE_MAX_RANK]; // outermost first
} Shape;

#define SHAPE(...)                                                                                 \
    ((Shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                    \
             .dims = {__VA_ARGS__}})
bool shape_eq(const Shape *a, const Shape *b);
/* The product of the dimensions. */
int64_t shape_count(const Shape *s);
/* "[1,64,768]" into out, for messages; returns out. */
enum { SHAPE_TEXT = 128 };
const char *shape_format(const Shape *s, char out[SHAPE_TEXT]);

/* Weights: parameters as the checkpoint has them, packed once for the kernels that read them. */

typedef struct Weight Weight;

/* How the products of a linear layer are formed. */
typedef enum Precision {
    PRECISION_F32,  // activations stay f32; the weight's exact values are used
    PRECISION_BF16, // both factors are rounded to bf16, sums are f32; several rows at once only
    /* Permits products of bytes where they are faster. One row: activations are rounded to int8, 32
     * with one scale, and meet a quantised weight's exact codes. Several rows: both factors are
     * rounded, 128 inputs with one scale. A factor is wrong by at most 1/254 of the largest beside
     * it, so outliers cost their neighbours most: SmolLM2-135M's perplexity grows by 0.5 %. */
    PRECISION_INT8,
} Precision;
/* "f32", "bf16" or "int8". */
bool precision_parse(Str name, Precision *precision);

typedef struct WeightSpec {
    const char *name; // for messages; copied
    DType type;       // of the data
    Shape shape;      // rank 1; 2 of linear layers, 3 and 4 of convolutions
    const void *data; // row-major, any alignment, outlives the weight; NULL: known by shape only
    bool mapped; // the data lie in a read-only map of a file: once they are packed, their pages may
                 // go, and come back from the file if they are read again
    bool convert; // keep it in memory as `as` rather than in its own type
    DType as;
    Precision precision;
    // To be trained: the data are read once, as f32 values that an optimizer writes; a gradient
    // lies beside them. Without data they are what `values` holds, or zeros. PRECISION_BF16 packs
    // bf16 copies of the f32 values.
    bool trainable;
    float *values, *gradient; // memory of the shape to use, outlives the weight; NULL: its own
} WeightSpec;

/* The weight lives as long as the arena. ERR_INVALID if a row is not whole blocks, ERR_UNSUPPORTED
 * for types that cannot be read or (with convert) written. */
Weight *weight_new(Arena *a, const WeightSpec *spec, Error *err);
const Shape *weight_shape(const Weight *w);
const char *weight_name(const Weight *w);
DType weight_type(const Weight *w);
/* Bytes of packed copies, beside what the checkpoint maps. */
size_t weight_packed_bytes(const Weight *w);

/* Of a trainable weight, row-major f32 of its shape: the values, and the sum of the gradients of
 * all runs since weight_zero_gradient. NULL for other weights. Threads: written between runs, by
 * the thread that runs the graphs. */
float *weight_values(Weight *w);
float *weight_gradient(Weight *w);
void weight_zero_gradient(Weight *w);
/* The values were written: makes the packed copies anew. */
void weight_updated(Weight *w);

/* Graphs. */

typedef struct Graph Graph;
typedef struct Tensor Tensor;
typedef struct KvCache KvCache;

Graph *graph_new(void) __attribute__((returns_nonnull));
void graph_free(Graph *g);
AUTO_FREE(Graph, graph_free)
/* The graph's own memory, for what lives as long as it does. */
Arena *graph_arena(Graph *g);
/* False, and the first failure, if building went wrong anywhere. */
bool graph_ok(const Graph *g, Error *err);
/* Records a failure of the caller's, as the op_… functions do; the first one stays. Returns a
 * tensor that further calls ignore. */
Tensor *graph_fail(Graph *g, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What a graph is for; said before anything is built. */
typedef enum GraphMode {
    GRAPH_STEP,     // the default: a step of generation, attention reads and extends the cache
    GRAPH_EVALUATE, // whole sequences: attention sees the graph's own keys alone
    GRAPH_TRAIN,    // the same with dropout, and graph_backward may follow
} GraphMode;
void graph_set_mode(Graph *g, GraphMode mode);
/* Of the next runs' dropout; equal seeds drop the same values, 0 (the default) drops none. */
void graph_set_seed(Graph *g, uint64_t seed);
/* Makes graph_checkpoint effective in a training graph; said before anything is built. */
void graph_use_checkpoints(Graph *g, bool yes);
/* Between layers: what was built since the last checkpoint is computed again in the backward pass,
 * from what later layers read of it, so that only that is kept. The same gradients to the last bit,
 * in less memory and about a third more time. nn/ calls it where a layer begins. */
void graph_checkpoint(Graph *g);
/* Builds what computes the gradients of loss, one value, by all trainable weights it depends on;
 * behind the forward pass and before the first run. From then on each run adds the gradients to
 * those of the weights: micro-batches are accumulated by running again. Deterministic to the last
 * bit, whatever the number of threads. ERR_UNSUPPORTED for an operation without a gradient. */
bool graph_backward(Graph *g, Tensor *loss, Error *err);

/* Memory that the caller fills before each run, through tensor_data. f32 or i32. */
Tensor *graph_input(Graph *g, DType type, Shape shape);
/* Keeps a tensor's values readable behind a run; others' memory is reused. The result is t, or a
 * contiguous copy if t is a view: read that one. */
Tensor *graph_output(Graph *g, Tensor *t);
/* The cache that op_attend reads and extends; may be changed between runs for one of the same
 * layout. Borrowed. */
void graph_use_cache(Graph *g, KvCache *cache);
KvCache *graph_cache(const Graph *g);

/* Plans on the first call, runs all operations. Errors of running: an index out of range, a cache
 * without room, a weight without data. */
bool graph_run(Graph *g, Error *err);
/* As graph_run; the flag (may be NULL) is looked at between operations, ERR_CANCELLED once it is
 * true. The cache is then as before the run. */
bool graph_run_until(Graph *g, const atomic_bool *cancelled, Error *err);
/* Bytes that the plan holds for activations; 0 before the first run. */
size_t graph_memory(const Graph *g);

const Shape *tensor_shape(const Tensor *t);
/* Negative axes count from the end. An axis that t does not have (what graph_fail returns has none)
 * is 1, so that a model definition goes on in a straight line. */
static inline int64_t tensor_dim(const Tensor *t, int axis)
{
    const Shape *s = tensor_shape(t);
    int i = axis < 0 ? axis + s->rank : axis;
    return i >= 0 && i < s->rank ? s->dims[i] : 1;
}
DType tensor_type(const Tensor *t);
/* Input: writable before the run. Output: readable behind it. NULL for other tensors. */
void *tensor_data(const Tensor *t);

/* Operations. Each checks shapes: a mismatch is the graph's sticky ERR_INVALID, naming operation
 * and shapes. Results are owned by the graph and never NULL. */

/* A parameter. Asking twice for one weight gives the same tensor. */
Tensor *op_weight(Graph *g, Weight *w);

/* Elementwise; b has the shape of a, or of a's last dimensions. */
Tensor *op_add(Graph *g, Tensor *a, Tensor *b);
Tensor *op_sub(Graph *g, Tensor *a, Tensor *b);
Tensor *op_mul(Graph *g, Tensor *a, Tensor *b);
Tensor *op_scale(Graph *g, Tensor *x, float factor);

Tensor *op_relu(Graph *g, Tensor *x);
Tensor *op_tanh(Graph *g, Tensor *x);
Tensor *op_sigmoid(Graph *g, Tensor *x);
Tensor *op_silu(Graph *g, Tensor *x);       // x * sigmoid(x)
Tensor *op_gelu(Graph *g, Tensor *x);       // with erf
Tensor *op_gelu_tanh(Graph *g, Tensor *x);  // HF's gelu_new, gelu_pytorch_tanh
Tensor *op_gelu_quick(Graph *g, Tensor *x); // x * sigmoid(1.702 x)

/* Over the last dimension. */
Tensor *op_softmax(Graph *g, Tensor *x);
Tensor *op_rms_norm(Graph *g, Tensor *x, Tensor *weight, float eps);
Tensor *op_layer_norm(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, float eps);

/* The sum of all values: [1]; their mean. */
Tensor *op_sum(Graph *g, Tensor *x);
Tensor *op_mean(Graph *g, Tensor *x);
/* In training: each value is 0 with probability `rate`, else divided by 1 - rate. Which values, the
 * run's seed and the place in the graph decide. x itself in other graphs and for rate 0.
 * Source: Srivastava 2014, JMLR 15. */
Tensor *op_dropout(Graph *g, Tensor *x, float rate);
/* In training: adds to each value one drawn evenly from -size to size, by seed and place. */
Tensor *op_noise(Graph *g, Tensor *x, float size);

/* x [...,I], weight [O,I], bias [O] or NULL; returns [...,O]. */
Tensor *op_linear(Graph *g, Tensor *x, Tensor *weight, Tensor *bias);
/* The same for weights stored [I,O], as GPT-2's Conv1D has them. Plain types only. */
Tensor *op_linear_transposed(Graph *g, Tensor *x, Tensor *weight, Tensor *bias);
/* Rows of weight [V,E] by ids [...] (i32); returns [...,E]. */
Tensor *op_embed(Graph *g, Tensor *weight, Tensor *ids);
/* Rows of x, seen as [N,E], by rows [R] (i32); returns [R,E]: how the last position of each
 * sequence is taken before the output layer. */
Tensor *op_take_rows(Graph *g, Tensor *x, Tensor *rows);

/* Rotary position embedding of the first 2 * pairs values of each head; dimension i turns with
 * i + pairs ("half split", as HF's Llama) by position * inv_freq[i].
 * x [B,H,T,D], positions [B,T] (i32). Source: Su 2021, arXiv:2104.09864. */
typedef struct Rope {
    const float *inv_freq; // copied; scaling rules (llama3, linear, yarn) are already in it
    int64_t pairs;         // at most D / 2
    float scale;           // of cos and sin; 0 means 1
    bool neighbours;       // pair 2i with 2i + 1 instead (GPT-J, original Llama checkpoints)
} Rope;
Tensor *op_rope(Graph *g, Tensor *x, Tensor *positions, const Rope *rope);

/* The mean over rows of -log softmax(logits)[label]: logits [...,V], labels [...] (i32, an input; a
 * row labelled LABEL_IGNORED does not count); returns [1], 0 if no row counts. params may be NULL.
 * Source of label smoothing: Szegedy 2015, arXiv:1512.00567. */
enum { LABEL_IGNORED = -100 };
typedef struct CrossEntropy {
    float label_smoothing; // the share of the target that all V classes divide
    Tensor *divisor;       // [1], an input: the sum is divided by it, as when the labels of several
                           // micro-batches count; NULL: by the number of rows that count
} CrossEntropy;
Tensor *op_cross_entropy(Graph *g, Tensor *logits, Tensor *labels, const CrossEntropy *params);

/* Views: no copy is made, and kernels that need contiguous rows copy by themselves. */
Tensor *op_split_heads(Graph *g, Tensor *x, int64_t heads); // [B,T,H*D] -> [B,H,T,D]
Tensor *op_merge_heads(Graph *g, Tensor *x);                // [B,H,T,D] -> [B,T,H*D]
/* parts equal pieces of the last dimension, into out. */
void op_split(Graph *g, Tensor *x, int parts, Tensor **out);
/* The range [from, to) of one axis; negative axes count from the end. */
Tensor *op_slice(Graph *g, Tensor *x, int axis, int64_t from, int64_t to);
Tensor *op_reshape(Graph *g, Tensor *x, Shape shape); // the same values in row-major order
Tensor *op_permute(Graph *g, Tensor *x,
                   const int *axes); // dimension i of the result is axes[i] of x
Tensor *op_contiguous(Graph *g, Tensor *x);

/* Images [B,C,H,W] and signals [B,C,L], with the meaning that PyTorch's operations have. Results
 * lie in memory with the channels innermost, which is what these operations read without a copy,
 * and makes the permutation to [B,H,W,C] contiguous: linear layers and attention over pixels need
 * none either. Activations, products and sums behind a convolution are fused into it. */

/* Of height and width; of a signal only [0] counts. */
typedef struct Conv {
    int64_t stride[2], dilation[2]; // 0 means 1
    int64_t padding[2];             // of zeros, on both sides
    int64_t groups;                 // 0 means 1
    int64_t output_padding[2];      // of transposed ones
} Conv;
/* weight [O,C/groups,KH,KW], bias [O], [B,O] (of each sample its own) or NULL; returns [B,O,H',W'].
 * params NULL: all of it as above. */
Tensor *op_conv2d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params);
Tensor *op_conv1d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params);
/* weight [C,O/groups,KH,KW]. */
Tensor *op_conv_transpose2d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params);
Tensor *op_conv_transpose1d(Graph *g, Tensor *x, Tensor *weight, Tensor *bias, const Conv *params);

/* Over groups of channels of [B,C,...], sample by sample; weight and bias [C] or NULL. An
 * activation behind it is fused. Source: Wu 2018, arXiv:1803.08494. */
Tensor *op_group_norm(Graph *g, Tensor *x, int64_t groups, Tensor *weight, Tensor *bias, float eps);
/* (x - mean) / sqrt(variance + eps) * weight + bias, all [C]: as at inference; weight and bias may
 * be NULL. */
Tensor *op_batch_norm(Graph *g, Tensor *x, Tensor *mean, Tensor *variance, Tensor *weight,
                      Tensor *bias, float eps);

/* Windows over height and width; of a signal only [0] counts. */
typedef struct Window {
    int64_t size[2], stride[2]; // stride 0: size
    int64_t padding[2];         // at most half the size
    bool ceil_mode;             // a last window that is cut off counts
    bool count_padding;         // averages divide by padded positions too (count_include_pad)
} Window;
Tensor *op_max_pool(Graph *g, Tensor *x, const Window *window);
Tensor *op_avg_pool(Graph *g, Tensor *x, const Window *window);
/* To [B,C,height,width], or [B,C,width] with height 1. */
Tensor *op_adaptive_avg_pool(Graph *g, Tensor *x, int64_t height, int64_t width);
typedef enum Resize {
    RESIZE_NEAREST,          // mode="nearest"
    RESIZE_BILINEAR,         // "bilinear" ("linear" of signals), align_corners=False
    RESIZE_BILINEAR_ALIGNED, // and True
} Resize;
Tensor *op_resize(Graph *g, Tensor *x, int64_t height, int64_t width, Resize how);

/* Attends each query to keys; scores are never written out, sums are f32.
 * q [B,H,T,D], k and v [B,K,T,D], H a multiple of K; returns [B,H,T,D].
 * cached: k and v are first put behind what the graph's cache holds of each row's sequence (see
 * kv_cache_begin), and the queries see those keys too. Rows are then the B * T tokens in order,
 * divided among sequences by the spans: ragged steps are B = 1 with several spans.
 * Without a cache, k and v may have another number of positions S than q (cross attention); causal
 * and windowed queries are then the last T of the S positions. A query that sees no key gets zeros.
 * Source: Vaswani 2017, arXiv:1706.03762; Ainslie 2023, arXiv:2305.13245; Dao 2022,
 * arXiv:2205.14135. */
typedef struct Attend {
    float scale;    // of the scores; 0 means 1 / sqrt(D)
    bool causal;    // a query sees keys at or before its own position
    int64_t window; // and of these the last `window` only; 0: all
    bool cached;
    int layer; // of the cache
    // Without a cache only:
    Tensor *bias;           // added to the scaled scores, broadcast to [B,H,T,S]; NULL: none
    Tensor *attention_mask; // [B,S] (i32): 0 hides a key; NULL: all are there
    Precision precision;    // of the products
    float dropout;          // of the weights, in a training graph
    uint32_t stream;        // which of the graph's dropouts it is; op_attend's
} Attend;
Tensor *op_attend(Graph *g, Tensor *q, Tensor *k, Tensor *v, const Attend *params);

/* The key/value cache of one model: `sequences` independent sequences, each of at most `capacity`
 * positions, for every layer. Memory is taken page by page as they grow; a page may belong to
 * several sequences until one of them writes into it. */
enum { KV_PAGE = 32 }; // positions a page

typedef struct KvSpec {
    int layers;
    int64_t kv_heads, head_dim;
    int64_t capacity; // positions a sequence
    int sequences;    // 0 means 1
    /* How keys and values are kept. F32 is exact; F16, BF16 and Q8_0 round each value when it is
     * put (to 2^-11, 2^-8 of it, and 2^-8 of the largest of 32), products stay f32. */
    DType type;
    int64_t window; // no layer looks further back: what lies behind is given back; 0: all is kept
    size_t limit;   // bytes of pages; 0: none
} KvSpec;

/* The type of that name; ERR_UNSUPPORTED if caches of it there are none. */
bool kv_cache_type_parse(const char *name, DType *type, Error *err);
/* ERR_UNSUPPORTED for other types, ERR_LIMIT for a limit below one page. */
KvCache *kv_cache_new(const KvSpec *spec, Error *err);
void kv_cache_free(KvCache *c);
AUTO_FREE(KvCache, kv_cache_free)
const KvSpec *kv_cache_spec(const KvCache *c);
int64_t kv_cache_length(const KvCache *c, int sequence);
/* Forgets what lies at or behind `length`. */
void kv_cache_truncate(KvCache *c, int sequence, int64_t length);
/* Sequence `to` becomes what `from` is; they share its pages. */
void kv_cache_copy(KvCache *c, int to, int from);

typedef struct KvUse {
    size_t page_bytes;
    int32_t held, left; // pages that sequences or others hold, that may still be taken
    size_t bytes;       // of all pages that have memory
} KvUse;
KvUse kv_cache_use(const KvCache *c);

/* Pages by number, for those who keep them beyond a sequence's life. */
void kv_page_ref(KvCache *c, int32_t page);
void kv_page_unref(KvCache *c, int32_t page);
int kv_page_refs(const KvCache *c, int32_t page);
/* The sequence's pages [first, n); those before `first` lay behind the window. Borrowed until it
 * changes. */
const int32_t *kv_cache_pages(const KvCache *c, int sequence, int64_t *first, int64_t *n);
/* The sequence becomes what these pages [first, n) hold of `length` positions; the pages get one
 * more reference. */
void kv_cache_adopt(KvCache *c, int sequence, const int32_t *pages, int64_t first, int64_t n,
                    int64_t length);

/* `rows` consecutive rows of a step belong to this sequence; to nobody if it is KV_NOBODY: such
 * rows, the last of the step, fill a graph up; what they compute means nothing. */
enum { KV_NOBODY = -1 };
typedef struct KvSpan {
    int sequence;
    int64_t rows;
} KvSpan;
/* Pages that the span would take beyond those the sequence has. */
int64_t kv_cache_wants(const KvCache *c, const KvSpan *span);
/* Says whose rows the next run carries, in order; a sequence may appear once. Their positions are
 * the sequence's length onwards. ERR_LIMIT if one would pass the capacity, or all of them the
 * limit: nothing has changed then. */
bool kv_cache_begin(KvCache *c, const KvSpan *spans, size_t n, Error *err);
/* Behind a run that succeeded: the new rows count. Without it, they are forgotten. */
void kv_cache_commit(KvCache *c);
