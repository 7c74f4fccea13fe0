/* How packed panels of weights lie in memory. A panel is PANEL = 32 output rows; the values that
 * one input meets lie side by side, so that a kernel multiplies a broadcast input with a vector of
 * weights and never sums across lanes. The same panel serves one row (GEMV) and many (GEMM).
 *
 * Plain types: f32 and f16 [k,PANEL]; bf16 [k/2,PANEL,2], pairs of inputs together, as the
 * dot-product instructions want them; an odd k is padded with a zero.
 *
 * Quantised types keep their codes and scales at the size of the file's blocks. Lanes are two
 * groups of 16 rows. Codes of 4 bits: word `codes[g][i][l]` holds, from its lowest nibble, inputs
 * 8i to 8i + 7 of row 16g + l. Its even nibbles and its odd ones are thus bytes of two words, as the
 * dot-product instructions want them: quad 2i has inputs 8i + (0 2 4 6), quad 2i + 1 8i + (1 3 5 7).
 * Fifth bits go by these quads: byte j of quad q has bit 8j + q of `high[g][l]`. The two upper bits
 * of 6-bit codes likewise: byte j of quad q has the two at 8j + q % 4 * 2 of `high[g][q / 4][l]`.
 * 8-bit codes are four to a word, in order. */
#pragma once

#include "tensor/kernels_internal.h"

enum { GROUPS = 2, LANES = PANEL / GROUPS, SUPER = 256, SUPER_BLOCKS = SUPER / BLOCK };

typedef uint32_t Nibbles[GROUPS][BLOCK / 8][LANES];
typedef uint32_t FifthBits[GROUPS][LANES];

typedef struct PanelQ8_0 {
    uint16_t d[PANEL];
    int8_t codes[GROUPS][BLOCK / 4][LANES][4];
} PanelQ8_0;

typedef struct PanelQ4_0 {
    uint16_t d[PANEL];
    Nibbles codes;
} PanelQ4_0;

typedef struct PanelQ4_1 {
    uint16_t d[PANEL], m[PANEL];
    Nibbles codes;
} PanelQ4_1;

typedef struct PanelQ5_0 {
    uint16_t d[PANEL];
    Nibbles codes;
    FifthBits high;
} PanelQ5_0;

typedef struct PanelQ5_1 {
    uint16_t d[PANEL], m[PANEL];
    Nibbles codes;
    FifthBits high;
} PanelQ5_1;

typedef struct PanelQ4_K {
    uint16_t d[PANEL], m[PANEL];
    uint8_t scale[SUPER_BLOCKS][PANEL], min[SUPER_BLOCKS][PANEL];
    Nibbles codes[SUPER_BLOCKS];
} PanelQ4_K;

typedef struct PanelQ5_K {
    uint16_t d[PANEL], m[PANEL];
    uint8_t scale[SUPER_BLOCKS][PANEL], min[SUPER_BLOCKS][PANEL];
    Nibbles codes[SUPER_BLOCKS];
    FifthBits high[SUPER_BLOCKS];
} PanelQ5_K;

typedef struct PanelQ6_K {
    uint16_t d[PANEL];
    int8_t scale[2 * SUPER_BLOCKS][PANEL]; // of 16 inputs each
    Nibbles codes[SUPER_BLOCKS];
    uint32_t high[SUPER_BLOCKS][GROUPS][2][LANES];
} PanelQ6_K;

/* Of input i of a block of nibbles: its quad, and its byte in there. */
static inline int quad_of(int i)
{
    return i / 8 * 2 + i % 2;
}

static inline int byte_of(int i)
{
    return i % 8 / 2;
}

/* The packing of a stored type; false if linear layers cannot read it as it is. */
bool packing_of(DType type, Packing *packing);
/* Puts `n` values (whole blocks) of row `row` of a panel, stored as in the file, into the panel. */
void pack_row(Packing packing, const void *stored, int64_t n, int row, void *panel);
