/* error.c: see hug/error.h. */
#include "capi/capi_internal.h"

#ifndef HUG_VERSION
#define HUG_VERSION "unknown"
#endif

void *capi_fail(HugError *out, const Error *e)
{
    if (out) {
        snprintf(out->kind, sizeof out->kind, "%s", error_code_name(e->code));
        snprintf(out->text, sizeof out->text, "%s", e->text);
    }
    return NULL;
}

const char *hug_version(void)
{
    return HUG_VERSION;
}

void hug_text_free(char *text)
{
    free(text);
}
