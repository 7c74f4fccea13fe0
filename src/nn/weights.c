/* weights.c: see weights.h. */
#include "nn/weights.h"

#include "base/map.h"
#include "base/random.h"

#include <math.h>

typedef struct Made {
    Weight *weight;
    bool turned;
} Made;

struct Weights {
    Arena *arena;
    Checkpoint *checkpoint;
    Stored *stored;
    WeightPolicy policy;
    Map made;      // "use name" -> Made
    Map floats;    // name -> float[n]
    size_t mapped; // bytes that are used where they lie in the file
    bool sealed;
    const Lora *lora;     // NULL: no adapters
    Checkpoint *adapters; // NULL: they begin
    bool adapters_trainable;
    uint64_t adapters_seed;
    size_t adapters_used;
};

/* "auto" or a type; false if it is neither. */
static bool parse_type(WeightPolicy *p, Str name)
{
    static const DType types[] = {DTYPE_F32,  DTYPE_BF16, DTYPE_F16,  DTYPE_Q8_0,
                                  DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q5_0, DTYPE_Q5_1};
    if (str_eq(name, S("auto")))
        return true;
    for (size_t i = 0; i < COUNT(types); i++)
        if (str_eq(name, str_of(dtype_name(types[i])))) {
            p->convert = true;
            p->as = types[i];
            p->precision = types[i] == DTYPE_BF16 ? PRECISION_BF16 : PRECISION_F32;
            return true;
        }
    return false;
}

bool weight_policy_parse(WeightPolicy *p, const char *name, Error *err)
{
    Str precision = str_of(name), type;
    *p = (WeightPolicy){0};
    if (!str_split(&precision, '+', &type) || !parse_type(p, type))
        return fail(
            err, ERR_UNSUPPORTED,
            "dtype '%.40s'; there are auto, f32, bf16, f16, q8_0, q4_0, q4_1, q5_0 and q5_1", name);
    if (precision.ptr && !precision_parse(precision, &p->precision))
        return fail(err, ERR_UNSUPPORTED, "dtype '%.40s': behind the + comes f32, bf16 or int8",
                    name);
    return true;
}

Weights *weights_new(Checkpoint *c, const StoredNames *names, const WeightPolicy *policy,
                     Error *err)
{
    AUTO(weights_free) Weights *w = xcalloc(1, sizeof *w);
    w->arena = arena_new(0);
    w->checkpoint = c;
    w->policy = *policy;
    if (policy->init)
        return TAKE(w);
    w->stored = stored_new(c, names, err);
    return w->stored ? TAKE(w) : NULL;
}

void weights_free(Weights *w)
{
    if (!w)
        return;
    map_done(&w->made);
    map_done(&w->floats);
    arena_free(w->arena);
    stored_free(w->stored);
    checkpoint_free(w->adapters);
    checkpoint_free(w->checkpoint);
    free(w);
}

const Checkpoint *weights_checkpoint(const Weights *w)
{
    return w->checkpoint;
}

Precision weights_precision(const Weights *w)
{
    return w->policy.precision;
}

bool weights_have(const Weights *w, const char *name)
{
    return w->stored && stored_has(w->stored, name);
}

bool weights_seal(Weights *w, Error *err)
{
    w->sealed = true;
    if (w->adapters && w->adapters_used != checkpoint_count(w->adapters))
        return fail(err, ERR_INVALID, "of %zu tensors of the adapter %zu belong to layers",
                    checkpoint_count(w->adapters), w->adapters_used);
    return !w->stored || stored_all_used(w->stored, err);
}

size_t weights_count(const Weights *w)
{
    return w->made.n;
}

Weight *weights_at(const Weights *w, size_t i)
{
    return ((const Made *)w->made.entries[i].value)->weight;
}

size_t weights_memory(const Weights *w)
{
    size_t bytes = w->mapped;
    for (size_t i = 0; i < w->made.n; i++)
        bytes += weight_packed_bytes(((const Made *)w->made.entries[i].value)->weight);
    return bytes;
}

static Shape turn(Shape s)
{
    return s.rank == 2 ? SHAPE(s.dims[1], s.dims[0]) : s;
}

static bool check_shape(const StoredTensor *t, Shape shape, Error *err)
{
    bool same = t->rank == shape.rank;
    for (int i = 0; same && i < shape.rank; i++)
        same = t->dims[i] == shape.dims[i];
    if (same)
        return true;
    char file[SHAPE_TEXT], model[SHAPE_TEXT];
    return fail(err, ERR_INVALID, "tensor '%s': model wants %s, file has %s", t->name,
                shape_format(&shape, model), dims_format(t->dims, t->rank, file, sizeof file));
}

