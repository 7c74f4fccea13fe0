/* pretokenize.c: the pre-tokenizers of tokenizer.json, one row of `kinds` each. They cut pieces of
 * text into words; added tokens pass through untouched. */
#include "text/tokenizer_internal.h"

/* Receives a text's matches and the gaps between them, in order, and cuts the piece there. */
typedef struct Splitter {
    PieceList *out;
    const Piece *piece;
    Behavior behavior;
    size_t from, to; // what waits to be cut off; none if equal
    bool previous;   // the last part was a match
} Splitter;

static void cut(Splitter *s, size_t from, size_t to)
{
    if (from < to)
        piece_push(s->out, piece_slice(s->piece, from, to));
}

static void splitter_add(Splitter *s, size_t from, size_t to, bool match)
{
    bool joins = false; // belongs to what waits
    switch (s->behavior) {
    case REMOVED:
        if (!match)
            cut(s, from, to);
        return;
    case ISOLATED:
        cut(s, from, to);
        return;
    case CONTIGUOUS:
        joins = match == s->previous;
        break;
    case MERGED_WITH_PREVIOUS:
        joins = match && !s->previous;
        break;
    case MERGED_WITH_NEXT:
        joins = !match && s->previous;
        break;
    }
    s->previous = match;
    if (!joins) {
        cut(s, s->from, s->to);
        s->from = from;
    }
    s->to = to;
}

static bool split_piece(Splitter *s, const Pattern *pattern, bool invert, Workspace *w, Error *err)
{
    Matches m = matches_of(pattern, w, (Str){s->piece->text, s->piece->len});
    size_t done = 0;
    while (matches_next(&m, err)) {
        if (done < m.from)
            splitter_add(s, done, m.from, invert);
        splitter_add(s, m.from, m.to, !invert);
        done = m.to;
    }
    if (m.failed)
        return fail_while(err, "pre_tokenizer");
    if (done < s->piece->len)
        splitter_add(s, done, s->piece->len, invert);
    cut(s, s->from, s->to);
    return true;
}

static bool split(const PreTokenizer *s, Workspace *w, Error *err)
{
    for (size_t i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.items[i];
        if (p->token >= 0) {
            piece_push(&w->next, *p);
            continue;
        }
        Splitter splitter = {.out = &w->next, .piece = p, .behavior = s->behavior};
        if (!split_piece(&splitter, &s->pattern, s->invert, w, err))
            return false;
    }
    return next_list(w);
}

/* White space goes, then each punctuation mark stands alone. */
static bool bert(const PreTokenizer *s, Workspace *w, Error *err)
{
    const PreTokenizer spaces = {.pattern.test = is_space, .behavior = REMOVED};
    const PreTokenizer marks = {.pattern.test = is_punctuation, .behavior = ISOLATED};
    return split(&spaces, w, err) && split(&marks, w, err);
}

static void to_bytes(Workspace *w, Piece *p)
{
    w->changes.n = w->changes.dropped = 0;
    for (size_t i = 0; i < p->len; i++)
        change_push(&w->changes, byte_to_char((uint8_t)p->text[i]), (p->text[i] & 0xC0) == 0x80);
    piece_transform(w, p, &w->changes);
}

static bool byte_level(const PreTokenizer *s, Workspace *w, Error *err)
{
    for (size_t i = 0; s->add_prefix_space && i < w->pieces.n; i++) {
        Piece *p = &w->pieces.items[i];
        if (p->token < 0 && p->len && p->text[0] != ' ')
            piece_prepend(w, p, S(" "));
    }
    if (s->split && !split(s, w, err))
        return false;
    for (size_t i = 0; s->to_bytes && i < w->pieces.n; i++)
        if (w->pieces.items[i].token < 0)
            to_bytes(w, &w->pieces.items[i]);
    return true;
}

static void metaspace_piece(const PreTokenizer *s, Workspace *w, Piece *p)
{
    Str replacement = s->replacement;
    bool spaces = memchr(p->text, ' ', p->len);
    if (spaces) {
        int32_t code = char_at(replacement.ptr, &(size_t){0});
        w->changes.n = w->changes.dropped = 0;
        for (size_t pos = 0; pos < p->len;) {
            int32_t c = char_at(p->text, &pos);
            change_push(&w->changes, c == ' ' ? code : c, 0);
        }
        piece_transform(w, p, &w->changes);
    }
    bool wanted = s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && p->origin == 0);
    if (wanted && !str_starts((Str){p->text, p->len}, replacement))
        piece_prepend(w, p, replacement);
}

static bool metaspace(const PreTokenizer *s, Workspace *w, Error *err)
{
    for (size_t i = 0; i < w->pieces.n; i++)
        if (w->pieces.items[i].token < 0)
            metaspace_piece(s, w, &w->pieces.items[i]);
    return s->split ? split(s, w, err) : true;
}

