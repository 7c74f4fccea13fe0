/* xet_known.c: which chunks the hub has, by notes of earlier uploads and by its own word; see
 * xet.h. A note is a shard of one xorb, named by the xorb's hash. */
#include "fetch/xet.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/map.h"

#include <dirent.h>
#include <unistd.h>

enum {
    NOTE_DAYS = 14,
    MAX_NOTES = 4096, // of 256 GB
    MAX_NOTE = 1 << 20,
};

struct XetKnown {
    Arena *a;
    const char *folder; // of the notes; NULL: there is no place for them
    Map places;         // hash to XetPlace
};

/* Notes are about one hub, seen by one user. */
static const char *notes_folder(Arena *a, const XetSession *session, const FetchEnv *env)
{
    uint8_t sum[SHA256_SIZE];
    char name[17];
    sha256(str_of(arena_printf(a, "%s\n%s", xet_session_url(session), env->token)), sum);
    hex_encode(sum, 8, name);
    const char *folder = arena_printf(a, "%s/xet/hug/%s", fetch_home(a), name);
    return file_make_folders(folder, 0700, NULL) ? folder : NULL;
}

static void read_note(XetKnown *k, const char *path, bool use)
{
    struct stat info;
    AUTO_BUF shard;
    buf_init(&shard, MAX_NOTE);
    bool old = stat(path, &info) != 0 ||
               info.st_mtim.tv_sec < wall_ns() / NS_PER_S - NOTE_DAYS * INT64_C(86400);
    // A note that cannot be read is worth nothing.
    if (!use || old || !file_read(path, &shard, NULL) ||
        !xet_known_add_shard(k, buf_str(&shard), NULL))
        unlink(path);
}

XetKnown *xet_known_new(const XetSession *session, const FetchEnv *env, bool use_notes)
{
    XetKnown *k = xcalloc(1, sizeof *k);
    k->a = arena_new(0);
    k->folder = session ? notes_folder(k->a, session, env) : NULL;
    DIR *notes = k->folder ? opendir(k->folder) : NULL;
    int n = 0;
    for (struct dirent *e; notes && (e = readdir(notes));)
        if (strlen(e->d_name) == XET_HEX_SIZE - 1)
            read_note(k, arena_printf(k->a, "%s/%s", k->folder, e->d_name),
                      use_notes && n++ < MAX_NOTES);
    if (notes)
        closedir(notes);
    return k;
}

void xet_known_free(XetKnown *k)
{
    if (!k)
        return;
    map_done(&k->places);
    arena_free(k->a);
    free(k);
}

const XetPlace *xet_known_find(const XetKnown *k, const uint8_t hash[XET_HASH_SIZE])
{
    return map_find(&k->places, (Str){(const char *)hash, XET_HASH_SIZE});
}

void xet_known_add(XetKnown *k, const XetXorb *xorb, uint32_t index)
{
    Str key = {(const char *)xorb->chunks[index].hash, XET_HASH_SIZE};
    if (map_find(&k->places, key))
        return;
    XetPlace *place = NEW(k->a, XetPlace);
    *place = (XetPlace){xorb, index};
    map_put(&k->places, key, place);
}

/* One xorb and its chunks. */
static bool add_xorb(XetKnown *k, const ShardXorb *said, Error *err)
{
    if (said->n > XORB_MAX_CHUNKS)
        return fail(err, ERR_INVALID, "shard: a xorb of %u chunks", said->n);
    XetXorb *xorb = NEW(k->a, XetXorb);
    memcpy(xorb->hash, said->hash, XET_HASH_SIZE);
    xorb->n = said->n;
    xorb->chunks = NEW_ARRAY(k->a, XetChunkInfo, xorb->n + 1);
    for (uint32_t i = 0; i < xorb->n; i++) {
        ShardChunk chunk = shard_chunk(said, i);
        memcpy(xorb->chunks[i].hash, chunk.hash, XET_HASH_SIZE);
        xorb->chunks[i].size = chunk.raw;
        xet_known_add(k, xorb, i);
    }
    return true;
}

bool xet_known_add_shard(XetKnown *k, Str shard, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    ShardFile *files;
    size_t n;
    Str xorbs;
    if (!shard_parse(shard, a, &files, &n, &xorbs, err))
        return false;
    // A store may hide the hashes behind a key of its own, in the footer: that we do not follow.
    for (ShardXorb xorb; shard_next_xorb(&xorbs, &xorb);)
        if (!add_xorb(k, &xorb, err))
            return false;
    return true;
}

void xet_xorb_tell(const XetXorb *x, Buf *shard)
{
    shard_add_xorb(shard, x->hash, x->n, x->raw, x->packed);
    for (uint32_t i = 0, at = 0; i < x->n; at += x->chunks[i++].size)
        shard_add_chunk(shard, x->chunks[i].hash, at, x->chunks[i].size);
}

void xet_known_note(const XetKnown *k, const XetXorb *xorb)
{
    if (!k->folder)
        return;
    AUTO_BUF shard;
    buf_init(&shard, MAX_NOTE);
    shard_begin(&shard);
    shard_bookend(&shard);
    xet_xorb_tell(xorb, &shard);
    shard_bookend(&shard);
    char name[XET_HEX_SIZE], path[4096];
    xet_hash_format(xorb->hash, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", k->folder, name) < sizeof path)
        (void)!file_write_atomic(path, buf_str(&shard), 0600, NULL);
}
