/* Stories of webhooks: what is told to whom, and what becomes of what nobody takes. A thread plays
 * the server that listens. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "hub/account_moves.h"
#include "hub/discussions.h"
#include "hub/gates.h"
#include "hub/hub_testing.h"
#include "hub/webhook_internal.h"
#include "net/script.h"

#include <poll.h>

static Hub *hub;
static Arena *a;

/* ---- Who listens ---- */

typedef struct Ear {
    int fd, port, status;
    pthread_t thread;
    pthread_mutex_t lock; // for what follows
    Buf heard;            // whole requests
    size_t n;
    bool stop;
} Ear;

static Ear ear;

static void *listen_on(void *context)
{
    Ear *e = context;
    for (bool stop = false; !stop;) {
        struct pollfd ready = {.fd = e->fd, .events = POLLIN};
        if (poll(&ready, 1, 20) == 1) {
            int fd = accept(e->fd, NULL, NULL);
            AUTO_BUF asked;
            buf_init(&asked, 0);
            script_read(fd, &asked);
            pthread_mutex_lock(&e->lock);
            dprintf(fd, "HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nhello", e->status);
            buf_add(&e->heard, buf_str(&asked));
            e->n++;
            pthread_mutex_unlock(&e->lock);
            close(fd);
        }
        pthread_mutex_lock(&e->lock);
        stop = e->stop;
        pthread_mutex_unlock(&e->lock);
    }
    return NULL;
}

static void ear_open(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    ear = (Ear){.fd = socket(AF_INET, SOCK_STREAM, 0), .status = 200};
    assert_int_equal(bind(ear.fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(ear.fd, 64), 0);
    getsockname(ear.fd, (struct sockaddr *)&at, &size);
    ear.port = ntohs(at.sin_port);
    buf_init(&ear.heard, 0);
    pthread_mutex_init(&ear.lock, NULL);
    pthread_create(&ear.thread, NULL, listen_on, &ear);
}

static void ear_close(void)
{
    pthread_mutex_lock(&ear.lock);
    ear.stop = true;
    pthread_mutex_unlock(&ear.lock);
    pthread_join(ear.thread, NULL);
    close(ear.fd);
    buf_done(&ear.heard);
}

static void ear_answers(int status)
{
    pthread_mutex_lock(&ear.lock);
    ear.status = status;
    ear.n = 0;
    buf_reset(&ear.heard);
    pthread_mutex_unlock(&ear.lock);
}

/* What it has heard, once there are n requests. */
static Str ear_heard(size_t n)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&ear.lock);
        size_t now = ear.n;
        Str heard = arena_str(a, buf_str(&ear.heard));
        pthread_mutex_unlock(&ear.lock);
        if (now >= n) {
            assert_int_equal(now, n);
            return heard;
        }
        usleep(5000);
    }
    fail_msg("fewer than %zu requests came", n);
    return (Str){0};
}

static json_t *body_of_text(Str text)
{
    Error err = {0};
    json_t *body = json_parse(text, "body", &err);
    if (!body)
        fail_msg("%s", err.text);
    arena_defer(a, (void (*)(void *))json_decref, body);
    return body;
}

/* The body of the only request in there. */
static json_t *body_of(Str heard)
{
    return body_of_text(str_slice(heard, str_find(heard, S("\r\n\r\n"), 0) + 4, heard.len));
}

static const char *at(const json_t *body, const char *path)
{
    const char *text = json_string_value(json_at(body, path));
    return text ? text : "";
}

/* ---- The people ---- */

static void configure(int64_t retry_s, int64_t attempts)
{
    Error err = {0};
    WebhookOptions options = {.allow = "127.0.0.1", .retry_s = retry_s, .attempts = attempts};
    assert_ok(webhooks_set(hub, &options, &err));
}

static void start(void)
{
    Error err = {0};
    assert_ok(webhooks_start(hub, "http://hub.example", &err));
}

/* Each story has a hub of its own. */
static int stories;

static void open_hub(void)
{
    Error err = {0};
    char name[20];
    snprintf(name, sizeof name, "hub%d", stories);
    hub = hub_open(&(HubOptions){.data = test_path(name), .db = test_db(name)}, &err);
    assert_ok(hub);
}

