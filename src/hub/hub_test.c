/* Stories of the hub: accounts, who may see what, what a repository holds, how it changes. */
#include "base/encode.h"
#include "base/map.h"
#include "blobs/blobs.h"
#include "git/git.h"
#include "hub/collections.h"
#include "hub/discussions.h"
#include "hub/downloads.h"
#include "hub/gates.h"
#include "hub/hub.h"
#include "hub/hub_testing.h"
#include "hub/people.h"
#include "hub/tokens.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static Hub *hub;
static Arena *a;
static Viewer ada, bob, nobody;

static Viewer join(const char *name)
{
    Error err = {0};
    Account account;
    Viewer viewer = {0};
    Str secret = {0};
    NewUser user = {.name = str_of(name), .password = S("correct horse")};
    assert_ok(user_create(hub, a, &user, &account, &err));
    assert_ok(token_create(hub, a, account.name, S("test"), S("write"), &secret, &err));
    assert_ok(viewer_of_token(hub, a, secret, &viewer, &err));
    return viewer;
}

static int set_up(void **state)
{
    a = arena_new(0);
    hub = test_hub();
    ada = join("Ada");
    bob = join("bob");
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

static Repo make(const char *name, RepoKind kind, bool is_private)
{
    Error err = {0};
    Repo repo = {0};
    NewRepo new = {
        .kind = kind, .name = str_of(name), .is_private = is_private, .sdk = S("gradio")};
    assert_ok(repo_create(hub, a, &ada, &new, &repo, &err));
    return repo;
}

static Str put(const Repo *repo, const char *path, const char *text)
{
    Error err = {0};
    Str sha = {0};
    AUTO(change_free) Change *c = change_open(hub, repo, &ada, S("main"), &err);
    assert_ok(c);
    change_title(c, S("put"), S(""));
    change_add(c, str_of(path), str_of(text));
    assert_ok(change_commit(c, a, &sha, &err));
    return sha;
}

static Str text_of(const Repo *repo, const char *rev, const char *path)
{
    Error err = {0};
    RepoFile file;
    Str bytes = {0};
    assert_ok(repo_file(hub, a, repo, str_of(rev), str_of(path), &file, &err));
    assert_ok(repo_file_bytes(hub, a, repo, &file, 1 << 20, &bytes, &err));
    return bytes;
}

/* ---- Accounts ---- */

static void test_names_follow_the_rules_of_the_hub(void **state)
{
    static const char *const bad[] = {"",     "-a",  "a-",  ".a",    "a.",       "a--b",
                                      "a..b", "a/b", "a b", "a.git", "\xC3\xA9", "a\nb"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(name_check(str_of(bad[i]), NULL));
    assert_true(name_check(S("GPT-2_x.y"), NULL));
    char longest[98];
    memset(longest, 'a', sizeof longest);
    assert_true(name_check((Str){longest, 96}, NULL));
    assert_false(name_check((Str){longest, 97}, NULL));

    Error err = {0};
    Account account;
    assert_fails(user_create(hub, a, &(NewUser){.name = S("api")}, &account, &err), ERR_INVALID,
                 "reserved");
    assert_fails(user_create(hub, a, &(NewUser){.name = S("ADA")}, &account, &err), ERR_EXISTS,
                 "taken");
    assert_fails(
        user_create(hub, a, &(NewUser){.name = S("eve"), .password = S("short")}, &account, &err),
        ERR_INVALID, "password");
    assert_ok(account_find(hub, a, S("aDA"), &account, &err));
    assert_str(account.name, "Ada");
}

static void test_a_password_opens_a_session_and_a_wrong_one_does_not(void **state)
{
    Error err = {0};
    Str cookie = {0};
    Viewer viewer = {0};
    assert_fails(session_open(hub, a, S(""), S("Ada"), S("wrong horse"), &cookie, &err),
                 ERR_UNAUTHENTICATED, "Invalid");
    assert_fails(session_open(hub, a, S(""), S("nobody-here"), S("correct horse"), &cookie, &err),
                 ERR_UNAUTHENTICATED, "Invalid");
    assert_ok(session_open(hub, a, S(""), S("ada"), S("correct horse"), &cookie, &err));
    assert_ok(viewer_of_session(hub, a, cookie, &viewer, &err));
    assert_int_equal(viewer.by, BY_COOKIE);
    assert_str(viewer.account.name, "Ada");
    assert_false(csrf_ok(&viewer, S("")));
    assert_true(csrf_ok(&viewer, viewer.csrf));
    assert_ok(session_close(hub, cookie, &err));
    assert_ok(viewer_of_session(hub, a, cookie, &viewer, &err));
    assert_int_equal(viewer.by, BY_NOBODY);
}

static void test_guessing_a_password_is_stopped(void **state)
{
    Error err = {0};
    Str cookie;
    for (int i = 0; i < 10; i++)
        assert_false(session_open(hub, a, S(""), S("bob"), S("guess"), &cookie, NULL));
    assert_fails(session_open(hub, a, S(""), S("BOB"), S("correct horse"), &cookie, &err), ERR_RATE,
                 "too many");
}

static void test_tokens_have_the_shape_that_clients_want(void **state)
{
    Error err = {0};
    Str secret = {0};
    Viewer viewer = {0};
    assert_ok(token_create(hub, a, S("ada"), S("laptop"), S("read"), &secret, &err));
    assert_int_equal(secret.len, 37);
    assert_true(str_starts(secret, S("hf_")));
    for (size_t i = 3; i < secret.len; i++)
        assert_true(isalnum((unsigned char)secret.ptr[i]));

    Str bearer = str_of(arena_printf(a, "Bearer %.*s", STR(secret)));
    assert_ok(viewer_of_authorization(hub, a, bearer, &viewer, &err));
    assert_str(viewer.token_name, "laptop");
    assert_false(viewer.can_write);
    // git sends it as the password; some clients as the user's name.
    static const char *const pairs[] = {"anything:%.*s", "%.*s:", "%.*s"};
    for (size_t i = 0; i < COUNT(pairs); i++) {
        AUTO_BUF basic;
        buf_init(&basic, 0);
        buf_add(&basic, S("Basic "));
        base64_encode(&basic, str_of(arena_printf(a, pairs[i], STR(secret))));
        assert_ok(viewer_of_authorization(hub, a, buf_str(&basic), &viewer, &err));
        assert_str(viewer.account.name, "Ada");
    }
    Token *tokens;
    size_t n = 0;
    assert_ok(token_list(hub, a, S("ada"), &tokens, &n, &err));
    assert_int_equal(n, 2);
    assert_str(tokens[0].tail, arena_cstr(a, str_slice(secret, 33, 37)));
    assert_fails(token_revoke(hub, S("bob"), tokens[0].id, &err), ERR_NOT_FOUND, "token");
    assert_ok(token_revoke(hub, S("ada"), tokens[0].id, &err));
    assert_fails(viewer_of_authorization(hub, a, bearer, &viewer, &err), ERR_UNAUTHENTICATED,
                 "Invalid credentials");
}

/* ---- Repositories ---- */

static void test_a_new_repository_has_a_first_commit(void **state)
{
    Error err = {0};
    Repo repo = make("first", REPO_MODEL, false);
    assert_str(repo.full, "Ada/first");
    assert_int_equal(repo.access, ACCESS_ADMIN);
    RepoLog log = {0};
    assert_ok(repo_log(hub, a, &repo, S("main"), S(""), 0, 10, &log, &err));
    assert_int_equal(log.n, 1);
    assert_str(log.items[0].title, "initial commit");
    assert_int_equal(log.items[0].id.len, 40);
    RepoTree tree = {0};
    assert_ok(repo_tree(hub, a, &repo, S(""), S(""), true, &tree, &err));
    assert_int_equal(tree.n, 1);
    assert_str(tree.items[0].path, ".gitattributes");

    Repo space = make("first", REPO_SPACE, false);
    assert_true(str_find(text_of(&space, "main", "README.md"), S("sdk: gradio"), 0) != SIZE_MAX);
    Repo again = {0};
    NewRepo same = {.name = S("FIRST")};
    assert_fails(repo_create(hub, a, &ada, &same, &again, &err), ERR_EXISTS, "already created");
    assert_str(again.full, "Ada/first");
    NewRepo other = {.name = S("x"), .owner = S("ada")};
    assert_fails(repo_create(hub, a, &bob, &other, &again, &err), ERR_DENIED, "namespace");
    assert_fails(repo_create(hub, a, &nobody, &other, &again, &err), ERR_UNAUTHENTICATED, "");
}

static void test_a_private_repository_is_nobody_elses_business(void **state)
{
    Error err = {0};
    Repo repo = make("secret", REPO_DATASET, true), found;
    assert_fails(repo_find(hub, a, &nobody, REPO_DATASET, repo.full, ACCESS_READ, &found, &err),
                 ERR_NO_REPO, "not found");
    assert_fails(repo_find(hub, a, &bob, REPO_DATASET, repo.full, ACCESS_WRITE, &found, &err),
                 ERR_NO_REPO, "not found");
    assert_ok(repo_find(hub, a, &ada, REPO_DATASET, S("ada/SECRET"), ACCESS_ADMIN, &found, &err));
    RepoQuery query = {.kind = REPO_DATASET, .limit = 100};
    RepoPage page = {0};
    assert_ok(repo_list(hub, a, &bob, &query, &page, &err));
    assert_int_equal(page.n, 0);
    assert_ok(repo_list(hub, a, &ada, &query, &page, &err));
    assert_int_equal(page.n, 1);
    bool open = false;
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.is_private = &open}, &err));
    assert_ok(repo_find(hub, a, &bob, REPO_DATASET, repo.full, ACCESS_READ, &found, &err));
    assert_fails(repo_find(hub, a, &bob, REPO_DATASET, repo.full, ACCESS_WRITE, &found, &err),
                 ERR_DENIED, "may not");
    assert_fails(repo_find(hub, a, &nobody, REPO_DATASET, repo.full, ACCESS_WRITE, &found, &err),
                 ERR_UNAUTHENTICATED, "token");
}

