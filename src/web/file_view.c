/* file_view.c: see file_view.h. A file has one way in which it is best looked at, by its name;
 * where that fails the page says why and falls back to text, or to what kind of file it is. */
#include "web/file_view.h"

#include "base/file.h"
#include "hub/content.h"
#include "web/highlight.h"
#include "web/markdown.h"
#include "web/notebook.h"
#include "web/page_repo.h"
#include "web/sheet.h"
#include "web/tensor_view.h"
#include "web/web_internal.h"

enum {
    MAX_SHOWN = 1 << 20, // of a file as text
    MAX_ROWS = 100,
    MAX_LINE = 400, // JSON with a longer line is laid out anew
};

typedef struct View {
    Request *request;
    json_t *page;
    const Repo *repo;
    const RepoFile *file;
    Str rev, path;
    Str text; // where it is short and a text
    bool is_text;
    const char *name; // what blob.html calls the way it is shown
} View;

/* Each line in an element with its number, which the style sheet prints. */
static Str lines_html(Arena *a, Str text, Str path, int64_t *n_lines)
{
    AUTO_BUF code;
    AUTO_BUF out;
    buf_init(&code, 0);
    buf_init(&out, 0);
    highlight(&code, text, highlight_language(path));
    Str rest = buf_str(&code), line;
    if (str_ends(rest, S("\n")))
        rest.len--;
    for (*n_lines = 0; str_split(&rest, '\n', &line);) {
        ++*n_lines;
        buf_printf(&out, "<span class=\"line\" id=\"L%lld\" data-n=\"%lld\">", (long long)*n_lines,
                   (long long)*n_lines);
        buf_add(&out, line);
        buf_add(&out, S("</span>\n"));
    }
    return arena_str(a, buf_str(&out));
}

/* ---- The ways ---- */

static bool show_tensors(View *v, Error *err)
{
    const Tensors *found;
    if (!tensors_read(hub_of(v->request), request_arena(v->request), v->repo, v->rev, v->path,
                      &found, err))
        return false;
    set(v->page, "tensors", tensor_view(v->request, found));
    return true;
}

static bool show_markdown(View *v, Error *err)
{
    Str yaml, text;
    if (!v->is_text)
        return false;
    card_split(v->text, &yaml, &text);
    set_str(v->page, "html", page_markdown(v->request, v->repo, v->rev, text));
    return true;
}

static bool format_by_name(Str path, TableFormat *out)
{
    static const struct {
        const char *suffix;
        TableFormat format;
    } formats[] = {{".csv", TABLE_CSV},
                   {".tsv", TABLE_TSV},
                   {".jsonl", TABLE_JSON},
                   {".ndjson", TABLE_JSON},
                   {".parquet", TABLE_PARQUET}};
    for (size_t i = 0; i < COUNT(formats); i++)
        if (str_eq(path_suffix(path), str_of(formats[i].suffix))) {
            *out = formats[i].format;
            return true;
        }
    return false;
}

/* The first rows; of Parquet the number of all, which it knows. */
static bool show_table(View *v, Error *err)
{
    TableFormat format;
    TableRows rows;
    Arena *a = request_arena(v->request);
    AUTO_CONTENT content = {0};
    if (!format_by_name(v->path, &format) ||
        !content_open(hub_of(v->request), a, v->repo, v->file->sha, &v->file->entry, &content, err))
        return false;
    AUTO(table_free) Table *t = table_open(&content.source, format, err);
    if (!t || !table_read(t, 0, MAX_ROWS, a, &rows, err))
        return false;
    Sheet sheet = sheet_of(0);
    (void)sheet_add(&sheet, table_type(t), &rows, NULL);
    set(v->page, "columns", sheet.columns);
    set(v->page, "rows", sheet.rows);
    set(v->page, "n_rows", table_rows(t) >= 0 ? json_count(table_rows(t)) : json_null());
    return true;
}

static Str cell_markdown(void *user, Str text)
{
    const View *v = user;
    return page_markdown(v->request, v->repo, v->rev, text);
}

/* The text of a notebook, in git or in LFS. */
static bool notebook_read(Hub *hub, Arena *a, const Repo *repo, const RepoFile *file, Str *out,
                          Error *err)
{
    AUTO_CONTENT content = {0};
    if (file->entry.size > NOTEBOOK_MAX)
        return fail(err, ERR_LIMIT, "%.*s: notebooks over 8 MiB are not shown",
                    STR(file->entry.path));
    if (!content_open(hub, a, repo, file->sha, &file->entry, &content, err))
        return false;
    char *text = arena_try(a, (size_t)content.source.size + 1, 1, err);
    *out = (Str){text, (size_t)content.source.size};
    return text && byte_source_read(&content.source, text, out->len, 0, err);
}

static bool show_notebook(View *v, Error *err)
{
    Str text;
    Arena *a = request_arena(v->request);
    if (!notebook_read(hub_of(v->request), a, v->repo, v->file, &text, err))
        return false;
    Str pictures = rev_path(a, v->repo, "picture", v->rev, v->path);
    NotebookOptions options = {.markdown = cell_markdown,
                               .user = v,
                               .image_base = arena_printf(a, "%.*s?n=", STR(pictures))};
    json_t *notebook = notebook_view(a, text, arena_cstr(a, v->path), &options, err);
    if (notebook)
        set(v->page, "notebook", notebook);
    return notebook;
}

