/* Any bytes as a template, rendered as a chat template and as a page, with limits so small that
 * what would run for long is cut. The template includes itself where it says so. */
#include "fuzz.h"
#include "text/template.h"

static const Template *itself;

static const Template *find(void *context, Str name)
{
    (void)context;
    (void)name;
    return itself;
}

static void run(Str source, TemplateOptions options, const json_t *variables)
{
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 1 << 20);
    options.find = find;
    AUTO(template_free) Template *t = template_parse(source, &options, &err);
    TemplateRun limits = {.limits = {.output = 1 << 18, .memory = 16 << 20, .work = 300000},
                          .now = 1};
    itself = t;
    if (t && !template_render(t, variables, &limits, &out, &err))
        CHECK(err.code != ERR_NONE && err.text[0]);
    itself = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi <b>\"}, {\"role\": \"assistant\", "
        "\"content\": [{\"type\": \"text\", \"text\": \"\\u00fc\"}]}], \"tools\": null, \"n\": 3, "
        "\"f\": 1.5, \"s\": \"a-b\", \"l\": [3, 1, 2], \"d\": {\"a\": 1, \"b\": [true, null]}}";
    AUTO(json_decref) json_t *variables = json_parse(str_of(text), "variables", NULL);
    CHECK(variables);
    Str source = {(const char *)data, MIN(size, (size_t)65536)};
    run(source, TEMPLATE_CHAT, variables);
    run(source, TEMPLATE_PAGE, variables);
    return 0;
}
