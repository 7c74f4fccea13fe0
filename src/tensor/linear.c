/* linear.c: x [M,K] times a packed weight, with what is fused behind it.
 *
 * One row: each panel of 32 outputs is one pass over its weights (GEMV), which memory speed bounds.
 *
 * Several rows (GEMM): x is packed once, in tiles of a few rows side by side. Then a task takes a
 * block of tiles that the second-level cache holds (BLOCK_BYTES) and a few panels: panel by panel,
 * it unpacks what the products cannot read, and multiplies each tile with it. A long K is cut, so
 * that a tile and its panel stay small; sums go on from cut to cut in the order of the inputs, so
 * cutting changes no bit. While a panel is used, the next one is fetched from memory. A tile is
 * finished while its sums are in the first-level cache, and the output is written once: rows lie
 * far apart, often a multiple of a page, so its lines are fetched before the products begin. */
#include "tensor/pack_internal.h"
#include "tensor/pool_internal.h"
#include "tensor/tensor_internal.h"

enum {
    GEMV_BYTES = 32768,       // of weights, that are worth a task
    BLOCK_BYTES = 400 * 1024, // of packed rows, what a task goes over again and again
    CUT_BYTES = 4096,         // of one row: where K is cut
    GROUP = 8,                // panels a task at most
    TASKS_A_THREAD = 8,       // at least, to share the work evenly
    UNPACK = SUPER,           // inputs unpacked at once on the way to bf16 or int8
    LINE = 64,
    SUM = 16, // values a sum of GemvInput
};

typedef enum Products { PRODUCTS_F32, PRODUCTS_BF16, PRODUCTS_INT8 } Products;

typedef struct Linear {
    const Kernels *k;
    const Tensor *t;
    const Panels *w;
    const float *x;
    int64_t rows, stride, in, out, panels;
    Products products;
    int tile_rows;
    int64_t tiles, block, blocks; // block: tiles a task
    int64_t group, groups;        // group: panels a task
    int64_t cut, cuts;            // cut: inputs a step
    GemvInput input;              // of one row
    float *packed, *threads;      // scratch
    size_t thread_floats;
    Epilogue epilogue; // of row 0
    float *c;
} Linear;

static int64_t even(int64_t k)
{
    return k + k % 2;
}

static int64_t divide_up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

/* int8 only where it is faster than what it approximates. */
static Products products_of(const Weight *w, const Kernels *k, bool one_row, const Panels *panels)
{
    switch (w->spec.precision) {
    case PRECISION_F32:
        break;
    case PRECISION_BF16:
        return one_row ? PRODUCTS_F32 : PRODUCTS_BF16;
    case PRECISION_INT8:
        if (one_row ? k->prefers_gemv_int8 && dtype_is_block(panels->type) : k->prefers_gemm_int8)
            return PRODUCTS_INT8;
    }
    return PRODUCTS_F32;
}

/* Bytes of `lanes` rows, or columns of a panel, of k inputs as the products read them. */
static int64_t packed_bytes(const Linear *l, int64_t lanes, int64_t k)
{
    switch (l->products) {
    case PRODUCTS_F32:
        return lanes * k * (int64_t)sizeof(float);
    case PRODUCTS_BF16:
        return lanes * even(k) * (int64_t)sizeof(uint16_t);
    case PRODUCTS_INT8:
        return lanes * int8_bytes(k);
    }
    CHECK(false);
}

/* Can the products read the panel as it lies? */
static bool is_direct(const Linear *l)
{
    return (l->products == PRODUCTS_F32 && l->w->packing == PACK_F32) ||
           (l->products == PRODUCTS_BF16 && l->w->packing == PACK_BF16);
}

static int64_t floats_of(int64_t bytes)
{
    return divide_up(bytes, LINE) * (int64_t)(LINE / sizeof(float));
}

static int best_rows(const Linear *l)
{
    switch (l->products) {
    case PRODUCTS_F32:
        return l->k->tile_rows;
    case PRODUCTS_BF16:
        return l->k->tile_rows_bf16;
    case PRODUCTS_INT8:
        return l->k->tile_rows_int8;
    }
    CHECK(false);
}

