/* conv_winograd.c: convolutions of 3 x 3 taps and a step of one pixel with 16 products where the
 * formula has 36 (Lavin 2015, arXiv:1509.09308, F(2x2,3x3)).
 *
 * A square of 2 x 2 output pixels sees 4 x 4 input pixels. Turned into another basis, sixteen
 * coefficients d and w, their convolution is sixteen plain products:
 *     out = A' ( sum over channels of (B' d B) * (G w G') ) A
 * B and A hold 0 and +-1 alone, G halves too, so that f32 loses a bit or so. The sums over channels
 * are sixteen matrix products, coefficient by coefficient, over the kernels of linear layers; the
 * kernel's coefficients are packed when the weight is, as if it had sixteen taps.
 *
 * A task turns the squares of a block, all channels, then goes through its panels: sixteen products
 * into a small buffer, which is turned back and finished before the next. */
#include "tensor/conv_internal.h"

#include "tensor/pool_internal.h"

enum {
    COEFFICIENTS = 16,
    CHANNELS = 64,             // turned at once
    CUT = 256,                 // of the channels: a panel's part stays in the first-level cache
    BLOCK_BYTES = 1024 * 1024, // of a task's coefficients, about
    GROUPS = 8,                // of squares, that share a panel; at most
    LEAST = 32,                // channels and outputs that are worth it
    LEAST_PIXELS = 8,          // a side
    LINE = 64,
};

bool conv_is_winograd(const Conv *p, const Tensor *x, const Tensor *weight, bool transposed)
{
    const Shape *s = &weight->shape;
    const WeightSpec *w = &weight->weight->spec;
    if (transposed || s->rank != 4 || s->dims[2] != 3 || s->dims[3] != 3 || w->trainable)
        return false;
    for (int i = 0; i < 2; i++)
        if (p->stride[i] > 1 || p->dilation[i] > 1 || p->padding[i] > 1 ||
            spatial_dim(x, i) < LEAST_PIXELS)
            return false;
    return p->groups <= 1 && s->dims[0] >= LEAST && s->dims[1] >= LEAST && s->dims[1] % LEAST == 0;
}

typedef struct Winograd {
    ConvMap m;
    const Tensor *t, *x;
    const Panels *w;
    Epilogue epilogue; // of pixel 0
    int64_t bias_stride;
    bool bf16;
    int tile_rows;                 // squares that a product takes
    int64_t across, down, squares; // of a sample; of all
    int64_t groups, blocks, parts; // groups of tile_rows squares: a block's; tasks
    int64_t panels;
    float *threads;
    size_t thread_floats;
} Winograd;

/* A thread's scratch. */
typedef struct Room {
    float *turned; // [16][tile_rows][CHANNELS]
    char *packed;  // [groups][16][channels,tile_rows] as products read it
    float *sums;   // [groups][16][tile_rows,PANEL]
    float *pixels; // [2][2 * tile_rows][PANEL]
    float *zeros;  // [CHANNELS]
} Room;

static size_t packed_bytes(const Winograd *j)
{
    size_t value = j->bf16 ? sizeof(uint16_t) : sizeof(float);
    return (size_t)(j->tile_rows * j->m.channels) * value;
}

static Room room_of(const Winograd *j, float *memory, size_t *floats)
{
    Room r = {.turned = memory};
    r.packed = (char *)(r.turned + COEFFICIENTS * j->tile_rows * CHANNELS);
    r.sums = (float *)(void *)(r.packed + (size_t)(j->groups * COEFFICIENTS) * packed_bytes(j));
    r.pixels = r.sums + j->groups * COEFFICIENTS * j->tile_rows * PANEL;
    r.zeros = r.pixels + (int64_t)4 * j->tile_rows * PANEL;
    if (floats)
        *floats = (size_t)(r.zeros + CHANNELS - memory);
    return r;
}

