/* dataset_layout.c: see dataset_layout.h. */
#include "hub/dataset_layout.h"

#include "base/file.h"
#include "base/glob.h"
#include "base/map.h"

enum { MAX_CONFIGS = 5000, MAX_SPLITS = 1000, MAX_PATTERNS = 10000, MAX_TEXT = 80 };

/* ---- Formats by extension ---- */

static const char metadata_names[] = " metadata.csv metadata.jsonl metadata.parquet ";

/* `any_case`: in capitals as well. Extensions of one module that are read differently have a row of
 * their own. */
typedef struct Module {
    const char *name;
    char separator;
    bool any_case;
    const char *extensions, *names; // names: of files that belong to it, too
} Module;

static const Module modules[] = {
    {"csv", ',', false, " csv "},
    {"csv", '\t', false, " tsv "},
    {"json", 0, false, " json jsonl ndjson "},
    {"parquet", 0, false, " parquet geoparquet gpq "},
    {"arrow", 0, false, " arrow "},
    {"text", 0, false, " txt "},
    {"conll", 0, false, " conll "},
    {"conll", '#', false, " conllu "},
    {"webdataset", 0, false, " tar "},
    {"xml", 0, false, " xml "},
    {"hdf5", 0, false, " hdf5 h5 "},
    {"eval", 0, false, " eval "},
    {"harbor", 0, false, " toml md ", " task.toml instruction.md "},
    {"lance", 0, false, " lance ", " latest_version_hint.json "},
    {"tsfile", 0, false, " tsfile "},
    {"vortex", 0, false, " vortex "},
    {"fasta", 0, false, " fa fasta fna ffn faa frn afa "},
    {"genbank", 0, false, " gb gbk genbank "},
    {"fastq", 0, false, " fq fastq "},
    {"pdb", 0, true, " pdb ent ", metadata_names},
    {"mmcif", 0, false, " cif mmcif ", metadata_names},
    {"imagefolder", 0, true,
     " blp bmp dib bufr cur pcx dcx dds ps eps fit fits fli flc ftc ftu gbr gif grib png apng jp2 "
     "j2k"
     " jpc jpf jpx j2c icns ico im iim tif tiff jfif jpe jpg jpeg msp pcd pxr pbm pgm ppm pnm psd "
     "bw"
     " rgb rgba sgi ras tga icb vda vst webp wmf emf xbm xpm ",
     metadata_names},
    {"audiofolder", 0, true,
     " mpg aiff au avr caf flac htk svx mat4 mat5 mpc2k ogg paf pvf raw rf64 sd2 sds ircam voc w64 "
     "wav"
     " nist wavex wve xi mp3 opus 3gp 3g2 asf flv m4v webm f4v wmv wma ogm mxf nut ",
     metadata_names},
    {"videofolder", 0, true, " mpeg avi mp4 mov mkv ", metadata_names},
    {"meshfolder", 0, true, " glb gltf ply stl ", metadata_names},
    {"pdffolder", 0, true, " pdf ", metadata_names},
    {"niftifolder", 0, true, " nii ", metadata_names},
};

/* Beside those of the modules: archives, and what lies beside a lance file. */
static const char other_extensions[] = " zip idx txn manifest ";

static const char ignored_names[] = " README.md config.json dataset_info.json dataset_infos.json "
                                    "dummy_data.zip dataset_dict.json ";

static bool is_word_of(const char *words, Str word)
{
    char padded[40];
    if (!words || !word.len || word.len > sizeof padded - 3 || memchr(word.ptr, ' ', word.len))
        return false;
    snprintf(padded, sizeof padded, " %.*s ", STR(word));
    return strstr(words, padded) != NULL;
}

