/* dataset_stats.c: see dataset_stats.h. One pass: numbers and lengths are kept for the median and
 * the histogram, texts only as long as there are few different ones. */
#include "hub/dataset_stats.h"

#include "base/map.h"

#include <math.h>

enum {
    MAX_ROWS = 100000,
    MAX_TEXT = 256 << 20,
    MAX_COLUMNS = 200,
    MAX_LABELS = 1000, // different texts of a column that still are labels
    FEW_LABELS = 10,   // so few are labels whatever their share
    BINS = 10,
};

typedef enum StatKind {
    STAT_NONE,
    STAT_INT,
    STAT_FLOAT,
    STAT_BOOL,
    STAT_TEXT,
    STAT_LIST,
    STAT_LABEL
} StatKind;

typedef struct StatColumn {
    Str name;
    StatKind kind;
    const TableType *type; // of a LABEL: its names
    int64_t nulls;
    double *values; // numbers, lengths
    size_t n, cap;
    Map counts; // of texts: to an int64_t in the arena
    bool many;  // more texts than labels may be
} StatColumn;

typedef struct Stats {
    Arena *arena;
    StatColumn *columns;
    size_t n_columns;
    int64_t rows, text;
    bool full;
} Stats;

/* ---- Collecting ---- */

static StatKind kind_of(const TableType *type)
{
    static const struct {
        const char *begins;
        StatKind kind;
    } kinds[] = {{"int", STAT_INT},           {"uint", STAT_INT},         {"float", STAT_FLOAT},
                 {"double", STAT_FLOAT},      {"bool", STAT_BOOL},        {"string", STAT_TEXT},
                 {"large_string", STAT_TEXT}, {"class_label", STAT_LABEL}};
    if (type->kind == TYPE_LIST)
        return STAT_LIST;
    for (size_t i = 0; type->kind == TYPE_VALUE && i < COUNT(kinds); i++)
        if (str_starts(type->dtype, str_of(kinds[i].begins)))
            return kinds[i].kind;
    return STAT_NONE;
}

static void columns_begin(Stats *s, const TableType *type)
{
    s->n_columns = MIN(type->n, (size_t)MAX_COLUMNS);
    s->columns = NEW_ARRAY(s->arena, StatColumn, s->n_columns);
    for (size_t i = 0; i < s->n_columns; i++) {
        StatColumn *c = &s->columns[i];
        *c = (StatColumn){.name = arena_str(s->arena, type->items[i].name),
                          .kind = kind_of(&type->items[i])};
        if (c->kind != STAT_LABEL)
            continue;
        TableType *labels = arena_copy(s->arena, &type->items[i], sizeof *labels);
        labels->items = NEW_ARRAY(s->arena, TableType, labels->n);
        for (size_t k = 0; k < labels->n; k++)
            labels->items[k].name = arena_str(s->arena, type->items[i].items[k].name);
        c->type = labels;
    }
}

static void value_add(StatColumn *c, double value)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 256;
        c->values = xrealloc(c->values, c->cap * sizeof *c->values);
    }
    c->values[c->n++] = value;
}

static void count_add(Stats *s, StatColumn *c, Str text)
{
    int64_t *count = map_find(&c->counts, text);
    if (!count && !(c->many = c->many || c->counts.n == MAX_LABELS)) {
        count = NEW(s->arena, int64_t);
        map_put(&c->counts, arena_str(s->arena, text), count);
    }
    if (count)
        ++*count;
}

static void text_add(Stats *s, StatColumn *c, Str text)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++)
        characters += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    value_add(c, (double)characters);
    s->text += (int64_t)text.len;
    count_add(s, c, text);
}

static void cell_add(Stats *s, StatColumn *c, const Cell *cell)
{
    switch (cell->kind) {
    case CELL_NULL:
        c->nulls++;
        break;
    case CELL_BOOL:
        count_add(s, c, cell->flag ? S("True") : S("False"));
        break;
    case CELL_INT:
        if (c->kind != STAT_LABEL)
            value_add(c, (double)cell->integer);
        else if (cell->integer >= 0 && cell->integer < (int64_t)c->type->n)
            count_add(s, c, c->type->items[cell->integer].name);
        break;
    case CELL_FLOAT:
        if (isfinite(cell->number))
            value_add(c, cell->number);
        else
            c->nulls++;
        break;
    case CELL_TEXT:
        text_add(s, c, cell->text);
        break;
    case CELL_LIST:
        value_add(c, (double)cell->n);
        break;
    case CELL_BYTES:
    case CELL_STRUCT:
    case CELL_JSON:
        break;
    }
}

static bool stats_add(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    Stats *s = user;
    if (!s->columns)
        columns_begin(s, type);
    for (size_t i = 0; i < rows->n; i++, s->rows++)
        for (size_t k = 0; k < s->n_columns && k < rows->items[i].n; k++)
            if (s->columns[k].kind != STAT_NONE)
                cell_add(s, &s->columns[k], &rows->items[i].items[k]);
    s->full = s->text > MAX_TEXT;
    return !s->full || (bool)fail(err, ERR_LIMIT, "enough was seen");
}