/* Runs of word characters, and runs of what is neither those nor white space. */
static bool whitespace(const PreTokenizer *s, Workspace *w, Error *err)
{
    enum { NONE, WORD, OTHER };
    for (size_t i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.items[i];
        size_t from = 0;
        int last = NONE;
        for (size_t pos = 0; p->token < 0 && pos < p->len;) {
            size_t at = pos;
            int32_t code = char_at(p->text, &pos);
            int kind = is_word(code) ? WORD : is_space(code) ? NONE : OTHER;
            if (kind == last)
                continue;
            if (last != NONE)
                piece_push(&w->next, piece_slice(p, from, at));
            from = at;
            last = kind;
        }
        if (p->token >= 0)
            piece_push(&w->next, *p);
        else if (last != NONE)
            piece_push(&w->next, piece_slice(p, from, p->len));
    }
    return next_list(w);
}

/* Where the script changes. What goes with any script belongs to what lies before it, and is lost
 * at the beginning, as the reference loses it. */
static bool unicode_scripts(const PreTokenizer *s, Workspace *w, Error *err)
{
    for (size_t i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.items[i];
        size_t from = 0;
        uint8_t last = 0;
        for (size_t pos = 0; p->token < 0 && pos < p->len;) {
            size_t at = pos;
            uint8_t script = char_script(char_at(p->text, &pos));
            if (script == 0 || script == last)
                continue;
            if (last)
                piece_push(&w->next, piece_slice(p, from, at));
            from = at;
            last = script;
        }
        if (p->token >= 0)
            piece_push(&w->next, *p);
        else if (last)
            piece_push(&w->next, piece_slice(p, from, p->len));
    }
    return next_list(w);
}

static bool fixed_length(const PreTokenizer *s, Workspace *w, Error *err)
{
    for (size_t i = 0; i < w->pieces.n; i++) {
        const Piece *p = &w->pieces.items[i];
        size_t from = 0, pos = 0;
        for (int64_t n = 1; p->token < 0 && pos < p->len; n++) {
            char_at(p->text, &pos);
            if (n % s->length && pos < p->len)
                continue;
            piece_push(&w->next, piece_slice(p, from, pos));
            from = pos;
        }
        if (p->token >= 0)
            piece_push(&w->next, *p);
    }
    return next_list(w);
}

/* ---- Reading and running ---- */

static bool read_behavior(PreTokenizer *s, const json_t *value, Error *err)
{
    static const char *const names[] = {[REMOVED] = "Removed",
                                        [ISOLATED] = "Isolated",
                                        [CONTIGUOUS] = "Contiguous",
                                        [MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [MERGED_WITH_NEXT] = "MergedWithNext"};
    const char *name = json_text(value, "behavior", "Isolated");
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            s->behavior = (Behavior)i;
            return true;
        }
    return fail(err, ERR_INVALID, "behavior: there is no '%s'", name);
}

static bool read_byte_level(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->add_prefix_space = json_flag(value, "add_prefix_space", true);
    s->split = json_flag(value, "use_regex", true);
    s->pattern.scan = scan_gpt2;
    s->behavior = ISOLATED;
    s->to_bytes = true;
    return true;
}

static bool read_split(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->invert = json_flag(value, "invert", false);
    return pattern_read(&s->pattern, json_object_get(value, "pattern"), "pattern", a, err) &&
           read_behavior(s, value, err);
}

static bool read_punctuation(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->pattern.test = is_punctuation;
    return read_behavior(s, value, err);
}

static bool read_digits(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->pattern.test = is_number;
    s->behavior = json_flag(value, "individual_digits", false) ? ISOLATED : CONTIGUOUS;
    return true;
}

static bool read_delimiter(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->behavior = REMOVED;
    return pattern_read(&s->pattern, json_object_get(value, "delimiter"), "delimiter", a, err);
}

static bool read_whitespace_split(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->pattern.test = is_space;
    s->behavior = REMOVED;
    return true;
}

static bool read_fixed_length(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->length = json_int(value, "length", 5);
    if (s->length < 1)
        return fail(err, ERR_INVALID, "length: not positive");
    return true;
}

bool prepend_read(Prepend *out, const json_t *value, Error *err)
{
    static const char *const names[] = {
        [PREPEND_NEVER] = "never", [PREPEND_FIRST] = "first", [PREPEND_ALWAYS] = "always"};
    const char *name = json_text(value, "prepend_scheme", "always");
    if (!json_flag(value, "add_prefix_space", true)) // files from before prepend_scheme
        name = "never";
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (Prepend)i;
            return true;
        }
    return fail(err, ERR_INVALID, "prepend_scheme: there is no '%s'", name);
}