/* [in,out] as rows of a block type, which run along `in`: a column at a time. */
static const void *quantize_columns(Weights *w, const StoredTensor *t, DType as, Error *err)
{
    int64_t in = t->dims[0], out = t->dims[1];
    size_t row_size, whole;
    if (!dtype_size(as, in, &row_size, err) || !dtype_size(t->type, 1, &whole, err))
        return NULL;
    char *blocks = arena_try(w->arena, (size_t)out, row_size, err);
    AUTO(arena_free) Arena *scratch = arena_new(0);
    float *column = NEW_ARRAY(scratch, float, (size_t)in);
    for (int64_t o = 0; blocks && o < out; o++) {
        for (int64_t i = 0; i < in; i++)
            dtype_to_f32(t->type, (const char *)t->data + (size_t)(i * out + o) * whole, &column[i],
                         1);
        if (!dtype_from_f32(as, column, blocks + (size_t)o * row_size, in, err))
            return NULL;
    }
    return blocks;
}

/* What the policy makes of a matrix with rows of `in` values. */
static void apply_policy(const Weights *w, WeightSpec *spec, int64_t in)
{
    spec->precision = w->policy.precision;
    spec->as = in % dtype_info(w->policy.as)->block == 0 ? w->policy.as : DTYPE_F32;
    spec->convert = w->policy.convert && spec->as != spec->type;
}

static Weight *make(Weights *w, const StoredTensor *t, WeightUse use, Shape shape, Made *made,
                    Error *err)
{
    WeightSpec spec = {.name = t->name, .type = t->type, .shape = shape, .data = t->data};
    switch (use) {
    case USE_MATRIX:
        apply_policy(w, &spec, shape.dims[1]);
        break;
    case USE_TRANSPOSED_MATRIX:
        apply_policy(w, &spec, shape.dims[made->turned ? 1 : 0]);
        if (made->turned || !spec.convert || !dtype_is_block(spec.as))
            break;
        // Blocks run along a row of [out,in], so the matrix must be turned for them.
        spec.data = quantize_columns(w, t, spec.as, err);
        if (!spec.data)
            return NULL;
        spec.type = spec.as;
        spec.shape = turn(shape);
        spec.convert = false;
        made->turned = true;
        break;
    case USE_TABLE:
        break;
    case USE_VECTOR:
        spec.convert = t->type != DTYPE_F32;
        spec.as = DTYPE_F32;
        break;
    }
    if (spec.data == t->data && !spec.convert)
        w->mapped += t->size;
    spec.mapped = checkpoint_maps(w->checkpoint, spec.data, t->size);
    return weight_new(w->arena, &spec, err);
}

/* ---- Parameters to be trained ---- */

/* The file's values in the model's shape: what it stores the other way round is turned. */
static const void *turned_values(Weights *w, const StoredTensor *t, Shape shape, Error *err)
{
    int64_t rows = shape.dims[0], columns = shape.dims[1];
    size_t n = (size_t)(rows * columns);
    float *stored = arena_try(w->arena, n, sizeof *stored, err);
    float *values = stored ? arena_try(w->arena, n, sizeof *values, err) : NULL;
    if (!values)
        return NULL;
    dtype_to_f32(t->type, t->data, stored, rows * columns);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            values[r * columns + c] = stored[c * rows + r];
    return values;
}

/* Two normal numbers at a time. Source: Box and Muller 1958. */
static void draw_normal(Random *r, double deviation, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i += 2) {
        double radius = deviation * sqrt(-2 * log(1 - random_unit(r)));
        double angle = 2 * M_PI * random_unit(r);
        out[i] = (float)(radius * cos(angle));
        if (i + 1 < n)
            out[i + 1] = (float)(radius * sin(angle));
    }
}

static void begin(const WeightInit *init, const char *name, WeightUse use, Weight *weight)
{
    float *values = weight_values(weight);
    int64_t n = shape_count(weight_shape(weight));
    Str number;
    if (use == USE_VECTOR) {
        bool one = str_ends(str_of(name), S(".weight"));
        for (int64_t i = 0; i < n; i++)
            values[i] = one;
        return;
    }
    double deviation = init->deviation;
    for (const char *const *p = init->residual; p && *p; p++)
        if (name_matches(str_of(*p), str_of(name), &number))
            deviation = init->residual_deviation;
    Random r = random_of(init->seed ^ str_hash(str_of(name)));
    draw_normal(&r, deviation, values, n);
}

static Weight *make_trainable(Weights *w, const char *name, WeightUse use, Shape shape, Error *err)
{
    WeightSpec spec = {.name = name,
                       .type = DTYPE_F32,
                       .shape = shape,
                       .trainable = true,
                       .precision = use == USE_VECTOR ? PRECISION_F32 : w->policy.precision};
    if (w->policy.init) {
        Weight *weight = weight_new(w->arena, &spec, err);
        if (weight)
            begin(w->policy.init, name, use, weight);
        return weight;
    }
    bool turned = false;
    const StoredTensor *t = stored_find(w->stored, name, &turned, err);
    if (!t || !check_shape(t, turned ? turn(shape) : shape, err))
        return NULL;
    spec.type = turned ? DTYPE_F32 : t->type;
    spec.data = turned ? turned_values(w, t, shape, err) : t->data;
    return spec.data ? weight_new(w->arena, &spec, err) : NULL;
}

