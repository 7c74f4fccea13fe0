/* model.c: MODEL on a command line becomes a folder or a .gguf on this disk; see fetch.h. */
#include "fetch/fetch_internal.h"

#include "base/file.h"

#include <dirent.h>

/* Which quantization to take when a repository has several, best first: close to the original, and
 * small enough for memory; what is not listed comes last. */
static const char *const quants[] = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M",
                                     "Q4_1", "Q4_0", "F16",    "BF16"};

static size_t quant_rank(const char *path)
{
    for (size_t i = 0; i < COUNT(quants); i++)
        if (strcasestr(path, quants[i]))
            return i;
    return COUNT(quants);
}

static bool is_better_gguf(const char *path, const char *than)
{
    if (!than)
        return true;
    size_t a = quant_rank(path), b = quant_rank(than);
    return a < b || (a == b && strcmp(path, than) < 0);
}

static bool ends(const char *path, const char *suffix)
{
    return str_ends(str_of(path), str_of(suffix));
}

/* Configuration, tokenizer and weights lie at the root; subfolders hold other formats. */
static bool is_model_file(const char *path)
{
    static const char *const suffixes[] = {".json", ".safetensors", ".txt", ".model", ".jinja"};
    for (size_t i = 0; !strchr(path, '/') && i < COUNT(suffixes); i++)
        if (ends(path, suffixes[i]))
            return true;
    return false;
}

/* safetensors with all that belongs to them, or else the one best .gguf. */
static bool choose_model_files(void *context, RemoteFile *files, size_t *n, Error *err)
{
    bool has_safetensors = false;
    const RemoteFile *gguf = NULL;
    for (size_t i = 0; i < *n; i++) {
        has_safetensors |= !strchr(files[i].path, '/') && ends(files[i].path, ".safetensors");
        if (!strchr(files[i].path, '/') && ends(files[i].path, ".gguf") &&
            is_better_gguf(files[i].path, gguf ? gguf->path : NULL))
            gguf = &files[i];
    }
    if (!has_safetensors && !gguf)
        return fail(err, ERR_UNSUPPORTED, "it has neither .safetensors nor .gguf weights");
    if (!has_safetensors) {
        files[0] = *gguf;
        *n = 1;
        return true;
    }
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (is_model_file(files[i].path))
            files[kept++] = files[i];
    *n = kept;
    return true;
}

/* The folder itself if it has safetensors; else its best .gguf, if it has one. */
static char *model_in(Arena *a, char *folder)
{
    const char *gguf = NULL;
    DIR *open = opendir(folder);
    for (struct dirent *e; open && (e = readdir(open));) {
        if (ends(e->d_name, ".safetensors")) {
            gguf = NULL;
            break;
        }
        if (ends(e->d_name, ".gguf") && is_better_gguf(e->d_name, gguf))
            gguf = arena_cstr(a, str_of(e->d_name));
    }
    if (open)
        closedir(open);
    return gguf ? arena_printf(a, "%s/%s", folder, gguf) : folder;
}

char *fetch_model(Arena *a, const char *model, Error *err)
{
    char *path = arena_cstr(a, str_of(model));
    if (file_is_folder(path))
        return model_in(a, path);
    if (file_exists(path))
        return path;
    RepoName name;
    bool looks_like_path = strchr("./~", model[0]) || ends(model, ".gguf") || ends(model, "/");
    if (looks_like_path || !repo_name_parse(&name, a, model, FETCH_MODEL, NULL, NULL))
        return fail(err, ERR_NOT_FOUND,
                    "'%s': there is no such file or folder, and it is not the name of a model "
                    "(org/name) either",
                    model);
    char *folder = snapshot_fetch(a, model, NULL, choose_model_files, NULL, err);
    return folder ? model_in(a, folder) : NULL;
}
