/* tokenizer_pieces.c: sentencepiece vocabularies: pieces with scores and types, from a GGUF file or
 * from sentencepiece's own .model file (a protobuf message, read here).
 *
 * A BPE has no list of merges: a pair is joined in the order of the joined piece's score. What
 * normalizes and splits is written as the JSON of tokenizer.json and read by its readers.
 * Source: sentencepiece's sentencepiece_model.proto. */
#include "text/tokenizer_internal.h"

#include "base/encode.h"
#include "base/file.h"

/* ---- Pieces ---- */

void pieces_add_tokens(Tokenizer *t, const Pieces *p)
{
    vocab_expect(&t->vocab, p->n);
    for (size_t i = 0; i < p->n; i++)
        vocab_add(t, (int32_t)i, p->tokens[i]);
}

int piece_type(const Pieces *p, size_t id)
{
    return id < p->types_n ? (int)p->types[id] : GGUF_TOKEN_NORMAL;
}

/* Control and user-defined tokens are found in the raw text. */
void pieces_add_added(Tokenizer *t, const Pieces *p)
{
    for (size_t i = 0; i < p->n; i++) {
        int type = piece_type(p, i);
        if (type != GGUF_TOKEN_CONTROL && type != GGUF_TOKEN_USER && type != GGUF_TOKEN_UNKNOWN)
            continue;
        added_put(t, (AddedToken){.content = t->vocab.texts[i],
                                  .id = (int32_t)i,
                                  .special = type != GGUF_TOKEN_USER});
    }
}

typedef struct Scored {
    double score;
    int32_t id;
} Scored;

static int by_score(const void *a, const void *b)
{
    const Scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->id > y->id) - (x->id < y->id);
}

/* Every way to cut a piece in two pieces is a merge; its rank is the piece's place by score. Pieces
 * of one score share a rank, because then the leftmost pair goes first, whatever it gives. */
static void add_merges(Tokenizer *t, const Pieces *p)
{
    Scored *order = NEW_ARRAY(p->arena, Scored, p->n);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (piece_type(p, i) == GGUF_TOKEN_NORMAL && i < p->scores_n)
            order[n++] = (Scored){p->scores[i], (int32_t)i};
    qsort(order, n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        rank += i > 0 && order[i].score != order[i - 1].score;
        Str piece = t->vocab.keys[order[i].id];
        if (vocab_find(&t->vocab, piece) != order[i].id || piece.len > 512)
            continue;
        for (size_t cut = 0; cut < piece.len;) {
            cut += char_size(piece.ptr[cut]);
            int32_t left = vocab_find(&t->vocab, str_slice(piece, 0, cut));
            int32_t right = vocab_find(&t->vocab, str_slice(piece, cut, piece.len));
            if (left >= 0 && right >= 0)
                bpe_merge_ids(t, left, right, order[i].id, rank);
        }
    }
}

bool pieces_load_bpe(Tokenizer *t, const Pieces *p, Error *err)
{
    pieces_add_tokens(t, p);
    BpeOptions options = {.byte_fallback = true, .fuse_unk = true};
    if (p->unk >= 0 && p->unk < t->vocab.n)
        options.unk_token = t->vocab.texts[p->unk];
    bpe_start(t, &options, p->n * 2);
    add_merges(t, p);
    normalizer_set_spaces(t, p->space_prefix);
    decoder_set_spaces(t, p->space_prefix);
    return true;
}

static json_t *normalizers_of(const Pieces *p)
{
    json_t *list = json_array();
    if (p->charsmap.len) {
        AUTO_BUF code;
        buf_init(&code, 0);
        base64_encode(&code, p->charsmap);
        json_array_append_new(list, json_pack("{s:s,s:s#}", "type", "Precompiled",
                                              "precompiled_charsmap", code.ptr, code.len));
    }
    if (p->squeezes_spaces) {
        json_array_append_new(
            list, json_pack("{s:s,s:b,s:b}", "type", "Strip", "strip_left", 0, "strip_right", 1));
        json_array_append_new(list, json_pack("{s:s,s:{s:s},s:s}", "type", "Replace", "pattern",
                                              "Regex", " {2,}", "content", "\xE2\x96\x81"));
    }
    return json_pack("{s:s,s:o}", "type", "Sequence", "normalizers", list);
}

