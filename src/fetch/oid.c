/* oid.c: how the hub names content; see fetch_internal.h. */
#include "fetch/fetch_internal.h"

#include "base/encode.h"
#include "base/file.h"

#include <fcntl.h>

enum { PIECE = 1 << 20 };

Digest *oid_begin(bool lfs, int64_t size)
{
    if (lfs)
        return digest_sha256_new();
    // A git blob's hash begins with its kind and size.
    Digest *digest = digest_sha1_new();
    char head[32];
    int n = snprintf(head, sizeof head, "blob %lld", (long long)size);
    digest_add(digest, head, (size_t)n + 1);
    return digest;
}

void oid_finish(Digest *digest, bool lfs, char oid[OID_SIZE])
{
    uint8_t sum[SHA256_SIZE];
    digest_finish(digest, sum);
    hex_encode(sum, lfs ? SHA256_SIZE : SHA1_SIZE, oid);
}

bool file_oid(const char *path, int64_t size, bool lfs, char oid[OID_SIZE], Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "%s", path);
    AUTO(digest_free) Digest *digest = oid_begin(lfs, size);
    AUTO(free) char *piece = xmalloc(PIECE);
    for (int64_t at = 0; at < size;) {
        size_t n = (size_t)MIN((int64_t)PIECE, size - at);
        if (!fd_read_at(fd, piece, n, at, err))
            return fail_while(err, "%s", path);
        digest_add(digest, piece, n);
        at += (int64_t)n;
    }
    oid_finish(digest, lfs, oid);
    return true;
}
