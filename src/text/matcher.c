/* matcher.c: a grammar's program run over tokens.
 *
 * The machine is in many places at once. A place is a Frame: an instruction, and the frame below
 * it, where the rule returns to; frames are interned, so that equal stacks are one number. A state
 * is the set of places whose next instruction reads a byte, interned as well; what a byte does to a
 * state is found once and kept in a table, as in a lazily made automaton.
 *
 * A mask is a walk over the vocabulary's trie. Most of it does not depend on the whole stack: for
 * the top of a stack alone (its instruction, the frame it returns to, and how far the count of a
 * repetition is from its ends) a walk is made once, over a base that nothing is known of. It tells
 * which tokens fit without leaving the top, and at which nodes of the trie the top may be left;
 * there the walk is gone on with for the stack at hand. So a mask is a few ORs of bit rows and a
 * few short walks. (The idea of telling apart what hangs on the stack: Dong 2024,
 * arXiv:2411.15100.) */
#include "text/grammar_internal.h"

enum {
    MAX_FRAMES = 1 << 21,
    MAX_STATES = 1 << 17,
    MAX_PLACES = 1 << 14, // of one state
    MAX_LOCALS = 1 << 12,
    MAX_WORK = 30000000, // places looked at, in all: some seconds
    MASKS = 64           // of whole states, the latest
};
enum { BOTTOM, UNKNOWN, FIRST_FRAME }; // frames: the end of the text; the base of a local walk
enum { PLAIN = -1 };                   // the count of a frame that is no repetition's
enum { DEAD = -1, NOT_YET = -2 };      // transitions

typedef struct Frame {
    int32_t pc, count, below;
} Frame;

typedef struct State {
    uint32_t from, n; // its places, in Matcher.places
    bool ends;        // the text may end here
    bool leaves;      // the base of a local walk may be reached
} State;

/* Tokens that fit whatever the stack is, and where it begins to matter. */
typedef struct Local {
    uint64_t *bits;
    uint32_t *exits; // nodes of the trie
    size_t n_exits;
} Local;

/* A hash table of numbers whose keys lie elsewhere. */
typedef struct Index {
    int32_t *slots; // -1: empty
    size_t mask, n;
} Index;

struct Matcher {
    const Grammar *grammar;
    const TokenTrie *trie;
    Frame *frames;
    size_t n_frames, cap_frames;
    Index by_frame;
    State *states;
    int32_t *next; // [states, n_classes]
    size_t n_states, cap_states;
    Index by_state;
    int32_t *places;
    size_t n_places, cap_places;
    bool is_full; // some limit was reached: nothing is true any more
    // While a state is made: places to look at, and what was looked at.
    Frame *work;
    size_t n_work, cap_work, all_work;
    Frame *seen;
    uint32_t *seen_stamp;
    size_t cap_seen, n_seen;
    uint32_t stamp;
    int32_t *tops;
    size_t n_tops, cap_tops;
    bool ends, leaves;
    // Masks.
    size_t words;
    int32_t *local_of; // [frames] of a local top: 1 + which; 0: none yet
    size_t cap_local_of;
    Local *locals;
    size_t n_locals;
    int32_t *path; // states by depth, of a walk
    uint64_t *masks[MASKS];
    MatchState mask_of[MASKS];
    unsigned latest;
};

// ---- Interning ----

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

static void index_put(Index *x, uint64_t hash, int32_t value)
{
    size_t at = hash & x->mask;
    while (x->slots[at] >= 0)
        at = (at + 1) & x->mask;
    x->slots[at] = value;
    x->n++;
}

/* Doubles it when it is half full; the caller then puts everything in again. */
static bool index_grow(Index *x)
{
    if (x->slots && x->n * 2 <= x->mask)
        return false;
    x->mask = x->slots ? 2 * x->mask + 1 : 1023;
    x->slots = xrealloc(x->slots, (x->mask + 1) * sizeof *x->slots);
    memset(x->slots, -1, (x->mask + 1) * sizeof *x->slots);
    x->n = 0;
    return true;
}

static uint64_t frame_hash(Frame f)
{
    return mix(mix((uint64_t)f.pc << 32 | (uint32_t)f.count, (uint64_t)f.below), 1);
}

