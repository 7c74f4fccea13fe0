/* The cache read and thinned: what stays is whole, shared content goes with its last link. */
#include "base/test.h"

#include "base/encode.h"
#include "fetch/cached_internal.h"

#include <unistd.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define HASH "cd00000000000000000000000000000000000000000000000000000000000000"

static const char *cache;

static void put(const char *name, const char *text)
{
    char path[600];
    Error err = {0};
    snprintf(path, sizeof path, "%s/%s", cache, name);
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_ok(file_make_folders(arena_cstr(a, path_parent(str_of(path))), 0755, &err));
    assert_ok(file_write_atomic(path, str_of(text), 0644, &err));
}

static void put_link(const char *name, const char *target)
{
    put(name, "");
    char path[600];
    snprintf(path, sizeof path, "%s/%s", cache, name);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
}

static bool there(const char *name)
{
    char path[600];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", cache, name);
    return lstat(path, &info) == 0;
}

/* Two revisions of one model that share a file; main is at the second. */
static void put_model(void)
{
    put("models--me--m/blobs/one", "1");
    put("models--me--m/blobs/two", "22");
    put("models--me--m/blobs/both", "333");
    put("models--me--m/blobs/cut.incomplete", "4444");
    put_link("models--me--m/snapshots/" A "/d/x", "../../../blobs/one");
    put_link("models--me--m/snapshots/" A "/y", "../../blobs/both");
    put_link("models--me--m/snapshots/" B "/d/x", "../../../blobs/two");
    put_link("models--me--m/snapshots/" B "/y", "../../blobs/both");
    put_link("models--me--m/snapshots/" B "/z", "../../blobs/both");
    put("models--me--m/refs/main", B);
    put("models--me--m/refs/refs/pr/1", B);
}

static void begin(CacheScan *scan, Arena *a)
{
    Error err = {0};
    cache = test_path("cache");
    (void)!file_remove_tree(cache, NULL);
    put_model();
    assert_ok(cache_scan(scan, a, cache, &err));
}

static void test_a_scan_counts_shared_blobs_once(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    CacheScan scan;
    begin(&scan, a);
    assert_int_equal(scan.n, 1);
    const CachedRepo *repo = &scan.repos[0];
    assert_true(repo->size == 6 && scan.size == 6 && repo->n == 2);
    assert_string_equal(repo->revisions[0].commit, A);
    assert_int_equal(repo->revisions[0].n_refs, 0);
    assert_int_equal(repo->revisions[1].n_refs, 2);
    assert_string_equal(repo->revisions[1].refs[1], "refs/pr/1");
    assert_int_equal(repo->revisions[1].size, 5);
    assert_int_equal(scan.n_scraps, 1);
    assert_int_equal(scan.scraps[0].size, 4);
}

static void test_a_removed_revision_takes_only_its_own_blobs(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    CacheScan scan;
    begin(&scan, a);
    scan.repos[0].revisions[0].doomed = true;
    assert_int_equal(cache_doomed_size(&scan), 1);
    assert_ok(cache_remove_doomed(&scan, &err));
    assert_false(there("models--me--m/snapshots/" A) || there("models--me--m/blobs/one"));
    assert_true(there("models--me--m/snapshots/" B "/y") && there("models--me--m/blobs/both"));
    assert_ok(cache_remove_scraps(&scan, &err));
    assert_false(there("models--me--m/blobs/cut.incomplete"));
    assert_ok(cache_scan(&scan, a, cache, &err));
    assert_true(scan.n == 1 && scan.n_warnings == 0 && scan.n_scraps == 0);
    // The last one takes the repository.
    scan.repos[0].revisions[0].doomed = true;
    assert_int_equal(cache_doomed_size(&scan), 5);
    assert_ok(cache_remove_doomed(&scan, &err));
    assert_false(there("models--me--m"));
}

static void test_single_files_go_and_foreign_files_stay(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    CacheScan scan;
    begin(&scan, a);
    put("mine.txt", "not in a repository");
    put_link("models--me--m/snapshots/" A "/mine", "../../../mine.txt");
    assert_ok(cache_scan(&scan, a, cache, &err));
    assert_int_equal(scan.n_warnings, 1); // mine.txt is no repository
    CachedRevision *first = &scan.repos[0].revisions[0];
    first->doomed = true;
    CachedRevision *second = &scan.repos[0].revisions[1];
    for (size_t i = 0; i < second->n; i++)
        second->files[i].doomed = strcmp(second->files[i].name, "d/x") == 0;
    assert_int_equal(cache_doomed_size(&scan), 3);
    assert_ok(cache_remove_doomed(&scan, &err));
    assert_true(there("mine.txt") && there("models--me--m/snapshots/" B "/z"));
    assert_false(there("models--me--m/blobs/two") || there("models--me--m/snapshots/" B "/d/x"));
}

static void test_broken_repositories_are_warnings(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    CacheScan scan;
    begin(&scan, a);
    put_link("models--me--torn/snapshots/" A "/x", "../../blobs/gone");
    put("datasets--me--lost/refs/main", A);
    put("datasets--me--lost/snapshots/" B "/x", "x");
    put("models--me--none/refs/main", A);
    assert_ok(cache_scan(&scan, a, cache, &err));
    assert_int_equal(scan.n, 1);
    assert_int_equal(scan.n_warnings, 3);
    assert_fails(cache_scan(&scan, a, test_path("nowhere"), &err), ERR_NOT_FOUND, "nowhere");
}

