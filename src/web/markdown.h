/* Markdown to HTML that is safe to put into a page, whatever the text says.
 *
 * cmark-gfm makes HTML of the Markdown (tables, task lists, strikethrough, footnotes, raw HTML);
 * what comes out is parsed as a browser would (gumbo) and written anew from an allow-list of
 * elements, attributes and URL schemes. Scripts, styles, forms and frames never come through;
 * images of other hosts become links, since pages ask no other host for anything. Code blocks are
 * highlighted. Threads: any. */
#pragma once

#include "base/str.h"

typedef struct MarkdownOptions {
    Str link_base;  // "/me/x/blob/main/": before relative links; empty: they stay
    Str image_base; // "/me/x/resolve/main/": before relative images
    /* Is there an account of this name? "@name" is then a link to it. NULL: no name is one. */
    bool (*is_account)(void *user, Str name);
    void *user;
} MarkdownOptions;

/* The longest text that is rendered; callers cut. */
enum { MARKDOWN_MAX = 1 << 20 };

/* Appends HTML. Text that is too long, or that would take too much memory, is shown as it is. */
void markdown_html(Str text, const MarkdownOptions *options, Buf *out);
/* The same for HTML: only what the allow-list has. False when it would take too much memory. */
bool html_sanitize(Str html, const MarkdownOptions *options, Buf *out);
