/* Graphs as their users see them: shapes, views, errors, attention with and without a cache, and
 * that planned memory never mixes tensors up. Values are compared with the formula written out. */
#include "base/random.h"
#include "base/test.h"
#include "tensor/tensor_internal.h"

#include <math.h>

static Random source;

static void fill(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&source) * 2 - 1);
}

static float *filled(Arena *a, int64_t n)
{
    float *x = NEW_ARRAY(a, float, n);
    fill(x, n);
    return x;
}

static void assert_close(const float *seen, const float *expected, int64_t n, float tolerance)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(seen[i] - expected[i]) <= tolerance * (1 + fabsf(expected[i]))))
            fail_msg("value %lld is %.9g, not %.9g", (long long)i, (double)seen[i],
                     (double)expected[i]);
}

static Tensor *input_of(Graph *g, Shape shape)
{
    Tensor *t = graph_input(g, DTYPE_F32, shape);
    fill(tensor_data(t), shape_count(&shape));
    return t;
}

static Weight *weight_of(Arena *a, DType type, Shape shape, const void *data)
{
    Error err = {0};
    Weight *w =
        weight_new(a, &(WeightSpec){.name = "w", .type = type, .shape = shape, .data = data}, &err);
    if (!w)
        fail_msg("%s", err.text);
    return w;
}

static void test_linear_layers_multiply_and_fuse_what_follows(void **state)
{
    Error err = {0};
    const int64_t rows[] = {1, 2, 17}, outs[] = {1, 33, 96};
    for (size_t i = 0; i < COUNT(rows) * COUNT(outs); i++) {
        int64_t m = rows[i % COUNT(rows)], n = outs[i / COUNT(rows)], k = 37;
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO(graph_free) Graph *g = graph_new();
        float *w = filled(a, n * k), *b = filled(a, n), *expected = filled(a, m * n);
        Tensor *x = input_of(g, SHAPE(1, m, k)), *residual = input_of(g, SHAPE(1, m, n));
        Tensor *factor = input_of(g, SHAPE(1, m, n));
        Tensor *y = op_linear(g, x, op_weight(g, weight_of(a, DTYPE_F32, SHAPE(n, k), w)),
                              op_weight(g, weight_of(a, DTYPE_F32, SHAPE(n), b)));
        y = graph_output(g, op_add(g, residual, op_mul(g, op_relu(g, y), factor)));
        assert_ok(graph_run(g, &err));
        assert_int_equal(g->n_steps, 1);
        const float *px = tensor_data(x), *pr = tensor_data(residual), *pf = tensor_data(factor);
        for (int64_t r = 0; r < m; r++)
            for (int64_t c = 0; c < n; c++) {
                double sum = (double)b[c];
                for (int64_t l = 0; l < k; l++)
                    sum += (double)px[r * k + l] * (double)w[c * k + l];
                expected[r * n + c] = fmaxf((float)sum, 0) * pf[r * n + c] + pr[r * n + c];
            }
        assert_close(tensor_data(y), expected, m * n, 1e-6F);
    }
}

static void test_a_transposed_weight_gives_the_same_layer(void **state)
{
    Error err = {0};
    enum { IN = 40, OUT = 50, ROWS = 5 };
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    float *w = filled(a, IN * OUT), *turned = NEW_ARRAY(a, float, IN *OUT);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < IN; i++)
            turned[i * OUT + o] = w[o * IN + i];
    Tensor *x = input_of(g, SHAPE(ROWS, IN));
    Tensor *y = op_linear(g, x, op_weight(g, weight_of(a, DTYPE_F32, SHAPE(OUT, IN), w)), NULL);
    Weight *t = weight_of(a, DTYPE_F32, SHAPE(IN, OUT), turned);
    Tensor *z = op_linear_transposed(g, x, op_weight(g, t), NULL);
    y = graph_output(g, y);
    z = graph_output(g, z);
    assert_ok(graph_run(g, &err));
    assert_memory_equal(tensor_data(y), tensor_data(z), ROWS * OUT * sizeof(float));
}

