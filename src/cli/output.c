/* output.c: see output.h. */
#include "cli/output.h"

#include "base/clock.h"

#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { NARROWEST = 4, MAX_COLUMNS = 32 };

static const char *const formats[] = {[OUTPUT_HUMAN] = "human",
                                      [OUTPUT_AGENT] = "agent",
                                      [OUTPUT_JSON] = "json",
                                      [OUTPUT_QUIET] = "quiet"};

bool output_init(Output *out, const char *format, Error *err)
{
    for (size_t i = 0; format && i < COUNT(formats); i++)
        if (strcmp(format, formats[i]) == 0) {
            out->format = (OutputFormat)i;
            return true;
        }
    out->format = OUTPUT_HUMAN;
    return !format || strcmp(format, "auto") == 0 ||
           fail(err, ERR_USAGE, "--format is human, agent, json or quiet, not '%s'", format);
}

static void print_json(const json_t *value, bool indented)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    (indented ? json_write_indented : json_write)(&text, value);
    buf_add_char(&text, '\n');
    fwrite(text.ptr, 1, text.len, stdout);
}

/* On one line, without what could move the terminal's cursor. */
static void add_plain(Buf *out, Str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        buf_add_char(out, c < ' ' || c == 127 ? ' ' : (char)c);
    }
}

static bool is_date(Str s)
{
    int64_t ns;
    return s.len >= 20 && s.ptr[10] == 'T' && iso8601_parse(s, &ns);
}

/* A cell: dates without their time, lists and objects by what names them. */
static void add_cell(Buf *out, const json_t *value, bool human)
{
    Str text = {json_string_value(value), json_string_length(value)};
    size_t i;
    json_t *item;
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value))
        add_plain(out, human && is_date(text) ? str_slice(text, 0, 10) : text);
    else if (json_is_boolean(value) && human)
        buf_add(out, json_is_true(value) ? S("yes") : S(""));
    else if (json_is_object(value) && json_object_get(value, "name"))
        add_plain(out, json_str(value, "name"));
    else if (json_is_array(value))
        json_array_foreach(value, i, item)
        {
            buf_add(out, i ? S(", ") : S(""));
            add_cell(out, item, human);
        }
    else {
        AUTO_BUF json;
        buf_init(&json, 0);
        json_write(&json, value);
        add_plain(out, buf_str(&json));
    }
}

/* ---- Tables ---- */

typedef struct Table {
    Arena *a;
    const char *keys[MAX_COLUMNS];
    size_t width[MAX_COLUMNS];
    bool right[MAX_COLUMNS]; // numbers
    size_t columns, rows;
    Str *cells;
} Table;

/* Characters, which are not bytes. */
static size_t text_width(Str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* At most `width` characters, the last three being dots where some are left out. */
static Str shortened(Arena *a, Str s, size_t width)
{
    if (text_width(s) <= width)
        return s;
    size_t at = 0, n = 0;
    while (n + 3 < width && at < s.len)
        for (n++, at++; at < s.len && (s.ptr[at] & 0xC0) == 0x80;)
            at++;
    return str_of(arena_printf(a, "%.*s...", STR(str_slice(s, 0, at))));
}

static void name_columns(Table *t, const json_t *rows, const char *columns)
{
    Str rest = str_of(columns), name;
    while (columns && t->columns < MAX_COLUMNS && str_split(&rest, ' ', &name))
        t->keys[t->columns++] = arena_cstr(t->a, name);
    const char *key;
    json_t *value;
    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (!columns && t->columns < MAX_COLUMNS)
            t->keys[t->columns++] = key;
    }
}

/* "lastModified" and "last_modified" become LAST_MODIFIED. */
static Str heading(Arena *a, const char *key)
{
    AUTO_BUF out;
    buf_init(&out, 0);
    for (const char *c = key; *c; c++) {
        bool upper = *c >= 'A' && *c <= 'Z', lower = *c >= 'a' && *c <= 'z';
        if (upper && c > key && c[-1] >= 'a' && c[-1] <= 'z')
            buf_add_char(&out, '_');
        buf_add_char(&out, lower ? (char)(*c - 'a' + 'A') : *c);
    }
    return arena_str(a, buf_str(&out));
}

