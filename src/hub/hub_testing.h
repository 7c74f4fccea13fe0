/* For tests of the hub: one in the test's folder, on the database that db_testing.h chooses. */
#pragma once

#include "db/db_testing.h"
#include "hub/hub.h"

static inline Hub *test_hub(void)
{
    Error err = {0};
    Hub *hub = hub_open(&(HubOptions){.data = test_path("hub"), .db = test_db("hub")}, &err);
    if (!hub)
        fail_msg("%s", err.text);
    return hub;
}

/* What a user that is there may do, without a token's limits. */
static inline Viewer test_viewer(Hub *hub, Arena *a, const char *name)
{
    Error err = {0};
    Viewer viewer = {0};
    if (!viewer_of_user(hub, a, str_of(name), &viewer, &err))
        fail_msg("%s", err.text);
    return viewer;
}

/* Makes one. */
static inline Viewer test_user(Hub *hub, Arena *a, const char *name, bool admin)
{
    Error err = {0};
    Account account;
    if (!user_create(hub, a, &(NewUser){.name = str_of(name), .admin = admin}, &account, &err))
        fail_msg("%s", err.text);
    return test_viewer(hub, a, name);
}

/* Closes it, frees the test's arena, and removes the folder. */
static inline int test_hub_done(Hub *hub, Arena *a)
{
    hub_close(hub);
    arena_free(a);
    test_folder_remove();
    return 0;
}
