/* settings.c: default, file, environment, command line, in this order; see settings.h. */
#include "base/settings.h"
#include "base/file.h"

enum { MAX_FILE = 64 << 10 };

static bool parse_bytes(Str text, int64_t *out)
{
    static const char units[] = "KMGT";
    const char *unit = text.len ? strchr(units, toupper(text.ptr[text.len - 1])) : NULL;
    int shift = 0;
    if (unit && *unit) {
        shift = 10 * (int)(unit - units + 1);
        text = str_slice(text, 0, text.len - 1);
    }
    int64_t n;
    if (!str_to_int(text, 0, INT64_MAX >> shift, &n))
        return false;
    *out = n << shift;
    return true;
}

static bool parse_flag(Str text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0", ""};
    for (size_t i = 0; i < COUNT(yes); i++)
        if (str_eq_nocase(text, str_of(yes[i]))) {
            *out = true;
            return true;
        }
    for (size_t i = 0; i < COUNT(no); i++)
        if (str_eq_nocase(text, str_of(no[i]))) {
            *out = false;
            return true;
        }
    return false;
}

static bool set(void *out, const Setting *s, Str text, Arena *a, Error *err)
{
    void *member = (char *)out + s->offset;
    int64_t max = s->min || s->max ? s->max : INT64_MAX, number = 0;
    switch (s->kind) {
    case SETTING_TEXT:
        *(const char **)member = arena_cstr(a, text);
        return true;
    case SETTING_FLAG:
        if (!parse_flag(text, member))
            return fail(err, ERR_USAGE, "wanted yes or no, found '%.*s'", STR(text));
        return true;
    case SETTING_BYTES:
        if (!parse_bytes(text, &number))
            return fail(err, ERR_USAGE, "wanted a size such as 512M or 8G, found '%.*s'",
                        STR(text));
        break;
    case SETTING_INT:
        if (!str_to_int(text, INT64_MIN, INT64_MAX, &number))
            return fail(err, ERR_USAGE, "wanted a whole number, found '%.*s'", STR(text));
        break;
    }
    if (number < s->min || number > max)
        return fail(err, ERR_USAGE, "wanted %lld to %lld, found '%.*s'", (long long)s->min,
                    (long long)max, STR(text));
    *(int64_t *)member = number;
    return true;
}

static const Setting *find(const Setting *rows, size_t n, Str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(rows[i].name), name))
            return &rows[i];
    return NULL;
}

static bool read_file(void *out, const Setting *rows, size_t n, const char *path, Arena *a,
                      Error *err)
{
    AUTO_BUF text;
    buf_init(&text, MAX_FILE);
    if (!file_exists(path))
        return true;
    if (!file_read(path, &text, err))
        return false;
    Str left = buf_str(&text), line;
    for (int number = 1; str_split(&left, '\n', &line); number++) {
        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        size_t equals = str_find_char(line, '=', 0);
        Str name = str_trim(str_slice(line, 0, equals));
        if (equals == SIZE_MAX)
            return fail(err, ERR_USAGE, "%s: line %d: wanted NAME = VALUE", path, number);
        const Setting *s = find(rows, n, name);
        if (!s)
            return fail(err, ERR_USAGE, "%s: line %d: there is no setting '%.*s'", path, number,
                        STR(name));
        if (!set(out, s, str_trim(str_slice(line, equals + 1, SIZE_MAX)), a, err))
            return fail_while(err, "%s: line %d: %s", path, number, s->name);
    }
    return true;
}

static bool read_environment(void *out, const Setting *rows, size_t n, Arena *a, Error *err)
{
    for (size_t i = 0; i < n; i++) {
        char name[64];
        int len = snprintf(name, sizeof name, "HUG_%s", rows[i].name);
        CHECK(len > 0 && (size_t)len < sizeof name);
        for (char *c = name; *c; c++)
            *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        const char *value = getenv(name);
        if (value && !set(out, &rows[i], str_of(value), a, err))
            return fail_while(err, "%s", name);
    }
    return true;
}

static bool read_args(void *out, const Setting *rows, size_t n, char *const *args, Arena *a,
                      Error *err)
{
    for (; *args; args++) {
        Str arg = str_of(*args);
        if (!str_starts(arg, S("--")))
            return fail(err, ERR_USAGE, "'%s' is not an option", *args);
        size_t equals = str_find_char(arg, '=', 0);
        const Setting *s = find(rows, n, str_slice(arg, 2, equals));
        if (!s)
            return fail(err, ERR_USAGE, "there is no option '%.*s'",
                        STR(str_slice(arg, 0, equals)));
        Str value = S("yes");
        if (equals != SIZE_MAX)
            value = str_slice(arg, equals + 1, SIZE_MAX);
        else if (s->kind != SETTING_FLAG) {
            if (!args[1])
                return fail(err, ERR_USAGE, "--%s: its value is missing: %s", s->name, s->value);
            value = str_of(*++args);
        }
        if (!set(out, s, value, a, err))
            return fail_while(err, "--%s", s->name);
    }
    return true;
}

bool settings_read(void *out, const Setting *rows, size_t n, const SettingSources *from, Arena *a,
                   Error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].otherwise)
            CHECK(set(out, &rows[i], str_of(rows[i].otherwise), a, NULL));
        else if (rows[i].kind == SETTING_TEXT)
            *(const char **)((char *)out + rows[i].offset) = NULL;
        else
            CHECK(set(out, &rows[i], S("0"), a, NULL));
    }
    return (!from->file || read_file(out, rows, n, from->file, a, err)) &&
           read_environment(out, rows, n, a, err) &&
           (!from->args || read_args(out, rows, n, from->args, a, err));
}

void settings_help(const Setting *rows, size_t n, Buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const Setting *s = &rows[i];
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", s->name, s->value ? " " : "",
                 s->value ? s->value : "");
        buf_printf(out, "  %-28s %s", left, s->help);
        bool shown = s->otherwise && s->otherwise[0] && strcmp(s->otherwise, "0") != 0;
        buf_printf(out, shown ? " (%s)\n" : "\n", s->otherwise);
    }
}
