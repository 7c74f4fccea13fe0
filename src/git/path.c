/* path.c: which paths may stand in a tree.
 *
 * A clone writes a tree's paths into a working folder, so a path that some file system takes for
 * ".git" would let a pushed file become configuration or a hook there: HFS+ ignores certain code
 * points, NTFS ignores case, trailing dots and spaces and what follows a colon, and gives ".git"
 * the short name "git~1". */
#include "git/git.h"

#include "base/file.h"

static bool hfs_ignores(int32_t code)
{
    return (code >= 0x200C && code <= 0x200F) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x206A && code <= 0x206F) || code == 0xFEFF;
}

/* The part in lower case without what HFS+ ignores; false when it is too long to be ".git". */
static bool fold(Str part, char out[16])
{
    size_t n = 0, pos = 0;
    while (pos < part.len) {
        size_t start = pos;
        int32_t code = utf8_next(part, &pos);
        if (hfs_ignores(code))
            continue;
        if (code >= 0x80 || n == 15)
            return start > 0 && n >= 4 && memchr(out, ':', n); // ".git:stream" may be any length
        out[n++] = code >= 'A' && code <= 'Z' ? (char)(code + 32) : (char)code;
        out[n] = 0;
        if (code == ':')
            return true;
    }
    return true;
}

static bool is_dot_git(Str part)
{
    char folded[16] = "";
    if (!fold(part, folded))
        return false;
    size_t skip = strncmp(folded, ".git", 4) == 0 ? 4 : strncmp(folded, "git~1", 5) == 0 ? 5 : 0;
    if (!skip)
        return false;
    const char *rest = folded + skip;
    while (*rest == ' ' || *rest == '.')
        rest++;
    return *rest == 0 || *rest == ':';
}

bool git_path_check(Str path, Error *err)
{
    if (!path_is_safe(path, err))
        return NULL;
    Str rest = path, part;
    while (str_split(&rest, '/', &part))
        if (is_dot_git(part))
            return fail(err, ERR_INVALID, "path '%.*s': '%.*s' is reserved for git", STR(path),
                        STR(part));
    return true;
}
