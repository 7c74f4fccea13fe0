/* Stories of access tokens: what a fine-grained one opens and what it keeps shut, how tokens end,
 * and what the members of an organisation may do with and without them. */
#include "base/clock.h"
#include "hub/collections.h"
#include "hub/gates.h"
#include "hub/hub_testing.h"
#include "hub/tokens.h"

#include <sched.h>

static Hub *hub;
static Arena *a;

static int set_up(void **state)
{
    Error err = {0};
    Account team;
    a = arena_new(0);
    hub = test_hub();
    test_user(hub, a, "ada", true);
    test_user(hub, a, "bob", false);
    test_user(hub, a, "cyd", false);
    assert_ok(org_create(hub, a, S("team"), S(""), S("ada"), &team, &err));
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

static Viewer bearer(Str secret)
{
    Error err = {0};
    Viewer viewer = {0};
    assert_ok(viewer_of_token(hub, a, secret, &viewer, &err));
    return viewer;
}

/* A fine-grained token of `owner` with one scope, or with none where `what` is NULL. */
static Viewer fine(const char *owner, const char *what, const char *permissions, const char *global)
{
    Error err = {0};
    Str secret = {0};
    TokenScope scope = {.name = str_of(what)};
    Token token = {.name = S("t"), .role = S("fineGrained"), .rights.scopes = &scope};
    token.rights.n_scopes = what ? 1 : 0;
    assert_ok(permissions_parse(str_of(permissions), ON_REPO | ON_USER | ON_ORG, &scope.permissions,
                                &err));
    assert_ok(permissions_parse(str_of(global), GLOBALLY, &token.rights.global, &err));
    assert_ok(token_make(hub, a, str_of(owner), &token, &secret, &err));
    return bearer(secret);
}

static Repo make(const Viewer *by, const char *owner, const char *name, bool is_private)
{
    Error err = {0};
    Repo repo = {0};
    NewRepo new = {.owner = str_of(owner), .name = str_of(name), .is_private = is_private};
    assert_ok(repo_create(hub, a, by, &new, &repo, &err));
    return repo;
}

/* The error of doing it; 0 if it may be done. */
static ErrorCode may(const Viewer *viewer, const char *id, Access need)
{
    Error err = {0};
    Repo repo;
    bool ok = repo_find(hub, a, viewer, REPO_MODEL, str_of(id), need, &repo, &err);
    return ok ? 0 : err.code;
}

static void test_a_token_of_one_repository_opens_no_other(void **state)
{
    Viewer bob = test_viewer(hub, a, "bob");
    make(&bob, "bob", "one", true);
    make(&bob, "bob", "two", true);
    make(&bob, "bob", "open", false);
    Viewer reads = fine("bob", "bob/one", "repo.content.read", "");
    assert_false(reads.can_write);
    assert_int_equal(may(&reads, "bob/one", ACCESS_FILES), 0);
    assert_int_equal(may(&reads, "bob/one", ACCESS_PROPOSE), ERR_DENIED);
    assert_int_equal(may(&reads, "bob/one", ACCESS_WRITE), ERR_DENIED);
    assert_int_equal(may(&reads, "bob/two", ACCESS_READ), ERR_NO_REPO);
    assert_int_equal(may(&reads, "bob/open", ACCESS_FILES), 0);
    assert_int_equal(may(&reads, "bob/open", ACCESS_WRITE), ERR_DENIED);

    Viewer pushes = fine("bob", "models/bob/one", "repo.content.write", "");
    assert_int_equal(may(&pushes, "bob/one", ACCESS_WRITE), 0);
    assert_int_equal(may(&pushes, "bob/one", ACCESS_ADMIN), ERR_DENIED);
    assert_int_equal(may(&pushes, "bob/two", ACCESS_READ), ERR_NO_REPO);
    Viewer writes = fine("bob", "bob/one", "repo.write", "");
    assert_int_equal(may(&writes, "bob/one", ACCESS_ADMIN), 0);

    // Lists show what it may read and nothing else.
    RepoQuery query = {.author = S("bob"), .sort = SORT_CREATED, .limit = 10};
    RepoPage page;
    Error err = {0};
    assert_ok(repo_list(hub, a, &reads, &query, &page, &err));
    assert_int_equal(page.total, 2);
    assert_ok(repo_list(hub, a, &bob, &query, &page, &err));
    assert_int_equal(page.total, 3);
}

static void test_a_token_makes_repositories_where_it_may_write_everything(void **state)
{
    Error err = {0};
    Repo repo;
    Viewer one = fine("bob", "bob/one", "repo.write", ""),
           all = fine("bob", "bob", "repo.write", "");
    NewRepo new = {.owner = S("bob"), .name = S("three")};
    assert_fails(repo_create(hub, a, &one, &new, &repo, &err), ERR_DENIED, "repo.write");
    assert_ok(repo_create(hub, a, &all, &new, &repo, &err));
    assert_int_equal(may(&all, "bob/two", ACCESS_ADMIN), 0);
    // A move needs both ends.
    Repo moved = make(&all, "bob", "four", true);
    assert_fails(repo_move(hub, a, &one, &moved, S("bob/five"), &err), ERR_DENIED, "repo.write");
}

static void test_talking_liking_and_running_are_permissions(void **state)
{
    Error err = {0};
    Viewer cyd = test_viewer(hub, a, "cyd"), nothing = fine("bob", NULL, "", "");
    Repo repo = make(&cyd, "cyd", "talk", false);
    assert_int_equal(may(&nothing, "cyd/talk", ACCESS_FILES), 0);
    assert_int_equal(may(&nothing, "cyd/talk", ACCESS_PROPOSE), ERR_DENIED);
    Viewer talks = fine("bob", NULL, "", "discussion.write");
    assert_int_equal(may(&talks, "cyd/talk", ACCESS_PROPOSE), 0);
    Viewer there = fine("bob", "cyd/talk", "discussion.write", "");
    assert_int_equal(may(&there, "cyd/talk", ACCESS_PROPOSE), 0);

    assert_fails(repo_like(hub, &talks, &repo, true, &err), ERR_DENIED, "likes");
    Viewer likes = fine("bob", "bob", "user.social.likes.write", "");
    assert_ok(repo_like(hub, &likes, &repo, true, &err));
    Str secret;
    assert_ok(token_create(hub, a, S("bob"), S("r"), S("read"), &secret, &err));
    Viewer reader = bearer(secret);
    assert_fails(repo_like(hub, &reader, &repo, true, &err), ERR_DENIED, "likes");

    assert_fails(viewer_need(&likes, MAY_INFER, &err), ERR_DENIED, "inference");
    Viewer runs = fine("bob", NULL, "", "inference.serverless.write");
    assert_ok(viewer_need(&runs, MAY_INFER, &err));
    assert_ok(viewer_need(&reader, MAY_INFER, &err));
}

static void test_an_administrators_fine_grained_token_administers_nothing(void **state)
{
    Viewer root = test_viewer(hub, a, "ada"), fine_root = fine("ada", "ada", "repo.write", "");
    assert_int_equal(may(&root, "bob/two", ACCESS_ADMIN), 0);
    assert_false(fine_root.account.is_admin);
    assert_int_equal(may(&fine_root, "bob/two", ACCESS_READ), ERR_NO_REPO);
}

static void test_gates_open_to_tokens_that_say_so(void **state)
{
    Error err = {0};
    AccessRequest asked;
    Viewer cyd = test_viewer(hub, a, "cyd"), bob = test_viewer(hub, a, "bob");
    Repo repo = make(&cyd, "cyd", "gated", false);
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.gated = &(Str){"auto", 4}}, &err));
    assert_int_equal(may(&bob, "cyd/gated", ACCESS_FILES), ERR_GATED);
    assert_int_equal(may(&bob, "cyd/gated", ACCESS_READ), 0);
    repo.gated = S("auto");
    assert_ok(gate_ask(hub, a, &bob, &repo, S(""), &asked, &err));
    assert_int_equal(may(&bob, "cyd/gated", ACCESS_FILES), 0);

    Viewer without = fine("bob", "bob", "repo.content.read", "");
    assert_int_equal(may(&without, "cyd/gated", ACCESS_FILES), ERR_GATED);
    Viewer named = fine("bob", "cyd/gated", "repo.content.read", "");
    assert_int_equal(may(&named, "cyd/gated", ACCESS_FILES), 0);
    Str secret = {0};
    Token token = {.role = S("fineGrained"), .rights.reads_gated = true};
    assert_ok(token_make(hub, a, S("bob"), &token, &secret, &err));
    Viewer gated = bearer(secret);
    assert_int_equal(may(&gated, "cyd/gated", ACCESS_FILES), 0);
    // What its owner may not, no token may.
    assert_ok(token_make(hub, a, S("ada"), &token, &secret, &err));
    gated = bearer(secret);
    assert_int_equal(may(&gated, "cyd/gated", ACCESS_FILES), ERR_GATED);

    // Who asks is for its owner, also by a token for just that.
    Viewer sees = fine("cyd", "cyd/gated", "repo.access.read", "");
    Repo seen;
    assert_ok(repo_find(hub, a, &sees, REPO_MODEL, S("cyd/gated"), ACCESS_READ, &seen, &err));
    assert_true(seen.sees_requests && seen.access == ACCESS_READ);
    assert_ok(repo_find(hub, a, &named, REPO_MODEL, S("cyd/gated"), ACCESS_READ, &seen, &err));
    assert_false(seen.sees_requests);
}

