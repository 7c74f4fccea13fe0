/* automaton.c: see automaton.h. Expressions go by Thompson's construction to an automaton of
 * characters and empty steps, then by sets of its places to a deterministic one (Aho, Sethi, Ullman
 * 1986, algorithms 3.3 and 3.2); equal states are found by refining a partition (Moore 1956). */
#include "text/automaton.h"

#include "base/map.h"

enum { MAX_PLACES = 1 << 14, MAX_ROUNDS = 64 };

static const CharRange all_chars[] = {{0, 0xD7FF}, {0xE000, 0x10FFFF}};

static AutomatonState *state_add(Builder *b, Automaton *a, size_t *cap, bool accepts)
{
    if (a->n == AUTOMATON_STATES) {
        builder_fail(b, ERR_LIMIT, "what must hold together takes more than %d states",
                     AUTOMATON_STATES);
        a->n--; // the last one is used again, and nothing of it will be
    }
    if (a->n == *cap) {
        size_t more = MAX(2 * *cap, (size_t)16);
        AutomatonState *states = NEW_ARRAY(builder_arena(b), AutomatonState, more);
        builder_spend(b, more * sizeof *states, more);
        if (a->n)
            memcpy(states, a->states, a->n * sizeof *states);
        a->states = states;
        *cap = more;
    }
    a->states[a->n] = (AutomatonState){.accepts = accepts};
    return &a->states[a->n++];
}

/* Moves in the order of characters; neighbours with one target become one. */
typedef struct Moves {
    Move *list;
    size_t n, cap;
} Moves;

static void moves_add(Moves *m, Move move)
{
    Move *last = m->n ? &m->list[m->n - 1] : NULL;
    if (last && last->to == move.to && last->chars.to + 1 == move.chars.from) {
        last->chars.to = move.chars.to;
        return;
    }
    if (m->n == m->cap) {
        m->cap = MAX(2 * m->cap, (size_t)16);
        m->list = xrealloc(m->list, m->cap * sizeof *m->list);
    }
    m->list[m->n++] = move;
}

static void moves_give(Builder *b, Moves *m, AutomatonState *to)
{
    if (builder_spend(b, m->n * sizeof *m->list, m->n)) {
        to->moves = arena_copy(builder_arena(b), m->list, m->n * sizeof *m->list);
        to->n = m->n;
    }
    m->n = 0;
}

// ---- From expressions ----

/* A place of the automaton with empty steps: characters lead to `next`, or nothing is read and both
 * `next` and `other` (-1: none) are reached. */
typedef struct Place {
    const CharRange *ranges; // NULL: an empty step
    size_t n_ranges;
    int32_t next, other;
} Place;

typedef struct Making {
    Builder *b;
    Place *places;
    size_t n, cap;
    int32_t *set; // the places reached, in order; [n]
    size_t n_set;
    uint8_t *in_set; // [n]
    Map rules;       // and what follows them, to places + 1
    Map known;       // sets to states + 1
    int32_t *queue;  // sets of states, one behind the other
    Automaton *result;
    size_t cap_states;
} Making;

static int32_t place_add(Making *k, Place p)
{
    if (k->n == MAX_PLACES) {
        builder_fail(k->b, ERR_LIMIT, "a pattern that is too long to be combined");
        return 0;
    }
    if (k->n == k->cap) {
        k->cap = MAX(2 * k->cap, (size_t)64);
        k->places = xrealloc(k->places, k->cap * sizeof *k->places);
    }
    k->places[k->n] = p;
    return (int32_t)k->n++;
}

static int32_t place_or(Making *k, int32_t a, int32_t b)
{
    return place_add(k, (Place){.next = a, .other = b});
}

static int32_t lay(Making *k, Expr e, int32_t next);

static int32_t lay_text(Making *k, Str text, int32_t next)
{
    size_t at = 0, n = 0;
    CharRange *chars = NEW_ARRAY(builder_arena(k->b), CharRange, text.len + 1);
    while (at < text.len) {
        int32_t c = utf8_next(text, &at);
        if (c < 0)
            builder_fail(k->b, ERR_INVALID, "a text that is not UTF-8");
        chars[n++] = (CharRange){c, c};
    }
    while (n-- > 0)
        next = place_add(k, (Place){.ranges = &chars[n], .n_ranges = 1, .next = next, .other = -1});
    return next;
}

/* From the last child to the first. */
static int32_t lay_sequence(Making *k, Expr first, int32_t next)
{
    if (first < 0 || !builder_ok(k->b))
        return next;
    return lay(k, first, lay_sequence(k, expr_node(k->b, first)->next, next));
}

