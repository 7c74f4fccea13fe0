/* params.c: GenerationConfig's fields from the model's own file and the caller's request: one table
 * of numbers and switches, one of lists, and the knobs' texts for help. */
#include "generate/generate.h"
#include "nn/nn.h"

enum { MAX_EOS = 64, MAX_STOP = 64, MAX_STOP_BYTES = 1024, MAX_IDS = 1 << 16, MAX_BEAMS = 64 };
enum { MAX_CANDIDATES = 256, MAX_FORMS = 256, MAX_FORM_IDS = 1024 };
/* What transformers generates when nobody says how much. */
enum { DEFAULT_NEW_TOKENS = 20, MAX_TOP_LOGPROBS = 100 };

static const Field fields[] = {
    OPT_RANGE(GenerateParams, max_new_tokens, INT, "max_new_tokens", 0, 1, 1e9),
    OPT_RANGE(GenerateParams, max_length, INT, "max_length", 0, 1, 1e9),
    OPT_RANGE(GenerateParams, max_time, DOUBLE, "max_time", 0, 0, 1e6),
    OPT_RANGE(GenerateParams, num_return_sequences, INT, "num_return_sequences", 1, 1, 100),
    OPT_RANGE(GenerateParams, seed, INT, "seed", -1, 0, 0x1p62),
    OPT_RANGE(GenerateParams, num_beams, INT, "num_beams", 1, 1, MAX_BEAMS),
    OPT_RANGE(GenerateParams, num_beam_groups, INT, "num_beam_groups", 1, 1, MAX_BEAMS),
    OPT_RANGE(GenerateParams, sample.diversity_penalty, FLOAT, "diversity_penalty", 0, 0, 1e6),
    OPT_RANGE(GenerateParams, pad, INT, "pad_token_id", -1, -1, INT32_MAX),
    OPT_RANGE(GenerateParams, penalty_alpha, FLOAT, "penalty_alpha", 0, 0, 1),
    OPT_RANGE(GenerateParams, length_penalty, FLOAT, "length_penalty", 1, -1e3, 1e3),
    OPT_RANGE(GenerateParams, prompt_lookup_num_tokens, INT, "prompt_lookup_num_tokens", 0, 0, 256),
    OPT_RANGE(GenerateParams, max_matching_ngram_size, INT, "max_matching_ngram_size", 2, 1, 64),
    OPT_RANGE(GenerateParams, num_assistant_tokens, INT, "num_assistant_tokens", 20, 1, 256),
    OPT_TEXT(GenerateParams, num_assistant_tokens_schedule, "num_assistant_tokens_schedule",
             "constant"),
    OPT_RANGE(GenerateParams, assistant_confidence_threshold, FLOAT,
              "assistant_confidence_threshold", 0.4, 0, 1),
    OPT_RANGE(GenerateParams, top_logprobs, INT, "top_logprobs|top_n_tokens", 0, 0,
              MAX_TOP_LOGPROBS),
    OPT(GenerateParams, sample.do_sample, BOOL, "do_sample", false),
    OPT_RANGE(GenerateParams, sample.temperature, FLOAT, "temperature", 1, 1e-6, 1e6),
    OPT_RANGE(GenerateParams, sample.top_k, INT, "top_k", 50, 0, 1e9),
    OPT_RANGE(GenerateParams, sample.top_p, FLOAT, "top_p", 1, 0, 1),
    OPT_RANGE(GenerateParams, sample.top_h, FLOAT, "top_h", 0, 0, 1),
    OPT_RANGE(GenerateParams, sample.min_p, FLOAT, "min_p", 0, 0, 1),
    OPT_RANGE(GenerateParams, sample.typical_p, FLOAT, "typical_p", 1, 1e-6, 1),
    OPT_RANGE(GenerateParams, sample.epsilon_cutoff, FLOAT, "epsilon_cutoff", 0, 0, 1),
    OPT_RANGE(GenerateParams, sample.eta_cutoff, FLOAT, "eta_cutoff", 0, 0, 1),
    OPT_RANGE(GenerateParams, sample.guidance_scale, FLOAT, "guidance_scale", 1, 0, 1e3),
    OPT_RANGE(GenerateParams, sample.repetition_penalty, FLOAT, "repetition_penalty", 1, 1e-6, 1e6),
    OPT_RANGE(GenerateParams, sample.encoder_repetition_penalty, FLOAT,
              "encoder_repetition_penalty", 1, 1e-6, 1e6),
    OPT_RANGE(GenerateParams, sample.frequency_penalty, FLOAT, "frequency_penalty", 0, -1e3, 1e3),
    OPT_RANGE(GenerateParams, sample.presence_penalty, FLOAT, "presence_penalty", 0, -1e3, 1e3),
    OPT_RANGE(GenerateParams, sample.no_repeat_ngram_size, INT, "no_repeat_ngram_size", 0, 0, 1e6),
    OPT_RANGE(GenerateParams, sample.encoder_no_repeat_ngram_size, INT,
              "encoder_no_repeat_ngram_size", 0, 0, 1e6),
    OPT_RANGE(GenerateParams, sample.min_length, INT, "min_length", 0, 0, 1e9),
    OPT_RANGE(GenerateParams, sample.min_new_tokens, INT, "min_new_tokens", 0, 0, 1e9),
    OPT_RANGE(GenerateParams, sample.forced_bos, INT, "forced_bos_token_id", -1, -1, INT32_MAX),
    OPT(GenerateParams, sample.remove_invalid_values, BOOL, "remove_invalid_values", false),
    OPT(GenerateParams, sample.renormalize_logits, BOOL, "renormalize_logits", false),
};