static void test_roles_in_an_organisation(void **state)
{
    Error err = {0};
    Viewer ada = test_viewer(hub, a, "ada");
    make(&ada, "team", "hers", true);
    assert_int_equal(may(&(Viewer){0}, "team/hers", ACCESS_READ), ERR_NO_REPO);
    assert_ok(org_set_member(hub, S("team"), S("bob"), S("read"), &err));
    Viewer bob = test_viewer(hub, a, "bob");
    assert_int_equal(may(&bob, "team/hers", ACCESS_FILES), 0);
    assert_int_equal(may(&bob, "team/hers", ACCESS_WRITE), ERR_DENIED);

    assert_ok(org_set_member(hub, S("team"), S("bob"), S("contributor"), &err));
    bob = test_viewer(hub, a, "bob");
    assert_int_equal(may(&bob, "team/hers", ACCESS_WRITE), ERR_DENIED);
    make(&bob, "team", "his", true);
    assert_int_equal(may(&bob, "team/his", ACCESS_ADMIN), 0);
    // What he made is his only while he may contribute.
    assert_ok(org_set_member(hub, S("team"), S("bob"), S("read"), &err));
    bob = test_viewer(hub, a, "bob");
    assert_int_equal(may(&bob, "team/his", ACCESS_WRITE), ERR_DENIED);

    assert_ok(org_set_member(hub, S("team"), S("bob"), S("write"), &err));
    bob = test_viewer(hub, a, "bob");
    assert_int_equal(may(&bob, "team/hers", ACCESS_ADMIN), 0);
    Viewer team = fine("bob", "team", "repo.content.read", "");
    assert_int_equal(may(&team, "team/hers", ACCESS_FILES), 0);
    assert_int_equal(may(&team, "team/hers", ACCESS_WRITE), ERR_DENIED);
    assert_int_equal(may(&team, "bob/one", ACCESS_READ), ERR_NO_REPO);
}

