/* infer.c: types where a file has none: of CSV as pandas finds them, of JSON as pyarrow does. */
#include "tables/tables_internal.h"

#include <math.h>

enum { MAX_FIELDS = 2000, MAX_TYPES = 32 << 20 };

/* ---- CSV ---- */

bool csv_is_missing(Str cell)
{
    static const char *const words[] = {"",         "#N/A", "#N/A N/A", "#NA",    "-1.#IND",
                                        "-1.#QNAN", "-NaN", "-nan",     "1.#IND", "1.#QNAN",
                                        "<NA>",     "N/A",  "NA",       "NULL",   "NaN",
                                        "None",     "n/a",  "nan",      "null"};
    for (size_t i = 0; i < COUNT(words); i++)
        if (str_eq(cell, str_of(words[i])))
            return true;
    return false;
}

static bool cell_flag(Str cell, bool *flag)
{
    static const char *const yes[] = {"True", "TRUE", "true"}, *const no[] = {"False", "FALSE",
                                                                              "false"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        *flag = str_eq(cell, str_of(yes[i]));
        if (*flag || str_eq(cell, str_of(no[i])))
            return true;
    }
    return false;
}

static bool cell_number(Str cell, double *number)
{
    Str trimmed = str_trim(cell);
    if (trimmed.len > 1 && trimmed.ptr[0] == '+' && trimmed.ptr[1] != '-')
        trimmed = str_slice(trimmed, 1, trimmed.len);
    if (str_eq_nocase(trimmed, S("inf")) || str_eq_nocase(trimmed, S("-inf"))) {
        *number = trimmed.ptr[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    return str_to_double(trimmed, number);
}

Str csv_dtype(const Str *cells, size_t n, size_t stride)
{
    bool integers = true, numbers = true, flags = true, missing = false;
    size_t present = 0;
    for (size_t i = 0; i < n; i++) {
        Str cell = cells[i * stride];
        int64_t integer;
        double number;
        bool flag;
        if (csv_is_missing(cell)) {
            missing = true;
            continue;
        }
        present++;
        integers = integers && str_to_int(str_trim(cell), INT64_MIN, INT64_MAX, &integer);
        numbers = numbers && cell_number(cell, &number);
        flags = flags && cell_flag(cell, &flag);
    }
    if (!n)
        return S("string");
    if (!present || (integers && missing)) // pandas has no missing integers
        return S("float64");
    return integers ? S("int64") : numbers ? S("float64") : flags ? S("bool") : S("string");
}

static Cell text_cell(const Room *room, Str text)
{
    return (Cell){.kind = CELL_TEXT, .text = room_str(room, text)};
}

Cell csv_cell(const Room *room, Str dtype, Str cell)
{
    Cell out = {.kind = CELL_NULL};
    if (csv_is_missing(cell))
        return out;
    if (str_eq(dtype, S("int64")) && str_to_int(str_trim(cell), INT64_MIN, INT64_MAX, &out.integer))
        out.kind = CELL_INT;
    else if (str_eq(dtype, S("float64")) && cell_number(cell, &out.number))
        out.kind = CELL_FLOAT;
    else if (str_eq(dtype, S("bool")) && cell_flag(cell, &out.flag))
        out.kind = CELL_BOOL;
    else // also what only shows up behind the rows that the type was found from
        out = text_cell(room, cell);
    return out;
}

/* ---- JSON ---- */

/* "2020-01-31", with " 12:30:00" or "T12:30" behind it: what pyarrow takes for a moment. */
static bool is_moment(Str text)
{
    static const char shape[] = "0000-00-00 00:00:00";
    if (text.len != 10 && text.len != 16 && text.len != 19)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (shape[i] == '0' ? c < '0' || c > '9' : c != shape[i] && !(i == 10 && c == 'T'))
            return false;
    }
    return true;
}

static Str dtype_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_TRUE:
    case JSON_FALSE:
        return S("bool");
    case JSON_INTEGER:
        return S("int64");
    case JSON_REAL:
        return S("float64");
    case JSON_STRING:
        return is_moment((Str){json_string_value(value), json_string_length(value)})
                   ? S("timestamp[s]")
                   : S("string");
    default:
        return (Str){0};
    }
}

static Str wider(Str one, Str other)
{
    if (str_eq(one, other))
        return one;
    Str pair[] = {S("float64"), S("int64"), S("string"), S("timestamp[s]")};
    for (size_t i = 0; i < COUNT(pair); i += 2)
        if ((str_eq(one, pair[i]) && str_eq(other, pair[i + 1])) ||
            (str_eq(other, pair[i]) && str_eq(one, pair[i + 1])))
            return pair[i];
    return (Str){0};
}

static bool is_unknown(const TableType *type)
{
    return type->kind == TYPE_VALUE && !type->dtype.len;
}

static void becomes_anything(TableType *type)
{
    *type = (TableType){.name = type->name, .kind = TYPE_JSON};
}