static int set_up(void **state)
{
    a = arena_new(0);
    stories++;
    open_hub();
    configure(0, 3);
    ear_open();
    test_user(hub, a, "root", true);
    test_user(hub, a, "ada", false);
    test_user(hub, a, "bob", false);
    return 0;
}

static int tear_down(void **state)
{
    hub_close(hub);
    ear_close();
    arena_free(a);
    return 0;
}

static Webhook watch(const char *user, const char *type, const char *name)
{
    Error err = {0};
    Webhook w = {0};
    Viewer viewer = test_viewer(hub, a, user);
    Str url = str_of(arena_printf(a, "http://127.0.0.1:%d/hook?key=1", ear.port)),
        secret = S("s3cret");
    WebhookWatch what = {str_of(type), str_of(name)};
    WebhookChange with = {.url = &url, .secret = &secret, .watched = &what, .n_watched = 1};
    assert_ok(webhook_create(hub, a, &viewer, &with, &w, &err));
    return w;
}

static Repo make(const char *by, const char *name, bool is_private)
{
    Error err = {0};
    Repo repo = {0};
    Viewer viewer = test_viewer(hub, a, by);
    NewRepo new = {.name = str_of(name), .is_private = is_private};
    assert_ok(repo_create(hub, a, &viewer, &new, &repo, &err));
    return repo;
}

static Str commit(const Repo *repo, const char *by, const char *branch, const char *text)
{
    Error err = {0};
    Str sha;
    Viewer viewer = test_viewer(hub, a, by);
    AUTO(change_free) Change *c = change_open(hub, repo, &viewer, str_of(branch), &err);
    assert_ok(c);
    change_title(c, S("More"), S(""));
    change_add(c, S("a.txt"), str_of(text));
    assert_ok(change_commit(c, a, &sha, &err));
    return sha;
}

/* The webhook's log, once nothing in it waits. */
static Delivery *log_of(const Webhook *w, size_t expected)
{
    Error err = {0};
    Delivery *list;
    size_t n = 0;
    bool more, waits = true;
    for (int i = 0; i < 2000 && (n < expected || waits); i++) {
        if (i)
            usleep(5000);
        assert_ok(delivery_list(hub, a, w, S(""), 100, &list, &n, &more, &err));
        waits = false;
        for (size_t k = 0; k < n; k++)
            waits |= str_eq(list[k].state, S("waiting"));
    }
    assert_false(waits);
    assert_int_equal(n, expected);
    return list;
}

/* ---- The stories ---- */

static void test_a_commit_is_told_in_full_and_signed(void **state)
{
    Error err = {0};
    Repo repo = make("ada", "owl", false);
    Webhook w = watch("bob", "model", "ada/owl");
    Str sha = commit(&repo, "ada", "main", "one");
    start();
    Str heard = ear_heard(1);
    json_t *body = body_of(heard);
    assert_string_equal(at(body, "event.action"), "update");
    assert_string_equal(at(body, "event.scope"), "repo.content");
    assert_string_equal(at(body, "repo.type"), "model");
    assert_string_equal(at(body, "repo.name"), "ada/owl");
    assert_str(repo.id, at(body, "repo.id"));
    assert_string_equal(at(body, "repo.url.web"), "http://hub.example/ada/owl");
    assert_string_equal(at(body, "repo.url.api"), "http://hub.example/api/models/ada/owl");
    assert_str(test_viewer(hub, a, "ada").account.id, at(body, "repo.owner.id"));
    assert_str(sha, at(body, "repo.headSha"));
    assert_str(w.id, at(body, "webhook.id"));
    assert_int_equal(json_integer_value(json_at(body, "webhook.version")), 3);
    const json_t *move = json_array_get(json_object_get(body, "updatedRefs"), 0);
    assert_string_equal(at(move, "ref"), "refs/heads/main");
    assert_str(sha, at(move, "newSha"));
    assert_int_equal(strlen(at(move, "oldSha")), 40);

    size_t head = str_find(heard, S("\r\n\r\n"), 0);
    uint8_t mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    hmac_sha256(S("s3cret"), str_slice(heard, head + 4, heard.len), mac);
    hex_encode(mac, sizeof mac, hex);
    const char *signature = arena_printf(a, "X-Hub-Signature-256: sha256=%s\r\n", hex);
    assert_true(str_find(heard, str_of(signature), 0) < head);
    assert_true(str_find(heard, S("X-Webhook-Secret: s3cret\r\n"), 0) < head);
    assert_true(str_starts(heard, S("POST /hook?key=1 ")));

    Delivery *log = log_of(&w, 1), d;
    assert_str(log[0].state, "delivered");
    assert_int_equal(log[0].status, 200);
    assert_ok(delivery_find(hub, a, &w, log[0].id, &d, &err));
    assert_str(d.response, "hello");
    assert_true(str_eq(d.request, str_slice(heard, head + 4, heard.len)));
}

