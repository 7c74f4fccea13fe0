/* xet_upload.c: new chunks into xorbs, xorbs to the hub, a shard behind them; see xet.h. */
#include "fetch/xet.h"

#include "base/file.h"
#include "base/thread.h"
#include "blobs/xet_chunk.h"

#include <fcntl.h>
#include <unistd.h>

enum {
    PIECE = 1 << 20,
    XORB_RAW = 63 << 20, // with their headers, packed chunks of that stay below 64 MiB
    SENDING = 3,         // xorbs on their way, each held in memory
    RUN = 8,             // chunks: shorter pieces of other xorbs make a file slow to read
    MISSES = 32,         // then only every 1024th chunk is asked for, and
    LARGE = 64,          // the first one of a file with so many
    MAX_SHARD = SHARD_MAX_SIZE - (1 << 20),
};

/* A file is made of these, one behind the other. */
typedef struct Term {
    const XetXorb *xorb;
    uint32_t start, end, bytes;
} Term;

typedef struct File {
    const XetChunks *chunks;
    const char *oid;
    Term *terms;
    size_t n, cap;
} File;

typedef struct XorbList {
    XetXorb **items;
    size_t n, cap;
} XorbList;

struct XetUpload {
    Arena *a;
    XetSession *session;
    XetKnown *known;
    Progress *progress;
    XetPacker *packer;
    Client *client; // for questions and the shard

    File *files;
    size_t n, cap;
    XetXorb *xorb; // being filled, with its packed bytes
    Buf packed;
    XorbList fresh; // of this upload
    int misses;

    Workers *workers;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t idle;
    int sending;
    int64_t sent;
    Error failure; // the first one of a sender
};

/* ---- Reading a file ---- */

void xet_chunks_done(XetChunks *c)
{
    free(c->items);
    *c = (XetChunks){0};
}

static bool keep_chunk(void *user, Str raw, Error *err)
{
    XetChunks *c = user;
    if (c->n == c->cap) {
        c->cap = MAX(2 * c->cap, (size_t)64);
        c->items = xrealloc(c->items, c->cap * sizeof *c->items);
    }
    XetChunkInfo *info = &c->items[c->n++];
    info->size = (uint32_t)raw.len;
    xet_chunk_hash(raw, info->hash);
    return true;
}

bool xet_scan(const char *path, int64_t size, XetChunks *chunks, char oid[OID_SIZE], Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "%s", path);
    AUTO(digest_free) Digest *digest = oid_begin(true, size);
    AUTO(xet_chunker_free) XetChunker *chunker = xet_chunker_new(keep_chunk, chunks);
    AUTO(free) char *piece = xmalloc(PIECE);
    for (int64_t at = 0; at < size;) {
        size_t n = (size_t)MIN((int64_t)PIECE, size - at);
        if (!fd_read_at(fd, piece, n, at, err) || !xet_chunker_add(chunker, (Str){piece, n}, err))
            return fail_while(err, "%s", path);
        digest_add(digest, piece, n);
        at += (int64_t)n;
    }
    oid_finish(digest, true, oid);
    return xet_chunker_finish(chunker, err);
}

/* ---- Sending xorbs ---- */

typedef struct Parcel {
    XetUpload *u;
    XetXorb *xorb;
    Buf bytes;
} Parcel;

static void send_parcel(void *context)
{
    Parcel *p = context;
    XetUpload *u = p->u;
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(client_free) Client *client = client_new();
    char hash[XET_HEX_SIZE];
    xet_hash_format(p->xorb->hash, hash);
    Error err = {0};
    ClientAnswer answer;
    ClientCall call = {.method = "POST",
                       .url = arena_printf(a, "/v1/xorbs/default/%s", hash),
                       .body = buf_str(&p->bytes),
                       .headers =
                           (const char *const[]){"Content-Type: application/octet-stream", NULL},
                       .idle_seconds = 120};
    bool ok = xet_session_call(u->session, client, a, call, &answer, &err);
    if (ok) {
        xet_known_note(u->known, p->xorb);
        progress_add(u->progress, p->xorb->raw);
    }
    pthread_mutex_lock(&u->lock);
    u->sending--;
    u->sent += ok ? (int64_t)p->bytes.len : 0;
    if (!ok && !u->failure.code)
        u->failure = err;
    pthread_cond_broadcast(&u->idle);
    pthread_mutex_unlock(&u->lock);
    buf_done(&p->bytes);
    free(p);
}

