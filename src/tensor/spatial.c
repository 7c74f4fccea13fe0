/* spatial.c: pooling and resizing of images and signals; see tensor.h.
 *
 * Channels are innermost in memory, so a kernel takes all channels of a pixel. Each operation is a
 * list of source positions with weights for an output position of one axis ("reads"); an image's
 * are all pairs of its rows' and columns'. Gradients turn that round: a source row collects from
 * the output rows that read it, so that tasks write rows of their own. */
#include "tensor/conv_internal.h"
#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

#include <math.h>

/* What an output position of one axis reads. */
typedef struct Reads {
    int64_t from, to;   // source positions
    float weight[2];    // of the first two when resizing
    int64_t population; // positions that an average counts
} Reads;

typedef struct Axis {
    int64_t size, out; // of source and output
    int64_t window, stride, padding;
} Axis;

typedef struct Spatial {
    const Tensor *t, *x; // x has the source's shape, t the output's; of gradients t is the source
    const Spatially *p;
    int64_t batch, channels;
    Axis axes[2]; // height and width
} Spatial;

static Spatial spatial_of(const Tensor *t, const Tensor *source, const Tensor *out)
{
    Spatial s = {.t = t, .x = t->in[0], .p = &t->params.spatially};
    s.batch = out->shape.dims[0];
    s.channels = out->shape.dims[1];
    bool image = out->shape.rank == 4;
    for (int i = 0; i < 2; i++) {
        int at = image ? i : 0; // in the parameters' pairs
        bool absent = !image && i == 0;
        s.axes[i] = (Axis){.size = spatial_dim(source, i),
                           .out = spatial_dim(out, i),
                           .window = absent ? 1 : s.p->window.size[at],
                           .stride = absent ? 1 : s.p->window.stride[at],
                           .padding = absent ? 0 : s.p->window.padding[at]};
    }
    return s;
}

static Reads window_reads(const Spatial *s, const Axis *a, int64_t o)
{
    int64_t from = o * a->stride - a->padding, to = MIN(from + a->window, a->size + a->padding);
    Reads r = {.from = MAX(from, 0), .to = MIN(to, a->size)};
    r.population = s->p->window.count_padding ? to - from : r.to - r.from;
    return r;
}

static Reads adaptive_reads(const Axis *a, int64_t o)
{
    Reads r = {.from = o * a->size / a->out, .to = ((o + 1) * a->size + a->out - 1) / a->out};
    r.population = r.to - r.from;
    return r;
}

/* In f32, as the reference computes positions. */
static Reads resize_reads(const Spatial *s, const Axis *a, int64_t o)
{
    float scale = (float)a->size / (float)a->out, at;
    if (s->p->resize == RESIZE_NEAREST) {
        int64_t i = MIN((int64_t)floorf((float)o * scale), a->size - 1);
        return (Reads){.from = i, .to = i + 1, .weight = {1, 0}};
    }
    if (s->p->resize == RESIZE_BILINEAR_ALIGNED)
        at = a->out > 1 ? (float)o * ((float)(a->size - 1) / (float)(a->out - 1)) : 0;
    else
        at = MAX(((float)o + 0.5F) * scale - 0.5F, 0);
    int64_t i = MIN((int64_t)at, a->size - 1);
    float rest = at - (float)i;
    if (i + 1 >= a->size)
        return (Reads){.from = i, .to = i + 1, .weight = {1, 0}};
    return (Reads){.from = i, .to = i + 2, .weight = {1 - rest, rest}};
}

static Reads reads_of(const Spatial *s, int axis, int64_t o)
{
    const Axis *a = &s->axes[axis];
    switch (s->p->kind) {
    case SPATIAL_MAX:
    case SPATIAL_AVERAGE:
        return window_reads(s, a, o);
    case SPATIAL_ADAPTIVE:
        return adaptive_reads(a, o);
    case SPATIAL_RESIZE:
        break;
    }
    return resize_reads(s, a, o);
}

static float weight_of(const Spatial *s, const Reads *y, const Reads *x, int64_t iy, int64_t ix)
{
    if (s->p->kind == SPATIAL_RESIZE)
        return y->weight[iy - y->from] * x->weight[ix - x->from];
    return 1 / (float)(y->population * x->population);
}

