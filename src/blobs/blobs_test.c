/* Stories of the content store: what is whole appears, nothing else does, and a full disk, a crash
 * or a late part leave it as it was. */
#include "blobs/blobs.h"

#include "base/encode.h"
#include "base/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELLO "hello world\n"
#define HELLO_OID "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"

static Blobs *store_at(const char *name)
{
    Error err = {0};
    Blobs *b = blobs_open(test_path(name), &err);
    assert_ok(b != NULL);
    return b;
}

static int files_in_temp(const char *store)
{
    char path[600];
    snprintf(path, sizeof path, "%s/temp", test_path(store));
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int n = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void test_stores_and_gives_back(void **state)
{
    Error err = {0};
    char oid[BLOB_HEX_SIZE], bytes[32] = "";
    int64_t size = 0;
    AUTO(blobs_free) Blobs *b = store_at("plain");
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_false(blobs_has(b, HELLO_OID, &size));
    assert_ok(blobs_put(b, S(HELLO), oid, &err));
    assert_string_equal(oid, HELLO_OID);
    assert_ok(blobs_put(b, S(HELLO), oid, &err));
    assert_true(blobs_has(b, HELLO_OID, &size));
    assert_int_equal(size, 12);
    AUTO(blob_close) BlobReader *r = blob_open(b, HELLO_OID, &err);
    assert_ok(r && blob_read(r, bytes, (size_t)blob_size(r), 0, &err));
    assert_string_equal(bytes, HELLO);
    assert_true(blob_fd(r) >= 0);
    bool copied = true;
    char also[600];
    snprintf(also, sizeof also, "%s/also", test_path("plain"));
    assert_ok(blobs_copy_to(b, HELLO_OID, also, &copied, &err));
    assert_false(copied);
    assert_ok(blobs_put(b, (Str){0}, oid, &err));
    assert_true(blobs_has(b, oid, &size));
    assert_int_equal(size, 0);
    assert_ok(blobs_delete(b, HELLO_OID, &err));
    assert_ok(blobs_delete(b, HELLO_OID, &err));
    assert_fails(blob_open(b, HELLO_OID, &err), ERR_NOT_FOUND, HELLO_OID);
    assert_ok(blob_read(r, bytes, 12, 0, &err)); // what is open stays
    assert_int_equal(files_in_temp("plain"), 0);
}

static void test_publishes_only_what_was_promised(void **state)
{
    Error err = {0};
    AUTO(blobs_free) Blobs *b = store_at("promise");
    static const char other[] = "0000000000000000000000000000000000000000000000000000000000000000";
    BlobWriter *w = blob_writer_new(b, other, 12, &err);
    assert_ok(blob_writer_add(w, HELLO, 12, &err));
    assert_fails(blob_writer_finish(w, NULL, &err), ERR_INVALID, "hash to sha256 " HELLO_OID);
    blob_writer_free(w);
    w = blob_writer_new(b, HELLO_OID, 13, &err);
    assert_ok(blob_writer_add(w, HELLO, 12, &err));
    assert_fails(blob_writer_finish(w, NULL, &err), ERR_INVALID, "12 bytes came, 13");
    blob_writer_free(w);
    w = blob_writer_new(b, HELLO_OID, 11, &err);
    assert_fails(blob_writer_add(w, HELLO, 12, &err), ERR_INVALID, "promised 11 bytes");
    blob_writer_free(w);
    assert_false(blobs_has(b, HELLO_OID, NULL));
    assert_int_equal(files_in_temp("promise"), 0);
    static const char *const bad[] = {
        "", "../../../../etc/passwd", "A948904f",
        "A948904F2F0F479B8F8197694B30184B0D2ED1C1CD2A1EC0FB85D299A192A447"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_fails(blob_writer_new(b, bad[i], -1, &err), ERR_INVALID, "lower-case hex");
        assert_false(blobs_has(b, bad[i], NULL));
    }
    assert_fails(blobs_open("s3://bucket", &err), ERR_UNSUPPORTED, "no driver for 's3'");
}

static void test_opening_clears_what_nobody_holds(void **state)
{
    Error err = {0};
    AUTO(blobs_free) Blobs *b = store_at("clear");
    char path[600], ready[600];
    snprintf(path, sizeof path, "%s/temp/new-dead00", test_path("clear"));
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(ready, sizeof ready, "%s/temp/new-ready0", test_path("clear"));
    close(open(ready, O_CREAT | O_WRONLY, 0444)); // it was about to be published
    AUTO(blob_writer_free) BlobWriter *w = blob_writer_new(b, HELLO_OID, 12, &err);
    assert_ok(blob_writer_add(w, HELLO, 6, &err));
    assert_ok(blobs_part_write(b, "abc", 0, "x", 1, &err));
    AUTO(blobs_free) Blobs *second = store_at("clear");
    assert_false(file_exists(path) || file_exists(ready));
    assert_int_equal(files_in_temp("clear"), 2); // the writer's and the upload's
    assert_ok(blob_writer_add(w, HELLO + 6, 6, &err));
    assert_ok(blob_writer_finish(w, NULL, &err));
    assert_true(blobs_has(second, HELLO_OID, NULL));
}

static void test_parts_come_in_any_order(void **state)
{
    Error err = {0};
    AUTO(blobs_free) Blobs *b = store_at("parts");
    assert_ok(blobs_part_write(b, "01ab", 6, HELLO + 6, 6, &err));
    assert_fails(blobs_parts_finish(b, "01ab", HELLO_OID, 12, &err), ERR_INVALID, "hash to");
    assert_ok(blobs_part_write(b, "01ab", 0, "HELLO ", 6, &err));
    assert_ok(blobs_part_write(b, "01ab", 0, HELLO, 6, &err));
    assert_ok(blobs_part_sync(b, "01ab", &err));
    assert_fails(blobs_parts_finish(b, "01ab", HELLO_OID, 11, &err), ERR_INVALID, "12 bytes came");
    assert_ok(blobs_parts_finish(b, "01ab", HELLO_OID, 12, &err));
    assert_true(blobs_has(b, HELLO_OID, NULL));
    // That it is stored is no proof that somebody has it.
    assert_fails(blobs_parts_finish(b, "01ab", HELLO_OID, 12, &err), ERR_NOT_FOUND, "01ab");
    assert_ok(blobs_part_write(b, "01ab", 0, "HELLO world\n", 12, &err));
    assert_fails(blobs_parts_finish(b, "01ab", HELLO_OID, 12, &err), ERR_INVALID, "hash to");
    assert_ok(blobs_part_write(b, "01ab", 0, HELLO, 12, &err));
    assert_ok(blobs_parts_finish(b, "01ab", HELLO_OID, 12, &err));
    assert_fails(blobs_parts_finish(b, "01ac", "00", 12, &err), ERR_INVALID, "oid");
    assert_fails(blobs_part_write(b, "../x", 0, "x", 1, &err), ERR_INVALID, "hex digits");
    assert_fails(blobs_part_write(b, "aa", INT64_C(11) << 40, "x", 1, &err), ERR_LIMIT, "10 TB");
    assert_int_equal(files_in_temp("parts"), 0);
}

static bool count_blob(void *user, const char *oid, int64_t size)
{
    int64_t *sum = user;
    *sum += size;
    return true;
}

static void test_each_visits_all(void **state)
{
    Error err = {0};
    AUTO(blobs_free) Blobs *b = store_at("each");
    char text[16];
    int64_t sum = 0;
    for (int i = 10; i < 60; i++) {
        snprintf(text, sizeof text, "blob %d", i);
        assert_ok(blobs_put(b, str_of(text), NULL, &err));
    }
    assert_ok(blobs_each(b, count_blob, &sum, &err));
    assert_int_equal(sum, 50 * 7);
}

static void test_a_full_disk_is_an_error_and_no_more(void **state)
{
    Error err = {0};
    const char *disk = test_path("disk");
    assert_int_equal(mkdir(disk, 0755), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, "size=1m") < 0) {
        print_message("no right to mount a small tmpfs: skipped\n");
        return;
    }
    Blobs *b = store_at("disk/store");
    static char bytes[65536];
    BlobWriter *w = blob_writer_new(b, NULL, -1, &err);
    bool ok = true;
    for (int i = 0; ok && i < 64; i++)
        ok = blob_writer_add(w, bytes, sizeof bytes, &err);
    assert_false(ok);
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(err.os_errno, ENOSPC);
    blob_writer_free(w);
    assert_int_equal(files_in_temp("disk/store"), 0);
    err = (Error){0};
    assert_null(blob_writer_new(b, NULL, 64 << 20, &err));
    assert_int_equal(err.os_errno, ENOSPC);
    assert_ok(blobs_put(b, S(HELLO), NULL, &err));
    blobs_free(b);
    assert_int_equal(umount2(disk, MNT_DETACH), 0);
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_stores_and_gives_back, test_publishes_only_what_was_promised,
               test_opening_clears_what_nobody_holds, test_parts_come_in_any_order,
               test_each_visits_all, test_a_full_disk_is_an_error_and_no_more);
}
