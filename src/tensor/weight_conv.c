/* weight_conv.c: weights of convolutions as panels; see conv.c.
 *
 * A weight [first,second,taps...] is read as [K,N] matrices, one a group, with K = taps * channels,
 * tap by tap as the rows of inputs are gathered. A convolution's outputs are `first` (its channels
 * `second`); transposed it is the other way round. Each group has its own panels. Depthwise weights
 * lie as [taps,channels] in f32. For conv_winograd.c the nine taps are turned into sixteen. */
#include "tensor/conv_internal.h"

#include "tensor/pack_internal.h"
#include "tensor/pool_internal.h"

typedef struct Job {
    const Weight *w;
    const Panels *to;
    int64_t first, second, taps;
    int64_t outs, channels; // of a group
    int64_t packed_taps;    // taps as they are packed
    float **wide;           // per thread: one stored row, and one row of a panel
    char **narrow;
} Job;

static Job job_of(const Weight *w, const Panels *to)
{
    const Shape *s = &w->spec.shape;
    Job j = {.w = w, .to = to, .first = s->dims[0], .second = s->dims[1]};
    j.taps = shape_count(s) / j.first / j.second;
    j.packed_taps = to->winograd ? 16 : j.taps;
    j.outs = to->transposed ? j.second : j.first / to->groups;
    j.channels = to->transposed ? j.first / to->groups : j.second;
    return j;
}

/* `n` stored values from index `at` on, as f32. */
static void read_values(const Job *j, int64_t at, int64_t n, float *out)
{
    const DTypeInfo *info = dtype_info(j->w->spec.type);
    dtype_to_f32(j->w->spec.type,
                 (const char *)j->w->spec.data + (size_t)(at / info->block) * (size_t)info->bytes,
                 out, n);
}

/* G w G': 3 x 3 taps as 4 x 4 coefficients. */
static void turn_taps(const float w[9], float out[16])
{
    float rows[4][3];
    for (int i = 0; i < 3; i++) {
        float a = w[i], b = w[3 + i], c = w[6 + i];
        rows[0][i] = a;
        rows[1][i] = (a + b + c) / 2;
        rows[2][i] = (a - b + c) / 2;
        rows[3][i] = c;
    }
    for (int i = 0; i < 4; i++) {
        float a = rows[i][0], b = rows[i][1], c = rows[i][2];
        out[4 * i] = a;
        out[4 * i + 1] = (a + b + c) / 2;
        out[4 * i + 2] = (a - b + c) / 2;
        out[4 * i + 3] = c;
    }
}

/* The values of one output of a group, [taps,channels]. */
static void read_output(const Job *j, int64_t group, int64_t out, float *stored, float *row)
{
    if (!j->to->transposed)
        read_values(j, (group * j->outs + out) * j->second * j->taps, j->second * j->taps, stored);
    for (int64_t c = 0; c < j->channels; c++) {
        const float *taps = stored + c * j->taps;
        if (j->to->transposed) {
            read_values(j, ((group * j->channels + c) * j->second + out) * j->taps, j->taps,
                        stored);
            taps = stored;
        }
        float turned[16];
        if (j->to->winograd) {
            turn_taps(taps, turned);
            taps = turned;
        }
        for (int64_t tap = 0; tap < j->packed_taps; tap++)
            row[tap * j->channels + c] = taps[tap];
    }
}

static void pack_task(void *context, int64_t panel, int thread)
{
    const Job *j = context;
    const Panels *to = j->to;
    int64_t a_group = (j->outs + PANEL - 1) / PANEL, first = panel % a_group * PANEL;
    float *stored = j->wide[thread], *row = stored + j->second * j->taps;
    char *out = (char *)to->memory + (size_t)panel * packing_bytes(to->packing, to->in);
    for (int64_t i = 0; i < MIN(PANEL, j->outs - first); i++) {
        read_output(j, panel / a_group, first + i, stored, row);
        const void *values = row;
        if (to->type != DTYPE_F32) {
            (void)dtype_from_f32(to->type, row, j->narrow[thread], to->in, NULL);
            values = j->narrow[thread];
        }
        pack_row(to->packing, values, to->in, (int)i, out);
    }
}

