/* attend_few.c: attention without a cache for so few queries that keys and values are not worth
 * packing, as when a decoder asks an encoder: each query meets them where they lie. */
#include "tensor/attend_internal.h"

#include "tensor/pool_internal.h"

#include <float.h>
#include <math.h>

enum { FEW_LANES = 8 }; // queries of one key/value head; without dropout

typedef struct Few {
    AttendShape s;
    const Tensor *t;
} Few;

bool attend_has_few(const AttendShape *s)
{
    return s->lanes <= FEW_LANES && !(s->p->dropout > 0);
}

/* Scores of keys [at, at + n) with bias and mask. What is hidden stays finite, so that a block of
 * it alone has a largest score: the first key that is seen takes all weight from it. */
static void score(const Few *f, const AttendPanel *p, const float *query, int64_t at, int n,
                  float *scores)
{
    const AttendShape *s = &f->s;
    const Tensor *k = f->t->in[1], *bias = f->t->in[3], *mask = f->t->in[4];
    const float *keys = attend_row_of(k, p->batch, p->head[0] / s->share, at);
    kernels()->dot_rows(n, s->width, query, keys, k->strides[2], scores);
    const float *row = bias ? attend_bias_row(bias, p, 0, at) : NULL;
    int64_t step = bias && bias->shape.dims[3] > 1 ? bias->strides[3] : 0;
    const int32_t *there =
        mask ? (const int32_t *)tensor_ptr(mask) + p->batch * mask->strides[0] : NULL;
    for (int i = 0; i < n; i++) {
        scores[i] += row ? row[i * step] : 0;
        bool hidden = (there && !there[(at + i) * mask->strides[1]]) || scores[i] < -FLT_MAX / 4;
        scores[i] = hidden ? -FLT_MAX / 4 : scores[i];
    }
}

/* One query of one head. */
static void few_task(void *context, int64_t task, int thread)
{
    const Few *f = context;
    const AttendShape *s = &f->s;
    const Tensor *t = f->t, *v = t->in[2];
    int64_t lane = task % s->lanes, width = s->width;
    AttendPanel p;
    attend_panel_of(s, task / s->lanes, lane, &p);
    float *query = (float *)(void *)t->graph->scratch + (size_t)(2 * task * width);
    float *sums = query + width, scores[ATTEND_KEYS], max = -INFINITY, sum = 0;
    kernels()->scale(width, attend_row_of(t->in[0], p.batch, p.head[0], p.token[0]), s->p->scale,
                     query);
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t at = p.sees_from[0]; at < p.sees_to[0]; at += ATTEND_KEYS) {
        int n = (int)MIN(ATTEND_KEYS, p.sees_to[0] - at);
        score(f, &p, query, at, n, scores);
        float factor = kernels()->attend_row(n, scores, 1, (KeyRange){0, n}, &max, &sum);
        kernels()->scale(width, sums, factor, sums);
        kernels()->add_rows(n, width, scores, attend_row_of(v, p.batch, p.head[0] / s->share, at),
                            v->strides[2], sums);
    }
    bool nothing = max <= -FLT_MAX / 4;
    kernels()->scale(width, sums, nothing ? 0 : 1 / sum,
                     attend_row_of(t, p.batch, p.head[0], p.token[0]));
    if (t->kept)
        attend_lse(t)[(p.batch * s->heads + p.head[0]) * s->tokens + p.token[0]] =
            nothing ? INFINITY : max * 1.44269504F + log2f(sum);
}

size_t scratch_attend_few(const AttendShape *s)
{
    return (size_t)(2 * s->batch * s->kv_heads * s->lanes * s->width) * sizeof(float);
}

void run_attend_few(const Tensor *t, const AttendShape *s)
{
    Few f = {*s, t};
    pool_run(s->batch * s->kv_heads * s->lanes, few_task, &f);
}
