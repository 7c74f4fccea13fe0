/* parquet_page.c: of a column's chunk in one row group, the pages that hold the rows asked for. */
#include "tables/codec.h"
#include "tables/parquet_internal.h"
#include "tables/thrift.h"

enum { HEADER = 4 << 10, MAX_HEADER = 16 << 20 };

enum PageType { DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 };

typedef struct Page {
    int64_t type, unpacked, packed; // sizes of what follows the header
    int64_t n_values, encoding, rows, def_size, rep_size;
    bool is_packed;
} Page;

typedef struct ChunkReader {
    const ByteSource *file;
    const Chunk *chunk;
    const Node *leaf;
    Column *column;
    Arena *arena;
    int64_t at, end;  // offsets in the file
    int64_t from, to; // rows wanted, in the group
    int64_t rows;     // begun so far
    int64_t first;    // the row with which the kept entries begin
} ChunkReader;

/* ---- Headers ---- */

static void read_numbers(Reader *r, int64_t *const *numbers, int n, bool *is_packed)
{
    ThriftStruct s = {0};
    while (thrift_field(r, &s)) {
        if (s.id < n && numbers[s.id] && s.type == THRIFT_I32)
            *numbers[s.id] = thrift_int(r);
        else if (s.id == 7 && is_packed && (s.type == THRIFT_TRUE || s.type == THRIFT_FALSE))
            *is_packed = s.type == THRIFT_TRUE;
        else
            thrift_skip(r, s.type);
    }
}

static void read_header(Reader *r, Page *page)
{
    int64_t *const data[] = {NULL, &page->n_values, &page->encoding};
    int64_t *const second[] = {NULL,           &page->n_values, NULL,
                               &page->rows,    &page->encoding, &page->def_size,
                               &page->rep_size};
    ThriftStruct s = {0};
    page->is_packed = true;
    page->rows = -1;
    while (thrift_field(r, &s)) {
        if (s.id == 1 && s.type == THRIFT_I32)
            page->type = thrift_int(r);
        else if (s.id == 2 && s.type == THRIFT_I32)
            page->unpacked = thrift_int(r);
        else if (s.id == 3 && s.type == THRIFT_I32)
            page->packed = thrift_int(r);
        else if ((s.id == 5 || s.id == 7) && s.type == THRIFT_STRUCT)
            read_numbers(r, data, COUNT(data), NULL);
        else if (s.id == 8 && s.type == THRIFT_STRUCT)
            read_numbers(r, second, COUNT(second), &page->is_packed);
        else
            thrift_skip(r, s.type);
    }
}

/* The length of a header is known when it is read: more and more is tried, since it may hold the
 * least and the greatest of long strings. */
static bool next_page(ChunkReader *c, Page *page, Error *err)
{
    for (size_t n = HEADER;; n *= 8) {
        AUTO_BUF bytes;
        buf_init(&bytes, 0);
        size_t most = (size_t)MIN((int64_t)n, c->end - c->at);
        char *to = buf_reserve(&bytes, most);
        if (!byte_source_read(c->file, to, most, c->at, err))
            return false;
        *page = (Page){0};
        Reader r = reader_of(to, most, "page header");
        read_header(&r, page);
        if (r.error.code && most == n && n < MAX_HEADER)
            continue;
        if (!reader_ok(&r, err))
            return false;
        c->at += (int64_t)r.pos;
        break;
    }
    if (page->packed < 0 || page->packed > MAX_PAGE || page->unpacked < 0 ||
        page->unpacked > MAX_PAGE)
        return fail(err, ERR_LIMIT, "%lld bytes, %lld unpacked, at most %d are read",
                    (long long)page->packed, (long long)page->unpacked, MAX_PAGE);
    if (page->packed > c->end - c->at)
        return fail(err, ERR_INVALID, "%lld bytes where the column has %lld left",
                    (long long)page->packed, (long long)(c->end - c->at));
    if (page->n_values < 0 || page->n_values > MAX_PAGE_VALUES)
        return fail(err, ERR_LIMIT, "%lld values, at most %d are read", (long long)page->n_values,
                    MAX_PAGE_VALUES);
    return true;
}

/* ---- Contents ---- */

