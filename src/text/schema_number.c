/* schema_number.c: numbers of JSON schemas. Bounds become choices among digits. */
#include "text/schema_internal.h"

#include <math.h>

/* Digits of the same count as both bounds, from low to high. */
static Expr same_length(Schema *s, const char *low, const char *high, size_t n)
{
    if (n == 0)
        return schema_nothing(s);
    if (*low == *high)
        return schema_row(s, schema_digits(s, *low, *low, 1, 1),
                          same_length(s, low + 1, high + 1, n - 1), -1, -1, -1);
    static const char zeros[] = "000000000000000000", nines[] = "999999999999999999";
    Expr list = expr_choice(s->b);
    char from = *low, to = *high;
    if (memcmp(low + 1, zeros, n - 1) != 0) {
        expr_add(s->b, list,
                 schema_row(s, schema_digits(s, from, from, 1, 1),
                            same_length(s, low + 1, nines, n - 1), -1, -1, -1));
        from++;
    }
    if (memcmp(high + 1, nines, n - 1) != 0) {
        expr_add(s->b, list,
                 schema_row(s, schema_digits(s, to, to, 1, 1),
                            same_length(s, zeros, high + 1, n - 1), -1, -1, -1));
        to--;
    }
    if (from <= to)
        expr_add(s->b, list,
                 schema_row(s, schema_digits(s, from, to, 1, 1),
                            schema_digits(s, '0', '9', (int64_t)n - 1, (int64_t)n - 1), -1, -1,
                            -1));
    return list;
}

/* Natural numbers from low to high, high -1: without end. Adds nothing if there are none. */
static void add_naturals(Schema *s, Expr list, int64_t low, int64_t high, Expr (*behind)(Schema *))
{
    static const int64_t most = 999999999999999999;
    high = high < 0 ? most : MIN(high, most);
    int64_t first = 0, last = 9; // of n digits
    for (int64_t n = 1; n <= SCHEMA_DIGITS; n++) {
        if (n > 1) {
            first = last + 1;
            last = last * 10 + 9;
        }
        int64_t from = MAX(low, first), to = MIN(high, last);
        char a[24], b[24];
        if (from > to)
            continue;
        snprintf(a, sizeof a, "%0*lld", (int)n, (long long)from);
        snprintf(b, sizeof b, "%lld", (long long)to);
        Expr number = same_length(s, a, b, (size_t)n);
        expr_add(s->b, list, behind ? schema_row(s, number, behind(s), -1, -1, -1) : number);
    }
}

static Expr any_fraction(Schema *s)
{
    return schema_optional(s, schema_fraction(s));
}

/* The number itself, written with zeros behind the point if it likes. */
static Expr zero_fraction(Schema *s)
{
    return schema_optional(s, schema_row(s, schema_text(s, "."),
                                         schema_digits(s, '0', '0', 1, SCHEMA_DIGITS), -1, -1, -1));
}

/* A little more than the number itself. */
static Expr some_fraction(Schema *s)
{
    return schema_row(s, schema_text(s, "."), schema_digits(s, '0', '9', 0, SCHEMA_DIGITS - 1),
                      schema_digits(s, '1', '9', 1, 1),
                      schema_digits(s, '0', '9', 0, SCHEMA_DIGITS), -1);
}

typedef struct Bounds {
    double low, high; // NAN: none
    bool low_open, high_open;
} Bounds;

/* A bound of a number; NAN if there is none. *open: the bound itself does not count. */
static double bound_of(Schema *s, const json_t *schema, const char *key, const char *open_key,
                       bool *open, const char *where)
{
    const json_t *closed = json_object_get(schema, key),
                 *opened = json_object_get(schema, open_key);
    double sign = *key == 'm' && key[1] == 'i' ? 1 : -1;
    double value = json_is_number(closed) ? json_number_value(closed) : (double)NAN;
    *open = json_is_true(opened); // draft 4's way
    if (json_is_number(opened) &&
        !(sign * value > sign * json_number_value(opened))) { // the stricter one
        value = json_number_value(opened);
        *open = true;
    }
    if (!isnan(value) && fabs(value) > 1e15)
        schema_refuse(s, where, "bounds of more than 15 digits are not supported");
    return value;
}

// ---- Decimals ----

enum { MAX_PLACES = 15 };

/* whole + 0.fraction, a value that is not negative, with as few places as may be. */
typedef struct Decimal {
    int64_t whole;
    char fraction[MAX_PLACES + 1]; // digits
    size_t places;
} Decimal;

