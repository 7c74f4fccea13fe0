/* Training language models: from a model and a data set to a folder that transformers and hug load.
 *
 *     TrainingArguments args;
 *     TrainSpec spec = {.model = "gpt2", .dataset = "tales.txt", .output = "out", .args = &args};
 *     if (!training_arguments_read(&args, given, arena, err) || !train(&spec, &result, err)) ...
 *
 * The output folder gets config.json, the tokenizer's files, generation_config.json,
 * model.safetensors, a model card (README.md), loss.html, trainer_state.json and checkpoints,
 * `checkpoint-N` behind N updates: a folder that is whole as soon as it has this name.
 *
 * With lora_r above 0 only low-rank adapters beside the layers are trained, and the folder holds
 * adapter_config.json and adapter_model.safetensors instead of the model, as peft's does.
 *
 * A run is decided by its model, data, arguments and processor: it can be repeated, and gone on
 * with from a checkpoint, to the last bit, whatever the number of threads.
 * Threads: one training at a time belongs to one thread; work is split over the pool of tensor/. */
#pragma once

#include "train/arguments.h"

#include <stdatomic.h>

typedef struct TrainSpec {
    const char *model;        // a folder or a .gguf file
    const char *model_name;   // what adapters and the card call it; NULL: model
    const char *dataset;      // see train/dataset.h
    const char *eval_dataset; // NULL: the folder's own split, else a part of `dataset` is held out
    const char *output;       // a folder, made if it is not there
    const char *order;        // a file with the order of examples; NULL: shuffled
    bool from_scratch;        // also if the model has no weights: then they begin at random
    const char *resume;       // a checkpoint's folder; "": the newest of `output`, if there is one
    const TrainingArguments *args;
    bool quiet;                   // no progress on the terminal
    const atomic_bool *cancelled; // looked at between updates; NULL: never
    /* Told of each entry of log_history as it is written, and of each line of news. May be NULL. */
    void (*on_log)(void *context, const json_t *entry);
    void (*on_news)(void *context, const char *line);
    void *context;
} TrainSpec;

typedef struct TrainResult {
    int64_t steps; // updates in all
    double train_loss,
        eval_loss;  // the mean of all updates; the last evaluation's of this run, or -1
    double seconds; // of this run
    int64_t tokens; // that were read in it
} TrainResult;

/* ERR_EXISTS if the output has checkpoints and resume is NULL, so that two trainings never mix;
 * ERR_CANCELLED when told to stop, behind a checkpoint to go on from. result may be NULL. */
bool train(const TrainSpec *spec, TrainResult *result, Error *err);
