/* Memory: checked sizes, allocation that cannot fail, owned locals, and arenas.
 *
 * Memory follows lifetime. An Arena holds what lives as long as a process, a model, a session, a
 * request or a graph; nothing in it is freed piece by piece. Outside arenas a `const T *` result is
 * borrowed and a `T *` result is yours. Small allocations abort on exhaustion; what input or a
 * model sizes has a limit and fails with an error: arenas take that limit, and size_mul/size_add
 * check sums that come from outside.
 * Threads: an Arena belongs to one thread at a time. */
#pragma once

#include "base/error.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* malloc, calloc and realloc that abort on exhaustion; xcalloc checks the product. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *ptr, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));

/* *out = a * b or a + b; false on overflow, *out untouched. */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

/* Owned locals: `AUTO(repo_free) Repo *r = ...; return TAKE(r);`. A header that offers x_free says
 * AUTO_FREE(X, x_free) behind it. */
#define AUTO(free_function) __attribute__((cleanup(free_function##_auto)))
#define AUTO_FREE(type, free_function)                                                             \
    __attribute__((unused)) static inline void free_function##_auto(type **owned)                  \
    {                                                                                              \
        free_function(*owned);                                                                     \
    }
#define TAKE(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })
AUTO_FREE(char, free)

typedef struct Arena Arena;

/* limit is the most bytes it may hand out, 0 for no limit. */
Arena *arena_new(size_t limit);
/* Runs the deferred calls, last first, then frees all. NULL is fine. */
void arena_free(Arena *a);
AUTO_FREE(Arena, arena_free)
/* As arena_free, but the arena stays usable and keeps its first block. */
void arena_reset(Arena *a);
/* Bytes handed out so far. */
size_t arena_used(const Arena *a);

/* Zeroed memory, aligned for any type; aborts past the limit: use arena_try for sizes that input
 * decides. */
void *arena_alloc(Arena *a, size_t size) __attribute__((returns_nonnull));
/* n * size zeroed bytes, or ERR_LIMIT when the product overflows or passes the arena's limit. */
void *arena_try(Arena *a, size_t n, size_t size, Error *err);
/* Zeroed memory whose address is a multiple of `align`, a power of two. */
void *arena_aligned(Arena *a, size_t size, size_t align) __attribute__((returns_nonnull));
void *arena_copy(Arena *a, const void *bytes, size_t size) __attribute__((returns_nonnull));

#define NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define NEW_ARRAY(arena, type, n) ((type *)arena_array((arena), (n), sizeof(type)))
/* As arena_alloc for n items; aborts on overflow. */
void *arena_array(Arena *a, size_t n, size_t size) __attribute__((returns_nonnull));

/* Calls release(object) when the arena is freed or reset: how files and references register. */
void arena_defer(Arena *a, void (*release)(void *object), void *object);