/* False for more than 15 digits in all. */
static bool decimal_of(double value, Decimal *d)
{
    char text[64];
    for (int places = 0; places <= MAX_PLACES; places++) {
        int n = snprintf(text, sizeof text, "%.*f", places, value);
        if (n > MAX_PLACES + 2 || strtod(text, NULL) != value)
            continue;
        d->places = (size_t)places;
        d->whole = (int64_t)value;
        memcpy(d->fraction, text + n - places, d->places + 1);
        return true;
    }
    return false;
}

/* Digits behind a point that make no less than the bound's n. */
static Expr at_least(Schema *s, const char *bound, size_t n, bool open)
{
    Expr any = schema_digits(s, '0', '9', 0, SCHEMA_DIGITS), list = expr_choice(s->b);
    if (n == 0)
        return open ? schema_row(s, schema_digits(s, '0', '9', 0, SCHEMA_DIGITS - 1),
                                 schema_digits(s, '1', '9', 1, 1), any, -1, -1)
                    : any;
    if (*bound < '9')
        expr_add(s->b, list,
                 schema_row(s, schema_digits(s, (char)(*bound + 1), '9', 1, 1), any, -1, -1, -1));
    expr_add(s->b, list,
             schema_row(s, schema_digits(s, *bound, *bound, 1, 1),
                        at_least(s, bound + 1, n - 1, open), -1, -1, -1));
    return list;
}

/* The same, no more than the bound's, whose last digit is not 0; at least one digit. */
static Expr at_most(Schema *s, const char *bound, size_t n, bool open)
{
    Expr list = expr_choice(s->b), behind = -1;
    if (*bound > '0')
        expr_add(s->b, list,
                 schema_row(s, schema_digits(s, '0', (char)(*bound - 1), 1, 1),
                            schema_digits(s, '0', '9', 0, SCHEMA_DIGITS), -1, -1, -1));
    if (n > 1)
        behind = schema_optional(s, at_most(s, bound + 1, n - 1, open));
    else if (!open)
        behind = schema_digits(s, '0', '0', 0, SCHEMA_DIGITS);
    if (behind >= 0)
        expr_add(s->b, list,
                 schema_row(s, schema_digits(s, *bound, *bound, 1, 1), behind, -1, -1, -1));
    return list;
}

static Expr numbers_from(Schema *s, const Decimal *low, bool open)
{
    Expr list = expr_choice(s->b), whole = expr_choice(s->b), behind;
    if (low->places)
        behind = schema_row(s, schema_text(s, "."), at_least(s, low->fraction, low->places, open),
                            -1, -1, -1);
    else
        behind = open ? some_fraction(s) : any_fraction(s);
    add_naturals(s, list, low->whole + 1, -1, any_fraction);
    add_naturals(s, whole, low->whole, low->whole, NULL);
    expr_add(s->b, list, schema_row(s, whole, behind, -1, -1, -1));
    return list;
}

static Expr numbers_to(Schema *s, const Decimal *high, bool open)
{
    Expr list = expr_choice(s->b), whole = expr_choice(s->b), behind;
    if (high->whole > 0)
        add_naturals(s, list, 0, high->whole - 1, any_fraction);
    if (!high->places && open)
        return list;
    if (high->places)
        behind = schema_optional(s, schema_row(s, schema_text(s, "."),
                                               at_most(s, high->fraction, high->places, open), -1,
                                               -1, -1));
    else
        behind = zero_fraction(s);
    add_naturals(s, whole, high->whole, high->whole, NULL);
    expr_add(s->b, list, schema_row(s, whole, behind, -1, -1, -1));
    return list;
}

/* Numbers between bounds that are no whole numbers, neither below 0. */
static void add_decimals(Schema *s, Expr list, Bounds r)
{
    Decimal low, high;
    if (!decimal_of(r.low, &low) || (!isnan(r.high) && !decimal_of(r.high, &high))) {
        builder_fail(s->b, ERR_UNSUPPORTED, "bounds of more than 15 digits are not supported");
        return;
    }
    Automaton *all = automaton_of(s->b, numbers_from(s, &low, r.low_open));
    if (!isnan(r.high))
        all = automaton_both(s->b, all, automaton_of(s->b, numbers_to(s, &high, r.high_open)));
    if (!automaton_is_empty(all))
        expr_add(s->b, list, automaton_expr(s->b, all, false));
}

