/* pack.c: from a checkpoint's rows to the panels of pack_internal.h.
 *
 * The file's codes and scales are moved, never rounded: a packed weight has exactly the values of
 * the stored one. Source of the stored layouts: base/dtype.c. */
#include "tensor/pack_internal.h"

bool packing_of(DType type, Packing *packing)
{
    static const struct {
        DType type;
        Packing packing;
    } rows[] = {
        {DTYPE_F32, PACK_F32},   {DTYPE_F16, PACK_F16},   {DTYPE_BF16, PACK_BF16},
        {DTYPE_Q8_0, PACK_Q8_0}, {DTYPE_Q4_0, PACK_Q4_0}, {DTYPE_Q4_1, PACK_Q4_1},
        {DTYPE_Q5_0, PACK_Q5_0}, {DTYPE_Q5_1, PACK_Q5_1}, {DTYPE_Q4_K, PACK_Q4_K},
        {DTYPE_Q5_K, PACK_Q5_K}, {DTYPE_Q6_K, PACK_Q6_K},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].type == type) {
            *packing = rows[i].packing;
            return true;
        }
    return false;
}

static uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t load_u32(const uint8_t *p)
{
    return load_u16(p) | (uint32_t)load_u16(p + 2) << 16;
}

/* 32 codes, the low four bits of each. */
static void put_nibbles(Nibbles *codes, int row, const uint8_t q[BLOCK])
{
    for (int i = 0; i < BLOCK / 8; i++) {
        uint32_t word = 0;
        for (int j = 0; j < 8; j++)
            word |= (uint32_t)(q[i * 8 + j] & 15) << 4 * j;
        (*codes)[row / LANES][i][row % LANES] = word;
    }
}

static void put_fifths(FifthBits *high, int row, const uint8_t q[BLOCK])
{
    uint32_t word = 0;
    for (int i = 0; i < BLOCK; i++)
        word |= (uint32_t)(q[i] >> 4 & 1) << (8 * byte_of(i) + quad_of(i));
    (*high)[row / LANES][row % LANES] = word;
}

/* The file's 32-value blocks: low nibbles are values 0 to 15, high ones 16 to 31. */
static void get_nibbles(const uint8_t *p, uint32_t high, uint8_t q[BLOCK])
{
    for (int i = 0; i < 16; i++) {
        q[i] = (uint8_t)((p[i] & 15) | (high >> i & 1) << 4);
        q[i + 16] = (uint8_t)(p[i] >> 4 | (high >> (i + 16) & 1) << 4);
    }
}

static void pack_q8_0(const uint8_t *p, int row, PanelQ8_0 *out)
{
    out->d[row] = load_u16(p);
    for (int i = 0; i < BLOCK; i++)
        out->codes[row / LANES][i / 4][row % LANES][i % 4] = (int8_t)p[2 + i];
}

static void pack_q4_0(const uint8_t *p, int row, PanelQ4_0 *out)
{
    uint8_t q[BLOCK];
    out->d[row] = load_u16(p);
    get_nibbles(p + 2, 0, q);
    put_nibbles(&out->codes, row, q);
}

static void pack_q4_1(const uint8_t *p, int row, PanelQ4_1 *out)
{
    uint8_t q[BLOCK];
    out->d[row] = load_u16(p);
    out->m[row] = load_u16(p + 2);
    get_nibbles(p + 4, 0, q);
    put_nibbles(&out->codes, row, q);
}

static void pack_q5_0(const uint8_t *p, int row, PanelQ5_0 *out)
{
    uint8_t q[BLOCK];
    out->d[row] = load_u16(p);
    get_nibbles(p + 6, load_u32(p + 2), q);
    put_nibbles(&out->codes, row, q);
    put_fifths(&out->high, row, q);
}

static void pack_q5_1(const uint8_t *p, int row, PanelQ5_1 *out)
{
    uint8_t q[BLOCK];
    out->d[row] = load_u16(p);
    out->m[row] = load_u16(p + 2);
    get_nibbles(p + 8, load_u32(p + 4), q);
    put_nibbles(&out->codes, row, q);
    put_fifths(&out->high, row, q);
}

/* Eight 6-bit scales and minimums in 12 bytes; see base/dtype.c. */
static void get_k_scale(const uint8_t *p, int i, uint8_t *scale, uint8_t *min)
{
    if (i < 4) {
        *scale = p[i] & 63;
        *min = p[i + 4] & 63;
    } else {
        *scale = (uint8_t)((p[i + 4] & 15) | (p[i - 4] >> 6) << 4);
        *min = (uint8_t)(p[i + 4] >> 4 | (p[i] >> 6) << 4);
    }
}

