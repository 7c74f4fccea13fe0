/* The pool of models, with models that are made of nothing: a folder's name says what it does. */
#include "base/clock.h"
#include "base/test.h"
#include "base/thread.h"
#include "serve/serve_internal.h"

#include <unistd.h>

enum { MB = 1 << 20 };

struct Pipeline {
    char *path;
};

static atomic_int opened, closed, running, meeting;
static const Task fake_task = {.name = "text-generation"};
static const Task shared_task = {.name = "chat", .concurrent = true};

static Pipeline *fake_open(const char *path, const Task *task, const PipelineOptions *options,
                           Error *err)
{
    opened++;
    usleep(30000);
    if (strstr(path, "broken"))
        return fail(err, ERR_UNSUPPORTED, "model kind 'mystery' is not supported");
    Pipeline *p = xcalloc(1, sizeof *p);
    p->path = xstrdup(path);
    return p;
}

static void fake_close(Pipeline *p)
{
    closed++;
    free(p->path);
    free(p);
}

/* Waits until as many such runs as inputs says are here at once. */
static json_t *meet(const json_t *inputs)
{
    meeting++;
    while (meeting < json_integer_value(inputs))
        usleep(1000);
    return json_pack("[{s:s}]", "generated_text", "met");
}

/* Gives as many tokens as inputs says, 1 ms apart. */
static json_t *fake_run(Pipeline *p, const json_t *inputs, const json_t *parameters, TaskCall *call,
                        Error *err)
{
    if (strstr(p->path, "shared"))
        return meet(inputs);
    assert_int_equal(++running, 1); // the device does one thing at a time
    json_int_t n = json_integer_value(inputs);
    for (json_int_t i = 0; i < n; i++) {
        usleep(1000);
        char text[32];
        snprintf(text, sizeof text, "t%d", (int)i);
        TaskToken token = {.index = (int)i, .id = (int32_t)i, .text = str_of(text)};
        if (atomic_load(call->cancelled) || !call->on_token(call->context, &token)) {
            running--;
            return fail(err, ERR_CANCELLED, "cancelled");
        }
        call->generated_tokens++;
    }
    running--;
    return json_pack("[{s:s}]", "generated_text", p->path);
}

static const Task *fake_task_of(const Pipeline *p)
{
    return strstr(p->path, "shared") ? &shared_task : &fake_task;
}

static size_t fake_memory(const Pipeline *p)
{
    return 100 * MB;
}

static int64_t fake_max_tokens(const Pipeline *p)
{
    return 1024;
}

static PipelineCounts fake_counts(const Pipeline *p)
{
    return (PipelineCounts){.steps = 3, .cache_bytes = MB};
}

static const Driver fake = {fake_open,   fake_close,      fake_run,   fake_task_of,
                            fake_memory, fake_max_tokens, fake_counts};

static Job *submit(Pool *pool, const char *name, int tokens)
{
    Error err = {0};
    AUTO(json_decref) json_t *inputs = json_integer(tokens);
    Job *job = pool_submit(
        pool,
        &(JobSpec){.model = {.id = str_of(name), .sha = S("abc"), .folder = test_path(name)},
                   .inputs = inputs,
                   .want_tokens = true},
        &err);
    if (!job && err.code != ERR_BUSY)
        fail_msg("%s", err.text);
    return job;
}

/* The number of tokens until the end, or -1 when it failed. */
static int finish(Job *job)
{
    TaskToken token;
    for (int n = 0;;)
        switch (job_next(job, 5 * NS_PER_S, &token)) {
        case JOB_TOKEN:
            assert_int_equal(token.index, n++);
            break;
        case JOB_DONE:
            return n;
        case JOB_FAILED:
            return -1;
        case JOB_NOTHING:
            fail_msg("nothing happens");
        }
}

static void test_jobs_wait_while_their_model_loads(void **state)
{
    opened = closed = 0;
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 1000 * MB});
    AUTO(job_free) Job *a = submit(pool, "me/a", 3);
    AUTO(job_free) Job *b = submit(pool, "me/a", 5);
    assert_int_equal(job_state(a), JOB_LOADING);
    TaskToken token;
    assert_int_equal(job_next(a, NS_PER_MS, &token), JOB_NOTHING);
    assert_int_equal(finish(a), 3);
    assert_int_equal(finish(b), 5);
    assert_int_equal(opened, 1);
    assert_int_equal(json_array_size(job_answer(a)), 1);
    assert_int_equal(job_call(b)->generated_tokens, 5);
    assert_ptr_equal(job_task(b), &fake_task);
    assert_true(job_compute_ns(b) > 5 * NS_PER_MS);

    AUTO(arena_free) Arena *arena = arena_new(0);
    ModelInfo *models;
    size_t n;
    pool_list(pool, arena, &models, &n);
    assert_int_equal(n, 1);
    assert_str(models[0].id, "me/a");
    assert_string_equal(model_state_name(models[0].state), "Loaded");
    assert_int_equal(models[0].jobs, 2);
    assert_int_equal(pool_counts(pool).tokens, 8);
}

