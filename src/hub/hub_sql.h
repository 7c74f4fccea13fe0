/* hub_sql: every statement of the hub. Functions take the connection of the caller's read or
 * transaction; keys are names in lower case. */
#pragma once

#include "db/db.h"
#include "hub/collections.h"
#include "hub/discussions.h"
#include "hub/downloads.h"
#include "hub/gates.h"
#include "hub/lfs_files.h"
#include "hub/locks.h"
#include "hub/orgs.h"
#include "hub/search.h"
#include "hub/tokens.h"

bool sql_migrate(Db *db, Error *err);
bool sql_secret(Db *db, uint8_t secret[32], Error *err);

/* ---- Accounts ---- */
bool sql_account_add(Conn *c, const Account *account, Str key, Str password, Error *err);
/* ERR_NOT_FOUND. Fills `others`; password may be NULL. */
bool sql_account_by_key(Conn *c, Arena *a, Str key, Account *out, Str *password, Error *err);
bool sql_account_by_id(Conn *c, Arena *a, Str id, Account *out, Error *err);
bool sql_account_repos_private(Conn *c, Str id, bool yes, Error *err);
bool sql_account_password(Conn *c, Str id, Str password, Error *err);
bool sql_account_list(Conn *c, Arena *a, Account **out, size_t *n, Error *err);
bool sql_account_count(Conn *c, int64_t *n, Error *err);

/* ---- Organisations ---- */
bool sql_member_set(Conn *c, Str org, Str user, Str role, Error *err);
bool sql_member_remove(Conn *c, Str org, Str user, Error *err);
/* How many administrators there are besides this one. */
bool sql_other_admins(Conn *c, Str org, Str user, int64_t *n, Error *err);
bool sql_invite(Conn *c, Str org, Str user, Str role, int64_t now, Error *err);
/* Removes the invitation and says what it was to be. ERR_NOT_FOUND */
bool sql_uninvite(Conn *c, Arena *a, Str org, Str user, Str *role, Error *err);
/* Of an organisation or to a user, by the account's id. */
bool sql_invitations(Conn *c, Arena *a, Str account, bool is_org, Invitation **out, size_t *n,
                     Error *err);

/* ---- Accounts and repositories that are renamed or go: moves_sql.c ---- */
/* Who has this name, or had it; empty: nobody. */
bool sql_name_owner(Conn *c, Arena *a, Str key, Str *id, Error *err);
/* Name and full name; the old key leads to it. */
bool sql_account_rename(Conn *c, const Account *account, Str old_key, Str new_key, Error *err);
/* ERR_NOT_FOUND */
bool sql_account_by_old_key(Conn *c, Arena *a, Str key, Account *out, Error *err);
bool sql_repos_of_owner(Conn *c, Arena *a, Str owner, Repo **out, size_t *n, Error *err);
/* An organisation that has no other admin; empty: none. */
bool sql_only_admin_of(Conn *c, Arena *a, Str user, Str *org, Error *err);
/* Administrators of the hub besides this one. */
bool sql_other_hub_admins(Conn *c, Str user, int64_t *n, Error *err);
/* Its repositories are gone already. */
bool sql_account_remove(Conn *c, Str id, Error *err);

typedef enum RemovalKind { REMOVE_REPO, REMOVE_BLOB } RemovalKind;
typedef struct Removal {
    RemovalKind kind;
    Str name; // a repository's id, a blob's sha256
} Removal;
/* The folder of a repository and the blobs that it was given. */
bool sql_removals_add(Conn *c, Str repo, Error *err);
bool sql_removals(Conn *c, Arena *a, Removal *out, size_t max, size_t *n, Error *err);
bool sql_removal_done(Conn *c, const Removal *removal, Error *err);
/* ---- Large files ---- */
bool sql_lfs_files(Conn *c, Arena *a, Str repo, const LfsQuery *query, LfsFile **out, size_t *n,
                   Error *err);
