/* The hub client against a scripted hub: names, patterns, the cache, resumed and broken downloads.
 */
#include "net/script.h"

#include "base/digest.h"
#include "base/encode.h"
#include "fetch/cached.h"
#include "fetch/fetch_internal.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define REVISION                                                                                   \
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 50\r\n\r\n{\"sha\":\"" COMMIT "\"}"

static void test_names_are_parsed_and_checked(void **state)
{
    static const struct {
        const char *id, *name, *revision;
        FetchKind kind;
    } good[] = {
        {"gpt2", "gpt2", "main", FETCH_MODEL},
        {"org/name", "org/name", "main", FETCH_MODEL},
        {"org/name@v1.0", "org/name", "v1.0", FETCH_MODEL},
        {"org/name@refs/pr/1", "org/name", "refs/pr/1", FETCH_MODEL},
        {"datasets/org/name", "org/name", "main", FETCH_DATASET},
        {"spaces/org/name@dev", "org/name", "dev", FETCH_SPACE},
    };
    static const char *const bad[] = {"",         "/",      "a/",   "/a",     "a/b/c",
                                      "../b",     "a/..",   "a/-b", "a/b--c", "a b/c",
                                      "a/b@../c", "a/b@/c", ".a/b", "a/b@"};
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    RepoName name;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_ok(repo_name_parse(&name, a, good[i].id, FETCH_MODEL, NULL, &err));
        assert_string_equal(name.id, good[i].name);
        assert_string_equal(name.revision, good[i].revision);
        assert_int_equal(name.kind, good[i].kind);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(repo_name_parse(&name, a, bad[i], FETCH_MODEL, NULL, &err), ERR_INVALID, "");
}

static void test_patterns_match_as_in_python(void **state)
{
    static const char *const json[] = {"*.json", NULL}, *const folder[] = {"a/", NULL};
    assert_true(path_matches("a/b/c.json", json));
    assert_false(path_matches("c.txt", json));
    assert_true(path_matches("a/b/c.txt", folder));
    assert_false(path_matches("ab/c.txt", folder));
    assert_true(path_is_wanted("x", NULL, json));
    assert_false(path_is_wanted("x.json", NULL, json));
    assert_false(path_is_wanted("x", json, NULL));
}

/* A hub with one LFS file of this content, whose listing is true or not. */
typedef struct Fake {
    Script script;
    Arena *a;
    const char *sha;
} Fake;

static const char *answer_with(Arena *a, const char *head, Str body)
{
    return arena_printf(a, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%.*s",
                        head, body.len, STR(body));
}

static const char *listing(Fake *f, const char *path, const char *content, size_t size)
{
    uint8_t sum[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    sha256(str_of(content), sum);
    hex_encode(sum, SHA256_SIZE, hex);
    f->sha = arena_cstr(f->a, str_of(hex));
    const char *tree = arena_printf(f->a,
                                    "[{\"type\":\"directory\",\"path\":\"d\",\"oid\":\"x\"},"
                                    "{\"type\":\"file\",\"path\":\"%s\",\"oid\":\"" COMMIT "\","
                                    "\"lfs\":{\"oid\":\"%s\",\"size\":%zu}}]",
                                    path, hex, size);
    return answer_with(f->a, "200 OK", str_of(tree));
}

static void fake_start(Fake *f, const char *const *answers)
{
    script_start(&f->script, answers);
    setenv("HF_ENDPOINT", arena_printf(f->a, "http://127.0.0.1:%d/", f->script.port), 1);
    setenv("HF_HUB_CACHE", test_path("cache"), 1);
    setenv("HF_TOKEN", "hf_test", 1);
    unsetenv("HF_HUB_OFFLINE");
}

static void test_a_snapshot_is_laid_out_as_the_python_library_does(void **state)
{
    Error err = {0};
    Fake f = {.a = arena_new(0)};
    const char *content = "hello, weights";
    const char *answers[] = {REVISION, listing(&f, "d/model.bin", content, strlen(content)),
                             answer_with(f.a, "200 OK", str_of(content)), NULL};
    fake_start(&f, answers);
    const char *path = fetch_snapshot(f.a, "me/x", NULL, &err);
    assert_ok(path);
    script_stop(&f.script);
    assert_string_equal(
        path, arena_printf(f.a, "%s/models--me--x/snapshots/" COMMIT, test_path("cache")));
    AUTO_BUF bytes;
    buf_init(&bytes, 100);
    assert_ok(file_read(arena_printf(f.a, "%s/d/model.bin", path), &bytes, &err));
    assert_str(buf_str(&bytes), content);
    char link[256] = "";
    assert_true(readlink(arena_printf(f.a, "%s/d/model.bin", path), link, sizeof link - 1) > 0);
    assert_string_equal(link, arena_printf(f.a, "../../../blobs/%s", f.sha));
    buf_reset(&bytes);
    assert_ok(file_read(arena_printf(f.a, "%s/models--me--x/refs/main", test_path("cache")), &bytes,
                        &err));
    assert_str(buf_str(&bytes), COMMIT);

    // The hub has gone: what was seen there still serves.
    assert_string_equal(fetch_snapshot(f.a, "me/x", NULL, &err), path);
    assert_fails(fetch_snapshot(f.a, "me/y", NULL, &err), ERR_UNAVAILABLE, "fetch me/y");
    setenv("HF_HUB_OFFLINE", "1", 1);
    assert_string_equal(fetch_snapshot(f.a, "me/x", NULL, &err), path);
    assert_string_equal(fetch_file(f.a, "me/x", "d/model.bin", NULL, &err),
                        arena_printf(f.a, "%s/d/model.bin", path));
    assert_fails(fetch_file(f.a, "me/x", "other", NULL, &err), ERR_NO_ENTRY, "other");

    CacheScan scan;
    assert_ok(cache_scan(&scan, f.a, NULL, &err));
    assert_int_equal(scan.n, 1);
    assert_string_equal(scan.repos[0].id, "me/x");
    assert_string_equal(scan.repos[0].revisions[0].refs[0], "main");
    assert_int_equal(scan.repos[0].size, strlen(content));
    arena_free(f.a);
}

static void test_a_download_goes_on_where_it_was_cut_off(void **state)
{
    Error err = {0};
    Fake f = {.a = arena_new(0)};
    const char *content = "0123456789";
    // The second answer breaks off after three bytes more; the third brings the rest.
    const char *cut = "HTTP/1.1 206 Partial\r\nContent-Length: 6\r\n\r\n456";
    const char *answers[] = {REVISION, listing(&f, "w", content, 10), cut,
                             answer_with(f.a, "206 Partial", S("789")), NULL};
    fake_start(&f, answers);
    const char *blobs = arena_printf(f.a, "%s/models--me--cut/blobs", test_path("cache"));
    assert_ok(file_make_folders(blobs, 0755, &err));
    assert_ok(file_write_atomic(arena_printf(f.a, "%s/%s.incomplete", blobs, f.sha), S("0123"),
                                0644, &err));
    assert_ok(fetch_snapshot(f.a, "me/cut", NULL, &err));
    assert_true(str_find(buf_str(&f.script.asked), S("Range: bytes=4-\r\n"), 0) != SIZE_MAX);
    assert_true(str_find(buf_str(&f.script.asked), S("Range: bytes=7-\r\n"), 0) != SIZE_MAX);
    AUTO_BUF bytes;
    buf_init(&bytes, 100);
    assert_ok(file_read(arena_printf(f.a, "%s/%s", blobs, f.sha), &bytes, &err));
    assert_str(buf_str(&bytes), content);
    script_stop(&f.script);
    arena_free(f.a);
}

static void test_what_is_not_as_promised_gets_no_name(void **state)
{
    Error err = {0};
    Fake f = {.a = arena_new(0)};
    const char *wrong[] = {REVISION, listing(&f, "w", "0123456789", 10),
                           answer_with(f.a, "200 OK", S("012345678X")), NULL};
    fake_start(&f, wrong);
    assert_fails(fetch_snapshot(f.a, "me/wrong", NULL, &err), ERR_CORRUPT,
                 "w: what came has the hash");
    script_stop(&f.script);
    const char *blob =
        arena_printf(f.a, "%s/models--me--wrong/blobs/%s", test_path("cache"), f.sha);
    assert_false(file_exists(blob));
    assert_false(file_exists(arena_printf(f.a, "%s.incomplete", blob)));

    const char *longer[] = {REVISION, listing(&f, "w", "0123456789", 10),
                            answer_with(f.a, "200 OK", S("0123456789 and more")), NULL};
    fake_start(&f, longer);
    assert_fails(fetch_snapshot(f.a, "me/long", NULL, &err), ERR_CORRUPT, "more came");
    script_stop(&f.script);

    // A hub that would write outside our folder.
    const char *hostile[] = {REVISION, listing(&f, "../../../etc/cron.d/x", "0", 1), NULL};
    fake_start(&f, hostile);
    assert_fails(fetch_snapshot(f.a, "me/hostile", NULL, &err), ERR_INVALID, "the hub lists");
    script_stop(&f.script);
    arena_free(f.a);
}

static void test_refusals_have_codes(void **state)
{
    Error err = {0};
    Fake f = {.a = arena_new(0)};
    const char *answers[] = {answer_with(f.a, "404 Not Found\r\nX-Error-Code: RepoNotFound",
                                         S("{\"error\":\"no such\"}")),
                             answer_with(f.a, "401 Unauthorized", S("{\"error\":\"who?\"}")), NULL};
    fake_start(&f, answers);
    assert_fails(fetch_snapshot(f.a, "me/none", NULL, &err), ERR_NO_REPO, "no such");
    assert_fails(fetch_model(f.a, "me/none", &err), ERR_UNAUTHENTICATED, "who?");
    assert_fails(fetch_model(f.a, "./none", &err), ERR_NOT_FOUND, "'./none'");
    assert_string_equal(fetch_model(f.a, test_folder(), &err), test_folder());
    script_stop(&f.script);
    arena_free(f.a);
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_names_are_parsed_and_checked, test_patterns_match_as_in_python,
               test_a_snapshot_is_laid_out_as_the_python_library_does,
               test_a_download_goes_on_where_it_was_cut_off,
               test_what_is_not_as_promised_gets_no_name, test_refusals_have_codes);
}
