/* list_sql.c: lists of repositories: what they are filtered and ordered by; see hub_sql.h. */
#include "hub/hub_internal.h"

#define ITEM_COLUMNS                                                                               \
    REPO_COLUMNS                                                                                   \
    ", repos.sha, repos.tags, repos.pipeline_tag, repos.library, repos.sdk, repos.card,"           \
    " repos.parameters, repos.bytes "

static const struct {
    const char *name, *column;
} sorts[SORTS] = {
    [SORT_TRENDING] = {"trendingScore", "repos.trending"},
    [SORT_UPDATED] = {"lastModified", "repos.updated_ns"},
    [SORT_CREATED] = {"createdAt", "repos.created_ns"},
    [SORT_DOWNLOADS] = {"downloads", "repos.downloads"},
    [SORT_LIKES] = {"likes", "repos.likes"},
    [SORT_LIKES_RECENT] = {"likes30d", "repos.likes_recent"},
    [SORT_PARAMETERS] = {"num_parameters", "repos.parameters"},
    [SORT_BYTES] = {"mainSize", "repos.bytes"},
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
    } values[128];
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

Str sql_like_pattern(Arena *a, Str words, bool anywhere)
{
    char *out = arena_alloc(a, 2 * words.len + 3);
    size_t n = 0;
    if (anywhere)
        out[n++] = '%';
    for (size_t i = 0; i < words.len; i++) {
        if (strchr("%_\\", words.ptr[i]) && words.ptr[i])
            out[n++] = '\\';
        out[n++] = (char)tolower((unsigned char)words.ptr[i]);
    }
    out[n++] = '%';
    return (Str){out, n};
}

/* "column IN ($3, $4)" */
static void where_any(Where *w, const char *column, const Str *values, size_t n)
{
    buf_add(&w->sql, str_of(column));
    for (size_t i = 0; i < MIN(n, (size_t)32); i++)
        where_text(w, i ? ", $%d" : " IN ($%d", values[i]);
    buf_add(&w->sql, S(")"));
}

/* Each word of a text in "owner/name". */
static void where_named(Where *w, Str text)
{
    Str word;
    const char *between = "(";
    for (int n = 0; n < MAX_SEARCH_WORDS && str_split(&text, ' ', &word);) {
        if (!word.len)
            continue;
        buf_add(&w->sql, str_of(between));
        where_text(w, "repos.key LIKE $%d ESCAPE '\\'", sql_like_pattern(w->arena, word, true));
        between = " AND ";
        n++;
    }
    buf_add(&w->sql, S(")"));
}

/* A column that says how well a text fits: names before metadata before cards. A tier is a whole
 * number, so a page's cursor stays true while others come and go. */
static void tier_column(Where *w, const Conn *c, Str text)
{
    Str name = arena_str(w->arena, text);
    Str in_meta = sql_search_match(c, w->arena, text, true);
    Str begins = sql_like_pattern(w->arena, name, false);
    Str name_begins = str_of(arena_printf(w->arena, "%%/%.*s", STR(begins)));
    Str name_is =
        str_of(arena_printf(w->arena, "%%/%.*s", STR(str_slice(begins, 0, begins.len - 1))));
    where_text(w, "CASE WHEN repos.key = lower($%d)", name);
    where_text(w, " OR repos.key LIKE $%d ESCAPE '\\' THEN 5", name_is);
    where_text(w, " WHEN repos.key LIKE $%d ESCAPE '\\'", begins);
    where_text(w, " OR repos.key LIKE $%d ESCAPE '\\' THEN 4 WHEN ", name_begins);
    where_named(w, text);
    buf_add(&w->sql, S(" THEN 3"));
    if (in_meta.len) {
        buf_add(&w->sql, S(" WHEN "));
        where_text(w, sql_search_condition(c), in_meta);
        buf_add(&w->sql, S(" THEN 2"));
    }
    buf_add(&w->sql, S(" ELSE 1 END AS tier"));
}

