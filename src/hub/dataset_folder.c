/* dataset_folder.c: see dataset_folder.h; and what a picture, a sound or a film is. */
#include "hub/dataset_folder.h"

#include "base/file.h"

enum { MAX_LABELS = 10000 };

/* ---- Kinds of media ---- */

/* What browsers show without running anything, by the ending of a name and by the first bytes. */
static const struct MediaFormat {
    MediaKind kind;
    const char *suffixes, *mime;
    size_t at; // of the magic
    Str magic;
} formats[] = {
    {MEDIA_IMAGE, ".png", "image/png", 0, {"\x89PNG\r\n", 6}},
    {MEDIA_IMAGE, ".jpg.jpeg.jfif.jpe", "image/jpeg", 0, {"\xFF\xD8\xFF", 3}},
    {MEDIA_IMAGE, ".gif", "image/gif", 0, {"GIF8", 4}},
    {MEDIA_IMAGE, ".webp", "image/webp", 8, {"WEBP", 4}},
    {MEDIA_IMAGE, ".bmp", "image/bmp", 0, {"BM", 2}},
    {MEDIA_AUDIO, ".wav", "audio/wav", 8, {"WAVE", 4}},
    {MEDIA_AUDIO, ".flac", "audio/flac", 0, {"fLaC", 4}},
    {MEDIA_AUDIO, ".ogg.oga.opus", "audio/ogg", 0, {"OggS", 4}},
    {MEDIA_AUDIO, ".mp3", "audio/mpeg", 0, {"ID3", 3}},
    {MEDIA_AUDIO, ".mp3", "audio/mpeg", 0, {"\xFF\xFB", 2}},
    {MEDIA_VIDEO, ".mp4.m4v", "video/mp4", 4, {"ftyp", 4}},
    {MEDIA_VIDEO, ".webm.mkv", "video/webm", 0, {"\x1A\x45\xDF\xA3", 4}},
};

const char *media_name(MediaKind kind)
{
    static const char *const names[] = {"", "image", "audio", "video"};
    return names[kind];
}

static const struct MediaFormat *format_of_name(Str path)
{
    Str suffix = path_suffix(path);
    for (size_t i = 0; suffix.len > 1 && i < COUNT(formats); i++) {
        Str rest = str_of(formats[i].suffixes + 1), one;
        while (str_split(&rest, '.', &one))
            if (str_eq_nocase(one, str_slice(suffix, 1, suffix.len)))
                return &formats[i];
    }
    return NULL;
}

/* What it would be by its name; NULL for what browsers had better not show. */
static const char *media_mime(Str path)
{
    const struct MediaFormat *format = format_of_name(path);
    return format ? format->mime : NULL;
}

static const struct MediaFormat *format_of_bytes(Str bytes)
{
    for (size_t i = 0; i < COUNT(formats); i++)
        if (str_eq(str_slice(bytes, formats[i].at, formats[i].at + formats[i].magic.len),
                   formats[i].magic))
            return &formats[i];
    return NULL;
}

static MediaKind kind_named(Str dtype)
{
    for (MediaKind kind = MEDIA_IMAGE; kind <= MEDIA_VIDEO; kind++)
        if (str_eq(dtype, str_of(media_name(kind))))
            return kind;
    return MEDIA_NONE;
}

bool cell_media(const TableType *type, const Cell *cell, Media *out)
{
    *out = (Media){.kind = type->kind == TYPE_VALUE ? kind_named(type->dtype) : MEDIA_NONE};
    if (out->kind) {
        out->path = cell->kind == CELL_TEXT ? cell->text : (Str){0};
        out->mime = media_mime(out->path);
        return out->path.len > 0;
    }
    // {bytes, path}: how the dataset library keeps media in Parquet
    if (type->kind == TYPE_STRUCT && cell->kind == CELL_STRUCT)
        for (size_t i = 0; i < type->n && i < cell->n; i++)
            if (str_eq(type->items[i].name, S("bytes")) && cell->items[i].kind == CELL_BYTES)
                out->bytes = cell->items[i].text;
    if (cell->kind == CELL_BYTES)
        out->bytes = cell->text;
    const struct MediaFormat *format = out->bytes.len > 16 ? format_of_bytes(out->bytes) : NULL;
    if (format) {
        out->kind = format->kind;
        out->mime = format->mime;
    }
    return format != NULL;
}