static int32_t frame_of(Matcher *m, Frame f)
{
    if (index_grow(&m->by_frame))
        for (size_t i = FIRST_FRAME; i < m->n_frames; i++)
            index_put(&m->by_frame, frame_hash(m->frames[i]), (int32_t)i);
    uint64_t hash = frame_hash(f);
    for (size_t at = hash & m->by_frame.mask; m->by_frame.slots[at] >= 0;
         at = (at + 1) & m->by_frame.mask) {
        int32_t i = m->by_frame.slots[at];
        if (m->frames[i].pc == f.pc && m->frames[i].count == f.count &&
            m->frames[i].below == f.below)
            return i;
    }
    if (m->n_frames == MAX_FRAMES) {
        m->is_full = true;
        return BOTTOM;
    }
    if (m->n_frames == m->cap_frames) {
        m->cap_frames = m->cap_frames ? 2 * m->cap_frames : 1024;
        m->frames = xrealloc(m->frames, m->cap_frames * sizeof *m->frames);
    }
    m->frames[m->n_frames] = f;
    index_put(&m->by_frame, hash, (int32_t)m->n_frames);
    return (int32_t)m->n_frames++;
}

static uint64_t places_hash(const int32_t *places, size_t n, bool ends, bool leaves)
{
    uint64_t h = (uint64_t)ends << 1 | leaves;
    for (size_t i = 0; i < n; i++)
        h = mix(h, (uint64_t)places[i] + 1);
    return mix(h, n);
}

