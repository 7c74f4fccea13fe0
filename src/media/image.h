/* Images as files: which of the formats that browsers show, how large, and a copy without what the
 * picture does not need.
 *
 * PNG, JPEG and WebP. Nothing is decoded: the parts of the file are walked from the first to the
 * last, so that what passes is one whole image and nothing behind it. Threads: any. */
#pragma once

#include "base/str.h"

typedef struct ImageHead {
    const char *type;       // "image/png", "image/jpeg" or "image/webp"
    uint32_t width, height; // in pixels, at least 1
} ImageHead;

/* Appends the image to out without what a camera or an editor has written beside it: places, dates,
 * comments, previews. Colours stay what they were, and a photograph keeps its orientation.
 * ERR_UNSUPPORTED for another format, ERR_INVALID with the offset where it is broken. */
bool image_clean(Str bytes, ImageHead *head, Buf *out, Error *err);