static int32_t lay_repeat(Making *k, const ExprNode *x, int32_t next)
{
    if (x->max < 0) {
        int32_t loop = place_or(k, -1, next), body = lay(k, x->first, loop);
        k->places[loop].next = body;
        next = loop;
    }
    for (int64_t i = x->min; i < x->max && builder_ok(k->b); i++)
        next = place_or(k, lay(k, x->first, next), next);
    for (int64_t i = 0; i < x->min && builder_ok(k->b); i++)
        next = lay(k, x->first, next);
    return next;
}

/* A rule that ends in itself comes to the place that it has: with what follows it is the same. */
static int32_t lay_rule(Making *k, int rule, int32_t next)
{
    const int32_t pair[] = {rule, next};
    Str key = arena_str(builder_arena(k->b), (Str){(const char *)pair, sizeof pair});
    uintptr_t known = (uintptr_t)map_find(&k->rules, key);
    if (known)
        return (int32_t)known - 1;
    int32_t entry = place_add(k, (Place){.next = -1, .other = -1});
    map_put(&k->rules, key, (void *)(uintptr_t)(entry + 1));
    if (rule_is_set(k->b, rule)) {
        int32_t body = lay(k, rule_body(k->b, rule), next);
        k->places[entry].next = body;
    }
    return entry;
}

/* The place from which e is read before `next` is reached. */
static int32_t lay(Making *k, Expr e, int32_t next)
{
    const ExprNode x = *expr_node(k->b, e);
    if (!builder_ok(k->b))
        return next;
    switch (x.kind) {
    case EXPR_TEXT:
        return lay_text(k, x.text, next);
    case EXPR_CHARS:
        return place_add(
            k, (Place){.ranges = x.ranges, .n_ranges = x.n_ranges, .next = next, .other = -1});
    case EXPR_SEQUENCE:
        return lay_sequence(k, x.first, next);
    case EXPR_CHOICE: {
        int32_t entry = -1;
        for (Expr c = x.first; c >= 0; c = expr_node(k->b, c)->next) {
            int32_t one = lay(k, c, next);
            entry = entry < 0 ? one : place_or(k, one, entry);
        }
        // A choice of nothing: a place without a way on.
        return entry < 0 ? place_add(k, (Place){.next = -1, .other = -1}) : entry;
    }
    case EXPR_REPEAT:
        return lay_repeat(k, &x, next);
    case EXPR_RULE:
        return lay_rule(k, x.rule, next);
    }
    return next;
}

/* Marks what is reached without reading; place 0 is the end. */
static void reach(Making *k, int32_t place)
{
    int32_t *stack = k->queue;
    size_t n = 0;
    stack[n++] = place;
    while (n > 0) {
        int32_t at = stack[--n];
        if (at < 0 || k->in_set[at])
            continue;
        k->in_set[at] = 1;
        if (k->places[at].ranges || at == 0)
            continue;
        stack[n++] = k->places[at].other;
        stack[n++] = k->places[at].next;
    }
}

/* The state of the places that are marked; unmarks them. -1: there are none. */
static int32_t state_of(Making *k)
{
    k->n_set = 0;
    for (size_t i = 0; i < k->n; i++)
        if (k->in_set[i] && (i == 0 || k->places[i].ranges))
            k->set[k->n_set++] = (int32_t)i;
    bool accepts = k->in_set[0];
    memset(k->in_set, 0, k->n);
    Str key = {(const char *)k->set, k->n_set * sizeof *k->set};
    if (k->n_set == 0)
        return -1;
    uintptr_t found = (uintptr_t)map_find(&k->known, key);
    if (found || !builder_spend(k->b, key.len, key.len))
        return (int32_t)found - 1;
    state_add(k->b, k->result, &k->cap_states, accepts);
    map_put(&k->known, arena_str(builder_arena(k->b), key), (void *)(uintptr_t)k->result->n);
    return (int32_t)k->result->n - 1;
}