static void expect_moves(Str heard, const char *ref, bool had, bool has)
{
    json_t *body = body_of(heard);
    const json_t *list = json_object_get(body, "updatedRefs"), *move = json_array_get(list, 0);
    assert_string_equal(at(body, "event.scope"), "repo.content");
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(at(move, "ref"), ref);
    assert_int_equal(*at(move, "oldSha") != 0, had);
    assert_int_equal(*at(move, "newSha") != 0, has);
    ear_answers(200);
}

static void test_each_move_of_a_ref_is_told_once(void **state)
{
    Error err = {0};
    Viewer ada = test_viewer(hub, a, "ada");
    Repo repo = make("ada", "owl", false);
    watch("bob", "user", "ada");
    start();
    assert_ok(branch_create(hub, &repo, &ada, S("dev"), S(""), false, false, &err));
    expect_moves(ear_heard(1), "refs/heads/dev", false, true);
    commit(&repo, "ada", "dev", "two");
    expect_moves(ear_heard(1), "refs/heads/dev", true, true);
    commit(&repo, "ada", "dev", "two"); // nothing changes
    assert_ok(branch_delete(hub, &repo, S("dev"), &err));
    expect_moves(ear_heard(1), "refs/heads/dev", true, false);
    assert_ok(tag_create(hub, &repo, &ada, S("v1"), S("main"), S("A tag"), &err));
    expect_moves(ear_heard(1), "refs/tags/v1", false, true);
    assert_ok(tag_delete(hub, &repo, S("v1"), &err));
    expect_moves(ear_heard(1), "refs/tags/v1", true, false);
    commit(&repo, "ada", "main", "three");
    expect_moves(ear_heard(1), "refs/heads/main", true, true);
    assert_ok(branch_squash(hub, &repo, &ada, S("main"), S(""), &err));
    expect_moves(ear_heard(1), "refs/heads/main", true, true);
}

static void expect(Str heard, const char *action, const char *scope)
{
    json_t *body = body_of(heard);
    assert_string_equal(at(body, "event.action"), action);
    assert_string_equal(at(body, "event.scope"), scope);
}

static void test_the_life_of_a_repository_is_told(void **state)
{
    Error err = {0};
    Viewer ada = test_viewer(hub, a, "ada");
    watch("ada", "model", "ada/owl"); // before there is one
    start();
    Repo repo = make("ada", "Owl", true), moved;
    Str heard = ear_heard(1);
    expect(heard, "create", "repo");
    assert_true(json_is_true(json_at(body_of(heard), "repo.private")));
    assert_int_equal(strlen(at(body_of(heard), "repo.headSha")), 40);
    ear_answers(200);
    watch("ada", "model", "ada/owl"); // by what it is: this one follows it
    bool hide = false;
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.is_private = &hide}, &err));
    heard = ear_heard(2);
    assert_true(str_find(heard, S("\"updatedConfig\":{\"private\":false}"), 0) != SIZE_MAX);
    assert_true(str_find(heard, S("\"scope\":\"repo.config\""), 0) != SIZE_MAX);
    ear_answers(200);
    assert_ok(repo_move(hub, a, &ada, &repo, S("ada/eagle"), &err));
    heard = ear_heard(2);
    assert_true(str_find(heard, S("\"movedTo\":{\"name\":\"ada/eagle\",\"owner\":{\"id\":\""), 0) !=
                SIZE_MAX);
    assert_true(str_find(heard, S("\"name\":\"ada/Owl\""), 0) != SIZE_MAX);
    ear_answers(200);
    assert_ok(repo_find(hub, a, &ada, REPO_MODEL, S("ada/eagle"), ACCESS_ADMIN, &moved, &err));
    assert_ok(repo_delete(hub, &moved, &err));
    expect(ear_heard(1), "delete", "repo");
    ear_answers(200);
    // With it goes the id: the name is watched again, both times.
    make("ada", "owl", false);
    ear_heard(2);
}

