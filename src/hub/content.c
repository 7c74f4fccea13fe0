/* content.c: see content.h. */
#include "hub/content.h"

#include "base/file.h"

#include <unistd.h>

enum { MAX_PLAIN = 16 << 20 };

static bool content_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    const FileContent *file = context;
    if (file->fd_plus_1)
        return fd_read_at(file->fd_plus_1 - 1, out, n, file->offset + offset, err);
    memcpy(out, file->bytes.ptr + offset, n);
    return true;
}

bool content_open(Hub *hub, Arena *a, const Repo *repo, Str sha, const RepoEntry *entry,
                  FileContent *out, Error *err)
{
    RepoFile file = {.sha = sha, .entry = *entry};
    *out = (FileContent){0};
    if (entry->is_lfs) {
        int fd;
        if (!repo_file_open(hub, repo, &file, &fd, &out->offset, err))
            return false;
        out->fd_plus_1 = fd + 1;
    } else if (!repo_file_bytes(hub, a, repo, &file, MAX_PLAIN, &out->bytes, err)) {
        return false;
    }
    out->source = (ByteSource){.name = arena_cstr(a, entry->path),
                               .size = entry->is_lfs ? entry->size : (int64_t)out->bytes.len,
                               .read = content_read,
                               .context = out};
    return true;
}

void content_close(FileContent *file)
{
    if (file->fd_plus_1)
        close(file->fd_plus_1 - 1);
    *file = (FileContent){0};
}
