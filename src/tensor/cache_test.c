/* The key/value cache as attention uses it: every type, shared pages, windows and limits. What is
 * attended to is compared with the formula written out. */
#include "base/random.h"
#include "base/test.h"
#include "tensor/tensor_internal.h"

#include <math.h>

enum { K = 2, H = 6, LAYERS = 2, LONGEST = 800 };

/* What one history of tokens gives: queries [T,H*D], keys and values [T,K*D]. */
typedef struct History {
    float *q, *k, *v;
} History;

typedef struct World {
    Arena *arena;
    KvCache *cache;
    int64_t width, window;
    float tolerance;
    Precision precision;
} World;

static Random source;

static float *filled(Arena *a, int64_t n)
{
    float *x = NEW_ARRAY(a, float, (size_t)n);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&source) * 2 - 1);
    return x;
}

static History history_of(const World *w)
{
    return (History){filled(w->arena, LONGEST * H * w->width),
                     filled(w->arena, LONGEST * K * w->width),
                     filled(w->arena, LONGEST * K * w->width)};
}

/* The same past up to `n`, another future. */
static History history_after(const World *w, const History *past, int64_t n)
{
    History h = history_of(w);
    memcpy(h.q, past->q, (size_t)(n * H * w->width) * sizeof(float));
    memcpy(h.k, past->k, (size_t)(n * K * w->width) * sizeof(float));
    memcpy(h.v, past->v, (size_t)(n * K * w->width) * sizeof(float));
    return h;
}

static void attend_plainly(const World *w, const History *h, int64_t position, int head, float *out)
{
    int64_t d = w->width, from = w->window ? MAX(0, position + 1 - w->window) : 0;
    const float *q = h->q + (position * H + head) * d;
    double sum = 0, result[256] = {0};
    for (int64_t s = from; s <= position; s++) {
        const float *k = h->k + (s * K + head / (H / K)) * d,
                    *v = h->v + (s * K + head / (H / K)) * d;
        double score = 0;
        for (int64_t i = 0; i < d; i++)
            score += (double)q[i] * (double)k[i];
        double weight = exp(score / sqrt((double)d));
        sum += weight;
        for (int64_t i = 0; i < d; i++)
            result[i] += weight * (double)v[i];
    }
    for (int64_t i = 0; i < d; i++)
        out[i] = (float)(result[i] / sum);
}

typedef struct Feed {
    int sequence;
    const History *history;
    int64_t rows;
} Feed;

/* One ragged step, with `fill` rows of nobody behind it. y [rows,H*D] of all feeds. */
static void run_step(const World *w, const Feed *feeds, size_t n, int64_t fill, float *out)
{
    Error err = {0};
    KvSpan spans[8];
    int64_t rows = fill, row = 0, d = w->width;
    for (size_t i = 0; i < n; i++)
        rows += feeds[i].rows;
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *q = graph_input(g, DTYPE_F32, SHAPE(1, rows, H * d));
    Tensor *k = graph_input(g, DTYPE_F32, SHAPE(1, rows, K * d));
    Tensor *v = graph_input(g, DTYPE_F32, SHAPE(1, rows, K * d));
    for (size_t i = 0; i < n; row += feeds[i].rows, i++) {
        const Feed *f = &feeds[i];
        int64_t at = kv_cache_length(w->cache, f->sequence);
        size_t value = sizeof(float), tokens = (size_t)f->rows;
        memcpy((float *)tensor_data(q) + row * H * d, f->history->q + at * H * d,
               tokens * H * (size_t)d * value);
        memcpy((float *)tensor_data(k) + row * K * d, f->history->k + at * K * d,
               tokens * K * (size_t)d * value);
        memcpy((float *)tensor_data(v) + row * K * d, f->history->v + at * K * d,
               tokens * K * (size_t)d * value);
        spans[i] = (KvSpan){f->sequence, f->rows};
    }
    if (fill)
        spans[n++] = (KvSpan){KV_NOBODY, fill};
    const Attend params = {
        .causal = true, .cached = true, .layer = 1, .window = w->window, .precision = w->precision};
    Tensor *y = op_attend(g, op_split_heads(g, q, H), op_split_heads(g, k, K),
                          op_split_heads(g, v, K), &params);
    y = graph_output(g, op_merge_heads(g, y));
    graph_use_cache(g, w->cache);
    assert_ok(kv_cache_begin(w->cache, spans, n, &err));
    assert_ok(graph_run(g, &err));
    kv_cache_commit(w->cache);
    memcpy(out, tensor_data(y), (size_t)((rows - fill) * H * d) * sizeof *out);
}

