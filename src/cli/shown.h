/* The hub's objects by the names that `hf --format json` gives their members: created_at for
 * createdAt, dates as Python writes them, and nothing that is null. */
#pragma once

#include "base/json.h"

typedef struct ShownField {
    const char *from, *to; // to NULL: the same
} ShownField;

/* The members that the table names, in its order. The caller's. */
json_t *shown(const json_t *object, const ShownField *fields, size_t n);
/* A value with its nulls taken out and its dates rewritten, at any depth. */
json_t *shown_value(const json_t *value);
