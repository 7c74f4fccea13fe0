/* Each kernel of each set that this processor can run, against its plain twin, on awkward sizes.
 *
 * Unpacked weights must be equal to the last bit. Sums may be taken in another order, so they may
 * differ by some 2^-24 of the sum of magnitudes; functions of one variable by a few units of the
 * last place of their largest intermediate. */
#include "base/random.h"
#include "base/test.h"
#include "tensor/kernel_cases.h"
#include "tensor/pack_internal.h"

#include <math.h>

static const int sizes[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 257, 768};
enum { MOST = 768 };
static Random source;
static const Kernels *set; // under test
static Kernels table;      // it, and what it leaves to slower sets

static void fill(float *x, int64_t n, float scale)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(random_unit(&source) * 2 - 1) * scale;
}

static void assert_near(const char *what, int64_t size, int64_t i, float seen, float plain,
                        float allowed)
{
    if (!(fabsf(seen - plain) <= allowed) && !(isnan(seen) && isnan(plain)) && seen != plain)
        fail_msg("%s.%s of %lld: value %lld is %.9g, plain %.9g", set->name, what, (long long)size,
                 (long long)i, (double)seen, (double)plain);
}

static void assert_all_near(const char *what, int64_t n, const float *seen, const float *plain,
                            float absolute, float relative)
{
    for (int64_t i = 0; i < n; i++)
        assert_near(what, n, i, seen[i], plain[i], absolute + relative * fabsf(plain[i]));
}

static void test_tiles_multiply(void **state)
{
    static float a[MOST * MAX_ROWS], b[MOST * PANEL];
    float seen[MAX_ROWS * 2 * PANEL], plain[MAX_ROWS * 2 * PANEL];
    for (size_t s = 0; set->tile && s < COUNT(sizes); s++)
        for (int rows = 1; rows <= set->tile_rows; rows++) {
            fill(a, sizes[s] * rows, 1);
            fill(b, sizes[s] * PANEL, 1);
            memset(seen, 0, sizeof seen);
            memset(plain, 0, sizeof plain);
            set->tile(rows, sizes[s], a, b, seen, 2 * PANEL);
            kernels_plain.tile(rows, sizes[s], a, b, plain, 2 * PANEL);
            assert_all_near("tile", COUNT(seen), seen, plain, 1e-7F * (float)sizes[s], 0);
            // In two parts, the second on top of the first: to the last bit the same sums.
            int64_t part = sizes[s] / 2, n = rows * PANEL;
            set->tile(rows, sizes[s], a, b, seen, PANEL);
            set->gemm(rows, part, a, b, plain, false, NULL);
            set->gemm(rows, sizes[s] - part, a + part * rows, b + part * PANEL, plain, true,
                      (const char *)b);
            assert_memory_equal(seen, plain, (size_t)n * sizeof *seen);
        }
}

static void test_bf16_tiles_multiply(void **state)
{
    static float x[MAX_ROWS * MOST], w[MOST];
    static float turned[MAX_ROWS * MOST];
    static uint16_t a[3][(MOST + 2) * MAX_ROWS], b[(MOST + 2) * PANEL];
    float seen[MAX_ROWS * PANEL], plain[MAX_ROWS * PANEL];
    for (size_t s = 0; set->tile_bf16 && s < COUNT(sizes); s++)
        for (int rows = 1; rows <= (set->tile_rows ? set->tile_rows : set->tile_rows_bf16);
             rows++) {
            int k = sizes[s], even = k + k % 2;
            fill(x, rows * k, 1);
            kernels_plain.pack_rows_bf16(rows, k, x, k, a[0]);
            table.pack_rows_bf16(rows, k, x, k, a[1]);
            kernels_plain.transpose(rows, k, x, k, turned, rows);
            table.pack_turned_bf16(rows, k, turned, rows, a[2]);
            assert_memory_equal(a[1], a[2], (size_t)(even * rows) * sizeof **a);
            memset(b, 0, sizeof b);
            for (int row = 0; row < PANEL; row++) {
                uint16_t stored[MOST];
                fill(w, k, 1);
                (void)dtype_from_f32(DTYPE_BF16, w, stored, k, NULL);
                pack_row(PACK_BF16, stored, k, row, b);
            }
            set->tile_bf16(rows, even, a[1], b, seen, PANEL);
            kernels_plain.tile_bf16(rows, even, a[0], b, plain, PANEL);
            assert_all_near("tile_bf16", rows * PANEL, seen, plain, 1e-7F * (float)k, 0);
            int64_t part = even / 2 / SUPER * SUPER; // where linear layers may cut
            set->gemm_bf16(rows, part, a[1], b, plain, false, NULL);
            set->gemm_bf16(rows, even - part, a[1] + part * rows, b + part * PANEL, plain, true,
                           (const char *)b);
            assert_memory_equal(seen, plain, (size_t)(rows * PANEL) * sizeof *seen);
        }
}

