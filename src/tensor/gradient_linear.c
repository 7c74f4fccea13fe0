/* gradient_linear.c: the gradient of a linear layer's weight and bias.
 *
 * The weight lies as [A,B] with A and B the widths of the layer's output and input (transposed: of
 * its input and output), so its gradient is a' . b over all rows, a and b being the output's
 * gradient and the input or the other way round. Both are read in their columns: b is packed once
 * in panels of PANEL columns, then a task packs some tiles of a's columns and multiplies each with
 * every panel, adding to the gradient. Nothing is transposed: a tile of columns is a copy of short
 * runs. */
#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

enum {
    BLOCK_BYTES = 400 * 1024, // of tiles of a, what a task goes over again and again
    PACKED_ROWS = 32,         // at once; where a bf16 tile may be cut (pack_rows_bf16)
    COLUMNS = 256,
    LINE = 64,
};

typedef struct Outer {
    const float *a, *b; // [rows,...], rows a_stride and b_stride apart
    int64_t rows, a_stride, b_stride, a_width, b_width;
    bool bf16;
    int tile_rows, tiles; // tiles: a task's
    int64_t tasks, panels;
    char *packed, *threads; // scratch: all of b, and a task's part of a
    float *gradient;
    bool first; // nothing is in there yet
} Outer;

static int64_t even(int64_t k)
{
    return k + k % 2;
}

/* Bytes of one column over all rows. */
static size_t column_bytes(const Outer *o)
{
    return o->bf16 ? (size_t)even(o->rows) * sizeof(uint16_t) : (size_t)o->rows * sizeof(float);
}

static Outer outer_of(const Tensor *t)
{
    const Tensor *dt = t->in[0], *x = t->in[1];
    const Weight *w = t->in[2]->weight;
    bool transposed = t->params.transposed;
    Outer o = {.bf16 = w->spec.precision == PRECISION_BF16, .gradient = w->gradient};
    o.a_width = w->spec.shape.dims[0];
    o.b_width = w->spec.shape.dims[1];
    o.rows = tensor_count(x) / tensor_width(x);
    CHECK(tensor_has_rows(transposed ? x : dt, &o.a_stride));
    CHECK(tensor_has_rows(transposed ? dt : x, &o.b_stride));
    o.tile_rows = o.bf16 ? kernels()->tile_rows_bf16 : kernels()->tile_rows;
    o.panels = (o.b_width + PANEL - 1) / PANEL;
    int64_t tiles = (o.a_width + o.tile_rows - 1) / o.tile_rows;
    int64_t wanted = 4 * (int64_t)pool_threads(); // tasks
    int64_t most = (int64_t)(BLOCK_BYTES / ((size_t)o.tile_rows * column_bytes(&o)));
    o.tiles = (int)MAX(1, MIN(most, tiles / wanted));
    o.tasks = (tiles + o.tiles - 1) / o.tiles;
    return o;
}

size_t scratch_linear_gradient(const Tensor *t)
{
    Outer o = outer_of(t);
    size_t a = (size_t)(pool_threads() * o.tiles * o.tile_rows);
    return ((size_t)(o.panels * PANEL) + a + PANEL) * column_bytes(&o);
}

/* Rows [from, to) of some columns as the tile kernels read them, behind those before. From row to
 * row is often a multiple of a page, so packing goes through a few rows at a time, all columns that
 * are wanted of them, before the next. */
static void pack(const Outer *o, bool panel, int columns, const float *src, int64_t stride,
                 int64_t from, int64_t to, char *dst)
{
    const Kernels *k = kernels();
    int64_t at = from * columns;
    if (o->bf16)
        (panel ? k->pack_columns_bf16 : k->pack_turned_bf16)(
            columns, to - from, src + from * stride, stride, (uint16_t *)(void *)dst + at);
    else
        k->pack_columns(columns, to - from, src + from * stride, stride, (float *)(void *)dst + at);
}

/* The columns that do not fill a panel, padded with zeros. */
static void pack_last_panel(const Outer *o, int64_t from, int64_t to, char *dst)
{
    float wide[PACKED_ROWS * PANEL];
    int64_t last = (o->panels - 1) * PANEL;
    memset(wide, 0, sizeof wide);
    for (int64_t i = from; i < to; i++)
        memcpy(wide + (i - from) * PANEL, o->b + i * o->b_stride + last,
               (size_t)(o->b_width - last) * sizeof *wide);
    pack(o, true, PANEL, wide - from * PANEL, PANEL, from, to, dst);
}

static void pack_b_task(void *context, int64_t task, int thread)
{
    const Outer *o = context;
    int64_t from = task * PACKED_ROWS, to = MIN(o->rows, from + PACKED_ROWS);
    int64_t whole = o->b_width / PANEL;
    for (int64_t panel = 0; panel < o->panels; panel++) {
        char *dst = o->packed + (size_t)(panel * PANEL) * column_bytes(o);
        if (panel < whole)
            pack(o, true, PANEL, o->b + panel * PANEL, o->b_stride, from, to, dst);
        else
            pack_last_panel(o, from, to, dst);
    }
}

