/* card_edit.c: changes to a card's front matter that leave everything else as it was written.
 *
 * libyaml's events say where each top-level key and its value stand. One value is replaced in its
 * line, so that a comment behind it stays; of a block list the lines of items that stay are kept
 * with their comments. What comes out is parsed again and compared with what was wanted: where the
 * two differ (anchors, tags, tricks with indentation) the change is refused rather than guessed.
 * Marks count lines and characters, so lines are cut first and columns turned into bytes. */
#include "hub/card.h"

#include "hub/hub_internal.h"

#include <yaml.h>

enum { MAX_ENTRIES = 500, MAX_ITEMS = 500, MAX_LINES = 20000 };

typedef enum ValueKind { VALUE_INLINE, VALUE_ITEMS, VALUE_OTHER } ValueKind;

typedef struct Place {
    size_t line, column; // from 0; the column in characters
} Place;

typedef struct Entry {
    Str key;
    ValueKind kind;        // INLINE: a scalar in one line or a flow collection; ITEMS: "- a" lines
    Place begin, from, to; // of the key, of the value
    size_t end;            // the line behind its last
    Str *items;
    size_t *item_lines;
    size_t n_items;
} Entry;

typedef struct Editor {
    Arena *arena;
    Str *lines; // without their ends
    size_t n_lines;
    Str newline;
    Entry *entries;
    size_t n_entries;
    bool is_flow; // {a: b}: no lines to work on
} Editor;

/* ---- Reading ---- */

static void lines_read(Editor *e, Str yaml)
{
    Str rest = yaml, line;
    e->newline = str_find(yaml, S("\r\n"), 0) == SIZE_MAX ? S("\n") : S("\r\n");
    e->lines = NEW_ARRAY(e->arena, Str, MAX_LINES);
    if (str_ends(rest, S("\n")))
        rest.len--;
    while (rest.len && e->n_lines < MAX_LINES && str_split(&rest, '\n', &line)) {
        if (str_ends(line, S("\r")))
            line.len--;
        e->lines[e->n_lines++] = line;
    }
}

static Place place_of(yaml_mark_t mark)
{
    return (Place){mark.line, mark.column};
}

static Str scalar_of(Arena *a, const yaml_event_t *event)
{
    return arena_str(a, (Str){(const char *)event->data.scalar.value, event->data.scalar.length});
}

/* Ends the value that has begun. */
static void entry_end(Entry *entry, const yaml_event_t *event)
{
    if (entry->kind == VALUE_INLINE)
        entry->to = place_of(event->end_mark);
}

static void value_begin(Entry *entry, const yaml_event_t *event)
{
    entry->from = place_of(event->start_mark);
    entry->kind = VALUE_OTHER;
    if (event->type == YAML_SCALAR_EVENT && event->data.scalar.style != YAML_LITERAL_SCALAR_STYLE &&
        event->data.scalar.style != YAML_FOLDED_SCALAR_STYLE &&
        event->start_mark.line == event->end_mark.line)
        entry->kind = VALUE_INLINE;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        entry->kind = event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE ? VALUE_INLINE
                                                                                   : VALUE_ITEMS;
}

static void item_add(Editor *e, Entry *entry, const yaml_event_t *event)
{
    if (entry->kind != VALUE_ITEMS)
        return;
    if (event->type != YAML_SCALAR_EVENT || entry->n_items == MAX_ITEMS ||
        event->start_mark.line != event->end_mark.line) {
        entry->kind = VALUE_OTHER;
        return;
    }
    if (!entry->items) {
        entry->items = NEW_ARRAY(e->arena, Str, MAX_ITEMS);
        entry->item_lines = NEW_ARRAY(e->arena, size_t, MAX_ITEMS);
    }
    entry->items[entry->n_items] = scalar_of(e->arena, event);
    entry->item_lines[entry->n_items++] = event->start_mark.line;
}

