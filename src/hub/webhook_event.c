/* webhook_event.c: what happens, as webhooks hear of it: recording it with the change itself, the
 * payload, and who may know. Whoever changes something calls webhook_record within its transaction.
 *
 * A record keeps the payload with URLs that begin at our root ("/me/x"), because only the server
 * knows under which address it is seen; webhook_body makes them whole. */
#include "base/clock.h"
#include "hub/webhook_internal.h"

enum { MAX_MOVES = 1000 }; // refs of one push that a payload names

/* ---- Who watches ---- */

Str webhook_subject(Arena *a, const WebhookWatch *watch)
{
    bool account = str_eq(watch->type, S("user")) || str_eq(watch->type, S("org"));
    Str key = name_key(a, watch->name);
    return str_of(
        arena_printf(a, "%.*s:%.*s", STR(account ? S("account") : watch->type), STR(key)));
}

void webhook_subjects(Str lines, Str out[SUBJECTS])
{
    for (size_t i = 0; i < SUBJECTS; i++)
        if (!str_split(&lines, '\n', &out[i]))
            out[i] = (Str){0};
}

static void add_subjects(Arena *a, Buf *out, const Repo *repo, Str full, Str owner_id)
{
    WebhookWatch by_name = {str_of(repo_kind_info(repo->kind)->name), full};
    WebhookWatch by_owner = {S("user"), str_slice(full, 0, str_find_char(full, '/', 0))};
    Str name = webhook_subject(a, &by_name), owner = webhook_subject(a, &by_owner);
    buf_printf(out, "%.*s\n%.*s\n%.*s\n", STR(owner_id), STR(name), STR(owner));
}

/* ---- The payload ---- */

static const char *path_of(Arena *a, const Repo *repo)
{
    return arena_printf(a, "/%s%.*s", repo_kind_info(repo->kind)->prefix, STR(repo->full));
}

static json_t *id_json(Str id)
{
    return json_pack("{s:o}", "id", json_from_str(id));
}

static json_t *repo_json(Arena *a, const Repo *repo, Str owner_id, Str head)
{
    const RepoKindInfo *kind = repo_kind_info(repo->kind);
    json_t *out = json_pack("{s:s, s:o, s:o, s:b, s:{s:s, s:s}, s:o}", "type", kind->name, "name",
                            json_from_str(repo->full), "id", json_from_str(repo->id), "private",
                            repo->is_private, "url", "web", path_of(a, repo), "api",
                            arena_printf(a, "/api/%s/%.*s", kind->plural, STR(repo->full)), "owner",
                            id_json(owner_id));
    if (head.len)
        json_object_set_new(out, "headSha", json_from_str(head));
    return out;
}

static json_t *discussion_json(Arena *a, const Repo *repo, const Discussion *d)
{
    json_t *out = json_pack(
        "{s:o, s:o, s:{s:s, s:s}, s:o, s:o, s:I, s:b, s:b}", "id", json_from_str(d->id), "title",
        json_from_str(d->title), "url", "web",
        arena_printf(a, "%s/discussions/%lld", path_of(a, repo), (long long)d->num), "api",
        arena_printf(a, "/api/%s/%.*s/discussions/%lld", repo_kind_info(repo->kind)->plural,
                     STR(repo->full), (long long)d->num),
        "status", json_from_str(d->status), "author", id_json(d->author_id), "num",
        (json_int_t)d->num, "isPullRequest", d->is_pull, "pinned", d->is_pinned);
    if (d->is_pull) {
        json_t *changes = json_pack("{s:o}", "base", json_from_str(d->base));
        if (d->merge_commit.len)
            json_object_set_new(changes, "mergeCommitId", json_from_str(d->merge_commit));
        json_object_set_new(out, "changes", changes);
    }
    return out;
}