static void test_discussions_are_told(void **state)
{
    Error err = {0};
    Viewer ada = test_viewer(hub, a, "ada"), bob = test_viewer(hub, a, "bob");
    Repo repo = make("ada", "owl", false);
    watch("bob", "model", "ada/owl");
    bool no = false, yes = true;
    Webhook mute = watch("ada", "model", "ada/owl");
    WebhookChange only_repo = {.on_repo = &yes, .on_discussion = &no};
    assert_ok(webhook_change(hub, a, &ada, &mute, &only_repo, &err));
    start();
    Discussion d;
    DiscussionEvent e;
    NewDiscussion new = {.title = S("Wings"), .description = S("Are *there* any?")};
    assert_ok(repo_find(hub, a, &bob, REPO_MODEL, S("ada/owl"), ACCESS_PROPOSE, &repo, &err));
    assert_ok(discussion_create(hub, a, &bob, &repo, &new, &d, &err));
    Str heard = ear_heard(1);
    expect(heard, "create", "discussion");
    json_t *body = body_of(heard);
    assert_string_equal(at(body, "discussion.title"), "Wings");
    assert_string_equal(at(body, "discussion.status"), "open");
    assert_string_equal(at(body, "discussion.url.web"), "http://hub.example/ada/owl/discussions/1");
    assert_string_equal(at(body, "comment.content"), "Are *there* any?");
    assert_null(json_at(body, "repo.headSha"));
    ear_answers(200);
    assert_ok(discussion_comment(hub, a, &bob, &repo, &d, S("Two"), &e, &err));
    heard = ear_heard(1);
    expect(heard, "create", "discussion.comment");
    assert_string_equal(
        at(body_of(heard), "comment.url.web"),
        arena_printf(a, "http://hub.example/ada/owl/discussions/1#%.*s", STR(e.id)));
    ear_answers(200);
    assert_ok(discussion_edit(hub, a, &bob, &repo, &d, e.id, S("Three"), &e, &err));
    heard = ear_heard(1);
    expect(heard, "update", "discussion.comment");
    assert_string_equal(at(body_of(heard), "comment.content"), "Three");
    ear_answers(200);
    assert_ok(discussion_hide(hub, a, &bob, &repo, &d, e.id, &e, &err));
    heard = ear_heard(1);
    assert_true(json_is_true(json_at(body_of(heard), "comment.hidden")));
    assert_null(json_at(body_of(heard), "comment.content"));
    ear_answers(200);
    assert_ok(discussion_set_status(hub, a, &bob, &repo, &d, S("closed"), S("Bye"), &e, &err));
    heard = ear_heard(2);
    assert_true(str_find(heard, S("\"content\":\"Bye\""), 0) != SIZE_MAX);
    assert_true(str_find(heard, S("\"action\":\"update\",\"scope\":\"discussion\""), 0) !=
                SIZE_MAX);
    log_of(&mute, 0);
    ear_answers(200);
    // A pull request's ref is content, so the other webhook hears of it too.
    assert_ok(discussion_create(
        hub, a, &bob, &repo, &(NewDiscussion){.title = S("Feathers"), .is_pull = true}, &d, &err));
    heard = ear_heard(3);
    assert_true(str_find(heard, S("\"ref\":\"refs/pr/2\",\"oldSha\":null"), 0) != SIZE_MAX);
    assert_true(str_find(heard, S("\"changes\":{\"base\":\"refs/heads/main\"}"), 0) != SIZE_MAX);
    log_of(&mute, 1);
}

