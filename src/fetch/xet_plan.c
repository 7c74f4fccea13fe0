/* xet_plan.c: how a file is put together, as the store says it in JSON; see xet.h. */
#include "fetch/xet.h"

static bool parse_range(const json_t *object, const char *key, XetRange *out, Error *err)
{
    const json_t *range = json_object_get(object, key);
    *out = (XetRange){json_int(range, "start", -1), json_int(range, "end", -1)};
    return (out->start >= 0 && out->end >= out->start && out->end <= INT32_MAX) ||
           fail(err, ERR_INVALID, "reconstruction: '%s' is no range", key);
}

static bool add_piece(XetPlan *plan, Arena *a, const char *xorb, const json_t *url,
                      const json_t *object, const char *chunks, const char *bytes, Error *err)
{
    XetPiece *p = &plan->pieces[plan->n_pieces++];
    *p = (XetPiece){.xorb = arena_cstr(a, str_of(xorb)),
                    .url = arena_cstr(a, str_of(json_string_value(url)))};
    return parse_range(object, chunks, &p->chunks, err) &&
           parse_range(object, bytes, &p->bytes, err);
}

/* Version 2: {xorb: [{url, ranges: [{chunks, bytes}]}]}; version 1: {xorb: [{range, url,
 * url_range}]}. */
static bool parse_pieces(XetPlan *plan, Arena *a, const json_t *answer, Error *err)
{
    json_t *xorbs = json_object_get(answer, "xorbs"), *list, *entry, *range;
    bool second = xorbs != NULL;
    const char *xorb;
    size_t i, k, most = 0;
    xorbs = second ? xorbs : json_object_get(answer, "fetch_info");
    json_object_foreach(xorbs, xorb, list) json_array_foreach(list, i, entry) most +=
        second ? json_array_size(json_object_get(entry, "ranges")) : 1;
    plan->pieces = NEW_ARRAY(a, XetPiece, most + 1);
    json_object_foreach(xorbs, xorb, list) json_array_foreach(list, i, entry)
    {
        const json_t *url = json_object_get(entry, "url");
        if (!second && !add_piece(plan, a, xorb, url, entry, "range", "url_range", err))
            return false;
        json_array_foreach(second ? json_object_get(entry, "ranges") : NULL, k, range)
        {
            if (!add_piece(plan, a, xorb, url, range, "chunks", "bytes", err))
                return false;
        }
    }
    return true;
}

static const XetPiece *piece_of(const XetPlan *plan, const char *xorb, const XetRange *chunks)
{
    for (size_t i = 0; i < plan->n_pieces; i++)
        if (strcmp(plan->pieces[i].xorb, xorb) == 0 &&
            plan->pieces[i].chunks.start <= chunks->start &&
            plan->pieces[i].chunks.end >= chunks->end)
            return &plan->pieces[i];
    return NULL;
}

static bool parse_terms(XetPlan *plan, Arena *a, const json_t *answer, int64_t wanted, Error *err)
{
    json_t *terms = json_object_get(answer, "terms"), *term;
    int64_t sum = 0;
    size_t i;
    plan->terms = NEW_ARRAY(a, XetPlanTerm, json_array_size(terms) + 1);
    json_array_foreach(terms, i, term)
    {
        XetPlanTerm *t = &plan->terms[plan->n++];
        t->bytes = json_int(term, "unpacked_length", -1);
        if (!parse_range(term, "range", &t->chunks, err))
            return false;
        t->piece = piece_of(plan, json_text(term, "hash", ""), &t->chunks);
        if (!t->piece || t->bytes < 1 || t->bytes > XORB_MAX_RAW)
            return fail(err, ERR_INVALID, "reconstruction: term %zu has no piece, or %lld bytes", i,
                        (long long)t->bytes);
        sum += t->bytes;
    }
    plan->skip = json_int(answer, "offset_into_first_range", 0);
    if (plan->skip < 0 || sum - plan->skip < wanted ||
        (plan->n && plan->skip >= plan->terms[0].bytes))
        return fail(err, ERR_INVALID, "reconstruction: %lld bytes, %lld are needed",
                    (long long)(sum - plan->skip), (long long)wanted);
    return true;
}

bool xet_plan_parse(XetPlan *plan, Arena *a, Str answer, int64_t wanted, Error *err)
{
    *plan = (XetPlan){0};
    AUTO(json_decref) json_t *said = json_parse(answer, "reconstruction", err);
    return said && parse_pieces(plan, a, said, err) && parse_terms(plan, a, said, wanted, err);
}