/* A chain that keeps early values alive across later ones, beside views, copies and norms. */
static void test_planned_memory_gives_what_separate_memory_gives(void **state)
{
    Error err = {0};
    enum { T = 6, E = 24 };
    float results[2][T * E];
    for (int keep_all = 0; keep_all < 2; keep_all++) {
        source = random_of(7);
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO(graph_free) Graph *g = graph_new();
        Tensor *x = input_of(g, SHAPE(1, T, E)), *early = NULL;
        for (int layer = 0; layer < 8; layer++) {
            Weight *w = weight_of(a, DTYPE_F32, SHAPE(3 * E, E), filled(a, 3 * E * E));
            Weight *norm = weight_of(a, DTYPE_F32, SHAPE(E), filled(a, E));
            Tensor *parts[3];
            Tensor *h = op_rms_norm(g, x, op_weight(g, norm), 1e-5F);
            op_split(g, op_linear(g, h, op_weight(g, w), NULL), 3, parts);
            h = op_mul(g, op_silu(g, parts[0]), op_tanh(g, parts[1]));
            h = op_merge_heads(g, op_scale(g, op_split_heads(g, h, 4), 0.5F));
            x = op_add(g, x, op_sub(g, h, parts[2]));
            early = layer == 1 ? op_softmax(g, x) : early;
        }
        x = op_add(g, x, early);
        int built = g->n;
        for (int i = 0; keep_all && i < built; i++)
            if (g->tensors[i]->op)
                graph_output(g, g->tensors[i]);
        x = graph_output(g, x);
        assert_ok(graph_run(g, &err));
        assert_ok(graph_run(g, &err));
        memcpy(results[keep_all], tensor_data(x), sizeof results[0]);
        if (!keep_all)
            assert_true(graph_memory(g) < 12 * T * 3 * E * sizeof(float));
    }
    assert_memory_equal(results[0], results[1], sizeof results[0]);
}

/* Two layers that meet in a product: only one of them may take it, even when a sum behind it is
 * taken as well. */
static void test_a_gated_pair_is_fused_once(void **state)
{
    Error err = {0};
    enum { T = 3, E = 40, F = 40 };
    float results[4][T * F];
    for (int i = 0; i < 4; i++) {
        bool keep_all = i % 2, residual = i / 2;
        source = random_of(8);
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO(graph_free) Graph *g = graph_new();
        Tensor *x = input_of(g, SHAPE(1, T, E));
        Weight *w = weight_of(a, DTYPE_F32, SHAPE(F, E), filled(a, F * E));
        Weight *v = weight_of(a, DTYPE_F32, SHAPE(F, E), filled(a, F * E));
        Tensor *gate = op_linear(g, x, op_weight(g, w), NULL);
        Tensor *y = op_mul(g, op_silu(g, gate), op_linear(g, x, op_weight(g, v), NULL));
        if (keep_all) {
            graph_output(g, gate);
            graph_output(g, y);
        }
        y = graph_output(g, residual ? op_add(g, x, y) : y);
        assert_ok(graph_run(g, &err));
        memcpy(results[i], tensor_data(y), sizeof results[0]);
    }
    for (int i = 0; i < 2; i++)
        assert_close(results[2 * i], results[2 * i + 1], T * F, 1e-6F);
}

static void test_a_graph_remembers_its_first_failure(void **state)
{
    Error err = {0};
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *a = graph_input(g, DTYPE_F32, SHAPE(2, 3)), *b = graph_input(g, DTYPE_F32, SHAPE(4));
    Tensor *c = op_add(g, a, b);
    c = op_mul(g, c, op_merge_heads(g, a));
    op_split(g, c, 3, (Tensor *[3]){0});
    graph_output(g, op_attend(g, c, c, c, &(Attend){0}));
    assert_fails(graph_ok(g, &err), ERR_INVALID, "add: [2,3] and [4] do not fit");
    assert_fails(graph_run(g, &err), ERR_INVALID, "add");
}

