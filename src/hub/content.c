/* content.c: see content.h. */
#include "hub/content.h"

#include "blobs/blobs.h"

enum { MAX_PLAIN = 16 << 20 };

static bool read_blob(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    return blob_read(context, out, n, offset, err);
}

bool content_open(Hub *hub, Arena *a, const Repo *repo, Str sha, const RepoEntry *entry,
                  FileContent *out, Error *err)
{
    RepoFile file = {.sha = sha, .entry = *entry};
    *out = (FileContent){0};
    const char *name = arena_cstr(a, entry->path);
    if (entry->is_lfs) {
        if (!(out->blob = repo_file_open(hub, repo, &file, err)))
            return false;
        out->source = (ByteSource){name, blob_size(out->blob), read_blob, out->blob};
    } else {
        if (!repo_file_bytes(hub, a, repo, &file, MAX_PLAIN, &out->bytes, err))
            return false;
        out->source = byte_source_of(&out->bytes, name);
    }
    return true;
}

void content_close(FileContent *file)
{
    blob_close(file->blob);
    *file = (FileContent){0};
}