/* ---- Summing up ---- */

static int double_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static json_t *number_json(double value, bool whole)
{
    return whole ? json_integer((json_int_t)value) : json_real(value);
}

/* Values are sorted. Whole numbers get bins of a whole width, as few as reach; others ten. */
static json_t *histogram_json(const StatColumn *c, bool whole)
{
    double min = c->values[0], max = c->values[c->n - 1];
    double width = whole ? ceil((max - min + 1) / BINS) : (max - min) / BINS;
    int bins = whole ? (int)ceil((max - min + 1) / width) : max > min ? BINS : 1;
    json_t *hist = json_array(), *edges = json_array();
    size_t at = 0;
    for (int i = 0; i < bins; i++) {
        size_t from = at;
        bool last = i + 1 == bins;
        while (at < c->n && (last || c->values[at] < min + width * (i + 1)))
            at++;
        json_array_append_new(hist, json_integer((json_int_t)(at - from)));
        json_array_append_new(edges, number_json(min + width * i, whole));
    }
    json_array_append_new(edges, number_json(max, whole));
    return json_pack("{s:o, s:o}", "hist", hist, "bin_edges", edges);
}

static void numbers_set(json_t *out, StatColumn *c, bool whole)
{
    static const char *const keys[] = {"min", "max", "mean", "median", "std", "histogram"};
    for (size_t i = 0; i < COUNT(keys) && !c->n; i++)
        json_object_set_new(out, keys[i], json_null());
    if (!c->n)
        return;
    double sum = 0, squares = 0;
    qsort(c->values, c->n, sizeof *c->values, double_order);
    for (size_t i = 0; i < c->n; i++)
        sum += c->values[i];
    double mean = sum / (double)c->n;
    for (size_t i = 0; i < c->n; i++)
        squares += (c->values[i] - mean) * (c->values[i] - mean);
    double median = (c->values[(c->n - 1) / 2] + c->values[c->n / 2]) / 2;
    json_object_set_new(out, "min", number_json(c->values[0], whole));
    json_object_set_new(out, "max", number_json(c->values[c->n - 1], whole));
    json_object_set_new(out, "mean", json_real(mean));
    json_object_set_new(out, "median", json_real(median));
    json_object_set_new(out, "std",
                        c->n > 1 ? json_real(sqrt(squares / (double)(c->n - 1))) : json_null());
    json_object_set_new(out, "histogram", histogram_json(c, whole));
}

static void frequencies_set(json_t *out, const StatColumn *c)
{
    json_t *counts = json_object();
    for (size_t i = 0; i < c->counts.n; i++)
        json_object_setn_new(counts, c->counts.entries[i].key.ptr, c->counts.entries[i].key.len,
                             json_integer(*(const int64_t *)c->counts.entries[i].value));
    json_object_set_new(out, "frequencies", counts);
    if (c->kind != STAT_BOOL)
        json_object_set_new(out, "n_unique", json_integer((json_int_t)c->counts.n));
}

static bool is_label(const StatColumn *c)
{
    return c->kind == STAT_TEXT && !c->many &&
           (c->counts.n <= FEW_LABELS || (double)c->counts.n <= 0.2 * (double)c->n);
}

static json_t *column_json(StatColumn *c, int64_t rows)
{
    static const char *const names[] = {"",     "int",        "float", "bool", "string_text",
                                        "list", "class_label"};
    json_t *out = json_pack("{s:I, s:f}", "nan_count", (json_int_t)c->nulls, "nan_proportion",
                            rows ? (double)c->nulls / (double)rows : 0.0);
    bool label = is_label(c);
    if (c->kind == STAT_LABEL)
        json_object_update_new(
            out, json_pack("{s:i, s:f}", "no_label_count", 0, "no_label_proportion", 0.0));
    if (label || c->kind == STAT_LABEL || c->kind == STAT_BOOL)
        frequencies_set(out, c);
    else
        numbers_set(out, c, c->kind != STAT_FLOAT);
    return json_pack("{s:o, s:s, s:o}", "column_name", json_from_str(c->name), "column_type",
                     label ? "string_label" : names[c->kind], "column_statistics", out);
}

json_t *split_statistics(Hub *hub, const Repo *repo, Str sha, const SplitRead *read, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Stats s = {.arena = a};
    SplitRead all = {.layout = read->layout,
                     .config = read->config,
                     .split = read->split,
                     .n = MAX_ROWS,
                     .each = stats_add,
                     .user = &s};
    bool ok = split_read(hub, repo, sha, &all, err) || s.full;
    json_t *list = json_array();
    for (size_t i = 0; i < s.n_columns; i++) {
        StatColumn *c = &s.columns[i];
        if (ok && c->kind != STAT_NONE)
            json_array_append_new(list, column_json(c, s.rows));
        map_done(&c->counts);
        free(c->values);
    }
    json_t *out = json_pack("{s:I, s:o, s:b}", "num_examples", (json_int_t)s.rows, "statistics",
                            list, "partial", s.full || all.more);
    if (ok)
        return out;
    json_decref(out);
    return NULL;
}