/* Until fewer than `most` are on their way. */
static bool wait_for_senders(XetUpload *u, int most, Error *err)
{
    pthread_mutex_lock(&u->lock);
    while (u->sending >= most)
        pthread_cond_wait(&u->idle, &u->lock);
    bool ok = !u->failure.code;
    if (!ok && err)
        *err = u->failure;
    pthread_mutex_unlock(&u->lock);
    return ok;
}

/* The xorb in the making is as large as it gets. */
static bool ship(XetUpload *u, Error *err)
{
    XetXorb *xorb = u->xorb;
    if (!xorb || !xorb->n)
        return true;
    AUTO(xet_tree_free) XetTree *tree = xet_tree_new();
    for (uint32_t i = 0; i < xorb->n; i++)
        xet_tree_add(tree, xorb->chunks[i].hash, xorb->chunks[i].size);
    xet_tree_root(tree, xorb->hash);
    xorb->packed = (uint32_t)u->packed.len;
    if (!buf_ok(&u->packed, err) || !wait_for_senders(u, SENDING, err))
        return false;
    Parcel *p = xmalloc(sizeof *p);
    *p = (Parcel){.u = u, .xorb = xorb, .bytes = u->packed};
    buf_init(&u->packed, XORB_MAX_SIZE);
    u->xorb = NULL;
    pthread_mutex_lock(&u->lock);
    u->sending++;
    pthread_mutex_unlock(&u->lock);
    CHECK(workers_run(u->workers, send_parcel, p));
    return true;
}

static void begin_xorb(XetUpload *u)
{
    u->xorb = NEW(u->a, XetXorb);
    u->xorb->chunks = NEW_ARRAY(u->a, XetChunkInfo, XORB_MAX_CHUNKS);
    if (u->fresh.n == u->fresh.cap) {
        u->fresh.cap = MAX(2 * u->fresh.cap, (size_t)16);
        u->fresh.items = xrealloc(u->fresh.items, u->fresh.cap * sizeof *u->fresh.items);
    }
    u->fresh.items[u->fresh.n++] = u->xorb;
}

/* ---- What a file is made of ---- */

static void add_term(File *f, const XetXorb *xorb, uint32_t start, uint32_t end, uint32_t bytes)
{
    Term *last = f->n ? &f->terms[f->n - 1] : NULL;
    if (last && last->xorb == xorb && last->end == start && last->bytes < XORB_MAX_RAW) {
        last->end = end;
        last->bytes += bytes;
        return;
    }
    if (f->n == f->cap) {
        f->cap = MAX(2 * f->cap, (size_t)8);
        f->terms = xrealloc(f->terms, f->cap * sizeof *f->terms);
    }
    f->terms[f->n++] = (Term){xorb, start, end, bytes};
}

/* How many chunks from i on lie behind each other in the place's xorb, and their bytes. */
static size_t run_length(const XetChunks *c, size_t i, const XetPlace *place, uint32_t *bytes)
{
    size_t n = 0;
    *bytes = 0;
    while (i + n < c->n && place->index + n < place->xorb->n &&
           memcmp(c->items[i + n].hash, place->xorb->chunks[place->index + n].hash,
                  XET_HASH_SIZE) == 0)
        *bytes += c->items[i + n++].size;
    return n;
}

/* A long run, the rest of the file, or a short one where the file has had long ones. */
static bool is_worth(const File *f, size_t i, size_t run)
{
    return run >= RUN || i + run == f->chunks->n || i >= RUN * (f->n + 2);
}

static bool add_new(XetUpload *u, File *f, int fd, int64_t offset, const XetChunkInfo *chunk,
                    char *raw, Error *err)
{
    if (u->xorb && (u->xorb->n == XORB_MAX_CHUNKS || u->xorb->raw + chunk->size > XORB_RAW) &&
        !ship(u, err))
        return false;
    if (!u->xorb)
        begin_xorb(u);
    if (!fd_read_at(fd, raw, chunk->size, offset, err))
        return false;
    uint8_t hash[XET_HASH_SIZE];
    xet_chunk_hash((Str){raw, chunk->size}, hash);
    if (memcmp(hash, chunk->hash, sizeof hash) != 0)
        return fail(err, ERR_CONFLICT, "the file has changed while it was uploaded");
    xet_pack(u->packer, (Str){raw, chunk->size}, &u->packed);
    XetXorb *x = u->xorb;
    x->chunks[x->n] = *chunk;
    x->raw += chunk->size;
    add_term(f, x, x->n, x->n + 1, chunk->size);
    x->n++;
    xet_known_add(u->known, x, x->n - 1);
    return true;
}

