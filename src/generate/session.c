/* session.c: a loaded language model, and sessions, which are batches of one; see generate.h. */
#include "base/file.h"
#include "generate/generate_internal.h"

enum { MAX_GENERATION_CONFIG = 1 << 20 };

struct LanguageModel {
    Model *model;
    json_t *defaults;
};

struct Session {
    Batch *batch; // of this one sequence
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

Session *session_new(const LanguageModel *m, int64_t capacity, Error *err)
{
    if (capacity < 0)
        return fail(err, ERR_INVALID, "a session of %lld tokens", (long long)capacity);
    AUTO(session_free) Session *s = xcalloc(1, sizeof *s);
    const BatchOptions options = {.sequences = 1, .max_tokens = capacity};
    s->batch = batch_new(m, &options, err);
    if (!s->batch)
        return NULL;
    s->sequence = batch_add(s->batch, err);
    return TAKE(s);
}

void session_free(Session *s)
{
    if (!s)
        return;
    batch_free(s->batch);
    free(s);
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
