/* tokenizer_files.c: a model folder: which files make up its tokenizer, and what the configuration
 * beside them adds (roles of tokens, further added tokens, chat templates).
 *
 * A folder without tokenizer.json has the vocabulary of GPT-2's family (vocab.json + merges.txt) or
 * of BERT (vocab.txt); how their classes use it is in the tables here. */
#include "text/tokenizer_internal.h"

#include "base/file.h"
#include "formats/checkpoint.h"

#include <dirent.h>

enum { MAX_FILE = 512 << 20, MAX_CONFIG = 64 << 20 };

typedef struct Folder {
    Tokenizer *t;
    const char *path;
    json_t *config, *specials; // tokenizer_config.json, special_tokens_map.json; NULL if absent
} Folder;

static char *path_in(const Folder *f, const char *name)
{
    return arena_printf(f->t->arena, "%s/%s", f->path, name);
}

static bool has(const Folder *f, const char *name)
{
    return file_exists(path_in(f, name));
}

/* True with *value NULL where the file is absent. */
static bool read_optional(const Folder *f, const char *name, json_t **value, Error *err)
{
    *value = NULL;
    if (!has(f, name))
        return true;
    *value = json_read_file(path_in(f, name), MAX_CONFIG, err);
    return *value;
}

static bool load_file(Tokenizer *t, const char *path, Error *err)
{
    FileMap map;
    if (!file_map(&map, path, err))
        return false;
    const char *name = arena_cstr(t->arena, path_name(str_of(path)));
    bool loaded = false;
    if (map.len > MAX_FILE)
        (void)!fail(err, ERR_LIMIT, "%s: %zu bytes", name, map.len);
    else
        loaded = load_json(t, (Str){(const char *)map.ptr, map.len}, name, err);
    file_unmap(&map);
    return loaded;
}

/* ---- vocab.json + merges.txt ---- */

/* How the classes of GPT-2's family differ. */
static const struct {
    const char *class; // the start of tokenizer_class
    const char *regex; // NULL: GPT-2's
    bool around;       // puts cls_token and sep_token around a text
    bool trims;        // spans lose their spaces
    const char *bos, *eos, *unk, *cls, *sep, *pad, *mask; // unless configured
} families[] = {
    {"Roberta", NULL, true, true, "<s>", "</s>", "<unk>", "<s>", "</s>", "<pad>", "<mask>"},
    {"Bart", NULL, true, true, "<s>", "</s>", "<unk>", "<s>", "</s>", "<pad>", "<mask>"},
    {"Longformer", NULL, true, true, "<s>", "</s>", "<unk>", "<s>", "</s>", "<pad>", "<mask>"},
    {"LED", NULL, true, true, "<s>", "</s>", "<unk>", "<s>", "</s>", "<pad>", "<mask>"},
    {"Qwen2", QWEN2_REGEX, false, false, NULL, "<|endoftext|>", NULL, NULL, NULL, "<|endoftext|>"},
    {"", NULL, false, false, "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"},
};

static bool read_merge_lines(Tokenizer *t, Str text, Error *err)
{
    Str line;
    uint32_t rank = 0;
    for (int number = 1; str_split(&text, '\n', &line); number++) {
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0 || str_starts(line, S("#version")))
            continue;
        size_t space = str_find_char(line, ' ', 0);
        if (space == SIZE_MAX)
            return fail(err, ERR_INVALID, "merges.txt: line %d is not two tokens", number);
        bpe_merge(t, str_slice(line, 0, space), str_slice(line, space + 1, line.len), rank++);
    }
    return bpe_finish(t, "merges.txt", err);
}

static bool load_merges(Folder *f, Error *err)
{
    AUTO_BUF vocab, merges;
    buf_init(&vocab, MAX_FILE);
    buf_init(&merges, MAX_FILE);
    if (!file_read(path_in(f, "vocab.json"), &vocab, err) ||
        !file_read(path_in(f, "merges.txt"), &merges, err))
        return false;
    if (!str_is_utf8(buf_str(&vocab)) || !str_is_utf8(buf_str(&merges)))
        return fail(err, ERR_INVALID, "vocab.json or merges.txt is not UTF-8");
    if (!vocab_read_object(f->t, buf_str(&vocab), "vocab.json", err))
        return false;
    BpeOptions options = {0};
    bpe_start(f->t, &options, (size_t)f->t->vocab.n);
    return read_merge_lines(f->t, buf_str(&merges), err);
}

