/* sheet.c: see sheet.h. */
#include "web/sheet.h"

#include "web/web_internal.h"

enum {
    MAX_COLUMNS = 100,
    MAX_CELL = 400, // bytes of a cell that are shown
};

Sheet sheet_of(int64_t from)
{
    return (Sheet){.columns = json_array(), .rows = json_array(), .at = from};
}

/* Text as it is, a label by its name, the rest as JSON. */
static void cell_text(Buf *out, const TableType *type, const Cell *value, const json_t *json)
{
    bool label = type->kind == TYPE_VALUE && str_eq(type->dtype, S("class_label"));
    if (label && value->kind == CELL_INT && value->integer >= 0 &&
        value->integer < (int64_t)type->n)
        buf_add(out, type->items[value->integer].name);
    else if (json_is_string(json))
        buf_add(out, str_of(json_string_value(json)));
    else
        json_write(out, json);
}

/* {"text", "kind", "cut", "media", "url"}: long texts are cut between characters. */
static json_t *cell(const Sheet *s, const TableType *type, const Cell *value)
{
    Media media;
    if (s->url && cell_media(type, value, &media) && media.mime) {
        Str name = media.path.len ? media.path : type->name;
        return json_pack("{s:o, s:s, s:b, s:s}", "text", json_from_str(name), "kind",
                         media_name(media.kind), "cut", 0, "url",
                         s->url(s->user, &media, type->name, s->at));
    }
    AUTO(json_decref) json_t *json = cell_json(type, value);
    AUTO_BUF text;
    buf_init(&text, 0);
    cell_text(&text, type, value, json);
    Str shown = text_cut(buf_str(&text), MAX_CELL);
    bool is_number = json_is_number(json) && !(type->kind == TYPE_VALUE && type->n);
    const char *kind = json_is_null(json) ? "null" : is_number ? "number" : "text";
    return json_pack("{s:o, s:s, s:b, s:s}", "text", json_from_str(shown), "kind", kind, "cut",
                     shown.len < text.len, "url", "");
}

static void columns_add(json_t *out, const TableType *type, const TableRows *rows)
{
    for (size_t i = 0; i < MIN(type->n, (size_t)MAX_COLUMNS); i++) {
        const TableType *column = &type->items[i];
        Media media = {0};
        bool is_media = rows->n && cell_media(column, &rows->items[0].items[i], &media);
        Str dtype = is_media                                  ? str_of(media_name(media.kind))
                    : column->kind == TYPE_LIST               ? S("list")
                    : column->kind == TYPE_STRUCT             ? S("struct")
                    : column->kind == TYPE_JSON               ? S("json")
                    : str_eq(column->dtype, S("class_label")) ? S("label")
                                                              : column->dtype;
        json_array_append_new(out, json_pack("{s:o, s:o}", "name", json_from_str(column->name),
                                             "dtype", json_from_str(dtype)));
    }
}

bool sheet_add(void *user, const TableType *type, const TableRows *rows, Error *err)
{
    Sheet *s = user;
    (void)err;
    if (!json_array_size(s->columns))
        columns_add(s->columns, type, rows);
    for (size_t i = 0; i < rows->n; i++, s->at++) {
        json_t *row = json_array();
        for (size_t k = 0; k < MIN(type->n, (size_t)MAX_COLUMNS); k++)
            json_array_append_new(row, cell(s, &type->items[k], &rows->items[i].items[k]));
        json_array_append_new(s->rows, row);
    }
    return true;
}
