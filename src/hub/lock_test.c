/* Stories of file locks: who holds one, where it holds, and who may break it. */
#include "hub/hub_testing.h"
#include "hub/locks.h"

static Hub *hub;
static Arena *a;

static int set_up(void **state)
{
    Error err = {0};
    Account account;
    Repo repo;
    a = arena_new(0);
    hub = test_hub();
    test_user(hub, a, "ada", false);
    test_user(hub, a, "bob", false);
    assert_ok(org_create(hub, a, S("team"), S(""), S("ada"), &account, &err));
    assert_ok(org_set_member(hub, S("team"), S("bob"), S("write"), &err));
    Viewer ada = test_viewer(hub, a, "ada"); // the organisation's, by now
    NewRepo new = {.kind = REPO_MODEL, .owner = S("team"), .name = S("art")};
    assert_ok(repo_create(hub, a, &ada, &new, &repo, &err));
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

static Repo art(const Viewer *viewer)
{
    Error err = {0};
    Repo repo = {0};
    assert_ok(repo_find(hub, a, viewer, REPO_MODEL, S("team/art"), ACCESS_WRITE, &repo, &err));
    return repo;
}

static LockPage locks(const Viewer *viewer, LockQuery query)
{
    Error err = {0};
    LockPage page = {0};
    Repo repo = art(viewer);
    query.limit = query.limit ? query.limit : 100;
    assert_ok(lock_list(hub, a, viewer, &repo, &query, &page, &err));
    return page;
}

static void test_a_file_is_locked_once_on_a_ref(void **state)
{
    Error err = {0};
    FileLock first, lock;
    Viewer ada = test_viewer(hub, a, "ada"), bob = test_viewer(hub, a, "bob");
    Repo repo = art(&ada);
    assert_ok(lock_create(hub, a, &ada, &repo, S("a.psd"), S("refs/heads/main"), &first, &err));
    assert_fails(lock_create(hub, a, &bob, &repo, S("a.psd"), S("refs/heads/main"), &lock, &err),
                 ERR_EXISTS, "a.psd is locked by ada");
    assert_true(str_eq(lock.id, first.id));
    assert_true(!lock.mine);
    // On another branch it is another file; on all of them it is not free.
    assert_ok(lock_create(hub, a, &bob, &repo, S("a.psd"), S("refs/heads/side"), &lock, &err));
    assert_fails(lock_create(hub, a, &bob, &repo, S("a.psd"), S(""), &lock, &err), ERR_EXISTS,
                 "a.psd");
    assert_ok(lock_create(hub, a, &bob, &repo, S("b.psd"), S(""), &lock, &err));
    assert_fails(lock_create(hub, a, &ada, &repo, S("b.psd"), S("refs/heads/main"), &lock, &err),
                 ERR_EXISTS, "locked by bob");
    assert_fails(lock_create(hub, a, &ada, &repo, S("../x"), S(""), &lock, &err), ERR_INVALID, "");
    assert_fails(lock_create(hub, a, &ada, &repo, S("x"), S("refs/heads/a b"), &lock, &err),
                 ERR_INVALID, "");

    LockPage page = locks(&ada, (LockQuery){.ref = S("refs/heads/main")});
    assert_int_equal(page.n, 2);
    for (size_t i = 0; i < page.n; i++)
        assert_true(page.items[i].mine == str_eq(page.items[i].path, S("a.psd")));
    assert_int_equal(locks(&bob, (LockQuery){.path = S("a.psd")}).n, 2);
    assert_int_equal(locks(&bob, (LockQuery){.id = first.id}).n, 1);
}

static void test_pages_of_locks_hold_each_once(void **state)
{
    Error err = {0};
    FileLock lock;
    Viewer ada = test_viewer(hub, a, "ada");
    Repo repo = art(&ada);
    for (int i = 0; i < 7; i++)
        assert_ok(lock_create(hub, a, &ada, &repo, str_of(arena_printf(a, "many/%d", i)),
                              S("refs/heads/many"), &lock, &err));
    LockPage page = {0};
    LockQuery query = {.ref = S("refs/heads/many"), .limit = 3};
    int seen = 0;
    do {
        page = locks(&ada, query);
        for (size_t i = 0; i < page.n; i++)
            seen += str_starts(page.items[i].path, S("many/"));
        query.cursor = page.next;
    } while (page.next.len);
    assert_int_equal(seen, 7);
    LockPage none;
    query.limit = 0;
    assert_fails(lock_list(hub, a, &ada, &repo, &query, &none, &err), ERR_INVALID, "limit");
}

static void test_only_an_administrator_breaks_a_lock(void **state)
{
    Error err = {0};
    FileLock of_ada, of_bob, gone;
    Viewer ada = test_viewer(hub, a, "ada"), bob = test_viewer(hub, a, "bob");
    Repo repo = art(&ada), bobs = art(&bob);
    bobs.access = ACCESS_WRITE; // as a token has it that may push and no more
    assert_ok(lock_create(hub, a, &ada, &repo, S("c.psd"), S(""), &of_ada, &err));
    assert_ok(lock_create(hub, a, &bob, &bobs, S("d.psd"), S(""), &of_bob, &err));
    assert_fails(lock_remove(hub, a, &bob, &bobs, of_ada.id, false, &gone, &err), ERR_DENIED,
                 "c.psd is locked by ada");
    assert_fails(lock_remove(hub, a, &bob, &bobs, of_ada.id, true, &gone, &err), ERR_DENIED,
                 "only who administers");
    assert_fails(lock_remove(hub, a, &ada, &repo, of_bob.id, false, &gone, &err), ERR_DENIED,
                 "d.psd is locked by bob");
    assert_ok(lock_remove(hub, a, &ada, &repo, of_bob.id, true, &gone, &err));
    assert_str(gone.path, "d.psd");
    assert_ok(lock_remove(hub, a, &ada, &repo, of_ada.id, false, &gone, &err));
    assert_fails(lock_remove(hub, a, &ada, &repo, of_ada.id, false, &gone, &err), ERR_NOT_FOUND,
                 "no such lock");
    assert_fails(lock_remove(hub, a, &ada, &repo, S(""), true, &gone, &err), ERR_NOT_FOUND, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {FOR_EACH(T1, test_a_file_is_locked_once_on_a_ref,
                                                test_pages_of_locks_hold_each_once,
                                                test_only_an_administrator_breaks_a_lock)};
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