static void test_members_of_an_organisation_share_its_repositories(void **state)
{
    Error err = {0};
    Account org;
    Repo repo = {0}, found;
    assert_ok(org_create(hub, a, S("acme"), S("Acme Corp"), S("ada"), &org, &err));
    assert_int_equal(org.n_others, 1);
    assert_ok(viewer_of_user(hub, a, S("ada"), &ada, &err)); // who is now a member
    NewRepo new = {.name = S("shared"), .owner = S("ACME"), .is_private = true};
    assert_ok(repo_create(hub, a, &ada, &new, &repo, &err));
    assert_str(repo.full, "acme/shared");
    assert_fails(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_READ, &found, &err),
                 ERR_NO_REPO, "");
    assert_ok(org_set_member(hub, S("acme"), S("bob"), S("read"), &err));
    assert_ok(viewer_of_user(hub, a, S("bob"), &bob, &err));
    assert_ok(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_READ, &found, &err));
    assert_fails(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_WRITE, &found, &err),
                 ERR_DENIED, "");
    assert_ok(org_set_member(hub, S("acme"), S("bob"), S("write"), &err));
    assert_ok(viewer_of_user(hub, a, S("bob"), &bob, &err));
    assert_ok(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_WRITE, &found, &err));
    assert_fails(org_set_member(hub, S("acme"), S("bob"), S("king"), &err), ERR_INVALID, "role");
}

static void test_what_new_repositories_are_by_default(void **state)
{
    Error err = {0};
    Account account;
    Repo repo;
    Viewer now;
    assert_ok(org_create(hub, a, S("secretive"), S(""), S("ada"), &account, &err));
    assert_ok(account_set_repos_private(hub, S("secretive"), true, &err));
    assert_ok(viewer_of_user(hub, a, S("ada"), &now, &err));
    NewRepo new = {.owner = S("secretive"), .name = S("one"), .by_default = true};
    assert_ok(repo_create(hub, a, &now, &new, &repo, &err));
    assert_true(repo.is_private);
    new = (NewRepo){.owner = S("secretive"), .name = S("two")};
    assert_ok(repo_create(hub, a, &now, &new, &repo, &err));
    assert_false(repo.is_private);
}

static void test_a_moved_repository_is_found_under_its_old_name(void **state)
{
    Error err = {0};
    Repo repo = make("old-name", REPO_MODEL, false), found = {0};
    make("taken", REPO_MODEL, false);
    assert_fails(repo_move(hub, a, &ada, &repo, S("Ada/taken"), &err), ERR_EXISTS,
                 "A model repository called `Ada/taken` already exists");
    assert_ok(repo_move(hub, a, &ada, &repo, S("ada/new-name"), &err));
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, S("Ada/old-name"), ACCESS_READ, &found, &err));
    assert_true(found.moved);
    assert_str(found.full, "Ada/new-name");
    // Back again: the redirect that stood there makes room.
    assert_ok(repo_move(hub, a, &ada, &found, S("ada/old-name"), &err));
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, S("Ada/old-name"), ACCESS_READ, &found, &err));
    assert_false(found.moved);
    assert_ok(repo_delete(hub, &found, &err));
    assert_fails(repo_find(hub, a, &ada, REPO_MODEL, S("Ada/old-name"), ACCESS_READ, &found, &err),
                 ERR_NO_REPO, "");
    assert_fails(repo_find(hub, a, &ada, REPO_MODEL, S("Ada/new-name"), ACCESS_READ, &found, &err),
                 ERR_NO_REPO, "");
    assert_int_equal(access(found.git_dir, F_OK), -1);
}

/* ---- Changes ---- */

