/* Golden cases come from Jinja2 through tools/golden/jinja.py; pages and limits are our own. */
#include "base/map.h"
#include "base/test.h"
#include "text/template.h"

static bool render(const char *source, const TemplateOptions *options, const char *variables,
                   const TemplateRun *run, Buf *out, Error *err)
{
    AUTO(json_decref) json_t *json = json_parse(str_of(variables), "variables", err);
    if (!json)
        return false;
    AUTO(template_free) Template *t = template_parse(str_of(source), options, err);
    return t && template_render(t, json, run, out, err);
}

/* One case: what Jinja2 printed, or that it failed. */
static bool run_case(const json_t *c, const char *text, Error *err)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    TemplateOptions options = {.name = "case"};
    options.trim_blocks = options.lstrip_blocks = json_flag(c, "chat", false);
    options.keep_trailing_newline = json_flag(c, "keep", false);
    AUTO(template_free) Template *t = template_parse(json_str(c, "template"), &options, err);
    bool ok = t && template_render(t, json_object_get(c, "vars"), NULL, &out, err);
    if (json_object_get(c, "error"))
        return !ok || (print_error("%s: printed '%s', Jinja2 fails: %s\n", text, out.ptr,
                                   json_text(c, "error", "")),
                       false);
    if (!ok) {
        print_error("%s: %s\n", text, err->text);
        return false;
    }
    if (str_eq(buf_str(&out), json_str(c, "out")))
        return true;
    print_error("%s:\n  ours   '%s'\n  Jinja2 '%s'\n", text, out.ptr, json_text(c, "out", ""));
    return false;
}

static void test_prints_what_jinja2_prints(void **state)
{
    Error err = {0};
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/jinja/cases.json", getenv("HUG_SOURCE_ROOT"));
    AUTO(json_decref) json_t *cases = json_read_file(path, 4 << 20, &err);
    assert_ok(cases);
    size_t i, wrong = 0;
    json_t *c;
    assert_true(json_array_size(cases) > 200);
    json_array_foreach(cases, i, c)
    {
        wrong += !run_case(c, json_text(c, "template", ""), &err);
        err = (Error){0};
    }
    if (wrong)
        fail_msg("%zu of %zu cases differ", wrong, json_array_size(cases));
}

static const Template *find_page(void *context, Str name)
{
    return map_find(context, name);
}

/* Parses pages that may extend and include each other; renders the last. */
static bool render_pages(const char *const (*pages)[2], size_t n, const char *variables, Buf *out,
                         Error *err)
{
    Map map = {0};
    bool ok = true;
    TemplateOptions options = TEMPLATE_PAGE;
    options.find = find_page;
    options.context = &map;
    for (size_t i = 0; i < n && ok; i++) {
        options.name = pages[i][0];
        Template *t = template_parse(str_of(pages[i][1]), &options, err);
        ok = t != NULL;
        if (ok)
            map_put(&map, str_of(pages[i][0]), t);
    }
    AUTO(json_decref) json_t *json = json_parse(str_of(variables), "variables", err);
    ok = ok && json && template_render(map.entries[map.n - 1].value, json, NULL, out, err);
    for (size_t i = 0; i < map.n; i++)
        template_free(map.entries[i].value);
    map_done(&map);
    return ok;
}

