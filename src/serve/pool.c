/* pool.c: loaded models and the jobs on them; see serve.h.
 *
 *     submit --> model loaded? --yes--> device queue --> device threads: run, events to the owner
 *                     |no                    ^
 *                     v                      |
 *              entry's waiting list --> loader thread: make room, open
 *
 * A device thread takes the first job that may run: any whose task is concurrent, of the others one
 * at a time, because it already uses all processors. Jobs of one model that run at once meet in its
 * Batch (generate/batch.h).
 *
 * The pool's lock guards the entries, the queue and all counts; a job's own lock guards its events
 * and its end. Order: pool, then job. Neither is held while a model is opened, run or freed.
 * An entry is pinned by the jobs that wait for it or run on it (`users`); only others may go. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "serve/serve_internal.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct Event {
    struct Event *next;
    TaskToken token;
    char text[];
} Event;

static void event_free(Event *e)
{
    if (e)
        json_decref((json_t *)(uintptr_t)e->token.detail);
    free(e);
}

typedef struct Entry {
    struct Entry *next;
    char *id, *sha, *folder;
    const char *dtype;
    const Task *wanted; // by the key; NULL: the model's own
    ModelState state;
    bool started; // the loader has it
    Pipeline *pipeline;
    size_t memory;
    int64_t expected; // bytes, before it is loaded
    int users;        // jobs that wait for it or run on it
    int64_t jobs, began_ns, loaded_ns, used_ns;
    Job *first, **last; // jobs that wait for it to load
} Entry;

struct Job {
    Job *next; // in the list of its entry, or of the device
    atomic_int refs;
    Pool *pool;
    Entry *entry;
    json_t *inputs, *parameters;
    bool want_tokens, hide_stop, parse_tools, want_details, token_bytes;
    atomic_bool cancelled;
    atomic_int state;
    const Task *task;
    int64_t max_tokens, compute_ns;
    int64_t load_began_ns, load_expected_ns;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    Event *first, **last, *given; // events not yet given, and the one whose text is lent
    bool over;
    json_t *answer;
    TaskCall call;
    Error error;
};

struct Pool {
    const Driver *driver;
    PoolOptions options;
    pthread_t loader, *devices;
    pthread_mutex_t lock;
    pthread_cond_t to_load, to_run, freed; // freed: a model may have become idle
    bool stopping;
    Entry *entries;
    Job *first, **last; // the device's queue
    int64_t waiting, running, done, tokens;
    size_t memory;  // of loaded models
    Job *run_first; // the jobs that run
    bool alone;     // one of them is of a task that is not concurrent
};

// ---- Jobs ----

static void job_unref(Job *job)
{
    if (atomic_fetch_sub(&job->refs, 1) != 1)
        return;
    for (Event *e = job->first, *next; e; e = next) {
        next = e->next;
        event_free(e);
    }
    event_free(job->given);
    json_decref(job->inputs);
    json_decref(job->parameters);
    json_decref(job->answer);
    json_decref(job->call.warnings);
    task_call_done(&job->call);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

void job_cancel(Job *job)
{
    atomic_store(&job->cancelled, true);
}

void job_free(Job *job)
{
    if (!job)
        return;
    job_cancel(job);
    job_unref(job);
}

static bool add_event(void *context, const TaskToken *token)
{
    Job *job = context;
    if (job->want_tokens) {
        Event *e = xmalloc(sizeof *e + token->text.len + 1);
        *e = (Event){.token = *token};
        if (token->text.len)
            memcpy(e->text, token->text.ptr, token->text.len);
        e->text[token->text.len] = 0;
        e->token.text = (Str){e->text, token->text.len};
        e->token.detail = json_deep_copy(token->detail); // the run keeps its own
        pthread_mutex_lock(&job->lock);
        *job->last = e;
        job->last = &e->next;
        pthread_cond_signal(&job->changed);
        pthread_mutex_unlock(&job->lock);
    }
    return !atomic_load(&job->cancelled);
}

/* The job's end, with its answer (taken) or the error. Drops the pool's reference. */
static void job_end(Job *job, json_t *answer, const Error *err)
{
    pthread_mutex_lock(&job->lock);
    job->answer = answer;
    if (!answer)
        job->error = *err;
    job->over = true;
    atomic_store(&job->state, JOB_OVER);
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->lock);
    job_unref(job);
}

