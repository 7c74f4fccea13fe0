/* What every fuzz_NAME.c defines: one parser fed with any bytes. It must return 0, must not keep
 * state from call to call, and tells of a bug by crashing: a sanitizer, an assert, or CHECK. */
#pragma once

#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
