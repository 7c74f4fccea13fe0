/* Stories of Xet uploads, with hashes that the real hf_xet gives (hash vectors were made by
 * hf_xet 1.8.0 over the same bytes). */
#include "blobs/xet_internal.h"

#include "blobs/xet_chunk.h"

#include "base/encode.h"
#include "base/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lz4frame.h>
#include <sys/resource.h>
#include <unistd.h>

#define HELLO "hello world\n"
#define HELLO_SHA "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447"
#define HELLO_CHUNK "6899563fa6b6abb19b8ecdd9f662a6c9acfca9fd4ff9f513086ec6c5685193ab"
#define HELLO_FILE "a302d931b8763df0bfb9926b9ff26b11c2a77d5be8dde4ce1c8bb7202a6a8681"
#define HELLO_RANGE "d84ad4e9bba4ab4d3e7ecfb8c052e405dfa5829c57cca7e9b1160501366b3b76"
#define ZEROS_XORB "8c15d5bfe292d5f8f3b992149581636a5c4078ce9c4349d43f1a762ba0609839"
#define ZEROS_FILE "1e671fe124cea35586b1d1c30b9d4fc6b4e05ee60c93406986444f7c23d54056"
#define ZEROS_RANGE "4c8a43f586d304f6006c4a323671636fbb32ffc7d146b778ed91ddca10f80fce"
#define ZEROS_SHA "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
#define ALICE ((XetScope){S("alice"), S("r1")})

enum { ZERO_CHUNK = 131072, ZERO_CHUNKS = 8 };
static const char zeros[ZERO_CHUNK];

static void assert_hash(const uint8_t *hash, const char *expected)
{
    char hex[XET_HEX_SIZE];
    xet_hash_format(hash, hex);
    assert_string_equal(hex, expected);
}

static void test_hashes_are_those_of_hf_xet(void **state)
{
    uint8_t hash[XET_HASH_SIZE], root[XET_HASH_SIZE], hashes[ZERO_CHUNKS * XET_HASH_SIZE];
    xet_chunk_hash(S(HELLO), hash);
    assert_hash(hash, HELLO_CHUNK);
    AUTO(xet_tree_free) XetTree *one = xet_tree_new();
    xet_tree_add(one, hash, 12);
    xet_tree_root(one, root);
    assert_hash(root, HELLO_CHUNK);
    xet_file_hash(root, root);
    assert_hash(root, HELLO_FILE);
    xet_range_hash((Str){(const char *)hash, sizeof hash}, hash);
    assert_hash(hash, HELLO_RANGE);

    AUTO(xet_tree_free) XetTree *eight = xet_tree_new();
    xet_chunk_hash((Str){zeros, sizeof zeros}, hash);
    assert_hash(hash, "2e39f13c248013b27e22913ba2893a654120ed0ad8eb7ecbf3f05b9d708634fc");
    for (int i = 0; i < ZERO_CHUNKS; i++) {
        xet_tree_add(eight, hash, sizeof zeros);
        memcpy(hashes + i * XET_HASH_SIZE, hash, sizeof hash);
    }
    xet_tree_root(eight, root);
    assert_hash(root, ZEROS_XORB);
    xet_range_hash((Str){(const char *)hashes, sizeof hashes}, hash);
    assert_hash(hash, ZEROS_RANGE);
    assert_true(xet_hash_parse(S(ZEROS_XORB), hash));
    assert_memory_equal(hash, root, sizeof hash);
    xet_file_hash(root, root);
    assert_hash(root, ZEROS_FILE);
}

/* ---- Making what clients send ---- */

static void add_u24(Buf *out, size_t v)
{
    buf_add_char(out, (char)v);
    buf_add_char(out, (char)(v >> 8));
    buf_add_char(out, (char)(v >> 16));
}

static void add_chunk(Buf *out, int scheme, Str raw)
{
    AUTO_BUF grouped, packed;
    buf_init(&grouped, 0);
    buf_init(&packed, 0);
    for (size_t g = 0; scheme == 2 && g < 4; g++)
        for (size_t i = g; i < raw.len; i += 4)
            buf_add_char(&grouped, raw.ptr[i]);
    Str in = scheme == 2 ? buf_str(&grouped) : raw;
    if (scheme == 0)
        buf_add(&packed, raw);
    else {
        size_t room = LZ4F_compressFrameBound(in.len, NULL);
        packed.len += LZ4F_compressFrame(buf_reserve(&packed, room), room, in.ptr, in.len, NULL);
    }
    buf_add_char(out, 0);
    add_u24(out, packed.len);
    buf_add_char(out, (char)scheme);
    add_u24(out, raw.len);
    buf_add(out, buf_str(&packed));
}

