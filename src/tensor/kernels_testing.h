/* For tests of the tensor engine: AMX's kernels where no processor has it. */
#pragma once

#include "tensor/kernels_internal.h"

#include <stdio.h>

/* From here on products are AMX's, whose tiles lie otherwise, with its instructions in C. False
 * where the rest of it does not run either. */
static inline bool kernels_use_amx_in_c(void)
{
#if defined(__x86_64__)
    extern const Kernels kernels_amx_in_c;
    if (kernels_amx_in_c.needs <= cpu_detect()) {
        printf("kernels: amx in C\n");
        kernels_use(&kernels_amx_in_c);
        return true;
    }
#endif
    return false;
}
