/* params.c: GenerationConfig's fields from the model's own file and the caller's request. */
#include "generate/generate.h"

enum { MAX_EOS = 64, MAX_STOP = 64, MAX_STOP_BYTES = 1024, MAX_SUPPRESSED = 1 << 16 };
/* What transformers generates when nobody says how much. */
enum { DEFAULT_NEW_TOKENS = 20 };

static const Field fields[] = {
    OPT_RANGE(GenerateParams, max_new_tokens, INT, "max_new_tokens", 0, 1, 1e9),
    OPT_RANGE(GenerateParams, min_new_tokens, INT, "min_new_tokens", 0, 0, 1e9),
    OPT_RANGE(GenerateParams, max_length, INT, "max_length", 0, 1, 1e9),
    OPT_RANGE(GenerateParams, min_length, INT, "min_length", 0, 0, 1e9),
    OPT_RANGE(GenerateParams, num_return_sequences, INT, "num_return_sequences", 1, 1, 100),
    OPT_RANGE(GenerateParams, seed, INT, "seed", -1, 0, 0x1p62),
    OPT(GenerateParams, sample.do_sample, BOOL, "do_sample", false),
    OPT_RANGE(GenerateParams, sample.temperature, FLOAT, "temperature", 1, 1e-6, 1e6),
    OPT_RANGE(GenerateParams, sample.top_k, INT, "top_k", 50, 0, 1e9),
    OPT_RANGE(GenerateParams, sample.top_p, FLOAT, "top_p", 1, 0, 1),
    OPT_RANGE(GenerateParams, sample.min_p, FLOAT, "min_p", 0, 0, 1),
    OPT_RANGE(GenerateParams, sample.typical_p, FLOAT, "typical_p", 1, 1e-6, 1),
    OPT_RANGE(GenerateParams, sample.repetition_penalty, FLOAT, "repetition_penalty", 1, 1e-6, 1e6),
    OPT_RANGE(GenerateParams, sample.no_repeat_ngram, INT, "no_repeat_ngram_size", 0, 0, 1e6),
};

/* A list of token ids, or one. */
static bool read_ids(const json_t *object, const char *key, size_t limit, Arena *a,
                     const int32_t **out, size_t *n, Error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = NULL;
    *n = 0;
    if (!value || json_is_null(value))
        return true;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count > limit)
        return fail(err, ERR_LIMIT, "'%s' has %zu ids, at most %zu are allowed", key, count, limit);
    int32_t *ids = NEW_ARRAY(a, int32_t, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_integer(id) || json_integer_value(id) < -1 ||
            json_integer_value(id) > INT32_MAX)
            return fail(err, ERR_INVALID, "'%s' must be a token id or a list of them", key);
        ids[i] = (int32_t)json_integer_value(id);
    }
    *out = ids;
    *n = count;
    return true;
}

static bool read_stop(GenerateParams *p, const json_t *object, Arena *a, Error *err)
{
    static const char *const keys[] = {"stop", "stop_sequences", "stop_strings"};
    for (size_t k = 0; k < COUNT(keys); k++) {
        const json_t *value = json_object_get(object, keys[k]);
        if (!value || json_is_null(value))
            continue;
        size_t count = json_is_array(value) ? json_array_size(value) : 1;
        if (count > MAX_STOP)
            return fail(err, ERR_LIMIT, "'%s' has %zu texts, at most %d are allowed", keys[k],
                        count, MAX_STOP);
        Str *stop = NEW_ARRAY(a, Str, count);
        for (size_t i = 0; i < count; i++) {
            const json_t *text = json_is_array(value) ? json_array_get(value, i) : value;
            size_t n = json_string_length(text);
            if (!json_is_string(text) || n == 0 || n > MAX_STOP_BYTES)
                return fail(err, ERR_INVALID,
                            "'%s' must be a text of 1 to %d bytes or a list of them", keys[k],
                            MAX_STOP_BYTES);
            stop[i] = arena_str(a, (Str){json_string_value(text), n});
        }
        p->stop = stop;
        p->n_stop = count;
        return true;
    }
    return true;
}

/* Members that are null do not hide what the model's file says. */
static json_t *overlay(const json_t *below, const json_t *above)
{
    json_t *all = json_object();
    json_object_update(all, (json_t *)(uintptr_t)below);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)above, key, value)
    {
        if (!json_is_null(value))
            json_object_set(all, key, value);
    }
    return all;
}

bool generate_params_read(GenerateParams *p, const LanguageModel *m, const json_t *request,
                          Arena *a, Error *err)
{
    AUTO(json_decref) json_t *all = overlay(language_model_defaults(m), request);
    GenerateParams read = {0};
    if (!fields_read(&read, fields, COUNT(fields), all, a, err) ||
        !read_ids(all, "eos_token_id", MAX_EOS, a, &read.eos, &read.n_eos, err) ||
        !read_ids(all, "suppress_tokens", MAX_SUPPRESSED, a, &read.sample.suppressed,
                  &read.sample.n_suppressed, err) ||
        !read_stop(&read, all, a, err))
        return false;
    if (read.sample.top_p <= 0)
        return fail(err, ERR_INVALID, "'top_p' must lie in 0 to 1, 0 excluded");
    if (read.max_new_tokens == 0 && read.max_length == 0)
        read.max_new_tokens = DEFAULT_NEW_TOKENS;
    *p = read;
    return true;
}

const char *stop_reason_name(StopReason reason)
{
    static const char *const names[] = {[STOP_LENGTH] = "length",
                                        [STOP_EOS] = "eos_token",
                                        [STOP_TEXT] = "stop_sequence",
                                        [STOP_CALLER] = "caller",
                                        [STOP_CANCELLED] = "cancelled"};
    CHECK((unsigned)reason < COUNT(names));
    return names[reason];
}