static void test_a_token_of_an_organisation_acts_in_its_name(void **state)
{
    Viewer service = fine("team", "team/hers", "repo.content.write", "");
    assert_true(service.account.is_org);
    assert_int_equal(may(&service, "team/hers", ACCESS_WRITE), 0);
    assert_int_equal(may(&service, "team/his", ACCESS_READ), ERR_NO_REPO);
    Error err = {0};
    Repo repo;
    assert_ok(repo_find(hub, a, &service, REPO_MODEL, S("team/hers"), ACCESS_READ, &repo, &err));
    assert_fails(repo_like(hub, &service, &repo, true, &err), ERR_DENIED, "people");
    // It names nothing of its members.
    TokenScope scope = {.name = S("bob"), .permissions = 1u << MAY_REPO_READ};
    Token token = {.role = S("fineGrained"), .rights = {.scopes = &scope, .n_scopes = 1}};
    Str secret;
    assert_fails(token_make(hub, a, S("team"), &token, &secret, &err), ERR_INVALID, "neither");
}

static void test_tokens_end(void **state)
{
    Error err = {0};
    Str secret, other;
    Viewer viewer;
    Token past = {.role = S("read"), .expires_ns = 1};
    assert_fails(token_make(hub, a, S("bob"), &past, &secret, &err), ERR_INVALID, "end");
    Token soon = {.name = S("soon"), .role = S("read"), .expires_ns = wall_ns() + NS_PER_S};
    assert_ok(token_make(hub, a, S("bob"), &soon, &secret, &err));
    assert_ok(viewer_of_token(hub, a, secret, &viewer, &err));
    while (wall_ns() < soon.expires_ns)
        sched_yield();
    assert_fails(viewer_of_token(hub, a, secret, &viewer, &err), ERR_UNAUTHENTICATED,
                 "\"soon\" is expired");

    Token *tokens;
    size_t n;
    assert_ok(token_create(hub, a, S("cyd"), S("turning"), S("write"), &secret, &err));
    assert_ok(token_list(hub, a, S("cyd"), &tokens, &n, &err));
    Str id = tokens[0].id;
    assert_ok(token_rotate(hub, a, S("cyd"), id, &other, &err));
    assert_ok(viewer_of_token(hub, a, other, &viewer, &err));
    assert_fails(viewer_of_token(hub, a, secret, &viewer, &err), ERR_UNAUTHENTICATED,
                 "credentials");
    assert_fails(token_rotate(hub, a, S("bob"), id, &other, &err), ERR_NOT_FOUND, "token");
}

