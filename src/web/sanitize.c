/* sanitize.c: html_sanitize: HTML written anew from an allow-list; see markdown.h.
 *
 * gumbo parses as a browser does, so what we look at is what a browser would see. It takes its
 * memory from an arena with a limit, and it has no way to say "no memory": past the limit we jump
 * out of it and drop the arena. Nothing of gumbo's needs to be freed otherwise, and its recursive
 * clean-up never runs. The walk over the tree is cut at MAX_DEPTH. */
#include "web/markdown.h"

#include "base/encode.h"
#include "web/highlight.h"

#include <gumbo.h>
#include <setjmp.h>

enum { MAX_DEPTH = 200, MAX_OPEN = 400, MAX_MEMORY = 48 << 20 };

typedef struct Sanitizer {
    const MarkdownOptions *options;
    Buf *out;
    Arena *arena;
    jmp_buf out_of_memory;
    int depth;
    size_t headings;
} Sanitizer;

/* Elements that come through. All others vanish but for their content; those of `dropped` with it.
 */
static const char *const allowed[] = {
    "a",      "abbr",   "b",      "bdi",   "bdo",      "blockquote", "br",      "caption",
    "center", "cite",   "code",   "col",   "colgroup", "dd",         "del",     "details",
    "dfn",    "div",    "dl",     "dt",    "em",       "figcaption", "figure",  "h1",
    "h2",     "h3",     "h4",     "h5",    "h6",       "hr",         "i",       "img",
    "input",  "ins",    "kbd",    "li",    "mark",     "ol",         "p",       "pre",
    "q",      "rp",     "rt",     "ruby",  "s",        "samp",       "section", "small",
    "span",   "strike", "strong", "sub",   "summary",  "sup",        "table",   "tbody",
    "td",     "tfoot",  "th",     "thead", "time",     "tr",         "tt",      "u",
    "ul",     "var",    "wbr",    "audio", "video",
};

static const char *const dropped[] = {"script",    "style",    "template", "iframe", "object",
                                      "embed",     "noscript", "title",    "select", "textarea",
                                      "noembed",   "noframes", "frameset", "math",   "svg",
                                      "plaintext", "xmp",      "head",     "applet", "canvas"};

static const char *const void_elements[] = {"br", "col", "hr", "img", "input", "wbr"};

/* Attributes beside URLs; element NULL: of all. */
static const struct {
    const char *element, *name;
} attributes[] = {
    {NULL, "title"},    {NULL, "lang"},     {NULL, "dir"},       {NULL, "align"},
    {"img", "alt"},     {"img", "width"},   {"img", "height"},   {"td", "colspan"},
    {"td", "rowspan"},  {"th", "colspan"},  {"th", "rowspan"},   {"th", "scope"},
    {"td", "valign"},   {"th", "valign"},   {"ol", "start"},     {"ol", "type"},
    {"ol", "reversed"}, {"li", "value"},    {"details", "open"}, {"time", "datetime"},
    {"col", "span"},    {"video", "width"}, {"video", "height"}, {"colgroup", "span"},
    {"video", "muted"}, {"video", "loop"},
};

static bool is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static void *take_memory(void *sanitizer, size_t size)
{
    Sanitizer *s = sanitizer;
    void *memory = arena_try(s->arena, 1, MAX(size, (size_t)1), NULL);
    if (!memory)
        longjmp(s->out_of_memory, 1);
    return memory;
}

static void keep_memory(void *sanitizer, void *memory)
{
    (void)sanitizer;
    (void)memory;
}

static const char *attribute(const GumboElement *e, const char *name)
{
    const GumboAttribute *a = gumbo_get_attribute(&e->attributes, name);
    return a ? a->value : NULL;
}

static void add_attribute(Buf *out, const char *name, Str value)
{
    buf_printf(out, " %s=\"", name);
    html_escape(out, value);
    buf_add_char(out, '"');
}

