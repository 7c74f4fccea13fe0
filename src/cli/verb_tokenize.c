/* verb_tokenize.c: `hug tokenize`: text to token ids with a model's own tokenizer, and back. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/json.h"
#include "fetch/fetch.h"
#include "text/tokenizer.h"

typedef struct Options {
    const char *file, *pair, *strategy, *pad;
    bool no_special, json, decode, skip_special, jsonl, details, as_configured;
    bool truncate_left, pad_left, plain_special;
    int64_t max_length, stride, multiple_of, threads;
} Options;

static const Option options[] = {
    VALUE(Options, file, TEXT, "--file", "F",
          "the text is the content of F; \"-\": standard input"),
    VALUE(Options, pair, TEXT, "--pair", "TEXT", "a second text that belongs to the first"),
    FLAG(Options, jsonl, "--jsonl",
         "each line is a text or a list of two, as JSON; prints a line of JSON for each"),
    VALUE(Options, threads, INT, "--threads", "N", "with --jsonl: that many (default: all)"),
    FLAG(Options, no_special, "--no-special", "without the special tokens that the model wants"),
    FLAG(Options, plain_special, "--plain-special",
         "special tokens written in the text are plain text"),
    VALUE(Options, max_length, INT, "--max-length", "N", "truncate to N tokens"),
    VALUE(Options, stride, INT, "--stride", "N", "tokens that windows of truncation share"),
    VALUE(Options, strategy, TEXT, "--strategy", "S",
          "what is truncated: longest_first (default), only_first, only_second"),
    FLAG(Options, truncate_left, "--truncate-left", "from the beginning"),
    VALUE(Options, pad, TEXT, "--pad", "N", "pad to N tokens, or to the \"longest\""),
    VALUE(Options, multiple_of, INT, "--pad-to-multiple-of", "N", "and further, to a multiple"),
    FLAG(Options, pad_left, "--pad-left", "at the beginning"),
    FLAG(Options, as_configured, "--as-configured",
         "truncate and pad as the tokenizer's file says"),
    FLAG(Options, json, "--json", "{\"ids\", \"tokens\", \"offsets\"}; offsets count characters"),
    FLAG(Options, details, "--details",
         "and \"words\", \"type_ids\", \"attention_mask\", \"special_tokens_mask\", "
         "\"sequence_ids\", \"overflowing\""),
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

/* ,"key":[…]; -1 is null where `nulls`. */
static void write_list(Buf *out, const char *key, const int32_t *values, size_t n, bool nulls)
{
    buf_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++)
        if (values[i] < 0 && nulls)
            buf_printf(out, "%snull", i ? "," : "");
        else
            buf_printf(out, "%s%d", i ? "," : "", values[i]);
    buf_add_char(out, ']');
}

static void write_bytes(Buf *out, const char *key, const void *bytes, size_t n)
{
    int32_t *values = xmalloc((n + 1) * sizeof *values);
    for (size_t i = 0; i < n; i++)
        values[i] = ((const int8_t *)bytes)[i];
    write_list(out, key, values, n, true);
    free(values);
}

