/* xet.c: xorbs in a folder, and shards turned into blobs; see xet.h. */
#include "blobs/xet.h"

#include "blobs_internal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    SOURCES = 8,              // xorbs held open while a shard is decoded
    PROGRESS_EVERY = 8 << 20, // bytes
};
static const int64_t FILE_MAX_SIZE = INT64_C(1) << 40;

struct Xet {
    Blobs *blobs;
    char *folder;
};

Xet *xet_open(const char *folder, Blobs *blobs, Error *err)
{
    static const char *const names[] = {"xorbs", "scopes", "shards", "temp"};
    char path[PATH_SIZE];
    if (strlen(folder) > PATH_SIZE - 300)
        return fail(err, ERR_LIMIT, "open Xet store: a path of %zu bytes", strlen(folder));
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!file_make_folders(path, 0755, err))
            return fail_while(err, "open Xet store");
    }
    if (!temp_clear(path, err)) // the last of them
        return fail_while(err, "open Xet store");
    Xet *x = xcalloc(1, sizeof *x);
    *x = (Xet){.blobs = blobs, .folder = xstrdup(folder)};
    return x;
}

void xet_free(Xet *x)
{
    if (!x)
        return;
    free(x->folder);
    free(x);
}

static bool name_check(Str name, Error *err)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && name.ptr[i] != '-')
            name.len = 0;
    if (name.len == 0 || name.len > 64)
        return fail(err, ERR_INVALID, "a scope's name is 1 to 64 letters and digits");
    return true;
}

static void scope_path(const Xet *x, const char *kind, Str name, const char *hash,
                       char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/scopes/%s-%.*s/%s", x->folder, kind, STR(name), hash);
}

/* ---- Taking xorbs ---- */

struct XorbWriter {
    Xet *xet;
    char user[65], repo[65];
    char hash[XET_HEX_SIZE], path[PATH_SIZE];
    XorbParser *parser;
    XetTree *tree;
    int fd;
    bool published;
};

static bool keep_chunk(void *user, Str packed, Str raw, Error *err)
{
    XorbWriter *w = user;
    uint8_t hash[XET_HASH_SIZE];
    xet_chunk_hash(raw, hash);
    xet_tree_add(w->tree, hash, raw.len);
    return fd_write_all(w->fd, packed.ptr, packed.len, err);
}

XorbWriter *xorb_writer_new(Xet *x, const XetScope *scope, Str hash, Error *err)
{
    char temp[PATH_SIZE];
    uint8_t bytes[XET_HASH_SIZE];
    if (!name_check(scope->user, err) || !name_check(scope->repo, err))
        return NULL;
    if (!xet_hash_parse(hash, bytes))
        return fail(err, ERR_INVALID, "xorb '%.*s': not 64 lower-case hex digits",
                    STR(str_slice(hash, 0, 80)));
    XorbWriter *w = xcalloc(1, sizeof *w);
    w->xet = x;
    snprintf(temp, sizeof temp, "%s/temp", x->folder);
    w->fd = temp_file(temp, w->path, err);
    if (w->fd < 0) {
        free(w);
        return NULL;
    }
    snprintf(w->user, sizeof w->user, "%.*s", STR(scope->user));
    snprintf(w->repo, sizeof w->repo, "%.*s", STR(scope->repo));
    snprintf(w->hash, sizeof w->hash, "%.*s", STR(hash));
    w->parser = xorb_parser_new(keep_chunk, w);
    w->tree = xet_tree_new();
    return w;
}

bool xorb_writer_add(XorbWriter *w, Str bytes, Error *err)
{
    return xorb_parser_add(w->parser, bytes, err);
}

/* Links the xorb under a scope's name, so that its shards may refer to it. */
static bool give_to(XorbWriter *w, const char *xorb, const char *kind, const char *name, Error *err)
{
    char path[PATH_SIZE];
    scope_path(w->xet, kind, str_of(name), w->hash, path);
    char *slash = strrchr(path, '/');
    *slash = 0;
    bool is_new = !file_is_folder(path);
    if (is_new && !file_make_folders(path, 0755, err))
        return NULL;
    *slash = '/';
    if (link(xorb, path) < 0 && errno != EEXIST)
        return fail_io(err, "xorb %s", w->hash);
    *slash = 0;
    if (!file_sync_folder(path, err))
        return NULL;
    *strrchr(path, '/') = 0;
    return !is_new || file_sync_folder(path, err);
}

