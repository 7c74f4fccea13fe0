/* What the tasks share. A task's open hangs what it needs on the pipeline as `state`; its close
 * frees that. */
#pragma once

#include "tasks/tasks.h"

struct Pipeline {
    const Task *task;
    char *path;
    PipelineOptions options;
    Tokenizer *tokenizer; // NULL for tasks without text
    void *state;          // the task's own
    size_t memory;        // cache aside
    int64_t max_tokens;
};

/* Appends a sentence to the call's warnings. */
void task_warn(TaskCall *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Warns of each member of `parameters` that is neither null nor in the list, which ends with
 * NULL. */
void task_warn_unknown(TaskCall *call, const json_t *parameters, const char *const *known);