/* Asks the hub about a chunk; what it knows of the chunks that follow comes with the answer. */
static bool ask(XetUpload *u, const XetChunkInfo *chunk, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    char hash[XET_HEX_SIZE];
    xet_hash_format(chunk->hash, hash);
    Error failure = {0};
    ClientAnswer answer;
    ClientCall call = {.url = arena_printf(a, "/v1/chunks/default/%s", hash),
                       .max_body = SHARD_MAX_SIZE};
    if (xet_session_call(u->session, u->client, a, call, &answer, &failure)) {
        u->misses = 0;
        return xet_known_add_shard(u->known, answer.body, err);
    }
    u->misses++;
    return failure.code == ERR_NOT_FOUND || fail(err, failure.code, "%s", failure.text);
}

/* The first chunk, and those that a store marks: one of 1024 by its hash, ours one of 64. Each
 * question is a way there and back, so where the hub knows nothing few are asked. */
static bool is_marked(const XetUpload *u, const XetChunks *c, size_t i)
{
    uint64_t last;
    bool hopeful = u->misses < MISSES;
    memcpy(&last, c->items[i].hash + 24, sizeof last);
    return (i == 0 && (hopeful || c->n >= LARGE)) || last % (hopeful ? 64 : 1024) == 0;
}

static bool add_chunks(XetUpload *u, File *f, int fd, Error *err)
{
    const XetChunks *c = f->chunks;
    AUTO(free) char *raw = xmalloc(CHUNK_MAX_RAW);
    int64_t offset = 0;
    for (size_t i = 0; i < c->n;) {
        const XetPlace *place = xet_known_find(u->known, c->items[i].hash);
        if (!place && is_marked(u, c, i)) {
            if (!ask(u, &c->items[i], err))
                return false;
            place = xet_known_find(u->known, c->items[i].hash);
        }
        uint32_t bytes;
        size_t run = place ? run_length(c, i, place, &bytes) : 0;
        if (run && is_worth(f, i, run)) {
            add_term(f, place->xorb, place->index, place->index + (uint32_t)run, bytes);
            progress_add(u->progress, bytes);
            i += run;
            offset += bytes;
            continue;
        }
        if (!add_new(u, f, fd, offset, &c->items[i], raw, err))
            return false;
        offset += c->items[i++].size;
    }
    return true;
}

bool xet_upload_add(XetUpload *u, const char *path, const XetChunks *chunks, const char *oid,
                    Error *err)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_io(err, "%s", path);
    if (u->n == u->cap) {
        u->cap = MAX(2 * u->cap, (size_t)16);
        u->files = xrealloc(u->files, u->cap * sizeof *u->files);
    }
    File *f = &u->files[u->n++];
    *f = (File){.chunks = chunks, .oid = oid};
    return add_chunks(u, f, fd, err) || fail_while(err, "%s", path);
}

/* ---- The shard ---- */

static void add_file(Buf *out, const File *f)
{
    uint8_t hash[XET_HASH_SIZE];
    AUTO(xet_tree_free) XetTree *tree = xet_tree_new();
    AUTO_BUF checks, hashes;
    buf_init(&checks, 0);
    buf_init(&hashes, 0);
    for (size_t i = 0; i < f->chunks->n; i++)
        xet_tree_add(tree, f->chunks->items[i].hash, f->chunks->items[i].size);
    xet_tree_root(tree, hash);
    xet_file_hash(hash, hash);
    shard_add_file(out, hash, (uint32_t)f->n);
    for (size_t i = 0; i < f->n; i++) {
        const Term *t = &f->terms[i];
        shard_add_term(out, t->xorb->hash, t->bytes, t->start, t->end);
        buf_reset(&hashes);
        for (uint32_t c = t->start; c < t->end; c++)
            buf_add_bytes(&hashes, t->xorb->chunks[c].hash, XET_HASH_SIZE);
        xet_range_hash(buf_str(&hashes), hash);
        shard_add_hash(&checks, hash);
    }
    buf_add(out, buf_str(&checks));
    xet_hash_parse(str_of(f->oid), hash);
    shard_add_hash(out, hash);
}

/* The store says how far it is with verifying, a JSON object a line; the last one is the result. */
typedef struct Verdict {
    Buf line;
    bool accepted;
} Verdict;

