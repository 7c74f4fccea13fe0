/* xet_shard.c: accepting what clients say their files are made of; see xet.h.
 *
 * Each chunk was hashed when its xorb came, so ranges and the file's Merkle root follow from the
 * xorbs' indexes. The sha256 does not: for it a file is decoded once. */
#include "xet_internal.h"

#include "base/clock.h"
#include "base/encode.h"

static const int64_t TELL_EVERY_NS = NS_PER_S;
static const int64_t FILE_MAX_SIZE = INT64_C(1) << 40, SHARD_MAX_TOTAL = INT64_C(2) << 40;

typedef struct Accepting {
    Xet *xet;
    const ShardParams *params;
    Map claimed; // xorbs, by their 32 bytes
    XorbCache xorbs;
    Buf hashes;          // of one term's chunks
    int64_t done, total; // bytes
    int64_t told_ns;     // when progress was told last
} Accepting;

/* A file on its way. */
typedef struct Incoming {
    XetTree *tree;
    Digest *digest; // NULL: the file is known
    RecipeMaker recipe;
    Marks marks;
} Incoming;

static void accepting_done(Accepting *a)
{
    map_done(&a->claimed);
    xorb_cache_done(&a->xorbs);
    buf_done(&a->hashes);
}

static void incoming_done(Incoming *in)
{
    xet_tree_free(in->tree);
    digest_free(in->digest);
    recipe_maker_done(&in->recipe);
    marks_done(&in->marks);
}

/* The xorb, if the uploader may refer to it. */
static const Xorb *claim(Accepting *a, const uint8_t *hash, Error *err)
{
    Str key = {(const char *)hash, XET_HASH_SIZE};
    if (!map_find(&a->claimed, key)) {
        char hex[XET_HEX_SIZE];
        xet_hash_format(hash, hex);
        if (!xorb_claim(a->xet, &a->params->scope, hex))
            return fail(err, ERR_INVALID, "xorb %s is missing: upload it first", hex);
        map_put(&a->claimed, key, a);
    }
    return xorb_cache_get(&a->xorbs, hash, err);
}

static bool tell_progress(Accepting *a, Error *err)
{
    const ShardParams *p = a->params;
    if (!p->progress || clock_ns() - a->told_ns < TELL_EVERY_NS)
        return true;
    a->told_ns = clock_ns(); // not by bytes: a thousand small files take as long as a large one
    if (!p->progress(p->user, a->done, a->total))
        return fail(err, ERR_CANCELLED, "nobody waits for this shard any more");
    return true;
}

static bool term_check(Accepting *a, const Xorb *x, const ShardTerm *term, Error *err)
{
    if (term->start >= term->end || term->end > x->n)
        return fail(err, ERR_INVALID, "chunks %u to %u of a xorb that has %u", term->start,
                    term->end, x->n);
    uint32_t bytes = x->rows[term->end - 1].raw_end - xorb_raw_start(x, term->start);
    if (bytes != term->bytes)
        return fail(err, ERR_INVALID, "%u bytes, it says %u", bytes, term->bytes);
    uint8_t check[XET_HASH_SIZE];
    buf_reset(&a->hashes);
    for (uint32_t i = term->start; i < term->end; i++)
        buf_add_bytes(&a->hashes, x->rows[i].hash, XET_HASH_SIZE);
    xet_range_hash(buf_str(&a->hashes), check);
    if (term->check && memcmp(check, term->check, sizeof check) != 0)
        return fail(err, ERR_INVALID, "the verification hash differs");
    return true;
}

static bool add_term(Accepting *a, Incoming *in, const ShardTerm *term, Error *err)
{
    const Xorb *x = claim(a, term->xorb, err);
    if (!x || !term_check(a, x, term, err))
        return false;
    for (uint32_t i = term->start; i < term->end; i++) {
        const uint8_t *hash = x->rows[i].hash;
        uint32_t size = x->rows[i].raw_end - xorb_raw_start(x, i);
        marks_look(&in->marks, hash);
        xet_tree_add(in->tree, hash, size);
        a->done += size;
        Str raw;
        if (in->digest) {
            if (!xorb_cache_chunk(&a->xorbs, x, i, &raw, err))
                return false;
            digest_add(in->digest, raw.ptr, raw.len);
        }
        if (!tell_progress(a, err))
            return false;
    }
    recipe_maker_add(&in->recipe, term->xorb, term->start, term->end, term->bytes);
    return true;
}

