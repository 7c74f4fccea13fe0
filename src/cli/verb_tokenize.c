/* verb_tokenize.c: `hug tokenize`: text to token ids with a model's own tokenizer, and back. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/json.h"
#include "fetch/fetch.h"
#include "text/tokenizer.h"

typedef struct Options {
    const char *file;
    bool no_special, json, decode, skip_special;
} Options;

static const Option options[] = {
    VALUE(Options, file, TEXT, "--file", "F",
          "the text is the content of F; \"-\": standard input"),
    FLAG(Options, no_special, "--no-special", "without the special tokens that the model wants"),
    FLAG(Options, json, "--json", "{\"ids\", \"tokens\", \"offsets\"}; offsets count characters"),
    FLAG(Options, decode, "--decode", "the arguments are ids; prints their text"),
    FLAG(Options, skip_special, "--skip-special", "with --decode: leave special tokens out"),
};

static bool read_input(FILE *in, Buf *text, Error *err)
{
    char chunk[1 << 16];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, in)) > 0;)
        buf_add_bytes(text, chunk, n);
    return buf_ok(text, err);
}

static bool read_text(const Options *o, const char *argument, Buf *text, Error *err)
{
    if (argument && o->file)
        return fail(err, ERR_USAGE, "give either a text or --file");
    if (argument) {
        buf_add(text, str_of(argument));
        return true;
    }
    if (!o->file || strcmp(o->file, "-") == 0)
        return read_input(stdin, text, err);
    return file_read(o->file, text, err);
}

static void write_string(Buf *out, Str s)
{
    json_t *value = json_from_str(s);
    json_write(out, value);
    json_decref(value);
}

static void write_json(const Tokenizer *t, Encoding *e, Buf *out)
{
    encoding_count_chars(e);
    buf_add(out, S("{\"ids\":["));
    for (size_t i = 0; i < e->n; i++)
        buf_printf(out, "%s%d", i ? "," : "", e->ids[i]);
    buf_add(out, S("],\"tokens\":["));
    for (size_t i = 0; i < e->n; i++) {
        if (i)
            buf_add_char(out, ',');
        write_string(out, tokenizer_token(t, e->ids[i]));
    }
    buf_add(out, S("],\"offsets\":["));
    for (size_t i = 0; i < e->n; i++)
        buf_printf(out, "%s[%u,%u]", i ? "," : "", e->spans[i].start, e->spans[i].end);
    buf_add(out, S("]}"));
}

static bool encode(const Tokenizer *t, const Options *o, const char *argument, Buf *out, Error *err)
{
    AUTO_BUF text;
    AUTO_ENCODING e = {0};
    buf_init(&text, TOKENIZER_MAX_TEXT);
    if (!read_text(o, argument, &text, err) ||
        !tokenizer_encode(t, buf_str(&text), !o->no_special, &e, err))
        return false;
    if (o->json) {
        write_json(t, &e, out);
        return true;
    }
    for (size_t i = 0; i < e.n; i++)
        buf_printf(out, "%s%d", i ? " " : "", e.ids[i]);
    return true;
}

static bool decode(const Tokenizer *t, const Options *o, int n, char **args, Buf *out, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    int32_t *ids = NEW_ARRAY(a, int32_t, n);
    for (int i = 0; i < n; i++) {
        int64_t id;
        if (!str_to_int(str_of(args[i]), 0, tokenizer_size(t) - 1, &id))
            return fail(err, ERR_USAGE, "'%s' is not an id from 0 to %d", args[i],
                        tokenizer_size(t) - 1);
        ids[i] = (int32_t)id;
    }
    AUTO_BUF text;
    buf_init(&text, 0);
    tokenizer_decode(t, ids, (size_t)n, o->skip_special, &text);
    if (o->json)
        write_string(out, buf_str(&text));
    else
        buf_add(out, buf_str(&text));
    return true;
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n < 2 || (n > 3 && !o.decode))
        return fail(err, ERR_USAGE, "give a model and a text (quote it)");
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[1], err);
    if (!path)
        return false;
    AUTO(tokenizer_free) Tokenizer *t = tokenizer_open(path, err);
    if (!t)
        return false;
    AUTO_BUF out;
    buf_init(&out, 0);
    if (!(o.decode ? decode(t, &o, n - 2, args + 2, &out, err) : encode(t, &o, args[2], &out, err)))
        return false;
    buf_add_char(&out, '\n');
    fwrite(out.ptr, 1, out.len, stdout);
    return true;
}

const Verb verb_tokenize = {
    .name = "tokenize",
    .synopsis = "MODEL [TEXT | --file F] [--no-special] [--json]  |  MODEL --decode ID…",
    .summary = "text to token ids with a model's tokenizer, and back",
    .help =
        "MODEL is a folder, a .gguf file, a tokenizer.json or a hub id. Without a text, standard\n"
        "input is read. Prints the ids on one line.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
