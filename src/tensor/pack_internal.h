/* How packed panels of weights lie in memory. A panel is PANEL = 32 output rows; the values that
 * one input meets lie side by side, so that a kernel multiplies a broadcast input with a vector of
 * weights and never sums across lanes. The same panel serves one row (GEMV) and many (GEMM).
 *
 * Plain types: f32 and f16 [k,PANEL]; bf16 [k/2,PANEL,2], pairs of inputs together, as the
 * dot-product instructions want them; an odd k is padded with a zero.
 *
 * Quantised types keep their codes and scales at the size of the file's blocks. Lanes are two
 * groups of 16 rows. Codes of 4 bits: word `codes[g][i][l]` holds, from its lowest nibble, inputs
 * 8i to 8i + 7 of row 16g + l; a fifth bit of input k is bit k of `high[g][l]`; the two upper bits
 * of 6-bit codes are at bits 2j of `high[g][i][l]` for input 16i + j; 8-bit codes are four to a
 * word. */
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

/* The packing of a stored type; false if linear layers cannot read it as it is. */
bool packing_of(DType type, Packing *packing);
/* Puts `n` values (whole blocks) of row `row` of a panel, stored as in the file, into the panel. */
void pack_row(Packing packing, const void *stored, int64_t n, int row, void *panel);
