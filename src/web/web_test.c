/* Stories of the pages: a server of our own, a browser's requests, what comes back. */
#include "base/test.h"
#include "hub/discussions.h"
#include "hub/hub.h"
#include "net/client.h"
#include "web/web.h"

static Arena *a;
static Hub *hub;
static Web *web;
static Server *server;
static Client *client;
static const char *cookies = "Cookie: ";

static void on_error(Request *r, int status, const char *text, const Error *err)
{
    if (web_wants(r))
        web_error(r, status, text, err);
    else
        reply_bytes(r, status, "text/plain", str_of(text));
}

static ClientAnswer ask(const char *path, const char *form)
{
    Error err = {0};
    ClientAnswer answer = {0};
    const char *headers[] = {"Accept: text/html", cookies,
                             "Content-Type: application/x-www-form-urlencoded", NULL};
    ClientCall call = {.url = arena_printf(a, "http://%s%s", server_address(server), path),
                       .method = form ? "POST" : "GET",
                       .headers = headers,
                       .body = str_of(form),
                       .stay = true};
    assert_ok(client_call(client, a, &call, &answer, &err));
    return answer;
}

static void want(const char *path, int status, const char *words)
{
    ClientAnswer answer = ask(path, NULL);
    if (answer.status != status || !strstr(answer.body.ptr, words))
        fail_msg("%s: %d, wanted %d with '%s':\n%.*s", path, answer.status, status, words,
                 STR(answer.body));
    if (status == 200)
        assert_non_null(strstr(answer.body.ptr, "</html>"));
}

/* The value of the first hidden field csrf of a page. */
static Str csrf_of(const char *path)
{
    ClientAnswer answer = ask(path, NULL);
    const char *mark = "name=\"csrf\" value=\"";
    size_t at = str_find(answer.body, str_of(mark), 0);
    assert_true(at != SIZE_MAX);
    at += strlen(mark);
    return str_slice(answer.body, at, str_find_char(answer.body, '"', at));
}

static int log_in(void **state)
{
    Error err = {0};
    Account account;
    Str cookie;
    NewUser user = {.name = S("ada"), .password = S("correct horse")};
    assert_ok(user_create(hub, a, &user, &account, &err));
    assert_ok(session_open_for(hub, a, &account, &cookie, &err));
    cookies = arena_printf(a, "Cookie: " SESSION_COOKIE "=%.*s", STR(cookie));
    return 0;
}

static void put_files(void)
{
    Error err = {0};
    Viewer ada;
    Repo repo;
    Str sha;
    static const char text[] = "---\nlicense: mit\npipeline_tag: text-generation\n---\n# Hello\n\n"
                               "<script>x</script>\n\n[a](b.md)\n";
    assert_ok(viewer_of_user(hub, a, S("ada"), &ada, &err));
    for (int kind = 0; kind < REPO_KINDS; kind++) {
        NewRepo new = {.kind = (RepoKind)kind, .name = S("x"), .sdk = S("gradio")};
        assert_ok(repo_create(hub, a, &ada, &new, &repo, &err));
        AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
        assert_ok(c);
        change_title(c, S("Say <hello>"), S("At last."));
        change_add(c, S("README.md"), str_of(text));
        change_add(c, S("a b/c#d.py"), S("import sys\n"));
        change_add(c, S("bytes.bin"), (Str){"\0\1\2", 3});
        assert_ok(change_commit(c, a, &sha, &err));
    }
}

static int set_up(void **state)
{
    Error err = {0};
    a = arena_new(0);
    hub = hub_open(&(HubOptions){.data = test_path("hub")}, &err);
    assert_ok(hub);
    web = web_new(&(WebOptions){.hub = hub}, &err);
    assert_ok(web);
    client = client_new();
    server = server_start(
        &(ServerOptions){
            .listen = "127.0.0.1:0", .tables = web_tables(web), .workers = 2, .on_error = on_error},
        &err);
    assert_ok(server);
    return 0;
}

