/* model.c: see hug/model.h. */
#include "base/json.h"
#include "capi/capi_internal.h"
#include "generate/generate.h"

#include <hug/model.h>

struct HugModel {
    LanguageModel *model;
    Tokenizer *tokenizer; // NULL if the model brings none
    Error no_tokenizer;   // and why
    Session *session;
};

HugModel *hug_model_open(const char *path, const char *dtype, HugError *err)
{
    Error e = {0};
    const LanguageModelOptions options = {.dtype = dtype};
    HugModel *m = xcalloc(1, sizeof *m);
    m->model = language_model_open(path, &options, &e);
    m->session = m->model ? session_new(m->model, 0, &e) : NULL;
    if (!m->session) {
        hug_model_free(m);
        return capi_fail(err, &e);
    }
    m->tokenizer = tokenizer_open(path, &m->no_tokenizer);
    return m;
}

void hug_model_free(HugModel *m)
{
    if (!m)
        return;
    session_free(m->session);
    tokenizer_free(m->tokenizer);
    language_model_free(m->model);
    free(m);
}

int64_t hug_model_vocab_size(const HugModel *m)
{
    return language_model_vocab(m->model);
}

int64_t hug_model_max_tokens(const HugModel *m)
{
    return language_model_max_positions(m->model);
}

/* Decoding on the way, for the listener and for the whole text. */
typedef struct Listener {
    DecodeStream *stream;
    Buf text;
    HugOnText on_text;
    void *context;
} Listener;

static bool say(Listener *l, Str piece)
{
    buf_add(&l->text, piece);
    return !l->on_text || piece.len == 0 || l->on_text(l->context, piece.ptr, piece.len);
}

static bool hear(void *context, const GeneratedToken *t)
{
    Listener *l = context;
    return t->sequence > 0 || say(l, decode_stream_add(l->stream, t->id));
}

static bool run(HugModel *m, const int32_t *prompt, size_t n, const char *parameters,
                GenerateCall *call, Error *err)
{
    AUTO(json_decref) json_t *request = NULL;
    if (parameters && !(request = json_parse(str_of(parameters), "parameters", err)))
        return false;
    GenerateParams p;
    call->tokenizer = m->tokenizer;
    return generate_params_read(&p, m->model, request, call->arena, err) &&
           generate(m->session, prompt, n, &p, call, err);
}

static bool generate_text(HugModel *m, const char *prompt, const char *parameters, Listener *l,
                          Error *err)
{
    AUTO_ENCODING ids = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    if (!tokenizer_encode(m->tokenizer, str_of(prompt), true, &ids, err))
        return false;
    // The prompt goes through the decoder too, so that what follows is spaced as it should.
    for (size_t i = 0; i < ids.n; i++)
        decode_stream_add(l->stream, ids.ids[i]);
    GenerateCall call = {.arena = a, .on_token = hear, .context = l};
    if (!run(m, ids.ids, ids.n, parameters, &call, err))
        return false;
    say(l, decode_stream_finish(l->stream));
    return true;
}

char *hug_model_generate(HugModel *m, const char *prompt, const char *parameters, HugOnText on_text,
                         void *context, HugError *err)
{
    if (!m->tokenizer)
        return capi_fail(err, &m->no_tokenizer);
    Error e = {0};
    Listener l = {
        .stream = decode_stream_new(m->tokenizer, true), .on_text = on_text, .context = context};
    buf_init(&l.text, 0);
    bool ok = generate_text(m, prompt, parameters, &l, &e);
    char *text = ok ? buf_take(&l.text) : capi_fail(err, &e);
    buf_done(&l.text);
    decode_stream_free(l.stream);
    return text;
}

long hug_model_generate_ids(HugModel *m, const int32_t *prompt, size_t n, const char *parameters,
                            int32_t *ids, size_t most, HugError *err)
{
    Error e = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    GenerateCall call = {.arena = a};
    if (!run(m, prompt, n, parameters, &call, &e)) {
        capi_fail(err, &e);
        return -1;
    }
    const Generated *g = &call.sequences[0];
    if (most > 0)
        memcpy(ids, g->ids, MIN(g->n, most) * sizeof *ids);
    return (long)g->n;
}

const float *hug_model_logits(HugModel *m, const int32_t *ids, size_t n, HugError *err)
{
    Error e = {0};
    session_rewind(m->session, 0);
    if (n == 0)
        (void)!fail(&e, ERR_INVALID, "no tokens");
    else if (session_feed(m->session, ids, n, NULL, &e))
        return session_logits(m->session);
    return capi_fail(err, &e);
}
