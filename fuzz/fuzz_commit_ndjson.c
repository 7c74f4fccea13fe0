/* A commit's body: lines of JSON, each decoded as the commit handler does it. */
#include "api/commit_line.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Str rest = {(const char *)data, size};
    for (Str text; str_split(&rest, '\n', &text);) {
        CommitLine line;
        Error err = {0};
        if (commit_line_parse(text, &line, &err)) {
            // What the parser promises: a header has a summary, all others a path.
            CHECK(line.kind == LINE_HEADER ? line.summary.len > 0 : line.path.len > 0);
            CHECK(line.size >= -1);
        } else {
            CHECK(err.code != ERR_NONE && err.text[0]);
        }
        commit_line_done(&line);
    }
    return 0;
}
