/* people.c: profiles, pictures, followers, likes; see people.h. */
#include "hub/people.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/encode.h"
#include "hub/hub_internal.h"
#include "hub/people_sql.h"
#include "media/image.h"

enum { MAX_WEBSITE = 200, MAX_PAGE = 1000, HASH_DIGITS = 16, ID_SIZE = 24 };

/* ---- Profiles ---- */

static bool website_check(Str website, Error *err)
{
    if (!website.len)
        return true;
    bool known = str_starts(website, S("https://")) || str_starts(website, S("http://"));
    for (size_t i = 0; i < website.len && known; i++)
        known = (unsigned char)website.ptr[i] > ' ' && !strchr("\"<>\\", website.ptr[i]);
    if (!known || website.len > MAX_WEBSITE || website.len < strlen("http://x"))
        return fail(err, ERR_INVALID,
                    "website: an address with http:// or https://, at most %d bytes", MAX_WEBSITE);
    return field_check("website", website, err);
}

bool profile_change(Hub *hub, const Account *account, const ProfileChange *change, Error *err)
{
    Account to = *account;
    if (change->fullname)
        to.fullname = str_trim(*change->fullname);
    if (change->email)
        to.email = str_trim(*change->email);
    if (change->about)
        to.about = str_trim(*change->about);
    if (change->website)
        to.website = str_trim(*change->website);
    if (!field_check("full name", to.fullname, err) || !email_check(to.email, err) ||
        !field_check("about", to.about, err) || !website_check(to.website, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_profile_set(c, &to, err) && conn_commit(c, err);
}

bool overview_get(Hub *hub, const Viewer *viewer, const Account *account, Overview *out, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_overview(c, viewer, account->id, out, err);
}

/* ---- Pictures ---- */

static Str hash_of(Arena *a, Str bytes)
{
    uint8_t digest[SHA256_SIZE];
    char *hex = arena_alloc(a, HASH_DIGITS + 1);
    sha256(bytes, digest);
    hex_encode(digest, HASH_DIGITS / 2, hex);
    return (Str){hex, HASH_DIGITS};
}

bool avatar_set(Hub *hub, const Account *account, Str bytes, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF clean, text;
    ImageHead head = {0};
    Avatar avatar = {0};
    buf_init(&clean, AVATAR_MAX_BYTES + 64);
    buf_init(&text, 0);
    if (bytes.len > AVATAR_MAX_BYTES)
        return fail(err, ERR_LIMIT, "a picture has at most %d KiB", AVATAR_MAX_BYTES >> 10);
    if (bytes.len && !image_clean(bytes, &head, &clean, err))
        return false;
    if (head.width > AVATAR_MAX_SIDE || head.height > AVATAR_MAX_SIDE)
        return fail(err, ERR_LIMIT, "a picture of %u by %u pixels: at most %d by %d", head.width,
                    head.height, AVATAR_MAX_SIDE, AVATAR_MAX_SIDE);
    if (bytes.len) {
        avatar = (Avatar){.type = str_of(head.type), .hash = hash_of(a, buf_str(&clean))};
        base64_encode(&text, buf_str(&clean));
    }
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_avatar_set(c, account->id, &avatar, buf_str(&text), err) && conn_commit(c, err);
}

/* The first letters of the first and of the last word of a name. */
static void initials_of(Str name, Buf *out)
{
    int32_t first = 0, last = 0;
    bool begins = true;
    for (size_t i = 0; i < name.len;) {
        int32_t code = utf8_next(name, &i);
        bool space = code == ' ' || code == '_' || code == '-' || code == '.';
        if (begins && !space && code > ' ' && code != 0x7F) {
            code = code >= 'a' && code <= 'z' ? code - 32 : code;
            first = first ? first : code;
            last = code;
        }
        begins = space;
    }
    char bytes[8];
    size_t n = first ? utf8_encode(first, bytes) : 0;
    if (last != first)
        n += utf8_encode(last, bytes + n);
    html_escape(out, (Str){bytes, n});
}

/* A drawing of initials; the colours are dark enough for white letters on them. */
static Str initials_svg(Arena *a, const Account *account)
{
    static const char *const colours[] = {"8f3f6b", "3f5f9c", "2f6f62", "7a5217", "6a4aa0",
                                          "9c3f33", "4a6a2a", "2a6a86", "8a4a1f", "5a5a6a"};
    AUTO_BUF svg;
    buf_init(&svg, 0);
    const char *colour = colours[str_hash(name_key(a, account->name)) % COUNT(colours)];
    buf_printf(&svg,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\">"
               "<rect width=\"96\" height=\"96\" fill=\"#%s\"/>"
               "<text x=\"48\" y=\"49\" fill=\"#fff\" font-family=\"system-ui,sans-serif\""
               " font-size=\"38\" font-weight=\"600\" text-anchor=\"middle\""
               " dominant-baseline=\"central\">",
               colour);
    initials_of(account->fullname.len ? account->fullname : account->name, &svg);
    buf_add(&svg, S("</text></svg>\n"));
    return arena_str(a, buf_str(&svg));
}

bool avatar_get(Hub *hub, Arena *a, Str name, Avatar *out, Error *err)
{
    Account account;
    Str text;
    if (!account_find(hub, a, name, &account, err))
        return false;
    if (account.avatar.len) {
        Buf *bytes = NEW(a, Buf);
        buf_init(bytes, AVATAR_MAX_BYTES + 64);
        arena_defer(a, (void (*)(void *))buf_done, bytes);
        Error seen = {0};
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c)
            return false;
        if (sql_avatar_get(c, a, account.id, &out->type, &text, &seen) &&
            base64_decode(bytes, text, &seen)) {
            out->bytes = buf_str(bytes);
            out->hash = account.avatar;
            return true;
        }
        if (seen.code != ERR_NOT_FOUND) { // it may have been taken away a moment ago
            *(err ? err : &seen) = seen;
            return false;
        }
    }
    out->bytes = initials_svg(a, &account);
    out->type = S("image/svg+xml");
    out->hash = hash_of(a, out->bytes);
    return true;
}

/* ---- Followers, members, and who likes ---- */

bool follow_set(Hub *hub, const Viewer *viewer, const Account *whom, bool on, Error *err)
{
    if (!viewer_need(viewer, MAY_SOCIAL, err))
        return false;
    if (viewer->account.is_org)
        return fail(err, ERR_DENIED, "Only people follow; the token is an organisation's");
    if (str_eq(viewer->account.id, whom->id))
        return fail(err, ERR_INVALID, "Nobody follows themselves");
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_follow(c, viewer->account.id, whom->id, on, wall_ns(), err) &&
           conn_commit(c, err);
}

static bool cursor_parse(Str text, PageCursor *out, Error *err)
{
    *out = (PageCursor){.since_ns = INT64_MAX};
    if (!text.len)
        return true;
    size_t dash = str_find_char(text, '-', 0);
    out->id = dash == SIZE_MAX ? (Str){0} : str_slice(text, dash + 1, text.len);
    return (out->id.len == ID_SIZE &&
            str_to_int(str_slice(text, 0, dash), 0, INT64_MAX, &out->since_ns)) ||
           fail(err, ERR_INVALID, "cursor: not one of ours");
}

static Str cursor_format(Arena *a, int64_t since_ns, Str id)
{
    return str_of(arena_printf(a, "%lld-%.*s", (long long)since_ns, STR(id)));
}

static bool limit_check(int64_t limit, Error *err)
{
    return (limit >= 1 && limit <= MAX_PAGE) || fail(err, ERR_INVALID, "limit: 1 to %d", MAX_PAGE);
}

bool people_list(Hub *hub, Arena *a, const Viewer *viewer, const PeopleQuery *query,
                 PeoplePage *out, Error *err)
{
    PageCursor at;
    if (!limit_check(query->limit, err) || !cursor_parse(query->cursor, &at, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || !sql_people(c, a, viewer, query, &at, out, err))
        return false;
    if (out->n == (size_t)query->limit)
        out->next = cursor_format(a, out->items[out->n - 1].since_ns, out->items[out->n - 1].id);
    return true;
}

bool likes_of_user(Hub *hub, Arena *a, const Viewer *viewer, Str user, int64_t limit, Str cursor,
                   LikePage *out, Error *err)
{
    Account account;
    PageCursor at;
    Str last = {0};
    if (!account_find(hub, a, user, &account, err) || !limit_check(limit, err) ||
        !cursor_parse(cursor, &at, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || !sql_likes(c, a, viewer, account.id, limit, &at, out, &last, err))
        return false;
    if (out->n == (size_t)limit)
        out->next = cursor_format(a, out->items[out->n - 1].liked_ns, last);
    return true;
}

bool threads_of_user(Hub *hub, Arena *a, const Viewer *viewer, const Account *user, int64_t limit,
                     Str cursor, ThreadPage *out, Error *err)
{
    PageCursor at;
    Str last = {0};
    if (!limit_check(limit, err) || !cursor_parse(cursor, &at, err))
        return false;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c || !sql_threads(c, a, viewer, user->id, limit, &at, out, &last, err))
        return false;
    if (out->n == (size_t)limit)
        out->next = cursor_format(a, out->items[out->n - 1].created_ns, last);
    return true;
}

bool activity_list(Hub *hub, Arena *a, const Viewer *viewer, int64_t limit, Activity **out,
                   size_t *n, Error *err)
{
    *n = 0;
    if (limit < 1 || limit > 100)
        return fail(err, ERR_INVALID, "limit: 1 to 100");
    if (viewer->by == BY_NOBODY)
        return true;
    *out = NEW_ARRAY(a, Activity, limit);
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_activity(c, a, viewer, limit, *out, n, err);
}
