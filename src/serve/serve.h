/* Serving models: a pool of loaded ones, and jobs that run on them.
 *
 *     Job *job = pool_submit(pool, &(JobSpec){.model = {.id = id, .sha = sha, .folder = folder},
 *                                             .inputs = inputs, .parameters = parameters}, &err);
 *     for (;;)
 *         switch (job_next(job, NS_PER_S, &token)) {
 *         case JOB_TOKEN: ... send it; break;
 *         case JOB_DONE: ... job_answer(job); break;
 *
 * A model is loaded by the first job that needs it, in the background; jobs wait for it rather than
 * fail. It stays until memory is needed, then the least recently used one goes. Some device threads
 * execute jobs: those of one model that can be computed together are, step by step, joining and
 * leaving as they come; other jobs run one at a time. Tokens go to the job's owner through
 * its event list, so a slow reader never holds up the device.
 *
 * Threads: a Pool is shared by all. A Job belongs to the thread that submitted it; job_cancel may
 * be called by any. */
#pragma once

#include "base/json.h"
#include "tasks/tasks.h"

typedef struct Pool Pool;
typedef struct Job Job;

typedef struct PoolOptions {
    int64_t memory;          // bytes of loaded models, maps included; 0: half of the machine's
    int64_t queue;           // jobs that run or wait; more are ERR_BUSY. 0: 256
    const char *dtype;       // for models whose request does not say; NULL: as the file has it
    int64_t batch;           // jobs that run at once; 0: 16
    const char *cache_dtype; // of keys and values; NULL: f32
    const char *assistant;   // a model that proposes tokens for those that have its vocabulary
    int64_t cache_memory;    // bytes of keys and values of one model, what is remembered for later
                             // jobs included; 0: an eighth of the machine's
} PoolOptions;

Pool *pool_new(const PoolOptions *options) __attribute__((returns_nonnull));
/* Cancels what runs and waits. All jobs must have been freed. NULL is fine. */
void pool_free(Pool *pool);
AUTO_FREE(Pool, pool_free)

/* Which model, loaded how. Two with the same id, sha, dtype and task are one. */
typedef struct ModelKey {
    Str id;             // "owner/name": for messages and lists
    Str sha;            // of the revision
    const char *dtype;  // static; NULL: the pool's
    const Task *task;   // NULL: the one its configuration says
    const char *folder; // where its files lie; or a .gguf
} ModelKey;

typedef enum ModelState { MODEL_COLD, MODEL_LOADING, MODEL_LOADED, MODEL_TOO_BIG } ModelState;
/* "Loadable", "Loading", "Loaded", "TooBig": the words of GET /status. */
const char *model_state_name(ModelState state);
ModelState pool_state(Pool *pool, const ModelKey *key);

typedef struct ModelInfo {
    Str id, sha;
    const char *task;
    ModelState state;
    size_t memory;
    int64_t jobs, loaded_ns, used_ns; // wall clock
} ModelInfo;
/* All that are loaded or loading, the most recently used first; in the arena. */
void pool_list(Pool *pool, Arena *a, ModelInfo **models, size_t *n);
typedef struct PoolCounts {
    int64_t jobs_waiting, jobs_running, jobs_done, tokens, memory;
    PipelineCounts shared; // of all models that are loaded
} PoolCounts;
PoolCounts pool_counts(Pool *pool);

typedef struct JobSpec {
    ModelKey model;
    const json_t *inputs, *parameters; // as pipeline_run takes them; the job keeps copies
    bool want_tokens;                  // JOB_TOKEN events
    bool hide_stop, parse_tools, want_details, token_bytes; // as TaskCall's
} JobSpec;

/* ERR_BUSY when too many jobs wait. Loading begins at once if needed. */
Job *pool_submit(Pool *pool, const JobSpec *spec, Error *err);
/* Cancels the job if it still runs. NULL is fine. */
void job_free(Job *job);
AUTO_FREE(Job, job_free)
void job_cancel(Job *job);

typedef enum JobEvent {
    JOB_NOTHING, // the time is over
    JOB_TOKEN,
    JOB_DONE,  // job_answer
    JOB_FAILED // job_error
} JobEvent;
/* What happens next, waiting up to timeout_ns. What the token lends is borrowed until the next
 * call. */
JobEvent job_next(Job *job, int64_t timeout_ns, TaskToken *token);

typedef enum JobState { JOB_LOADING, JOB_QUEUED, JOB_RUNNING, JOB_OVER } JobState;
JobState job_state(const Job *job);
/* How long its model has been loading so far, and how long loading may still take: a guess from the
 * size of its files. */
int64_t job_load_estimate_ns(const Job *job);

/* After JOB_DONE, borrowed: the answer, and what the run told beside it (token counts, finish
 * reason, generated text, warnings). */
const json_t *job_answer(const Job *job);
const TaskCall *job_call(const Job *job);
const Error *job_error(const Job *job); // after JOB_FAILED
/* The task that ran. */
const Task *job_task(const Job *job);
/* Time on the device. */
int64_t job_compute_ns(const Job *job);
/* The longest sequence its model takes. */
int64_t job_max_tokens(const Job *job);