/* ---- URLs ---- */

/* The scheme of a URL as a browser finds it, or empty: white space and control characters around
 * and within do not hide it. */
static Str scheme_of(Str url, char buffer[16])
{
    size_t n = 0;
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.ptr[i];
        if (c <= ' ' || c == 0x7F)
            continue;
        if (c == ':')
            return (Str){buffer, n};
        if (strchr("/?#", c))
            break;
        if (n == 15)
            return S("long");
        buffer[n++] = (char)c;
    }
    return (Str){0};
}

static bool is_relative(Str url)
{
    return url.len && url.ptr[0] != '/' && url.ptr[0] != '#' && url.ptr[0] != '?';
}

/* base + "a/./b/../c" without its dots; they never climb above base. */
static void add_joined(Buf *out, Str base, Str path)
{
    buf_add(out, base);
    size_t root = out->len, end = MIN(str_find_char(path, '?', 0), str_find_char(path, '#', 0));
    Str tail = str_slice(path, MIN(end, path.len), path.len), part;
    path = str_slice(path, 0, end);
    while (str_split(&path, '/', &part)) {
        if (str_eq(part, S("."))) {
            continue;
        } else if (str_eq(part, S(".."))) {
            Str all = str_slice(buf_str(out), root, out->len > root ? out->len - 1 : root);
            size_t slash = str_rfind_char(all, '/');
            out->len = root + (slash == SIZE_MAX ? 0 : slash + 1);
            out->ptr[out->len] = 0;
        } else {
            buf_add(out, part);
            buf_add(out, path.ptr ? S("/") : S(""));
        }
    }
    buf_add(out, tail);
}

static void add_link(Sanitizer *s, const char *href)
{
    char buffer[16];
    Str url = str_trim(str_of(href)), scheme = scheme_of(url, buffer);
    AUTO_BUF joined;
    buf_init(&joined, 0);
    bool web = str_eq_nocase(scheme, S("http")) || str_eq_nocase(scheme, S("https"));
    if (scheme.len && !web && !str_eq_nocase(scheme, S("mailto")))
        return;
    if (url.len && url.ptr[0] == '#') {
        buf_add(&joined, S("#card-"));
        buf_add(&joined, str_slice(url, 1, url.len));
        url = buf_str(&joined);
    } else if (!scheme.len && is_relative(url) && s->options->link_base.len) {
        add_joined(&joined, s->options->link_base, url);
        url = buf_str(&joined);
    }
    add_attribute(s->out, "href", url);
    if (web || str_starts(url, S("//")))
        buf_add(s->out, S(" rel=\"nofollow noopener noreferrer\""));
}

/* A source on this host, or nothing. */
static bool local_source(Sanitizer *s, const char *src, Buf *out)
{
    char buffer[16];
    Str url = str_trim(str_of(src));
    if (!url.len || scheme_of(url, buffer).len || str_starts(url, S("//")) || url.ptr[0] == '\\')
        return false;
    if (is_relative(url))
        add_joined(out, s->options->image_base, url);
    else
        buf_add(out, url);
    return true;
}

/* ---- Elements ---- */

static void write_children(Sanitizer *s, const GumboVector *children);

static void collect_text(const GumboNode *n, Buf *out, int depth)
{
    if (n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_WHITESPACE ||
        n->type == GUMBO_NODE_CDATA)
        buf_add(out, str_of(n->v.text.text));
    else if (n->type == GUMBO_NODE_ELEMENT && depth < MAX_DEPTH)
        for (unsigned i = 0; i < n->v.element.children.length; i++)
            collect_text(n->v.element.children.data[i], out, depth + 1);
}

