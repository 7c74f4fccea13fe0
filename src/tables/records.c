/* records.c: CSV, JSON lines, lists in JSON and text: files that are one record behind the other.
 *
 * A window moves over the file; a record is cut out of it as soon as its end is seen. Nothing says
 * how many records there are or where the thousandth begins, so both are found by passing over
 * them; every MARK_EVERY rows the place is remembered, as long as the table is open. Files packed
 * by gzip or zstd, and lists in JSON, are read whole and have the limit MAX_WHOLE. */
#include "tables/codec.h"
#include "tables/tables_internal.h"

#include "base/csv.h"
#include "base/json_scan.h"
#include "base/map.h"

enum {
    WINDOW = 1 << 20,
    MAX_RECORD = 32 << 20,
    MAX_WHOLE = 256 << 20,
    MAX_LIST = 64 << 20, // of JSON: it is kept beside what it is cut into
    MAX_PASSED = 1 << 30,
    INFER_ROWS = 1000, // from which types are found
    INFER_BYTES = 4 << 20,
    MARK_EVERY = 1024,
};

typedef struct Records {
    Table table;
    TableFormat format;
    char separator;
    Buf window;
    int64_t base;  // offset of the window in the file
    size_t pos;    // of the next record in it
    int64_t row;   // number of the next record
    int64_t start; // offset of row 0
    Buf marks;     // int64_t: offsets of rows 0, MARK_EVERY, 2 * MARK_EVERY, ...
    Buf whole;     // of a packed file or a list
    Str unpacked;  // the same, for table.file to read
    Str *items;    // of a list in JSON
    CsvFields fields;
} Records;

/* ---- The window ---- */

static int64_t place(const Records *r)
{
    return r->base + (int64_t)r->pos;
}

static bool at_end(const Records *r)
{
    return r->base + (int64_t)r->window.len >= r->table.file.size;
}

static void seek(Records *r, int64_t offset, int64_t row)
{
    buf_reset(&r->window);
    r->base = offset;
    r->pos = 0;
    r->row = row;
}

/* Drops what is passed and reads on; the more, the longer the record is. */
static bool slide(Records *r, Error *err)
{
    const ByteSource *file = &r->table.file;
    size_t keep = r->window.len - r->pos;
    if (keep > MAX_RECORD)
        return fail(err, ERR_LIMIT, "%s: offset %lld: a row of more than %d bytes", file->name,
                    (long long)place(r), MAX_RECORD);
    if (keep)
        memmove(r->window.ptr, r->window.ptr + r->pos, keep);
    r->window.len = keep;
    r->base += (int64_t)r->pos;
    r->pos = 0;
    int64_t from = r->base + (int64_t)keep;
    size_t n = (size_t)MIN(file->size - from, (int64_t)MAX((size_t)WINDOW, keep));
    char *to = buf_reserve(&r->window, n);
    if (!to || !byte_source_read(file, to, n, from, err))
        return false;
    r->window.len += n;
    return true;
}

/* The line end of the record that begins at `from`, or SIZE_MAX if it is not in the text. A quote
 * opens only at the start of a field, as pandas has it. */
static size_t csv_end(Str text, char separator, size_t from)
{
    bool quoted = false, begins = true;
    for (size_t i = from; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted) {
            if (c != '"')
                continue;
            if (i + 1 < text.len && text.ptr[i + 1] == '"')
                i++;
            else
                quoted = false;
        } else if (c == '"' && begins) {
            quoted = true;
            begins = false;
        } else if (c == '\n') {
            return i;
        } else {
            begins = c == separator;
        }
    }
    return SIZE_MAX;
}

static size_t record_end(const Records *r)
{
    Str text = buf_str(&r->window);
    if (r->format == TABLE_CSV || r->format == TABLE_TSV)
        return csv_end(text, r->separator, r->pos);
    return str_find_char(text, '\n', r->pos);
}

static void mark(Records *r)
{
    int64_t at = place(r);
    if (r->row == (int64_t)(r->marks.len / sizeof at) * MARK_EVERY)
        buf_add_bytes(&r->marks, &at, sizeof at);
}

