/* kernels_amx.c: products of many rows by AMX tiles, in bf16 and int8; one row stays with AVX-512.
 *
 * A tile of the product is 32 rows by a panel: 2 x 2 registers of sums, to which 2 registers of rows
 * and 2 of the panel are loaded for every 64 bytes of a row, each load between two products. Rows
 * lie in chunks of 64 bytes, [chunk][rows][64 bytes], so that a load reads neighbouring lines while
 * they stream from the second-level cache; the panel's part stays in the first. Panels are PACK_BF16
 * and [k/4][PANEL][4], which AVX-512 reads as well. Sums go to a small buffer; the output's far-apart
 * rows are met only when a tile is finished.
 *
 * Each thread keeps its configuration of the registers, which costs as much as many products, while
 * the number of rows stays the same. The kernel's permission is asked for in base/cpu.c.
 * With AMX_IN_C the instructions are C (amx_in_c.h), for tests. Not yet measured on a machine that
 * has them. Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter 20. */
#include "tensor/lanes_avx512.inc"

#define dot4(sums, a, b) ((Ints)_mm512_dpbusd_epi32((__m512i)(sums), (__m512i)(a), (__m512i)(b)))
#define store_codes(p, v)                                                                          \
    _mm_storeu_si128((__m128i *)(void *)(p), _mm512_cvtepi32_epi8((__m512i)(v)))

#include "tensor/kernels_lanes.inc"

enum { GROUP = 64, ZERO = 0 };
#include "tensor/kernels_pack_int8.inc"

#ifdef AMX_IN_C
#include "tensor/amx_in_c.h"
#else
#define tile_configure(config) _tile_loadconfig(config)
#define tile_clear(t) _tile_zero(t)
#define tile_load(t, from, stride) _tile_loadd(t, from, stride)
#define tile_store(t, to, stride) _tile_stored(t, to, stride)
#define tile_product_bf16(c, a, b) _tile_dpbf16ps(c, a, b)
#define tile_product_int8(c, a, b) _tile_dpbssd(c, a, b)
#endif

enum {
    REGISTER_ROWS = 16,
    REGISTER_BYTES = 64, // of a row
    ROWS = 2 * REGISTER_ROWS,
    PANEL_BYTES = PANEL * 4, // of a row of words of a panel
    HALVES = REGISTER_BYTES / 2,
};

/* Registers; the instructions want them as constants. */
#define SUMS00 0
#define SUMS01 1
#define SUMS10 2
#define SUMS11 3
#define ROWS0 4
#define ROWS1 5
#define PANEL0 6
#define PANEL1 7

/* Sets the registers up for this many rows, unless this thread has them so. */
static void configure(int rows)
{
    static _Thread_local int configured;
    if (configured == rows)
        return;
    struct {
        uint8_t palette, start, zeros[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = REGISTER_BYTES;
        config.rows[i] = REGISTER_ROWS;
    }
    int first = MIN(rows, REGISTER_ROWS), second = MAX(rows - REGISTER_ROWS, 1);
    config.rows[SUMS00] = config.rows[SUMS01] = config.rows[ROWS0] = (uint8_t)first;
    config.rows[SUMS10] = config.rows[SUMS11] = config.rows[ROWS1] = (uint8_t)second;
    __asm__ volatile("" : : "r"(&config) : "memory"); // gcc believes that only 8 bytes are read
    tile_configure(&config);
    configured = rows;
}

/* Adds a chunk's products: `rows` in a [rows][64 bytes], 16 rows of words in b. */
#define MULTIPLY_CHUNK(product, rows, a, b)                                                        \
    tile_load(PANEL0, b, PANEL_BYTES);                                                             \
    tile_load(ROWS0, a, REGISTER_BYTES);                                                           \
    product(SUMS00, ROWS0, PANEL0);                                                                \
    tile_load(PANEL1, (b) + REGISTER_BYTES, PANEL_BYTES);                                          \
    product(SUMS01, ROWS0, PANEL1);                                                                \
    if ((rows) > REGISTER_ROWS) {                                                                  \
        tile_load(ROWS1, (a) + REGISTER_ROWS * REGISTER_BYTES, REGISTER_BYTES);                    \
        product(SUMS10, ROWS1, PANEL0);                                                            \
        product(SUMS11, ROWS1, PANEL1);                                                            \
    }

static void clear_sums(void)
{
    tile_clear(SUMS00);
    tile_clear(SUMS01);
    tile_clear(SUMS10);
    tile_clear(SUMS11);
}

/* Rows of words `stride` bytes apart. */
static void load_sums(int rows, const void *from, int64_t stride)
{
    const char *p = from;
    tile_load(SUMS00, p, stride);
    tile_load(SUMS01, p + REGISTER_BYTES, stride);
    if (rows > REGISTER_ROWS) {
        tile_load(SUMS10, p + REGISTER_ROWS * stride, stride);
        tile_load(SUMS11, p + REGISTER_ROWS * stride + REGISTER_BYTES, stride);
    }
}

static void store_sums(int rows, void *to, int64_t stride)
{
    char *p = to;
    tile_store(SUMS00, p, stride);
    tile_store(SUMS01, p + REGISTER_BYTES, stride);
    if (rows > REGISTER_ROWS) {
        tile_store(SUMS10, p + REGISTER_ROWS * stride, stride);
        tile_store(SUMS11, p + REGISTER_ROWS * stride + REGISTER_BYTES, stride);
    }
}

static void fetch(const char *ahead, int64_t line, int n)
{
    for (int i = 0; ahead && i < n; i++)
        __builtin_prefetch(ahead + (line + i) * 64, 0, 2);
}

/* bf16. */

/* [chunk][rows][HALVES]; the last chunk may be narrower. */
static void pack_rows_bf16(int rows, int64_t k, const float *src, int64_t stride, uint16_t *dst)
{
    int64_t even = k + k % 2;
    for (int64_t i = 0; i < even; i += HALVES) {
        int64_t width = MIN(HALVES, even - i);
        for (int r = 0; r < rows; r++)
            for (int64_t j = 0; j < width; j += LANE) {
                Vec x = load_upto(src + r * stride + i + j, MAX(0, k - i - j), 0);
                __m256bh halves = _mm512_cvtneps_pbh(x);
                memcpy(dst + i * rows + r * width + j, &halves,
                       (size_t)MIN(LANE, width - j) * sizeof *dst);
            }
    }
}

/* Two rows of src, 16 columns from the first on, as pairs; those that are not there are zero. */
static void pair_columns(int64_t columns, const float *even, const float *odd, uint32_t *pairs)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                           8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    Vec low = load_upto(even, columns, 0), high = {0};
    if (odd)
        high = load_upto(odd, columns, 0);
    __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
    _mm512_storeu_si512(pairs, _mm512_permutexvar_epi16(order, halves));
}