bool sql_lfs_total(Conn *c, Str repo, int64_t *n, int64_t *bytes, Error *err);
/* What one repository was given, given to another one as well. */
bool sql_blob_share(Conn *c, Str from, Str to, Str user, Str sha256, int64_t now, Error *err);
bool sql_blob_ungrant(Conn *c, Str repo, Str sha256, Error *err);

/* ---- Tokens and sessions ---- */
/* With its scopes, whose ids count. ERR_EXISTS */
bool sql_token_add(Conn *c, const Token *token, Str owner, Str hash, Error *err);
/* By the secret's hash, or by an owner and an id. *owner may be NULL. ERR_NOT_FOUND */
bool sql_token_by_hash(Conn *c, Arena *a, Str hash, Token *out, Str *owner, Error *err);
bool sql_token_by_id(Conn *c, Arena *a, Str owner, Str id, Token *out, Error *err);
bool sql_token_used(Conn *c, Str id, int64_t now, Error *err);
bool sql_token_list(Conn *c, Arena *a, Str owner, Token **out, size_t *n, Error *err);
/* Name, end and rights. */
bool sql_token_set(Conn *c, const Token *token, Error *err);
bool sql_token_set_secret(Conn *c, const Token *token, Str hash, Error *err);
bool sql_token_remove(Conn *c, Str owner, Str id, Error *err);
bool sql_session_add(Conn *c, Str hash, Str user, int64_t now, int64_t expires, Error *err);
/* ERR_NOT_FOUND if unknown or expired. */
bool sql_session_find(Conn *c, Arena *a, Str hash, int64_t now, Str *user, Error *err);
bool sql_session_remove(Conn *c, Str hash, Error *err);
bool sql_sessions_of_remove(Conn *c, Str user, Error *err);
bool sql_sessions_expire(Conn *c, int64_t now, Error *err);

/* ---- Repositories ---- */
/* The columns of a Repo in a SELECT, and their row. */
#define REPO_COLUMNS                                                                               \
    "repos.id, repos.kind, repos.full_name, repos.name, repos.is_private, repos.is_disabled,"      \
    " repos.discussions_off, repos.gated, repos.created_ns, repos.updated_ns, repos.downloads,"    \
    " repos.downloads_all, repos.likes, repos.trending, repos.creator_id,"                         \
    " repos.owner_id "
/* What of them somebody may see, for three placeholders that bind_viewer fills: public ones, those
 * of the own account and of organisations, and all for an administrator of the hub. A fine-grained
 * token, the third, cuts this down to what it may read. */
#define SQL_VISIBLE(all, user, token)                                                              \
    "(repos.is_private = 0 OR " all " = 1 OR ((repos.owner_id = " user                             \
    " OR repos.owner_id IN (SELECT org_id FROM members WHERE user_id = " user ")) AND (" token     \
    " = '' OR EXISTS (SELECT 1 FROM token_scopes WHERE token_id = " token                          \
    " AND reads_repos = 1 AND entity_id IN (repos.id, repos.owner_id)))))"
void bind_viewer(Query *q, const Viewer *viewer);
/* *owner (may be NULL) is the owner's account id. */
void sql_repo_row(Query *q, Arena *a, Repo *out, Str *owner);
bool sql_repo_add(Conn *c, const Repo *repo, Str key, Str owner, Error *err);
/* By name, then by an old name (moved is set). ERR_NO_REPO. *owner is the owner's account id. */
bool sql_repo_find(Conn *c, Arena *a, RepoKind kind, Str key, Repo *out, Str *owner, Error *err);
bool sql_repo_remove(Conn *c, Str id, Error *err);
bool sql_repo_rename(Conn *c, const Repo *repo, Str old_key, Str new_key, Str full, Str name,
                     Str owner, Error *err);
/* Names that lead to it, in lower case; adds to *n. */
bool sql_old_names(Conn *c, Arena *a, Str id, Str *out, size_t max, size_t *n, Error *err);
bool sql_repo_set(Conn *c, const Repo *repo, int64_t now, Error *err);
/* What lists show and filter by: called when the default branch has moved. */
bool sql_repo_index(Conn *c, Str id, const RepoInfo *info, int version, int64_t now, Error *err);
/* Those that an older version has indexed, or nothing yet; and to make one such, or with an empty
 * id all. */