/* Each case of the table that `hug bench kernels` times, on all its shapes. */
static void test_cases_agree_with_their_plain_twins(void **state)
{
    for (size_t i = 0; i < kernel_cases_n; i++)
        for (size_t s = 0; s < kernel_shapes_n; s++) {
            const KernelCase *c = &kernel_cases[i];
            const KernelShape *shape = &kernel_shapes[s];
            if (!kernel_case_is_of(c, set) || !kernel_case_takes(c, shape, &table))
                continue;
            AUTO(arena_free) Arena *a = arena_new(0);
            KernelRun *seen = kernel_run_new(a, c, shape, &table, i * 100 + s);
            KernelRun *plain = kernel_run_new(a, c, shape, &kernels_plain, i * 100 + s);
            c->run(seen);
            c->run(plain);
            float most = 0;
            for (int64_t j = 0; j < plain->n; j++)
                most = MAX(most, fabsf(plain->out[j]));
            float allowed = strncmp(c->name, "unpack", 6) == 0
                                ? 0
                                : c->tolerance * ((float)shape->k + 1) * MAX(1, most);
            assert_all_near(c->name, plain->n, seen->out, plain->out, allowed, 0);
        }
}

/* What is packed has the stored values to the last bit. */
static void test_packed_weights_keep_their_values(void **state)
{
    static float x[MOST], plain[MOST * PANEL];
    static uint8_t stored[MOST * 4], panel[(MOST + 1) * PANEL * 4] __attribute__((aligned(64)));
    for (int type = 0; type < DTYPE_COUNT; type++)
        for (size_t s = 0; s < COUNT(sizes); s++) {
            int64_t k = sizes[s];
            Packing packing;
            if (!packing_of((DType)type, &packing) || k % dtype_info((DType)type)->block != 0 ||
                !set->gemv[packing])
                continue;
            memset(panel, 0, sizeof panel);
            for (int row = 0; row < PANEL; row++) {
                kernel_random_stored(&source, (DType)type, k, x, stored);
                pack_row(packing, stored, k, row, panel);
                dtype_to_f32((DType)type, stored, x, k);
                kernels_plain.unpack[packing](k, panel, plain);
                for (int64_t i = 0; i < k; i++)
                    assert_near("pack", k, i, plain[i * PANEL + row], x[i], 0);
            }
        }
}

static void test_rows_are_quantized_alike(void **state)
{
    float x[4 * BLOCK], scales[2][4];
    int8_t codes[2][4 * BLOCK];
    for (int trial = 0; set->quantize && trial < 200; trial++) {
        fill(x, COUNT(x), (float)trial / 50);
        memset(x, 0, trial % 4 * BLOCK * sizeof *x);
        set->quantize(COUNT(x), x, codes[0], scales[0]);
        kernels_plain.quantize(COUNT(x), x, codes[1], scales[1]);
        assert_memory_equal(codes[0], codes[1], sizeof codes[0]);
        assert_memory_equal(scales[0], scales[1], sizeof scales[0]);
        for (size_t i = 0; i < COUNT(x); i++)
            assert_near("quantize", COUNT(x), (int64_t)i, codes[0][i] * scales[0][i / BLOCK], x[i],
                        scales[0][i / BLOCK] * 0.5001F);
    }
}