static int columns_of_tile(const Outer *o, int64_t tile)
{
    return (int)MIN(o->tile_rows, o->a_width - tile * o->tile_rows);
}

/* A task's tiles. */
static void pack_a(const Outer *o, int64_t tile, int tiles, char *dst)
{
    const float *src = o->a + tile * o->tile_rows;
    int64_t columns = MIN((int64_t)tiles * o->tile_rows, o->a_width - tile * o->tile_rows);
    for (int64_t from = 0; from < o->rows; from += PACKED_ROWS) {
        for (int64_t i = from + PACKED_ROWS; i < MIN(o->rows, from + 2 * PACKED_ROWS); i++)
            for (int64_t j = 0; j < columns; j += LINE / (int64_t)sizeof *src)
                __builtin_prefetch(src + i * o->a_stride + j);
        for (int i = 0; i < tiles; i++)
            pack(o, false, columns_of_tile(o, tile + i), o->a + (tile + i) * o->tile_rows,
                 o->a_stride, from, MIN(o->rows, from + PACKED_ROWS),
                 dst + (size_t)(i * o->tile_rows) * column_bytes(o));
    }
}

/* One tile times one panel, added to the gradient, whose lines are fetched while the products are
 * formed; so is the next panel, a part of it by each of a task's tiles. */
static void add_products(const Outer *o, int64_t tile, int i, int64_t panel, const void *a)
{
    float products[MAX_ROWS * PANEL] __attribute__((aligned(LINE)));
    const Kernels *k = kernels();
    size_t panel_bytes = PANEL * column_bytes(o);
    const char *b = o->packed + (size_t)panel * panel_bytes;
    size_t fetched = (size_t)i * LINE * (size_t)(o->bf16 ? even(o->rows) / 2 : o->rows);
    const char *ahead = fetched < panel_bytes ? b + panel_bytes + fetched : NULL;
    int rows = columns_of_tile(o, tile), columns = (int)MIN(PANEL, o->b_width - panel * PANEL);
    float *sum = o->gradient + tile * o->tile_rows * o->b_width + panel * PANEL;
    for (int r = 0; r < rows; r++) {
        __builtin_prefetch(sum + r * o->b_width, 1);
        __builtin_prefetch(sum + r * o->b_width + columns - 1, 1);
    }
    if (o->bf16)
        k->gemm_bf16(rows, even(o->rows), a, (const void *)b, products, false, ahead);
    else
        k->gemm(rows, o->rows, a, (const void *)b, products, false, ahead);
    k->finish(rows, columns, products, &(Epilogue){.addend = o->first ? NULL : sum}, sum,
              o->b_width);
}

static void outer_task(void *context, int64_t task, int thread)
{
    const Outer *o = context;
    size_t tile_bytes = (size_t)o->tile_rows * column_bytes(o);
    char *a = o->threads + (size_t)(thread * o->tiles) * tile_bytes;
    int64_t from = task * o->tiles, all = (o->a_width + o->tile_rows - 1) / o->tile_rows;
    int tiles = (int)MIN(o->tiles, all - from);
    pack_a(o, from, tiles, a);
    for (int64_t panel = 0; panel < o->panels; panel++)
        for (int i = 0; i < tiles; i++)
            add_products(o, from + i, i, panel, a + (size_t)i * tile_bytes);
}

typedef struct BiasSum {
    const float *x;
    int64_t rows, stride;
    float *sum;
} BiasSum;

static void bias_range(void *context, int64_t from, int64_t to)
{
    const BiasSum *b = context;
    for (int64_t i = 0; i < b->rows; i++)
        kernels()->add(to - from, b->sum + from, b->x + i * b->stride + from, b->sum + from);
}

void run_linear_gradient(const Tensor *t)
{
    const Tensor *dt = t->in[0], *x = t->in[1], *bias = t->in[3];
    Outer o = outer_of(t);
    if (bias) {
        int64_t stride = t->params.transposed ? o.b_stride : o.a_stride;
        BiasSum b = {tensor_f32(dt), o.rows, stride, bias->weight->gradient};
        pool_ranges(tensor_width(dt), COLUMNS, bias_range, &b);
    }
    if (!o.gradient)
        return;
    Weight *w = t->in[2]->weight;
    o.first = w->zeroed;
    w->zeroed = false;
    o.a = tensor_f32(t->params.transposed ? x : dt);
    o.b = tensor_f32(t->params.transposed ? dt : x);
    o.packed = t->graph->scratch;
    o.threads = o.packed + (size_t)((o.panels * PANEL)) * column_bytes(&o);
    pool_run((o.rows + PACKED_ROWS - 1) / PACKED_ROWS, pack_b_task, &o);
    pool_run(o.tasks, outer_task, &o);
}
