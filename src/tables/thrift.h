/* Thrift's compact protocol, as far as Parquet needs it: a cursor over outside bytes.
 *
 *     ThriftStruct s = {0};
 *     while (thrift_field(r, &s))
 *         switch (s.id) {
 *         case 1: rows = thrift_int(r); break;
 *         default: thrift_skip(r, s.type); }
 *
 * The Reader keeps the first failure, and every loop ends there. */
#pragma once

#include "base/str.h"

enum ThriftType {
    THRIFT_STOP,
    THRIFT_TRUE,
    THRIFT_FALSE,
    THRIFT_BYTE,
    THRIFT_I16,
    THRIFT_I32,
    THRIFT_I64,
    THRIFT_DOUBLE,
    THRIFT_BINARY,
    THRIFT_LIST,
    THRIFT_SET,
    THRIFT_MAP,
    THRIFT_STRUCT,
};

typedef struct ThriftStruct {
    int id, type; // of the field that thrift_field has found
} ThriftStruct;

/* Moves to the next field; false at the end of the struct. Booleans are in the type. */
bool thrift_field(Reader *r, ThriftStruct *s);
/* A BYTE, I16, I32 or I64. */
int64_t thrift_int(Reader *r);
Str thrift_binary(Reader *r);
/* How many items follow; never more than there are bytes left. */
size_t thrift_list(Reader *r, int *type);
void thrift_skip(Reader *r, int type);
