/* session.c: a loaded language model, and sessions that feed it tokens; see generate.h.
 *
 * A session keeps two graphs: one of a single token, which serves all of decoding, and one of the
 * last number of tokens that a prompt needed. Long prompts go in chunks, so that memory for
 * activations stays bounded and a cancelled request stops soon. */
#include "generate/generate.h"

#include "base/file.h"
#include "models/models.h"

enum { CHUNK = 512, MAX_GENERATION_CONFIG = 1 << 20 };

struct LanguageModel {
    Model *model;
    json_t *defaults;
};

struct Session {
    const LanguageModel *model;
    KvCache *cache;
    StepGraph one, many;
    const float *logits;
    int32_t *ids; // [capacity]
    size_t n, capacity;
};

/* generation_config.json beside the weights; where there is none, old configurations hold the same
 * keys themselves. */
static json_t *read_defaults(const Model *m, Error *err)
{
    char path[4400];
    const char *folder = checkpoint_folder(weights_checkpoint(m->weights));
    snprintf(path, sizeof path, "%s/generation_config.json", folder);
    if (file_exists(path))
        return json_read_file(path, MAX_GENERATION_CONFIG, err);
    static const char *const keys[] = {"eos_token_id", "bos_token_id", "pad_token_id"};
    json_t *defaults = json_object();
    for (size_t i = 0; i < COUNT(keys); i++)
        json_object_set(defaults, keys[i], json_object_get(m->config_json, keys[i]));
    return defaults;
}

LanguageModel *language_model_open(const char *path, const LanguageModelOptions *options,
                                   Error *err)
{
    AUTO(language_model_free) LanguageModel *m = xcalloc(1, sizeof *m);
    m->model = model_open(path, options ? options->dtype : NULL, err);
    if (!m->model)
        return NULL;
    m->defaults = read_defaults(m->model, err);
    return m->defaults ? TAKE(m) : NULL;
}

void language_model_free(LanguageModel *m)
{
    if (!m)
        return;
    model_free(m->model);
    json_decref(m->defaults);
    free(m);
}

const char *language_model_name(const LanguageModel *m)
{
    return m->model->architecture->name;
}

int64_t language_model_vocab(const LanguageModel *m)
{
    return m->model->vocab;
}

int64_t language_model_max_positions(const LanguageModel *m)
{
    return m->model->kv.capacity;
}

size_t language_model_memory(const LanguageModel *m)
{
    return weights_memory(m->model->weights);
}

const json_t *language_model_defaults(const LanguageModel *m)
{
    return m->defaults;
}

Session *session_new(const LanguageModel *m, int64_t capacity, Error *err)
{
    AUTO(session_free) Session *s = xcalloc(1, sizeof *s);
    KvSpec spec = m->model->kv;
    if (capacity < 0)
        return fail(err, ERR_INVALID, "a session of %lld tokens", (long long)capacity);
    if (capacity > 0)
        spec.capacity = MIN(spec.capacity, capacity);
    s->model = m;
    s->capacity = (size_t)spec.capacity;
    s->ids = xcalloc(s->capacity, sizeof *s->ids);
    s->cache = kv_cache_new(&spec, err);
    return s->cache ? TAKE(s) : NULL;
}

void session_free(Session *s)
{
    if (!s)
        return;
    step_graph_done(&s->one);
    step_graph_done(&s->many);
    kv_cache_free(s->cache);
    free(s->ids);
    free(s);
}

/* The graph for n tokens, made if the session has none of this size. */
static StepGraph *graph_for(Session *s, size_t n, Error *err)
{
    StepGraph *graph = n == 1 ? &s->one : &s->many;
    if (graph->n == (int64_t)n)
        return graph;
    step_graph_done(graph);
    if (!step_graph_build(graph, s->model->model, (int64_t)n, err))
        return NULL;
    graph_use_cache(graph->graph, s->cache);
    return graph;
}

static bool feed_chunk(Session *s, const int32_t *ids, size_t n, Error *err)
{
    StepGraph *step = graph_for(s, n, err);
    KvSpan span = {.sequence = 0, .rows = (int64_t)n};
    if (!step || !kv_cache_begin(s->cache, &span, 1, err))
        return false;
    int32_t *positions = tensor_data(step->positions);
    memcpy(tensor_data(step->tokens), ids, n * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        positions[i] = (int32_t)(s->n + i);
    *(int32_t *)tensor_data(step->wanted) = (int32_t)n - 1;
    if (!graph_run(step->graph, err))
        return false;
    kv_cache_commit(s->cache);
    memcpy(s->ids + s->n, ids, n * sizeof *ids);
    s->n += n;
    s->logits = tensor_data(step->logits);
    return true;
}

bool session_feed(Session *s, const int32_t *ids, size_t n, const atomic_bool *cancelled,
                  Error *err)
{
    int64_t vocab = language_model_vocab(s->model);
    if (n > s->capacity - s->n)
        return fail(err, ERR_LIMIT, "%zu tokens behind %zu others; the model takes %zu in all", n,
                    s->n, s->capacity);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return fail(err, ERR_INVALID, "token %zu is %d; ids lie in 0 to %lld", i, ids[i],
                        (long long)vocab - 1);
    for (size_t done = 0; done < n;) {
        if (cancelled && atomic_load_explicit(cancelled, memory_order_relaxed))
            return fail(err, ERR_CANCELLED, "cancelled after %zu of %zu tokens", done, n);
        size_t chunk = MIN(n - done, (size_t)CHUNK);
        if (!feed_chunk(s, ids + done, chunk, err))
            return false;
        done += chunk;
    }
    return true;
}

const float *session_logits(const Session *s)
{
    return s->logits;
}

const int32_t *session_ids(const Session *s)
{
    return s->ids;
}

size_t session_length(const Session *s)
{
    return s->n;
}

size_t session_capacity(const Session *s)
{
    return s->capacity;
}

const LanguageModel *session_model(const Session *s)
{
    return s->model;
}

void session_rewind(Session *s, size_t n)
{
    s->n = MIN(s->n, n);
    kv_cache_truncate(s->cache, 0, (int64_t)s->n);
}