/* An image of another host becomes a link to it. */
static void write_image(Sanitizer *s, const GumboElement *e)
{
    const char *src = attribute(e, "src"), *alt = attribute(e, "alt");
    AUTO_BUF url;
    buf_init(&url, 0);
    if (!src)
        return;
    if (!local_source(s, src, &url)) {
        buf_add(s->out, S("<a class=\"outside\""));
        add_link(s, src);
        buf_add_char(s->out, '>');
        html_escape(s->out, alt && *alt ? str_of(alt) : S("image on another host"));
        buf_add(s->out, S("</a>"));
        return;
    }
    buf_add(s->out, S("<img loading=\"lazy\""));
    add_attribute(s->out, "src", buf_str(&url));
    add_attribute(s->out, "alt", str_of(alt));
    for (size_t i = 0; i < COUNT(attributes); i++) {
        const char *value = attribute(e, attributes[i].name);
        bool ours = !attributes[i].element || strcmp(attributes[i].element, "img") == 0;
        if (value && ours && strcmp(attributes[i].name, "alt") != 0)
            add_attribute(s->out, attributes[i].name, str_of(value));
    }
    buf_add_char(s->out, '>');
}

static void write_media(Sanitizer *s, const char *name, const GumboElement *e)
{
    const char *src = attribute(e, "src");
    AUTO_BUF url;
    buf_init(&url, 0);
    if (!src || !local_source(s, src, &url))
        return;
    buf_printf(s->out, "<%s controls preload=\"none\"", name);
    add_attribute(s->out, "src", buf_str(&url));
    buf_printf(s->out, "></%s>", name);
}

/* Code: its text alone, highlighted as the language that the fence or a class names. */
static void write_pre(Sanitizer *s, const GumboNode *n)
{
    AUTO_BUF code;
    buf_init(&code, 0);
    const GumboElement *e = &n->v.element;
    const char *language = attribute(e, "lang");
    for (unsigned i = 0; !language && i < e->children.length; i++) {
        const GumboNode *child = e->children.data[i];
        const char *class =
            child->type == GUMBO_NODE_ELEMENT ? attribute(&child->v.element, "class") : NULL;
        if (class && strncmp(class, "language-", 9) == 0)
            language = class + 9;
    }
    for (unsigned i = 0; i < e->children.length; i++)
        collect_text(e->children.data[i], &code, 0);
    buf_add(s->out, S("<pre class=\"code\" tabindex=\"0\"><code>"));
    highlight(s->out, buf_str(&code), str_of(language));
    buf_add(s->out, S("</code></pre>"));
}

/* Task lists: a box that shows and does nothing. */
static void write_box(Sanitizer *s, const GumboElement *e)
{
    const char *type = attribute(e, "type");
    if (type && strcmp(type, "checkbox") == 0)
        buf_printf(s->out, "<input type=\"checkbox\" disabled%s aria-label=\"%s\">",
                   attribute(e, "checked") ? " checked" : "",
                   attribute(e, "checked") ? "done" : "to do");
}

/* An id for links from tables of contents: letters and digits, the rest as hyphens. */
static void write_heading_id(Sanitizer *s, const GumboNode *n)
{
    AUTO_BUF text;
    AUTO_BUF slug;
    buf_init(&text, 4096);
    buf_init(&slug, 200);
    collect_text(n, &text, 0);
    Str t = str_trim(buf_str(&text));
    for (size_t i = 0; i < t.len; i++) {
        char c = t.ptr[i];
        bool keep =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || (c & 0x80);
        if (c >= 'A' && c <= 'Z')
            buf_add_char(&slug, (char)(c | 0x20));
        else if (keep)
            buf_add_char(&slug, c);
        else if (c == ' ' || c == '\n')
            buf_add_char(&slug, '-');
    }
    buf_add(s->out, S(" id=\"card-"));
    html_escape(s->out, slug.failed ? S("long") : buf_str(&slug));
    buf_add_char(s->out, '"');
}

