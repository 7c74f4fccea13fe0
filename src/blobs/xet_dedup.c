/* xet_dedup.c: finding chunks that a scope has sent before.
 *
 * Of a stored file a few chunks are marked: `scopes/NAME/c-CHUNK` is a name of the recipe. Whoever
 * asks for such a chunk in that scope is told of the xorbs that the file is made of, chunk by
 * chunk, as far as the scope has them; the other chunks of a file that is much the same are then
 * known without asking. */
#include "xet_internal.h"

#include "base/clock.h"

enum {
    MAX_MARKS = 1 << 18, // of a file: a TiB has about so many
    MAX_TOLD = 1 << 16,  // chunks in one answer: of about 4 GB
    MAX_LOOKED = 1024,   // xorbs opened for one
    TOLD_DAYS = 14,      // how long a client may believe it: well within what a sweep leaves
};

static uint32_t low_bits(const uint8_t hash[XET_HASH_SIZE])
{
    return (uint32_t)hash[24] | (uint32_t)hash[25] << 8; // of the last of four words
}

void marks_init(Marks *m)
{
    *m = (Marks){.arena = arena_new(0)};
}

void marks_done(Marks *m)
{
    map_done(&m->seen);
    arena_free(m->arena);
}

bool marks_look(Marks *m, const uint8_t hash[XET_HASH_SIZE])
{
    Str key = {(const char *)hash, XET_HASH_SIZE};
    if (m->seen.n && low_bits(hash) % 64 != 0)
        return false;
    if (m->seen.n < MAX_MARKS && !map_find(&m->seen, key))
        map_put(&m->seen, arena_str(m->arena, key), m);
    return true;
}

static void mark_name(const uint8_t hash[XET_HASH_SIZE], char out[XET_HEX_SIZE + 2])
{
    memcpy(out, "c-", 2);
    xet_hash_format(hash, out + 2);
}

bool marks_save(const Marks *m, const Xet *x, const XetScope *scope, const char *sha256, Error *err)
{
    char name[XET_HEX_SIZE + 2], recipe[XET_PATH];
    recipe_path(x, sha256, recipe);
    for (size_t i = 0; i < m->seen.n; i++) {
        mark_name((const uint8_t *)m->seen.entries[i].key.ptr, name);
        // A mark that is lost in a crash costs an upload of what is there, no more.
        if (!scope_add(x, scope, name, recipe, false, err))
            return false;
    }
    return true;
}

/* Where in the recipe the chunk is, so that telling begins there. In very large files it is not
 * looked for to the end: the beginning is as good. */
static size_t term_of_chunk(XorbCache *xorbs, const Recipe *r, const uint8_t *hash)
{
    for (size_t i = 0; i < r->n && i < MAX_LOOKED; i++) {
        const RecipeTerm *t = &r->terms[i];
        const Xorb *x = xorb_cache_get(xorbs, t->xorb, NULL);
        for (uint32_t c = t->start; x && c < t->end && c < x->n; c++)
            if (memcmp(x->rows[c].hash, hash, XET_HASH_SIZE) == 0)
                return i;
    }
    return 0;
}

/* The xorb of a term, if it was not told of before and the scope has it. */
static const Xorb *new_xorb(const Xet *x, const XetScope *scope, XorbCache *xorbs, Map *seen,
                            const RecipeTerm *t)
{
    char hex[XET_HEX_SIZE];
    if (!map_put(seen, (Str){(const char *)t->xorb, XET_HASH_SIZE}, seen))
        return NULL;
    xet_hash_format(t->xorb, hex);
    return xorb_claim(x, scope, hex) ? xorb_cache_get(xorbs, t->xorb, NULL) : NULL;
}

bool scope_each_xorb(const Xet *x, const XetScope *scope, XorbCache *xorbs,
                     const uint8_t hash[XET_HASH_SIZE], bool (*each)(void *user, const Xorb *xorb),
                     void *user)
{
    char name[XET_HEX_SIZE + 2], path[XET_PATH];
    Recipe r;
    Map seen = {0}; // xorbs, by their 32 bytes
    mark_name(hash, name);
    if (!scope_has(x, scope, name, path) || !recipe_open(&r, path, NULL))
        return false;
    bool any = false, go_on = true;
    size_t first = term_of_chunk(xorbs, &r, hash);
    // From the chunk to the end of the file, then from its beginning.
    for (size_t i = 0; i < r.n && go_on && seen.n < MAX_LOOKED; i++) {
        const Xorb *xorb = new_xorb(x, scope, xorbs, &seen, &r.terms[(first + i) % r.n]);
        if (xorb) {
            any = true;
            go_on = each(user, xorb);
        }
    }
    map_done(&seen);
    recipe_done(&r);
    return any;
}

/* ---- What clients are told ---- */

typedef struct Telling {
    Buf *out;
    size_t chunks;
} Telling;

static bool tell_xorb(void *user, const Xorb *x)
{
    Telling *t = user;
    if (t->chunks + x->n > MAX_TOLD)
        return false;
    t->chunks += x->n;
    const XorbRow *last = &x->rows[x->n - 1];
    shard_add_xorb(t->out, x->hash, x->n, last->raw_end, last->packed_end);
    for (uint32_t i = 0; i < x->n; i++)
        shard_add_chunk(t->out, x->rows[i].hash, xorb_raw_start(x, i),
                        x->rows[i].raw_end - xorb_raw_start(x, i));
    return true;
}

bool xet_find_chunk(Xet *x, const XetScope *scope, Str hash, Buf *out, Error *err)
{
    uint8_t raw[XET_HASH_SIZE];
    if (!xet_scope_check(scope, err))
        return false;
    if (!xet_hash_parse(hash, raw))
        return fail(err, ERR_INVALID, "chunk '%.*s': not 64 lower-case hex digits",
                    STR(str_slice(hash, 0, 80)));
    Telling t = {.out = out};
    XorbCache xorbs;
    xorb_cache_init(&xorbs, x);
    shard_begin(out);
    shard_bookend(out); // no files
    size_t xorbs_at = out->len;
    bool any = scope_each_xorb(x, scope, &xorbs, raw, tell_xorb, &t);
    shard_bookend(out);
    int64_t now_s = wall_ns() / NS_PER_S;
    shard_footer(out, xorbs_at, now_s, now_s + TOLD_DAYS * 86400);
    xorb_cache_done(&xorbs);
    return (any && t.chunks) || fail(err, ERR_NOT_FOUND, "nobody here has sent this chunk");
}