static Str lower(Str s, char *buffer, size_t size)
{
    size_t n = MIN(s.len, size);
    for (size_t i = 0; i < n; i++)
        buffer[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    return (Str){buffer, n};
}

/* Of an extension without its dot, in lower case. */
static const Module *module_of(Str extension)
{
    for (size_t i = 0; i < COUNT(modules); i++)
        if (is_word_of(modules[i].extensions, extension))
            return &modules[i];
    return NULL;
}

static bool has_capitals(Str s, bool *only)
{
    bool some = false;
    *only = true;
    for (size_t i = 0; i < s.len; i++) {
        some = some || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z');
        *only = *only && !(s.ptr[i] >= 'a' && s.ptr[i] <= 'z');
    }
    return some;
}

/* Is one of the extensions of "name.a.b" among those of data files? */
static bool is_data_name(Str name)
{
    Str piece, rest = name;
    str_split(&rest, '.', &piece);
    while (str_split(&rest, '.', &piece)) {
        char buffer[16];
        bool only, capitals = has_capitals(piece, &only);
        const Module *module =
            piece.len <= sizeof buffer ? module_of(lower(piece, buffer, sizeof buffer)) : NULL;
        if (module ? !capitals || (module->any_case && only) : is_word_of(other_extensions, piece))
            return true;
    }
    return false;
}

/* ---- Files by pattern ---- */

typedef struct Files {
    const RepoEntry **items;
    size_t n;
} Files;

typedef struct Finder {
    Arena *a;
    const RepoEntry *files;
    size_t n;
    Files scratch; // as long as there are files
} Finder;

/* Parts of a path that are left out unless a pattern names them: hidden ones, which begin with a
 * dot, and special folders, which begin with two underscores. */
static void count_special(Str path, int *hidden, int *special)
{
    Str part;
    *hidden = *special = 0;
    while (str_split(&path, '/', &part)) {
        bool dots = true;
        for (size_t i = 0; i < part.len; i++)
            dots = dots && part.ptr[i] == '.';
        *hidden += part.len > 0 && part.ptr[0] == '.' && !dots;
        *special += path.ptr != NULL && str_starts(part, S("__"));
    }
}

static bool is_wanted(Str path, Str pattern)
{
    int hidden, special, named_hidden, named_special;
    Str name = path_name(path);
    if (is_word_of(ignored_names, name) && !str_eq(name, path_name(pattern)))
        return false;
    count_special(path, &hidden, &special);
    count_special(pattern, &named_hidden, &named_special);
    return hidden == named_hidden && special == named_special;
}

/* The longest piece of a pattern that a path has to hold as it is: to look for it first is ten
 * times as fast, and of the many patterns for names most find nothing. */
static Str literal_of(Str pattern)
{
    Str best = {0};
    for (size_t i = 0; i < pattern.len;) {
        size_t start = i;
        while (i < pattern.len && !strchr("*?[", pattern.ptr[i]))
            i++;
        if (i - start > best.len)
            best = str_slice(pattern, start, i);
        if (i < pattern.len && pattern.ptr[i] == '[') // past the set
            i = MIN(str_find_char(pattern, ']',
                                  MIN(i + 2 + (i + 1 < pattern.len && pattern.ptr[i + 1] == '!'),
                                      pattern.len)),
                    pattern.len - 1);
        i++;
    }
    return best;
}

/* The files that a pattern stands for, in order, into f->scratch. */
static size_t resolve(Finder *f, Str base, Str pattern, bool data_only)
{
    while (str_starts(pattern, S("./")))
        pattern = str_slice(pattern, 2, pattern.len);
    Str full =
        base.len ? str_of(arena_printf(f->a, "%.*s/%.*s", STR(base), STR(pattern))) : pattern;
    bool magic = glob_has_magic(full);
    Str literal = magic ? literal_of(full) : full;
    if (str_starts(literal, S("/"))) // `**` before it may stand for nothing
        literal = str_slice(literal, 1, literal.len);
    if (str_ends(literal, S("/")))
        literal.len--;
    f->scratch.n = 0;
    for (size_t i = 0; i < f->n; i++) {
        Str path = f->files[i].path;
        bool fits = magic ? str_find(path, literal, 0) != SIZE_MAX && glob_match(full, path)
                          : str_eq(path, full);
        if (fits && is_wanted(path, full) && (!data_only || is_data_name(path_name(path))))
            f->scratch.items[f->scratch.n++] = &f->files[i];
    }
    return f->scratch.n;
}

/* ---- Patterns by split ---- */

typedef struct SplitPatterns {
    Str split;
    Str *patterns;
    size_t n;
} SplitPatterns;

typedef struct SplitList {
    SplitPatterns *splits;
    size_t n;
} SplitList;

/* ^\w+(\.\w+)*$, in ASCII and whatever else is no ASCII. */
static bool is_split_name(Str name)
{
    Str part;
    if (!name.len)
        return false;
    while (str_split(&name, '.', &part)) {
        if (!part.len)
            return false;
        for (size_t i = 0; i < part.len; i++) {
            unsigned char c = (unsigned char)part.ptr[i];
            if (c < 0x80 && !isalnum(c) && c != '_')
                return false;
        }
    }
    return true;
}

static Str *one_pattern(Arena *a, Str pattern)
{
    Str *out = NEW(a, Str);
    *out = pattern;
    return out;
}

static Str text_of(const json_t *value)
{
    return (Str){json_string_value(value), json_string_length(value)};
}

/* A string, or a list of strings. */
static bool read_paths(Arena *a, const json_t *value, SplitPatterns *out, Error *err)
{
    if (json_is_string(value)) {
        out->patterns = one_pattern(a, text_of(value));
        out->n = 1;
        return true;
    }
    size_t n = json_array_size(value);
    if (!json_is_array(value) || n > MAX_PATTERNS)
        return fail(err, ERR_INVALID, "a path must be a string or a list of strings");
    out->patterns = NEW_ARRAY(a, Str, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);
        if (!json_is_string(item))
            return fail(err, ERR_INVALID, "path %zu must be a string", i + 1);
        out->patterns[out->n++] = text_of(item);
    }
    return true;
}

