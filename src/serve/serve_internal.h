/* What the files of serve/ share: how a pool loads and runs, so that its tests can do without
 * models. */
#pragma once

#include "serve/serve.h"

/* The pool's view of tasks/. */
typedef struct Driver {
    Pipeline *(*open)(const char *path, const Task *task, const PipelineOptions *options,
                      Error *err);
    void (*close)(Pipeline *p);
    json_t *(*run)(Pipeline *p, const json_t *inputs, const json_t *parameters, TaskCall *call,
                   Error *err);
    const Task *(*task)(const Pipeline *p);
    size_t (*memory)(const Pipeline *p);
    int64_t (*max_tokens)(const Pipeline *p);
    PipelineCounts (*counts)(const Pipeline *p);
} Driver;

Pool *pool_new_with(const Driver *driver, const PoolOptions *options)
    __attribute__((returns_nonnull));

/* What loading this folder or file is likely to take: the bytes of its weights. */
int64_t weights_size(const char *folder);