static void test_rows_are_turned(void **state)
{
    static float src[MAX_ROWS * (MOST + 5)], seen[MAX_ROWS * MOST], plain[MAX_ROWS * MOST];
    fill(src, COUNT(src), 1);
    for (size_t s = 0; set->pack_rows && s < COUNT(sizes); s++)
        for (int rows = 1; rows <= set->tile_rows; rows++) {
            set->pack_rows(rows, sizes[s], src, sizes[s] + 5, seen);
            kernels_plain.pack_rows(rows, sizes[s], src, sizes[s] + 5, plain);
            assert_memory_equal(seen, plain, (size_t)(rows * sizes[s]) * sizeof *seen);
        }
}

static void test_activations_agree_over_the_whole_range(void **state)
{
    static float x[20011], seen[COUNT(x)], plain[COUNT(x)];
    for (size_t i = 0; i < COUNT(x); i++) // denser towards zero
        x[i] = powf(((float)i - 10005) / 10005, 5) * 120;
    x[0] = INFINITY;
    x[1] = -0.0F;
    x[20010] = NAN;
    for (int kind = 0; set->activate && kind < ACT_COUNT; kind++) {
        set->activate((Activation)kind, COUNT(x), x, seen);
        kernels_plain.activate((Activation)kind, COUNT(x), x, plain);
        // gelu multiplies what is left of 1 + erf by x: its error is absolute there.
        assert_all_near("activate", COUNT(x), seen, plain, kind == ACT_GELU ? 1e-6F : 2e-7F, 5e-7F);
    }
}

static void test_finishing_does_each_step_that_is_there(void **state)
{
    enum { ROWS = 3, WIDTH = PANEL + 5 };
    float products[ROWS * PANEL], bias[PANEL], factor[ROWS * WIDTH], addend[ROWS * WIDTH];
    float seen[ROWS * WIDTH], plain[ROWS * WIDTH];
    fill(products, COUNT(products), 4);
    fill(bias, COUNT(bias), 1);
    fill(factor, COUNT(factor), 1);
    fill(addend, COUNT(addend), 1);
    for (int steps = 0; set->finish && steps < 8 * ACT_COUNT; steps++)
        for (int columns = 1; columns <= PANEL; columns++) {
            Epilogue e = {steps & 1 ? bias : NULL, (Activation)(steps / 8),
                          steps & 2 ? factor : NULL, steps & 4 ? addend : NULL};
            memset(seen, 0, sizeof seen);
            memset(plain, 0, sizeof plain);
            set->finish(ROWS, columns, products, &e, seen, WIDTH);
            kernels_plain.finish(ROWS, columns, products, &e, plain, WIDTH);
            assert_all_near("finish", COUNT(seen), seen, plain, 1e-6F, 1e-6F);
        }
}

