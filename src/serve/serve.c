/* serve.c: a pool over tasks/; see serve.h. The pool itself is in pool.c. */
#include "serve/serve_internal.h"

static const Driver of_tasks = {.open = pipeline_open,
                                .close = pipeline_free,
                                .run = pipeline_run,
                                .task = pipeline_task,
                                .memory = pipeline_memory,
                                .max_tokens = pipeline_max_tokens,
                                .counts = pipeline_counts};

Pool *pool_new(const PoolOptions *options)
{
    return pool_new_with(&of_tasks, options);
}
