/* repo_sql.c: the statements about repositories, and their lists; see hub_sql.h. */
#include "base/clock.h"
#include "hub/hub_sql.h"

/* Columns of a Repo, and of what lists add to it. */
#define REPO_COLUMNS                                                                               \
    "repos.id, repos.kind, repos.full_name, repos.name, repos.is_private, repos.is_disabled,"      \
    " repos.discussions_off, repos.gated, repos.created_ns, repos.updated_ns, repos.downloads,"    \
    " repos.downloads_all, repos.likes, repos.owner_id "
#define ITEM_COLUMNS                                                                               \
    REPO_COLUMNS                                                                                   \
    ", repos.sha, repos.tags, repos.pipeline_tag, repos.library, repos.sdk, repos.card,"           \
    " repos.trending "

static void repo_row(Query *q, Arena *a, Repo *out, Str *owner)
{
    *out = (Repo){0};
    out->id = row_str(q, a);
    out->kind = (RepoKind)row_int(q);
    out->full = row_str(q, a);
    out->name = row_str(q, a);
    out->owner = str_slice(out->full, 0, str_find_char(out->full, '/', 0));
    out->is_private = row_int(q) != 0;
    out->is_disabled = row_int(q) != 0;
    out->discussions_off = row_int(q) != 0;
    out->gated = row_str(q, a);
    out->created_ns = row_int(q);
    out->updated_ns = row_int(q);
    out->downloads = row_int(q);
    out->downloads_all = row_int(q);
    out->likes = row_int(q);
    Str owner_id = row_view(q);
    if (owner)
        *owner = arena_str(a, owner_id);
}

bool sql_repo_add(Conn *c, const Repo *repo, Str key, Str owner, Error *err)
{
    // A new repository takes its name back from an old redirect.
    AUTO(query_end)
    Query *old = query_open(c, "DELETE FROM redirects WHERE kind = $1 AND key = $2");
    bind_int(old, repo->kind);
    bind_str(old, key);
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO repos (id, kind, key, full_name, owner_id, name,"
                             " is_private, is_disabled, discussions_off, gated, created_ns,"
                             " updated_ns) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, '', $8, $9)");
    bind_str(q, repo->id);
    bind_int(q, repo->kind);
    bind_str(q, key);
    bind_str(q, repo->full);
    bind_str(q, owner);
    bind_str(q, repo->name);
    bind_int(q, repo->is_private);
    bind_int(q, repo->created_ns);
    bind_int(q, repo->created_ns);
    return query_run(old, err) && query_run(q, err);
}

bool sql_repo_find(Conn *c, Arena *a, RepoKind kind, Str key, Repo *out, Str *owner, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " REPO_COLUMNS "FROM repos WHERE kind = $1 AND key = $2");
    bind_int(q, kind);
    bind_str(q, key);
    if (query_next(q)) {
        repo_row(q, a, out, owner);
        return true;
    }
    if (!query_ok(q, err))
        return false;
    AUTO(query_end)
    Query *old = query_open(c, "SELECT " REPO_COLUMNS "FROM redirects JOIN repos"
                               " ON repos.id = redirects.repo_id"
                               " WHERE redirects.kind = $1 AND redirects.key = $2");
    bind_int(old, kind);
    bind_str(old, key);
    if (!query_next(old))
        return query_ok(old, err) && fail(err, ERR_NO_REPO, "Repository not found");
    repo_row(old, a, out, owner);
    out->moved = true;
    return true;
}

bool sql_repo_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM repos WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_repo_rename(Conn *c, const Repo *repo, Str old_key, Str new_key, Str full, Str name,
                     Str owner, Error *err)
{
    // The name may be one that a redirect holds, perhaps this repository's own older one.
    AUTO(query_end)
    Query *free_name = query_open(c, "DELETE FROM redirects WHERE kind = $1 AND key = $2");
    bind_int(free_name, repo->kind);
    bind_str(free_name, new_key);
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE repos SET key = $1, full_name = $2, name = $3, owner_id = $4"
                             " WHERE id = $5");
    bind_str(q, new_key);
    bind_str(q, full);
    bind_str(q, name);
    bind_str(q, owner);
    bind_str(q, repo->id);
    AUTO(query_end)
    Query *link = query_open(c, "INSERT INTO redirects (kind, key, repo_id) VALUES ($1, $2, $3)");
    bind_int(link, repo->kind);
    bind_str(link, old_key);
    bind_str(link, repo->id);
    return query_run(free_name, err) && query_run(q, err) &&
           (str_eq(old_key, new_key) || query_run(link, err));
}