static int64_t file_size(const ShardFile *file)
{
    int64_t size = 0;
    for (uint32_t i = 0; i < file->n; i++)
        size += shard_term(file, i).bytes;
    return size;
}

/* True if this very file is stored: its chunks were verified then. */
static bool is_known(const Accepting *a, const ShardFile *file, const char *hash,
                     const char *promised)
{
    char stored[XET_HEX_SIZE];
    return file->sha256 && xet_file_hash_of(a->xet, promised, stored) && strcmp(stored, hash) == 0;
}

static bool finish_file(Accepting *a, Incoming *in, const ShardFile *file, const char *promised,
                        XetFile *out, Error *err)
{
    uint8_t root[XET_HASH_SIZE], hash[XET_HASH_SIZE], sha[SHA256_SIZE];
    xet_tree_root(in->tree, root);
    xet_file_hash(root, hash);
    if (memcmp(hash, file->hash, sizeof hash) != 0)
        return fail(err, ERR_INVALID, "its chunks make another file");
    snprintf(out->sha256, sizeof out->sha256, "%s", promised);
    if (in->digest) {
        digest_finish(in->digest, sha);
        hex_encode(sha, sizeof sha, out->sha256);
        if (file->sha256 && strcmp(promised, out->sha256) != 0)
            return fail(err, ERR_INVALID, "the bytes hash to sha256 %s, not to %s", out->sha256,
                        promised);
        int64_t stored;
        if (!(xet_has(a->xet, out->sha256, &stored) && stored == out->size) &&
            !recipe_maker_save(&in->recipe, a->xet, out->hash, out->sha256, err))
            return false;
    }
    return marks_save(&in->marks, a->xet, &a->params->scope, out->sha256, err) &&
           blobs_drop_whole(a->xet->blobs, out->sha256, err);
}

static bool accept_file(Accepting *a, const ShardFile *file, XetFile *out, Error *err)
{
    char promised[XET_HEX_SIZE] = "";
    *out = (XetFile){.size = file_size(file)};
    xet_hash_format(file->hash, out->hash);
    if (file->sha256)
        xet_hash_format(file->sha256, promised);
    if (out->size > FILE_MAX_SIZE)
        return fail(err, ERR_LIMIT, "file %s: %lld bytes, at most 1 TiB", out->hash,
                    (long long)out->size);
    __attribute__((cleanup(incoming_done))) Incoming in = {.tree = xet_tree_new()};
    recipe_maker_init(&in.recipe);
    marks_init(&in.marks);
    if (!is_known(a, file, out->hash, promised))
        in.digest = digest_sha256_new();
    for (uint32_t i = 0; i < file->n; i++) {
        ShardTerm term = shard_term(file, i);
        if (!add_term(a, &in, &term, err))
            return fail_while(err, "file %s: term %u", out->hash, i);
    }
    return finish_file(a, &in, file, promised, out, err) || fail_while(err, "file %s", out->hash);
}

bool xet_shard_accept(Xet *x, const ShardParams *p, Arena *arena, XetFile **files, size_t *n,
                      Error *err)
{
    ShardFile *list;
    size_t count;
    if (p->bytes.len > SHARD_MAX_SIZE)
        return fail(err, ERR_LIMIT, "a shard of %zu bytes, at most %d are allowed", p->bytes.len,
                    SHARD_MAX_SIZE);
    if (!xet_scope_check(&p->scope, err) || !shard_parse(p->bytes, arena, &list, &count, NULL, err))
        return false;
    __attribute__((cleanup(accepting_done)))
    Accepting a = {.xet = x, .params = p, .told_ns = clock_ns()};
    xorb_cache_init(&a.xorbs, x);
    buf_init(&a.hashes, 0);
    for (size_t i = 0; i < count; i++)
        a.total += file_size(&list[i]);
    // A few bytes may name the same xorb over and over.
    if (a.total > SHARD_MAX_TOTAL)
        return fail(err, ERR_LIMIT, "a shard of files of %lld bytes, at most 2 TiB are allowed",
                    (long long)a.total);
    XetFile *out = NEW_ARRAY(arena, XetFile, count);
    for (size_t i = 0; i < count; i++)
        if (!accept_file(&a, &list[i], &out[i], err))
            return false;
    *files = out;
    *n = count;
    return true;
}
