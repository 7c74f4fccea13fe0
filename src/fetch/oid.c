/* oid.c: how the hub names content; see fetch_internal.h. */
#include "fetch/fetch_internal.h"

#include "base/encode.h"
#include "base/file.h"

#include <fcntl.h>

enum { PIECE = 1 << 20 };

bool file_oid(const char *path, int64_t size, bool lfs, char oid[OID_SIZE], Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "%s", path);
    AUTO(digest_free) Digest *digest = lfs ? digest_sha256_new() : digest_sha1_new();
    if (!lfs) {
        char head[32];
        digest_add(digest, head,
                   (size_t)snprintf(head, sizeof head, "blob %lld", (long long)size) + 1);
    }
    AUTO(free) char *piece = xmalloc(PIECE);
    for (int64_t at = 0; at < size;) {
        size_t n = (size_t)MIN((int64_t)PIECE, size - at);
        if (!fd_read_at(fd, piece, n, at, err))
            return fail_while(err, "%s", path);
        digest_add(digest, piece, n);
        at += (int64_t)n;
    }
    uint8_t sum[SHA256_SIZE];
    digest_finish(digest, sum);
    hex_encode(sum, lfs ? SHA256_SIZE : SHA1_SIZE, oid);
    return true;
}
