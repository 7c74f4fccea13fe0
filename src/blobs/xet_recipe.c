/* xet_recipe.c: which chunks make a file, and reading the file by them; see xet_internal.h. */
#include "xet_internal.h"

#include "blobs/blake3.h"

#include "base/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* A header of 96 bytes: magic, u64 size, u64 terms, Xet hash, sha256, 8 zeros. Then the terms, then
 * the BLAKE3 of all before. */
enum { HEADER_SIZE = 96, CHECK_SIZE = BLAKE3_SIZE };
static const char recipe_magic[8] = "hugfile1";
_Static_assert(sizeof(RecipeTerm) == 48, "terms lie on disk as they are");

/* ---- Reading ---- */

/* Terms follow each other without a gap, and none is empty. */
static bool terms_check(const Recipe *r)
{
    uint64_t before = 0;
    for (size_t i = 0; i < r->n; i++) {
        const RecipeTerm *t = &r->terms[i];
        if (t->start >= t->end || t->end > XORB_MAX_CHUNKS || (i ? t->offset <= before : t->offset))
            return false;
        before = t->offset;
    }
    return r->n ? before < (uint64_t)r->size : r->size == 0;
}

bool recipe_open(Recipe *r, const char *path, Error *err)
{
    Recipe out = {0};
    uint8_t check[CHECK_SIZE];
    uint64_t size, n;
    if (!file_map(&out.map, path, err))
        return false;
    const uint8_t *p = out.map.ptr;
    bool ok = out.map.len >= HEADER_SIZE + CHECK_SIZE && memcmp(p, recipe_magic, 8) == 0;
    if (ok) {
        memcpy(&size, p + 8, 8);
        memcpy(&n, p + 16, 8);
        out.size = (int64_t)size;
        out.n = (size_t)n;
        out.terms = (const RecipeTerm *)(const void *)(p + HEADER_SIZE);
        hex_encode(p + 24 + XET_HASH_SIZE, SHA256_SIZE, out.sha256);
        size_t rest = out.map.len - HEADER_SIZE - CHECK_SIZE;
        ok = rest % sizeof(RecipeTerm) == 0 && n == rest / sizeof(RecipeTerm) && out.size >= 0;
    }
    if (ok) {
        blake3(NULL, (Str){(const char *)p, out.map.len - CHECK_SIZE}, check);
        ok = memcmp(check, p + out.map.len - CHECK_SIZE, CHECK_SIZE) == 0 && terms_check(&out);
    }
    if (!ok) {
        recipe_done(&out);
        return fail(err, ERR_CORRUPT, "'%s' is damaged", path);
    }
    *r = out;
    return true;
}

void recipe_done(Recipe *r)
{
    file_unmap(&r->map);
    *r = (Recipe){0};
}

/* ---- Writing ---- */

void recipe_maker_init(RecipeMaker *m)
{
    *m = (RecipeMaker){0};
    buf_init(&m->terms, 0);
}

void recipe_maker_done(RecipeMaker *m)
{
    buf_done(&m->terms);
}

void recipe_maker_add(RecipeMaker *m, const uint8_t xorb[XET_HASH_SIZE], uint32_t start,
                      uint32_t end, uint64_t bytes)
{
    RecipeTerm *last = NULL;
    if (m->terms.len)
        last = (RecipeTerm *)(void *)(m->terms.ptr + m->terms.len - sizeof *last);
    if (last && last->end == start && memcmp(last->xorb, xorb, XET_HASH_SIZE) == 0) {
        last->end = end;
    } else {
        RecipeTerm term = {.start = start, .end = end, .offset = (uint64_t)m->size};
        memcpy(term.xorb, xorb, XET_HASH_SIZE);
        buf_add_bytes(&m->terms, &term, sizeof term);
    }
    m->size += (int64_t)bytes;
}

static bool write_recipe(int fd, Str bytes, Error *err)
{
    if (!fd_write_all(fd, bytes.ptr, bytes.len, err))
        return false;
    if (fchmod(fd, 0444) < 0 || fsync(fd) < 0)
        return fail_io(err, "sync");
    return true;
}

/* First the name by the Xet hash, then the one by which the file counts as stored: whoever sees the
 * second can use the first. */
static bool give_names(const Xet *x, const char *temp, const char *hash, const char *sha256,
                       Error *err)
{
    char path[XET_PATH], also[XET_PATH + 8];
    recipe_hash_path(x, hash, path);
    snprintf(also, sizeof also, "%s.hash", temp);
    unlink(also);
    if (link(temp, also) < 0)
        return fail_io(err, "name '%s'", also);
    if (!xet_publish(also, path, err))
        return false;
    recipe_path(x, sha256, path);
    return xet_publish(temp, path, err);
}

