/* collection.c: collections; see collections.h. Items name what they hold by its id, so that a
 * repository may be renamed. */
#include "hub/collections.h"

#include "base/clock.h"
#include "hub/hub_internal.h"

enum { MAX_TITLE = 120, MAX_DESCRIPTION = 500, MAX_NOTE = 500, ID_SIZE = 24, SHOWN_IN_LISTS = 4 };

static const char *const themes[] = {"orange", "blue", "green", "purple", "pink", "indigo"};

/* ---- Names ---- */

/* "My cool stuff!" -> "my-cool-stuff" */
static Str words_of(Arena *a, Str title)
{
    char *out = arena_alloc(a, title.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < title.len; i++) {
        char c = title.ptr[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            out[n++] = c;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n && out[n - 1] == '-')
        n--;
    return (Str){out, n};
}

static Str slug_of(Arena *a, const Collection *c)
{
    Str words = words_of(a, c->title);
    return str_of(arena_printf(a, "%.*s/%.*s%s%.*s", STR(c->owner), STR(words),
                               words.len ? "-" : "", STR(c->id)));
}

static Str id_of(Str slug)
{
    Str id = str_slice(slug, slug.len > ID_SIZE ? slug.len - ID_SIZE : 0, slug.len);
    return id;
}

/* ---- Finding ---- */

/* What of an item the viewer may see: its target's name; false: nothing. */
static bool item_resolve(Hub *hub, Arena *a, const Viewer *viewer, CollectionItem *item)
{
    RepoKind kind;
    Repo repo;
    Collection nested;
    Str name = {0}, owner;
    if (str_eq(item->kind, S("collection"))) {
        AUTO(conn_end) Conn *c = db_read(hub->db, NULL);
        if (!c || !sql_collection_find(c, a, item->target, &nested, &owner, NULL) ||
            (nested.is_private &&
             access_with(viewer, owner, MAY_COLLECTION_READ, MAY_COLLECTION_WRITE) < ACCESS_READ))
            return false;
        item->target = slug_of(a, &nested);
        return true;
    }
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, NULL);
        if (!c || !sql_repo_name(c, a, item->target, &name, NULL))
            return false;
    }
    if (!repo_kind_parse(item->kind, &kind) ||
        !repo_find(hub, a, viewer, kind, name, ACCESS_READ, &repo, NULL))
        return false;
    item->target = repo.full;
    return true;
}

static bool fill(Hub *hub, Arena *a, const Viewer *viewer, size_t most, Collection *c, Error *err)
{
    CollectionItem *items;
    size_t n, kept = 0;
    c->slug = slug_of(a, c);
    {
        AUTO(conn_end) Conn *conn = db_read(hub->db, err);
        if (!conn || !sql_collection_items(conn, a, c->id, &items, &n, err))
            return false;
    }
    for (size_t i = 0; i < n && kept < most; i++)
        if (item_resolve(hub, a, viewer, &items[i]))
            items[kept++] = items[i];
    c->items = items;
    c->n_items = kept;
    return true;
}

static bool need_met(const Viewer *viewer, const Collection *c, Access need, Error *err)
{
    if (c->access == ACCESS_NONE)
        return fail(err, ERR_NOT_FOUND, "This collection does not exist");
    if (c->access >= need)
        return true;
    if (viewer->by == BY_NOBODY)
        return fail(err, ERR_UNAUTHENTICATED, "Log in or send a token to change a collection");
    return fail(err, ERR_DENIED, "You may not change this collection");
}

bool collection_find(Hub *hub, Arena *a, const Viewer *viewer, Str slug, Access need,
                     Collection *out, Error *err)
{
    Str owner;
    Collection c;
    {
        AUTO(conn_end) Conn *conn = db_read(hub->db, err);
        if (!conn || !sql_collection_find(conn, a, id_of(slug), &c, &owner, err))
            return false;
    }
    c.access = access_with(viewer, owner, MAY_COLLECTION_READ, MAY_COLLECTION_WRITE);
    if (!c.is_private)
        c.access = MAX(c.access, ACCESS_READ);
    if (!need_met(viewer, &c, need, err) || !fill(hub, a, viewer, MAX_COLLECTION_ITEMS, &c, err))
        return false;
    *out = c;
    return true;
}