static void test_indices_are_checked_before_the_run(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    float *table = filled(a, 5 * 8);
    Tensor *ids = graph_input(g, DTYPE_I32, SHAPE(1, 2));
    Tensor *x = op_embed(g, op_weight(g, weight_of(a, DTYPE_F32, SHAPE(5, 8), table)), ids);
    Tensor *rows = graph_input(g, DTYPE_I32, SHAPE(1));
    x = graph_output(g, op_take_rows(g, x, rows));
    int32_t *id = tensor_data(ids);
    id[0] = 4;
    id[1] = 3;
    *(int32_t *)tensor_data(rows) = 1;
    assert_ok(graph_run(g, &err));
    assert_memory_equal(tensor_data(x), table + 3 * 8, 8 * sizeof(float));
    id[0] = 5;
    assert_fails(graph_run(g, &err), ERR_INVALID, "embed: index 5 is not below 5");
    id[0] = -1;
    assert_fails(graph_run(g, &err), ERR_INVALID, "index -1");
}

static void test_weights_without_data_can_be_listed_but_not_run(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *x = input_of(g, SHAPE(2, 8));
    Tensor *w = op_weight(g, weight_of(a, DTYPE_BF16, SHAPE(4, 8), NULL));
    x = graph_output(g, op_linear(g, x, w, NULL));
    assert_ok(graph_ok(g, &err));
    assert_fails(graph_run(g, &err), ERR_INVALID, "weight 'w' has no data");
}

/* Attention by the book: q [H,T,D], k and v [K,S,D], causal with an optional window. */
static void attend_plainly(const float *q, const float *k, const float *v, int64_t heads,
                           int64_t kv_heads, int64_t tokens, int64_t keys, int64_t d,
                           int64_t window, float *out)
{
    for (int64_t h = 0; h < heads; h++)
        for (int64_t t = 0; t < tokens; t++) {
            int64_t position = keys - tokens + t, from = window ? MAX(0, position + 1 - window) : 0;
            const float *qr = q + (h * tokens + t) * d;
            const float *kh = k + h / (heads / kv_heads) * keys * d;
            const float *vh = v + h / (heads / kv_heads) * keys * d;
            double sum = 0, result[256] = {0};
            for (int64_t s = from; s <= position; s++) {
                double score = 0;
                for (int64_t i = 0; i < d; i++)
                    score += (double)qr[i] * (double)kh[s * d + i];
                double p = exp(score / sqrt((double)d));
                sum += p;
                for (int64_t i = 0; i < d; i++)
                    result[i] += p * (double)vh[s * d + i];
            }
            for (int64_t i = 0; i < d; i++)
                out[(h * tokens + t) * d + i] = (float)(result[i] / sum);
        }
}

static void test_attention_agrees_with_the_formula(void **state)
{
    Error err = {0};
    const struct {
        int64_t heads, kv_heads, tokens, width, window;
    } cases[] = {{2, 2, 1, 8, 0},    {3, 1, 5, 40, 0},   {4, 2, 33, 64, 0},
                 {2, 1, 300, 16, 0}, {6, 3, 150, 72, 7}, {1, 1, 129, 128, 128}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t h = cases[i].heads, k = cases[i].kv_heads, t = cases[i].tokens, d = cases[i].width;
        AUTO(arena_free) Arena *a = arena_new(0);
        AUTO(graph_free) Graph *g = graph_new();
        Tensor *q = input_of(g, SHAPE(1, h, t, d)), *key = input_of(g, SHAPE(1, k, t, d));
        Tensor *v = input_of(g, SHAPE(1, k, t, d));
        Tensor *y = op_attend(g, q, key, v, &(Attend){.causal = true, .window = cases[i].window});
        y = graph_output(g, op_contiguous(g, y));
        assert_ok(graph_run(g, &err));
        float *expected = NEW_ARRAY(a, float, h *t *d);
        attend_plainly(tensor_data(q), tensor_data(key), tensor_data(v), h, k, t, t, d,
                       cases[i].window, expected);
        assert_close(tensor_data(y), expected, h * t * d, 2e-6F);
    }
}

static void test_attention_may_look_at_everything(void **state)
{
    Error err = {0};
    enum { T = 3, S = 70, D = 20 };
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *q = input_of(g, SHAPE(2, 1, T, D)), *k = input_of(g, SHAPE(2, 1, S, D));
    Tensor *v = input_of(g, SHAPE(2, 1, S, D));
    Tensor *y = graph_output(g, op_contiguous(g, op_attend(g, q, k, v, &(Attend){0})));
    assert_ok(graph_run(g, &err));
    float expected[D];
    for (int b = 0; b < 2; b++)
        for (int t = 0; t < T; t++) {
            attend_plainly((float *)tensor_data(q) + (b * T + t) * D,
                           (float *)tensor_data(k) + b * S * D, (float *)tensor_data(v) + b * S * D,
                           1, 1, 1, S, D, 0, expected);
            assert_close((float *)tensor_data(y) + (b * T + t) * D, expected, D, 2e-6F);
        }
}