static void test_a_commit_adds_copies_and_deletes(void **state)
{
    Error err = {0};
    Repo repo = make("change", REPO_MODEL, false);
    Str first = put(&repo, "dir/a.txt", "one"), second = {0};
    put(&repo, "b.txt", "two");
    AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
    change_title(c, S("several"), S("with a body"));
    change_delete(c, S("b.txt"));
    change_copy(c, S("c.txt"), S("dir/a.txt"), S(""));
    change_copy(c, S("d.txt"), S("dir/a.txt"), first);
    assert_ok(change_commit(c, a, &second, &err));
    RepoTree tree = {0};
    assert_ok(repo_tree(hub, a, &repo, second, S(""), true, &tree, &err));
    assert_int_equal(tree.n, 5);
    assert_str(tree.items[1].path, "c.txt");
    assert_str(tree.items[3].path, "dir");
    assert_true(tree.items[3].is_folder);
    assert_ok(repo_tree(hub, a, &repo, S("main"), S("dir"), false, &tree, &err));
    assert_int_equal(tree.n, 1);
    assert_str(tree.items[0].path, "dir/a.txt");
    assert_ok(repo_last_commits(hub, a, &repo, &tree, &err));
    assert_str(tree.items[0].last_title, "put");
    assert_fails(repo_tree(hub, a, &repo, S("main"), S("b.txt"), false, &tree, &err), ERR_NO_ENTRY,
                 "b.txt");
    assert_fails(repo_tree(hub, a, &repo, S("nope"), S(""), false, &tree, &err), ERR_NO_REVISION,
                 "Invalid rev id: nope");
    RepoFile file = {0};
    assert_fails(repo_file(hub, a, &repo, S("main"), S("b.txt"), &file, &err), ERR_NO_ENTRY,
                 "Entry not found");
    assert_str(file.sha, arena_cstr(a, second));
}

static void test_a_stale_parent_is_refused(void **state)
{
    Error err = {0};
    Repo repo = make("stale", REPO_MODEL, false);
    Str head = put(&repo, "a", "1"), sha;
    put(&repo, "a", "2");
    AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
    change_title(c, S("late"), S(""));
    change_parent(c, head);
    change_add(c, S("b"), S("x"));
    assert_fails(change_commit(c, a, &sha, &err), ERR_STALE, "refresh");
}

static void *committer(void *arg)
{
    const Repo *repo = arg;
    static int number;
    AUTO(arena_free) Arena *own = arena_new(0);
    for (int i = 0; i < 5; i++) {
        Str sha;
        AUTO(change_free) Change *c = change_open(hub, repo, &ada, S("main"), NULL);
        change_title(c, S("racing"), S(""));
        int at = __atomic_fetch_add(&number, 1, __ATOMIC_RELAXED);
        change_add(c, str_of(arena_printf(own, "file-%d", at)), S("x"));
        if (!change_commit(c, own, &sha, NULL))
            return arg;
    }
    return NULL;
}

static void test_commits_that_race_all_land(void **state)
{
    Error err = {0};
    Repo repo = make("race", REPO_MODEL, false);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, committer, &repo);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    RepoTree tree = {0};
    RepoLog log = {0};
    assert_ok(repo_tree(hub, a, &repo, S("main"), S(""), true, &tree, &err));
    assert_int_equal(tree.n, 21);
    assert_ok(repo_log(hub, a, &repo, S("main"), S(""), 0, 100, &log, &err));
    assert_int_equal(log.n, 21);
    assert_int_equal(log.total, 21);
}

static void test_hostile_paths_are_refused(void **state)
{
    Error err = {0};
    Repo repo = make("hostile", REPO_MODEL, false);
    char longest[4100];
    memset(longest, 'a', sizeof longest);
    const Str paths[] = {S(""),     S("../x"),        S("a/../../x"), S("/etc/passwd"),
                         S("a\0b"), S(".git/config"), S("a/.GIT/x"),  S("a\\b"),
                         S("a//b"), S("a/"),          S("."),         S("git~1/x"),
                         S("a\nb"), {longest, 4100}};
    for (size_t i = 0; i < COUNT(paths); i++) {
        Str sha;
        AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
        change_title(c, S("hostile"), S(""));
        change_add(c, paths[i], S("x"));
        assert_fails(change_commit(c, a, &sha, &err), ERR_INVALID, "");
    }
    AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
    Str sha;
    change_delete(c, S("missing"));
    assert_fails(change_commit(c, a, &sha, &err), ERR_NO_ENTRY,
                 "A file with the name \"missing\" does not exist");
}

static void test_content_is_served_only_to_repositories_that_were_given_it(void **state)
{
    Error err = {0};
    Repo repo = make("large", REPO_MODEL, false), other = make("thief", REPO_MODEL, false);
    char oid[BLOB_HEX_SIZE];
    Str sha = {0};
    assert_ok(blobs_put(hub_blobs(hub), S("weights"), oid, &err));
    {
        AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
        change_add_lfs(c, S("w.bin"), str_of(oid), 7);
        assert_fails(change_commit(c, a, &sha, &err), ERR_INVALID, "was not uploaded");
    }
    assert_ok(repo_grant_blob(hub, &repo, &ada, str_of(oid), 7, &err));
    {
        AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
        change_title(c, S("weights"), S(""));
        change_add_lfs(c, S("w.bin"), str_of(oid), 7);
        assert_ok(change_commit(c, a, &sha, &err));
    }
    RepoFile file = {0};
    assert_ok(repo_file(hub, a, &repo, S("main"), S("w.bin"), &file, &err));
    assert_true(file.entry.is_lfs);
    assert_int_equal(file.entry.size, 7);
    BlobReader *blob = repo_file_open(hub, &repo, &file, &err);
    char bytes[8] = "";
    assert_ok(blob && blob_read(blob, bytes, 7, 0, &err));
    assert_string_equal(bytes, "weights");
    blob_close(blob);
    const char *folder = NULL;
    assert_ok(repo_snapshot(hub, a, &repo, S("main"), &folder, &err));
    AUTO_BUF linked;
    buf_init(&linked, 100);
    assert_ok(file_read(arena_printf(a, "%s/w.bin", folder), &linked, &err));
    assert_str(buf_str(&linked), "weights");
    // A pointer that somebody wrote by hand into another repository opens nothing.
    put(&other, "w.bin", text_of(&repo, "main", "w.bin").ptr);
    assert_ok(repo_file(hub, a, &other, S("main"), S("w.bin"), &file, &err));
    assert_true(file.entry.is_lfs);
    assert_fails(repo_file_open(hub, &other, &file, &err), ERR_NOT_FOUND, "");
    // The uploader may take the content along; somebody else may not.
    bool has = true;
    assert_ok(repo_has_blob(hub, &other, &bob, str_of(oid), &has, NULL, &err));
    assert_false(has);
    assert_ok(repo_has_blob(hub, &other, &ada, str_of(oid), &has, NULL, &err));
    assert_true(has);
}