static void write_attributes(Sanitizer *s, const char *name, const GumboElement *e)
{
    for (size_t i = 0; i < COUNT(attributes); i++) {
        const char *value = attribute(e, attributes[i].name);
        if (value && (!attributes[i].element || strcmp(attributes[i].element, name) == 0))
            add_attribute(s->out, attributes[i].name, str_of(value));
    }
    const char *href = strcmp(name, "a") == 0 ? attribute(e, "href") : NULL;
    if (href)
        add_link(s, href);
    const char *id = attribute(e, "id") ? attribute(e, "id") : attribute(e, "name");
    if (id && *id) {
        buf_add(s->out, S(" id=\"card-"));
        html_escape(s->out, str_of(id));
        buf_add_char(s->out, '"');
    }
}

static bool is_heading(const char *name)
{
    return name[0] == 'h' && name[1] >= '1' && name[1] <= '6' && !name[2];
}

/* The page has a level 1 of its own: the card's headings go one down. */
static void write_heading(Sanitizer *s, const char *name, const GumboNode *n)
{
    char level = (char)MIN(name[1] + 1, '6');
    buf_printf(s->out, "<h%c class=\"h%c\"", level, name[1]);
    write_heading_id(s, n);
    buf_add_char(s->out, '>');
    write_children(s, &n->v.element.children);
    buf_printf(s->out, "</h%c>", level);
}

/* "> [!NOTE]" on a line of its own begins a quote that is none. */
typedef struct Callout {
    const char *mark, *title, *tone;
} Callout;

static const Callout callouts[] = {{"[!NOTE]", "Note", "note"},
                                   {"[!TIP]", "Tip", "tip"},
                                   {"[!IMPORTANT]", "Important", "important"},
                                   {"[!WARNING]", "Warning", "warning"},
                                   {"[!CAUTION]", "Caution", "caution"}};

static GumboNode *first_child(const GumboNode *n)
{
    const GumboVector *children = &n->v.element.children;
    for (unsigned i = 0; i < children->length; i++) {
        GumboNode *child = children->data[i];
        if (child->type != GUMBO_NODE_WHITESPACE)
            return child;
    }
    return NULL;
}

/* Takes the mark off a quote's text; NULL if it is a quote. */
static const Callout *take_callout(const GumboNode *quote)
{
    const GumboNode *p = first_child(quote);
    GumboNode *text = p && p->type == GUMBO_NODE_ELEMENT && p->v.element.tag == GUMBO_TAG_P
                          ? first_child(p)
                          : NULL;
    if (!text || text->type != GUMBO_NODE_TEXT)
        return NULL;
    for (size_t i = 0; i < COUNT(callouts); i++) {
        Str mark = str_of(callouts[i].mark), said = str_of(text->v.text.text);
        Str rest = str_slice(said, mark.len, said.len);
        if (!str_eq_nocase(str_slice(said, 0, mark.len), mark) || (rest.len && rest.ptr[0] != '\n'))
            continue;
        text->v.text.text += mark.len;
        return &callouts[i];
    }
    return NULL;
}

static void write_element(Sanitizer *s, const GumboNode *n)
{
    const GumboElement *e = &n->v.element;
    const char *name = gumbo_normalized_tagname(e->tag);
    if (e->tag_namespace != GUMBO_NAMESPACE_HTML || is_in(name, dropped, COUNT(dropped)))
        return;
    if (!is_in(name, allowed, COUNT(allowed))) {
        write_children(s, &e->children);
    } else if (strcmp(name, "img") == 0) {
        write_image(s, e);
    } else if (strcmp(name, "audio") == 0 || strcmp(name, "video") == 0) {
        write_media(s, name, e);
    } else if (strcmp(name, "pre") == 0) {
        write_pre(s, n);
    } else if (strcmp(name, "input") == 0) {
        write_box(s, e);
    } else if (is_heading(name)) {
        write_heading(s, name, n);
    } else {
        bool table = strcmp(name, "table") == 0;
        const Callout *callout = strcmp(name, "blockquote") == 0 ? take_callout(n) : NULL;
        buf_add(s->out, table ? S("<div class=\"scroll\" tabindex=\"0\">") : S(""));
        buf_printf(s->out, "<%s", name);
        write_attributes(s, name, e);
        if (callout)
            buf_printf(s->out, " class=\"callout %s\"", callout->tone);
        buf_add_char(s->out, '>');
        if (callout)
            buf_printf(s->out, "<strong>%s</strong>", callout->title);
        if (!is_in(name, void_elements, COUNT(void_elements))) {
            write_children(s, &e->children);
            buf_printf(s->out, "</%s>", name);
        }
        buf_add(s->out, table ? S("</div>") : S(""));
    }
}