static void test_elementwise_and_rows_agree(void **state)
{
    static float a[MOST], b[MOST], c[MOST], seen[MOST], plain[MOST];
    for (size_t s = 0; set->add && s < COUNT(sizes); s++) {
        int n = sizes[s];
        fill(a, n, 10);
        fill(b, n, 1);
        fill(c, n, 1);
#define BOTH(what, tolerance, call)                                                                \
    do {                                                                                           \
        const Kernels *k = set;                                                                    \
        float *y = seen;                                                                           \
        memcpy(y, a, sizeof a);                                                                    \
        k->call;                                                                                   \
        k = &kernels_plain;                                                                        \
        y = plain;                                                                                 \
        memcpy(y, a, sizeof a);                                                                    \
        k->call;                                                                                   \
        assert_all_near(what, n, seen, plain, tolerance, tolerance);                               \
    } while (0)
        BOTH("add", 0, add(n, a, b, y));
        BOTH("sub", 0, sub(n, a, b, y));
        BOTH("mul", 0, mul(n, a, b, y));
        BOTH("scale", 0, scale(n, a, 0.3F, y));
        BOTH("rescale_add", 1e-6F, rescale_add(n, y, 0.3F, b));
        BOTH("softmax", 1e-6F, softmax(n, a, y));
        BOTH("softmax in place", 1e-6F, softmax(n, y, y));
        BOTH("rms_norm", 1e-6F, rms_norm(n, y, b, 1e-5F, y));
        BOTH("rms_norm", 1e-6F, rms_norm(n, a, NULL, 1e-5F, y));
        BOTH("layer_norm", 2e-6F, layer_norm(n, y, b, c, 1e-5F, y));
        BOTH("layer_norm", 2e-6F, layer_norm(n, a, b, NULL, 1e-5F, y));
        BOTH("rope", 1e-6F, rope(n / 2, false, a, b, c, y));
        BOTH("rope of neighbours", 1e-6F, rope(n / 2, true, a, b, c, y));
        if (set->affine) {
            for (int kind = 0; kind < ACT_COUNT; kind++)
                BOTH("affine", 3e-6F, affine(n, a, b, c, (Activation)kind, y));
            BOTH("add_squares", 2e-6F, add_squares(n, b, c, y));
            BOTH("add_products", 2e-6F, add_products(n, b, c, a, y));
            BOTH("add_products", 2e-6F, add_products(n, b, c, NULL, y));
            BOTH("add_scaled", 1e-6F, add_scaled(n, b, 0.3F, y));
            BOTH("maximum", 0, maximum(n, a, b, y));
            BOTH("dot_rows", 2e-5F, dot_rows(MIN(n, 5), n / 2, b, c, n / 10, y));
            BOTH("add_rows", 2e-6F, add_rows(MIN(n, 5), n / 2, b, c, n / 10, y));
        }
    }
}

static void test_running_softmax_never_looks_at_unseen_scores(void **state)
{
    float seen[ATTEND_KEYS], plain[ATTEND_KEYS];
    for (int trial = 0; set->attend_row && trial < 500; trial++) {
        int n = 1 + (int)random_below(&source, ATTEND_KEYS);
        KeyRange range = {(int)random_below(&source, (uint64_t)n), 0};
        range.to = range.from + (int)random_below(&source, (uint64_t)(n - range.from + 1));
        fill(plain, ATTEND_KEYS, 20);
        for (int i = 0; i < ATTEND_KEYS; i++)
            if (i < range.from || i >= range.to)
                plain[i] = NAN;
        memcpy(seen, plain, sizeof seen);
        float max[2] = {trial % 2 ? 1.5F : -INFINITY, 0}, sum[2] = {trial % 2 ? 3 : 0, 0};
        max[1] = max[0];
        sum[1] = sum[0];
        float factor = set->attend_row(n, seen, 0.5F, range, &max[0], &sum[0]);
        float wanted = kernels_plain.attend_row(n, plain, 0.5F, range, &max[1], &sum[1]);
        assert_all_near("attend_row", n, seen, plain, 1e-7F, 1e-6F);
        assert_all_near("attend_row's state", 2, (float[]){factor, sum[0]},
                        (float[]){wanted, sum[1]}, 1e-7F, 1e-6F);
        assert_true(max[0] == max[1]);
    }
}

/* An image of 3 rows under 3 x 3 taps, or some of them; a step of two pixels has no runs. */
static void check_depthwise(int channels, int pixels, int step, int n, bool bias, bool padded)
{
    enum { WIDTH = 2 * 20 + 3, MOST_CHANNELS = 2 * PANEL + 7 };
    static float image[3 * WIDTH * MOST_CHANNELS], weights[9 * MOST_CHANNELS];
    static float seen[20 * MOST_CHANNELS + 1], plain[COUNT(seen)];
    const float *r[9], *w[9];
    fill(image, COUNT(image), 1);
    fill(weights, COUNT(weights), 1);
    for (int t = 0; t < 9; t++) {
        r[t] = image + (t / 3 * WIDTH + t % 3) * channels;
        w[t] = weights + t * channels;
    }
    const TapRows taps = {.n = n,
                          .run = step == 1 ? 3 : 0,
                          .padded = padded && step == 1 && pixels >= DEPTHWISE_PIXELS,
                          .step = step * channels,
                          .channels = channels,
                          .rows = r,
                          .weights = w};
    memset(seen, 0, sizeof seen);
    memset(plain, 0, sizeof plain);
    set->depthwise(pixels, &taps, bias ? weights : NULL, seen);
    kernels_plain.depthwise(pixels, &taps, bias ? weights : NULL, plain);
    assert_all_near("depthwise", COUNT(seen), seen, plain, 2e-6F, 0);
}

