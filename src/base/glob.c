/* glob.c: see glob.h. */
#include "base/glob.h"

enum { MAX_PARTS = 64, MAX_PATH_PARTS = 256 };

bool glob_has_magic(Str pattern)
{
    for (size_t i = 0; i < pattern.len; i++)
        if (strchr("*?[", pattern.ptr[i]) && pattern.ptr[i])
            return true;
    return false;
}

bool glob_check(Str pattern, Error *err)
{
    Str rest = pattern, part;
    for (int n = 1; str_split(&rest, '/', &part); n++) {
        if (n > MAX_PARTS)
            return fail(err, ERR_INVALID, "'%.*s': more than %d parts", STR(pattern), MAX_PARTS);
        if (str_find(part, S("**"), 0) != SIZE_MAX && part.len != 2)
            return fail(err, ERR_INVALID, "'%.*s': '**' can only be an entire part of a path",
                        STR(pattern));
    }
    return true;
}

/* ---- One part ---- */

/* The end of the set that begins behind `[` at `at`, or SIZE_MAX: then it is a plain bracket. */
static size_t set_end(Str pattern, size_t at)
{
    if (at < pattern.len && pattern.ptr[at] == '!')
        at++;
    if (at < pattern.len && pattern.ptr[at] == ']')
        at++;
    return str_find_char(pattern, ']', at);
}

static bool set_has(Str set, int32_t code)
{
    bool negated = set.len > 0 && set.ptr[0] == '!', found = false;
    for (size_t i = negated; i < set.len;) {
        int32_t from = utf8_next(set, &i), to = from;
        if (i + 1 < set.len && set.ptr[i] == '-') { // at the end it is itself
            i++;
            to = utf8_next(set, &i);
        }
        found = found || (code >= from && code <= to);
    }
    return found != negated;
}

/* Takes one character of the text if the pattern has it at *p, and moves both. */
static bool take_one(Str pattern, size_t *p, Str text, size_t *t)
{
    if (*t >= text.len || *p >= pattern.len)
        return false;
    char c = pattern.ptr[*p];
    size_t end = c == '[' ? set_end(pattern, *p + 1) : SIZE_MAX, at = *t;
    if (c == '?' || end != SIZE_MAX) {
        int32_t code = utf8_next(text, &at);
        if (c == '[' && !set_has(str_slice(pattern, *p + 1, end), code))
            return false;
        *p = c == '[' ? end + 1 : *p + 1;
        *t = at;
        return true;
    }
    if (text.ptr[*t] != c)
        return false;
    ++*p;
    ++*t;
    return true;
}

/* Goes back to the last star alone: what an earlier one took need never change. */
static bool part_match(Str pattern, Str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, taken = 0;
    while (t < text.len || p < pattern.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            taken = t;
        } else if (!take_one(pattern, &p, text, &t)) {
            if (star == SIZE_MAX || taken >= text.len)
                return false;
            utf8_next(text, &taken);
            p = star;
            t = taken;
        }
    }
    return true;
}

/* ---- All parts ---- */

bool glob_match(Str pattern, Str path)
{
    Str parts[MAX_PATH_PARTS], part, rest = path;
    bool reach[MAX_PATH_PARTS + 1] = {true}; // may the pattern so far end before this part?
    size_t n = 0;
    while (str_split(&rest, '/', &part)) {
        if (n == MAX_PATH_PARTS)
            return false;
        parts[n++] = part;
    }
    if (!path.len || !glob_check(pattern, NULL))
        return false;
    for (rest = pattern; str_split(&rest, '/', &part);) {
        bool last = rest.ptr == NULL, any = false;
        if (str_eq(part, S("**"))) {
            for (size_t i = 0; i < n; i++)
                reach[i] = any = any || reach[i];
            if (last)
                return any;
            continue;
        }
        for (size_t i = n; i-- > 0;)
            reach[i + 1] = reach[i] && (i + 1 < n || last) && part_match(part, parts[i]);
        reach[0] = false;
    }
    return reach[n];
}
