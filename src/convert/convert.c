/* convert.c: opens the source, and puts the result in its place; see convert.h. */
#include "convert/convert_internal.h"

#include "base/file.h"

#include <errno.h>
#include <unistd.h>

typedef struct Heads {
    int64_t head_dim, hidden, heads;
} Heads;

int64_t source_head_dim(const Source *s)
{
    static const Field fields[] = {
        DIM_OR_0(Heads, head_dim, "head_dim"),
        DIM_OR_0(Heads, hidden, "hidden_size|n_embd"),
        DIM_OR_0(Heads, heads, "num_attention_heads|n_head"),
    };
    Heads h = {0};
    if (!fields_read(&h, fields, COUNT(fields), s->config, NULL, NULL))
        return 0;
    return h.head_dim ? h.head_dim : h.heads ? h.hidden / h.heads : 0;
}

typedef struct Rotation {
    RopeConfig config;
} Rotation;

bool source_rope(const Source *s, const json_t *config, RopeConfig *rope, Arena *a, Error *err)
{
    static const Field fields[] = {ROPE_FIELDS(Rotation, config)};
    return fields_read(rope, fields, COUNT(fields), config, a, err) &&
           rope_prepare(rope, source_head_dim(s), err);
}

Stored *source_names(const Source *s, Error *err)
{
    const StoredNames names = {.prefix = s->architecture->prefix,
                               .gguf = s->architecture->gguf_names,
                               .ignorable = s->architecture->ignorable,
                               .head_dim = source_head_dim(s)};
    return stored_new(s->checkpoint, &names, err);
}

static void source_done(Source *s)
{
    checkpoint_free(s->checkpoint);
    json_decref(s->config);
}

/* The architecture is needed where names or row orders change. */
static bool source_open(Source *s, const char *path, const ConvertOptions *how, Error *err)
{
    *s = (Source){.how = how, .path = path};
    s->recipe = recipe_find(how->dtype, err);
    if (!s->recipe || !(s->checkpoint = checkpoint_open(path, err)))
        return false;
    bool gguf = checkpoint_gguf(s->checkpoint), to_gguf = strcmp(how->format, "gguf") == 0;
    Error why = {0};
    s->config = checkpoint_config(s->checkpoint, &why);
    if (!s->config && (gguf || to_gguf || why.code != ERR_NOT_FOUND)) {
        if (err)
            *err = why;
        return false;
    }
    if (gguf == to_gguf)
        return true;
    s->architecture = architecture_find(s->config, err);
    return s->architecture;
}

/* A fresh folder beside the destination, which then gets its name; or the destination itself where
 * it is there already. */
static bool write_folder(const Source *s, const char *destination, Error *err)
{
    if (file_is_folder(destination))
        return write_safetensors_model(s, destination, err);
    AUTO(arena_free) Arena *a = arena_new(0);
    Str wanted = str_of(destination);
    while (wanted.len > 1 && wanted.ptr[wanted.len - 1] == '/')
        wanted.len--;
    Str parent = path_parent(wanted);
    const char *in = parent.len ? arena_cstr(a, parent) : ".";
    if (!file_make_folders(in, 0755, err))
        return false;
    const char *temp = file_temp_folder(a, in, err);
    if (!temp)
        return false;
    bool ok = write_safetensors_model(s, temp, err) && file_sync_folder(temp, err);
    if (ok && (chmod(temp, 0755) < 0 || rename(temp, arena_cstr(a, wanted)) < 0))
        ok = fail_io(err, "rename '%s' to '%s'", temp, destination);
    if (!ok) {
        (void)file_remove_tree(temp, NULL);
        return false;
    }
    return file_sync_folder(in, err);
}

static bool write_gguf_at(const Source *s, const char *destination, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    if (str_ends(str_of(destination), S(".gguf")))
        return write_gguf_model(s, destination, err);
    return file_make_folders(destination, 0755, err) &&
           write_gguf_model(s, arena_printf(a, "%s/model.gguf", destination), err);
}

/* Reading maps the source, so it must not be what is replaced. */
static bool same_file(const char *a, const char *b)
{
    struct stat one, two;
    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

static bool convert(const char *source, const char *destination, const ConvertOptions *how,
                    Error *err)
{
    bool to_gguf = strcmp(how->format, "gguf") == 0;
    if (!to_gguf && strcmp(how->format, "safetensors") != 0)
        return fail(err, ERR_UNSUPPORTED,
                    "models are written as safetensors or gguf; '%.40s' is not there yet",
                    how->format);
    if (same_file(source, destination))
        return fail(err, ERR_INVALID, "source and destination are the same");
    Source s;
    bool ok = source_open(&s, source, how, err);
    if (ok && to_gguf)
        ok = write_gguf_at(&s, destination, err);
    else if (ok && str_ends(str_of(destination), S(".safetensors")))
        ok = write_safetensors_file(&s, destination, err);
    else if (ok)
        ok = write_folder(&s, destination, err);
    source_done(&s);
    return ok;
}

bool convert_model(const char *source, const char *destination, const ConvertOptions *how,
                   Error *err)
{
    return convert(source, destination, how, err) || fail_while(err, "convert '%s'", source);
}