// ---- Lists ----

/* A list of token ids, or one. */
static bool ids_of(const json_t *value, const char *key, size_t limit, Arena *a, TokenIds *out,
                   Error *err)
{
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
    *out = (TokenIds){ids, count};
    return true;
}

static bool read_eos(GenerateParams *p, const json_t *value, const char *key, Arena *a, Error *err)
{
    return ids_of(value, key, MAX_EOS, a, &p->sample.eos, err);
}

/* They end a text as the model's own do, also where no end is allowed yet. */
static bool read_stop_tokens(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                             Error *err)
{
    TokenIds more, eos = p->sample.eos;
    if (!ids_of(value, key, MAX_EOS, a, &more, err))
        return false;
    int32_t *ids = NEW_ARRAY(a, int32_t, eos.n + more.n);
    for (size_t i = 0; i < eos.n + more.n; i++)
        ids[i] = i < eos.n ? eos.ids[i] : more.ids[i - eos.n];
    p->sample.eos = (TokenIds){ids, eos.n + more.n};
    return true;
}

static bool read_forced_eos(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                            Error *err)
{
    return ids_of(value, key, MAX_EOS, a, &p->sample.forced_eos, err);
}

static bool read_suppress(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                          Error *err)
{
    return ids_of(value, key, MAX_IDS, a, &p->sample.suppress, err);
}

static bool read_begin_suppress(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                                Error *err)
{
    return ids_of(value, key, MAX_IDS, a, &p->sample.begin_suppress, err);
}

/* [[1, 2], [3]] */
static bool read_bad_words(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                           Error *err)
{
    size_t n = json_array_size(value);
    if (n > MAX_IDS)
        return fail(err, ERR_LIMIT, "'%s' has %zu words, at most %d are allowed", key, n, MAX_IDS);
    TokenIds *words = NEW_ARRAY(a, TokenIds, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *word = json_array_get(value, i);
        if (!json_array_size(word))
            return fail(err, ERR_INVALID, "'%s' must be a list of lists of token ids", key);
        if (!ids_of(word, key, MAX_IDS, a, &words[i], err))
            return false;
    }
    if (n == 0)
        return fail(err, ERR_INVALID, "'%s' must be a list of lists of token ids", key);
    p->sample.bad_words = words;
    p->sample.n_bad_words = n;
    return true;
}