static Made *find_trainable(Weights *w, const char *name, WeightUse use, Shape shape, Error *err)
{
    Made *made = NEW(w->arena, Made);
    made->weight = make_trainable(w, name, use, shape, err);
    return made->weight ? made : NULL;
}

/* ---- Adapters ---- */

void weights_adapt(Weights *w, const Lora *lora, Checkpoint *adapters, bool trainable,
                   uint64_t seed)
{
    w->lora = lora;
    w->adapters = adapters;
    w->adapters_trainable = trainable;
    w->adapters_seed = seed;
}

const Lora *weights_lora(const Weights *w)
{
    return w->lora;
}

/* One of the two; what is there from an earlier graph, else made. */
static Weight *adapter_part(Weights *w, const char *layer, char which, Shape shape, Error *err)
{
    char name[LORA_NAME];
    lora_name(layer, which, name);
    Made *made = map_find(&w->made, str_of(name));
    if (made)
        return made->weight;
    CHECK(!w->sealed);
    WeightSpec spec = {.name = name,
                       .type = DTYPE_F32,
                       .shape = shape,
                       .trainable = w->adapters_trainable,
                       .precision = w->policy.precision};
    if (w->adapters) {
        const StoredTensor *t = checkpoint_find(w->adapters, str_of(name));
        if (!t || t->foreign)
            return fail(err, ERR_INVALID, "the adapter has no tensor '%s'", name);
        if (!check_shape(t, shape, err))
            return NULL;
        spec.type = t->type;
        spec.data = t->data;
        w->adapters_used++;
    }
    made = NEW(w->arena, Made);
    made->weight = weight_new(w->arena, &spec, err);
    if (!made->weight)
        return NULL;
    if (!w->adapters && which == 'A') {
        Random r = random_of(w->adapters_seed ^ str_hash(str_of(name)));
        double bound = 1 / sqrt((double)shape.dims[1]);
        float *values = weight_values(made->weight);
        for (int64_t i = 0; i < shape_count(&shape); i++)
            values[i] = (float)((2 * random_unit(&r) - 1) * bound);
    }
    map_put(&w->made, arena_str(w->arena, str_of(name)), made);
    return made->weight;
}

bool weights_adapter(Weights *w, const char *layer, bool numbered, int64_t in, int64_t out,
                     Adapter *adapter, Error *err)
{
    *adapter = (Adapter){0};
    if (!w->lora || !lora_has(w->lora, layer, numbered))
        return true;
    Weight *down = adapter_part(w, layer, 'A', SHAPE(w->lora->r, in), err);
    Weight *up = down ? adapter_part(w, layer, 'B', SHAPE(out, w->lora->r), err) : NULL;
    if (!up)
        return false;
    *adapter = (Adapter){
        .down = down, .up = up, .scale = lora_scale(w->lora), .dropout = (float)w->lora->dropout};
    return true;
}

static Made *find_new(Weights *w, const char *name, WeightUse use, Shape shape, Error *err)
{
    Made *made = NEW(w->arena, Made);
    const StoredTensor *t = stored_find(w->stored, name, &made->turned, err);
    Shape in_file = made->turned ? turn(shape) : shape;
    if (!t || !check_shape(t, in_file, err))
        return NULL;
    made->weight = make(w, t, use, in_file, made, err);
    return made->weight ? made : NULL;
}

Weight *weights_find(Weights *w, const char *name, WeightUse use, Shape shape, bool *turned,
                     Error *err)
{
    char key[600];
    // Of a trainable parameter there is only one, whatever it is used as.
    snprintf(key, sizeof key, "%d %s", w->policy.trainable ? 0 : (int)use, name);
    Made *made = map_find(&w->made, str_of(key));
    if (!made) {
        CHECK(!w->sealed); // a decoder asks for the same parameters every time
        made = w->policy.trainable ? find_trainable(w, name, use, shape, err)
                                   : find_new(w, name, use, shape, err);
        if (!made)
            return NULL;
        map_put(&w->made, arena_str(w->arena, str_of(key)), made);
    }
    *turned = made->turned;
    return made->weight;
}

const float *weights_floats(Weights *w, const char *name, int64_t n, Error *err)
{
    float *values = map_find(&w->floats, str_of(name));
    bool turned;
    if (!values) {
        CHECK(!w->sealed);
        const StoredTensor *t = w->stored ? stored_find(w->stored, name, &turned, err)
                                          : fail(err, ERR_NOT_FOUND, "tensor '%s'", name);
        if (!t || !check_shape(t, SHAPE(n), err))
            return NULL;
        values = NEW_ARRAY(w->arena, float, (size_t)n);
        dtype_to_f32(t->type, t->data, values, n);
        map_put(&w->floats, arena_str(w->arena, str_of(name)), values);
    }
    return values;
}
