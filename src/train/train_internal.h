/* What the files of the trainer share. */
#pragma once

#include "base/progress.h"
#include "train/dataset.h"
#include "train/learner.h"
#include "train/train.h"

/* One training. Where it stands is a number of updates and nothing else: the epoch, the examples of
 * the next batch, the seeds of dropout and the learning rate all follow from it. */
typedef struct Trainer {
    const TrainSpec *spec;
    TrainingArguments args;
    Arena *arena;
    Tokenizer *tokenizer;
    Model *model;
    Learner *learner;
    Dataset *data, *eval_data;
    Examples train, eval;
    OrderSpec order;
    int64_t block_size;
    bool from_scratch; // the weights began at random

    int64_t batches; // an epoch
    int64_t
        updates_per_epoch; // of gradient_accumulation_steps batches each, the last may have less
    int64_t steps, step;   // updates in all, and done
    uint32_t *permutation; // of this epoch
    int64_t permutation_epoch;
    int32_t *ids, *labels; // of one batch
    int64_t batch_room;

    json_t *log_history; // as trainer_state.json has it
    double best_metric;
    int64_t best_step; // 0: none yet
    float *curve;      // loss of each update; [steps]
    double loss_sum;   // since the last log
    int64_t loss_count;
    int64_t tokens_seen; // in all
    int64_t began_ns, began_step, began_tokens;
    Progress *progress;
} Trainer;

double trainer_epoch(const Trainer *t);
double trainer_lr(const Trainer *t, int64_t step);
void trainer_news(const Trainer *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* model_files.c: what makes a folder of a model beside its weights. */
bool model_files_write(const Trainer *t, const char *folder, Error *err);

/* checkpoint.c */
/* The model as a folder that loads. */
bool model_write(const Trainer *t, const char *folder, Error *err);
/* Writes output/checkpoint-N for the current step, whole or not at all, and lets older ones go. */
bool checkpoint_write(Trainer *t, Error *err);
/* The newest checkpoint of a folder, in the arena; NULL if there is none. */
const char *checkpoint_newest(const char *folder, Arena *a);
/* The weights of a checkpoint, for load_best_model_at_end. */
bool checkpoint_read_weights(Trainer *t, const char *folder, Error *err);
/* Everything else that a checkpoint holds; the model has its weights already. */
bool checkpoint_read_state(Trainer *t, const char *folder, Error *err);
/* trainer_state.json's content; the caller's. */
json_t *trainer_state(const Trainer *t);
bool write_json(const char *folder, const char *name, const json_t *value, Error *err);
/* Removes what an interrupted save has left in the output folder. */
void checkpoint_clean(const char *folder);

/* report.c: loss.html and README.md. */
bool report_write(const Trainer *t, const TrainResult *result, Error *err);
