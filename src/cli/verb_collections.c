/* verb_collections.c: `hug collections`: lists of repositories with notes. */
#include "cli/commands.h"
#include "cli/shown.h"

#include "fetch/api.h"

enum { LISTED = 10 };

static json_t *shown_collection(const json_t *c)
{
    static const ShownField fields[] = {{"slug"},       {"title"},
                                        {"owner"},      {"lastUpdated", "last_updated"},
                                        {"position"},   {"private"},
                                        {"theme"},      {"upvotes"},
                                        {"description"}},
                            item_fields[] = {{"_id", "item_object_id"},
                                             {"id", "item_id"},
                                             {"type", "item_type"},
                                             {"position"}};
    json_t *out = shown(c, fields, COUNT(fields)), *items = json_array(), *item;
    size_t i;
    json_array_foreach(json_object_get(c, "items"), i, item)
    {
        json_t *row = shown(item, item_fields, COUNT(item_fields));
        const json_t *note = json_object_get(item, "note");
        if (json_is_object(note))
            json_object_set_new(row, "note", json_string(json_text(note, "text", "")));
        json_array_append_new(items, row);
    }
    json_object_set_new(out, "items", items);
    return out;
}

static bool list(Ask *ask, Error *err)
{
    char *path = api_query(ask->a, "collections", "owner", ask->owner);
    path = api_query(ask->a, path, "item", ask->item);
    path = api_query(ask->a, path, "sort", ask->sort);
    int64_t limit = ask->limit < 0 ? LISTED : ask->limit;
    path = api_query(ask->a, path, "limit", arena_printf(ask->a, "%lld", (long long)limit));
    AUTO(json_decref) json_t *all = api_list(ask->token, path, limit, err);
    if (!all)
        return false;
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *c;
    json_array_foreach(all, i, c) json_array_append_new(rows, shown_collection(c));
    bool human = ask->out.format == OUTPUT_HUMAN;
    output_table(&ask->out, rows, human ? "slug title last_updated private upvotes" : NULL, "slug");
    return true;
}

/* One call about the collection args[0]. */
static json_t *call(Ask *ask, const char *method, const char *rest, json_t *body, Error *err)
{
    return api_call(ask->token, method,
                    arena_printf(ask->a, "collections/%s%s", ask->args[0], rest), body, err);
}

static bool info(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *said = call(ask, "GET", "", NULL, err);
    if (!said)
        return false;
    AUTO(json_decref) json_t *out = shown_collection(said);
    output_object(&ask->out, out, "slug");
    return true;
}

static void tell(const Ask *ask, const char *message, const json_t *said)
{
    const char *slug = json_text(said, "slug", ask->n ? ask->args[0] : "");
    output_result(
        &ask->out, message, "url",
        json_pack("{s:s, s:s}", "slug", slug, "url",
                  arena_printf(ask->a, "%s/collections/%s", fetch_endpoint(ask->a), slug)));
}

static bool create(Ask *ask, Error *err)
{
    const char *owner = ask->namespace;
    AUTO(json_decref) json_t *who = owner ? NULL : fetch_whoami(ask->token, err);
    if (!owner && !who)
        return false;
    json_t *body = json_pack("{s:s, s:s, s:b}", "title", ask->args[0], "namespace",
                             owner ? owner : json_text(who, "name", ""), "private",
                             ask->private_ == SWITCH_YES);
    if (ask->description)
        json_object_set_new(body, "description", json_string(ask->description));
    char *path = api_query(ask->a, "collections", "exists_ok", ask->exist_ok ? "true" : NULL);
    Error failure = {0};
    AUTO(json_decref) json_t *made = api_call(ask->token, "POST", path, body, &failure);
    if (!made)
        return fail(err, failure.code, "%s", failure.text);
    tell(ask, "Collection created", made);
    return true;
}

