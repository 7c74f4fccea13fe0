/* verb_generate.c: `hug generate`: a prompt in, the model's continuation out, as it is found. */
#include "cli/cli.h"
#include "cli/knobs.h"

#include "base/clock.h"
#include "fetch/fetch.h"
#include "generate/generate.h"

#include <signal.h>
#include <unistd.h>

typedef struct Options {
    bool greedy, stats, json;
    const char *dtype, *cache_dtype, *prompt_ids, *assistant_model, *negative_prompt;
    OptionList stop;
    Constraint constraint;
} Options;

static const Option options[] = {
    FLAG(Options, greedy, "--greedy", "always the likeliest token"),
    VALUE(Options, stop, LIST, "--stop", "TEXT", "end behind this text; may be given again"),
    CONSTRAINT_OPTIONS(Options, constraint),
    VALUE(Options, assistant_model, TEXT, "--assistant-model", "MODEL",
          "a smaller one of the same vocabulary, whose guesses are verified"),
    VALUE(Options, negative_prompt, TEXT, "--negative-prompt", "TEXT",
          "with --guidance-scale: keep away from this"),
    VALUE(Options, dtype, TEXT, "--dtype", "D", "of the weights: auto, f32, bf16, q8_0, q4_0, ..."),
    VALUE(Options, cache_dtype, TEXT, "--cache-dtype", "D",
          "of keys and values: f32; f16, bf16 or q8_0 save memory"),
    VALUE(Options, prompt_ids, TEXT, "--prompt-ids", "I,I,...", "the prompt as token ids"),
    FLAG(Options, stats, "--stats", "print load time and tokens per second"),
    FLAG(Options, json, "--json", "{\"text\", \"prompt_ids\", \"token_ids\", \"finish_reason\"}"),
};

/* What one run of the command holds. */
typedef struct Job {
    Options options;
    Arena *arena;
    const char *path;
    Tokenizer *tokenizer; // NULL if the model has none and the prompt is ids
    LanguageModel *model;
    Session *session;
    LanguageModel *draft; // of assisted decoding, NULL without
    Session *assistant;
    json_t *request; // for generate_params_read
    Grammar *grammar;
    TokenTrie *trie;
    int32_t *negative;
    size_t n_negative;
    int32_t *prompt;
    size_t n;
    DecodeStream *stream;
    int sequence;
    int64_t load_ns;
} Job;

static atomic_bool interrupted;

static void interrupt(int number)
{
    atomic_store(&interrupted, true);
}

/* What the options say beside the knobs. */
static void finish_request(Job *j)
{
    json_t *r = j->request, *stop = json_array();
    // Texts are drawn unless somebody asks for the likeliest, which searches do.
    bool draws = !j->options.greedy && !generate_request_is_search(r);
    if (!json_object_get(r, "do_sample"))
        json_object_set_new(r, "do_sample", json_boolean(draws));
    if (!json_object_get(r, "max_new_tokens") && !json_object_get(r, "max_length"))
        json_object_set_new(r, "max_new_tokens", json_integer(256));
    for (int i = 0; i < j->options.stop.n; i++)
        json_array_append_new(stop, json_from_str(str_of(j->options.stop.items[i])));
    if (json_array_size(stop))
        json_object_set(r, "stop", stop);
    json_decref(stop);
}

static bool parse_ids(Job *j, const char *text, Error *err)
{
    Str rest = str_of(text), piece;
    j->prompt = NEW_ARRAY(j->arena, int32_t, rest.len + 1);
    while (str_split(&rest, ',', &piece)) {
        int64_t id;
        if (!str_to_int(str_trim(piece), 0, INT32_MAX, &id))
            return fail(err, ERR_USAGE, "--prompt-ids: '%.*s' is not a token id", STR(piece));
        j->prompt[j->n++] = (int32_t)id;
    }
    return true;
}

