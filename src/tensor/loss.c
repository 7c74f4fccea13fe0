/* loss.c: cross-entropy and its gradient; see tensor.h. The forward run keeps each row's logarithm
 * of the sum of exponentials behind its value; the backward run makes the logits, in their own
 * memory if nobody else wants them, into their gradient. */
#include "tensor/gradient_internal.h"
#include "tensor/pool_internal.h"

#include <math.h>

/* Kept behind the loss: how many rows count, then of each row the lse and the loss. */
static float *kept(const Tensor *t)
{
    return tensor_f32(t) + 1;
}

void shape_cross_entropy(Graph *g, Tensor *t)
{
    const Tensor *logits = t->in[0], *labels = t->in[1], *divisor = t->in[2];
    char a[SHAPE_TEXT], b[SHAPE_TEXT];
    int64_t rows = tensor_count(logits) / tensor_width(logits);
    t->shape = SHAPE(1);
    t->kept = 1 + 2 * rows;
    if (labels->type != DTYPE_I32 || tensor_count(labels) != rows)
        graph_fail(g, ERR_INVALID, "cross_entropy: %s and labels %s do not fit",
                   shape_format(&logits->shape, a), shape_format(&labels->shape, b));
    if (divisor && (tensor_count(divisor) != 1 || divisor->type != DTYPE_F32))
        graph_fail(g, ERR_INVALID, "cross_entropy: the divisor is one f32 value, not %s",
                   shape_format(&divisor->shape, a));
    float smoothing = t->params.cross_entropy.label_smoothing;
    if (!(smoothing >= 0 && smoothing <= 1))
        graph_fail(g, ERR_INVALID, "cross_entropy: label_smoothing %g", (double)smoothing);
}

Tensor *op_cross_entropy(Graph *g, Tensor *logits, Tensor *labels, const CrossEntropy *params)
{
    Params p = {.cross_entropy = params ? *params : (CrossEntropy){0}};
    if (logits->type != DTYPE_F32)
        return graph_fail(g, ERR_INVALID, "cross_entropy: wants f32, not %s",
                          dtype_name(logits->type));
    return graph_node(g, &ops[OP_CROSS_ENTROPY], &p, op_contiguous(g, logits),
                      op_contiguous(g, labels), p.cross_entropy.divisor, NULL);
}

bool check_labels(const Tensor *t, Error *err)
{
    const Tensor *labels = t->in[1];
    int64_t classes = tensor_width(t->in[0]);
    const int32_t *label = tensor_ptr(labels);
    if (!labels->base->input)
        return fail(err, ERR_UNSUPPORTED, "labels must be an input of the graph");
    for (int64_t i = 0; i < tensor_count(labels); i++)
        if (label[i] != LABEL_IGNORED && (label[i] < 0 || label[i] >= classes))
            return fail(err, ERR_INVALID, "label %d is not below %lld", label[i],
                        (long long)classes);
    return true;
}

static float mean_of(int64_t n, const float *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    return (float)(sum / (double)n);
}

static void loss_task(void *context, int64_t i, int thread)
{
    const Tensor *t = context, *logits = t->in[0];
    const int32_t *label = tensor_ptr(t->in[1]);
    int64_t width = tensor_width(logits), rows = tensor_count(logits) / width;
    const float *x = tensor_f32(logits) + i * width;
    float smoothing = t->params.cross_entropy.label_smoothing;
    float *lse = kept(t) + 1 + i, *loss = lse + rows;
    *lse = *loss = 0;
    if (label[i] == LABEL_IGNORED)
        return;
    *lse = kernels()->log_sum_exp(width, x);
    *loss = *lse - x[label[i]];
    if (smoothing > 0)
        *loss = (1 - smoothing) * *loss + smoothing * (*lse - mean_of(width, x));
}

void run_cross_entropy(const Tensor *t)
{
    const Tensor *labels = t->in[1], *divisor = t->in[2];
    const int32_t *label = tensor_ptr(labels);
    int64_t rows = tensor_count(labels);
    pool_run(rows, loss_task, context_of(t));
    double sum = 0, n = 0;
    for (int64_t i = 0; i < rows; i++)
        if (label[i] != LABEL_IGNORED) {
            sum += (double)kept(t)[1 + rows + i];
            n++;
        }
    kept(t)[0] = divisor ? *tensor_f32(divisor) : (float)n;
    *tensor_f32(t) = n > 0 ? (float)(sum / (double)kept(t)[0]) : 0;
}

void gradient_cross_entropy(Graph *g, Tensor *t, Tensor *dt)
{
    // The forward node is read for what it kept.
    Tensor *d = graph_node(g, &ops[OP_CROSS_ENTROPY_GRADIENT], &t->params, t->in[0], t->in[1], t,
                           op_contiguous(g, dt));
    gradient_add(g, t->in[0], d);
}

static void gradient_task(void *context, int64_t i, int thread)
{
    const Tensor *t = context, *loss = t->in[2];
    const int32_t *label = tensor_ptr(t->in[1]);
    int64_t width = tensor_width(t);
    float *dx = tensor_f32(t) + i * width;
    if (label[i] == LABEL_IGNORED) {
        memset(dx, 0, (size_t)width * sizeof *dx);
        return;
    }
    float smoothing = t->params.cross_entropy.label_smoothing;
    float factor = *tensor_f32(t->in[3]) / kept(loss)[0];
    kernels()->softmax_less(width, tensor_f32(t->in[0]) + i * width, kept(loss)[1 + i], factor,
                            factor * smoothing / (float)width, dx);
    dx[label[i]] -= (1 - smoothing) * factor;
}

void run_cross_entropy_gradient(const Tensor *t)
{
    pool_run(tensor_count(t->in[1]), gradient_task, context_of(t));
}
