/* template_is.c: the tests of templates, `value is name`. */
#include "text/template_internal.h"

static Value is_defined(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind != VALUE_UNDEFINED);
}

static Value is_undefined(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_UNDEFINED);
}

static Value is_none(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_NONE);
}

static Value is_boolean(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_BOOL);
}

static Value is_true(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_BOOL && v.i);
}

static Value is_false(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_BOOL && !v.i);
}

static Value is_integer(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_INT);
}

static Value is_float(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_FLOAT);
}

static Value is_number_test(Render *r, Value v, const Args *args)
{
    return value_bool(is_number(v));
}

static Value is_string_test(Render *r, Value v, const Args *args)
{
    return value_bool(is_string(v));
}

static Value is_mapping(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_DICT);
}

static Value is_sequence(Render *r, Value v, const Args *args)
{
    return value_bool(is_string(v) || is_list(v) || v.kind == VALUE_DICT ||
                      v.kind == VALUE_UNDEFINED);
}

static Value is_iterable(Render *r, Value v, const Args *args)
{
    return value_bool(is_string(v) || is_list(v) || v.kind == VALUE_DICT ||
                      v.kind == VALUE_UNDEFINED || v.kind == VALUE_LOOP);
}

static Value is_callable(Render *r, Value v, const Args *args)
{
    return value_bool(v.kind == VALUE_MACRO || v.kind == VALUE_FUNCTION || v.kind == VALUE_JOINER ||
                      v.kind == VALUE_UNDEFINED);
}

static Value is_lower(Render *r, Value v, const Args *args)
{
    return value_bool(text_is(r, value_text(r, v), 'l'));
}

static Value is_upper(Render *r, Value v, const Args *args)
{
    return value_bool(text_is(r, value_text(r, v), 'u'));
}

static Value is_escaped(Render *r, Value v, const Args *args)
{
    return value_bool(is_string(v) && v.safe);
}

static Value is_filter(Render *r, Value v, const Args *args)
{
    return value_bool(is_string(v) && filter_find(v.s));
}

static Value is_test(Render *r, Value v, const Args *args)
{
    return value_bool(is_string(v) && test_find(v.s));
}

static bool remainder_is(Render *r, Value v, int64_t by, int64_t rest)
{
    Value left = eval_binary(r, OP_MOD, v, value_int(by));
    return render_ok(r) && is_number(left) && number_of(left) == (double)rest;
}

static Value is_even(Render *r, Value v, const Args *args)
{
    return value_bool(remainder_is(r, v, 2, 0));
}

static Value is_odd(Render *r, Value v, const Args *args)
{
    return value_bool(remainder_is(r, v, 2, 1));
}

static Value is_divisibleby(Render *r, Value v, const Args *args)
{
    return value_bool(remainder_is(r, v, arg_int(r, args, 0, 0), 0));
}

static Value is_eq(Render *r, Value v, const Args *args)
{
    return value_bool(value_eq(r, v, args->items[0]));
}

static Value is_ne(Render *r, Value v, const Args *args)
{
    return value_bool(!value_eq(r, v, args->items[0]));
}

static Value is_lt(Render *r, Value v, const Args *args)
{
    return value_bool(value_cmp(r, v, args->items[0]) < 0);
}

static Value is_le(Render *r, Value v, const Args *args)
{
    return value_bool(value_cmp(r, v, args->items[0]) <= 0);
}

static Value is_gt(Render *r, Value v, const Args *args)
{
    return value_bool(value_cmp(r, v, args->items[0]) > 0);
}

static Value is_ge(Render *r, Value v, const Args *args)
{
    return value_bool(value_cmp(r, v, args->items[0]) >= 0);
}

static Value is_in(Render *r, Value v, const Args *args)
{
    return value_bool(value_contains(r, args->items[0], v));
}

/* Python's `is`: the same object, or the same small constant. */
static Value is_sameas(Render *r, Value v, const Args *args)
{
    Value other = args->items[0];
    return value_bool(v.kind == other.kind && value_eq(r, v, other) &&
                      (v.kind <= VALUE_STRING || v.list == other.list));
}

static const Builtin tests[] = {
    {"defined", "", is_defined},
    {"undefined", "", is_undefined},
    {"none", "", is_none},
    {"boolean", "", is_boolean},
    {"true", "", is_true},
    {"false", "", is_false},
    {"integer", "", is_integer},
    {"float", "", is_float},
    {"number", "", is_number_test},
    {"string", "", is_string_test},
    {"mapping", "", is_mapping},
    {"sequence", "", is_sequence},
    {"iterable", "", is_iterable},
    {"callable", "", is_callable},
    {"lower", "", is_lower},
    {"upper", "", is_upper},
    {"escaped", "", is_escaped},
    {"filter", "", is_filter},
    {"test", "", is_test},
    {"even", "", is_even},
    {"odd", "", is_odd},
    {"divisibleby", "num", is_divisibleby},
    {"sameas", "other", is_sameas},
    {"in", "seq", is_in},
    {"eq", "b", is_eq},
    {"equalto", "b", is_eq},
    {"==", "b", is_eq},
    {"ne", "b", is_ne},
    {"!=", "b", is_ne},
    {"lt", "b", is_lt},
    {"lessthan", "b", is_lt},
    {"<", "b", is_lt},
    {"le", "b", is_le},
    {"<=", "b", is_le},
    {"gt", "b", is_gt},
    {"greaterthan", "b", is_gt},
    {">", "b", is_gt},
    {"ge", "b", is_ge},
    {">=", "b", is_ge},
};

const Builtin *test_find(Str name)
{
    for (size_t i = 0; i < COUNT(tests); i++)
        if (str_eq(str_of(tests[i].name), name))
            return &tests[i];
    return NULL;
}