// ---- Ranges ----

/* Numbers x with low <= x <= high, of which neither is below 0: whole numbers, or with fractions.
 */
static void add_range(Schema *s, Expr list, Bounds r, bool whole)
{
    int64_t low = (int64_t)r.low, high = isnan(r.high) ? -1 : (int64_t)r.high;
    if (whole) {
        add_naturals(s, list, low + r.low_open, high < 0 ? -1 : high - r.high_open, NULL);
        return;
    }
    if (floor(r.low) != r.low || (!isnan(r.high) && floor(r.high) != r.high)) {
        add_decimals(s, list, r);
        return;
    }
    bool point = high == low;
    if (r.low_open && !point) {
        add_naturals(s, list, low, low, some_fraction);
        low++;
    }
    if (high < 0)
        add_naturals(s, list, low, -1, any_fraction);
    else if (low < high)
        add_naturals(s, list, low, high - 1, any_fraction);
    if (high >= 0 && !r.high_open && !(point && r.low_open))
        add_naturals(s, list, high, high, zero_fraction);
}

static Expr bounded(Schema *s, Bounds r, bool whole, const char *where)
{
    Expr positive = expr_choice(s->b), negative = expr_choice(s->b), list = expr_choice(s->b);
    bool has_positive = isnan(r.high) || r.high >= 0, has_negative = isnan(r.low) || r.low < 0;
    Bounds up = r, down = {.low = isnan(r.high) ? 0 : -r.high,
                           .high = -r.low,
                           .low_open = r.high_open,
                           .high_open = r.low_open};
    if (isnan(up.low) || up.low < 0) {
        up.low = 0;
        up.low_open = false;
    }
    if (down.low <= 0) { // 0 is on the other side, and -0 is not written
        down.low = 0;
        down.low_open = true;
    }
    if (!isnan(r.low) && !isnan(r.high) &&
        (r.low > r.high || (r.low == r.high && (r.low_open || r.high_open)))) {
        builder_fail(s->b, ERR_INVALID, "%s: no number lies between the bounds", where);
        return schema_nothing(s);
    }
    if (has_positive)
        add_range(s, positive, up, whole);
    if (has_negative)
        add_range(s, negative, down, whole);
    if (!expr_is_empty(s->b, positive))
        expr_add(s->b, list, positive);
    if (!expr_is_empty(s->b, negative))
        expr_add(s->b, list, schema_row(s, schema_text(s, "-"), negative, -1, -1, -1));
    return list;
}

// ---- Multiples, and values that are out ----

enum { MAX_MULTIPLE = 9999, MULTIPLE_PLACES = 4 };

/* Decimal texts whose value is a multiple of units / 10^places, among those that are numbers at
 * all. A state knows how many places were read and what the digits leave when divided by the units;
 * digits behind the last place are zeros. */
static Automaton *multiples(Schema *s, int64_t units, int64_t places)
{
    Builder *b = s->b;
    Automaton *a = arena_alloc(builder_arena(b), sizeof *a);
    size_t n = (size_t)(units * (places + 2));
    if (!builder_spend(b, n * (sizeof *a->states + 12 * sizeof(Move)), n))
        return automaton_of_length(b, 0, 0);
    // Row 0: before the point; row 1 + i: i places behind it.
    a->n = n;
    a->states = NEW_ARRAY(builder_arena(b), AutomatonState, a->n);
    for (int64_t row = 0; row < places + 2; row++)
        for (int64_t rest = 0; rest < units; rest++) {
            AutomatonState *state = &a->states[row * units + rest];
            int64_t missing = row ? places - (row - 1) : places, whole = rest;
            for (int64_t i = 0; i < missing; i++)
                whole = whole * 10 % units;
            state->accepts = whole == 0;
            state->moves = NEW_ARRAY(builder_arena(b), Move, 12);
            if (row == 0 && rest == 0)
                state->moves[state->n++] = (Move){{'-', '-'}, 0};
            if (row == 0)
                state->moves[state->n++] = (Move){{'.', '.'}, (int32_t)(units + rest)};
            bool past = row == places + 1;
            for (int32_t digit = 0; digit <= (past ? 0 : 9); digit++)
                state->moves[state->n++] = (Move){
                    {'0' + digit, '0' + digit},
                    (int32_t)(past ? row * units + rest
                                   : (row ? row + 1 : 0) * units + (rest * 10 + digit) % units)};
        }
    return automaton_smaller(b, a);
}