static void test_a_hidden_comment_is_not_sent_later(void **state)
{
    Error err = {0};
    Viewer ada = test_viewer(hub, a, "ada");
    Repo repo = make("ada", "owl", false);
    Webhook w = watch("bob", "model", "ada/owl");
    Discussion d;
    DiscussionEvent e;
    NewDiscussion new = {.title = S("Wings"), .description = S("One")};
    assert_ok(discussion_create(hub, a, &ada, &repo, &new, &d, &err));
    assert_ok(discussion_comment(hub, a, &ada, &repo, &d, S("my password"), &e, &err));
    assert_ok(discussion_edit(hub, a, &ada, &repo, &d, e.id, S("my passw..."), &e, &err));
    assert_ok(discussion_hide(hub, a, &ada, &repo, &d, e.id, &e, &err));
    start();
    Str heard = ear_heard(4);
    assert_true(str_find(heard, S("my passw"), 0) == SIZE_MAX);
    assert_true(str_find(heard, S("\"content\":\"One\""), 0) != SIZE_MAX);
    // And what was sent before is forgotten with the discussion.
    ear_answers(200);
    assert_ok(discussion_delete(hub, &repo, &d, &err));
    expect(ear_heard(1), "delete", "discussion");
    Delivery *log = log_of(&w, 5), first;
    assert_ok(delivery_find(hub, a, &w, log[4].id, &first, &err));
    assert_string_equal(at(body_of_text(first.request), "event.action"), "create");
    assert_null(json_at(body_of_text(first.request), "comment.content"));
}

static void test_only_who_may_read_when_it_is_sent_is_told(void **state)
{
    Error err = {0};
    bool hide = true;
    Str manual = S("manual");
    Repo secret = make("ada", "secret", true), open = make("ada", "open", false);
    Repo gated = make("ada", "gated", false);
    assert_ok(repo_change(hub, &gated, &(RepoSettings){.gated = &manual}, &err));
    Webhook bobs = watch("bob", "user", "ada"), guess = watch("bob", "model", "ada/secret");
    Webhook adas = watch("ada", "user", "ada");
    commit(&secret, "ada", "main", "one");
    commit(&gated, "ada", "main", "one");
    commit(&open, "ada", "main", "one");
    // Open when it happened, but not when it would be sent.
    assert_ok(repo_change(hub, &open, &(RepoSettings){.is_private = &hide}, &err));
    start();
    log_of(&adas, 4);
    ear_heard(4);
    log_of(&bobs, 0);
    log_of(&guess, 0);
    ear_answers(200);
    // The end of a private one is not told either; that of an open one is.
    assert_ok(repo_delete(hub, &secret, &err));
    Repo last = make("ada", "last", false);
    assert_ok(repo_delete(hub, &last, &err));
    log_of(&adas, 7);
    log_of(&guess, 0);
    Delivery *told = log_of(&bobs, 2);
    assert_str(told[0].repo, "ada/last");
    // Who is let in hears of a gated one.
    ear_answers(200);
    assert_ok(gate_grant(hub, a, &gated, S("bob"), &err));
    commit(&gated, "ada", "main", "two");
    log_of(&bobs, 3);
    // What one could read then is not played again now.
    assert_ok(
        repo_find(hub, a, &(Viewer){0}, REPO_MODEL, S("ada/gated"), ACCESS_READ, &gated, &err));
    assert_ok(repo_change(hub, &gated, &(RepoSettings){.is_private = &hide}, &err));
    Viewer bob = test_viewer(hub, a, "bob");
    Str again;
    assert_fails(delivery_replay(hub, a, &bob, &bobs, log_of(&bobs, 3)[0].id, &again, &err),
                 ERR_NO_REPO, "not found");
}

static void test_it_tries_again_then_gives_up_and_in_the_end_disables(void **state)
{
    Error err = {0};
    Viewer bob = test_viewer(hub, a, "bob");
    Repo repo = make("ada", "owl", false);
    Webhook w = watch("bob", "model", "ada/owl");
    ear_answers(503);
    start();
    commit(&repo, "ada", "main", "0");
    ear_heard(3);
    Delivery *log = log_of(&w, 1);
    assert_str(log[0].state, "failed");
    assert_int_equal(log[0].attempts, 3);
    assert_int_equal(log[0].status, 503);
    ear_answers(200);
    Str again;
    assert_ok(delivery_replay(hub, a, &bob, &w, log[0].id, &again, &err));
    log = log_of(&w, 2);
    assert_str(log[0].state, "delivered");
    assert_true(str_eq(log[0].id, again));
    ear_answers(410); // is not asked twice
    for (int i = 0; i < WEBHOOK_GIVES_UP; i++)
        commit(&repo, "ada", "main", arena_printf(a, "%d", i + 1));
    log_of(&w, 2 + WEBHOOK_GIVES_UP);
    ear_heard(WEBHOOK_GIVES_UP);
    assert_ok(webhook_find(hub, a, &bob, w.id, &w, &err));
    assert_true(w.disabled);
    assert_str(w.reason, "20 deliveries in a row failed");
    assert_fails(webhook_test(hub, a, &bob, &w, &again, &err), ERR_INVALID, "disabled");
    commit(&repo, "ada", "main", "nobody hears");
    ear_answers(200);
    assert_ok(webhook_enable(hub, &w, true, &err));
    assert_ok(webhook_find(hub, a, &bob, w.id, &w, &err));
    assert_ok(webhook_test(hub, a, &bob, &w, &again, &err));
    json_t *body = body_of(ear_heard(1));
    assert_string_equal(at(body, "repo.name"), "bob/a-test");
    assert_true(json_is_true(json_at(body, "test")));
}

