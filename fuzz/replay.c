/* replay.c: a fuzz target without libFuzzer, for `make test`. Feeds the target the empty input,
 * each file of the folders named as arguments, and each file cut short at a few places, as files
 * arrive from a broken connection. */
#include "fuzz.h"

#include "base/file.h"

#include <dirent.h>

enum { MAX_FILE = 64 << 20, CUTS = 16 };

/* From a block of exactly this size, so that a sanitizer sees the first byte read past its end. */
static void feed(const char *bytes, size_t size)
{
    uint8_t *copy = xmalloc(size ? size : 1);
    if (size)
        memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static bool replay_file(const char *path, Error *err)
{
    AUTO_BUF bytes;
    buf_init(&bytes, MAX_FILE);
    if (!file_read(path, &bytes, err))
        return false;
    feed(bytes.ptr, bytes.len);
    for (size_t i = 1; i < CUTS; i++)
        feed(bytes.ptr, bytes.len * i / CUTS);
    return true;
}

static bool replay_folder(const char *path, int *files, Error *err)
{
    DIR *folder = opendir(path);
    if (!folder)
        return fail_io(err, "%s", path);
    bool ok = true;
    AUTO(arena_free) Arena *a = arena_new(0);
    for (struct dirent *e; ok && (e = readdir(folder));) {
        if (e->d_name[0] == '.')
            continue;
        ok = replay_file(arena_printf(a, "%s/%s", path, e->d_name), err);
        *files += 1;
    }
    closedir(folder);
    return ok;
}

int main(int n, char **args)
{
    Error err = {0};
    int files = 0;
    feed("", 0);
    for (int i = 1; i < n; i++)
        if (!replay_folder(args[i], &files, &err)) {
            fprintf(stderr, "replay: %s\n", err.text);
            return 1;
        }
    printf("%d files replayed\n", files);
    return 0;
}