static bool update(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *body = json_object();
    if (ask->title)
        json_object_set_new(body, "title", json_string(ask->title));
    if (ask->description)
        json_object_set_new(body, "description", json_string(ask->description));
    if (ask->theme)
        json_object_set_new(body, "theme", json_string(ask->theme));
    if (ask->position >= 0)
        json_object_set_new(body, "position", json_integer(ask->position));
    if (ask->private_ != SWITCH_UNSAID)
        json_object_set_new(body, "private", json_boolean(ask->private_ == SWITCH_YES));
    if (json_object_size(body) == 0)
        return fail(err, ERR_USAGE,
                    "say what to change: --title, --description, --private, --theme, --position");
    AUTO(json_decref) json_t *said = call(ask, "PATCH", "", TAKE(body), err);
    if (!said)
        return false;
    tell(ask, "Collection updated", json_object_get(said, "data"));
    return true;
}

/* For a deletion that may find nothing. */
static bool gone(Ask *ask, const char *rest, const char *message, Error *err)
{
    Error failure = {0};
    AUTO(json_decref) json_t *done = call(ask, "DELETE", rest, NULL, &failure);
    if (!done && !(ask->missing_ok && failure.code == ERR_NOT_FOUND))
        return fail(err, failure.code, "%s", failure.text);
    output_result(&ask->out, message, NULL, json_pack("{s:s}", "slug", ask->args[0]));
    return true;
}

static bool delete_it(Ask *ask, Error *err)
{
    return gone(ask, "", "Collection deleted", err);
}

static bool add_item(Ask *ask, Error *err)
{
    json_t *body = json_pack("{s:{s:s, s:s}}", "item", "id", ask->args[1], "type", ask->args[2]);
    if (ask->note)
        json_object_set_new(body, "note", json_string(ask->note));
    Error failure = {0};
    AUTO(json_decref) json_t *done = call(ask, "POST", "/items", body, &failure);
    if (!done && !(ask->exist_ok && failure.code == ERR_EXISTS))
        return fail(err, failure.code, "%s", failure.text);
    tell(ask, "Item added to collection", NULL);
    return true;
}

static const char *item_path(Ask *ask)
{
    return arena_printf(ask->a, "/items/%s", url_segment(ask->a, ask->args[1]));
}

static bool update_item(Ask *ask, Error *err)
{
    json_t *body = json_object();
    if (ask->note)
        json_object_set_new(body, "note", json_string(ask->note));
    if (ask->position >= 0)
        json_object_set_new(body, "position", json_integer(ask->position));
    AUTO(json_decref) json_t *done = call(ask, "PATCH", item_path(ask), body, err);
    if (!done)
        return false;
    output_result(&ask->out, "Item updated in collection", NULL,
                  json_pack("{s:s}", "slug", ask->args[0]));
    return true;
}

static bool delete_item(Ask *ask, Error *err)
{
    return gone(ask, item_path(ask), "Item deleted from collection", err);
}

static const Command commands[] = {
    {"list|ls", "", "collections on the hub", 0, 0, "owner item collection-sort limit token", list},
    {"info", "SLUG", "one with its items", 1, 1, "token", info},
    {"create", "TITLE", "make one", 1, 1, "namespace description private exist-ok token", create},
    {"update", "SLUG", "change one", 1, 1, "title description position private theme token",
     update},
    {"delete", "SLUG", "delete one", 1, 1, "missing-ok token", delete_it},
    {"add-item", "SLUG REPO TYPE", "add a model, dataset, space or collection", 3, 3,
     "note exist-ok token", add_item},
    {"update-item", "SLUG ITEM", "change an item (`info` shows their ids)", 2, 2,
     "note position token", update_item},
    {"delete-item", "SLUG ITEM", "take an item out", 2, 2, "missing-ok token", delete_item},
};

const Verb verb_collections = {
    .name = "collections",
    .synopsis = "COMMAND",
    .summary = "lists of repositories on the hub",
    COMMANDS(commands),
};
