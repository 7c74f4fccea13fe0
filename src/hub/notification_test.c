/* Stories of notifications: who is told of what and why, and that nobody is shown what they may no
 * longer read. */
#include "hub/hub_testing.h"
#include "hub/mentions.h"
#include "hub/notifications.h"
#include "hub/tokens.h"

static Hub *hub;
static Arena *a;
static Viewer ada, bob, cyd, dan;
static const Viewer nobody;

static int set_up(void **state)
{
    Error err = {0};
    Account account;
    a = arena_new(0);
    hub = test_hub();
    test_user(hub, a, "ada", false);
    bob = test_user(hub, a, "bob", false);
    cyd = test_user(hub, a, "cyd", false);
    test_user(hub, a, "dan", false);
    assert_ok(org_create(hub, a, S("team"), S(""), S("ada"), &account, &err));
    assert_ok(org_set_member(hub, S("team"), S("dan"), S("read"), &err));
    ada = test_viewer(hub, a, "ada"); // these two are the organisation's by now
    dan = test_viewer(hub, a, "dan");
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

static Repo make(const char *owner, const char *name, bool is_private)
{
    Error err = {0};
    Repo repo = {0};
    NewRepo new = {.owner = str_of(owner), .name = str_of(name), .is_private = is_private};
    assert_ok(repo_create(hub, a, &ada, &new, &repo, &err));
    return repo;
}

static Discussion begin(const Viewer *by, const Repo *repo, const char *text)
{
    Error err = {0};
    Discussion d = {0};
    NewDiscussion new = {.title = S("Why?"), .description = str_of(text)};
    assert_ok(discussion_create(hub, a, by, repo, &new, &d, &err));
    return d;
}

static DiscussionEvent say(const Viewer *by, const Repo *repo, const Discussion *d,
                           const char *text)
{
    Error err = {0};
    DiscussionEvent event = {0};
    assert_ok(discussion_comment(hub, a, by, repo, d, str_of(text), &event, &err));
    return event;
}

/* What the viewer is told of in this repository. */
static NotificationPage told(const Viewer *viewer, const Repo *repo)
{
    Error err = {0};
    NotificationPage page = {0};
    NotificationQuery query = {.repo = repo->full, .limit = 10};
    assert_ok(notification_list(hub, a, viewer, &query, &page, &err));
    return page;
}

static unsigned reasons(const Viewer *viewer, const Repo *repo)
{
    NotificationPage page = told(viewer, repo);
    return page.n && !page.items[0].is_read ? page.items[0].reasons : 0;
}

static void finds(const char *text, const char *names)
{
    Mentions found;
    AUTO_BUF seen;
    buf_init(&seen, 0);
    mentions_find(a, str_of(text), &found);
    for (size_t i = 0; i < found.n; i++)
        buf_printf(&seen, "%s%.*s", i ? " " : "", STR(found.names[i]));
    assert_str(buf_str(&seen), names);
}

static void test_names_are_found_in_text_and_nowhere_else(void **state)
{
    finds("@ada, and (@bob). @x-y_z.1- @Ada", "ada bob x-y_z.1");
    finds("me@example.org a@b.c @@no /@no x.@no @ @- @_x", "");
    finds("`@code` @yes ``a ` @code``\n\n```\n@fence\n```\n\n    @indented\n", "yes");
    finds("[@link](https://x) ![@image](x) <b title=\"@attribute\">*@strong*</b> https://x/@y",
          "strong");
    finds("> @quoted\n\n| a | @cell |\n|---|---|\n| ~~@gone~~ | `@code` |\n", "quoted cell gone");
    AUTO_BUF many;
    buf_init(&many, 0);
    for (int i = 0; i < 200; i++)
        buf_printf(&many, "@u%d ", i);
    Mentions found;
    mentions_find(a, buf_str(&many), &found);
    assert_int_equal(found.n, MAX_MENTIONS);
}

static void test_those_are_told_who_own_take_part_or_are_mentioned(void **state)
{
    Repo repo = make("ada", "talk", false);
    Discussion d = begin(&bob, &repo, "Hello @cyd, @bob and `@dan`");
    assert_int_equal(reasons(&ada, &repo), NOTIFIED_WATCHING);
    assert_int_equal(reasons(&cyd, &repo), NOTIFIED_MENTIONED);
    assert_int_equal(told(&bob, &repo).n, 0); // oneself
    assert_int_equal(told(&dan, &repo).n, 0); // in code

    DiscussionEvent first = say(&ada, &repo, &d, "Because.");
    assert_int_equal(reasons(&bob, &repo), NOTIFIED_PARTICIPATING);
    assert_int_equal(reasons(&ada, &repo), 0); // whoever answers has read
    say(&cyd, &repo, &d, "I see, @dan.");
    NotificationPage page = told(&bob, &repo);
    assert_int_equal(page.n, 1);
    assert_true(str_eq(page.items[0].event, first.id)); // the first that was not read
    assert_str(page.items[0].actor, "cyd");
    assert_int_equal(page.items[0].n_people, 3);
    assert_int_equal(reasons(&ada, &repo), NOTIFIED_PARTICIPATING | NOTIFIED_WATCHING);
    assert_int_equal(reasons(&dan, &repo), NOTIFIED_MENTIONED);
}

static void test_an_edit_calls_those_alone_who_are_new_in_it(void **state)
{
    Error err = {0};
    Repo repo = make("ada", "edits", false);
    Discussion d = begin(&ada, &repo, "Hello @bob");
    DiscussionEvent event = say(&ada, &repo, &d, "Well, @bob");
    assert_ok(notification_mark(hub, &bob, &d.id, 1, NULL, MARK_READ, &err));
    assert_ok(
        discussion_edit(hub, a, &ada, &repo, &d, event.id, S("Well, @bob and @cyd"), &event, &err));
    assert_int_equal(reasons(&bob, &repo), 0);
    assert_int_equal(reasons(&cyd, &repo), NOTIFIED_MENTIONED);
}

static void test_members_watch_their_organisation_until_they_do_not(void **state)
{
    Error err = {0};
    WatchState state_now;
    Account team;
    assert_ok(account_find(hub, a, S("team"), &team, &err));
    Repo repo = make("team", "ours", false), other = make("team", "theirs", false);
    begin(&bob, &repo, "");
    assert_int_equal(reasons(&ada, &repo), NOTIFIED_WATCHING);
    assert_int_equal(reasons(&dan, &repo), NOTIFIED_WATCHING);
    assert_ok(watch_set(hub, &dan, WATCH_ACCOUNT, team.id, WATCH_OFF, &err));
    assert_ok(watch_set(hub, &dan, WATCH_REPO, other.id, WATCH_ON, &err));
    assert_ok(watch_get(hub, &dan, other.id, &state_now, &err));
    assert_int_equal(state_now, WATCH_ON);
    assert_ok(
        notification_mark(hub, &dan, NULL, 0, &(NotificationQuery){.limit = 1}, MARK_GONE, &err));
    begin(&bob, &repo, "");
    begin(&bob, &other, "");
    assert_int_equal(told(&dan, &repo).n, 0);
    assert_int_equal(reasons(&dan, &other), NOTIFIED_WATCHING); // the more special word
    assert_ok(watch_set(hub, &dan, WATCH_ACCOUNT, team.id, WATCH_DEFAULT, &err));
    begin(&bob, &repo, "");
    assert_int_equal(told(&dan, &repo).n, 1);
}

static void test_a_thread_is_watched_or_muted_by_itself(void **state)
{
    Error err = {0};
    Repo repo = make("ada", "threads", false);
    Discussion d = begin(&bob, &repo, "");
    assert_ok(watch_set(hub, &ada, WATCH_THREAD, d.id, WATCH_OFF, &err));
    assert_ok(watch_set(hub, &bob, WATCH_THREAD, d.id, WATCH_OFF, &err));
    assert_ok(watch_set(hub, &cyd, WATCH_THREAD, d.id, WATCH_ON, &err));
    assert_ok(notification_mark(hub, &ada, &d.id, 1, NULL, MARK_READ, &err));
    say(&dan, &repo, &d, "Hm. @bob");
    assert_int_equal(reasons(&ada, &repo), 0);
    assert_int_equal(reasons(&bob, &repo), NOTIFIED_MENTIONED); // by name, all the same
    assert_int_equal(reasons(&cyd, &repo), NOTIFIED_WATCHING);
    Watch *watched;
    size_t n;
    assert_ok(watch_list(hub, a, &cyd, &watched, &n, &err));
    assert_int_equal(n, 1);
    assert_str(watched[0].name, "ada/threads");
    assert_str(watched[0].title, "Why?");
}

static void test_settings_say_what_is_told_at_all(void **state)
{
    Error err = {0};
    unsigned off = 0;
    Repo repo = make("ada", "quiet", false);
    assert_ok(
        notification_settings_set(hub, &cyd, NOTIFIED_MENTIONED | NOTIFIED_PARTICIPATING, &err));
    assert_ok(notification_settings(hub, &cyd, &off, &err));
    assert_int_equal(off, NOTIFIED_MENTIONED | NOTIFIED_PARTICIPATING);
    Discussion d = begin(&cyd, &repo, "");
    say(&ada, &repo, &d, "@cyd?");
    assert_int_equal(told(&cyd, &repo).n, 0);
    assert_ok(watch_set(hub, &cyd, WATCH_REPO, repo.id, WATCH_ON, &err));
    say(&ada, &repo, &d, "@cyd!");
    assert_int_equal(reasons(&cyd, &repo), NOTIFIED_WATCHING);
    assert_ok(notification_settings_set(hub, &cyd, 0, &err));
}

static int64_t unread(const Viewer *viewer)
{
    Error err = {0};
    int64_t n = -1;
    assert_ok(notification_unread(hub, viewer, &n, &err));
    return n;
}

static void test_nobody_is_shown_what_they_may_no_longer_read(void **state)
{
    Error err = {0};
    static const bool yes = true, no = false;
    Repo repo = make("team", "closing", false);
    begin(&ada, &repo, "Look, @bob and @dan");
    int64_t bobs = unread(&bob), dans = unread(&dan);
    assert_int_equal(reasons(&bob, &repo), NOTIFIED_MENTIONED);

    // Private: gone from lists and counts for bob, not for a member; and open again.
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.is_private = &yes}, &err));
    assert_int_equal(told(&bob, &repo).n, 0);
    assert_int_equal(told(&bob, &repo).view, 0);
    assert_int_equal(unread(&bob), bobs - 1);
    assert_int_equal(unread(&dan), dans);
    // Nor is anybody told who may not read it now.
    Repo hidden = make("team", "hidden", true);
    begin(&ada, &hidden, "@bob @dan");
    assert_int_equal(told(&dan, &hidden).n, 1);
    assert_ok(repo_change(hub, &hidden, &(RepoSettings){.is_private = &no}, &err));
    assert_int_equal(told(&bob, &hidden).n, 0);
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.is_private = &no}, &err));
    assert_int_equal(unread(&bob), bobs);

    // A gate stands before the files; what is said there is open to all.
    assert_ok(repo_change(hub, &repo, &(RepoSettings){.gated = &S("manual")}, &err));
    assert_int_equal(told(&bob, &repo).n, 1);

    // Deleted, and what was watched is forgotten.
    Watch *watched;
    size_t before, n;
    assert_ok(watch_list(hub, a, &bob, &watched, &before, &err));
    assert_ok(watch_set(hub, &bob, WATCH_REPO, repo.id, WATCH_ON, &err));
    assert_ok(repo_delete(hub, &repo, &err));
    assert_int_equal(unread(&bob), bobs - 1);
    assert_ok(watch_list(hub, a, &bob, &watched, &n, &err));
    assert_int_equal(n, before);
}

