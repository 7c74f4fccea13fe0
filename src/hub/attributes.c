/* attributes.c: the patterns of .gitattributes and .gitignore, as git reads them: a pattern without
 * a slash matches a name in any folder, one with a slash the path from the root; `*` and `?` stay
 * inside a part, `**` crosses parts; the last line that matches decides. */
#include "hub/hub_internal.h"

enum { MAX_PATTERNS = 10000, MAX_STEPS = 100000 };

typedef struct Pattern {
    Str glob;
    bool value;    // what a match means
    bool anchored; // matches the whole path, not a name in it
    bool folder;   // "x/": only folders, so only what is below them
} Pattern;

struct Patterns {
    Pattern *items;
    size_t n;
    bool below; // a match of a folder holds for what is in it
};

/* [a-z], [!a-z] at glob[*at]; moves behind the class. Malformed ones match a plain '['. */
static bool class_match(Str glob, size_t *at, char c)
{
    size_t i = *at + 1;
    bool negate = i < glob.len && (glob.ptr[i] == '!' || glob.ptr[i] == '^'), found = false;
    i += negate;
    size_t first = i;
    for (; i < glob.len && (glob.ptr[i] != ']' || i == first); i++) {
        char low = glob.ptr[i], high = low;
        if (i + 2 < glob.len && glob.ptr[i + 1] == '-' && glob.ptr[i + 2] != ']') {
            high = glob.ptr[i + 2];
            i += 2;
        }
        found |= c >= low && c <= high;
    }
    if (i >= glob.len) {
        ++*at;
        return c == '[';
    }
    *at = i + 1;
    return found != negate && c != '/';
}

/* steps bounds the work on patterns with many stars. */
static bool glob_match(Str glob, Str path, int *steps)
{
    size_t g = 0, p = 0;
    while (g < glob.len) {
        if (--*steps < 0)
            return false;
        char c = glob.ptr[g];
        if (c == '*') {
            bool deep = g + 1 < glob.len && glob.ptr[g + 1] == '*';
            Str rest = str_slice(glob, g + (deep ? 2 : 1), glob.len);
            // "a/**/b" also matches "a/b": the slash behind ** may match nothing.
            if (deep && rest.len && rest.ptr[0] == '/' && (p == 0 || path.ptr[p - 1] == '/') &&
                glob_match(str_slice(rest, 1, rest.len), str_slice(path, p, path.len), steps))
                return true;
            for (size_t end = p;; end++) {
                if (glob_match(rest, str_slice(path, end, path.len), steps))
                    return true;
                if (end == path.len || (!deep && path.ptr[end] == '/'))
                    return false;
            }
        }
        if (p == path.len)
            return false;
        if (c == '[') {
            if (!class_match(glob, &g, path.ptr[p++]))
                return false;
            continue;
        }
        if (c == '\\' && g + 1 < glob.len)
            c = glob.ptr[++g];
        else if (c == '?' && path.ptr[p] != '/')
            c = path.ptr[p];
        if (c != path.ptr[p])
            return false;
        g++;
        p++;
    }
    return p == path.len;
}

static void pattern_add(Arena *a, Patterns *p, Str glob, bool value)
{
    if (p->n == MAX_PATTERNS || !glob.len)
        return;
    if ((p->n & (p->n - 1)) == 0) { // full at each power of two
        Pattern *more = NEW_ARRAY(a, Pattern, p->n ? 2 * p->n : 1);
        if (p->n)
            memcpy(more, p->items, p->n * sizeof *more);
        p->items = more;
    }
    Pattern *pattern = &p->items[p->n++];
    *pattern = (Pattern){.value = value};
    if (glob.len > 1 && glob.ptr[glob.len - 1] == '/') {
        pattern->folder = true;
        glob.len--;
    }
    pattern->anchored = str_find_char(glob, '/', 0) != SIZE_MAX;
    if (glob.ptr[0] == '/')
        glob = str_slice(glob, 1, glob.len);
    pattern->glob = arena_str(a, glob);
}

Patterns *patterns_parse_attributes(Arena *a, Str text)
{
    Patterns *p = NEW(a, Patterns);
    for (Str line; str_split(&text, '\n', &line);) {
        line = str_trim(line);
        if (!line.len || line.ptr[0] == '#' || line.ptr[0] == '[')
            continue;
        size_t end = 0;
        while (end < line.len && !isspace((unsigned char)line.ptr[end]))
            end++;
        Str glob = str_slice(line, 0, end), rest = str_slice(line, end, line.len), word;
        int value = -1;
        for (rest = str_trim(rest); str_split(&rest, ' ', &word);) {
            word = str_trim(word);
            if (str_starts(word, S("filter=")))
                value = str_eq(word, S("filter=lfs"));
            else if (str_eq(word, S("-filter")) || str_eq(word, S("!filter")))
                value = false;
        }
        if (value >= 0)
            pattern_add(a, p, glob, value != 0);
    }
    return p;
}

Patterns *patterns_parse_ignore(Arena *a, Str text)
{
    Patterns *p = NEW(a, Patterns);
    p->below = true;
    for (Str line; str_split(&text, '\n', &line);) {
        while (line.len && strchr(" \t\r", line.ptr[line.len - 1]))
            line.len--;
        if (!line.len || line.ptr[0] == '#')
            continue;
        bool keep = line.ptr[0] == '!';
        pattern_add(a, p, str_slice(line, keep, line.len), !keep);
    }
    return p;
}

static bool pattern_hits(const Pattern *p, Str path, int *steps)
{
    Str name = str_slice(path, str_rfind_char(path, '/') + 1, path.len);
    return glob_match(p->glob, p->anchored ? path : name, steps);
}

/* Is this file matched, or (for .gitignore) a folder above it? */
static bool decided(const Patterns *p, const Pattern *pattern, Str path, int *steps)
{
    if (!pattern->folder && pattern_hits(pattern, path, steps))
        return true;
    if (!p->below)
        return false;
    for (size_t i = 0; i < path.len; i++)
        if (path.ptr[i] == '/' && pattern_hits(pattern, str_slice(path, 0, i), steps))
            return true;
    return false;
}

bool patterns_match(const Patterns *p, Str path)
{
    int steps = MAX_STEPS;
    for (size_t i = p->n; i-- > 0;)
        if (decided(p, &p->items[i], path, &steps))
            return p->items[i].value;
    return false;
}