/* [[[1, 2], -0.5], ...]; the last bias of equal sequences counts. */
static bool read_biases(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                        Error *err)
{
    size_t n = json_array_size(value);
    if (n > MAX_IDS)
        return fail(err, ERR_LIMIT, "'%s' has %zu rows, at most %d are allowed", key, n, MAX_IDS);
    SequenceBias *biases = NEW_ARRAY(a, SequenceBias, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(value, i), *ids = json_array_get(row, 0),
                     *bias = json_array_get(row, 1);
        if (!json_array_size(ids) || !json_is_number(bias) || json_array_size(row) != 2)
            return fail(err, ERR_INVALID, "'%s' must be a list of [[token ids], bias]", key);
        if (!ids_of(ids, key, MAX_IDS, a, &biases[i].tokens, err))
            return false;
        biases[i].bias = (float)json_number_value(bias);
    }
    if (!json_is_array(value))
        return fail(err, ERR_INVALID, "'%s' must be a list of [[token ids], bias]", key);
    p->sample.biases = biases;
    p->sample.n_biases = n;
    return true;
}

/* [start, factor] */
static bool read_decay(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                       Error *err)
{
    const json_t *start = json_array_get(value, 0), *factor = json_array_get(value, 1);
    if (json_array_size(value) != 2 || !json_is_integer(start) || !json_is_number(factor))
        return fail(err, ERR_INVALID, "'%s' must be [start in new tokens, factor]", key);
    p->sample.decay_start = json_integer_value(start);
    p->sample.decay_factor = (float)json_number_value(factor);
    return true;
}

static bool read_watermark(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                           Error *err)
{
    if (!json_is_object(value))
        return fail(err, ERR_INVALID, "'%s' must be an object", key);
    if (json_object_get(value, "ngram_len"))
        return fail(err, ERR_UNSUPPORTED, "'%s': SynthID is not supported", key);
    const char *scheme = json_text(value, "seeding_scheme", "lefthash");
    WatermarkParams w = {.greenlist_ratio = json_num(value, "greenlist_ratio", 0.25),
                         .bias = (float)json_num(value, "bias", 2),
                         .hashing_key = json_int(value, "hashing_key", 15485863),
                         .selfhash = strcmp(scheme, "selfhash") == 0,
                         .context_width = json_int(value, "context_width", 1)};
    if (!w.selfhash && strcmp(scheme, "lefthash") != 0)
        return fail(err, ERR_INVALID, "'%s': 'seeding_scheme' must be lefthash or selfhash", key);
    if (!(w.greenlist_ratio > 0 && w.greenlist_ratio < 1) || w.context_width < 1 ||
        w.context_width > 1000)
        return fail(err, ERR_INVALID,
                    "'%s': 'greenlist_ratio' must lie between 0 and 1 and 'context_width' be at "
                    "least 1",
                    key);
    p->sample.watermark = w;
    return true;
}

static bool read_early_stopping(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                                Error *err)
{
    const char *text = json_string_value(value);
    if (!json_is_boolean(value) && !(text && strcmp(text, "never") == 0))
        return fail(err, ERR_INVALID, "'%s' must be true, false or \"never\"", key);
    p->early_stopping = text                  ? STOP_EARLY_NEVER
                        : json_is_true(value) ? STOP_EARLY_TRUE
                                              : STOP_EARLY_FALSE;
    return true;
}

/* "low", "high" or a list of layers. */
static bool read_dola(GenerateParams *p, const json_t *value, const char *key, Arena *a, Error *err)
{
    const char *text = json_string_value(value);
    if (text && (strcmp(text, "low") == 0 || strcmp(text, "high") == 0)) {
        p->dola = text[0] == 'l' ? DOLA_LOW : DOLA_HIGH;
        return true;
    }
    if (!json_is_array(value) || !ids_of(value, key, INSIDE_LAYERS, a, &p->dola_layers, NULL))
        return fail(err, ERR_INVALID,
                    "'%s' must be \"low\", \"high\" or a list of at most %d layers", key,
                    INSIDE_LAYERS);
    for (size_t i = 0; i < p->dola_layers.n; i++)
        if (p->dola_layers.ids[i] < 0)
            return fail(err, ERR_INVALID, "'%s': layers count from 0", key);
    p->dola = DOLA_LIST;
    return true;
}