static int by_number(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Where the characters of these places begin and end, sorted; how many. */
static size_t list_edges(const Making *k, const int32_t *set, size_t n, int32_t **edges)
{
    size_t found = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        found += 2 * k->places[set[i]].n_ranges;
    // For each edge all ranges, and all places, are looked at.
    size_t steps;
    if (!builder_spend(k->b, 0, size_mul(found, found + k->n, &steps) ? steps : SIZE_MAX))
        found = 0;
    int32_t *list = *edges = xcalloc(found + 1, sizeof *list);
    found = 0;
    for (size_t i = 0; i < n && builder_ok(k->b); i++)
        for (size_t j = 0; j < k->places[set[i]].n_ranges; j++) {
            list[found++] = k->places[set[i]].ranges[j].from;
            list[found++] = k->places[set[i]].ranges[j].to + 1;
        }
    qsort(list, found, sizeof *list, by_number);
    for (size_t i = 0; i < found; i++)
        if (kept == 0 || list[kept - 1] != list[i])
            list[kept++] = list[i];
    return kept;
}

static bool reads(const Place *p, int32_t c)
{
    for (size_t i = 0; i < p->n_ranges; i++)
        if (c >= p->ranges[i].from && c <= p->ranges[i].to)
            return true;
    return false;
}

static void find_moves(Making *k, int32_t state, Moves *moves)
{
    Str key = k->known.entries[state].key;
    size_t n = key.len / sizeof(int32_t);
    int32_t *set = xcalloc(n, sizeof *set), *edges;
    memcpy(set, key.ptr, key.len);
    size_t n_edges = list_edges(k, set, n, &edges);
    for (size_t i = 0; i + 1 < n_edges && builder_ok(k->b); i++) {
        for (size_t j = 0; j < n; j++)
            if (reads(&k->places[set[j]], edges[i]))
                reach(k, k->places[set[j]].next);
        int32_t to = state_of(k);
        if (to >= 0)
            moves_add(moves, (Move){{edges[i], edges[i + 1] - 1}, to});
    }
    moves_give(k->b, moves, &k->result->states[state]);
    free(set);
    free(edges);
}

Automaton *automaton_of(Builder *b, Expr e)
{
    Making k = {.b = b, .result = arena_alloc(builder_arena(b), sizeof(Automaton))};
    Moves moves = {0};
    place_add(&k, (Place){.next = -1, .other = -1});
    int32_t entry = lay(&k, e, 0);
    k.set = xcalloc(k.n, sizeof *k.set);
    k.in_set = xcalloc(k.n, sizeof *k.in_set);
    k.queue = xcalloc(2 * k.n + 2, sizeof *k.queue);
    reach(&k, entry);
    if (state_of(&k) < 0) // nothing, or failed
        state_add(b, k.result, &k.cap_states, false);
    for (size_t i = 0; i < k.known.n && builder_ok(b); i++)
        find_moves(&k, (int32_t)i, &moves);
    free(moves.list);
    free(k.places);
    free(k.set);
    free(k.in_set);
    free(k.queue);
    map_done(&k.rules);
    map_done(&k.known);
    return automaton_smaller(b, k.result);
}

Automaton *automaton_of_length(Builder *b, int64_t min, int64_t max)
{
    Automaton *a = arena_alloc(builder_arena(b), sizeof *a);
    Moves moves = {0};
    size_t cap = 0;
    int64_t last = max < 0 ? min : max;
    for (int64_t i = 0; i <= last && builder_ok(b); i++) {
        AutomatonState *s = state_add(b, a, &cap, i >= min);
        bool ends = i == last && max >= 0;
        for (size_t k = 0; k < COUNT(all_chars) && !ends; k++)
            moves_add(&moves, (Move){all_chars[k], (int32_t)MIN(i + 1, last)});
        moves_give(b, &moves, s);
    }
    free(moves.list);
    return a;
}

// ---- Combining ----

/* A state of two automata; y's may be -1, a state that accepts nothing. */
typedef struct Pair {
    int32_t x, y;
} Pair;

typedef struct Product {
    Builder *b;
    const Automaton *x, *y;
    bool without; // else both
    Map known;    // pairs to states + 1
    Automaton *result;
    size_t cap;
} Product;

static int32_t pair_state(Product *p, Pair pair)
{
    Str key = {(const char *)&pair, sizeof pair};
    uintptr_t found = (uintptr_t)map_find(&p->known, key);
    if (found || !builder_spend(p->b, key.len, key.len))
        return (int32_t)found - 1;
    bool y = pair.y >= 0 && p->y->states[pair.y].accepts;
    state_add(p->b, p->result, &p->cap, p->x->states[pair.x].accepts && y != p->without);
    map_put(&p->known, arena_str(builder_arena(p->b), key), (void *)(uintptr_t)p->result->n);
    return (int32_t)p->result->n - 1;
}

/* One move of x, cut where y's moves begin and end. */
static void cut_move(Product *p, const Move *move, const AutomatonState *y, Moves *out)
{
    int32_t from = move->chars.from;
    for (size_t i = 0; y && i < y->n && from <= move->chars.to; i++) {
        const Move *other = &y->moves[i];
        if (other->chars.to < from || other->chars.from > move->chars.to)
            continue;
        if (other->chars.from > from && p->without)
            moves_add(out,
                      (Move){{from, other->chars.from - 1}, pair_state(p, (Pair){move->to, -1})});
        from = MAX(from, other->chars.from);
        int32_t to = MIN(move->chars.to, other->chars.to);
        moves_add(out, (Move){{from, to}, pair_state(p, (Pair){move->to, other->to})});
        from = to + 1;
    }
    if (from <= move->chars.to && p->without)
        moves_add(out, (Move){{from, move->chars.to}, pair_state(p, (Pair){move->to, -1})});
}

static Automaton *product(Builder *b, const Automaton *x, const Automaton *y, bool without)
{
    Product p = {.b = b, .x = x, .y = y, .without = without};
    Moves moves = {0};
    p.result = arena_alloc(builder_arena(b), sizeof *p.result);
    pair_state(&p, (Pair){0, 0});
    for (size_t i = 0; i < p.known.n && builder_ok(b); i++) {
        Pair pair;
        memcpy(&pair, p.known.entries[i].key.ptr, sizeof pair);
        const AutomatonState *sx = &x->states[pair.x];
        builder_spend(b, 0, sx->n * (pair.y < 0 ? 1 : y->states[pair.y].n + 1));
        for (size_t k = 0; k < sx->n && builder_ok(b); k++)
            cut_move(&p, &sx->moves[k], pair.y < 0 ? NULL : &y->states[pair.y], &moves);
        moves_give(b, &moves, &p.result->states[i]);
    }
    if (p.result->n == 0)
        state_add(b, p.result, &p.cap, false);
    free(moves.list);
    map_done(&p.known);
    return automaton_smaller(b, p.result);
}

Automaton *automaton_both(Builder *b, const Automaton *x, const Automaton *y)
{
    return product(b, x, y, false);
}

Automaton *automaton_without(Builder *b, const Automaton *x, const Automaton *y)
{
    return product(b, x, y, true);
}

// ---- Fewer states ----

/* Marks the states from which an end is reached. */
static void find_alive(const Automaton *a, bool *alive)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = a->n; i-- > 0;) {
            bool here = a->states[i].accepts;
            for (size_t k = 0; k < a->states[i].n && !here; k++)
                here = alive[a->states[i].moves[k].to];
            changed |= here != alive[i];
            alive[i] = here;
        }
    }
}