bool sql_repo_set(Conn *c, const Repo *repo, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE repos SET is_private = $1, discussions_off = $2, gated = $3,"
                             " updated_ns = $4 WHERE id = $5");
    bind_int(q, repo->is_private);
    bind_int(q, repo->discussions_off);
    bind_str(q, repo->gated);
    bind_int(q, now);
    bind_str(q, repo->id);
    return query_run(q, err);
}

static bool tags_replace(Conn *c, Str id, const RepoInfo *info, Error *err)
{
    AUTO(query_end) Query *clear = query_open(c, "DELETE FROM repo_tags WHERE repo_id = $1");
    bind_str(clear, id);
    if (!query_run(clear, err))
        return false;
    for (size_t i = 0; i < info->n_tags; i++) {
        AUTO(query_end)
        Query *q = query_open(c, "INSERT INTO repo_tags (repo_id, tag) VALUES ($1, $2)"
                                 " ON CONFLICT DO NOTHING");
        bind_str(q, id);
        bind_str(q, info->tags[i]);
        if (!query_run(q, err))
            return false;
    }
    return true;
}

bool sql_repo_index(Conn *c, Str id, const RepoInfo *info, int64_t now, Error *err)
{
    AUTO_BUF tags, card;
    buf_init(&tags, 0);
    buf_init(&card, 0);
    for (size_t i = 0; i < info->n_tags; i++) {
        buf_add(&tags, info->tags[i]);
        buf_add_char(&tags, '\n');
    }
    if (info->card)
        json_write(&card, info->card);
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE repos SET sha = $1, tags = $2, pipeline_tag = $3,"
                             " library = $4, sdk = $5, card = $6, updated_ns = $7 WHERE id = $8");
    bind_str(q, info->sha);
    bind_str(q, buf_str(&tags));
    bind_str(q, info->pipeline_tag);
    bind_str(q, info->library);
    bind_str(q, info->sdk);
    bind_str(q, buf_str(&card));
    bind_int(q, now);
    bind_str(q, id);
    return query_run(q, err) && tags_replace(c, id, info, err);
}

bool sql_repos_after(Conn *c, Arena *a, Str id, Repo *out, Str *shas, size_t max, size_t *n,
                     Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT " REPO_COLUMNS ", repos.sha FROM repos WHERE id > $1"
                             " ORDER BY id LIMIT $2");
    bind_str(q, id);
    bind_int(q, (int64_t)max);
    *n = 0;
    while (*n < max && query_next(q)) {
        repo_row(q, a, &out[*n], NULL);
        shas[(*n)++] = row_str(q, a);
    }
    return query_ok(q, err);
}

bool sql_repo_exists(Conn *c, Str id, bool *exists, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT 1 FROM repos WHERE id = $1");
    bind_str(q, id);
    *exists = query_next(q);
    return query_ok(q, err);
}

/* ---- Counters ---- */

enum { TRENDING_DAYS = 7, DOWNLOAD_DAYS = 30, LIKE_WEIGHT = 10 };

/* Recent likes and downloads, likes counting more: what "trending" sorts by. */
static bool counts_of(Conn *c, Str repo, int64_t day, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "UPDATE repos SET downloads = (SELECT coalesce(sum(n), 0) FROM downloads"
           " WHERE repo_id = repos.id AND day > $1),"
           " likes = (SELECT count(*) FROM likes WHERE repo_id = repos.id),"
           " trending = (SELECT coalesce(sum(n), 0) FROM downloads WHERE repo_id = repos.id"
           " AND day > $2) + $3 * (SELECT count(*) FROM likes WHERE repo_id = repos.id"
           " AND created_ns > $4) WHERE $5 = '' OR id = $5");
    bind_int(q, day - DOWNLOAD_DAYS);
    bind_int(q, day - TRENDING_DAYS);
    bind_int(q, LIKE_WEIGHT);
    bind_int(q, (day - TRENDING_DAYS) * 86400 * NS_PER_S);
    bind_str(q, repo);
    return query_run(q, err);
}

bool sql_counts_refresh(Conn *c, int64_t day, Error *err)
{
    return counts_of(c, S(""), day, err);
}

bool sql_like(Conn *c, Str repo, Str user, bool like, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, like ? "INSERT INTO likes (repo_id, user_id, created_ns) VALUES ($1, $2, $3)"
                             " ON CONFLICT DO NOTHING"
                           : "DELETE FROM likes WHERE repo_id = $1 AND user_id = $2");
    bind_str(q, repo);
    bind_str(q, user);
    if (like)
        bind_int(q, now);
    return query_run(q, err) && counts_of(c, repo, now / (86400 * NS_PER_S), err);
}

