/* list_sql.c: lists of repositories: what they are filtered and ordered by; see hub_sql.h. */
#include "hub/hub_sql.h"

#define ITEM_COLUMNS                                                                               \
    REPO_COLUMNS                                                                                   \
        ", repos.sha, repos.tags, repos.pipeline_tag, repos.library, repos.sdk, repos.card "

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
    sql_repo_row(q, a, &item->repo, NULL);
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
    const int64_t by[] = {item->repo.trending, item->repo.updated_ns, item->repo.created_ns,
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
