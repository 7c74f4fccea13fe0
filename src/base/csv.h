/* CSV as RFC 4180 has it, and as spreadsheets and Python write it: fields between separators, in
 * quotes where they hold separators, quotes (doubled) or line ends; LF or CRLF behind a record.
 *
 *     CsvReader r = csv_reader_of(text, ',', "rows.csv");
 *     Str record;
 *     while (csv_next(&r, &record))           // where records begin and end: one thread, fast
 *         csv_split(record, ',', &fields);    // what is in them: any thread
 *     if (!csv_ok(&r, err)) ...
 *
 * Threads: a CsvReader and a CsvFields belong to one thread at a time. */
#pragma once

#include "base/str.h"

typedef struct CsvReader {
    Str text;
    size_t pos;
    char separator;
    const char *name; // for messages; borrowed
    int64_t line;     // where the last record began, from 1
    int64_t next_line;
    Error error;
} CsvReader;

/* A byte order mark is passed over. text and name are borrowed. */
CsvReader csv_reader_of(Str text, char separator, const char *name);
/* The next record that is not an empty line, without its line end, borrowed from the text. False at
 * the end, and at a quote that is never closed. */
bool csv_next(CsvReader *r, Str *record);
bool csv_ok(const CsvReader *r, Error *err);

enum { CSV_MAX_FIELDS = 4096 };

typedef struct CsvFields {
    Str fields[CSV_MAX_FIELDS]; // borrowed from the record, or from `unquoted` until the next split
    size_t n;
    Buf unquoted;
} CsvFields;

/* ERR_LIMIT past CSV_MAX_FIELDS, ERR_INVALID for text behind a closing quote. */
bool csv_split(Str record, char separator, CsvFields *out, Error *err);
void csv_fields_done(CsvFields *f);
#define AUTO_CSV_FIELDS __attribute__((cleanup(csv_fields_done))) CsvFields