static void test_the_least_used_model_makes_room(void **state)
{
    opened = closed = 0;
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 250 * MB});
    const char *order[] = {"me/a", "me/b", "me/a", "me/c"};
    for (size_t i = 0; i < COUNT(order); i++) {
        AUTO(job_free) Job *job = submit(pool, order[i], 1);
        assert_int_equal(finish(job), 1);
    }
    for (int i = 0; i < 100 && closed == 0; i++)
        usleep(10000);
    assert_int_equal(closed, 1); // b, as a was used after it
    AUTO(job_free) Job *again = submit(pool, "me/a", 1);
    assert_int_equal(finish(again), 1);
    assert_int_equal(opened, 3);
    assert_int_equal(pool_state(pool, &(ModelKey){.id = S("me/b"), .sha = S("abc")}), MODEL_COLD);
}

static void test_a_model_in_use_is_not_freed(void **state)
{
    opened = closed = 0;
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 150 * MB});
    AUTO(job_free) Job *a = submit(pool, "me/a", 100);
    TaskToken token;
    assert_int_equal(job_next(a, 5 * NS_PER_S, &token), JOB_TOKEN);
    AUTO(job_free) Job *b = submit(pool, "me/b", 2);
    while (job_next(a, 5 * NS_PER_S, &token) == JOB_TOKEN)
        assert_int_equal(closed, 0);
    assert_int_equal(finish(b), 2);
}

static void test_a_model_that_does_not_load_fails_its_jobs(void **state)
{
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 1000 * MB});
    AUTO(job_free) Job *a = submit(pool, "me/broken", 1);
    AUTO(job_free) Job *b = submit(pool, "me/broken", 1);
    assert_int_equal(finish(a), -1);
    assert_int_equal(finish(b), -1);
    assert_int_equal(job_error(a)->code, ERR_UNSUPPORTED);
    assert_non_null(strstr(job_error(a)->text, "mystery"));
    AUTO(job_free) Job *c = submit(pool, "me/fine", 1);
    assert_int_equal(finish(c), 1);
}

static void test_a_model_larger_than_memory_is_refused(void **state)
{
    Error err = {0};
    assert_ok(file_make_folders(test_path("me/big"), 0700, &err));
    assert_ok(file_write_atomic(test_path("me/big/model.safetensors"), S(""), 0600, &err));
    assert_int_equal(truncate(test_path("me/big/model.safetensors"), 300 * MB), 0);
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 250 * MB});
    ModelKey key = {.id = S("me/big"), .sha = S("abc"), .folder = test_path("me/big")};
    assert_int_equal(pool_state(pool, &key), MODEL_TOO_BIG);
    AUTO(job_free) Job *job = submit(pool, "me/big", 1);
    assert_int_equal(finish(job), -1);
    assert_non_null(strstr(job_error(job)->text, "needs 300 MB"));
}

static void test_cancelled_jobs_stop_and_others_go_on(void **state)
{
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 1000 * MB});
    Job *endless = submit(pool, "me/a", 1000000);
    TaskToken token;
    assert_int_equal(job_next(endless, 5 * NS_PER_S, &token), JOB_TOKEN);
    AUTO(job_free) Job *next = submit(pool, "me/a", 2);
    job_free(endless); // its owner left
    assert_int_equal(finish(next), 2);
}

static void test_too_many_jobs_are_refused(void **state)
{
    AUTO(pool_free)
    Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 1000 * MB, .queue = 2});
    AUTO(job_free) Job *a = submit(pool, "me/a", 50);
    AUTO(job_free) Job *b = submit(pool, "me/a", 1);
    AUTO(job_free) Job *c = submit(pool, "me/a", 1);
    assert_null(c);
    assert_int_equal(finish(a), 50);
    assert_int_equal(finish(b), 1);
}

static void test_stopping_ends_what_runs_and_waits(void **state)
{
    Pool *pool = pool_new_with(&fake, &(PoolOptions){.memory = 1000 * MB});
    AUTO(job_free) Job *a = submit(pool, "me/a", 1000000);
    AUTO(job_free) Job *b = submit(pool, "me/a", 1);
    AUTO(job_free) Job *c = submit(pool, "me/b", 1);
    TaskToken token;
    assert_int_equal(job_next(a, 5 * NS_PER_S, &token), JOB_TOKEN);
    pool_free(pool);
    assert_int_equal(finish(b), -1);
    assert_int_equal(finish(c), -1);
    while (job_next(a, 0, &token) == JOB_TOKEN)
        ;
    assert_int_equal(job_error(a)->code, ERR_CANCELLED);
}

static void test_jobs_that_can_be_computed_together_run_at_once(void **state)
{
    enum { N = 5 };
    AUTO(pool_free) Pool *pool = pool_new_with(&fake, &(PoolOptions){.batch = N + 1});
    Job *jobs[N];
    AUTO(job_free) Job *alone = submit(pool, "me/a", 20);
    for (int i = 0; i < N; i++)
        jobs[i] = submit(pool, "me/shared", N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(finish(jobs[i]), 0);
        job_free(jobs[i]);
    }
    assert_int_equal(finish(alone), 20);
    assert_int_equal(meeting, N);
    assert_int_equal(pool_counts(pool).shared.cache_bytes, 2 * MB);
}

int main(void)
{
    int failed =
        RUN(test_jobs_wait_while_their_model_loads, test_the_least_used_model_makes_room,
            test_a_model_in_use_is_not_freed, test_a_model_that_does_not_load_fails_its_jobs,
            test_a_model_larger_than_memory_is_refused, test_cancelled_jobs_stop_and_others_go_on,
            test_too_many_jobs_are_refused, test_jobs_that_can_be_computed_together_run_at_once,
            test_stopping_ends_what_runs_and_waits);
    test_folder_remove();
    return failed;
}
