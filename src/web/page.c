/* page.c: templates, and the JSON objects that they are rendered with.
 *
 * Templates are strict: a page must give every name that its template mentions, in whatever branch.
 * That is looked at when a template is rendered for the first time, so a mistake is a failing test
 * (web_test.c renders them all) and never an empty spot on a page. */
#include "web/web_internal.h"

#include "base/log.h"
#include "base/map.h"
#include "hub/notifications.h"
#include "text/template.h"
#include "web/embedded.h"

#include <stdatomic.h>

static Map templates; // "home.html" to Template; immutable once loaded
static Map checked;   // likewise, to an atomic_bool: its variables have been looked at

static const Template *find_template(void *context, Str name)
{
    (void)context;
    return map_find(&templates, name);
}

void templates_free(void)
{
    for (size_t i = 0; i < templates.n; i++)
        template_free(templates.entries[i].value);
    for (size_t i = 0; i < checked.n; i++)
        free(checked.entries[i].value);
    map_done(&templates);
    map_done(&checked);
}

bool templates_load(Web *web, Error *err)
{
    static const Str template_folder = {"templates/", 10}, static_folder = {"static/", 7};
    templates_free();
    web->assets = json_object();
    for (size_t i = 0; i < embedded_n; i++) {
        Str name = str_of(embedded[i].name);
        if (str_starts(name, static_folder)) {
            const char *file = embedded[i].name + static_folder.len;
            set(web->assets, file, json_sprintf("/static/%s?v=%s", file, embedded[i].hash));
        }
        if (!str_starts(name, template_folder))
            continue;
        TemplateOptions options = TEMPLATE_PAGE;
        options.name = embedded[i].name + template_folder.len;
        options.find = find_template;
        Template *t = template_parse((Str){embedded[i].bytes, embedded[i].size}, &options, err);
        if (!t)
            return false;
        map_put(&templates, str_of(options.name), t);
        map_put(&checked, str_of(options.name), xcalloc(1, sizeof(atomic_bool)));
    }
    return true;
}

static json_t *viewer_json(Request *r, const Viewer *viewer)
{
    int64_t unread = 0;
    if (viewer->by == BY_NOBODY)
        return json_pack("{s:b, s:s, s:s, s:b, s:i}", "known", 0, "name", "", "avatar", "", "admin",
                         0, "unread", 0);
    if (!notification_unread(hub_of(r), viewer, &unread, NULL))
        unread = 0; // a page without the number is better than none
    json_t *v = json_pack("{s:b, s:b, s:I}", "known", 1, "admin", viewer->account.is_admin,
                          "unread", (json_int_t)unread);
    set_str(v, "name", viewer->account.name);
    set_str(v, "avatar", viewer->account.avatar);
    return v;
}

json_t *page_new(Request *r, const char *title)
{
    const Visit *visit = request_data(r);
    const Web *web = web_current();
    json_t *page = json_object();
    Str theme = request_cookie(r, "hug_theme");
    bool chosen = str_eq(theme, S("dark")) || str_eq(theme, S("light"));
    set(page, "title", json_string(title));
    set_str(page, "theme", chosen ? theme : S("auto"));
    set(page, "viewer", viewer_json(r, &visit->viewer));
    set_str(page, "csrf_token", visit->csrf);
    set_str(page, "here", request_target(r));
    set_str(page, "request_id", request_id(r));
    set(page, "section", json_string(""));
    set(page, "search", json_string(""));
    set(page, "signup", json_boolean(!web->options.no_signup));
    set(page, "notice", json_string(""));
    set(page, "problem", json_string(""));
    set(page, "host", json_string(web_url(r)));
    set(page, "assets", json_incref(web->assets));
    return page;
}

/* One policy for all pages: everything from this host, nothing inline. */
static void add_headers(Request *r)
{
    reply_header(r, "Content-Security-Policy",
                 S("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                   "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
                   "frame-ancestors 'none'"));
    reply_header(r, "X-Content-Type-Options", S("nosniff"));
    reply_header(r, "Referrer-Policy", S("same-origin"));
    reply_header(r, "Cache-Control", S("no-store"));
}

typedef struct Lack {
    const json_t *page;
    Str name; // that the page does not give
} Lack;

static void look_for(void *context, Str name)
{
    Lack *lack = context;
    if (!json_object_getn(lack->page, name.ptr, name.len))
        lack->name = name;
}

static bool has_variables(const Template *t, const char *file, const json_t *page, Error *err)
{
    atomic_bool *seen = map_find(&checked, str_of(file));
    Lack lack = {.page = page};
    if (atomic_load(seen))
        return true;
    template_each_variable(t, look_for, &lack);
    if (lack.name.len)
        return fail(err, ERR_INVALID, "%s: the page does not give '%.*s'", file, STR(lack.name));
    atomic_store(seen, true);
    return true;
}

