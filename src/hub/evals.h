/* Leaderboards of datasets: the results that models keep in their .eval_results/. Threads and
 * memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

enum { MAX_EVAL_MODELS = 500 };

typedef struct EvalScore {
    Repo repo; // the model
    double value;
    Str file;            // of it, that says so
    const json_t *entry; // the file's words: dataset, source, date, notes
} EvalScore;

/* Each model's best result on a dataset, the highest first; task: one of its tasks, empty for any;
 * bases_only: no models that are made from others. Of those that the viewer may see. */
bool eval_leaderboard(Hub *hub, Arena *a, const Viewer *viewer, const Repo *dataset, Str task,
                      bool bases_only, EvalScore **out, size_t *n, Error *err);