static bool read_stop(GenerateParams *p, const json_t *value, const char *key, Arena *a, Error *err)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count > MAX_STOP)
        return fail(err, ERR_LIMIT, "'%s' has %zu texts, at most %d are allowed", key, count,
                    MAX_STOP);
    Str *stop = NEW_ARRAY(a, Str, count);
    for (size_t i = 0; i < count; i++) {
        const json_t *text = json_is_array(value) ? json_array_get(value, i) : value;
        size_t n = json_string_length(text);
        if (!json_is_string(text) || n == 0 || n > MAX_STOP_BYTES)
            return fail(err, ERR_INVALID, "'%s' must be a text of 1 to %d bytes or a list of them",
                        key, MAX_STOP_BYTES);
        stop[i] = arena_str(a, (Str){json_string_value(text), n});
    }
    p->stop = stop;
    p->n_stop = count;
    return true;
}

// ---- Words that must be there ----

/* [1, 2] is a word of one form, [[1, 2], [3]] one of several. */
static bool read_word(ForcedWord *w, const json_t *value, const char *key, Arena *a, Error *err)
{
    bool several = json_is_array(json_array_get(value, 0));
    *w = (ForcedWord){.n = several ? json_array_size(value) : 1};
    if (w->n > MAX_FORMS)
        return fail(err, ERR_LIMIT, "'%s': a word has %zu forms, at most %d are allowed", key, w->n,
                    MAX_FORMS);
    TokenIds *forms = NEW_ARRAY(a, TokenIds, w->n);
    w->forms = forms;
    for (size_t i = 0; i < w->n; i++) {
        const json_t *form = several ? json_array_get(value, i) : value;
        if (!json_is_array(form) || json_array_size(form) == 0)
            return fail(err, ERR_INVALID,
                        "'%s' must be a list of words: lists of token ids, or lists "
                        "of such lists, any of which will do",
                        key);
        if (!ids_of(form, key, MAX_FORM_IDS, a, &forms[i], err))
            return false;
        for (size_t k = 0; k < forms[i].n; k++)
            if (forms[i].ids[k] < 0)
                return fail(err, ERR_INVALID, "'%s': token ids count from 0", key);
        w->longest = MAX(w->longest, forms[i].n);
        for (size_t k = 0; k < i; k++)
            if (memcmp(forms[k].ids, forms[i].ids,
                       MIN(forms[k].n, forms[i].n) * sizeof *forms[i].ids) == 0)
                return fail(err, ERR_INVALID, "'%s': no form of a word may begin another", key);
    }
    return true;
}

/* The words of both keys follow one another. */
static bool read_words(GenerateParams *p, const json_t *value, const char *key, Arena *a,
                       Error *err)
{
    size_t n = json_array_size(value), n_forms = 0;
    if (n == 0)
        return fail(err, ERR_INVALID, "'%s' must be a list of lists of token ids", key);
    if (p->n_forced + n > MAX_FORCED_WORDS)
        return fail(err, ERR_LIMIT, "'%s' has %zu words, at most %d are allowed", key, n,
                    MAX_FORCED_WORDS);
    ForcedWord *words = NEW_ARRAY(a, ForcedWord, p->n_forced + n);
    for (size_t i = 0; i < p->n_forced; i++)
        words[i] = p->forced[i];
    for (size_t i = 0; i < n; i++)
        if (!read_word(&words[p->n_forced + i], json_array_get(value, i), key, a, err))
            return false;
    p->forced = words;
    p->n_forced += n;
    for (size_t i = 0; i < p->n_forced; i++)
        n_forms += words[i].n;
    if (n_forms > MAX_FORMS)
        return fail(err, ERR_LIMIT, "'%s': %zu forms of words in all, at most %d are allowed", key,
                    n_forms, MAX_FORMS);
    return true;
}