static void add_u32(Buf *out, uint32_t v)
{
    buf_add_bytes(out, &v, sizeof v);
}

static void add_hash(Buf *out, const char *hex)
{
    uint8_t hash[XET_HASH_SIZE];
    assert_true(xet_hash_parse(str_of(hex), hash));
    buf_add_bytes(out, hash, sizeof hash);
}

static void add_fill(Buf *out, int byte, size_t n)
{
    while (n--)
        buf_add_char(out, (char)byte);
}

typedef struct Claim {
    const char *file, *xorb, *range, *sha;
    uint32_t bytes, start, end;
} Claim;

static const Claim hello = {HELLO_FILE, HELLO_CHUNK, HELLO_RANGE, HELLO_SHA, 12, 0, 1};

static void make_shard(Buf *out, const Claim *claims, size_t n)
{
    static const char tag[32] =
        "HFRepoMetaData\0\x55\x69\x67\x45\x6A\x7B\x81\x57\x83\xA5\xBD\xD9\x5C\xCD\xD1\x4A\xA9";
    buf_add_bytes(out, tag, sizeof tag);
    buf_add_bytes(out, (uint64_t[]){2, 0}, 16);
    for (size_t i = 0; i < n; i++) {
        add_hash(out, claims[i].file);
        add_u32(out, 0xC0000000);
        add_u32(out, 1);
        add_fill(out, 0, 8);
        add_hash(out, claims[i].xorb);
        add_u32(out, 0);
        add_u32(out, claims[i].bytes);
        add_u32(out, claims[i].start);
        add_u32(out, claims[i].end);
        add_hash(out, claims[i].range);
        add_fill(out, 0, 16);
        add_hash(out, claims[i].sha);
        add_fill(out, 0, 16);
    }
    add_fill(out, 0xFF, 32);
    add_fill(out, 0, 16);
    add_fill(out, 0xFF, 32);
    add_fill(out, 0, 16);
}

typedef struct Place {
    Blobs *blobs;
    Xet *xet;
} Place;

static Place place_at(const char *name)
{
    Error err = {0};
    char path[600];
    Place p;
    snprintf(path, sizeof path, "%s/blobs", test_path(name));
    assert_ok((p.blobs = blobs_open(path, &err)));
    snprintf(path, sizeof path, "%s/xet", test_path(name));
    assert_ok((p.xet = xet_open(path, p.blobs, &err)));
    return p;
}

static void place_done(Place *p)
{
    xet_free(p->xet);
    blobs_free(p->blobs);
}

static void assert_blob(Place *p, const char *sha, Str expected)
{
    Error err = {0};
    AUTO(blob_close) BlobReader *r = blob_open(p->blobs, sha, &err);
    assert_ok(r != NULL);
    assert_int_equal(blob_size(r), expected.len);
    AUTO(free) char *bytes = xmalloc(expected.len + 1);
    assert_ok(blob_read(r, bytes, expected.len, 0, &err));
    assert_memory_equal(bytes, expected.ptr, expected.len);
}

/* A negative offset counts from the end. */
static void flip_byte(const char *name, off_t at)
{
    const char *path = test_path(name);
    uint8_t byte;
    chmod(path, 0600);
    AUTO_FD int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0)
        at += lseek(fd, 0, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* In pieces of `step` bytes. */
static bool send_xorb(Place *p, XetScope scope, const char *hash, Str bytes, size_t step,
                      bool *inserted, Error *err)
{
    AUTO(xorb_writer_free) XorbWriter *w = xorb_writer_new(p->xet, &scope, str_of(hash), err);
    for (size_t at = 0; w && at < bytes.len; at += step)
        if (!xorb_writer_add(w, str_slice(bytes, at, at + step), err))
            return NULL;
    return w && xorb_writer_finish(w, inserted, err);
}

static bool send_shard(Place *p, XetScope scope, const Claim *claims, size_t n, Error *err)
{
    AUTO_BUF shard;
    buf_init(&shard, 0);
    make_shard(&shard, claims, n);
    AUTO(arena_free) Arena *a = arena_new(0);
    XetFile *files;
    size_t count;
    ShardParams params = {.scope = scope, .bytes = buf_str(&shard)};
    if (!xet_shard_accept(p->xet, &params, a, &files, &count, err))
        return NULL;
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(files[i].sha256, claims[i].sha);
        assert_int_equal(files[i].size, claims[i].bytes);
    }
    return true;
}