static float *pixel_of(const Spatial *s, const Tensor *t, int64_t width, int64_t row, int64_t x)
{
    return tensor_f32(t) + (row * width + x) * s->channels;
}

/* Forward: ranges are of output rows of all samples. */

static void write_pixel(const Spatial *s, int64_t sample, const Reads *y, const Reads *x,
                        float *out)
{
    const Kernels *k = kernels();
    bool first = true;
    for (int64_t iy = y->from; iy < y->to; iy++)
        for (int64_t ix = x->from; ix < x->to; ix++, first = false) {
            const float *in = pixel_of(s, s->x, s->axes[1].size, sample * s->axes[0].size + iy, ix);
            if (s->p->kind == SPATIAL_MAX && !first)
                k->maximum(s->channels, out, in, out);
            else if (s->p->kind == SPATIAL_MAX)
                memcpy(out, in, (size_t)s->channels * sizeof *out);
            else if (first)
                k->scale(s->channels, in, weight_of(s, y, x, iy, ix), out);
            else
                k->add_scaled(s->channels, in, weight_of(s, y, x, iy, ix), out);
        }
}

static void forward_range(void *context, int64_t from, int64_t to)
{
    const Spatial *s = context;
    for (int64_t row = from; row < to; row++) {
        Reads y = reads_of(s, 0, row % s->axes[0].out);
        for (int64_t ox = 0; ox < s->axes[1].out; ox++) {
            Reads x = reads_of(s, 1, ox);
            write_pixel(s, row / s->axes[0].out, &y, &x,
                        pixel_of(s, s->t, s->axes[1].out, row, ox));
        }
    }
}

void run_spatial(const Tensor *t)
{
    Spatial s = spatial_of(t, t->in[0], t);
    pool_ranges(s.batch * s.axes[0].out, 1, forward_range, &s);
}

/* Gradients: t has the source's shape, in [0] the output's, and in [1] is the source of a maximum.
 * Ranges are of source rows of all samples. */

/* Channel by channel, the slope goes to the first of the largest values, if row iy has it. */
static void give_to_largest(const Spatial *s, int64_t sample, int64_t iy, const Reads *y,
                            const Reads *x, const float *slope, float *row)
{
    const Tensor *source = s->t->in[1];
    int64_t width = s->axes[1].size, first = sample * s->axes[0].size;
    for (int64_t c = 0; c < s->channels; c++) {
        int64_t best_y = y->from, best_x = x->from;
        float most = pixel_of(s, source, width, first + best_y, best_x)[c];
        for (int64_t jy = y->from; jy < y->to; jy++)
            for (int64_t jx = x->from; jx < x->to; jx++) {
                float v = pixel_of(s, source, width, first + jy, jx)[c];
                if (v > most) {
                    most = v;
                    best_y = jy;
                    best_x = jx;
                }
            }
        if (best_y == iy)
            row[best_x * s->channels + c] += slope[c];
    }
}

static void collect(const Spatial *s, int64_t sample, int64_t iy, int64_t oy, const Reads *y,
                    float *row)
{
    for (int64_t ox = 0; ox < s->axes[1].out; ox++) {
        Reads x = reads_of(s, 1, ox);
        const float *slope = pixel_of(s, s->x, s->axes[1].out, sample * s->axes[0].out + oy, ox);
        if (s->p->kind == SPATIAL_MAX) {
            give_to_largest(s, sample, iy, y, &x, slope, row);
            continue;
        }
        for (int64_t ix = x.from; ix < x.to; ix++)
            kernels()->add_scaled(s->channels, slope, weight_of(s, y, &x, iy, ix),
                                  row + ix * s->channels);
    }
}

static void gradient_range(void *context, int64_t from, int64_t to)
{
    const Spatial *s = context;
    for (int64_t i = from; i < to; i++) {
        int64_t sample = i / s->axes[0].size, iy = i % s->axes[0].size;
        float *row = pixel_of(s, s->t, s->axes[1].size, i, 0);
        memset(row, 0, (size_t)(s->axes[1].size * s->channels) * sizeof *row);
        for (int64_t oy = 0; oy < s->axes[0].out; oy++) {
            Reads y = reads_of(s, 0, oy);
            if (iy >= y.from && iy < y.to)
                collect(s, sample, iy, oy, &y, row);
        }
    }
}

