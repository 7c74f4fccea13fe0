/* error.c: raising errors and giving them context; see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define X(code, name) [code] = name,
    ERROR_CODES(X)
#undef X
};

const char *error_code_name(ErrorCode code)
{
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "unknown";
}

static void raise_va(Error *err, ErrorCode code, int os_errno, const char *file, int line,
                     const char *format, va_list args)
{
    *err = (Error){.code = code, .os_errno = os_errno, .file = file, .line = line};
    vsnprintf(err->text, sizeof err->text, format, args);
}

void *error_raise(Error *err, ErrorCode code, int os_errno, const char *file, int line,
                  const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        raise_va(err, code, os_errno, file, line, format, args);
        va_end(args);
    }
    return NULL;
}

void *error_raise_io(Error *err, const char *file, int line, const char *format, ...)
{
    int saved = errno;
    if (err) {
        ErrorCode code = saved == ENOENT   ? ERR_NOT_FOUND
                         : saved == EEXIST ? ERR_EXISTS
                                           : ERR_IO;
        va_list args;
        va_start(args, format);
        raise_va(err, code, saved, file, line, format, args);
        va_end(args);
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(saved));
    }
    errno = saved;
    return NULL;
}

void *error_prefix(Error *err, const char *format, ...)
{
    if (err) {
        char inner[sizeof err->text];
        memcpy(inner, err->text, sizeof inner);
        va_list args;
        va_start(args, format);
        int used = vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        if (used >= 0 && (size_t)used < sizeof err->text)
            snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", inner);
    }
    return NULL;
}

void check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "hug: internal error at %s:%d: %s\n", file, line, condition);
    abort();
}
