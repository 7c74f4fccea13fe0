/* AMX in plain C: what kernels_amx.c uses of it, for tests on machines without it. Rows and widths
 * are those of the configuration in force, as the instructions have them; whoever reads outside a
 * tile's configured part, or uses tiles of unequal sizes, is stopped.
 * Source: Intel Architecture Instruction Set Extensions, chapter 3. */
#pragma once

#include "base/dtype.h"
#include "base/memory.h"

typedef struct TileInC {
    int rows, bytes; // configured
    uint8_t data[16][64];
} TileInC;

static _Thread_local TileInC tiles_in_c[8];

static inline void tile_configure(const void *config)
{
    const uint8_t *c = config;
    CHECK(c[0] == 1);
    for (int i = 0; i < 8; i++) {
        uint16_t bytes;
        memcpy(&bytes, c + 16 + 2 * i, sizeof bytes);
        tiles_in_c[i] = (TileInC){.rows = c[48 + i], .bytes = bytes};
        CHECK(tiles_in_c[i].rows <= 16 && bytes <= 64);
    }
}

static inline void tile_load(int t, const void *from, int64_t stride)
{
    for (int r = 0; r < tiles_in_c[t].rows; r++)
        memcpy(tiles_in_c[t].data[r], (const char *)from + r * stride, (size_t)tiles_in_c[t].bytes);
}

static inline void tile_store(int t, void *to, int64_t stride)
{
    for (int r = 0; r < tiles_in_c[t].rows; r++)
        memcpy((char *)to + r * stride, tiles_in_c[t].data[r], (size_t)tiles_in_c[t].bytes);
}

static inline void tile_clear(int t)
{
    memset(tiles_in_c[t].data, 0, sizeof tiles_in_c[t].data);
}

/* Both products: c [rows,columns] of 4 bytes, a rows of words, b a row of words for each word of a.
 */
static inline void tile_check(int c, int a, int b)
{
    CHECK(tiles_in_c[c].rows == tiles_in_c[a].rows && tiles_in_c[c].bytes == tiles_in_c[b].bytes &&
          tiles_in_c[a].bytes == 4 * tiles_in_c[b].rows && tiles_in_c[c].rows > 0);
}

static inline float half_at(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return bf16_to_f32(half);
}

static inline void tile_product_bf16(int c, int a, int b)
{
    TileInC *tc = &tiles_in_c[c], *ta = &tiles_in_c[a], *tb = &tiles_in_c[b];
    tile_check(c, a, b);
    for (int m = 0; m < tc->rows; m++)
        for (int k = 0; k < ta->bytes / 4; k++)
            for (int n = 0; n < tc->bytes / 4; n++) {
                float sum;
                memcpy(&sum, &tc->data[m][4 * n], sizeof sum);
                for (int i = 0; i < 2; i++)
                    sum +=
                        half_at(&ta->data[m][4 * k + 2 * i]) * half_at(&tb->data[k][4 * n + 2 * i]);
                memcpy(&tc->data[m][4 * n], &sum, sizeof sum);
            }
}

static inline void tile_product_int8(int c, int a, int b)
{
    TileInC *tc = &tiles_in_c[c], *ta = &tiles_in_c[a], *tb = &tiles_in_c[b];
    tile_check(c, a, b);
    for (int m = 0; m < tc->rows; m++)
        for (int k = 0; k < ta->bytes / 4; k++)
            for (int n = 0; n < tc->bytes / 4; n++) {
                int32_t sum;
                memcpy(&sum, &tc->data[m][4 * n], sizeof sum);
                for (int i = 0; i < 4; i++)
                    sum += (int8_t)ta->data[m][4 * k + i] * (int8_t)tb->data[k][4 * n + i];
                memcpy(&tc->data[m][4 * n], &sum, sizeof sum);
            }
}
