/* The client's half of Xet (blobs/xet.h has the server's): large files go to the hub, and come from
 * it, as chunks of about 64 KiB, so that what it has already does not travel.
 *
 * An upload reads each file once for its sha256 and its chunks' hashes, asks where the hub has some
 * of them, packs those that it lacks into xorbs of up to 64 MiB, which go out several at a time
 * while the next is packed, and last a shard that says which chunks make which file. What was sent
 * is noted below HF_HOME/xet/hug, so that an upload that was cut off goes on, and the next version
 * of a file sends only what is new. The notes are believed for two weeks; if the hub has forgotten
 * more than they know, the upload begins again without them.
 *
 * Threads: one upload or download belongs to one thread at a time and starts its own. */
#pragma once

#include "base/progress.h"
#include "blobs/xet.h"
#include "fetch/fetch_internal.h"

/* ---- The content-addressed store (CAS) behind a hub ---- */

/* A token for one repository, renewed when it is about to end. Threads: any. */
typedef struct XetSession XetSession;
/* NULL with ERR_UNSUPPORTED where the hub has no Xet or HF_HUB_DISABLE_XET is set. writes: for
 * uploads; create_pr: into a pull request that is not there yet. */
XetSession *xet_session_new(const FetchEnv *env, const RepoName *name, const char *revision,
                            bool writes, bool create_pr, Error *err);
void xet_session_free(XetSession *s);
AUTO_FREE(XetSession, xet_session_free)
/* A call below the CAS's address: call->url is "/v1/..."; transient trouble is tried again where
 * nothing was taken yet. */
bool xet_session_call(XetSession *s, Client *c, Arena *a, ClientCall call, ClientAnswer *answer,
                      Error *err);
const char *xet_session_url(const XetSession *s);
/* Waits for one of a few places, and gives it back: what all files of a download hold in memory at
 * a time has a limit. */
void xet_session_enter(XetSession *s);
void xet_session_leave(XetSession *s);

/* ---- Chunks ---- */

typedef struct XetChunkInfo {
    uint8_t hash[XET_HASH_SIZE];
    uint32_t size;
} XetChunkInfo;

typedef struct XetChunks {
    XetChunkInfo *items;
    size_t n, cap;
} XetChunks;
void xet_chunks_done(XetChunks *c);

/* Reads a file once: its sha256, and its chunks. */
bool xet_scan(const char *path, int64_t size, XetChunks *chunks, char oid[OID_SIZE], Error *err);

/* ---- What the hub has ---- */

/* A xorb that is at the hub, or will be before the shard is sent. */
typedef struct XetXorb {
    uint8_t hash[XET_HASH_SIZE];
    XetChunkInfo *chunks;
    uint32_t n, raw, packed; // chunks; bytes in them, unpacked and packed
} XetXorb;

/* Appends it to a shard's section of xorbs. */
void xet_xorb_tell(const XetXorb *xorb, Buf *shard);

typedef struct XetPlace {
    const XetXorb *xorb;
    uint32_t index;
} XetPlace;

/* Which chunks lie in which xorbs. */
typedef struct XetKnown XetKnown;
/* Reads the notes of earlier uploads; use_notes false: forgets them. session NULL: keeps none. */
XetKnown *xet_known_new(const XetSession *session, const FetchEnv *env, bool use_notes);
void xet_known_free(XetKnown *k);
AUTO_FREE(XetKnown, xet_known_free)
const XetPlace *xet_known_find(const XetKnown *k, const uint8_t hash[XET_HASH_SIZE]);
/* A chunk's first place stays its place. */
void xet_known_add(XetKnown *k, const XetXorb *xorb, uint32_t index);
/* Adds the xorbs that a shard tells of. */
bool xet_known_add_shard(XetKnown *k, Str shard, Error *err);
/* Notes that the hub has a xorb. Trouble with the disk is no reason to stop. Threads: any. */
void xet_known_note(const XetKnown *k, const XetXorb *xorb);

/* ---- Uploads ---- */

typedef struct XetUpload XetUpload;
XetUpload *xet_upload_new(XetSession *session, const FetchEnv *env, Progress *progress,
                          bool use_notes);
void xet_upload_free(XetUpload *u);
AUTO_FREE(XetUpload, xet_upload_free)
/* A scanned file. Its new chunks may still be on their way when this returns. */
bool xet_upload_add(XetUpload *u, const char *path, const XetChunks *chunks, const char *oid,
                    Error *err);
/* Waits for all of them and sends the shard: after this the hub has the files by their sha256. */
bool xet_upload_finish(XetUpload *u, Error *err);
int64_t xet_upload_sent(XetUpload *u);

/* ---- Downloads ---- */

typedef struct XetRange {
    int64_t start, end;
} XetRange;

/* Chunks of a xorb, and where they are to be had. */
typedef struct XetPiece {
    const char *xorb, *url;
    XetRange chunks; // end exclusive
    XetRange bytes;  // of the URL's content, end inclusive
} XetPiece;

typedef struct XetPlanTerm {
    const XetPiece *piece;
    XetRange chunks; // of those of the piece
    int64_t bytes;   // unpacked
} XetPlanTerm;

/* A part of a file: its terms, one behind the other. */
typedef struct XetPlan {
    XetPiece *pieces;
    XetPlanTerm *terms;
    size_t n_pieces, n;
    int64_t skip; // bytes of the first term that are before the part
} XetPlan;
/* Of the store's answer in either version, about `wanted` bytes. ERR_INVALID if it has fewer. */
bool xet_plan_parse(XetPlan *plan, Arena *a, Str answer, int64_t wanted, Error *err);

typedef struct XetDownload {
    XetSession *session;
    const char *hash;   // Xet's, of the file
    int64_t from, size; // its bytes from here to the end
    const atomic_bool *cancelled;
    /* Takes the bytes in order; one call at a time, from any thread. */
    bool (*take)(void *context, Str bytes, Error *err);
    void *context;
} XetDownload;
/* False when something broke off: what was taken stands. ERR_NOT_FOUND if the store does not know
 * the file, ERR_DENIED if its URLs were too old: ask again. */
bool xet_download(const XetDownload *d, Error *err);
