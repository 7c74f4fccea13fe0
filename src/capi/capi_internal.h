/* What the files behind include/hug share: our errors as the public one. */
#pragma once

#include "base/str.h"

#include <hug/error.h>

/* Copies e to out (may be NULL); returns NULL, as `fail` does. */
void *capi_fail(HugError *out, const Error *e);