static bool read_split_entry(Arena *a, const json_t *entry, SplitList *out, Error *err)
{
    Str name = json_str(entry, "split");
    if (!json_is_object(entry) || json_object_size(entry) != 2 || !json_object_get(entry, "path") ||
        !is_split_name(name))
        return fail(err, ERR_INVALID,
                    "an entry must have a `split`, made of letters, digits, "
                    "underscores and dots, and a `path`");
    for (size_t i = 0; i < out->n; i++)
        if (str_eq(out->splits[i].split, name))
            return fail(err, ERR_INVALID, "the split '%.*s' is there twice", STR(name));
    SplitPatterns *split = &out->splits[out->n++];
    split->split = name;
    return read_paths(a, json_object_get(entry, "path"), split, err);
}

/* The value of `data_files`: a pattern, patterns, or splits with patterns. */
static bool read_data_files(Arena *a, const json_t *value, SplitList *out, Error *err)
{
    size_t n = json_array_size(value);
    bool splits = n > 0 && json_is_object(json_array_get(value, 0));
    if (n > MAX_SPLITS && splits)
        return fail(err, ERR_LIMIT, "data_files: more than %d splits", MAX_SPLITS);
    *out = (SplitList){.splits = NEW_ARRAY(a, SplitPatterns, n + 1)};
    if (!splits) {
        out->splits[out->n++].split = S("train");
        return read_paths(a, value, &out->splits[0], err) || fail_while(err, "data_files");
    }
    for (size_t i = 0; i < n; i++)
        if (!read_split_entry(a, json_array_get(value, i), out, err))
            return fail_while(err, "data_files");
    return true;
}

/* ---- Without a card: by names ---- */

#define DIGITS "[0-9][0-9][0-9][0-9][0-9]"
#define SHARDED "-" DIGITS "-of-" DIGITS "*.*"

/* "train-00000-of-00002.parquet" -> "train" */
static Str sharded_split(Str name)
{
    for (size_t end = name.len; end-- > 1;)
        if (glob_match(S(SHARDED), str_slice(name, end, name.len)))
            return str_slice(name, 0, end);
    return (Str){0};
}

static int split_order(Str name)
{
    return str_eq(name, S("train"))        ? 0
           : str_eq(name, S("validation")) ? 1
           : str_eq(name, S("test"))       ? 2
                                           : 3;
}

