/* stored.c: see stored.h. */
#include "nn/stored.h"

#include "base/map.h"

typedef struct Entry {
    StoredTensor tensor; // under the model's name
    bool interleaved, transposed, used;
} Entry;

struct Stored {
    Arena *arena;
    Map by_name; // the model's name -> Entry
    const char *const *ignorable;
    int64_t head_dim;
};

bool name_matches(Str pattern, Str name, Str *number)
{
    size_t at = 0;
    *number = (Str){0};
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '#') {
            size_t start = at;
            while (at < name.len && name.ptr[at] >= '0' && name.ptr[at] <= '9')
                at++;
            Str digits = str_slice(name, start, at);
            if (digits.len == 0 || (number->len > 0 && !str_eq(digits, *number)))
                return false;
            *number = digits;
        } else if (at == name.len || name.ptr[at++] != pattern.ptr[i]) {
            return false;
        }
    }
    return at == name.len;
}

/* The pattern with its '#' filled in and an ending behind it. */
static const char *fill(Arena *a, const char *pattern, Str number, Str ending)
{
    AUTO_BUF name;
    buf_init(&name, 0);
    for (const char *p = pattern; *p; p++)
        buf_add(&name, *p == '#' ? number : (Str){p, 1});
    buf_add(&name, ending);
    return arena_cstr(a, buf_str(&name));
}

static Str stem_of(Str name)
{
    size_t dot = str_rfind_char(name, '.');
    return dot == SIZE_MAX ? name : str_slice(name, 0, dot);
}

static void rename_gguf(Entry *e, const Rename *table, Arena *a)
{
    Str name = str_of(e->tensor.name), stem = stem_of(name), number;
    for (const Rename *r = table; r->name; r++)
        if (name_matches(str_of(r->stored), stem, &number)) {
            e->tensor.name = fill(a, r->name, number, str_slice(name, stem.len, name.len));
            e->interleaved = r->interleaved;
            e->transposed = r->transposed;
            return;
        }
}

const Rename *rename_find(const Rename *table, Str name, Arena *a, const char **stored)
{
    Str stem = stem_of(name), number;
    for (const Rename *r = table; r && r->name; r++)
        if (name_matches(str_of(r->name), stem, &number)) {
            *stored = fill(a, r->stored, number, str_slice(name, stem.len, name.len));
            return r;
        }
    return NULL;
}

static bool any_has_prefix(const Checkpoint *c, const char *prefix)
{
    for (size_t i = 0; i < checkpoint_count(c); i++)
        if (str_starts(str_of(checkpoint_at(c, i)->name), str_of(prefix)))
            return true;
    return false;
}

Stored *stored_new(const Checkpoint *c, const StoredNames *names, Error *err)
{
    bool gguf = checkpoint_gguf(c) != NULL;
    if (gguf && !names->gguf)
        return fail(err, ERR_UNSUPPORTED, "GGUF files of this architecture are not supported");
    AUTO(stored_free) Stored *s = xcalloc(1, sizeof *s);
    s->arena = arena_new(0);
    s->ignorable = names->ignorable;
    s->head_dim = names->head_dim;
    bool add_prefix = !gguf && names->prefix && !any_has_prefix(c, names->prefix);
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        Entry *e = NEW(s->arena, Entry);
        e->tensor = *checkpoint_at(c, i);
        if (gguf)
            rename_gguf(e, names->gguf, s->arena);
        else if (add_prefix)
            e->tensor.name = arena_printf(s->arena, "%s%s", names->prefix, e->tensor.name);
        if (!map_put(&s->by_name, str_of(e->tensor.name), e))
            return fail(err, ERR_INVALID, "tensor '%s' is there under two names", e->tensor.name);
    }
    return TAKE(s);
}

void stored_free(Stored *s)
{
    if (!s)
        return;
    map_done(&s->by_name);
    arena_free(s->arena);
    free(s);
}

bool stored_has(const Stored *s, const char *name)
{
    return map_find(&s->by_name, str_of(name)) != NULL;
}

/* Within each head of d rows the file alternates between the halves: its row 2i + j is the model's
 * row j * d/2 + i. */
static bool undo_interleaving(Stored *s, Entry *e, Error *err)
{
    StoredTensor *t = &e->tensor;
    int64_t rows = t->rank > 0 ? t->dims[0] : 0, d = s->head_dim;
    if (d < 2 || d % 2 != 0 || rows == 0 || rows % d != 0)
        return fail(err, ERR_INVALID, "tensor '%s': %lld rows are not heads of %lld", t->name,
                    (long long)rows, (long long)d);
    size_t row_size = t->size / (size_t)rows;
    char *ordered = arena_try(s->arena, t->size, 1, err);
    if (!ordered)
        return false;
    for (int64_t row = 0; row < rows; row++) {
        int64_t head = row / d, j = row % d / (d / 2), i = row % (d / 2);
        memcpy(ordered + row_size * (size_t)row,
               (const char *)t->data + row_size * (size_t)(head * d + 2 * i + j), row_size);
    }
    t->data = ordered;
    e->interleaved = false;
    return true;
}

const StoredTensor *stored_find(Stored *s, const char *name, bool *transposed, Error *err)
{
    Entry *e = map_find(&s->by_name, str_of(name));
    if (!e)
        return fail(err, ERR_NOT_FOUND, "tensor '%s' is missing", name);
    if (e->tensor.foreign)
        return fail(err, ERR_UNSUPPORTED, "tensor '%s' has type %s, which we do not read", name,
                    e->tensor.foreign);
    if (e->interleaved && !undo_interleaving(s, e, err))
        return NULL;
    e->used = true;
    *transposed = e->transposed;
    return &e->tensor;
}

const char *stored_name(const Stored *s, size_t i)
{
    return i < s->by_name.n ? s->by_name.entries[i].key.ptr : NULL;
}

bool stored_ignorable(const Stored *s, const char *name)
{
    Str number;
    for (const char *const *p = s->ignorable; p && *p; p++)
        if (name_matches(str_of(*p), str_of(name), &number))
            return true;
    return false;
}

bool stored_all_used(const Stored *s, Error *err)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < s->by_name.n; i++) {
        const Entry *e = s->by_name.entries[i].value;
        if (e->used || stored_ignorable(s, e->tensor.name))
            continue;
        first = first ? first : e->tensor.name;
        n++;
    }
    return n == 0 || fail(err, ERR_INVALID,
                          "tensor '%s' belongs to no layer of this architecture (%zu such tensors)",
                          first, n);
}
