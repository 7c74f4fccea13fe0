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

/* Closes it, frees the test's arena, and removes the folder. */
static inline int test_hub_done(Hub *hub, Arena *a)
{
    hub_close(hub);
    arena_free(a);
    test_folder_remove();
    return 0;
}
