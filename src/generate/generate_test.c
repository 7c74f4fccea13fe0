/* Whole decoders against transformers: the recorded tokens and logits of tests/golden, and what the
 * loop promises besides. */
#include "base/test.h"
#include "formats/safetensors.h"
#include "generate/generate.h"

#include <math.h>
#include <unistd.h>

static const char *golden(const char *name)
{
    static char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    return path;
}

static const char *const cases[] = {"gpt2",    "gpt2-bare",    "llama",
                                    "llama-3", "llama-linear", "llama-yarn"};

/* One recorded prompt: its ids, the greedy tokens behind it, and the logits of its last position.
 */
typedef struct Record {
    int32_t prompt[128];
    size_t n;
    const int64_t *tokens; // n_tokens of them
    size_t n_tokens;
    const float *logits; // [vocab]
} Record;

static Record record_at(const Checkpoint *c, int64_t i)
{
    const StoredTensor *prompts = checkpoint_find(c, S("prompts")),
                       *tokens = checkpoint_find(c, S("tokens")),
                       *logits = checkpoint_find(c, S("logits"));
    assert_true(prompts && tokens && logits && i < prompts->dims[0]);
    Record r = {.n_tokens = (size_t)tokens->dims[1]};
    r.tokens = (const int64_t *)tokens->data + i * tokens->dims[1];
    r.logits = (const float *)logits->data + i * logits->dims[1];
    const int64_t *ids = (const int64_t *)prompts->data + i * prompts->dims[1];
    for (; (int64_t)r.n < prompts->dims[1] && ids[r.n] >= 0; r.n++)
        r.prompt[r.n] = (int32_t)ids[r.n];
    return r;
}

/* The largest difference over the largest logit: what "1e-4 relative" means here. */
static float distance(const float *a, const float *b, int64_t n)
{
    float worst = 0, top = 0;
    for (int64_t i = 0; i < n; i++) {
        worst = fmaxf(worst, fabsf(a[i] - b[i]));
        top = fmaxf(top, fabsf(b[i]));
    }
    return worst / top;
}

static GenerateParams greedy(const LanguageModel *m, int64_t n, Arena *a)
{
    Error err = {0};
    GenerateParams p;
    assert_ok(generate_params_read(&p, m, NULL, a, &err));
    p.max_new_tokens = n;
    p.sample.eos.n = 0;
    return p;
}

static void check_against_golden(const char *name, const char *recorded, const char *dtype)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(language_model_free) LanguageModel *m = NULL;
    LanguageModelOptions options = {.dtype = dtype};
    assert_ok(m = language_model_open(golden(name), &options, &err));
    AUTO(session_free) Session *s = NULL;
    assert_ok(s = session_new(m, 0, &err));
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(
        c = checkpoint_open(arena_printf(a, "%s/golden.safetensors", golden(recorded)), &err));
    for (int64_t i = 0; i < checkpoint_find(c, S("prompts"))->dims[0]; i++) {
        Record r = record_at(c, i);
        session_rewind(s, 0);
        assert_ok(session_feed(s, r.prompt, r.n, NULL, &err));
        float off = distance(session_logits(s), r.logits, language_model_vocab(m));
        if (!(off < 1e-4f))
            fail_msg("%s: prompt %d: logits are off by %g", name, (int)i, (double)off);
        GenerateParams p = greedy(m, (int64_t)r.n_tokens, a);
        GenerateCall call = {.arena = a};
        assert_ok(generate(s, r.prompt, r.n, &p, &call, &err));
        assert_int_equal(call.sequences[0].n, r.n_tokens);
        for (size_t t = 0; t < r.n_tokens; t++)
            if (call.sequences[0].ids[t] != r.tokens[t])
                fail_msg("%s: prompt %d: token %zu is %d, not %d", name, (int)i, t,
                         call.sequences[0].ids[t], (int)r.tokens[t]);
    }
}

static void test_tokens_and_logits_are_those_of_transformers(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        check_against_golden(cases[i], cases[i], "f32");
}

/* The same weights, stored as GGUF has them: other names, rows in another order, projections turned
 * round, llama3's scaling as a tensor of factors. */
