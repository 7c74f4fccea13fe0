/* notebook.c: see notebook.h. */
#include "web/notebook.h"

#include "base/encode.h"
#include "web/highlight.h"
#include "web/markdown.h"
#include "web/web_internal.h"

enum {
    MAX_CELLS = 2000,
    MAX_OUTPUTS = 200, // of a cell
    MAX_TEXT = 20000,  // of one output
    MAX_IMAGE = 8 << 20,
    MAX_HTML = 4 << 20, // of all
};

typedef struct Notebook {
    Arena *arena;
    const NotebookOptions *options;
    Str language;
    int64_t n_images;
    size_t written; // bytes of HTML
    bool cut;
} Notebook;

static const char *const image_types[] = {"image/png", "image/jpeg"};

/* Texts are a string or a list of lines. */
static Str text_of(Arena *a, const json_t *value)
{
    if (json_is_string(value))
        return (Str){json_string_value(value), json_string_length(value)};
    AUTO_BUF out;
    buf_init(&out, 0);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *line = json_array_get(value, i);
        if (json_is_string(line))
            buf_add(&out, (Str){json_string_value(line), json_string_length(line)});
    }
    return arena_str(a, buf_str(&out));
}

/* Without the escapes by which terminals are told of colours. */
static Str without_escapes(Arena *a, Str text)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\x1B' && i + 1 < text.len && text.ptr[i + 1] == '[') {
            i += 2;
            while (i < text.len && (text.ptr[i] < '@' || text.ptr[i] > '~'))
                i++;
            continue;
        }
        out[n++] = text.ptr[i];
    }
    return (Str){out, n};
}

static json_t *output_json(const char *kind)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b}", "kind", kind, "text", "", "html", "", "url", "",
                     "cut", 0);
}

static json_t *text_json(Notebook *nb, const char *kind, Str text)
{
    json_t *out = output_json(kind);
    Str plain = without_escapes(nb->arena, text), shown = text_cut(plain, MAX_TEXT);
    nb->written += shown.len;
    set_str(out, "text", shown);
    set(out, "cut", json_boolean(shown.len < plain.len));
    return out;
}

static json_t *html_json(Notebook *nb, Str html)
{
    AUTO_BUF out;
    buf_init(&out, MAX_HTML);
    static const MarkdownOptions options = {0};
    if (!html_sanitize(html, &options, &out) || !buf_ok(&out, NULL))
        return NULL;
    nb->written += out.len;
    json_t *o = output_json("html");
    set_str(o, "html", buf_str(&out));
    return o;
}

/* The best of what an output can be shown as: a picture, a table, a text. */
static json_t *data_json(Notebook *nb, const json_t *data)
{
    for (size_t i = 0; i < COUNT(image_types); i++)
        if (json_object_get(data, image_types[i])) {
            json_t *out = output_json("image");
            set(out, "url",
                json_string(arena_printf(nb->arena, "%s%lld", nb->options->image_base,
                                         (long long)nb->n_images++)));
            set_str(out, "text",
                    text_cut(text_of(nb->arena, json_object_get(data, "text/plain")), 200));
            return out;
        }
    const json_t *html = json_object_get(data, "text/html");
    json_t *out = html ? html_json(nb, text_of(nb->arena, html)) : NULL;
    if (out)
        return out;
    const json_t *plain = json_object_get(data, "text/plain");
    return plain ? text_json(nb, "text", text_of(nb->arena, plain)) : NULL;
}

static json_t *one_output(Notebook *nb, const json_t *output)
{
    Str type = json_str(output, "output_type");
    if (str_eq(type, S("stream")))
        return text_json(nb, str_eq(json_str(output, "name"), S("stderr")) ? "error" : "text",
                         text_of(nb->arena, json_object_get(output, "text")));
    if (!str_eq(type, S("error")))
        return data_json(nb, json_object_get(output, "data"));
    AUTO_BUF trace;
    buf_init(&trace, 0);
    const json_t *lines = json_object_get(output, "traceback");
    for (size_t i = 0; i < json_array_size(lines); i++)
        buf_printf(&trace, "%s%s", i ? "\n" : "",
                   json_is_string(json_array_get(lines, i))
                       ? json_string_value(json_array_get(lines, i))
                       : "");
    if (!trace.len)
        buf_printf(&trace, "%s: %s", json_text(output, "ename", "Error"),
                   json_text(output, "evalue", ""));
    return text_json(nb, "error", arena_str(nb->arena, buf_str(&trace)));
}

