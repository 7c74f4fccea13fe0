/* xet_absorb.c: cutting up a blob that came whole (git-lfs, a form), so that it shares chunks with
 * others and can be downloaded by Xet.
 *
 * Chunks that the scope has sent before are found as clients find them: by marked chunks, each of
 * which brings the xorbs of the file that it is known from. The others go into new xorbs. The file
 * is then read back from its chunks, and only when these bytes have the sha256 does the recipe get
 * its name and the whole file go. A crash on the way leaves the whole file, and at worst xorbs that
 * the next try finds or the sweep removes. */
#include "xet_internal.h"

#include "blobs/xet_chunk.h"

#include "base/encode.h"

enum {
    READ_SIZE = 1 << 20,
    XORB_TARGET = 64 << 20, // bytes in its chunks, as clients make them
    MAX_KNOWN = 512 << 10,  // chunks remembered, about 60 MB
    MAX_TRIES = 1024,       // marked chunks asked for without an answer
};

/* Where a chunk is: in which xorb of ours, counted from 0. */
typedef struct Place {
    uint32_t xorb, chunk;
} Place;

/* Chunks of one xorb that follow each other in the file. */
typedef struct Run {
    uint32_t xorb, start, end;
    uint64_t bytes;
} Run;

typedef struct Absorbing {
    const Xet *xet;
    const XetScope *scope;
    const atomic_bool *stop;
    Arena *arena;
    Map known;   // chunks by their 32 bytes, to Place
    Map by_hash; // xorbs by their 32 bytes, to Place (of which `xorb` counts)
    Buf hashes;  // of xorbs, 32 bytes each; zeros of the one that is being filled
    Buf runs;    // of Run
    Marks marks;
    XorbFile file; // the xorb in the making
    bool is_open;
    uint32_t current; // its number
    XetTree *tree;
    XetPacker *packer;
    Buf packed;
    XorbCache xorbs;
    uint32_t tries;
} Absorbing;

static void absorbing_done(Absorbing *a)
{
    if (a->is_open)
        xorb_file_done(&a->file);
    map_done(&a->known);
    map_done(&a->by_hash);
    buf_done(&a->hashes);
    buf_done(&a->runs);
    marks_done(&a->marks);
    buf_done(&a->packed);
    xet_tree_free(a->tree);
    xet_packer_free(a->packer);
    xorb_cache_done(&a->xorbs);
    arena_free(a->arena);
}

static uint32_t xorb_count(const Absorbing *a)
{
    return (uint32_t)(a->hashes.len / XET_HASH_SIZE);
}

static void remember(Absorbing *a, const uint8_t *hash, uint32_t xorb, uint32_t chunk)
{
    Str key = {(const char *)hash, XET_HASH_SIZE};
    if (a->known.n >= MAX_KNOWN || map_find(&a->known, key))
        return;
    Place *place = NEW(a->arena, Place);
    *place = (Place){xorb, chunk};
    map_put(&a->known, arena_str(a->arena, key), place);
}

/* A xorb that is stored: its chunks need not be stored again. */
static bool learn_xorb(void *user, const Xorb *x)
{
    Absorbing *a = user;
    Str key = {(const char *)x->hash, XET_HASH_SIZE};
    if (map_find(&a->by_hash, key))
        return true;
    map_put(&a->by_hash, arena_str(a->arena, key), a);
    uint32_t number = xorb_count(a);
    buf_add_bytes(&a->hashes, x->hash, XET_HASH_SIZE);
    for (uint32_t i = 0; i < x->n; i++)
        remember(a, x->rows[i].hash, number, i);
    return a->known.n < MAX_KNOWN;
}

static void add_run(Absorbing *a, uint32_t xorb, uint32_t chunk, size_t bytes)
{
    Run *last = NULL;
    if (a->runs.len)
        last = (Run *)(void *)(a->runs.ptr + a->runs.len - sizeof *last);
    if (last && last->xorb == xorb && last->end == chunk) {
        last->end++;
        last->bytes += bytes;
        return;
    }
    buf_add_bytes(&a->runs, &(Run){xorb, chunk, chunk + 1, bytes}, sizeof(Run));
}

/* ---- Chunks that are new ---- */

static bool close_xorb(Absorbing *a, Error *err)
{
    char hex[XET_HEX_SIZE];
    bool inserted;
    if (!a->is_open)
        return true;
    if (!xorb_file_publish(&a->file, a->scope, NULL, hex, &inserted, err))
        return false;
    CHECK(
        xet_hash_parse(str_of(hex), (uint8_t *)a->hashes.ptr + (size_t)a->current * XET_HASH_SIZE));
    xorb_file_done(&a->file);
    a->is_open = false;
    return true;
}

static bool open_xorb(Absorbing *a, Error *err)
{
    if (!xorb_file_open(&a->file, a->xet, err))
        return false;
    a->is_open = true;
    a->current = xorb_count(a);
    buf_add_bytes(&a->hashes, (uint8_t[XET_HASH_SIZE]){0}, XET_HASH_SIZE);
    return true;
}

static bool store_chunk(Absorbing *a, Str raw, const uint8_t *hash, Error *err)
{
    bool full = a->is_open && (a->file.n == XORB_MAX_CHUNKS || a->file.raw + raw.len > XORB_TARGET);
    if ((full && !close_xorb(a, err)) || (!a->is_open && !open_xorb(a, err)))
        return false;
    buf_reset(&a->packed);
    xet_pack(a->packer, raw, &a->packed);
    remember(a, hash, a->current, a->file.n);
    add_run(a, a->current, a->file.n, raw.len);
    return xorb_file_add(&a->file, buf_str(&a->packed), (uint32_t)raw.len, hash, err);
}

