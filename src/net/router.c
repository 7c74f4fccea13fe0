/* router.c: a tree of path segments; see router.h. */
#include "net/router.h"
#include "base/encode.h"
#include "base/map.h"

typedef struct Target {
    const RouteTable *table;
    const Route *route;
    const Str *names; // of the parameters, from left to right
} Target;

typedef struct Node Node;
typedef struct Ending { // {name}.git
    Str text;
    Node *node;
} Ending;

struct Node {
    Map literals; // to Node
    Ending *endings;
    size_t n_endings;
    Node *param, *rest;
    Target *targets;
    size_t n_targets;
};

struct Router {
    Arena *arena;
    Node *root;
};

enum { MAX_PARAMS = 16 };

static void map_release(void *map)
{
    map_done(map);
}

static Node *node_new(Arena *a)
{
    Node *node = NEW(a, Node);
    arena_defer(a, map_release, &node->literals);
    return node;
}

static Node *child(Arena *a, Node **slot)
{
    if (!*slot)
        *slot = node_new(a);
    return *slot;
}

static Node *literal_child(Arena *a, Node *node, Str text)
{
    Node *next = map_find(&node->literals, text);
    if (!next) {
        next = node_new(a);
        map_put(&node->literals, text, next);
    }
    return next;
}

static Node *ending_child(Arena *a, Node *node, Str text)
{
    for (size_t i = 0; i < node->n_endings; i++)
        if (str_eq(node->endings[i].text, text))
            return node->endings[i].node;
    Ending *longer = NEW_ARRAY(a, Ending, node->n_endings + 1);
    if (node->n_endings)
        memcpy(longer, node->endings, node->n_endings * sizeof *longer);
    longer[node->n_endings] = (Ending){text, node_new(a)};
    node->endings = longer;
    return longer[node->n_endings++].node;
}

static void bad_pattern(const Route *route, const char *why)
{
    fprintf(stderr, "hug: route %s %s: %s\n", route->method, route->pattern, why);
    abort();
}

/* The node below `node` for one segment of a pattern; appends the parameter's name, if it has one.
 */
static Node *grow(Arena *a, Node *node, Str segment, Str *names, size_t *n, const Route *route)
{
    if (segment.len == 0 || segment.ptr[0] != '{')
        return literal_child(a, node, segment);
    size_t close = str_find_char(segment, '}', 0);
    if (close == SIZE_MAX || *n == MAX_PARAMS)
        bad_pattern(route, "a parameter without its '}', or too many of them");
    Str name = str_slice(segment, 1, close), end = str_slice(segment, close + 1, SIZE_MAX);
    bool rest = str_ends(name, S("..."));
    names[(*n)++] = rest ? str_slice(name, 0, name.len - 3) : name;
    if (rest)
        return child(a, &node->rest);
    return end.len ? ending_child(a, node, end) : child(a, &node->param);
}

static void add_route(Router *router, const RouteTable *table, const Route *route)
{
    Arena *a = router->arena;
    Str left = str_of(route->pattern), segment, names[MAX_PARAMS];
    if (!str_starts(left, S("/")))
        bad_pattern(route, "does not begin with '/'");
    left = str_slice(left, 1, SIZE_MAX);
    size_t n = 0;
    Node *node = router->root;
    while (left.len && str_split(&left, '/', &segment))
        node = grow(a, node, segment, names, &n, route);
    for (size_t i = 0; i < node->n_targets; i++)
        if (strcmp(node->targets[i].route->method, route->method) == 0)
            bad_pattern(route, "is there twice");
    Target *longer = NEW_ARRAY(a, Target, node->n_targets + 1);
    if (node->n_targets)
        memcpy(longer, node->targets, node->n_targets * sizeof *longer);
    longer[node->n_targets++] =
        (Target){table, route, n ? arena_copy(a, names, n * sizeof *names) : NULL};
    node->targets = longer;
}