/* The first spelling that is there counts. */
static const struct {
    const char *keys[3];
    bool (*read)(GenerateParams *p, const json_t *value, const char *key, Arena *a, Error *err);
} lists[] = {
    {{"eos_token_id"}, read_eos},
    {{"stop_token_ids"}, read_stop_tokens}, // behind eos_token_id
    {{"forced_eos_token_id"}, read_forced_eos},
    {{"suppress_tokens"}, read_suppress},
    {{"begin_suppress_tokens"}, read_begin_suppress},
    {{"bad_words_ids"}, read_bad_words},
    {{"constraints"}, read_words},
    {{"force_words_ids"}, read_words},
    {{"sequence_bias"}, read_biases},
    {{"exponential_decay_length_penalty"}, read_decay},
    {{"watermarking_config"}, read_watermark},
    {{"early_stopping"}, read_early_stopping},
    {{"dola_layers"}, read_dola},
    {{"stop", "stop_sequences", "stop_strings"}, read_stop},
};

static bool read_lists(GenerateParams *p, const json_t *object, Arena *a, Error *err)
{
    for (size_t i = 0; i < COUNT(lists); i++)
        for (size_t k = 0; k < COUNT(lists[i].keys) && lists[i].keys[k]; k++) {
            const json_t *value = json_object_get(object, lists[i].keys[k]);
            if (!value || json_is_null(value))
                continue;
            if (!lists[i].read(p, value, lists[i].keys[k], a, err))
                return false;
            break;
        }
    return true;
}

// ---- What we do not do ----

/* Keys of GenerationConfig whose work nothing here does; refused where they would change the text:
 * where they say more than null, false or nothing. */
static const char *const refused[] = {"assistant_early_exit",
                                      "assistant_ensemble_weight",
                                      "forced_decoder_ids",
                                      "generation_kwargs",
                                      "speculation_type",
                                      "token_healing",
                                      "use_mtp"};

/* Those that only say how a text is computed or handed over, or what a program noted. */
static const char *const without_effect[] = {
    "_commit_hash",           "_from_model_config",
    "assistant_lookbehind",   "bos_token_id",
    "cache_config",           "cache_implementation",
    "compile_config",         "continuous_batching_config",
    "decoder_start_token_id", "disable_compile",
    "is_assistant",           "low_memory",
    "max_cache_len",          "output_attentions",
    "output_hidden_states",   "output_logits",
    "output_scores",          "pad_token_id",
    "prefill_chunk_size",     "return_dict_in_generate",
    "return_legacy_cache",    "target_lookbehind",
    "transformers_version",   "use_cache",
};

static bool is_listed(const char *const *list, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], key) == 0)
            return true;
    return false;
}

bool generate_key_is_known(const char *key)
{
    return generate_knob_find(key) || is_listed(refused, COUNT(refused), key) ||
           is_listed(without_effect, COUNT(without_effect), key);
}

static bool check_refused(const json_t *all, Error *err)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        const json_t *value = json_object_get(all, refused[i]);
        bool says = value && !json_is_null(value) && !json_is_false(value) &&
                    !(json_is_object(value) && json_object_size(value) == 0);
        if (says)
            return fail(err, ERR_UNSUPPORTED, "'%s' is not supported", refused[i]);
    }
    return true;
}

bool generate_is_contrastive(const GenerateParams *p)
{
    return p->penalty_alpha > 0 && p->sample.top_k > 1 && !p->sample.do_sample && p->num_beams == 1;
}

bool generate_may_be_assisted(const GenerateParams *p)
{
    return p->num_beams == 1 && p->num_return_sequences == 1 && p->sample.guidance_scale == 1 &&
           !p->dola && !generate_is_contrastive(p) && p->prompt_lookup_num_tokens == 0;
}

bool generate_request_is_search(const json_t *request)
{
    return json_int(request, "num_beams", 1) > 1 || json_num(request, "penalty_alpha", 0) > 0;
}

/* Of groups of beams. */
static bool check_groups(const GenerateParams *p, Error *err)
{
    bool penalty = p->sample.diversity_penalty > 0, groups = p->num_beam_groups > 1;
    if (groups && p->num_beams % p->num_beam_groups)
        return fail(err, ERR_INVALID, "'num_beams' must be a multiple of 'num_beam_groups'");
    if (groups != penalty)
        return fail(err, ERR_INVALID,
                    "'num_beam_groups' above 1 and 'diversity_penalty' above 0 need each other");
    if (groups && p->sample.do_sample)
        return fail(err, ERR_INVALID, "'do_sample' does not go with 'num_beam_groups'");
    return true;
}

