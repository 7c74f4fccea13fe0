/* page_collection.c: collections: one of them, and making one. The lists are on profiles. */
#include "hub/collections.h"
#include "web/web_internal.h"

static const char *const icons[][2] = {
    {"model", "models"}, {"dataset", "datasets"}, {"space", "spaces"}, {"collection", "folder"}};

static json_t *collection_item_json(Arena *a, const CollectionItem *item)
{
    json_t *o = json_object();
    RepoKind kind;
    const char *prefix = "collections/", *icon = "folder";
    if (repo_kind_parse(item->kind, &kind) && item->kind.len)
        prefix = repo_kind_info(kind)->prefix;
    for (size_t i = 0; i < COUNT(icons); i++)
        if (str_eq(item->kind, str_of(icons[i][0])))
            icon = icons[i][1];
    set_str(o, "id", item->id);
    set_str(o, "name", item->target);
    set_str(o, "note", item->note);
    set(o, "icon", json_string(icon));
    set(o, "path", json_string(arena_printf(a, "/%s%.*s", prefix, STR(item->target))));
    return o;
}

json_t *collection_json(Arena *a, const Collection *c)
{
    json_t *o = json_object(), *items = json_array();
    for (size_t i = 0; i < c->n_items; i++)
        json_array_append_new(items, collection_item_json(a, &c->items[i]));
    set_str(o, "title", c->title);
    set_str(o, "description", c->description);
    set_str(o, "owner", c->owner);
    set(o, "path", json_string(arena_printf(a, "/collections/%.*s", STR(c->slug))));
    set(o, "private", json_boolean(c->is_private));
    set(o, "updated", json_when(c->updated_ns));
    set(o, "can_write", json_boolean(c->access >= ACCESS_WRITE));
    set(o, "items", items);
    return o;
}

static bool found(Request *r, Access need, Collection *c)
{
    Error err = {0};
    Arena *a = request_arena(r);
    Str slug = str_of(arena_printf(a, "%.*s/%.*s", STR(request_param(r, "owner")),
                                   STR(request_param(r, "slug"))));
    if (collection_find(hub_of(r), a, web_viewer(r), slug, need, c, &err))
        return true;
    reply_error(r, &err);
    return false;
}

static void show(Request *r, int status, const Collection *c, const char *problem)
{
    json_t *page = page_new(r, arena_cstr(request_arena(r), c->title));
    set(page, "c", collection_json(request_arena(r), c));
    set(page, "problem", json_string(problem));
    page_render(r, status, "collection", page);
}

static void one(Request *r)
{
    Collection c;
    if (found(r, ACCESS_READ, &c))
        show(r, 200, &c, "");
}

static void go_to(Request *r, const Collection *c)
{
    reply_redirect(r, 303,
                   str_of(arena_printf(request_arena(r), "/collections/%.*s", STR(c->slug))));
}

static void create(Request *r)
{
    Params form;
    Error err = {0};
    Collection c;
    if (!web_form(r, &form))
        return;
    Str title = params_get(&form, "title");
    bool hidden = params_get(&form, "private").len > 0;
    CollectionChange with = {.title = &title, .is_private = &hidden};
    if (!collection_create(hub_of(r), request_arena(r), web_viewer(r), params_get(&form, "owner"),
                           &with, &c, &err))
        return reply_error(r, &err);
    go_to(r, &c);
}

static void add(Request *r)
{
    Params form;
    Error err = {0};
    Collection c;
    if (!web_form(r, &form) || !found(r, ACCESS_WRITE, &c))
        return;
    if (!collection_add(hub_of(r), request_arena(r), web_viewer(r), &c, params_get(&form, "kind"),
                        str_trim(params_get(&form, "target")), str_trim(params_get(&form, "note")),
                        &err))
        return show(r, error_http_status(err.code), &c, err.text);
    go_to(r, &c);
}

static void take_out(Request *r)
{
    Params form;
    Error err = {0};
    Collection c;
    if (!web_form(r, &form) || !found(r, ACCESS_WRITE, &c))
        return;
    if (!collection_remove(hub_of(r), &c, params_get(&form, "item"), &err) &&
        err.code != ERR_NOT_FOUND)
        return reply_error(r, &err);
    go_to(r, &c);
}

static void delete (Request *r)
{
    Params form;
    Error err = {0};
    Collection c;
    if (!web_form(r, &form) || !found(r, ACCESS_WRITE, &c))
        return;
    if (!collection_delete(hub_of(r), &c, &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, str_of(arena_printf(request_arena(r), "/%.*s", STR(c.owner))));
}

#define ONE "/collections/{owner}/{slug}"

const Route web_collection_routes[] = {
    {"POST", "/collections/new", create, .access = WEB_LOGGED_IN, .summary = "Make a collection"},
    {"GET", ONE, one, .summary = "A collection"},
    {"POST", ONE "/add", add, .access = WEB_LOGGED_IN, .summary = "Add to it"},
    {"POST", ONE "/remove", take_out, .access = WEB_LOGGED_IN, .summary = "Take something out"},
    {"POST", ONE "/delete", delete, .access = WEB_LOGGED_IN, .summary = "Delete it"},
};
const size_t web_collection_routes_n = COUNT(web_collection_routes);