Router *router_new(const RouteTable *const *tables)
{
    Router *router = xcalloc(1, sizeof *router);
    router->arena = arena_new(0);
    router->root = node_new(router->arena);
    for (; *tables; tables++)
        for (size_t i = 0; i < (*tables)->n; i++)
            add_route(router, *tables, &(*tables)->routes[i]);
    return router;
}

void router_free(Router *router)
{
    if (!router)
        return;
    arena_free(router->arena);
    free(router);
}

/* One look-up on its way down the tree. */
typedef struct Search {
    Str method;
    const Str *segments;
    size_t n_segments;
    Str values[MAX_PARAMS];
    size_t n_values;
    Arena *arena;
    const Target *found;
    const Node *known; // the first node that has the path, whatever the method
    Buf allowed;
} Search;

static void add_allowed(Search *s, const char *method)
{
    Str name = str_of(method);
    if (str_find(buf_str(&s->allowed), name, 0) == SIZE_MAX)
        buf_printf(&s->allowed, "%s%s", s->allowed.len ? ", " : "", method);
    if (str_eq(name, S("GET")))
        add_allowed(s, "HEAD");
}

static bool at_end(Search *s, const Node *node)
{
    bool head = str_eq(s->method, S("HEAD"));
    const Target *get = NULL;
    for (size_t i = 0; i < node->n_targets; i++) {
        const Target *t = &node->targets[i];
        if (str_eq(str_of(t->route->method), s->method)) {
            s->found = t;
            return true;
        }
        if (head && strcmp(t->route->method, "GET") == 0)
            get = t;
    }
    s->found = get;
    if (get)
        return true;
    if (node->n_targets && !s->known)
        s->known = node;
    for (size_t i = 0; i < node->n_targets; i++)
        add_allowed(s, node->targets[i].route->method);
    return false;
}

static Str join(Search *s, size_t from)
{
    size_t len = 0;
    for (size_t i = from; i < s->n_segments; i++)
        len += s->segments[i].len + (i > from);
    char *text = arena_alloc(s->arena, len + 1), *end = text;
    for (size_t i = from; i < s->n_segments; i++) {
        if (i > from)
            *end++ = '/';
        if (s->segments[i].len)
            memcpy(end, s->segments[i].ptr, s->segments[i].len);
        end += s->segments[i].len;
    }
    return (Str){text, len};
}

static bool descend(Search *s, const Node *node, size_t at);

static bool with_value(Search *s, Str value, const Node *node, size_t at)
{
    s->values[s->n_values++] = value;
    if (descend(s, node, at))
        return true;
    s->n_values--;
    return false;
}

static bool descend(Search *s, const Node *node, size_t at)
{
    if (at < s->n_segments) {
        Str segment = s->segments[at];
        const Node *next = map_find(&node->literals, segment);
        if (next && descend(s, next, at + 1))
            return true;
        for (size_t i = 0; i < node->n_endings; i++) {
            Ending end = node->endings[i];
            if (segment.len > end.text.len && str_ends(segment, end.text) &&
                with_value(s, str_slice(segment, 0, segment.len - end.text.len), end.node, at + 1))
                return true;
        }
        if (segment.len && node->param && with_value(s, segment, node->param, at + 1))
            return true;
    } else if (at_end(s, node)) {
        return true;
    }
    if (!node->rest)
        return false;
    s->values[s->n_values++] = join(s, at);
    if (at_end(s, node->rest))
        return true;
    s->n_values--;
    return false;
}

static bool decode_segment(Arena *a, Str raw, Str *out, Error *err)
{
    *out = raw;
    if (str_find_char(raw, '%', 0) != SIZE_MAX) {
        AUTO_BUF text;
        buf_init(&text, raw.len + 1);
        if (!url_decode(&text, raw, false, err))
            return false;
        *out = arena_str(a, buf_str(&text));
    }
    Str left = *out, piece; // "%2F" may have brought more pieces
    while (left.len && str_split(&left, '/', &piece))
        if (str_eq(piece, S(".")) || str_eq(piece, S("..")))
            return fail(err, ERR_INVALID, "path: a '%.*s' segment", STR(piece));
    if (!str_is_utf8(*out) || (out->len && memchr(out->ptr, 0, out->len)))
        return fail(err, ERR_INVALID, "path: not UTF-8 text");
    return true;
}