static int32_t state_add(Matcher *m, uint64_t hash)
{
    size_t classes = (size_t)m->grammar->n_classes;
    if (m->n_states == MAX_STATES) {
        m->is_full = true;
        return DEAD;
    }
    if (m->n_states == m->cap_states) {
        m->cap_states = m->cap_states ? 2 * m->cap_states : 256;
        m->states = xrealloc(m->states, m->cap_states * sizeof *m->states);
        m->next = xrealloc(m->next, m->cap_states * classes * sizeof *m->next);
    }
    if (m->n_places + m->n_tops > m->cap_places) {
        m->cap_places = 2 * (m->n_places + m->n_tops) + 256;
        m->places = xrealloc(m->places, m->cap_places * sizeof *m->places);
    }
    State *s = &m->states[m->n_states];
    *s = (State){(uint32_t)m->n_places, (uint32_t)m->n_tops, m->ends, m->leaves};
    if (m->n_tops)
        memcpy(m->places + m->n_places, m->tops, m->n_tops * sizeof *m->tops);
    m->n_places += m->n_tops;
    for (size_t c = 0; c < classes; c++)
        m->next[m->n_states * classes + c] = NOT_YET;
    index_put(&m->by_state, hash, (int32_t)m->n_states);
    return (int32_t)m->n_states++;
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The state of the tops that were found; DEAD if there are none. */
static int32_t state_of_tops(Matcher *m)
{
    if (m->is_full || (m->n_tops == 0 && !m->ends && !m->leaves))
        return DEAD;
    if (m->n_tops > 1)
        qsort(m->tops, m->n_tops, sizeof *m->tops, by_number);
    size_t kept = 0;
    for (size_t i = 0; i < m->n_tops; i++)
        if (i == 0 || m->tops[i] != m->tops[i - 1])
            m->tops[kept++] = m->tops[i];
    m->n_tops = kept;
    if (index_grow(&m->by_state))
        for (size_t i = 0; i < m->n_states; i++) {
            const State *s = &m->states[i];
            index_put(&m->by_state, places_hash(m->places + s->from, s->n, s->ends, s->leaves),
                      (int32_t)i);
        }
    uint64_t hash = places_hash(m->tops, m->n_tops, m->ends, m->leaves);
    for (size_t at = hash & m->by_state.mask; m->by_state.slots[at] >= 0;
         at = (at + 1) & m->by_state.mask) {
        const State *s = &m->states[m->by_state.slots[at]];
        if (s->n == m->n_tops && s->ends == m->ends && s->leaves == m->leaves &&
            (s->n == 0 || memcmp(m->places + s->from, m->tops, s->n * sizeof *m->tops) == 0))
            return m->by_state.slots[at];
    }
    return state_add(m, hash);
}

// ---- From a place to those that read ----

static void begin_state(Matcher *m)
{
    m->n_work = m->n_tops = m->n_seen = 0;
    m->ends = m->leaves = false;
    if (++m->stamp == 0) {
        memset(m->seen_stamp, 0, m->cap_seen * sizeof *m->seen_stamp);
        m->stamp = 1;
    }
}

static void grow_seen(Matcher *m)
{
    size_t old = m->cap_seen;
    Frame *seen = m->seen;
    uint32_t *stamps = m->seen_stamp;
    m->cap_seen = old ? 2 * old : 256;
    m->seen = xcalloc(m->cap_seen, sizeof *m->seen);
    m->seen_stamp = xcalloc(m->cap_seen, sizeof *m->seen_stamp);
    for (size_t i = 0; i < old; i++) {
        if (stamps[i] != m->stamp)
            continue;
        size_t at = frame_hash(seen[i]) & (m->cap_seen - 1);
        while (m->seen_stamp[at] == m->stamp)
            at = (at + 1) & (m->cap_seen - 1);
        m->seen[at] = seen[i];
        m->seen_stamp[at] = m->stamp;
    }
    free(seen);
    free(stamps);
}

/* To be looked at, unless it was. */
static void push(Matcher *m, int32_t pc, int32_t count, int32_t below)
{
    Frame f = {pc, count, below};
    if (2 * m->n_seen >= m->cap_seen)
        grow_seen(m);
    size_t at = frame_hash(f) & (m->cap_seen - 1);
    for (; m->seen_stamp[at] == m->stamp; at = (at + 1) & (m->cap_seen - 1))
        if (m->seen[at].pc == pc && m->seen[at].count == count && m->seen[at].below == below)
            return;
    if (m->n_seen == MAX_PLACES || m->all_work++ == MAX_WORK) {
        m->is_full = true;
        return;
    }
    m->seen[at] = f;
    m->seen_stamp[at] = m->stamp;
    m->n_seen++;
    if (m->n_work == m->cap_work) {
        m->cap_work = m->cap_work ? 2 * m->cap_work : 64;
        m->work = xrealloc(m->work, m->cap_work * sizeof *m->work);
    }
    m->work[m->n_work++] = f;
}

static void add_top(Matcher *m, int32_t pc, int32_t below)
{
    if (m->n_tops == m->cap_tops) {
        m->cap_tops = m->cap_tops ? 2 * m->cap_tops : 64;
        m->tops = xrealloc(m->tops, m->cap_tops * sizeof *m->tops);
    }
    m->tops[m->n_tops++] = frame_of(m, (Frame){pc, PLAIN, below});
}

/* A repetition that was done `count` times. */
static void go_round(Matcher *m, int32_t pc, int32_t count, int32_t below)
{
    const Inst *loop = &m->grammar->code[pc];
    if (count >= loop->min)
        push(m, loop->next, PLAIN, below);
    if (loop->max >= 0 && count >= loop->max)
        return;
    // Without an end, no more is counted than matters.
    int32_t done = loop->max < 0 ? MIN(count + 1, loop->min) : count + 1;
    push(m, loop->other, PLAIN, frame_of(m, (Frame){pc, done, below}));
}

static void return_to(Matcher *m, int32_t below)
{
    if (below == BOTTOM)
        m->ends = true;
    else if (below == UNKNOWN)
        m->leaves = true;
    else
        push(m, m->frames[below].pc, m->frames[below].count, m->frames[below].below);
}

/* Follows all that reads nothing. */
static void settle(Matcher *m)
{
    const Inst *code = m->grammar->code;
    while (m->n_work > 0 && !m->is_full) {
        Frame f = m->work[--m->n_work];
        const Inst *inst = &code[f.pc];
        switch (inst->op) {
        case OP_BYTE:
            add_top(m, f.pc, f.below);
            break;
        case OP_SPLIT:
            push(m, inst->next, PLAIN, f.below);
            push(m, inst->other, PLAIN, f.below);
            break;
        case OP_CALL:
            // Where nothing is left to do behind the call, the stack does not grow.
            push(m, inst->other, PLAIN,
                 code[inst->next].op == OP_RETURN
                     ? f.below
                     : frame_of(m, (Frame){inst->next, PLAIN, f.below}));
            break;
        case OP_LOOP:
            go_round(m, f.pc, MAX(f.count, 0), f.below);
            break;
        case OP_RETURN:
            return_to(m, f.below);
            break;
        }
    }
}

static int32_t find_next(Matcher *m, int32_t state, int class)
{
    uint8_t byte = m->grammar->byte_of[class];
    const State s = m->states[state];
    begin_state(m);
    for (size_t i = 0; i < s.n; i++) {
        Frame f = m->frames[m->places[s.from + i]];
        const Inst *inst = &m->grammar->code[f.pc];
        if (set_has(&m->grammar->sets[inst->set], byte))
            push(m, inst->next, PLAIN, f.below);
    }
    settle(m);
    int32_t next = state_of_tops(m);
    if (!m->is_full)
        m->next[(size_t)state * (size_t)m->grammar->n_classes + (size_t) class] = next;
    return next;
}

static inline int32_t step(Matcher *m, int32_t state, uint8_t byte)
{
    int class = m->grammar->class_of[byte];
    int32_t next = m->next[(size_t)state * (size_t)m->grammar->n_classes + (size_t) class];
    return next == NOT_YET ? find_next(m, state, class) : next;
}

// ---- Matchers ----

Matcher *matcher_new(const Grammar *g, const TokenTrie *t)
{
    Matcher *m = xcalloc(1, sizeof *m);
    m->grammar = g;
    m->trie = t;
    m->n_frames = m->cap_frames = FIRST_FRAME;
    m->frames = xcalloc(FIRST_FRAME, sizeof *m->frames);
    m->words = (t->vocab + 63) / 64;
    m->locals = xcalloc(MAX_LOCALS, sizeof *m->locals);
    m->path = xcalloc(t->longest + 2, sizeof *m->path);
    for (size_t i = 0; i < MASKS; i++)
        m->mask_of[i] = -1;
    return m;
}

void matcher_free(Matcher *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_locals; i++) {
        free(m->locals[i].bits);
        free(m->locals[i].exits);
    }
    for (size_t i = 0; i < MASKS; i++)
        free(m->masks[i]);
    free(m->frames);
    free(m->by_frame.slots);
    free(m->states);
    free(m->next);
    free(m->by_state.slots);
    free(m->places);
    free(m->work);
    free(m->seen);
    free(m->seen_stamp);
    free(m->tops);
    free(m->local_of);
    free(m->locals);
    free(m->path);
    free(m);
}