static void where_search(Where *w, const Conn *c, const RepoQuery *query)
{
    for (size_t i = 0; i < MIN(query->n_search, (size_t)8); i++)
        where_text(w, " AND repos.key LIKE $%d ESCAPE '\\'",
                   sql_like_pattern(w->arena, query->search[i], true));
    if (!query->text.len)
        return;
    Str match = sql_search_match(c, w->arena, query->text, false);
    buf_add(&w->sql, S(" AND ("));
    where_named(w, query->text);
    if (match.len) {
        buf_add(&w->sql, S(" OR "));
        where_text(w, sql_search_condition(c), match);
    }
    buf_add(&w->sql, S(")"));
}

static void where_tags(Where *w, const RepoQuery *query)
{
    for (size_t i = 0; i < MIN(query->n_tags, (size_t)32); i++)
        where_text(w, " AND repos.id IN (SELECT repo_id FROM repo_tags WHERE repo_tags.tag = $%d)",
                   query->tags[i]);
    if (query->n_any_tags) {
        buf_add(&w->sql, S(" AND repos.id IN (SELECT repo_id FROM repo_tags WHERE "));
        where_any(w, "repo_tags.tag", query->any_tags, query->n_any_tags);
        buf_add(&w->sql, S(")"));
    }
    if (query->n_any_tasks) {
        buf_add(&w->sql, S(" AND "));
        where_any(w, "repos.pipeline_tag", query->any_tasks, query->n_any_tasks);
    }
    if (query->pipeline_tag.len)
        where_text(w, " AND repos.pipeline_tag = $%d", query->pipeline_tag);
    if (query->library.len)
        where_text(w, " AND repos.library = $%d", query->library);
    if (query->gated)
        buf_add(&w->sql, *query->gated ? S(" AND repos.gated <> ''") : S(" AND repos.gated = ''"));
    const ParameterRange *range = &query->parameters;
    if (range->min || range->max)
        where_int(w, " AND repos.parameters >= $%d", MAX(range->min, 1));
    if (range->max)
        where_int(w, " AND repos.parameters <= $%d", range->max);
}

/* As SQL_VISIBLE, with no more conditions than this viewer takes. */
static void where_visible(Where *w, const Viewer *viewer)
{
    Str id = viewer->account.id;
    if (viewer->account.is_admin)
        return;
    buf_add(&w->sql, S(" AND (repos.is_private = 0"));
    if (viewer->by != BY_NOBODY) {
        where_text(w, " OR ((repos.owner_id = $%d", id);
        where_text(w, " OR repos.owner_id IN (SELECT org_id FROM members WHERE user_id = $%d))",
                   id);
        if (viewer->rights)
            where_text(w,
                       " AND EXISTS (SELECT 1 FROM token_scopes WHERE token_id = $%d"
                       " AND reads_repos = 1 AND entity_id IN (repos.id, repos.owner_id))",
                       viewer->token_id);
        buf_add_char(&w->sql, ')');
    }
    buf_add_char(&w->sql, ')');
}

static void where_build(Where *w, const Conn *c, const Viewer *viewer, const RepoQuery *query)
{
    where_int(w, " WHERE repos.kind = $%d", query->kind);
    where_visible(w, viewer);
    if (query->author.len) { // by the name it has, or had: nobody else gets that
        Str key = name_key(w->arena, query->author);
        where_text(w, " AND repos.owner_id IN (SELECT id FROM accounts WHERE key = $%d", key);
        where_text(w, " UNION ALL SELECT account_id FROM account_names WHERE key = $%d)", key);
    }
    where_search(w, c, query);
    where_tags(w, query);
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

/* What a page is ordered by, and goes on behind. */
typedef struct Place {
    int64_t tier, value;
    Str id;
} Place;

static void item_row(Query *q, Arena *a, RepoItem *item, Place *place)
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
    item->parameters = row_int(q);
    item->bytes = row_int(q);
    item->repo.access = ACCESS_READ;
    place->value = row_int(q);
    place->tier = row_int(q);
    place->id = item->repo.id;
}