static bool read_prompt(Job *j, const char *text, Error *err)
{
    bool ids = j->options.prompt_ids != NULL;
    if (ids == (text != NULL))
        return fail(err, ERR_USAGE, "give a model and a prompt (quote it), or --prompt-ids");
    // With ids a model without a tokenizer is fine: the text is then left empty.
    Error missing = {0};
    j->tokenizer = tokenizer_open(j->path, ids ? &missing : err);
    if (ids)
        return parse_ids(j, j->options.prompt_ids, err);
    if (!j->tokenizer)
        return false;
    AUTO_ENCODING e = {0};
    if (!tokenizer_encode(j->tokenizer, str_of(text), true, &e, err))
        return false;
    j->prompt = arena_copy(j->arena, e.ids, e.n * sizeof *e.ids);
    j->n = e.n;
    return true;
}

/* The prompt goes through the decoder too, unheard, so that what follows is spaced as it should. */
static void restart_stream(Job *j)
{
    decode_stream_free(j->stream);
    j->stream = j->tokenizer ? decode_stream_new(j->tokenizer, true) : NULL;
    for (size_t i = 0; j->stream && i < j->n; i++)
        decode_stream_add(j->stream, j->prompt[i]);
}

static bool show(void *context, const GeneratedToken *t)
{
    Job *j = context;
    if (t->sequence != j->sequence) {
        j->sequence = t->sequence;
        restart_stream(j);
        puts("\n");
    }
    Str text = j->stream ? decode_stream_add(j->stream, t->id) : (Str){0};
    if (!j->stream)
        printf("%s%d", t->index ? " " : "", t->id);
    fwrite(text.ptr ? text.ptr : "", 1, text.len, stdout);
    fflush(stdout);
    return true;
}

static json_t *ids_json(const int32_t *ids, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static json_t *sequence_json(Job *j, const Generated *g)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    restart_stream(j);
    for (size_t i = 0; j->stream && i < g->n; i++)
        buf_add(&text, decode_stream_add(j->stream, g->ids[i]));
    if (j->stream)
        buf_add(&text, decode_stream_finish(j->stream));
    json_t *all = json_object();
    json_object_set_new(all, "text", json_from_str(buf_str(&text)));
    json_object_set_new(all, "prompt_ids", ids_json(j->prompt, j->n));
    json_object_set_new(all, "token_ids", ids_json(g->ids, g->n));
    json_object_set_new(all, "finish_reason", json_string(stop_reason_name(g->reason)));
    return all;
}

static double per_second(size_t n, int64_t ns)
{
    return ns > 0 ? (double)n * (double)NS_PER_S / (double)ns : 0;
}

static json_t *stats_json(const Job *j, const GenerateCall *call)
{
    return json_pack("{s:f,s:I,s:f,s:I,s:f,s:f}", "load_s", (double)j->load_ns / (double)NS_PER_S,
                     "prompt_tokens", (json_int_t)j->n, "prompt_tok_s",
                     per_second(j->n, call->prefill_ns), "decode_tokens",
                     (json_int_t)call->decode_tokens, "decode_tok_s",
                     per_second(call->decode_tokens, call->decode_ns), "model_mb",
                     (double)language_model_memory(j->model) / 1e6);
}

static void print_json(Job *j, const GenerateCall *call)
{
    json_t *answer = json_array();
    for (size_t i = 0; i < call->n_sequences; i++) {
        json_t *one = sequence_json(j, &call->sequences[i]);
        if (j->options.stats)
            json_object_set_new(one, "stats", stats_json(j, call));
        json_array_append_new(answer, one);
    }
    AUTO_BUF out;
    buf_init(&out, 0);
    // One continuation is an object, several are a list of them.
    json_write(&out, call->n_sequences == 1 ? json_array_get(answer, 0) : answer);
    json_decref(answer);
    puts(out.ptr);
}

static bool read_constraint(Job *j, Error *err)
{
    AUTO(json_decref) json_t *grammar = NULL;
    if (!constraint_read(&j->options.constraint, &grammar, err))
        return false;
    if (!grammar)
        return true;
    if (!j->tokenizer)
        return fail(err, ERR_UNSUPPORTED, "a constraint needs the model's tokenizer");
    j->grammar = grammar_from_json(grammar, err);
    j->trie = token_trie_new(j->tokenizer);
    return j->grammar != NULL;
}

