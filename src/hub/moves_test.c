/* Stories of accounts that take another name, and of accounts that go: what leads on, what goes
 * along, and what stays. */
#include "base/file.h"
#include "blobs/blobs.h"
#include "hub/account_moves.h"
#include "hub/collections.h"
#include "hub/hub_testing.h"
#include "hub/notifications.h"
#include "hub/people.h"
#include "hub/tokens.h"

#include <unistd.h>

static Hub *hub;
static Arena *a;
static const Viewer nobody;

static Account account(const char *name)
{
    Error err = {0};
    Account found = {0};
    assert_ok(account_find(hub, a, str_of(name), &found, &err));
    return found;
}

static int set_up(void **state)
{
    a = arena_new(0);
    hub = test_hub();
    test_user(hub, a, "root", true);
    test_user(hub, a, "ada", false);
    test_user(hub, a, "bob", false);
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

static Repo make(const char *by, const char *owner, const char *name)
{
    Error err = {0};
    Repo repo = {0};
    Viewer viewer = test_viewer(hub, a, by);
    NewRepo new = {.owner = str_of(owner), .name = str_of(name)};
    assert_ok(repo_create(hub, a, &viewer, &new, &repo, &err));
    return repo;
}

/* The full name under which the repository is found; empty if it is not. */
static Str found_as(const char *full, bool *moved)
{
    Repo repo = {0};
    if (!repo_find(hub, a, &nobody, REPO_MODEL, str_of(full), ACCESS_READ, &repo, NULL))
        return S("");
    *moved = repo.moved;
    return repo.full;
}

static void test_a_name_changes_with_all_that_bears_it(void **state)
{
    Error err = {0};
    bool moved = true;
    Str secret;
    Viewer viewer;
    Account ada = account("ada");
    make("ada", "ada", "x");
    make("ada", "ada", "y");
    assert_ok(token_create(hub, a, S("ada"), S("t"), S("write"), &secret, &err));
    assert_ok(account_rename(hub, &ada, S("Lovelace"), &err));

    assert_str(found_as("lovelace/x", &moved), "Lovelace/x");
    assert_false(moved);
    assert_str(found_as("ada/y", &moved), "Lovelace/y");
    assert_true(moved);
    assert_str(account("ADA").name, "Lovelace"); // the old name leads on
    assert_str(account("lovelace").fullname, "Lovelace");
    assert_ok(viewer_of_token(hub, a, secret, &viewer, &err));
    assert_str(viewer.account.name, "Lovelace");
    // A client that still says the old name makes its repositories in the right place.
    assert_str(make("lovelace", "ada", "z").full, "Lovelace/z");
    RepoQuery query = {.author = S("Lovelace"), .limit = 10};
    RepoPage page;
    assert_ok(repo_list(hub, a, &nobody, &query, &page, &err));
    assert_int_equal(page.total, 3);
}

static void test_names_in_use_are_refused_and_nothing_changes(void **state)
{
    Error err = {0};
    bool moved;
    Account lovelace = account("lovelace"), made;
    NewUser squatter = {.name = S("ADA")};
    assert_fails(account_rename(hub, &lovelace, S("Bob"), &err), ERR_EXISTS, "taken");
    assert_fails(account_rename(hub, &lovelace, S("settings"), &err), ERR_INVALID, "reserved");
    assert_fails(account_rename(hub, &lovelace, S("a b"), &err), ERR_INVALID, "letters");
    assert_str(found_as("Lovelace/x", &moved), "Lovelace/x");
    // An old name is nobody else's either.
    Account bob = account("bob");
    assert_fails(user_create(hub, a, &squatter, &made, &err), ERR_EXISTS, "taken");
    assert_fails(account_rename(hub, &bob, S("ada"), &err), ERR_EXISTS, "taken");
    assert_fails(org_create(hub, a, S("ada"), S(""), S("bob"), &made, &err), ERR_EXISTS, "taken");
    // Its own it may take back, and change its letters.
    assert_ok(account_rename(hub, &lovelace, S("ada"), &err));
    assert_str(found_as("lovelace/x", &moved), "ada/x");
    lovelace = account("ada");
    assert_ok(account_rename(hub, &lovelace, S("Ada"), &err));
    assert_str(found_as("ada/x", &moved), "Ada/x");
    assert_false(moved);
    assert_str(account("LOVELACE").name, "Ada");
}

static void test_an_organisation_moves_as_users_do(void **state)
{
    Error err = {0};
    bool moved;
    Account team;
    assert_ok(org_create(hub, a, S("team"), S("The team"), S("bob"), &team, &err));
    make("bob", "team", "x");
    assert_ok(account_rename(hub, &team, S("crew"), &err));
    assert_str(found_as("team/x", &moved), "crew/x");
    assert_str(account("crew").fullname, "The team");
    assert_str(test_viewer(hub, a, "bob").account.others[0].name, "crew");
}

static void test_what_an_account_leaves_behind_when_it_goes(void **state)
{
    Error err = {0};
    bool moved;
    test_user(hub, a, "cyd", false);
    Viewer cyd = test_viewer(hub, a, "cyd"), bob = test_viewer(hub, a, "bob");
    Repo own = make("cyd", "cyd", "own"), others = make("bob", "bob", "others"), found;
    Discussion d;
    DiscussionEvent *events, event;
    NewDiscussion new = {.title = S("Why?"), .description = S("Hello")};
    size_t n;
    Str secret, cookie;
    Viewer viewer;
    Account bobs = bob.account;
    assert_ok(discussion_create(hub, a, &cyd, &others, &new, &d, &err));
    assert_ok(discussion_comment(hub, a, &bob, &others, &d, S("@cyd?"), &event, &err));
    assert_ok(repo_like(hub, &cyd, &others, true, &err));
    assert_ok(follow_set(hub, &cyd, &bobs, true, &err));
    assert_ok(token_create(hub, a, S("cyd"), S("t"), S("write"), &secret, &err));
    assert_ok(session_open_for(hub, a, &cyd.account, &cookie, &err));
    assert_true(file_is_folder(own.git_dir));

    assert_ok(account_delete(hub, &cyd.account, &err));
    assert_fails(account_find(hub, a, S("cyd"), &viewer.account, &err), ERR_NOT_FOUND, "cyd");
    assert_str(found_as("cyd/own", &moved), "");
    assert_false(file_is_folder(own.git_dir));
    assert_fails(viewer_of_token(hub, a, secret, &viewer, &err), ERR_UNAUTHENTICATED, "");
    assert_ok(viewer_of_session(hub, a, cookie, &viewer, &err));
    assert_int_equal(viewer.by, BY_NOBODY);
    // What was said stays, by nobody; counts are right.
    assert_ok(discussion_find(hub, a, &others, d.num, &d, &err));
    assert_int_equal(d.author.len, 0);
    assert_ok(discussion_events(hub, a, &others, &d, &events, &n, &err));
    assert_int_equal(n, 2);
    assert_str(events[0].text, "Hello");
    assert_int_equal(events[0].author.len, 0);
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, S("bob/others"), ACCESS_READ, &found, &err));
    assert_int_equal(found.likes, 0);
    Overview overview;
    assert_ok(overview_get(hub, &nobody, &bobs, &overview, &err));
    assert_int_equal(overview.followers, 0);
    // bob hears of more, and is not stopped by who is gone.
    assert_ok(discussion_comment(hub, a, &bob, &others, &d, S("Well."), &event, &err));
    // The name is free for somebody else, who gets nothing of all this.
    test_user(hub, a, "cyd", false);
    assert_str(found_as("cyd/own", &moved), "");
}

