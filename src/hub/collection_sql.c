/* collection_sql.c: the statements about collections; see hub_sql.h. */
#include "hub/hub_sql.h"

#define COLLECTION_COLUMNS                                                                         \
    "c.id, c.owner_id, accounts.name, accounts.fullname, c.title, c.description, c.theme,"         \
    " c.is_private, c.position, c.updated_ns FROM collections c"                                   \
    " JOIN accounts ON accounts.id = c.owner_id "

static void collection_row(Query *q, Arena *a, Collection *out, Str *owner)
{
    *out = (Collection){0};
    out->id = row_str(q, a);
    *owner = row_str(q, a);
    out->owner = row_str(q, a);
    out->owner_fullname = row_str(q, a);
    out->title = row_str(q, a);
    out->description = row_str(q, a);
    out->theme = row_str(q, a);
    out->is_private = row_int(q) != 0;
    out->position = row_int(q);
    out->updated_ns = row_int(q);
}

bool sql_collection_find(Conn *c, Arena *a, Str id, Collection *out, Str *owner, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT " COLLECTION_COLUMNS "WHERE c.id = $1");
    bind_str(q, id);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NOT_FOUND, "This collection does not exist");
    collection_row(q, a, out, owner);
    return true;
}

bool sql_collection_list(Conn *c, Arena *a, const CollectionQuery *query, Str target,
                         Collection *out, Str *owners, size_t *n, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(
        c, "SELECT " COLLECTION_COLUMNS "WHERE ($1 = '' OR lower(accounts.name) = lower($2))"
           " AND ($3 = '' OR EXISTS (SELECT 1 FROM collection_items i WHERE i.collection_id = c.id"
           " AND i.target = $4)) AND ($5 = '' OR lower(c.title) LIKE $6 ESCAPE '\\')"
           " ORDER BY c.updated_ns DESC, c.id LIMIT $7 OFFSET $8");
    bind_str(q, query->owner);
    bind_str(q, query->owner);
    bind_str(q, target);
    bind_str(q, target);
    bind_str(q, query->search);
    bind_str(q, query->search);
    bind_int(q, query->limit + 1);
    bind_int(q, query->skip);
    *n = 0;
    while (*n < (size_t)query->limit + 1 && query_next(q)) {
        collection_row(q, a, &out[*n], &owners[*n]);
        ++*n;
    }
    return query_ok(q, err);
}

bool sql_collection_add(Conn *c, const Collection *row, Str owner, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO collections (id, owner_id, title, description, theme,"
                             " is_private, position, created_ns, updated_ns)"
                             " VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)");
    bind_str(q, row->id);
    bind_str(q, owner);
    bind_str(q, row->title);
    bind_str(q, row->description);
    bind_str(q, row->theme);
    bind_int(q, row->is_private);
    bind_int(q, row->updated_ns);
    bind_int(q, row->updated_ns);
    return query_run(q, err);
}

bool sql_collection_set(Conn *c, const Collection *row, int64_t now, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE collections SET title = $1, description = $2, theme = $3,"
                             " is_private = $4, position = $5, updated_ns = $6 WHERE id = $7");
    bind_str(q, row->title);
    bind_str(q, row->description);
    bind_str(q, row->theme);
    bind_int(q, row->is_private);
    bind_int(q, row->position);
    bind_int(q, now);
    bind_str(q, row->id);
    return query_run(q, err);
}

bool sql_collection_remove(Conn *c, Str id, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM collections WHERE id = $1");
    bind_str(q, id);
    return query_run(q, err);
}

bool sql_collection_items(Conn *c, Arena *a, Str collection, CollectionItem **out, size_t *n,
                          Error *err)
{
    *out = NEW_ARRAY(a, CollectionItem, MAX_COLLECTION_ITEMS);
    *n = 0;
    AUTO(query_end)
    Query *q = query_open(c, "SELECT i.id, i.kind, i.target, i.note FROM collection_items i"
                             " WHERE i.collection_id = $1 ORDER BY i.position, i.id LIMIT 1000");
    bind_str(q, collection);
    while (*n < MAX_COLLECTION_ITEMS && query_next(q)) {
        CollectionItem *item = &(*out)[*n];
        *item = (CollectionItem){.position = (int64_t)*n};
        item->id = row_str(q, a);
        item->kind = row_str(q, a);
        item->target = row_str(q, a);
        item->note = row_str(q, a);
        ++*n;
    }
    return query_ok(q, err);
}

bool sql_collection_item_add(Conn *c, Str collection, const CollectionItem *item, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO collection_items (id, collection_id, kind, target, note,"
                             " position) VALUES ($1, $2, $3, $4, $5, $6)");
    bind_str(q, item->id);
    bind_str(q, collection);
    bind_str(q, item->kind);
    bind_str(q, item->target);
    bind_str(q, item->note);
    bind_int(q, item->position);
    return query_run(q, err);
}

bool sql_collection_item_set(Conn *c, const CollectionItem *item, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "UPDATE collection_items SET note = $1, position = $2 WHERE id = $3");
    bind_str(q, item->note);
    bind_int(q, item->position);
    bind_str(q, item->id);
    return query_run(q, err);
}

bool sql_collection_item_remove(Conn *c, Str collection, Str item, Error *err)
{
    AUTO(query_end)
    Query *q = query_open(c, "DELETE FROM collection_items WHERE collection_id = $1 AND id = $2");
    bind_str(q, collection);
    bind_str(q, item);
    if (!query_run(q, err))
        return false;
    return query_changes(q) > 0 || fail(err, ERR_NOT_FOUND, "There is no such item");
}

bool sql_repo_name(Conn *c, Arena *a, Str id, Str *full, Error *err)
{
    AUTO(query_end) Query *q = query_open(c, "SELECT full_name FROM repos WHERE id = $1");
    bind_str(q, id);
    if (!query_next(q))
        return query_ok(q, err) && fail(err, ERR_NO_REPO, "Repository not found");
    *full = row_str(q, a);
    return true;
}