/* Behind a minus sign or not. */
static Expr signed_expr(Schema *s, Expr e)
{
    return schema_row(s, schema_optional(s, schema_text(s, "-")), e, -1, -1, -1);
}

/* What `multipleOf` leaves; NULL if the schema does not say it. */
static Automaton *multiples_of(Schema *s, const json_t *schema, const char *where)
{
    const json_t *value = json_object_get(schema, "multipleOf");
    Decimal d;
    if (!value)
        return NULL;
    if (!json_is_number(value) || !(json_number_value(value) > 0)) {
        builder_fail(s->b, ERR_INVALID, "%s: 'multipleOf' must be a number above 0", where);
        return NULL;
    }
    int64_t units = -1;
    if (json_number_value(value) <= MAX_MULTIPLE && decimal_of(json_number_value(value), &d) &&
        d.places <= MULTIPLE_PLACES) {
        units = d.whole;
        for (size_t i = 0; i < d.places && units <= MAX_MULTIPLE; i++)
            units = units * 10 + (d.fraction[i] - '0');
    }
    if (units < 1 || units > MAX_MULTIPLE) {
        schema_refuse(s, where, "'multipleOf' is supported of at most four digits, four places");
        return NULL;
    }
    return multiples(s, units, (int64_t)d.places);
}

/* All ways to write the numbers that `not` takes out; NULL if it takes none. */
static Automaton *barred_numbers(Schema *s, const json_t *schema, const char *where)
{
    AUTO(json_decref) json_t *values = schema_values(json_object_get(schema, "not"));
    Expr list = expr_choice(s->b);
    size_t i;
    const json_t *value;
    json_array_foreach(values, i, value)
    {
        double number = json_number_value(value);
        Decimal d;
        if (!json_is_number(value))
            continue;
        if (fabs(number) > 1e15 || !decimal_of(fabs(number), &d)) {
            schema_refuse(s, where, "'not' of a number with more than 15 digits");
            return NULL;
        }
        char text[64];
        snprintf(text, sizeof text, "%s%lld%s%s", number < 0 ? "-" : "", (long long)d.whole,
                 d.places ? "." : "", d.fraction);
        Expr zeros = d.places ? schema_digits(s, '0', '0', 0, SCHEMA_DIGITS) : zero_fraction(s);
        Expr one = schema_row(s, schema_text(s, text), zeros, -1, -1, -1);
        expr_add(s->b, list, number == 0 ? signed_expr(s, one) : one);
    }
    return expr_is_empty(s->b, list) ? NULL : automaton_of(s->b, list);
}

/* Bounds of whole numbers move to whole numbers. */
static void round_bounds(Bounds *r)
{
    if (!isnan(r->low) && ceil(r->low) != r->low) {
        r->low = ceil(r->low);
        r->low_open = false;
    }
    if (!isnan(r->high) && floor(r->high) != r->high) {
        r->high = floor(r->high);
        r->high_open = false;
    }
}

/* Numbers without an exponent. */
static Expr plain_number(Schema *s, bool whole)
{
    Expr list = expr_choice(s->b);
    add_naturals(s, list, 0, -1, whole ? NULL : any_fraction);
    return signed_expr(s, list);
}

Expr schema_number(Schema *s, const json_t *schema, const char *where, bool whole)
{
    Bounds r;
    r.low = bound_of(s, schema, "minimum", "exclusiveMinimum", &r.low_open, where);
    r.high = bound_of(s, schema, "maximum", "exclusiveMaximum", &r.high_open, where);
    Automaton *multiple = multiples_of(s, schema, where),
              *barred = barred_numbers(s, schema, where);
    bool is_bounded = !isnan(r.low) || !isnan(r.high);
    if (!builder_ok(s->b) || (!is_bounded && !multiple && !barred))
        return whole ? schema_any_integer(s) : schema_any_number(s);
    if (whole)
        round_bounds(&r);
    Expr numbers = is_bounded ? bounded(s, r, whole, where) : plain_number(s, whole);
    if (!builder_ok(s->b) || (!multiple && !barred))
        return numbers;
    Automaton *all = automaton_of(s->b, numbers);
    if (multiple)
        all = automaton_both(s->b, all, multiple);
    if (barred)
        all = automaton_without(s->b, all, barred);
    return automaton_expr(s->b, all, false);
}
