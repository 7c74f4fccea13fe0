/* schema.c: the tables of the hub, as the migrations that made them, one behind the other.
 *
 * A migration that has been in a release is never edited: a new one follows it. The statements are
 * those that SQLite and PostgreSQL both understand: TEXT, INTEGER for truth and small numbers,
 * BIGINT for the rest, and nothing of one engine alone. */
#include "hub/hub_sql.h"

static const Migration migrations[] = {
    {1, "accounts and repositories",
     "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
     "CREATE TABLE accounts (id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
     " fullname TEXT NOT NULL, email TEXT NOT NULL, about TEXT NOT NULL, is_org INTEGER NOT NULL,"
     " is_admin INTEGER NOT NULL, password TEXT NOT NULL, created_ns BIGINT NOT NULL);"
     "CREATE TABLE members (org_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, role TEXT NOT NULL,"
     " PRIMARY KEY (org_id, user_id));"
     "CREATE INDEX members_user ON members(user_id);"
     "CREATE TABLE tokens (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,"
     " tail TEXT NOT NULL, created_ns BIGINT NOT NULL, used_ns BIGINT NOT NULL);"
     "CREATE INDEX tokens_user ON tokens(user_id);"
     "CREATE TABLE sessions (hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, created_ns BIGINT NOT NULL, expires_ns BIGINT NOT NULL);"
     "CREATE TABLE repos (id TEXT PRIMARY KEY, kind INTEGER NOT NULL, key TEXT NOT NULL,"
     " full_name TEXT NOT NULL, owner_id TEXT NOT NULL REFERENCES accounts(id),"
     " name TEXT NOT NULL, is_private INTEGER NOT NULL, is_disabled INTEGER NOT NULL,"
     " discussions_off INTEGER NOT NULL, gated TEXT NOT NULL, created_ns BIGINT NOT NULL,"
     " updated_ns BIGINT NOT NULL, downloads BIGINT NOT NULL DEFAULT 0,"
     " downloads_all BIGINT NOT NULL DEFAULT 0, likes BIGINT NOT NULL DEFAULT 0,"
     " trending BIGINT NOT NULL DEFAULT 0, sha TEXT NOT NULL DEFAULT '',"
     " tags TEXT NOT NULL DEFAULT '', pipeline_tag TEXT NOT NULL DEFAULT '',"
     " library TEXT NOT NULL DEFAULT '', sdk TEXT NOT NULL DEFAULT '',"
     " card TEXT NOT NULL DEFAULT '', UNIQUE (kind, key));"
     "CREATE INDEX repos_owner ON repos(owner_id, kind);"
     "CREATE INDEX repos_updated ON repos(kind, updated_ns);"
     "CREATE INDEX repos_trending ON repos(kind, trending);"
     "CREATE TABLE redirects (kind INTEGER NOT NULL, key TEXT NOT NULL, repo_id TEXT NOT NULL"
     " REFERENCES repos(id) ON DELETE CASCADE, PRIMARY KEY (kind, key));"
     "CREATE TABLE repo_tags (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " tag TEXT NOT NULL, PRIMARY KEY (repo_id, tag));"
     "CREATE INDEX repo_tags_tag ON repo_tags(tag);"
     "CREATE TABLE downloads (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " day INTEGER NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (repo_id, day));"
     "CREATE TABLE likes (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (repo_id, user_id));"
     "CREATE TABLE repo_blobs (repo_id TEXT NOT NULL REFERENCES repos(id) ON DELETE CASCADE,"
     " sha256 TEXT NOT NULL, size BIGINT NOT NULL, user_id TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (repo_id, sha256));"
     "CREATE INDEX repo_blobs_user ON repo_blobs(user_id, sha256);"},
    {2, "who still needs a blob", "CREATE INDEX repo_blobs_sha256 ON repo_blobs(sha256);"},
    {3, "discussions",
     "ALTER TABLE repos ADD COLUMN discussions BIGINT NOT NULL DEFAULT 0;"
     "CREATE TABLE discussions (id TEXT PRIMARY KEY, repo_id TEXT NOT NULL REFERENCES repos(id)"
     " ON DELETE CASCADE, num BIGINT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,"
     " is_pull INTEGER NOT NULL, is_pinned INTEGER NOT NULL, author_id TEXT NOT NULL,"
     " base TEXT NOT NULL, base_sha TEXT NOT NULL, merge_commit TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, updated_ns BIGINT NOT NULL, UNIQUE (repo_id, num));"
     "CREATE INDEX discussions_author ON discussions(author_id);"
     "CREATE TABLE discussion_events (id TEXT PRIMARY KEY, discussion_id TEXT NOT NULL"
     " REFERENCES discussions(id) ON DELETE CASCADE, kind TEXT NOT NULL, author_id TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, text TEXT NOT NULL, other TEXT NOT NULL,"
     " is_hidden INTEGER NOT NULL, edits BIGINT NOT NULL, edited_ns BIGINT NOT NULL);"
     "CREATE INDEX discussion_events_of ON discussion_events(discussion_id, created_ns);"},
    {4, "gated repositories",
     "CREATE TABLE access_requests (id TEXT PRIMARY KEY, repo_id TEXT NOT NULL REFERENCES repos(id)"
     " ON DELETE CASCADE, user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " status TEXT NOT NULL, asked INTEGER NOT NULL, fields TEXT NOT NULL, reason TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, changed_ns BIGINT NOT NULL, UNIQUE (repo_id, user_id));"},
    {5, "collections",
     "CREATE TABLE collections (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, title TEXT NOT NULL, description TEXT NOT NULL, theme TEXT NOT NULL,"
     " is_private INTEGER NOT NULL, position BIGINT NOT NULL, created_ns BIGINT NOT NULL,"
     " updated_ns BIGINT NOT NULL);"
     "CREATE INDEX collections_owner ON collections(owner_id);"
     "CREATE TABLE collection_items (id TEXT PRIMARY KEY, collection_id TEXT NOT NULL"
     " REFERENCES collections(id) ON DELETE CASCADE, kind TEXT NOT NULL, target TEXT NOT NULL,"
     " note TEXT NOT NULL, position BIGINT NOT NULL, UNIQUE (collection_id, target));"
     "CREATE INDEX collection_items_target ON collection_items(target);"},
    {6, "what new repositories are",
     "ALTER TABLE accounts ADD COLUMN repos_private INTEGER NOT NULL DEFAULT 0;"},
    {7, "downloads counted once a client, facts that lists sort by, and what indexed them",
     "ALTER TABLE repos ADD COLUMN parameters BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE repos ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE repos ADD COLUMN likes_recent BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE repos ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;"
     "CREATE INDEX repos_indexed ON repos(indexed);"
     "CREATE INDEX downloads_day ON downloads(day);"
     "CREATE TABLE download_days (day INTEGER PRIMARY KEY, secret TEXT NOT NULL);"
     "CREATE TABLE download_visits (day INTEGER NOT NULL, visit BIGINT NOT NULL,"
     " PRIMARY KEY (day, visit));"
     "CREATE TABLE search_docs (repo_id TEXT PRIMARY KEY REFERENCES repos(id) ON DELETE CASCADE,"
     " num BIGINT NOT NULL UNIQUE);"},
    {8, "fine-grained tokens",
     "ALTER TABLE tokens ADD COLUMN expires_ns BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE tokens ADD COLUMN reads_gated INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE tokens ADD COLUMN permissions TEXT NOT NULL DEFAULT '';"
     "CREATE TABLE token_scopes (token_id TEXT NOT NULL REFERENCES tokens(id) ON DELETE CASCADE,"
     " entity_id TEXT NOT NULL, kind TEXT NOT NULL, permissions TEXT NOT NULL,"
     " reads_repos INTEGER NOT NULL, PRIMARY KEY (token_id, entity_id));"
     "ALTER TABLE repos ADD COLUMN creator_id TEXT NOT NULL DEFAULT '';"
     "UPDATE repos SET creator_id = owner_id WHERE owner_id IN"
     " (SELECT id FROM accounts WHERE is_org = 0);"},
    {9, "invitations",
     "CREATE TABLE invitations (org_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE, role TEXT NOT NULL,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (org_id, user_id));"
     "CREATE INDEX invitations_user ON invitations(user_id);"},
    {10, "reactions to comments",
     "CREATE TABLE reactions (event_id TEXT NOT NULL REFERENCES discussion_events(id)"
     " ON DELETE CASCADE, emoji TEXT NOT NULL, user_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, created_ns BIGINT NOT NULL, PRIMARY KEY (event_id, emoji, user_id));"},
    {11, "file locks",
     "CREATE TABLE file_locks (id TEXT PRIMARY KEY, repo_id TEXT NOT NULL REFERENCES repos(id)"
     " ON DELETE CASCADE, owner_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " ref TEXT NOT NULL, path TEXT NOT NULL, locked_ns BIGINT NOT NULL,"
     " UNIQUE (repo_id, path, ref));"},
    {12, "profiles and followers",
     "ALTER TABLE accounts ADD COLUMN website TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE accounts ADD COLUMN avatar TEXT NOT NULL DEFAULT '';"
     "CREATE TABLE avatars (account_id TEXT PRIMARY KEY REFERENCES accounts(id) ON DELETE CASCADE,"
     " type TEXT NOT NULL, bytes TEXT NOT NULL);"
     "CREATE TABLE follows (user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " target_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (user_id, target_id));"
     "CREATE INDEX follows_target ON follows(target_id, created_ns);"
     "CREATE INDEX likes_user ON likes(user_id, created_ns);"},
    {13, "webhooks",
     "CREATE TABLE webhooks (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES accounts(id)"
     " ON DELETE CASCADE, url TEXT NOT NULL, secret TEXT NOT NULL, on_repo INTEGER NOT NULL,"
     " on_discussion INTEGER NOT NULL, disabled INTEGER NOT NULL, reason TEXT NOT NULL,"
     " failures BIGINT NOT NULL, created_ns BIGINT NOT NULL, updated_ns BIGINT NOT NULL);"
     "CREATE INDEX webhooks_owner ON webhooks(owner_id);"
     "CREATE TABLE webhook_watches (webhook_id TEXT NOT NULL REFERENCES webhooks(id)"
     " ON DELETE CASCADE, place INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,"
     " subject TEXT NOT NULL, was TEXT NOT NULL DEFAULT '', PRIMARY KEY (webhook_id, place));"
     "CREATE INDEX webhook_watches_subject ON webhook_watches(subject);"
     "CREATE INDEX webhook_watches_was ON webhook_watches(was);"
     // No reference to the repository: the end of one is an event too.
     "CREATE TABLE webhook_events (id TEXT PRIMARY KEY, is_discussion INTEGER NOT NULL,"
     " repo_id TEXT NOT NULL, kind INTEGER NOT NULL, full_name TEXT NOT NULL,"
     " creator_id TEXT NOT NULL, is_private INTEGER NOT NULL, gated TEXT NOT NULL,"
     " owner_id TEXT NOT NULL, is_gone INTEGER NOT NULL, subjects TEXT NOT NULL,"
     " payload TEXT NOT NULL, created_ns BIGINT NOT NULL, is_spread INTEGER NOT NULL,"
     " spread_to TEXT NOT NULL);"
     "CREATE INDEX webhook_events_spread ON webhook_events(is_spread, created_ns);"
     "CREATE INDEX webhook_events_repo ON webhook_events(repo_id);"
     "CREATE TABLE webhook_deliveries (id TEXT PRIMARY KEY, webhook_id TEXT NOT NULL"
     " REFERENCES webhooks(id) ON DELETE CASCADE, event_id TEXT NOT NULL"
     " REFERENCES webhook_events(id) ON DELETE CASCADE, state TEXT NOT NULL,"
     " attempts BIGINT NOT NULL, status BIGINT NOT NULL, took_ms BIGINT NOT NULL,"
     " problem TEXT NOT NULL, response TEXT NOT NULL, is_cut INTEGER NOT NULL,"
     " created_ns BIGINT NOT NULL, sent_ns BIGINT NOT NULL, next_ns BIGINT NOT NULL);"
     "CREATE INDEX webhook_deliveries_of ON webhook_deliveries(webhook_id, created_ns);"
     "CREATE INDEX webhook_deliveries_next ON webhook_deliveries(next_ns, webhook_id);"
     "CREATE INDEX webhook_deliveries_event ON webhook_deliveries(event_id);"},
    {14, "notifications",
     "ALTER TABLE accounts ADD COLUMN notify_off INTEGER NOT NULL DEFAULT 0;"
     "CREATE TABLE watches (user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " target_id TEXT NOT NULL, kind INTEGER NOT NULL, is_on INTEGER NOT NULL,"
     " created_ns BIGINT NOT NULL, PRIMARY KEY (user_id, target_id));"
     "CREATE INDEX watches_target ON watches(target_id);"
     "CREATE TABLE notifications (user_id TEXT NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,"
     " discussion_id TEXT NOT NULL REFERENCES discussions(id) ON DELETE CASCADE,"
     " event_id TEXT NOT NULL, reasons BIGINT NOT NULL, is_read INTEGER NOT NULL,"
     " updated_ns BIGINT NOT NULL, PRIMARY KEY (user_id, discussion_id));"
     "CREATE INDEX notifications_user ON notifications(user_id, updated_ns);"
     "CREATE INDEX notifications_of ON notifications(discussion_id);"},
    {15, "old names of accounts, and what is to be removed",
     "CREATE TABLE account_names (key TEXT PRIMARY KEY, account_id TEXT NOT NULL"
     " REFERENCES accounts(id) ON DELETE CASCADE);"
     "CREATE INDEX account_names_of ON account_names(account_id);"
     "CREATE TABLE removals (kind INTEGER NOT NULL, name TEXT NOT NULL,"
     " PRIMARY KEY (kind, name));"},
};

bool sql_migrate(Db *db, Error *err)
{
    return db_migrate(db, migrations, COUNT(migrations), err);
}