static const char *role_defaults(size_t family, SpecialToken role)
{
    const char *const texts[SPECIAL_COUNT] = {
        [SPECIAL_BOS] = families[family].bos,  [SPECIAL_EOS] = families[family].eos,
        [SPECIAL_UNK] = families[family].unk,  [SPECIAL_SEP] = families[family].sep,
        [SPECIAL_PAD] = families[family].pad,  [SPECIAL_CLS] = families[family].cls,
        [SPECIAL_MASK] = families[family].mask};
    return texts[role];
}

/* A role's token is an added one, marked special, whether or not the model knows it. */
static void add_role(Tokenizer *t, SpecialToken role, const json_t *value)
{
    Str text = json_is_string(value) ? (Str){json_string_value(value), json_string_length(value)}
                                     : json_str(value, "content");
    if (text.len == 0)
        return;
    if (!map_find(&t->added_ids, text)) {
        AddedToken token = json_is_object(value) ? added_of_json(t, value) : (AddedToken){0};
        token.content = arena_str(t->arena, text);
        token.special = true;
        token.normalized =
            json_is_object(value) && token.normalized && json_flag(value, "normalized", false);
        token.id = t->vocab.n;
        added_put(t, token);
    }
    special_set(t, role, text);
}

static void add_default_roles(Tokenizer *t, size_t family)
{
    for (int role = 0; role < SPECIAL_COUNT; role++) {
        Str text = str_of(role_defaults(family, (SpecialToken)role));
        if (vocab_find_text(t, text) < 0)
            continue;
        json_t *value = json_from_str(text);
        add_role(t, (SpecialToken)role, value);
        json_decref(value);
    }
}

static bool load_gpt2_family(Folder *f, Error *err)
{
    Tokenizer *t = f->t;
    Str class = str_of(json_text(f->config, "tokenizer_class", ""));
    size_t family = 0;
    while (!str_starts(class, str_of(families[family].class)))
        family++;
    const char *regex = families[family].regex ? families[family].regex : GPT2_REGEX;
    if (!pretokenizer_add_byte_level(t, &regex, 1, json_flag(f->config, "add_prefix_space", false),
                                     err) ||
        !load_merges(f, err))
        return false;
    decoder_set_byte_level(t);
    add_default_roles(t, family);
    return true;
}

/* ---- vocab.txt ---- */

static bool load_bert(Folder *f, Error *err)
{
    Tokenizer *t = f->t;
    AUTO_BUF text;
    buf_init(&text, MAX_FILE);
    if (!file_read(path_in(f, "vocab.txt"), &text, err))
        return false;
    if (!str_is_utf8(buf_str(&text)))
        return fail(err, ERR_INVALID, "vocab.txt is not UTF-8");
    Str rest = buf_str(&text), line;
    for (int32_t id = 0; str_split(&rest, '\n', &line) && (line.len || rest.len); id++) {
        if (id >= MAX_TOKEN_ID)
            return fail(err, ERR_LIMIT, "vocab.txt: more than %d lines", MAX_TOKEN_ID);
        vocab_add(t, id,
                  line.len && line.ptr[line.len - 1] == '\r' ? str_slice(line, 0, line.len - 1)
                                                             : line);
    }
    return bert_stages(t, f->config, err);
}

bool bert_stages(Tokenizer *t, const json_t *config, Error *err)
{
    bool lower = json_flag(config, "do_lower_case", true);
    json_t *stages = json_pack(
        "{s:{s:s,s:b,s:b,s:b,s:b},s:{s:s},s:{s:s},s:{s:s}}", "normalizer", "type", "BertNormalizer",
        "clean_text", 1, "handle_chinese_chars", json_flag(config, "tokenize_chinese_chars", true),
        "lowercase", lower, "strip_accents", json_flag(config, "strip_accents", lower),
        "pre_tokenizer", "type", "BertPreTokenizer", "decoder", "type", "WordPiece", "model",
        "unk_token", json_text(config, "unk_token", "[UNK]"));
    CHECK(stages);
    t->model = &model_wordpiece;
    bool read = normalizers_read(t, json_object_get(stages, "normalizer"), err) &&
                pretokenizers_read(t, json_object_get(stages, "pre_tokenizer"), err) &&
                decoders_read(t, json_object_get(stages, "decoder"), err) &&
                model_wordpiece.read(t, json_object_get(stages, "model"), err);
    json_decref(stages);
    static const struct {
        SpecialToken role;
        const char *text;
    } roles[] = {{SPECIAL_UNK, "[UNK]"},
                 {SPECIAL_SEP, "[SEP]"},
                 {SPECIAL_PAD, "[PAD]"},
                 {SPECIAL_CLS, "[CLS]"},
                 {SPECIAL_MASK, "[MASK]"}};
    for (size_t i = 0; read && i < COUNT(roles); i++) {
        json_t *value = json_string(roles[i].text);
        if (vocab_find_text(t, str_of(roles[i].text)) >= 0)
            add_role(t, roles[i].role, value);
        json_decref(value);
    }
    return read;
}