static bool hear(void *context, int status, Str bytes, Error *err)
{
    Verdict *v = context;
    buf_add(&v->line, bytes);
    for (size_t end; (end = str_find_char(buf_str(&v->line), '\n', 0)) != SIZE_MAX;) {
        AUTO(json_decref)
        json_t *event = json_parse(str_slice(buf_str(&v->line), 0, end), "event", err);
        if (!event)
            return false;
        Str type = json_str(event, "type");
        if (str_eq(type, S("error")))
            return fail(err, ERR_INVALID, "the hub refused the files: %s",
                        json_text(event, "message", "it does not say why"));
        v->accepted |= str_eq(type, S("result"));
        Str rest = str_slice(buf_str(&v->line), end + 1, v->line.len);
        memmove(v->line.ptr, rest.ptr, rest.len);
        v->line.len = rest.len;
    }
    return buf_ok(&v->line, err);
}

static bool send_shard(XetUpload *u, Str shard, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    ClientAnswer answer;
    Error failure = {0};
    Verdict verdict = {0};
    buf_init(&verdict.line, 1 << 20);
    ClientCall call = {.method = "POST",
                       .url = "/v2/shards",
                       .body = shard,
                       .headers =
                           (const char *const[]){"Content-Type: application/octet-stream", NULL},
                       .take = hear,
                       .context = &verdict,
                       .idle_seconds = 600};
    bool ok = xet_session_call(u->session, u->client, a, call, &answer, &failure);
    buf_done(&verdict.line);
    if (ok)
        return verdict.accepted || fail(err, ERR_UNAVAILABLE,
                                        "the hub did not say whether it took "
                                        "the files; try again");
    if (failure.code != ERR_NOT_FOUND)
        return fail(err, failure.code, "%s", failure.text);
    call.url = "/v1/shards";
    call.take = NULL;
    return xet_session_call(u->session, u->client, a, call, &answer, err);
}

bool xet_upload_finish(XetUpload *u, Error *err)
{
    if (!ship(u, err) || !wait_for_senders(u, 1, err))
        return false;
    AUTO_BUF shard;
    buf_init(&shard, SHARD_MAX_SIZE);
    for (size_t first = 0, i; first < u->n; first = i) {
        buf_reset(&shard);
        shard_begin(&shard);
        for (i = first; i < u->n && shard.len < MAX_SHARD / 2; i++)
            add_file(&shard, &u->files[i]);
        shard_bookend(&shard);
        // What new xorbs hold is told with the first files, as far as there is room: the store has
        // seen it in the xorbs themselves.
        for (size_t x = 0; first == 0 && x < u->fresh.n; x++)
            if (shard.len + (size_t)SHARD_RECORD * (u->fresh.items[x]->n + 1) < MAX_SHARD)
                xet_xorb_tell(u->fresh.items[x], &shard);
        size_t xorbs_at = shard.len;
        shard_bookend(&shard);
        shard_footer(&shard, xorbs_at, 0, 0);
        if (!buf_ok(&shard, err) || !send_shard(u, buf_str(&shard), err))
            return false;
    }
    return true;
}

/* ---- Beginning and end ---- */

XetUpload *xet_upload_new(XetSession *session, const FetchEnv *env, Progress *progress,
                          bool use_notes)
{
    XetUpload *u = xcalloc(1, sizeof *u);
    u->a = arena_new(0);
    u->session = session;
    u->known = xet_known_new(session, env, use_notes);
    u->progress = progress;
    u->packer = xet_packer_new();
    u->client = client_new();
    buf_init(&u->packed, XORB_MAX_SIZE);
    u->workers = workers_new("xet-send", SENDING, SENDING);
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->idle, NULL);
    return u;
}

void xet_upload_free(XetUpload *u)
{
    if (!u)
        return;
    workers_free(u->workers);
    for (size_t i = 0; i < u->n; i++)
        free(u->files[i].terms);
    free(u->files);
    free(u->fresh.items);
    buf_done(&u->packed);
    client_free(u->client);
    xet_packer_free(u->packer);
    xet_known_free(u->known);
    pthread_cond_destroy(&u->idle);
    pthread_mutex_destroy(&u->lock);
    arena_free(u->a);
    free(u);
}

int64_t xet_upload_sent(XetUpload *u)
{
    pthread_mutex_lock(&u->lock);
    int64_t sent = u->sent;
    pthread_mutex_unlock(&u->lock);
    return sent;
}