bool sql_repos_unindexed(Conn *c, Arena *a, int version, Repo *out, size_t max, size_t *n,
                         Error *err);
bool sql_repo_unindex(Conn *c, Str id, int version, Error *err);
/* Up to max repositories with greater ids, in order, each with the commit that sql_repo_index saw
 * last. */
bool sql_repos_after(Conn *c, Arena *a, Str id, Repo *out, Str *shas, size_t max, size_t *n,
                     Error *err);
bool sql_repo_exists(Conn *c, Str id, bool *exists, Error *err);
bool sql_like(Conn *c, Str repo, Str user, bool like, int64_t now, Error *err);
bool sql_liked(Conn *c, Str repo, Str user, bool *liked, Error *err);
/* Forgets the visits of earlier days; the secret of this one. */
bool sql_visits_day(Conn *c, int64_t day, uint8_t secret[32], Error *err);
bool sql_visit_add(Conn *c, int64_t day, int64_t visit, bool *is_new, Error *err);
bool sql_download_days(Conn *c, Str repo, int64_t today, size_t n, int64_t *out, Error *err);
bool sql_download_leaders(Conn *c, Arena *a, const Viewer *viewer, RepoKind kind, int64_t today,
                          size_t days, size_t limit, Leader **out, size_t *n, Error *err);
bool sql_downloads_add(Conn *c, Str repo, int64_t day, int64_t n, Error *err);
/* All sums of every repository: once a day. */
bool sql_counts_refresh(Conn *c, int64_t day, Error *err);
bool sql_blob_grant(Conn *c, Str repo, Str user, Str sha256, int64_t size, int64_t now, Error *err);
/* ERR_NOT_FOUND. With a user: granted to whatever repository by that user. */
bool sql_blob_of_repo(Conn *c, Str repo, Str sha256, int64_t *size, Error *err);
bool sql_blob_of_user(Conn *c, Str user, Str sha256, int64_t *size, Error *err);

/* Who gave the blob first, and to which repository. ERR_NOT_FOUND. */
bool sql_blob_giver(Conn *c, Arena *a, Str sha256, Str *repo, Str *user, Error *err);
/* To any repository at all. */
bool sql_blob_is_given(Conn *c, Str sha256, bool *given, Error *err);

/* ---- Discussions ---- */
/* The next number of this repository, never given again. */
bool sql_discussion_number(Conn *c, Str repo, int64_t *num, Error *err);
bool sql_discussion_add(Conn *c, Str repo, const Discussion *d, Error *err);
/* ERR_NOT_FOUND */
bool sql_discussion_find(Conn *c, Arena *a, Str repo, int64_t num, Discussion *out, Error *err);
bool sql_discussion_list(Conn *c, Arena *a, Str repo, const DiscussionQuery *query,
                         DiscussionPage *out, Error *err);
/* Title, status, merge commit and pin. */
bool sql_discussion_set(Conn *c, const Discussion *d, int64_t now, Error *err);
bool sql_discussion_remove(Conn *c, Str id, Error *err);
bool sql_event_add(Conn *c, Str discussion, const DiscussionEvent *event, Error *err);
bool sql_event_list(Conn *c, Arena *a, Str discussion, DiscussionEvent **out, size_t *n,
                    Error *err);
/* ERR_NOT_FOUND */
bool sql_event_find(Conn *c, Arena *a, Str discussion, Str id, DiscussionEvent *out, Error *err);
/* Text, hidden and edits. */
bool sql_event_set(Conn *c, const DiscussionEvent *event, Error *err);
bool sql_reaction_set(Conn *c, Str event, Str user, Str emoji, bool on, Error *err);
/* Fills the reactions of a discussion's events. */
bool sql_reaction_list(Conn *c, Arena *a, Str discussion, DiscussionEvent *events, size_t n,
                       Error *err);

/* ---- Gated repositories ---- */
/* Of a user, or without one by its id. ERR_NOT_FOUND */
bool sql_gate_find(Conn *c, Arena *a, Str repo, Str user, Str id, AccessRequest *out, Error *err);
bool sql_gate_list(Conn *c, Arena *a, Str repo, Str status, AccessRequest **out, size_t *n,
                   Error *err);