JobEvent job_next(Job *job, int64_t timeout_ns, TaskToken *token)
{
    int64_t end = clock_ns() + timeout_ns;
    struct timespec until = {.tv_sec = end / NS_PER_S, .tv_nsec = end % NS_PER_S};
    JobEvent event = JOB_NOTHING;
    pthread_mutex_lock(&job->lock);
    while (!job->first && !job->over)
        if (pthread_cond_timedwait(&job->changed, &job->lock, &until) != 0)
            break;
    event_free(TAKE(job->given));
    if (job->first) {
        job->given = job->first;
        job->first = job->given->next;
        if (!job->first)
            job->last = &job->first;
        *token = job->given->token;
        event = JOB_TOKEN;
    } else if (job->over) {
        event = job->answer ? JOB_DONE : JOB_FAILED;
    }
    pthread_mutex_unlock(&job->lock);
    return event;
}

JobState job_state(const Job *job)
{
    return (JobState)atomic_load(&job->state);
}

int64_t job_load_estimate_ns(const Job *job)
{
    int64_t left = job->load_began_ns + job->load_expected_ns - clock_ns();
    return MAX(left, NS_PER_S);
}

const json_t *job_answer(const Job *job)
{
    return job->answer;
}

const TaskCall *job_call(const Job *job)
{
    return &job->call;
}

const Error *job_error(const Job *job)
{
    return &job->error;
}

const Task *job_task(const Job *job)
{
    return job->task;
}

int64_t job_compute_ns(const Job *job)
{
    return job->compute_ns;
}

int64_t job_max_tokens(const Job *job)
{
    return job->max_tokens;
}

static Job *job_new(Pool *pool, const JobSpec *spec)
{
    Job *job = xcalloc(1, sizeof *job);
    job->pool = pool;
    job->refs = 2;
    job->inputs = json_deep_copy(spec->inputs);
    job->parameters = spec->parameters ? json_deep_copy(spec->parameters) : NULL;
    job->want_tokens = spec->want_tokens;
    job->hide_stop = spec->hide_stop;
    job->parse_tools = spec->parse_tools;
    job->want_details = spec->want_details;
    job->token_bytes = spec->token_bytes;
    job->last = &job->first;
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&job->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return job;
}

// ---- Entries ----