static bool list_total(Conn *c, Where *w, int64_t *total, Error *err)
{
    AUTO(query_end) Query *q = where_query(w, c);
    return query_count(q, total, err);
}

/* The cursor is "TIER.VALUE.ID" of the last item seen: the page goes on behind it, whatever was
 * added or removed meanwhile. */
static bool cursor_read(Str cursor, Place *out, Error *err)
{
    Str rest = cursor, tier, value;
    if (!str_split(&rest, '.', &tier) || !str_to_int(tier, 0, 9, &out->tier) ||
        !str_split(&rest, '.', &value) || !str_to_int(value, INT64_MIN, INT64_MAX, &out->value))
        return fail(err, ERR_INVALID, "cursor '%.*s' is not one of ours", STR(cursor));
    out->id = rest;
    return true;
}

static void where_behind(Where *w, const Place *at, const char *column)
{
    where_int(w, "(repos.tier < $%d OR (repos.tier", at->tier);
    where_int(w, " = $%d AND (", at->tier);
    buf_add(&w->sql, str_of(column));
    where_int(w, " < $%d OR (", at->value);
    buf_add(&w->sql, str_of(column));
    where_int(w, " = $%d", at->value);
    where_text(w, " AND repos.id < $%d))))", at->id);
}

bool sql_repo_list(Conn *c, Arena *a, const Viewer *viewer, const RepoQuery *query, RepoPage *out,
                   Error *err)
{
    const char *column = sorts[query->sort].column;
    RepoPage page = {0};
    Place at;
    __attribute__((cleanup(where_done))) Where count = {.arena = a}, w = {.arena = a};
    buf_init(&count.sql, 0);
    buf_init(&w.sql, 0);
    buf_add(&count.sql, S("SELECT count(*) FROM repos"));
    where_build(&count, c, viewer, query);
    if (!list_total(c, &count, &page.total, err))
        return false;

    buf_printf(&w.sql, "SELECT " ITEM_COLUMNS ", %s, repos.tier FROM (SELECT repos.*, ", column);
    if (query->text.len)
        tier_column(&w, c, query->text);
    else
        buf_add(&w.sql, S("0 AS tier"));
    buf_add(&w.sql, S(" FROM repos"));
    where_build(&w, c, viewer, query);
    buf_add(&w.sql, S(") AS repos"));
    if (query->cursor.len) {
        if (!cursor_read(query->cursor, &at, err))
            return false;
        buf_add(&w.sql, S(" WHERE "));
        where_behind(&w, &at, column);
    }
    buf_printf(&w.sql, " ORDER BY %s%s DESC, repos.id DESC",
               query->text.len ? "repos.tier DESC, " : "", column);
    where_int(&w, " LIMIT $%d", query->limit + 1);
    AUTO(query_end) Query *q = where_query(&w, c);
    page.items = NEW_ARRAY(a, RepoItem, (size_t)query->limit);
    while (query_next(q)) {
        if (page.n == (size_t)query->limit) {
            page.next = str_of(arena_printf(a, "%lld.%lld.%.*s", (long long)at.tier,
                                            (long long)at.value, STR(at.id)));
            break;
        }
        item_row(q, a, &page.items[page.n++], &at);
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

bool sql_tag_users(Conn *c, const Viewer *viewer, RepoKind kind, Str tag, int64_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*) FROM repo_tags JOIN repos"
                             " ON repos.id = repo_tags.repo_id WHERE repo_tags.tag = $1"
                             " AND repos.kind = $2 AND " SQL_VISIBLE("$3", "$4", "$5"));
    bind_str(q, tag);
    bind_int(q, kind);
    bind_viewer(q, viewer);
    return query_count(q, n, err);
}
