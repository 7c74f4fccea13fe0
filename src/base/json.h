/* JSON over jansson: parsing with limits and named errors, typed reads, and tables of fields.
 *
 * json_t values are jansson's own (json_object_get and so on work as documented there); this header
 * adds what every caller needs. Threads: a json_t belongs to one thread at a time. */
#pragma once

#include "base/str.h"

#include <jansson.h>

AUTO_FREE(json_t, json_decref)

/* Parses one JSON value that fills the text. Duplicate keys: the last wins. ERR_INVALID says
 * "name: line L column C: what", ERR_LIMIT when nested deeper than jansson's 2048. */
json_t *json_parse(Str text, const char *name, Error *err);
/* As json_parse, but refuses duplicate keys, NUL in strings, and anything but an object or list. */
json_t *json_parse_strict(Str text, const char *name, Error *err);
json_t *json_read_file(const char *path, size_t max, Error *err);

/* Reads of an object's member that never fail: the default where it is absent or of another type.
 * Strings are borrowed from the object. */
const char *json_text(const json_t *object, const char *key, const char *otherwise);
Str json_str(const json_t *object, const char *key);
int64_t json_int(const json_t *object, const char *key, int64_t otherwise);
double json_num(const json_t *object, const char *key, double otherwise);
bool json_flag(const json_t *object, const char *key, bool otherwise);
/* A member by a dotted path, "rope_scaling.factor"; NULL if absent. Borrowed. */
const json_t *json_at(const json_t *object, const char *path);
/* Sets it, making the objects on the way. Consumes value. */
void json_set_at(json_t *object, Str path, json_t *value);

json_t *json_from_str(Str s); // invalid UTF-8 is replaced by U+FFFD; never NULL
/* Appends compact JSON; nothing for NULL. Reals have as few digits as tell them apart (jansson's
 * own writer gives all 17: 2.6000000000000001). */
void json_write(Buf *out, const json_t *value);
/* The same laid out for people, two spaces a level. */
void json_write_indented(Buf *out, const json_t *value);

/* A table that fills a struct from an object, one row a field; models' configurations, request
 * parameters and training arguments are such tables. */
typedef enum FieldKind {
    FIELD_INT,    // int64_t
    FIELD_FLOAT,  // float
    FIELD_DOUBLE, // double
    FIELD_BOOL,   // bool
    FIELD_TEXT,   // const char *, copied to the arena; NULL if absent without a default
} FieldKind;

typedef struct Field {
    const char *key; // a dotted path; several spellings separated by '|', the first found wins
    FieldKind kind;
    size_t offset;
    bool needed;
    double otherwise; // default of INT, FLOAT, DOUBLE, BOOL
    const char *text; // default of TEXT
    double min, max;  // inclusive; both 0: unchecked
} Field;

#define NEED(type, member, field_kind, name)                                                       \
    {                                                                                              \
        .key = (name), .kind = FIELD_##field_kind, .offset = offsetof(type, member),               \
        .needed = true                                                                             \
    }
#define OPT(type, member, field_kind, name, value)                                                 \
    {                                                                                              \
        .key = (name), .kind = FIELD_##field_kind, .offset = offsetof(type, member),               \
        .otherwise = (double)(value)                                                               \
    }
#define OPT_TEXT(type, member, name, value)                                                        \
    {                                                                                              \
        .key = (name), .kind = FIELD_TEXT, .offset = offsetof(type, member), .text = (value)       \
    }
#define OPT_RANGE(type, member, field_kind, name, value, least, most)                              \
    {                                                                                              \
        .key = (name), .kind = FIELD_##field_kind, .offset = offsetof(type, member),               \
        .otherwise = (double)(value), .min = (least), .max = (most)                                \
    }

/* JSON null counts as absent. ERR_INVALID names the key, what was wanted and what was found. On
 * failure *out may be half filled. */
bool fields_read(void *out, const Field *fields, size_t n, const json_t *object, Arena *a,
                 Error *err);
/* The inverse: an object with every field under the first spelling of its key, dotted paths as
 * objects in objects; a NULL text is null. The caller's. */
json_t *fields_json(const void *in, const Field *fields, size_t n);
