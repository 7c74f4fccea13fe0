/* JSON: what was read is written, and read again as the same, laid out in either way. */
#include "fuzz.h"

#include "base/json.h"

static void check(const json_t *value, void (*write)(Buf *, const json_t *))
{
    Error err = {0};
    AUTO_BUF text;
    buf_init(&text, 0);
    write(&text, value);
    AUTO(json_decref) json_t *again = json_parse(buf_str(&text), "again", &err);
    CHECK(again && json_equal((json_t *)(uintptr_t)value, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    AUTO(json_decref) json_t *value = json_parse((Str){(const char *)data, size}, "fuzz", &err);
    if (!value) {
        CHECK(err.text[0]);
        return 0;
    }
    check(value, json_write);
    check(value, json_write_indented);
    return 0;
}
