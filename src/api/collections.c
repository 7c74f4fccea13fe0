/* collections.c: collections, in the shapes that clients parse: lists come without `position`, one
 * collection with it. */
#include "hub/collections.h"
#include "api/api_internal.h"
#include "base/encode.h"

enum { PAGE = 100, ID_SIZE = 24 };

static json_t *item_json(const CollectionItem *item)
{
    Str id = item->target;
    bool nested = str_eq(item->kind, S("collection"));
    if (nested) // a slug, which ends with the id
        id = str_slice(id, id.len > ID_SIZE ? id.len - ID_SIZE : 0, id.len);
    json_t *out = json_pack("{s:o, s:o, s:o, s:I}", "_id", json_from_str(item->id), "type",
                            json_from_str(item->kind), "id", json_from_str(id), "position",
                            (json_int_t)item->position);
    if (nested)
        api_set_str(out, "slug", item->target);
    if (item->note.len) {
        AUTO_BUF html;
        buf_init(&html, 0);
        html_escape(&html, item->note);
        json_object_set_new(out, "note",
                            json_pack("{s:o, s:o}", "text", json_from_str(item->note), "html",
                                      json_from_str(buf_str(&html))));
    }
    return out;
}

static json_t *collection_json(Request *r, const Collection *c, bool whole)
{
    json_t *items = json_array();
    for (size_t i = 0; i < c->n_items; i++)
        json_array_append_new(items, item_json(&c->items[i]));
    json_t *out = json_pack(
        "{s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:b, s:o, s:i, s:s}", "slug", json_from_str(c->slug),
        "title", json_from_str(c->title), "owner", "name", json_from_str(c->owner), "fullname",
        json_from_str(c->owner_fullname), "items", items, "lastUpdated", api_date(c->updated_ns),
        "private", c->is_private, "theme", json_from_str(c->theme), "upvotes", 0, "shareUrl",
        arena_printf(request_arena(r), "%s/collections/%.*s", api_url(r), STR(c->slug)));
    api_set_str(out, "description", c->description);
    if (whole)
        json_object_set_new(out, "position", json_integer(c->position));
    return out;
}

static bool found(Request *r, Access need, Collection *c)
{
    Error err = {0};
    Str slug = str_of(arena_printf(request_arena(r), "%.*s/%.*s", STR(request_param(r, "owner")),
                                   STR(request_param(r, "slug"))));
    if (collection_find(api_of(r)->hub, request_arena(r), api_viewer(r), slug, need, c, &err))
        return true;
    reply_error(r, &err);
    return false;
}

/* The collection as it is now, behind a change. */
static void reply_anew(Request *r, const Collection *c, bool wrapped)
{
    Error err = {0};
    Collection now;
    if (!collection_find(api_of(r)->hub, request_arena(r), api_viewer(r), c->id, ACCESS_READ, &now,
                         &err))
        return reply_error(r, &err);
    json_t *out = collection_json(r, &now, true);
    api_reply(r, wrapped ? json_pack("{s:b, s:o}", "success", 1, "data", out) : out);
}

static void list(Request *r)
{
    Error err = {0};
    Collection *page;
    size_t n;
    bool more;
    int64_t number = 0;
    Str p = request_query_get(r, "p"), item = request_query_get(r, "item");
    CollectionQuery query = {.owner = request_query_get(r, "owner"),
                             .search = request_query_get(r, "q")};
    if (!api_limit(r, PAGE, PAGE, &query.limit))
        return;
    if (p.len && !str_to_int(p, 0, 1000000, &number))
        return reply_failure(r, 400, "p: a page number from 0");
    query.skip = number * query.limit;
    if (item.len) { // "models/me/x"
        size_t slash = str_find_char(item, '/', 0);
        query.item_kind = str_slice(item, 0, slash);
        query.item = slash == SIZE_MAX ? item : str_slice(item, slash + 1, item.len);
    }
    if (!collection_list(api_of(r)->hub, request_arena(r), api_viewer(r), &query, &page, &n, &more,
                         &err))
        return reply_error(r, &err);
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, collection_json(r, &page[i], false));
    if (more)
        api_link_next(r, "p",
                      str_of(arena_printf(request_arena(r), "%lld", (long long)(number + 1))));
    api_reply(r, out);
}