/* Feeds, and holds the first and last rows of each feed to the formula. */
static void step(const World *w, const Feed *feeds, size_t n, int64_t fill)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    int64_t d = w->width, row = 0, rows = 0;
    for (size_t i = 0; i < n; i++)
        rows += feeds[i].rows;
    float *y = NEW_ARRAY(a, float, (size_t)(rows * H * d)), expected[256];
    run_step(w, feeds, n, fill, y);
    for (size_t i = 0; i < n; row += feeds[i].rows, i++)
        for (int64_t r = 0; r < feeds[i].rows;
             r = r == 0 && feeds[i].rows > 2 ? feeds[i].rows - 2 : r + 1)
            for (int head = 0; head < H; head++) {
                int64_t position = kv_cache_length(w->cache, feeds[i].sequence) - feeds[i].rows + r;
                attend_plainly(w, feeds[i].history, position, head, expected);
                const float *seen = y + ((row + r) * H + head) * d;
                for (int64_t j = 0; j < d; j++)
                    if (!(fabsf(seen[j] - expected[j]) <= w->tolerance))
                        fail_msg("sequence %d, position %d, head %d, value %d: %.9g, not %.9g",
                                 feeds[i].sequence, (int)position, head, (int)j, (double)seen[j],
                                 (double)expected[j]);
            }
}

static World world_of(Arena *a, KvSpec spec, float tolerance)
{
    Error err = {0};
    spec.layers = LAYERS;
    spec.kv_heads = K;
    spec.capacity = spec.capacity ? spec.capacity : LONGEST;
    World w = {.arena = a, .width = spec.head_dim, .window = spec.window, .tolerance = tolerance};
    assert_ok(w.cache = kv_cache_new(&spec, &err));
    return w;
}

/* Rounding keys and values, all below 1, moves an average of values by about as much as it moves
 * one: half of 2^-10, of 2^-7, and of 1/127. Keys do the same to the weights. */
static const struct {
    DType type;
    float tolerance;
} types[] = {{DTYPE_F32, 2e-6F}, {DTYPE_F16, 1e-3F}, {DTYPE_BF16, 8e-3F}, {DTYPE_Q8_0, 8e-3F}};

static void test_sequences_of_every_type_go_on_in_ragged_steps(void **state)
{
    const int64_t widths[] = {40, 33};
    const int64_t pieces[][2] = {{5, 0},   {40, 33}, {1, 1},  {94, 1}, {0, 1},
                                 {520, 3}, {1, 1},   {12, 1}, {80, 1}, {1, 0}};
    for (size_t i = 0; i < COUNT(types) * COUNT(widths); i++) {
        AUTO(arena_free) Arena *a = arena_new(0);
        World w = world_of(a,
                           (KvSpec){.head_dim = widths[i % COUNT(widths)],
                                    .sequences = 2,
                                    .type = types[i / COUNT(widths)].type},
                           types[i / COUNT(widths)].tolerance);
        History h[2] = {history_of(&w), history_of(&w)};
        for (size_t p = 0; p < COUNT(pieces); p++) {
            Feed feeds[2];
            size_t n = 0;
            for (int s = 0; s < 2; s++)
                if (pieces[p][s])
                    feeds[n++] = (Feed){s, &h[s], pieces[p][s]};
            step(&w, feeds, n, (int64_t)p % 3);
        }
        kv_cache_free(w.cache);
    }
}