static void test_depthwise_products_sum_over_taps(void **state)
{
    Random kept = source; // the other tests' numbers stay what they were
    for (int channels = 1; set->depthwise && channels <= 2 * PANEL + 7; channels++)
        for (int pixels = 1; pixels <= 20; pixels += pixels < 10 ? 1 : 5)
            for (int n = 0; n <= 9; n += 3)
                check_depthwise(channels, pixels, 1 + channels % 2, n, n > 3, n % 2);
    source = kept;
}

static void test_squares_are_turned_there_and_back(void **state)
{
    enum { STRIDE = 17 * PANEL };
    static float source_pixels[16][75], sums[16 * STRIDE], seen[16 * STRIDE], plain[16 * STRIDE];
    const float *pixels[16];
    Random kept = source; // the other tests' numbers stay what they were
    for (int i = 0; i < 16; i++) {
        fill(source_pixels[i], COUNT(source_pixels[i]), 1);
        pixels[i] = source_pixels[i];
    }
    fill(sums, COUNT(sums), 1);
    for (int n = 1; set->winograd_in && n <= 75; n++) {
        memset(seen, 0, sizeof seen);
        memset(plain, 0, sizeof plain);
        set->winograd_in(n, pixels, seen, 80);
        kernels_plain.winograd_in(n, pixels, plain, 80);
        assert_all_near("winograd_in", COUNT(seen), seen, plain, 1e-6F, 0);
    }
    for (int rows = 1; set->winograd_out && rows <= 17; rows++) {
        memset(seen, 0, sizeof seen);
        memset(plain, 0, sizeof plain);
        set->winograd_out(rows, sums, STRIDE, seen, 2 * STRIDE);
        kernels_plain.winograd_out(rows, sums, STRIDE, plain, 2 * STRIDE);
        assert_all_near("winograd_out", COUNT(seen), seen, plain, 2e-6F, 0);
    }
    source = kept;
}

static void test_rectangles_are_transposed(void **state)
{
    static float src[70 * 75], seen[75 * 80], plain[75 * 80];
    fill(src, COUNT(src), 1);
    for (int rows = 1; set->transpose && rows <= 70; rows += rows < 10 ? 1 : 7)
        for (int columns = 1; columns <= 70; columns += columns < 10 ? 1 : 7) {
            set->transpose(rows, columns, src, columns + 5, seen, rows + 3);
            kernels_plain.transpose(rows, columns, src, columns + 5, plain, rows + 3);
            assert_memory_equal(seen, plain, sizeof seen);
        }
}

/* Ranges, running state and scores that hide some rows; scores in powers of two. */
static void random_lanes(int n, bool ranged, LaneRanges *seen, RunningSoftmax *s, float *scores)
{
    fill(scores, (int64_t)n * PANEL, 20);
    for (int l = 0; l < PANEL; l++) {
        seen->from[l] = ranged ? (int)random_below(&source, (uint64_t)n) : 0;
        seen->to[l] = ranged ? seen->from[l] + (int)random_below(&source, (uint64_t)n) : n;
        seen->to[l] = MIN(seen->to[l], n);
        s->max[l] = l % 3 ? 5.0F * (float)(l - 10) : -INFINITY;
        s->sum[l] = l % 3 ? 2.5F : 0;
        for (int i = 0; i < n; i++)
            if (random_below(&source, 20) == 0)
                scores[i * PANEL + l] = -INFINITY;
    }
}