static bool read_metaspace(PreTokenizer *s, const json_t *value, Arena *a, Error *err)
{
    s->replacement = arena_str(a, json_str(value, "replacement"));
    if (s->replacement.len == 0 || char_size(s->replacement.ptr[0]) != s->replacement.len)
        return fail(err, ERR_INVALID, "replacement: not one character");
    s->split = json_flag(value, "split", true);
    s->behavior = MERGED_WITH_NEXT;
    s->pattern.literal = s->replacement;
    return prepend_read(&s->prepend, value, err);
}

static const struct {
    const char *type;
    bool (*apply)(const PreTokenizer *s, Workspace *w, Error *err);
    bool (*read)(PreTokenizer *s, const json_t *value, Arena *a, Error *err);
} kinds[] = {
    {"ByteLevel", byte_level, read_byte_level},
    {"Split", split, read_split},
    {"Metaspace", metaspace, read_metaspace},
    {"Digits", split, read_digits},
    {"Whitespace", whitespace, NULL},
    {"WhitespaceSplit", split, read_whitespace_split},
    {"BertPreTokenizer", bert, NULL},
    {"Punctuation", split, read_punctuation},
    {"CharDelimiterSplit", split, read_delimiter},
    {"UnicodeScripts", unicode_scripts, NULL},
    {"FixedLength", fixed_length, read_fixed_length},
};

static bool read_one(Tokenizer *t, const json_t *value, Error *err)
{
    const char *type = json_text(value, "type", "?");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (strcmp(kinds[i].type, type) != 0)
            continue;
        PreTokenizer *s = &t->pre[t->pre_n];
        s->apply = kinds[i].apply;
        if (kinds[i].read && !kinds[i].read(s, value, t->arena, err))
            return fail_while(err, "%s", type);
        t->pre_n++;
        return true;
    }
    return fail(err, ERR_UNSUPPORTED, "there is no type '%s'", type);
}

/* What comes last decides whether the model sees raw bytes, and one scanner alone can run in step
 * with the model. */
static void choose_paths(Tokenizer *t)
{
    PreTokenizer *last = t->pre_n ? &t->pre[t->pre_n - 1] : NULL;
    if (!last || last->apply != byte_level)
        return;
    t->byte_level = true;
    last->to_bytes = false;
    if (t->pre_n == 1 && last->split && !last->add_prefix_space)
        t->fused = last->pattern.scan;
    if (t->pre_n == 2 && !last->split && !last->add_prefix_space && t->pre[0].apply == split &&
        t->pre[0].behavior == ISOLATED)
        t->fused = t->pre[0].pattern.scan;
}

bool pretokenizers_read(Tokenizer *t, const json_t *value, Error *err)
{
    const json_t *list[MAX_COMPONENTS];
    size_t n;
    if (!components_list(value, "pretokenizers", list, &n, err))
        return fail_while(err, "pre_tokenizer");
    t->pre = NEW_ARRAY(t->arena, PreTokenizer, n);
    for (size_t i = 0; i < n; i++)
        if (!read_one(t, list[i], err))
            return fail_while(err, "pre_tokenizer");
    choose_paths(t);
    return true;
}

bool pretokenizer_add_byte_level(Tokenizer *t, const char *const *regexes, size_t n,
                                 bool add_prefix_space, Error *err)
{
    t->pre = NEW_ARRAY(t->arena, PreTokenizer, n + 2);
    if (add_prefix_space)
        t->pre[t->pre_n++] = (PreTokenizer){.apply = byte_level, .add_prefix_space = true};
    for (size_t i = 0; i < n; i++) {
        PreTokenizer *s = &t->pre[t->pre_n++];
        *s = (PreTokenizer){.apply = split, .behavior = ISOLATED};
        if (!pattern_compile(&s->pattern, str_of(regexes[i]), "pre_tokenizer", t->arena, err))
            return false;
    }
    t->pre[t->pre_n++] = (PreTokenizer){.apply = byte_level};
    choose_paths(t);
    return true;
}

void pretokenizer_map_bytes(Tokenizer *t)
{
    if (t->byte_level)
        t->pre[t->pre_n - 1].to_bytes = true;
    t->byte_level = false;
    t->fused = NULL;
}

bool pretokenizer_is_bert(const Tokenizer *t)
{
    return t->pre_n == 1 && t->pre[0].apply == bert;
}

bool pretokenize(const Tokenizer *t, Workspace *w, Error *err)
{
    for (size_t i = 0; i < t->pre_n; i++)
        if (!t->pre[i].apply(&t->pre[i], w, err))
            return false;
    return true;
}