static void entry_free(const Driver *driver, Entry *e)
{
    if (e->pipeline)
        driver->close(e->pipeline);
    free(e->id);
    free(e->sha);
    free(e->folder);
    free(e);
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *dtype_of(const Pool *pool, const ModelKey *key)
{
    return key->dtype ? key->dtype : pool->options.dtype;
}

static Entry *entry_find(Pool *pool, const ModelKey *key)
{
    for (Entry *e = pool->entries; e; e = e->next) {
        // A forced task that is the model's own needs no second copy.
        bool own =
            key->task && !e->wanted && e->pipeline && pool->driver->task(e->pipeline) == key->task;
        if (str_eq(str_of(e->id), key->id) && str_eq(str_of(e->sha), key->sha) &&
            same_text(e->dtype, dtype_of(pool, key)) && (e->wanted == key->task || own))
            return e;
    }
    return NULL;
}

static char *copy_str(Str s)
{
    char *text = xmalloc(s.len + 1);
    if (s.len)
        memcpy(text, s.ptr, s.len);
    text[s.len] = 0;
    return text;
}

static Entry *entry_new(Pool *pool, const ModelKey *key, int64_t expected)
{
    Entry *e = xcalloc(1, sizeof *e);
    *e = (Entry){.next = pool->entries,
                 .id = copy_str(key->id),
                 .sha = copy_str(key->sha),
                 .folder = xstrdup(key->folder),
                 .dtype = dtype_of(pool, key),
                 .wanted = key->task,
                 .state = MODEL_LOADING,
                 .expected = expected,
                 .began_ns = clock_ns(),
                 .used_ns = wall_ns()};
    e->last = &e->first;
    pool->entries = e;
    return e;
}

static void entry_unlink(Pool *pool, Entry *e)
{
    for (Entry **at = &pool->entries; *at; at = &(*at)->next)
        if (*at == e) {
            *at = e->next;
            break;
        }
    if (e->pipeline)
        pool->memory -= e->memory;
}

/* The loaded model that nobody uses and that was used the longest ago; NULL if all are in use. */
static Entry *least_used(Pool *pool)
{
    Entry *found = NULL;
    for (Entry *e = pool->entries; e; e = e->next)
        if (e->pipeline && e->users == 0 && (!found || e->used_ns < found->used_ns))
            found = e;
    return found;
}

/* With the lock held, which it drops while it frees. False if all others are in use. */
static bool evict_one(Pool *pool)
{
    Entry *e = least_used(pool);
    if (!e)
        return false;
    entry_unlink(pool, e);
    pthread_mutex_unlock(&pool->lock);
    log_info("unload", "model=%s sha=%.12s mb=%zu", e->id, e->sha, e->memory >> 20);
    entry_free(pool->driver, e);
    pthread_mutex_lock(&pool->lock);
    return true;
}

static bool fits(const Pool *pool, int64_t more)
{
    return (int64_t)pool->memory + more <= pool->options.memory;
}

// ---- Loading ----

static Entry *next_to_load(Pool *pool)
{
    Entry *oldest = NULL;
    for (Entry *e = pool->entries; e; e = e->next)
        if (e->state == MODEL_LOADING && !e->started && (!oldest || e->began_ns < oldest->began_ns))
            oldest = e;
    return oldest;
}

static void to_device(Pool *pool, Job *job)
{
    job->next = NULL;
    job->max_tokens = pool->driver->max_tokens(job->entry->pipeline);
    job->task = pool->driver->task(job->entry->pipeline);
    atomic_store(&job->state, JOB_QUEUED);
    *pool->last = job;
    pool->last = &job->next;
    pthread_cond_signal(&pool->to_run);
}

/* With the lock held: gives the entry's jobs to the device. */
static void entry_loaded(Pool *pool, Entry *e, Pipeline *p)
{
    e->pipeline = p;
    e->memory = pool->driver->memory(p);
    e->state = MODEL_LOADED;
    e->loaded_ns = wall_ns();
    pool->memory += e->memory;
    for (Job *job = e->first, *next; job; job = next) {
        next = job->next;
        to_device(pool, job);
    }
    e->first = NULL;
    e->last = &e->first;
}

/* With the lock held: takes the entry out and ends its jobs with the error. */
static void entry_failed(Pool *pool, Entry *e, const Error *err)
{
    entry_unlink(pool, e);
    for (Job *job = e->first, *next; job; job = next) {
        next = job->next;
        pool->waiting--;
        job_end(job, NULL, err);
    }
    entry_free(pool->driver, e);
}

/* With the lock held: waits until the model fits; false with the reason. */
static bool make_room(Pool *pool, Entry *e, Error *err)
{
    if (e->expected > pool->options.memory)
        return fail(err, ERR_UNSUPPORTED,
                    "model '%s' needs %lld MB, the server has %lld MB for models", e->id,
                    (long long)(e->expected >> 20), (long long)(pool->options.memory >> 20));
    while (!fits(pool, e->expected) && !pool->stopping)
        if (!evict_one(pool))
            pthread_cond_wait(&pool->freed, &pool->lock);
    if (pool->stopping)
        return fail(err, ERR_CANCELLED, "the server stops");
    return true;
}

/* What callers are told names the model, not where it lies on this server; and the model was found,
 * whatever it lacks. */
static void tell_by_name(const Entry *e, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, 2 * sizeof err->text);
    Str rest = str_of(err->text), folder = str_of(e->folder);
    for (size_t at; (at = str_find(rest, folder, 0)) != SIZE_MAX;) {
        buf_printf(&text, "%.*s%s", STR(str_slice(rest, 0, at)), e->id);
        rest = str_slice(rest, at + folder.len, rest.len);
    }
    buf_add(&text, rest);
    snprintf(err->text, sizeof err->text, "%s", text.ptr);
    if (err->code == ERR_NOT_FOUND)
        err->code = ERR_UNSUPPORTED;
}