MatchState matcher_start(Matcher *m)
{
    begin_state(m);
    push(m, m->grammar->start, PLAIN, BOTTOM);
    settle(m);
    return state_of_tops(m);
}

MatchState matcher_feed(Matcher *m, MatchState at, Str bytes)
{
    for (size_t i = 0; i < bytes.len && at >= 0; i++)
        at = step(m, at, (uint8_t)bytes.ptr[i]);
    return at;
}

MatchState matcher_step(Matcher *m, MatchState at, int32_t id)
{
    const TokenTrie *t = m->trie;
    if (id < 0 || (size_t)id >= t->vocab || t->start[id] == t->start[id + 1])
        return -1;
    return matcher_feed(m, at, str_slice(buf_str(&t->bytes), t->start[id], t->start[id + 1]));
}

bool matcher_may_end(const Matcher *m, MatchState at)
{
    return at >= 0 && m->states[at].ends;
}

size_t matcher_mask_words(const Matcher *m)
{
    return m->words;
}

// ---- Masks ----

/* Allows the tokens below nodes [from, to) of the trie that `state` can read; they are `depth`
 * bytes down. Where the base can be left and there is more below, the node is noted in `exits`. */
static void walk(Matcher *m, int32_t state, size_t from, size_t to, size_t depth, uint64_t *bits,
                 Local *exits)
{
    const TrieNode *nodes = m->trie->nodes;
    m->path[depth] = state;
    for (size_t i = from; i < to;) {
        const TrieNode *node = &nodes[i];
        int32_t next = step(m, m->path[node->depth - 1], node->byte);
        if (next < 0) {
            i = node->end;
            continue;
        }
        for (int32_t id = node->token; id >= 0; id = node->has_more ? m->trie->same[id] : -1)
            bits[id / 64] |= (uint64_t)1 << id % 64;
        if (exits && m->states[next].leaves && node->end > i + 1) {
            if ((exits->n_exits & (exits->n_exits - 1)) == 0)
                exits->exits = xrealloc(exits->exits,
                                        MAX((size_t)1, 2 * exits->n_exits) * sizeof *exits->exits);
            exits->exits[exits->n_exits++] = (uint32_t)i;
        }
        m->path[node->depth] = next;
        i++;
    }
}

