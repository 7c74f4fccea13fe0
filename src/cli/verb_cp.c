/* verb_cp.c: `hug cp`: one file by its hf:// address; see copy.h. */
#include "cli/address.h"
#include "cli/copy.h"

#include "base/file.h"

#include <fcntl.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

static const char *last_name(Arena *a, const char *path)
{
    return arena_cstr(a, path_name(str_of(path)));
}

/* ---- From the hub ---- */

static bool print_file(const char *path, Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return fail_io(err, "%s", path);
    AUTO(free) char *piece = xmalloc(PIECE);
    for (int64_t at = 0; at < info.st_size;) {
        size_t n = (size_t)MIN((int64_t)PIECE, info.st_size - at);
        if (!fd_read_at(fd, piece, n, at, err) || !fd_write_all(STDOUT_FILENO, piece, n, err))
            return false;
        at += (int64_t)n;
    }
    return true;
}

/* Into a folder beside the target, and from there in one step. */
static bool download_to(Ask *ask, const HubAddress *from, const char *target, bool print,
                        Error *err)
{
    Str parent = path_parent(str_of(target));
    const char *beside = parent.len ? arena_cstr(ask->a, parent) : ".";
    if (print)
        beside = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    else if (!file_make_folders(beside, 0755, err))
        return false;
    const char *folder = file_temp_folder(ask->a, beside, err);
    if (!folder)
        return false;
    FetchOptions options = {.kind = from->kind,
                            .revision = from->revision,
                            .token = ask->token,
                            .folder = folder,
                            .quiet = print || ask->no_bars};
    const char *path = fetch_file(ask->a, from->id, from->path, &options, err);
    bool ok = path && (print ? print_file(path, err)
                             : rename(path, target) == 0 || fail_io(err, "%s", target));
    (void)!file_remove_tree(folder, NULL);
    return ok;
}

static bool download(Ask *ask, const char *source, const char *to, Error *err)
{
    HubAddress from;
    if (!hub_address_parse(&from, ask->a, source, err))
        return false;
    if (!from.path[0] || from.folder)
        return fail(err, ERR_USAGE, "'%s' names no file; `hug download` fetches folders", source);
    if (to && strcmp(to, "-") == 0)
        return download_to(ask, &from, to, true, err);
    const char *name = last_name(ask->a, from.path);
    if (!to)
        to = name;
    else if (file_is_folder(to) || str_ends(str_of(to), S("/")))
        to = arena_printf(ask->a, "%s%s%s", to, str_ends(str_of(to), S("/")) ? "" : "/", name);
    if (!download_to(ask, &from, to, false, err))
        return false;
    output_result(&ask->out, "Downloaded", "dst",
                  json_pack("{s:s, s:s}", "src", source, "dst", to));
    return true;
}

/* ---- To the hub ---- */

static bool keep_input(int fd, void *context, Error *err)
{
    AUTO(free) char *piece = xmalloc(PIECE);
    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, PIECE);
        if (n < 0)
            return fail_io(err, "standard input");
        if (n == 0)
            return true;
        if (!fd_write_all(fd, piece, (size_t)n, err))
            return false;
    }
}

static bool upload(Ask *ask, const char *from, const char *target, Error *err)
{
    HubAddress to;
    bool input = strcmp(from, "-") == 0;
    if (!hub_address_parse(&to, ask->a, target, err))
        return false;
    if (input && (!to.path[0] || to.folder))
        return fail(err, ERR_USAGE, "'%s' names no file for what comes from standard input",
                    target);
    if (!input && file_is_folder(from))
        return fail(err, ERR_USAGE, "%s is a folder; `hug upload` takes folders", from);
    const char *path = to.path, *folder = NULL, *local = from;
    if (!path[0] || to.folder)
        path = arena_printf(ask->a, "%s%s%s", path, path[0] ? "/" : "", last_name(ask->a, from));
    if (input) {
        folder = file_temp_folder(ask->a, getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", err);
        local = arena_printf(ask->a, "%s/input", folder ? folder : "");
    }
    UploadOptions options = {.kind = to.kind,
                             .revision = to.revision,
                             .token = ask->token,
                             .must_exist = true,
                             .quiet = ask->no_bars};
    UploadResult result;
    bool ok = (!input || (folder && file_write_atomic_by(local, 0600, keep_input, NULL, err))) &&
              fetch_upload(ask->a, to.id, local, path, &options, &result, err);
    if (folder)
        (void)!file_remove_tree(folder, NULL);
    if (ok)
        output_result(&ask->out, "Uploaded", "dst",
                      json_pack("{s:s, s:s}", "src", input ? "stdin" : from, "dst", target));
    return ok;
}

/* ---- Between repositories ---- */

/* A folder's content goes below the target; a file or a folder without a slash behind it keeps its
 * name there, unless the target is a new name for a file. */
static bool copy(Ask *ask, const char *source, const char *target, Error *err)
{
    HubAddress from, to;
    if (!hub_address_parse(&from, ask->a, source, err) ||
        !hub_address_parse(&to, ask->a, target, err))
        return false;
    const char *path = to.path;
    if (from.path[0] && !from.folder && (!path[0] || to.folder))
        path =
            arena_printf(ask->a, "%s%s%s", path, path[0] ? "/" : "", last_name(ask->a, from.path));
    CopySource all = {
        .kind = from.kind, .id = from.id, .revision = from.revision, .path = from.path};
    UploadOptions options = {.kind = to.kind, .revision = to.revision, .token = ask->token};
    UploadResult result;
    if (!fetch_copy(ask->a, &all, to.id, path, &options, &result, err))
        return false;
    output_result(&ask->out, "Copied", "dst",
                  json_pack("{s:s, s:s}", "src", source, "dst", target));
    return true;
}

bool copy_run(Ask *ask, Error *err)
{
    const char *from = ask->args[0], *to = ask->n > 1 ? ask->args[1] : NULL;
    if (is_hub_address(from) && is_hub_address(to))
        return copy(ask, from, to, err);
    if (is_hub_address(from))
        return download(ask, from, to, err);
    if (is_hub_address(to))
        return upload(ask, from, to, err);
    return fail(err, ERR_USAGE, "one of both is an address on the hub: hf://org/name/file");
}

static const Command commands[] = {
    {"", "FROM [TO]", "copy a file to, from or between repositories on the hub", 1, 2, "token",
     copy_run},
};

const Verb verb_cp = {
    .name = "cp",
    .synopsis = "FROM [TO]",
    .summary = "copy a file to, from or between repositories on the hub",
    .help =
        "Addresses look like hf://org/name/file or hf://datasets/org/name@revision/file; '-' is\n"
        "standard input or output. Between repositories, an address that ends with a slash\n"
        "stands for all files below.",
    COMMANDS(commands),
};
