/* Optimizers: how weights follow their gradients, one update at a time.
 *
 * All but Adafactor treat every value alone, with up to two numbers of state for each; they are
 * slots of the kernel table. Results depend neither on the number of threads nor on how work is
 * split over them, so a run can be repeated to the bit.
 * The rules are those of torch.optim, of transformers' Adafactor without relative steps, and of
 * Chen 2023, arXiv:2302.06675 (Lion). Sources: Loshchilov and Hutter 2019, arXiv:1711.05101
 * (AdamW); Shazeer and Stern 2018, arXiv:1804.04235 (Adafactor).
 * Threads: calls may come from any thread; work is split over the pool of tensor/. */
#pragma once

#include "base/memory.h"

/* code, name, how many numbers of state a value has and what they are called */
#define OPTIMIZERS(X)                                                                              \
    X(OPTIMIZER_ADAMW, "adamw", "exp_avg", "exp_avg_sq")                                           \
    X(OPTIMIZER_SGD, "sgd", "momentum_buffer", NULL)                                               \
    X(OPTIMIZER_ADAGRAD, "adagrad", "sum", NULL)                                                   \
    X(OPTIMIZER_RMSPROP, "rmsprop", "square_avg", "momentum_buffer")                               \
    X(OPTIMIZER_LION, "lion", "exp_avg", NULL)                                                     \
    X(OPTIMIZER_ADAFACTOR, "adafactor", "exp_avg_sq_row", "exp_avg_sq_col")

typedef enum OptimizerKind {
#define X(code, name, first, second) code,
    OPTIMIZERS(X)
#undef X
        OPTIMIZER_COUNT
} OptimizerKind;

enum { OPTIMIZER_STATES = 2 };

/* The name of a kind, and of its states (NULL: none); for checkpoints. */
const char *optimizer_name(OptimizerKind kind);
const char *optimizer_state_name(OptimizerKind kind, int i);

/* What one update needs. Members that a kind does not have are not looked at. */
typedef struct OptimizerStep {
    OptimizerKind kind;
    int64_t step;         // of all updates, from 1
    float lr;             // with the schedule's factor
    float weight_decay;   // decoupled for AdamW, Lion and Adafactor, else added to the gradient
    float gradient_scale; // the gradient times this is what counts: clipping
    float beta1, beta2;   // AdamW, Lion; RMSprop's alpha is beta2
    float epsilon;
    float momentum, dampening; // SGD, RMSprop
    bool nesterov;             // SGD
    float lr_decay;            // Adagrad
} OptimizerStep;

/* Values of state i for a parameter of rows x columns (a vector is one row); 0: it has none. */
size_t optimizer_state_count(OptimizerKind kind, int i, int64_t rows, int64_t columns);
/* One update of a parameter. state[i] has optimizer_state_count values, zero before the first
 * update; state[i] may be NULL for SGD and RMSprop's momentum of 0. */
void optimizer_update(const OptimizerStep *s, int64_t rows, int64_t columns, const float *gradient,
                      float *values, float *const state[OPTIMIZER_STATES]);

/* The sum of x[i]^2 in double, over blocks that are added in order. */
double squares_sum(int64_t n, const float *x);
