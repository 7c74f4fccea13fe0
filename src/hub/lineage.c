/* lineage.c: base models, children, users; see lineage.h. */
#include "hub/lineage.h"

#include "hub/hub_internal.h"

enum { MAX_PARENTS = 32, MAX_ANCESTORS = 8, MAX_NAMES = 16 };

static const char *const names[RELATIONS] = {
    [RELATION_ADAPTER] = "adapter",
    [RELATION_FINETUNE] = "finetune",
    [RELATION_MERGE] = "merge",
    [RELATION_QUANTIZED] = "quantized",
};

const char *relation_name(Relation relation)
{
    return names[relation];
}

/* "base_model:finetune:me/x": the relation and the name; false for other tags, also for the bare
 * "base_model:me/x", which says the same without the relation. */
static bool parent_tag(Str tag, Str *relation, Str *full)
{
    if (!str_starts(tag, S("base_model:")))
        return false;
    tag = str_slice(tag, strlen("base_model:"), tag.len);
    size_t colon = str_find_char(tag, ':', 0);
    if (colon == SIZE_MAX)
        return false;
    *relation = str_slice(tag, 0, colon);
    *full = str_slice(tag, colon + 1, tag.len);
    return true;
}

/* Fills id and present name, if it is here and the viewer may see it. */
static bool relative_find(Hub *hub, Arena *a, const Viewer *viewer, Relative *r, Repo *repo)
{
    if (!repo_find(hub, a, viewer, REPO_MODEL, r->full, ACCESS_READ, repo, NULL))
        return false;
    r->id = repo->id;
    r->full = repo->full;
    return true;
}

bool lineage_parents(Hub *hub, Arena *a, const Viewer *viewer, const Str *tags, size_t n_tags,
                     Relative **out, size_t *n, Error *err)
{
    Relative *list = NEW_ARRAY(a, Relative, MAX_PARENTS);
    size_t found = 0;
    for (size_t i = 0; i < n_tags && found < MAX_PARENTS; i++) {
        Relative *r = &list[found];
        Repo repo;
        if (!parent_tag(tags[i], &r->relation, &r->full))
            continue;
        relative_find(hub, a, viewer, r, &repo);
        found++;
    }
    *out = list;
    *n = found;
    (void)err;
    return true;
}

bool lineage_ancestors(Hub *hub, Arena *a, const Viewer *viewer, const Str *tags, size_t n_tags,
                       Relative **out, size_t *n, Error *err)
{
    Relative *list = NEW_ARRAY(a, Relative, MAX_ANCESTORS), *parents;
    size_t found = 0, n_parents;
    while (found < MAX_ANCESTORS) {
        if (!lineage_parents(hub, a, viewer, tags, n_tags, &parents, &n_parents, err))
            return false;
        Repo repo;
        const RepoInfo *info;
        bool seen = false;
        for (size_t i = 0; n_parents && i < found; i++)
            seen = seen || str_eq_nocase(list[i].full, parents[0].full); // cards may go in circles
        if (!n_parents || seen)
            break;
        list[found] = parents[0];
        if (!relative_find(hub, a, viewer, &list[found++], &repo) ||
            !repo_info(hub, a, &repo, S(""), &info, NULL))
            break;
        tags = info->tags;
        n_tags = info->n_tags;
    }
    *out = list;
    *n = found;
    return true;
}

/* A repository's names: cards may still use an old one. */
static bool names_of(Conn *c, Arena *a, const Repo *repo, Str **out, size_t *n, Error *err)
{
    *out = NEW_ARRAY(a, Str, MAX_NAMES);
    (*out)[0] = repo->full;
    *n = 1;
    return sql_old_names(c, a, repo->id, *out + 1, MAX_NAMES - 1, n, err);
}

bool lineage_children(Hub *hub, const Viewer *viewer, const Repo *repo, int64_t counts[RELATIONS],
                      Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    Str *known;
    size_t n;
    if (!c || !names_of(c, a, repo, &known, &n, err))
        return false;
    for (int i = 0; i < RELATIONS; i++) {
        counts[i] = 0;
        for (size_t k = 0; k < n; k++) {
            int64_t found = 0;
            Str tag = str_of(arena_printf(a, "base_model:%s:%.*s", names[i], STR(known[k])));
            if (!sql_tag_users(c, viewer, REPO_MODEL, tag, &found, err))
                return false;
            counts[i] += found;
        }
    }
    return true;
}

bool lineage_users(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, RepoKind kind,
                   int64_t limit, RepoPage *out, Error *err)
{
    Str *known;
    size_t n;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !names_of(c, a, repo, &known, &n, err))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        known[i] =
            str_of(arena_printf(a, "%s:%.*s", repo_kind_info(repo->kind)->name, STR(known[i])));
    RepoQuery query = {.kind = kind, .any_tags = known, .n_any_tags = n, .limit = limit};
    return repo_list(hub, a, viewer, &query, out, err);
}

/* A list of names, for a second at most: see lookup_key. */
typedef struct Names {
    Cached cached;
    Arena *arena;
    Str *items;
    size_t n;
} Names;

static void names_free(Cached *cached)
{
    arena_free(((Names *)cached)->arena); // holds the thing itself
}

bool lineage_spaces(Hub *hub, Arena *a, const Repo *repo, const Str **out, size_t *n, Error *err)
{
    static const Viewer nobody;
    Str key = lookup_key(hub, a, "spaces of", repo->id);
    Names *found = (Names *)cache_find(hub->lookups, key);
    if (!found) {
        RepoPage page = {0};
        if (!lineage_users(hub, a, &nobody, repo, REPO_SPACE, 100, &page, err))
            return false;
        Arena *arena = arena_new(0);
        found = NEW(arena, Names);
        found->arena = arena;
        found->cached = (Cached){.refs = 1, .key = arena_str(arena, key), .free = names_free};
        found->items = NEW_ARRAY(arena, Str, page.n);
        for (size_t i = 0; i < page.n; i++)
            found->items[found->n++] = arena_str(arena, page.items[i].repo.full);
        found->cached.bytes = arena_used(arena);
        cache_add(hub->lookups, &found->cached);
    }
    arena_defer(a, cached_unref, found);
    *out = found->items;
    *n = found->n;
    return true;
}
