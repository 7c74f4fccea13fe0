/* Any bytes as Markdown: whatever comes out, parsed as a browser does, holds nothing that runs. */
#include "fuzz.h"
#include "web/markdown.h"

#include <gumbo.h>

static void check_url(const char *name, const char *value)
{
    // What a browser would not skip before the colon.
    char scheme[16];
    size_t n = 0;
    for (const char *p = value; *p && !strchr("/?#", *p) && n < sizeof scheme - 1; p++) {
        if (*p == ':') {
            scheme[n] = 0;
            CHECK(strcmp(name, "href") == 0);
            CHECK(strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0 ||
                  strcasecmp(scheme, "mailto") == 0);
            return;
        }
        if ((unsigned char)*p > ' ')
            scheme[n++] = *p;
    }
    CHECK(strcmp(name, "src") != 0 || strncmp(value, "//", 2) != 0);
}

static void check(const GumboNode *n)
{
    static const char *const never[] = {"script", "style",    "iframe", "object",   "embed", "form",
                                        "button", "base",     "meta",   "link",     "svg",   "math",
                                        "select", "template", "frame",  "textarea", "applet"};
    if (n->type != GUMBO_NODE_ELEMENT && n->type != GUMBO_NODE_TEMPLATE)
        return;
    const GumboElement *e = &n->v.element;
    const char *tag = gumbo_normalized_tagname(e->tag);
    for (size_t i = 0; i < COUNT(never); i++)
        CHECK(strcmp(tag, never[i]) != 0);
    for (unsigned i = 0; i < e->attributes.length; i++) {
        const GumboAttribute *a = e->attributes.data[i];
        CHECK(strncasecmp(a->name, "on", 2) != 0);
        CHECK(strcasecmp(a->name, "style") != 0 && strcasecmp(a->name, "srcset") != 0);
        if (strcasecmp(a->name, "href") == 0 || strcasecmp(a->name, "src") == 0)
            check_url(a->name, a->value);
        if (strcasecmp(a->name, "id") == 0)
            CHECK(strncmp(a->value, "card-", 5) == 0);
    }
    for (unsigned i = 0; i < e->children.length; i++)
        check(e->children.data[i]);
}

static bool is_account(void *user, Str name)
{
    return name.len % 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUF out;
    buf_init(&out, 32 << 20);
    MarkdownOptions options = {.link_base = S("/me/x/blob/main/"),
                               .image_base = S("/me/x/resolve/main/"),
                               .is_account = is_account};
    markdown_html((Str){(const char *)data, MIN(size, (size_t)65536)}, &options, &out);
    if (!out.len)
        return 0;
    GumboOutput *parsed = gumbo_parse_with_options(&kGumboDefaultOptions, out.ptr, out.len);
    const GumboVector *children = &parsed->root->v.element.children;
    for (unsigned i = 0; i < children->length; i++) {
        const GumboNode *n = children->data[i];
        if (n->type == GUMBO_NODE_ELEMENT && n->v.element.tag == GUMBO_TAG_BODY)
            for (unsigned k = 0; k < n->v.element.children.length; k++)
                check(n->v.element.children.data[k]);
    }
    gumbo_destroy_output(&kGumboDefaultOptions, parsed);
    return 0;
}
