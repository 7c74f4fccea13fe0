/* csv.c: see csv.h. */
#include "base/csv.h"

CsvReader csv_reader_of(Str text, char separator, const char *name)
{
    CsvReader r = {.text = text, .separator = separator, .name = name, .next_line = 1};
    if (str_starts(text, S("\xEF\xBB\xBF")))
        r.pos = 3;
    return r;
}

/* The end of the record at pos: at its line end, or at the end of the text. */
static size_t record_end(CsvReader *r)
{
    bool quoted = false;
    size_t i = r->pos;
    for (; i < r->text.len; i++) {
        char c = r->text.ptr[i];
        if (c == '"') {
            quoted = !quoted; // a doubled one closes and opens again
        } else if (c == '\n') {
            r->next_line++;
            if (!quoted)
                return i;
        }
    }
    if (quoted)
        (void)!fail(&r->error, ERR_INVALID, "%s: line %lld: a quote is never closed", r->name,
                    (long long)r->line);
    return i;
}

bool csv_next(CsvReader *r, Str *record)
{
    while (r->error.code == ERR_NONE && r->pos < r->text.len) {
        r->line = r->next_line;
        size_t end = record_end(r);
        if (r->error.code != ERR_NONE)
            return false;
        Str whole = str_slice(r->text, r->pos, end);
        r->pos = end + 1;
        if (whole.len > 0 && whole.ptr[whole.len - 1] == '\r')
            whole.len--;
        if (whole.len > 0) {
            *record = whole;
            return true;
        }
    }
    return false;
}

bool csv_ok(const CsvReader *r, Error *err)
{
    if (r->error.code == ERR_NONE)
        return true;
    if (err)
        *err = r->error;
    return false;
}

/* Fields hold offsets into `unquoted` until all are there, because it moves as it grows. */
static bool quoted_field(Str record, size_t *pos, CsvFields *out, Str *field, Error *err)
{
    size_t start = out->unquoted.len, i = *pos + 1;
    for (;; i++) {
        size_t quote = str_find_char(record, '"', i);
        if (quote == SIZE_MAX)
            return fail(err, ERR_INVALID, "column %zu: a quote is never closed", out->n + 1);
        buf_add(&out->unquoted, str_slice(record, i, quote));
        i = quote + 1;
        if (i >= record.len || record.ptr[i] != '"')
            break;
        buf_add_char(&out->unquoted, '"');
    }
    *pos = i;
    *field = (Str){(const char *)start, out->unquoted.len - start};
    return true;
}

bool csv_split(Str record, char separator, CsvFields *out, Error *err)
{
    uint64_t quoted[CSV_MAX_FIELDS / 64] = {0};
    if (!out->unquoted.ptr)
        buf_init(&out->unquoted, 0);
    buf_reset(&out->unquoted);
    out->n = 0;
    for (size_t pos = 0;; pos++) {
        if (out->n == CSV_MAX_FIELDS)
            return fail(err, ERR_LIMIT, "more than %d columns", CSV_MAX_FIELDS);
        Str *field = &out->fields[out->n];
        if (pos < record.len && record.ptr[pos] == '"') {
            if (!quoted_field(record, &pos, out, field, err))
                return false;
            quoted[out->n / 64] |= UINT64_C(1) << out->n % 64;
            if (pos < record.len && record.ptr[pos] != separator)
                return fail(err, ERR_INVALID, "column %zu: text behind the closing quote",
                            out->n + 1);
        } else {
            size_t end = str_find_char(record, separator, pos);
            end = MIN(end, record.len);
            *field = str_slice(record, pos, end);
            pos = end;
        }
        out->n++;
        if (pos >= record.len)
            break;
    }
    for (size_t i = 0; i < out->n; i++)
        if (quoted[i / 64] >> i % 64 & 1)
            out->fields[i].ptr = out->unquoted.ptr + (size_t)out->fields[i].ptr;
    return true;
}

void csv_fields_done(CsvFields *f)
{
    buf_done(&f->unquoted);
}