static void test_content_goes_with_the_last_repository_that_has_it(void **state)
{
    Error err = {0};
    Repo one = make("one", REPO_MODEL, false), two = make("two", REPO_MODEL, false);
    char oid[BLOB_HEX_SIZE];
    bool has = false;
    assert_ok(blobs_put(hub_blobs(hub), S("shared"), oid, &err));
    assert_ok(repo_grant_blob(hub, &one, &ada, str_of(oid), 6, &err));
    assert_ok(repo_has_blob(hub, &two, &ada, str_of(oid), &has, NULL, &err));
    assert_true(has);
    assert_ok(repo_delete(hub, &one, &err));
    assert_true(blobs_has(hub_blobs(hub), oid, NULL));
    assert_ok(repo_delete(hub, &two, &err));
    assert_false(blobs_has(hub_blobs(hub), oid, NULL));
    // Who comes too late with a grant hears it.
    Repo three = make("three", REPO_MODEL, false);
    assert_fails(repo_grant_blob(hub, &three, &ada, str_of(oid), 6, &err), ERR_NOT_FOUND,
                 "upload it again");
}

static void test_a_start_mends_what_a_crash_left(void **state)
{
    Error err = {0};
    Repo repo = make("crash", REPO_MODEL, false);
    // A ref that moved behind the lists' back, and a folder that never got its row.
    AUTO(git_repo_free) GitRepo *git = git_repo_open(repo.git_dir, &err);
    char oid[GIT_HEX_SIZE], sha[GIT_HEX_SIZE];
    assert_ok(git_blob_write(git, S("---\nlicense: zlib\n---\n"), oid, &err));
    GitOp op = {.kind = GITOP_PUT, .path = S("README.md")};
    memcpy(op.oid, oid, sizeof oid);
    GitPerson person = {.name = S("x"), .email = S("x@y")};
    assert_ok(git_repo_commit(
        git,
        &(GitCommitParams){
            .ref = "refs/heads/main", .message = S("x"), .author = person, .ops = &op, .n_ops = 1},
        sha, &err));
    const char *orphan = arena_printf(a, "%s/repos/ff/0123456789abcdef012345ff.git", hub_data(hub));
    assert_ok(git_repo_create(orphan, "main", &err));
    const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, orphan, old, 0), 0);
    hub_close(hub);
    hub = test_hub();
    RepoQuery query = {
        .kind = REPO_MODEL, .tags = (const Str[]){S("license:zlib")}, .n_tags = 1, .limit = 10};
    RepoPage page = {0};
    for (int i = 0; i < 500 && (page.n == 0 || file_exists(orphan)); i++) {
        usleep(10000);
        assert_ok(repo_list(hub, a, &nobody, &query, &page, &err));
    }
    assert_int_equal(page.n, 1);
    assert_false(file_exists(orphan));
}

static void test_an_upload_is_told_how_to_travel(void **state)
{
    Error err = {0};
    Repo repo = make("travel", REPO_MODEL, false);
    put(&repo, "a.txt", "text");
    put(&repo, ".gitignore", "*.log\nbuild/\n!keep.log\n");
    Preupload files[] = {
        {.path = S("a.txt"), .sample = S("hello"), .size = 5},
        {.path = S("m.safetensors"), .sample = S("hello"), .size = 5},
        {.path = S("saved_model/x/y"), .sample = S("hello"), .size = 5},
        {.path = S("image"), .sample = S("\x89PNG\0"), .size = 5},
        {.path = S("big.json"), .sample = S("{"), .size = 20 << 20},
        {.path = S("x/y.log"), .sample = S("l"), .size = 1},
        {.path = S("keep.log"), .sample = S("l"), .size = 1},
        {.path = S("a/build/o.txt"), .sample = S("l"), .size = 1},
        {.path = S("umlaut"), .sample = S("h\xC3"), .size = 2},
    };
    Str sha = {0};
    assert_ok(
        repo_preupload(hub, a, &repo, S("main"), S(""), S(""), files, COUNT(files), &sha, &err));
    const bool lfs[] = {false, true, true, true, true, false, false, false, false};
    const bool ignore[] = {false, false, false, false, false, true, false, true, false};
    for (size_t i = 0; i < COUNT(files); i++) {
        assert_int_equal(files[i].lfs, lfs[i]);
        assert_int_equal(files[i].ignore, ignore[i]);
    }
    assert_int_equal(files[0].oid.len, 40);
    assert_int_equal(files[1].oid.len, 0);
    assert_ok(repo_preupload(hub, a, &repo, S("main"), S(""), S("*.txt filter=lfs\n"), files, 1,
                             &sha, &err));
    assert_true(files[0].lfs);
}

/* ---- What is known of a revision ---- */

static void test_cards_and_files_make_tags(void **state)
{
    Error err = {0};
    Repo repo = make("tags", REPO_MODEL, false);
    put(&repo, "config.json",
        "{\"architectures\": [\"GPT2LMHeadModel\"], \"model_type\": \"gpt2\"}");
    put(&repo, "README.md",
        "---\nlicense: mit\nlanguage: [en, no]\ntags: [tiny]\ndatasets: [squad]\n"
        "base_model: a/b\n---\n# Tiny\n");
    const RepoInfo *info = NULL;
    assert_ok(repo_info(hub, a, &repo, S(""), &info, &err));
    static const char *const tags[] = {
        "transformers",  "gpt2",           "text-generation",         "tiny",       "en", "no",
        "dataset:squad", "base_model:a/b", "base_model:finetune:a/b", "license:mit"};
    for (size_t i = 0; i < COUNT(tags); i++)
        if (!info_has_tag(info, str_of(tags[i])))
            fail_msg("no tag %s", tags[i]);
    assert_str(info->pipeline_tag, "text-generation");
    assert_str(info->library, "transformers");
    assert_int_equal(info->n_files, 3);

    const Str search[] = {S("TAG")}, filter[] = {S("license:mit"), S("gpt2")};
    RepoQuery query = {.kind = REPO_MODEL,
                       .search = search,
                       .n_search = 1,
                       .tags = filter,
                       .n_tags = 2,
                       .author = S("ADA"),
                       .limit = 10};
    RepoPage page = {0};
    assert_ok(repo_list(hub, a, &nobody, &query, &page, &err));
    assert_int_equal(page.n, 1);
    assert_str(page.items[0].repo.full, "Ada/tags");
    assert_non_null(json_object_get(page.items[0].card, "license"));
    query.tags = (const Str[]){S("license:gpl")};
    query.n_tags = 1;
    assert_ok(repo_list(hub, a, &nobody, &query, &page, &err));
    assert_int_equal(page.n, 0);
}

