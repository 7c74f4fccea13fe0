/* template_html.c: which kind of escaping each {{ }} of a page needs.
 *
 * Follows the HTML that a template writes literally, byte by byte, as far as it decides how a
 * printed value is read: text, a quoted attribute value (a URL or not), or the content of a raw
 * text element.
 *
 *     TEXT -> OPEN -> NAME -> TAG -> ATTRIBUTE -> EQUALS -> VALUE -> TAG ... -> TEXT or RAW
 *
 * A state is normal: fields that do not matter where it is are zero, so that two branches which end
 * in the same place compare equal. */
#include "text/template_internal.h"

enum { TEXT, OPEN, NAME, TAG, ATTRIBUTE, EQUALS, VALUE, BARE, MARKUP, COMMENT, RAW, RAW_OPEN };
enum { URL_NONE, URL_START, URL_PATH, URL_QUERY };

static const char *const where_names[] = {
    [TEXT] = "text",
    [OPEN] = "a tag",
    [NAME] = "a tag's name",
    [TAG] = "a tag",
    [ATTRIBUTE] = "an attribute's name",
    [EQUALS] = "an unquoted attribute value",
    [VALUE] = "an attribute value",
    [BARE] = "an unquoted attribute value",
    [MARKUP] = "a declaration",
    [COMMENT] = "a comment",
    [RAW] = "a raw text element",
    [RAW_OPEN] = "a raw text element",
};

/* Elements whose content is not markup. */
static const struct {
    const char *name;
    bool printable;
    Escape escape;
} raw_elements[] = {
    {"", false, ESCAPE_NONE},        {"script", true, ESCAPE_SCRIPT}, {"style", false, ESCAPE_NONE},
    {"textarea", true, ESCAPE_TEXT}, {"title", true, ESCAPE_TEXT},
};

static const char *const url_attributes[] = {"href",   "src",        "action",  "formaction",
                                             "poster", "cite",       "data",    "manifest",
                                             "ping",   "background", "longdesc"};