/* The next record, borrowed until the next call. *found is false at the end. */
static bool next_record(Records *r, Str *record, bool *found, Error *err)
{
    *found = false;
    if (r->items) {
        if (r->row < r->table.rows) {
            *record = r->items[r->row++];
            *found = true;
        }
        return true;
    }
    for (;;) {
        mark(r);
        size_t end = record_end(r);
        if (end == SIZE_MAX && !at_end(r)) {
            if (!slide(r, err))
                return false;
            continue;
        }
        if (r->pos >= r->window.len) {
            r->table.rows = r->row;
            return true;
        }
        *record = str_slice(buf_str(&r->window), r->pos, end);
        r->pos = end == SIZE_MAX ? r->window.len : end + 1;
        if (record->len && record->ptr[record->len - 1] == '\r')
            record->len--;
        // An empty line is a row of text, and of everything else nothing.
        if (r->format != TABLE_TEXT && !str_trim(*record).len)
            continue;
        r->row++;
        *found = true;
        return true;
    }
}

/* Moves to a row, from the closest mark before it. */
static bool go_to(Records *r, int64_t row, Error *err)
{
    if (r->items) {
        r->row = MIN(row, r->table.rows);
        return true;
    }
    size_t n = r->marks.len / sizeof(int64_t), k = MIN((size_t)(row / MARK_EVERY), n ? n - 1 : 0);
    int64_t nearest = (int64_t)k * MARK_EVERY, at = r->start;
    if (n)
        memcpy(&at, r->marks.ptr + k * sizeof at, sizeof at);
    if (row < r->row || nearest > r->row)
        seek(r, at, nearest);
    int64_t began = place(r);
    bool found = true;
    while (r->row < row && found) {
        Str passed;
        if (!next_record(r, &passed, &found, err))
            return false;
        if (place(r) - began > MAX_PASSED)
            return fail(err, ERR_LIMIT, "%s: row %lld lies more than %d bytes into it",
                        r->table.file.name, (long long)row, MAX_PASSED);
    }
    return true;
}

/* ---- Files that are read whole ---- */

static bool read_whole(Records *r, size_t max, Buf *out, Error *err)
{
    const ByteSource *file = &r->table.file;
    if (file->size > (int64_t)max)
        return fail(err, ERR_LIMIT,
                    "%s: %lld bytes, at most %zu are read where a file has to be "
                    "read whole",
                    file->name, (long long)file->size, max);
    buf_init(out, 0);
    char *to = buf_reserve(out, (size_t)file->size);
    if (!byte_source_read(file, to, (size_t)file->size, 0, err))
        return false;
    out->len = (size_t)file->size;
    return true;
}

static bool unpack(Records *r, Error *err)
{
    AUTO_BUF packed;
    buf_init(&packed, 0);
    if (!read_whole(r, MAX_WHOLE, &packed, err))
        return false;
    buf_init(&r->whole, MAX_WHOLE);
    if (!codec_unpack_file(buf_str(&packed), &r->whole, err))
        return fail_while(err, "%s", r->table.file.name);
    r->unpacked = buf_str(&r->whole);
    r->table.file = byte_source_of(&r->unpacked, r->table.file.name);
    return true;
}

/* Cuts a list into its items. */
static bool cut_list(Records *r, Error *err)
{
    const char *name = r->table.file.name;
    if (!r->whole.ptr && !read_whole(r, MAX_LIST, &r->whole, err))
        return false;
    if (r->whole.len > MAX_LIST)
        return fail(err, ERR_LIMIT, "%s: a list of %zu bytes", name, r->whole.len);
    Str text = buf_str(&r->whole);
    if (!str_is_utf8(text))
        return fail(err, ERR_INVALID, "%s: not UTF-8", name);
    size_t n = 0;
    AUTO_BUF items;
    buf_init(&items, 0);
    JsonScan s = json_scan_of(text, name);
    if (str_starts(text, S("\xEF\xBB\xBF")))
        s.pos = 3;
    json_scan_array(&s);
    for (; json_scan_item(&s); n++) {
        Str item = json_scan_skip(&s);
        buf_add_bytes(&items, &item, sizeof item);
    }
    if (!json_scan_ok(&s, err))
        return false;
    r->items = arena_try(r->table.arena, n + 1, sizeof(Str), err);
    if (r->items && n)
        memcpy(r->items, items.ptr, n * sizeof(Str));
    r->table.rows = (int64_t)n;
    return r->items != NULL;
}

/* ---- Columns ---- */

static bool split(Records *r, Str record, Error *err)
{
    if (csv_split(record, r->separator, &r->fields, err))
        return true;
    return fail_while(err, "%s: row %lld, before offset %lld", r->table.file.name,
                      (long long)r->row, (long long)place(r));
}

