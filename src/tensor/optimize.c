/* optimize.c: updates split over the pool, and Adafactor, whose second moment is the product of a
 * sum a row and a sum a column; see optimize.h. */
#include "tensor/optimize.h"

#include "tensor/kernels_internal.h"
#include "tensor/pool_internal.h"

#include <math.h>

/* Work is cut here and nowhere else, whatever the number of threads. */
enum { BLOCK_VALUES = 16384, COLUMNS = 64 };

static const struct {
    const char *name, *states[OPTIMIZER_STATES];
} optimizers[OPTIMIZER_COUNT] = {
#define X(code, name, first, second) [code] = {name, {first, second}},
    OPTIMIZERS(X)
#undef X
};

const char *optimizer_name(OptimizerKind kind)
{
    return optimizers[kind].name;
}

const char *optimizer_state_name(OptimizerKind kind, int i)
{
    return optimizers[kind].states[i];
}

size_t optimizer_state_count(OptimizerKind kind, int i, int64_t rows, int64_t columns)
{
    if (!optimizers[kind].states[i])
        return 0;
    if (kind != OPTIMIZER_ADAFACTOR)
        return (size_t)(rows * columns);
    // A vector keeps all its second moments, where a matrix keeps its rows'.
    if (rows == 1)
        return i == 0 ? (size_t)columns : 0;
    return (size_t)(i == 0 ? rows : columns);
}

static int64_t blocks_of(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

/* ---- One value at a time ---- */

typedef struct Update {
    const OptimizerStep *step;
    int64_t n;
    const float *gradient;
    float *values, *state[OPTIMIZER_STATES];
} Update;

static void update_block(void *context, int64_t block, int thread)
{
    const Update *u = context;
    int64_t from = block * BLOCK_VALUES, n = MIN(BLOCK_VALUES, u->n - from);
    kernels()->update[u->step->kind](n, u->step, u->gradient + from, u->values + from,
                                     u->state[0] ? u->state[0] + from : NULL,
                                     u->state[1] ? u->state[1] + from : NULL);
}

typedef struct Squares {
    int64_t n;
    const float *x;
    double *sums; // a block each
} Squares;

static void squares_block(void *context, int64_t block, int thread)
{
    const Squares *s = context;
    int64_t from = block * BLOCK_VALUES;
    s->sums[block] = kernels()->sum_squares(MIN(BLOCK_VALUES, s->n - from), s->x + from);
}

double squares_sum(int64_t n, const float *x)
{
    int64_t blocks = blocks_of(n, BLOCK_VALUES);
    Squares s = {.n = n, .x = x, .sums = xcalloc((size_t)blocks + 1, sizeof *s.sums)};
    pool_run(blocks, squares_block, &s);
    double all = 0;
    for (int64_t i = 0; i < blocks; i++)
        all += s.sums[i];
    free(s.sums);
    return all;
}

/* ---- Adafactor ---- */

static const float tiny = 1e-30F;       // added to squares
static const double clip_threshold = 1; // of the update's root mean square
static const double decay_rate = -0.8;  // of how much of the past is kept

typedef struct Factored {
    const OptimizerStep *step;
    int64_t rows, columns;
    const float *gradient;
    float *values, *row, *column;
    float keep, mean, factor;
    double *sums;
} Factored;

static void row_moment(void *context, int64_t r, int thread)
{
    const Factored *f = context;
    const float *g = f->gradient + r * f->columns;
    double scale = (double)f->step->gradient_scale;
    double mean = kernels()->sum_squares(f->columns, g) * scale * scale / (double)f->columns;
    f->row[r] = f->row[r] * f->keep + (float)(mean + (double)tiny) * (1 - f->keep);
}

/* All rows of a few columns, from the top. */
static void column_moment(void *context, int64_t block, int thread)
{
    const Factored *f = context;
    int64_t from = block * COLUMNS, n = MIN(COLUMNS, f->columns - from);
    double sums[COLUMNS] = {0}, scale = (double)f->step->gradient_scale;
    for (int64_t r = 0; r < f->rows; r++) {
        const float *g = f->gradient + r * f->columns + from;
        for (int64_t j = 0; j < n; j++)
            sums[j] += (double)g[j] * (double)g[j];
    }
    for (int64_t j = 0; j < n; j++) {
        double mean = sums[j] * scale * scale / (double)f->rows + (double)tiny;
        f->column[from + j] = f->column[from + j] * f->keep + (float)mean * (1 - f->keep);
    }
}

static void vector_moment(const Factored *f)
{
    for (int64_t i = 0; i < f->columns; i++) {
        float g = f->gradient[i] * f->step->gradient_scale;
        f->row[i] = f->row[i] * f->keep + (g * g + tiny) * (1 - f->keep);
    }
}

/* The wanted update of value i of row r, before it is clipped. */
static float wanted(const Factored *f, int64_t r, int64_t i)
{
    float g = f->gradient[r * f->columns + i] * f->step->gradient_scale;
    if (!f->column)
        return g / sqrtf(f->row[i]);
    return g * (1 / sqrtf(f->row[r] / f->mean)) * (1 / sqrtf(f->column[i]));
}

static void measure_row(void *context, int64_t r, int thread)
{
    const Factored *f = context;
    double sum = 0;
    for (int64_t i = 0; i < f->columns; i++) {
        double u = (double)wanted(f, r, i);
        sum += u * u;
    }
    f->sums[r] = sum;
}

static void apply_row(void *context, int64_t r, int thread)
{
    const Factored *f = context;
    float *w = f->values + r * f->columns, keep = 1 - f->step->weight_decay * f->step->lr;
    for (int64_t i = 0; i < f->columns; i++)
        w[i] = w[i] * keep - wanted(f, r, i) * f->factor;
}

static void adafactor(Factored *f)
{
    f->keep = (float)(1 - pow((double)f->step->step, decay_rate));
    if (f->column) {
        pool_run(f->rows, row_moment, f);
        pool_run(blocks_of(f->columns, COLUMNS), column_moment, f);
        double sum = 0;
        for (int64_t r = 0; r < f->rows; r++)
            sum += (double)f->row[r];
        f->mean = (float)(sum / (double)f->rows);
    } else {
        vector_moment(f);
    }
    f->sums = xcalloc((size_t)f->rows, sizeof *f->sums);
    pool_run(f->rows, measure_row, f);
    double squares = 0;
    for (int64_t r = 0; r < f->rows; r++)
        squares += f->sums[r];
    free(f->sums);
    double rms = sqrt(squares / (double)(f->rows * f->columns));
    f->factor = (float)((double)f->step->lr / MAX(1, rms / clip_threshold));
    pool_run(f->rows, apply_row, f);
}

void optimizer_update(const OptimizerStep *s, int64_t rows, int64_t columns, const float *gradient,
                      float *values, float *const state[OPTIMIZER_STATES])
{
    if (s->kind == OPTIMIZER_ADAFACTOR) {
        Factored f = {.step = s,
                      .rows = rows,
                      .columns = columns,
                      .gradient = gradient,
                      .values = values,
                      .row = state[0],
                      .column = rows == 1 ? NULL : state[1]};
        adafactor(&f);
        return;
    }
    Update u = {.step = s,
                .n = rows * columns,
                .gradient = gradient,
                .values = values,
                .state = {state[0], state[1]}};
    pool_run(blocks_of(u.n, BLOCK_VALUES), update_block, &u);
}
