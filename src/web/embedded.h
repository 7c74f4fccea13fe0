/* The files that are part of the binary: templates/ and static/, by tools/embed.py. */
#pragma once

#include <stddef.h>

typedef struct Embedded {
    const char *name; // "templates/home.html"
    const char *bytes;
    size_t size;
    const char *hash; // twelve hex digits of its sha256
} Embedded;

extern const Embedded embedded[];
extern const size_t embedded_n;
