/* Text forms of bytes: hex, base64, percent-encoding, and digests in hex. */
#pragma once

#include "base/str.h"

/* Lower-case hex of n bytes; out holds 2n + 1 and is terminated. */
void hex_encode(const void *bytes, size_t n, char *out);
/* Exactly 2n hex digits, either case; false and out untouched otherwise. */
bool hex_decode(Str hex, void *out, size_t n);

/* Standard alphabet with padding (RFC 4648 section 4), appended to out. */
void base64_encode(Buf *out, Str bytes);
/* Accepts the standard and the URL alphabet, padding optional, ASCII white space skipped.
 * ERR_INVALID with the offset at anything else. */
bool base64_decode(Buf *out, Str text, Error *err);

/* Percent-encodes all but RFC 3986's unreserved characters and those in `keep`. */
void url_encode(Buf *out, Str s, const char *keep);
/* Decodes %XX; with plus_is_space also '+' (forms). ERR_INVALID on a broken escape or on NUL. */
bool url_decode(Buf *out, Str s, bool plus_is_space, Error *err);

/* Escapes & < > " ' for HTML text and quoted attributes. */
void html_escape(Buf *out, Str s);