static void test_nothing_is_left_without_anybody_to_look_after_it(void **state)
{
    Error err = {0};
    bool moved;
    Account bob = account("bob"), root = account("root"), crew = account("crew");
    assert_fails(account_delete(hub, &bob, &err), ERR_CONFLICT, "only admin of crew");
    assert_fails(account_delete(hub, &root, &err), ERR_CONFLICT, "last administrator");
    assert_str(found_as("bob/others", &moved), "bob/others");
    assert_ok(account_delete(hub, &crew, &err));
    assert_str(found_as("crew/x", &moved), "");
    assert_str(found_as("team/x", &moved), "");
    assert_int_equal(test_viewer(hub, a, "bob").account.n_others, 0);
    assert_ok(account_delete(hub, &bob, &err));
    test_user(hub, a, "other", true);
    assert_ok(account_delete(hub, &root, &err));
}

static void test_what_an_administrator_deletes_beside_a_hub_is_removed_by_the_hub(void **state)
{
    Error err = {0};
    Account ada = account("ada");
    Viewer viewer = test_viewer(hub, a, "ada");
    Repo repo = make("ada", "ada", "large");
    Str sha = {0};
    char oid[BLOB_HEX_SIZE];
    // A second hub on the same database, as `hug admin` opens it.
    {
        AUTO(change_free) Change *c = change_open(hub, &repo, &viewer, S("main"), &err);
        assert_ok(blobs_put(hub_blobs(hub), S("large bytes"), oid, &err));
        assert_ok(repo_grant_blob(hub, &repo, &viewer, str_of(oid), 11, &err));
        change_title(c, S("Large"), S(""));
        change_add_lfs(c, S("a.bin"), str_of(oid), 11);
        assert_ok(change_commit(c, a, &sha, &err));
    }
    {
        AUTO(hub_close)
        Hub *beside = hub_open(
            &(HubOptions){.data = test_path("hub"), .db = test_db("hub"), .accounts_only = true},
            &err);
        assert_ok(beside);
        assert_ok(account_delete(beside, &ada, &err));
    }
    assert_true(file_is_folder(repo.git_dir));
    assert_true(blobs_has(hub_blobs(hub), oid, NULL));
    hub_close(hub);
    hub = test_hub();
    for (int i = 0;
         i < 500 && (file_is_folder(repo.git_dir) || blobs_has(hub_blobs(hub), oid, NULL)); i++)
        usleep(10000);
    assert_false(file_is_folder(repo.git_dir));
    assert_false(blobs_has(hub_blobs(hub), oid, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {FOR_EACH(
        T1, test_a_name_changes_with_all_that_bears_it,
        test_names_in_use_are_refused_and_nothing_changes, test_an_organisation_moves_as_users_do,
        test_what_an_account_leaves_behind_when_it_goes,
        test_nothing_is_left_without_anybody_to_look_after_it,
        test_what_an_administrator_deletes_beside_a_hub_is_removed_by_the_hub)};
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