/* The first row of cells is the headings. */
static void fill_cells(Table *t, const json_t *rows)
{
    AUTO_BUF cell;
    buf_init(&cell, 0);
    t->rows = json_array_size(rows) + 1;
    t->cells = NEW_ARRAY(t->a, Str, t->rows * t->columns);
    for (size_t c = 0; c < t->columns; c++) {
        t->cells[c] = heading(t->a, t->keys[c]);
        t->width[c] = text_width(t->cells[c]);
        t->right[c] = true;
        for (size_t r = 1; r < t->rows; r++) {
            const json_t *value = json_object_get(json_array_get(rows, r - 1), t->keys[c]);
            buf_reset(&cell);
            add_cell(&cell, value, true);
            t->cells[r * t->columns + c] = arena_str(t->a, buf_str(&cell));
            t->width[c] = MAX(t->width[c], text_width(buf_str(&cell)));
            t->right[c] &= !value || json_is_number(value);
        }
    }
}

/* Takes from the widest column until the table fits the terminal; false if nothing was too wide. */
static bool fit(Table *t)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return false;
    bool cut = false;
    for (;; cut = true) {
        size_t sum = t->columns - 1, widest = 0;
        for (size_t c = 0; c < t->columns; c++) {
            sum += t->width[c];
            if (t->width[c] > t->width[widest])
                widest = c;
        }
        if (sum <= size.ws_col || t->width[widest] <= MAX(NARROWEST, t->cells[widest].len))
            return cut;
        t->width[widest]--;
    }
}

static void print_row(const Table *t, size_t row)
{
    for (size_t c = 0; c < t->columns; c++) {
        Str cell = shortened(t->a, t->cells[row * t->columns + c], t->width[c]);
        int pad = (int)(t->width[c] - text_width(cell));
        bool last = c + 1 == t->columns;
        if (t->right[c])
            printf("%*s%.*s%s", pad, "", STR(cell), last ? "\n" : " ");
        else
            printf("%.*s%*s", STR(cell), last ? 0 : pad + 1, last ? "" : " ");
        if (last && !t->right[c])
            puts("");
    }
}

static void print_table(const Output *out, Table *t, const json_t *rows)
{
    fill_cells(t, rows);
    bool cut = !out->whole && fit(t);
    print_row(t, 0);
    for (size_t c = 0; c < t->columns; c++)
        for (size_t i = 0; i <= t->width[c]; i++)
            putchar(i < t->width[c] ? '-' : c + 1 < t->columns ? ' ' : '\n');
    for (size_t r = 1; r < t->rows; r++)
        print_row(t, r);
    if (cut)
        output_hint(out, "Use `--no-truncate` or `--format json` to display full values.");
}

static void print_lines(const Table *t, const json_t *rows)
{
    AUTO_BUF line;
    buf_init(&line, 0);
    for (size_t c = 0; c < t->columns; c++)
        printf("%s%s", t->keys[c], c + 1 < t->columns ? "\t" : "\n");
    for (size_t r = 0; r < json_array_size(rows); r++) {
        buf_reset(&line);
        for (size_t c = 0; c < t->columns; c++) {
            buf_add(&line, c ? S("\t") : S(""));
            add_cell(&line, json_object_get(json_array_get(rows, r), t->keys[c]), false);
        }
        puts(line.ptr ? line.ptr : "");
    }
}

static void print_names(const json_t *rows, const char *id)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        AUTO_BUF name;
        buf_init(&name, 0);
        add_cell(&name, json_object_get(row, id), false);
        puts(name.ptr ? name.ptr : "");
    }
}