/* Two sequences fed in ragged pieces through one cache, against each at once without a cache. */
static void test_a_cache_continues_each_sequence(void **state)
{
    Error err = {0};
    enum { K = 2, H = 4, D = 24, LONGEST = 140 };
    const int64_t pieces[][2] = {{5, 0}, {40, 33}, {1, 1}, {94, 1}, {0, 1}};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(kv_cache_free)
    KvCache *cache = kv_cache_new(
        &(KvSpec){.layers = 2, .kv_heads = K, .head_dim = D, .capacity = LONGEST, .sequences = 2},
        &err);
    assert_non_null(cache);
    float *q[2], *k[2], *v[2]; // [T,heads,D] of each sequence
    int64_t done[2] = {0};
    for (int s = 0; s < 2; s++) {
        q[s] = filled(a, LONGEST * H * D);
        k[s] = filled(a, LONGEST * K * D);
        v[s] = filled(a, LONGEST * K * D);
    }
    for (size_t p = 0; p < COUNT(pieces); p++) {
        AUTO(graph_free) Graph *g = graph_new();
        KvSpan spans[2];
        size_t n = 0;
        int64_t rows = pieces[p][0] + pieces[p][1], row = 0;
        Tensor *tq = graph_input(g, DTYPE_F32, SHAPE(1, rows, H * D));
        Tensor *tk = graph_input(g, DTYPE_F32, SHAPE(1, rows, K * D));
        Tensor *tv = graph_input(g, DTYPE_F32, SHAPE(1, rows, K * D));
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < pieces[p][s]; i++, row++) {
                int64_t at = done[s] + i;
                memcpy((float *)tensor_data(tq) + row * H * D, q[s] + at * H * D, H * D * 4);
                memcpy((float *)tensor_data(tk) + row * K * D, k[s] + at * K * D, K * D * 4);
                memcpy((float *)tensor_data(tv) + row * K * D, v[s] + at * K * D, K * D * 4);
                if (i == 0)
                    spans[n++] = (KvSpan){s, pieces[p][s]};
            }
        Tensor *y = op_attend(g, op_split_heads(g, tq, H), op_split_heads(g, tk, K),
                              op_split_heads(g, tv, K),
                              &(Attend){.causal = true, .cached = true, .layer = 1});
        y = graph_output(g, op_merge_heads(g, y));
        graph_use_cache(g, cache);
        assert_ok(kv_cache_begin(cache, spans, n, &err));
        assert_ok(graph_run(g, &err));
        kv_cache_commit(cache);
        row = 0;
        for (int s = 0; s < 2; s++)
            for (int64_t i = 0; i < pieces[p][s]; i++, row++)
                for (int h = 0; h < H; h++) {
                    int64_t keys = done[s] + i + 1;
                    float *kh = NEW_ARRAY(a, float, keys *D), *vh = NEW_ARRAY(a, float, keys *D);
                    float expected[D];
                    for (int64_t j = 0; j < keys; j++) {
                        memcpy(kh + j * D, k[s] + (j * K + h / (H / K)) * D, D * 4);
                        memcpy(vh + j * D, v[s] + (j * K + h / (H / K)) * D, D * 4);
                    }
                    attend_plainly(q[s] + ((done[s] + i) * H + h) * D, kh, vh, 1, 1, 1, keys, D, 0,
                                   expected);
                    assert_close((float *)tensor_data(y) + (row * H + h) * D, expected, D, 2e-6F);
                }
        for (int s = 0; s < 2; s++)
            done[s] += pieces[p][s];
        assert_int_equal(kv_cache_length(cache, 0), done[0]);
    }
    assert_fails(kv_cache_begin(cache, &(KvSpan){0, 1}, 1, &err), ERR_LIMIT, "140 of 140");
    kv_cache_truncate(cache, 0, 100);
    assert_ok(kv_cache_begin(cache, &(KvSpan){0, 40}, 1, &err));
}