static json_t *comment_json(Arena *a, const Repo *repo, const Discussion *d,
                            const DiscussionEvent *comment)
{
    json_t *out = json_pack("{s:o, s:o, s:b, s:{s:s}}", "id", json_from_str(comment->id), "author",
                            id_json(comment->author_id), "hidden", comment->is_hidden, "url", "web",
                            arena_printf(a, "%s/discussions/%lld#%.*s", path_of(a, repo),
                                         (long long)d->num, STR(comment->id)));
    if (!comment->is_hidden)
        json_object_set_new(out, "content", json_from_str(comment->text));
    return out;
}

static json_t *sha_json(Str sha)
{
    return sha.len ? json_from_str(sha) : json_null();
}

static json_t *moves_json(const RefMove *moves, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < MIN(n, MAX_MOVES); i++)
        json_array_append_new(out, json_pack("{s:o, s:o, s:o}", "ref", json_from_str(moves[i].ref),
                                             "oldSha", sha_json(moves[i].from), "newSha",
                                             sha_json(moves[i].to)));
    return out;
}

static Str payload_of(Arena *a, const WebhookEvent *e, Str owner_id, Str head)
{
    bool about_repo = str_starts(str_of(e->scope), S("repo"));
    AUTO(json_decref)
    json_t *out = json_pack("{s:{s:s, s:s}, s:o}", "event", "action", e->action, "scope", e->scope,
                            "repo", repo_json(a, e->repo, owner_id, about_repo ? head : (Str){0}));
    if (e->discussion)
        json_object_set_new(out, "discussion", discussion_json(a, e->repo, e->discussion));
    if (e->comment)
        json_object_set_new(out, "comment", comment_json(a, e->repo, e->discussion, e->comment));
    if (e->n_moves)
        json_object_set_new(out, "updatedRefs", moves_json(e->moves, e->n_moves));
    if (e->config)
        json_object_set(out, "updatedConfig", e->config);
    if (e->moved_to.len)
        json_object_set_new(out, "movedTo",
                            json_pack("{s:o, s:o}", "name", json_from_str(e->moved_to), "owner",
                                      id_json(e->moved_owner)));
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, out);
    return arena_str(a, buf_str(&text));
}

static void make_whole(json_t *thing, const char *url)
{
    json_t *urls = json_object_get(thing, "url"), *path;
    const char *key;
    void *next;
    json_object_foreach_safe(urls, next, key, path)
    {
        AUTO_BUF whole;
        buf_init(&whole, 0);
        buf_printf(&whole, "%s%s", url, json_string_value(path));
        json_object_set_new(urls, key, json_from_str(buf_str(&whole)));
    }
}

Str webhook_body(Arena *a, const WebhookRecord *record, Str webhook, const char *url)
{
    AUTO(json_decref) json_t *body = json_parse(record->payload, "payload", NULL);
    make_whole(json_object_get(body, "repo"), url);
    make_whole(json_object_get(body, "discussion"), url);
    make_whole(json_object_get(body, "comment"), url);
    json_object_set_new(body, "webhook",
                        json_pack("{s:o, s:i}", "id", json_from_str(webhook), "version", 3));
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, body);
    return arena_str(a, buf_str(&text));
}

/* ---- Recording ---- */

/* Its owner, its head, and what happens to when something happens to it: a line each. */
static bool look_around(Conn *c, Arena *a, const WebhookEvent *e, Str *owner, Str *head, Buf *lines,
                        bool *watched, Error *err)
{
    Str list[SUBJECTS];
    if (!sql_webhook_repo(c, a, e->repo->id, owner, head, err))
        return false;
    buf_printf(lines, "%.*s\n", STR(e->repo->id));
    add_subjects(a, lines, e->repo, e->repo->full, *owner);
    if (e->moved_to.len)
        add_subjects(a, lines, e->repo, e->moved_to, e->moved_owner);
    webhook_subjects(buf_str(lines), list);
    return sql_webhook_is_watched(c, list, e->discussion != NULL, watched, err);
}

