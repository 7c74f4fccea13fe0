/* tar.c: WebDataset: archives whose members "dir/key.ext", one behind the other with the same key,
 * are a row with a column an ext. Headers are passed over, data is read for the rows that are
 * wanted.
 *
 * Columns and their types are those of the first samples, as the dataset library has it: "txt" is
 * text, "cls" a number, "json" what it holds, all else bytes. Source: POSIX.1-1988 ustar, pax
 * extended headers, and GNU's long names. */
#include "tables/tables_internal.h"

enum {
    BLOCK = 512,
    MAX_FIELDS = 64, // members of a sample; more are passed over
    MAX_NAME = 4096, // also of an extended header
    MAX_MEMBERS = 1 << 20,
    MAX_FIELD = 64 << 20,
    INFER_SAMPLES = 5,
    BRIEF = 64, // bytes of a picture that need not be whole
};

typedef struct Member {
    char name[MAX_NAME + 1];
    int64_t start, data, size, next; // offsets: of its first header, its data, and what follows
} Member;

typedef struct Sample {
    Str key;
    struct {
        Str ext;
        int64_t data, size;
    } fields[MAX_FIELDS];
    size_t n;
} Sample;

typedef struct Tar {
    Table table;
    int64_t row, at; // the next row, and where it begins
} Tar;

/* ---- Members ---- */

static bool fail_at(const Tar *t, int64_t offset, const char *what, Error *err)
{
    return fail(err, ERR_INVALID, "%s: offset %lld: %s", t->table.file.name, (long long)offset,
                what);
}

/* Octal digits, or GNU's big-endian number behind a byte 0x80; below 2^62, so that sums with it are
 * no trouble. */
static bool number_of(const uint8_t *field, size_t n, int64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;
    if (field[0] == 0x80) {
        for (i = 1; i < n && !(value >> 54); i++)
            value = value << 8 | field[i];
        *out = (int64_t)value;
        return i == n && !(value >> 62);
    }
    while (i < n && field[i] == ' ')
        i++;
    for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    *out = (int64_t)value;
    return (i == n || field[i] == 0 || field[i] == ' ') && !(value >> 62);
}

static bool sum_is_right(const uint8_t *block)
{
    int64_t wanted, sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return number_of(block + 148, 8, &wanted) && wanted == sum;
}

static Str text_of(const uint8_t *field, size_t n)
{
    return (Str){(const char *)field, strnlen((const char *)field, n)};
}

/* "prefix/name" */
static void name_of(const uint8_t *block, char out[MAX_NAME + 1])
{
    Str name = text_of(block, 100), prefix = text_of(block + 345, 155);
    if (memcmp(block + 257, "ustar", 6) != 0)
        prefix.len = 0;
    snprintf(out, MAX_NAME + 1, "%.*s%s%.*s", STR(prefix), prefix.len ? "/" : "", STR(name));
}

/* "27 path=some/name\n": the value of `key`, if it is there. */
static bool pax_find(Str records, const char *key, Str *out)
{
    Str line;
    bool found = false;
    while (str_split(&records, '\n', &line)) {
        size_t space = str_find_char(line, ' ', 0), equal = str_find_char(line, '=', 0);
        if (space == SIZE_MAX || equal == SIZE_MAX || equal < space ||
            !str_eq(str_slice(line, space + 1, equal), str_of(key)))
            continue;
        *out = str_slice(line, equal + 1, line.len);
        found = true;
    }
    return found;
}

/* What an extended header says of the member that follows: its name and its size, -1 for none. */
static bool said_read(const Tar *t, char kind, int64_t data, int64_t size, Member *next, Error *err)
{
    char text[MAX_NAME];
    Str all = {text, (size_t)size}, value;
    if (size > MAX_NAME)
        return fail_at(t, data, "an extended header of more than 4096 bytes", err);
    if (!byte_source_read(&t->table.file, text, all.len, data, err))
        return false;
    value = all;
    if (kind == 'L' || pax_find(all, "path", &value))
        snprintf(next->name, sizeof next->name, "%.*s", STR(value));
    if (kind != 'L' && pax_find(all, "size", &value) &&
        !str_to_int(value, 0, INT64_MAX / 2, &next->size))
        return fail_at(t, data, "a size that is no number", err);
    return true;
}

