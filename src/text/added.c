/* added.c: added tokens, which are cut out of a text before anything else looks at it.
 * Those marked `normalized` are looked for in the normalized text, in their own normalized form;
 * the others before that, in the raw one. Leftmost first, then longest. */
#include "text/tokenizer_internal.h"

void added_put(Tokenizer *t, AddedToken token)
{
    if (token.content.len == 0)
        return;
    int32_t known = vocab_find_text(t, token.content);
    if (known >= 0)
        token.id = known;
    AddedToken *old = map_find(&t->added_ids, token.content);
    if (old) {
        token.id = old->id;
        *old = token;
        return;
    }
    AddedToken *kept = NEW(t->arena, AddedToken);
    *kept = token;
    map_put(&t->added_ids, kept->content, kept);
    if (known < 0) {
        vocab_reserve(&t->vocab, token.id);
        t->vocab.texts[token.id] = kept->content;
    }
}

/* The form that is looked for: normalized if the token says so. */
static bool set_match(Tokenizer *t, AddedToken *token, Error *err)
{
    token->match = token->content;
    if (!token->normalized || t->normalizers_n == 0)
        return true;
    AUTO_ENCODING scratch = {0};
    Workspace *w = workspace_of(&scratch);
    w->original = token->content;
    Piece p = {.text = token->content.ptr, .len = (uint32_t)token->content.len, .token = -1};
    if (!normalize(t, w, &p, err))
        return fail_while(err, "added token '%.*s'", STR(token->content));
    token->match = arena_str(t->arena, (Str){p.text, p.len});
    return true;
}

static void finder_build(Finder *f, Tokenizer *t, bool normalized)
{
    PrefixEntry *entries = NEW_ARRAY(t->arena, PrefixEntry, t->added_n);
    size_t n = 0;
    for (size_t i = 0; i < t->added_n; i++)
        if (t->added[i].normalized == normalized)
            entries[n++] = (PrefixEntry){t->added[i].match, (int32_t)i};
    prefixes_build(&f->prefixes, entries, n);
    f->tokens = t->added;
    f->first_byte = -1;
    for (size_t i = 0; i < f->prefixes.n; i++) {
        int byte = (uint8_t)f->prefixes.entries[i].key.ptr[0];
        if (f->first_byte >= 0 && byte != f->first_byte) {
            f->first_byte = -1;
            break;
        }
        f->first_byte = byte;
    }
}

bool added_finish(Tokenizer *t, Error *err)
{
    t->added_n = t->added_ids.n;
    t->added = NEW_ARRAY(t->arena, AddedToken, t->added_n);
    for (size_t i = 0; i < t->added_n; i++) {
        AddedToken *token = t->added_ids.entries[i].value;
        if (!set_match(t, token, err))
            return false;
        t->added[i] = *token;
        t->vocab.texts[token->id] = token->match; // as the reference names and decodes it
        uint8_t *flags = &t->vocab.flags[token->id];
        *flags |= TOKEN_KNOWN | TOKEN_ADDED | (token->special ? TOKEN_SPECIAL : 0);
    }
    finder_build(&t->raw, t, false);
    finder_build(&t->normalized, t, true);
    return true;
}

/* The longest token at pos; 0 if there is none. */
static size_t longest_at(const Finder *f, Str text, size_t pos, int32_t *index)
{
    PrefixWalk walk = prefixes_walk(&f->prefixes);
    size_t found = 0;
    int32_t id;
    for (size_t to = pos; to < text.len;) {
        if (!prefixes_step(&f->prefixes, &walk, (uint8_t)text.ptr[to++], &id))
            break;
        if (id >= 0) {
            found = to - pos;
            *index = id;
        }
    }
    return found;
}

static bool stands_alone(Str text, size_t from, size_t to)
{
    size_t before = from, behind = to;
    return !(from > 0 && is_word(char_before(text.ptr, &before))) &&
           !(to < text.len && is_word(char_at(text.ptr, &behind)));
}

/* Extends a match over the white space around it, but not into the match before. */
static void take_spaces(const AddedToken *token, Str text, size_t done, size_t *from, size_t *to)
{
    while (token->lstrip && *from > done) {
        size_t before = *from;
        if (!is_space(char_before(text.ptr, &before)))
            break;
        *from = before;
    }
    while (token->rstrip && *to < text.len) {
        size_t behind = *to;
        if (!is_space(char_at(text.ptr, &behind)))
            break;
        *to = behind;
    }
}

static void split_piece(const Finder *f, PieceList *out, const Piece *p, bool ignores_special)
{
    Str text = {p->text, p->len};
    const uint32_t *first = f->prefixes.first;
    size_t done = 0;
    for (size_t pos = 0; pos < text.len;) {
        if (f->first_byte >= 0) {
            const char *next = memchr(text.ptr + pos, f->first_byte, text.len - pos);
            if (!next)
                break;
            pos = (size_t)(next - text.ptr);
        }
        uint8_t byte = (uint8_t)text.ptr[pos];
        int32_t index = 0;
        size_t n = first[byte] < first[byte + 1] ? longest_at(f, text, pos, &index) : 0;
        if (n == 0) {
            pos++;
            continue;
        }
        const AddedToken *token = &f->tokens[index];
        size_t from = pos, to = pos + n;
        pos = to;
        if ((ignores_special && token->special) ||
            (token->single_word && !stands_alone(text, from, to)))
            continue;
        take_spaces(token, text, done, &from, &to);
        // The spaces that the match before has taken are its own only where this one would take
        // them too; else both have them, as in the reference.
        if (token->lstrip) {
            from = MAX(from, done);
            to = MAX(from, to);
        }
        if (done < from)
            piece_push(out, piece_slice(p, done, from));
        Piece found = piece_slice(p, from, to);
        found.token = token->id;
        piece_push(out, found);
        done = to;
    }
    if (done < text.len)
        piece_push(out, piece_slice(p, done, text.len));
}

void added_split(Workspace *w, const Finder *f)
{
    if (f->prefixes.n == 0)
        return;
    for (size_t i = 0; i < w->pieces.n; i++)
        if (w->pieces.items[i].token >= 0)
            piece_push(&w->next, w->pieces.items[i]);
        else
            split_piece(f, &w->next, &w->pieces.items[i], w->ignores_special);
    next_list(w);
}