static json_t *labels_json(const TableType *type)
{
    json_t *names = json_array();
    for (size_t i = 0; i < type->n; i++)
        json_array_append_new(names, json_from_str(type->items[i].name));
    return json_pack("{s:o, s:s}", "names", names, "_type", "ClassLabel");
}

json_t *column_feature_json(const TableType *type, const Cell *cell)
{
    static const char *const features[] = {NULL, "Image", "Audio", "Video"};
    Media media = {.kind = type->kind == TYPE_VALUE ? kind_named(type->dtype) : MEDIA_NONE};
    if (!media.kind && cell)
        (void)cell_media(type, cell, &media);
    if (media.kind)
        return json_pack("{s:s}", "_type", features[media.kind]);
    return type->kind == TYPE_VALUE && str_eq(type->dtype, S("class_label"))
               ? labels_json(type)
               : type_feature_json(type);
}

/* ---- A folder ---- */

MediaKind folder_kind(const DatasetLayout *layout)
{
    static const char *const modules[] = {"", "imagefolder", "audiofolder", "videofolder"};
    for (MediaKind kind = MEDIA_IMAGE; kind <= MEDIA_VIDEO; kind++)
        if (str_eq(layout->module, str_of(modules[kind])))
            return kind;
    return MEDIA_NONE;
}

bool folder_metadata_format(Str path, TableFormat *out)
{
    static const struct {
        const char *name;
        TableFormat format;
    } names[] = {{"metadata.csv", TABLE_CSV},
                 {"metadata.jsonl", TABLE_JSON},
                 {"metadata.parquet", TABLE_PARQUET}};
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq(path_name(path), str_of(names[i].name))) {
            *out = names[i].format;
            return true;
        }
    return false;
}

static bool is_media(Str path)
{
    TableFormat unused;
    return !folder_metadata_format(path, &unused) && !str_eq_nocase(path_suffix(path), S(".zip"));
}

static size_t depth_of(Str path)
{
    size_t n = 0;
    for (size_t i = 0; i < path.len; i++)
        n += path.ptr[i] == '/';
    return n;
}

static Str label_of(Str path)
{
    return path_name(path_parent(path));
}

static int str_order(const void *a, const void *b)
{
    return str_cmp(*(const Str *)a, *(const Str *)b);
}

static void labels_add(Folder *f, const DatasetSplit *split, size_t *depth, bool *ragged)
{
    for (size_t i = 0; i < split->n_files; i++) {
        Str path = split->files[i]->path;
        if (!is_media(path))
            continue;
        *ragged |= *depth && *depth != depth_of(path) + 1;
        *depth = depth_of(path) + 1;
        Str label = label_of(path);
        if (f->n_labels && str_eq(f->labels[f->n_labels - 1], label))
            continue;
        size_t k = 0;
        while (k < f->n_labels && !str_eq(f->labels[k], label))
            k++;
        if (k == f->n_labels && k < MAX_LABELS)
            f->labels[f->n_labels++] = label;
    }
}

Folder folder_of(Arena *a, const DatasetLayout *layout, const DatasetConfig *config,
                 const DatasetSplit *split)
{
    Folder f = {.kind = folder_kind(layout), .split = split};
    size_t depth = 0;
    bool ragged = false;
    TableFormat unused;
    for (size_t i = 0; i < split->n_files; i++)
        f.has_metadata |= folder_metadata_format(split->files[i]->path, &unused);
    if (f.has_metadata)
        return f;
    f.labels = NEW_ARRAY(a, Str, MAX_LABELS);
    for (size_t i = 0; i < config->n_splits; i++)
        labels_add(&f, &config->splits[i], &depth, &ragged);
    if (f.n_labels < 2 || ragged)
        f.n_labels = 0;
    else
        qsort(f.labels, f.n_labels, sizeof(Str), str_order);
    return f;
}