static void divide_work(Linear *l)
{
    l->tiles = divide_up(l->rows, best_rows(l));
    l->tile_rows = (int)divide_up(l->rows, l->tiles);
    l->cuts = divide_up(packed_bytes(l, 1, l->in), CUT_BYTES);
    l->cut = divide_up(divide_up(l->in, l->cuts), SUPER) * SUPER; // whole blocks of any packing
    l->cuts = divide_up(l->in, l->cut);
    int64_t most = MAX(1, BLOCK_BYTES / packed_bytes(l, l->tile_rows, MIN(l->cut, l->in)));
    l->blocks = divide_up(l->tiles, most);
    int64_t wanted = TASKS_A_THREAD * (int64_t)pool_threads();
    l->group = MAX(1, MIN(GROUP, l->panels * l->blocks / wanted));
    l->groups = divide_up(l->panels, l->group);
    // Few columns: more blocks than the cache asks for.
    l->blocks = MIN(l->tiles, MAX(l->blocks, divide_up(wanted, l->groups)));
    l->block = divide_up(l->tiles, l->blocks);
    l->blocks = divide_up(l->tiles, l->block);
}

/* Sizes that planning and running agree on. */
static Linear linear_of(const Tensor *t)
{
    const Tensor *x = t->in[0];
    const Weight *w = t->in[1]->weight;
    Linear l = {.k = kernels(), .t = t, .in = tensor_width(x), .out = tensor_width(t)};
    l.w = &w->panels[t->params.transposed];
    l.rows = tensor_count(x) / l.in;
    l.panels = divide_up(l.out, PANEL);
    l.products = products_of(w, l.k, l.rows == 1, l.w);
    if (l.rows == 1)
        return l;
    divide_work(&l);
    // A thread's: sums of a block, if they wait for the next cut; a panel's part unpacked.
    int64_t sums = l.cuts > 1 ? l.group * l.block * l.tile_rows * PANEL : 0;
    int64_t wide = is_direct(&l) ? 0 : floats_of(packed_bytes(&l, PANEL, l.cut));
    l.thread_floats = (size_t)(sums + wide);
    return l;
}

static size_t packed_floats(const Linear *l)
{
    if (l->rows > 1)
        return (size_t)floats_of(packed_bytes(l, l->rows, l->in));
    // See read_row.
    int64_t floats = l->products == PRODUCTS_INT8 ? l->in / BLOCK : l->in;
    int64_t bytes = l->products == PRODUCTS_INT8 ? 2 * l->in : 0;
    return (size_t)floats_of((floats + l->in / SUM) * (int64_t)sizeof(float) + bytes);
}

size_t scratch_linear(const Tensor *t)
{
    Linear l = linear_of(t);
    return (packed_floats(&l) + (size_t)pool_threads() * l.thread_floats) * sizeof(float);
}

bool check_linear(const Tensor *t, Error *err)
{
    // The plan sized the scratch for these kernels' tiles; the pool may not have grown either.
    return t->in[1]->weight->panels[t->params.transposed].memory ||
           fail(err, ERR_INVALID, "weight '%s' is not packed", t->in[1]->weight->spec.name);
}

/* Some rows of one panel's columns in the output. */
static void finish_rows(const Linear *l, int64_t row, int rows, int64_t panel,
                        const float *products)
{
    int64_t column = panel * PANEL, at = row * l->out + column;
    Epilogue e = l->epilogue;
    e.bias = e.bias ? e.bias + column : NULL;
    e.factor = e.factor ? e.factor + at : NULL;
    e.addend = e.addend ? e.addend + at : NULL;
    l->k->finish(rows, (int)MIN(PANEL, l->out - column), products, &e, l->c + at, l->out);
}

static void gemv_range(void *context, int64_t from, int64_t to)
{
    const Linear *l = context;
    for (int64_t panel = from; panel < to; panel++) {
        float products[PANEL] __attribute__((aligned(LINE)));
        const void *b = panel_at(l->w, panel);
        if (l->products == PRODUCTS_INT8)
            l->k->gemv_int8[l->w->packing](l->in, &l->input, b, products);
        else
            l->k->gemv[l->w->packing](l->in, &l->input, b, products);
        finish_rows(l, 0, 1, panel, products);
    }
}