/* dst [columns,n] = the transpose of pairs [n,PANEL]. */
static void turn_pairs(int64_t n, int columns, uint32_t (*pairs)[PANEL], uint32_t *dst)
{
    int64_t whole = n / 4 * 4;
    int fours = columns / 4 * 4;
    for (int c = 0; c < fours; c += 4)
        for (int64_t p = 0; p < whole; p += 4) {
            __m128 v[4];
            memcpy(&v[0], &pairs[p][c], sizeof *v);
            memcpy(&v[1], &pairs[p + 1][c], sizeof *v);
            memcpy(&v[2], &pairs[p + 2][c], sizeof *v);
            memcpy(&v[3], &pairs[p + 3][c], sizeof *v);
            _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]);
            for (int i = 0; i < 4; i++)
                memcpy(dst + (c + i) * n + p, &v[i], sizeof *v);
        }
    for (int c = 0; c < columns; c++)
        for (int64_t p = c < fours ? whole : 0; p < n; p++)
            dst[c * n + p] = pairs[p][c];
}

static void pack_turned_bf16(int columns, int64_t k, const float *src, int64_t stride,
                             uint16_t *dst)
{
    for (int64_t i = 0; i < k; i += HALVES) {
        uint32_t pairs[HALVES / 2][PANEL];
        int64_t n = (MIN(HALVES, k - i) + 1) / 2;
        for (int64_t p = 0; p < n; p++)
            for (int c = 0; c < columns; c += LANE) {
                const float *even = src + (i + 2 * p) * stride + c;
                pair_columns(columns - c, even, i + 2 * p + 1 < k ? even + stride : NULL,
                             &pairs[p][c]);
            }
        turn_pairs(n, columns, pairs, (uint32_t *)(void *)(dst + i * columns));
    }
}

/* What is left of K, less than a chunk: both factors are filled up with zeros. */
static void multiply_rest_bf16(int rows, int64_t width, const uint16_t *a, const uint16_t *b)
{
    uint16_t wide_a[ROWS * HALVES] = {0}, wide_b[HALVES * PANEL] = {0};
    for (int r = 0; r < rows; r++)
        memcpy(wide_a + r * HALVES, a + r * width, (size_t)width * sizeof *a);
    memcpy(wide_b, b, (size_t)(width * PANEL) * sizeof *b);
    const char *at = (const char *)wide_a, *bt = (const char *)wide_b;
    MULTIPLY_CHUNK(tile_product_bf16, rows, at, bt)
}

static void multiply_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b,
                          const char *ahead)
{
    int64_t i = 0;
    for (; i + HALVES <= k; i += HALVES) {
        const char *at = (const char *)(a + i * rows), *bt = (const char *)(b + i * PANEL);
        fetch(ahead, i / 2, HALVES / 2);
        MULTIPLY_CHUNK(tile_product_bf16, rows, at, bt)
    }
    if (i < k)
        multiply_rest_bf16(rows, k - i, a + i * rows, b + i * PANEL);
}