/* What is code or its own little language; printing into these is refused. */
static const char *const code_attributes[] = {"style", "srcdoc", "srcset", "imagesrcset"};

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool is_letter(char c)
{
    return lower(c) >= 'a' && lower(c) <= 'z';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static void go(HtmlState *s, int where)
{
    s->where = (uint8_t)where;
}

static void add_name(char *name, size_t size, uint8_t *len, char c)
{
    if (*len + 1u < size)
        name[(*len)++] = lower(c);
    name[*len] = 0;
}

static void clear_attribute(HtmlState *s)
{
    memset(s->attribute, 0, sizeof s->attribute);
    s->attribute_len = 0;
    s->quote = 0;
    s->url = URL_NONE;
}

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static void end_tag(HtmlState *s)
{
    uint8_t element = 0;
    for (size_t i = 1; i < COUNT(raw_elements) && !s->closing; i++)
        if (strcmp(s->tag, raw_elements[i].name) == 0)
            element = (uint8_t)i;
    *s = (HtmlState){.where = element ? RAW : TEXT, .element = element};
}

static void start_value(HtmlState *s, char quote)
{
    s->quote = quote;
    if (is_one_of(s->attribute, url_attributes, COUNT(url_attributes)))
        s->url = URL_START;
    // Kept where it is code: html_print looks.
    if (!is_one_of(s->attribute, code_attributes, COUNT(code_attributes)) &&
        strncmp(s->attribute, "on", 2) != 0) {
        memset(s->attribute, 0, sizeof s->attribute);
        s->attribute_len = 0;
    }
    go(s, VALUE);
}

static void follow_value(HtmlState *s, char c)
{
    if (c == s->quote) {
        clear_attribute(s);
        go(s, TAG);
    } else if (s->url) {
        s->url = c == '?' || c == '#' || s->url == URL_QUERY ? URL_QUERY : URL_PATH;
    }
}

static void follow_tag(HtmlState *s, char c)
{
    if (c == '>') {
        end_tag(s);
    } else if (s->where == NAME) {
        if (is_blank(c) || c == '/')
            go(s, TAG);
        else
            add_name(s->tag, sizeof s->tag, &s->tag_len, c);
    } else if (s->where == EQUALS && (c == '"' || c == '\'')) {
        start_value(s, c);
    } else if (s->where == EQUALS && !is_blank(c)) {
        clear_attribute(s);
        go(s, BARE);
    } else if (s->where == BARE && is_blank(c)) {
        go(s, TAG);
    } else if (s->where == ATTRIBUTE && c == '=') {
        go(s, EQUALS);
    } else if (s->where == ATTRIBUTE && (is_blank(c) || c == '/')) {
        clear_attribute(s);
        go(s, TAG);
    } else if (s->where == TAG && !is_blank(c) && c != '/') {
        clear_attribute(s);
        go(s, ATTRIBUTE);
        add_name(s->attribute, sizeof s->attribute, &s->attribute_len, c);
    } else if (s->where == ATTRIBUTE) {
        add_name(s->attribute, sizeof s->attribute, &s->attribute_len, c);
    }
}

static void follow_open(HtmlState *s, char c)
{
    if (c == '/' && !s->closing) {
        s->closing = true;
    } else if (c == '!' && !s->closing) {
        go(s, MARKUP);
    } else if (is_letter(c)) {
        go(s, NAME);
        add_name(s->tag, sizeof s->tag, &s->tag_len, c);
    } else {
        *s = (HtmlState){.where = c == '<' ? OPEN : TEXT};
    }
}

/* In a raw text element only "</" and its own name matter. */
static void follow_raw(HtmlState *s, char c)
{
    const char *name = raw_elements[s->element].name;
    if (s->where == RAW) {
        if (c == '<')
            go(s, RAW_OPEN);
    } else if (c == '/' && !s->closing) {
        s->closing = true;
    } else if (s->closing && lower(c) == name[s->tag_len]) {
        s->tag_len++;
        if (!name[s->tag_len])
            *s = (HtmlState){.where = TAG, .closing = true};
    } else {
        *s = (HtmlState){.where = c == '<' ? RAW_OPEN : RAW, .element = s->element};
    }
}

/* "<!doctype>" and "<!-- -->"; tag_len counts the dashes seen last. */
static void follow_markup(HtmlState *s, char c)
{
    if (c == '-') {
        s->tag_len = (uint8_t)MIN(s->tag_len + 1, 2);
        if (s->where == MARKUP && s->tag_len == 2)
            *s = (HtmlState){.where = COMMENT};
        return;
    }
    if (c == '>' && (s->where == MARKUP || s->tag_len == 2))
        *s = (HtmlState){0};
    s->tag_len = 0;
}

void html_follow(HtmlState *s, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        switch (s->where) {
        case TEXT:
            if (c == '<')
                go(s, OPEN);
            break;
        case OPEN:
            follow_open(s, c);
            break;
        case VALUE:
            follow_value(s, c);
            break;
        case RAW:
        case RAW_OPEN:
            follow_raw(s, c);
            break;
        case MARKUP:
        case COMMENT:
            follow_markup(s, c);
            break;
        default:
            follow_tag(s, c);
        }
    }
}

bool html_state_eq(const HtmlState *a, const HtmlState *b)
{
    return a->where == b->where && a->element == b->element && a->url == b->url &&
           a->quote == b->quote && a->closing == b->closing && strcmp(a->tag, b->tag) == 0 &&
           strcmp(a->attribute, b->attribute) == 0;
}

bool html_is_text(const HtmlState *s)
{
    return s->where == TEXT;
}

const char *html_state_name(const HtmlState *s)
{
    return where_names[s->where];
}

bool html_print(HtmlState *s, Escape *escape, Error *err)
{
    if (s->where == TEXT) {
        *escape = ESCAPE_TEXT;
        return true;
    }
    if (s->where == RAW && raw_elements[s->element].printable) {
        *escape = raw_elements[s->element].escape;
        return true;
    }
    if (s->where == VALUE && s->attribute_len)
        return fail(err, ERR_INVALID, "nothing can be printed in the attribute '%s'", s->attribute);
    if (s->where == VALUE) {
        *escape = s->url == URL_START   ? ESCAPE_URL
                  : s->url == URL_PATH  ? ESCAPE_URL_PATH
                  : s->url == URL_QUERY ? ESCAPE_URL_QUERY
                                        : ESCAPE_ATTRIBUTE;
        if (s->url == URL_START)
            s->url = URL_PATH;
        return true;
    }
    return fail(err, ERR_INVALID, "nothing can be printed in %s", html_state_name(s));
}
