/* verb_convert.c: `hug convert`: weights from one file format, or one type, to another. */
#include "cli/cli.h"

#include "convert/convert.h"
#include "fetch/fetch.h"

typedef struct Options {
    const char *to, *dtype, *shard;
    bool quiet;
} Options;

static const Option options[] = {
    VALUE(Options, to, TEXT, "--to", "FORMAT", "safetensors or gguf; by DST's ending"),
    VALUE(Options, dtype, TEXT, "--dtype", "D",
          "f32, f16, bf16; for gguf also q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q4_k_m, q5_k, "
          "q5_k_m, q6_k; as stored"),
    VALUE(Options, shard, TEXT, "--max-shard-size", "SIZE", "of safetensors: 5GB, 500MB; 5GB"),
    FLAG(Options, quiet, "--quiet", "no progress bar"),
};

/* "5GB": decimal, as transformers counts. */
static bool read_size(const char *text, int64_t *size, Error *err)
{
    static const struct {
        Str suffix;
        int64_t bytes;
    } units[] = {{{"TB", 2}, 1000000000000},
                 {{"GB", 2}, 1000000000},
                 {{"MB", 2}, 1000000},
                 {{"KB", 2}, 1000},
                 {{"", 0}, 1}};
    Str s = str_of(text);
    for (size_t i = 0; i < COUNT(units); i++) {
        Str suffix = units[i].suffix;
        if (s.len < suffix.len || !str_eq_nocase(str_slice(s, s.len - suffix.len, s.len), suffix))
            continue;
        int64_t number;
        if (!str_to_int(str_trim(str_slice(s, 0, s.len - suffix.len)), 1,
                        INT64_MAX / units[i].bytes, &number))
            break;
        *size = number * units[i].bytes;
        return true;
    }
    return fail(err, ERR_USAGE, "--max-shard-size: '%s' is no size such as 5GB or 500MB", text);
}

static bool run(int n, char **args, Error *err)
{
    Options o = {0};
    if (!options_read(&o, options, COUNT(options), &n, args, err))
        return false;
    if (n != 3)
        return fail(err, ERR_USAGE, "give a source and a destination");
    ConvertOptions how = {.format = o.to, .dtype = o.dtype, .quiet = o.quiet};
    if (!how.format)
        how.format = str_ends(str_of(args[2]), S(".gguf")) ? "gguf" : "safetensors";
    if (o.shard && !read_size(o.shard, &how.max_shard_size, err))
        return false;
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *path = fetch_model(a, args[1], err);
    return path && convert_model(path, args[2], &how, err);
}

const Verb verb_convert = {
    .name = "convert",
    .synopsis = "SRC DST [--to safetensors|gguf] [--dtype D] [--max-shard-size SIZE]",
    .summary = "weights from one file format, or one type, to another",
    .help = "SRC is a folder, a .gguf or .safetensors file, or a hub id. DST is a folder, which "
            "gets\n"
            "config.json and the tokenizer as well, or a .safetensors file for the weights alone; "
            "for\n"
            "gguf it is the file.",
    .run = run,
    .options = options,
    .n_options = COUNT(options),
};
