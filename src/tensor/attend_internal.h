/* What attention without a cache (attend_dense.c) shares with its gradient (attend_backward.c). */
#pragma once

#include "tensor/tensor_internal.h"

/* The sizes of one attention; what a "lane" is says attend_dense.c. */
typedef struct AttendShape {
    const Attend *p;
    int64_t batch, heads, kv_heads, share; // share: query heads a key/value head
    int64_t tokens, keys, width;
    int64_t lanes; // queries of one key/value head: tokens * share
    int tile_rows;
    int64_t block;  // keys that are scored at once: whole tiles, an even number
    int64_t chunks; // tiles that the width is divided among
    float scale;    // of scores in powers of two
} AttendShape;
AttendShape attend_shape(const Tensor *q, const Tensor *k, const Attend *p, bool bf16);
/* The first dimension of a chunk of the width; of chunk `chunks`, the width. */
int64_t attend_chunk(const AttendShape *s, int64_t c);

/* PANEL lanes of key/value head `head` of all batch * kv_heads. */
typedef struct AttendPanel {
    int n; // lanes in use
    int64_t batch;
    int64_t token[PANEL], head[PANEL];
    int32_t sees_from[PANEL], sees_to[PANEL]; // keys
    int64_t from, to;                         // of all lanes together
} AttendPanel;
void attend_panel_of(const AttendShape *s, int64_t head, int64_t first, AttendPanel *p);

/* The lanes' rows of x times factor: rows [PANEL,width], and turned into panel [width,PANEL] unless
 * that is NULL. Empty lanes are zero. */
void attend_gather(const AttendPanel *p, const Tensor *x, int64_t width, float factor, float *rows,
                   float *panel);
/* Which of the keys [at, at + n) each lane sees; NULL if all. */
const LaneRanges *attend_ranges(const AttendPanel *p, int64_t at, int n, LaneRanges *out);
/* Adds the bias and hides masked keys; bias and mask may be NULL. rows and turned: room for
 * PANEL * n floats each. */
void attend_mask(const AttendPanel *p, const Tensor *bias, const Tensor *mask, int64_t at, int n,
                 float *scores, float *rows, float *turned);
/* The bias of one lane's row, from key `at`; a dimension of one is broadcast. */
const float *attend_bias_row(const Tensor *bias, const AttendPanel *p, int l, int64_t at);

/* Whether this run drops weights. */
static inline bool attend_drops(const Tensor *t)
{
    return t->params.attend.dropout > 0 && t->graph->seed != 0;
}
/* Drops values [n,PANEL] as the weights of the panel of lanes that begins with `first`, and of keys
 * from `at`, are dropped: by their place, so that the gradient need not be told. */
void attend_drop(const Tensor *t, const AttendShape *s, int64_t head, int64_t first, int64_t at,
                 int n, float *values);

/* The way of few queries (attend_few.c). */
bool attend_has_few(const AttendShape *s);
size_t scratch_attend_few(const AttendShape *s);
void run_attend_few(const Tensor *t, const AttendShape *s);

static inline float *attend_row_of(const Tensor *x, int64_t batch, int64_t head, int64_t token)
{
    return tensor_f32(x) + batch * x->strides[0] + head * x->strides[1] + token * x->strides[2];
}

/* What a forward run leaves behind its values when t->kept says so: for each query [B,H,T] the
 * logarithm to base 2 of the sum of its weights; INFINITY for a query that sees no key. */
static inline float *attend_lse(const Tensor *t)
{
    return tensor_f32(t) + tensor_count(t);
}
