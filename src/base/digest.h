/* Cryptographic digests and secrets, over OpenSSL's libcrypto.
 * Threads: a Digest belongs to one thread at a time; the other functions are free of state. */
#pragma once

#include "base/str.h"

enum { SHA1_SIZE = 20, SHA256_SIZE = 32 };

typedef struct Digest Digest;
Digest *digest_sha1_new(void) __attribute__((returns_nonnull));
Digest *digest_sha256_new(void) __attribute__((returns_nonnull));
void digest_free(Digest *d);
AUTO_FREE(Digest, digest_free)
void digest_add(Digest *d, const void *bytes, size_t n);
/* Writes 20 or 32 bytes; the digest may then only be freed. */
void digest_finish(Digest *d, uint8_t *out);

void sha256(Str bytes, uint8_t out[SHA256_SIZE]);
void hmac_sha256(Str key, Str message, uint8_t out[SHA256_SIZE]);

/* Unpredictable bytes from the kernel; aborts if there are none. */
void random_bytes(void *out, size_t n);
/* Takes the same time whatever differs. */
bool secret_eq(Str a, Str b);
