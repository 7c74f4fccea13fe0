/* status.c: HTTP's numbers for our errors, and their names. */
#include "net/server.h"

int error_http_status(ErrorCode code)
{
    switch (code) {
    case ERR_NONE:
        return 200;
    case ERR_INVALID:
    case ERR_UNSUPPORTED:
    case ERR_USAGE:
        return 400;
    case ERR_UNAUTHENTICATED:
        return 401;
    case ERR_DENIED:
    case ERR_GATED:
        return 403;
    case ERR_NOT_FOUND:
    case ERR_NO_REPO:
    case ERR_NO_REVISION:
    case ERR_NO_ENTRY:
        return 404;
    case ERR_EXISTS:
    case ERR_CONFLICT:
        return 409;
    case ERR_STALE:
        return 412;
    case ERR_LIMIT:
        return 413;
    case ERR_RANGE:
        return 416;
    case ERR_RATE:
        return 429;
    case ERR_CANCELLED:
        return 499; // the client has gone: for the log alone
    case ERR_CORRUPT:
    case ERR_IO:
        return 500;
    case ERR_BUSY:
    case ERR_UNAVAILABLE:
        return 503;
    case ERR_TIMEOUT:
        return 504;
    }
    return 500;
}

#define STATUSES(X)                                                                                \
    X(200, "OK")                                                                                   \
    X(201, "Created")                                                                              \
    X(202, "Accepted")                                                                             \
    X(204, "No Content")                                                                           \
    X(206, "Partial Content")                                                                      \
    X(301, "Moved Permanently")                                                                    \
    X(302, "Found")                                                                                \
    X(303, "See Other")                                                                            \
    X(304, "Not Modified")                                                                         \
    X(307, "Temporary Redirect")                                                                   \
    X(308, "Permanent Redirect")                                                                   \
    X(400, "Bad Request")                                                                          \
    X(401, "Unauthorized")                                                                         \
    X(403, "Forbidden")                                                                            \
    X(404, "Not Found")                                                                            \
    X(405, "Method Not Allowed")                                                                   \
    X(406, "Not Acceptable")                                                                       \
    X(408, "Request Timeout")                                                                      \
    X(409, "Conflict")                                                                             \
    X(410, "Gone")                                                                                 \
    X(411, "Length Required")                                                                      \
    X(412, "Precondition Failed")                                                                  \
    X(413, "Content Too Large")                                                                    \
    X(414, "URI Too Long")                                                                         \
    X(415, "Unsupported Media Type")                                                               \
    X(416, "Range Not Satisfiable")                                                                \
    X(422, "Unprocessable Content")                                                                \
    X(424, "Failed Dependency")                                                                    \
    X(429, "Too Many Requests")                                                                    \
    X(431, "Request Header Fields Too Large")                                                      \
    X(499, "Client Closed Request")                                                                \
    X(500, "Internal Server Error")                                                                \
    X(501, "Not Implemented")                                                                      \
    X(502, "Bad Gateway")                                                                          \
    X(503, "Service Unavailable")                                                                  \
    X(504, "Gateway Timeout")                                                                      \
    X(507, "Insufficient Storage")

const char *http_status_text(int status)
{
    switch (status) {
#define X(number, text)                                                                            \
    case number:                                                                                   \
        return text;
        STATUSES(X)
#undef X
    }
    return "Unknown";
}
