/* Stories of images: their sizes, what is left out of the copy, and what is no image. */
#include "base/encode.h"
#include "base/test.h"
#include "media/image.h"

/* The bytes of a hex text; valid until the arena goes. */
static Arena *a;
static Str bytes(const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *out = arena_alloc(a, n + 1);
    assert_true(hex_decode(str_of(hex), out, n));
    return (Str){out, n};
}

#define PNG_MARK "89504e470d0a1a0a"
#define PNG_IHDR "0000000d49484452000000030000000208020000001216f14d"
#define PNG_TEXT "0000000474455874686f6d6500000000"
#define PNG_IDAT "0000000249444154ffff00000000"
#define PNG_IEND "0000000049454e44ae426082"

#define EXIF_II                                                                                    \
    "ffe1001e457869660000"                                                                         \
    "49492a0008000000"                                                                             \
    "0100"                                                                                         \
    "120103000100000006000000"
#define EXIF_KEPT                                                                                  \
    "ffe10022457869660000"                                                                         \
    "4d4d002a00000008"                                                                             \
    "0001"                                                                                         \
    "011200030000000100060000"                                                                     \
    "00000000"
#define JFIF "ffe000104a46494600010100000100010000"
#define COMMENT "fffe0006686f6d65"
#define FRAME "ffc0000b080002000301011100"
#define SCAN                                                                                       \
    "ffda000801010000003f00"                                                                       \
    "12ff0034ffd056"

static void cleans(const char *in, const char *type, const char *out)
{
    Error err = {0};
    ImageHead head = {0};
    AUTO_BUF copy;
    char *hex;
    buf_init(&copy, 0);
    assert_ok(image_clean(bytes(in), &head, &copy, &err));
    assert_string_equal(head.type, type);
    assert_int_equal(head.width, 3);
    assert_int_equal(head.height, 2);
    hex = arena_alloc(a, 2 * copy.len + 1);
    hex_encode(copy.ptr, copy.len, hex);
    assert_string_equal(hex, out);
}

static void test_a_png_loses_its_texts_and_what_stands_behind_it(void **state)
{
    cleans(PNG_MARK PNG_IHDR PNG_TEXT PNG_IDAT PNG_IEND "3c736372697074", "image/png",
           PNG_MARK PNG_IHDR PNG_IDAT PNG_IEND);
}

static void test_a_jpeg_loses_places_and_comments_and_keeps_its_orientation(void **state)
{
    cleans("ffd8" JFIF EXIF_II COMMENT FRAME SCAN "ffd9"
           "3c3f706870",
           "image/jpeg", "ffd8" JFIF EXIF_KEPT FRAME SCAN "ffd9");
    // Upright is what it is anyway.
    cleans("ffd8ffe1000a457869660000ffff" FRAME SCAN "ffd9", "image/jpeg",
           "ffd8" FRAME SCAN "ffd9");
}

static void test_a_webp_loses_exif_and_xmp(void **state)
{
    // VP8L: 3 by 2, then a chunk of Exif.
    cleans("524946461a00000057454250"
           "5650384c050000002f0240000000"
           "455849460000"
           "0000",
           "image/webp",
           "524946461200000057454250"
           "5650384c050000002f0240000000");
    // VP8X says that there is Exif; afterwards not.
    cleans("524946462c00000057454250"
           "565038580a0000001c000000020000010000"
           "5650384c050000002f0240000000"
           "455849460000"
           "0000",
           "image/webp",
           "524946462400000057454250"
           "565038580a00000010000000020000010000"
           "5650384c050000002f0240000000");
}

static void test_what_is_no_image_or_is_cut_is_refused(void **state)
{
    Error err = {0};
    ImageHead head = {0};
    AUTO_BUF copy;
    buf_init(&copy, 0);
    assert_fails(image_clean(S("<svg/>"), &head, &copy, &err), ERR_UNSUPPORTED, "PNG, JPEG");
    assert_fails(image_clean(S(""), &head, &copy, &err), ERR_UNSUPPORTED, "PNG, JPEG");
    static const char *const whole[] = {PNG_MARK PNG_IHDR PNG_IDAT PNG_IEND,
                                        "ffd8" JFIF FRAME SCAN "ffd9",
                                        "524946461200000057454250"
                                        "5650384c050000002f0240000000"};
    for (size_t i = 0; i < COUNT(whole); i++) {
        Str image = bytes(whole[i]);
        for (size_t n = 0; n < image.len; n++) {
            err = (Error){0};
            assert_false(image_clean(str_slice(image, 0, n), &head, &copy, &err));
            assert_true(err.text[0]);
        }
    }
    assert_fails(image_clean(bytes(PNG_MARK "0000000d49484452000000000000000208020000001216f14d"),
                             &head, &copy, &err),
                 ERR_INVALID, "no width");
    assert_fails(image_clean(bytes("ffd8ffd8"), &head, &copy, &err), ERR_INVALID, "marker d8");
    assert_int_equal(head.width, 0);
}

int main(void)
{
    a = arena_new(0);
    int failed = RUN(test_a_png_loses_its_texts_and_what_stands_behind_it,
                     test_a_jpeg_loses_places_and_comments_and_keeps_its_orientation,
                     test_a_webp_loses_exif_and_xmp, test_what_is_no_image_or_is_cut_is_refused);
    arena_free(a);
    return failed;
}