static void reopen(void)
{
    hub_close(hub);
    open_hub();
}

/* Waits until so many attempts at the last delivery are known. */
static void noted(const Webhook *w, int64_t attempts)
{
    Error err = {0};
    Delivery *list;
    size_t n = 0;
    bool more;
    for (int i = 0; i < 2000 && (!n || list[0].attempts < attempts); i++) {
        usleep(5000);
        assert_ok(delivery_list(hub, a, w, S(""), 1, &list, &n, &more, &err));
    }
    assert_int_equal(list[0].attempts, attempts);
}

static void test_what_was_not_sent_is_sent_after_the_next_start(void **state)
{
    Repo repo = make("ada", "owl", false);
    Webhook w = watch("bob", "user", "ada");
    commit(&repo, "ada", "main", "one"); // nobody sends
    reopen();
    configure(1, 3);
    ear_answers(500);
    start();
    ear_heard(1);
    noted(&w, 1);
    reopen(); // it waits for its second attempt
    configure(0, 3);
    ear_answers(200);
    start();
    ear_heard(1);
    Delivery *log = log_of(&w, 1);
    assert_str(log[0].state, "delivered");
    assert_int_equal(log[0].attempts, 2);
}

/* As `hug admin` does it, in another process. */
static void test_an_account_that_is_renamed_and_deleted_beside_the_hub_is_told(void **state)
{
    Error err = {0};
    Account ada;
    char name[20];
    start();
    make("ada", "x", false);
    watch("bob", "user", "ada");
    snprintf(name, sizeof name, "hub%d", stories);
    AUTO(hub_close)
    Hub *beside = hub_open(
        &(HubOptions){.data = test_path(name), .db = test_db(name), .accounts_only = true}, &err);
    assert_ok(beside);
    assert_ok(account_find(beside, a, S("ada"), &ada, &err));
    assert_ok(account_rename(beside, &ada, S("eve"), &err));
    assert_ok(account_find(beside, a, S("eve"), &ada, &err));
    assert_ok(account_delete(beside, &ada, &err));
    webhooks_wake(hub); // it would look by itself a little later
    Str heard = ear_heard(2);
    assert_true(str_find(heard, S("\"action\":\"move\""), 0) != SIZE_MAX);
    assert_true(str_find(heard, S("\"name\":\"eve/x\""), 0) != SIZE_MAX);
    assert_true(str_find(heard, S("\"action\":\"delete\""), 0) != SIZE_MAX);
}

static size_t log_length(const Webhook *w)
{
    Error err = {0};
    Delivery *list;
    size_t n;
    bool more;
    assert_ok(delivery_list(hub, a, w, S(""), 100, &list, &n, &more, &err));
    return n;
}

static void prune(int64_t before_ns, int64_t most)
{
    Error err = {0};
    int64_t n = 1;
    while (n) {
        AUTO(conn_end) Conn *c = db_write(hub->db, &err);
        assert_ok(c && sql_webhooks_prune(c, before_ns, most, &n, &err) && conn_commit(c, &err));
    }
}

