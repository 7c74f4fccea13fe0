/* Stories of people: profiles and pictures, who follows whom, and counts that tell nobody of what
 * they may not see. */
#include "base/encode.h"
#include "hub/discussions.h"
#include "hub/hub_testing.h"
#include "hub/people.h"
#include "hub/tokens.h"

static Hub *hub;
static Arena *a;
static Viewer ada, bob, cyd;
static const Viewer nobody;

static int set_up(void **state)
{
    a = arena_new(0);
    hub = test_hub();
    ada = test_user(hub, a, "ada", false);
    bob = test_user(hub, a, "bob", false);
    cyd = test_user(hub, a, "cyd", false);
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

static Account account(const char *name)
{
    Error err = {0};
    Account found = {0};
    assert_ok(account_find(hub, a, str_of(name), &found, &err));
    return found;
}

static Repo make(const Viewer *by, const char *name, bool is_private)
{
    Error err = {0};
    Repo repo = {0};
    NewRepo new = {.name = str_of(name), .is_private = is_private};
    assert_ok(repo_create(hub, a, by, &new, &repo, &err));
    return repo;
}

static Overview seen_by(const Viewer *viewer, const char *name)
{
    Error err = {0};
    Overview out = {0};
    Account of = account(name);
    assert_ok(overview_get(hub, viewer, &of, &out, &err));
    return out;
}

static void test_a_profile_is_changed_in_parts_and_checked(void **state)
{
    Error err = {0};
    Str about = S("Weights &\nbiases"), website = S(" https://ada.example/x?y=1 ");
    assert_ok(profile_change(hub, &ada.account, &(ProfileChange){.about = &about}, &err));
    Account now = account("ada");
    assert_ok(profile_change(hub, &now, &(ProfileChange){.website = &website}, &err));
    now = account("ADA");
    assert_str(now.about, "Weights &\nbiases");
    assert_str(now.website, "https://ada.example/x?y=1");
    assert_str(now.fullname, "ada");
    static const char *const bad[] = {"javascript:alert(1)", "ftp://x", "https://a b", "http://",
                                      "https://x/\"onclick="};
    for (size_t i = 0; i < COUNT(bad); i++) {
        website = str_of(bad[i]);
        assert_fails(profile_change(hub, &now, &(ProfileChange){.website = &website}, &err),
                     ERR_INVALID, "website");
    }
}

static void test_a_picture_is_kept_replaced_and_taken_away(void **state)
{
    static const char png[] = "89504e470d0a1a0a0000000d4948445200000003000000020802000000"
                              "1216f14d0000000474455874686f6d6500000000"
                              "0000000049454e44ae426082";
    Error err = {0};
    Avatar avatar = {0};
    char bytes[sizeof png / 2];
    Str image = {bytes, sizeof bytes};
    assert_true(hex_decode(str_of(png), bytes, sizeof bytes));
    assert_ok(avatar_get(hub, a, S("ada"), &avatar, &err));
    assert_str(avatar.type, "image/svg+xml");
    assert_true(str_find(avatar.bytes, S(">A</text>"), 0) != SIZE_MAX);

    assert_ok(avatar_set(hub, &ada.account, image, &err));
    assert_ok(avatar_get(hub, a, S("Ada"), &avatar, &err));
    assert_str(avatar.type, "image/png");
    assert_int_equal(avatar.bytes.len, image.len - 16); // without its text
    assert_true(str_eq(account("ada").avatar, avatar.hash));

    assert_fails(avatar_set(hub, &ada.account, S("<svg xmlns='x'/>"), &err), ERR_UNSUPPORTED,
                 "PNG");
    bytes[18] = 0x20; // 8195 wide
    assert_fails(avatar_set(hub, &ada.account, image, &err), ERR_LIMIT, "8195 by 2");
    assert_ok(avatar_set(hub, &ada.account, S(""), &err));
    assert_ok(avatar_get(hub, a, S("ada"), &avatar, &err));
    assert_str(avatar.type, "image/svg+xml");
    assert_fails(avatar_get(hub, a, S("nobody"), &avatar, &err), ERR_NOT_FOUND, "nobody");
}

static void test_initials_are_of_first_and_last_name_and_escaped(void **state)
{
    Error err = {0};
    Avatar avatar = {0};
    static const char *const names[][2] = {{"Ada King Lovelace", ">AL</text>"},
                                           {"\xC3\x89va <b>", ">\xC3\x89&lt;</text>"},
                                           {"x_y", ">XY</text>"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        Str fullname = str_of(names[i][0]);
        assert_ok(profile_change(hub, &cyd.account, &(ProfileChange){.fullname = &fullname}, &err));
        assert_ok(avatar_get(hub, a, S("cyd"), &avatar, &err));
        assert_true(str_find(avatar.bytes, str_of(names[i][1]), 0) != SIZE_MAX);
    }
}

static void test_people_follow_people_and_organisations_once(void **state)
{
    Error err = {0};
    Account team, self = account("bob"), other = account("ada");
    PeoplePage page;
    assert_ok(org_create(hub, a, S("team"), S("The Team"), S("ada"), &team, &err));
    assert_ok(follow_set(hub, &bob, &other, true, &err));
    assert_ok(follow_set(hub, &bob, &other, true, &err));
    assert_ok(follow_set(hub, &cyd, &other, true, &err));
    assert_ok(follow_set(hub, &bob, &team, true, &err));
    assert_fails(follow_set(hub, &bob, &self, true, &err), ERR_INVALID, "themselves");
    assert_fails(follow_set(hub, &nobody, &other, true, &err), ERR_UNAUTHENTICATED, "");

    Overview seen = seen_by(&bob, "ada");
    assert_int_equal(seen.followers, 2);
    assert_true(seen.is_following);
    assert_false(seen_by(&nobody, "ada").is_following);
    assert_int_equal(seen_by(&nobody, "bob").following, 2);
    assert_int_equal(seen_by(&nobody, "team").followers, 1);

    // A page after the other, the newest first.
    PeopleQuery query = {.what = PEOPLE_FOLLOWERS, .of = other.id, .limit = 1};
    assert_ok(people_list(hub, a, &bob, &query, &page, &err));
    assert_str(page.items[0].name, "cyd");
    assert_false(page.items[0].is_followed);
    query.cursor = page.next;
    assert_ok(people_list(hub, a, &bob, &query, &page, &err));
    assert_str(page.items[0].name, "bob");
    query.cursor = page.next;
    assert_ok(people_list(hub, a, &bob, &query, &page, &err));
    assert_int_equal(page.n, 0);
    assert_int_equal(page.next.len, 0);
    query.cursor = S("1-x");
    assert_fails(people_list(hub, a, &bob, &query, &page, &err), ERR_INVALID, "cursor");
    query = (PeopleQuery){.what = PEOPLE_MEMBERS, .of = team.id, .limit = 10};
    assert_ok(people_list(hub, a, &bob, &query, &page, &err));
    assert_str(page.items[0].role, "admin");
    assert_true(page.items[0].is_followed);

    assert_ok(follow_set(hub, &bob, &other, false, &err));
    assert_int_equal(seen_by(&nobody, "ada").followers, 1);
}

static void test_counts_and_lists_tell_nobody_of_what_is_private(void **state)
{
    Error err = {0};
    Repo open = make(&ada, "open", false), secret = make(&ada, "secret", true);
    Discussion d;
    NewDiscussion new = {.title = S("Why?")};
    LikePage likes;
    ThreadPage threads;
    Account of = account("ada");
    assert_ok(repo_like(hub, &ada, &open, true, &err));
    assert_ok(repo_like(hub, &ada, &secret, true, &err));
    assert_ok(discussion_create(hub, a, &ada, &open, &new, &d, &err));
    assert_ok(discussion_create(hub, a, &ada, &secret, &new, &d, &err));
    const struct {
        const Viewer *viewer;
        int64_t n;
    } cases[] = {{&nobody, 1}, {&bob, 1}, {&ada, 2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        Overview seen = seen_by(cases[i].viewer, "ada");
        assert_int_equal(seen.repos[REPO_MODEL], cases[i].n);
        assert_int_equal(seen.likes, cases[i].n);
        assert_int_equal(seen.discussions, cases[i].n);
        assert_ok(likes_of_user(hub, a, cases[i].viewer, S("ada"), 10, S(""), &likes, &err));
        assert_int_equal(likes.n, cases[i].n);
        assert_ok(threads_of_user(hub, a, cases[i].viewer, &of, 10, S(""), &threads, &err));
        assert_int_equal(threads.n, cases[i].n);
    }
}

static void test_a_feed_shows_what_those_do_whom_one_follows(void **state)
{
    Error err = {0};
    Activity *feed;
    size_t n;
    Account of = account("ada");
    assert_ok(activity_list(hub, a, &nobody, 10, &feed, &n, &err));
    assert_int_equal(n, 0);
    assert_ok(follow_set(hub, &bob, &of, false, &err));
    assert_ok(activity_list(hub, a, &bob, 10, &feed, &n, &err));
    assert_int_equal(n, 0);
    assert_ok(follow_set(hub, &bob, &of, true, &err));
    assert_ok(activity_list(hub, a, &bob, 10, &feed, &n, &err));
    assert_int_equal(n, 3); // of the open one; it was begun, liked, asked about
    assert_int_equal(feed[0].kind, ACTIVITY_BEGAN);
    assert_str(feed[0].title, "Why?");
    assert_int_equal(feed[1].kind, ACTIVITY_LIKED);
    assert_int_equal(feed[2].kind, ACTIVITY_MADE);
    assert_str(feed[2].repo, "ada/open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH(T1, test_a_profile_is_changed_in_parts_and_checked,
                 test_a_picture_is_kept_replaced_and_taken_away,
                 test_initials_are_of_first_and_last_name_and_escaped,
                 test_people_follow_people_and_organisations_once,
                 test_counts_and_lists_tell_nobody_of_what_is_private,
                 test_a_feed_shows_what_those_do_whom_one_follows)};
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
