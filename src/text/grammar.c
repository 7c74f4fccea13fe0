/* grammar.c: rules are put together as expressions, checked, and become a program.
 *
 * The program is one of a machine that reads bytes, with alternatives (OP_SPLIT) and a stack of the
 * places to go on behind a rule (OP_CALL). Code points are compiled to the bytes of their UTF-8. A
 * repetition of something long is counted by the machine (OP_LOOP) instead of being written out. */
#include "text/grammar_internal.h"

enum { MAX_EXPRS = 1 << 19, MAX_CODE = 1 << 19, MAX_SETS = 1 << 10, WRITTEN_OUT = 48 };
enum { MAX_EMPTY_COUNT = 1000, MAX_CHAIN = 5000, MAX_PASSES = 1 << 27 };
enum { MAX_MEMORY = 96 << 20, MAX_STEPS = 1 << 28 };

typedef struct Rule {
    Str name;
    Expr body; // -1: none yet
    int32_t start;
    bool is_nullable, is_productive;
} Rule;

struct Builder {
    Arena *arena;
    ExprNode *exprs;
    size_t n, cap;
    Rule *rules;
    size_t n_rules, cap_rules;
    Error error;
    size_t memory, steps; // that automata took
    Grammar *grammar;     // while it is being made
    size_t cap_code;
};

// ---- Building ----

Builder *builder_new(void)
{
    Builder *b = xcalloc(1, sizeof *b);
    b->arena = arena_new((size_t)256 << 20);
    return b;
}

void builder_free(Builder *b)
{
    if (!b)
        return;
    arena_free(b->arena);
    grammar_free(b->grammar);
    free(b->exprs);
    free(b->rules);
    free(b);
}

void builder_fail(Builder *b, ErrorCode code, const char *format, ...)
{
    char text[400];
    va_list args;
    if (b->error.code != ERR_NONE)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)!fail(&b->error, code, "%s", text);
}

bool builder_ok(const Builder *b)
{
    return b->error.code == ERR_NONE;
}

Arena *builder_arena(Builder *b)
{
    return b->arena;
}

bool builder_spend(Builder *b, size_t memory, size_t steps)
{
    b->memory += MIN(memory, (size_t)MAX_MEMORY);
    b->steps += MIN(steps, (size_t)MAX_STEPS);
    if (b->memory > MAX_MEMORY || b->steps > MAX_STEPS)
        builder_fail(b, ERR_LIMIT, "patterns that must hold together are too large");
    return builder_ok(b);
}

static Expr expr_new(Builder *b, ExprKind kind)
{
    if (b->n == MAX_EXPRS) {
        builder_fail(b, ERR_LIMIT, "the grammar is too large");
        b->n--; // the last one is used again, and nothing of it will be
    }
    if (b->n == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 256;
        b->exprs = xrealloc(b->exprs, b->cap * sizeof *b->exprs);
    }
    b->exprs[b->n] = (ExprNode){.kind = kind, .first = -1, .last = -1, .next = -1};
    return (Expr)b->n++;
}

Expr expr_text(Builder *b, Str bytes)
{
    Expr e = expr_new(b, EXPR_TEXT);
    b->exprs[e].text = arena_str(b->arena, bytes);
    return e;
}

Expr expr_chars(Builder *b, const CharRange *ranges, size_t n)
{
    Expr e = expr_new(b, EXPR_CHARS);
    CharRange *copy = arena_copy(b->arena, ranges, n * sizeof *ranges);
    b->exprs[e].n_ranges = ranges_join(copy, n);
    b->exprs[e].ranges = copy;
    if (b->exprs[e].n_ranges == 0)
        builder_fail(b, ERR_INVALID, "a character class that nothing is in");
    return e;
}

Expr expr_sequence(Builder *b)
{
    return expr_new(b, EXPR_SEQUENCE);
}

Expr expr_choice(Builder *b)
{
    return expr_new(b, EXPR_CHOICE);
}

void expr_add(Builder *b, Expr list, Expr item)
{
    if (!builder_ok(b))
        return;
    ExprNode *l = &b->exprs[list];
    CHECK(b->exprs[item].next < 0 && list != item);
    if (l->last < 0)
        l->first = item;
    else
        b->exprs[l->last].next = item;
    l->last = item;
}

const ExprNode *expr_node(const Builder *b, Expr e)
{
    return &b->exprs[e];
}

bool expr_is_empty(const Builder *b, Expr list)
{
    return b->exprs[list].first < 0;
}