static void test_gguf_files_give_the_same(void **state)
{
    check_against_golden("llama.gguf", "llama", "auto");
    check_against_golden("llama-3.gguf", "llama-3", "auto");
    check_against_golden("gpt2.gguf", "gpt2", "auto");
}

/* Prompts longer than a chunk, or fed in pieces, give what they give whole. */
static void test_a_prompt_in_pieces_is_the_same_prompt(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    AUTO(session_free) Session *whole = session_new(m, 0, &err), *pieces = session_new(m, 0, &err);
    int32_t ids[100];
    for (int i = 0; i < 100; i++)
        ids[i] = (i * 37 + 11) % 200;
    assert_ok(session_feed(whole, ids, 100, NULL, &err));
    for (size_t done = 0, n = 1; done < 100; done += n, n = MIN(n * 2, 100 - done))
        assert_ok(session_feed(pieces, ids + done, n, NULL, &err));
    int64_t vocab = language_model_vocab(m);
    assert_true(distance(session_logits(pieces), session_logits(whole), vocab) < 1e-5f);
    session_rewind(pieces, 50);
    assert_ok(session_feed(pieces, ids + 50, 50, NULL, &err));
    assert_true(distance(session_logits(pieces), session_logits(whole), vocab) < 1e-5f);
    assert_int_equal(session_length(pieces), 100);
    assert_fails(session_feed(pieces, ids, 29, NULL, &err), ERR_LIMIT,
                 "the model takes 128 in all");
    assert_fails(session_feed(pieces, &(int32_t){211}, 1, NULL, &err), ERR_INVALID,
                 "token 0 is 211; ids lie in 0 to 210");
    atomic_bool stop = true;
    assert_fails(session_feed(pieces, ids, 2, &stop, &err), ERR_CANCELLED, "0 of 2");
}

typedef struct Heard {
    int n, most;
    double logprobs;
} Heard;

static bool hear(void *context, const GeneratedToken *t)
{
    Heard *h = context;
    h->logprobs += (double)t->logprob;
    return ++h->n < h->most;
}

static void test_the_loop_stops_for_each_reason(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("llama"), NULL, &err));
    AUTO(session_free) Session *s = NULL;
    assert_ok(s = session_new(m, 0, &err));
    const int32_t prompt[] = {5, 6, 7};
    Heard heard = {.most = 100};
    GenerateCall call = {.arena = a, .on_token = hear, .context = &heard, .want_logprobs = true};
    GenerateParams p = greedy(m, 8, a);
    assert_ok(generate(s, prompt, 3, &p, &call, &err));
    assert_int_equal(call.sequences[0].reason, STOP_LENGTH);
    assert_true(heard.n == 8 && heard.logprobs < 0 && call.decode_tokens == 7);

    int32_t end = call.sequences[0].ids[4];
    p.sample.eos = (TokenIds){&end, 1};
    call = (GenerateCall){.arena = a};
    assert_ok(generate(s, prompt, 3, &p, &call, &err));
    assert_int_equal(call.sequences[0].reason, STOP_EOS);
    assert_true(call.sequences[0].n <= 5 && call.prompt_cached == 2);
    p.sample.min_new_tokens = 8;
    assert_ok(generate(s, prompt, 3, &p, &call, &err));
    assert_int_equal(call.sequences[0].reason, STOP_LENGTH);

    heard = (Heard){.most = 3};
    call = (GenerateCall){.arena = a, .on_token = hear, .context = &heard};
    assert_ok(generate(s, prompt, 3, &p, &call, &err));
    assert_true(call.sequences[0].reason == STOP_CALLER && call.sequences[0].n == 3);

    p = greedy(m, 1000, a); // as many as fit
    call = (GenerateCall){.arena = a};
    assert_ok(generate(s, prompt, 3, &p, &call, &err));
    assert_true(call.sequences[0].reason == STOP_LENGTH && call.sequences[0].n == 125);
    assert_fails(generate(s, prompt, 0, &p, &call, &err), ERR_INVALID, "no tokens");
    int32_t many[128] = {0};
    assert_fails(generate(s, many, 128, &p, &call, &err), ERR_LIMIT, "128 tokens, and 127");
}