static TableType *field_of(Arena *a, TableType *type, Str name)
{
    for (size_t i = 0; i < type->n; i++)
        if (str_eq(type->items[i].name, name))
            return &type->items[i];
    if (type->n == MAX_FIELDS || arena_used(a) > MAX_TYPES)
        return NULL;
    if ((type->n & (type->n - 1)) == 0) { // room doubles at the powers of two
        TableType *more = NEW_ARRAY(a, TableType, type->n ? 2 * type->n : 1);
        if (type->n)
            memcpy(more, type->items, type->n * sizeof *more);
        type->items = more;
    }
    type->items[type->n] = (TableType){.name = arena_str(a, name)};
    return &type->items[type->n++];
}

static void widen_struct(Arena *a, TableType *type, const json_t *object)
{
    const char *key;
    size_t len;
    json_t *value;
    json_object_keylen_foreach((json_t *)(uintptr_t)object, key, len, value)
    {
        TableType *field = field_of(a, type, (Str){key, len});
        if (!field) {
            becomes_anything(type);
            return;
        }
        json_type_widen(a, field, value);
    }
}

void json_type_widen(Arena *a, TableType *type, const json_t *value)
{
    if (json_is_null(value) || type->kind == TYPE_JSON)
        return;
    if (json_is_array(value)) {
        if (is_unknown(type))
            *type = (TableType){
                .name = type->name, .kind = TYPE_LIST, .n = 1, .items = NEW(a, TableType)};
        if (type->kind != TYPE_LIST)
            return becomes_anything(type);
        for (size_t i = 0; i < json_array_size(value); i++)
            json_type_widen(a, &type->items[0], json_array_get(value, i));
    } else if (json_is_object(value)) {
        if (is_unknown(type))
            type->kind = TYPE_STRUCT;
        if (type->kind != TYPE_STRUCT)
            return becomes_anything(type);
        widen_struct(a, type, value);
    } else {
        Str dtype = dtype_of(value);
        if (!is_unknown(type))
            dtype = type->kind == TYPE_VALUE ? wider(type->dtype, dtype) : (Str){0};
        if (!dtype.len)
            return becomes_anything(type);
        type->dtype = dtype;
    }
}

void json_type_settle(TableType *type)
{
    if (is_unknown(type))
        type->dtype = S("null");
    for (size_t i = 0; i < type->n; i++)
        json_type_settle(&type->items[i]);
}

/* A value that does not fit its type, or has none, stays what it is. */
static Cell any_cell(const Room *room, const json_t *value)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, value);
    return (Cell){.kind = CELL_JSON, .text = room_str(room, buf_str(&text))};
}

static Cell scalar_cell(const Room *room, Str dtype, const json_t *value)
{
    if (json_is_boolean(value))
        return (Cell){.kind = CELL_BOOL, .flag = json_is_true(value)};
    if (json_is_integer(value) && !str_eq(dtype, S("float64")))
        return (Cell){.kind = CELL_INT, .integer = json_integer_value(value)};
    if (json_is_number(value))
        return (Cell){.kind = CELL_FLOAT, .number = json_number_value(value)};
    Cell out = text_cell(room, (Str){json_string_value(value), json_string_length(value)});
    if (str_eq(dtype, S("timestamp[s]")) && out.text.len < 19 && is_moment(out.text))
        out.text = str_of(arena_printf(room->a, "%.*s%s", STR(out.text),
                                       out.text.len == 10 ? "T00:00:00" : ":00"));
    else if (str_eq(dtype, S("timestamp[s]")) && is_moment(out.text))
        out.text = str_of(arena_printf(room->a, "%.10sT%.8s", out.text.ptr, out.text.ptr + 11));
    return out;
}

Cell json_cell(const Room *room, const TableType *type, const json_t *value)
{
    if (!value || json_is_null(value))
        return (Cell){.kind = CELL_NULL};
    bool list = json_is_array(value), object = json_is_object(value);
    if (type->kind == TYPE_LIST && list) {
        Cell out = {.kind = CELL_LIST};
        out.items = room_take(room, json_array_size(value), sizeof(Cell));
        for (; out.items && out.n < json_array_size(value); out.n++)
            out.items[out.n] = json_cell(room, &type->items[0], json_array_get(value, out.n));
        return out;
    }
    if (type->kind == TYPE_STRUCT && object) {
        Cell out = {.kind = CELL_STRUCT};
        out.items = room_take(room, type->n, sizeof(Cell));
        for (; out.items && out.n < type->n; out.n++) {
            Str name = type->items[out.n].name;
            out.items[out.n] =
                json_cell(room, &type->items[out.n], json_object_getn(value, name.ptr, name.len));
        }
        return out;
    }
    return type->kind != TYPE_VALUE || list || object ? any_cell(room, value)
                                                      : scalar_cell(room, type->dtype, value);
}