/* The forms of x that quantised panels ask for, into scratch. */
static void read_row(Linear *l)
{
    static const float scales[8] = {1, 1, 0x1p-8F, 0x1p-8F, 0x1p-16F, 0x1p-16F, 0x1p-24F, 0x1p-24F};
    float *bytes = l->packed, *sums = bytes + l->in;
    l->input = (GemvInput){.x = l->x, .bytes = bytes, .sums = sums};
    for (int64_t i = 0; i < l->in / SUM; i++) {
        const float *x = l->x + i * SUM;
        sums[i] = 0;
        for (int j = 0; j < SUM; j++) {
            sums[i] += x[j];
            bytes[i * SUM + j] = x[j] * scales[j % 8];
        }
    }
}

/* x in int8, with the sums of what was rounded. */
static void round_row(Linear *l)
{
    int64_t blocks = l->in / BLOCK;
    float *scales = l->packed, *sums = scales + blocks;
    int8_t *codes = (int8_t *)(sums + l->in / SUM), *quads = codes + l->in;
    l->input = (GemvInput){
        .x = l->x, .codes = codes, .quads = quads, .scales = scales, .rounded_sums = sums};
    l->k->quantize(l->in, l->x, codes, scales);
    for (int64_t i = 0; i < l->in / SUM; i++) {
        int sum = 0;
        for (int64_t j = i * SUM; j < (i + 1) * SUM; j++) {
            int at = (int)(j % BLOCK);
            sum += codes[j];
            quads[j - at + quad_of(at) * 4 + byte_of(at)] = codes[j];
        }
        sums[i] = (float)sum * scales[i * SUM / BLOCK];
    }
}

static void run_gemv(Linear *l)
{
    l->input.x = l->x;
    if (l->products == PRODUCTS_INT8)
        round_row(l);
    else if (dtype_is_block(l->w->type))
        read_row(l);
    int64_t bytes = (int64_t)packing_bytes(l->w->packing, l->in);
    pool_ranges(l->panels, MAX(1, GEMV_BYTES / bytes), gemv_range, l);
}

static int rows_of_tile(const Linear *l, int64_t tile)
{
    return (int)MIN(l->tile_rows, l->rows - tile * l->tile_rows);
}

/* A packed tile from input `from` on, a multiple of SUPER. */
static void *packed_at(const Linear *l, int64_t tile, int64_t from)
{
    return (char *)l->packed + packed_bytes(l, tile * l->tile_rows, l->in) +
           packed_bytes(l, rows_of_tile(l, tile), from);
}

static void pack_task(void *context, int64_t tile, int thread)
{
    const Linear *l = context;
    const float *src = l->x + tile * l->tile_rows * l->stride;
    int rows = rows_of_tile(l, tile);
    void *to = packed_at(l, tile, 0);
    switch (l->products) {
    case PRODUCTS_F32:
        l->k->pack_rows(rows, l->in, src, l->stride, to);
        break;
    case PRODUCTS_BF16:
        l->k->pack_rows_bf16(rows, l->in, src, l->stride, to);
        break;
    case PRODUCTS_INT8:
        l->k->pack_rows_int8(rows, l->in, src, l->stride, to);
        break;
    }
}

/* The inputs [from, from + n) of a panel as the products read them. */
static const void *read_panel(const Linear *l, int64_t panel, int64_t from, int64_t n, void *memory)
{
    const char *b = (const char *)panel_at(l->w, panel) + packing_bytes(l->w->packing, from);
    if (is_direct(l))
        return b;
    if (l->products == PRODUCTS_F32) {
        l->k->unpack[l->w->packing](n, b, memory);
        return memory;
    }
    for (int64_t i = 0; i < n; i += UNPACK) {
        float values[UNPACK * PANEL] __attribute__((aligned(LINE)));
        int64_t some = MIN(UNPACK, n - i);
        char *to = (char *)memory + packed_bytes(l, PANEL, i);
        l->k->unpack[l->w->packing](some, b + packing_bytes(l->w->packing, i), values);
        if (l->products == PRODUCTS_BF16)
            l->k->pair_rows(some, values, (uint16_t *)(void *)to);
        else
            l->k->pack_panel_int8(some, values, to);
    }
    return memory;
}