/* The moves of a state to classes of states. */
static void class_moves(const AutomatonState *s, const int32_t *classes, Moves *out)
{
    for (size_t k = 0; k < s->n; k++)
        if (classes[s->moves[k].to] >= 0)
            moves_add(out, (Move){s->moves[k].chars, classes[s->moves[k].to]});
}

/* One round: classes of states with one class before and one meaning of every character; how many.
 */
static size_t refine(const Automaton *a, const int32_t *classes, int32_t *next)
{
    Map seen = {0};
    Arena *arena = arena_new(0);
    Moves moves = {0};
    for (size_t i = 0; i < a->n; i++) {
        next[i] = classes[i];
        if (classes[i] < 0)
            continue;
        moves.n = 0;
        moves_add(&moves, (Move){{-1, -1}, classes[i]});
        class_moves(&a->states[i], classes, &moves);
        Str key = {(const char *)moves.list, moves.n * sizeof *moves.list};
        uintptr_t found = (uintptr_t)map_find(&seen, key);
        if (!found) {
            found = seen.n + 1;
            map_put(&seen, arena_str(arena, key), (void *)found);
        }
        next[i] = (int32_t)found - 1;
    }
    size_t n = seen.n;
    map_done(&seen);
    arena_free(arena);
    free(moves.list);
    return n;
}

/* Classes of states that accept the same, -1 for those that accept nothing; how many. The first
 * state's is the first. */
static size_t find_classes(Builder *b, const Automaton *a, int32_t *classes)
{
    bool *alive = xcalloc(a->n, sizeof *alive);
    int32_t *next = xcalloc(a->n, sizeof *next);
    size_t n = 0, before = SIZE_MAX, rounds = 0, size = 0;
    find_alive(a, alive);
    for (size_t i = 0; i < a->n; i++)
        size += a->states[i].n + 1;
    for (size_t i = 0; i < a->n; i++)
        classes[i] = alive[i] || i == 0 ? a->states[i].accepts : -1;
    for (; n != before && rounds < MAX_ROUNDS; rounds++) {
        before = n;
        builder_spend(b, 0, size);
        n = refine(a, classes, next);
        memcpy(classes, next, a->n * sizeof *classes);
    }
    if (n != before) // a long chain: each state for itself
        for (size_t i = n = 0; i < a->n; i++)
            classes[i] = classes[i] < 0 ? -1 : (int32_t)n++;
    free(alive);
    free(next);
    return n;
}