static void test_softmax_runs_on_in_each_lane(void **state)
{
    static float seen[129 * PANEL], plain[129 * PANEL];
    for (int trial = 0; set->attend_panel && trial < 100; trial++) {
        int n = 1 + (int)random_below(&source, 129);
        LaneRanges ranges;
        RunningSoftmax s[2];
        random_lanes(n, trial % 2, &ranges, &s[0], plain);
        s[1] = s[0];
        memcpy(seen, plain, sizeof seen);
        set->attend_panel(n, seen, trial % 2 ? &ranges : NULL, &s[0]);
        kernels_plain.attend_panel(n, plain, trial % 2 ? &ranges : NULL, &s[1]);
        assert_all_near("attend_panel", (int64_t)n * PANEL, seen, plain, 1e-30F, 5e-7F);
        assert_all_near("attend_panel's max", PANEL, s[0].max, s[1].max, 0, 0);
        for (int l = 0; l < PANEL; l++) // the sum of nothing may be 2^-125 a row
            if (s[0].max[l] != -INFINITY) {
                assert_near("attend_panel's sum", n, l, s[0].sum[l], s[1].sum[l],
                            1e-6F * s[1].sum[l]);
                assert_near("attend_panel's factor", n, l, s[0].factor[l], s[1].factor[l],
                            1e-30F + 5e-7F * s[1].factor[l]);
            }
    }
}

static void test_softmax_in_pairs_is_softmax_rounded(void **state)
{
    static float seen[129 * PANEL], plain[129 * PANEL];
    static uint16_t pairs[2][130 * PANEL];
    for (int trial = 0; set->attend_pairs && trial < 100; trial++) {
        int n = 1 + (int)random_below(&source, 129);
        LaneRanges ranges;
        RunningSoftmax s[2];
        random_lanes(n, trial % 2, &ranges, &s[0], plain);
        s[1] = s[0];
        memcpy(seen, plain, sizeof seen);
        set->attend_pairs(n, seen, trial % 2 ? &ranges : NULL, &s[0], pairs[0]);
        kernels_plain.attend_pairs(n, plain, trial % 2 ? &ranges : NULL, &s[1], pairs[1]);
        for (int i = 0; i < (n + n % 2) * PANEL; i++) {
            float wanted = bf16_to_f32(pairs[1][i]);
            assert_near("attend_pairs", n, i, bf16_to_f32(pairs[0][i]), wanted,
                        1e-30F + wanted / 128); // a value near the middle may go either way
        }
        for (int l = 0; l < PANEL; l++)
            if (s[0].max[l] != -INFINITY)
                assert_near("attend_pairs' sum", n, l, s[0].sum[l], s[1].sum[l],
                            s[1].sum[l] / 8192);
    }
}

static void test_slopes_of_scores_follow_from_those_of_weights(void **state)
{
    static float scores[2][129 * PANEL], slopes[2][129 * PANEL];
    float lse[PANEL], delta[PANEL];
    for (int trial = 0; set->attend_slopes && trial < 60; trial++) {
        int n = 1 + (int)random_below(&source, 129);
        LaneRanges ranges;
        RunningSoftmax unused;
        random_lanes(n, trial % 2, &ranges, &unused, scores[0]);
        fill(slopes[0], (int64_t)n * PANEL, 1);
        fill(delta, PANEL, 1);
        for (int l = 0; l < PANEL; l++)
            lse[l] = l == 5 ? INFINITY : 20 + (float)l;
        memcpy(scores[1], scores[0], sizeof scores[0]);
        memcpy(slopes[1], slopes[0], sizeof slopes[0]);
        set->attend_slopes(n, scores[0], slopes[0], trial % 2 ? &ranges : NULL, lse, delta);
        kernels_plain.attend_slopes(n, scores[1], slopes[1], trial % 2 ? &ranges : NULL, lse,
                                    delta);
        assert_all_near("attend_slopes' weights", (int64_t)n * PANEL, scores[0], scores[1], 1e-30F,
                        5e-7F);
        assert_all_near("attend_slopes", (int64_t)n * PANEL, slopes[0], slopes[1], 1e-7F, 1e-6F);
    }
}

