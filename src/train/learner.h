/* A learner: a model with its optimizer, that is shown batches and updated.
 *
 *     learner_show(l, &batch, labels, seed, &loss, &err)     as often as batches are accumulated
 *     learner_update(l, lr, &norm)                           one step of the optimizer
 *
 * What to train on, when, and at which learning rate, is the trainer's matter (trainer.c).
 * Threads: a Learner belongs to one thread at a time, and its model with it. */
#pragma once

#include "models/models.h"
#include "tensor/optimize.h"
#include "train/arguments.h"

/* Token ids and what they predict, LABEL_IGNORED where nothing; both [rows,length]. Rows may be all
 * ignored: so batches of fewer examples keep their shape, and with it their graph. */
typedef struct TrainBatch {
    int64_t rows, length;
    const int32_t *ids, *labels;
} TrainBatch;

typedef struct Learner Learner;

/* The model is borrowed; args decide the optimizer and the arithmetic, and are borrowed too.
 * ERR_UNSUPPORTED names an optimizer that we do not have, or one of its options. */
Learner *learner_new(Model *m, const TrainingArguments *args, Error *err);
void learner_free(Learner *l);
AUTO_FREE(Learner, learner_free)

/* Runs a batch forwards and backwards; its gradients are added to those since the last update. The
 * loss is the sum over its labels divided by `labels`: how many all batches of the update have.
 * `seed` decides dropout, 0 is none. */
bool learner_show(Learner *l, const TrainBatch *b, int64_t labels, uint64_t seed, double *loss,
                  Error *err);
/* The sum of the loss over the labels of a batch, without dropout or gradients. */
bool learner_evaluate(Learner *l, const TrainBatch *b, double *sum, Error *err);
/* Clips the gradients to args->max_grad_norm, moves the weights at learning rate lr, and forgets
 * the gradients. *norm is what the gradients had before. */
void learner_update(Learner *l, double lr, double *norm);
/* Forgets gradients that no update has used. */
void learner_zero(Learner *l);

/* Updates so far; set when going on from a checkpoint. */
int64_t learner_updates(const Learner *l);
void learner_set_updates(Learner *l, int64_t n);
/* All parameters that are trained: their weights and the optimizer's states. */
size_t learner_count(const Learner *l);
Weight *learner_weight(const Learner *l, size_t i);
/* State j of parameter i, *n values, NULL if it has none; and its name ("exp_avg"). */
float *learner_state(const Learner *l, size_t i, int j, size_t *n);
const char *learner_state_name(const Learner *l, int j);
/* How many values are trained. */
int64_t learner_values(const Learner *l);
/* Bytes of weights, gradients, states and graphs. */
size_t learner_memory(const Learner *l);
