/* verb_generate.c: `hug generate`: a prompt in, the model's continuation out, as it is found. */
#include "cli/cli.h"

#include "base/clock.h"
#include "fetch/fetch.h"
#include "generate/generate.h"

#include <signal.h>
#include <unistd.h>

typedef struct Options {
    bool greedy, stats, json;
    int64_t max_new_tokens, top_k, seed, sequences, no_repeat_ngram;
    double temperature, top_p, min_p, repetition_penalty;
    const char *dtype, *cache_dtype, *prompt_ids;
    OptionList stop;
} Options;

static const Option options[] = {
    VALUE(Options, max_new_tokens, INT, "--max-new-tokens", "N", "at most N tokens; 256"),
    FLAG(Options, greedy, "--greedy", "always the likeliest token"),
    VALUE(Options, temperature, NUM, "--temperature", "T", "how evenly to draw; 1"),
    VALUE(Options, top_k, INT, "--top-k", "K", "only among the K likeliest; 50, 0: all"),
    VALUE(Options, top_p, NUM, "--top-p", "P", "only among the likeliest that sum to P; 1"),
    VALUE(Options, min_p, NUM, "--min-p", "P", "only those with P times the best's probability; 0"),
    VALUE(Options, repetition_penalty, NUM, "--repetition-penalty", "R", "above 1: repeat less"),
    VALUE(Options, no_repeat_ngram, INT, "--no-repeat-ngram-size", "N", "no N tokens twice"),
    VALUE(Options, seed, INT, "--seed", "N", "the same seed gives the same text"),
    VALUE(Options, stop, LIST, "--stop", "TEXT", "end behind this text; may be given again"),
    VALUE(Options, sequences, INT, "--num-return-sequences", "N", "N continuations"),
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

/* The options as a request's members; what was not given is the model's own choice. */
static json_t *request_of(const Options *o)
{
    json_t *r = json_object();
    json_object_set_new(r, "do_sample", json_boolean(!o->greedy));
    json_object_set_new(r, "max_new_tokens", json_integer(o->max_new_tokens));
    const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"top_k", o->top_k},
                {"seed", o->seed},
                {"num_return_sequences", o->sequences},
                {"no_repeat_ngram_size", o->no_repeat_ngram}};
    for (size_t i = 0; i < COUNT(ints); i++)
        if (ints[i].value != INT64_MIN)
            json_object_set_new(r, ints[i].key, json_integer(ints[i].value));
    const struct {
        const char *key;
        double value;
    } nums[] = {{"temperature", o->temperature},
                {"top_p", o->top_p},
                {"min_p", o->min_p},
                {"repetition_penalty", o->repetition_penalty}};
    for (size_t i = 0; i < COUNT(nums); i++)
        if (nums[i].value >= 0)
            json_object_set_new(r, nums[i].key, json_real(nums[i].value));
    json_t *stop = json_array();
    for (int i = 0; i < o->stop.n; i++)
        json_array_append_new(stop, json_from_str(str_of(o->stop.items[i])));
    json_object_set_new(r, "stop", stop);
    return r;
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

static bool run_job(Job *j, Error *err)
{
    AUTO(json_decref) json_t *request = request_of(&j->options);
    GenerateParams p;
    if (!generate_params_read(&p, j->model, request, j->arena, err))
        return false;
    GenerateCall call = {.arena = j->arena, .tokenizer = j->tokenizer, .cancelled = &interrupted};
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
    Job j = {.options = {.max_new_tokens = 256,
                         .top_k = INT64_MIN,
                         .seed = INT64_MIN,
                         .sequences = INT64_MIN,
                         .no_repeat_ngram = INT64_MIN,
                         .temperature = -1,
                         .top_p = -1,
                         .min_p = -1,
                         .repetition_penalty = -1}};
    if (!options_read(&j.options, options, COUNT(options), &n, args, err))
        return false;
    if (n < 2 || n > 3)
        return fail(err, ERR_USAGE, "give a model and a prompt (quote it)");
    signal(SIGINT, interrupt);
    j.arena = arena_new(0);
    bool ok = load(&j, args[1], args[2], err) && run_job(&j, err);
    decode_stream_free(j.stream);
    session_free(j.session);
    language_model_free(j.model);
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
};