static void test_lists_are_filtered_marked_and_emptied(void **state)
{
    Error err = {0};
    Repo one = make("ada", "one", false), two = make("ada", "two", false);
    Discussion d = begin(&ada, &one, "@cyd");
    begin(&ada, &two, "@cyd");
    NotificationQuery query = {.limit = 100};
    NotificationPage page;
    assert_ok(notification_list(hub, a, &cyd, &query, &page, &err));
    int64_t all = page.all, open = page.unread;
    assert_true(open >= 2);
    assert_true(str_eq(page.items[0].repo, two.full)); // the newest first
    assert_ok(notification_seen(hub, &cyd, &d, &err));
    assert_ok(notification_seen(hub, &nobody, &d, &err));
    query.unread = true;
    assert_ok(notification_list(hub, a, &cyd, &query, &page, &err));
    assert_int_equal(page.view, open - 1);
    query = (NotificationQuery){.repo = S("ADA/One"), .limit = 1};
    assert_ok(notification_mark(hub, &cyd, NULL, 0, &query, MARK_UNREAD, &err));
    assert_ok(notification_list(hub, a, &cyd, &query, &page, &err));
    assert_int_equal(page.unread, open);
    assert_false(page.items[0].is_read);
    query = (NotificationQuery){.until_ns = page.items[0].updated_ns - 1, .limit = 1};
    assert_ok(notification_mark(hub, &cyd, NULL, 0, &query, MARK_READ, &err));
    assert_int_equal(unread(&cyd), 2); // those that came later
    assert_ok(notification_mark(hub, &cyd, &d.id, 1, NULL, MARK_GONE, &err));
    query = (NotificationQuery){.limit = 1};
    assert_ok(notification_list(hub, a, &cyd, &query, &page, &err));
    assert_int_equal(page.all, all - 1);
    assert_fails(notification_list(hub, a, &nobody, &query, &page, &err), ERR_UNAUTHENTICATED, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH(T1, test_names_are_found_in_text_and_nowhere_else,
                 test_those_are_told_who_own_take_part_or_are_mentioned,
                 test_an_edit_calls_those_alone_who_are_new_in_it,
                 test_members_watch_their_organisation_until_they_do_not,
                 test_a_thread_is_watched_or_muted_by_itself, test_settings_say_what_is_told_at_all,
                 test_nobody_is_shown_what_they_may_no_longer_read,
                 test_lists_are_filtered_marked_and_emptied)};
    return cmocka_run_group_tests_name(__FILE__, tests, set_up, tear_down);
}
