/* What the hub client's verbs have in common: --repo-type, --revision, --token. */
#pragma once

#include "cli/options.h"
#include "fetch/fetch.h"

typedef struct HubOptions {
    const char *type, *revision, *token;
} HubOptions;

/* Rows for a verb's table; `member` is a HubOptions of the struct. */
#define HUB_OPTIONS(type_, member)                                                                 \
    VALUE(type_, member.type, TEXT, "--repo-type|--type", "T",                                     \
          "model (default), dataset or space"),                                                    \
        VALUE(type_, member.revision, TEXT, "--revision", "R", "a branch, tag or commit"),         \
        VALUE(type_, member.token, TEXT, "--token", "T", "instead of HF_TOKEN or the saved one")

static inline bool hub_kind(const HubOptions *o, FetchKind *kind, Error *err)
{
    if (!o->type || fetch_kind_parse(str_of(o->type), kind))
        return true;
    return fail(err, ERR_USAGE, "--repo-type is model, dataset or space, not '%s'", o->type);
}

/* The list's items end with NULL; no items is no list. */
static inline const char *const *list_or_null(const OptionList *list)
{
    return list->n ? list->items : NULL;
}
