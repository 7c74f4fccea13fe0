/* The file of tokens that the hub's clients share. */
#include "fuzz.h"

#include "fetch/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    AUTO(json_decref) json_t *all = tokens_parse((Str){(const char *)data, size}, &err);
    CHECK(all || err.text[0]);
    return 0;
}