static Winograd winograd_of(const Tensor *t)
{
    const Weight *w = t->in[1]->weight;
    Winograd j = {.t = t, .x = t->in[0], .w = &w->panels[PANELS_CONV_WINOGRAD]};
    j.m = conv_map(&t->params.conv, t->in[0], t->in[1], t, false);
    j.bf16 = j.w->packing == PACK_BF16;
    j.tile_rows = j.bf16 ? kernels()->tile_rows_bf16 : kernels()->tile_rows;
    j.down = (j.m.out[0] + 1) / 2;
    j.across = (j.m.out[1] + 1) / 2;
    j.squares = j.m.batch * j.down * j.across;
    j.panels = (j.m.outs + PANEL - 1) / PANEL;
    int64_t all = (j.squares + j.tile_rows - 1) / j.tile_rows;
    int64_t most = BLOCK_BYTES / (int64_t)(COEFFICIENTS * packed_bytes(&j));
    j.groups = MIN(all, MAX(2, MIN(GROUPS, most)));
    j.blocks = (all + j.groups - 1) / j.groups;
    j.groups = (all + j.blocks - 1) / j.blocks;
    int64_t wanted = 4 * (int64_t)pool_threads();
    j.parts = MIN(j.panels, (wanted + j.blocks - 1) / j.blocks);
    (void)room_of(&j, NULL, &j.thread_floats);
    return j;
}

size_t scratch_conv_winograd(const Tensor *t)
{
    return (size_t)pool_threads() * winograd_of(t).thread_floats * sizeof(float);
}

/* Square `index`: where its output begins. */
typedef struct Square {
    int64_t batch, y, x;
} Square;

static Square square_at(const Winograd *j, int64_t index)
{
    int64_t sample = j->down * j->across, at = index % sample;
    return (Square){index / sample, at / j->across * 2, at % j->across * 2};
}

/* The sixteen pixels that a square sees, from channel c on; zeros outside. */
static void find_pixels(const Winograd *j, Square s, int64_t c, const float *zeros,
                        const float *pixels[COEFFICIENTS])
{
    const ConvMap *m = &j->m;
    const float *image = tensor_f32(j->x) + s.batch * j->x->strides[0] + c;
    for (int i = 0; i < COEFFICIENTS; i++) {
        int64_t y = s.y + m->base[0] + i / 4, x = s.x + m->base[1] + i % 4;
        bool inside = y >= 0 && y < m->source[0] && x >= 0 && x < m->source[1];
        pixels[i] = inside ? image + y * m->strides[0] + x * m->strides[1] : zeros;
    }
}

/* Turns and packs the squares [first, first + n) as a group. */
static void pack_group(const Winograd *j, const Room *room, int64_t group, int64_t first, int n)
{
    const Kernels *k = kernels();
    char *packed = room->packed + (size_t)(group * COEFFICIENTS) * packed_bytes(j);
    size_t value = j->bf16 ? sizeof(uint16_t) : sizeof(float);
    for (int64_t c = 0; c < j->m.channels; c += CHANNELS) {
        int64_t some = MIN(CHANNELS, j->m.channels - c);
        for (int i = 0; i < n; i++) {
            const float *pixels[COEFFICIENTS];
            find_pixels(j, square_at(j, first + i), c, room->zeros, pixels);
            k->winograd_in(some, pixels, room->turned + i * CHANNELS, n * CHANNELS);
        }
        for (int i = 0; i < COEFFICIENTS; i++) {
            const float *rows = room->turned + i * n * CHANNELS;
            char *to = packed + (size_t)i * packed_bytes(j) + (size_t)(c * n) * value;
            if (j->bf16)
                k->pack_rows_bf16(n, some, rows, CHANNELS, (uint16_t *)(void *)to);
            else
                k->pack_rows(n, some, rows, CHANNELS, (float *)(void *)to);
        }
    }
}

