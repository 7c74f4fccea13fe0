/* The file of tokens, as `hf` and people write it. */
#include "base/test.h"

#include "fetch/fetch_internal.h"

static void test_sections_are_read_as_python_does(void **state)
{
    Error err = {0};
    AUTO(json_decref)
    json_t *all = tokens_parse(S("# by hand\n[laptop]\nHF_Token = hf_a\n\n[ci [1]]\r\n"
                                 "hf_token: hf_b=\r\nexpires_at = 12\n"),
                               &err);
    assert_ok(all);
    assert_int_equal(json_object_size(all), 2);
    assert_string_equal(json_text(json_object_get(all, "laptop"), "hf_token", ""), "hf_a");
    const json_t *ci = json_object_get(all, "ci [1]");
    assert_string_equal(json_text(ci, "hf_token", ""), "hf_b=");
    assert_string_equal(json_text(ci, "expires_at", ""), "12");
    assert_fails(tokens_parse(S("hf_token = x\n"), &err), ERR_INVALID, "line 1");
    assert_fails(tokens_parse(S("[a]\nnothing\n"), &err), ERR_INVALID, "line 2");
    assert_fails(tokens_parse(S("[a]\nx = \xff\n"), &err), ERR_INVALID, "line 2 is not text");
}

static const char *kept(const char *name)
{
    static char text[4096];
    AUTO_BUF bytes;
    buf_init(&bytes, sizeof text - 1);
    text[0] = 0;
    if (file_read(test_path(name), &bytes, NULL))
        snprintf(text, sizeof text, "%s", bytes.ptr);
    return text;
}

static void test_tokens_are_switched_and_forgotten(void **state)
{
    Error err = {0};
    setenv("HF_HOME", test_folder(), 1);
    unsetenv("HF_TOKEN");
    AUTO(json_decref) json_t *none = fetch_tokens(&err);
    assert_int_equal(json_object_size(none), 0);
    assert_fails(fetch_logout(NULL, &err), ERR_NOT_FOUND, "no token is kept");
    assert_ok(file_write_atomic(
        test_path("stored_tokens"),
        S("[b]\nhf_token = hf_b\nrefresh_token = r\n[a]\nhf_token = hf_a\n"), 0600, &err));
    assert_fails(fetch_token_switch("c", &err), ERR_NOT_FOUND, "'c'");
    assert_ok(fetch_token_switch("b", &err));
    assert_string_equal(kept("token"), "hf_b");
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_string_equal(fetch_token(a), "hf_b");
    // Forgetting another leaves the one in use.
    assert_ok(fetch_logout("a", &err));
    assert_string_equal(kept("token"), "hf_b");
    assert_string_equal(kept("stored_tokens"), "[b]\nhf_token = hf_b\nrefresh_token = r\n\n");
    assert_ok(fetch_logout("b", &err));
    assert_null(fetch_token(a));
    assert_ok(fetch_logout(NULL, &err));
    assert_false(file_exists(test_path("stored_tokens")));
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_sections_are_read_as_python_does, test_tokens_are_switched_and_forgotten);
}