static json_t *cell_json_of(Notebook *nb, const json_t *cell)
{
    Str type = json_str(cell, "cell_type");
    Str source = text_of(nb->arena, json_object_get(cell, "source"));
    json_t *outputs = json_array();
    const char *kind = str_eq(type, S("markdown")) ? "markdown"
                       : str_eq(type, S("code"))   ? "code"
                                                   : "raw";
    AUTO_BUF html;
    buf_init(&html, MAX_HTML);
    if (strcmp(kind, "markdown") == 0)
        buf_add(&html, nb->options->markdown(nb->options->user, source));
    else
        highlight(&html, source, strcmp(kind, "code") == 0 ? nb->language : (Str){0});
    nb->written += html.len;
    const json_t *given = json_object_get(cell, "outputs");
    for (size_t i = 0; i < json_array_size(given); i++) {
        json_t *output = i < MAX_OUTPUTS ? one_output(nb, json_array_get(given, i)) : NULL;
        nb->cut |= i >= MAX_OUTPUTS;
        if (output)
            json_array_append_new(outputs, output);
    }
    const json_t *count = json_object_get(cell, "execution_count");
    return json_pack(
        "{s:s, s:o, s:o, s:o}", "kind", kind, "html", json_from_str(buf_str(&html)), "count",
        json_is_integer(count) ? json_incref((json_t *)(uintptr_t)count) : json_string(""),
        "outputs", outputs);
}

static json_t *notebook_parse(Str text, const char *name, Error *err)
{
    AUTO(json_decref) json_t *root = json_parse(text, name, err);
    if (!root)
        return NULL;
    if (!json_is_array(json_object_get(root, "cells")))
        return fail(err, ERR_INVALID, "%s: a notebook of format 4 has a list 'cells'", name);
    return TAKE(root);
}

json_t *notebook_view(Arena *a, Str text, const char *name, const NotebookOptions *options,
                      Error *err)
{
    AUTO(json_decref) json_t *root = notebook_parse(text, name, err);
    if (!root)
        return NULL;
    const json_t *language = json_at(root, "metadata.language_info.name");
    Notebook nb = {.arena = a,
                   .options = options,
                   .language = json_is_string(language) ? str_of(json_string_value(language))
                                                        : S("python")};
    const json_t *given = json_object_get(root, "cells");
    json_t *cells = json_array();
    for (size_t i = 0; i < json_array_size(given) && !nb.cut; i++) {
        nb.cut = i == MAX_CELLS || nb.written > MAX_HTML;
        if (!nb.cut)
            json_array_append_new(cells, cell_json_of(&nb, json_array_get(given, i)));
    }
    return json_pack("{s:o, s:b}", "cells", cells, "cut", nb.cut);
}

/* Counts as data_json does. */
static const json_t *image_at(const json_t *root, int64_t n, const char **mime)
{
    const json_t *cells = json_object_get(root, "cells");
    for (size_t i = 0; i < json_array_size(cells); i++) {
        const json_t *outputs = json_object_get(json_array_get(cells, i), "outputs");
        for (size_t k = 0; k < json_array_size(outputs) && k < MAX_OUTPUTS; k++) {
            const json_t *data = json_object_get(json_array_get(outputs, k), "data");
            const json_t *image = NULL;
            for (size_t t = 0; t < COUNT(image_types) && !image; t++)
                if ((image = json_object_get(data, image_types[t])))
                    *mime = image_types[t];
            if (image && n-- == 0)
                return image;
        }
    }
    return NULL;
}

bool notebook_image(Arena *a, Str text, const char *name, int64_t n, const char **mime, Str *bytes,
                    Error *err)
{
    AUTO(json_decref) json_t *root = notebook_parse(text, name, err);
    if (!root)
        return false;
    const json_t *image = image_at(root, n, mime);
    if (!image)
        return fail(err, ERR_NOT_FOUND, "%s: there is no picture %lld", name, (long long)n);
    AUTO_BUF out;
    buf_init(&out, MAX_IMAGE);
    if (!base64_decode(&out, text_of(a, image), err) || !buf_ok(&out, err))
        return fail_while(err, "%s: picture %lld", name, (long long)n);
    *bytes = arena_str(a, buf_str(&out));
    return true;
}