static void test_seeds_repeat_and_sequences_differ(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("gpt2"), NULL, &err));
    AUTO(session_free) Session *s = NULL;
    assert_ok(s = session_new(m, 0, &err));
    AUTO(json_decref)
    json_t *request =
        json_parse(S("{\"do_sample\":true,\"temperature\":5,\"seed\":7,\"num_return_sequences\":3,"
                     "\"max_new_tokens\":20,\"eos_token_id\":[]}"),
                   "request", &err);
    GenerateParams p;
    assert_ok(generate_params_read(&p, m, request, a, &err));
    const int32_t prompt[] = {9};
    GenerateCall first = {.arena = a}, second = {.arena = a};
    assert_ok(generate(s, prompt, 1, &p, &first, &err));
    session_rewind(s, 0);
    assert_ok(generate(s, prompt, 1, &p, &second, &err));
    assert_int_equal(first.n_sequences, 3);
    for (int i = 0; i < 3; i++)
        assert_memory_equal(first.sequences[i].ids, second.sequences[i].ids, 20 * sizeof(int32_t));
    assert_memory_not_equal(first.sequences[0].ids, first.sequences[1].ids, 20 * sizeof(int32_t));
}

// ---- Whole texts by every knob and strategy: tests/golden/decoding.json ----

static const json_t *member(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static void check_text(const json_t *c, const LanguageModel *m, Session *s, Session *assistant)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    const json_t *ids = member(c, "prompt"), *sequences = member(c, "sequences");
    AUTO_BUF name;
    buf_init(&name, 0);
    json_write(&name, member(c, "parameters"));
    GenerateParams p;
    assert_ok(generate_params_read(&p, m, member(c, "parameters"), a, &err));
    int32_t prompt[64];
    for (size_t i = 0; i < json_array_size(ids); i++)
        prompt[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    GenerateCall call = {.arena = a};
    if (json_is_true(member(c, "assistant")))
        call.assistant = assistant;
    if (!generate(s, prompt, json_array_size(ids), &p, &call, &err))
        fail_msg("%s: %s", name.ptr, err.text);
    assert_int_equal(call.n_sequences, json_array_size(sequences));
    for (size_t k = 0; k < call.n_sequences; k++) {
        const json_t *wanted = json_array_get(sequences, k);
        const Generated *g = &call.sequences[k];
        for (size_t i = 0; i < MAX(g->n, json_array_size(wanted)); i++) {
            int64_t id = i < g->n ? g->ids[i] : -1;
            int64_t right =
                i < json_array_size(wanted) ? json_integer_value(json_array_get(wanted, i)) : -1;
            if (id != right)
                fail_msg("%s %s, %zu prompt tokens: sequence %zu, token %zu is %lld, not %lld",
                         json_text(c, "model", ""), name.ptr, json_array_size(ids), k, i,
                         (long long)id, (long long)right);
        }
    }
}

static void check_texts(const char *file, const char *const *models, size_t n_models)
{
    Error err = {0};
    AUTO(json_decref) json_t *recorded = NULL;
    assert_ok(recorded = json_read_file(golden(file), 8 << 20, &err));
    for (size_t k = 0; k < n_models; k++) {
        AUTO(language_model_free) LanguageModel *m = NULL;
        assert_ok(m = language_model_open(golden(models[k]), NULL, &err));
        AUTO(session_free) Session *s = NULL, *assistant = NULL;
        assert_ok(s = session_new(m, 0, &err));
        assert_ok(assistant = session_new(m, 0, &err));
        size_t i, n = 0;
        const json_t *c;
        json_array_foreach(member(recorded, "texts"), i, c)
        {
            if (strcmp(json_text(c, "model", ""), models[k]) != 0)
                continue;
            check_text(c, m, s, assistant);
            n++;
        }
        assert_true(n > 50);
    }
}

static void test_every_knob_gives_the_text_of_transformers(void **state)
{
    static const char *const models[] = {"gpt2", "llama"};
    check_texts("decoding.json", models, COUNT(models));
}

static void test_what_transformers_moved_out_gives_the_texts_of_an_older_one(void **state)
{
    static const char *const models[] = {"gpt2", "llama", "gpt2-deep"};
    check_texts("decoding_older.json", models, COUNT(models));
}

static void refuse(const LanguageModel *m, const char *request, const char *words)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref) json_t *object = json_parse(str_of(request), "request", &err);
    assert_non_null(object);
    GenerateParams p;
    assert_fails(generate_params_read(&p, m, object, a, &err), ERR_INVALID, words);
}