/* Asks for the lines of the output, and of what is added or multiplied, that a tile will meet. */
static void fetch_output(const Linear *l, int64_t row, int rows, int64_t panel)
{
    for (int r = 0; r < rows; r++) {
        int64_t at = (row + r) * l->out + panel * PANEL;
        __builtin_prefetch(l->c + at, 1);
        __builtin_prefetch(l->c + at + PANEL - 1, 1);
        if (l->epilogue.addend) {
            __builtin_prefetch(l->epilogue.addend + at);
            __builtin_prefetch(l->epilogue.addend + at + PANEL - 1);
        }
        if (l->epilogue.factor) {
            __builtin_prefetch(l->epilogue.factor + at);
            __builtin_prefetch(l->epilogue.factor + at + PANEL - 1);
        }
    }
}

/* What a task goes over: a block of tiles, a group of panels, and its own memory. */
typedef struct Part {
    int64_t tile, tiles, panel, panels;
    float *sums; // [panels][tiles][tile_rows,PANEL] if there are several cuts
    void *wide;
} Part;

/* One panel's inputs [from, from + n) times the block. */
static void multiply_panel(const Linear *l, const Part *p, int64_t panel, int64_t from, int64_t n)
{
    float once[MAX_ROWS * PANEL] __attribute__((aligned(LINE)));
    const void *b = read_panel(l, panel, from, n, p->wide);
    const char *ahead =
        (const char *)panel_at(l->w, panel + 1) + packing_bytes(l->w->packing, from);
    bool last = from + n == l->in;
    static const int inputs_a_step[] = {
        [PRODUCTS_F32] = 1, [PRODUCTS_BF16] = 2, [PRODUCTS_INT8] = 4};
    int64_t steps = divide_up(n, inputs_a_step[l->products]);
    int64_t size = l->tile_rows * PANEL, bytes = (int64_t)packing_bytes(l->w->packing, n);
    for (int64_t i = 0; i < p->tiles; i++) {
        int64_t tile = p->tile + i, row = tile * l->tile_rows;
        int rows = rows_of_tile(l, tile);
        float *sums = l->cuts > 1 ? p->sums + ((panel - p->panel) * p->tiles + i) * size : once;
        const char *fetch = i * steps * LINE < bytes ? ahead + i * steps * LINE : NULL;
        if (last)
            fetch_output(l, row, rows, panel);
        const void *a = packed_at(l, tile, from);
        switch (l->products) {
        case PRODUCTS_F32:
            l->k->gemm(rows, n, a, b, sums, from > 0, fetch);
            break;
        case PRODUCTS_BF16:
            l->k->gemm_bf16(rows, even(n), a, b, sums, from > 0, fetch);
            break;
        case PRODUCTS_INT8:
            l->k->gemm_int8(rows, n, a, b, sums, from > 0, fetch);
            break;
        }
        if (last)
            finish_rows(l, row, rows, panel, sums);
    }
}

static void gemm_task(void *context, int64_t task, int thread)
{
    const Linear *l = context;
    Part p = {.tile = task / l->groups * l->block, .panel = task % l->groups * l->group};
    p.tiles = MIN(l->block, l->tiles - p.tile);
    p.panels = MIN(l->group, l->panels - p.panel);
    p.sums = l->threads + (size_t)thread * l->thread_floats;
    p.wide = l->cuts > 1 ? p.sums + l->group * l->block * l->tile_rows * PANEL : p.sums;
    for (int64_t from = 0; from < l->in; from += l->cut)
        for (int64_t panel = p.panel; panel < p.panel + p.panels; panel++)
            multiply_panel(l, &p, panel, from, MIN(l->cut, l->in - from));
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
    l.packed = (float *)(void *)t->graph->scratch;
    l.threads = l.packed + packed_floats(&l);
    if (l.rows == 1) {
        run_gemv(&l);
        return;
    }
    pool_run(l.tiles, pack_task, &l);
    pool_run(l.blocks * l.groups, gemm_task, &l);
}
