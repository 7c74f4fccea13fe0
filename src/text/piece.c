/* piece.c: stretches of text that remember where they came from; see tokenizer_internal.h. */
#include "text/tokenizer_internal.h"

void piece_push(PieceList *list, Piece p)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = xrealloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->n++] = p;
}

void change_push(Changes *c, int32_t code, int32_t change)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 256;
        c->items = xrealloc(c->items, c->cap * sizeof *c->items);
    }
    c->items[c->n++] = (Change){code, change, c->dropped};
    c->dropped = 0;
}

/* The span of byte i; in the original itself that is its whole character. */
static Span byte_span(const Piece *p, size_t i)
{
    if (p->align)
        return p->align[i];
    size_t from = i;
    while (from > 0 && (p->text[from] & 0xC0) == 0x80)
        from--;
    return (Span){(uint32_t)(p->origin + from),
                  (uint32_t)(p->origin + from + char_size(p->text[from]))};
}

Piece piece_slice(const Piece *p, size_t from, size_t to)
{
    CHECK(from <= to && to <= p->len);
    Piece slice = {.text = p->text + from, .len = (uint32_t)(to - from), .token = -1};
    if (p->align) {
        slice.align = p->align + from;
        slice.origin = from < to ? p->align[from].start : p->origin;
    } else {
        slice.origin = (uint32_t)(p->origin + from);
    }
    return slice;
}

/* A slice of the original may begin or end inside a character (byte-level models cut there): its
 * neighbours are then looked for in the original. */
Span piece_span(const Piece *p, Str original, size_t from, size_t to)
{
    if (from >= to)
        return (Span){p->origin, p->origin};
    if (p->align)
        return (Span){p->align[from].start, p->align[to - 1].end};
    size_t start = p->origin + from, end = p->origin + to;
    while (start > 0 && (original.ptr[start] & 0xC0) == 0x80)
        start--;
    while (end < original.len && (original.ptr[end] & 0xC0) == 0x80)
        end++;
    return (Span){(uint32_t)start, (uint32_t)end};
}

bool piece_is_ascii(const Piece *p)
{
    uint64_t seen = 0, eight;
    size_t i = 0;
    for (; i + 8 <= p->len; i += 8) {
        memcpy(&eight, p->text + i, 8);
        seen |= eight;
    }
    for (; i < p->len; i++)
        seen |= (unsigned char)p->text[i];
    return !(seen & 0x8080808080808080);
}

/* Moves pos behind the character there; nothing happens at the end. */
static size_t pass_char(const Piece *p, size_t pos)
{
    return pos < p->len ? pos + char_size(p->text[pos]) : pos;
}

void piece_transform(Workspace *w, Piece *p, const Changes *changes)
{
    size_t len = 0, pos = 0;
    char bytes[4];
    for (size_t i = 0; i < changes->n; i++)
        len += utf8_encode(changes->items[i].code, bytes);
    char *text = arena_alloc(w->arena, len + 1);
    Span *align = arena_array(w->arena, len + 1, sizeof *align);

    size_t at = 0;
    for (size_t i = 0; i < changes->n; i++) {
        int32_t change = changes->items[i].change;
        for (uint32_t k = changes->items[i].dropped; k > 0; k--)
            pos = pass_char(p, pos);
        Span span;
        if (change > 0)
            span = pos > 0 ? byte_span(p, pos - 1) : (Span){p->origin, p->origin};
        else
            span = p->len ? byte_span(p, pos < p->len ? pos : p->len - 1)
                          : (Span){p->origin, p->origin};
        for (int32_t passed = change; passed <= 0; passed++)
            pos = pass_char(p, pos);
        size_t size = utf8_encode(changes->items[i].code, bytes);
        memcpy(text + at, bytes, size);
        for (size_t k = 0; k < size; k++)
            align[at++] = span;
    }
    p->text = text;
    p->align = align;
    p->len = (uint32_t)len;
}

void piece_prepend(Workspace *w, Piece *p, Str text)
{
    if (p->len == 0)
        return;
    size_t len = text.len + p->len;
    char *joined = arena_alloc(w->arena, len);
    Span *align = arena_array(w->arena, len, sizeof *align);
    memcpy(joined, text.ptr, text.len);
    memcpy(joined + text.len, p->text, p->len);
    for (size_t i = 0; i < p->len; i++)
        align[text.len + i] = byte_span(p, i);
    for (size_t i = 0; i < text.len; i++)
        align[i] = align[text.len];
    p->text = joined;
    p->align = align;
    p->len = (uint32_t)len;
}
