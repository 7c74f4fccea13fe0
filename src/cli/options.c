/* options.c: see options.h. */
#include "cli/options.h"

static bool has_value(const Option *o)
{
    return o->kind != OPTION_FLAG && o->kind != OPTION_SWITCH;
}

/* "--no-x" for "--x" */
static bool is_negation(Str name, Str spelling)
{
    return str_starts(name, S("--no-")) && str_starts(spelling, S("--")) &&
           str_eq(str_slice(name, 5, name.len), str_slice(spelling, 2, spelling.len));
}

/* True if `given` is one of the spellings of the option; *value is then what follows '=', or NULL;
 * of a switch that is said to be off, "no". */
static bool matches(const Option *o, const char *given, const char **value)
{
    size_t equals = str_find_char(str_of(given), '=', 0);
    Str name = str_slice(str_of(given), 0, equals), rest = str_of(o->name), spelling;
    while (str_split(&rest, '|', &spelling)) {
        if (str_eq(name, spelling)) {
            *value = equals == SIZE_MAX ? NULL : given + equals + 1;
            return true;
        }
        if (o->kind == OPTION_SWITCH && is_negation(str_of(given), spelling)) {
            *value = "no";
            return true;
        }
        // "-n5", as "-n 5"
        if (has_value(o) && spelling.len == 2 && str_starts(str_of(given), spelling)) {
            *value = given + 2;
            return true;
        }
    }
    return false;
}

static bool store(void *at, const Option *o, const char *given, const char *value, Error *err)
{
    OptionList *list = at;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_SWITCH:
        *(OptionSwitch *)at = value ? SWITCH_NO : SWITCH_YES;
        return true;
    case OPTION_INT:
        return str_to_int(str_of(value), INT64_MIN, INT64_MAX, at) ||
               fail(err, ERR_USAGE, "option '%s' takes a whole number, not '%s'", given, value);
    case OPTION_NUM:
        return str_to_double(str_of(value), at) ||
               fail(err, ERR_USAGE, "option '%s' takes a number, not '%s'", given, value);
    case OPTION_TEXT:
        *(const char **)at = value;
        return true;
    case OPTION_LIST:
        if (list->n == OPTION_LIST_MAX)
            return fail(err, ERR_USAGE, "option '%s' is given more than %d times", given,
                        OPTION_LIST_MAX);
        list->items[list->n++] = value;
        return true;
    }
    return false;
}

bool options_read(void *out, const Option *options, size_t n_options, int *n, char **args,
                  Error *err)
{
    int kept = 1, i = 1;
    for (; i < *n && strcmp(args[i], "--") != 0; i++) {
        const char *given = args[i], *value = NULL;
        if (given[0] != '-' || given[1] == 0) {
            args[kept++] = args[i];
            continue;
        }
        size_t o = 0;
        while (o < n_options && !matches(&options[o], given, &value))
            o++;
        if (o == n_options)
            return fail(err, ERR_USAGE, "there is no option '%s'; `hug help %s` lists them", given,
                        args[0]);
        bool negated = options[o].kind == OPTION_SWITCH && str_starts(str_of(given), S("--no-"));
        if (!has_value(&options[o]) && value && !negated)
            return fail(err, ERR_USAGE, "option '%s' takes no value", given);
        if (has_value(&options[o]) && !value) {
            if (i + 1 == *n)
                return fail(err, ERR_USAGE, "option '%s' needs a value", given);
            value = args[++i];
        }
        if (!store((char *)out + options[o].offset, &options[o], given, value, err))
            return false;
    }
    for (i++; i < *n; i++) // behind "--"
        args[kept++] = args[i];
    *n = kept;
    args[kept] = NULL;
    return true;
}

void options_help(const Option *options, size_t n_options, Buf *out)
{
    for (size_t i = 0; i < n_options; i++) {
        char left[80];
        AUTO_BUF name;
        buf_init(&name, 0);
        for (const char *p = options[i].name; *p; p++)
            buf_add(&name, *p == '|' ? S(", ") : (Str){p, 1});
        if (options[i].kind == OPTION_SWITCH)
            buf_printf(&name, ", --no-%s", options[i].name + 2);
        snprintf(left, sizeof left, "%s%s%s", name.ptr, options[i].value ? " " : "",
                 options[i].value ? options[i].value : "");
        buf_printf(out, "  %-26s %s\n", left, options[i].help);
    }
}
