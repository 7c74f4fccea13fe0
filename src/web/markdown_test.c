/* Markdown and HTML from strangers: what comes through, and what never does. */
#include "base/test.h"
#include "web/highlight.h"
#include "web/markdown.h"

static const MarkdownOptions base = {.link_base = {"/me/x/blob/main/", 16},
                                     .image_base = {"/me/x/resolve/main/", 19}};

static void check(const char *markdown, const char *expected)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    markdown_html(str_of(markdown), &base, &out);
    assert_str(str_trim(buf_str(&out)), expected);
}

static void test_markdown_has_tables_tasks_and_code(void **state)
{
    check("*a* **b** ~~c~~ `d<e`",
          "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d&lt;e</code></p>");
    check("|a|b|\n|-|:-:|\n|1|2|",
          "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead>\n<tr>\n<th>a</th>\n"
          "<th align=\"center\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n"
          "<td align=\"center\">2</td>\n</tr>\n</tbody>\n</table></div>");
    check("- [x] done", "<ul>\n<li><input type=\"checkbox\" disabled checked aria-label=\"done\"> "
                        "done</li>\n</ul>");
    check("```python\nx = 1 # <b>\n```",
          "<pre class=\"code\" tabindex=\"0\"><code>x = <span class=\"n\">1</span> "
          "<span class=\"c\"># &lt;b&gt;</span>\n</code></pre>");
    check("# Über *uns*!", "<h2 class=\"h1\" id=\"card-Über-uns\">Über <em>uns</em>!</h2>");
}

static void test_quotes_may_be_callouts(void **state)
{
    check("> [!NOTE]\n> Mind the *gap*.",
          "<blockquote class=\"callout note\"><strong>Note</strong>\n<p>\nMind the "
          "<em>gap</em>.</p>\n"
          "</blockquote>");
    check("> [!warning]\n>\n> Two.",
          "<blockquote class=\"callout warning\"><strong>Warning</strong>\n<p></p>\n<p>Two.</p>\n"
          "</blockquote>");
    check("> [!NOTE] in a line", "<blockquote>\n<p>[!NOTE] in a line</p>\n</blockquote>");
    check("> [!NEWS]\n> x", "<blockquote>\n<p>[!NEWS]\nx</p>\n</blockquote>");
    check("> **[!TIP]**\n> x", "<blockquote>\n<p><strong>[!TIP]</strong>\nx</p>\n</blockquote>");
}

static void test_links_and_images_are_resolved(void **state)
{
    check("[a](docs/b.md#c)", "<p><a href=\"/me/x/blob/main/docs/b.md#c\">a</a></p>");
    check("[a](./x/../../../b.md)", "<p><a href=\"/me/x/blob/main/b.md\">a</a></p>");
    check("[a](/models)", "<p><a href=\"/models\">a</a></p>");
    check("[a](#part-1)", "<p><a href=\"#card-part-1\">a</a></p>");
    check("[a](https://b.example/c)", "<p><a href=\"https://b.example/c\" "
                                      "rel=\"nofollow noopener noreferrer\">a</a></p>");
    check("![a](plot.png)",
          "<p><img loading=\"lazy\" src=\"/me/x/resolve/main/plot.png\" alt=\"a\"></p>");
    check("<img src='img/a.png' width=200>",
          "<img loading=\"lazy\" src=\"/me/x/resolve/main/img/a.png\" alt=\"\" width=\"200\">");
    check("![a](https://b.example/c.png)",
          "<p><a class=\"outside\" href=\"https://b.example/c.png\" "
          "rel=\"nofollow noopener noreferrer\">a</a></p>");
}

static bool is_account(void *user, Str name)
{
    ++*(int *)user;
    return str_eq_nocase(name, S("ada")) || str_eq_nocase(name, S("b_o.b"));
}

static void test_names_of_accounts_become_links(void **state)
{
    int asked = 0;
    MarkdownOptions options = base;
    options.is_account = is_account;
    options.user = &asked;
    AUTO_BUF out;
    AUTO_BUF many;
    buf_init(&out, 0);
    buf_init(&many, 0);
    markdown_html(S("@ada, *@b_o.b.* and @cyd <i>@Ada</i> `@ada` [@ada](/x) a@ada"), &options,
                  &out);
    assert_str(str_trim(buf_str(&out)),
               "<p><a href=\"/ada\">@ada</a>, <em><a href=\"/b_o.b\">@b_o.b</a>.</em> and @cyd "
               "<i><a href=\"/Ada\">@Ada</a></i> <code>@ada</code> <a href=\"/x\">@ada</a> "
               "a@ada</p>");
    check("@ada", "<p>@ada</p>"); // nobody asked for it
    asked = 0;
    for (int i = 0; i < 1000; i++)
        buf_add(&many, S("@ada "));
    markdown_html(buf_str(&many), &options, &out);
    assert_int_equal(asked, 50);
}

