/* source.c: see source.h. */
#include "base/source.h"

bool byte_source_read(const ByteSource *s, void *out, size_t n, int64_t offset, Error *err)
{
    if (offset < 0 || offset > s->size || (uint64_t)n > (uint64_t)(s->size - offset))
        return fail(err, ERR_INVALID, "%s: %zu bytes at offset %lld pass its end at %lld", s->name,
                    n, (long long)offset, (long long)s->size);
    return n == 0 || s->read(s->context, out, n, offset, err);
}

static bool bytes_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    const Str *bytes = context;
    (void)err;
    memcpy(out, bytes->ptr + offset, n);
    return true;
}

ByteSource byte_source_of(const Str *bytes, const char *name)
{
    return (ByteSource){name, (int64_t)bytes->len, bytes_read, (void *)(uintptr_t)bytes};
}