static bool take_chunk(void *user, Str raw, Error *err)
{
    Absorbing *a = user;
    uint8_t hash[XET_HASH_SIZE];
    xet_chunk_hash(raw, hash);
    xet_tree_add(a->tree, hash, raw.len);
    bool is_marked = marks_look(&a->marks, hash);
    Str key = {(const char *)hash, sizeof hash};
    Place *place = map_find(&a->known, key);
    if (!place && is_marked && a->tries < MAX_TRIES) {
        a->tries++;
        scope_each_xorb(a->xet, a->scope, &a->xorbs, hash, learn_xorb, a);
        place = map_find(&a->known, key);
    }
    if (!place)
        return store_chunk(a, raw, hash, err);
    add_run(a, place->xorb, place->chunk, raw.len);
    return true;
}

/* ---- The whole file ---- */

static bool cut_up(Absorbing *a, BlobReader *blob, Error *err)
{
    AUTO(free) char *bytes = xmalloc(READ_SIZE);
    AUTO(xet_chunker_free) XetChunker *chunker = xet_chunker_new(take_chunk, a);
    for (int64_t at = 0; at < blob_size(blob);) {
        size_t n = (size_t)MIN(blob_size(blob) - at, (int64_t)READ_SIZE);
        if (a->stop && atomic_load(a->stop))
            return fail(err, ERR_CANCELLED, "there is no time for it now");
        if (!blob_read(blob, bytes, n, at, err) || !xet_chunker_add(chunker, (Str){bytes, n}, err))
            return false;
        at += (int64_t)n;
    }
    return xet_chunker_finish(chunker, err) && close_xorb(a, err);
}

static bool read_back(const Absorbing *a, const RecipeMaker *recipe, const char *sha256, Error *err)
{
    AUTO(free) char *bytes = xmalloc(READ_SIZE);
    AUTO(digest_free) Digest *digest = digest_sha256_new();
    AUTO(xet_reader_free) XetReader *r = xet_reader_of(a->xet, recipe, sha256);
    for (int64_t at = 0; at < recipe->size;) {
        size_t n = (size_t)MIN(recipe->size - at, (int64_t)READ_SIZE);
        if (a->stop && atomic_load(a->stop))
            return fail(err, ERR_CANCELLED, "there is no time for it now");
        if (!xet_reader_read(r, bytes, n, at, err))
            return false;
        digest_add(digest, bytes, n);
        at += (int64_t)n;
    }
    uint8_t sha[SHA256_SIZE];
    char hex[BLOB_HEX_SIZE];
    digest_finish(digest, sha);
    hex_encode(sha, sizeof sha, hex);
    return strcmp(hex, sha256) == 0 || fail(err, ERR_CORRUPT, "its chunks have the sha256 %s", hex);
}

static bool save(const Absorbing *a, RecipeMaker *recipe, const char *sha256, Error *err)
{
    uint8_t hash[XET_HASH_SIZE];
    char hex[XET_HEX_SIZE];
    xet_tree_root(a->tree, hash);
    xet_file_hash(hash, hash);
    xet_hash_format(hash, hex);
    return recipe_maker_save(recipe, a->xet, hex, sha256, err) &&
           marks_save(&a->marks, a->xet, a->scope, sha256, err);
}

static bool make_recipe(const Absorbing *a, const char *sha256, Error *err)
{
    __attribute__((cleanup(recipe_maker_done))) RecipeMaker recipe;
    recipe_maker_init(&recipe);
    for (size_t at = 0; at < a->runs.len; at += sizeof(Run)) {
        const Run *run = (const Run *)(const void *)(a->runs.ptr + at);
        recipe_maker_add(&recipe,
                         (const uint8_t *)a->hashes.ptr + (size_t)run->xorb * XET_HASH_SIZE,
                         run->start, run->end, run->bytes);
    }
    return read_back(a, &recipe, sha256, err) && save(a, &recipe, sha256, err);
}

static void absorbing_init(Absorbing *a, const Xet *x, const XetScope *scope,
                           const atomic_bool *stop)
{
    *a = (Absorbing){.xet = x,
                     .scope = scope,
                     .stop = stop,
                     .arena = arena_new(0),
                     .tree = xet_tree_new(),
                     .packer = xet_packer_new()};
    buf_init(&a->hashes, 0);
    buf_init(&a->runs, 0);
    marks_init(&a->marks);
    buf_init(&a->packed, 0);
    xorb_cache_init(&a->xorbs, x);
}

bool xet_absorb(Xet *x, const char *sha256, const XetScope *scope, const atomic_bool *stop,
                Error *err)
{
    int64_t stored;
    if (!blob_oid_check(str_of(sha256), err) || !xet_scope_check(scope, err))
        return false;
    AUTO(blob_close) BlobReader *blob = blob_open(x->blobs, sha256, err);
    if (!blob)
        return false;
    if (blob_fd(blob) < 0)
        return true;
    if (xet_has(x, sha256, &stored) && stored == blob_size(blob))
        return blobs_drop_whole(x->blobs, sha256, err);
    __attribute__((cleanup(absorbing_done))) Absorbing a;
    absorbing_init(&a, x, scope, stop);
    return (cut_up(&a, blob, err) && make_recipe(&a, sha256, err) &&
            blobs_drop_whole(x->blobs, sha256, err)) ||
           fail_while(err, "cut up blob %s", sha256);
}
