/* memory.c: checked allocation and arenas; see memory.h.
 *
 * An arena is a list of blocks, newest first. A block doubles up to BLOCK_MAX; a request larger
 * than a block gets one of its own, put behind the newest so that the free space in front stays
 * in use. Under AddressSanitizer every allocation is its own block, so that overruns are seen. */
#include "base/memory.h"

#include <stdalign.h>
#include <stdio.h>

enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20, ALIGN = alignof(max_align_t) };

typedef struct Block Block;
struct Block {
    Block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

typedef struct Deferred Deferred;
struct Deferred {
    Deferred *next;
    void (*release)(void *);
    void *object;
};

struct Arena {
    Block *blocks;
    Deferred *deferred;
    size_t used, limit;
};

static void out_of_memory(size_t size) __attribute__((noreturn, cold));
static void out_of_memory(size_t size)
{
    fprintf(stderr, "hug: out of memory (%zu bytes wanted)\n", size);
    abort();
}

void *xmalloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        out_of_memory(n * size);
    return p;
}

void *xrealloc(void *ptr, size_t size)
{
    void *p = realloc(ptr, size ? size : 1);
    if (!p)
        out_of_memory(size);
    return p;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(xmalloc(size), text, size);
}

Arena *arena_new(size_t limit)
{
    Arena *a = xcalloc(1, sizeof *a);
    a->limit = limit ? limit : SIZE_MAX;
    return a;
}

static Block *block_new(size_t size)
{
    Block *b = xcalloc(1, sizeof *b + size);
    b->size = size;
    return b;
}

static size_t block_size(const Arena *a, size_t need)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)a;
    return need;
#else
    size_t size = a->blocks ? MIN(a->blocks->size * 2, (size_t)BLOCK_MAX) : (size_t)BLOCK_MIN;
    return MAX(size, need);
#endif
}

void *arena_aligned(Arena *a, size_t size, size_t align)
{
    CHECK(align && (align & (align - 1)) == 0);
    CHECK(size <= a->limit - a->used);
    Block *b = a->blocks;
    size_t start = 0;
    if (b)
        start = (((uintptr_t)b->bytes + b->used + align - 1) & ~(align - 1)) - (uintptr_t)b->bytes;
    if (!b || start > b->size || size > b->size - start) {
        Block *fresh = block_new(block_size(a, size + align));
        if (b && fresh->size - size < b->size - b->used) {
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->blocks = fresh;
        }
        b = fresh;
        start = (((uintptr_t)b->bytes + align - 1) & ~(align - 1)) - (uintptr_t)b->bytes;
    }
    b->used = start + size;
    a->used += size;
    return b->bytes + start;
}

void *arena_alloc(Arena *a, size_t size)
{
    return arena_aligned(a, size, ALIGN);
}

void *arena_array(Arena *a, size_t n, size_t size)
{
    size_t total;
    CHECK(size_mul(n, size, &total));
    return arena_alloc(a, total);
}

void *arena_try(Arena *a, size_t n, size_t size, Error *err)
{
    size_t total;
    if (!size_mul(n, size, &total) || total > a->limit - a->used)
        return fail(err, ERR_LIMIT, "%zu items of %zu bytes pass the limit of %zu bytes", n, size,
                    a->limit);
    return arena_alloc(a, total);
}

void *arena_copy(Arena *a, const void *bytes, size_t size)
{
    void *copy = arena_alloc(a, size);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

void arena_defer(Arena *a, void (*release)(void *), void *object)
{
    Deferred *d = NEW(a, Deferred);
    *d = (Deferred){.next = a->deferred, .release = release, .object = object};
    a->deferred = d;
}

static void run_deferred(Arena *a)
{
    while (a->deferred) {
        Deferred *d = a->deferred;
        a->deferred = d->next;
        d->release(d->object);
    }
}

void arena_reset(Arena *a)
{
    run_deferred(a);
    Block *last = a->blocks;
    while (last && last->next) {
        Block *next = last->next;
        free(last);
        last = next;
    }
    a->blocks = last;
    if (last) {
        memset(last->bytes, 0, last->used);
        last->used = 0;
    }
    a->used = 0;
}

void arena_free(Arena *a)
{
    if (!a)
        return;
    run_deferred(a);
    for (Block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

size_t arena_used(const Arena *a)
{
    return a->used;
}