/* One event inside the document; depth counts open collections, the root mapping being 1. */
static void event_take(Editor *e, const yaml_event_t *event, int *depth, bool *in_value)
{
    Entry *entry = e->n_entries ? &e->entries[e->n_entries - 1] : NULL;
    bool opens =
        event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT;
    bool closes = event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT;
    bool is_value = opens || event->type == YAML_SCALAR_EVENT || event->type == YAML_ALIAS_EVENT;
    if (*depth == 0 && event->type == YAML_MAPPING_START_EVENT)
        e->is_flow = event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    if (*depth == 1 && is_value && !*in_value) {
        if (event->type == YAML_SCALAR_EVENT && e->n_entries < MAX_ENTRIES)
            e->entries[e->n_entries++] =
                (Entry){.key = scalar_of(e->arena, event), .begin = place_of(event->start_mark)};
        *in_value = true;
        *depth += opens;
        return;
    }
    *depth -= closes;
    if (entry && *depth == 1 && is_value && *in_value)
        value_begin(entry, event);
    else if (entry && *depth == 2 && is_value)
        item_add(e, entry, event);
    if (entry && *depth == 1 && *in_value && (closes || (is_value && !opens))) {
        entry_end(entry, event);
        *in_value = false;
    }
    *depth += opens;
}

static bool entries_read(Editor *e, Str yaml, Error *err)
{
    yaml_parser_t parser;
    int depth = 0;
    bool in_value = false, done = false, ok = true;
    CHECK(yaml_parser_initialize(&parser));
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(yaml.ptr ? yaml.ptr : ""),
                                 yaml.len);
    e->entries = NEW_ARRAY(e->arena, Entry, MAX_ENTRIES);
    while (ok && !done) {
        yaml_event_t event;
        ok = yaml_parser_parse(&parser, &event) != 0;
        if (!ok)
            break;
        done = event.type == YAML_STREAM_END_EVENT;
        event_take(e, &event, &depth, &in_value);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ok || fail(err, ERR_INVALID, "the front matter is no YAML that can be read");
}

static bool is_empty_line(Str line)
{
    return str_trim(line).len == 0 || line.ptr[0] == '#';
}

/* An entry goes to the next one, but what stands before that belongs to it. */
static void ends_find(Editor *e)
{
    for (size_t i = 0; i < e->n_entries; i++) {
        Entry *entry = &e->entries[i];
        entry->end = i + 1 < e->n_entries ? e->entries[i + 1].begin.line : e->n_lines;
        entry->end = MIN(entry->end, e->n_lines);
        while (entry->end > entry->begin.line + 1 && is_empty_line(e->lines[entry->end - 1]))
            entry->end--;
    }
}

/* ---- Writing ---- */

/* Plain where that reads back as this text, in double quotes elsewhere. */
static void scalar_add(Buf *out, Str text)
{
    bool plain = text.len > 0 && str_eq(str_trim(text), text);
    for (size_t i = 0; i < text.len && plain; i++)
        plain = isalnum((unsigned char)text.ptr[i]) ||
                (strchr("._/+-<> ()", text.ptr[i]) && text.ptr[i]) || (text.ptr[i] & 0x80);
    plain = plain && (isalnum((unsigned char)text.ptr[0]) || (text.ptr[0] & 0x80));
    AUTO(json_decref) json_t *read = plain ? yaml_parse(text, NULL) : NULL;
    AUTO(json_decref) json_t *wanted = json_from_str(text);
    if (read && json_equal(read, wanted))
        buf_add(out, text);
    else
        json_write(out, wanted);
}

static void line_end(const Editor *e, Buf *out)
{
    buf_add(out, e->newline);
}

static void lines_add(const Editor *e, Buf *out, size_t from, size_t to)
{
    for (; from < to; from++) {
        buf_add(out, e->lines[from]);
        line_end(e, out);
    }
}

static void items_add(const Editor *e, Buf *out, Str indent, const CardChange *change)
{
    for (size_t i = 0; i < change->n; i++) {
        buf_add(out, indent);
        buf_add(out, S("- "));
        scalar_add(out, change->values[i]);
        line_end(e, out);
    }
}

