/* shown.c: see shown.h. */
#include "cli/shown.h"

#include "base/clock.h"

/* "2026-11-24T10:00:00.500Z" as datetime.isoformat writes it: "2026-11-24T10:00:00.500000+00:00",
 * without a fraction if that is 0. */
static json_t *shown_text(const json_t *text)
{
    Str s = {json_string_value(text), json_string_length(text)};
    int64_t ns;
    char date[ISO8601_SIZE], out[48];
    if (s.len < 20 || s.len > 32 || s.ptr[10] != 'T' || !iso8601_parse(s, &ns))
        return json_from_str(s);
    iso8601_format(ns, date);
    int micro = (int)(ns % NS_PER_S / 1000);
    if (micro)
        snprintf(out, sizeof out, "%.19s.%06d+00:00", date, micro);
    else
        snprintf(out, sizeof out, "%.19s+00:00", date);
    return json_string(out);
}

json_t *shown_value(const json_t *value)
{
    json_t *out, *member;
    const char *key;
    size_t i;
    if (json_is_string(value))
        return shown_text(value);
    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach(value, i, member) json_array_append_new(out, shown_value(member));
        return out;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    out = json_object();
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (!json_is_null(member))
            json_object_set_new(out, key, shown_value(member));
    }
    return out;
}

json_t *shown(const json_t *object, const ShownField *fields, size_t n)
{
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_object_get(object, fields[i].from);
        if (value && !json_is_null(value))
            json_object_set_new(out, fields[i].to ? fields[i].to : fields[i].from,
                                shown_value(value));
    }
    return out;
}