/* The id of a repository by "model" and "me/x", for the list of collections that hold it. */
static bool repo_id_of(Hub *hub, Arena *a, const Viewer *viewer, Str kind_name, Str full, Str *id)
{
    RepoKind kind;
    Repo repo;
    if (!repo_kind_parse(kind_name, &kind) ||
        !repo_find(hub, a, viewer, kind, full, ACCESS_READ, &repo, NULL))
        return false;
    *id = repo.id;
    return true;
}

/* '%words%' with the pattern's own letters escaped. */
static Str like_pattern(Arena *a, Str words)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_add_char(&out, '%');
    Str lower = name_key(a, words);
    for (size_t i = 0; i < lower.len; i++) {
        if (lower.ptr[i] == '%' || lower.ptr[i] == '_' || lower.ptr[i] == '\\')
            buf_add_char(&out, '\\');
        buf_add_char(&out, lower.ptr[i]);
    }
    buf_add_char(&out, '%');
    return arena_str(a, buf_str(&out));
}

bool collection_list(Hub *hub, Arena *a, const Viewer *viewer, const CollectionQuery *query,
                     Collection **out, size_t *n, bool *more, Error *err)
{
    if (query->limit < 1 || query->limit > 100 || query->skip < 0)
        return fail(err, ERR_INVALID, "collections: a page has 1 to 100");
    CollectionQuery wanted = *query;
    Collection *found = NEW_ARRAY(a, Collection, query->limit + 1);
    Str *owners = NEW_ARRAY(a, Str, query->limit + 1), target = {0};
    size_t all, kept = 0;
    *out = found;
    *n = 0;
    *more = false;
    if (query->item.len && !repo_id_of(hub, a, viewer, query->item_kind, query->item, &target))
        return true;
    if (query->search.len)
        wanted.search = like_pattern(a, query->search);
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_collection_list(c, a, &wanted, target, found, owners, &all, err))
            return false;
    }
    *more = all > (size_t)query->limit;
    for (size_t i = 0; i < MIN(all, (size_t)query->limit); i++) {
        found[i].access = access_with(viewer, owners[i], MAY_COLLECTION_READ, MAY_COLLECTION_WRITE);
        if (found[i].is_private && found[i].access < ACCESS_READ)
            continue;
        if (!fill(hub, a, viewer, SHOWN_IN_LISTS, &found[i], err))
            return false;
        found[kept++] = found[i];
    }
    *n = kept;
    return true;
}

/* ---- Changing ---- */

static bool apply(Collection *c, const CollectionChange *change, Error *err)
{
    if (change->title)
        c->title = str_trim(*change->title);
    if (change->description)
        c->description = str_trim(*change->description);
    if (change->theme)
        c->theme = *change->theme;
    if (change->is_private)
        c->is_private = *change->is_private;
    if (change->position)
        c->position = *change->position;
    bool known = false;
    for (size_t i = 0; i < COUNT(themes); i++)
        known |= str_eq(c->theme, str_of(themes[i]));
    if (!known)
        return fail(err, ERR_INVALID, "theme: orange, blue, green, purple, pink or indigo");
    if (!c->title.len || c->title.len > MAX_TITLE || !str_is_utf8(c->title))
        return fail(err, ERR_INVALID, "title: 1 to %d bytes of UTF-8", MAX_TITLE);
    if (c->description.len > MAX_DESCRIPTION || !str_is_utf8(c->description))
        return fail(err, ERR_INVALID, "description: at most %d bytes of UTF-8", MAX_DESCRIPTION);
    return true;
}

bool collection_create(Hub *hub, Arena *a, const Viewer *viewer, Str owner,
                       const CollectionChange *with, Collection *out, Error *err)
{
    Account account;
    if (viewer->by == BY_NOBODY)
        return fail(err, ERR_UNAUTHENTICATED, "Log in or send a token to make a collection");
    if (!account_find(hub, a, owner.len ? owner : viewer->account.name, &account, err))
        return false;
    Collection c = {.id = id_new(a),
                    .owner = account.name,
                    .owner_fullname = account.fullname,
                    .theme = str_of(themes[0]),
                    .access =
                        access_with(viewer, account.id, MAY_COLLECTION_READ, MAY_COLLECTION_WRITE),
                    .updated_ns = wall_ns()};
    if (c.access < ACCESS_WRITE)
        return fail(err, ERR_DENIED, "You may not make collections for %.*s", STR(account.name));
    if (!apply(&c, with, err))
        return false;
    AUTO(conn_end) Conn *conn = db_write(hub->db, err);
    if (!conn || !sql_collection_add(conn, &c, account.id, err) || !conn_commit(conn, err))
        return false;
    c.slug = slug_of(a, &c);
    *out = c;
    return true;
}

