/* session.c: a loaded language model, and sessions, each one sequence of a batch; see generate.h.
 */
#include "base/file.h"
#include "generate/generate_internal.h"

enum { MAX_GENERATION_CONFIG = 1 << 20 };

struct LanguageModel {
    Model *model;
    json_t *defaults;
    DType cache_type; // of sessions of their own
};

struct Session {
    Batch *batch;
    bool own; // nobody else's batch
    int sequence;
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
    if (options && options->cache_dtype &&
        !kv_cache_type_parse(options->cache_dtype, &m->cache_type, err))
        return NULL;
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

const Model *language_model_internals(const LanguageModel *m)
{
    return m->model;
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

static Session *session_of(Batch *b, bool own, Error *err)
{
    int sequence = batch_add(b, err);
    if (sequence < 0)
        return NULL;
    Session *s = xcalloc(1, sizeof *s);
    *s = (Session){.batch = b, .own = own, .sequence = sequence};
    batch_join(b);
    return s;
}

Session *session_new(const LanguageModel *m, int64_t capacity, Error *err)
{
    if (capacity < 0)
        return fail(err, ERR_INVALID, "a session of %lld tokens", (long long)capacity);
    const BatchOptions options = {.max_tokens = capacity, .cache_dtype = dtype_name(m->cache_type)};
    Batch *b = batch_new(m, &options, err);
    return b ? session_of(b, true, err) : NULL;
}

Session *session_new_in(Batch *b, Error *err)
{
    return session_of(b, false, err);
}

void session_free(Session *s)
{
    if (!s)
        return;
    if (!s->own)
        batch_drop(s->batch, s->sequence);
    batch_leave(s->batch);
    if (s->own)
        batch_free(s->batch);
    free(s);
}

Batch *session_batch(const Session *s)
{
    return s->batch;
}

int session_sequence(const Session *s)
{
    return s->sequence;
}

bool session_feed(Session *s, const int32_t *ids, size_t n, const atomic_bool *cancelled,
                  Error *err)
{
    const BatchFeed feed = {.sequence = s->sequence, .ids = ids, .n = n};
    return n == 0 || batch_step(s->batch, &feed, 1, cancelled, err);
}

const float *session_logits(const Session *s)
{
    return batch_logits(s->batch, s->sequence, 0);
}

const int32_t *session_ids(const Session *s)
{
    return batch_ids(s->batch, s->sequence);
}

size_t session_length(const Session *s)
{
    return batch_length(s->batch, s->sequence);
}

size_t session_capacity(const Session *s)
{
    return batch_capacity(s->batch);
}

const LanguageModel *session_model(const Session *s)
{
    return batch_model(s->batch);
}

void session_rewind(Session *s, size_t n)
{
    batch_truncate(s->batch, s->sequence, n);
}
