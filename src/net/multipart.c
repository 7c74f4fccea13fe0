/* multipart.c: forms with files (multipart/form-data, RFC 7578), read as they come; see server.h.
 * libmicrohttpd's parser does the work: this feeds it what request_read gives. */
#include "net/server_internal.h"

enum {
    FORM_BUFFER = 64 << 10, // the parser's, for a field's head and what of its value is at hand
    FORM_CHUNK = 64 << 10,
};

typedef struct Form {
    FormPiece *piece;
    void *user;
    bool failed;
    Error *err;
} Form;

static enum MHD_Result take(void *context, enum MHD_ValueKind kind, const char *key,
                            const char *filename, const char *type, const char *encoding,
                            const char *bytes, uint64_t at, size_t n)
{
    (void)kind;
    (void)encoding;
    Form *form = context;
    FormField field = {.name = str_of(key ? key : ""),
                       .is_file = filename != NULL,
                       .filename = str_of(filename ? filename : ""),
                       .type = str_of(type ? type : "")};
    form->failed = !form->piece(form->user, &field, (int64_t)at, (Str){bytes, n}, form->err);
    return form->failed ? MHD_NO : MHD_YES;
}

static bool feed(Request *r, struct MHD_PostProcessor *parser, Form *form, Error *err)
{
    char *chunk = arena_alloc(r->arena, FORM_CHUNK);
    size_t n;
    int64_t at = 0;
    do {
        if (!request_read(r, chunk, FORM_CHUNK, &n, err))
            return false;
        if (n && MHD_post_process(parser, chunk, n) == MHD_NO)
            return form->failed
                       ? NULL
                       : fail(err, ERR_INVALID, "the request's form: not multipart near byte %lld",
                              (long long)at);
        at += (int64_t)n;
    } while (n);
    return true;
}

bool request_multipart(Request *r, FormPiece *piece, void *user, Error *err)
{
    Error unseen = {0};
    Form form = {.piece = piece, .user = user, .err = err ? err : &unseen};
    if (!str_starts(request_header(r, "Content-Type"), S("multipart/form-data")))
        return fail(err, ERR_INVALID, "the request's form: want multipart/form-data");
    struct MHD_PostProcessor *parser = MHD_create_post_processor(r->mhd, FORM_BUFFER, take, &form);
    if (!parser)
        return fail(err, ERR_INVALID, "the request's form: it names no boundary");
    bool ok = feed(r, parser, &form, form.err);
    bool whole = MHD_destroy_post_processor(parser) == MHD_YES;
    if (ok && !whole)
        return fail(err, ERR_INVALID, "the request's form: it ends early");
    return ok;
}