typedef struct Body {
    CollectionChange change;
    Str title, description, theme;
    bool is_private;
    int64_t position;
} Body;

/* What of a collection the body names. */
static void body_change(const json_t *body, Body *b)
{
    *b = (Body){.title = json_str(body, "title"),
                .description = json_str(body, "description"),
                .theme = json_str(body, "theme"),
                .is_private = json_flag(body, "private", false),
                .position = json_int(body, "position", 0)};
    if (json_object_get(body, "title"))
        b->change.title = &b->title;
    if (json_object_get(body, "description"))
        b->change.description = &b->description;
    if (json_object_get(body, "theme"))
        b->change.theme = &b->theme;
    if (json_object_get(body, "private"))
        b->change.is_private = &b->is_private;
    if (json_object_get(body, "position"))
        b->change.position = &b->position;
}

static void create(Request *r)
{
    Error err = {0};
    Collection c;
    Body b;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    body_change(body, &b);
    b.change.position = NULL;
    if (!collection_create(api_of(r)->hub, request_arena(r), api_viewer(r),
                           json_str(body, "namespace"), &b.change, &c, &err))
        return reply_error(r, &err);
    api_reply(r, collection_json(r, &c, true));
}

static void get(Request *r)
{
    Collection c;
    if (found(r, ACCESS_READ, &c))
        api_reply(r, collection_json(r, &c, true));
}

static void change(Request *r)
{
    Error err = {0};
    Collection c;
    Body b;
    if (!found(r, ACCESS_WRITE, &c))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    body_change(body, &b);
    if (!collection_change(api_of(r)->hub, &c, &b.change, &err))
        return reply_error(r, &err);
    reply_anew(r, &c, true);
}

static void gone(Request *r)
{
    Error err = {0};
    Collection c;
    if (!found(r, ACCESS_WRITE, &c))
        return;
    if (!collection_delete(api_of(r)->hub, &c, &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

static void item_add(Request *r)
{
    Error err = {0};
    Collection c;
    if (!found(r, ACCESS_WRITE, &c))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    const json_t *item = json_object_get(body, "item");
    if (!collection_add(api_of(r)->hub, request_arena(r), api_viewer(r), &c, json_str(item, "type"),
                        json_str(item, "id"), json_str(body, "note"), &err))
        return reply_error(r, &err);
    reply_anew(r, &c, false);
}

static void item_change(Request *r)
{
    Error err = {0};
    Collection c;
    if (!found(r, ACCESS_WRITE, &c))
        return;
    const json_t *body = request_json(r, 0, &err);
    if (!body)
        return reply_error(r, &err);
    Str note = json_str(body, "note");
    int64_t position = json_int(body, "position", 0);
    if (!collection_move(api_of(r)->hub, request_arena(r), &c, request_param(r, "item"),
                         json_object_get(body, "note") ? &note : NULL,
                         json_object_get(body, "position") ? &position : NULL, &err))
        return reply_error(r, &err);
    reply_anew(r, &c, false);
}

static void item_gone(Request *r)
{
    Error err = {0};
    Collection c;
    if (!found(r, ACCESS_WRITE, &c))
        return;
    if (!collection_remove(api_of(r)->hub, &c, request_param(r, "item"), &err))
        return reply_error(r, &err);
    api_reply(r, json_pack("{s:b}", "success", 1));
}

#define ONE "/api/collections/{owner}/{slug}"

const Route collection_routes[] = {
    {"GET", "/api/collections", list, .summary = "Collections"},
    {"POST", "/api/collections", create, .access = API_ANY_TOKEN, .summary = "Make one"},
    {"GET", ONE, get, .summary = "A collection"},
    {"PATCH", ONE, change, .access = API_ANY_TOKEN, .summary = "Change it"},
    {"DELETE", ONE, gone, .access = API_ANY_TOKEN, .summary = "Delete it"},
    {"POST", ONE "/items", item_add, .access = API_ANY_TOKEN, .summary = "Add to it"},
    {"PATCH", ONE "/items/{item}", item_change, .access = API_ANY_TOKEN,
     .summary = "Note or move an item"},
    {"DELETE", ONE "/items/{item}", item_gone, .access = API_ANY_TOKEN,
     .summary = "Take an item out"},
};
const size_t collection_routes_n = COUNT(collection_routes);