/* Names as pandas makes them: "Unnamed: 1" for none, "a.1" for a second "a". */
static bool csv_header(Records *r, Error *err)
{
    Str record;
    bool found;
    Table *t = &r->table;
    if (!next_record(r, &record, &found, err) || (found && !split(r, record, err)))
        return false;
    t->type.n = found ? r->fields.n : 0;
    t->type.items = arena_try(t->arena, t->type.n + 1, sizeof(TableType), err);
    if (!t->type.items)
        return false;
    Map seen = {0};
    for (size_t i = 0; i < t->type.n; i++) {
        Str name = r->fields.fields[i].len ? arena_str(t->arena, r->fields.fields[i])
                                           : str_of(arena_printf(t->arena, "Unnamed: %zu", i));
        for (int k = 1; map_find(&seen, name) && k < 1000; k++)
            name = str_of(arena_printf(t->arena, "%.*s.%d", STR(r->fields.fields[i]), k));
        map_put(&seen, name, t);
        t->type.items[i] = (TableType){.name = name, .dtype = S("string")};
    }
    map_done(&seen);
    r->start = place(r);
    r->table.rows = -1;
    buf_reset(&r->marks);
    seek(r, r->start, 0);
    return true;
}

static bool check_width(const Records *r, Error *err)
{
    size_t n = r->fields.n, columns = r->table.type.n;
    return n <= columns ||
           fail(err, ERR_INVALID,
                "%s: row %lld, before offset %lld: %zu fields "
                "where the header has %zu",
                r->table.file.name, (long long)r->row, (long long)place(r), n, columns);
}

static bool csv_types(Records *r, Error *err)
{
    Table *t = &r->table;
    size_t columns = t->type.n, n = 0;
    AUTO(arena_free) Arena *scratch = arena_new(0);
    size_t rows = columns ? MIN((size_t)INFER_ROWS, (8u << 20) / sizeof(Str) / columns) : 0;
    Str *cells = arena_try(scratch, rows * columns + 1, sizeof(Str), err);
    bool found = true;
    if (!cells)
        return false;
    while (n < rows && place(r) - r->start < INFER_BYTES) {
        Str record;
        if (!next_record(r, &record, &found, err))
            return false;
        if (!found || !split(r, record, NULL)) // an error is told when the row is read
            break;
        for (size_t i = 0; i < MIN(columns, r->fields.n); i++)
            cells[n * columns + i] = arena_str(scratch, r->fields.fields[i]);
        n++;
    }
    for (size_t i = 0; i < columns; i++)
        t->type.items[i].dtype = csv_dtype(cells + i, n, columns);
    return go_to(r, 0, err);
}

static json_t *parse_record(const Records *r, Str record, Error *err)
{
    json_t *value = json_parse(record, r->table.file.name, err);
    if (value)
        return value;
    return fail_while(err, "row %lld, before offset %lld", (long long)r->row, (long long)place(r));
}

static bool json_types(Records *r, Error *err)
{
    Table *t = &r->table;
    size_t bytes = 0;
    for (int n = 0; n < INFER_ROWS && bytes < INFER_BYTES; n++) {
        Str record;
        bool found;
        if (!next_record(r, &record, &found, err))
            return false;
        AUTO(json_decref) json_t *value = found ? parse_record(r, record, n ? NULL : err) : NULL;
        if (!value && found && n == 0)
            return false;
        if (!value)
            break;
        bytes += record.len;
        if (json_is_object(value)) {
            json_type_widen(t->arena, &t->type, value);
        } else {
            AUTO(json_decref) json_t *row = json_pack("{s:O}", "text", value);
            json_type_widen(t->arena, &t->type, row);
        }
    }
    if (t->type.kind != TYPE_STRUCT) // no rows, or too many different columns
        t->type = (TableType){.kind = TYPE_STRUCT};
    json_type_settle(&t->type);
    return go_to(r, 0, err);
}

/* ---- Rows ---- */

static Cell csv_row(Records *r, Str record, const Room *room)
{
    const TableType *type = &r->table.type;
    Cell row = {.kind = CELL_STRUCT};
    if (!split(r, record, room->err) || !check_width(r, room->err))
        return row;
    row.items = room_take(room, type->n, sizeof(Cell));
    for (; row.items && row.n < type->n; row.n++)
        if (row.n < r->fields.n)
            row.items[row.n] = csv_cell(room, type->items[row.n].dtype, r->fields.fields[row.n]);
    return row;
}