static void write_json(const Tokenizer *t, const Encoding *e, bool details, Buf *out)
{
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
    buf_add_char(out, ']');
    if (details) {
        write_list(out, "words", e->words, e->n, true);
        write_list(out, "type_ids", e->type_ids, e->n, false);
        write_bytes(out, "attention_mask", e->attention_mask, e->n);
        write_bytes(out, "special_tokens_mask", e->special_tokens_mask, e->n);
        write_bytes(out, "sequence_ids", e->sequences, e->n);
    }
    if (details || e->n_overflow) {
        buf_add(out, S(",\"overflowing\":["));
        for (size_t i = 0; i < e->n_overflow; i++) {
            if (i)
                buf_add_char(out, ',');
            write_json(t, &e->overflow[i], details, out);
        }
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
}

/* ---- What was asked for ---- */

typedef struct Asked {
    EncodeOptions options;
    Truncation truncation;
    Padding padding;
} Asked;

static bool read_strategy(const char *text, TruncationStrategy *out, Error *err)
{
    static const char *const names[] = {"longest_first", "only_first", "only_second"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!text || strcmp(text, names[i]) == 0) {
            *out = (TruncationStrategy)i;
            return true;
        }
    return fail(err, ERR_USAGE, "--strategy: there is no '%s'", text);
}

static bool read_padding(const Tokenizer *t, const Options *o, Padding *p, Error *err)
{
    int32_t pad = tokenizer_special(t, SPECIAL_PAD);
    if (tokenizer_padding(t))
        *p = *tokenizer_padding(t);
    else if (pad >= 0)
        p->id = pad;
    p->left = o->pad_left;
    p->multiple_of = o->multiple_of;
    p->length = 0;
    if (strcmp(o->pad, "longest") != 0 && !str_to_int(str_of(o->pad), 1, 1 << 24, &p->length))
        return fail(err, ERR_USAGE, "--pad: neither a number nor \"longest\"");
    if (p->multiple_of < 0 || p->multiple_of > 1 << 24)
        return fail(err, ERR_USAGE, "--pad-to-multiple-of: out of range");
    return true;
}

static bool read_asked(const Tokenizer *t, const Options *o, Asked *a, Error *err)
{
    a->options = (EncodeOptions){.add_special = !o->no_special,
                                 .spans = o->json || o->jsonl || o->details,
                                 .chars = true,
                                 .details = o->details,
                                 .encode_special = o->plain_special};
    if (o->as_configured) {
        a->options.truncation = tokenizer_truncation(t);
        a->options.padding = tokenizer_padding(t);
    }
    if (o->max_length < 0 || o->stride < 0)
        return fail(err, ERR_USAGE, "--max-length and --stride are not negative");
    if (o->max_length) {
        a->truncation = (Truncation){
            .max_length = o->max_length, .stride = o->stride, .left = o->truncate_left};
        a->options.truncation = &a->truncation;
        if (!read_strategy(o->strategy, &a->truncation.strategy, err))
            return false;
    }
    if (!o->pad)
        return true;
    a->options.padding = &a->padding;
    return read_padding(t, o, &a->padding, err);
}

/* ---- Encoding ---- */

static Str json_to_str(const json_t *value)
{
    return (Str){json_string_value(value), json_string_length(value)};
}

/* A line of --jsonl; what it holds lives as long as *value. */
static bool read_line(Str line, size_t number, json_t **value, EncodeInput *input, Error *err)
{
    char name[32];
    snprintf(name, sizeof name, "line %zu", number);
    *value = json_parse(line, name, err);
    if (!*value)
        return false;
    const json_t *first = json_array_get(*value, 0), *second = json_array_get(*value, 1);
    if (json_is_string(*value)) {
        *input = (EncodeInput){.text = json_to_str(*value)};
        return true;
    }
    if (json_array_size(*value) != 2 || !json_is_string(first) || !json_is_string(second))
        return fail(err, ERR_INVALID, "%s: neither a text nor a list of two", name);
    *input = (EncodeInput){json_to_str(first), json_to_str(second), true};
    return true;
}

static bool encode_lines(const Tokenizer *t, const Options *o, const Asked *asked, Str text,
                         Buf *out, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    size_t most = 1, n = 0;
    for (size_t at = 0; (at = str_find_char(text, '\n', at)) != SIZE_MAX; at++)
        most++;
    json_t **values = NEW_ARRAY(a, json_t *, most);
    EncodeInput *inputs = NEW_ARRAY(a, EncodeInput, most);
    Encoding *e = NEW_ARRAY(a, Encoding, most);
    Str line;
    bool ok = true;
    for (size_t number = 1; ok && str_split(&text, '\n', &line); number++)
        if (str_trim(line).len > 0) {
            ok = read_line(line, number, &values[n], &inputs[n], err);
            n += ok;
        }
    ok = ok && tokenizer_encode_batch(t, inputs, n, &asked->options, (int)o->threads, e, err);
    for (size_t i = 0; i < n; i++) {
        if (ok && i > 0)
            buf_add_char(out, '\n');
        if (ok)
            write_json(t, &e[i], o->details, out);
        encoding_done(&e[i]);
        json_decref(values[i]);
    }
    return ok;
}

static bool encode(const Tokenizer *t, const Options *o, const char *argument, Buf *out, Error *err)
{
    AUTO_BUF text;
    AUTO_ENCODING e = {0};
    Asked asked = {0};
    buf_init(&text, TOKENIZER_MAX_TEXT);
    if (!read_asked(t, o, &asked, err) || !read_text(o, argument, &text, err))
        return false;
    if (o->jsonl)
        return encode_lines(t, o, &asked, buf_str(&text), out, err);
    EncodeInput input = {buf_str(&text), str_of(o->pair), o->pair != NULL};
    if (!tokenizer_encode_with(t, &input, &asked.options, &e, err))
        return false;
    if (o->json || o->details) {
        write_json(t, &e, o->details, out);
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
    if (o.threads < 0 || o.threads > 256)
        return fail(err, ERR_USAGE, "--threads: from 1 to 256");
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
    .synopsis =
        "MODEL [TEXT | --file F] [--pair TEXT] [--no-special] [--json]  |  MODEL --decode ID…",
    .summary = "text to token ids with a model's tokenizer, and back",
    .help =
        "MODEL is a folder, a .gguf file, a tokenizer.json or a hub id. Without a text, standard\n"
        "input is read. Prints the ids on one line.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