static void put_shared(void)
{
    put("blobs/.huggingface-shared-blobs", "1\n");
    put("blobs/cd/" HASH, "55555");
    put("blobs/cd/" HASH ".refs", "models--me--m/blobs/s\nmodels--me--n/blobs/s\n/etc/passwd\n");
    for (const char *name = "mn"; *name; name++) {
        char path[200];
        snprintf(path, sizeof path, "models--me--%c/blobs/s", *name);
        put_link(path, "../../blobs/cd/" HASH);
        snprintf(path, sizeof path, "models--me--%c/snapshots/" A "/s", *name);
        put_link(path, "../../blobs/s");
    }
    put("models--me--n/refs/main", A);
}

static void test_shared_content_goes_with_its_last_link(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    CacheScan scan;
    begin(&scan, a);
    put_shared();
    assert_ok(cache_scan(&scan, a, cache, &err));
    assert_true(scan.n == 2 && scan.size == 6 + 5 && scan.repos[1].size == 5);
    scan.repos[1].revisions[0].doomed = true; // me/n
    assert_int_equal(cache_doomed_size(&scan), 0);
    assert_ok(cache_remove_doomed(&scan, &err));
    assert_true(there("blobs/cd/" HASH) && !there("models--me--n"));
    assert_ok(cache_scan(&scan, a, cache, &err));
    scan.repos[0].revisions[0].doomed = true;
    assert_int_equal(cache_doomed_size(&scan), 1 + 5);
    assert_ok(cache_remove_doomed(&scan, &err));
    assert_false(there("blobs/cd/" HASH) || there("blobs/cd/" HASH ".refs"));
    assert_true(there("models--me--m/snapshots/" B "/y"));

    // What somebody else left without a link is a scrap; without a list nothing is known of it.
    put("blobs/cd/" HASH, "55555");
    assert_ok(cache_scan(&scan, a, cache, &err));
    assert_int_equal(scan.n_scraps, 1);
    put("blobs/cd/" HASH ".refs", "models--me--n/blobs/s\n");
    assert_ok(cache_scan(&scan, a, cache, &err));
    assert_int_equal(scan.n_scraps, 2);
    assert_ok(cache_remove_scraps(&scan, &err));
    assert_false(there("blobs/cd/" HASH));
}

static void test_content_is_given_and_taken(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    CacheScan scan;
    begin(&scan, a);
    uint8_t sum[SHA256_SIZE];
    char oid[OID_SIZE];
    sha256(S("content"), sum);
    hex_encode(sum, sizeof sum, oid);
    const RemoteFile file = {.path = "w", .etag = oid, .size = 7, .lfs = true, .xet = HASH};
    const char *given = arena_printf(a, "%s/models--me--g/blobs/%s", cache, oid);
    const char *taken = arena_printf(a, "%s/models--me--t/blobs/%s", cache, oid);
    put(given + strlen(cache) + 1, "content");
    assert_ok(file_make_folders(arena_cstr(a, path_parent(str_of(taken))), 0755, &err));
    assert_false(shared_store_take(a, cache, taken, &file)); // there is no store
    shared_store_give(a, cache, given, &file);
    assert_true(there("blobs/.huggingface-shared-blobs") && there("blobs/cd/" HASH));
    assert_string_equal(shared_store_target(a, cache, given),
                        arena_printf(a, "%s/blobs/cd/" HASH, cache));
    assert_true(shared_store_take(a, cache, taken, &file));
    AUTO_BUF bytes;
    buf_init(&bytes, 100);
    assert_ok(file_read(taken, &bytes, &err));
    assert_str(buf_str(&bytes), "content");
    // What is not the content is not taken, and gives way to what is.
    unlink(arena_printf(a, "%s/blobs/cd/" HASH, cache));
    put("blobs/cd/" HASH, "contant");
    unlink(taken);
    assert_false(shared_store_take(a, cache, taken, &file));
    assert_ok(file_write_atomic(taken, S("content"), 0644, &err));
    shared_store_give(a, cache, taken, &file);
    buf_reset(&bytes);
    assert_ok(file_read(given, &bytes, &err));
    assert_str(buf_str(&bytes), "content");
    // A folder of that name which is somebody else's is left alone.
    assert_ok(file_remove_tree(arena_printf(a, "%s/blobs", cache), &err));
    put("blobs/mine", "mine");
    put("models--me--o/blobs/o", "content");
    shared_store_give(a, cache, arena_printf(a, "%s/models--me--o/blobs/o", cache), &file);
    assert_false(there("blobs/cd"));
    assert_true(there("blobs/mine") && there("models--me--o/blobs/o"));
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_a_scan_counts_shared_blobs_once,
               test_a_removed_revision_takes_only_its_own_blobs,
               test_single_files_go_and_foreign_files_stay, test_broken_repositories_are_warnings,
               test_shared_content_goes_with_its_last_link, test_content_is_given_and_taken);
}