static int tear_down(void **state)
{
    server_stop(server, 0);
    client_free(client);
    web_free(web);
    hub_close(hub);
    arena_free(a);
    test_folder_remove();
    return 0;
}

static void test_strangers_see_pages(void **state)
{
    want("/", 200, "This hub is empty");
    want("/models", 200, "No models yet");
    want("/datasets", 200, "No datasets yet");
    want("/spaces", 200, "No Spaces yet");
    want("/search", 200, "Search everything");
    want("/search?q=%25", 200, "Nothing matches");
    want("/leaderboard", 200, "Nothing was downloaded yet");
    want("/leaderboard?type=people", 400, "no such leaderboard");
    want("/leaderboard?days=1000", 400, "no such leaderboard");
    want("/models?num_parameters=big", 400, "num_parameters");
    want("/login?next=/new", 200, "value=\"/new\"");
    want("/login?next=//evil.example", 200, "name=\"next\" value=\"/\"");
    want("/join", 200, "Create account");
    want("/nobody", 404, "no such person");
    want("/nobody/nothing", 404, "Nothing here");
    want("/a/b/c/d/e", 404, "Nothing here");
    want("/new", 303, "");
    assert_int_equal(ask("/static/hug.css", NULL).status, 200);
}

static void test_every_page_gets_its_variables(void **state)
{
    log_in(state);
    put_files();
    static const char *const pages[][2] = {
        {"/", "Yours"},
        {"/models?pipeline_tag=text-generation&license=license:mit&search=x&sort=likes", "ada"},
        {"/datasets", "Datasets"},
        {"/spaces", "Spaces"},
        {"/ada", "Joined"},
        {"/ada/x", "card-hello"},
        {"/datasets/ada/x", "Use this dataset"},
        {"/spaces/ada/x", "Use this Space"},
        {"/ada/x/tree/main", "a%20b"},
        {"/ada/x/tree/main/a%20b", "/ada/x/blob/main/a%20b/c%23d.py"},
        {"/ada/x/blob/main/README.md", "?plain=1"},
        {"/ada/x/blob/main/README.md?plain=1", "data-n=\"1\""},
        {"/ada/x/blob/main/a%20b/c%23d.py", "<span class=\"k\">import</span>"},
        {"/ada/x/blob/main/bytes.bin", "Git object"},
        {"/ada/x/commits/main", "Say &lt;hello&gt;"},
        {"/ada/x/commits/main/README.md", "History of"},
        {"/ada/x/commit/main", "At last."},
        {"/ada/x/discussions", "No discussions yet"},
        {"/ada/x/discussions/new", "New discussion"},
        {"/ada/x/settings", "Delete this model"},
        {"/new", "New model"},
        {"/new-dataset", "New dataset"},
        {"/new-space", "Made with"},
        {"/settings/tokens", "No tokens yet"},
        {"/settings/profile", "About you"},
        {"/ada", "Edit profile"},
        {"/notifications", "You have seen everything"},
        {"/notifications?show=mentions", "Nobody has mentioned you"},
        {"/settings/notifications", "Tell me when"},
        {"/settings/account", "Another name"},
        {"/ada?tab=likes", "Nothing liked yet"},
        {"/ada?tab=discussions", "No discussions"},
        {"/ada?tab=followers", "No followers yet"},
        {"/ada?tab=following", "Follows nobody"},
    };
    for (size_t i = 0; i < COUNT(pages); i++)
        want(pages[i][0], 200, pages[i][1]);
    ClientAnswer card = ask("/ada/x", NULL);
    assert_null(strstr(card.body.ptr, "<script>x"));
    assert_non_null(strstr(card.body.ptr, "href=\"/ada/x/blob/main/b.md\""));
    assert_true(str_find(client_header(&card, "Content-Security-Policy"), S("default-src 'none'"),
                         0) != SIZE_MAX);
    want("/ada/x/tree/nowhere", 404, "Nothing here");
    want("/ada/x/blob/main/absent", 404, "Nothing here");
}