/* Writes columns [column, column + n) of the squares' pixels that lie inside. */
static void finish_group(const Winograd *j, const Room *room, int64_t first, int n, int64_t column,
                         int columns)
{
    const Tensor *y = j->t;
    int64_t width = j->m.out[1], stride = spatial_stride(y, 1);
    for (int i = 0, run; i < n; i += run) {
        Square s = square_at(j, first + i);
        run = (int)MIN(n - i, j->across - s.x / 2); // to the end of the row
        int pixels = (int)MIN(2 * run, width - s.x);
        for (int row = 0; row < 2 && s.y + row < j->m.out[0]; row++) {
            int64_t at = s.batch * y->strides[0] + (s.y + row) * spatial_stride(y, 0) +
                         s.x * stride + column;
            Epilogue e = j->epilogue;
            e.bias = e.bias ? e.bias + s.batch * j->bias_stride + column : NULL;
            e.factor = e.factor ? e.factor + at : NULL;
            e.addend = e.addend ? e.addend + at : NULL;
            kernels()->finish(pixels, columns,
                              room->pixels + (row * 2 * j->tile_rows + 2 * i) * PANEL, &e,
                              tensor_f32(y->tail) + at, stride);
        }
    }
}

/* The panel's coefficient times all groups. */
static void multiply(const Winograd *j, const Room *room, int64_t panel, int coefficient,
                     const int *rows, int64_t groups)
{
    const Kernels *kernel = kernels();
    const char *all = panel_at(j->w, panel);
    size_t value = j->bf16 ? sizeof(uint16_t) : sizeof(float);
    for (int64_t from = 0, k; from < j->m.channels; from += k) {
        k = MIN(CUT, j->m.channels - from);
        const char *b = all + packing_bytes(j->w->packing, coefficient * j->m.channels + from);
        int64_t bytes = (int64_t)packing_bytes(j->w->packing, k), steps = j->bf16 ? k / 2 : k;
        for (int64_t g = 0; g < groups; g++) {
            int64_t at = g * COEFFICIENTS + coefficient;
            const char *a =
                room->packed + (size_t)at * packed_bytes(j) + (size_t)(from * rows[g]) * value;
            float *sums = room->sums + at * j->tile_rows * PANEL;
            // Meanwhile the weights of the next step come: each group asks for a part.
            const char *ahead = g * steps * LINE < bytes ? b + bytes + g * steps * LINE : NULL;
            if (j->bf16)
                kernel->gemm_bf16(rows[g], k, (const uint16_t *)(const void *)a,
                                  (const uint16_t *)(const void *)b, sums, from > 0, ahead);
            else
                kernel->gemm(rows[g], k, (const float *)(const void *)a,
                             (const float *)(const void *)b, sums, from > 0, ahead);
        }
    }
}

static void winograd_task(void *context, int64_t task, int thread)
{
    const Winograd *j = context;
    int64_t part = task % j->parts, first = task / j->parts * j->groups * j->tile_rows, groups = 0;
    Room room = room_of(j, j->threads + (size_t)thread * j->thread_floats, NULL);
    int rows[GROUPS];
    memset(room.zeros, 0, CHANNELS * sizeof *room.zeros);
    for (int64_t at = first; groups < j->groups && at < j->squares; at += j->tile_rows) {
        rows[groups] = (int)MIN(j->tile_rows, j->squares - at);
        pack_group(j, &room, groups, at, rows[groups]);
        groups++;
    }
    for (int64_t p = j->panels * part / j->parts; p < j->panels * (part + 1) / j->parts; p++) {
        for (int i = 0; i < COEFFICIENTS; i++)
            multiply(j, &room, p, i, rows, groups);
        for (int64_t g = 0; g < groups; g++) {
            kernels()->winograd_out(rows[g], room.sums + g * COEFFICIENTS * j->tile_rows * PANEL,
                                    (int64_t)j->tile_rows * PANEL, room.pixels,
                                    (int64_t)2 * j->tile_rows * PANEL);
            finish_group(j, &room, first + g * j->tile_rows, rows[g], p * PANEL,
                         (int)MIN(PANEL, j->m.outs - p * PANEL));
        }
    }
}

void run_conv_winograd(const Tensor *t)
{
    Winograd j = winograd_of(t);
    const Tensor *bias = t->in[2];
    j.threads = (float *)(void *)t->graph->scratch;
    j.bias_stride = bias && bias->shape.rank == 2 && bias->shape.dims[0] > 1 ? bias->strides[0] : 0;
    j.epilogue = epilogue_of(t, bias);
    pool_run(j.blocks * j.parts, winograd_task, &j);
}