static void test_escapes_by_where_the_text_stands(void **state)
{
    static const struct {
        const char *source, *value, *expected;
    } cases[] = {
        {"<p>{{ x }}</p>", "a<b>&'\"", "<p>a&lt;b&gt;&amp;&#39;&quot;</p>"},
        {"<p title=\"{{ x }}\">", "a\"b'c", "<p title=\"a&quot;b&#39;c\">"},
        {"<a href=\"{{ x }}\">", "javascript:alert(1)", "<a href=\"#unsafe-url\">"},
        {"<a href=\"{{ x }}\">", " java\nscript:alert(1)", "<a href=\"#unsafe-url\">"},
        {"<a href=\"{{ x }}\">", "https://a.b/c?d=e&f", "<a href=\"https://a.b/c?d=e&amp;f\">"},
        {"<a href=\"/m/{{ x }}\">", "a b?c#d%/e", "<a href=\"/m/a%20b%3Fc%23d%25/e\">"},
        {"<a href=\"/m?q={{ x }}\">", "a&b=c/d", "<a href=\"/m?q=a%26b%3Dc%2Fd\">"},
        {"<a href=\"{{ x }}?p={{ x }}\">", "/a?", "<a href=\"/a??p=%2Fa%3F\">"},
        {"<script type=\"application/json\">{{ x }}</script>", "</script>'",
         "<script type=\"application/json\">\"\\u003c/script\\u003e\\u0027\"</script>"},
        {"<title>{{ x }}</title>", "</title>", "<title>&lt;/title&gt;</title>"},
        {"<p>{{ x | safe }}</p>", "<b>", "<p><b></p>"},
        {"<p title=\"{{ x | safe }}\">", "&amp;\">", "<p title=\"&amp;&quot;&gt;\">"},
        {"{% macro m(a) %}<b>{{ a }}</b>{% endmacro %}<i>{{ m(x) }}</i>", "<",
         "<i><b>&lt;</b></i>"},
        {"{% set s %}<b>{{ x }}</b>{% endset %}{{ s ~ x }}", "<", "<b>&lt;</b>&lt;"},
        {"<input {% if x %}checked {% endif %}value='{{ x }}'>", "y'",
         "<input checked value='y&#39;'>"},
        {"<!-- <a href=\" --><p>{{ x }}", "<", "<!-- <a href=\" --><p>&lt;"},
        {"<script>if (a < b) f('</p>')</script>{{ x }}", "<",
         "<script>if (a < b) f('</p>')</script>&lt;"},
        {"1 < 2 {{ x }}", "<", "1 < 2 &lt;"},
    };
    TemplateOptions options = TEMPLATE_PAGE;
    for (size_t i = 0; i < COUNT(cases); i++) {
        Error err = {0};
        AUTO_BUF out;
        buf_init(&out, 0);
        AUTO(json_decref) json_t *vars = json_pack("{s:s}", "x", cases[i].value);
        AUTO(template_free) Template *t = template_parse(str_of(cases[i].source), &options, &err);
        assert_ok(t);
        assert_ok(template_render(t, vars, NULL, &out, &err));
        assert_str(buf_str(&out), cases[i].expected);
    }
}

