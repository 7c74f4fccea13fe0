/* xet: the server's half of Xet. A client cuts files into chunks, packs chunks into xorbs and sends
 * those, then sends shards that say which chunks of which xorbs make which file.
 *
 * Everything is verified before it counts: of a xorb every chunk's hash and the root, of a file
 * every term's range hash, the file hash, and the sha256 that the Hub knows it by. From then on the
 * file is a blob like any other (blobs.h), but what is stored of it is its recipe: the chunks of
 * which xorbs follow each other. Chunks that two files share are stored once.
 *
 * Who may refer to a xorb: only who sent its bytes. A shard is accepted when each xorb it names was
 * uploaded by the same user, or by anyone into the same repository; else a hash learnt somewhere
 * would open somebody's private file. The same holds for questions about chunks.
 *
 * What no recipe needs is swept, four weeks after somebody sent it or referred to it last: clients
 * remember for three what they sent.
 *
 * Layout of the folder: `xorbs/ab/HASH`; `files/ab/SHA256`, the recipes, and `hashes/ab/HASH`, the
 * same by Xet hash; `scopes/NAME/HASH`, other names of a scope's xorbs, and `scopes/NAME/c-HASH`,
 * of recipes by some of their chunks; `temp/`; `lock`. Hashes are written in Xet's form: four
 * little-endian words of 64 bits, each in hex.
 * Threads: a Xet may be shared by all, and a folder by several processes; a XorbWriter belongs to
 * one thread at a time. */
#pragma once

#include "blobs/blobs.h"

#include <stdatomic.h>

enum {
    XET_HASH_SIZE = 32,
    XET_HEX_SIZE = 65,
    XORB_MAX_CHUNKS = 8192,
    XORB_MAX_RAW = 66 << 20,  // bytes in all chunks; clients stop at 64 MiB
    XORB_MAX_SIZE = 68 << 20, // as sent
    SHARD_MAX_SIZE = 64 << 20,
    CHUNK_MAX_RAW = 1 << 20, // clients cut at 128 KiB
};

/* ---- Hashes ---- */

/* 64 lower-case hex digits in Xet's order. */
bool xet_hash_parse(Str hex, uint8_t out[XET_HASH_SIZE]);
void xet_hash_format(const uint8_t hash[XET_HASH_SIZE], char out[XET_HEX_SIZE]);
void xet_chunk_hash(Str raw, uint8_t out[XET_HASH_SIZE]);
/* The verification hash of a term: over the hashes of its chunks, one behind the other. */
void xet_range_hash(Str chunk_hashes, uint8_t out[XET_HASH_SIZE]);

/* The Merkle root over chunks that come one by one; its memory does not grow with them. */
typedef struct XetTree XetTree;
XetTree *xet_tree_new(void) __attribute__((returns_nonnull));
void xet_tree_free(XetTree *t);
AUTO_FREE(XetTree, xet_tree_free)
void xet_tree_add(XetTree *t, const uint8_t hash[XET_HASH_SIZE], uint64_t bytes);
/* The root is a xorb's hash; xet_file_hash makes a file's of it. No more may be added. */
void xet_tree_root(XetTree *t, uint8_t out[XET_HASH_SIZE]);
void xet_file_hash(const uint8_t root[XET_HASH_SIZE], uint8_t out[XET_HASH_SIZE]);

/* ---- Formats ---- */

/* Unpacks chunks: 8 bytes of header, then raw bytes, an LZ4 frame, or one over grouped bytes. */
typedef struct XetDecoder XetDecoder;
XetDecoder *xet_decoder_new(void) __attribute__((returns_nonnull));
void xet_decoder_free(XetDecoder *d);
AUTO_FREE(XetDecoder, xet_decoder_free)
enum { CHUNK_HEADER_SIZE = 8 };
typedef struct ChunkHeader {
    uint32_t packed, raw; // bytes behind the header, and unpacked
    uint8_t scheme;
} ChunkHeader;
/* ERR_INVALID, ERR_LIMIT. */
bool chunk_header_parse(const uint8_t bytes[CHUNK_HEADER_SIZE], ChunkHeader *out, Error *err);
/* The bytes of the chunk, borrowed until the next call. */
bool xet_decode(XetDecoder *d, const ChunkHeader *header, Str packed, Str *raw, Error *err);