bool sql_liked(Conn *c, Str repo, Str user, bool *liked, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT 1 FROM likes WHERE repo_id = $1 AND user_id = $2");
    bind_str(q, repo);
    bind_str(q, user);
    *liked = query_next(q);
    return query_ok(q, err);
}

bool sql_likes(Conn *c, Arena *a, Str user, Str repo, Like **out, size_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, user.len ? "SELECT repos.kind, repos.full_name, '', likes.created_ns"
                                        " FROM likes JOIN repos ON repos.id = likes.repo_id"
                                        " WHERE likes.user_id = $1"
                                        " ORDER BY likes.created_ns DESC LIMIT 1000"
                                      : "SELECT 0, accounts.name, accounts.fullname,"
                                        " likes.created_ns FROM likes"
                                        " JOIN accounts ON accounts.id = likes.user_id"
                                        " WHERE likes.repo_id = $1"
                                        " ORDER BY likes.created_ns DESC LIMIT 1000");
    bind_str(q, user.len ? user : repo);
    *out = NEW_ARRAY(a, Like, MAX_LIKES);
    *n = 0;
    while (*n < MAX_LIKES && query_next(q)) {
        Like *like = &(*out)[(*n)++];
        like->kind = (RepoKind)row_int(q);
        like->name = row_str(q, a);
        like->fullname = row_str(q, a);
        like->liked_ns = row_int(q);
    }
    return query_ok(q, err);
}

bool sql_downloads_add(Conn *c, Str repo, int64_t day, int64_t n, Error *err)
{
    // The repository may have gone since it was downloaded: then nothing is inserted.
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO downloads (repo_id, day, n) SELECT id, $1, $2 FROM repos"
                             " WHERE id = $3 ON CONFLICT (repo_id, day)"
                             " DO UPDATE SET n = downloads.n + excluded.n");
    bind_int(q, day);
    bind_int(q, n);
    bind_str(q, repo);
    AUTO(query_end)
    Query *all = query_open(c, "UPDATE repos SET downloads_all = downloads_all + $1 WHERE id = $2");
    bind_int(all, n);
    bind_str(all, repo);
    return query_run(q, err) && query_run(all, err) && counts_of(c, repo, day, err);
}

/* ---- Blobs that a repository was given ---- */

bool sql_blob_grant(Conn *c, Str repo, Str user, Str sha256, int64_t size, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO repo_blobs (repo_id, sha256, size, user_id, created_ns)"
                             " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING");
    bind_str(q, repo);
    bind_str(q, sha256);
    bind_int(q, size);
    bind_str(q, user);
    bind_int(q, now);
    return query_run(q, err);
}

bool sql_blobs_of_repo(Conn *c, Arena *a, Str repo, Str **out, size_t *n, Error *err)
{
    Str *list = NULL;
    size_t count = 0, cap = 0;
    AUTO(query_end) Query *q = query_open(c, "SELECT sha256 FROM repo_blobs WHERE repo_id = $1");
    bind_str(q, repo);
    while (query_next(q)) {
        if (count == cap) {
            cap = cap ? 2 * cap : 64;
            Str *more = NEW_ARRAY(a, Str, cap);
            if (count)
                memcpy(more, list, count * sizeof *more);
            list = more;
        }
        list[count++] = row_str(q, a);
    }
    *out = list;
    *n = count;
    return query_ok(q, err);
}

bool sql_blob_is_given(Conn *c, Str sha256, bool *given, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT 1 FROM repo_blobs WHERE sha256 = $1 LIMIT 1");
    bind_str(q, sha256);
    *given = query_next(q);
    return query_ok(q, err);
}

static bool blob_size(Query *q, Str whose, Str sha256, int64_t *size, Error *err)
{
    bind_str(q, whose);
    bind_str(q, sha256);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "no content %.*s", STR(sha256));
    *size = row_int(q);
    return true;
}

bool sql_blob_of_repo(Conn *c, Str repo, Str sha256, int64_t *size, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT size FROM repo_blobs WHERE repo_id = $1 AND sha256 = $2");
    return blob_size(q, repo, sha256, size, err);
}

bool sql_blob_of_user(Conn *c, Str user, Str sha256, int64_t *size, Error *err)
{
    AUTO(query_end)
    Query *q =
        query_open(c, "SELECT size FROM repo_blobs WHERE user_id = $1 AND sha256 = $2 LIMIT 1");
    return blob_size(q, user, sha256, size, err);
}