static int compare_splits(const void *a, const void *b)
{
    const SplitPatterns *x = a, *y = b;
    int order = split_order(x->split) - split_order(y->split);
    return order ? order : str_cmp(x->split, y->split);
}

static bool sharded_patterns(Finder *f, Str base, SplitList *out, Error *err)
{
    *out = (SplitList){0};
    size_t n = resolve(f, base, S("data/*" SHARDED), false);
    out->splits = NEW_ARRAY(f->a, SplitPatterns, n + 1);
    Map seen = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        Str split = sharded_split(path_name(f->scratch.items[i]->path));
        if (!is_split_name(split) || out->n == MAX_SPLITS)
            ok = fail(err, ERR_INVALID,
                      "'%.*s' cannot be the name of a split: letters, digits, "
                      "underscores and dots may be in it",
                      STR(split));
        else if (map_put(&seen, split, f))
            out->splits[out->n++] = (SplitPatterns){.split = split, .n = 1};
    }
    map_done(&seen);
    qsort(out->splits, out->n, sizeof *out->splits, compare_splits);
    for (size_t i = 0; i < out->n; i++)
        out->splits[i].patterns = one_pattern(
            f->a, str_of(arena_printf(f->a, "data/%.*s" SHARDED, STR(out->splits[i].split))));
    return ok;
}

#define SEPARATOR "[-._ 0-9]"

static const struct {
    const char *split, *words[5];
} keywords[] = {
    {"train", {"train", "training"}},
    {"validation", {"validation", "valid", "dev", "val"}},
    {"test", {"test", "testing", "eval", "evaluation"}},
};
static const char *const in_folders[] = {"**/%s/**", "**/%s" SEPARATOR "*/**",
                                         "**/*" SEPARATOR "%s/**",
                                         "**/*" SEPARATOR "%s" SEPARATOR "*/**"};
static const char *const in_files[] = {"**/%s" SEPARATOR "*", "**/*" SEPARATOR "%s" SEPARATOR "*"};

static SplitPatterns keyword_patterns(Finder *f, size_t k, const char *const *shapes, size_t n)
{
    SplitPatterns out = {.split = str_of(keywords[k].split)};
    out.patterns = NEW_ARRAY(f->a, Str, COUNT(keywords[k].words) * n);
    for (const char *const *word = keywords[k].words; *word; word++)
        for (size_t i = 0; i < n; i++)
            out.patterns[out.n++] = str_of(arena_printf(f->a, shapes[i], *word));
    return out;
}

/* Is there anything at all? A quick look at the words first: most names have none of them. */
static bool has_any(Finder *f, Str base, const SplitPatterns *split)
{
    for (size_t i = 0; i < split->n; i++)
        if (resolve(f, base, split->patterns[i], false))
            return true;
    return false;
}

static bool name_patterns(Finder *f, Str base, SplitList *out)
{
    static const struct {
        const char *const *shapes;
        size_t n;
    } places[] = {{in_folders, COUNT(in_folders)}, {in_files, COUNT(in_files)}};
    for (size_t p = 0; p < COUNT(places); p++) {
        for (size_t k = 0; k < COUNT(keywords); k++) {
            SplitPatterns split = keyword_patterns(f, k, places[p].shapes, places[p].n);
            if (has_any(f, base, &split))
                out->splits[out->n++] = split;
        }
        if (out->n)
            return true;
    }
    return false;
}

/* Patterns for what nobody has described; the first that find anything. */
static bool default_patterns(Finder *f, Str base, SplitList *out, Error *err)
{
    static const struct {
        const char *split, *patterns[2];
    } kinds[] = {{"logs", {"**/*.eval"}},
                 {"test", {"**/task.toml", "**/instruction.md"}},
                 {"train", {"**"}}};
    if (!sharded_patterns(f, base, out, err))
        return false;
    if (out->n)
        return true;
    out->splits = NEW_ARRAY(f->a, SplitPatterns, COUNT(keywords) + 1);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (i + 1 == COUNT(kinds) && name_patterns(f, base, out))
            return true;
        SplitPatterns split = {.split = str_of(kinds[i].split),
                               .patterns = NEW_ARRAY(f->a, Str, 2)};
        for (; split.n < 2 && kinds[i].patterns[split.n]; split.n++)
            split.patterns[split.n] = str_of(kinds[i].patterns[split.n]);
        if (has_any(f, base, &split)) {
            out->splits[out->n++] = split;
            return true;
        }
    }
    return fail(err, ERR_NOT_FOUND,
                base.len ? "there are no data files in '%.*s'" : "there are no data files%.*s",
                STR(base));
}

