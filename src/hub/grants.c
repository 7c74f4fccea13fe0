/* grants.c: which repository was given which blob, and the end of blobs that nobody needs.
 *
 * A grant is made, and an ungranted blob is deleted, under the database's one write lock, each
 * after a look at the other side: so a blob that somebody is just uploading again is either seen as
 * needed or its uploader hears that it has gone, and no acknowledged upload is lost. */
#include "base/clock.h"
#include "hub/hub_internal.h"

enum { AT_ONCE = 256 }; // grants of one transaction: others wait for it

static bool grant_all(Hub *hub, const Repo *repo, const Viewer *viewer, const BlobGrant *blobs,
                      size_t n, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c)
        return false;
    for (size_t i = 0; i < n; i++) {
        char oid[BLOB_HEX_SIZE] = "";
        if (!blob_oid_check(blobs[i].sha256, err))
            return false;
        memcpy(oid, blobs[i].sha256.ptr, sizeof oid - 1);
        if (!blobs_has(hub->blobs, oid, NULL))
            return fail(err, ERR_NOT_FOUND, "content %s is not stored: upload it again", oid);
        if (!sql_blob_grant(c, repo->id, viewer->account.id, blobs[i].sha256, blobs[i].size,
                            wall_ns(), err))
            return false;
    }
    return conn_commit(c, err);
}

bool repo_grant_blobs(Hub *hub, const Repo *repo, const Viewer *viewer, const BlobGrant *blobs,
                      size_t n, Error *err)
{
    for (size_t at = 0; at < n; at += AT_ONCE)
        if (!grant_all(hub, repo, viewer, blobs + at, MIN(n - at, (size_t)AT_ONCE), err))
            return false;
    for (size_t i = 0; i < n; i++)
        absorber_add(hub->absorber, blobs[i].sha256, blobs[i].size);
    return true;
}

bool repo_grant_blob(Hub *hub, const Repo *repo, const Viewer *viewer, Str sha256, int64_t size,
                     Error *err)
{
    return repo_grant_blobs(hub, repo, viewer, &(BlobGrant){sha256, size}, 1, err);
}

bool repo_has_blob(Hub *hub, const Repo *repo, const Viewer *viewer, Str sha256, bool *has,
                   int64_t *size, Error *err)
{
    Error seen = {0};
    bool here, elsewhere = false;
    int64_t bytes = 0;
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c)
            return false;
        here = sql_blob_of_repo(c, repo->id, sha256, &bytes, &seen);
        // A fine-grained token must not reach through its owner into other repositories.
        if (!here && seen.code == ERR_NOT_FOUND && viewer && viewer->by != BY_NOBODY &&
            !viewer->rights)
            elsewhere = sql_blob_of_user(c, viewer->account.id, sha256, &bytes, &seen);
    }
    if (!here && !elsewhere && seen.code != ERR_NOT_FOUND) {
        *(err ? err : &seen) = seen;
        return false;
    }
    if (elsewhere && !repo_grant_blob(hub, repo, viewer, sha256, bytes, &seen)) {
        if (seen.code != ERR_NOT_FOUND) {
            *(err ? err : &seen) = seen;
            return false;
        }
        elsewhere = false; // it went with the repository where it was
    }
    *has = here || elsewhere;
    if (size)
        *size = bytes;
    return true;
}

bool blobs_release(Hub *hub, const Str *oids, size_t n, Error *err)
{
    AUTO(conn_end) Conn *c = n ? db_write(hub->db, err) : NULL;
    if (!c)
        return n == 0;
    for (size_t i = 0; i < n; i++) {
        bool given;
        if (!sql_blob_is_given(c, oids[i], &given, err))
            return false;
        if (!given && !blobs_delete(hub->blobs, oids[i].ptr, err))
            return false;
    }
    return true;
}