/* ---- Lists ---- */

static const struct {
    const char *name, *column;
} sorts[] = {
    [SORT_TRENDING] = {"trendingScore", "repos.trending"},
    [SORT_UPDATED] = {"lastModified", "repos.updated_ns"},
    [SORT_CREATED] = {"createdAt", "repos.created_ns"},
    [SORT_DOWNLOADS] = {"downloads", "repos.downloads"},
    [SORT_LIKES] = {"likes", "repos.likes"},
};

bool repo_sort_parse(Str name, RepoSort *sort)
{
    for (size_t i = 0; i < COUNT(sorts); i++)
        if (str_eq(name, str_of(sorts[i].name))) {
            *sort = (RepoSort)i;
            return true;
        }
    return false;
}

/* The statement in the making: text, and the values that its placeholders stand for. */
typedef struct Where {
    Arena *arena;
    Buf sql;
    int n;
    struct {
        bool is_int;
        int64_t number;
        Str text;
    } values[64];
} Where;

static void where_done(Where *w)
{
    buf_done(&w->sql);
}

static void where_text(Where *w, const char *condition, Str value)
{
    CHECK(w->n < (int)COUNT(w->values));
    buf_printf(&w->sql, condition, w->n + 1);
    w->values[w->n++].text = value;
}

static void where_int(Where *w, const char *condition, int64_t value)
{
    CHECK(w->n < (int)COUNT(w->values));
    buf_printf(&w->sql, condition, w->n + 1);
    w->values[w->n].is_int = true;
    w->values[w->n++].number = value;
}

/* "%word%", with LIKE's own characters escaped, in lower case as the keys are. */
static Str like_pattern(Arena *a, Str word)
{
    char *out = arena_alloc(a, 2 * word.len + 3);
    size_t n = 0;
    out[n++] = '%';
    for (size_t i = 0; i < word.len; i++) {
        if (strchr("%_\\", word.ptr[i]) && word.ptr[i])
            out[n++] = '\\';
        out[n++] = (char)tolower((unsigned char)word.ptr[i]);
    }
    out[n++] = '%';
    return (Str){out, n};
}