static void pack_q4_k(const uint8_t *p, int row, PanelQ4_K *out)
{
    const uint8_t *low = p + 16;
    out->d[row] = load_u16(p);
    out->m[row] = load_u16(p + 2);
    for (int b = 0; b < SUPER_BLOCKS; b++) {
        uint8_t q[BLOCK];
        get_k_scale(p + 4, b, &out->scale[b][row], &out->min[b][row]);
        for (int i = 0; i < BLOCK; i++)
            q[i] = low[b / 2 * 32 + i] >> (b % 2 * 4) & 15;
        put_nibbles(&out->codes[b], row, q);
    }
}

static void pack_q5_k(const uint8_t *p, int row, PanelQ5_K *out)
{
    const uint8_t *high = p + 16, *low = p + 48;
    out->d[row] = load_u16(p);
    out->m[row] = load_u16(p + 2);
    for (int b = 0; b < SUPER_BLOCKS; b++) {
        uint8_t q[BLOCK];
        get_k_scale(p + 4, b, &out->scale[b][row], &out->min[b][row]);
        for (int i = 0; i < BLOCK; i++)
            q[i] = (uint8_t)((low[b / 2 * 32 + i] >> (b % 2 * 4) & 15) | (high[i] >> b & 1) << 4);
        put_nibbles(&out->codes[b], row, q);
        put_fifths(&out->high[b], row, q);
    }
}

static void pack_q6_k(const uint8_t *p, int row, PanelQ6_K *out)
{
    const uint8_t *low = p, *high = p + 128;
    out->d[row] = load_u16(p + 208);
    for (int i = 0; i < 2 * SUPER_BLOCKS; i++)
        out->scale[i][row] = (int8_t)p[192 + i];
    for (int b = 0; b < SUPER_BLOCKS; b++) {
        uint8_t q[BLOCK];
        uint32_t words[2] = {0};
        for (int i = 0; i < BLOCK; i++) {
            int at = b % 4 * BLOCK + i, half = b / 4; // within its half of 128
            q[i] = low[half * 64 + at % 64] >> (at / 64 * 4) & 15;
            uint32_t top = high[half * 32 + at % 32] >> (at / 32 * 2) & 3;
            words[i / 16] |= top << (8 * byte_of(i) + quad_of(i) % 4 * 2);
        }
        put_nibbles(&out->codes[b], row, q);
        for (int i = 0; i < 2; i++)
            out->high[b][row / LANES][i][row % LANES] = words[i];
    }
}

/* Blocks of one row, one behind the other in the file, `inputs` values in `bytes` each. */
#define PACK_BLOCKS(type, inputs, bytes, call)                                                     \
    for (int64_t b = 0; b < n / (inputs); b++)                                                     \
        call(p + b * (bytes), row, (type *)panel + b);                                             \
    break

void pack_row(Packing packing, const void *stored, int64_t n, int row, void *panel)
{
    const uint8_t *p = stored;
    uint16_t *halves = panel;
    switch (packing) {
    case PACK_F32:
        for (int64_t i = 0; i < n; i++)
            memcpy((float *)panel + i * PANEL + row, p + 4 * i, 4);
        break;
    case PACK_F16:
        for (int64_t i = 0; i < n; i++)
            halves[i * PANEL + row] = load_u16(p + 2 * i);
        break;
    case PACK_BF16:
        for (int64_t i = 0; i < n; i++)
            halves[(i / 2 * PANEL + row) * 2 + i % 2] = load_u16(p + 2 * i);
        break;
    case PACK_Q8_0:
        PACK_BLOCKS(PanelQ8_0, 32, 34, pack_q8_0);
    case PACK_Q4_0:
        PACK_BLOCKS(PanelQ4_0, 32, 18, pack_q4_0);
    case PACK_Q4_1:
        PACK_BLOCKS(PanelQ4_1, 32, 20, pack_q4_1);
    case PACK_Q5_0:
        PACK_BLOCKS(PanelQ5_0, 32, 22, pack_q5_0);
    case PACK_Q5_1:
        PACK_BLOCKS(PanelQ5_1, 32, 24, pack_q5_1);
    case PACK_Q4_K:
        PACK_BLOCKS(PanelQ4_K, 256, 144, pack_q4_k);
    case PACK_Q5_K:
        PACK_BLOCKS(PanelQ5_K, 256, 176, pack_q5_k);
    case PACK_Q6_K:
        PACK_BLOCKS(PanelQ6_K, 256, 210, pack_q6_k);
    case PACK_COUNT:
        CHECK(false);
    }
}
