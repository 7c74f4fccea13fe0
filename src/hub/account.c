/* account.c: users, organisations, and the names they may have. */
#include "base/clock.h"
#include "base/digest.h"
#include "hub/hub_internal.h"

#include <argon2.h>

/* Argon2id: 19 MiB, two passes, one lane: OWASP's first choice, about 20 ms here. */
enum { ARGON_PASSES = 2, ARGON_KIB = 19 * 1024, ARGON_SALT = 16, ARGON_HASH = 32 };
enum { MIN_PASSWORD = 8, MAX_PASSWORD = 1024, MAX_NAME = 96, MAX_FIELD = 500 };

/* First segments of paths that are the hub's own: nobody may be called so. */
static const char *const reserved[] = {
    "about",     "admin",       "avatars",       "api",           "assets",    "blog",
    "buckets",   "collections", "datasets",      "docs",          "front",     "health",
    "jobs",      "join",        "kernels",       "login",         "logout",    "metrics",
    "models",    "new",         "oauth",         "organizations", "papers",    "pricing",
    "settings",  "signup",      "spaces",        "static",        "search",    "tasks",
    "v1",        "v2",          "xet",           "well-known",    "telemetry", "uploads",
    "hub",       "inference",   "notifications", "pipeline",      "status",    "hf-inference",
    "framework", "leaderboard",
};

bool name_check(Str name, Error *err)
{
    if (!name.len || name.len > MAX_NAME)
        return fail(err, ERR_INVALID, "a name has 1 to %d characters", MAX_NAME);
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.ptr[i]) && !strchr("-_.", name.ptr[i]))
            return fail(err, ERR_INVALID,
                        "name '%.*s': only letters, digits, '-', '_' and '.' may stand in it",
                        STR(name));
    char first = name.ptr[0], last = name.ptr[name.len - 1];
    if (strchr("-.", first) || strchr("-.", last))
        return fail(err, ERR_INVALID, "name '%.*s': '-' and '.' may not stand at an end",
                    STR(name));
    if (str_find(name, S("--"), 0) != SIZE_MAX || str_find(name, S(".."), 0) != SIZE_MAX)
        return fail(err, ERR_INVALID, "name '%.*s': '--' and '..' may not stand in it", STR(name));
    if (str_ends(name, S(".git")) || str_ends(name, S(".ipynb")))
        return fail(err, ERR_INVALID, "name '%.*s': it may not end with .git or .ipynb", STR(name));
    return true;
}

bool account_name_check(Str name, Error *err)
{
    if (!name_check(name, err))
        return false;
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (str_eq_nocase(name, str_of(reserved[i])))
            return fail(err, ERR_INVALID, "name '%.*s' is reserved", STR(name));
    return true;
}

bool field_check(const char *what, Str value, Error *err)
{
    if (value.len > MAX_FIELD)
        return fail(err, ERR_INVALID, "%s: at most %d bytes", what, MAX_FIELD);
    if (!str_is_utf8(value))
        return fail(err, ERR_INVALID, "%s: not UTF-8", what);
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\n')
            return fail(err, ERR_INVALID, "%s: control characters", what);
    return true;
}

bool email_check(Str email, Error *err)
{
    if (!email.len)
        return true;
    size_t at = str_find_char(email, '@', 0);
    if (at == 0 || at == SIZE_MAX || at + 1 == email.len ||
        str_find_char(email, ' ', 0) != SIZE_MAX)
        return fail(err, ERR_INVALID, "'%.*s' is not an e-mail address", STR(email));
    return field_check("e-mail address", email, err);
}

static bool password_hash(Arena *a, Str password, Str *out, Error *err)
{
    if (password.len < MIN_PASSWORD || password.len > MAX_PASSWORD)
        return fail(err, ERR_INVALID, "a password has %d to %d bytes", MIN_PASSWORD, MAX_PASSWORD);
    uint8_t salt[ARGON_SALT];
    random_bytes(salt, sizeof salt);
    enum { SIZE = 128 };
    char *encoded = arena_alloc(a, SIZE);
    int result = argon2id_hash_encoded(ARGON_PASSES, ARGON_KIB, 1, password.ptr, password.len, salt,
                                       sizeof salt, ARGON_HASH, encoded, SIZE);
    if (result != ARGON2_OK)
        return fail(err, ERR_IO, "hash password: %s", argon2_error_message(result));
    *out = str_of(encoded);
    return true;
}

bool account_name_is_free(Conn *c, Arena *a, Str name, Str id, Error *err)
{
    Str owner;
    if (!sql_name_owner(c, a, name_key(a, name), &owner, err))
        return false;
    return !owner.len || str_eq(owner, id) ||
           fail(err, ERR_EXISTS, "the name '%.*s' is taken", STR(name));
}

static bool account_store(Hub *hub, Arena *a, const Account *account, Str password, Str owner_id,
                          Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && account_name_is_free(c, a, account->name, account->id, err) &&
           sql_account_add(c, account, name_key(a, account->name), password, err) &&
           (!owner_id.len || sql_member_set(c, account->id, owner_id, S("admin"), err)) &&
           conn_commit(c, err);
}