static void test_a_discussion_is_held_in_pages(void **state)
{
    const char *csrf = arena_cstr(a, csrf_of("/ada/x/discussions/new"));
    const char *form = arena_printf(a, "csrf=%s&title=&comment=x", csrf);
    assert_int_equal(ask("/ada/x/discussions/new", form).status, 400);
    form = arena_printf(a, "csrf=%s&title=Why%%3F&comment=**Because**%%20%%3Cscript%%3E", csrf);
    ClientAnswer made = ask("/ada/x/discussions/new", form);
    assert_int_equal(made.status, 303);
    assert_str(client_header(&made, "Location"), "/ada/x/discussions/1");
    want("/ada/x/discussions", 200, "Why?");
    want("/ada/x/discussions/1", 200, "<strong>Because</strong>");
    assert_null(strstr(ask("/ada/x/discussions/1", NULL).body.ptr, "<script>\n"));
    form = arena_printf(a, "csrf=%s&comment=Done&do=closed", csrf);
    assert_int_equal(ask("/ada/x/discussions/1/comment", form).status, 303);
    want("/ada/x/discussions", 200, "No discussions yet");
    want("/ada/x/discussions?status=closed", 200, "Why?");
    want("/ada/x/discussions/1", 200, "Open again");
    form = arena_printf(a, "csrf=%s&title=How%%3F", csrf);
    assert_int_equal(ask("/ada/x/discussions/1/title", form).status, 303);
    want("/ada/x/discussions/1", 200, "<s>Why?</s>");

    Error err = {0};
    Viewer ada;
    Repo repo;
    Str sha;
    Discussion d;
    assert_ok(viewer_of_user(hub, a, S("ada"), &ada, &err));
    assert_ok(repo_find(hub, a, &ada, REPO_MODEL, S("ada/x"), ACCESS_WRITE, &repo, &err));
    AUTO(change_free) Change *c = change_open_pull(hub, &repo, &ada, S("main"), &err);
    assert_ok(c);
    change_title(c, S("More"), S("I propose."));
    change_add(c, S("more.txt"), S("more\n"));
    assert_ok(change_commit_pull(c, a, &sha, &d, &err));
    want("/ada/x/discussions?type=pull_request", 200, "More");
    want("/ada/x/discussions/2", 200, "It can be merged");
    want("/ada/x/discussions/2/files", 200, "more.txt");
    want("/ada/x/discussions/3", 404, "Nothing here");
    form = arena_printf(a, "csrf=%s", csrf);
    assert_int_equal(ask("/ada/x/discussions/2/merge", form).status, 303);
    want("/ada/x/discussions/2", 200, "merged");
    want("/ada/x/blob/main/more.txt", 200, "more");
}

static void test_a_gate_is_asked_at_and_opened(void **state)
{
    Error err = {0};
    Account account;
    Str cookie;
    const char *csrf = arena_cstr(a, csrf_of("/ada/x/settings"));
    const char *mine = cookies, *form = arena_printf(a, "csrf=%s&gated=manual", csrf);
    assert_int_equal(ask("/ada/x/settings/gate", form).status, 200);
    want("/ada/x/blob/main/bytes.bin", 200, "Git object");

    NewUser user = {.name = S("bob"), .password = S("correct horse")};
    assert_ok(user_create(hub, a, &user, &account, &err));
    assert_ok(session_open_for(hub, a, &account, &cookie, &err));
    cookies = arena_printf(a, "Cookie: " SESSION_COOKIE "=%.*s", STR(cookie));
    want("/ada/x/blob/main/bytes.bin", 303, "");
    want("/ada/x/commit/main", 303, "");
    want("/ada/x/tree/main", 200, "bytes.bin");
    want("/ada/x", 200, "You need to ask for these files");
    form = arena_printf(a, "csrf=%s&field%%3AWhy=fun", arena_cstr(a, csrf_of("/ada/x")));
    assert_int_equal(ask("/ada/x/ask-access", form).status, 303);
    want("/ada/x", 200, "You have asked");

    const char *bobs = cookies;
    cookies = mine;
    want("/ada/x/settings", 200, "fun");
    ClientAnswer settings = ask("/ada/x/settings", NULL);
    const char *mark = "name=\"request\" value=\"";
    size_t at = str_find(settings.body, str_of(mark), 0) + strlen(mark);
    Str id = str_slice(settings.body, at, at + 24);
    form = arena_printf(a, "csrf=%s&request=%.*s&status=accepted", csrf, STR(id));
    assert_int_equal(ask("/ada/x/settings/access", form).status, 200);
    cookies = bobs;
    want("/ada/x/blob/main/bytes.bin", 200, "Git object");
    cookies = mine;
    form = arena_printf(a, "csrf=%s&gated=", csrf);
    assert_int_equal(ask("/ada/x/settings/gate", form).status, 200);
}

