/* digest.c: thin wrappers over libcrypto's EVP; see digest.h. */
#include "base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

struct Digest {
    EVP_MD_CTX *context;
};

static Digest *digest_new(const EVP_MD *kind)
{
    Digest *d = xcalloc(1, sizeof *d);
    d->context = EVP_MD_CTX_new();
    CHECK(d->context && EVP_DigestInit_ex(d->context, kind, NULL) == 1);
    return d;
}

Digest *digest_sha1_new(void)
{
    return digest_new(EVP_sha1());
}

Digest *digest_sha256_new(void)
{
    return digest_new(EVP_sha256());
}

void digest_free(Digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->context);
    free(d);
}

void digest_add(Digest *d, const void *bytes, size_t n)
{
    CHECK(EVP_DigestUpdate(d->context, bytes, n) == 1);
}

void digest_finish(Digest *d, uint8_t *out)
{
    CHECK(EVP_DigestFinal_ex(d->context, out, NULL) == 1);
}

void sha256(Str bytes, uint8_t out[SHA256_SIZE])
{
    CHECK(EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, out, NULL, EVP_sha256(), NULL) == 1);
}

void hmac_sha256(Str key, Str message, uint8_t out[SHA256_SIZE])
{
    unsigned int n = SHA256_SIZE;
    CHECK(HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)message.ptr,
               message.len, out, &n) != NULL);
}

void random_bytes(void *out, size_t n)
{
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        CHECK(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

bool secret_eq(Str a, Str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}