static void test_parameters_out_of_range_are_named(void **state)
{
    Error err = {0};
    AUTO(language_model_free) LanguageModel *m = NULL;
    assert_ok(m = language_model_open(golden("gpt2"), NULL, &err));
    refuse(m, "{\"temperature\":0}", "'temperature' must lie in");
    refuse(m, "{\"top_p\":0}", "'top_p'");
    refuse(m, "{\"top_k\":-1}", "'top_k'");
    refuse(m, "{\"do_sample\":1}", "'do_sample' must be true or false");
    refuse(m, "{\"stop\":[1]}", "'stop' must be a text");
    refuse(m, "{\"eos_token_id\":\"x\"}", "'eos_token_id' must be a token id");
    refuse(m, "{\"num_beams\":4,\"num_beam_groups\":3,\"diversity_penalty\":1.0}", "a multiple");
    refuse(m, "{\"num_beams\":4,\"num_beam_groups\":2}", "need each other");
    refuse(m, "{\"force_words_ids\":[[1]]}", "'force_words_ids' needs 'num_beams' above 1");
    refuse(m, "{\"num_beams\":2,\"force_words_ids\":[1]}", "must be a list of words");
    refuse(m, "{\"num_beams\":2,\"constraints\":[[[1,2],[1]]]}", "no form of a word may begin");
    refuse(m, "{\"num_beams\":2,\"constraints\":[[[1],[]]]}", "'constraints' must be a list");
    refuse(m, "{\"num_beams\":2,\"force_words_ids\":[[1]],\"do_sample\":true}", "does not go with");
    refuse(m, "{\"dola_layers\":\"middle\"}", "'dola_layers' must be");
    refuse(m, "{\"penalty_alpha\":0.6,\"dola_layers\":\"low\"}", "does not go with");
    GenerateParams p;
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref) json_t *nulls = json_parse(S("{\"temperature\":null}"), "x", &err);
    assert_ok(generate_params_read(&p, m, nulls, a, &err));
    assert_true(p.sample.eos.n == 1 && p.sample.eos.ids[0] == 202 && p.max_new_tokens == 20);
}

/* What to_dict of versions 4.48 and 5.24 has. */
static void test_every_key_of_a_generation_config_is_known(void **state)
{
    static const char keys[] =
        "_commit_hash _from_model_config assistant_confidence_threshold assistant_early_exit "
        "assistant_ensemble_weight assistant_lookbehind bad_words_ids begin_suppress_tokens "
        "bos_token_id cache_config cache_implementation compile_config constraints "
        "continuous_batching_config decoder_start_token_id disable_compile diversity_penalty "
        "do_sample dola_layers early_stopping encoder_no_repeat_ngram_size "
        "encoder_repetition_penalty eos_token_id epsilon_cutoff eta_cutoff "
        "exponential_decay_length_penalty force_words_ids forced_bos_token_id forced_decoder_ids "
        "forced_eos_token_id generation_kwargs guidance_scale is_assistant length_penalty "
        "low_memory max_cache_len max_length max_matching_ngram_size max_new_tokens max_time "
        "min_length min_new_tokens min_p no_repeat_ngram_size num_assistant_tokens "
        "num_assistant_tokens_schedule num_beam_groups num_beams num_return_sequences "
        "output_attentions output_hidden_states output_logits output_scores pad_token_id "
        "penalty_alpha prefill_chunk_size prompt_lookup_num_tokens remove_invalid_values "
        "renormalize_logits repetition_penalty return_dict_in_generate return_legacy_cache "
        "sequence_bias speculation_type stop_strings suppress_tokens target_lookbehind temperature "
        "token_healing top_h top_k top_p transformers_version typical_p use_cache use_mtp "
        "watermarking_config";
    Str rest = str_of(keys), key;
    while (str_split(&rest, ' ', &key)) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", STR(key));
        if (!generate_key_is_known(name))
            fail_msg("'%s' is neither applied nor refused", name);
    }
    assert_false(generate_key_is_known("banana"));
}