static void test_a_card_is_told_what_is_wrong_with_it(void **state)
{
    static const struct {
        const char *yaml, *complaint;
    } cards[] = {
        {"license: mit\nlanguage: [en, no]\ntags: [a]\nn: [0x10, 1.5, .inf, 2024-01-01]", NULL},
        {"license: [mit, other]\nbase_model: a/b", NULL},
        {"license: asdf", "\"license\" must be one of [apache-2.0, mit, "},
        {"license: 3", "\"license\" must be one of"},
        {"tags: a", "\"tags\" must be an array of strings"},
        {"base_model: ../x", "\"base_model[0]\" with value \"../x\" is not valid"},
        {"model-index: [1]", "\"model-index[0]\" must be an object"},
        {"a: [1", "YAML: line 2"},
        {"a: 1\na: 2", "YAML: line 2: duplicated mapping key"},
        {"a: *b", "YAML: line 1: unknown alias"},
        {"? [x]\n: 1", "YAML: line 1: a key must be text"},
        {"- a", "must be a mapping"},
    };
    for (size_t i = 0; i < COUNT(cards); i++) {
        CardReport report;
        card_check(a, str_of(arena_printf(a, "---\n%s\n---\n# Text\n", cards[i].yaml)), REPO_MODEL,
                   &report);
        if (report.n_errors != (cards[i].complaint != NULL) ||
            (cards[i].complaint &&
             str_find(report.errors[0], str_of(cards[i].complaint), 0) == SIZE_MAX))
            fail_msg("%s: %.*s", cards[i].yaml,
                     STR(report.n_errors ? report.errors[0] : S("no complaint")));
    }
    CardReport report;
    card_check(a, S("# No front matter"), REPO_MODEL, &report);
    assert_str(report.warnings[0], "empty or missing yaml metadata in repo card");
    Error err = {0};
    AUTO(json_decref)
    json_t *value = yaml_parse(S("a: no\nb: 010\nc: ~\nd: &x [1, 0o17]\ne: *x\nf: \"1\""), &err);
    AUTO_BUF text;
    buf_init(&text, 1000);
    json_write(&text, value);
    assert_str(buf_str(&text),
               "{\"a\":\"no\",\"b\":10,\"c\":null,\"d\":[1,15],\"e\":[1,15],\"f\":\"1\"}");
}

static void test_pages_of_a_list_hold_each_repository_once(void **state)
{
    Error err = {0};
    for (int i = 0; i < 7; i++)
        make(arena_printf(a, "page-%d", i), REPO_MODEL, false);
    Map seen = {0};
    const Str search[] = {S("page-")};
    RepoQuery query = {
        .kind = REPO_MODEL, .search = search, .n_search = 1, .sort = SORT_CREATED, .limit = 3};
    RepoPage page = {0};
    int pages = 0;
    do {
        assert_ok(repo_list(hub, a, &nobody, &query, &page, &err));
        assert_int_equal(page.total, 7);
        for (size_t i = 0; i < page.n; i++)
            assert_true(map_put(&seen, page.items[i].repo.id, hub));
        query.cursor = page.next;
        pages++;
    } while (page.next.len);
    assert_int_equal(seen.n, 7);
    assert_int_equal(pages, 3);
    map_done(&seen);
    query.cursor = S("nonsense");
    assert_fails(repo_list(hub, a, &nobody, &query, &page, &err), ERR_INVALID, "cursor");
}

static void test_likes_and_downloads_are_counted(void **state)
{
    Error err = {0};
    Repo repo = make("counted", REPO_MODEL, false), found = {0};
    bool liked = false;
    assert_ok(repo_like(hub, &bob, &repo, true, &err));
    assert_ok(repo_like(hub, &bob, &repo, true, &err));
    assert_ok(repo_is_liked(hub, &bob, &repo, &liked, &err));
    assert_true(liked);
    LikePage likes;
    PeoplePage likers;
    PeopleQuery of_repo = {.what = PEOPLE_LIKERS, .of = repo.id, .limit = 10};
    assert_ok(likes_of_user(hub, a, &nobody, S("bob"), 10, S(""), &likes, &err));
    assert_int_equal(likes.n, 1);
    assert_true(str_eq(likes.items[0].name, repo.full));
    assert_ok(people_list(hub, a, &nobody, &of_repo, &likers, &err));
    assert_int_equal(likers.n, 1);
    assert_str(likers.items[0].name, "bob");
    DownloadClient client = {.address = S("10.0.0.1"), .agent = S("curl")};
    for (int i = 0; i < 3; i++)
        download_count(hub, &repo, &client); // once a day
    client.agent = S("wget");
    download_count(hub, &repo, &client);
    client.account = S("somebody");
    download_count(hub, &repo, &client);
    client.address = S("10.0.0.2"); // an account is one client wherever it is
    download_count(hub, &repo, &client);
    hub_close(hub); // writes what was counted
    hub = test_hub();
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, repo.full, ACCESS_READ, &found, &err));
    assert_int_equal(found.likes, 1);
    assert_int_equal(found.downloads, 3);
    assert_int_equal(found.downloads_all, 3);
    assert_int_equal(found.trending, 13000);
    // What was counted before the restart is not counted again.
    download_count(hub, &repo, &client);
    hub_close(hub);
    hub = test_hub();
    int64_t days[3];
    assert_ok(download_days(hub, &repo, 3, days, &err));
    assert_int_equal(days[0] + days[1], 0);
    assert_int_equal(days[2], 3);
    Leader *leaders;
    size_t n_leaders;
    assert_ok(download_leaders(hub, a, &nobody, REPO_MODEL, 7, 10, &leaders, &n_leaders, &err));
    assert_int_equal(n_leaders, 1);
    assert_int_equal(leaders[0].downloads, 3);
    assert_int_equal(leaders[0].days[6], 3);
    assert_ok(repo_like(hub, &bob, &repo, false, &err));
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, repo.full, ACCESS_READ, &found, &err));
    assert_int_equal(found.likes, 0);
}

static void test_branches_and_tags_come_and_go(void **state)
{
    Error err = {0};
    Repo repo = make("refs", REPO_MODEL, false);
    Str sha = put(&repo, "a", "1"), found = {0};
    assert_ok(branch_create(hub, &repo, &ada, S("dev/x"), S(""), false, false, &err));
    assert_fails(branch_create(hub, &repo, &ada, S("dev/x"), S(""), false, false, &err), ERR_EXISTS,
                 "Reference refs/heads/dev/x already exists");
    assert_fails(branch_create(hub, &repo, &ada, S("y"), S("nope"), false, false, &err),
                 ERR_NO_REVISION, "nope");
    assert_fails(branch_create(hub, &repo, &ada, S("a..b"), S(""), false, false, &err), ERR_INVALID,
                 "");
    assert_ok(tag_create(hub, &repo, &ada, S("v1"), S("main"), S("first"), &err));
    assert_ok(repo_revision(hub, a, &repo, S("v1"), &found, &err));
    assert_str(found, arena_cstr(a, sha));
    assert_ok(repo_revision(hub, a, &repo, S("dev/x"), &found, &err));
    assert_ok(repo_revision(hub, a, &repo, str_slice(sha, 0, 8), &found, &err));
    RepoRefs refs = {0};
    assert_ok(repo_refs(hub, a, &repo, &refs, &err));
    assert_int_equal(refs.n, 3);
    assert_fails(branch_delete(hub, &repo, S("main"), &err), ERR_CONFLICT,
                 "Cannot delete refs/heads/main");
    assert_ok(branch_delete(hub, &repo, S("dev/x"), &err));
    assert_fails(branch_delete(hub, &repo, S("dev/x"), &err), ERR_NO_REVISION, "dev/x");
    assert_ok(tag_delete(hub, &repo, S("v1"), &err));
    AUTO_BUF diff;
    buf_init(&diff, 1 << 16);
    bool cut = true;
    assert_ok(repo_diff(hub, &repo, S(""), sha, &diff, &cut, &err));
    assert_true(str_find(buf_str(&diff), S("+1"), 0) != SIZE_MAX);
    assert_false(cut);
    assert_ok(branch_squash(hub, &repo, &ada, S("main"), S("one"), &err));
    RepoLog log = {0};
    assert_ok(repo_log(hub, a, &repo, S("main"), S(""), 0, 10, &log, &err));
    assert_int_equal(log.n, 1);
}