/* A count that stands for all that no token can tell from it: those farther than a token's length
 * from both ends of the repetition. */
static int32_t clamp_count(const Matcher *m, Frame f)
{
    const Inst *loop = &m->grammar->code[f.pc];
    int32_t far = (int32_t)m->trie->longest + 1;
    if (f.count == PLAIN)
        return PLAIN;
    if (f.count < loop->min && loop->min - f.count > far)
        return MAX(loop->min - far - 1, 0);
    if (f.count > loop->min && loop->max >= 0 && loop->max - f.count > far)
        return loop->min;
    return f.count;
}

/* The top of a stack over a base that is not known. */
static int32_t local_top(Matcher *m, int32_t top)
{
    Frame f = m->frames[top];
    if (f.below < FIRST_FRAME)
        return top;
    Frame below = m->frames[f.below];
    below.count = clamp_count(m, below);
    below.below = below.below == BOTTOM ? BOTTOM : UNKNOWN;
    f.below = frame_of(m, below);
    return frame_of(m, f);
}

static int32_t state_of_place(Matcher *m, int32_t top)
{
    begin_state(m);
    m->tops[m->n_tops++] = top;
    return state_of_tops(m);
}

/* The tokens for the top of a stack, found when first asked for. NULL past the limits. */
static const Local *local_of(Matcher *m, int32_t top)
{
    if ((size_t)top >= m->cap_local_of) {
        size_t cap = MAX(2 * m->cap_local_of, (size_t)top + 256);
        m->local_of = xrealloc(m->local_of, cap * sizeof *m->local_of);
        memset(m->local_of + m->cap_local_of, 0, (cap - m->cap_local_of) * sizeof *m->local_of);
        m->cap_local_of = cap;
    }
    if (m->local_of[top])
        return &m->locals[m->local_of[top] - 1];
    int32_t state = state_of_place(m, top);
    if (state < 0 || m->n_locals == MAX_LOCALS) {
        m->is_full = true;
        return NULL;
    }
    Local *l = &m->locals[m->n_locals++];
    l->bits = xcalloc(m->words, sizeof *l->bits);
    walk(m, state, 0, m->trie->n, 0, l->bits, l);
    m->local_of[top] = (int32_t)m->n_locals;
    return l;
}

/* What comes behind the two frames that a local walk knows. */
static int32_t state_behind(Matcher *m, int32_t top)
{
    int32_t below = m->frames[m->frames[top].below].below;
    begin_state(m);
    return_to(m, below);
    settle(m);
    return state_of_tops(m);
}

static void add_place(Matcher *m, int32_t top, uint64_t *bits)
{
    const Local *found = local_of(m, local_top(m, top));
    if (!found)
        return;
    const Local l = *found;
    for (size_t i = 0; i < m->words; i++)
        bits[i] |= l.bits[i];
    if (l.n_exits == 0)
        return;
    int32_t behind = state_behind(m, top);
    const TrieNode *nodes = m->trie->nodes;
    for (size_t i = 0; i < l.n_exits && behind >= 0; i++) {
        uint32_t exit = l.exits[i];
        walk(m, behind, exit + 1, nodes[exit].end, nodes[exit].depth, bits, NULL);
    }
}

const uint64_t *matcher_mask(Matcher *m, MatchState at, Error *err)
{
    CHECK(at >= 0 && (size_t)at < m->n_states);
    for (size_t i = 0; i < MASKS; i++)
        if (m->mask_of[i] == at)
            return m->masks[i];
    unsigned slot = m->latest++ % MASKS;
    if (!m->masks[slot])
        m->masks[slot] = xcalloc(m->words, sizeof *m->masks[slot]);
    memset(m->masks[slot], 0, m->words * sizeof *m->masks[slot]);
    m->mask_of[slot] = -1;
    const State s = m->states[at];
    for (size_t i = 0; i < s.n && !m->is_full; i++)
        add_place(m, m->places[s.from + i], m->masks[slot]);
    if (m->is_full)
        return fail(err, ERR_LIMIT,
                    "the grammar has too many states: it is too ambiguous or too deeply nested");
    m->mask_of[slot] = at;
    return m->masks[slot];
}
