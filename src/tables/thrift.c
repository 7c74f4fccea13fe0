/* thrift.c: see thrift.h. */
#include "tables/thrift.h"

enum { MAX_DEPTH = 32 };

int64_t thrift_int(Reader *r)
{
    uint64_t zigzag = reader_varint(r);
    return (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
}

bool thrift_field(Reader *r, ThriftStruct *s)
{
    uint8_t head = reader_u8(r);
    s->type = head & 15;
    if (r->error.code || s->type == THRIFT_STOP)
        return false;
    int64_t id = head >> 4 ? s->id + (head >> 4) : thrift_int(r);
    if (id < 0 || id > INT16_MAX)
        reader_fail(r, ERR_INVALID, "field number %lld", (long long)id);
    s->id = (int)id;
    return r->error.code == ERR_NONE;
}

Str thrift_binary(Reader *r)
{
    uint64_t n = reader_varint(r);
    if (n > reader_left(r)) {
        reader_fail(r, ERR_INVALID, "%llu bytes wanted, %zu left", (unsigned long long)n,
                    reader_left(r));
        return (Str){0};
    }
    const char *bytes = reader_bytes(r, (size_t)n);
    return (Str){bytes, bytes ? (size_t)n : 0};
}

size_t thrift_list(Reader *r, int *type)
{
    uint8_t head = reader_u8(r);
    uint64_t n = head >> 4 == 15 ? reader_varint(r) : (uint64_t)(head >> 4);
    *type = head & 15;
    if (n > reader_left(r)) { // an item is at least a byte
        reader_fail(r, ERR_INVALID, "a list of %llu items in %zu bytes", (unsigned long long)n,
                    reader_left(r));
        return 0;
    }
    return (size_t)n;
}

static void skip(Reader *r, int type, int depth);

/* In lists and maps, unlike in fields, a boolean is a byte. */
static void skip_item(Reader *r, int type, int depth)
{
    if (type == THRIFT_TRUE || type == THRIFT_FALSE)
        reader_u8(r);
    else
        skip(r, type, depth);
}

static void skip(Reader *r, int type, int depth)
{
    int item = 0;
    size_t n;
    ThriftStruct s = {0};
    if (depth > MAX_DEPTH) {
        reader_fail(r, ERR_LIMIT, "nested more than %d deep", MAX_DEPTH);
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_BYTE:
        reader_u8(r);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        reader_varint(r);
        break;
    case THRIFT_DOUBLE:
        reader_skip(r, 8);
        break;
    case THRIFT_BINARY:
        thrift_binary(r);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        n = thrift_list(r, &item);
        for (; n > 0 && r->error.code == ERR_NONE; n--)
            skip_item(r, item, depth + 1);
        break;
    case THRIFT_MAP:
        n = (size_t)reader_varint(r);
        item = n ? reader_u8(r) : 0;
        if (n > reader_left(r))
            reader_fail(r, ERR_INVALID, "a map of %zu pairs in %zu bytes", n, reader_left(r));
        for (; n > 0 && r->error.code == ERR_NONE; n--) {
            skip_item(r, item >> 4, depth + 1);
            skip_item(r, item & 15, depth + 1);
        }
        break;
    case THRIFT_STRUCT:
        while (thrift_field(r, &s))
            skip(r, s.type, depth + 1);
        break;
    default:
        reader_fail(r, ERR_INVALID, "a field of type %d", type);
    }
}

void thrift_skip(Reader *r, int type)
{
    skip(r, type, 0);
}