/* JSON that is written in long lines, in short ones. */
static bool show_json(View *v, Error *err)
{
    Str rest = v->text, line;
    size_t longest = 0;
    while (str_split(&rest, '\n', &line))
        longest = MAX(longest, line.len);
    if (!v->is_text || longest <= MAX_LINE)
        return false;
    AUTO(json_decref)
    json_t *value = json_parse(v->text, arena_cstr(request_arena(v->request), v->path), err);
    if (!value)
        return false;
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write_indented(&text, value);
    int64_t lines;
    set_str(v->page, "html",
            lines_html(request_arena(v->request), buf_str(&text), v->path, &lines));
    set(v->page, "lines", json_integer(lines));
    return true;
}

/* By the ending of the name; those that can be shown as text as well say so. */
static const struct Way {
    const char *suffix, *name;
    bool (*show)(View *v, Error *err);
} ways[] = {
    {".md", "markdown", show_markdown},
    {".safetensors", "tensors", show_tensors},
    {".gguf", "tensors", show_tensors},
    {".safetensors.index.json", "tensors", show_tensors},
    {".csv", "table", show_table},
    {".tsv", "table", show_table},
    {".jsonl", "table", show_table},
    {".ndjson", "table", show_table},
    {".parquet", "table", show_table},
    {".ipynb", "notebook", show_notebook},
    {".json", "text", show_json},
    {".png", "image", NULL},
    {".jpg", "image", NULL},
    {".jpeg", "image", NULL},
    {".gif", "image", NULL},
    {".webp", "image", NULL},
    {".svg", "image", NULL},
    {".bmp", "image", NULL},
    {".wav", "audio", NULL},
    {".mp3", "audio", NULL},
    {".flac", "audio", NULL},
    {".ogg", "audio", NULL},
    {".mp4", "video", NULL},
    {".webm", "video", NULL},
};

static const struct Way *way_of(Str path)
{
    const struct Way *found = NULL;
    for (size_t i = 0; i < COUNT(ways); i++) {
        size_t n = strlen(ways[i].suffix);
        if (path.len > n &&
            str_eq_nocase(str_slice(path, path.len - n, path.len), str_of(ways[i].suffix)) &&
            (!found || n > strlen(found->suffix)))
            found = &ways[i];
    }
    return found;
}

bool file_is_image(Str path)
{
    const struct Way *way = way_of(path);
    return way && strcmp(way->name, "image") == 0;
}

static void set_defaults(json_t *page)
{
    static const char *const none[] = {"tensors", "notebook", "n_rows"};
    for (size_t i = 0; i < COUNT(none); i++)
        set(page, none[i], json_null());
    set(page, "columns", json_array());
    set(page, "rows", json_array());
    set(page, "from", json_integer(0));
    set(page, "html", json_string(""));
    set(page, "lines", json_integer(0));
}

/* As text, or by what it is. */
static const char *show_plainly(View *v)
{
    int64_t lines;
    if (!v->is_text)
        return v->file->entry.is_lfs ? "lfs" : v->file->entry.size > MAX_SHOWN ? "large" : "binary";
    set_str(v->page, "html", lines_html(request_arena(v->request), v->text, v->path, &lines));
    set(v->page, "lines", json_integer(lines));
    return "text";
}

bool file_view(Request *r, json_t *page, const Repo *repo, const RepoFile *file, Str rev,
               Error *err)
{
    Error why = {0};
    View v = {.request = r,
              .page = page,
              .repo = repo,
              .file = file,
              .rev = rev,
              .path = file->entry.path};
    bool plain = request_query_get(r, "plain").len > 0;
    const struct Way *way = way_of(v.path);
    bool is_media = way && !way->show;
    set_defaults(page);
    if (!is_media && !file->entry.is_lfs && file->entry.size <= MAX_SHOWN) {
        if (!repo_file_bytes(hub_of(r), request_arena(r), repo, file, MAX_SHOWN, &v.text, err))
            return false;
        v.is_text = web_is_text(v.text);
    }
    bool shown = is_media || (way && !(plain && v.is_text) && way->show(&v, &why));
    const char *name = shown ? way->name : show_plainly(&v);
    set(page, "view", json_string(name));
    set(page, "editable", json_boolean(v.is_text));
    set(page, "rendered", json_boolean(v.is_text && way && (shown || plain)));
    set(page, "plain", json_boolean(plain));
    set(page, "problem", json_string(why.text));
    return true;
}

void notebook_picture(Request *r)
{
    Error err = {0};
    Repo repo;
    RepoFile file;
    Str text, bytes;
    const char *mime;
    int64_t n;
    Arena *a = request_arena(r);
    Str path = request_param(r, "path");
    if (!web_repo(r, ACCESS_FILES, &repo))
        return;
    if (!str_to_int(request_query_get(r, "n"), 0, INT32_MAX, &n))
        return reply_failure(r, 404, "There is no such picture");
    if (!repo_file(hub_of(r), a, &repo, request_param(r, "rev"), path, &file, &err) ||
        !notebook_read(hub_of(r), a, &repo, &file, &text, &err) ||
        !notebook_image(a, text, arena_cstr(a, path), n, &mime, &bytes, &err))
        return reply_error(r, &err);
    reply_header(r, "Content-Security-Policy", S("default-src 'none'; sandbox"));
    reply_header(r, "X-Content-Type-Options", S("nosniff"));
    reply_header(r, "Cache-Control", S("private, max-age=600"));
    reply_bytes(r, 200, mime, bytes);
}