static bool publish(XorbWriter *w, const char *path, bool *inserted, Error *err)
{
    // A known xorb becomes as good as new: it is kept for as long again.
    *inserted = utimensat(AT_FDCWD, path, NULL, 0) < 0;
    if (!*inserted)
        return true;
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s/xorbs/%.2s", w->xet->folder, w->hash);
    if (fsync(w->fd) < 0)
        return fail_io(err, "sync");
    if (!file_make_folders(folder, 0755, err))
        return NULL;
    if (rename(w->path, path) < 0)
        return fail_io(err, "rename");
    w->published = true;
    if (!file_sync_folder(folder, err))
        return NULL;
    *strrchr(folder, '/') = 0;
    return file_sync_folder(folder, err);
}

bool xorb_writer_finish(XorbWriter *w, bool *inserted, Error *err)
{
    uint8_t root[XET_HASH_SIZE];
    char hex[XET_HEX_SIZE], path[PATH_SIZE];
    if (!xorb_parser_finish(w->parser, err))
        return NULL;
    xet_tree_root(w->tree, root);
    xet_hash_format(root, hex);
    if (strcmp(hex, w->hash) != 0)
        return fail(err, ERR_INVALID, "xorb %s: its chunks hash to %s", w->hash, hex);
    snprintf(path, sizeof path, "%s/xorbs/%.2s/%s", w->xet->folder, hex, hex);
    if (!publish(w, path, inserted, err) || !give_to(w, path, "user", w->user, err) ||
        !give_to(w, path, "repo", w->repo, err))
        return fail_while(err, "store xorb %s", hex);
    return true;
}

void xorb_writer_free(XorbWriter *w)
{
    if (!w)
        return;
    if (!w->published)
        unlink(w->path);
    close(w->fd);
    xorb_parser_free(w->parser);
    xet_tree_free(w->tree);
    free(w);
}

/* ---- Turning shards into blobs ---- */

/* A stored xorb: where its chunks begin. */
typedef struct Source {
    uint8_t hash[XET_HASH_SIZE];
    int fd;
    uint32_t *offsets, n; // offsets has n + 1
    uint64_t used;        // the last time, by a counter
} Source;

typedef struct Decoding {
    Xet *xet;
    const ShardParams *params;
    XetDecoder *decoder;
    uint8_t *packed;
    Buf hashes; // of one term's chunks
    Source sources[SOURCES];
    size_t n_sources;
    uint64_t clock;
    int64_t done, total, told; // bytes
} Decoding;

static void source_done(Source *s)
{
    fd_close_auto(&s->fd);
    free(s->offsets);
}

static void decoding_done(Decoding *d)
{
    for (size_t i = 0; i < d->n_sources; i++)
        source_done(&d->sources[i]);
    xet_decoder_free(d->decoder);
    buf_done(&d->hashes);
    free(d->packed);
}

/* Walks the headers; they were checked when the xorb came. */
static bool source_read(Source *s, Error *err)
{
    struct stat st;
    uint8_t header[CHUNK_HEADER_SIZE];
    ChunkHeader h;
    if (fstat(s->fd, &st) < 0)
        return fail_io(err, "read");
    s->offsets = xcalloc(XORB_MAX_CHUNKS + 1, sizeof *s->offsets);
    uint32_t at = 0;
    for (; at < st.st_size && s->n < XORB_MAX_CHUNKS; s->offsets[++s->n] = at) {
        if (!fd_read_at(s->fd, header, sizeof header, at, err) ||
            !chunk_header_parse(header, &h, err))
            return NULL;
        at += CHUNK_HEADER_SIZE + h.packed;
    }
    if (at != st.st_size)
        return fail(err, ERR_CORRUPT, "%lld bytes stored, its chunks end at %u",
                    (long long)st.st_size, at);
    return true;
}