bool pieces_load_unigram(Tokenizer *t, const Pieces *p, Error *err)
{
    AUTO(json_decref) json_t *normalizer = normalizers_of(p);
    AUTO(json_decref)
    json_t *spaces =
        json_pack("{s:s,s:s,s:s,s:b}", "type", "Metaspace", "replacement", "\xE2\x96\x81",
                  "prepend_scheme", p->space_prefix ? "always" : "never", "split", 1);
    CHECK(normalizer && spaces);
    if (!normalizers_read(t, normalizer, err) || !pretokenizers_read(t, spaces, err) ||
        !decoders_read(t, spaces, err))
        return false;
    pieces_add_tokens(t, p);
    double *scores = NEW_ARRAY(t->arena, double, p->n);
    for (size_t i = 0; i < MIN(p->n, p->scores_n); i++)
        scores[i] = p->scores[i];
    if (p->unk >= (int64_t)p->n)
        return fail(err, ERR_INVALID, "the unknown piece is %lld of %zu", (long long)p->unk, p->n);
    unigram_start(t, scores, p->unk < 0 ? -1 : (int32_t)p->unk, p->byte_fallback);
    return true;
}

/* ---- The .model file ----
 *
 * Protocol buffers: a field is a varint of number << 3 | kind, then its value. */

enum { KIND_VARINT = 0, KIND_64 = 1, KIND_BYTES = 2, KIND_32 = 5 };

typedef struct ProtoField {
    uint64_t number;
    int kind;
    uint64_t value; // of a varint, or the bits of a float
    Str bytes;
} ProtoField;

/* False at the end and behind a failure. */
static bool read_field(Reader *r, ProtoField *f)
{
    if (reader_left(r) == 0 || r->error.code != ERR_NONE)
        return false;
    uint64_t key = reader_varint(r);
    *f = (ProtoField){.number = key >> 3, .kind = (int)(key & 7)};
    if (f->kind == KIND_VARINT) {
        f->value = reader_varint(r);
    } else if (f->kind == KIND_64) {
        f->value = reader_u64(r);
    } else if (f->kind == KIND_32) {
        f->value = reader_u32(r);
    } else if (f->kind == KIND_BYTES) {
        uint64_t n = reader_varint(r);
        if (n > reader_left(r))
            reader_fail(r, ERR_INVALID, "a field of %llu bytes where %zu are left",
                        (unsigned long long)n, reader_left(r));
        else
            f->bytes = (Str){reader_bytes(r, (size_t)n), (size_t)n};
    } else {
        reader_fail(r, ERR_INVALID, "field %llu has kind %d", (unsigned long long)f->number,
                    f->kind);
    }
    return r->error.code == ERR_NONE;
}

typedef struct Model {
    Pieces pieces;
    size_t cap;
    uint64_t kind; // 1 unigram, 2 bpe, 3 word, 4 char
    int64_t ids[4];
} Model;