Expr expr_repeat(Builder *b, Expr body, int64_t min, int64_t max)
{
    Expr e = expr_new(b, EXPR_REPEAT);
    if (min < 0 || (max >= 0 && max < min) || min > INT32_MAX || max > INT32_MAX)
        builder_fail(b, ERR_INVALID, "repeated %lld to %lld times", (long long)min, (long long)max);
    if (!builder_ok(b))
        return e;
    ExprNode *r = &b->exprs[e];
    r->min = min;
    r->max = max;
    r->first = r->last = body;
    return e;
}

Expr expr_rule(Builder *b, int rule)
{
    Expr e = expr_new(b, EXPR_RULE);
    b->exprs[e].rule = rule;
    return e;
}

int rule_new(Builder *b, Str name)
{
    if (b->n_rules == b->cap_rules) {
        b->cap_rules = b->cap_rules ? 2 * b->cap_rules : 64;
        b->rules = xrealloc(b->rules, b->cap_rules * sizeof *b->rules);
    }
    if (b->n_rules == MAX_EXPRS) {
        builder_fail(b, ERR_LIMIT, "the grammar has too many rules");
        return 0;
    }
    b->rules[b->n_rules] = (Rule){.name = arena_str(b->arena, name), .body = -1, .start = -1};
    return (int)b->n_rules++;
}

void rule_set(Builder *b, int rule, Expr e)
{
    b->rules[rule].body = e;
}

Expr rule_body(const Builder *b, int rule)
{
    return b->rules[rule].body;
}

bool rule_is_set(const Builder *b, int rule)
{
    return b->rules[rule].body >= 0;
}

// ---- Ranges of code points ----

static int by_from(const void *a, const void *b)
{
    const CharRange *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

size_t ranges_join(CharRange *ranges, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(ranges, n, sizeof *ranges, by_from);
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].from > ranges[i].to)
            continue;
        if (kept > 0 && ranges[i].from <= ranges[kept - 1].to + 1)
            ranges[kept - 1].to = MAX(ranges[kept - 1].to, ranges[i].to);
        else
            ranges[kept++] = ranges[i];
    }
    return kept;
}

size_t ranges_invert(const CharRange *ranges, size_t n, CharRange *out)
{
    CharRange *in = xcalloc(n + 1, sizeof *in);
    if (n > 0)
        memcpy(in, ranges, n * sizeof *in);
    in[n] = (CharRange){0xD800, 0xDFFF};
    n = ranges_join(in, n + 1);
    size_t kept = 0;
    int32_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (from < in[i].from)
            out[kept++] = (CharRange){from, in[i].from - 1};
        from = in[i].to + 1;
    }
    if (from <= 0x10FFFF)
        out[kept++] = (CharRange){from, 0x10FFFF};
    free(in);
    return kept;
}

// ---- What the rules mean: can they be empty, can they end ----

typedef bool (*RuleTest)(const Rule *r);

static bool rule_nullable(const Rule *r)
{
    return r->is_nullable;
}

static bool rule_productive(const Rule *r)
{
    return r->is_productive;
}

/* Whether the test holds for an expression, given what is known of the rules: for being empty when
 * `empty`, else for being able to end at all. */
static bool holds(const Builder *b, Expr e, bool empty, RuleTest test)
{
    const ExprNode *x = &b->exprs[e];
    switch (x->kind) {
    case EXPR_TEXT:
        return !empty || x->text.len == 0;
    case EXPR_CHARS:
        return !empty;
    case EXPR_SEQUENCE:
        for (Expr c = x->first; c >= 0; c = b->exprs[c].next)
            if (!holds(b, c, empty, test))
                return false;
        return true;
    case EXPR_CHOICE:
        for (Expr c = x->first; c >= 0; c = b->exprs[c].next)
            if (holds(b, c, empty, test))
                return true;
        return false;
    case EXPR_REPEAT:
        return x->min == 0 || holds(b, x->first, empty, test);
    case EXPR_RULE:
        return test(&b->rules[x->rule]);
    }
    return false;
}

/* Again and again until nothing changes. */
static void find_properties(Builder *b)
{
    size_t looked_at = 0;
    for (bool changed = true; changed && builder_ok(b);) {
        changed = false;
        if ((looked_at += b->n) > MAX_PASSES)
            builder_fail(b, ERR_LIMIT, "the rules hang on each other in too long a chain");
        for (size_t i = b->n_rules; i-- > 0;) {
            Rule *r = &b->rules[i];
            bool nullable = r->body >= 0 && holds(b, r->body, true, rule_nullable);
            bool productive = r->body >= 0 && holds(b, r->body, false, rule_productive);
            changed |= nullable != r->is_nullable || productive != r->is_productive;
            r->is_nullable = nullable;
            r->is_productive = productive;
        }
    }
}

