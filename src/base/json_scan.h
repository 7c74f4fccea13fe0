/* A cursor over JSON text that builds nothing: for the few documents that are too large to become
 * json_t values (a vocabulary of 150,000 tokens), and for cutting such parts out of a document
 * whose rest then goes through json_parse.
 *
 *     json_scan_object(&s);
 *     while (json_scan_key(&s, &scratch, &key))
 *         if (str_eq(key, S("vocab"))) read(&s); else json_scan_skip(&s);
 *     return json_scan_ok(&s, err);
 *
 * It remembers its first failure with the offset, and ends every loop there. The text must be valid
 * UTF-8 (str_is_utf8). Threads: a JsonScan belongs to one thread at a time. */
#pragma once

#include "base/str.h"

typedef struct JsonScan {
    Str text;
    size_t pos;
    const char *name; // what is being read, for messages; borrowed
    bool first;       // at the first item of an object or array
    Error error;
} JsonScan;

JsonScan json_scan_of(Str text, const char *name);
/* The next byte that is not white space, 0 at the end or behind a failure: which kind of value
 * follows. */
char json_scan_peek(JsonScan *s);
/* Enters an object or array. */
void json_scan_object(JsonScan *s);
void json_scan_array(JsonScan *s);
/* Moves behind the next key and its colon; false at the end of the object. The key is borrowed from
 * the text, or from `scratch` where it has escapes. */
bool json_scan_key(JsonScan *s, Buf *scratch, Str *key);
/* Moves to the next item; false at the end of the array. */
bool json_scan_item(JsonScan *s);
Str json_scan_string(JsonScan *s, Buf *scratch);
double json_scan_number(JsonScan *s);
int64_t json_scan_int(JsonScan *s, int64_t min, int64_t max);
/* Passes over a value of any kind and returns its text. Checks the nesting, not every comma. */
Str json_scan_skip(JsonScan *s);
/* Raises an error of the caller's own at the current offset, once. */
void json_scan_fail(JsonScan *s, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool json_scan_ok(const JsonScan *s, Error *err);