static void entry_new(const Editor *e, Buf *out, const CardChange *change)
{
    buf_printf(out, "%s:", change->key);
    if (change->n == 1 && !change->is_list) {
        buf_add_char(out, ' ');
        scalar_add(out, change->values[0]);
        line_end(e, out);
        return;
    }
    line_end(e, out);
    items_add(e, out, S(""), change);
}

static size_t column_byte(Str line, size_t column)
{
    size_t pos = 0;
    while (column-- && pos < line.len)
        utf8_next(line, &pos);
    return pos;
}

/* "key: old  # why" with another value. */
static void inline_replace(const Editor *e, Buf *out, const Entry *entry, const CardChange *change)
{
    Str first = e->lines[entry->from.line], last = e->lines[entry->to.line];
    Str before = str_slice(first, 0, column_byte(first, entry->from.column));
    Str behind = str_slice(last, column_byte(last, entry->to.column), last.len);
    lines_add(e, out, entry->begin.line, entry->from.line);
    if (change->n == 1 && !change->is_list) {
        buf_add(out, before);
        if (before.len && before.ptr[before.len - 1] == ':')
            buf_add_char(out, ' ');
        scalar_add(out, change->values[0]);
        buf_add(out, behind);
        line_end(e, out);
        return;
    }
    while (before.len && before.ptr[before.len - 1] == ' ')
        before.len--;
    buf_add(out, before);
    buf_add(out, behind);
    line_end(e, out);
    items_add(e, out, S(""), change);
}

/* Where the i-th item's lines end: with the comments below it. */
static size_t item_end(const Entry *entry, size_t i)
{
    return i + 1 < entry->n_items ? entry->item_lines[i + 1] : entry->end;
}

static Str indent_of(const Editor *e, const Entry *entry)
{
    Str line = entry->n_items ? e->lines[entry->item_lines[0]] : (Str){0};
    size_t n = 0;
    while (n < line.len && line.ptr[n] == ' ')
        n++;
    return str_slice(line, 0, n);
}

/* Items that stay keep their lines, in the new order as far as it is the old one. */
static void items_replace(const Editor *e, Buf *out, const Entry *entry, const CardChange *change)
{
    Str indent = indent_of(e, entry);
    size_t next = 0;
    lines_add(e, out, entry->begin.line, entry->item_lines[0]);
    for (size_t i = 0; i < change->n; i++) {
        size_t at = next;
        while (at < entry->n_items && !str_eq(entry->items[at], change->values[i]))
            at++;
        if (at < entry->n_items) {
            lines_add(e, out, entry->item_lines[at], item_end(entry, at));
            next = at + 1;
            continue;
        }
        CardChange one = {.values = &change->values[i], .n = 1};
        items_add(e, out, indent, &one);
    }
}

static void entry_write(const Editor *e, Buf *out, const Entry *entry, const CardChange *change)
{
    bool list = change->n > 1 || change->is_list;
    if (!change->n)
        return;
    if (entry->kind == VALUE_INLINE && entry->from.line >= entry->begin.line)
        inline_replace(e, out, entry, change);
    else if (entry->kind == VALUE_ITEMS && list && entry->n_items)
        items_replace(e, out, entry, change);
    else
        entry_new(e, out, change);
}

/* ---- What is wanted ---- */

static json_t *change_value(const CardChange *change)
{
    if (change->n == 1 && !change->is_list)
        return json_from_str(change->values[0]);
    json_t *list = json_array();
    for (size_t i = 0; i < change->n; i++)
        json_array_append_new(list, json_from_str(change->values[i]));
    return list;
}

/* The same as far as readers are concerned: one text, or a list of that one text. */
static bool is_same(const json_t *there, const json_t *wanted)
{
    if (json_is_array(there) && json_array_size(there) == 1 && json_is_string(wanted))
        return json_equal(json_array_get(there, 0), wanted);
    if (json_is_string(there) && json_is_array(wanted) && json_array_size(wanted) == 1)
        return json_equal(there, json_array_get(wanted, 0));
    return json_equal(there, wanted);
}

