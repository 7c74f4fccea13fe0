/* Holds the kernels of the processor that this runs on to their plain twins, over the table that
 * kernels_test and `hug bench kernels` use. It needs no test library, so that it can be compiled for
 * another processor and run under an emulator: tools/check_neon.py. */
#include "tensor/kernel_cases.h"

#include <math.h>
#include <stdio.h>

static bool agrees(const KernelCase *c, const KernelShape *shape, const Kernels *table)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    KernelRun *seen = kernel_run_new(a, c, shape, table, (uint64_t)shape->k);
    KernelRun *plain = kernel_run_new(a, c, shape, &kernels_plain, (uint64_t)shape->k);
    c->run(seen);
    c->run(plain);
    float most = 1;
    for (int64_t i = 0; i < plain->n; i++)
        most = MAX(most, fabsf(plain->out[i]));
    float allowed = c->tolerance * (float)(shape->k + 1) * most;
    for (int64_t i = 0; i < plain->n; i++)
        if (!(fabsf(seen->out[i] - plain->out[i]) <= allowed)) {
            printf("%s.%s, %d x %lld: value %lld is %g, plain %g\n", table->name, c->name,
                   shape->rows, (long long)shape->k, (long long)i, (double)seen->out[i],
                   (double)plain->out[i]);
            return false;
        }
    return true;
}

int main(void)
{
    int failed = 0;
    for (const Kernels *const *set = kernel_sets(); *set; set++) {
        if ((*set)->needs > cpu_detect()) {
            printf("this processor has no %s: not tested\n", (*set)->name);
            continue;
        }
        int run = 0;
        Kernels table = kernels_of((*set)->needs);
        for (size_t i = 0; i < kernel_cases_n; i++)
            for (size_t s = 0; s < kernel_shapes_n; s++) {
                if (!kernel_case_is_of(&kernel_cases[i], *set) ||
                    !kernel_case_takes(&kernel_cases[i], &kernel_shapes[s], &table))
                    continue;
                failed += !agrees(&kernel_cases[i], &kernel_shapes[s], &table);
                run++;
            }
        printf("kernels: %s, %d runs\n", (*set)->name, run);
    }
    printf("%d failed\n", failed);
    return failed > 0;
}
