/* markdown.c: cmark-gfm with its extensions, then html_sanitize; see markdown.h. */
#include "web/markdown.h"

#include "base/encode.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void show_plainly(Str text, Buf *out)
{
    buf_add(out, S("<pre>"));
    html_escape(out, text);
    buf_add(out, S("</pre>"));
}

/* Raw HTML is passed on (UNSAFE): the sanitizer decides about it, as about everything. */
static char *to_html(Str text)
{
    static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};
    int options = CMARK_OPT_UNSAFE | CMARK_OPT_VALIDATE_UTF8 | CMARK_OPT_GITHUB_PRE_LANG |
                  CMARK_OPT_FOOTNOTES;
    pthread_once(&once, cmark_gfm_core_extensions_ensure_registered);
    cmark_parser *parser = cmark_parser_new(options);
    for (size_t i = 0; i < COUNT(extensions); i++)
        cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension(extensions[i]));
    cmark_parser_feed(parser, text.ptr ? text.ptr : "", text.len);
    cmark_node *document = cmark_parser_finish(parser);
    char *html = cmark_render_html(document, options, cmark_parser_get_syntax_extensions(parser));
    cmark_node_free(document);
    cmark_parser_free(parser);
    return html;
}

void markdown_html(Str text, const MarkdownOptions *options, Buf *out)
{
    if (text.len > MARKDOWN_MAX) {
        show_plainly(text, out);
        return;
    }
    char *html = to_html(text);
    size_t before = out->len;
    if (!html_sanitize(str_of(html), options, out)) {
        if (out->ptr)
            out->ptr[out->len = before] = 0;
        show_plainly(text, out);
    }
    free(html);
}