/* ---- Configuration ---- */

static bool read_added_decoder(Folder *f, Error *err)
{
    const json_t *decoder = json_object_get(f->config, "added_tokens_decoder");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)decoder, key, value)
    {
        int64_t id;
        if (!str_to_int(str_of(key), 0, f->t->vocab.n + MAX_ADDED, &id))
            return fail(err, ERR_INVALID, "tokenizer_config.json: added_tokens_decoder: id '%s'",
                        key);
        AddedToken token = added_of_json(f->t, value);
        token.id = (int32_t)id;
        if (!map_find(&f->t->added_ids, token.content))
            added_put(f->t, token);
    }
    return true;
}

/* {"<tok>": 32000, …}, of the oldest folders. */
static bool read_added_file(Folder *f, Error *err)
{
    json_t *file;
    if (!read_optional(f, "added_tokens.json", &file, err))
        return false;
    const char *key;
    json_t *value;
    bool fits = true;
    json_object_foreach(file, key, value)
    {
        json_int_t id = json_integer_value(value);
        fits = fits && id >= 0 && id <= f->t->vocab.n + MAX_ADDED;
        if (!fits || map_find(&f->t->added_ids, str_of(key)))
            continue;
        added_put(f->t, (AddedToken){.content = arena_str(f->t->arena, str_of(key)),
                                     .id = (int32_t)id,
                                     .normalized = true});
    }
    json_decref(file);
    if (!fits)
        return fail(err, ERR_INVALID, "added_tokens.json: an id is out of range");
    return true;
}

static void add_extra(Tokenizer *t, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        AddedToken token = json_is_object(value) ? added_of_json(t, value) : (AddedToken){0};
        if (json_is_string(value))
            token.content =
                arena_str(t->arena, (Str){json_string_value(value), json_string_length(value)});
        token.special = true;
        token.id = t->vocab.n;
        if (token.content.len && !map_find(&t->added_ids, token.content))
            added_put(t, token);
    }
}

static void read_roles(Folder *f)
{
    for (int role = 0; role < SPECIAL_COUNT; role++) {
        const char *name = special_token_name((SpecialToken)role);
        const json_t *value = json_object_get(f->config, name);
        if (!value || json_is_null(value))
            value = json_object_get(f->specials, name);
        add_role(f->t, (SpecialToken)role, value);
    }
    add_extra(f->t, json_object_get(f->config, "additional_special_tokens"));
    add_extra(f->t, json_object_get(f->config, "extra_special_tokens"));
}

/* additional_chat_templates/NAME.jinja */
static bool read_named_templates(Folder *f, Error *err)
{
    Arena *a = f->t->arena;
    const char *folder = path_in(f, "additional_chat_templates");
    DIR *names = opendir(folder);
    bool ok = true;
    for (struct dirent *e; ok && names && (e = readdir(names));) {
        Str file = str_of(e->d_name);
        if (!str_ends(file, S(".jinja")))
            continue;
        AUTO_BUF source;
        buf_init(&source, MAX_CONFIG);
        ok = file_read(arena_printf(a, "%s/%s", folder, e->d_name), &source, err);
        Str *kept = NEW(a, Str);
        *kept = arena_str(a, buf_str(&source));
        map_put(&f->t->templates, arena_str(a, str_slice(file, 0, file.len - 6)), kept);
    }
    if (names)
        closedir(names);
    return ok;
}

static bool read_templates(Folder *f, Error *err)
{
    Tokenizer *t = f->t;
    const json_t *templates = json_object_get(f->config, "chat_template");
    t->chat_template = arena_str(t->arena, json_str(f->config, "chat_template"));
    for (size_t i = 0; i < json_array_size(templates); i++) {
        const json_t *item = json_array_get(templates, i);
        Str *source = NEW(t->arena, Str);
        *source = arena_str(t->arena, json_str(item, "template"));
        Str name = arena_str(t->arena, json_str(item, "name"));
        if (str_eq(name, S("default")))
            t->chat_template = *source;
        map_put(&t->templates, name, source);
    }
    if (!has(f, "chat_template.jinja"))
        return read_named_templates(f, err);
    AUTO_BUF source;
    buf_init(&source, MAX_CONFIG);
    if (!file_read(path_in(f, "chat_template.jinja"), &source, err))
        return false;
    t->chat_template = arena_str(t->arena, buf_str(&source));
    return read_named_templates(f, err);
}