void run_spatial_gradient(const Tensor *t)
{
    Spatial s = spatial_of(t, t, t->in[0]);
    pool_ranges(s.batch * s.axes[0].size, 1, gradient_range, &s);
}

/* Builders. */

void shape_spatial(Graph *g, Tensor *t)
{
    t->shape = t->params.shape;
    strides_channels_last(t);
}

static Tensor *spatial(Graph *g, Tensor *x, const Spatially *p, Shape shape)
{
    const Params params = {.spatially = *p, .shape = shape};
    return graph_node(g, &ops[OP_SPATIAL], &params, x, NULL, NULL, NULL);
}

static Tensor *operand(Graph *g, const char *name, Tensor *x)
{
    x = operand_f32(g, name, x);
    return op_channels_last(g, x);
}

static Tensor *windowed(Graph *g, const char *name, Tensor *x, SpatialKind kind,
                        const Window *window)
{
    Spatially p = {.kind = kind, .window = *window};
    char text[SHAPE_TEXT];
    x = operand(g, name, x);
    Shape shape = x->shape;
    for (int i = 0; i < shape.rank - 2; i++) {
        Window *w = &p.window;
        int64_t size = shape.dims[2 + i];
        w->stride[i] = w->stride[i] ? w->stride[i] : w->size[i];
        if (w->size[i] < 1 || w->stride[i] < 1 || w->padding[i] < 0 ||
            w->padding[i] > w->size[i] / 2 || size + 2 * w->padding[i] < w->size[i])
            return graph_fail(g, ERR_INVALID, "%s: windows of %lld do not fit %s", name,
                              (long long)w->size[i], shape_format(&x->shape, text));
        int64_t room = size + 2 * w->padding[i] - w->size[i];
        shape.dims[2 + i] = room / w->stride[i] + 1;
        // A last window that is cut off counts, unless it lies in the padding behind alone.
        if (w->ceil_mode && room % w->stride[i] &&
            shape.dims[2 + i] * w->stride[i] < size + w->padding[i])
            shape.dims[2 + i]++;
    }
    return g->error.code ? &g->nowhere : spatial(g, x, &p, shape);
}

Tensor *op_max_pool(Graph *g, Tensor *x, const Window *window)
{
    return windowed(g, "max_pool", x, SPATIAL_MAX, window);
}

Tensor *op_avg_pool(Graph *g, Tensor *x, const Window *window)
{
    return windowed(g, "avg_pool", x, SPATIAL_AVERAGE, window);
}

/* To a given size; a signal's is the width. */
static Tensor *sized(Graph *g, const char *name, Tensor *x, const Spatially *p, int64_t height,
                     int64_t width)
{
    x = operand(g, name, x);
    Shape shape = x->shape;
    if (height < 1 || width < 1 || (shape.rank == 3 && height != 1))
        return graph_fail(g, ERR_INVALID, "%s: to %lld x %lld", name, (long long)height,
                          (long long)width);
    shape.dims[shape.rank - 1] = width;
    if (shape.rank == 4)
        shape.dims[2] = height;
    return g->error.code ? &g->nowhere : spatial(g, x, p, shape);
}

Tensor *op_adaptive_avg_pool(Graph *g, Tensor *x, int64_t height, int64_t width)
{
    return sized(g, "adaptive_avg_pool", x, &(Spatially){.kind = SPATIAL_ADAPTIVE}, height, width);
}

Tensor *op_resize(Graph *g, Tensor *x, int64_t height, int64_t width, Resize how)
{
    return sized(g, "resize", x, &(Spatially){.kind = SPATIAL_RESIZE, .resize = how}, height,
                 width);
}

void gradient_spatial(Graph *g, Tensor *t, Tensor *dt)
{
    Params p = t->params;
    p.shape = t->in[0]->shape;
    Tensor *source = p.spatially.kind == SPATIAL_MAX ? t->in[0] : NULL;
    gradient_add(
        g, t->in[0],
        graph_node(g, &ops[OP_SPATIAL_GRADIENT], &p, op_channels_last(g, dt), source, NULL, NULL));
}
