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

typedef struct Bounds {
    double low, high; // NAN: none
    bool low_open, high_open;
} Bounds;

/* Numbers x with low <= x <= high, of which neither is below 0: whole numbers, or with fractions.
 */
static void add_range(Schema *s, Expr list, Bounds r, bool whole)
{
    int64_t low = (int64_t)r.low, high = isnan(r.high) ? -1 : (int64_t)r.high;
    if (whole) {
        add_naturals(s, list, low + r.low_open, high < 0 ? -1 : high - r.high_open, NULL);
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

Expr schema_number(Schema *s, const json_t *schema, const char *where, bool whole)
{
    Bounds r;
    r.low = bound_of(s, schema, "minimum", "exclusiveMinimum", &r.low_open, where);
    r.high = bound_of(s, schema, "maximum", "exclusiveMaximum", &r.high_open, where);
    if (!builder_ok(s->b) || (isnan(r.low) && isnan(r.high)))
        return whole ? schema_any_integer(s) : schema_any_number(s);
    if (whole) { // bounds between whole numbers move to them
        if (!isnan(r.low) && ceil(r.low) != r.low) {
            r.low = ceil(r.low);
            r.low_open = false;
        }
        if (!isnan(r.high) && floor(r.high) != r.high) {
            r.high = floor(r.high);
            r.high_open = false;
        }
    } else if ((!isnan(r.low) && floor(r.low) != r.low) ||
               (!isnan(r.high) && floor(r.high) != r.high)) {
        schema_refuse(s, where, "bounds of numbers must be whole numbers");
    }
    return bounded(s, r, whole, where);
}
