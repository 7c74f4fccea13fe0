/* yaml.c: the front matter of cards, YAML to JSON over libyaml's events.
 *
 * Plain scalars are read as YAML 1.2's core schema reads them (so `no` and dates are text), which
 * is what the Hub's own reader does. An alias is a copy of what its anchor named; copies count
 * towards the limit of nodes, so nested aliases cannot multiply. */
#include "hub/hub.h"

#include <math.h>
#include <yaml.h>

enum { MAX_YAML = 1 << 20, MAX_DEPTH = 32, MAX_NODES = 100000, MAX_ANCHORS = 1000 };

typedef struct Anchor {
    char *name;
    json_t *value; // owned; NULL while it is being built
    size_t nodes;
} Anchor;

typedef struct YamlReader {
    yaml_parser_t parser;
    size_t nodes;
    int depth;
    Anchor anchors[MAX_ANCHORS];
    size_t n_anchors;
    Error *err;
} YamlReader;

static json_t *node_read(YamlReader *r, yaml_event_t *event);

static json_t *wrong(const YamlReader *r, const yaml_event_t *event, const char *what)
{
    return fail(r->err, ERR_INVALID, "YAML: line %zu: %s", event->start_mark.line + 1, what);
}

static bool event_next(YamlReader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    return fail(r->err, ERR_INVALID, "YAML: line %zu: %s", r->parser.problem_mark.line + 1,
                r->parser.problem ? r->parser.problem : "not understood");
}

/* ---- Scalars ---- */

static bool one_of(Str s, const char *const *words)
{
    for (; *words; words++)
        if (str_eq(s, str_of(*words)))
            return true;
    return false;
}

/* Decimal, 0x and 0o integers. */
static bool integer(Str s, int64_t *out)
{
    int base = str_starts(s, S("0x")) ? 16 : str_starts(s, S("0o")) ? 8 : 10;
    if (base == 10) {
        Str digits = s.len && (s.ptr[0] == '+') ? str_slice(s, 1, s.len) : s;
        return digits.len &&
               (isdigit((unsigned char)digits.ptr[0]) ||
                (digits.ptr[0] == '-' && digits.len > 1 && s.ptr[0] != '+')) &&
               str_to_int(digits, INT64_MIN, INT64_MAX, out);
    }
    uint64_t value = 0;
    for (size_t i = 2; i < s.len; i++) {
        char c = (char)tolower((unsigned char)s.ptr[i]);
        int digit = isdigit((unsigned char)c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (digit >= base || value > (uint64_t)INT64_MAX / (uint64_t)base - 16)
            return false;
        value = value * (uint64_t)base + (uint64_t)digit;
    }
    *out = (int64_t)value;
    return s.len > 2;
}

/* [-+]? ( . digits | digits ( . digits? )? ) ( e [-+]? digits )? */
static bool is_float(Str s)
{
    size_t i = s.len && strchr("+-", s.ptr[0]) ? 1 : 0, digits = 0;
    for (; i < s.len && isdigit((unsigned char)s.ptr[i]); i++)
        digits++;
    if (i < s.len && s.ptr[i] == '.')
        for (i++; i < s.len && isdigit((unsigned char)s.ptr[i]); i++)
            digits++;
    if (!digits)
        return false;
    if (i == s.len)
        return true;
    if (s.ptr[i] != 'e' && s.ptr[i] != 'E')
        return false;
    i++;
    i += i < s.len && strchr("+-", s.ptr[i]);
    size_t exponent = i;
    while (i < s.len && isdigit((unsigned char)s.ptr[i]))
        i++;
    return i == s.len && i > exponent;
}

static json_t *scalar(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    Str s = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || event->data.scalar.tag)
        return json_from_str(s);
    int64_t whole;
    double number;
    if (one_of(s, nulls))
        return json_null();
    if (one_of(s, yes) || one_of(s, no))
        return json_boolean(one_of(s, yes));
    if (integer(s, &whole))
        return json_integer(whole);
    if (is_float(s) && str_to_double(s.ptr[0] == '+' ? str_slice(s, 1, s.len) : s, &number) &&
        isfinite(number))
        return json_real(number);
    return json_from_str(s);
}

/* ---- Collections ---- */

static json_t *sequence(YamlReader *r)
{
    AUTO(json_decref) json_t *array = json_array();
    for (;;) {
        yaml_event_t event;
        if (!event_next(r, &event))
            return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return TAKE(array);
        }
        json_t *item = node_read(r, &event);
        if (!item)
            return NULL;
        json_array_append_new(array, item);
    }
}