bool webhook_record(Conn *c, Hub *hub, const WebhookEvent *e, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Str owner, head;
    bool watched;
    AUTO_BUF subjects;
    buf_init(&subjects, 0);
    if (!look_around(c, a, e, &owner, &head, &subjects, &watched, err))
        return false;
    if (!watched)
        return true;
    WebhookRecord r = {.id = id_new(a),
                       .is_discussion = e->discussion != NULL,
                       .repo = *e->repo,
                       .owner_id = owner,
                       .is_gone = strcmp(e->scope, "repo") == 0 && strcmp(e->action, "delete") == 0,
                       .subjects = buf_str(&subjects),
                       .payload = payload_of(a, e, owner, e->head.len ? e->head : head),
                       .created_ns = wall_ns()};
    if (!sql_webhook_record_add(c, &r, err))
        return false;
    webhooks_wake(hub);
    return true;
}

bool webhook_forget_text(Conn *c, const Repo *repo, Str id, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    WebhookRecord *found;
    size_t n;
    if (!sql_webhook_records_with(c, a, repo->id, id, &found, &n, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        AUTO(json_decref) json_t *payload = json_parse(found[i].payload, "payload", NULL);
        json_t *comment = json_object_get(payload, "comment");
        const json_t *discussion = json_object_get(payload, "discussion");
        if (!comment ||
            (!str_eq(json_str(comment, "id"), id) && !str_eq(json_str(discussion, "id"), id)))
            continue;
        json_object_set_new(comment, "hidden", json_true());
        json_object_del(comment, "content");
        AUTO_BUF text;
        buf_init(&text, 0);
        json_write(&text, payload);
        if (!sql_webhook_record_set(c, found[i].id, buf_str(&text), err))
            return false;
    }
    return true;
}

/* Asked before a transaction that would be for nothing. */
static bool is_watched(Hub *hub, Arena *a, const WebhookEvent *e, bool *watched, Error *err)
{
    Str owner, head;
    AUTO_BUF subjects;
    buf_init(&subjects, 0);
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && look_around(c, a, e, &owner, &head, &subjects, watched, err);
}

bool webhook_record_moves(Hub *hub, const Repo *repo, const RefMove *moves, size_t n, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    RefMove *real = NEW_ARRAY(a, RefMove, n);
    size_t n_real = 0;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(moves[i].from, moves[i].to))
            real[n_real++] = moves[i];
    if (!n_real)
        return true;
    WebhookEvent event = {.action = "update",
                          .scope = "repo.content",
                          .repo = repo,
                          .moves = real,
                          .n_moves = n_real};
    bool watched;
    if (!is_watched(hub, a, &event, &watched, err))
        return false;
    if (!watched)
        return true;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && webhook_record(c, hub, &event, err) && conn_commit(c, err);
}

/* ---- Who may know ---- */

/* Its name, if it is there; else what it was when it went, if that is known. */
static bool look_up(Hub *hub, Arena *a, Str repo, Str *full, WebhookRecord *end, Error *err)
{
    Error seen = {0};
    *full = (Str){0};
    *end = (WebhookRecord){0};
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    if (sql_repo_name(c, a, repo, full, &seen) ||
        (seen.code == ERR_NO_REPO && sql_webhook_record_end(c, a, repo, end, &seen)) ||
        seen.code == ERR_NOT_FOUND)
        return true;
    *(err ? err : &seen) = seen;
    return false;
}

bool webhook_may_know(Hub *hub, Arena *a, Str account, const WebhookRecord *record, bool *may,
                      Error *err)
{
    Viewer viewer = {.by = BY_COOKIE, .can_write = true};
    Str full;
    WebhookRecord end;
    Repo repo;
    *may = !record->repo.id.len; // a test
    if (*may)
        return true;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_account_by_id(c, a, account, &viewer.account, err))
            return false;
    }
    if (!look_up(hub, a, record->repo.id, &full, &end, err))
        return false;
    if (!full.len) {
        *may = end.id.len && repo_could_read(&viewer, &end.repo, end.owner_id);
        return true;
    }
    Error seen = {0};
    *may = repo_find(hub, a, &viewer, record->repo.kind, full, ACCESS_FILES, &repo, &seen);
    if (*may || seen.code == ERR_NO_REPO || seen.code == ERR_GATED || seen.code == ERR_DENIED)
        return true;
    *(err ? err : &seen) = seen;
    return false;
}
