/* feed.c: bytes of tensors on their way into a file; see feed.h. */
#include "base/file.h"
#include "formats/formats_internal.h"

struct TensorSink {
    int fd;
    size_t left; // bytes of the tensor that are still to come
    Progress *progress;
};

/* Gigabytes in one write would leave the progress bar standing. */
enum { PIECE = 8 << 20 };

bool tensor_sink_add(TensorSink *s, const void *bytes, size_t n, Error *err)
{
    if (n > s->left)
        return fail(err, ERR_INVALID, "%zu bytes more than its shape and type say", n - s->left);
    s->left -= n;
    const char *p = bytes;
    while (n > 0) {
        size_t piece = MIN(n, (size_t)PIECE);
        if (!fd_write_all(s->fd, p, piece, err))
            return false;
        progress_add(s->progress, (int64_t)piece);
        p += piece;
        n -= piece;
    }
    return true;
}

static bool give(const StoredTensor *t, TensorSink *sink, const TensorFeed *feed, Error *err)
{
    if (t->data || t->size == 0)
        return tensor_sink_add(sink, t->data, t->size, err);
    CHECK(feed && feed->produce);
    if (!feed->produce(t, sink, feed->context, err))
        return false;
    if (sink->left > 0)
        return fail(err, ERR_INVALID, "%zu bytes fewer than its shape and type say", sink->left);
    return true;
}

bool feed_write(int fd, const StoredTensor *t, const TensorFeed *feed, Error *err)
{
    TensorSink sink = {fd, t->size, feed ? feed->progress : NULL};
    return give(t, &sink, feed, err) || fail_while(err, "tensor '%.200s'", t->name);
}

bool stored_size(StoredTensor *t, Error *err)
{
    int64_t count;
    if (!dims_count(t->dims, t->rank, &count, err))
        return false;
    int64_t row = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    if (row % dtype_info(t->type)->block != 0)
        return fail(err, ERR_INVALID, "rows of %lld values: those of %s are multiples of %d",
                    (long long)row, dtype_name(t->type), dtype_info(t->type)->block);
    return dtype_size(t->type, count, &t->size, err);
}