static void pack_depthwise(const Job *j)
{
    float *out = j->to->memory, taps[MAX_DEPTHWISE_TAPS];
    for (int64_t c = 0; c < j->first; c++) {
        read_values(j, c * j->taps, j->taps, taps);
        for (int64_t tap = 0; tap < j->taps; tap++)
            out[tap * j->first + c] = taps[tap];
    }
}

static bool is_depthwise(const Job *j)
{
    return j->to->groups > 1 && j->outs == 1 && j->channels == 1 && j->taps <= MAX_DEPTHWISE_TAPS;
}

void weight_fill_conv(const Weight *w, const Panels *to)
{
    Job j = job_of(w, to);
    if (is_depthwise(&j)) {
        pack_depthwise(&j);
        return;
    }
    int threads = pool_threads();
    AUTO(arena_free) Arena *a = arena_new(0);
    j.wide = NEW_ARRAY(a, float *, threads);
    j.narrow = NEW_ARRAY(a, char *, threads);
    for (int t = 0; t < threads; t++) {
        j.wide[t] = NEW_ARRAY(a, float, (size_t)(j.second * j.taps + to->in));
        j.narrow[t] = NEW_ARRAY(a, char, (size_t)to->in * sizeof(float));
    }
    pool_run(to->groups * ((j.outs + PANEL - 1) / PANEL), pack_task, &j);
}

static DType conv_type(const Weight *w, const Panels *p, int64_t channels)
{
    DType type = weight_type(w);
    Packing packing;
    bool fits = packing_of(type, &packing) && p->in % dtype_info(type)->block == 0;
    // Turned taps are no stored values any more: they have the type of the products.
    if (p->winograd)
        return w->spec.precision == PRECISION_BF16 && type == DTYPE_BF16 ? type : DTYPE_F32;
    // Transposed panels are read tap by tap: a pair of channels must not be divided.
    if (p->transposed && (dtype_is_block(type) || (type == DTYPE_BF16 && channels % 2 != 0)))
        fits = false;
    return fits ? type : DTYPE_F32;
}

bool weight_pack_conv(Weight *w, int64_t groups, int as, Error *err)
{
    Panels *to = &w->panels[as];
    if (to->memory && to->groups != groups)
        return fail(err, ERR_UNSUPPORTED, "weight '%s' is used with %lld groups and with %lld",
                    w->spec.name, (long long)to->groups, (long long)groups);
    if (to->memory || !w->spec.data)
        return true;
    if (dtype_is_block(w->spec.type))
        return fail(err, ERR_UNSUPPORTED, "weight '%s': a convolution cannot read %s", w->spec.name,
                    dtype_name(w->spec.type));
    Panels p = {.groups = groups,
                .transposed = as == PANELS_CONV_TRANSPOSED,
                .winograd = as == PANELS_CONV_WINOGRAD};
    Job j = job_of(w, &p);
    p.in = j.packed_taps * j.channels;
    p.out = groups * j.outs;
    p.type = conv_type(w, &p, j.channels);
    (void)packing_of(p.type, &p.packing);
    size_t panels = (size_t)(groups * ((j.outs + PANEL - 1) / PANEL));
    if (is_depthwise(&j))
        p.bytes = (size_t)(j.first * j.taps) * sizeof(float);
    else if (!size_mul(panels, packing_bytes(p.packing, p.in), &p.bytes))
        return fail(err, ERR_LIMIT, "pack weight '%s': size overflows", w->spec.name);
    if (!(p.memory = pages_new(p.bytes, PAGES_DENSE, err)))
        return fail_while(err, "pack weight '%s'", w->spec.name);
    *to = p;
    weight_fill_conv(w, to);
    arena_defer(w->arena, panels_release, to);
    return true;
}