/* ---- Splits with their files ---- */

static bool split_files(Finder *f, Str base, const SplitPatterns *patterns, DatasetSplit *out,
                        Error *err)
{
    size_t cap = 0;
    *out = (DatasetSplit){.name = patterns->split};
    for (size_t i = 0; i < patterns->n; i++) {
        Str pattern = patterns->patterns[i];
        if (!glob_check(pattern, err))
            return false;
        size_t n = resolve(f, base, pattern, true);
        if (n == 0 && !glob_has_magic(pattern))
            return fail(err, ERR_NOT_FOUND, "there is no data file '%.*s'", STR(pattern));
        if (out->n_files + n > cap) {
            cap = MAX(2 * cap, out->n_files + n);
            if (cap > 4 * f->n + MAX_PATTERNS) // many patterns for the same files
                return fail(err, ERR_LIMIT, "the patterns name each file too often");
            const RepoEntry **more = NEW_ARRAY(f->a, const RepoEntry *, cap);
            if (out->n_files)
                memcpy(more, out->files, out->n_files * sizeof *more);
            out->files = more;
        }
        if (n)
            memcpy(out->files + out->n_files, f->scratch.items, n * sizeof *out->files);
        out->n_files += n;
    }
    return true;
}

static bool splits_of(Finder *f, Str base, const SplitList *patterns, DatasetConfig *out,
                      Error *err)
{
    out->splits = NEW_ARRAY(f->a, DatasetSplit, patterns->n + 1);
    for (out->n_splits = 0; out->n_splits < patterns->n; out->n_splits++)
        if (!split_files(f, base, &patterns->splits[out->n_splits], &out->splits[out->n_splits],
                         err))
            return false;
    return true;
}

/* ---- The format ---- */

typedef struct Extension {
    Str name; // without its dot, in lower case
    bool metadata;
    int64_t count;
} Extension;

/* Of two equally frequent ones the format that keeps types best, then the last by name. */
static bool is_better(const Extension *a, const Extension *b)
{
    static const char *const favourites[] = {"parquet", "lance", "vortex", "arrow",
                                             "jsonl",   "json",  "csv"};
    if (a->metadata != b->metadata)
        return b->metadata;
    if (a->count != b->count)
        return a->count > b->count;
    for (size_t i = 0; i < COUNT(favourites); i++)
        if (str_eq(a->name, str_of(favourites[i])) != str_eq(b->name, str_of(favourites[i])))
            return str_eq(a->name, str_of(favourites[i]));
    return str_cmp(a->name, b->name) > 0;
}

static void count_extensions(Arena *a, Map *counts, const RepoEntry *file)
{
    Str name = path_name(file->path), piece, rest = name;
    bool metadata = is_word_of(metadata_names, name) || str_eq(name, S("task.toml")) ||
                    str_eq(name, S("instruction.md")) ||
                    str_eq(name, S("latest_version_hint.json"));
    str_split(&rest, '.', &piece);
    while (str_split(&rest, '.', &piece)) {
        char buffer[17];
        if (piece.len >= sizeof buffer) // no format has so long a one
            continue;
        Str low = lower(piece, buffer, sizeof buffer - 1);
        if (!module_of(low) && !str_eq(low, S("zip")))
            continue;
        buffer[low.len] = metadata ? '!' : '.';
        Extension *found = map_find(counts, (Str){buffer, low.len + 1});
        if (!found) {
            Str key = arena_str(a, (Str){buffer, low.len + 1});
            found = NEW(a, Extension);
            *found = (Extension){.name = str_slice(key, 0, low.len), .metadata = metadata};
            map_put(counts, key, found);
        }
        found->count++;
    }
}

