/* downloads.c: counts downloads in memory and writes them every few seconds from a thread of its
 * own, so that serving a file costs no write; see downloads.h.
 *
 * Two sieves keep a client from counting twice. In memory, two generations of hashes: when the
 * younger is full the older is dropped, so memory is bounded whatever comes. In the database, the
 * day's table of hashes, which is the truth: it outlives a restart and is shared with other
 * processes. Table, hashes and secret go when the day is over. */
#include "hub/downloads.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/log.h"
#include "hub/hub_internal.h"

enum {
    FLUSH_S = 5,
    SEEN_SLOTS = 1 << 17, // of 8 bytes, in each generation
    MAX_PENDING = 50000,  // visits that wait to be written; more are not counted
};
#define DAY_NS (86400 * NS_PER_S)

typedef struct Visit {
    char repo[25];
    int64_t hash;
} Visit;

typedef struct Seen {
    uint64_t slots[SEEN_SLOTS]; // 0: free
    size_t n;
} Seen;

struct DownloadCounter {
    Db *db;
    pthread_t thread;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t wake;
    bool stop;
    int64_t day; // whose secret this is; 0: none yet, nothing is counted
    uint8_t secret[32];
    Seen *young, *old;
    Visit *pending;
    size_t n_pending, lost;
};

/* ---- Which files count ---- */

/* The files that libraries load first. A suffix counts in any folder. Source: the countDownloads
 * column of the Hub's own list of model libraries, and its page on download statistics. */
static const struct {
    const char *library, *files; // separated by spaces; "*.x" is a suffix
} query_files[] = {
    {"", "config.json config.yaml hyperparams.yaml params.json meta.yaml"},
    {"adapter-transformers", "adapter_config.json"},
    {"asteroid", "pytorch_model.bin"},
    {"diffusers", "model_index.json config.json"},
    {"fasttext", "*.bin"},
    {"flair", "pytorch_model.bin"},
    {"gliner", "gliner_config.json"},
    {"keras", "config.json *.keras"},
    {"ml-agents", "*.onnx"},
    {"mlc-llm", "mlc-chat-config.json"},
    {"mlx-image", "model.safetensors"},
    {"nemo", "*.nemo model_config.yaml"},
    {"open_clip", "open_clip_config.json *pytorch_model.bin *.safetensors"},
    {"paddlenlp", "model_config.json"},
    {"peft", "adapter_config.json"},
    {"sample-factory", "cfg.json"},
    {"sentence-transformers", "config.json modules.json"},
    {"speechbrain", "hyperparams.yaml"},
    {"spacy", "*.whl"},
    {"stable-baselines3", "*.zip"},
    {"sklearn", "sklearn_model.joblib config.json *.joblib *.pkl"},
    {"tf-keras", "saved_model.pb"},
    {"timm", "pytorch_model.bin model.safetensors"},
    {"ultralytics", "*.pt"},
};

static bool is_query_file(const char *files, Str path)
{
    Str rest = str_of(files), file;
    while (str_split(&rest, ' ', &file))
        if (file.ptr[0] == '*' ? str_ends(path, str_slice(file, 1, file.len)) : str_eq(path, file))
            return true;
    return false;
}

bool download_is_counted(RepoKind kind, Str library, Str path, bool said)
{
    if (said)
        return true;
    if (kind != REPO_MODEL)
        return !str_eq(path, S("README.md")) && !str_starts(path_name(path), S("."));
    if (str_ends(path, S(".gguf")))
        return true;
    for (size_t i = 1; i < COUNT(query_files); i++)
        if (str_eq(library, str_of(query_files[i].library)))
            return is_query_file(query_files[i].files, path);
    return is_query_file(query_files[0].files, path);
}

bool download_may_count(RepoKind kind, Str path, bool said)
{
    if (kind != REPO_MODEL || said || str_ends(path, S(".gguf")))
        return download_is_counted(kind, S(""), path, said);
    for (size_t i = 0; i < COUNT(query_files); i++)
        if (is_query_file(query_files[i].files, path))
            return true;
    return false;
}

/* ---- Who has been here ---- */

static bool seen_has(const Seen *s, uint64_t hash)
{
    for (size_t i = hash % SEEN_SLOTS; s->slots[i]; i = (i + 1) % SEEN_SLOTS)
        if (s->slots[i] == hash)
            return true;
    return false;
}

static void seen_add(Seen *s, uint64_t hash)
{
    size_t i = hash % SEEN_SLOTS;
    while (s->slots[i])
        i = (i + 1) % SEEN_SLOTS;
    s->slots[i] = hash;
    s->n++;
}

/* True if it is new, as far as is remembered. */
static bool remember(DownloadCounter *d, uint64_t hash)
{
    if (seen_has(d->young, hash) || seen_has(d->old, hash))
        return false;
    if (d->young->n > SEEN_SLOTS / 2) {
        Seen *emptied = d->old;
        d->old = d->young;
        d->young = emptied;
        memset(emptied, 0, sizeof *emptied);
    }
    seen_add(d->young, hash);
    return true;
}

static uint64_t visit_hash(const uint8_t secret[32], Str repo, const DownloadClient *client)
{
    char text[1024];
    uint8_t mac[SHA256_SIZE];
    uint64_t hash;
    int n = client->account.len
                ? snprintf(text, sizeof text, "%.*s %.*s", STR(repo), STR(client->account))
                : snprintf(text, sizeof text, "%.*s %.*s %.*s", STR(repo), STR(client->address),
                           STR(client->agent));
    hmac_sha256((Str){(const char *)secret, 32}, (Str){text, MIN((size_t)n, sizeof text - 1)}, mac);
    memcpy(&hash, mac, sizeof hash);
    return hash ? hash : 1;
}