/* ---- Discussions ---- */

/* The same repository as another sees it. */
static Repo seen_by(const Viewer *viewer, const Repo *repo, Access need)
{
    Error err = {0};
    Repo seen = {0};
    assert_ok(repo_find(hub, a, viewer, repo->kind, repo->full, need, &seen, &err));
    return seen;
}

static void test_a_discussion_is_a_list_of_events(void **state)
{
    Error err = {0};
    Repo repo = make("talk", REPO_MODEL, false), bobs = seen_by(&bob, &repo, ACCESS_PROPOSE);
    Discussion d, again;
    DiscussionEvent event, *events;
    size_t n;
    NewDiscussion new = {.title = S("  Why?  "), .description = S("I ask.")};
    assert_fails(repo_find(hub, a, &nobody, REPO_MODEL, repo.full, ACCESS_PROPOSE, &bobs, &err),
                 ERR_UNAUTHENTICATED, "Log in");
    bobs = seen_by(&bob, &repo, ACCESS_PROPOSE);
    assert_ok(discussion_create(hub, a, &bob, &bobs, &new, &d, &err));
    assert_int_equal(d.num, 1);
    assert_str(d.title, "Why?");
    assert_ok(discussion_comment(hub, a, &ada, &repo, &d, S("Because."), &event, &err));
    assert_fails(discussion_edit(hub, a, &bob, &bobs, &d, event.id, S("No."), &event, &err),
                 ERR_DENIED, "author");
    assert_ok(discussion_edit(hub, a, &ada, &repo, &d, event.id, S("So."), &event, &err));
    assert_ok(discussion_retitle(hub, a, &bob, &bobs, &d, S("How?"), &event, &err));
    assert_str(event.other, "Why?");
    assert_ok(discussion_find(hub, a, &repo, 1, &d, &err));
    assert_ok(
        discussion_set_status(hub, a, &ada, &repo, &d, S("closed"), S("Done."), &event, &err));
    assert_ok(discussion_find(hub, a, &repo, 1, &again, &err));
    assert_str(again.status, "closed");
    assert_str(again.title, "How?");
    assert_int_equal(again.comments, 3);
    assert_fails(
        discussion_set_status(hub, a, &ada, &repo, &again, S("closed"), S(""), &event, &err),
        ERR_INVALID, "already");
    assert_ok(discussion_events(hub, a, &repo, &again, &events, &n, &err));
    assert_int_equal(n, 5);
    static const char *const kinds[] = {"comment", "comment", "title-change", "comment",
                                        "status-change"};
    for (size_t i = 0; i < n; i++)
        assert_true(str_eq(events[i].kind, str_of(kinds[i])));
    assert_int_equal(events[1].edits, 1);
    assert_ok(discussion_hide(hub, a, &ada, &repo, &again, events[0].id, &event, &err));
    assert_str(event.text, "");
    assert_fails(discussion_edit(hub, a, &bob, &bobs, &again, events[0].id, S("x"), &event, &err),
                 ERR_INVALID, "hidden");
    assert_fails(discussion_find(hub, a, &repo, 2, &d, &err), ERR_NOT_FOUND, "no discussion 2");
}

/* A pull request of bob's that adds or changes a file. */
static Discussion propose(const Repo *repo, const char *path, const char *text)
{
    Error err = {0};
    Str sha = {0};
    Discussion d = {0};
    Repo bobs = seen_by(&bob, repo, ACCESS_PROPOSE);
    AUTO(change_free) Change *c = change_open_pull(hub, &bobs, &bob, S("main"), &err);
    assert_ok(c);
    change_title(c, S("Better"), S("I think so."));
    change_add(c, str_of(path), str_of(text));
    assert_ok(change_commit_pull(c, a, &sha, &d, &err));
    return d;
}

static void test_a_pull_request_is_merged_as_one_commit(void **state)
{
    Error err = {0};
    Repo repo = make("pulled", REPO_MODEL, false), bobs = seen_by(&bob, &repo, ACCESS_PROPOSE);
    put(&repo, "a.txt", "one\n");
    Discussion d = propose(&repo, "b.txt", "two\n"), clash = propose(&repo, "a.txt", "theirs\n");
    assert_int_equal(clash.num, 2);
    assert_str(text_of(&repo, "refs/pr/1", "b.txt"), "two\n");
    // Bob may go on there, and nowhere else; Eve not even there.
    Viewer eve = join("eve");
    Repo eves = seen_by(&eve, &repo, ACCESS_PROPOSE);
    assert_null(change_open(hub, &bobs, &bob, S("main"), &err));
    assert_int_equal(err.code, ERR_DENIED);
    err = (Error){0};
    assert_null(change_open(hub, &eves, &eve, S("refs/pr/1"), &err));
    assert_int_equal(err.code, ERR_DENIED);
    err = (Error){0};
    {
        Str sha;
        AUTO(change_free) Change *c = change_open(hub, &bobs, &bob, S("refs/pr/1"), &err);
        assert_ok(c);
        change_add(c, S("c.txt"), S("three\n"));
        assert_ok(change_commit(c, a, &sha, &err));
    }
    AUTO_BUF diff;
    buf_init(&diff, 0);
    bool cut;
    assert_ok(pull_diff(hub, &repo, &d, &diff, &cut, &err));
    assert_true(str_find(buf_str(&diff), S("+three"), 0) != SIZE_MAX);
    put(&repo, "a.txt", "ours\n");
    Str *paths, sha;
    size_t n;
    assert_ok(pull_conflicts(hub, a, &repo, &clash, &paths, &n, &err));
    assert_int_equal(n, 1);
    assert_str(paths[0], "a.txt");
    assert_fails(pull_merge(hub, a, &ada, &repo, &clash, S(""), &sha, &err), ERR_CONFLICT, "a.txt");
    Discussion before = d;
    assert_ok(pull_merge(hub, a, &ada, &repo, &d, S("Thanks."), &sha, &err));
    // Killed between git and the database, it is still open; merging again finds what was made.
    Str again;
    assert_ok(pull_merge(hub, a, &ada, &repo, &before, S(""), &again, &err));
    assert_true(str_eq(again, sha));
    assert_str(text_of(&repo, "main", "c.txt"), "three\n");
    assert_str(text_of(&repo, "main", "a.txt"), "ours\n");
    RepoLog log;
    assert_ok(repo_log(hub, a, &repo, S("main"), S(""), 0, 10, &log, &err));
    assert_str(log.items[0].title, "Better (#1)");
    assert_int_equal(log.items[0].n_parents, 1);
    assert_ok(discussion_find(hub, a, &repo, 1, &d, &err));
    assert_str(d.status, "merged");
    assert_true(str_eq(d.merge_commit, sha));
    assert_fails(pull_merge(hub, a, &ada, &repo, &d, S(""), &sha, &err), ERR_INVALID, "merged");
    DiscussionEvent *events;
    assert_ok(discussion_events(hub, a, &repo, &d, &events, &n, &err));
    assert_int_equal(n, 6); // opened, two commits, a comment, merged twice
    assert_ok(pull_drop_ref(hub, &repo, &d, &err));
    assert_fails(repo_revision(hub, a, &repo, S("refs/pr/1"), &sha, &err), ERR_NO_REVISION, "pr/1");
    assert_ok(discussion_events(hub, a, &repo, &d, &events, &n, &err));
    assert_int_equal(n, 4);
}

