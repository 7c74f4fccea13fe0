/* What the files of the Xet store share: stored xorbs, recipes, scopes.
 *
 * A stored xorb is its chunks as they were sent, then an index (a row a chunk: hash, where it ends
 * packed, where it ends unpacked), then a tail that finds the index. Only the chunks are ever sent.
 *
 * A recipe says of which chunks a file is made: a header, rows of 48 bytes, a checksum. It lies
 * under the file's sha256 and, as a second name of the same inode, under its Xet hash.
 *
 * What may be deleted is decided by mark and sweep (xet_sweep.c), so nothing counts references and
 * nothing can miscount. A xorb that somebody is about to refer to is touched first, under the
 * store's lock: then it is young, and young xorbs stay. */
#pragma once

#include "blobs/xet.h"
#include "blobs_internal.h"

#include "base/file.h"
#include "base/map.h"

struct Xet {
    Blobs *blobs;
    char *folder;
};

/* ---- xet.c: names, scopes and the lock ---- */

enum { XET_PATH = PATH_SIZE };
void xorb_path(const Xet *x, const char *hash, char out[XET_PATH]);
void recipe_path(const Xet *x, const char *sha256, char out[XET_PATH]);
/* The recipe by the file's Xet hash. */
void recipe_hash_path(const Xet *x, const char *hash, char out[XET_PATH]);
void scope_path(const Xet *x, const char *kind, Str name, const char *entry, char out[XET_PATH]);
bool xet_scope_check(const XetScope *scope, Error *err);
/* A descriptor that holds the lock until it is closed, or -1. operation: LOCK_SH or LOCK_EX. */
int xet_lock(const Xet *x, int operation, Error *err);
/* Adds a name for a file in a scope's two folders; `durable` makes it survive a crash. */
bool scope_add(const Xet *x, const XetScope *scope, const char *entry, const char *file,
               bool durable, Error *err);
/* A second name for a file. What had the name before, such as a xorb that was swept since, loses
 * it. A file has only so many names: an empty one says the same. */
bool xet_name_also(const char *file, const char *path, Error *err);
/* The path of the entry in the folder that has it. */
bool scope_has(const Xet *x, const XetScope *scope, const char *entry, char path[XET_PATH]);
/* Makes a stored xorb young, so that it stays for whoever will refer to it. False if there is none.
 */
bool xorb_touch(const Xet *x, const char *hash);
/* True if the scope has this xorb; touches it. */
bool xorb_claim(const Xet *x, const XetScope *scope, const char *hash);
/* Gives a synced file its name and syncs the folders on the way, which are made. */
bool xet_publish(const char *temp, const char *path, Error *err);

/* ---- xet_xorb.c ---- */

/* A row of a xorb's index, as it is on disk. */
typedef struct XorbRow {
    uint8_t hash[XET_HASH_SIZE];
    uint32_t packed_end, raw_end;
} XorbRow;

/* A stored xorb. */
typedef struct Xorb {
    uint8_t hash[XET_HASH_SIZE];
    int fd;
    XorbRow *rows;
    uint32_t n;
    uint64_t used; // the last time, by the cache's counter
} Xorb;
static inline uint32_t xorb_packed_start(const Xorb *x, uint32_t i)
{
    return i ? x->rows[i - 1].packed_end : 0;
}
static inline uint32_t xorb_raw_start(const Xorb *x, uint32_t i)
{
    return i ? x->rows[i - 1].raw_end : 0;
}

/* A xorb in the making. */
typedef struct XorbFile {
    const Xet *xet;
    char path[XET_PATH];
    int fd;
    XorbRow *rows;
    uint32_t n, packed, raw;
    XetTree *tree;
    bool published;
} XorbFile;
bool xorb_file_open(XorbFile *f, const Xet *x, Error *err);
void xorb_file_done(XorbFile *f);
/* A packed chunk with its header. ERR_LIMIT past what a xorb may hold. */
bool xorb_file_add(XorbFile *f, Str packed, uint32_t raw, const uint8_t hash[XET_HASH_SIZE],
                   Error *err);