/* NULL if no file has a known format, or it is hidden in archives. */
static const Module *split_module(Arena *a, const DatasetSplit *split)
{
    Map counts = {0};
    const Extension *best = NULL;
    for (size_t i = 0; i < split->n_files; i++)
        count_extensions(a, &counts, split->files[i]);
    for (size_t i = 0; i < counts.n; i++)
        if (!best || is_better(counts.entries[i].value, best))
            best = counts.entries[i].value;
    const Module *module = best ? module_of(best->name) : NULL;
    map_done(&counts);
    return module;
}

static const Module *config_module(Arena *a, const DatasetConfig *config, Error *err)
{
    const Module *first = NULL;
    for (size_t i = 0; i < config->n_splits; i++) {
        const Module *module = split_module(a, &config->splits[i]);
        if (i > 0 && module != first)
            return fail(err, ERR_INVALID,
                        "the files of the splits '%.*s' and '%.*s' are not of one "
                        "format: %s and %s",
                        STR(config->splits[0].name), STR(config->splits[i].name),
                        first ? first->name : "none", module ? module->name : "none");
        first = module;
    }
    if (!first)
        return fail(err, ERR_NOT_FOUND, "there are no data files of a format that is known");
    return first;
}

/* Does the path end with one of the module's extensions, or have it before more of them? */
static bool is_of_module(const Module *module, Str path)
{
    Str name = path_name(path), piece, rest = name;
    str_split(&rest, '.', &piece);
    while (str_split(&rest, '.', &piece)) {
        char buffer[16];
        if (piece.len > sizeof buffer)
            continue;
        bool only, capitals = has_capitals(piece, &only);
        Str low = lower(piece, buffer, sizeof buffer);
        const Module *found = module_of(low);
        if (found
                ? strcmp(found->name, module->name) == 0 && (!capitals || (found->any_case && only))
                : str_eq(piece, S("zip")) ||
                      (strcmp(module->name, "lance") == 0 && is_word_of(other_extensions, piece)))
            return true;
    }
    Str names = str_of(module->names), word;
    while (str_split(&names, ' ', &word))
        if (word.len && str_ends(path, word))
            return true;
    return false;
}

static void keep_of_module(const Module *module, DatasetConfig *config)
{
    for (size_t i = 0; i < config->n_splits; i++) {
        DatasetSplit *split = &config->splits[i];
        size_t n = 0;
        for (size_t k = 0; k < split->n_files; k++)
            if (is_of_module(module, split->files[k]->path))
                split->files[n++] = split->files[k];
        split->n_files = n;
    }
}

/* ---- Configs ---- */

static bool is_true(const json_t *value)
{
    return value && !json_is_null(value) && !json_is_false(value) &&
           !(json_is_string(value) && json_string_length(value) == 0) &&
           !(json_is_number(value) && json_number_value(value) == 0);
}

static Str config_name(Arena *a, const json_t *entry)
{
    const json_t *name = json_object_get(entry, "config_name");
    return json_is_integer(name)
               ? str_of(arena_printf(a, "%lld", (long long)json_integer_value(name)))
               : text_of(name);
}

/* One entry of the card's list. `module` decides nothing here: patterns say which files. */
static bool read_config(Finder *f, const json_t *entry, DatasetConfig *out, Error *err)
{
    SplitList patterns;
    const json_t *files = json_object_get(entry, "data_files");
    Str folder = json_str(entry, "data_dir");
    while (str_ends(folder, S("/")))
        folder.len--;
    while (str_starts(folder, S("./")))
        folder = str_slice(folder, 2, folder.len);
    if (str_eq(folder, S(".")))
        folder = (Str){0};
    out->card = entry;
    bool ok = files && !json_is_null(files) ? read_data_files(f->a, files, &patterns, err)
                                            : default_patterns(f, folder, &patterns, err);
    return ok && splits_of(f, folder, &patterns, out, err);
}