static void tile_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      int64_t stride)
{
    configure(rows);
    clear_sums();
    multiply_bf16(rows, k, a, b, NULL);
    store_sums(rows, out, stride * (int64_t)sizeof *out);
}

static void gemm_bf16(int rows, int64_t k, const uint16_t *a, const uint16_t *b, float *out,
                      bool more, const char *ahead)
{
    configure(rows);
    if (more)
        load_sums(rows, out, PANEL_BYTES);
    else
        clear_sums();
    multiply_bf16(rows, k, a, b, ahead);
    store_sums(rows, out, PANEL_BYTES);
}

/* int8. */

/* out (+)= sums * scales of rows * scales of columns. */
static void scale_sums(int rows, const int32_t *sums, const float *a_scales, const float *b_scales,
                       float *out, bool more)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < PANEL; j += LANE) {
            Vec v = (Vec)_mm512_cvtepi32_ps(_mm512_loadu_si512(sums + r * PANEL + j));
            Vec before = more ? load(out + r * PANEL + j) : (Vec)splat(0);
            store(out + r * PANEL + j, madd(v, splat(a_scales[r]) * load(b_scales + j), before));
        }
}

static void gemm_int8(int rows, int64_t k, const void *a, const void *b, float *out, bool more,
                      const char *ahead)
{
    enum { HEAD = 2 * sizeof(float) }; // of a lane: its scale, and a sum that is not needed
    int32_t sums[ROWS * PANEL] __attribute__((aligned(64)));
    const char *at = a, *bt = b;
    configure(rows);
    for (int64_t i = 0; i < k; i += INT8_BLOCK) {
        int64_t n = block_codes(k - i);
        const char *codes = at + HEAD * rows, *quads = bt + HEAD * PANEL;
        clear_sums();
        for (int64_t j = 0; j < n; j += REGISTER_BYTES) {
            const char *chunk = codes + j * rows, *words = quads + j * PANEL;
            fetch(ahead, (i + j) / 4, REGISTER_BYTES / 4);
            MULTIPLY_CHUNK(tile_product_int8, rows, chunk, words)
        }
        store_sums(rows, sums, PANEL_BYTES);
        scale_sums(rows, sums, (const float *)(const void *)at, (const float *)(const void *)bt, out,
                   more || i > 0);
        at += int8_bytes(n) * rows;
        bt += int8_bytes(n) * PANEL;
    }
}

/* What a core reaches: products of registers alone. */

static int64_t peak_bf16(int64_t rounds)
{
    uint16_t zeros[ROWS * HALVES] = {0};
    configure(ROWS);
    clear_sums();
    tile_load(ROWS0, zeros, 0);
    tile_load(ROWS1, zeros, 0);
    tile_load(PANEL0, zeros, 0);
    tile_load(PANEL1, zeros, 0);
    for (int64_t r = 0; r < rounds; r++) {
        tile_product_bf16(SUMS00, ROWS0, PANEL0);
        tile_product_bf16(SUMS01, ROWS0, PANEL1);
        tile_product_bf16(SUMS10, ROWS1, PANEL0);
        tile_product_bf16(SUMS11, ROWS1, PANEL1);
    }
    return rounds * 2 * ROWS * PANEL * HALVES;
}

static int64_t peak_int8(int64_t rounds)
{
    int8_t zeros[ROWS * REGISTER_BYTES] = {0};
    configure(ROWS);
    clear_sums();
    tile_load(ROWS0, zeros, 0);
    tile_load(ROWS1, zeros, 0);
    tile_load(PANEL0, zeros, 0);
    tile_load(PANEL1, zeros, 0);
    for (int64_t r = 0; r < rounds; r++) {
        tile_product_int8(SUMS00, ROWS0, PANEL0);
        tile_product_int8(SUMS01, ROWS0, PANEL1);
        tile_product_int8(SUMS10, ROWS1, PANEL0);
        tile_product_int8(SUMS11, ROWS1, PANEL1);
    }
    return rounds * 2 * ROWS * PANEL * REGISTER_BYTES;
}

#ifdef AMX_IN_C
extern const Kernels kernels_amx_in_c;
#define kernels_amx kernels_amx_in_c
#define NEEDS CPU_AVX512BF16
#else
#define NEEDS CPU_AMX
#endif

const Kernels kernels_amx = {.name = "amx",
                             .needs = NEEDS,
                             .tile_rows_bf16 = ROWS,
                             .tile_rows_int8 = ROWS,
                             .prefers_gemm_int8 = true,
                             .tile_bf16 = tile_bf16,
                             .gemm_bf16 = gemm_bf16,
                             .pack_rows_bf16 = pack_rows_bf16,
                             .pack_turned_bf16 = pack_turned_bf16,
                             .pack_rows_int8 = pack_rows_int8,
                             .pack_panel_int8 = pack_panel_int8,
                             .gemm_int8 = gemm_int8,
                             .peak_bf16 = peak_bf16,
                             .peak_int8 = peak_int8};
