/* Images: what passes once passes again, and comes out as it went in. */
#include "fuzz.h"

#include "media/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    ImageHead head = {0}, again = {0};
    AUTO_BUF clean, cleaner;
    buf_init(&clean, 0);
    buf_init(&cleaner, 0);
    if (!image_clean((Str){(const char *)data, size}, &head, &clean, &err)) {
        CHECK(err.text[0]);
        return 0;
    }
    CHECK(head.width && head.height);
    CHECK(image_clean(buf_str(&clean), &again, &cleaner, &err));
    CHECK(again.width == head.width && again.height == head.height);
    CHECK(str_eq(buf_str(&clean), buf_str(&cleaner)));
    return 0;
}