// ---- Compiling ----

static int32_t emit(Builder *b, Inst inst)
{
    Grammar *g = b->grammar;
    if (g->n == MAX_CODE) {
        builder_fail(b, ERR_LIMIT, "the grammar is too large");
        return 0;
    }
    if (g->n == b->cap_code) {
        b->cap_code = b->cap_code ? 2 * b->cap_code : 256;
        g->code = xrealloc(g->code, b->cap_code * sizeof *g->code);
    }
    g->code[g->n] = inst;
    return (int32_t)g->n++;
}

static int32_t set_index(Builder *b, const ByteSet *set)
{
    Grammar *g = b->grammar;
    for (size_t i = 0; i < g->n_sets; i++)
        if (memcmp(&g->sets[i], set, sizeof *set) == 0)
            return (int32_t)i;
    if (g->n_sets == MAX_SETS) {
        builder_fail(b, ERR_LIMIT, "the grammar has too many character classes");
        return 0;
    }
    g->sets[g->n_sets] = *set;
    return (int32_t)g->n_sets++;
}

static int32_t emit_bytes(Builder *b, uint8_t from, uint8_t to, int32_t next)
{
    ByteSet set = {0};
    for (unsigned c = from; c <= to; c++)
        set.bits[c / 64] |= (uint64_t)1 << c % 64;
    return emit(b, (Inst){.op = OP_BYTE, .set = set_index(b, &set), .next = next});
}

static int32_t emit_text(Builder *b, Str text, int32_t next)
{
    for (size_t i = text.len; i-- > 0;)
        next = emit_bytes(b, (uint8_t)text.ptr[i], (uint8_t)text.ptr[i], next);
    return next;
}

/* Alternatives one behind the other; entry -1 is none yet. */
static int32_t emit_or(Builder *b, int32_t entry, int32_t other)
{
    return entry < 0 ? other : emit(b, (Inst){.op = OP_SPLIT, .next = entry, .other = other});
}

/* The code points of one length whose bytes are ranges, as one row of bytes; what does not fit in a
 * row is divided. */
