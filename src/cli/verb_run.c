/* verb_run.c: `hug run`: one task on one model, with the JSON that the pipelines give. */
#include "cli/cli.h"

#include "fetch/fetch.h"
#include "tasks/tasks.h"

typedef struct Options {
    OptionList parameters;
    const char *dtype, *cache_dtype;
    bool json;
} Options;

static const Option options[] = {
    VALUE(Options, parameters, LIST, "-p|--parameter", "K=V",
          "a parameter of the task; V is JSON, else a text"),
    VALUE(Options, dtype, TEXT, "--dtype", "D", "f32, bf16, q8_0, q4_0; else as the file has it"),
    VALUE(Options, cache_dtype, TEXT, "--cache-dtype", "D",
          "of keys and values: f32; f16, bf16 or q8_0 save memory"),
    FLAG(Options, json, "--json", "the answer's JSON, exactly as the Inference API gives it"),
};

/* "0.7", "true" and "[\"a\"]" are JSON; what is not is taken as a text. */
static json_t *value_of(Str text)
{
    json_t *value = json_parse(text, "parameter", NULL);
    return value ? value : json_from_str(text);
}

static json_t *read_parameters(const OptionList *list, Error *err)
{
    AUTO(json_decref) json_t *parameters = json_object();
    for (int i = 0; i < list->n; i++) {
        Str row = str_of(list->items[i]);
        size_t equals = str_find_char(row, '=', 0);
        if (equals == SIZE_MAX || equals == 0)
            return fail(err, ERR_USAGE, "-p '%s': expected key=value", list->items[i]);
        json_object_setn_new(parameters, row.ptr, equals,
                             value_of(str_slice(row, equals + 1, row.len)));
    }
    return TAKE(parameters);
}

static bool read_all(FILE *in, Buf *text, Error *err)
{
    char chunk[1 << 16];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;)
        buf_add_bytes(text, chunk, n);
    return buf_ok(text, err);
}

/* One input is that input, several are a list of them, none is standard input. An input that begins
 * with '{' or '[' and is JSON is meant as JSON: a conversation, or a question with its context. */
static json_t *read_inputs(int n, char **args, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, TOKENIZER_MAX_TEXT);
    if (n == 0 && !read_all(stdin, &text, err))
        return NULL;
    json_t *list = json_array();
    for (int i = 0; i < MAX(n, 1); i++) {
        Str input = n ? str_of(args[i]) : str_trim(buf_str(&text));
        bool structured = input.len && (input.ptr[0] == '{' || input.ptr[0] == '[');
        json_array_append_new(list, structured ? value_of(input) : json_from_str(input));
    }
    if (n > 1)
        return list;
    json_t *one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

/* Without --json a generated text is shown as a text. */
static void print_plain(const json_t *answer, Buf *out)
{
    size_t i;
    const json_t *item;
    if (json_is_array(answer)) {
        json_array_foreach(answer, i, item) print_plain(item, out);
        return;
    }
    const json_t *text = json_object_get(answer, "generated_text");
    if (json_is_array(text)) // a conversation: its last message
        text = json_object_get(json_array_get(text, json_array_size(text) - 1), "content");
    if (json_is_string(text))
        buf_add(out, (Str){json_string_value(text), json_string_length(text)});
    else
        json_write(out, answer);
    buf_add_char(out, '\n');
}

static const Task *find_task(const char *name, Error *err)
{
    const Task *task = task_find(str_of(name));
    if (task)
        return task;
    AUTO_BUF names;
    buf_init(&names, 0);
    for (const Task *const *t = tasks; *t; t++)
        buf_printf(&names, "%s%s", t == tasks ? "" : ", ", (*t)->name);
    return fail(err, ERR_USAGE, "there is no task '%s'; there are: %s", name, names.ptr);
}

static bool answer_task(const Task *task, const char *path, const Options *o, int n, char **args,
                        Error *err)
{
    AUTO(json_decref) json_t *parameters = read_parameters(&o->parameters, err);
    AUTO(json_decref) json_t *inputs = parameters ? read_inputs(n, args, err) : NULL;
    if (!inputs)
        return false;
    AUTO(pipeline_free)
    Pipeline *p = pipeline_open(
        path, task, &(PipelineOptions){.dtype = o->dtype, .cache_dtype = o->cache_dtype}, err);
    if (!p)
        return false;
    AUTO(json_decref) json_t *warnings = json_array();
    TaskCall call = {.warnings = warnings};
    AUTO(json_decref) json_t *answer = pipeline_run(p, inputs, parameters, &call, err);
    task_call_done(&call);
    size_t i;
    const json_t *warning;
    json_array_foreach(warnings, i, warning)
        fprintf(stderr, "hug run: %s\n", json_string_value(warning));
    if (!answer)
        return false;
    AUTO_BUF out;
    buf_init(&out, 0);
    if (o->json) {
        json_write(&out, answer);
        buf_add_char(&out, '\n');
    } else {
        print_plain(answer, &out);
    }
    fwrite(out.ptr, 1, out.len, stdout);
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n < 3)
        return fail(err, ERR_USAGE, "give a task, a model and an input");
    const Task *task = find_task(args[1], err);
    if (!task)
        return false;
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[2], err);
    return path && answer_task(task, path, &o, n - 3, args + 3, err);
}

const Verb verb_run = {
    .name = "run",
    .synopsis = "TASK MODEL [INPUT…] [-p key=value…] [--json]",
    .summary = "run a task on a model: text-generation, …",
    .help =
        "MODEL is a folder, a .gguf file or a hub id. Without an input, standard input is read.\n"
        "Example: hug run text-generation gpt2 \"Once upon a time\" -p max_new_tokens=40",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
