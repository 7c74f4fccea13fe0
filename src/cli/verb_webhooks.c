/* verb_webhooks.c: `hug webhooks`: whom the hub tells of what happens. */
#include "cli/commands.h"

#include "fetch/api.h"

/* settings/webhooks[/ID[/rest]] */
static json_t *call(Ask *ask, const char *method, const char *rest, json_t *body, Error *err)
{
    const char *id = ask->n ? url_segment(ask->a, ask->args[0]) : "";
    return api_call(ask->token, method,
                    arena_printf(ask->a, "settings/webhooks%s%s%s", ask->n ? "/" : "", id, rest),
                    body, err);
}

/* ["model:org/name", ...] */
static json_t *watched_names(Arena *a, const json_t *webhook)
{
    json_t *names = json_array(), *item;
    size_t i;
    json_array_foreach(json_object_get(webhook, "watched"), i, item) json_array_append_new(
        names, json_string(arena_printf(a, "%s:%s", json_text(item, "type", ""),
                                        json_text(item, "name", ""))));
    return names;
}

static bool list(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *all = api_list(ask->token, "settings/webhooks", -1, err);
    if (!all)
        return false;
    AUTO(json_decref) json_t *rows = json_array();
    size_t i;
    json_t *w;
    json_array_foreach(all, i, w)
    {
        const json_t *domains = json_object_get(w, "domains");
        json_t *row =
            json_pack("{s:s, s:s, s:b}", "id", json_text(w, "id", ""), "url",
                      json_text(w, "url", ""), "disabled", json_flag(w, "disabled", false));
        json_object_set_new(row, "domains", domains ? json_deep_copy(domains) : json_array());
        json_object_set_new(row, "watched", watched_names(ask->a, w));
        json_array_append_new(rows, row);
    }
    output_table(&ask->out, rows, NULL, "id");
    return true;
}

static bool info(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *said = call(ask, "GET", "", NULL, err);
    if (!said)
        return false;
    const json_t *webhook = json_object_get(said, "webhook");
    output_object(&ask->out, webhook ? webhook : said, "id");
    return true;
}

/* "model:org/name" as {"type", "name"}. */
static bool add_watched(json_t *body, const OptionList *watch, Error *err)
{
    json_t *items = json_array();
    json_object_set_new(body, "watched", items);
    for (int i = 0; i < watch->n; i++) {
        Str rest = str_of(watch->items[i]), type;
        if (!str_split(&rest, ':', &type) || !rest.len)
            return fail(err, ERR_USAGE, "--watch looks like model:org/name, not '%s'",
                        watch->items[i]);
        json_t *item = json_object();
        json_object_set_new(item, "type", json_from_str(type));
        json_object_set_new(item, "name", json_from_str(rest));
        json_array_append_new(items, item);
    }
    return true;
}

/* What was said of a webhook; the caller's. */
static json_t *read_body(const Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *body = json_object();
    if (ask->watch.n && !add_watched(body, &ask->watch, err))
        return NULL;
    if (ask->url)
        json_object_set_new(body, "url", json_string(ask->url));
    if (ask->secret)
        json_object_set_new(body, "secret", json_string(ask->secret));
    json_t *domains = ask->domains.n ? json_array() : NULL;
    for (int i = 0; i < ask->domains.n; i++)
        json_array_append_new(domains, json_string(ask->domains.items[i]));
    if (domains)
        json_object_set_new(body, "domains", domains);
    return TAKE(body);
}

static void tell(const Ask *ask, const char *message, const json_t *said)
{
    const json_t *webhook = json_object_get(said, "webhook");
    output_result(&ask->out, message, NULL,
                  json_pack("{s:s}", "id", json_text(webhook, "id", ask->n ? ask->args[0] : "")));
}

static bool create(Ask *ask, Error *err)
{
    if (!ask->url || !ask->watch.n)
        return fail(err, ERR_USAGE, "say --url and --watch");
    json_t *body = read_body(ask, err);
    AUTO(json_decref) json_t *made = body ? call(ask, "POST", "", body, err) : NULL;
    if (!made)
        return false;
    tell(ask,
         arena_printf(ask->a, "Webhook created: %s",
                      json_text(json_object_get(made, "webhook"), "id", "")),
         made);
    return true;
}

/* What is not said stays as it is. */
static bool update(Ask *ask, Error *err)
{
    AUTO(json_decref) json_t *body = read_body(ask, err);
    if (!body)
        return false;
    if (json_object_size(body) == 0)
        return fail(err, ERR_USAGE, "say what to change: --url, --watch, --domain, --secret");
    if (!ask->watch.n) { // the call takes all that is watched anew
        AUTO(json_decref) json_t *said = call(ask, "GET", "", NULL, err);
        if (!said)
            return false;
        json_object_set(body, "watched",
                        json_object_get(json_object_get(said, "webhook"), "watched"));
    }
    AUTO(json_decref) json_t *done = call(ask, "POST", "", TAKE(body), err);
    if (!done)
        return false;
    tell(ask, "Webhook updated", done);
    return true;
}

static bool set_enabled(Ask *ask, const char *rest, const char *message, Error *err)
{
    AUTO(json_decref) json_t *done = call(ask, "POST", rest, json_object(), err);
    if (!done)
        return false;
    tell(ask, message, done);
    return true;
}

static bool enable(Ask *ask, Error *err)
{
    return set_enabled(ask, "/enable", "Webhook enabled", err);
}

static bool disable(Ask *ask, Error *err)
{
    return set_enabled(ask, "/disable", "Webhook disabled", err);
}

static bool delete_it(Ask *ask, Error *err)
{
    if (!output_confirm(&ask->out, ask->yes, err, "Delete the webhook %s?", ask->args[0]))
        return false;
    AUTO(json_decref) json_t *done = call(ask, "DELETE", "", NULL, err);
    if (!done)
        return false;
    tell(ask, "Webhook deleted", NULL);
    return true;
}

static const Command commands[] = {
    {"list|ls", "", "your webhooks", 0, 0, "token", list},
    {"info", "ID", "one with all that it watches", 1, 1, "token", info},
    {"create", "--url URL --watch TYPE:NAME", "tell a URL of what happens", 0, 0,
     "url watch domain secret token", create},
    {"update", "ID", "change one", 1, 1, "url watch domain secret token", update},
    {"enable", "ID", "tell again", 1, 1, "token", enable},
    {"disable", "ID", "tell no more", 1, 1, "token", disable},
    {"delete", "ID", "delete one", 1, 1, "yes token", delete_it},
};

const Verb verb_webhooks = {
    .name = "webhooks",
    .synopsis = "COMMAND",
    .summary = "whom the hub tells of what happens",
    COMMANDS(commands),
};