static void test_comments_get_reactions(void **state)
{
    Error err = {0};
    Repo repo = make("reacted", REPO_MODEL, false);
    Discussion d, other;
    DiscussionEvent said, hidden, *events;
    size_t n;
    NewDiscussion new = {.title = S("One"), .description = S("Like it?")};
    assert_ok(discussion_create(hub, a, &ada, &repo, &new, &d, &err));
    assert_ok(discussion_create(hub, a, &ada, &repo, &new, &other, &err));
    assert_ok(discussion_events(hub, a, &repo, &d, &events, &n, &err));
    Str first = events[0].id;
    assert_int_equal(events[0].n_reactions, 0);
    for (int i = 0; i < 2; i++) // twice is once
        assert_ok(discussion_react(hub, a, &ada, &repo, &d, first, S("👍"), true, &said, &err));
    assert_ok(discussion_react(hub, a, &bob, &repo, &d, first, S("🚀"), true, &said, &err));
    assert_ok(discussion_react(hub, a, &bob, &repo, &d, first, S("👍"), true, &said, &err));
    assert_int_equal(said.n_reactions, 2);
    assert_ok(discussion_events(hub, a, &repo, &d, &events, &n, &err));
    assert_int_equal(events[0].n_reactions, 2);
    assert_str(events[0].reactions[0].emoji, "👍");
    assert_int_equal(events[0].reactions[0].n, 2);
    assert_str(events[0].reactions[0].users[1], "bob");
    assert_ok(discussion_react(hub, a, &bob, &repo, &d, first, S("🚀"), false, &said, &err));
    assert_int_equal(said.n_reactions, 1);

    assert_fails(discussion_react(hub, a, &bob, &repo, &d, first, S("<b>"), true, &said, &err),
                 ERR_INVALID, "reaction");
    assert_fails(discussion_react(hub, a, &bob, &repo, &other, first, S("👍"), true, &said, &err),
                 ERR_NOT_FOUND, "comment"); // it is another discussion's
    assert_ok(discussion_comment(hub, a, &bob, &repo, &d, S("Oh"), &hidden, &err));
    assert_ok(discussion_hide(hub, a, &bob, &repo, &d, hidden.id, &hidden, &err));
    assert_fails(discussion_react(hub, a, &ada, &repo, &d, hidden.id, S("👍"), true, &said, &err),
                 ERR_NOT_FOUND, "comment");
    assert_ok(discussion_delete(hub, &repo, &d, &err)); // its reactions go with it
}

static void test_a_draft_waits_and_closed_talk_is_closed(void **state)
{
    Error err = {0};
    Repo repo = make("drafts", REPO_DATASET, false);
    Discussion d;
    DiscussionEvent event;
    Str sha;
    NewDiscussion new = {.title = S("Draft"), .is_pull = true};
    assert_ok(discussion_create(hub, a, &ada, &repo, &new, &d, &err));
    assert_str(d.status, "draft");
    assert_fails(pull_merge(hub, a, &ada, &repo, &d, S(""), &sha, &err), ERR_INVALID, "draft");
    assert_ok(discussion_set_status(hub, a, &ada, &repo, &d, S("open"), S(""), &event, &err));
    assert_ok(discussion_find(hub, a, &repo, d.num, &d, &err));
    assert_fails(pull_merge(hub, a, &ada, &repo, &d, S(""), &sha, &err), ERR_INVALID, "nothing");
    DiscussionPage page;
    static const bool no = false;
    DiscussionQuery query = {.is_pull = &no, .limit = 10};
    assert_ok(discussion_list(hub, a, &repo, &query, &page, &err));
    assert_int_equal(page.total, 0);
    query = (DiscussionQuery){.status = S("open"), .author = S("ADA"), .limit = 10};
    assert_ok(discussion_list(hub, a, &repo, &query, &page, &err));
    assert_int_equal(page.total, 1);
    static const bool off = true;
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.discussions_off = &off}, &err));
    assert_fails(repo_find(hub, a, &bob, REPO_DATASET, repo.full, ACCESS_PROPOSE, &repo, &err),
                 ERR_DENIED, "disabled");
    repo = seen_by(&ada, &repo, ACCESS_ADMIN);
    assert_fails(discussion_create(hub, a, &ada, &repo, &new, &d, &err), ERR_DENIED, "disabled");
}

