/* weight.c: parameters, and packing them for linear layers; see tensor.h.
 *
 * A weight is packed when the first linear layer that uses it is built, by all threads, one task a
 * panel. Vectors (norms, biases) are read into f32 at once. Embeddings are read where they lie. */
#include "tensor/pack_internal.h"
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

/* Fresh pages that begin where a huge page does: of a map that is a huge page too long, both ends
 * are given back. A weight of a few megabytes would otherwise have as much in small pages as in
 * huge ones. */
static void *map_aligned(size_t bytes)
{
    size_t page = 4096, size = (bytes + page - 1) / page * page;
    char *pages =
        mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return MAP_FAILED;
    size_t before = (HUGE_PAGE - (uintptr_t)pages % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        munmap(pages, before);
    munmap(pages + before + size, HUGE_PAGE - before);
    return pages + before;
}

void *pages_new(size_t bytes, PagesKind kind, Error *err)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (kind == PAGES_SPARSE ? MAP_NORESERVE : 0);
    void *pages = kind == PAGES_DENSE && bytes >= HUGE_PAGE && bytes <= SIZE_MAX / 2
                      ? map_aligned(bytes)
                      : mmap(NULL, MAX(bytes, 1), PROT_READ | PROT_WRITE, flags, -1, 0);
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

bool precision_parse(Str name, Precision *precision)
{
    static const char *const names[] = {
        [PRECISION_F32] = "f32", [PRECISION_BF16] = "bf16", [PRECISION_INT8] = "int8"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq(name, str_of(names[i]))) {
            *precision = (Precision)i;
            return true;
        }
    return false;
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

static void master_release(void *weight)
{
    const Weight *w = weight;
    size_t bytes = (size_t)shape_count(&w->spec.shape) * sizeof(float);
    if (!w->spec.values)
        pages_free(w->values, bytes);
    if (!w->spec.gradient)
        pages_free(w->gradient, bytes);
}

/* From now on the f32 values are what the weight is: its stored data are read once. */
static bool make_trainable(Weight *w, Error *err)
{
    WeightSpec *spec = &w->spec;
    size_t bytes, n = (size_t)shape_count(&spec->shape);
    if (!size_mul(n, sizeof(float), &bytes))
        return fail(err, ERR_LIMIT, "weight '%s': size overflows", spec->name);
    arena_defer(w->arena, master_release, w);
    w->values = spec->values ? spec->values : pages_new(bytes, PAGES_DENSE, err);
    if (w->values)
        w->gradient = spec->gradient ? spec->gradient : pages_new(bytes, PAGES_DENSE, err);
    if (!w->gradient)
        return fail_while(err, "weight '%s'", spec->name);
    if (spec->data && spec->data != w->values)
        dtype_to_f32(spec->type, spec->data, w->values, (int64_t)n);
    spec->convert = spec->precision == PRECISION_BF16;
    spec->as = DTYPE_BF16;
    spec->type = DTYPE_F32;
    spec->data = w->values;
    spec->mapped = false;
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
    if (spec->trainable && !make_trainable(w, err))
        return NULL;
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
    size_t bytes = 0;
    for (int i = 0; i < PANELS_COUNT; i++)
        bytes += w->panels[i].bytes;
    return bytes;
}

/* Packing. */

typedef struct PackJob {
    const Weight *w;
    const Panels *to;
    size_t panel_bytes;
    float **wide;  // per thread: one row or one panel as f32, NULL if not needed
    char **narrow; // per thread: one row in the type of the panels
} PackJob;

/* One row as the panels' type: where it lies, or converted. */
static const void *stored_row(const PackJob *job, int64_t row, int thread)
{
    const WeightSpec *spec = &job->w->spec;
    const Panels *to = job->to;
    size_t bytes = 0;
    (void)dtype_size(spec->type, to->in, &bytes, NULL);
    const char *src = (const char *)spec->data + (size_t)row * bytes;
    if (spec->type == to->type)
        return src;
    dtype_to_f32(spec->type, src, job->wide[thread], to->in);
    if (to->type == DTYPE_F32)
        return job->wide[thread];
    (void)dtype_from_f32(to->type, job->wide[thread], job->narrow[thread], to->in, NULL);
    return job->narrow[thread];
}

/* A whole panel of f32 values as f32 or bf16, which every update of a trained weight asks for. */
static bool pack_panel_fast(const PackJob *job, int64_t panel, char *out)
{
    enum { RUN = 128 };
    const Panels *to = job->to;
    const float *values = job->w->spec.data;
    const Kernels *k = kernels();
    bool pairs = to->packing == PACK_BF16;
    if (job->w->spec.type != DTYPE_F32 || (uintptr_t)values % sizeof(float) != 0 ||
        (!pairs && to->packing != PACK_F32) || (panel + 1) * PANEL > to->out)
        return false;
    if (to->transposed && pairs)
        k->pack_columns_bf16(PANEL, to->in, values + panel * PANEL, to->out,
                             (uint16_t *)(void *)out);
    else if (to->transposed)
        k->pack_columns(PANEL, to->in, values + panel * PANEL, to->out, (float *)(void *)out);
    for (int64_t i = 0; !to->transposed && i < to->in; i += RUN) {
        float run[RUN * PANEL] __attribute__((aligned(64)));
        int64_t n = MIN(RUN, to->in - i);
        const float *src = values + panel * PANEL * to->in + i;
        k->transpose(PANEL, n, src, to->in, pairs ? run : (float *)(void *)out + i * PANEL, PANEL);
        if (pairs)
            k->pair_rows(n, run, (uint16_t *)(void *)out + i * PANEL);
    }
    return true;
}

/* Gives back the file's pages of packed rows, so that a model is in memory once and not twice. Only
 * whole pages: what shares one with its neighbours is still to be read. */
static void forget_rows(const Weight *w, int64_t from, int64_t to)
{
    enum { SYSTEM_PAGE = 4096 };
    size_t row = 0;
    if (!w->spec.mapped || !dtype_size(w->spec.type, row_values(&w->spec.shape), &row, NULL))
        return;
    uintptr_t begin = (uintptr_t)w->spec.data + (size_t)from * row;
    uintptr_t end = (uintptr_t)w->spec.data + (size_t)to * row;
    begin = (begin + SYSTEM_PAGE - 1) / SYSTEM_PAGE * SYSTEM_PAGE;
    end = end / SYSTEM_PAGE * SYSTEM_PAGE;
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static void pack_panel(void *context, int64_t panel, int thread)
{
    enum { FORGET = 16 }; // panels at once: each time costs a system call
    const PackJob *job = context;
    const Panels *to = job->to;
    char *out = (char *)to->memory + (size_t)panel * job->panel_bytes;
    int64_t end = MIN(to->out, (panel + 1) * PANEL);
    if (!pack_panel_fast(job, panel, out))
        for (int64_t row = panel * PANEL; row < end; row++)
            pack_row(to->packing, stored_row(job, row, thread), to->in, (int)(row % PANEL), out);
    // A panel among these that another thread still reads comes back from the file.
    if (panel % FORGET == FORGET - 1)
        forget_rows(job->w, (panel + 1 - FORGET) * PANEL, end);
}

/* A panel's columns of one stored row. */
static void read_columns(const PackJob *job, int64_t row, int64_t panel, int columns, float *dst)
{
    const WeightSpec *spec = &job->w->spec;
    const DTypeInfo *info = dtype_info(spec->type);
    int64_t at = row * job->to->out + panel * PANEL;
    const char *src = (const char *)spec->data + (size_t)(at / info->block) * (size_t)info->bytes;
    if (info->block <= PANEL) { // a panel begins where a block does
        dtype_to_f32(spec->type, src, dst, columns);
        return;
    }
    float block[SUPER];
    dtype_to_f32(spec->type, src, block, info->block);
    memcpy(dst, block + at % info->block, (size_t)columns * sizeof *dst);
}

/* [in,out]: 32 columns of the file are a panel. Quantised panels want whole rows, so the columns
 * are gathered as f32 first. */
static void pack_panel_transposed(void *context, int64_t panel, int thread)
{
    const PackJob *job = context;
    const Panels *to = job->to;
    int columns = (int)MIN(PANEL, to->out - panel * PANEL);
    char *out = (char *)to->memory + (size_t)panel * job->panel_bytes;
    if (pack_panel_fast(job, panel, out))
        return;
    float *gathered = job->wide[thread], *column = gathered + to->in * PANEL;
    for (int64_t i = 0; i < to->in; i++) {
        float *dst = to->type == DTYPE_F32 ? (float *)(void *)out : gathered;
        read_columns(job, i, panel, columns, dst + i * PANEL);
    }
    if (to->type == DTYPE_F32)
        return;
    for (int j = 0; j < columns; j++) {
        for (int64_t i = 0; i < to->in; i++)
            column[i] = gathered[i * PANEL + j];
        (void)dtype_from_f32(to->type, column, job->narrow[thread], to->in, NULL);
        pack_row(to->packing, job->narrow[thread], to->in, j, out);
    }
}

/* Which type the panels have: the wanted one, else the stored one, else f32. Blocks read across
 * their rows are no blocks of their type: their values are kept as the products want them. */
static Panels panels_of(const Weight *w, bool transposed)
{
    const Shape *s = &w->spec.shape;
    Panels p = {.in = s->dims[!transposed], .out = s->dims[transposed], .transposed = transposed};
    p.type = weight_type(w);
    if (transposed && dtype_is_block(w->spec.type))
        p.type = w->spec.precision == PRECISION_BF16 ? DTYPE_BF16 : DTYPE_F32;
    if (!packing_of(p.type, &p.packing) || p.in % dtype_info(p.type)->block != 0)
        p.type = DTYPE_F32;
    (void)packing_of(p.type, &p.packing);
    return p;
}

static bool can_convert(const Weight *w, DType type, Error *err)
{
    float zeros[SUPER] = {0};
    char out[SUPER * sizeof(float)];
    return type == w->spec.type || dtype_from_f32(type, zeros, out, dtype_info(type)->block, err);
}

void panels_release(void *panels)
{
    const Panels *p = panels;
    pages_free(p->memory, p->bytes);
}

static int64_t count_panels(const Panels *p)
{
    return (p->out + PANEL - 1) / PANEL;
}

/* Fills the panels; their memory is there. */
static void pack_all(const Weight *w, const Panels *to)
{
    int threads = pool_threads();
    AUTO(arena_free) Arena *a = arena_new(0);
    PackJob job = {.w = w, .to = to, .panel_bytes = packing_bytes(to->packing, to->in)};
    job.wide = NEW_ARRAY(a, float *, threads);
    job.narrow = NEW_ARRAY(a, char *, threads);
    for (int t = 0; t < threads; t++) {
        job.wide[t] = NEW_ARRAY(a, float, (to->transposed ? PANEL + 1 : 1) * to->in);
        job.narrow[t] = NEW_ARRAY(a, char, (size_t)to->in * sizeof(float));
    }
    pool_run(count_panels(to), to->transposed ? pack_panel_transposed : pack_panel, &job);
}

bool weight_pack(Weight *w, bool transposed, Error *err)
{
    if (w->spec.shape.rank != 2)
        return fail(err, ERR_INVALID, "weight '%s': a linear layer wants two dimensions, not %d",
                    w->spec.name, w->spec.shape.rank);
    if (w->panels[transposed].memory || !w->spec.data)
        return true;
    Panels p = panels_of(w, transposed);
    if (!can_convert(w, p.type, err))
        return fail_while(err, "pack weight '%s'", w->spec.name);
    if (!size_mul((size_t)count_panels(&p), packing_bytes(p.packing, p.in), &p.bytes))
        return fail(err, ERR_LIMIT, "pack weight '%s': size overflows", w->spec.name);
    if (!(p.memory = pages_new(p.bytes, PAGES_DENSE, err)))
        return fail_while(err, "pack weight '%s'", w->spec.name);
    pack_all(w, &p);
    forget_rows(w, 0, shape_count(&w->spec.shape) / row_values(&w->spec.shape));
    w->panels[transposed] = p;
    arena_defer(w->arena, panels_release, &w->panels[transposed]);
    return true;
}

/* Training. */

float *weight_values(Weight *w)
{
    return w->spec.trainable ? w->values : NULL;
}

static void zero_range(void *context, int64_t from, int64_t to)
{
    memset((float *)context + from, 0, (size_t)(to - from) * sizeof(float));
}

void weight_write_zeros(Weight *w)
{
    enum { GRAIN = 1 << 18 };
    if (w->gradient && w->zeroed)
        pool_ranges(shape_count(&w->spec.shape), GRAIN, zero_range, w->gradient);
    w->zeroed = false;
}

float *weight_gradient(Weight *w)
{
    weight_write_zeros(w);
    return w->gradient;
}

void weight_zero_gradient(Weight *w)
{
    w->zeroed = true;
}

void weight_updated(Weight *w)
{
    for (int i = 0; i < PANELS_COUNT; i++) {
        const Panels *p = &w->panels[i];
        if (p->memory && p->groups)
            weight_fill_conv(w, p);
        else if (p->memory)
            pack_all(w, p);
    }
}