/* Opens a xorb by the link of one of the scopes. */
static int source_open(const Decoding *d, const char *hex, Error *err)
{
    const XetScope *scope = &d->params->scope;
    char path[PATH_SIZE];
    scope_path(d->xet, "user", scope->user, hex, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        scope_path(d->xet, "repo", scope->repo, hex, path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        (void)!fail(err, ERR_INVALID, "xorb %s is missing: upload it first", hex);
    return fd;
}

/* The xorb, opened now or a while ago. */
static Source *source_of(Decoding *d, const uint8_t *hash, Error *err)
{
    Source *oldest = NULL;
    for (size_t i = 0; i < d->n_sources; i++) {
        Source *s = &d->sources[i];
        if (memcmp(s->hash, hash, XET_HASH_SIZE) == 0) {
            s->used = ++d->clock;
            return s;
        }
        if (!oldest || s->used < oldest->used)
            oldest = s;
    }
    char hex[XET_HEX_SIZE];
    xet_hash_format(hash, hex);
    Source fresh = {.used = ++d->clock};
    memcpy(fresh.hash, hash, XET_HASH_SIZE);
    fresh.fd = source_open(d, hex, err);
    if (fresh.fd < 0)
        return NULL;
    if (!source_read(&fresh, err)) {
        source_done(&fresh);
        return fail_while(err, "xorb %s", hex);
    }
    Source *place = oldest;
    if (d->n_sources < SOURCES)
        place = &d->sources[d->n_sources++];
    else
        source_done(place);
    *place = fresh;
    return place;
}

static bool read_chunk(Decoding *d, const Source *s, uint32_t i, Str *raw, Error *err)
{
    uint32_t size = s->offsets[i + 1] - s->offsets[i];
    ChunkHeader h;
    return fd_read_at(s->fd, d->packed, size, s->offsets[i], err) &&
           chunk_header_parse(d->packed, &h, err) &&
           xet_decode(d->decoder, &h,
                      (Str){(const char *)d->packed + CHUNK_HEADER_SIZE, size - CHUNK_HEADER_SIZE},
                      raw, err);
}

static bool tell_progress(Decoding *d, Error *err)
{
    const ShardParams *p = d->params;
    if (!p->progress || d->done - d->told < PROGRESS_EVERY)
        return true;
    d->told = d->done;
    if (!p->progress(p->user, d->done, d->total))
        return fail(err, ERR_CANCELLED, "nobody waits for this shard any more");
    return true;
}

static bool decode_term(Decoding *d, const ShardTerm *term, XetTree *tree, BlobWriter *w,
                        Error *err)
{
    Source *s = source_of(d, term->xorb, err);
    if (!s)
        return NULL;
    if (term->start >= term->end || term->end > s->n)
        return fail(err, ERR_INVALID, "chunks %u to %u of a xorb that has %u", term->start,
                    term->end, s->n);
    uint64_t sum = 0;
    buf_reset(&d->hashes);
    for (uint32_t i = term->start; i < term->end; i++) {
        Str raw;
        uint8_t hash[XET_HASH_SIZE];
        if (!read_chunk(d, s, i, &raw, err))
            return fail_while(err, "chunk %u", i);
        xet_chunk_hash(raw, hash);
        xet_tree_add(tree, hash, raw.len);
        buf_add_bytes(&d->hashes, hash, sizeof hash);
        sum += raw.len;
        d->done += (int64_t)raw.len;
        if (!blob_writer_add(w, raw.ptr, raw.len, err) || !tell_progress(d, err))
            return NULL;
    }
    if (sum != term->bytes)
        return fail(err, ERR_INVALID, "%llu bytes, it says %u", (unsigned long long)sum,
                    term->bytes);
    uint8_t check[XET_HASH_SIZE];
    xet_range_hash(buf_str(&d->hashes), check);
    if (term->check && memcmp(check, term->check, sizeof check) != 0)
        return fail(err, ERR_INVALID, "the verification hash differs");
    return true;
}

static int64_t file_size(const ShardFile *file)
{
    int64_t size = 0;
    for (uint32_t i = 0; i < file->n; i++)
        size += shard_term(file, i).bytes;
    return size;
}

static bool decode_file(Decoding *d, const ShardFile *file, XetFile *out, Error *err)
{
    char promised[XET_HEX_SIZE] = "";
    *out = (XetFile){.size = file_size(file)};
    xet_hash_format(file->hash, out->hash);
    if (file->sha256)
        xet_hash_format(file->sha256, promised);
    if (out->size > FILE_MAX_SIZE)
        return fail(err, ERR_LIMIT, "file %s: %lld bytes, at most 1 TiB", out->hash,
                    (long long)out->size);
    AUTO(xet_tree_free) XetTree *tree = xet_tree_new();
    AUTO(blob_writer_free)
    BlobWriter *w = blob_writer_new(d->xet->blobs, file->sha256 ? promised : NULL, out->size, err);
    if (!w)
        return NULL;
    for (uint32_t i = 0; i < file->n; i++) {
        ShardTerm term = shard_term(file, i);
        if (!decode_term(d, &term, tree, w, err))
            return fail_while(err, "file %s: term %u", out->hash, i);
    }
    uint8_t root[XET_HASH_SIZE], hash[XET_HASH_SIZE];
    xet_tree_root(tree, root);
    xet_file_hash(root, hash);
    if (memcmp(hash, file->hash, sizeof hash) != 0)
        return fail(err, ERR_INVALID, "file %s: its chunks make another file", out->hash);
    if (!blob_writer_finish(w, out->sha256, err))
        return fail_while(err, "file %s", out->hash);
    return true;
}

/* Which file is made of what: kept for the day when downloads speak Xet. */
static bool keep_shard(Xet *x, Str bytes, Error *err)
{
    uint8_t sha[SHA256_SIZE];
    char hex[BLOB_HEX_SIZE], path[PATH_SIZE];
    sha256(bytes, sha);
    hex_encode(sha, sizeof sha, hex);
    snprintf(path, sizeof path, "%s/shards/%s", x->folder, hex);
    return file_write_atomic(path, bytes, 0644, err);
}

bool xet_shard_accept(Xet *x, const ShardParams *p, Arena *a, XetFile **files, size_t *n,
                      Error *err)
{
    ShardFile *list;
    size_t count;
    if (p->bytes.len > SHARD_MAX_SIZE)
        return fail(err, ERR_LIMIT, "a shard of %zu bytes, at most %d are allowed", p->bytes.len,
                    SHARD_MAX_SIZE);
    if (!name_check(p->scope.user, err) || !name_check(p->scope.repo, err) ||
        !shard_parse(p->bytes, a, &list, &count, err))
        return NULL;
    __attribute__((cleanup(decoding_done))) Decoding d = {
        .xet = x,
        .params = p,
        .decoder = xet_decoder_new(),
        .packed = xmalloc(2 * CHUNK_MAX_RAW),
    };
    buf_init(&d.hashes, 0);
    for (size_t i = 0; i < count; i++)
        d.total += file_size(&list[i]);
    XetFile *out = NEW_ARRAY(a, XetFile, count);
    for (size_t i = 0; i < count; i++)
        if (!decode_file(&d, &list[i], &out[i], err))
            return NULL;
    if (!keep_shard(x, p->bytes, err))
        return NULL;
    *files = out;
    *n = count;
    return true;
}

/* ---- Forgetting ---- */

/* Removes old files of a folder; a link carries its file's time. */
static bool sweep_folder(const char *path, int64_t before_s, Error *err)
{
    DIR *dir = opendir(path);
    if (!dir)
        return fail_io(err, "open '%s'", path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(st.st_mode) && st.st_mtim.tv_sec < before_s)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return true;
}

static bool sweep_below(const Xet *x, const char *name, int64_t before_s, Error *err)
{
    char path[PATH_SIZE], inner[PATH_SIZE + 256];
    snprintf(path, sizeof path, "%s/%s", x->folder, name);
    DIR *dir = opendir(path);
    if (!dir)
        return fail_io(err, "open '%s'", path);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && file_is_folder(inner))
            ok = sweep_folder(inner, before_s, err);
    }
    closedir(dir);
    return ok;
}

bool xet_sweep(Xet *x, int64_t max_age_ns, Error *err)
{
    char path[PATH_SIZE];
    int64_t before_s = (wall_ns() - max_age_ns) / NS_PER_S;
    snprintf(path, sizeof path, "%s/shards", x->folder);
    // Links first: a xorb must not be promised by a link when its name has gone.
    return sweep_below(x, "scopes", before_s, err) && sweep_below(x, "xorbs", before_s, err) &&
           sweep_folder(path, before_s, err);
}
