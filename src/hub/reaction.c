/* reaction.c: emoji under comments; see discussions.h. A few are offered, so that counts mean
 * something and nothing else can be written with them. */
#include "hub/discussions.h"
#include "hub/hub_internal.h"

const char *const reaction_emoji[] = {"👍",    "❤️", "🤗", "🔥", "🚀",    "👀", "🧠",
                                      "🤝", "➕",      "😎",    "😔", "🤯", NULL};

static bool is_offered(Str emoji)
{
    for (size_t i = 0; reaction_emoji[i]; i++)
        if (str_eq(emoji, str_of(reaction_emoji[i])))
            return true;
    return false;
}

bool discussion_react(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                      const Discussion *d, Str event, Str emoji, bool on, DiscussionEvent *out,
                      Error *err)
{
    if (repo->discussions_off)
        return fail(err, ERR_DENIED, "Discussions are disabled for %.*s", STR(repo->full));
    if (!is_offered(emoji))
        return fail(err, ERR_INVALID, "reaction: one of %s %s %s ...", reaction_emoji[0],
                    reaction_emoji[1], reaction_emoji[2]);
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_event_find(c, a, d->id, event, out, err))
        return false;
    if (!str_eq(out->kind, S("comment")) || out->is_hidden)
        return fail(err, ERR_NOT_FOUND, "There is no such comment");
    return sql_reaction_set(c, event, viewer->account.id, emoji, on, err) &&
           sql_reaction_list(c, a, d->id, out, 1, err) && conn_commit(c, err);
}