void page_render(Request *r, int status, const char *name, json_t *page)
{
    Error err = {0};
    AUTO_BUF out;
    char file[64];
    buf_init(&out, 16 << 20);
    snprintf(file, sizeof file, "%s.html", name);
    const Template *t = map_find(&templates, str_of(file));
    CHECK(t);
    bool ok = has_variables(t, file, page, &err) && template_render(t, page, NULL, &out, &err);
    json_decref(page);
    add_headers(r);
    if (ok) {
        reply_buf(r, status, "text/html; charset=utf-8", &out);
        return;
    }
    log_error("page", "id=%.*s page=%s error=\"%s\"", STR(request_id(r)), name, err.text);
    reply_bytes(r, 500, "text/plain; charset=utf-8", S("This page could not be made.\n"));
}

/* ---- Small pieces ---- */

Str text_cut(Str text, size_t most)
{
    if (text.len <= most)
        return text;
    while (most && ((unsigned char)text.ptr[most] & 0xC0) == 0x80)
        most--;
    return str_slice(text, 0, most);
}

json_t *json_when(int64_t wall)
{
    static const struct {
        int64_t seconds;
        const char *one, *many;
    } units[] = {{31557600, "a year", "years"},
                 {2629800, "a month", "months"},
                 {86400, "a day", "days"},
                 {3600, "an hour", "hours"},
                 {60, "a minute", "minutes"}};
    char iso[ISO8601_SIZE], text[64] = "just now";
    iso8601_format(wall, iso);
    int64_t age = (wall_ns() - wall) / NS_PER_S;
    for (size_t i = 0; i < COUNT(units); i++)
        if (age >= units[i].seconds) {
            int64_t n = age / units[i].seconds;
            if (n == 1)
                snprintf(text, sizeof text, "%s ago", units[i].one);
            else
                snprintf(text, sizeof text, "%lld %s ago", (long long)n, units[i].many);
            break;
        }
    return json_pack("{s:s, s:s, s:o}", "text", text, "iso", iso, "exact",
                     json_sprintf("%.10s %.8s UTC", iso, iso + 11));
}

/* "1,234,567" */
static void group_digits(int64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), to = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0 && digits[i - 1] != '-')
            out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = 0;
}

static void scaled(int64_t n, const char *const *units, size_t n_units, char out[32])
{
    double value = (double)n;
    size_t i = 0;
    while (value >= 999.5 && i + 1 < n_units) {
        value /= 1000;
        i++;
    }
    snprintf(out, 32, value < 9.95 && i ? "%.1f%s" : "%.0f%s", value, units[i]);
}

json_t *json_size(int64_t bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB"};
    char text[32], exact[32];
    scaled(bytes, units, COUNT(units), text);
    group_digits(bytes, exact);
    return json_pack("{s:s, s:o}", "text", text, "exact", json_sprintf("%s bytes", exact));
}

json_t *json_count(int64_t n)
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    char text[32], exact[32];
    scaled(n, units, COUNT(units), text);
    group_digits(n, exact);
    return json_pack("{s:s, s:s, s:I}", "text", text, "exact", exact, "n", (json_int_t)n);
}

json_t *task_label(Str task)
{
    AUTO_BUF label;
    buf_init(&label, 200);
    for (size_t i = 0; i < task.len; i++)
        buf_add_char(&label, task.ptr[i] == '-' ? ' ' : task.ptr[i]);
    if (label.len && label.ptr[0] >= 'a' && label.ptr[0] <= 'z')
        label.ptr[0] = (char)(label.ptr[0] & ~0x20);
    return json_from_str(buf_str(&label));
}

json_t *item_json(const RepoItem *item)
{
    const Repo *repo = &item->repo;
    json_t *o = json_object();
    set(o, "kind", json_string(repo_kind_info(repo->kind)->name));
    set(o, "path", json_sprintf("/%s%.*s", repo_kind_info(repo->kind)->prefix, STR(repo->full)));
    set_str(o, "owner", repo->owner);
    set_str(o, "name", repo->name);
    set(o, "private", json_boolean(repo->is_private));
    set(o, "task", task_label(item->pipeline_tag));
    set_str(o, "library", item->library);
    set(o, "parameters", item->parameters ? json_count(item->parameters) : json_null());
    set_str(o, "sdk", item->sdk);
    set(o, "updated", json_when(repo->updated_ns));
    set(o, "downloads", json_count(repo->downloads));
    set(o, "likes", json_count(repo->likes));
    return o;
}
