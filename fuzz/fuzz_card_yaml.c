/* Cards: front matter split off, YAML to JSON, and the checks that validate-yaml runs. */
#include "fuzz.h"
#include "hub/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str readme = {(const char *)data, size}, yaml, text;
    card_split(readme, &yaml, &text);
    CHECK(yaml.len + text.len <= size);
    Error err = {0};
    AUTO(json_decref) json_t *value = yaml_parse(yaml, &err);
    CHECK(value || (err.code != ERR_NONE && err.text[0]));
    if (value) {
        AUTO_BUF out;
        buf_init(&out, 0);
        json_write(&out, value);
    }
    AUTO(arena_free) Arena *a = arena_new(0);
    CardReport report;
    for (int kind = 0; kind < REPO_KINDS; kind++)
        card_check(a, readme, (RepoKind)kind, &report);
    return 0;
}