static bool split_path(Arena *a, Str path, const Str **segments, size_t *n, Error *err)
{
    if (!str_starts(path, S("/")))
        return fail(err, ERR_INVALID, "path: does not begin with '/'");
    size_t count = 0;
    for (size_t i = 0; i < path.len; i++)
        count += path.ptr[i] == '/';
    Str *list = NEW_ARRAY(a, Str, count), left = str_slice(path, 1, SIZE_MAX), raw;
    *n = 0;
    while (left.len && str_split(&left, '/', &raw)) {
        CHECK(*n < count);
        if (!decode_segment(a, raw, &list[(*n)++], err))
            return false;
    }
    *segments = list;
    return true;
}

bool router_find(const Router *router, Str method, Str path, Arena *a, RouteMatch *out, Error *err)
{
    Search s = {.method = method, .arena = a};
    *out = (RouteMatch){0};
    if (!split_path(a, path, &s.segments, &s.n_segments, err))
        return false;
    buf_init(&s.allowed, 0);
    if (descend(&s, router->root, 0)) {
        Param *params = NEW_ARRAY(a, Param, s.n_values + 1);
        for (size_t i = 0; i < s.n_values; i++)
            params[i] = (Param){s.found->names[i], s.values[i]};
        *out = (RouteMatch){
            .table = s.found->table, .route = s.found->route, .params = {params, s.n_values}};
    } else if (s.known) {
        out->allowed = arena_str(a, buf_str(&s.allowed));
    }
    const Target *of = s.found ? s.found : s.known ? s.known->targets : NULL;
    out->cors_expose = of ? of->table->cors_expose : NULL;
    buf_done(&s.allowed);
    return true;
}

bool target_split(Str target, Str *path, Str *query, Error *err)
{
    if (!str_starts(target, S("/"))) { // absolute form, as proxies get it
        size_t host = str_find(target, S("://"), 0);
        if (host == SIZE_MAX || host > 8)
            return fail(err, ERR_INVALID, "request target is neither a path nor a URL");
        size_t slash = str_find_char(target, '/', host + 3);
        target = slash == SIZE_MAX ? S("/") : str_slice(target, slash, SIZE_MAX);
    }
    size_t mark = str_find_char(target, '?', 0);
    *path = str_slice(target, 0, mark);
    *query = mark == SIZE_MAX ? (Str){0} : str_slice(target, mark + 1, SIZE_MAX);
    return true;
}

Str params_get(const Params *p, const char *name)
{
    Str wanted = str_of(name);
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->items[i].name, wanted))
            return p->items[i].value;
    return (Str){0};
}

static bool decode_half(Arena *a, Str raw, Str *out, Error *err)
{
    AUTO_BUF text;
    buf_init(&text, raw.len + 1);
    if (!url_decode(&text, raw, true, err))
        return false;
    if (!str_is_utf8(buf_str(&text)))
        return fail(err, ERR_INVALID, "not UTF-8 text");
    *out = arena_str(a, buf_str(&text));
    return true;
}

bool params_parse(Params *out, Str text, Arena *a, Error *err)
{
    enum { MAX_PAIRS = 1000 };
    size_t n = 0, count = 1;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '&';
    if (count > MAX_PAIRS)
        return fail(err, ERR_LIMIT, "more than %d fields", MAX_PAIRS);
    Param *items = NEW_ARRAY(a, Param, count);
    Str left = text, pair;
    while (left.len && str_split(&left, '&', &pair)) {
        if (pair.len == 0)
            continue;
        size_t equals = str_find_char(pair, '=', 0);
        Str value = equals == SIZE_MAX ? S("") : str_slice(pair, equals + 1, SIZE_MAX);
        CHECK(n < count);
        if (!decode_half(a, str_slice(pair, 0, equals), &items[n].name, err) ||
            !decode_half(a, value, &items[n].value, err))
            return fail_while(err, "field %zu", n + 1);
        n++;
    }
    *out = (Params){items, n};
    return true;
}