static void test_a_cache_that_does_not_fit_is_refused(void **state)
{
    Error err = {0};
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *x = input_of(g, SHAPE(1, 2, 3, 8));
    graph_output(g, op_contiguous(g, op_attend(g, x, x, x, &(Attend){.cached = true, .layer = 1})));
    assert_fails(graph_run(g, &err), ERR_INVALID, "no key/value cache");
    AUTO(kv_cache_free)
    KvCache *small =
        kv_cache_new(&(KvSpec){.layers = 1, .kv_heads = 2, .head_dim = 8, .capacity = 9}, &err);
    graph_use_cache(g, small);
    assert_fails(graph_run(g, &err), ERR_INVALID, "layer 1 of 2 heads of 8 does not fit");
    AUTO(kv_cache_free)
    KvCache *right =
        kv_cache_new(&(KvSpec){.layers = 2, .kv_heads = 2, .head_dim = 8, .capacity = 9}, &err);
    graph_use_cache(g, right);
    assert_fails(graph_run(g, &err), ERR_INVALID, "told of 0 rows, the graph has 3");
}

static void test_rotation_turns_pairs_by_position(void **state)
{
    Error err = {0};
    enum { H = 2, T = 3, D = 12, PAIRS = 4 };
    const float inv_freq[PAIRS] = {1, 0.5F, 0.1F, 0.01F};
    for (int neighbours = 0; neighbours < 2; neighbours++) {
        AUTO(graph_free) Graph *g = graph_new();
        Tensor *x = input_of(g, SHAPE(1, T, H * D));
        Tensor *positions = graph_input(g, DTYPE_I32, SHAPE(1, T));
        for (int t = 0; t < T; t++)
            ((int32_t *)tensor_data(positions))[t] = 1000 * t + 3;
        Rope rope = {inv_freq, PAIRS, 1.25F, neighbours};
        Tensor *y = op_rope(g, op_split_heads(g, x, H), positions, &rope);
        y = graph_output(g, op_merge_heads(g, y));
        assert_ok(graph_run(g, &err));
        const float *in = tensor_data(x), *out = tensor_data(y);
        for (int row = 0; row < T * H; row++, in += D, out += D)
            for (int i = 0; i < PAIRS; i++) {
                int a = neighbours ? 2 * i : i, b = neighbours ? 2 * i + 1 : i + PAIRS;
                float angle = (float)(1000 * (row / H) + 3) * inv_freq[i];
                float turned[2] = {1.25F * (in[a] * cosf(angle) - in[b] * sinf(angle)),
                                   1.25F * (in[b] * cosf(angle) + in[a] * sinf(angle))};
                assert_close(&out[a], &turned[0], 1, 1e-6F);
                assert_close(&out[b], &turned[1], 1, 1e-6F);
                assert_true(out[D - 1] == in[D - 1]);
            }
    }
}

static void test_cancelling_leaves_the_cache_as_it_was(void **state)
{
    Error err = {0};
    AUTO(graph_free) Graph *g = graph_new();
    graph_output(g, op_relu(g, input_of(g, SHAPE(3))));
    atomic_bool cancel = true;
    assert_fails(graph_run_until(g, &cancel, &err), ERR_CANCELLED, "cancelled");
    cancel = false;
    assert_ok(graph_run_until(g, &cancel, &err));
}

int main(void)
{
    source = random_of(1);
    int failed = 0;
    for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
        kernels_choose((CpuLevel)level);
        printf("kernels: %s\n", kernels()->name);
        failed += RUN(
            test_linear_layers_multiply_and_fuse_what_follows,
            test_a_transposed_weight_gives_the_same_layer,
            test_planned_memory_gives_what_separate_memory_gives, test_a_gated_pair_is_fused_once,
            test_a_graph_remembers_its_first_failure, test_indices_are_checked_before_the_run,
            test_weights_without_data_can_be_listed_but_not_run,
            test_attention_agrees_with_the_formula, test_attention_may_look_at_everything,
            test_a_cache_continues_each_sequence, test_a_cache_that_does_not_fit_is_refused,
            test_rotation_turns_pairs_by_position, test_cancelling_leaves_the_cache_as_it_was);
    }
    return failed;
}