static bool pair(YamlReader *r, json_t *object, const yaml_event_t *key_event)
{
    if (key_event->type != YAML_SCALAR_EVENT)
        return wrong(r, key_event, "a key must be text");
    Str key = {(const char *)key_event->data.scalar.value, key_event->data.scalar.length};
    bool merge = str_eq(key, S("<<")) && key_event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (json_object_getn(object, key.ptr, key.len))
        return wrong(r, key_event, "duplicated mapping key");
    yaml_event_t event;
    if (!event_next(r, &event))
        return false;
    AUTO(json_decref) json_t *value = node_read(r, &event);
    if (!value)
        return false;
    if (merge && json_is_object(value)) {
        json_object_update_missing(object, value);
        return true;
    }
    if (json_object_setn_new(object, key.ptr, key.len, TAKE(value)) != 0)
        return wrong(r, key_event, "a key must be UTF-8 without NUL");
    return true;
}

static json_t *mapping(YamlReader *r)
{
    AUTO(json_decref) json_t *object = json_object();
    for (;;) {
        yaml_event_t event;
        if (!event_next(r, &event))
            return NULL;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        bool ok = end || pair(r, object, &event);
        yaml_event_delete(&event);
        if (!ok)
            return NULL;
        if (end)
            return TAKE(object);
    }
}

static json_t *alias(YamlReader *r, const yaml_event_t *event)
{
    for (size_t i = r->n_anchors; i-- > 0;) {
        Anchor *anchor = &r->anchors[i];
        if (strcmp(anchor->name, (const char *)event->data.alias.anchor) != 0)
            continue;
        if (!anchor->value)
            return wrong(r, event, "an alias inside what it names");
        r->nodes += anchor->nodes;
        if (r->nodes > MAX_NODES)
            return wrong(r, event, "too many values");
        return json_deep_copy(anchor->value);
    }
    return wrong(r, event, "unknown alias");
}

static Anchor *anchor_add(YamlReader *r, const yaml_char_t *name)
{
    if (!name || r->n_anchors == MAX_ANCHORS)
        return NULL;
    r->anchors[r->n_anchors] = (Anchor){.name = xstrdup((const char *)name)};
    return &r->anchors[r->n_anchors++];
}

static json_t *node_value(YamlReader *r, const yaml_event_t *event, Anchor **anchor)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        *anchor = anchor_add(r, event->data.scalar.anchor);
        return scalar(event);
    case YAML_SEQUENCE_START_EVENT:
        *anchor = anchor_add(r, event->data.sequence_start.anchor);
        return sequence(r);
    case YAML_MAPPING_START_EVENT:
        *anchor = anchor_add(r, event->data.mapping_start.anchor);
        return mapping(r);
    case YAML_ALIAS_EVENT:
        return alias(r, event);
    default:
        return wrong(r, event, "a value was expected");
    }
}

/* Consumes the event and, for collections, all up to their end. */
static json_t *node_read(YamlReader *r, yaml_event_t *event)
{
    Anchor *anchor = NULL;
    json_t *value = NULL;
    size_t before = r->nodes++;
    if (r->nodes > MAX_NODES)
        value = wrong(r, event, "too many values");
    else if (++r->depth > MAX_DEPTH)
        value = wrong(r, event, "nested too deep");
    else
        value = node_value(r, event, &anchor);
    r->depth--;
    yaml_event_delete(event);
    if (value && anchor) {
        anchor->value = json_deep_copy(value);
        anchor->nodes = r->nodes - before;
        r->nodes = before + 2 * anchor->nodes; // the copy counts as well
    }
    return value;
}

static json_t *document(YamlReader *r)
{
    for (;;) {
        yaml_event_t event;
        if (!event_next(r, &event))
            return NULL;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
            yaml_event_delete(&event);
            break;
        case YAML_STREAM_END_EVENT:
            yaml_event_delete(&event);
            return json_null();
        default:
            return node_read(r, &event);
        }
    }
}

json_t *yaml_parse(Str yaml, Error *err)
{
    if (yaml.len > MAX_YAML)
        return fail(err, ERR_LIMIT, "YAML: %zu bytes, at most %d", yaml.len, MAX_YAML);
    YamlReader *r = xcalloc(1, sizeof *r);
    r->err = err;
    if (!yaml_parser_initialize(&r->parser)) {
        free(r);
        return fail(err, ERR_LIMIT, "YAML: out of memory");
    }
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)(yaml.ptr ? yaml.ptr : ""),
                                 yaml.len);
    json_t *value = document(r);
    yaml_parser_delete(&r->parser);
    for (size_t i = 0; i < r->n_anchors; i++) {
        free(r->anchors[i].name);
        json_decref(r->anchors[i].value);
    }
    free(r);
    return value;
}
