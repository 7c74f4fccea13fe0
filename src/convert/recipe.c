/* recipe.c: which type each tensor gets in a GGUF file.
 *
 * As llama.cpp does it: vectors, norms and learned positions stay f32, because they are small and
 * rounding them shows; the output head gets six bits at the least; the mixes give more bits to the
 * values and to the second feed-forward matrix of some layers. Where rows are no whole blocks of
 * 256, a type of 32 with one bit more takes the place. */
#include "convert/convert_internal.h"

static const Recipe recipes[] = {
    {"auto", DTYPE_F32, DTYPE_F32, DTYPE_COUNT, 0, .stored = true},
    {"f32", DTYPE_F32, DTYPE_F32, DTYPE_COUNT, 0},
    {"f16", DTYPE_F16, DTYPE_F16, DTYPE_COUNT, 1},
    {"bf16", DTYPE_BF16, DTYPE_BF16, DTYPE_COUNT, 32},
    {"q8_0", DTYPE_Q8_0, DTYPE_Q8_0, DTYPE_COUNT, 7},
    {"q4_0", DTYPE_Q4_0, DTYPE_Q6_K, DTYPE_COUNT, 2},
    {"q4_1", DTYPE_Q4_1, DTYPE_Q6_K, DTYPE_COUNT, 3},
    {"q5_0", DTYPE_Q5_0, DTYPE_Q6_K, DTYPE_COUNT, 8},
    {"q5_1", DTYPE_Q5_1, DTYPE_Q6_K, DTYPE_COUNT, 9},
    {"q4_k", DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_COUNT, 14},
    {"q4_k_m", DTYPE_Q4_K, DTYPE_Q6_K, DTYPE_Q6_K, 15},
    {"q5_k", DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_COUNT, 16},
    {"q5_k_m", DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_Q6_K, 17},
    {"q6_k", DTYPE_Q6_K, DTYPE_Q6_K, DTYPE_COUNT, 18},
};

void recipe_names(char *out, size_t size)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < COUNT(recipes) && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", recipes[i].name);
}

const Recipe *recipe_find(const char *name, Error *err)
{
    for (size_t i = 0; i < COUNT(recipes); i++)
        if (str_eq_nocase(str_of(name ? name : "auto"), str_of(recipes[i].name)))
            return &recipes[i];
    char names[200];
    recipe_names(names, sizeof names);
    return fail(err, ERR_UNSUPPORTED, "dtype '%.40s'; there are %s", name, names);
}

/* The number behind "blk.", -1 without one. */
static int64_t layer_of(const char *name)
{
    Str rest = str_of(name), part;
    int64_t layer;
    if (!str_split(&rest, '.', &part) || !str_eq(part, S("blk")) || !str_split(&rest, '.', &part) ||
        !str_to_int(part, 0, INT32_MAX, &layer))
        return -1;
    return layer;
}

/* The first and last eighth of the layers, and every third between. */
static bool layer_suffers(int64_t layer, int64_t layers)
{
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

static bool tensor_suffers(const RecipeTensor *t)
{
    return (strstr(t->name, "attn_v.") || strstr(t->name, "ffn_down.")) &&
           layer_suffers(layer_of(t->name), t->layers);
}

static bool stays_f32(const RecipeTensor *t)
{
    return t->rank < 2 || strstr(t->name, "_norm.") || strstr(t->name, "position_embd.") ||
           strstr(t->name, "token_types.") || strstr(t->name, "ffn_gate_inp.");
}

/* A type whose blocks fill a row of this many values. */
static DType type_for_row(DType type, int64_t row)
{
    static const struct {
        DType wanted, instead;
    } rows[] = {{DTYPE_Q4_K, DTYPE_Q5_0}, {DTYPE_Q5_K, DTYPE_Q5_1}, {DTYPE_Q6_K, DTYPE_Q8_0}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (type == rows[i].wanted && row % dtype_info(type)->block != 0)
            type = rows[i].instead;
    return row % dtype_info(type)->block == 0 ? type : DTYPE_F16;
}

DType recipe_type(const Recipe *r, const RecipeTensor *t)
{
    if (stays_f32(t))
        return DTYPE_F32;
    if (r->stored) {
        bool fits = t->stored == DTYPE_F16 || t->stored == DTYPE_BF16 || dtype_is_block(t->stored);
        return fits && t->row % dtype_info(t->stored)->block == 0 ? t->stored : DTYPE_F32;
    }
    if (strcmp(t->name, "output.weight") == 0 ||
        (t->tied && strcmp(t->name, "token_embd.weight") == 0))
        return type_for_row(r->head, t->row);
    if (r->more != DTYPE_COUNT && tensor_suffers(t))
        return type_for_row(r->more, t->row);
    return type_for_row(r->type, t->row);
}