/* In bf16 what begins alone does not read the cache; what goes on does. */
static void test_a_beginning_in_bf16_is_nearly_the_same(void **state)
{
    const int64_t windows[] = {0, 50}, rows[] = {300, 7, 64};
    for (size_t i = 0; i < COUNT(windows); i++) {
        AUTO(arena_free) Arena *a = arena_new(0);
        // Queries, keys, weights and values have 8 bits: an average of values moves by as much.
        World w =
            world_of(a, (KvSpec){.head_dim = 40, .sequences = 2, .window = windows[i]}, 1e-2F);
        w.precision = PRECISION_BF16;
        History h = history_of(&w), other = history_of(&w);
        for (size_t k = 0; k < COUNT(rows); k++)
            step(&w, &(Feed){0, &h, rows[k]}, 1, (int64_t)k % 2);
        step(&w, (Feed[]){{0, &h, 1}, {1, &other, 100}}, 2, 1); // not alone
        kv_cache_free(w.cache);
    }
}

/* Bit for bit: alone or beside others, in one piece or in many, by whichever thread. */
static void test_a_row_does_not_depend_on_what_else_is_in_the_step(void **state)
{
    enum { D = 40, LENGTH = 701 };
    AUTO(arena_free) Arena *a = arena_new(0);
    World w = world_of(a, (KvSpec){.head_dim = D, .sequences = 4}, 2e-6F);
    History h = history_of(&w), other = history_of(&w);
    float *whole = NEW_ARRAY(a, float, LENGTH *H *D), *piece = NEW_ARRAY(a, float, LENGTH *H *D);
    run_step(&w, &(Feed){0, &h, LENGTH}, 1, 0, whole);
    for (int64_t done = 0, n = 1; done < LENGTH; done += n, n = MIN(3 * n, LENGTH - done)) {
        Feed feeds[] = {{1, &h, n}, {2, &other, 1}, {3, &other, 2}};
        run_step(&w, feeds, done % 2 ? 3 : 1, done % 5, piece);
        assert_memory_equal(piece, whole + done * H * D, (size_t)(n * H * D) * sizeof *piece);
    }
    kv_cache_truncate(w.cache, 1, LENGTH - 1);
    run_step(&w, &(Feed){1, &h, 1}, 1, 0, piece);
    assert_memory_equal(piece, whole + (LENGTH - 1) * H * D, H * D * sizeof *piece);
    kv_cache_free(w.cache);
}

static void test_shared_pages_are_copied_before_they_are_written(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    World w = world_of(a, (KvSpec){.head_dim = 24, .sequences = 3}, 2e-6F);
    History one = history_of(&w), two = history_after(&w, &one, 70),
            three = history_after(&w, &one, 64);
    step(&w, &(Feed){0, &one, 70}, 1, 0);
    assert_int_equal(kv_cache_use(w.cache).held, 3);
    kv_cache_copy(w.cache, 1, 0);
    assert_int_equal(kv_cache_use(w.cache).held, 3);
    assert_int_equal(kv_cache_wants(w.cache, &(KvSpan){1, 1}), 1);
    const Feed both[] = {{0, &one, 3}, {1, &two, 40}};
    step(&w, both, 2, 0);
    assert_int_equal(kv_cache_use(w.cache).held, 2 + 1 + 2);
    // A sequence made of pages, whose last is not full.
    int64_t first, n;
    const int32_t *pages = kv_cache_pages(w.cache, 0, &first, &n);
    assert_true(first == 0 && n == 3);
    kv_cache_adopt(w.cache, 2, pages, 0, 2, 64);
    assert_int_equal(kv_cache_wants(w.cache, &(KvSpan){2, 1}), 1);
    const Feed all[] = {{2, &three, 1}, {0, &one, 1}, {1, &two, 1}};
    step(&w, all, 3, 0);
    kv_cache_truncate(w.cache, 2, 20);
    assert_int_equal(kv_cache_wants(w.cache, &(KvSpan){2, 1}), 1); // the first page is shared
    step(&w, &(Feed){2, &one, 30}, 1, 0);
    step(&w, all + 1, 2, 0);
    for (int s = 0; s < 3; s++)
        kv_cache_truncate(w.cache, s, 0);
    assert_int_equal(kv_cache_use(w.cache).held, 0);
    kv_cache_free(w.cache);
}

