/* commonmark.c: see commonmark.h. */
#include "hub/commonmark.h"

#include <cmark-gfm-core-extensions.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

enum {
    OPTIONS = CMARK_OPT_UNSAFE | CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_GITHUB_PRE_LANG |
              CMARK_OPT_FOOTNOTES,
};

void commonmark_parse(Str text, CommonMark *out)
{
    static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};
    pthread_once(&once, cmark_gfm_core_extensions_ensure_registered);
    out->parser = cmark_parser_new(OPTIONS);
    for (size_t i = 0; i < COUNT(extensions); i++)
        cmark_parser_attach_syntax_extension(out->parser,
                                             cmark_find_syntax_extension(extensions[i]));
    cmark_parser_feed(out->parser, text.ptr ? text.ptr : "", text.len);
    out->document = cmark_parser_finish(out->parser);
}

void commonmark_done(CommonMark *c)
{
    cmark_node_free(c->document);
    cmark_parser_free(c->parser);
}

char *commonmark_html(const CommonMark *c)
{
    return cmark_render_html(c->document, OPTIONS, cmark_parser_get_syntax_extensions(c->parser));
}

void commonmark_each_text(const CommonMark *c, void (*each)(void *user, cmark_node *text),
                          void *user)
{
    int links = 0;                             // around the node
    cmark_consolidate_text_nodes(c->document); // "a_b" is three pieces otherwise
    cmark_iter *iter = cmark_iter_new(c->document);
    for (cmark_event_type event; (event = cmark_iter_next(iter)) != CMARK_EVENT_DONE;) {
        cmark_node *node = cmark_iter_get_node(iter);
        cmark_node_type type = cmark_node_get_type(node);
        if (type == CMARK_NODE_LINK || type == CMARK_NODE_IMAGE)
            links += event == CMARK_EVENT_ENTER ? 1 : -1;
        if (type == CMARK_NODE_TEXT && !links)
            each(user, node); // the iterator has moved on already
    }
    cmark_iter_free(iter);
}