static void read_piece(Model *m, Str bytes, Reader *outer)
{
    Pieces *p = &m->pieces;
    Reader r = reader_of(bytes.ptr, bytes.len, "piece");
    ProtoField f;
    if (p->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 4096;
        Str *tokens = NEW_ARRAY(p->arena, Str, cap);
        double *scores = NEW_ARRAY(p->arena, double, cap),
               *types = NEW_ARRAY(p->arena, double, cap);
        if (p->n) {
            memcpy(tokens, p->tokens, p->n * sizeof *tokens);
            memcpy(scores, p->scores, p->n * sizeof *scores);
            memcpy(types, p->types, p->n * sizeof *types);
        }
        p->tokens = tokens;
        p->scores = scores;
        p->types = types;
        m->cap = cap;
    }
    p->types[p->n] = GGUF_TOKEN_NORMAL;
    while (read_field(&r, &f)) {
        if (f.number == 1 && f.kind == KIND_BYTES) {
            p->tokens[p->n] = f.bytes;
        } else if (f.number == 2 && f.kind == KIND_32) {
            uint32_t bits = (uint32_t)f.value;
            float score;
            memcpy(&score, &bits, sizeof score);
            p->scores[p->n] = (double)score;
        } else if (f.number == 3 && f.kind == KIND_VARINT) {
            p->types[p->n] = (double)(f.value & 0xFF);
        }
    }
    if (r.error.code != ERR_NONE || !str_is_utf8(p->tokens[p->n]) || p->n + 1 >= MAX_TOKEN_ID)
        reader_fail(outer, ERR_INVALID, "piece %zu is broken", p->n);
    p->scores_n = p->types_n = ++p->n;
}

static void read_trainer(Model *m, Str bytes, Reader *outer)
{
    Reader r = reader_of(bytes.ptr, bytes.len, "trainer");
    for (ProtoField f; read_field(&r, &f);) {
        if (f.number == 3)
            m->kind = f.value;
        else if (f.number == 35)
            m->pieces.byte_fallback = f.value;
        else if (f.number >= 40 && f.number <= 43)
            m->ids[f.number - 40] = (int32_t)f.value;
    }
    if (r.error.code != ERR_NONE)
        reader_fail(outer, ERR_INVALID, "the trainer's part: %s", r.error.text);
}

static void read_normalizer(Model *m, Str bytes, Reader *outer)
{
    Reader r = reader_of(bytes.ptr, bytes.len, "normalizer");
    for (ProtoField f; read_field(&r, &f);) {
        if (f.number == 2)
            m->pieces.charsmap = f.bytes;
        else if (f.number == 3)
            m->pieces.space_prefix = f.value;
        else if (f.number == 4)
            m->pieces.squeezes_spaces = f.value;
    }
    if (r.error.code != ERR_NONE)
        reader_fail(outer, ERR_INVALID, "the normalizer's part: %s", r.error.text);
}

bool load_sentencepiece(Tokenizer *t, Str bytes, const char *name, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Model m = {.pieces = {.arena = a, .space_prefix = true, .squeezes_spaces = true},
               .kind = 1,
               .ids = {0, 1, 2, -1}};
    Reader r = reader_of(bytes.ptr, bytes.len, name);
    for (ProtoField f; read_field(&r, &f);) {
        if (f.kind != KIND_BYTES)
            continue;
        if (f.number == 1)
            read_piece(&m, f.bytes, &r);
        else if (f.number == 2)
            read_trainer(&m, f.bytes, &r);
        else if (f.number == 3)
            read_normalizer(&m, f.bytes, &r);
    }
    if (!reader_ok(&r, err))
        return false;
    if (m.pieces.n == 0 || (m.kind != 1 && m.kind != 2))
        return fail(err, m.pieces.n ? ERR_UNSUPPORTED : ERR_INVALID,
                    "%s: %zu pieces, model type %llu", name, m.pieces.n,
                    (unsigned long long)m.kind);
    m.pieces.unk = m.ids[0];
    if (!(m.kind == 1 ? pieces_load_unigram(t, &m.pieces, err)
                      : pieces_load_bpe(t, &m.pieces, err)))
        return fail_while(err, "%s", name);
    pieces_add_added(t, &m.pieces);
    static const SpecialToken roles[] = {SPECIAL_UNK, SPECIAL_BOS, SPECIAL_EOS, SPECIAL_PAD};
    for (size_t i = 0; i < COUNT(roles); i++)
        if (m.ids[i] >= 0 && m.ids[i] < t->vocab.n)
            special_set_id(t, roles[i], (int32_t)m.ids[i]);
    return true;
}