static void downloads_add(DownloadCounter *d, Str repo, const DownloadClient *client)
{
    pthread_mutex_lock(&d->lock);
    uint64_t hash = d->day ? visit_hash(d->secret, repo, client) : 0;
    if (hash && remember(d, hash)) {
        if (d->n_pending < MAX_PENDING) {
            Visit *v = &d->pending[d->n_pending++];
            v->hash = (int64_t)hash;
            snprintf(v->repo, sizeof v->repo, "%.*s", STR(repo));
        } else
            d->lost++;
        if (d->n_pending == MAX_PENDING / 2)
            pthread_cond_signal(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- Writing ---- */

static bool visits_write(DownloadCounter *d, const Visit *visits, size_t n, int64_t day, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(d->db, err);
    if (!c)
        return false;
    Map counts = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        bool is_new = false;
        Str repo = str_of(visits[i].repo);
        ok = sql_visit_add(c, day, visits[i].hash, &is_new, err);
        if (is_new)
            map_put(&counts, repo, (void *)((intptr_t)map_find(&counts, repo) + 1));
    }
    for (size_t i = 0; ok && i < counts.n; i++)
        ok = sql_downloads_add(c, counts.entries[i].key, day, (intptr_t)counts.entries[i].value,
                               err);
    map_done(&counts);
    return ok && conn_commit(c, err);
}

/* The day's secret, made by whoever comes first; older ones go, and all sums slide. */
static bool day_begin(Db *db, int64_t day, uint8_t secret[32], Error *err)
{
    AUTO(conn_end) Conn *c = db_write(db, err);
    return c && sql_visits_day(c, day, secret, err) && sql_counts_refresh(c, day, err) &&
           conn_commit(c, err);
}

static void day_set(DownloadCounter *d, int64_t day, const uint8_t secret[32])
{
    pthread_mutex_lock(&d->lock);
    d->day = day;
    memcpy(d->secret, secret, sizeof d->secret);
    memset(d->young, 0, sizeof *d->young);
    memset(d->old, 0, sizeof *d->old);
    pthread_mutex_unlock(&d->lock);
}

static void flush(DownloadCounter *d)
{
    Error err = {0};
    pthread_mutex_lock(&d->lock);
    Visit *visits = d->pending;
    size_t n = d->n_pending, lost = d->lost;
    int64_t day = d->day, today = wall_ns() / DAY_NS;
    d->n_pending = d->lost = 0;
    if (n)
        d->pending = xcalloc(MAX_PENDING, sizeof *d->pending);
    pthread_mutex_unlock(&d->lock);
    if (n && !visits_write(d, visits, n, day, &err))
        lost += n;
    if (n)
        free(visits);
    if (lost)
        log_warn("downloads", "lost=%zu error=\"%s\"", lost, err.text);
    uint8_t secret[32];
    if (day == today)
        return;
    if (day_begin(d->db, today, secret, &err))
        day_set(d, today, secret);
    else
        log_warn("downloads", "day=%lld error=\"%s\"", (long long)today, err.text);
}

static void *run(void *arg)
{
    DownloadCounter *d = arg;
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += FLUSH_S;
        pthread_cond_timedwait(&d->wake, &d->lock, &until);
        pthread_mutex_unlock(&d->lock);
        flush(d);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

DownloadCounter *downloads_new(Db *db, Error *err)
{
    uint8_t secret[32];
    int64_t day = wall_ns() / DAY_NS;
    if (!day_begin(db, day, secret, err))
        return NULL;
    DownloadCounter *d = xcalloc(1, sizeof *d);
    d->db = db;
    d->young = xcalloc(1, sizeof *d->young);
    d->old = xcalloc(1, sizeof *d->old);
    d->pending = xcalloc(MAX_PENDING, sizeof *d->pending);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    day_set(d, day, secret);
    CHECK(pthread_create(&d->thread, NULL, run, d) == 0);
    return d;
}

void downloads_free(DownloadCounter *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    flush(d);
    explicit_bzero(d->secret, sizeof d->secret);
    free(d->young);
    free(d->old);
    free(d->pending);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

void download_count(Hub *hub, const Repo *repo, const DownloadClient *client)
{
    downloads_add(hub->downloads, repo->id, client);
}

/* ---- Reading ---- */

bool download_days(Hub *hub, const Repo *repo, size_t n, int64_t *out, Error *err)
{
    CHECK(n >= 1 && n <= MAX_CHART_DAYS);
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_download_days(c, repo->id, wall_ns() / DAY_NS, n, out, err);
}

bool download_leaders(Hub *hub, Arena *a, const Viewer *viewer, RepoKind kind, size_t days,
                      size_t limit, Leader **out, size_t *n, Error *err)
{
    CHECK(days >= 1 && days <= MAX_CHART_DAYS && limit >= 1 && limit <= 100);
    int64_t today = wall_ns() / DAY_NS;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || !sql_download_leaders(c, a, viewer, kind, today, days, limit, out, n, err))
        return false;
    for (size_t i = 0; i < *n; i++) {
        Leader *leader = &(*out)[i];
        leader->days = NEW_ARRAY(a, int64_t, days);
        if (!sql_download_days(c, leader->repo.id, today, days, leader->days, err))
            return false;
    }
    return true;
}