void output_table(const Output *out, const json_t *rows, const char *columns, const char *id)
{
    if (out->format == OUTPUT_JSON) {
        print_json(rows, false);
        return;
    }
    if (json_array_size(rows) == 0) {
        output_text(out, "No results found.");
        return;
    }
    AUTO(arena_free) Arena *a = arena_new(0);
    Table t = {.a = a};
    name_columns(&t, rows, columns);
    if (t.columns == 0)
        return;
    if (out->format == OUTPUT_QUIET)
        print_names(rows, id ? id : t.keys[0]);
    else if (out->format == OUTPUT_AGENT)
        print_lines(&t, rows);
    else
        print_table(out, &t, rows);
}

/* ---- The rest ---- */

void output_object(const Output *out, const json_t *object, const char *id)
{
    if (out->format == OUTPUT_QUIET && id)
        puts(json_text(object, id, ""));
    else
        print_json(object, out->format == OUTPUT_HUMAN);
}

void output_result(const Output *out, const char *message, const char *main, json_t *data)
{
    AUTO_BUF line;
    buf_init(&line, 0);
    const char *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach(data, key, value)
    {
        if (json_is_null(value))
            continue;
        if (out->format == OUTPUT_AGENT)
            buf_printf(&line, "%s%s=", n ? " " : "", key);
        if (out->format == OUTPUT_AGENT || (out->format == OUTPUT_QUIET && n == 0) ||
            (out->format == OUTPUT_HUMAN && main && strcmp(key, main) == 0))
            add_cell(&line, value, false);
        n++;
    }
    if (out->format == OUTPUT_JSON)
        print_json(data, false);
    else if (out->format == OUTPUT_HUMAN && !main)
        puts(message);
    else if (line.len)
        puts(line.ptr);
    json_decref(data);
}

void output_text(const Output *out, const char *format, ...)
{
    if (out->format == OUTPUT_JSON || out->format == OUTPUT_QUIET)
        return;
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    puts("");
}

void output_hint(const Output *out, const char *format, ...)
{
    if (out->format == OUTPUT_QUIET)
        return;
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("Hint: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
}

void output_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("Warning: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
}

bool output_confirm(const Output *out, bool yes, Error *err, const char *format, ...)
{
    if (yes)
        return true;
    char question[256], answer[16] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(question, sizeof question, format, args);
    va_end(args);
    if (out->format != OUTPUT_HUMAN || !isatty(STDIN_FILENO))
        return fail(err, ERR_USAGE, "%s Say --yes to go on without being asked", question);
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return true;
    return fail(err, ERR_CANCELLED, "nothing was done");
}

void output_size(int64_t bytes, char text[OUTPUT_SIZE])
{
    static const char units[] = " KMGTPE";
    double n = (double)bytes;
    int unit = 0;
    while (fabs(n) >= 1000 && unit < 6) {
        n /= 1000;
        unit++;
    }
    snprintf(text, OUTPUT_SIZE, unit ? "%.1f%c" : "%.1f", n, units[unit]);
}

void output_ago(int64_t then_ns, char text[OUTPUT_AGO])
{
    static const struct {
        const char *unit;
        double seconds, most; // more of them are said in the next unit
    } units[] = {{"second", 1, 59},      {"minute", 60, 59},  {"hour", 3600, 23},
                 {"day", 86400, 6},      {"week", 604800, 6}, {"month", 2592000, 11},
                 {"year", 31536000, 1e9}};
    double passed = (double)(wall_ns() - then_ns) / (double)NS_PER_S;
    if (passed < 20) {
        snprintf(text, OUTPUT_AGO, "a few seconds ago");
        return;
    }
    size_t i = 0;
    // Halves go to the even side, as in Python.
    while (i + 1 < COUNT(units) && rint(passed / units[i].seconds) > units[i].most)
        i++;
    double n = rint(passed / units[i].seconds);
    snprintf(text, OUTPUT_AGO, "%.0f %s%s ago", n, units[i].unit, n > 1 ? "s" : "");
}
