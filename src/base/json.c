/* json.c: jansson with our errors, and field tables; see json.h. */
#include "base/json.h"

#include "base/file.h"

#include <math.h>

static bool is_whole(const json_t *value)
{
    double number = json_real_value(value);
    return json_is_real(value) && fabs(number) < 0x1p53 && floor(number) == number;
}

/* Makes whole numbers of a value that was read with reals only integers again. */
static void restore_integers(json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    json_object_foreach(value, key, member)
    {
        if (is_whole(member))
            json_object_set_new(value, key, json_integer((json_int_t)json_real_value(member)));
        else
            restore_integers(member);
    }
    json_array_foreach(value, i, member)
    {
        if (is_whole(member))
            json_array_set_new(value, i, json_integer((json_int_t)json_real_value(member)));
        else
            restore_integers(member);
    }
}

static json_t *parse(Str text, size_t flags, const char *name, Error *err)
{
    json_error_t where;
    json_t *value = json_loadb(text.ptr ? text.ptr : "", text.len, flags, &where);
    // Python writes "no limit" as the integer 1e30 in full, which fits no integer of ours.
    if (!value && json_error_code(&where) == json_error_numeric_overflow) {
        value =
            json_loadb(text.ptr ? text.ptr : "", text.len, flags | JSON_DECODE_INT_AS_REAL, &where);
        restore_integers(value);
    }
    if (!value)
        return fail(err,
                    json_error_code(&where) == json_error_stack_overflow ? ERR_LIMIT : ERR_INVALID,
                    "%s: line %d column %d: %s", name, where.line, where.column, where.text);
    return value;
}

json_t *json_parse(Str text, const char *name, Error *err)
{
    return parse(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, name, err);
}

json_t *json_parse_strict(Str text, const char *name, Error *err)
{
    return parse(text, JSON_REJECT_DUPLICATES, name, err);
}

json_t *json_read_file(const char *path, size_t max, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, max);
    if (!file_read(path, &text, err))
        return NULL;
    return json_parse(buf_str(&text), path, err);
}

const char *json_text(const json_t *object, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : otherwise;
}

Str json_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? (Str){json_string_value(value), json_string_length(value)}
                                 : (Str){0};
}

int64_t json_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double json_num(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool json_flag(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static const json_t *at_path(const json_t *object, Str path)
{
    Str part;
    while (object && str_split(&path, '.', &part))
        object = json_object_getn(object, part.ptr, part.len);
    return object;
}

const json_t *json_at(const json_t *object, const char *path)
{
    return at_path(object, str_of(path));
}

void json_set_at(json_t *object, Str path, json_t *value)
{
    Str part;
    while (str_split(&path, '.', &part) && path.len > 0) {
        json_t *inner = json_object_getn(object, part.ptr, part.len);
        if (!inner)
            json_object_setn_new(object, part.ptr, part.len, inner = json_object());
        object = inner;
    }
    json_object_setn_new(object, part.ptr, part.len, value);
}

json_t *json_from_str(Str s)
{
    json_t *value = json_stringn(s.ptr ? s.ptr : "", s.len);
    if (value)
        return value;
    AUTO_BUF clean;
    buf_init(&clean, 0);
    for (size_t pos = 0; pos < s.len;) {
        int32_t code = utf8_next(s, &pos);
        buf_add_utf8(&clean, code < 0 ? 0xFFFD : code);
    }
    value = json_stringn(clean.ptr, clean.len);
    CHECK(value);
    return value;
}

static const char *const kind_names[] = {[FIELD_INT] = "an integer",
                                         [FIELD_FLOAT] = "a number",
                                         [FIELD_DOUBLE] = "a number",
                                         [FIELD_BOOL] = "true or false",
                                         [FIELD_TEXT] = "a string"};

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

static const json_t *find_key(const json_t *object, const char *key)
{
    Str keys = str_of(key), path;
    while (str_split(&keys, '|', &path)) {
        const json_t *value = at_path(object, path);
        if (value && !json_is_null(value))
            return value;
    }
    return NULL;
}

static bool field_fits(const Field *f, const json_t *value)
{
    switch (f->kind) {
    case FIELD_INT:
        // Python writes some integers as 1024.0.
        return json_is_integer(value) ||
               (json_is_real(value) && fabs(json_real_value(value)) < 0x1p53 &&
                floor(json_real_value(value)) == json_real_value(value));
    case FIELD_FLOAT:
    case FIELD_DOUBLE:
        return json_is_number(value);
    case FIELD_BOOL:
        return json_is_boolean(value);
    case FIELD_TEXT:
        return json_is_string(value);
    }
    return false;
}

static void field_store(const Field *f, void *at, double number, int64_t integer)
{
    switch (f->kind) {
    case FIELD_INT:
        *(int64_t *)at = integer;
        break;
    case FIELD_FLOAT:
        *(float *)at = (float)number;
        break;
    case FIELD_DOUBLE:
        *(double *)at = number;
        break;
    case FIELD_BOOL:
        *(bool *)at = number != 0;
        break;
    case FIELD_TEXT:
        break;
    }
}

static bool field_read(void *at, const Field *f, const json_t *object, Arena *a, Error *err)
{
    const json_t *value = find_key(object, f->key);
    if (!value && f->needed)
        return fail(err, ERR_INVALID, "'%s' is missing", f->key);
    if (!value) {
        if (f->kind == FIELD_TEXT)
            *(const char **)at = f->text;
        else
            field_store(f, at, f->otherwise, (int64_t)f->otherwise);
        return true;
    }
    if (!field_fits(f, value))
        return fail(err, ERR_INVALID, "'%s' must be %s, not %s", f->key, kind_names[f->kind],
                    type_name(value));
    if (f->kind == FIELD_TEXT) {
        *(const char **)at =
            arena_cstr(a, (Str){json_string_value(value), json_string_length(value)});
        return true;
    }
    double number = json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
    if ((f->min != 0 || f->max != 0) && !(number >= f->min && number <= f->max))
        return fail(err, ERR_INVALID, "'%s' must lie in %g to %g, not %g", f->key, f->min, f->max,
                    number);
    field_store(f, at, number,
                json_is_integer(value) ? json_integer_value(value) : (int64_t)number);
    return true;
}

bool fields_read(void *out, const Field *fields, size_t n, const json_t *object, Arena *a,
                 Error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!field_read((char *)out + fields[i].offset, &fields[i], object, a, err))
            return false;
    return true;
}

static json_t *field_json(const void *at, const Field *f)
{
    switch (f->kind) {
    case FIELD_INT:
        return json_integer(*(const int64_t *)at);
    case FIELD_FLOAT:
        return json_real((double)*(const float *)at);
    case FIELD_DOUBLE:
        return json_real(*(const double *)at);
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_TEXT: {
        const char *text = *(const char *const *)at;
        return text ? json_from_str(str_of(text)) : json_null();
    }
    }
    return json_null();
}

json_t *fields_json(const void *in, const Field *fields, size_t n)
{
    json_t *all = json_object();
    for (size_t i = 0; i < n; i++) {
        Str path = str_of(fields[i].key);
        json_set_at(all, str_slice(path, 0, str_find_char(path, '|', 0)),
                    field_json((const char *)in + fields[i].offset, &fields[i]));
    }
    return all;
}