static bool load_assistant(Job *j, Error *err)
{
    const char *path = j->options.assistant_model;
    if (!path)
        return true;
    LanguageModelOptions how = {.dtype = j->options.dtype};
    path = fetch_model(j->arena, path, err);
    j->draft = path ? language_model_open(path, &how, err) : NULL;
    j->assistant = j->draft ? session_new(j->draft, 0, err) : NULL;
    return j->assistant || fail_while(err, "--assistant-model");
}

static bool read_negative(Job *j, Error *err)
{
    if (!j->options.negative_prompt)
        return true;
    AUTO_ENCODING e = {0};
    if (!j->tokenizer)
        return fail(err, ERR_UNSUPPORTED, "--negative-prompt needs the model's tokenizer");
    if (!tokenizer_encode(j->tokenizer, str_of(j->options.negative_prompt), true, &e, err))
        return false;
    j->negative = arena_copy(j->arena, e.ids, e.n * sizeof *e.ids);
    j->n_negative = e.n;
    return true;
}

static bool run_job(Job *j, Error *err)
{
    GenerateParams p;
    finish_request(j);
    if (!generate_params_read(&p, j->model, j->request, j->arena, err) ||
        !read_constraint(j, err) || !load_assistant(j, err) || !read_negative(j, err))
        return false;
    GenerateCall call = {.arena = j->arena,
                         .tokenizer = j->tokenizer,
                         .grammar = j->grammar,
                         .trie = j->trie,
                         .assistant = j->assistant,
                         .negative = j->negative,
                         .n_negative = j->n_negative,
                         .cancelled = &interrupted};
    if (!j->options.json) {
        call.on_token = show;
        call.context = j;
        restart_stream(j);
    }
    if (!generate(j->session, j->prompt, j->n, &p, &call, err))
        return false;
    if (j->options.json) {
        print_json(j, &call);
        return true;
    }
    Str rest = j->stream ? decode_stream_finish(j->stream) : (Str){0};
    printf("%.*s\n", STR(rest));
    if (j->options.stats)
        fprintf(stderr,
                "load %.2f s (%.0f MB), prompt %zu tokens at %.1f a second, answer %zu at %.1f\n",
                (double)j->load_ns / (double)NS_PER_S,
                (double)language_model_memory(j->model) / 1e6, j->n,
                per_second(j->n, call.prefill_ns), call.decode_tokens,
                per_second(call.decode_tokens, call.decode_ns));
    return true;
}

static bool load(Job *j, const char *model, const char *prompt, Error *err)
{
    j->path = fetch_model(j->arena, model, err);
    if (!j->path || !read_prompt(j, prompt, err))
        return false;
    int64_t began = clock_ns();
    LanguageModelOptions how = {.dtype = j->options.dtype, .cache_dtype = j->options.cache_dtype};
    j->model = language_model_open(j->path, &how, err);
    if (!j->model)
        return false;
    j->session = session_new(j->model, 0, err);
    j->load_ns = clock_ns() - began;
    return j->session != NULL;
}

static bool run(int n, char **args, Error *err)
{
    Job j = {0};
    AUTO(json_decref) json_t *request = j.request = json_object();
    if (!knobs_read(request, &n, args, err) ||
        !options_read(&j.options, options, COUNT(options), &n, args, err))
        return false;
    if (n < 2 || n > 3)
        return fail(err, ERR_USAGE, "give a model and a prompt (quote it)");
    signal(SIGINT, interrupt);
    j.arena = arena_new(0);
    bool ok = load(&j, args[1], args[2], err) && run_job(&j, err);
    decode_stream_free(j.stream);
    session_free(j.assistant);
    language_model_free(j.draft);
    session_free(j.session);
    language_model_free(j.model);
    grammar_free(j.grammar);
    token_trie_free(j.trie);
    tokenizer_free(j.tokenizer);
    arena_free(j.arena);
    return ok;
}

const Verb verb_generate = {
    .name = "generate",
    .synopsis = "MODEL PROMPT [--greedy] [--max-new-tokens N] [--stats] [--json]",
    .summary = "continue a text with a language model",
    .help =
        "MODEL is a folder, a .gguf file or a hub id (org/name, org/name@revision). The text is\n"
        "printed as it is found; Ctrl-C ends it. What is not said, the model's own\n"
        "generation_config.json says.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
    .takes_knobs = true,
};
