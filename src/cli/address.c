/* address.c: see address.h. */
#include "cli/address.h"

#include "base/encode.h"

bool is_hub_address(const char *text)
{
    return text && strncmp(text, "hf://", 5) == 0;
}

bool hub_address_parse(HubAddress *out, Arena *a, const char *text, Error *err)
{
    Str rest = str_of(text + 5), part, name;
    *out = (HubAddress){.folder = str_ends(rest, S("/")), .path = ""};
    size_t slash = str_find_char(rest, '/', 0);
    if (slash != SIZE_MAX && fetch_kind_parse(str_slice(rest, 0, slash), &out->kind))
        rest = str_slice(rest, slash + 1, rest.len);
    if (!str_split(&rest, '/', &part) || !str_split(&rest, '/', &name) || !part.len || !name.len)
        return fail(err, ERR_USAGE,
                    "'%s' is no address of a file; it looks like hf://org/name/file, or "
                    "hf://datasets/org/name@revision/file",
                    text);
    size_t at = str_find_char(name, '@', 0);
    if (at != SIZE_MAX) {
        // A branch may have slashes: refs/pr/1 is what people write.
        Str revision = str_slice(name, at + 1, name.len), number, pr;
        Str left = rest;
        if (str_eq(revision, S("refs")) && str_split(&left, '/', &pr) && str_eq(pr, S("pr")) &&
            str_split(&left, '/', &number)) {
            out->revision = arena_printf(a, "refs/pr/%.*s", STR(number));
            rest = left;
        } else {
            AUTO_BUF plain;
            buf_init(&plain, 0);
            if (!url_decode(&plain, revision, false, err))
                return false;
            out->revision = arena_cstr(a, buf_str(&plain));
        }
        name = str_slice(name, 0, at);
    }
    out->id = arena_printf(a, "%.*s/%.*s", STR(part), STR(name));
    while (str_ends(rest, S("/")))
        rest.len--;
    out->path = arena_cstr(a, rest);
    return true;
}