/* ---- Stories ---- */

static void test_an_upload_becomes_a_blob(void **state)
{
    Error err = {0};
    bool inserted;
    for (int scheme = 0; scheme < 3; scheme++)
        for (size_t step = 1; step < 200000; step = step * 7 + 1) {
            char name[40];
            snprintf(name, sizeof name, "upload-%d-%zu", scheme, step);
            __attribute__((cleanup(place_done))) Place p = place_at(name);
            AUTO_BUF xorb;
            buf_init(&xorb, 0);
            for (int i = 0; i < ZERO_CHUNKS; i++)
                add_chunk(&xorb, scheme, (Str){zeros, sizeof zeros});
            if (scheme == 1)
                buf_add(&xorb, S("XETBLOB\x01 and whatever a client says about it"));
            if (scheme == 0 && step == 1)
                continue; // a megabyte byte by byte tells nothing new
            assert_ok(send_xorb(&p, ALICE, ZEROS_XORB, buf_str(&xorb), step, &inserted, &err));
            assert_true(inserted);
            Claim claim = {ZEROS_FILE, ZEROS_XORB, ZEROS_RANGE, ZEROS_SHA, 1 << 20, 0, 8};
            assert_ok(send_shard(&p, ALICE, &claim, 1, &err));
            int64_t size;
            assert_true(blobs_has(p.blobs, ZEROS_SHA, &size));
            assert_int_equal(size, 1 << 20);
        }
}

static void hello_xorb(Buf *out)
{
    buf_init(out, 0);
    add_chunk(out, 1, S(HELLO));
}

static void test_grouped_bytes_come_back_in_order(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("grouped");
    AUTO_BUF xorb;
    buf_init(&xorb, 0);
    add_chunk(&xorb, 2, S(HELLO));
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 5, &inserted, &err));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    assert_false(inserted);
}