/* Of words that must be there. */
static bool check_words(const GenerateParams *p, Error *err)
{
    if (p->n_forced == 0)
        return true;
    if (p->num_beams == 1)
        return fail(err, ERR_INVALID, "'force_words_ids' needs 'num_beams' above 1");
    if (p->sample.do_sample || p->num_beam_groups > 1)
        return fail(err, ERR_INVALID, "'force_words_ids' does not go with '%s'",
                    p->sample.do_sample ? "do_sample" : "num_beam_groups");
    return true;
}

/* What looks inside the model follows one text. */
static bool check_inside(const GenerateParams *p, Error *err)
{
    bool contrastive = generate_is_contrastive(p);
    const char *key = contrastive ? "penalty_alpha" : "dola_layers";
    if (!contrastive && !p->dola)
        return true;
    if (contrastive && p->dola)
        return fail(err, ERR_INVALID, "'penalty_alpha' does not go with 'dola_layers'");
    if (p->num_beams > 1 || p->num_return_sequences > 1 || p->sample.guidance_scale != 1)
        return fail(err, ERR_INVALID, "'%s' is for one sequence, without beams and guidance", key);
    if (contrastive && p->sample.top_k > MAX_CANDIDATES)
        return fail(err, ERR_INVALID, "'top_k' with 'penalty_alpha' may be at most %d",
                    MAX_CANDIDATES);
    return true;
}

/* What does not go together. */
static bool check_together(const GenerateParams *p, Error *err)
{
    if (p->sample.top_p <= 0)
        return fail(err, ERR_INVALID, "'top_p' must lie in 0 to 1, 0 excluded");
    if (p->num_beams > 1 && p->num_return_sequences > p->num_beams)
        return fail(err, ERR_INVALID,
                    "'num_return_sequences' is %lld, more than the %lld of 'num_beams'",
                    (long long)p->num_return_sequences, (long long)p->num_beams);
    if (p->num_beams == 1 && p->num_return_sequences > 1 && !p->sample.do_sample)
        return fail(err, ERR_INVALID,
                    "'num_return_sequences' above 1 needs 'do_sample': true or 'num_beams', "
                    "because the likeliest tokens are always the same");
    if (p->num_beams > 1 && p->sample.guidance_scale != 1)
        return fail(err, ERR_UNSUPPORTED, "'guidance_scale' does not go with 'num_beams'");
    if (p->prompt_lookup_num_tokens > 0 && (p->num_beams > 1 || p->num_return_sequences > 1))
        return fail(err, ERR_INVALID, "'prompt_lookup_num_tokens' is for one sequence");
    return check_groups(p, err) && check_words(p, err) && check_inside(p, err);
}

/* Members that are null do not hide what the model's file says. */
static json_t *overlay(const json_t *below, const json_t *above)
{
    json_t *all = json_object();
    if (below)
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
    return generate_params_parse(p, language_model_defaults(m), request, a, err);
}

bool generate_params_parse(GenerateParams *p, const json_t *defaults, const json_t *request,
                           Arena *a, Error *err)
{
    AUTO(json_decref) json_t *all = overlay(defaults, request);
    GenerateParams read = {.sample = sample_params_neutral()};
    if (!fields_read(&read, fields, COUNT(fields), all, a, err) ||
        !read_lists(&read, all, a, err) || !check_refused(all, err) || !check_together(&read, err))
        return false;
    if (read.max_new_tokens == 0 && read.max_length == 0)
        read.max_new_tokens = DEFAULT_NEW_TOKENS;
    if (read.sample.min_new_tokens > 0) // which wins
        read.sample.min_length = 0;
    *p = read;
    return true;
}

