/* weight.c: parameters, and packing them for linear layers; see tensor.h.
 *
 * A weight is packed when the first linear layer that uses it is built, by all threads, one task a
 * panel. Vectors (norms, biases) are read into f32 at once. Embeddings are read where they lie. */
#include "tensor/pack_internal.h"
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

#include <sys/mman.h>

void *pages_new(size_t bytes, PagesKind kind, Error *err)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (kind == PAGES_SPARSE ? MAP_NORESERVE : 0);
    void *pages = mmap(NULL, MAX(bytes, 1), PROT_READ | PROT_WRITE, flags, -1, 0);
    if (pages == MAP_FAILED)
        return fail(err, ERR_LIMIT, "no memory for %zu bytes", bytes);
    if (kind == PAGES_DENSE)
        (void)madvise(pages, bytes, MADV_HUGEPAGE); // a wish: fewer faults and TLB misses
    return pages;
}

void pages_free(void *pages, size_t bytes)
{
    if (pages)
        munmap(pages, MAX(bytes, 1));
}

static int64_t row_values(const Shape *s)
{
    return s->rank ? s->dims[s->rank - 1] : 1;
}

bool weight_read(Weight *w, Error *err)
{
    if (w->values || !w->spec.data)
        return true;
    int64_t n = shape_count(&w->spec.shape);
    float *values = arena_try(w->arena, (size_t)n, sizeof(float), err);
    if (!values)
        return fail_while(err, "weight '%s'", w->spec.name);
    dtype_to_f32(w->spec.type, w->spec.data, values, n);
    w->values = values;
    return true;
}

Weight *weight_new(Arena *a, const WeightSpec *spec, Error *err)
{
    size_t size;
    Packing packing;
    const char *name = spec->name ? spec->name : "?";
    if (spec->shape.rank < 1 || spec->shape.rank > SHAPE_MAX_RANK)
        return fail(err, ERR_INVALID, "weight '%s': rank %d", name, spec->shape.rank);
    for (int i = 0; i < spec->shape.rank; i++)
        if (spec->shape.dims[i] < 1)
            return fail(err, ERR_INVALID, "weight '%s': dimension %d is %lld", name, i,
                        (long long)spec->shape.dims[i]);
    if (!dtype_size(spec->type, row_values(&spec->shape), &size, err))
        return fail_while(err, "weight '%s'", name);
    if (spec->convert && !packing_of(spec->as, &packing))
        return fail(err, ERR_UNSUPPORTED, "weight '%s': weights cannot be kept as %s", name,
                    dtype_name(spec->as));
    Weight *w = NEW(a, Weight);
    w->spec = *spec;
    w->spec.name = arena_cstr(a, str_of(name));
    w->arena = a;
    if (spec->shape.rank == 1 && !weight_read(w, err))
        return NULL;
    return w;
}

const Shape *weight_shape(const Weight *w)
{
    return &w->spec.shape;
}

const char *weight_name(const Weight *w)
{
    return w->spec.name;
}

DType weight_type(const Weight *w)
{
    return w->spec.convert ? w->spec.as : w->spec.type;
}

size_t weight_packed_bytes(const Weight *w)
{
    return w->packed_bytes;
}

/* Packing. */

typedef struct PackJob {
    const Weight *w;
    char *packed;
    DType type; // in the panels
    bool transposed;
    size_t panel_bytes;
    float **wide;  // per thread: one row or one panel as f32, NULL if not needed
    char **narrow; // per thread: one row in the type of the panels
} PackJob;

/* One row as the panels' type: where it lies, or converted. */
static const void *stored_row(const PackJob *job, int64_t row, int thread)
{
    const WeightSpec *spec = &job->w->spec;
    size_t bytes = 0;
    (void)dtype_size(spec->type, job->w->in, &bytes, NULL);
    const char *src = (const char *)spec->data + (size_t)row * bytes;
    if (spec->type == job->type)
        return src;
    dtype_to_f32(spec->type, src, job->wide[thread], job->w->in);
    if (job->type == DTYPE_F32)
        return job->wide[thread];
    (void)dtype_from_f32(job->type, job->wide[thread], job->narrow[thread], job->w->in, NULL);
    return job->narrow[thread];
}

static void pack_panel(void *context, int64_t panel, int thread)
{
    const PackJob *job = context;
    const Weight *w = job->w;
    char *out = job->packed + (size_t)panel * job->panel_bytes;
    for (int64_t row = panel * PANEL; row < MIN(w->out, (panel + 1) * PANEL); row++)
        pack_row(w->packing, stored_row(job, row, thread), w->in, (int)(row % PANEL), out);
}

