/* plan.c: tensors to be written, and their values as the writers ask for them.
 *
 * A tensor is cut into chunks of whole rows. All threads convert one batch of chunks, then the
 * batch goes to the file in order. A tensor whose bytes stay as they are is not touched. */
#include "convert/convert_internal.h"

#include "base/thread.h"

#include <math.h>

enum { CHUNK_VALUES = 1 << 17, BATCH = 32 };

Plan *plan_new(void)
{
    Plan *p = xcalloc(1, sizeof *p);
    p->arena = arena_new(0);
    return p;
}

void plan_free(Plan *p)
{
    if (!p)
        return;
    free(p->tensors);
    free(p->origins);
    arena_free(p->arena);
    free(p);
}

static bool can_write(DType type, Error *err)
{
    float zeros[256] = {0};
    char out[1024];
    return dtype_from_f32(type, zeros, out, dtype_info(type)->block, err);
}

bool plan_add(Plan *p, const char *name, DType type, const Origin *origin, Error *err)
{
    const StoredTensor *from = origin->from;
    StoredTensor t = {.name = arena_cstr(p->arena, str_of(name)), .type = type, .rank = from->rank};
    if (from->foreign)
        return fail(err, ERR_UNSUPPORTED, "tensor '%s' has type %s, which we do not read",
                    from->name, from->foreign);
    memcpy(t.dims, from->dims, sizeof t.dims);
    if (origin->turned) {
        t.dims[t.rank - 1] = from->dims[t.rank - 2];
        t.dims[t.rank - 2] = from->dims[t.rank - 1];
    }
    if (!stored_size(&t, err) || (type != from->type && !can_write(type, err)))
        return fail_while(err, "tensor '%s'", name);
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 256;
        p->tensors = xrealloc(p->tensors, p->cap * sizeof *p->tensors);
        p->origins = xrealloc(p->origins, p->cap * sizeof *p->origins);
    }
    p->tensors[p->n] = t;
    p->origins[p->n++] = *origin;
    return true;
}

int64_t plan_bytes(const Plan *p)
{
    int64_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += (int64_t)p->tensors[i].size;
    return sum;
}

/* Production. */

typedef struct Job {
    const StoredTensor *to;
    const Origin *origin;
    int64_t rows, width, chunk_rows; // of `to`; width: values of a row
    int64_t first;                   // the batch begins at this row
    size_t row_bytes;
    char *out; // the batch
    Error errors[BATCH];
} Job;

/* Where GGUF's row lies in the model: within each head of d rows, row 2i + j is j * d/2 + i. */
static int64_t source_row(const Origin *o, int64_t row)
{
    int64_t d = o->head_dim;
    return d == 0 ? row : row / d * d + row % 2 * (d / 2) + row % d / 2;
}

/* Values [from, from + n) of a row of the source, as f32; from is at the start of a block. */
static void read_part(const StoredTensor *t, int64_t width, int64_t row, int64_t from, int64_t n,
                      float *out)
{
    const DTypeInfo *info = dtype_info(t->type);
    size_t at = (size_t)((row * width + from) / info->block) * (size_t)info->bytes;
    dtype_to_f32(t->type, (const char *)t->data + at, out, n);
}

/* Rows of the written tensor that are columns of the read one. */
static void read_columns(const Job *job, int64_t first, int64_t n, float *out)
{
    const StoredTensor *from = job->origin->from;
    enum { PART = 256 };
    float part[PART];
    int64_t width = job->rows; // of the source: its rows run along our columns
    for (int64_t c = first / PART * PART; c < first + n; c += PART) {
        int64_t count = MIN((int64_t)PART, width - c);
        int64_t low = MAX(c, first), high = MIN(c + count, first + n);
        for (int64_t i = 0; i < job->width; i++) {
            read_part(from, width, i, c, count, part);
            for (int64_t j = low; j < high; j++)
                out[(j - first) * job->width + i] = part[j - c];
        }
    }
}