Automaton *automaton_smaller(Builder *b, const Automaton *x)
{
    Automaton *a = arena_alloc(builder_arena(b), sizeof *a);
    int32_t *classes = xcalloc(x->n, sizeof *classes);
    Moves moves = {0};
    size_t cap = 0, n = find_classes(b, x, classes);
    for (size_t i = 0; i < n; i++)
        state_add(b, a, &cap, false);
    for (size_t i = 0; i < x->n; i++) {
        if (classes[i] < 0 || a->states[classes[i]].moves)
            continue;
        class_moves(&x->states[i], classes, &moves);
        a->states[classes[i]].accepts = x->states[i].accepts;
        moves_give(b, &moves, &a->states[classes[i]]);
    }
    free(moves.list);
    free(classes);
    return a;
}

bool automaton_is_empty(const Automaton *x)
{
    return !x->states[0].accepts && x->states[0].n == 0;
}

bool automaton_accepts(const Automaton *x, Str text)
{
    int32_t state = 0;
    for (size_t at = 0; at < text.len && state >= 0;) {
        int32_t c = utf8_next(text, &at), to = -1;
        const AutomatonState *s = &x->states[state];
        for (size_t i = 0; i < s->n; i++)
            if (c >= s->moves[i].chars.from && c <= s->moves[i].chars.to)
                to = s->moves[i].to;
        state = to;
    }
    return state >= 0 && x->states[state].accepts;
}

// ---- To rules ----

/* Characters as they stand in a text: the controls with letters of their own, unless only others
 * are there. */
static Expr chars_expr(Builder *b, CharRange *ranges, size_t n, bool json)
{
    if (!json)
        return expr_chars(b, ranges, n);
    static const CharRange written[] = {{'\t', '\n'}, {'\r', '\r'}, {' ', 0x10FFFF}};
    CharRange *kept = xcalloc(COUNT(written) * n, sizeof *kept);
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < COUNT(written); k++) {
            CharRange r = {MAX(ranges[i].from, written[k].from), MIN(ranges[i].to, written[k].to)};
            if (r.from <= r.to)
                kept[m++] = r;
        }
    Expr e = m ? json_char(b, kept, m) : json_char(b, ranges, n);
    free(kept);
    return e;
}

static int by_target(const void *a, const void *b)
{
    const Move *x = a, *y = b;
    return x->to != y->to ? (x->to > y->to) - (x->to < y->to)
                          : (x->chars.from > y->chars.from) - (x->chars.from < y->chars.from);
}

/* What may be read from a state on; `first` is the rule of state 0. */
static Expr state_expr(Builder *b, const AutomatonState *s, int first, bool json)
{
    Expr list = expr_choice(b);
    Move *moves = xcalloc(s->n + 1, sizeof *moves);
    CharRange *ranges = xcalloc(s->n + 1, sizeof *ranges);
    if (s->n)
        memcpy(moves, s->moves, s->n * sizeof *moves);
    qsort(moves, s->n, sizeof *moves, by_target);
    for (size_t i = 0, n; i < s->n; i += n) {
        for (n = 0; i + n < s->n && moves[i + n].to == moves[i].to; n++)
            ranges[n] = moves[i + n].chars;
        Expr one = expr_sequence(b);
        expr_add(b, one, chars_expr(b, ranges, n, json));
        expr_add(b, one, expr_rule(b, first + moves[i].to));
        expr_add(b, list, one);
    }
    if (s->accepts)
        expr_add(b, list, expr_sequence(b));
    free(moves);
    free(ranges);
    return list;
}

Expr automaton_expr(Builder *b, const Automaton *x, bool json)
{
    if (automaton_is_empty(x))
        builder_fail(b, ERR_INVALID, "no text matches all that it must");
    if (!builder_ok(b))
        return expr_sequence(b);
    int first = rule_new(b, S("a text"));
    for (size_t i = 1; i < x->n; i++)
        rule_new(b, S("the rest of a text"));
    for (size_t i = 0; i < x->n && builder_ok(b); i++)
        rule_set(b, first + (int)i, state_expr(b, &x->states[i], first, json));
    return expr_rule(b, first);
}
