/* What gradient.c and the backward operations share; see gradient.c. */
#pragma once

#include "tensor/tensor_internal.h"

/* Adds d, of t's shape, to what is known of t's gradient. Nothing if t needs none. */
void gradient_add(Graph *g, Tensor *t, Tensor *d);
static inline bool wants_gradient(const Tensor *t)
{
    return t && t->base->differentiable;
}
