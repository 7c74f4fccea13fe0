/* What gradient.c and the backward operations share; see gradient.c. */
#pragma once

#include "tensor/tensor_internal.h"

/* Adds d, of t's shape, to what is known of t's gradient. Nothing if t needs none. */
void gradient_add(Graph *g, Tensor *t, Tensor *d);
static inline bool wants_gradient(const Tensor *t)
{
    return t && t->base->differentiable;
}
/* Whether n views of one tensor lie side by side and leave nothing of it out, as the parts of
 * op_split do. */
bool views_tile(const Tensor *const *views, int n);