static void test_pages_behind_the_window_are_given_back(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    World w = world_of(a, (KvSpec){.head_dim = 24, .sequences = 2, .window = 50}, 2e-6F);
    History h = history_of(&w);
    for (int i = 0; i < 9; i++) {
        step(&w, &(Feed){0, &h, 60}, 1, 0);
        assert_true(kv_cache_use(w.cache).held <= 5);
    }
    for (int i = 0; i < 100; i++)
        step(&w, &(Feed){0, &h, 1}, 1, 0);
    assert_true(kv_cache_use(w.cache).held <= 3);
    kv_cache_copy(w.cache, 1, 0);
    kv_cache_truncate(w.cache, 0, 0);
    step(&w, &(Feed){1, &h, 1}, 1, 0);
    kv_cache_truncate(w.cache, 1, 0);
    assert_int_equal(kv_cache_use(w.cache).held, 0);
    step(&w, &(Feed){1, &h, 1}, 1, 0);
    kv_cache_free(w.cache);
}

static void test_limits_are_kept_and_named(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    size_t page = LAYERS * K * (24 + 32) * KV_PAGE * sizeof(float);
    World w = world_of(
        a, (KvSpec){.head_dim = 24, .sequences = 2, .capacity = 300, .limit = 4 * page + 1}, 2e-6F);
    History h = history_of(&w);
    assert_int_equal(kv_cache_use(w.cache).page_bytes, page);
    step(&w, &(Feed){0, &h, 96}, 1, 0);
    const KvSpan too_much[] = {{0, 1}, {1, 1}};
    assert_fails(kv_cache_begin(w.cache, too_much, 2, &err), ERR_LIMIT,
                 "2 more pages of 32 positions are wanted, 1 of 4 are left");
    assert_int_equal(kv_cache_use(w.cache).held, 3);
    step(&w, &(Feed){1, &h, 32}, 1, 0);
    assert_int_equal(kv_cache_use(w.cache).left, 0);
    kv_cache_truncate(w.cache, 0, 64);
    step(&w, &(Feed){1, &h, 1}, 1, 0);
    assert_int_equal(kv_cache_use(w.cache).bytes, 4 * page);
    assert_fails(kv_cache_begin(w.cache, &(KvSpan){0, 300}, 1, &err), ERR_LIMIT, "64 of 300");
    KvSpec spec = *kv_cache_spec(w.cache);
    spec.limit = page - 1;
    assert_fails(kv_cache_new(&spec, &err), ERR_LIMIT, "less than one page");
    spec.type = DTYPE_Q4_0;
    assert_fails(kv_cache_new(&spec, &err), ERR_UNSUPPORTED, "type q4_0");
    kv_cache_free(w.cache);
}

int main(void)
{
    source = random_of(1);
    int failed = 0;
    for (int level = CPU_PLAIN; level <= (int)cpu_detect(); level++) {
        kernels_choose((CpuLevel)level);
        printf("kernels: %s\n", kernels()->name);
        failed += RUN(test_sequences_of_every_type_go_on_in_ragged_steps,
                      test_a_row_does_not_depend_on_what_else_is_in_the_step,
                      test_a_beginning_in_bf16_is_nearly_the_same,
                      test_shared_pages_are_copied_before_they_are_written,
                      test_pages_behind_the_window_are_given_back, test_limits_are_kept_and_named);
    }
    return failed;
}