static void test_scripts_never_come_through(void **state)
{
    static const char *const attacks[] = {
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "<a href=\"java\nscript:alert(1)\">a</a>",
        "<a href=\" &#1;javascript:alert(1)\">a</a>",
        "<a href=\"data:text/html,<script>alert(1)</script>\">a</a>",
        "<a href=\"vbscript:x\">a</a>",
        "<svg onload=alert(1)><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></table></math>",
        "<iframe src=\"https://b.example\"></iframe>",
        "<object data=x></object><embed src=x>",
        "<style>body{display:none}</style>",
        "<p style=\"position:fixed\">x</p>",
        "<form action=/logout method=post><button>x</button></form>",
        "<base href=\"https://b.example/\">",
        "<meta http-equiv=refresh content=\"0;url=https://b.example\">",
        "<link rel=stylesheet href=https://b.example/x.css>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
        "<textarea><script>alert(1)</script></textarea>",
        "<video src=https://b.example/x.mp4></video>",
        "<img srcset=\"https://b.example/x 2x\" src=a.png>",
        "<a href=x class=quiet id=main target=_top>x</a>",
        "<template><script>alert(1)</script></template>",
        "<!--><script>alert(1)</script>-->",
        "<img src=\"\\\\b.example\\x.png\">",
        "```html\n<script>alert(1)</script>\n```",
        "<pre lang='\"><script>alert(1)</script>'>x</pre>",
    };
    static const char *const never[] = {"<script",
                                        "<style",
                                        "<iframe",
                                        "<object",
                                        "<embed",
                                        "<form",
                                        "<button",
                                        "<base",
                                        "<meta",
                                        "<link",
                                        "<svg",
                                        "<math",
                                        "<textarea",
                                        "<template",
                                        "<img src=x onerror",
                                        "svg onload",
                                        "href=\"javascript",
                                        "href=\"data:",
                                        "href=\"vb",
                                        " style=",
                                        "srcset",
                                        " target=",
                                        "id=\"main\"",
                                        "src=\"http",
                                        "<noscript",
                                        "src=\"\\"};
    for (size_t i = 0; i < COUNT(attacks); i++) {
        AUTO_BUF out;
        buf_init(&out, 0);
        markdown_html(str_of(attacks[i]), &base, &out);
        for (size_t k = 0; k < COUNT(never); k++)
            if (out.ptr && strstr(out.ptr, never[k]))
                fail_msg("'%s' gave '%s'", attacks[i], out.ptr);
    }
}

static void test_hostile_sizes_stay_cheap(void **state)
{
    static const char *const pieces[] = {"<div>", "<b>",     "<b a=1><p>", ">",  "- ", "[",
                                         "*a ",   "<table>", "<a href=x>", "![", "`",  "|"};
    for (size_t i = 0; i < COUNT(pieces); i++) {
        AUTO_BUF text;
        AUTO_BUF out;
        buf_init(&text, 0);
        buf_init(&out, 64 << 20);
        while (text.len < 200000)
            buf_add(&text, str_of(pieces[i]));
        markdown_html(buf_str(&text), &base, &out);
        assert_true(out.len > 0 || i == 1);
    }
}

static void test_code_is_highlighted_line_by_line(void **state)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    highlight(&out, S("/* a\nb */ int x = f(\"<\"); // c"), S("c"));
    assert_str(buf_str(&out),
               "<span class=\"c\">/* a</span>\n<span class=\"c\">b */</span> "
               "<span class=\"k\">int</span> x = <span class=\"f\">f</span>("
               "<span class=\"s\">&quot;&lt;&quot;</span>); <span class=\"c\">// c</span>");
    buf_reset(&out);
    highlight(&out, S("{\"a\": [1, true]}"), S("json"));
    assert_str(buf_str(&out),
               "{<span class=\"m\">&quot;a&quot;</span>: [<span class=\"n\">1</span>, "
               "<span class=\"k\">true</span>]}");
    buf_reset(&out);
    highlight(&out, S("a < b"), S("no such language"));
    assert_str(buf_str(&out), "a &lt; b");
    assert_str(highlight_language(S("src/a.py")), "python");
    assert_str(highlight_language(S("x/Dockerfile")), "dockerfile");
    assert_int_equal(highlight_language(S("a.bin")).len, 0);
}

int main(void)
{
    return RUN(test_markdown_has_tables_tasks_and_code, test_quotes_may_be_callouts,
               test_links_and_images_are_resolved, test_names_of_accounts_become_links,
               test_scripts_never_come_through, test_hostile_sizes_stay_cheap,
               test_code_is_highlighted_line_by_line);
}