static void test_a_log_and_a_day_have_an_end(void **state)
{
    Error err = {0};
    Viewer bob = test_viewer(hub, a, "bob");
    Repo repo = make("ada", "owl", false);
    Webhook w = watch("bob", "model", "ada/owl");
    Str id;
    for (int i = 0; i < 5; i++)
        assert_ok(webhook_test(hub, a, &bob, &w, &id, &err));
    prune(0, 2);
    assert_int_equal(log_length(&w), 5); // what waits stays
    start();
    log_of(&w, 5);
    prune(0, 2);
    assert_int_equal(log_length(&w), 2);
    {
        AUTO(conn_end) Conn *c = db_write(hub->db, &err);
        WebhookTask task;
        assert_ok(sql_webhook_task(c, a, w.id, id, 0, &task, &err));
        for (int i = 0; i < WEBHOOKS_A_DAY; i++)
            assert_ok(sql_delivery_add(c, id_new(a), w.id, task.record.id, wall_ns(), 0, &err));
        assert_ok(conn_commit(c, &err));
    }
    assert_fails(webhook_test(hub, a, &bob, &w, &id, &err), ERR_RATE, "1000");
    ear_answers(200);
    Webhook other = watch("ada", "model", "ada/owl");
    commit(&repo, "ada", "main", "one");
    log_of(&other, 1);
    ear_heard(1);
    prune(wall_ns(), 100);
    assert_int_equal(log_length(&w) + log_length(&other), 0);
    WebhookRecord record;
    AUTO(conn_end) Conn *c = db_read(hub->db, &err);
    assert_fails(sql_webhook_record_next(c, a, &record, &err), ERR_NOT_FOUND, "");
}

static void test_what_may_be_said_of_a_webhook(void **state)
{
    Error err = {0};
    Viewer bob = test_viewer(hub, a, "bob");
    Webhook w;
    Str url = S("https://example.org/x"), secret = S("x");
    WebhookWatch what = {S("user"), S("ada")};
    WebhookChange with = {.url = &url, .secret = &secret, .watched = &what, .n_watched = 1};
    static const struct {
        const char *url;
        ErrorCode code;
    } urls[] = {{"example.org", ERR_INVALID},       {"ftp://example.org/", ERR_INVALID},
                {"http://10.0.0.1/", ERR_DENIED},   {"http://[::1]/", ERR_DENIED},
                {"http://a.b/x\r\ny", ERR_INVALID}, {"", ERR_INVALID}};
    for (size_t i = 0; i < COUNT(urls); i++) {
        url = str_of(urls[i].url);
        assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), urls[i].code, "url");
    }
    url = S("https://example.org/x");
    secret = S("a\r\nX-Evil: 1");
    assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), ERR_INVALID, "secret");
    secret = S("");
    what = (WebhookWatch){S("bucket"), S("ada/x")};
    assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), ERR_INVALID, "bucket");
    what = (WebhookWatch){S("model"), S("owl")};
    assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), ERR_INVALID, "owner/name");
    what = (WebhookWatch){S("model"), S("ada/../x")};
    assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), ERR_INVALID, "name");
    with.n_watched = 0;
    assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), ERR_INVALID, "watched");
    with.n_watched = 1;
    what = (WebhookWatch){S("space"), S("nobody/knows")};
    for (int i = 0; i < MAX_WEBHOOKS; i++)
        assert_ok(webhook_create(hub, a, &bob, &with, &w, &err));
    assert_fails(webhook_create(hub, a, &bob, &with, &w, &err), ERR_LIMIT, "100");
    // One's own alone.
    Viewer ada = test_viewer(hub, a, "ada");
    assert_fails(webhook_find(hub, a, &ada, w.id, &w, &err), ERR_NOT_FOUND, "webhook");
}

int main(void)
{
    atexit(test_folder_remove);
#define STORY(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down),
    const struct CMUnitTest tests[] = {FOR_EACH(
        STORY, test_a_commit_is_told_in_full_and_signed, test_each_move_of_a_ref_is_told_once,
        test_the_life_of_a_repository_is_told, test_discussions_are_told,
        test_a_hidden_comment_is_not_sent_later, test_only_who_may_read_when_it_is_sent_is_told,
        test_it_tries_again_then_gives_up_and_in_the_end_disables,
        test_what_was_not_sent_is_sent_after_the_next_start,
        test_an_account_that_is_renamed_and_deleted_beside_the_hub_is_told,
        test_a_log_and_a_day_have_an_end, test_what_may_be_said_of_a_webhook)};
#undef STORY
    return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