static void load(Pool *pool, Entry *e)
{
    Error err = {0};
    Pipeline *p = NULL;
    e->started = true;
    if (make_room(pool, e, &err)) {
        pthread_mutex_unlock(&pool->lock);
        PipelineOptions options = {.dtype = e->dtype,
                                   .cache_dtype = pool->options.cache_dtype,
                                   .assistant = pool->options.assistant,
                                   .cache_memory = (size_t)pool->options.cache_memory};
        p = pool->driver->open(e->folder, e->wanted, &options, &err);
        pthread_mutex_lock(&pool->lock);
    }
    int64_t ms = (clock_ns() - e->began_ns) / NS_PER_MS;
    if (!p) {
        log_info("load", "model=%s sha=%.12s ms=%lld error=\"%s\"", e->id, e->sha, (long long)ms,
                 err.text);
        tell_by_name(e, &err);
        entry_failed(pool, e, &err);
        return;
    }
    entry_loaded(pool, e, p);
    log_info("load", "model=%s sha=%.12s ms=%lld mb=%zu", e->id, e->sha, (long long)ms,
             e->memory >> 20);
    while (!fits(pool, 0) && evict_one(pool))
        ; // it took more than was expected
}

static void *loader(void *context)
{
    Pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        Entry *e = next_to_load(pool);
        if (e)
            load(pool, e);
        else
            pthread_cond_wait(&pool->to_load, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

// ---- The device ----

/* With the lock held: the job is over. Its model may have grown meanwhile, by what it remembers. */
static void job_leaves(Pool *pool, Job *job, size_t memory)
{
    Entry *e = job->entry;
    for (Job **at = &pool->run_first; *at; at = &(*at)->next)
        if (*at == job) {
            *at = job->next;
            break;
        }
    pool->running--;
    pool->done++;
    pool->tokens += job->call.generated_tokens;
    pool->memory += memory - e->memory;
    e->memory = memory;
    e->users--;
    e->jobs++;
    e->used_ns = wall_ns();
    pthread_cond_signal(&pool->freed);
    if (!job->task->concurrent) {
        pool->alone = false;
        pthread_cond_broadcast(&pool->to_run);
    }
}

static void run_job(Pool *pool, Job *job)
{
    Error err = {0};
    json_t *answer = NULL;
    job->call = (TaskCall){.on_token = add_event,
                           .context = job,
                           .hide_stop = job->hide_stop,
                           .parse_tools = job->parse_tools,
                           .want_details = job->want_details,
                           .token_bytes = job->token_bytes,
                           .cancelled = &job->cancelled,
                           .warnings = json_array()};
    int64_t begin = clock_ns();
    if (atomic_load(&job->cancelled))
        (void)!fail(&err, ERR_CANCELLED, "the caller has gone");
    else
        answer =
            pool->driver->run(job->entry->pipeline, job->inputs, job->parameters, &job->call, &err);
    job->compute_ns = clock_ns() - begin;
    size_t memory = pool->driver->memory(job->entry->pipeline);
    pthread_mutex_lock(&pool->lock);
    job_leaves(pool, job, memory);
    pthread_mutex_unlock(&pool->lock);
    job_end(job, answer, &err);
}

/* The first job of the queue that may run now, taken out; NULL if there is none. */
static Job *take_job(Pool *pool)
{
    for (Job **at = &pool->first; *at; at = &(*at)->next) {
        Job *job = *at;
        if (pool->alone && !job->task->concurrent)
            continue;
        *at = job->next;
        if (!*at)
            pool->last = at;
        return job;
    }
    return NULL;
}

static void *device(void *context)
{
    Pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        Job *job = take_job(pool);
        if (!job) {
            pthread_cond_wait(&pool->to_run, &pool->lock);
            continue;
        }
        pool->waiting--;
        pool->running++;
        pool->alone |= !job->task->concurrent;
        job->next = pool->run_first;
        pool->run_first = job;
        atomic_store(&job->state, JOB_RUNNING);
        pthread_mutex_unlock(&pool->lock);
        run_job(pool, job);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

// ---- The pool ----

static int64_t half_memory(void)
{
    return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE) / 2;
}

Pool *pool_new_with(const Driver *driver, const PoolOptions *options)
{
    Pool *pool = xcalloc(1, sizeof *pool);
    pool->driver = driver;
    pool->options = *options;
    pool->options.memory = options->memory ? options->memory : half_memory();
    pool->options.queue = options->queue ? options->queue : 256;
    pool->options.batch = options->batch ? options->batch : 16;
    pool->options.cache_memory = options->cache_memory ? options->cache_memory : half_memory() / 4;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->to_load, NULL);
    pthread_cond_init(&pool->to_run, NULL);
    pthread_cond_init(&pool->freed, NULL);
    pool->loader = thread_start("loader", loader, pool);
    pool->devices = xcalloc((size_t)pool->options.batch, sizeof *pool->devices);
    for (int64_t i = 0; i < pool->options.batch; i++)
        pool->devices[i] = thread_start("device", device, pool);
    return pool;
}

static void end_waiting(Pool *pool, Job *job)
{
    Error err = {0};
    (void)!fail(&err, ERR_CANCELLED, "the server stops");
    for (Job *next; job; job = next) {
        next = job->next;
        job_end(job, NULL, &err);
    }
}

void pool_free(Pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    for (Job *job = pool->run_first; job; job = job->next)
        job_cancel(job);
    pthread_cond_broadcast(&pool->to_load);
    pthread_cond_broadcast(&pool->to_run);
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
    for (int64_t i = 0; i < pool->options.batch; i++)
        pthread_join(pool->devices[i], NULL);
    pthread_join(pool->loader, NULL);
    end_waiting(pool, pool->first);
    for (Entry *e = pool->entries, *next; e; e = next) {
        next = e->next;
        end_waiting(pool, e->first);
        entry_free(pool->driver, e);
    }
    pthread_cond_destroy(&pool->to_load);
    pthread_cond_destroy(&pool->to_run);
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
    free(pool->devices);
    free(pool);
}

Job *pool_submit(Pool *pool, const JobSpec *spec, Error *err)
{
    int64_t expected = weights_size(spec->model.folder);
    Job *job = job_new(pool, spec);
    pthread_mutex_lock(&pool->lock);
    if (pool->stopping || pool->waiting + pool->running >= pool->options.queue) {
        pthread_mutex_unlock(&pool->lock);
        job_unref(job);
        job_free(job);
        return fail(err, ERR_BUSY, "model too busy: %lld requests wait already",
                    (long long)pool->options.queue);
    }
    Entry *e = entry_find(pool, &spec->model);
    if (!e) {
        e = entry_new(pool, &spec->model, expected);
        pthread_cond_signal(&pool->to_load);
    }
    e->users++;
    e->used_ns = wall_ns();
    job->entry = e;
    job->load_began_ns = e->began_ns;
    job->load_expected_ns = NS_PER_S / 2 + e->expected * 2; // half a GB/s, whatever the dtype
    pool->waiting++;
    if (e->pipeline) {
        to_device(pool, job);
    } else {
        *e->last = job;
        e->last = &job->next;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

const char *model_state_name(ModelState state)
{
    static const char *const names[] = {"Loadable", "Loading", "Loaded", "TooBig"};
    return names[state];
}

ModelState pool_state(Pool *pool, const ModelKey *key)
{
    pthread_mutex_lock(&pool->lock);
    const Entry *e = entry_find(pool, key);
    ModelState state = e ? e->state : MODEL_COLD;
    pthread_mutex_unlock(&pool->lock);
    if (!e && key->folder && weights_size(key->folder) > pool->options.memory)
        return MODEL_TOO_BIG;
    return state;
}

static int by_use(const void *a, const void *b)
{
    const ModelInfo *x = a, *y = b;
    return (x->used_ns < y->used_ns) - (x->used_ns > y->used_ns);
}

void pool_list(Pool *pool, Arena *a, ModelInfo **models, size_t *n)
{
    pthread_mutex_lock(&pool->lock);
    size_t count = 0, i = 0;
    for (Entry *e = pool->entries; e; e = e->next)
        count++;
    ModelInfo *list = NEW_ARRAY(a, ModelInfo, count + 1);
    for (Entry *e = pool->entries; e; e = e->next)
        list[i++] = (ModelInfo){.id = arena_str(a, str_of(e->id)),
                                .sha = arena_str(a, str_of(e->sha)),
                                .task = e->pipeline ? pool->driver->task(e->pipeline)->name : "",
                                .state = e->state,
                                .memory = e->memory,
                                .jobs = e->jobs,
                                .loaded_ns = e->loaded_ns,
                                .used_ns = e->used_ns};
    pthread_mutex_unlock(&pool->lock);
    qsort(list, count, sizeof *list, by_use);
    *models = list;
    *n = count;
}

PoolCounts pool_counts(Pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    PoolCounts counts = {.jobs_waiting = pool->waiting,
                         .jobs_running = pool->running,
                         .jobs_done = pool->done,
                         .tokens = pool->tokens,
                         .memory = (int64_t)pool->memory};
    for (const Entry *e = pool->entries; e; e = e->next) {
        PipelineCounts c = e->pipeline ? pool->driver->counts(e->pipeline) : (PipelineCounts){0};
        counts.shared.steps += c.steps;
        counts.shared.rows += c.rows;
        counts.shared.most = MAX(counts.shared.most, c.most);
        counts.shared.reused += c.reused;
        counts.shared.preempted += c.preempted;
        counts.shared.drafted += c.drafted;
        counts.shared.accepted += c.accepted;
        counts.shared.cache_bytes += c.cache_bytes;
    }
    pthread_mutex_unlock(&pool->lock);
    return counts;
}

// ---- Sizes ----

int64_t weights_size(const char *folder)
{
    static const char *const suffixes[] = {".safetensors", ".gguf", ".bin"};
    int64_t sizes[COUNT(suffixes)] = {0};
    struct stat info;
    DIR *dir = opendir(folder);
    if (!dir)
        return stat(folder, &info) == 0 ? info.st_size : 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        for (size_t i = 0; i < COUNT(suffixes); i++)
            if (str_ends(str_of(entry->d_name), str_of(suffixes[i])) &&
                fstatat(dirfd(dir), entry->d_name, &info, 0) == 0)
                sizes[i] += info.st_size;
    closedir(dir);
    // A repository may keep the same weights in several formats: the first is what gets loaded.
    for (size_t i = 0; i < COUNT(suffixes); i++)
        if (sizes[i])
            return sizes[i];
    return 0;
}