static void test_panels_are_rescaled_and_paired(void **state)
{
    static float y[2][17 * PANEL], x[17 * PANEL];
    static uint16_t pairs[2][18 * PANEL];
    float factor[PANEL];
    fill(factor, PANEL, 1);
    for (int n = 1; n <= 17; n++) {
        fill(x, COUNT(x), 3);
        fill(y[0], COUNT(y[0]), 1);
        memcpy(y[1], y[0], sizeof y[0]);
        if (set->rescale_panel) {
            set->rescale_panel(n, y[0], factor, x);
            kernels_plain.rescale_panel(n, y[1], factor, x);
            assert_all_near("rescale_panel", COUNT(y[0]), y[0], y[1], 5e-7F, 0);
        }
        if (set->pair_rows) {
            set->pair_rows(n, x, pairs[0]);
            kernels_plain.pair_rows(n, x, pairs[1]);
            assert_memory_equal(pairs[0], pairs[1], (size_t)(n + n % 2) * PANEL * 2);
        }
    }
}

static void test_slopes_agree_over_the_whole_range(void **state)
{
    static float x[20011], dy[COUNT(x)], seen[COUNT(x)], plain[COUNT(x)];
    for (size_t i = 0; i < COUNT(x); i++) // denser towards zero
        x[i] = powf(((float)i - 10005) / 10005, 5) * 120;
    fill(dy, COUNT(dy), 1);
    for (int kind = 0; set->activate_gradient && kind < ACT_COUNT; kind++) {
        set->activate_gradient((Activation)kind, COUNT(x), x, dy, seen);
        kernels_plain.activate_gradient((Activation)kind, COUNT(x), x, dy, plain);
        // Slopes are differences of numbers near 1, times an x of a few units.
        assert_all_near("activate_gradient", COUNT(x), seen, plain, 2e-6F, 1e-6F);
    }
}

static void test_gradients_of_rows_agree(void **state)
{
    static float x[MOST], w[MOST], d[MOST], extra[MOST], seen[3][MOST], plain[3][MOST];
    for (size_t s = 0; set->softmax_gradient && s < COUNT(sizes); s++)
        for (int with = 0; with < 8; with++) {
            int n = sizes[s];
            const float *weight = with & 1 ? w : NULL, *addend = with & 2 ? extra : NULL;
            fill(x, n, 3);
            fill(w, n, 1);
            fill(d, n, 1);
            fill(extra, n, 1);
            for (int i = 0; i < 2; i++) {
                const Kernels *k = i ? &kernels_plain : set;
                float(*y)[MOST] = i ? plain : seen;
                memcpy(y[1], extra, sizeof extra); // sums go on
                memcpy(y[2], extra, sizeof extra);
                k->layer_norm_gradient(n, x, weight, 1e-5F, d, addend, y[0], with & 4 ? y[1] : NULL,
                                       with & 4 ? y[2] : NULL);
            }
            // A row of one value divides by the root of eps, one of few by a deviation that chance
            // may make small.
            float absolute = n < 3 ? 1e-3F : n < 8 ? 1e-4F : 4e-6F;
            for (int i = 0; i < 3; i++)
                assert_all_near("layer_norm_gradient", n, seen[i], plain[i], absolute, 4e-6F);
            for (int i = 0; i < 2; i++)
                (i ? &kernels_plain : set)
                    ->rms_norm_gradient(n, x, weight, 1e-5F, d, addend, (i ? plain : seen)[0],
                                        with & 4 ? (i ? plain : seen)[1] : NULL);
            for (int i = 0; i < 2; i++) // a small row is divided by its own size
                assert_all_near("rms_norm_gradient", n, seen[i], plain[i], n < 3 ? 1e-3F : 4e-6F,
                                4e-6F);
            kernels_plain.softmax(n, x, x);
            set->softmax_gradient(n, x, d, seen[0]);
            kernels_plain.softmax_gradient(n, x, d, plain[0]);
            assert_all_near("softmax_gradient", n, seen[0], plain[0], 1e-6F, 1e-6F);
        }
}