static void test_nothing_false_is_accepted(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("false");
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    assert_fails(send_xorb(&p, ALICE, ZEROS_XORB, buf_str(&xorb), 99, &inserted, &err), ERR_INVALID,
                 "its chunks hash to " HELLO_CHUNK);
    Str cut = str_slice(buf_str(&xorb), 0, xorb.len - 1);
    assert_fails(send_xorb(&p, ALICE, HELLO_CHUNK, cut, 99, &inserted, &err), ERR_INVALID,
                 "ends inside chunk 0 at byte 0");
    assert_fails(send_xorb(&p, ALICE, HELLO_CHUNK, (Str){0}, 99, &inserted, &err), ERR_INVALID,
                 "no chunks");
    assert_fails(send_xorb(&p, ALICE, "../../x", buf_str(&xorb), 99, &inserted, &err), ERR_INVALID,
                 "hex digits");
    assert_fails(send_shard(&p, ALICE, &hello, 1, &err), ERR_INVALID, "is missing");
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    const struct {
        Claim claim;
        const char *words;
    } rows[] = {
        {{HELLO_FILE, HELLO_CHUNK, HELLO_RANGE, ZEROS_SHA, 12, 0, 1}, "hash to sha256 a948904f"},
        {{HELLO_FILE, HELLO_CHUNK, ZEROS_RANGE, HELLO_SHA, 12, 0, 1}, "verification hash differs"},
        {{ZEROS_FILE, HELLO_CHUNK, HELLO_RANGE, HELLO_SHA, 12, 0, 1}, "make another file"},
        {{HELLO_FILE, HELLO_CHUNK, HELLO_RANGE, HELLO_SHA, 13, 0, 1}, "12 bytes, it says 13"},
        {{HELLO_FILE, HELLO_CHUNK, HELLO_RANGE, HELLO_SHA, 11, 0, 1}, "12 bytes, it says 11"},
        {{HELLO_FILE, HELLO_CHUNK, HELLO_RANGE, HELLO_SHA, 12, 0, 2}, "chunks 0 to 2 of a xorb"},
        {{HELLO_FILE, HELLO_CHUNK, HELLO_RANGE, HELLO_SHA, 12, 1, 1}, "chunks 1 to 1"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_fails(send_shard(&p, ALICE, &rows[i].claim, 1, &err), ERR_INVALID, rows[i].words);
    assert_false(blobs_has(p.blobs, HELLO_SHA, NULL));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
}

static void test_a_xorb_serves_only_who_sent_it(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("scopes");
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    XetScope other = {S("bob"), S("r2")}, same_repo = {S("bob"), S("r1")},
             same_user = {S("alice"), S("r2")};
    assert_fails(send_shard(&p, other, &hello, 1, &err), ERR_INVALID, "is missing");
    assert_ok(send_shard(&p, same_repo, &hello, 1, &err));
    assert_ok(send_shard(&p, same_user, &hello, 1, &err));
    same_user.not_user = same_repo.not_repo = true;
    assert_fails(send_shard(&p, same_user, &hello, 1, &err), ERR_INVALID, "is missing");
    assert_fails(send_shard(&p, same_repo, &hello, 1, &err), ERR_INVALID, "is missing");
    assert_ok(send_xorb(&p, other, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    assert_false(inserted);
    assert_ok(send_shard(&p, other, &hello, 1, &err));
    assert_fails(send_shard(&p, (XetScope){S("../x"), S("r")}, &hello, 1, &err), ERR_INVALID,
                 "scope's name");
}

static bool count_file(void *user, const char *sha256)
{
    assert_string_equal(sha256, HELLO_SHA);
    ++*(int *)user;
    return true;
}

static void test_old_xorbs_are_swept(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("sweep");
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    const int64_t hour = INT64_C(3600) * 1000000000;
    assert_ok(xet_sweep(p.xet, hour, &err));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    int files = 0;
    assert_ok(xet_each_file(p.xet, hour, count_file, &files, &err));
    assert_int_equal(files, 0);
    assert_ok(xet_each_file(p.xet, -hour, count_file, &files, &err));
    assert_int_equal(files, 1);
    // A file needs it, however old it is.
    assert_ok(xet_sweep(p.xet, -hour, &err));
    assert_blob(&p, HELLO_SHA, S(HELLO));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    // No file needs it: it stays while a client may refer to it.
    assert_ok(blobs_delete(p.blobs, HELLO_SHA, &err));
    assert_false(blobs_has(p.blobs, HELLO_SHA, NULL));
    assert_ok(xet_sweep(p.xet, hour, &err));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    assert_ok(blobs_delete(p.blobs, HELLO_SHA, &err));
    assert_ok(xet_sweep(p.xet, -hour, &err));
    assert_fails(send_shard(&p, ALICE, &hello, 1, &err), ERR_INVALID, "is missing");
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    assert_true(inserted);
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
}

static void test_a_copy_without_links_gets_them_back(void **state)
{
    Error err = {0};
    bool inserted;
    char from[600], command[1300], sha[BLOB_HEX_SIZE];
    int64_t size;
    struct stat st;
    const int64_t hour = INT64_C(3600) * 1000000000;
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    {
        __attribute__((cleanup(place_done))) Place p = place_at("linked");
        assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
        assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    }
    snprintf(from, sizeof from, "%s", test_path("linked"));
    snprintf(command, sizeof command, "cp -r '%s' '%s'", from, test_path("copied"));
    assert_int_equal(system(command), 0);
    __attribute__((cleanup(place_done))) Place p = place_at("copied");
    for (int i = 0; i < 2; i++) {
        AUTO_BUF shard;
        buf_init(&shard, 0);
        assert_ok(xet_sweep(p.xet, -hour, &err));
        assert_true(xet_file_by_hash(p.xet, S(HELLO_FILE), sha, &size));
        assert_ok(xet_find_chunk(p.xet, &ALICE, S(HELLO_CHUNK), &shard, &err));
        assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    }
    assert_int_equal(stat(test_path("copied/xet/xorbs/68/" HELLO_CHUNK), &st), 0);
    assert_int_equal(st.st_nlink, 3); // the user's and the repository's
    // They still go when it goes.
    assert_ok(blobs_delete(p.blobs, HELLO_SHA, &err));
    assert_ok(xet_sweep(p.xet, -hour, &err));
    assert_false(xet_file_by_hash(p.xet, S(HELLO_FILE), sha, &size));
    assert_false(file_exists(test_path("copied/xet/scopes/user-alice/" HELLO_CHUNK)));
    assert_false(file_exists(test_path("copied/xet/scopes/user-alice/c-" HELLO_CHUNK)));
}

static void test_an_unseen_recipe_stops_the_sweep(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("unseen");
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    // One more file may be open: the folder of folders.
    struct rlimit all, few;
    int next = open("/", O_RDONLY);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    few = (struct rlimit){.rlim_cur = (rlim_t)next + 1, .rlim_max = all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    bool swept = xet_sweep(p.xet, INT64_C(-3600) * 1000000000, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
    assert_false(swept);
    assert_int_equal(err.os_errno, EMFILE);
    assert_non_null(strstr(err.text, "unseen/xet/files/"));
    assert_blob(&p, HELLO_SHA, S(HELLO));
}

static void test_a_damaged_recipe_stops_the_sweep(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("damaged");
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    flip_byte("damaged/xet/files/a9/" HELLO_SHA, 100);
    assert_fails(blob_open(p.blobs, HELLO_SHA, &err), ERR_CORRUPT, "is damaged");
    assert_ok(xet_sweep(p.xet, INT64_C(-3600) * 1000000000, &err));
    flip_byte("damaged/xet/files/a9/" HELLO_SHA, 100);
    assert_blob(&p, HELLO_SHA, S(HELLO));
    flip_byte("damaged/xet/xorbs/68/" HELLO_CHUNK, 12);
    AUTO(blob_close) BlobReader *r = blob_open(p.blobs, HELLO_SHA, &err);
    char bytes[12];
    assert_fails(blob_read(r, bytes, 12, 0, &err), ERR_CORRUPT, "chunk 0 at byte 0");
    flip_byte("damaged/xet/xorbs/68/" HELLO_CHUNK, -3);
    AUTO(blob_close) BlobReader *again = blob_open(p.blobs, HELLO_SHA, &err);
    assert_fails(blob_read(again, bytes, 12, 0, &err), ERR_CORRUPT, "its index is damaged");
    assert_fails(blob_read(again, bytes, 12, 1, &err), ERR_INVALID, "12 bytes at 1: it has 12");
}

/* ---- Files of many chunks ---- */

enum { NOISE = 1500000, MANY = 100 };

typedef struct Made {
    Buf bytes, xorb;
    char hash[XET_HEX_SIZE], file[XET_HEX_SIZE], range[XET_HEX_SIZE], sha[BLOB_HEX_SIZE];
    uint8_t hashes[MANY][XET_HASH_SIZE];
    uint32_t n;
    XetTree *tree;
    XetPacker *packer;
} Made;

static bool make_chunk(void *user, Str raw, Error *err)
{
    Made *m = user;
    uint8_t *hash = m->hashes[m->n++];
    xet_chunk_hash(raw, hash);
    xet_tree_add(m->tree, hash, raw.len);
    xet_pack(m->packer, raw, &m->xorb);
    return true;
}

/* A file of noise that half packs, as one xorb. */
static void make_file(Made *m, uint32_t seed)
{
    uint8_t hash[XET_HASH_SIZE];
    *m = (Made){.tree = xet_tree_new(), .packer = xet_packer_new()};
    buf_init(&m->bytes, 0);
    buf_init(&m->xorb, 0);
    for (size_t i = 0; i < NOISE; i++) {
        seed = (seed * 1103515245U + 12345U) & 0x7FFFFFFFU;
        buf_add_char(&m->bytes, i % 4 < 2 ? 7 : (char)(seed >> 16));
    }
    AUTO(xet_chunker_free) XetChunker *c = xet_chunker_new(make_chunk, m);
    assert_true(xet_chunker_add(c, buf_str(&m->bytes), NULL) && xet_chunker_finish(c, NULL));
    xet_range_hash((Str){(const char *)m->hashes, m->n * XET_HASH_SIZE}, hash);
    xet_hash_format(hash, m->range);
    xet_tree_root(m->tree, hash);
    xet_hash_format(hash, m->hash);
    xet_file_hash(hash, hash);
    xet_hash_format(hash, m->file);
    sha256(buf_str(&m->bytes), hash);
    hex_encode(hash, sizeof hash, m->sha);
}

static void made_done(Made *m)
{
    buf_done(&m->bytes);
    buf_done(&m->xorb);
    xet_tree_free(m->tree);
    xet_packer_free(m->packer);
}

static void send_file(Place *p, XetScope scope, const Made *m)
{
    Error err = {0};
    bool inserted;
    Claim claim = {m->file, m->hash, m->range, m->sha, NOISE, 0, m->n};
    assert_ok(send_xorb(p, scope, m->hash, buf_str(&m->xorb), 70001, &inserted, &err));
    assert_ok(send_shard(p, scope, &claim, 1, &err));
}

static void test_any_part_of_a_file_is_read_from_its_chunks(void **state)
{
    Error err = {0};
    __attribute__((cleanup(place_done))) Place p = place_at("parts");
    __attribute__((cleanup(made_done))) Made m;
    make_file(&m, 1);
    assert_true(m.n > 10 && m.n < MANY);
    send_file(&p, ALICE, &m);
    assert_blob(&p, m.sha, buf_str(&m.bytes));
    AUTO(blob_close) BlobReader *r = blob_open(p.blobs, m.sha, &err);
    AUTO(free) char *bytes = xmalloc(NOISE);
    assert_int_equal(blob_fd(r), -1);
    uint32_t seed = 4;
    for (int i = 0; i < 300; i++) {
        seed = (seed * 1103515245U + 12345U) & 0x7FFFFFFFU;
        size_t at = seed % NOISE, n = (seed >> 7) % (i % 2 ? 200000 : 300);
        n = MIN(n, NOISE - at);
        assert_ok(blob_read(r, bytes, n, (int64_t)at, &err));
        assert_memory_equal(bytes, m.bytes.ptr + at, n);
    }
    // Nothing is stored twice: a second upload of the same, as one file, finds it.
    char path[600];
    snprintf(path, sizeof path, "%s/also", test_path("parts"));
    bool copied = false;
    assert_ok(blobs_copy_to(p.blobs, m.sha, path, &copied, &err));
    assert_true(copied);
    char oid[BLOB_HEX_SIZE];
    assert_ok(blobs_put(p.blobs, buf_str(&m.bytes), oid, &err));
}

static void test_terms_tell_where_a_part_lies(void **state)
{
    Error err = {0};
    __attribute__((cleanup(place_done))) Place p = place_at("terms");
    __attribute__((cleanup(made_done))) Made m;
    make_file(&m, 2);
    send_file(&p, ALICE, &m);
    AUTO(arena_free) Arena *a = arena_new(0);
    char sha[BLOB_HEX_SIZE], hash[XET_HEX_SIZE];
    int64_t size = 0;
    assert_true(xet_file_by_hash(p.xet, str_of(m.file), sha, &size));
    assert_string_equal(sha, m.sha);
    assert_int_equal(size, NOISE);
    assert_true(xet_file_hash_of(p.xet, m.sha, hash));
    assert_string_equal(hash, m.file);
    assert_false(xet_file_by_hash(p.xet, S(HELLO_FILE), sha, &size));
    XetTerms all, part;
    assert_ok(xet_terms(p.xet, m.sha, 0, NOISE, a, &all, &err));
    assert_int_equal(all.n, 1);
    assert_int_equal(all.items[0].end, m.n);
    assert_int_equal(all.items[0].bytes, NOISE);
    assert_int_equal(all.items[0].to, m.xorb.len);
    assert_ok(xet_terms(p.xet, m.sha, 500000, 500001, a, &part, &err));
    const XetTerm *t = &part.items[0];
    assert_int_equal(part.n, 1);
    assert_int_equal(t->end, t->start + 1);
    // What lies there is the chunk with that byte.
    int64_t packed;
    AUTO_FD int fd = xet_xorb_open(p.xet, str_of(t->xorb), &packed, &err);
    assert_int_equal(packed, m.xorb.len);
    assert_memory_equal(m.xorb.ptr + t->from + 5, ((uint8_t[]){(uint8_t)t->bytes}), 1);
    assert_true(part.skip >= 0 && part.skip < t->bytes);
    uint8_t chunk[XET_HASH_SIZE];
    xet_chunk_hash(str_slice(buf_str(&m.bytes), 500000 - (size_t)part.skip,
                             500000 - (size_t)part.skip + t->bytes),
                   chunk);
    assert_memory_equal(chunk, m.hashes[t->start], sizeof chunk);
}

static void test_a_chunk_is_found_by_who_has_sent_it(void **state)
{
    Error err = {0};
    __attribute__((cleanup(place_done))) Place p = place_at("dedup");
    __attribute__((cleanup(made_done))) Made m;
    AUTO_BUF shard;
    char first[XET_HEX_SIZE];
    buf_init(&shard, 0);
    make_file(&m, 3);
    send_file(&p, ALICE, &m);
    xet_hash_format(m.hashes[0], first);
    XetScope stranger = {S("bob"), S("r2")}, member = {S("bob"), S("r1")};
    assert_fails(xet_find_chunk(p.xet, &stranger, str_of(first), &shard, &err), ERR_NOT_FOUND, "");
    assert_fails(xet_find_chunk(p.xet, &ALICE, S(HELLO_CHUNK), &shard, &err), ERR_NOT_FOUND, "");
    assert_fails(xet_find_chunk(p.xet, &ALICE, S("../x"), &shard, &err), ERR_INVALID, "hex digits");
    buf_reset(&shard);
    assert_ok(xet_find_chunk(p.xet, &member, str_of(first), &shard, &err));
    AUTO(arena_free) Arena *a = arena_new(0);
    ShardFile *files;
    size_t n = 1;
    assert_ok(shard_parse(buf_str(&shard), a, &files, &n, NULL, &err));
    assert_int_equal(n, 0);
    assert_int_equal(shard.len, 48 + 48 + 48 + 48 * m.n + 48 + 200);
    assert_memory_equal(shard.ptr + 144, m.hashes[0], XET_HASH_SIZE);
    // Without its file it is not found any more.
    assert_ok(blobs_delete(p.blobs, m.sha, &err));
    assert_ok(xet_sweep(p.xet, INT64_C(-3600) * 1000000000, &err));
    assert_fails(xet_find_chunk(p.xet, &ALICE, str_of(first), &shard, &err), ERR_NOT_FOUND, "");
}

static void test_a_mark_counts_once(void **state)
{
    __attribute__((cleanup(marks_done))) Marks marks;
    marks_init(&marks);
    uint8_t first[XET_HASH_SIZE] = {1, [24] = 1}, marked[XET_HASH_SIZE] = {2, [24] = 64};
    assert_true(marks_look(&marks, first));
    for (int i = 0; i < 1000; i++) {
        assert_false(marks_look(&marks, first)); // it was the first by its place alone
        assert_true(marks_look(&marks, marked));
    }
    assert_int_equal(marks.seen.n, 2);
}

static void test_broken_formats_are_named(void **state)
{
    Error err = {0};
    bool inserted;
    __attribute__((cleanup(place_done))) Place p = place_at("broken");
    const struct {
        Str bytes;
        const char *words;
        ErrorCode code;
    } xorbs[] = {
        {S("\1\1\0\0\0\1\0\0x"), "chunk version 1", ERR_INVALID},
        {S("\0\1\0\0\7\1\0\0x"), "compression 7", ERR_INVALID},
        {S("\0\1\0\0\0\2\0\0x"), "1 bytes, not 2", ERR_INVALID},
        {S("\0\1\0\0\0\0\0\0x"), "empty chunk", ERR_INVALID},
        {S("\0\1\0\0\0\1\0\xFFx"), "at most 1048576", ERR_LIMIT},
        {S("\0\1\0\0\1\1\0\0x"), "LZ4", ERR_INVALID},
        {S("\0\1\0\0\0\1\0\0x\0\1\0\0\5\1\0\0x"), "chunk 1 at byte 9", ERR_INVALID},
    };
    for (size_t i = 0; i < COUNT(xorbs); i++)
        assert_fails(send_xorb(&p, ALICE, HELLO_CHUNK, xorbs[i].bytes, 3, &inserted, &err),
                     xorbs[i].code, xorbs[i].words);
    AUTO_BUF shard;
    buf_init(&shard, 0);
    make_shard(&shard, &hello, 1);
    AUTO(arena_free) Arena *a = arena_new(0);
    ShardFile *files;
    size_t n;
    for (size_t len = 0; len < shard.len; len++)
        assert_fails(shard_parse(str_slice(buf_str(&shard), 0, len), a, &files, &n, NULL, &err),
                     ERR_INVALID, "shard");
    assert_ok(shard_parse(buf_str(&shard), a, &files, &n, NULL, &err));
    shard.ptr[48 + 36] = 100; // terms
    assert_fails(shard_parse(buf_str(&shard), a, &files, &n, NULL, &err), ERR_INVALID,
                 "100 records");
    shard.ptr[0] = 'X';
    assert_fails(shard_parse(buf_str(&shard), a, &files, &n, NULL, &err), ERR_INVALID,
                 "not a shard");
}

static bool count_blob(void *user, const char *oid, int64_t size)
{
    ++*(int *)user;
    return true;
}

static int whole_blobs(Place *p)
{
    int n = 0;
    assert_true(blobs_each(p->blobs, count_blob, &n, NULL));
    return n;
}

static bool add_size(int64_t *sum, const char *path)
{
    struct stat st;
    if (file_is_folder(path)) {
        DIR *dir = opendir(path);
        for (struct dirent *e; (e = readdir(dir));) {
            char inner[2000];
            snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
            if (e->d_name[0] != '.')
                add_size(sum, inner);
        }
        closedir(dir);
    } else if (stat(path, &st) == 0) {
        *sum += st.st_size;
    }
    return true;
}

static int64_t xorb_bytes(const char *place)
{
    char path[600];
    int64_t sum = 0;
    snprintf(path, sizeof path, "%s/xet/xorbs", test_path(place));
    add_size(&sum, path);
    return sum;
}

static void test_a_whole_blob_is_cut_up_and_shares_chunks(void **state)
{
    Error err = {0};
    __attribute__((cleanup(place_done))) Place p = place_at("absorb");
    __attribute__((cleanup(made_done))) Made m;
    make_file(&m, 6);
    // Noise of both kinds, and the same again: a chunk in a file twice is stored once.
    AUTO_BUF twice;
    buf_init(&twice, 0);
    buf_add(&twice, buf_str(&m.bytes));
    buf_add(&twice, buf_str(&m.bytes));
    char sha[BLOB_HEX_SIZE], hash[XET_HEX_SIZE];
    assert_ok(blobs_put(p.blobs, buf_str(&twice), sha, &err));
    atomic_bool stop = true;
    assert_fails(xet_absorb(p.xet, sha, &ALICE, &stop, &err), ERR_CANCELLED, "no time");
    assert_int_equal(whole_blobs(&p), 1);
    AUTO(blob_close) BlobReader *before = blob_open(p.blobs, sha, &err);
    stop = false;
    assert_ok(xet_absorb(p.xet, sha, &ALICE, &stop, &err));
    assert_ok(xet_absorb(p.xet, sha, &ALICE, NULL, &err));
    assert_int_equal(whole_blobs(&p), 0);
    assert_blob(&p, sha, buf_str(&twice));
    assert_true(xet_file_hash_of(p.xet, sha, hash));
    char byte;
    assert_ok(blob_read(before, &byte, 1, NOISE, &err)); // who had it open goes on
    int64_t once = xorb_bytes("absorb");
    assert_true(once < (int64_t)(twice.len * 45 / 100));
    // A little change stores a little.
    memset(twice.ptr + NOISE / 2, 'x', 1000);
    assert_ok(blobs_put(p.blobs, buf_str(&twice), sha, &err));
    assert_ok(xet_absorb(p.xet, sha, &ALICE, NULL, &err));
    assert_blob(&p, sha, buf_str(&twice));
    assert_true(xorb_bytes("absorb") - once < 300000);
    // What a client sends later finds its chunks.
    AUTO_BUF shard;
    buf_init(&shard, 0);
    xet_hash_format(m.hashes[0], hash);
    assert_ok(xet_find_chunk(p.xet, &ALICE, str_of(hash), &shard, &err));
    // And the other way: as Xet it is stored, then it comes whole.
    assert_ok(blobs_put(p.blobs, S(HELLO), sha, &err));
    AUTO_BUF xorb;
    hello_xorb(&xorb);
    bool inserted;
    assert_ok(send_xorb(&p, ALICE, HELLO_CHUNK, buf_str(&xorb), 99, &inserted, &err));
    assert_ok(send_shard(&p, ALICE, &hello, 1, &err));
    assert_int_equal(whole_blobs(&p), 0);
    assert_ok(blobs_put(p.blobs, S(HELLO), sha, &err));
    assert_int_equal(whole_blobs(&p), 0);
    assert_fails(xet_absorb(p.xet, ZEROS_SHA, &ALICE, NULL, &err), ERR_NOT_FOUND, "");
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_hashes_are_those_of_hf_xet, test_an_upload_becomes_a_blob,
               test_grouped_bytes_come_back_in_order, test_nothing_false_is_accepted,
               test_a_xorb_serves_only_who_sent_it, test_old_xorbs_are_swept,
               test_a_damaged_recipe_stops_the_sweep, test_a_copy_without_links_gets_them_back,
               test_an_unseen_recipe_stops_the_sweep,
               test_any_part_of_a_file_is_read_from_its_chunks, test_terms_tell_where_a_part_lies,
               test_a_chunk_is_found_by_who_has_sent_it,
               test_a_whole_blob_is_cut_up_and_shares_chunks, test_a_mark_counts_once,
               test_broken_formats_are_named);
}