static int32_t emit_range(Builder *b, CharRange r, int32_t entry, int32_t next)
{
    static const int32_t last[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
    for (int i = 0; i < 3; i++)
        if (r.from <= last[i] && r.to > last[i]) {
            entry = emit_range(b, (CharRange){r.from, last[i]}, entry, next);
            return emit_range(b, (CharRange){last[i] + 1, r.to}, entry, next);
        }
    // Where the last bytes do not run through all values, the range is cut there.
    for (int32_t mask = 0x3F; mask < 0x1FFFFF && r.to > 0x7F; mask = mask << 6 | 0x3F) {
        if ((r.from & ~mask) == (r.to & ~mask))
            continue;
        if (r.from & mask) {
            entry = emit_range(b, (CharRange){r.from, r.from | mask}, entry, next);
            return emit_range(b, (CharRange){(r.from | mask) + 1, r.to}, entry, next);
        }
        if ((r.to & mask) != mask) {
            entry = emit_range(b, (CharRange){r.from, (r.to & ~mask) - 1}, entry, next);
            return emit_range(b, (CharRange){r.to & ~mask, r.to}, entry, next);
        }
    }
    char from[4], to[4];
    size_t n = utf8_encode(r.from, from);
    utf8_encode(r.to, to);
    for (size_t i = n; i-- > 0;)
        next = emit_bytes(b, (uint8_t)from[i], (uint8_t)to[i], next);
    return emit_or(b, entry, next);
}

static int32_t emit_chars(Builder *b, const ExprNode *x, int32_t next)
{
    ByteSet ascii = {0};
    int32_t entry = -1;
    bool any = false;
    for (size_t i = 0; i < x->n_ranges; i++) {
        CharRange r = x->ranges[i];
        for (int32_t c = r.from; c <= MIN(r.to, 0x7F); c++, any = true)
            ascii.bits[c / 64] |= (uint64_t)1 << c % 64;
        r.from = MAX(r.from, 0x80);
        if (r.from <= r.to)
            entry = emit_range(b, r, entry, next);
    }
    if (any)
        entry = emit_or(b, entry,
                        emit(b, (Inst){.op = OP_BYTE, .set = set_index(b, &ascii), .next = next}));
    return entry;
}

static int32_t compile(Builder *b, Expr e, int32_t next);

static int32_t emit_sequence(Builder *b, const ExprNode *x, int32_t next)
{
    size_t n = 0;
    for (Expr c = x->first; c >= 0; c = b->exprs[c].next)
        n++;
    Expr *items = xcalloc(n + 1, sizeof *items);
    n = 0;
    for (Expr c = x->first; c >= 0; c = b->exprs[c].next)
        items[n++] = c;
    while (n > 0 && builder_ok(b))
        next = compile(b, items[--n], next);
    free(items);
    return next;
}

static int32_t emit_choice(Builder *b, const ExprNode *x, int32_t next)
{
    int32_t entry = -1;
    for (Expr c = x->first; c >= 0 && builder_ok(b); c = b->exprs[c].next)
        entry = emit_or(b, entry, compile(b, c, next));
    if (entry < 0)
        builder_fail(b, ERR_INVALID, "a choice of nothing");
    return entry;
}

/* About how many instructions an expression needs, up to `most`. */
static int64_t cost(const Builder *b, Expr e, int64_t most)
{
    const ExprNode *x = &b->exprs[e];
    int64_t sum = x->kind == EXPR_TEXT    ? (int64_t)x->text.len
                  : x->kind == EXPR_CHARS ? 3 * (int64_t)x->n_ranges
                                          : 1;
    for (Expr c = x->first; c >= 0 && sum < most; c = b->exprs[c].next)
        sum += cost(b, c, most);
    if (x->kind == EXPR_REPEAT)
        sum *= MIN(MAX(x->min, x->max), most) + 1;
    return MIN(sum, most);
}

static int32_t emit_star(Builder *b, Expr body, int32_t next, bool once)
{
    int32_t split = emit(b, (Inst){.op = OP_SPLIT, .other = next});
    int32_t entry = compile(b, body, split);
    b->grammar->code[split].next = entry;
    return once ? entry : split;
}

static int32_t emit_counted(Builder *b, const ExprNode *x, bool is_nullable, int32_t next)
{
    int rule = rule_new(b, S("a repetition"));
    if (is_nullable && x->max > MAX_EMPTY_COUNT)
        builder_fail(b, ERR_LIMIT, "up to %lld times what may be empty; at most %d are allowed",
                     (long long)x->max, MAX_EMPTY_COUNT);
    rule_set(b, rule, x->first);
    b->rules[rule].is_nullable = is_nullable;
    return emit(b, (Inst){.op = OP_LOOP,
                          .other = rule, // becomes where it starts
                          .next = next,
                          .min = (int32_t)(is_nullable ? 0 : x->min),
                          .max = (int32_t)x->max});
}

static int32_t emit_repeat(Builder *b, Expr e, int32_t next)
{
    const ExprNode x = b->exprs[e];
    if (x.max == 0)
        return next;
    bool is_nullable = holds(b, x.first, true, rule_nullable);
    if (x.max < 0 && (x.min == 0 || is_nullable))
        return emit_star(b, x.first, next, false);
    int64_t copies = x.max < 0 ? x.min : x.max;
    if (copies > 1 && copies * cost(b, x.first, 1000) > WRITTEN_OUT)
        return emit_counted(b, &x, is_nullable, next);
    // From the back: what is optional, then what must be.
    int32_t entry = next;
    if (x.max < 0)
        entry = emit_star(b, x.first, next, true);
    for (int64_t i = x.max; i > x.min && builder_ok(b); i--)
        entry = emit(b, (Inst){.op = OP_SPLIT, .next = compile(b, x.first, entry), .other = next});
    for (int64_t i = x.max < 0 ? 1 : 0; i < x.min && builder_ok(b); i++)
        entry = compile(b, x.first, entry);
    return entry;
}

static int32_t compile(Builder *b, Expr e, int32_t next)
{
    if (!builder_ok(b))
        return 0;
    const ExprNode x = b->exprs[e]; // a copy: the array may move
    switch (x.kind) {
    case EXPR_TEXT:
        return emit_text(b, x.text, next);
    case EXPR_CHARS:
        return emit_chars(b, &x, next);
    case EXPR_SEQUENCE:
        return emit_sequence(b, &x, next);
    case EXPR_CHOICE:
        return emit_choice(b, &x, next);
    case EXPR_REPEAT:
        return emit_repeat(b, e, next);
    case EXPR_RULE:
        return emit(b, (Inst){.op = OP_CALL, .other = x.rule, .next = next});
    }
    return 0;
}

/* All rules; those that repetitions become come behind the others. Calls then lead to where their
 * rules start. */
static void compile_rules(Builder *b)
{
    for (size_t i = 0; i < b->n_rules && builder_ok(b); i++) {
        int32_t end = emit(b, (Inst){.op = OP_RETURN});
        int32_t start = compile(b, b->rules[i].body, end);
        b->rules[i].start = start;
    }
    for (size_t i = 0; i < b->grammar->n && builder_ok(b); i++) {
        Inst *inst = &b->grammar->code[i];
        if (inst->op == OP_CALL || inst->op == OP_LOOP)
            inst->other = b->rules[inst->other].start;
    }
}

// ---- Checks ----

/* Bytes that no set tells apart are one class. */
static void find_classes(Grammar *g)
{
    int n = 1;
    for (size_t s = 0; s < g->n_sets; s++) {
        int split[256]; // what a class's members in the set become
        memset(split, -1, sizeof split);
        int count_in[256] = {0}, count[256] = {0};
        for (int c = 0; c < 256; c++) {
            count[g->class_of[c]]++;
            count_in[g->class_of[c]] += set_has(&g->sets[s], (uint8_t)c);
        }
        for (int c = 0; c < 256; c++) {
            int class = g->class_of[c];
            if (!set_has(&g->sets[s], (uint8_t)c) || count_in[class] == count[class])
                continue;
            if (split[class] < 0)
                split[class] = n++;
            g->class_of[c] = (uint8_t)split[class];
        }
    }
    g->n_classes = n;
    for (int c = 255; c >= 0; c--)
        g->byte_of[g->class_of[c]] = (uint8_t)c;
}

/* A rule that is reached again before anything was read would be entered for ever. */
typedef struct LeftCheck {
    Builder *b;
    int depth;
    uint8_t *state; // of an expression's rule: 0 new, 1 under way, 2 done
} LeftCheck;

static bool begins_soundly(LeftCheck *check, Expr e);

static bool rule_begins_soundly(LeftCheck *check, int rule)
{
    Builder *b = check->b;
    if (check->state[rule] == 2)
        return true;
    if (check->state[rule] == 1) {
        builder_fail(b, ERR_INVALID, "rule '%.*s' begins with itself", STR(b->rules[rule].name));
        return false;
    }
    if (check->depth == MAX_CHAIN) {
        builder_fail(b, ERR_LIMIT, "the rules begin with each other in too long a chain");
        return false;
    }
    check->state[rule] = 1;
    check->depth++;
    bool ok = begins_soundly(check, b->rules[rule].body);
    check->depth--;
    check->state[rule] = 2;
    return ok;
}

static bool begins_soundly(LeftCheck *check, Expr e)
{
    const Builder *b = check->b;
    const ExprNode *x = &b->exprs[e];
    if (x->kind == EXPR_RULE)
        return rule_begins_soundly(check, x->rule);
    for (Expr c = x->first; c >= 0; c = b->exprs[c].next) {
        if (!begins_soundly(check, c))
            return false;
        if (x->kind == EXPR_SEQUENCE && !holds(b, c, true, rule_nullable))
            break;
    }
    return true;
}

static void check_rules(Builder *b, int root)
{
    for (size_t i = 0; i < b->n_rules; i++)
        if (b->rules[i].body < 0)
            builder_fail(b, ERR_INVALID, "rule '%.*s' is not defined", STR(b->rules[i].name));
    if (!builder_ok(b))
        return;
    find_properties(b);
    for (size_t i = 0; i < b->n_rules && builder_ok(b); i++)
        if (!b->rules[i].is_productive)
            builder_fail(b, ERR_INVALID, "rule '%.*s' can never end", STR(b->rules[i].name));
    LeftCheck check = {.b = b, .state = xcalloc(b->n_rules, 1)};
    for (size_t i = 0; i < b->n_rules && builder_ok(b); i++)
        rule_begins_soundly(&check, (int)i);
    free(check.state);
}

Grammar *builder_finish(Builder *b, int root, Error *err)
{
    if (builder_ok(b))
        check_rules(b, root);
    if (builder_ok(b)) {
        b->grammar = xcalloc(1, sizeof *b->grammar);
        b->grammar->sets = xcalloc(MAX_SETS, sizeof *b->grammar->sets);
        compile_rules(b);
    }
    if (!builder_ok(b)) {
        if (err)
            *err = b->error;
        return NULL;
    }
    b->grammar->start = b->rules[root].start;
    find_classes(b->grammar);
    return TAKE(b->grammar);
}

void grammar_free(Grammar *g)
{
    if (!g)
        return;
    free(g->code);
    free(g->sets);
    free(g);
}
