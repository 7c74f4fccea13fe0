/* page_static.c: style sheets, scripts and icons; their addresses carry a hash, so they are cached
 * for good. The theme switch is here too: a cookie, so that pages come in the right colours at
 * once. */
#include "web/embedded.h"
#include "web/web_internal.h"

static const struct {
    const char *suffix, *type;
} types[] = {
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static void send_static(Request *r, Str name)
{
    for (size_t i = 0; i < embedded_n; i++) {
        Str file = str_of(embedded[i].name);
        if (!str_starts(file, S("static/")) || !str_eq(str_slice(file, 7, file.len), name))
            continue;
        const char *type = "application/octet-stream";
        for (size_t k = 0; k < COUNT(types); k++)
            if (str_ends(name, str_of(types[k].suffix)))
                type = types[k].type;
        bool hashed = str_eq(request_query_get(r, "v"), str_of(embedded[i].hash));
        reply_header(r, "Cache-Control",
                     hashed ? S("public, max-age=31536000, immutable") : S("public, max-age=60"));
        reply_header(r, "X-Content-Type-Options", S("nosniff"));
        reply_content(r, (Str){embedded[i].bytes, embedded[i].size}, type,
                      str_of(arena_printf(request_arena(r), "\"%s\"", embedded[i].hash)));
        return;
    }
    reply_failure(r, 404, "There is no such file");
}

static void static_file(Request *r)
{
    send_static(r, request_param(r, "file"));
}

static void favicon(Request *r)
{
    send_static(r, S("logo.svg"));
}

static void theme(Request *r)
{
    Params form;
    if (!web_form(r, &form))
        return;
    Str theme = params_get(&form, "theme");
    bool known = str_eq(theme, S("dark")) || str_eq(theme, S("light"));
    reply_headerf(r, "Set-Cookie", "hug_theme=%s; Path=/; SameSite=Lax; Max-Age=31536000",
                  !known                     ? "auto"
                  : str_eq(theme, S("dark")) ? "dark"
                                             : "light");
    reply_redirect(r, 303, web_next(params_get(&form, "next")));
}

const Route web_static_routes[] = {
    {"GET", "/static/{file}", static_file, .access = WEB_STATIC, .summary = "Style sheets, scripts, icons"},
    {"GET", "/favicon.ico", favicon, .access = WEB_STATIC, .summary = "The icon"},
    {"POST", "/theme", theme, .summary = "Light, dark, or as the system"},
};
const size_t web_static_routes_n = COUNT(web_static_routes);