static void test_refused_keys_are_named_where_they_say_something(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    GenerateParams p;
    AUTO(json_decref)
    json_t *silent = json_parse(S("{\"use_mtp\":false,\"generation_kwargs\":{},"
                                  "\"assistant_early_exit\":null,\"stop_token_ids\":[7,8],"
                                  "\"eos_token_id\":3}"),
                                "x", &err);
    assert_ok(generate_params_parse(&p, NULL, silent, a, &err));
    assert_true(p.sample.eos.n == 3 && p.sample.eos.ids[0] == 3 && p.sample.eos.ids[2] == 8);
    AUTO(json_decref) json_t *early = json_parse(S("{\"assistant_early_exit\":4}"), "x", &err);
    assert_fails(generate_params_parse(&p, NULL, early, a, &err), ERR_UNSUPPORTED,
                 "'assistant_early_exit' is not supported");
}

/* A copy of a golden model with another configuration. */
static const char *model_with(const char *name, const char *key, json_t *value)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *dir = test_path("changed");
    assert_ok(file_remove_tree(dir, &err));
    assert_ok(file_make_folders(dir, 0700, &err));
    char weights[700];
    snprintf(weights, sizeof weights, "%s/model.safetensors", golden(name));
    assert_int_equal(symlink(weights, test_path("changed/model.safetensors")), 0);
    AUTO(json_decref)
    json_t *config = json_read_file(arena_printf(a, "%s/config.json", golden(name)), 1 << 20, &err);
    assert_non_null(config);
    json_object_set_new(config, key, value);
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, config);
    assert_ok(file_write_atomic(test_path("changed/config.json"), buf_str(&text), 0600, &err));
    return dir;
}

static void test_models_that_do_not_fit_their_configuration_are_refused(void **state)
{
    Error err;
#define REFUSED(name, key, value, code, words)                                                     \
    assert_fails(language_model_open(model_with(name, key, value), NULL, &err), code, words)
    REFUSED("llama", "num_hidden_layers", json_integer(3), ERR_NOT_FOUND,
            "tensor 'model.layers.2.input_layernorm.weight' is missing");
    REFUSED("llama", "num_hidden_layers", json_integer(1), ERR_INVALID,
            "belongs to no layer of this architecture (9 such tensors)");
    REFUSED("llama", "vocab_size", json_integer(212), ERR_INVALID,
            "tensor 'model.embed_tokens.weight': model wants [212,40], file has [211,40]");
    REFUSED("llama", "attention_bias", json_true(), ERR_NOT_FOUND,
            "'model.layers.0.self_attn.q_proj.bias' is missing");
    REFUSED("llama", "hidden_act", json_string("wavy"), ERR_UNSUPPORTED, "activation 'wavy'");
    REFUSED("llama", "hidden_size", json_integer(0), ERR_INVALID, "'hidden_size' must lie in");
    REFUSED("llama", "num_key_value_heads", json_integer(3), ERR_INVALID, "");
    REFUSED("gpt2", "n_head", json_integer(5), ERR_INVALID, "");
    REFUSED("gpt2", "architectures", json_pack("[s]", "MambaForCausalLM"), ERR_UNSUPPORTED,
            "architecture 'MambaForCausalLM' is not supported; supported are GPT2LMHeadModel, "
            "LlamaForCausalLM");
    LanguageModelOptions odd = {.dtype = "f7"};
    assert_fails(language_model_open(golden("gpt2"), &odd, &err), ERR_UNSUPPORTED, "dtype 'f7'");
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(
        test_tokens_and_logits_are_those_of_transformers, test_gguf_files_give_the_same,
        test_a_prompt_in_pieces_is_the_same_prompt, test_the_loop_stops_for_each_reason,
        test_seeds_repeat_and_sequences_differ, test_every_knob_gives_the_text_of_transformers,
        test_what_transformers_moved_out_gives_the_texts_of_an_older_one,
        test_parameters_out_of_range_are_named, test_every_key_of_a_generation_config_is_known,
        test_refused_keys_are_named_where_they_say_something,
        test_models_that_do_not_fit_their_configuration_are_refused);
}
