/* Errors: one idiom for the whole house.
 *
 * A function that can fail returns bool, or a pointer that is NULL on failure, and takes
 * `Error *err` last. The Error lives on the caller's stack, never allocates and crosses threads by
 * copy; err may be NULL when the caller only wants to know whether it worked.
 *
 *     if (!config_read(&m->config, dir, err))
 *         return fail_while(err, "open model '%s'", dir);
 *     if (m->config.layers > MAX_LAYERS)
 *         return fail(err, ERR_INVALID, "open model '%s': %d layers", dir, m->config.layers);
 *
 * The text grows outwards, "outer: inner: cause": context is added once per layer by whoever knows
 * the name, the offset or the shape. No "failed to", no full stop.
 * Threads: an Error belongs to one thread at a time. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* What programs decide on. api/ maps each row to an HTTP status. */
#define ERROR_CODES(X)                                                                             \
    X(ERR_NONE, "none")                     /* no error */                                         \
    X(ERR_INVALID, "invalid")               /* the input is malformed or out of range */           \
    X(ERR_UNSUPPORTED, "unsupported")       /* well-formed, but something we do not do */          \
    X(ERR_NOT_FOUND, "not_found")           /* no such thing, or not for this caller's eyes */     \
    X(ERR_NO_REPO, "no_repo")               /* no such repository, or not for these eyes */        \
    X(ERR_NO_REVISION, "no_revision")       /* no such branch, tag or commit */                    \
    X(ERR_NO_ENTRY, "no_entry")             /* no such file or folder in this revision */          \
    X(ERR_GATED, "gated")                   /* these files need an access grant */                 \
    X(ERR_EXISTS, "exists")                 /* the name is taken */                                \
    X(ERR_CONFLICT, "conflict")             /* somebody else changed it first */                   \
    X(ERR_STALE, "stale")                   /* a precondition of the caller no longer holds */     \
    X(ERR_UNAUTHENTICATED, "unauthenticated") /* who are you? */                                   \
    X(ERR_DENIED, "denied")                 /* we know you, and no */                              \
    X(ERR_LIMIT, "limit")                   /* too large, too many, too deep */                    \
    X(ERR_RATE, "rate")                     /* too often; try later */                             \
    X(ERR_RANGE, "range")                   /* asked for bytes outside the file */                 \
    X(ERR_CORRUPT, "corrupt")               /* our own data, or a checksum, is wrong */            \
    X(ERR_BUSY, "busy")                     /* a queue is full or a lock is taken; try later */    \
    X(ERR_CANCELLED, "cancelled")           /* the caller went away or said stop */                \
    X(ERR_TIMEOUT, "timeout")               /* it took too long */                                 \
    X(ERR_UNAVAILABLE, "unavailable")       /* a service or a network we need is not there */      \
    X(ERR_IO, "io")                         /* the operating system said no; see os_errno */       \
    X(ERR_USAGE, "usage")                   /* a misused command line; exit status 2 */

typedef enum ErrorCode {
#define X(code, name) code,
    ERROR_CODES(X)
#undef X
} ErrorCode;

typedef struct Error {
    ErrorCode code;
    int os_errno;     // errno when code is ERR_IO, else 0
    const char *file; // raised here, at this line
    int line;
    char text[512]; // "outer: inner: cause", ready to show
} Error;

/* Raises an error. Returns NULL, which C turns into false or NULL, so that one line serves both
 * kinds of function; the compiler warns when the `return` is forgotten. */
#define fail(err, code, ...) error_raise((err), (code), 0, __FILE__, __LINE__, __VA_ARGS__)

/* As fail, with ERR_IO and the text of errno behind the message. ENOENT becomes ERR_NOT_FOUND and
 * EEXIST ERR_EXISTS, because that is what callers decide on. */
#define fail_io(err, ...) error_raise_io((err), __FILE__, __LINE__, __VA_ARGS__)

/* Puts context in front of an error that a callee has raised. */
#define fail_while(err, ...) error_prefix((err), __VA_ARGS__)

void *error_raise(Error *err, ErrorCode code, int os_errno, const char *file, int line,
                  const char *format, ...)
    __attribute__((format(printf, 6, 7), warn_unused_result));
void *error_raise_io(Error *err, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), warn_unused_result));
void *error_prefix(Error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* The stable name of a code, for logs and JSON; never NULL. */
const char *error_code_name(ErrorCode code);

/* Invariants that guard memory safety; kept in every build. Plain assert states the others. */
#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))
void check_failed(const char *condition, const char *file, int line)
    __attribute__((noreturn, cold));
