/* commit_line.c: see commit_line.h. Which keys a kind of line needs is a table. */
#include "api/commit_line.h"

#include "base/encode.h"

static const struct {
    const char *key;
    CommitLineKind kind;
    const char *need[2]; // members of value that must be non-empty strings
} kinds[] = {
    {"header", LINE_HEADER, {"summary"}},
    {"file", LINE_FILE, {"path"}},
    {"lfsFile", LINE_LFS_FILE, {"path", "oid"}},
    {"deletedFile", LINE_DELETED_FILE, {"path"}},
    {"deletedFolder", LINE_DELETED_FOLDER, {"path"}},
    {"copyFile", LINE_COPY_FILE, {"path", "srcPath"}},
};

static bool content_decode(CommitLine *line, const json_t *value, Error *err)
{
    Str encoding = json_str(value, "encoding");
    Str content = json_str(value, "content");
    if (!json_is_string(json_object_get(value, "content")))
        return fail(err, ERR_INVALID, "file '%.*s': no content", STR(line->path));
    if (!encoding.len || str_eq(encoding, S("utf-8")) || str_eq(encoding, S("utf8"))) {
        line->content = content;
        return true;
    }
    if (!str_eq(encoding, S("base64")))
        return fail(err, ERR_INVALID, "file '%.*s': encoding '%.*s': base64 or utf-8",
                    STR(line->path), STR(encoding));
    buf_init(&line->decoded, content.len + 4);
    if (!base64_decode(&line->decoded, content, err))
        return fail_while(err, "file '%.*s'", STR(line->path));
    line->content = buf_str(&line->decoded);
    return true;
}

bool commit_line_parse(Str text, CommitLine *out, Error *err)
{
    *out = (CommitLine){.size = -1};
    buf_init(&out->decoded, 1);
    out->owned = json_parse(text, "commit line", err);
    if (!out->owned)
        return false;
    const char *key = json_text(out->owned, "key", "");
    const json_t *value = json_object_get(out->owned, "value");
    size_t k = 0;
    while (k < COUNT(kinds) && strcmp(kinds[k].key, key) != 0)
        k++;
    if (k == COUNT(kinds))
        return fail(err, ERR_INVALID, "key '%.80s' is not known in a commit", key);
    if (!json_is_object(value))
        return fail(err, ERR_INVALID, "%s: value must be an object", key);
    for (size_t i = 0; i < COUNT(kinds[k].need) && kinds[k].need[i]; i++)
        if (!json_str(value, kinds[k].need[i]).len)
            return fail(err, ERR_INVALID, "%s: %s is missing", key, kinds[k].need[i]);
    out->kind = kinds[k].kind;
    out->summary = json_str(value, "summary");
    out->description = json_str(value, "description");
    out->parent = json_str(value, "parentCommit");
    out->path = json_str(value, "path");
    out->sha256 = json_str(value, "oid");
    out->source = json_str(value, "srcPath");
    out->source_rev = json_str(value, "srcRevision");
    const json_t *size = json_object_get(value, "size");
    if (size && !json_is_null(size) && (!json_is_integer(size) || json_integer_value(size) < 0))
        return fail(err, ERR_INVALID, "%s: size must be a whole number from 0", key);
    if (json_is_integer(size))
        out->size = json_integer_value(size);
    return out->kind != LINE_FILE || content_decode(out, value, err);
}

void commit_line_done(CommitLine *line)
{
    json_decref(line->owned);
    buf_done(&line->decoded);
    *line = (CommitLine){0};
}