/* Post-processors of folders without tokenizer.json need to know the roles first. */
static void add_postprocessor(Folder *f, bool bert)
{
    Tokenizer *t = f->t;
    Str class = str_of(json_text(f->config, "tokenizer_class", ""));
    size_t family = 0;
    while (!str_starts(class, str_of(families[family].class)))
        family++;
    bool around = bert || families[family].around;
    int32_t bos = json_flag(f->config, "add_bos_token", false) ? t->special[SPECIAL_BOS] : -1;
    int32_t eos = json_flag(f->config, "add_eos_token", false) ? t->special[SPECIAL_EOS] : -1;
    postprocessor_set(t, !bert && families[family].trims, around ? t->special[SPECIAL_CLS] : bos,
                      around ? t->special[SPECIAL_SEP] : eos, bert ? PAIR_BERT : PAIR_ROBERTA);
}

static bool read_config(Folder *f, Error *err)
{
    double longest = json_num(f->config, "model_max_length", 0);
    f->t->max_length = longest > 0 && longest < 1e15 ? (int64_t)longest : 0;
    if (!read_added_decoder(f, err) || !read_added_file(f, err))
        return false;
    read_roles(f);
    return read_templates(f, err);
}

static bool load_gguf_folder(Folder *f, Error *err)
{
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_open(f->path, NULL);
    const Gguf *gguf = c ? checkpoint_gguf(c) : NULL;
    if (!gguf)
        return fail(err, ERR_NOT_FOUND,
                    "the folder has neither tokenizer.json, vocab.json with "
                    "merges.txt, vocab.txt, a sentencepiece model nor a .gguf file");
    return load_gguf(f->t, gguf, err);
}

/* The sentencepiece file of a folder, by the names that model classes give it; NULL if none. */
static const char *sentencepiece_file(const Folder *f)
{
    static const char *const names[] = {"tokenizer.model", "spiece.model",
                                        "sentencepiece.bpe.model", "sentencepiece.model"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (has(f, names[i]))
            return path_in(f, names[i]);
    return NULL;
}

static bool load_sentencepiece_file(Tokenizer *t, const char *path, Error *err)
{
    FileMap map;
    if (!file_map(&map, path, err))
        return false;
    const char *name = arena_cstr(t->arena, path_name(str_of(path)));
    bool loaded = load_sentencepiece(t, (Str){(const char *)map.ptr, map.len}, name, err);
    file_unmap(&map);
    return loaded;
}

/* T5 ends its texts, Llama begins them, unless the configuration says otherwise. */
static bool load_sentencepiece_folder(Folder *f, const char *path, Error *err)
{
    Tokenizer *t = f->t;
    Str class = str_of(json_text(f->config, "tokenizer_class", ""));
    if (!load_sentencepiece_file(t, path, err) || !read_config(f, err))
        return false;
    bool bos = json_flag(f->config, "add_bos_token", str_starts(class, S("Llama")));
    bool eos = json_flag(f->config, "add_eos_token", str_starts(class, S("T5")));
    postprocessor_set(t, false, bos ? t->special[SPECIAL_BOS] : -1,
                      eos ? t->special[SPECIAL_EOS] : -1, PAIR_BERT);
    return true;
}

static bool load_vocabulary(Folder *f, Error *err)
{
    if (has(f, "tokenizer.json"))
        return load_file(f->t, path_in(f, "tokenizer.json"), err) && read_config(f, err);
    bool merges = has(f, "vocab.json") && has(f, "merges.txt"), bert = has(f, "vocab.txt");
    const char *pieces = merges || bert ? NULL : sentencepiece_file(f);
    if (pieces)
        return load_sentencepiece_folder(f, pieces, err);
    if (!merges && !bert)
        return load_gguf_folder(f, err);
    if (!(merges ? load_gpt2_family(f, err) : load_bert(f, err)) || !read_config(f, err))
        return false;
    add_postprocessor(f, !merges);
    return true;
}

bool load_folder(Tokenizer *t, const char *path, Error *err)
{
    if (str_ends(str_of(path), S(".model")) || str_ends(str_of(path), S(".spm")))
        return load_sentencepiece_file(t, path, err);
    if (!file_is_folder(path))
        return load_file(t, path, err);
    Folder f = {.t = t, .path = path};
    bool loaded = read_optional(&f, "tokenizer_config.json", &f.config, err) &&
                  read_optional(&f, "special_tokens_map.json", &f.specials, err) &&
                  load_vocabulary(&f, err);
    json_decref(f.config);
    json_decref(f.specials);
    return loaded;
}