static void test_refuses_to_print_where_it_cannot_escape(void **state)
{
    static const char *const sources[] = {
        "<p {{ x }}>",
        "<{{ x }}>",
        "<p class={{ x }}>",
        "<p onclick=\"{{ x }}\">",
        "<p style=\"{{ x }}\">",
        "<style>{{ x }}</style>",
        "<!-- {{ x }} -->",
        "<img srcset=\"{{ x }}\">",
        "{% if x %}<p class=\"{% endif %}",
        "{% for i in x %}<p {% endfor %}",
        "<p class=\"",
        "<p title=\"{% include 'y' %}\">",
        "{{ x | nosuchfilter }}",
    };
    TemplateOptions options = TEMPLATE_PAGE;
    for (size_t i = 0; i < COUNT(sources); i++) {
        Error err = {0};
        AUTO(template_free) Template *t = template_parse(str_of(sources[i]), &options, &err);
        if (t)
            fail_msg("'%s' was parsed", sources[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void test_pages_extend_include_and_import(void **state)
{
    static const char *const pages[][2] = {
        {"ui", "{% macro badge(text) %}<b>{{ text }}</b>{% endmacro %}"},
        {"part", "[{{ name }}]"},
        {"layout", "<title>{% block title %}hug{% endblock %}</title>\n"
                   "{% block body %}nothing{% endblock %}\n"},
        {"base", "{% extends 'layout' %}{% block title %}{{ name }} - {{ super() }}{% endblock %}"},
        {"page",
         "{% extends 'base' %}\n{% from 'ui' import badge as b %}\n{% import 'ui' as ui %}\n"
         "{% set shown = name | upper %}\n"
         "{% block body %}{{ b(name) }}{{ ui.badge(shown) }}{% include 'part' %}"
         "{% include 'gone' ignore missing %}{% endblock %}"},
    };
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_fails(render_pages(pages, COUNT(pages), "{\"name\": \"<a>\"}", &out, &err), ERR_INVALID,
                 "a block cannot stand in a raw text element");
    static const char *const good[][2] = {
        {"ui", "{% macro badge(text) %}<b>{{ text }}</b>{% endmacro %}"},
        {"part", "[{{ name }}]"},
        {"layout", "<h1>{% block title %}hug{% endblock %}</h1>\n"
                   "{% block body %}nothing{% endblock %}\n"},
        {"base", "{% extends 'layout' %}{% block title %}{{ name }} - {{ super() }}{% endblock %}"},
        {"page",
         "{% extends 'base' %}\n{% from 'ui' import badge as b %}\n{% import 'ui' as ui %}\n"
         "{% set shown = name | upper %}\n"
         "{% block body %}{{ b(name) }}{{ ui.badge(shown) }}{% include 'part' %}"
         "{% include 'gone' ignore missing %}{% endblock %}"},
    };
    assert_ok(render_pages(good, COUNT(good), "{\"name\": \"<a>\"}", &out, &err));
    assert_str(buf_str(&out),
               "<h1>&lt;a&gt; - hug</h1>\n<b>&lt;a&gt;</b><b>&lt;A&gt;</b>[&lt;a&gt;]");
}

static void test_pages_do_not_print_what_is_not_there(void **state)
{
    TemplateOptions options = TEMPLATE_PAGE;
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_fails(render("a\n{{ nam }}", &options, "{\"name\": 1}", NULL, &out, &err), ERR_INVALID,
                 "line 2: 'nam' is undefined");
    assert_fails(render("{{ m.b }}", &options, "{\"m\": {\"a\": 1}}", NULL, &out, &err),
                 ERR_INVALID, "'dict object' has no attribute 'b'");
    assert_fails(render("{% if m.b %}{% endif %}", &options, "{\"m\": {}}", NULL, &out, &err),
                 ERR_INVALID, "no attribute 'b'");
    assert_fails(render("{{ x }}", &options, "{\"x\": null}", NULL, &out, &err), ERR_INVALID,
                 "None is printed");
    buf_reset(&out);
    assert_ok(render("{% if m.b is defined %}{% endif %}{{ m.b | default('-') }}", &options,
                     "{\"m\": {}}", NULL, &out, &err));
    assert_str(buf_str(&out), "-");
}

/* Each of these would run for hours or take all memory. */
static void test_hostile_templates_stop(void **state)
{
    static const char *const sources[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set x = 'a' * 1000000000000 %}",
        "{% set x = [0] * 1000000000000 %}",
        "{% set n = namespace(s='aaaaaaaa') %}"
        "{% for i in range(99999) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "{% set n = namespace(s='aaaaaaaa') %}"
        "{% for i in range(99999) %}{% set n.s = n.s * 2 %}{{ n.s | replace('a', 'aa') }}{% endfor "
        "%}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = [n.l] %}{% endfor "
        "%}{{ n.l }}",
        "{% set n = namespace(l=[]) %}{% for i in range(9999) %}{% set n.l = [n.l] %}{% endfor %}"
        "{{ n.l | tojson }}",
        "{% set n = namespace(l=[]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor "
        "%}"
        "{{ n.l == n.l[0] }}{{ n.l }}",
        "{{ '%99999999999d' % 1 }}",
        "{{ 'x'.center(99999999999) }}",
        "{{ ('a' * 4000000).rsplit('a' * 2000000 ~ 'b') }}{{ ('a' * 9999999).strip('b' * 9999999 ~ "
        "'a') }}",
        "{{ 'x' | indent(999999999) }}",
        "{% set n = namespace(l=[n]) %}{% set n.l = n %}{{ n }}",
        "{{ 'a' * 100000000 }}",
        "{{ 2 ** 99999 }}",
        "{{ range(99999999) }}",
    };
    TemplateOptions options = TEMPLATE_CHAT;
    for (size_t i = 0; i < COUNT(sources); i++) {
        Error err = {0};
        AUTO_BUF out;
        buf_init(&out, 0);
        TemplateRun run = {.limits = {.work = 5000000}};
        if (render(sources[i], &options, "{}", &run, &out, &err))
            fail_msg("'%s' was rendered", sources[i]);
        if (err.code != ERR_LIMIT && err.code != ERR_INVALID)
            fail_msg("'%s': %s", sources[i], err.text);
    }
}

static void test_deep_sources_are_refused(void **state)
{
    static const char *const pieces[][3] = {{"{{ ", "(", "1"},      {"{{ ", "-", "1"},
                                            {"{{ ", "not ", "1"},   {"{{ ", "[", "1"},
                                            {"{{ a", ".b", ""},     {"{{ a", "[0]", ""},
                                            {"{{ a", "|list", ""},  {"{{ a", " + a", ""},
                                            {"", "{% if a %}", ""}, {"{{ a", " if a else a", ""}};
    TemplateOptions options = TEMPLATE_CHAT;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        Error err = {0};
        AUTO_BUF source;
        buf_init(&source, 0);
        buf_add(&source, str_of(pieces[i][0]));
        for (int k = 0; k < 100000; k++)
            buf_add(&source, str_of(pieces[i][1]));
        buf_add(&source, str_of(pieces[i][2]));
        AUTO(template_free) Template *t = template_parse(buf_str(&source), &options, &err);
        if (t)
            fail_msg("100,000 times '%s' was parsed", pieces[i][1]);
        assert_true(err.code == ERR_LIMIT || err.code == ERR_INVALID);
    }
}

static void test_errors_name_template_and_line(void **state)
{
    TemplateOptions options = TEMPLATE_CHAT;
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_fails(render("\n\n{% if %}", &options, "{}", NULL, &out, &err), ERR_INVALID,
                 "chat template: line 3: the tag ends where an expression should stand");
    assert_fails(
        render("\n{{ raise_exception('no system message') }}", &options, "{}", NULL, &out, &err),
        ERR_INVALID, "chat template: line 2: no system message");
    assert_fails(render("{% if a %}", &options, "{}", NULL, &out, &err), ERR_INVALID,
                 "ends without 'endif'");
    assert_fails(render("{{ a", &options, "{}", NULL, &out, &err), ERR_INVALID,
                 "the tag does not end");
    assert_fails(render("{{ a.append(1) }}", &options, "{\"a\": []}", NULL, &out, &err), ERR_DENIED,
                 "changing a list is not allowed");
}

typedef struct Spans {
    size_t spans[4][2], n;
} Spans;

static void note_span(void *context, size_t start, size_t end)
{
    Spans *s = context;
    s->spans[s->n][0] = start;
    s->spans[s->n++][1] = end;
}

static void test_generation_tells_its_spans(void **state)
{
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_add(&out, S("before "));
    Spans spans = {0};
    TemplateRun run = {.generation = note_span, .context = &spans};
    TemplateOptions options = TEMPLATE_CHAT;
    assert_ok(render("{% for m in messages %}<{{ m.role }}>"
                     "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
                     &options,
                     "{\"messages\": [{\"role\": \"a\", \"content\": \"hello\"},"
                     " {\"role\": \"b\", \"content\": \"\"}]}",
                     &run, &out, &err));
    assert_str(buf_str(&out), "before <a>hello<b>");
    assert_int_equal(spans.n, 2);
    assert_int_equal(spans.spans[0][0], 10);
    assert_int_equal(spans.spans[0][1], 15);
}

static void test_time_is_the_callers(void **state)
{
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 0);
    TemplateRun run = {.now = INT64_C(1700000000) * 1000000000};
    TemplateOptions options = TEMPLATE_CHAT;
    assert_ok(render("{{ strftime_now('%Y') }}", &options, "{}", &run, &out, &err));
    assert_str(buf_str(&out), "2023");
}

static void add_name(void *context, Str name)
{
    buf_printf(context, "%.*s ", STR(name));
}

static void test_tells_the_variables_it_wants(void **state)
{
    Error err = {0};
    AUTO_BUF names;
    buf_init(&names, 0);
    TemplateOptions options = TEMPLATE_CHAT;
    AUTO(template_free)
    Template *t = template_parse(
        S("{% set a = b %}{{ a.c }}{% for x in items if x %}{{ loop.index }}{{ x }}{% endfor %}"
          "{% macro m(p=q) %}{{ p }}{{ kwargs }}{{ z }}{% endmacro %}{{ m(namespace(u=v)) }}{{ x "
          "}}"),
        &options, &err);
    assert_ok(t);
    template_each_variable(t, add_name, &names);
    assert_str(buf_str(&names), "b items q z v x ");
}

static void test_tells_the_variables_of_what_it_extends(void **state)
{
    Error err = {0};
    Map map = {0};
    AUTO_BUF names;
    buf_init(&names, 0);
    TemplateOptions options = TEMPLATE_CHAT;
    options.find = find_page;
    options.context = &map;
    AUTO(template_free)
    Template *layout = template_parse(S("{{ a }}{% block b %}{% endblock %}{% include 'layout' %}"),
                                      &options, &err);
    map_put(&map, S("layout"), layout);
    AUTO(template_free)
    Template *page = template_parse(
        S("{% extends 'layout' %}{% block b %}{{ c }}{{ a }}{% endblock %}"), &options, &err);
    assert_ok(layout && page);
    template_each_variable(page, add_name, &names);
    assert_str(buf_str(&names), "a c ");
    map_done(&map);
}

int main(void)
{
    return RUN(test_prints_what_jinja2_prints, test_escapes_by_where_the_text_stands,
               test_refuses_to_print_where_it_cannot_escape, test_pages_extend_include_and_import,
               test_pages_do_not_print_what_is_not_there, test_hostile_templates_stop,
               test_deep_sources_are_refused, test_errors_name_template_and_line,
               test_generation_tells_its_spans, test_time_is_the_callers,
               test_tells_the_variables_it_wants, test_tells_the_variables_of_what_it_extends);
}