static bool fits_f16(const float *x, int64_t n, Error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (fabsf(x[i]) > 65504 && !isinf(x[i]))
            return fail(err, ERR_INVALID,
                        "the value %g does not fit f16, which ends at 65504: choose bf16 or f32",
                        (double)x[i]);
    return true;
}

static bool convert_rows(const Job *job, int64_t first, int64_t n, char *out, Error *err)
{
    const StoredTensor *from = job->origin->from;
    if (from->type == job->to->type && !job->origin->turned) {
        for (int64_t r = 0; r < n; r++)
            memcpy(out + (size_t)r * job->row_bytes,
                   (const char *)from->data +
                       (size_t)source_row(job->origin, first + r) * job->row_bytes,
                   job->row_bytes);
        return true;
    }
    float *wide = xmalloc((size_t)(n * job->width) * sizeof *wide);
    if (job->origin->turned)
        read_columns(job, first, n, wide);
    else
        for (int64_t r = 0; r < n; r++)
            read_part(from, job->width, source_row(job->origin, first + r), 0, job->width,
                      wide + r * job->width);
    bool ok = (job->to->type != DTYPE_F16 || fits_f16(wide, n * job->width, err)) &&
              dtype_from_f32(job->to->type, wide, out, n * job->width, err);
    free(wide);
    return ok;
}

static void convert_chunk(void *context, int64_t i)
{
    Job *job = context;
    int64_t first = job->first + i * job->chunk_rows;
    (void)convert_rows(job, first, MIN(job->chunk_rows, job->rows - first),
                       job->out + (size_t)(i * job->chunk_rows) * job->row_bytes, &job->errors[i]);
}

static bool produce_rows(Job *job, TensorSink *sink, Error *err)
{
    int64_t batch = BATCH * job->chunk_rows;
    for (job->first = 0; job->first < job->rows; job->first += batch) {
        int64_t rows = MIN(batch, job->rows - job->first);
        int64_t chunks = (rows + job->chunk_rows - 1) / job->chunk_rows;
        memset(job->errors, 0, sizeof job->errors);
        thread_each(chunks, convert_chunk, job);
        for (int64_t i = 0; i < chunks; i++)
            if (job->errors[i].code != ERR_NONE) {
                if (err)
                    *err = job->errors[i];
                return false;
            }
        if (!tensor_sink_add(sink, job->out, (size_t)rows * job->row_bytes, err))
            return false;
    }
    return true;
}

static bool produce(const StoredTensor *t, TensorSink *sink, void *context, Error *err)
{
    const Plan *p = context;
    size_t i = 0;
    while (i < p->n && strcmp(p->tensors[i].name, t->name) != 0)
        i++;
    CHECK(i < p->n);
    const Origin *origin = &p->origins[i];
    if (origin->from->type == t->type && !origin->turned && origin->head_dim == 0)
        return tensor_sink_add(sink, origin->from->data, t->size, err);
    Job *job = xcalloc(1, sizeof *job);
    job->to = t;
    job->origin = origin;
    // The rows of a vector that is put in order are its values.
    bool vector = t->rank == 1 && origin->head_dim > 0;
    job->width = t->rank > 0 && !vector ? t->dims[t->rank - 1] : 1;
    job->rows = vector ? t->dims[0] : 1;
    for (int d = 0; d < t->rank - 1; d++)
        job->rows *= t->dims[d];
    job->chunk_rows = MAX(CHUNK_VALUES / MAX(job->width, 1), 1);
    bool ok = dtype_size(t->type, job->width, &job->row_bytes, err);
    if (ok) {
        job->out = xmalloc((size_t)(MIN(BATCH * job->chunk_rows, job->rows) + 1) * job->row_bytes);
        ok = produce_rows(job, sink, err);
    }
    free(job->out);
    free(job);
    return ok;
}

TensorFeed plan_feed(Plan *p, Progress *progress)
{
    return (TensorFeed){produce, p, progress};
}