/* asked: by the user, who thereby shows an e-mail address. ERR_EXISTS */
bool sql_gate_add(Conn *c, Str repo, Str user, const AccessRequest *request, bool asked,
                  Error *err);
/* Status and reason. */
bool sql_gate_set(Conn *c, const AccessRequest *request, int64_t now, Error *err);

/* ---- File locks ---- */
/* Up to query->limit, whose page's end is found by asking for one more. */
bool sql_lock_list(Conn *c, Arena *a, const Viewer *viewer, Str repo, const LockQuery *query,
                   LockPage *out, Error *err);
bool sql_lock_count(Conn *c, Str repo, int64_t *n, Error *err);
bool sql_lock_add(Conn *c, Str repo, Str owner, const FileLock *lock, Error *err);
bool sql_lock_remove(Conn *c, Str id, Error *err);

/* ---- Collections ---- */
enum { MAX_COLLECTION_ITEMS = 1000 };
/* ERR_NOT_FOUND. *owner is the owner's account id; slug and items are the caller's to fill. */
bool sql_collection_find(Conn *c, Arena *a, Str id, Collection *out, Str *owner, Error *err);
/* query->search is a pattern; target: an item's; up to query->limit + 1 of them. */
bool sql_collection_list(Conn *c, Arena *a, const CollectionQuery *query, Str target,
                         Collection *out, Str *owners, size_t *n, Error *err);
bool sql_collection_add(Conn *c, const Collection *row, Str owner, Error *err);
bool sql_collection_set(Conn *c, const Collection *row, int64_t now, Error *err);
bool sql_collection_remove(Conn *c, Str id, Error *err);
/* In order; targets are ids. */
bool sql_collection_items(Conn *c, Arena *a, Str collection, CollectionItem **out, size_t *n,
                          Error *err);
bool sql_collection_item_add(Conn *c, Str collection, const CollectionItem *item, Error *err);
bool sql_collection_item_set(Conn *c, const CollectionItem *item, Error *err);
/* ERR_NOT_FOUND */
bool sql_collection_item_remove(Conn *c, Str collection, Str item, Error *err);
/* ERR_NO_REPO */
bool sql_repo_name(Conn *c, Arena *a, Str id, Str *full, Error *err);

/* ---- Full-text search: search_sql.c ---- */
/* Makes what the engine wants for it, where that is absent. */
bool sql_search_open(Db *db, Error *err);
/* Replaces what is known of a repository. */
bool sql_search_put(Conn *c, Str repo, const SearchDoc *doc, Error *err);
bool sql_search_remove(Conn *c, Str repo, Error *err);
/* "repos.id IN (...)" with one %d for the placeholder of sql_search_match. */
const char *sql_search_condition(const Conn *c);
/* What matches all of these words, each as the beginning of one of the document's; in its metadata
 * alone, if so wanted. Empty when there is nothing to look for. */
Str sql_search_match(const Conn *c, Arena *a, Str words, bool in_meta);

/* Users or organisations, by what their name or full name begins with; only these are filled. */
bool sql_accounts_like(Conn *c, Arena *a, Str prefix, bool orgs, size_t limit, Account **out,
                       size_t *n, int64_t *total, Error *err);

/* ---- Lists ---- */
/* A pattern for LIKE ... ESCAPE '\\': these words in lower case, and anything behind them, or
 * before them as well. */
Str sql_like_pattern(Arena *a, Str words, bool anywhere);
bool sql_repo_list(Conn *c, Arena *a, const Viewer *viewer, const RepoQuery *query, RepoPage *out,
                   Error *err);
/* How many repositories of a kind have a tag or link, of those the viewer may see. */
bool sql_tag_users(Conn *c, const Viewer *viewer, RepoKind kind, Str tag, int64_t *n, Error *err);
bool sql_tag_counts(Conn *c, Arena *a, RepoKind kind, int64_t limit, TagCount **out, size_t *n,
                    Error *err);
