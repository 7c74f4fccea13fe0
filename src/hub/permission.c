/* permission.c: what credentials allow: the table of permissions, and the two questions asked of it
 * about a viewer; see tokens.h. Who may do what with a repository is put together in repo.c. */
#include "hub/hub_internal.h"
#include "hub/tokens.h"

static const PermissionInfo infos[] = {
#define X(name, wire, places, text) {wire, places, text},
    PERMISSIONS(X)
#undef X
};

/* What tokens of role "read" may. */
enum {
    READING = 1u << MAY_REPO_READ | 1u << MAY_REPO_ACCESS | 1u << MAY_INFER |
              1u << MAY_COLLECTION_READ | 1u << MAY_WEBHOOK_READ | 1u << MAY_NOTIFICATION_READ |
              1u << MAY_ORG_READ,
};

const PermissionInfo *permission_info(Permission permission)
{
    return &infos[permission];
}

bool permissions_parse(Str text, unsigned place, Permissions *out, Error *err)
{
    Permissions found = 0;
    for (Str piece, name; str_split(&text, ',', &piece);) {
        while (str_split(&piece, ' ', &name)) {
            size_t i = 0;
            if (!name.len)
                continue;
            while (i < COUNT(infos) && !str_eq(name, str_of(infos[i].name)))
                i++;
            if (i == COUNT(infos))
                return fail(err, ERR_INVALID, "there is no permission '%.*s'", STR(name));
            if (!(infos[i].places & place))
                return fail(err, ERR_INVALID, "permission '%.*s' cannot be given %s", STR(name),
                            place == ON_REPO   ? "on a repository"
                            : place == ON_USER ? "on an own account"
                            : place == ON_ORG  ? "on an organisation"
                                               : "everywhere at once");
            found |= 1u << i;
        }
    }
    *out = found;
    return true;
}

Str permissions_format(Arena *a, Permissions permissions)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < COUNT(infos); i++)
        if (permissions & 1u << i)
            buf_printf(&out, "%s%s", out.len ? "," : "", infos[i].name);
    return arena_str(a, buf_str(&out));
}

Permissions viewer_permissions(const Viewer *viewer, Str id)
{
    if (viewer->by == BY_NOBODY)
        return 0;
    const TokenRights *rights = viewer->rights;
    if (!rights)
        return viewer->can_write ? (1u << PERMISSION_COUNT) - 1 : READING;
    Permissions all = rights->global;
    for (size_t i = 0; i < rights->n_scopes; i++)
        if (str_eq(rights->scopes[i].id, id))
            all |= rights->scopes[i].permissions;
    return all;
}

bool viewer_need(const Viewer *viewer, Permission permission, Error *err)
{
    const PermissionInfo *info = &infos[permission];
    if (viewer->by == BY_NOBODY)
        return fail(err, ERR_UNAUTHENTICATED, "Invalid username or password.");
    if (viewer->account.is_org && !(info->places & (ON_ORG | GLOBALLY)))
        return fail(err, ERR_DENIED, "This is for people; the token is an organisation's");
    Permissions may = viewer_permissions(viewer, viewer->account.id);
    // Models run for whoever is charged: any organisation that says so will do.
    for (size_t i = 0; permission == MAY_INFER && viewer->rights && i < viewer->rights->n_scopes;
         i++)
        may |= viewer->rights->scopes[i].permissions;
    if (may & 1u << permission)
        return true;
    return fail(err, ERR_DENIED, "This token lacks the permission %s", info->name);
}