/* Stores it for a scope. expected (may be NULL): ERR_INVALID if it has another hash. *inserted is
 * false when the xorb was there already. */
bool xorb_file_publish(XorbFile *f, const XetScope *scope, const char *expected,
                       char hash[XET_HEX_SIZE], bool *inserted, Error *err);

/* Xorbs held open. Threads: one at a time. */
enum { XORBS_OPEN = 8 };
typedef struct XorbCache {
    const Xet *xet;
    Xorb items[XORBS_OPEN];
    size_t n;
    uint64_t clock;
    XetDecoder *decoder;
    uint8_t *packed;
} XorbCache;
void xorb_cache_init(XorbCache *c, const Xet *x);
void xorb_cache_done(XorbCache *c);
/* Borrowed until the next call. ERR_NOT_FOUND, ERR_CORRUPT. */
const Xorb *xorb_cache_get(XorbCache *c, const uint8_t hash[XET_HASH_SIZE], Error *err);
/* Chunk i, unpacked; borrowed until the next call. */
bool xorb_cache_chunk(XorbCache *c, const Xorb *x, uint32_t i, Str *raw, Error *err);

/* ---- xet_recipe.c ---- */

/* A row of a recipe, as it is on disk. */
typedef struct RecipeTerm {
    uint8_t xorb[XET_HASH_SIZE];
    uint32_t start, end; // chunks
    uint64_t offset;     // of its first byte in the file
} RecipeTerm;

typedef struct Recipe {
    FileMap map;
    char sha256[BLOB_HEX_SIZE];
    int64_t size;
    const RecipeTerm *terms;
    size_t n;
} Recipe;
/* ERR_NOT_FOUND, ERR_CORRUPT. */
bool recipe_open(Recipe *r, const char *path, Error *err);
void recipe_done(Recipe *r);

/* A recipe in the making: terms that follow each other in a xorb become one. */
typedef struct RecipeMaker {
    Buf terms;
    int64_t size;
} RecipeMaker;
void recipe_maker_init(RecipeMaker *m);
void recipe_maker_done(RecipeMaker *m);
void recipe_maker_add(RecipeMaker *m, const uint8_t xorb[XET_HASH_SIZE], uint32_t start,
                      uint32_t end, uint64_t bytes);
bool recipe_maker_save(RecipeMaker *m, const Xet *x, const char *hash, const char *sha256,
                       Error *err);

/* What blobs.c asks of the store. */
bool xet_has(const Xet *x, const char *sha256, int64_t *size);
bool xet_remove(const Xet *x, const char *sha256, Error *err);
typedef struct XetReader XetReader;
XetReader *xet_reader_open(const Xet *x, const char *sha256, Error *err);
/* Of a recipe that is not stored yet; borrows it. */
XetReader *xet_reader_of(const Xet *x, const RecipeMaker *m, const char *sha256)
    __attribute__((returns_nonnull));
void xet_reader_free(XetReader *r);
AUTO_FREE(XetReader, xet_reader_free)
bool xet_reader_read(XetReader *r, void *out, size_t n, int64_t offset, Error *err);

/* ---- xet_dedup.c ---- */

/* Files are found again by some of their chunks: the first one, and one of 64 by their hashes.
 * (Clients ask for one of 1,024; those are among them.) Each counts once, however often a file
 * repeats it. */
typedef struct Marks {
    Arena *arena;
    Map seen; // hashes
} Marks;
void marks_init(Marks *m);
void marks_done(Marks *m);
/* The next chunk of the file; true if it is marked. */
bool marks_look(Marks *m, const uint8_t hash[XET_HASH_SIZE]);
/* Lets a scope find the stored file by them. */
bool marks_save(const Marks *m, const Xet *x, const XetScope *scope, const char *sha256,
                Error *err);
/* Calls `each` for the xorbs of the file that the scope knows by this chunk, those that the scope
 * has, from the chunk's on. False if there are none. */
bool scope_each_xorb(const Xet *x, const XetScope *scope, XorbCache *xorbs,
                     const uint8_t hash[XET_HASH_SIZE], bool (*each)(void *user, const Xorb *xorb),
                     void *user);