/* Takes a xorb in pieces of any size and calls `chunk` for each one: as it came with its header,
 * and unpacked. Ends where a footer begins; that is not looked at. */
typedef struct XorbParser XorbParser;
typedef bool XorbChunk(void *user, Str packed, Str raw, Error *err);
XorbParser *xorb_parser_new(XorbChunk *chunk, void *user) __attribute__((returns_nonnull));
void xorb_parser_free(XorbParser *p);
AUTO_FREE(XorbParser, xorb_parser_free)
bool xorb_parser_add(XorbParser *p, Str bytes, Error *err);
bool xorb_parser_finish(XorbParser *p, Error *err); // ERR_INVALID when it ends inside a chunk

typedef struct ShardFile {
    const uint8_t *hash;   // all borrowed from the shard's bytes
    const uint8_t *terms;  // records of 48 bytes
    const uint8_t *checks; // likewise, NULL if the shard has none
    const uint8_t *sha256; // in Xet's byte order, NULL if the shard has none
    uint32_t n;            // terms
} ShardFile;
typedef struct ShardTerm {
    const uint8_t *xorb;
    const uint8_t *check; // range hash, or NULL
    uint32_t bytes, start, end;
} ShardTerm;
/* The files of a shard, in the arena. *xorbs (NULL: nobody asks): its section of xorbs, for
 * shard_next_xorb. ERR_INVALID names the offset. */
bool shard_parse(Str bytes, Arena *a, ShardFile **files, size_t *n, Str *xorbs, Error *err);
ShardTerm shard_term(const ShardFile *file, uint32_t i);

typedef struct ShardXorb {
    const uint8_t *hash;   // borrowed from the shard's bytes
    const uint8_t *chunks; // records of 48 bytes
    uint32_t n;            // chunks
} ShardXorb;
typedef struct ShardChunk {
    const uint8_t *hash;
    uint32_t raw; // bytes, unpacked
} ShardChunk;
/* Takes a xorb off the front of the section; false at its end. */
bool shard_next_xorb(Str *xorbs, ShardXorb *out);
ShardChunk shard_chunk(const ShardXorb *xorb, uint32_t i);

/* A shard is written in order: its beginning, files, a bookend, xorbs each with its chunks (`at`:
 * bytes of chunks before it, unpacked), a bookend, a footer that names the offset of the xorbs and
 * until when a client may believe it. A file is followed by its terms, then by a check for each of
 * them, then by its sha256. */
enum { SHARD_HEADER_SIZE = 48, SHARD_FOOTER_SIZE = 200, SHARD_RECORD = 48 };
void shard_begin(Buf *out);
void shard_add_file(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t terms);
void shard_add_term(Buf *out, const uint8_t xorb[XET_HASH_SIZE], uint32_t bytes, uint32_t start,
                    uint32_t end);
void shard_add_hash(Buf *out, const uint8_t hash[XET_HASH_SIZE]); // a check or a sha256
void shard_bookend(Buf *out);
void shard_add_xorb(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t chunks, uint32_t raw,
                    uint32_t packed);
void shard_add_chunk(Buf *out, const uint8_t hash[XET_HASH_SIZE], uint32_t at, uint32_t raw);
void shard_footer(Buf *out, size_t xorbs_at, int64_t now_s, int64_t until_s);

/* ---- The store ---- */

typedef struct Xet Xet;
/* blobs must outlive it. */
Xet *xet_open(const char *folder, Blobs *blobs, Error *err);
void xet_free(Xet *x);
AUTO_FREE(Xet, xet_free)