const Knob generate_knobs[] = {
    {"max_new_tokens", "N", "at most N tokens"},
    {"min_new_tokens", "N", "at least N tokens"},
    {"max_length", "N", "at most N tokens, the prompt's counted"},
    {"min_length", "N", "at least N tokens, the prompt's counted"},
    {"max_time", "S", "end after S seconds"},
    {"do_sample", NULL, "draw tokens instead of taking the likeliest"},
    {"temperature", "T", "how evenly to draw; 1"},
    {"top_k", "K", "draw among the K likeliest; 50, 0: all"},
    {"top_p", "P", "draw among the likeliest that sum to P; 1"},
    {"top_h", "H", "draw among the likeliest that hold H of their entropy"},
    {"min_p", "P", "draw among those with P times the best's probability; 0"},
    {"typical_p", "P", "draw among the most typical that sum to P; 1"},
    {"epsilon_cutoff", "E", "draw among those of probability E and more; 0"},
    {"eta_cutoff", "E", "as epsilon_cutoff, looser where much is open; 0"},
    {"repetition_penalty", "R", "above 1: repeat less, the prompt counted"},
    {"encoder_repetition_penalty", "R", "above 1: keep to the prompt's tokens"},
    {"frequency_penalty", "F", "taken off a token for each time it was generated; 0"},
    {"presence_penalty", "F", "taken off each token that was generated; 0"},
    {"no_repeat_ngram_size", "N", "no N tokens twice"},
    {"encoder_no_repeat_ngram_size", "N", "no N tokens that are in the prompt"},
    {"bad_words_ids", "JSON", "[[ids], ...]: never write these"},
    {"sequence_bias", "JSON", "[[[ids], bias], ...]: for or against these"},
    {"suppress_tokens", "JSON", "[ids]: never write these"},
    {"begin_suppress_tokens", "JSON", "[ids]: do not begin with these"},
    {"forced_bos_token_id", "ID", "the first token"},
    {"forced_eos_token_id", "ID", "the last token, at the greatest length"},
    {"exponential_decay_length_penalty", "JSON", "[start, factor]: the end grows likelier"},
    {"guidance_scale", "G", "above 1: keep closer to the prompt"},
    {"remove_invalid_values", NULL, "take infinities for the largest numbers"},
    {"renormalize_logits", NULL, "make probabilities of what is left; matters to beams"},
    {"watermarking_config", "JSON", "{\"bias\": 2.0, ...}: a mark that a detector finds"},
    {"num_beams", "N", "beam search with N beams"},
    {"length_penalty", "L", "beams: above 0 prefers longer texts; 1"},
    {"early_stopping", "B", "beams: true, false or \"never\""},
    {"num_beam_groups", "N", "beams in N groups that differ from each other"},
    {"diversity_penalty", "D", "groups: taken off what earlier groups chose"},
    {"force_words_ids", "JSON", "beams: [[ids], ...], words that must be there"},
    {"constraints", "JSON", "the same"},
    {"penalty_alpha", "A", "contrastive search among top_k: how much repeating costs"},
    {"dola_layers", "L", "low, high or [layers]: take what early layers say off"},
    {"num_return_sequences", "N", "N continuations"},
    {"prompt_lookup_num_tokens", "N", "guess N tokens from the text so far, and verify them"},
    {"max_matching_ngram_size", "N", "by the latest N tokens; 2"},
    {"num_assistant_tokens", "N", "tokens that the assistant model proposes; 20"},
    {"num_assistant_tokens_schedule", "S", "constant, heuristic or heuristic_transient"},
    {"assistant_confidence_threshold", "P", "it stops below this probability; 0.4"},
    {"eos_token_id", "JSON", "the tokens that end a text"},
    {"stop_token_ids", "JSON", "tokens that end it too"},
    {"stop_strings", "JSON", "texts that end a text"},
    {"seed", "N", "the same seed gives the same text"},
};
const size_t n_generate_knobs = COUNT(generate_knobs);

const Knob *generate_knob_find(const char *key)
{
    for (size_t i = 0; i < n_generate_knobs; i++)
        if (strcmp(generate_knobs[i].key, key) == 0)
            return &generate_knobs[i];
    return NULL;
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