bool recipe_maker_save(RecipeMaker *m, const Xet *x, const char *hash, const char *sha256,
                       Error *err)
{
    AUTO_BUF bytes;
    char folder[XET_PATH], temp[XET_PATH];
    uint8_t raw[XET_HASH_SIZE], sha[SHA256_SIZE], check[CHECK_SIZE];
    CHECK(xet_hash_parse(str_of(hash), raw) && hex_decode(str_of(sha256), sha, sizeof sha));
    uint64_t n = m->terms.len / sizeof(RecipeTerm), size = (uint64_t)m->size;
    buf_init(&bytes, 0);
    buf_add_bytes(&bytes, recipe_magic, sizeof recipe_magic);
    buf_add_bytes(&bytes, &size, sizeof size);
    buf_add_bytes(&bytes, &n, sizeof n);
    buf_add_bytes(&bytes, raw, sizeof raw);
    buf_add_bytes(&bytes, sha, sizeof sha);
    buf_add_bytes(&bytes, (uint8_t[8]){0}, 8);
    CHECK(bytes.len == HEADER_SIZE);
    buf_add(&bytes, buf_str(&m->terms));
    blake3(NULL, buf_str(&bytes), check);
    buf_add_bytes(&bytes, check, sizeof check);

    snprintf(folder, sizeof folder, "%s/temp", x->folder);
    AUTO_FD int fd = temp_file(folder, temp, err);
    if (fd < 0)
        return false;
    if (write_recipe(fd, buf_str(&bytes), err) && give_names(x, temp, hash, sha256, err))
        return true;
    unlink(temp);
    return fail_while(err, "store the chunks of %s", sha256);
}

/* ---- What is stored as chunks ---- */

static bool read_header(const char *path, uint8_t header[HEADER_SIZE])
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fd_read_at(fd, header, HEADER_SIZE, 0, NULL) &&
           memcmp(header, recipe_magic, sizeof recipe_magic) == 0;
}

bool xet_has(const Xet *x, const char *sha256, int64_t *size)
{
    char path[XET_PATH];
    uint8_t header[HEADER_SIZE];
    recipe_path(x, sha256, path);
    if (!read_header(path, header))
        return false;
    memcpy(size, header + 8, sizeof *size);
    return true;
}

bool xet_file_hash_of(Xet *x, const char *sha256, char hash[XET_HEX_SIZE])
{
    char path[XET_PATH];
    uint8_t header[HEADER_SIZE];
    if (!blob_oid_check(str_of(sha256), NULL))
        return false;
    recipe_path(x, sha256, path);
    if (!read_header(path, header))
        return false;
    xet_hash_format(header + 24, hash);
    return true;
}

bool xet_file_by_hash(Xet *x, Str hash, char sha256[BLOB_HEX_SIZE], int64_t *size)
{
    char path[XET_PATH], hex[XET_HEX_SIZE];
    uint8_t header[HEADER_SIZE], raw[XET_HASH_SIZE];
    if (!xet_hash_parse(hash, raw))
        return false;
    xet_hash_format(raw, hex);
    recipe_hash_path(x, hex, path);
    if (!read_header(path, header))
        return false;
    hex_encode(header + 24 + XET_HASH_SIZE, SHA256_SIZE, sha256);
    return xet_has(x, sha256, size);
}

bool xet_remove(const Xet *x, const char *sha256, Error *err)
{
    char path[XET_PATH], hash[XET_HEX_SIZE];
    uint8_t header[HEADER_SIZE];
    recipe_path(x, sha256, path);
    bool known = read_header(path, header);
    if (unlink(path) < 0 && errno != ENOENT)
        return fail_io(err, "delete the chunks of %s", sha256);
    if (!known)
        return true;
    xet_hash_format(header + 24, hash);
    recipe_hash_path(x, hash, path);
    unlink(path); // what stays is swept: nothing serves a file that has no other name
    return true;
}

/* ---- Reading a file by its chunks ---- */

struct XetReader {
    Recipe recipe;
    XorbCache xorbs;
    Str raw;    // the chunk that was read last
    int64_t at; // where it lies in the file
};

XetReader *xet_reader_open(const Xet *x, const char *sha256, Error *err)
{
    char path[XET_PATH];
    AUTO(xet_reader_free) XetReader *r = xcalloc(1, sizeof *r);
    recipe_path(x, sha256, path);
    xorb_cache_init(&r->xorbs, x);
    return recipe_open(&r->recipe, path, err) ? TAKE(r) : NULL;
}

XetReader *xet_reader_of(const Xet *x, const RecipeMaker *m, const char *sha256)
{
    XetReader *r = xcalloc(1, sizeof *r);
    xorb_cache_init(&r->xorbs, x);
    r->recipe = (Recipe){.size = m->size,
                         .terms = (const RecipeTerm *)(const void *)m->terms.ptr,
                         .n = m->terms.len / sizeof(RecipeTerm)};
    snprintf(r->recipe.sha256, sizeof r->recipe.sha256, "%s", sha256);
    return r;
}