static void test_a_collection_is_made_filled_and_deleted(void **state)
{
    const char *csrf = arena_cstr(a, csrf_of("/ada/x/settings"));
    const char *form = arena_printf(a, "csrf=%s&title=Good%%20ones", csrf);
    ClientAnswer made = ask("/collections/new", form);
    assert_int_equal(made.status, 303);
    const char *path = arena_cstr(a, client_header(&made, "Location"));
    assert_true(str_starts(str_of(path), S("/collections/ada/good-ones-")));
    want(path, 200, "Nothing in it yet");
    form = arena_printf(a, "csrf=%s&kind=model&target=ada/x&note=The%%20best", csrf);
    assert_int_equal(ask(arena_printf(a, "%s/add", path), form).status, 303);
    assert_int_equal(ask(arena_printf(a, "%s/add", path), form).status, 409);
    want(path, 200, "The best");
    want("/ada", 200, "Good ones");
    form = arena_printf(a, "csrf=%s", csrf);
    assert_int_equal(ask(arena_printf(a, "%s/delete", path), form).status, 303);
    want(path, 404, "Nothing here");
}

static void test_forms_need_their_token(void **state)
{
    assert_int_equal(ask("/ada/x/settings/delete", "name=ada/x").status, 403);
    assert_int_equal(ask("/ada/x/settings/delete", "csrf=00&name=ada/x").status, 403);
    const char *csrf = arena_cstr(a, csrf_of("/ada/x/settings"));
    const char *form = arena_printf(a, "csrf=%s&name=wrong", csrf);
    assert_int_equal(ask("/ada/x/settings/delete", form).status, 400);
    form = arena_printf(a, "csrf=%s&to=ada/y", csrf);
    assert_int_equal(ask("/ada/x/settings/rename", form).status, 303);
    assert_int_equal(ask("/ada/x/tree/main", NULL).status, 307);
    form = arena_printf(a, "csrf=%s&visibility=private", csrf);
    assert_int_equal(ask("/ada/y/settings/visibility", form).status, 200);
    form = arena_printf(a, "csrf=%s&name=laptop&role=write", csrf);
    ClientAnswer made = ask("/settings/tokens", form);
    assert_int_equal(made.status, 201);
    assert_non_null(strstr(made.body.ptr, "hf_"));

    const char *mine = cookies;
    cookies = "Cookie: ";
    want("/ada/y", 404, "Nothing here");
    cookies = mine;
    form = arena_printf(a, "csrf=%s&name=ada/y", csrf);
    assert_int_equal(ask("/ada/y/settings/delete", form).status, 303);
    want("/ada/y", 404, "Nothing here");
}

int main(void)
{
    const struct CMUnitTest stories[] = {
        cmocka_unit_test(test_strangers_see_pages),
        cmocka_unit_test(test_every_page_gets_its_variables),
        cmocka_unit_test(test_a_discussion_is_held_in_pages),
        cmocka_unit_test(test_a_gate_is_asked_at_and_opened),
        cmocka_unit_test(test_a_collection_is_made_filled_and_deleted),
        cmocka_unit_test(test_forms_need_their_token)};
    return cmocka_run_group_tests(stories, set_up, tear_down);
}