static Cell json_row(Records *r, Str record, const Room *room)
{
    AUTO(json_decref) json_t *value = parse_record(r, record, room->err);
    if (!value)
        return (Cell){0};
    if (json_is_object(value))
        return json_cell(room, &r->table.type, value);
    AUTO(json_decref) json_t *row = json_pack("{s:O}", "text", value);
    return json_cell(room, &r->table.type, row);
}

static Cell text_row(Str record, const Room *room)
{
    Cell row = {.kind = CELL_STRUCT, .items = NEW(room->a, Cell), .n = 1};
    row.items[0] = (Cell){.kind = CELL_TEXT, .text = room_str(room, record)};
    return row;
}

static Cell row_cell(Records *r, Str record, const Room *room)
{
    switch (r->format) {
    case TABLE_TEXT:
        return text_row(record, room);
    case TABLE_JSON:
        return json_row(r, record, room);
    default:
        return csv_row(r, record, room);
    }
}

static bool records_read(Table *t, int64_t from, int64_t n, Arena *a, TableRows *out, Error *err)
{
    Records *r = (Records *)t;
    Error raised = {0};
    Room room = room_of(a, &raised);
    out->items = room_take(&room, (size_t)n, sizeof(Cell));
    bool found = out->items && go_to(r, from, &raised) && r->row == from;
    while (found && !raised.code && out->n < (size_t)n) {
        Str record;
        if (next_record(r, &record, &found, &raised) && found)
            out->items[out->n++] = row_cell(r, record, &room);
    }
    if (raised.code && err)
        *err = raised;
    return raised.code == ERR_NONE;
}

static bool records_count(Table *t, int64_t max, Error *err)
{
    Records *r = (Records *)t;
    if (t->file.size > max)
        return fail(err, ERR_LIMIT, "%s: %lld bytes, rows are counted up to %lld", t->file.name,
                    (long long)t->file.size, (long long)max);
    bool found = true;
    while (found) {
        Str record;
        if (!next_record(r, &record, &found, err))
            return false;
    }
    return true;
}

/* ---- Opening ---- */

static void records_free(Table *t)
{
    Records *r = (Records *)t;
    buf_done(&r->window);
    buf_done(&r->marks);
    buf_done(&r->whole);
    csv_fields_done(&r->fields);
    arena_free(t->arena); // it holds the table
}

/* The first bytes decide: packed or not, a list or lines, a byte order mark. */
static bool look(Records *r, Error *err)
{
    char start[64];
    size_t n = (size_t)MIN(r->table.file.size, (int64_t)sizeof start);
    if (!byte_source_read(&r->table.file, start, n, 0, err))
        return false;
    if (codec_is_packed((Str){start, n})) {
        if (!unpack(r, err))
            return false;
        n = (size_t)MIN(r->table.file.size, (int64_t)sizeof start);
        if (!byte_source_read(&r->table.file, start, n, 0, err))
            return false;
    }
    Str text = {start, n};
    r->start = str_starts(text, S("\xEF\xBB\xBF")) ? 3 : 0;
    if (r->format == TABLE_JSON &&
        str_starts(str_trim(str_slice(text, (size_t)r->start, n)), S("[")))
        return cut_list(r, err);
    seek(r, r->start, 0);
    return true;
}

static bool find_columns(Records *r, Error *err)
{
    Table *t = &r->table;
    switch (r->format) {
    case TABLE_CSV:
    case TABLE_TSV:
        t->type.kind = TYPE_STRUCT;
        return csv_header(r, err) && csv_types(r, err);
    case TABLE_JSON:
        return json_types(r, err);
    case TABLE_TEXT:
        t->type = (TableType){.kind = TYPE_STRUCT, .items = NEW(t->arena, TableType), .n = 1};
        t->type.items[0] = (TableType){.name = S("text"), .dtype = S("string")};
        return true;
    case TABLE_PARQUET:
    case TABLE_TAR:
    case TABLE_FORMATS:
        break;
    }
    return false;
}

static Table *records_open(const ByteSource *file, TableFormat format, Error *err)
{
    Arena *arena = arena_new(0);
    Records *r = NEW(arena, Records);
    r->table = (Table){.kind = &records_kind, .file = *file, .arena = arena, .rows = -1};
    r->format = format;
    r->separator = format == TABLE_TSV ? '\t' : ',';
    buf_init(&r->window, 0);
    buf_init(&r->marks, 0);
    if (!look(r, err) || !find_columns(r, err)) {
        records_free(&r->table);
        return NULL;
    }
    return &r->table;
}

const TableKind records_kind = {
    .open = records_open, .free = records_free, .count = records_count, .read = records_read};
