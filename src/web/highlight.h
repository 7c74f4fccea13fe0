/* Highlighting of code on the server: a table of languages and one scanner.
 *
 * Writes <span class="k|s|c|n|f|t|m|i|d"> for keywords, strings, comments, numbers, functions,
 * types and tags, meta (decorators, preprocessor, keys), inserted and deleted lines. No span
 * crosses a line end, so that each line stands alone. Unknown languages come out as plain, escaped
 * text. Threads: any. */
#pragma once

#include "base/str.h"

void highlight(Buf *out, Str code, Str language);
/* The language of a file by its name ("a/b.py", "Dockerfile"); empty if we know none. */
Str highlight_language(Str path);