static void test_cross_entropy_agrees(void **state)
{
    static float x[MOST], seen[MOST], plain[MOST];
    for (size_t s = 0; set->log_sum_exp && s < COUNT(sizes); s++) {
        int n = sizes[s];
        fill(x, n, 20);
        float lse = kernels_plain.log_sum_exp(n, x);
        assert_near("log_sum_exp", n, 0, set->log_sum_exp(n, x), lse, 2e-6F * (1 + fabsf(lse)));
        set->softmax_less(n, x, lse, 0.3F, 0.001F, seen);
        kernels_plain.softmax_less(n, x, lse, 0.3F, 0.001F, plain);
        assert_all_near("softmax_less", n, seen, plain, 1e-7F, 1e-6F);
    }
}

static void test_columns_are_packed_and_values_dropped_alike(void **state)
{
    enum { STRIDE = PANEL + 5 };
    static float src[MOST * STRIDE], seen[MOST * PANEL], plain[MOST * PANEL];
    fill(src, COUNT(src), 1);
    for (size_t s = 0; set->pack_columns && s < COUNT(sizes); s++)
        for (int columns = 1; columns <= PANEL; columns++) {
            size_t bytes = (size_t)(sizes[s] * columns) * sizeof(float);
            set->pack_columns(columns, sizes[s], src, STRIDE, seen);
            kernels_plain.pack_columns(columns, sizes[s], src, STRIDE, plain);
            assert_memory_equal(seen, plain, bytes);
            bytes = (size_t)((sizes[s] + sizes[s] % 2) * columns) * sizeof(uint16_t);
            set->pack_columns_bf16(columns, sizes[s], src, STRIDE, (uint16_t *)(void *)seen);
            kernels_plain.pack_columns_bf16(columns, sizes[s], src, STRIDE,
                                            (uint16_t *)(void *)plain);
            assert_memory_equal(seen, plain, bytes);
        }
    for (uint64_t seed = 1; set->dropout && seed < 9; seed++) {
        int64_t dropped = 0;
        set->dropout(MOST, src, seed << 20, 77, UINT32_MAX / 4, 4 / 3.0F, seen);
        kernels_plain.dropout(MOST, src, seed << 20, 77, UINT32_MAX / 4, 4 / 3.0F, plain);
        assert_memory_equal(seen, plain, MOST * sizeof *seen);
        for (int i = 0; i < MOST; i++)
            dropped += seen[i] == 0;
        assert_in_range(dropped, MOST / 4 - 50, MOST / 4 + 50); // four deviations
    }
}
#if defined(__x86_64__)
extern const Kernels kernels_amx_in_c;

/* AMX's source with the instructions in C, where this processor does the rest of it. */
static int test_amx_in_c(void)
{
    set = &kernels_amx_in_c;
    if (set->needs > cpu_detect())
        return 0;
    printf("kernels: amx in C\n");
    kernels_use(set);
    table = *kernels();
    return RUN(test_bf16_tiles_multiply, test_cases_agree_with_their_plain_twins);
}
#else
static int test_amx_in_c(void)
{
    return 0;
}
#endif

int main(void)
{
    int failed = test_amx_in_c();
    source = random_of(42);
    for (const Kernels *const *s = kernel_sets(); *s; s++) {
        set = *s;
        if (set->needs > cpu_detect()) {
            printf("this processor has no %s: not tested\n", set->name);
            continue;
        }
        printf("kernels: %s\n", set->name);
        table = kernels_of(set->needs);
        failed += RUN(
            test_slopes_agree_over_the_whole_range, test_gradients_of_rows_agree,
            test_cross_entropy_agrees, test_columns_are_packed_and_values_dropped_alike,
            test_tiles_multiply, test_bf16_tiles_multiply, test_cases_agree_with_their_plain_twins,
            test_packed_weights_keep_their_values, test_rows_are_quantized_alike,
            test_rows_are_turned, test_activations_agree_over_the_whole_range,
            test_finishing_does_each_step_that_is_there, test_elementwise_and_rows_agree,
            test_running_softmax_never_looks_at_unseen_scores, test_rectangles_are_transposed,
            test_depthwise_products_sum_over_taps, test_squares_are_turned_there_and_back,
            test_softmax_runs_on_in_each_lane, test_softmax_in_pairs_is_softmax_rounded,
            test_slopes_of_scores_follow_from_those_of_weights,
            test_panels_are_rescaled_and_paired);
    }
    return failed;
}
