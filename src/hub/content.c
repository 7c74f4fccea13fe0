/* content.c: see content.h. */
#include "hub/content.h"

#include "blobs/blobs.h"

enum { MAX_PLAIN = 16 << 20 };

static bool content_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    const FileContent *file = context;
    if (file->blob)
        return blob_read(file->blob, out, n, offset, err);
    memcpy(out, file->bytes.ptr + offset, n);
    return true;
}

bool content_open(Hub *hub, Arena *a, const Repo *repo, Str sha, const RepoEntry *entry,
                  FileContent *out, Error *err)
{
    RepoFile file = {.sha = sha, .entry = *entry};
    *out = (FileContent){0};
    if (entry->is_lfs) {
        if (!(out->blob = repo_file_open(hub, repo, &file, err)))
            return false;
    } else if (!repo_file_bytes(hub, a, repo, &file, MAX_PLAIN, &out->bytes, err)) {
        return false;
    }
    out->source = (ByteSource){.name = arena_cstr(a, entry->path),
                               .size = out->blob ? blob_size(out->blob) : (int64_t)out->bytes.len,
                               .read = content_read,
                               .context = out};
    return true;
}

void content_close(FileContent *file)
{
    blob_close(file->blob);
    *file = (FileContent){0};
}
