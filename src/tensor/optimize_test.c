/* Optimizers against what torch and transformers made of the same gradients (tests/golden/
 * training.json, by tools/golden/training.py), and each set's kernels against plain C. */
#include "base/json.h"
#include "base/random.h"
#include "base/test.h"
#include "tensor/kernels_internal.h"
#include "tensor/optimize.h"

#include <math.h>

static OptimizerKind kind_of(const char *name)
{
    for (int k = 0; k < OPTIMIZER_COUNT; k++)
        if (strcmp(optimizer_name((OptimizerKind)k), name) == 0)
            return (OptimizerKind)k;
    fail_msg("no optimizer '%s'", name);
    return OPTIMIZER_COUNT;
}

static void read_floats(const json_t *list, float *out, size_t n)
{
    assert_int_equal(json_array_size(list), n);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)json_number_value(json_array_get(list, i));
}

static OptimizerStep step_of(const json_t *row)
{
    const json_t *o = json_object_get(row, "options");
    return (OptimizerStep){.kind = kind_of(json_text(row, "kind", "")),
                           .gradient_scale = 1,
                           .lr = (float)json_num(o, "lr", 0),
                           .weight_decay = (float)json_num(o, "weight_decay", 0),
                           .beta1 = (float)json_num(o, "beta1", 0),
                           .beta2 = (float)json_num(o, "beta2", 0),
                           .epsilon = (float)json_num(o, "eps", 0),
                           .momentum = (float)json_num(o, "momentum", 0),
                           .dampening = (float)json_num(o, "dampening", 0),
                           .nesterov = json_flag(o, "nesterov", false),
                           .lr_decay = (float)json_num(o, "lr_decay", 0)};
}

static void follow(const json_t *row)
{
    const json_t *shape = json_object_get(row, "shape"),
                 *gradients = json_object_get(row, "gradients"),
                 *after = json_object_get(row, "after");
    bool matrix = json_array_size(shape) == 2;
    int64_t rows = matrix ? json_integer_value(json_array_get(shape, 0)) : 1;
    int64_t columns = json_integer_value(json_array_get(shape, matrix));
    size_t n = (size_t)(rows * columns);
    float w[16], g[16], wanted[16], states[2][16] = {0};
    read_floats(json_object_get(row, "values"), w, n);
    OptimizerStep s = step_of(row);
    for (size_t i = 0; i < json_array_size(gradients); i++) {
        read_floats(json_array_get(gradients, i), g, n);
        read_floats(json_array_get(after, i), wanted, n);
        s.step = (int64_t)i + 1;
        optimizer_update(&s, rows, columns, g, w, (float *[]){states[0], states[1]});
        // A few roundings an update, of values around 1.
        for (size_t j = 0; j < n; j++)
            if (!(fabsf(w[j] - wanted[j]) <= 2e-6F))
                fail_msg("%s, update %zu, value %zu: %.9g, torch has %.9g", optimizer_name(s.kind),
                         i, j, (double)w[j], (double)wanted[j]);
    }
}

static void test_updates_are_those_of_torch(void **state)
{
    Error err = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/tests/golden/training.json", getenv("HUG_SOURCE_ROOT"));
    AUTO(json_decref) json_t *golden = json_read_file(path, 1 << 20, &err);
    assert_ok(golden);
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(golden, "optimizers"), i, row) follow(row);
    assert_true(i > 10);
}

static void test_every_set_updates_as_plain_c_does(void **state)
{
    enum { MOST = 100 };
    static const int sizes[] = {1, 7, 8, 15, 16, 17, 33, MOST};
    Random r = random_of(3);
    for (const Kernels *const *set = kernel_sets(); *set; set++)
        for (size_t z = 0; (*set)->needs <= cpu_detect() && z < COUNT(sizes); z++)
            for (int kind = 0; (*set)->sum_squares && kind < OPTIMIZER_COUNT; kind++) {
                float x[2][4][MOST];
                for (int i = 0; i < 4 * MOST; i++)
                    x[0][i / MOST][i % MOST] = (float)random_unit(&r) + (i < MOST ? -0.5F : 0);
                memcpy(x[1], x[0], sizeof x[0]);
                OptimizerStep s = {.kind = (OptimizerKind)kind,
                                   .step = 1 + (int64_t)random_below(&r, 3),
                                   .lr = 0.01F,
                                   .weight_decay = 0.1F,
                                   .gradient_scale = 0.7F,
                                   .beta1 = 0.9F,
                                   .beta2 = 0.99F,
                                   .epsilon = 1e-8F,
                                   .momentum = z % 2 ? 0.9F : 0,
                                   .nesterov = z % 3 == 0};
                assert_true((*set)->sum_squares(sizes[z], x[0][0]) ==
                            kernels_plain.sum_squares(sizes[z], x[0][0]));
                if (!(*set)->update[kind])
                    continue;
                (*set)->update[kind](sizes[z], &s, x[0][0], x[0][1], x[0][2], x[0][3]);
                kernels_plain.update[kind](sizes[z], &s, x[1][0], x[1][1], x[1][2], x[1][3]);
                for (int i = 0; i < 4 * MOST; i++)
                    if (!(fabsf(x[0][i / MOST][i % MOST] - x[1][i / MOST][i % MOST]) <= 3e-7F))
                        fail_msg("%s.%s of %d: value %d of array %d", (*set)->name,
                                 optimizer_name(s.kind), sizes[z], i % MOST, i / MOST);
            }
}

static void test_sums_of_squares_are_exact_enough(void **state)
{
    enum { N = 100003 };
    float *x = xcalloc(N, sizeof *x);
    double plain = 0;
    Random r = random_of(5);
    for (int i = 0; i < N; i++) {
        x[i] = (float)random_unit(&r) - 0.5F;
        plain += (double)x[i] * (double)x[i];
    }
    double sum = squares_sum(N, x);
    if (!(fabs(sum - plain) <= 1e-12 * plain)) // the order of adding
        fail_msg("%.17g, plain %.17g", sum, plain);
    assert_true(squares_sum(0, x) == 0);
    free(x);
}

int main(void)
{
    return RUN(test_updates_are_those_of_torch, test_every_set_updates_as_plain_c_does,
               test_sums_of_squares_are_exact_enough);
}