static void write_children(Sanitizer *s, const GumboVector *children)
{
    if (++s->depth <= MAX_DEPTH)
        for (unsigned i = 0; i < children->length; i++) {
            const GumboNode *n = children->data[i];
            if (n->type == GUMBO_NODE_ELEMENT)
                write_element(s, n);
            else if (n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_WHITESPACE ||
                     n->type == GUMBO_NODE_CDATA)
                html_escape(s->out, str_of(n->v.text.text));
        }
    s->depth--;
}

static void write_document(Sanitizer *s, Str html)
{
    GumboOptions options = kGumboDefaultOptions;
    options.allocator = take_memory;
    options.deallocator = keep_memory;
    options.userdata = s;
    options.max_errors = 0;
    const GumboOutput *output = gumbo_parse_with_options(&options, html.ptr, html.len);
    const GumboVector *children = &output->root->v.element.children;
    for (unsigned i = 0; i < children->length; i++) {
        const GumboNode *n = children->data[i];
        if (n->type == GUMBO_NODE_ELEMENT && n->v.element.tag == GUMBO_TAG_BODY)
            write_children(s, &n->v.element.children);
    }
}

/* ---- Depth, before anything is parsed ---- */

static const char *const closed_by_next[] = {"dd", "dt", "li", "option", "p", "td", "th", "tr"};

static Str tag_name(Str html, size_t at)
{
    size_t end = at;
    while (end < html.len && ((html.ptr[end] | 0x20) >= 'a' && (html.ptr[end] | 0x20) <= 'z'))
        end++;
    while (end < html.len && html.ptr[end] >= '0' && html.ptr[end] <= '9')
        end++;
    return str_slice(html, at, end);
}

static bool is_one_of(Str name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(name, str_of(list[i])))
            return true;
    return false;
}

/* Never less than the depth that a parser would come to: an end tag counts only where it closes the
 * element that was opened last. */
static bool nests_too_deep(Str html)
{
    Str open[MAX_OPEN];
    size_t n = 0;
    for (size_t at = 0; (at = str_find_char(html, '<', at)) != SIZE_MAX; at++) {
        bool closing = at + 1 < html.len && html.ptr[at + 1] == '/';
        Str name = tag_name(html, at + 1 + closing);
        bool same = n > 0 && str_eq_nocase(open[n - 1], name);
        if (!name.len || is_one_of(name, void_elements, COUNT(void_elements)))
            continue;
        if (closing) {
            n -= same;
        } else if (!same || !is_one_of(name, closed_by_next, COUNT(closed_by_next))) {
            if (n == MAX_OPEN)
                return true;
            open[n++] = name;
        }
    }
    return false;
}

bool html_sanitize(Str html, const MarkdownOptions *options, Buf *out)
{
    if (nests_too_deep(html))
        return false;
    // Volatile, so that it is itself after the jump.
    Sanitizer *volatile s = xcalloc(1, sizeof *s);
    *s = (Sanitizer){.options = options, .out = out, .arena = arena_new(MAX_MEMORY)};
    bool whole = setjmp(s->out_of_memory) == 0;
    if (whole && html.len)
        write_document(s, html);
    arena_free(s->arena);
    free(s);
    return whole;
}