/* The page's bytes, unpacked, in the arena. Of a version 2 page the levels in front are plain. */
static bool page_bytes(ChunkReader *c, const Page *page, Str *out, Error *err)
{
    char *packed = arena_try(c->arena, (size_t)page->packed + 1, 1, err);
    if (!packed || !byte_source_read(c->file, packed, (size_t)page->packed, c->at, err))
        return false;
    size_t plain = page->type == DATA_PAGE_V2 ? (size_t)(page->def_size + page->rep_size) : 0;
    if (page->def_size < 0 || page->rep_size < 0 || (int64_t)plain > page->packed ||
        (int64_t)plain > page->unpacked)
        return fail(err, ERR_INVALID, "levels of %zu bytes in %lld", plain,
                    (long long)page->packed);
    *out = (Str){packed, (size_t)page->packed};
    if (!page->is_packed || c->chunk->codec == 0)
        return true;
    uint8_t *bytes = arena_try(c->arena, (size_t)page->unpacked + 1, 1, err);
    if (!bytes)
        return false;
    memcpy(bytes, packed, plain);
    *out = (Str){(char *)bytes, (size_t)page->unpacked};
    // Nothing at all may be written as nothing, which is no block of any codec.
    if (page->unpacked == (int64_t)plain)
        return true;
    return codec_unpack(c->chunk->codec,
                        str_slice((Str){packed, (size_t)page->packed}, plain, SIZE_MAX),
                        bytes + plain, (size_t)page->unpacked - plain, err);
}

/* Levels of all entries as bytes, appended; how many of them are `max`. */
static size_t read_levels(Reader *r, int max, size_t n, Arena *a, Buf *out, int64_t *starts)
{
    size_t full = 0;
    Error err = {0};
    uint32_t *levels = arena_try(a, n + 1, sizeof *levels, &err);
    char *to = levels ? buf_reserve(out, n) : NULL;
    if (!to) {
        reader_fail(r, ERR_LIMIT, "no memory for %zu levels", n);
        return 0;
    }
    decode_hybrid(r, bits_for(max), levels, n);
    for (size_t i = 0; i < n; i++) {
        if (levels[i] > (uint32_t)max) {
            reader_fail(r, ERR_INVALID, "level %u, the greatest is %d", levels[i], max);
            return 0;
        }
        to[i] = (char)levels[i];
        full += levels[i] == (uint32_t)max;
        *starts += levels[i] == 0;
    }
    out->len += n;
    return full;
}

/* One run of levels: version 1 writes its length in front, version 2 in the header. */
static Reader level_reader(Reader *r, const Page *page, int64_t size)
{
    size_t n = page->type == DATA_PAGE_V2 ? (size_t)size : reader_u32(r);
    const void *bytes = reader_bytes(r, n);
    return reader_of(bytes, bytes ? n : 0, r->name);
}

static void copy_error(Reader *to, const Reader *from)
{
    if (from->error.code && !to->error.code)
        to->error = from->error;
}

static bool data_page(ChunkReader *c, const Page *page, Error *err)
{
    Str bytes;
    Column *column = c->column;
    size_t n = (size_t)page->n_values, there = n;
    int64_t begun = 0, unused = 0;
    if (!page_bytes(c, page, &bytes, err))
        return false;
    Reader r = reader_of(bytes.ptr, bytes.len, "page");
    if (c->leaf->rep) {
        Reader levels = level_reader(&r, page, page->rep_size);
        read_levels(&levels, c->leaf->rep, n, c->arena, &column->rep, &begun);
        copy_error(&r, &levels);
    } else {
        begun = page->n_values;
    }
    if (c->leaf->def) {
        Reader levels = level_reader(&r, page, page->def_size);
        there = read_levels(&levels, c->leaf->def, n, c->arena, &column->def, &unused);
        copy_error(&r, &levels);
    }
    if (!r.error.code)
        decode_values(&r, page->encoding, c->leaf, column, there, c->arena);
    if (!reader_ok(&r, err))
        return false;
    column->n += n;
    c->rows += begun;
    return true;
}

static bool dictionary_page(ChunkReader *c, const Page *page, Error *err)
{
    Str bytes;
    if (!page_bytes(c, page, &bytes, err))
        return false;
    Column plain = {.leaf = c->leaf};
    buf_init(&plain.values, MAX_READ);
    Reader r = reader_of(bytes.ptr, bytes.len, "dictionary");
    decode_values(&r, 0, c->leaf, &plain, (size_t)page->n_values, c->arena);
    bool ok = reader_ok(&r, err);
    if (ok) {
        c->column->n_dictionary = (size_t)page->n_values;
        c->column->dictionary =
            arena_copy(c->arena, plain.values.ptr ? plain.values.ptr : "", plain.values.len);
    }
    buf_done(&plain.values);
    return ok;
}

/* ---- Which pages ---- */

/* Where an index of the pages is given: straight to the page with the first row. A broken index is
 * passed over, since it only saves time. */
