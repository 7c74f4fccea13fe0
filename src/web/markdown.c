/* markdown.c: cmark-gfm with its extensions, then html_sanitize; see markdown.h. */
#include "web/markdown.h"

#include "base/encode.h"
#include "hub/commonmark.h"
#include "hub/mentions.h"

static void show_plainly(Str text, Buf *out)
{
    buf_add(out, S("<pre>"));
    html_escape(out, text);
    buf_add(out, S("</pre>"));
}

/* ---- Mentions ---- */

typedef struct Linker {
    const MarkdownOptions *options;
    int asked; // how many names
} Linker;

static void insert_text(cmark_node *before, cmark_node *into, const char *text)
{
    cmark_node *node = cmark_node_new(CMARK_NODE_TEXT);
    cmark_node_set_literal(node, text);
    if (into)
        cmark_node_append_child(into, node);
    else
        cmark_node_insert_before(before, node);
}

static void insert_link(cmark_node *before, Arena *a, Str name)
{
    cmark_node *link = cmark_node_new(CMARK_NODE_LINK);
    cmark_node_set_url(link, arena_printf(a, "/%.*s", STR(name)));
    cmark_node_insert_before(before, link);
    insert_text(NULL, link, arena_printf(a, "@%.*s", STR(name)));
}

/* "hello @ada!" becomes text, a link to /ada, text: where there is such an account. */
static void link_mentions(void *user, cmark_node *node)
{
    Linker *l = user;
    AUTO(arena_free) Arena *a = NULL;
    Str text = str_of(cmark_node_get_literal(node)), name;
    size_t from = 0, at, done = 0;
    while (l->asked < MAX_MENTIONS && mention_next(text, &from, &at, &name)) {
        l->asked++;
        if (!l->options->is_account(l->options->user, name))
            continue;
        a = a ? a : arena_new(0);
        if (at > done)
            insert_text(node, NULL, arena_cstr(a, str_slice(text, done, at)));
        insert_link(node, a, name);
        done = at + 1 + name.len;
    }
    if (done)
        cmark_node_set_literal(node, arena_cstr(a, str_slice(text, done, text.len)));
}

/* Raw HTML is passed on: the sanitizer decides about it, as about everything. */
static char *to_html(Str text, const MarkdownOptions *options)
{
    CommonMark tree;
    Linker linker = {.options = options};
    commonmark_parse(text, &tree);
    if (options->is_account)
        commonmark_each_text(&tree, link_mentions, &linker);
    char *html = commonmark_html(&tree);
    commonmark_done(&tree);
    return html;
}

void markdown_html(Str text, const MarkdownOptions *options, Buf *out)
{
    if (text.len > MARKDOWN_MAX) {
        show_plainly(text, out);
        return;
    }
    char *html = to_html(text, options);
    size_t before = out->len;
    if (!html_sanitize(str_of(html), options, out)) {
        if (out->ptr)
            out->ptr[out->len = before] = 0;
        show_plainly(text, out);
    }
    free(html);
}