static void where_build(Where *w, Str viewer_id, bool sees_all, const RepoQuery *query)
{
    where_int(w, " WHERE repos.kind = $%d", query->kind);
    if (!sees_all && !viewer_id.len)
        buf_add(&w->sql, S(" AND repos.is_private = 0"));
    else if (!sees_all) {
        where_text(w, " AND (repos.is_private = 0 OR repos.owner_id = $%d", viewer_id);
        where_text(w, " OR repos.owner_id IN (SELECT org_id FROM members WHERE user_id = $%d))",
                   viewer_id);
    }
    for (size_t i = 0; i < MIN(query->n_search, 8); i++)
        where_text(w, " AND repos.key LIKE $%d ESCAPE '\\'",
                   like_pattern(w->arena, query->search[i]));
    for (size_t i = 0; i < MIN(query->n_tags, 32); i++)
        where_text(w, " AND repos.id IN (SELECT repo_id FROM repo_tags WHERE repo_tags.tag = $%d)",
                   query->tags[i]);
    if (query->author.len) {
        char *key = arena_cstr(w->arena, query->author);
        for (char *p = key; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        where_text(w, " AND repos.owner_id = (SELECT id FROM accounts WHERE key = $%d)",
                   str_of(key));
    }
    if (query->pipeline_tag.len)
        where_text(w, " AND repos.pipeline_tag = $%d", query->pipeline_tag);
    if (query->library.len)
        where_text(w, " AND repos.library = $%d", query->library);
    if (query->gated)
        buf_add(&w->sql, *query->gated ? S(" AND repos.gated <> ''") : S(" AND repos.gated = ''"));
}

static Query *where_query(Where *w, Conn *c)
{
    Query *q = query_open(c, w->sql.ptr);
    for (int i = 0; i < w->n; i++) {
        if (w->values[i].is_int)
            bind_int(q, w->values[i].number);
        else
            bind_str(q, w->values[i].text);
    }
    return q;
}

static void item_row(Query *q, Arena *a, RepoSort sort, RepoItem *item, int64_t *sort_value)
{
    *item = (RepoItem){0};
    repo_row(q, a, &item->repo, NULL);
    item->sha = row_str(q, a);
    Str tags = row_str(q, a), tag;
    size_t n = 0;
    for (size_t i = 0; i < tags.len; i++)
        n += tags.ptr[i] == '\n';
    item->tags = NEW_ARRAY(a, Str, n);
    while (item->n_tags < n && str_split(&tags, '\n', &tag))
        item->tags[item->n_tags++] = tag;
    item->pipeline_tag = row_str(q, a);
    item->library = row_str(q, a);
    item->sdk = row_str(q, a);
    Str card = row_view(q);
    json_t *parsed = card.len ? json_parse(card, "card", NULL) : NULL;
    if (parsed)
        arena_defer(a, (void (*)(void *))json_decref, parsed);
    item->card = parsed;
    item->repo.access = ACCESS_READ;
    int64_t trending = row_int(q);
    const int64_t by[] = {trending, item->repo.updated_ns, item->repo.created_ns,
                          item->repo.downloads, item->repo.likes};
    *sort_value = by[sort];
}

static bool list_total(Conn *c, Where *w, int64_t *total, Error *err)
{
    AUTO(query_end) Query *q = where_query(w, c);
    if (query_next(q))
        *total = row_int(q);
    return query_ok(q, err);
}

/* The cursor is "VALUE.ID" of the last item seen: the page goes on behind it, whatever was added
 * or removed meanwhile. */
static bool cursor_read(Str cursor, int64_t *value, Str *id, Error *err)
{
    size_t dot = str_find_char(cursor, '.', 0);
    if (dot == SIZE_MAX || !str_to_int(str_slice(cursor, 0, dot), INT64_MIN, INT64_MAX, value))
        return fail(err, ERR_INVALID, "cursor '%.*s' is not one of ours", STR(cursor));
    *id = str_slice(cursor, dot + 1, cursor.len);
    return true;
}

bool sql_repo_list(Conn *c, Arena *a, Str viewer_id, bool sees_all, const RepoQuery *query,
                   RepoPage *out, Error *err)
{
    const char *column = sorts[query->sort].column;
    RepoPage page = {0};
    __attribute__((cleanup(where_done))) Where count = {.arena = a}, w = {.arena = a};
    buf_init(&count.sql, 0);
    buf_init(&w.sql, 0);
    buf_add(&count.sql, S("SELECT count(*) FROM repos"));
    where_build(&count, viewer_id, sees_all, query);
    if (!list_total(c, &count, &page.total, err))
        return false;

    buf_add(&w.sql, S("SELECT " ITEM_COLUMNS "FROM repos"));
    where_build(&w, viewer_id, sees_all, query);
    if (query->cursor.len) {
        int64_t value;
        Str id = {0};
        if (!cursor_read(query->cursor, &value, &id, err))
            return false;
        buf_printf(&w.sql, " AND (%s", column);
        where_int(&w, " < $%d", value);
        buf_printf(&w.sql, " OR (%s", column);
        where_int(&w, " = $%d", value);
        where_text(&w, " AND repos.id < $%d))", id);
    }
    buf_printf(&w.sql, " ORDER BY %s DESC, repos.id DESC", column);
    where_int(&w, " LIMIT $%d", query->limit + 1);
    AUTO(query_end) Query *q = where_query(&w, c);
    page.items = NEW_ARRAY(a, RepoItem, (size_t)query->limit);
    int64_t last = 0;
    while (query_next(q)) {
        if (page.n == (size_t)query->limit) {
            Str id = page.items[page.n - 1].repo.id;
            page.next = str_of(arena_printf(a, "%lld.%.*s", (long long)last, STR(id)));
            break;
        }
        item_row(q, a, query->sort, &page.items[page.n++], &last);
    }
    if (!query_ok(q, err))
        return false;
    *out = page;
    return true;
}

bool sql_tag_counts(Conn *c, Arena *a, RepoKind kind, int64_t limit, TagCount **out, size_t *n,
                    Error *err)
{
    TagCount *counts = NEW_ARRAY(a, TagCount, (size_t)limit);
    size_t found = 0;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT repo_tags.tag, count(*) FROM repo_tags JOIN repos"
                             " ON repos.id = repo_tags.repo_id WHERE repos.kind = $1"
                             " AND repos.is_private = 0 GROUP BY repo_tags.tag"
                             " ORDER BY count(*) DESC, repo_tags.tag LIMIT $2");
    bind_int(q, kind);
    bind_int(q, limit);
    while (query_next(q)) {
        counts[found].tag = row_str(q, a);
        counts[found++].n = row_int(q);
    }
    *out = counts;
    *n = found;
    return query_ok(q, err);
}