bool collection_change(Hub *hub, const Collection *c, const CollectionChange *change, Error *err)
{
    Collection changed = *c;
    if (!apply(&changed, change, err))
        return false;
    AUTO(conn_end) Conn *conn = db_write(hub->db, err);
    return conn && sql_collection_set(conn, &changed, wall_ns(), err) && conn_commit(conn, err);
}

bool collection_delete(Hub *hub, const Collection *c, Error *err)
{
    AUTO(conn_end) Conn *conn = db_write(hub->db, err);
    return conn && sql_collection_remove(conn, c->id, err) && conn_commit(conn, err);
}

/* The id of what is to be added. */
static bool target_of(Hub *hub, Arena *a, const Viewer *viewer, Str kind, Str name, Str *id,
                      Error *err)
{
    Collection nested;
    RepoKind repo_kind;
    Repo repo;
    if (str_eq(kind, S("collection"))) {
        if (!collection_find(hub, a, viewer, name, ACCESS_READ, &nested, err))
            return false;
        *id = nested.id;
        return true;
    }
    if (!kind.len || !repo_kind_parse(kind, &repo_kind))
        return fail(err, ERR_INVALID, "item: type: model, dataset, space or collection");
    if (!repo_find(hub, a, viewer, repo_kind, name, ACCESS_READ, &repo, err))
        return false;
    *id = repo.id;
    return true;
}

static bool note_check(Str note, Error *err)
{
    return (note.len <= MAX_NOTE && str_is_utf8(note)) ||
           fail(err, ERR_INVALID, "note: at most %d bytes of UTF-8", MAX_NOTE);
}

bool collection_add(Hub *hub, Arena *a, const Viewer *viewer, const Collection *c, Str kind,
                    Str target, Str note, Error *err)
{
    CollectionItem item = {.id = id_new(a), .kind = kind, .note = note}, *there;
    size_t n;
    if (!note_check(note, err) || !target_of(hub, a, viewer, kind, target, &item.target, err))
        return false;
    AUTO(conn_end) Conn *conn = db_write(hub->db, err);
    if (!conn || !sql_collection_items(conn, a, c->id, &there, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (str_eq(there[i].target, item.target))
            return fail(err, ERR_EXISTS, "%.*s is in the collection already", STR(target));
    if (n >= MAX_COLLECTION_ITEMS)
        return fail(err, ERR_LIMIT, "a collection holds at most %d items", MAX_COLLECTION_ITEMS);
    item.position = (int64_t)n;
    return sql_collection_item_add(conn, c->id, &item, err) &&
           sql_collection_set(conn, c, wall_ns(), err) && conn_commit(conn, err);
}

bool collection_move(Hub *hub, Arena *a, const Collection *c, Str item, const Str *note,
                     const int64_t *position, Error *err)
{
    CollectionItem *items;
    size_t n, at = SIZE_MAX;
    if (note && !note_check(*note, err))
        return false;
    AUTO(conn_end) Conn *conn = db_write(hub->db, err);
    if (!conn || !sql_collection_items(conn, a, c->id, &items, &n, err))
        return false;
    for (size_t i = 0; i < n; i++)
        if (str_eq(items[i].id, item))
            at = i;
    if (at == SIZE_MAX)
        return fail(err, ERR_NOT_FOUND, "There is no such item");
    if (note)
        items[at].note = *note;
    if (position) {
        CollectionItem moved = items[at];
        size_t to = (size_t)MAX(0, MIN(*position, (int64_t)n - 1));
        memmove(items + at, items + at + 1, (n - at - 1) * sizeof *items);
        memmove(items + to + 1, items + to, (n - to - 1) * sizeof *items);
        items[to] = moved;
    }
    for (size_t i = 0; i < n; i++) {
        items[i].position = (int64_t)i;
        if (!sql_collection_item_set(conn, &items[i], err))
            return false;
    }
    return sql_collection_set(conn, c, wall_ns(), err) && conn_commit(conn, err);
}

bool collection_remove(Hub *hub, const Collection *c, Str item, Error *err)
{
    AUTO(conn_end) Conn *conn = db_write(hub->db, err);
    return conn && sql_collection_item_remove(conn, c->id, item, err) &&
           sql_collection_set(conn, c, wall_ns(), err) && conn_commit(conn, err);
}
