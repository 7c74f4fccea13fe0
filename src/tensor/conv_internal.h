/* What convolutions (conv.c), their weights' panels (weight_conv.c) and their gradients
 * (conv_backward.c) share. */
#pragma once

#include "tensor/tensor_internal.h"

enum { MAX_DEPTHWISE_TAPS = 1024 };

/* How output positions meet source positions; see conv.c. Pairs are of height and width. */
typedef struct ConvMap {
    int64_t batch, groups;
    int64_t channels, outs; // of a group
    int64_t depth;          // taps * channels
    int64_t step[2], up[2], base[2], reach[2], taps[2];
    int64_t source[2], out[2]; // sizes
    int64_t strides[2];        // of the source
} ConvMap;
ConvMap conv_map(const Conv *p, const Tensor *source, const Tensor *weight, const Tensor *out,
                 bool transposed);
/* The source position that output position o meets under a tap of one axis; -1: none. */
int64_t conv_source(const ConvMap *m, int axis, int64_t o, int64_t tap);
static inline bool conv_is_depthwise(const ConvMap *m)
{
    return m->channels == 1 && m->outs == 1 && m->groups > 1 &&
           m->taps[0] * m->taps[1] <= MAX_DEPTHWISE_TAPS;
}

/* Whether a convolution is one for conv_winograd.c. */
bool conv_is_winograd(const Conv *p, const Tensor *x, const Tensor *weight, bool transposed);
size_t scratch_conv_winograd(const Tensor *t);
void run_conv_winograd(const Tensor *t);
/* Which of a weight's panels a node reads. */
static inline int conv_panels(const Tensor *t)
{
    bool transposed = tensor_is(t, OP_CONV_TRANSPOSE);
    if (conv_is_winograd(&t->params.conv, t->in[0], t->in[1], transposed))
        return PANELS_CONV_WINOGRAD;
    return transposed ? PANELS_CONV_TRANSPOSED : PANELS_CONV;
}
/* What is fused behind a convolution, of pixel 0. */
static inline Epilogue epilogue_of(const Tensor *t, const Tensor *bias)
{
    return (Epilogue){.bias = bias ? tensor_f32(bias) : NULL,
                      .activation = t->activation,
                      .factor = t->factor ? tensor_f32(t->factor) : NULL,
                      .addend = t->addend ? tensor_f32(t->addend) : NULL};
}

/* Output pixels of one row, `step` apart. */
typedef struct ConvTile {
    int64_t batch, y, x, step;
    int n;
} ConvTile;
/* Gathers [from, to) of the depth that each pixel of the tile meets in a group; rows lie `stride`
 * apart. */
void conv_gather(const ConvMap *m, const Tensor *source, const ConvTile *t, int64_t group,
                 int64_t from, int64_t to, float *rows, int64_t stride);

/* Height or width of a tensor [B,C,H,W] or [B,C,L], whose height is 1, and their strides. */
int64_t spatial_dim(const Tensor *t, int axis);
int64_t spatial_stride(const Tensor *t, int axis);

/* A convolution or, by the code, a transposed one. */
Tensor *op_conv_either(Graph *g, OpCode code, Tensor *x, Tensor *weight, Tensor *bias,
                       const Conv *params, int rank);
/* t, or a copy, with the channels innermost in memory and pixels in order behind each other. */
Tensor *op_channels_last(Graph *g, Tensor *t);
/* Gives a result [B,C,...] that order. */
void strides_channels_last(Tensor *t);
/* [B,C,...] with that order as a view [B,pixels,C]. */
Tensor *op_pixels(Graph *g, Tensor *t);