/* The next plain file at or behind `offset`; *end where there is none. */
static bool member_read(const Tar *t, int64_t offset, Member *out, bool *end, Error *err)
{
    *end = false;
    *out = (Member){.start = offset, .size = -1};
    for (int passed = 0; passed < MAX_MEMBERS; passed++) {
        uint8_t block[BLOCK];
        int64_t size;
        *end = offset > t->table.file.size - BLOCK;
        if (*end || !byte_source_read(&t->table.file, block, BLOCK, offset, err))
            return *end;
        *end = block[0] == 0;
        if (*end)
            return true;
        if (!sum_is_right(block) || !number_of(block + 124, 12, &size))
            return fail_at(t, offset, "not the header of a member of an archive", err);
        char kind = (char)block[156];
        bool extends = kind == 'x' || kind == 'L';
        size = out->size >= 0 && !extends ? out->size : size;
        int64_t data = offset + BLOCK, padded = (size + BLOCK - 1) / BLOCK * BLOCK;
        if (size > t->table.file.size - data)
            return fail_at(t, offset, "a member that passes the archive's end", err);
        if (extends) {
            if (!said_read(t, kind, data, size, out, err))
                return false;
        } else if (kind == '0' || kind == 0) {
            if (!out->name[0])
                name_of(block, out->name);
            out->data = data;
            out->size = size;
            out->next = data + padded;
            return true;
        } else {
            *out = (Member){.start = data + padded, .size = -1};
        }
        offset = data + padded;
    }
    return fail_at(t, offset, "too many members that are no files", err);
}

/* ---- Samples ---- */

/* "a/b.seg.png" is key "a/b" and ext "seg.png"; false for a name without both. */
static bool name_split(Str name, Str *key, Str *ext)
{
    size_t slash = str_rfind_char(name, '/');
    size_t from = slash == SIZE_MAX ? 0 : slash + 1;
    size_t dot = str_find_char(name, '.', from);
    if (dot == SIZE_MAX || dot == from)
        return false;
    *key = str_slice(name, 0, dot);
    *ext = str_slice(name, dot + 1, name.len);
    return ext->len > 0;
}

/* The sample at t->at, which then moves behind it. */
static bool sample_read(Tar *t, Arena *a, Sample *out, bool *end, Error *err)
{
    int64_t offset = t->at;
    out->n = 0;
    out->key = (Str){0};
    for (int64_t members = 0;; members++) {
        Member m;
        Str key, ext;
        if (members == MAX_MEMBERS)
            return fail_at(t, offset, "too many members", err);
        if (!member_read(t, offset, &m, end, err))
            return false;
        if (*end)
            break;
        if (name_split(str_of(m.name), &key, &ext)) {
            if (out->n && !str_eq(key, out->key)) {
                offset = m.start;
                break;
            }
            if (!out->n)
                out->key = arena_str(a, key);
            if (out->n < MAX_FIELDS) {
                out->fields[out->n].ext = arena_str(a, ext);
                out->fields[out->n].data = m.data;
                out->fields[out->n++].size = m.size;
            }
        }
        offset = m.next;
    }
    *end = out->n == 0;
    t->at = offset;
    t->row += !*end;
    return true;
}

static bool field_bytes(const Tar *t, const Room *room, int64_t data, int64_t size, Str *out,
                        Error *err)
{
    if (size > MAX_FIELD)
        return fail(err, ERR_LIMIT, "%s: offset %lld: %lld bytes, at most %d are read",
                    t->table.file.name, (long long)data, (long long)size, MAX_FIELD);
    char *to = room_take(room, (size_t)size + 1, 1);
    *out = (Str){to, (size_t)size};
    return to && byte_source_read(&t->table.file, to, (size_t)size, data, err);
}

/* ---- Columns ---- */

static const struct {
    const char *exts;
    TypeKind kind;
    const char *dtype;
} types[] = {{"txt text transcript", TYPE_VALUE, "string"},
             {"cls cls2 index inx id", TYPE_VALUE, "int64"},
             {"json jsn", TYPE_JSON, ""}};

/* Is the last part of "seg.png" one of these words? */
static bool ext_is(Str ext, Str words)
{
    Str word;
    size_t dot = str_rfind_char(ext, '.');
    Str last = dot == SIZE_MAX ? ext : str_slice(ext, dot + 1, ext.len);
    while (str_split(&words, ' ', &word))
        if (str_eq_nocase(word, last))
            return true;
    return false;
}

static TableType type_of(Arena *a, Str ext)
{
    TableType type = {.name = arena_str(a, ext), .kind = TYPE_VALUE, .dtype = S("binary")};
    for (size_t i = 0; i < COUNT(types); i++)
        if (ext_is(ext, str_of(types[i].exts))) {
            type.kind = types[i].kind;
            type.dtype = str_of(types[i].dtype);
        }
    return type;
}

static TableType *column_of(Tar *t, Str ext)
{
    TableType *type = &t->table.type;
    for (size_t i = 0; i < type->n; i++)
        if (str_eq(type->items[i].name, ext))
            return &type->items[i];
    if (type->n == MAX_FIELDS)
        return NULL;
    type->items[type->n] = type_of(t->table.arena, ext);
    return &type->items[type->n++];
}

