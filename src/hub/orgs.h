/* Organisations: who is in them, with which role, and who was asked to join. Roles, each with the
 * rights of those before it: "read"; "contributor" makes repositories and may do everything with
 * those; "write" with all; "admin" with the organisation itself. There is always an admin.
 * org_create and org_set_member of hub.h make them without asking. Threads and memory are as in
 * hub.h. */
#pragma once

#include "hub/hub.h"

extern const char *const org_roles[4]; // the least first

/* The organisation, if the viewer may do that much with it: ACCESS_READ is to be a member,
 * ACCESS_ADMIN to change settings and members. ERR_NOT_FOUND; ERR_UNAUTHENTICATED, ERR_DENIED. */
bool org_find(Hub *hub, Arena *a, const Viewer *viewer, Str name, Access need, Account *out,
              Error *err);
/* May the viewer change its settings and members? False for a person's account. */
bool org_is_led_by(const Account *account, const Viewer *viewer);
/* Changes the role of a member. ERR_NOT_FOUND; ERR_CONFLICT for the last admin. */
bool org_change_role(Hub *hub, const Account *org, Str user, Str role, Error *err);
/* Removes a member. ERR_NOT_FOUND; ERR_CONFLICT for the last admin. */
bool org_remove_member(Hub *hub, const Account *org, Str user, Error *err);

typedef struct Invitation {
    Str org, org_fullname, user, user_fullname, role;
    int64_t created_ns;
} Invitation;

/* Asks a user to join; again with another role changes it. ERR_NOT_FOUND, ERR_EXISTS for members.
 */
bool org_invite(Hub *hub, const Account *org, Str user, Str role, Error *err);
/* Of an organisation, or to a user; the newest first, at most 1,000. */
bool org_invitations(Hub *hub, Arena *a, const Account *of, Invitation **out, size_t *n,
                     Error *err);
/* The invited one joins, or does not care to. ERR_NOT_FOUND where nobody asked. */
bool org_answer(Hub *hub, const Viewer *viewer, Str org, bool join, Error *err);
/* Nobody is asked any more. ERR_NOT_FOUND */
bool org_uninvite(Hub *hub, const Account *org, Str user, Error *err);