void xet_reader_free(XetReader *r)
{
    if (!r)
        return;
    recipe_done(&r->recipe);
    xorb_cache_done(&r->xorbs);
    free(r);
}

/* The last term that begins at the offset or before it. */
static const RecipeTerm *term_at(const Recipe *r, int64_t offset)
{
    size_t low = 0, high = r->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (r->terms[middle].offset <= (uint64_t)offset)
            low = middle;
        else
            high = middle;
    }
    return &r->terms[low];
}

/* The chunk of a term which has the byte that lies `into` bytes behind the term's first. */
static uint32_t chunk_at(const Xorb *x, const RecipeTerm *term, uint64_t into)
{
    uint32_t low = term->start, high = term->end;
    uint64_t first = xorb_raw_start(x, low);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (xorb_raw_start(x, middle) - first <= into)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Unpacks the chunk that has this byte. */
static bool reader_seek(XetReader *r, int64_t offset, Error *err)
{
    const RecipeTerm *term = term_at(&r->recipe, offset);
    r->raw = (Str){0};
    const Xorb *x = xorb_cache_get(&r->xorbs, term->xorb, err);
    if (!x)
        return false;
    if (term->end > x->n)
        return fail(err, ERR_CORRUPT, "chunks %u to %u of a xorb that has %u", term->start,
                    term->end, x->n);
    uint32_t i = chunk_at(x, term, (uint64_t)offset - term->offset);
    if (!xorb_cache_chunk(&r->xorbs, x, i, &r->raw, err))
        return false;
    r->at = (int64_t)(term->offset + xorb_raw_start(x, i) - xorb_raw_start(x, term->start));
    if (offset - r->at >= (int64_t)r->raw.len)
        return fail(err, ERR_CORRUPT, "its chunks end before byte %lld", (long long)offset);
    return true;
}

bool xet_reader_read(XetReader *r, void *out, size_t n, int64_t offset, Error *err)
{
    char *to = out;
    if (offset < 0 || offset > r->recipe.size || n > (uint64_t)(r->recipe.size - offset))
        return fail(err, ERR_INVALID, "%zu bytes at %lld: it has %lld", n, (long long)offset,
                    (long long)r->recipe.size);
    while (n) {
        if ((offset < r->at || offset - r->at >= (int64_t)r->raw.len) &&
            !reader_seek(r, offset, err))
            return fail_while(err, "file %s", r->recipe.sha256);
        size_t into = (size_t)(offset - r->at), some = MIN(n, r->raw.len - into);
        memcpy(to, r->raw.ptr + into, some);
        to += some;
        n -= some;
        offset += (int64_t)some;
    }
    return true;
}

/* ---- Telling others of which chunks a file is made ---- */

static bool tell_term(XorbCache *xorbs, const Recipe *r, size_t i, int64_t from, int64_t to,
                      XetTerm *out, int64_t *skip, Error *err)
{
    const RecipeTerm *t = &r->terms[i];
    const Xorb *x = xorb_cache_get(xorbs, t->xorb, err);
    if (!x)
        return false;
    if (t->end > x->n)
        return fail(err, ERR_CORRUPT, "chunks %u to %u of a xorb that has %u", t->start, t->end,
                    x->n);
    int64_t end = i + 1 < r->n ? (int64_t)r->terms[i + 1].offset : r->size;
    int64_t at = (int64_t)t->offset, first = MAX(from, at), last = MIN(to, end) - 1;
    out->start = chunk_at(x, t, (uint64_t)(first - at));
    out->end = chunk_at(x, t, (uint64_t)(last - at)) + 1;
    out->from = xorb_packed_start(x, out->start);
    out->to = x->rows[out->end - 1].packed_end;
    out->bytes = x->rows[out->end - 1].raw_end - xorb_raw_start(x, out->start);
    *skip = first - at - (int64_t)(xorb_raw_start(x, out->start) - xorb_raw_start(x, t->start));
    xet_hash_format(t->xorb, out->xorb);
    return true;
}

bool xet_terms(Xet *x, const char *sha256, int64_t from, int64_t to, Arena *a, XetTerms *out,
               Error *err)
{
    AUTO(xet_reader_free) XetReader *reader = xet_reader_open(x, sha256, err);
    if (!reader)
        return false;
    const Recipe *r = &reader->recipe;
    CHECK(from >= 0 && from < to && to <= r->size);
    size_t first = (size_t)(term_at(r, from) - r->terms), end = first;
    while (end < r->n && r->terms[end].offset < (uint64_t)to)
        end++;
    *out = (XetTerms){.items = NEW_ARRAY(a, XetTerm, end - first)};
    for (size_t i = first; i < end; i++) {
        int64_t skip;
        if (!tell_term(&reader->xorbs, r, i, from, to, &out->items[out->n++], &skip, err))
            return fail_while(err, "file %s: term %zu", sha256, i);
        if (i == first)
            out->skip = skip;
    }
    return true;
}