static void jump(ChunkReader *c)
{
    int type;
    const Chunk *chunk = c->chunk;
    AUTO_BUF bytes;
    buf_init(&bytes, 0);
    if (c->from == 0 || chunk->index <= 0 || chunk->index_size <= 0 ||
        chunk->index_size > MAX_HEADER)
        return;
    char *to = buf_reserve(&bytes, (size_t)chunk->index_size);
    if (!byte_source_read(c->file, to, (size_t)chunk->index_size, chunk->index, NULL))
        return;
    Reader r = reader_of(to, (size_t)chunk->index_size, "page index");
    ThriftStruct s = {0};
    if (!thrift_field(&r, &s) || s.id != 1 || s.type != THRIFT_LIST)
        return;
    for (size_t n = thrift_list(&r, &type); n > 0 && !r.error.code; n--) {
        int64_t offset = 0, row = 0;
        ThriftStruct place = {0};
        while (thrift_field(&r, &place)) {
            if (place.id == 1 && place.type == THRIFT_I64)
                offset = thrift_int(&r);
            else if (place.id == 3 && place.type == THRIFT_I64)
                row = thrift_int(&r);
            else
                thrift_skip(&r, place.type);
        }
        if (r.error.code || row > c->from || offset < c->at || offset >= c->end || row < c->rows)
            return;
        c->at = offset;
        c->rows = c->first = row;
    }
}

/* Is everything of this page before the first row that is wanted? */
static bool is_before(const ChunkReader *c, const Page *page)
{
    int64_t rows = page->type == DATA_PAGE_V2 ? page->rows : c->leaf->rep ? -1 : page->n_values;
    return rows >= 0 && c->column->n == 0 && c->rows + rows <= c->from;
}

static bool read_page(ChunkReader *c, const Page *page, Error *err)
{
    switch (page->type) {
    case DICTIONARY_PAGE:
        return dictionary_page(c, page, err);
    case DATA_PAGE:
    case DATA_PAGE_V2:
        if (!is_before(c, page))
            return data_page(c, page, err);
        c->rows += page->type == DATA_PAGE_V2 ? page->rows : page->n_values;
        c->first = c->rows;
        return true;
    }
    return true; // an index, or what a later version brings
}

static bool read_pages(ChunkReader *c, Error *err)
{
    bool jumped = false;
    // A row that has begun ends where the next one begins.
    while (c->at < c->end && c->rows < c->to + (c->leaf->rep > 0)) {
        Page page;
        int64_t start = c->at;
        if (!next_page(c, &page, err))
            return fail_while(err, "page at %lld", (long long)start);
        if (!jumped && page.type != DICTIONARY_PAGE) { // which is the first of all
            jumped = true;
            int64_t at = c->at;
            c->at = start;
            jump(c);
            if (c->rows > 0)
                continue;
            c->at = at;
        }
        if (!read_page(c, &page, err))
            return fail_while(err, "page at %lld", (long long)start);
        c->at += page.packed;
    }
    return true;
}

/* Moves behind n rows. */
static void skip_rows(Column *c, int64_t n)
{
    for (; c->pos < c->n; c->pos++) {
        bool begins = !c->leaf->rep || c->rep.ptr[c->pos] == 0;
        if (begins && n-- == 0)
            return;
        c->value_pos += !c->leaf->def || c->def.ptr[c->pos] == c->leaf->def;
    }
}

bool column_read(const Parquet *p, const RowGroup *group, size_t leaf, int64_t from, int64_t to,
                 Arena *a, size_t max, Column *out, Error *err)
{
    const Chunk *chunk = &group->chunks[leaf];
    ChunkReader c = {.file = &p->table.file,
                     .chunk = chunk,
                     .leaf = p->leaves[leaf],
                     .column = out,
                     .arena = a,
                     .from = from,
                     .to = to,
                     .at = chunk->pages};
    *out = (Column){.leaf = c.leaf};
    buf_init(&out->def, max);
    buf_init(&out->rep, max);
    buf_init(&out->values, max);
    if (chunk->dictionary > 0 && chunk->dictionary < chunk->pages)
        c.at = chunk->dictionary;
    if (c.at < 4 || chunk->size < 0 || __builtin_add_overflow(c.at, chunk->size, &c.end) ||
        c.end > p->table.file.size)
        return fail(err, ERR_INVALID, "%s: column '%.*s': %lld bytes at offset %lld",
                    p->table.file.name, STR(c.leaf->type.name), (long long)chunk->size,
                    (long long)c.at);
    if (!read_pages(&c, err))
        return fail_while(err, "%s: column '%.*s'", p->table.file.name, STR(c.leaf->type.name));
    skip_rows(out, from - c.first);
    return true;
}

void column_done(Column *c)
{
    buf_done(&c->def);
    buf_done(&c->rep);
    buf_done(&c->values);
}
