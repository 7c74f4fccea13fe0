/* Training arguments: how a model is trained, by the names and with the defaults of transformers'
 * TrainingArguments, and of TRL and run_clm for what concerns the data. One table drives the
 * command line, configuration files, training_args.json and the help.
 * Threads: free of state. */
#pragma once

#include "base/json.h"

/* How the learning rate goes, beside its warm-up. Source: transformers/optimization.py. */
#define SCHEDULES(X)                                                                               \
    X(SCHEDULE_LINEAR, "linear")                                                                   \
    X(SCHEDULE_COSINE, "cosine")                                                                   \
    X(SCHEDULE_COSINE_WITH_RESTARTS, "cosine_with_restarts")                                       \
    X(SCHEDULE_POLYNOMIAL, "polynomial")                                                           \
    X(SCHEDULE_CONSTANT, "constant")                                                               \
    X(SCHEDULE_CONSTANT_WITH_WARMUP, "constant_with_warmup")                                       \
    X(SCHEDULE_INVERSE_SQRT, "inverse_sqrt")                                                       \
    X(SCHEDULE_COSINE_WITH_MIN_LR, "cosine_with_min_lr")                                           \
    X(SCHEDULE_WARMUP_STABLE_DECAY, "warmup_stable_decay")

typedef enum ScheduleType {
#define X(code, name) code,
    SCHEDULES(X)
#undef X
} ScheduleType;

/* When something is done: never, every so many updates, or at the end of each epoch. */
#define STRATEGIES(X)                                                                              \
    X(STRATEGY_NO, "no")                                                                           \
    X(STRATEGY_STEPS, "steps")                                                                     \
    X(STRATEGY_EPOCH, "epoch")

typedef enum Strategy {
#define X(code, name) code,
    STRATEGIES(X)
#undef X
} Strategy;

typedef struct TrainingArguments {
    // Steps: an update is gradient_accumulation_steps batches.
    int64_t per_device_train_batch_size, per_device_eval_batch_size, gradient_accumulation_steps;
    double num_train_epochs;
    int64_t max_steps; // -1: as many as the epochs have

    // The learning rate.
    double learning_rate;
    const char *lr_scheduler_type;
    double warmup_steps; // below 1: a part of all steps
    double warmup_ratio; // its older name
    struct {
        double num_cycles;                         // -1: the schedule's own default
        double lr_end, power;                      // polynomial
        double timescale;                          // inverse_sqrt; 0: the warm-up, else 10000
        double min_lr, min_lr_rate;                // cosine_with_min_lr; -1: not given
        int64_t num_decay_steps, num_stable_steps; // warmup_stable_decay; -1: not given
        double min_lr_ratio;
        const char *warmup_type, *decay_type; // linear, cosine, 1-sqrt
    } lr_scheduler_kwargs;

    // The optimizer; see tensor/optimize.h.
    const char *optim, *optim_args; // "momentum=0.9,nesterov=true"
    double weight_decay, adam_beta1, adam_beta2, adam_epsilon;
    double max_grad_norm; // 0: gradients are not clipped
    double label_smoothing_factor;
    double neftune_noise_alpha; // of noise added to embedded tokens; 0: none

    // What happens when.
    const char *logging_strategy, *eval_strategy, *save_strategy;
    double logging_steps, eval_steps, save_steps; // below 1: a part of all steps
    bool logging_first_step, eval_on_start;
    int64_t save_total_limit; // 0: all checkpoints stay
    bool save_only_model;     // checkpoints that cannot be gone on from
    bool load_best_model_at_end;
    const char *metric_for_best_model; // "loss", "perplexity"
    bool greater_is_better;            // of that metric

    // Arithmetic.
    bool bf16; // products of bf16 pairs over f32 weights
    bool gradient_checkpointing;
    int64_t seed, data_seed; // data_seed -1: seed

    // Data.
    bool group_by_length, dataloader_drop_last;
    int64_t block_size; // tokens an example at most; 0: what the model takes, at most 1024
    bool packing;       // documents one behind the other in full blocks
    bool append_eos;    // an end token behind each document
    bool assistant_only_loss, completion_only_loss;
    const char *text_column_name;
    double validation_split_percentage; // held out where there is no evaluation set

    // Adapters (LoRA); see train/lora.h. r 0: all weights are trained.
    int64_t lora_r;
    double lora_alpha, lora_dropout;
    const char *lora_target_modules; // "q_proj,v_proj"; "all-linear"; NULL: the architecture's

    // Read from the names above.
    ScheduleType schedule;
    Strategy logging, eval, save;
    bool packing_given; // else conversations and pairs are not packed
} TrainingArguments;

/* Fills all from `given`, an object of arguments by their names; what is not given gets its
 * default. Arguments of transformers that mean nothing here (report_to, ...) are left aside.
 * ERR_USAGE names an unknown argument and the nearest known one; ERR_INVALID a wrong value. */
bool training_arguments_read(TrainingArguments *out, const json_t *given, Arena *a, Error *err);
/* All arguments by their names; the caller's. */
json_t *training_arguments_json(const TrainingArguments *args);
/* Puts "key=value", as a command line has it, into the object `given`, with the type that the
 * argument has. ERR_USAGE. */
bool training_arguments_set(json_t *given, const char *assignment, Error *err);
/* "  learning_rate = 5e-05" a line, for the help. */
void training_arguments_help(Buf *out);

/* The factor of the learning rate at update `step` (from 0) of `steps`. */
double schedule_factor(const TrainingArguments *args, int64_t step, int64_t steps);
/* Updates that warm up. */
int64_t warmup_steps(const TrainingArguments *args, int64_t steps);
/* What a schedule needs beside the arguments; asked once the number of steps is known. */
bool schedule_check(const TrainingArguments *args, int64_t steps, Error *err);
/* `value` updates, or that part of all; at least 1. */
int64_t steps_of(double value, int64_t steps);
