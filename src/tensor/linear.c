/* linear.c: x [M,K] times a packed weight, with what is fused behind it.
 *
 * One row: each panel of 32 outputs is one pass over its weights (GEMV), which memory speed bounds.
 * Several rows: x is packed once, in tiles of a few rows side by side; then a task takes a panel,
 * unpacks it to f32 where its type asks for that, and multiplies it with every tile (GEMM). A
 * tile's sums stay in registers over the whole of K, its 32 columns are finished in the first-level
 * cache, and the output is written once. Panels that are unpacked come from the second-level cache
 * for all tiles but the first. */
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

enum { GEMV_BYTES = 32768 }; // of weights, that are worth a task

typedef struct Linear {
    const Tensor *t;
    const Panels *w;
    const float *x;
    int64_t rows, stride, in, out;
    bool bf16;
    int tile_rows;
    int64_t tiles, panels, chunks; // chunks of tiles a panel is divided into
    float *packed, *sums, *wide;   // scratch
    Epilogue epilogue;             // of row 0
    float *c;
} Linear;

static int64_t even(int64_t k)
{
    return k + k % 2;
}

/* Sizes that planning and running agree on. Scratch: the sums of x's blocks or x packed, then one
 * unpacked panel a thread. */
static Linear linear_of(const Tensor *t)
{
    const Tensor *x = t->in[0];
    const Weight *w = t->in[1]->weight;
    Linear l = {.t = t, .in = tensor_width(x), .out = tensor_width(t)};
    l.w = &w->panels[t->params.transposed];
    l.rows = tensor_count(x) / l.in;
    l.tile_rows = kernels()->tile_rows;
    l.tiles = (l.rows + l.tile_rows - 1) / l.tile_rows;
    l.panels = (l.out + PANEL - 1) / PANEL;
    l.bf16 = l.rows > 1 && l.w->packing == PACK_BF16 && w->spec.precision == PRECISION_BF16;
    int64_t wanted = 3 * (int64_t)pool_threads(); // tasks, to share the work evenly
    l.chunks = MIN(l.tiles, MAX(1, (wanted + l.panels - 1) / l.panels));
    return l;
}

static size_t packed_floats(const Linear *l)
{
    return l->rows == 1 ? (size_t)(l->in / 16 + 1) : (size_t)(l->rows * even(l->in));
}

static bool unpacks(const Linear *l)
{
    return l->rows > 1 && !l->bf16 && l->w->packing != PACK_F32;
}

size_t scratch_linear(const Tensor *t)
{
    Linear l = linear_of(t);
    size_t panels = unpacks(&l) ? (size_t)(pool_threads() * even(l.in) * PANEL) : 0;
    return (packed_floats(&l) + PANEL + panels) * sizeof(float);
}

bool check_linear(const Tensor *t, Error *err)
{
    // The plan sized the scratch for these kernels' tiles; the pool may not have grown either.
    return t->in[1]->weight->panels[t->params.transposed].memory ||
           fail(err, ERR_INVALID, "weight '%s' is not packed", t->in[1]->weight->spec.name);
}

/* The columns of one panel in one row of the output. */
static void finish_row(const Linear *l, int64_t row, int64_t panel, const float *products)
{
    int64_t column = panel * PANEL, at = row * l->out + column;
    Epilogue e = l->epilogue;
    e.bias = e.bias ? e.bias + column : NULL;
    e.factor = e.factor ? e.factor + at : NULL;
    e.addend = e.addend ? e.addend + at : NULL;
    kernels()->finish(MIN(PANEL, l->out - column), products, &e, l->c + at);
}

static void gemv_range(void *context, int64_t from, int64_t to)
{
    const Linear *l = context;
    for (int64_t panel = from; panel < to; panel++) {
        float products[PANEL] __attribute__((aligned(64)));
        kernels()->gemv[l->w->packing](l->in, l->x, l->sums, panel_at(l->w, panel), products);
        finish_row(l, 0, panel, products);
    }
}

static void run_gemv(Linear *l)
{
    enum { RUN = 16 };
    for (int64_t i = 0; i < l->in / RUN; i++) {
        float sum = 0;
        for (int j = 0; j < RUN; j++)
            sum += l->x[i * RUN + j];
        l->sums[i] = sum;
    }
    int64_t bytes = (int64_t)packing_bytes(l->w->packing, l->in);
    pool_ranges(l->panels, MAX(1, GEMV_BYTES / bytes), gemv_range, l);
}

static int rows_of_tile(const Linear *l, int64_t tile)
{
    return (int)MIN(l->tile_rows, l->rows - tile * l->tile_rows);
}

static void *packed_tile(const Linear *l, int64_t tile)
{
    size_t value = l->bf16 ? sizeof(uint16_t) : sizeof(float);
    int64_t k = l->bf16 ? even(l->in) : l->in;
    return (char *)l->packed + (size_t)(tile * l->tile_rows * k) * value;
}

static void pack_task(void *context, int64_t tile, int thread)
{
    const Linear *l = context;
    const float *src = l->x + tile * l->tile_rows * l->stride;
    int rows = rows_of_tile(l, tile);
    if (l->bf16)
        kernels()->pack_rows_bf16(rows, l->in, src, l->stride, packed_tile(l, tile));
    else
        kernels()->pack_rows(rows, l->in, src, l->stride, packed_tile(l, tile));
}

static void gemm_task(void *context, int64_t task, int thread)
{
    const Linear *l = context;
    int64_t panel = task / l->chunks, chunk = task % l->chunks;
    int64_t from = l->tiles * chunk / l->chunks, to = l->tiles * (chunk + 1) / l->chunks;
    const void *b = panel_at(l->w, panel);
    if (unpacks(l)) {
        float *wide = l->wide + (int64_t)thread * even(l->in) * PANEL;
        kernels()->unpack[l->w->packing](l->in, b, wide);
        b = wide;
    }
    float products[MAX_ROWS * PANEL] __attribute__((aligned(64)));
    for (int64_t tile = from; tile < to; tile++) {
        int rows = rows_of_tile(l, tile);
        if (l->bf16)
            kernels()->tile_bf16(rows, even(l->in), packed_tile(l, tile), b, products, PANEL);
        else
            kernels()->tile(rows, l->in, packed_tile(l, tile), b, products, PANEL);
        for (int r = 0; r < rows; r++)
            finish_row(l, tile * l->tile_rows + r, panel, products + r * PANEL);
    }
}

void run_linear(const Tensor *t)
{
    Linear l = linear_of(t);
    l.x = tensor_f32(t->in[0]);
    CHECK(tensor_has_rows(t->in[0], &l.stride));
    l.c = tensor_f32(t->tail);
    l.epilogue = (Epilogue){.bias = t->in[2] ? tensor_f32(t->in[2]) : NULL,
                            .activation = t->activation,
                            .factor = t->factor ? tensor_f32(t->factor) : NULL,
                            .addend = t->addend ? tensor_f32(t->addend) : NULL};
    l.packed = l.sums = (float *)(void *)t->graph->scratch;
    l.wide = l.packed + (packed_floats(&l) + PANEL - 1) / PANEL * PANEL;
    if (l.rows == 1) {
        run_gemv(&l);
        return;
    }
    pool_run(l.tiles, pack_task, &l);
    pool_run(l.panels * l.chunks, gemm_task, &l);
}