/* [in,out]: 32 columns of the file are a panel. Quantised panels want whole rows, so the columns
 * are gathered as f32 first. */
static void pack_panel_transposed(void *context, int64_t panel, int thread)
{
    const PackJob *job = context;
    const Weight *w = job->w;
    size_t one = (size_t)dtype_info(w->spec.type)->bytes;
    int columns = (int)MIN(PANEL, w->out - panel * PANEL);
    char *out = job->packed + (size_t)panel * job->panel_bytes;
    float *gathered = job->wide[thread], *column = gathered + w->in * PANEL;
    for (int64_t i = 0; i < w->in; i++) {
        const char *src = (const char *)w->spec.data + (size_t)(i * w->out + panel * PANEL) * one;
        float *dst = job->type == DTYPE_F32 ? (float *)(void *)out : gathered;
        dtype_to_f32(w->spec.type, src, dst + i * PANEL, columns);
    }
    if (job->type == DTYPE_F32)
        return;
    for (int j = 0; j < columns; j++) {
        for (int64_t i = 0; i < w->in; i++)
            column[i] = gathered[i * PANEL + j];
        (void)dtype_from_f32(job->type, column, job->narrow[thread], w->in, NULL);
        pack_row(w->packing, job->narrow[thread], w->in, j, out);
    }
}

/* Which type the panels have: the wanted one, else the stored one, else f32. */
static DType panel_type(const Weight *w, bool transposed, Packing *packing)
{
    DType type = weight_type(w);
    if (!packing_of(type, packing) || (transposed && dtype_is_block(w->spec.type)))
        type = DTYPE_F32;
    if (w->in % dtype_info(type)->block != 0)
        type = DTYPE_F32;
    (void)packing_of(type, packing);
    return type;
}

static bool can_convert(const Weight *w, DType type, Error *err)
{
    float zeros[SUPER] = {0};
    char out[SUPER * sizeof(float)];
    return type == w->spec.type || dtype_from_f32(type, zeros, out, dtype_info(type)->block, err);
}

static void weight_release(void *weight)
{
    Weight *w = weight;
    pages_free(w->packed, w->packed_bytes);
}

/* Fills the panels; their memory is there. */
static void pack_all(const Weight *w, PackJob *job, int64_t panels)
{
    int threads = pool_threads();
    AUTO(arena_free) Arena *a = arena_new(0);
    job->wide = NEW_ARRAY(a, float *, threads);
    job->narrow = NEW_ARRAY(a, char *, threads);
    for (int t = 0; t < threads; t++) {
        job->wide[t] = NEW_ARRAY(a, float, (job->transposed ? PANEL + 1 : 1) * w->in);
        job->narrow[t] = NEW_ARRAY(a, char, (size_t)w->in * sizeof(float));
    }
    pool_run(panels, job->transposed ? pack_panel_transposed : pack_panel, job);
}

bool weight_pack(Weight *w, bool transposed, Error *err)
{
    const Shape *s = &w->spec.shape;
    if (s->rank != 2)
        return fail(err, ERR_INVALID, "weight '%s': a linear layer wants two dimensions, not %d",
                    w->spec.name, s->rank);
    if (w->packed && w->transposed != transposed)
        return fail(err, ERR_UNSUPPORTED, "weight '%s' is used transposed and not", w->spec.name);
    if (w->packed || !w->spec.data)
        return true;
    if (transposed && dtype_is_block(w->spec.type))
        return fail(err, ERR_UNSUPPORTED, "weight '%s': %s cannot be read transposed", w->spec.name,
                    dtype_name(w->spec.type));
    w->in = s->dims[transposed ? 0 : 1];
    w->out = s->dims[transposed ? 1 : 0];
    PackJob job = {.w = w, .transposed = transposed};
    job.type = panel_type(w, transposed, &w->packing);
    int64_t panels = (w->out + PANEL - 1) / PANEL;
    job.panel_bytes = packing_bytes(w->packing, w->in);
    size_t bytes;
    if (!can_convert(w, job.type, err))
        return fail_while(err, "pack weight '%s'", w->spec.name);
    if (!size_mul((size_t)panels, job.panel_bytes, &bytes))
        return fail(err, ERR_LIMIT, "pack weight '%s': size overflows", w->spec.name);
    if (!(job.packed = pages_new(bytes, PAGES_DENSE, err)))
        return fail_while(err, "pack weight '%s'", w->spec.name);
    pack_all(w, &job, panels);
    w->packed = job.packed;
    w->packed_bytes = bytes;
    w->transposed = transposed;
    arena_defer(w->arena, weight_release, w);
    return true;
}