static void test_a_token_is_edited_and_keeps_its_secret(void **state)
{
    Error err = {0};
    Str secret;
    TokenScope scope = {.name = S("bob/one"), .permissions = 1u << MAY_REPO_READ};
    Token token = {
        .name = S("ci"), .role = S("fineGrained"), .rights = {.scopes = &scope, .n_scopes = 1}};
    assert_ok(token_make(hub, a, S("bob"), &token, &secret, &err));
    Viewer viewer = bearer(secret);
    assert_int_equal(may(&viewer, "bob/two", ACCESS_READ), ERR_NO_REPO);
    scope.name = S("bob/two");
    token.name = S("ci of two");
    assert_ok(token_edit(hub, a, S("bob"), viewer.token_id, &token, &err));
    viewer = bearer(secret);
    assert_str(viewer.token_name, "ci of two");
    assert_int_equal(may(&viewer, "bob/two", ACCESS_READ), 0);
    assert_int_equal(may(&viewer, "bob/one", ACCESS_READ), ERR_NO_REPO);

    scope.name = S("cyd/secret");
    assert_fails(token_edit(hub, a, S("bob"), viewer.token_id, &token, &err), ERR_NO_REPO,
                 "cyd/secret");
    Permissions parsed;
    assert_fails(permissions_parse(S("repo.fly"), ON_REPO, &parsed, &err), ERR_INVALID, "repo.fly");
    assert_fails(permissions_parse(S("org.read"), ON_REPO, &parsed, &err), ERR_INVALID,
                 "on a repository");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH(T1, test_a_token_of_one_repository_opens_no_other,
                 test_a_token_makes_repositories_where_it_may_write_everything,
                 test_talking_liking_and_running_are_permissions,
                 test_an_administrators_fine_grained_token_administers_nothing,
                 test_gates_open_to_tokens_that_say_so, test_roles_in_an_organisation,
                 test_a_token_of_an_organisation_acts_in_its_name, test_tokens_end,
                 test_a_token_is_edited_and_keeps_its_secret)};
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