/* The columns of the first samples, and the key. */
static bool columns_find(Tar *t, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Sample *s = NEW(a, Sample);
    TableType *type = &t->table.type;
    *type = (TableType){.kind = TYPE_STRUCT,
                        .items = NEW_ARRAY(t->table.arena, TableType, MAX_FIELDS + 1)};
    bool end = false;
    for (int i = 0; i < INFER_SAMPLES && !end; i++) {
        if (!sample_read(t, a, s, &end, err))
            return false;
        for (size_t k = 0; k < s->n && !end; k++)
            column_of(t, s->fields[k].ext);
    }
    t->row = t->at = 0;
    type->items[type->n++] =
        (TableType){.name = S("__key__"), .kind = TYPE_VALUE, .dtype = S("string")};
    return true;
}

/* Pictures, sounds and films: what is so large that a reader in a hurry passes it over. */
static bool is_media(Str ext)
{
    return ext_is(
        ext,
        S("png jpg jpeg gif webp bmp tif tiff wav flac ogg opus mp3 m4a mp4 webm mkv mov avi"));
}

static bool cell_read(const Tar *t, const Room *room, const TableType *column, int64_t data,
                      int64_t size, Cell *out, Error *err)
{
    Str bytes;
    bool binary = str_eq(column->dtype, S("binary"));
    if (binary && t->table.is_brief && is_media(column->name))
        size = MIN(size, (int64_t)BRIEF);
    if (!field_bytes(t, room, data, size, &bytes, err))
        return false;
    *out = (Cell){.kind = binary ? CELL_BYTES : column->kind == TYPE_JSON ? CELL_JSON : CELL_TEXT};
    out->text = bytes;
    int64_t number;
    if (str_eq(column->dtype, S("int64"))) {
        bool is = str_to_int(str_trim(bytes), INT64_MIN, INT64_MAX, &number);
        *out = (Cell){.kind = is ? CELL_INT : CELL_NULL};
        out->integer = is ? number : 0;
    }
    return true;
}

static bool row_read(const Tar *t, const Room *room, const Sample *s, Cell *row, Error *err)
{
    const TableType *type = &t->table.type;
    row->kind = CELL_STRUCT;
    row->n = type->n;
    row->items = room_take(room, type->n, sizeof(Cell));
    if (!row->items)
        return false;
    for (size_t k = 0; k < s->n; k++)
        for (size_t i = 0; i + 1 < type->n; i++)
            if (str_eq(type->items[i].name, s->fields[k].ext) &&
                !cell_read(t, room, &type->items[i], s->fields[k].data, s->fields[k].size,
                           &row->items[i], err))
                return false;
    row->items[type->n - 1] = (Cell){.kind = CELL_TEXT};
    row->items[type->n - 1].text = room_str(room, s->key);
    return true;
}

/* ---- The table ---- */

/* Moves to a row; false at an error, *end where there is no such row. */
static bool seek(Tar *t, int64_t row, bool *end, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Sample *s = xcalloc(1, sizeof *s);
    bool ok = true;
    *end = false;
    if (row < t->row)
        t->row = t->at = 0;
    while (ok && !*end && t->row < row) {
        ok = sample_read(t, a, s, end, err);
        arena_reset(a);
    }
    free(s);
    if (ok && *end)
        t->table.rows = t->row;
    return ok;
}

static bool tar_read(Table *table, int64_t from, int64_t n, Arena *a, TableRows *out, Error *err)
{
    Tar *t = (Tar *)table;
    Error why = {0};
    Room room = room_of(a, &why);
    AUTO(arena_free) Arena *names = arena_new(0);
    Sample *s = NEW(names, Sample);
    bool end;
    if (!seek(t, from, &end, err))
        return false;
    n = MIN(n, table->file.size / BLOCK + 1);
    out->items = end ? NULL : room_take(&room, (size_t)n, sizeof(Cell));
    while (!end && !why.code && (int64_t)out->n < n) {
        if (!sample_read(t, names, s, &end, &why) ||
            (!end && !row_read(t, &room, s, &out->items[out->n], &why)))
            break;
        out->n += !end;
    }
    if (why.code)
        return fail(err, why.code, "%s", why.text);
    if (end)
        table->rows = t->row;
    return true;
}

static bool tar_count(Table *table, int64_t max, Error *err)
{
    bool end;
    (void)max; // headers alone are read
    return seek((Tar *)table, INT64_MAX, &end, err);
}

static void tar_free(Table *table)
{
    arena_free(table->arena);
}

static Table *tar_open(const ByteSource *file, TableFormat format, Error *err)
{
    Arena *arena = arena_new(0);
    Tar *t = NEW(arena, Tar);
    (void)format;
    t->table = (Table){.kind = &tar_kind, .file = *file, .arena = arena, .rows = -1};
    if (!columns_find(t, err)) {
        tar_free(&t->table);
        return NULL;
    }
    return &t->table;
}

const TableKind tar_kind = {
    .open = tar_open, .free = tar_free, .count = tar_count, .read = tar_read};