/* Who uploads, and into what: names of at most 64 letters and digits. */
typedef struct XetScope {
    Str user, repo;
    /* Xorbs of the one are not looked at: a token for one repository must not reach what its owner
     * has sent into others; who may only propose must not reach what others have sent. */
    bool not_user, not_repo;
} XetScope;

typedef struct XorbWriter XorbWriter;
/* hash: in Xet's form. */
XorbWriter *xorb_writer_new(Xet *x, const XetScope *scope, Str hash, Error *err);
bool xorb_writer_add(XorbWriter *w, Str bytes, Error *err);
/* Verifies and publishes. *inserted is false when it was there already; it is then the uploader's
 * as well. ERR_INVALID when a hash differs. */
bool xorb_writer_finish(XorbWriter *w, bool *inserted, Error *err);
void xorb_writer_free(XorbWriter *w);
AUTO_FREE(XorbWriter, xorb_writer_free)

typedef struct XetFile {
    char hash[XET_HEX_SIZE], sha256[BLOB_HEX_SIZE];
    int64_t size;
} XetFile;
typedef struct ShardParams {
    XetScope scope;
    Str bytes;
    /* Called about once a second with bytes verified and all bytes; false stops with
     * ERR_CANCELLED. May be NULL. */
    bool (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} ShardParams;
/* Verifies all files of a shard and stores them as blobs. ERR_INVALID when a xorb is missing for
 * this scope, a range is outside of its xorb, or a hash differs. */
bool xet_shard_accept(Xet *x, const ShardParams *p, Arena *a, XetFile **files, size_t *n,
                      Error *err);

/* Cuts up a blob that lies whole, so that it lies as chunks; those that the scope has are not
 * stored again. *stop (may be NULL) ends it: ERR_CANCELLED, and nothing has changed. A blob that
 * lies as chunks is fine; ERR_NOT_FOUND if there is none. */
bool xet_absorb(Xet *x, const char *sha256, const XetScope *scope, const atomic_bool *stop,
                Error *err);

/* The Xet hash of a blob that is stored as chunks; false for others. */
bool xet_file_hash_of(Xet *x, const char *sha256, char hash[XET_HEX_SIZE]);
/* The sha256 of a file by its Xet hash; false if no such file is stored as chunks. That it may be
 * seen is for the caller to find out. */
bool xet_file_by_hash(Xet *x, Str hash, char sha256[BLOB_HEX_SIZE], int64_t *size);

/* Of which chunks a part of a file is made. */
typedef struct XetTerm {
    char xorb[XET_HEX_SIZE];
    uint32_t start, end; // chunks
    uint32_t from, to;   // where these lie in the xorb, packed
    uint32_t bytes;      // unpacked
} XetTerm;
typedef struct XetTerms {
    XetTerm *items;
    size_t n;
    int64_t skip; // bytes of the first term that lie before the part
} XetTerms;
/* Bytes [from, to) of a file, 0 <= from < to <= size. ERR_NOT_FOUND, ERR_CORRUPT. */
bool xet_terms(Xet *x, const char *sha256, int64_t from, int64_t to, Arena *a, XetTerms *out,
               Error *err);
/* The packed chunks of a xorb: a descriptor, the caller's to close, or -1. */
int xet_xorb_open(Xet *x, Str hash, int64_t *size, Error *err);

/* A shard without files that tells which xorbs of this scope have the chunk and what follows it in
 * a file, appended to out. ERR_NOT_FOUND. */
bool xet_find_chunk(Xet *x, const XetScope *scope, Str hash, Buf *out, Error *err);

/* Calls `each` for the files that are stored as chunks for longer than min_age_ns, until it returns
 * false. */
bool xet_each_file(Xet *x, int64_t min_age_ns, bool (*each)(void *user, const char *sha256),
                   void *user, Error *err);

/* Deletes the xorbs that no file needs and nobody sent or referred to for max_age_ns, and what the
 * scopes say of them. */
bool xet_sweep(Xet *x, int64_t max_age_ns, Error *err);
