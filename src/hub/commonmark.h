/* Markdown as a tree, by cmark-gfm with the extensions that this hub understands (tables, task
 * lists, strikethrough, footnotes, links without brackets): the one way in which texts are read,
 * for those that show them and those that look for something in them. Threads: any. */
#pragma once

#include "base/str.h"

#include <cmark-gfm.h>

typedef struct CommonMark {
    cmark_parser *parser; // owns what the tree's extensions need
    cmark_node *document;
} CommonMark;

void commonmark_parse(Str text, CommonMark *out);
void commonmark_done(CommonMark *c);
/* HTML of the tree, raw HTML included as it stands; the caller frees it. */
char *commonmark_html(const CommonMark *c);
/* Calls each for the pieces of plain text, in order: not code, not HTML, nothing in a link or an
 * image. It may replace the node. */
void commonmark_each_text(const CommonMark *c, void (*each)(void *user, cmark_node *text),
                          void *user);