bool user_create(Hub *hub, Arena *a, const NewUser *user, Account *out, Error *err)
{
    if (!account_name_check(user->name, err) || !field_check("full name", user->fullname, err) ||
        !email_check(user->email, err))
        return false;
    Str password = {0};
    if (user->password.len && !password_hash(a, user->password, &password, err))
        return false;
    Account account = {.id = id_new(a),
                       .name = user->name,
                       .fullname = user->fullname.len ? user->fullname : user->name,
                       .email = user->email,
                       .is_admin = user->admin,
                       .created_ns = wall_ns()};
    return account_store(hub, a, &account, password, S(""), err) &&
           account_find(hub, a, user->name, out, err);
}

bool org_create(Hub *hub, Arena *a, Str name, Str fullname, Str owner, Account *out, Error *err)
{
    if (!account_name_check(name, err) || !field_check("full name", fullname, err))
        return false;
    Account creator;
    if (!account_find(hub, a, owner, &creator, err))
        return false;
    Account account = {.id = id_new(a),
                       .name = name,
                       .fullname = fullname.len ? fullname : name,
                       .is_org = true,
                       .created_ns = wall_ns()};
    return account_store(hub, a, &account, S(""), creator.id, err) &&
           account_find(hub, a, name, out, err);
}

bool account_set_repos_private(Hub *hub, Str name, bool yes, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account account;
    if (!account_find(hub, a, name, &account, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_account_repos_private(c, account.id, yes, err) && conn_commit(c, err);
}

bool account_find(Hub *hub, Arena *a, Str name, Account *out, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    if (!c)
        return false;
    Error seen = {0};
    Account found;
    Str key = name_key(a, name);
    if (!sql_account_by_key(c, a, key, &found, NULL, &seen) &&
        (seen.code != ERR_NOT_FOUND || !sql_account_by_old_key(c, a, key, &found, &seen))) {
        *(err ? err : &seen) = seen;
        return fail_while(err, "'%.*s'", STR(name));
    }
    *out = found;
    return true;
}

bool user_set_password(Hub *hub, Str name, Str password, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account account;
    Str hash;
    if (!account_find(hub, a, name, &account, err) || !password_hash(a, password, &hash, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    // Whoever is logged in with the old one is not any more.
    return c && sql_account_password(c, account.id, hash, err) &&
           sql_sessions_of_remove(c, account.id, err) && conn_commit(c, err);
}

bool user_password_ok(Hub *hub, Str address, const Account *user, Str password, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Account found;
    return password_check(hub, a, address, user->name, password, &found, err);
}

bool account_list(Hub *hub, Arena *a, Account **out, size_t *n, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_account_list(c, a, out, n, err);
}

bool account_count(Hub *hub, int64_t *n, Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_account_count(c, n, err);
}

/* Wrong passwords in ten minutes before nobody may try on: for one account, so that it is not
 * guessed, and from one address, so that one password is not tried on all accounts. */
enum { WRONG_FOR_ACCOUNT = 10, WRONG_FROM_ADDRESS = 100, SIGNUPS_FROM_ADDRESS = 20 };

static bool tries_left(Hub *hub, Str key, int64_t most, Error *err)
{
    Rate rate = rate_count(hub->failures, key, 0);
    if (rate.count >= most)
        return fail(err, ERR_RATE, "too many wrong passwords; try again in %lld minutes",
                    (long long)(rate.left_s / 60 + 1));
    return true;
}

bool signup_admit(Hub *hub, Str address, Error *err)
{
    if (!address.len)
        return true;
    Rate rate = rate_count(hub->signups, address, 1);
    if (rate.count > SIGNUPS_FROM_ADDRESS)
        return fail(err, ERR_RATE, "too many accounts from one address; try again in %lld minutes",
                    (long long)(rate.left_s / 60 + 1));
    return true;
}

bool password_check(Hub *hub, Arena *a, Str address, Str name, Str password, Account *out,
                    Error *err)
{
    Str key = name_key(a, name), encoded = {0};
    Str of_account = str_of(arena_printf(a, "account %.*s", STR(key)));
    Str of_address = str_of(arena_printf(a, "address %.*s", STR(address)));
    if (!tries_left(hub, of_account, WRONG_FOR_ACCOUNT, err) ||
        (address.len && !tries_left(hub, of_address, WRONG_FROM_ADDRESS, err)))
        return false;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c)
            return false;
        Error seen = {0};
        if (!sql_account_by_key(c, a, key, out, &encoded, &seen) && seen.code != ERR_NOT_FOUND) {
            *(err ? err : &seen) = seen;
            return false;
        }
    }
    // An unknown name takes as long as a known one: it is compared with a hash of nothing.
    static const char nobody[] = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2E$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    int result =
        argon2id_verify(encoded.len ? encoded.ptr : nobody, password.ptr ? password.ptr : "",
                        MIN(password.len, (size_t)MAX_PASSWORD + 1));
    if (!encoded.len || result != ARGON2_OK) {
        rate_count(hub->failures, of_account, 1);
        if (address.len)
            rate_count(hub->failures, of_address, 1);
        return fail(err, ERR_UNAUTHENTICATED, "Invalid username or password.");
    }
    return true;
}