/* Those changes that change something; the card after them into `card`. */
static size_t changes_pick(json_t *card, const CardChange *changes, size_t n,
                           const CardChange **picked)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *there = json_object_get(card, changes[i].key);
        if (!changes[i].n) {
            if (!there)
                continue;
            json_object_del(card, changes[i].key);
        } else {
            AUTO(json_decref) json_t *wanted = change_value(&changes[i]);
            if (there && is_same(there, wanted))
                continue;
            json_object_set(card, changes[i].key, wanted);
        }
        picked[kept++] = &changes[i];
    }
    return kept;
}

static const CardChange *change_of(const CardChange *const *changes, size_t n, Str key)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_of(changes[i]->key), key))
            return changes[i];
    return NULL;
}

static void write_all(const Editor *e, Buf *out, const CardChange **changes, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < e->n_entries; i++) {
        const Entry *entry = &e->entries[i];
        const CardChange *change = change_of(changes, n, entry->key);
        if (!change)
            continue;
        lines_add(e, out, at, entry->begin.line);
        entry_write(e, out, entry, change);
        at = entry->end;
    }
    lines_add(e, out, at, e->n_lines);
    for (size_t i = 0; i < n; i++) {
        bool there = false;
        for (size_t k = 0; k < e->n_entries; k++)
            there = there || str_eq(e->entries[k].key, str_of(changes[i]->key));
        if (!there && changes[i]->n)
            entry_new(e, out, changes[i]);
    }
}

static bool yaml_edit(Arena *a, Str yaml, const CardChange *changes, size_t n, Buf *out, Error *err)
{
    Editor e = {.arena = a};
    AUTO(json_decref) json_t *card = yaml_parse(yaml, err);
    if (!card)
        return false;
    if (json_is_null(card)) {
        json_decref(TAKE(card));
        card = json_object();
    }
    if (!json_is_object(card))
        return fail(err, ERR_INVALID, "the front matter is not a mapping of keys to values");
    const CardChange **picked = NEW_ARRAY(a, const CardChange *, n);
    size_t kept = changes_pick(card, changes, n, picked);
    if (!kept) {
        buf_add(out, yaml);
        return true;
    }
    lines_read(&e, yaml);
    if (!entries_read(&e, yaml, err))
        return false;
    ends_find(&e);
    if (!e.is_flow && e.n_lines < MAX_LINES)
        write_all(&e, out, picked, kept);
    AUTO(json_decref) json_t *read = yaml_parse(buf_str(out), NULL);
    AUTO(json_decref) json_t *empty = json_object();
    if (json_is_null(read) ? json_equal(card, empty) : json_equal(card, read))
        return true;
    return fail(err, ERR_INVALID,
                "this front matter is written in a way that a form cannot change: edit its text");
}

bool card_edit(Str readme, const CardChange *changes, size_t n, Buf *out, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF edited;
    buf_init(&edited, 2 << 20);
    Str yaml, text;
    card_split(readme, &yaml, &text);
    if (!yaml_edit(a, yaml, changes, n, &edited, err) || !buf_ok(&edited, err))
        return false;
    bool fenced = yaml.ptr || text.ptr != readme.ptr;
    if (!fenced && !edited.len) {
        buf_add(out, readme);
        return buf_ok(out, err);
    }
    Str newline = str_find(readme, S("\r\n"), 0) == SIZE_MAX ? S("\n") : S("\r\n");
    if (fenced) {
        // From the first byte to the end of the opening line, and from the closing line on.
        size_t from = (size_t)(yaml.ptr - readme.ptr);
        buf_add(out, str_slice(readme, 0, from));
        buf_add(out, buf_str(&edited));
        buf_add(out, str_slice(readme, from + yaml.len, readme.len));
        return buf_ok(out, err);
    }
    buf_add(out, S("---"));
    buf_add(out, newline);
    buf_add(out, buf_str(&edited));
    buf_add(out, S("---"));
    buf_add(out, newline);
    if (readme.len) {
        buf_add(out, newline);
        buf_add(out, readme);
    }
    return buf_ok(out, err);
}