/* ---- With metadata ---- */

/* "file_name" is the column "image", "mask_file_name" the column "mask"; empty: no name of a file.
 */
static Str media_column(const Folder *f, const TableType *column)
{
    Str name = column->name, suffix = S("_file_name");
    if (column->kind != TYPE_VALUE || !str_eq(column->dtype, S("string")))
        return (Str){0};
    if (str_eq(name, S("file_name")))
        return str_of(media_name(f->kind));
    return str_ends(name, suffix) ? str_slice(name, 0, name.len - suffix.len) : (Str){0};
}

static bool paths_join(TableRows *rows, size_t column, Str folder, Arena *a, Error *err)
{
    for (size_t i = 0; i < rows->n; i++) {
        Cell *cell = &rows->items[i].items[column];
        if (cell->kind != CELL_TEXT)
            continue;
        if (!path_is_safe(cell->text, err))
            return fail_while(err, "row %zu", i);
        cell->text = str_of(
            arena_printf(a, "%.*s%s%.*s", STR(folder), folder.len ? "/" : "", STR(cell->text)));
    }
    return true;
}

const TableType *folder_type(const Folder *f, const TableType *type, Str metadata, TableRows *rows,
                             Arena *a, Error *err)
{
    TableType *out = arena_copy(a, type, sizeof *type);
    out->items = NEW_ARRAY(a, TableType, type->n);
    for (size_t i = 0; i < type->n; i++) {
        out->items[i] = type->items[i];
        Str name = media_column(f, &type->items[i]);
        if (!name.len)
            continue;
        out->items[i].name = name;
        out->items[i].dtype = str_of(media_name(f->kind));
        if (!paths_join(rows, i, path_parent(metadata), a, err))
            return fail_while(err, "%.*s: '%.*s'", STR(metadata), STR(type->items[i].name));
    }
    return out;
}

/* ---- Without ---- */

static TableType *files_type(const Folder *f, Arena *a)
{
    TableType *type = NEW(a, TableType), *columns = NEW_ARRAY(a, TableType, 2);
    *type = (TableType){.kind = TYPE_STRUCT, .items = columns, .n = f->n_labels ? 2 : 1};
    columns[0] = (TableType){.name = str_of(media_name(f->kind)),
                             .kind = TYPE_VALUE,
                             .dtype = str_of(media_name(f->kind))};
    columns[1] = (TableType){.name = S("label"),
                             .kind = TYPE_VALUE,
                             .dtype = S("class_label"),
                             .items = NEW_ARRAY(a, TableType, f->n_labels),
                             .n = f->n_labels};
    for (size_t i = 0; i < f->n_labels; i++)
        columns[1].items[i].name = f->labels[i];
    return type;
}

static Cell file_row(const Folder *f, Arena *a, Str path)
{
    Cell *cells = NEW_ARRAY(a, Cell, 2);
    cells[0] = (Cell){.kind = CELL_TEXT, .text = path};
    Str label = label_of(path), *found = NULL;
    if (f->n_labels)
        found = bsearch(&label, f->labels, f->n_labels, sizeof(Str), str_order);
    cells[1] = (Cell){.kind = found ? CELL_INT : CELL_NULL};
    if (found)
        cells[1].integer = found - f->labels;
    Cell row = {.kind = CELL_STRUCT};
    row.items = cells;
    row.n = f->n_labels ? 2 : 1;
    return row;
}

bool folder_read(const Folder *f, SplitRead *read, Arena *a, Error *err)
{
    int64_t at = 0;
    TableRows rows = {.items =
                          NEW_ARRAY(a, Cell, (size_t)MIN(read->n, (int64_t)f->split->n_files))};
    for (size_t i = 0; i < f->split->n_files; i++) {
        Str path = f->split->files[i]->path;
        if (!is_media(path))
            continue;
        if (at >= read->from && (int64_t)rows.n < read->n)
            rows.items[rows.n++] = file_row(f, a, path);
        else if (at >= read->from)
            read->more = true;
        at++;
    }
    if (read->count)
        read->total = at;
    return read->each(read->user, files_type(f, a), &rows, err);
}
