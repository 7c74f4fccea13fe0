/* verb_chat.c: `hug chat`: a conversation with a model, in its own chat template.
 *
 * On a terminal it prompts; from a pipe each line is a message, and the answers are all that is
 * printed. Control-C stops an answer, twice in a row leaves. */
#include "cli/cli.h"
#include "cli/knobs.h"

#include "fetch/fetch.h"
#include "tasks/tasks.h"

#include <signal.h>
#include <unistd.h>

typedef struct Options {
    const char *system, *dtype, *cache_dtype;
    bool greedy;
    Constraint constraint;
} Options;

static const Option options[] = {
    VALUE(Options, system, TEXT, "--system", "TEXT", "what the model is told first"),
    FLAG(Options, greedy, "--greedy", "always the likeliest token"),
    CONSTRAINT_OPTIONS(Options, constraint),
    VALUE(Options, dtype, TEXT, "--dtype", "D", "f32, bf16, q8_0, q4_0; else as the file has it"),
    VALUE(Options, cache_dtype, TEXT, "--cache-dtype", "D",
          "of keys and values: f32; f16, bf16 or q8_0 save memory"),
};

typedef struct Chat {
    Pipeline *pipeline;
    json_t *messages, *parameters;
    bool terminal;
} Chat;

static atomic_bool interrupted;

static void interrupt(int signal)
{
    if (atomic_exchange(&interrupted, true))
        _exit(130);
}

static bool show(void *context, const TaskToken *token)
{
    fwrite(token->text.ptr ? token->text.ptr : "", 1, token->text.len, stdout);
    fflush(stdout);
    return true;
}

static json_t *message(const char *role, Str content)
{
    return json_pack("{s:s,s:o}", "role", role, "content", json_from_str(content));
}

static void reset(Chat *chat, const char *system)
{
    json_array_clear(chat->messages);
    if (system)
        json_array_append_new(chat->messages, message("system", str_of(system)));
}

/* Asks, shows the answer as it comes and keeps both. An answer that was stopped is kept as far as
 * it came. */
static bool ask(Chat *chat, Str line, Error *err)
{
    json_array_append_new(chat->messages, message("user", line));
    atomic_store(&interrupted, false);
    TaskCall call = {.on_token = show, .cancelled = &interrupted};
    AUTO(json_decref)
    json_t *answer = pipeline_run(chat->pipeline, chat->messages, chat->parameters, &call, err);
    if (!answer && (!err || err->code != ERR_CANCELLED))
        return false;
    puts("");
    fflush(stdout);
    json_array_append_new(chat->messages, message("assistant", call.generated_text));
    task_call_done(&call);
    return true;
}

/* False to leave. */
static bool obey(Chat *chat, Str command, const char *system)
{
    if (str_eq(command, S("/exit")) || str_eq(command, S("/quit")))
        return false;
    if (str_eq(command, S("/reset"))) {
        reset(chat, system);
        if (chat->terminal)
            puts("(a new conversation)");
    } else {
        puts("/reset forgets the conversation, /exit leaves");
    }
    return true;
}

static bool converse(Chat *chat, const char *system, Error *err)
{
    AUTO(free) char *line = NULL;
    size_t cap = 0;
    for (;;) {
        if (chat->terminal) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        ssize_t n = getline(&line, &cap, stdin);
        if (n < 0) {
            if (chat->terminal)
                puts("");
            return true;
        }
        Str text = str_trim((Str){line, (size_t)n});
        if (text.len == 0)
            continue;
        if (text.ptr[0] == '/') {
            if (!obey(chat, text, system))
                return true;
        } else if (!ask(chat, text, err)) {
            return false;
        }
    }
}

/* What the options say beside the knobs. */
static bool finish_parameters(const Options *o, json_t *parameters, Error *err)
{
    json_t *grammar = NULL;
    if (!json_object_get(parameters, "max_new_tokens"))
        json_object_set_new(parameters, "max_new_tokens", json_integer(512));
    if (o->greedy)
        json_object_set_new(parameters, "do_sample", json_false());
    if (!constraint_read(&o->constraint, &grammar, err))
        return false;
    if (grammar)
        json_object_set_new(parameters, "grammar", grammar);
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    AUTO(json_decref) json_t *parameters = json_object();
    if (!knobs_read(parameters, &n, args, err) ||
        !options_read(&o, options, COUNT(options), &n, args, err) ||
        !finish_parameters(&o, parameters, err))
        return false;
    if (n != 2)
        return fail(err, ERR_USAGE, "give one model");
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[1], err);
    if (!path)
        return false;
    AUTO(pipeline_free)
    Pipeline *p =
        pipeline_open(path, task_find(S("text-generation")),
                      &(PipelineOptions){.dtype = o.dtype, .cache_dtype = o.cache_dtype}, err);
    if (!p)
        return false;
    AUTO(json_decref) json_t *messages = json_array();
    Chat chat = {p, messages, parameters, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)};
    reset(&chat, o.system);
    signal(SIGINT, interrupt);
    if (chat.terminal)
        puts("/reset forgets the conversation, /exit leaves");
    return converse(&chat, o.system, err);
}

const Verb verb_chat = {
    .name = "chat",
    .synopsis = "MODEL [--system TEXT] [--greedy] [--temperature T] [--seed N]",
    .summary = "hold a conversation with a model",
    .help =
        "MODEL is a folder, a .gguf file or a hub id. Each line is a message; /reset begins anew,\n"
        "/exit leaves, Control-C stops an answer.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
    .takes_knobs = true,
};