static void test_a_gate_stands_before_files(void **state)
{
    Error err = {0};
    Repo repo = make("gated", REPO_MODEL, false), found;
    Viewer cat = join("cat");
    AccessRequest request;
    const Str manual = S("manual"), automatic = S("auto"), none = S("");
    assert_fails(gate_ask(hub, a, &bob, &repo, S(""), &request, &err), ERR_INVALID, "open to all");
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.gated = &manual}, &err));
    repo = seen_by(&ada, &repo, ACCESS_FILES); // its owner
    (void)seen_by(&bob, &repo, ACCESS_READ);
    assert_fails(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_FILES, &found, &err),
                 ERR_GATED, "restricted");
    assert_fails(repo_find(hub, a, &nobody, REPO_MODEL, repo.full, ACCESS_FILES, &found, &err),
                 ERR_GATED, "restricted");
    assert_ok(gate_ask(hub, a, &bob, &repo, S("{\"why\":\"work\"}"), &request, &err));
    assert_str(request.status, "pending");
    assert_fails(gate_ask(hub, a, &bob, &repo, S(""), &request, &err), ERR_EXISTS, "already");
    assert_fails(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_FILES, &found, &err),
                 ERR_GATED, "restricted");
    assert_ok(gate_decide(hub, &repo, S("bob"), S(""), S("accepted"), S(""), &err));
    assert_fails(gate_decide(hub, &repo, S(""), S("none"), S("accepted"), S(""), &err),
                 ERR_NOT_FOUND, "no such");
    (void)seen_by(&bob, &repo, ACCESS_FILES);
    AccessRequest *list;
    size_t n;
    assert_ok(gate_list(hub, a, &repo, S("accepted"), &list, &n, &err));
    assert_int_equal(n, 1);
    assert_str(list[0].user, "bob");
    assert_ok(gate_decide(hub, &repo, S(""), list[0].id, S("rejected"), S("No."), &err));
    assert_fails(gate_decide(hub, &repo, S(""), list[0].id, S("rejected"), S(""), &err), ERR_EXISTS,
                 "already");
    assert_fails(repo_find(hub, a, &bob, REPO_MODEL, repo.full, ACCESS_FILES, &found, &err),
                 ERR_GATED, "restricted");
    assert_ok(gate_grant(hub, a, &repo, S("bob"), &err));
    (void)seen_by(&bob, &repo, ACCESS_FILES);
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.gated = &automatic}, &err));
    repo = seen_by(&ada, &repo, ACCESS_ADMIN);
    assert_ok(gate_ask(hub, a, &cat, &repo, S(""), &request, &err));
    (void)seen_by(&cat, &repo, ACCESS_FILES);
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.gated = &none}, &err));
    (void)seen_by(&nobody, &repo, ACCESS_FILES);
}

/* ---- Collections ---- */

static void test_a_collection_keeps_what_its_viewer_may_see(void **state)
{
    Error err = {0};
    Repo open = make("kept", REPO_MODEL, false), hidden = make("hidden", REPO_DATASET, true);
    const Str title = S("Good  ones!"), other = S("Better"), odd = S("mauve"), none = S("");
    Collection c, seen, *list;
    size_t n;
    bool more;
    assert_fails(
        collection_create(hub, a, &ada, S(""), &(CollectionChange){.title = &none}, &c, &err),
        ERR_INVALID, "title");
    assert_fails(
        collection_create(hub, a, &bob, S("ada"), &(CollectionChange){.title = &title}, &c, &err),
        ERR_DENIED, "Ada");
    assert_ok(
        collection_create(hub, a, &ada, S(""), &(CollectionChange){.title = &title}, &c, &err));
    assert_true(str_starts(c.slug, S("Ada/good-ones-")));
    assert_ok(collection_add(hub, a, &ada, &c, S("model"), open.full, S("fine"), &err));
    assert_ok(collection_add(hub, a, &ada, &c, S("dataset"), hidden.full, S(""), &err));
    assert_fails(collection_add(hub, a, &ada, &c, S("model"), open.full, S(""), &err), ERR_EXISTS,
                 "already");
    assert_fails(collection_add(hub, a, &ada, &c, S("space"), open.full, S(""), &err), ERR_NO_REPO,
                 "not found");
    // As on huggingface.co, even itself.
    assert_ok(collection_add(hub, a, &ada, &c, S("collection"), c.slug, S(""), &err));
    assert_ok(collection_find(hub, a, &ada, c.slug, ACCESS_WRITE, &seen, &err));
    assert_int_equal(seen.n_items, 3);
    const int64_t first = 0;
    assert_ok(collection_move(hub, a, &seen, seen.items[1].id, &title, &first, &err));
    assert_ok(repo_move(hub, a, &ada, &open, S("Ada/kept-on"), &err)); // items follow
    assert_ok(collection_find(hub, a, &bob, c.slug, ACCESS_READ, &seen, &err));
    assert_int_equal(seen.n_items, 2);
    assert_str(seen.items[0].target, "Ada/kept-on");
    assert_fails(collection_find(hub, a, &bob, c.slug, ACCESS_WRITE, &seen, &err), ERR_DENIED,
                 "may not");
    assert_ok(collection_list(
        hub, a, &bob,
        &(CollectionQuery){
            .item_kind = S("model"), .item = S("Ada/kept-on"), .search = S("GOOD"), .limit = 10},
        &list, &n, &more, &err));
    assert_int_equal(n, 1);
    const bool yes = true;
    assert_fails(collection_change(hub, &c, &(CollectionChange){.theme = &odd}, &err), ERR_INVALID,
                 "theme");
    assert_ok(
        collection_change(hub, &c, &(CollectionChange){.title = &other, .is_private = &yes}, &err));
    assert_fails(collection_find(hub, a, &bob, c.slug, ACCESS_READ, &seen, &err), ERR_NOT_FOUND,
                 "does not exist");
    assert_ok(collection_find(hub, a, &ada, c.slug, ACCESS_READ, &seen, &err)); // by its old name
    assert_true(str_starts(seen.slug, S("Ada/better-")));
    assert_ok(
        collection_list(hub, a, &bob, &(CollectionQuery){.limit = 10}, &list, &n, &more, &err));
    assert_int_equal(n, 0);
    assert_ok(collection_delete(hub, &c, &err));
    assert_fails(collection_find(hub, a, &ada, c.slug, ACCESS_READ, &seen, &err), ERR_NOT_FOUND,
                 "does not exist");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH(T1, test_names_follow_the_rules_of_the_hub,
                 test_a_password_opens_a_session_and_a_wrong_one_does_not,
                 test_guessing_a_password_is_stopped, test_tokens_have_the_shape_that_clients_want,
                 test_a_new_repository_has_a_first_commit,
                 test_a_private_repository_is_nobody_elses_business,
                 test_members_of_an_organisation_share_its_repositories,
                 test_what_new_repositories_are_by_default,
                 test_a_moved_repository_is_found_under_its_old_name,
                 test_a_commit_adds_copies_and_deletes, test_a_stale_parent_is_refused,
                 test_commits_that_race_all_land, test_hostile_paths_are_refused,
                 test_content_is_served_only_to_repositories_that_were_given_it,
                 test_content_goes_with_the_last_repository_that_has_it,
                 test_a_start_mends_what_a_crash_left, test_an_upload_is_told_how_to_travel,
                 test_cards_and_files_make_tags, test_a_card_is_told_what_is_wrong_with_it,
                 test_pages_of_a_list_hold_each_repository_once,
                 test_likes_and_downloads_are_counted, test_branches_and_tags_come_and_go,
                 test_a_discussion_is_a_list_of_events, test_a_pull_request_is_merged_as_one_commit,
                 test_comments_get_reactions, test_a_draft_waits_and_closed_talk_is_closed,
                 test_a_gate_stands_before_files, test_a_collection_keeps_what_its_viewer_may_see)};
    return cmocka_run_group_tests_name("hub", tests, set_up, tear_down);
}