/* Which files tell the format: those of the first config's patterns, or what names say. */
static const Module *card_module(Finder *f, const json_t *first, Error *err)
{
    SplitList patterns;
    DatasetConfig config = {0};
    const json_t *files = json_object_get(first, "data_files");
    bool ok = files && !json_is_null(files) ? read_data_files(f->a, files, &patterns, err)
                                            : default_patterns(f, (Str){0}, &patterns, err);
    return ok && splits_of(f, (Str){0}, &patterns, &config, err) ? config_module(f->a, &config, err)
                                                                 : NULL;
}

static bool mark_default(DatasetLayout *out, Error *err)
{
    const DatasetConfig *found = NULL;
    for (size_t i = 0; i < out->n_configs; i++) {
        DatasetConfig *config = &out->configs[i];
        config->is_default = out->n_configs == 1 || str_eq(config->name, S("default")) ||
                             is_true(json_object_get(config->card, "default"));
        if (config->is_default && found)
            return fail(err, ERR_INVALID, "there are two default configs, '%.*s' and '%.*s'",
                        STR(found->name), STR(config->name));
        if (config->is_default)
            found = config;
    }
    return true;
}

static bool configs_of_card(Finder *f, const json_t *list, DatasetLayout *out, Error *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > MAX_CONFIGS)
        return fail(err, ERR_INVALID, "the card's `configs` must be a list of at most %d",
                    MAX_CONFIGS);
    for (size_t i = 0; i < n; i++)
        if (!config_name(f->a, json_array_get(list, i)).len)
            return fail(err, ERR_INVALID, "config %zu of the card needs a `config_name`", i + 1);
    const Module *module = card_module(f, json_array_get(list, 0), err);
    if (!module)
        return false;
    out->module = str_of(module->name);
    out->separator = module->separator;
    out->configs = NEW_ARRAY(f->a, DatasetConfig, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *entry = json_array_get(list, i);
        DatasetConfig config = {.name = config_name(f->a, entry)};
        if (!read_config(f, entry, &config, err))
            return fail_while(err, "config '%.*s'", STR(config.name));
        size_t at = 0; // a name that comes again takes the place of the first
        while (at < out->n_configs && !str_eq(out->configs[at].name, config.name))
            at++;
        out->configs[at] = config;
        out->n_configs = MAX(out->n_configs, at + 1);
    }
    return mark_default(out, err);
}

static bool config_of_names(Finder *f, DatasetLayout *out, Error *err)
{
    SplitList patterns;
    DatasetConfig config = {.name = S("default"), .is_default = true};
    if (!default_patterns(f, (Str){0}, &patterns, err) ||
        !splits_of(f, (Str){0}, &patterns, &config, err))
        return false;
    const Module *module = config_module(f->a, &config, err);
    if (!module)
        return false;
    keep_of_module(module, &config);
    out->module = str_of(module->name);
    out->separator = module->separator;
    out->configs = arena_copy(f->a, &config, sizeof config);
    out->n_configs = 1;
    return true;
}

DatasetLayout *dataset_layout(Arena *a, const json_t *card, const RepoEntry *files, size_t n)
{
    DatasetLayout *out = NEW(a, DatasetLayout);
    AUTO(arena_free) Arena *scratch = arena_new(0);
    Finder f = {.a = a, .files = files, .n = n};
    Error err = {0};
    f.scratch.items = NEW_ARRAY(scratch, const RepoEntry *, n + 1);
    const json_t *list = json_object_get(card, "configs");
    bool ok = is_true(list) && !(json_is_array(list) && json_array_size(list) == 0)
                  ? configs_of_card(&f, list, out, &err)
                  : config_of_names(&f, out, &err);
    if (!ok) {
        out->n_configs = 0;
        out->problem = arena_str(a, str_of(err.text));
    }
    return out;
}

const DatasetConfig *dataset_config(const DatasetLayout *layout, Str name)
{
    for (size_t i = 0; i < layout->n_configs; i++)
        if (name.len ? str_eq(layout->configs[i].name, name) : layout->configs[i].is_default)
            return &layout->configs[i];
    return NULL;
}

const DatasetSplit *dataset_split(const DatasetConfig *config, Str name)
{
    for (size_t i = 0; i < config->n_splits; i++)
        if (str_eq(config->splits[i].name, name))
            return &config->splits[i];
    return NULL;
}
