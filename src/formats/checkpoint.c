/* checkpoint.c: finds the files of a model, maps them and keeps one table of their tensors; see
 * checkpoint.h. The parsers are the rows of `formats`. */
#include "formats/formats_internal.h"
#include "formats/gguf.h"

#include "base/file.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>

enum { MAX_TENSORS = 1000000, MAX_SHARDS = 1000, MAX_INDEX_BYTES = 64 << 20 };
enum { MAX_CONFIG_BYTES = 4 << 20 };

struct Checkpoint {
    Arena *arena;
    StoredTensor *tensors;
    size_t n, cap;
    Map by_name; // name -> index + 1
    FileMap **maps;
    size_t n_maps;
    const char *folder;
    const Gguf *gguf;
    json_t *metadata;
};

typedef struct Format {
    const char *name, *suffix;
    Str magic; // empty: known by its suffix alone
    bool (*parse)(Checkpoint *c, Content *content, Error *err);
} Format;

static const Format formats[] = {
    {"GGUF", ".gguf", {"GGUF", 4}, gguf_parse},
    {"safetensors", ".safetensors", {NULL, 0}, safetensors_parse},
};

/* By magic, else the last row: any eight bytes may begin a safetensors file. */
static const Format *format_of(Str bytes)
{
    size_t i = 0;
    while (i + 1 < COUNT(formats) && !str_starts(bytes, formats[i].magic))
        i++;
    return &formats[i];
}

static Checkpoint *checkpoint_new(void)
{
    Checkpoint *c = xcalloc(1, sizeof *c);
    c->arena = arena_new(0);
    c->folder = ".";
    return c;
}

void checkpoint_free(Checkpoint *c)
{
    if (!c)
        return;
    map_done(&c->by_name);
    json_decref(c->metadata);
    free(c->maps);
    free(c->tensors);
    arena_free(c->arena);
    free(c);
}

bool checkpoint_maps(const Checkpoint *c, const void *bytes, size_t n)
{
    uintptr_t at = (uintptr_t)bytes;
    for (size_t i = 0; i < c->n_maps; i++) {
        uintptr_t start = (uintptr_t)c->maps[i]->ptr;
        if (at >= start && n <= c->maps[i]->len && at - start <= c->maps[i]->len - n)
            return true;
    }
    return false;
}

Arena *checkpoint_arena(Checkpoint *c)
{
    return c->arena;
}

size_t checkpoint_count(const Checkpoint *c)
{
    return c->n;
}

const StoredTensor *checkpoint_at(const Checkpoint *c, size_t i)
{
    CHECK(i < c->n);
    return &c->tensors[i];
}

const StoredTensor *checkpoint_find(const Checkpoint *c, Str name)
{
    uintptr_t index = (uintptr_t)map_find(&c->by_name, name);
    return index ? &c->tensors[index - 1] : NULL;
}

const char *checkpoint_folder(const Checkpoint *c)
{
    return c->folder;
}

const Gguf *checkpoint_gguf(const Checkpoint *c)
{
    return c->gguf;
}

void checkpoint_set_gguf(Checkpoint *c, const Gguf *gguf)
{
    if (!c->gguf) // of several parts the first has the metadata
        c->gguf = gguf;
}

const json_t *checkpoint_metadata(const Checkpoint *c)
{
    return c->metadata;
}

void checkpoint_set_metadata(Checkpoint *c, json_t *metadata)
{
    json_decref(c->metadata);
    c->metadata = metadata;
}

bool checkpoint_add(Checkpoint *c, const StoredTensor *t, Error *err)
{
    if (c->n == MAX_TENSORS)
        return fail(err, ERR_LIMIT, "more than %d tensors", MAX_TENSORS);
    if (checkpoint_find(c, str_of(t->name)))
        return fail(err, ERR_INVALID, "tensor '%.200s' comes twice", t->name);
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 256;
        c->tensors = xrealloc(c->tensors, c->cap * sizeof *c->tensors);
    }
    c->tensors[c->n++] = *t;
    map_put(&c->by_name, str_of(t->name), (void *)(uintptr_t)c->n);
    return true;
}

bool dims_count(const int64_t *dims, int rank, int64_t *count, Error *err)
{
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n))
            return fail(err, ERR_INVALID, "dimension %d is %lld: negative, or too large a product",
                        i, (long long)dims[i]);
    *count = n;
    return true;
}

const char *dims_format(const int64_t *dims, int rank, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%lld", i ? "," : "", (long long)dims[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
    return out;
}

Checkpoint *checkpoint_of_bytes(Str bytes, const char *name, Error *err)
{
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_new();
    int64_t parts = 1;
    Content content = {.bytes = bytes, .size = bytes.len, .name = name};
    if (!format_of(bytes)->parse(c, &content, err))
        return NULL;
    if (c->gguf && gguf_int(c->gguf, "split.count", &parts) && parts > 1)
        return fail(err, ERR_UNSUPPORTED, "%s: one of %lld parts, which only files can be", name,
                    (long long)parts);
    return TAKE(c);
}

/* A checkpoint of the first `n` bytes of a file; NULL with *more set where its header goes on. */
static Checkpoint *of_beginning(const ByteSource *file, size_t n, bool *more, Error *err)
{
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_new();
    char *bytes = arena_try(c->arena, n + 1, 1, err);
    *more = false;
    if (!bytes || !byte_source_read(file, bytes, n, 0, err))
        return NULL;
    Content content = {.bytes = {bytes, n}, .size = (size_t)file->size, .name = file->name};
    if (!format_of(content.bytes)->parse(c, &content, err)) {
        *more = content.ended && n < content.size;
        return NULL;
    }
    return TAKE(c);
}

Checkpoint *checkpoint_of_header(const ByteSource *file, Error *err)
{
    // Most headers are short; a vocabulary of GGUF takes some megabytes.
    enum { FIRST = 256 << 10, GROWTH = 4, MOST = 64 << 20 };
    for (size_t n = FIRST;; n *= GROWTH) {
        bool more;
        Error why = {0};
        size_t taken = (size_t)MIN((int64_t)n, file->size);
        Checkpoint *c = of_beginning(file, taken, &more, &why);
        if (c)
            return c;
        if (more && n >= MOST)
            return fail(err, ERR_LIMIT, "%s: the header is longer than %d bytes", file->name, MOST);
        if (!more) {
            if (err)
                *err = why;
            return NULL;
        }
    }
}

static void map_release(void *map)
{
    file_unmap(map);
}

/* Maps one file for the life of the checkpoint and adds its tensors. */
static bool add_file(Checkpoint *c, const char *path, Error *err)
{
    FileMap *map = NEW(c->arena, FileMap);
    if (!file_map(map, path, err))
        return false;
    arena_defer(c->arena, map_release, map);
    c->maps = xrealloc(c->maps, (c->n_maps + 1) * sizeof(FileMap *));
    c->maps[c->n_maps++] = map;
    Str bytes = {(const char *)map->ptr, map->len};
    Content content = {.bytes = bytes, .size = bytes.len, .name = path};
    return format_of(bytes)->parse(c, &content, err);
}

/* The other parts of a GGUF file that was split: "NAME-00001-of-00003.gguf" has all metadata, and
 * each part its own tensors. */
static bool add_parts(Checkpoint *c, const char *first, Error *err)
{
    int64_t parts = 1, number = 0, tensors = -1;
    if (c->gguf) {
        gguf_int(c->gguf, "split.count", &parts);
        gguf_int(c->gguf, "split.no", &number);
        gguf_int(c->gguf, "split.tensors.count", &tensors);
    }
    if (parts <= 1)
        return true;
    if (parts > MAX_SHARDS)
        return fail(err, ERR_LIMIT, "%s: %lld parts, at most %d", first, (long long)parts,
                    MAX_SHARDS);
    const char *ending = arena_printf(c->arena, "-00001-of-%05lld.gguf", (long long)parts);
    if (number != 0 || !str_ends(str_of(first), str_of(ending)))
        return fail(err, ERR_INVALID,
                    "%s: part %lld of %lld; open the first, whose name ends with '%s'", first,
                    (long long)number + 1, (long long)parts, ending);
    int stem = (int)(strlen(first) - strlen(ending));
    for (int64_t i = 2; i <= parts; i++)
        if (!add_file(c,
                      arena_printf(c->arena, "%.*s-%05lld-of-%05lld.gguf", stem, first,
                                   (long long)i, (long long)parts),
                      err))
            return false;
    if (tensors >= 0 && (uint64_t)tensors != c->n)
        return fail(err, ERR_INVALID, "%s: %zu tensors in all parts, it announces %lld", first,
                    c->n, (long long)tensors);
    return true;
}

/* The files that an index names, each once, in the order of their first mention. */
static bool list_shards(Map *shards, const json_t *weight_map, const char *index, Error *err)
{
    const char *tensor;
    json_t *file;
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, file)
    {
        Str name = {json_string_value(file), json_string_length(file)};
        if (!json_is_string(file) || !path_is_safe(name, NULL))
            return fail(err, ERR_INVALID, "%s: tensor '%.200s': its file must be a relative path",
                        index, tensor);
        map_put(shards, name, NULL);
        if (shards->n > MAX_SHARDS)
            return fail(err, ERR_LIMIT, "%s: more than %d files", index, MAX_SHARDS);
    }
    if (shards->n == 0)
        return fail(err, ERR_INVALID, "%s: 'weight_map' is missing or empty", index);
    return true;
}

static bool add_sharded(Checkpoint *c, const char *index_path, Error *err)
{
    AUTO(json_decref) json_t *index = json_read_file(index_path, MAX_INDEX_BYTES, err);
    if (!index)
        return false;
    const json_t *weight_map = json_object_get(index, "weight_map");
    Map shards = {0};
    bool ok = list_shards(&shards, weight_map, index_path, err);
    for (size_t i = 0; ok && i < shards.n; i++)
        ok = add_file(c, arena_printf(c->arena, "%s/%.*s", c->folder, STR(shards.entries[i].key)),
                      err);
    map_done(&shards);
    const char *tensor;
    json_t *file;
    json_object_foreach((json_t *)(uintptr_t)weight_map, tensor, file)
    {
        if (ok && !checkpoint_find(c, str_of(tensor)))
            return fail(err, ERR_INVALID, "%s: tensor '%.200s' is not in '%s'", index_path, tensor,
                        json_string_value(file));
    }
    return ok;
}

/* Whether n files of which this is the first by name are the parts of one. */
static bool is_first_of(const char *name, size_t n)
{
    char ending[40];
    snprintf(ending, sizeof ending, "-00001-of-%05zu.gguf", n);
    return str_ends(str_of(name), str_of(ending));
}

/* The folder's one .gguf file, or the first part of it; NULL with ERR_NOT_FOUND if it has none,
 * ERR_INVALID if several. */
static const char *find_gguf(Checkpoint *c, Error *err)
{
    DIR *dir = opendir(c->folder);
    if (!dir)
        return fail_io(err, "open '%s'", c->folder);
    const char *found = NULL;
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (str_ends(str_of(entry->d_name), S(".gguf"))) {
            // The first by name, so that the message below does not depend on the folder's order.
            if (!found || strcmp(entry->d_name, found) < 0)
                found = arena_cstr(c->arena, str_of(entry->d_name));
            n++;
        }
    closedir(dir);
    if (n > 1 && !is_first_of(found, n))
        return fail(err, ERR_INVALID, "'%s' has %zu .gguf files: name one of them, as '%s/%s'",
                    c->folder, n, c->folder, found);
    if (n == 0)
        return fail(err, ERR_NOT_FOUND,
                    "'%s' has no weights: model.safetensors, model.safetensors.index.json or a "
                    ".gguf file",
                    c->folder);
    return arena_printf(c->arena, "%s/%s", c->folder, found);
}

static bool add_folder(Checkpoint *c, Error *err)
{
    const char *single = arena_printf(c->arena, "%s/model.safetensors", c->folder);
    if (file_exists(single))
        return add_file(c, single, err);
    const char *index = arena_printf(c->arena, "%s/model.safetensors.index.json", c->folder);
    if (file_exists(index))
        return add_sharded(c, index, err);
    const char *gguf = find_gguf(c, err);
    return gguf && add_file(c, gguf, err) && add_parts(c, gguf, err);
}

Checkpoint *checkpoint_open(const char *path, Error *err)
{
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_new();
    if (file_is_folder(path)) {
        c->folder = arena_cstr(c->arena, str_of(path));
        return add_folder(c, err) ? TAKE(c) : NULL;
    }
    size_t slash = str_rfind_char(str_of(path), '/');
    if (slash != SIZE_MAX)
        c->folder = arena_cstr(c->arena, (Str){path, MAX(slash, (size_t)1)});
    return add_file(c, path, err) && add_parts(c, path, err) ? TAKE(c) : NULL;
}

json_t *checkpoint_config(const Checkpoint *c, Error *err)
{
    if (c->gguf)
        return gguf_config(c, err);
    AUTO(free) char *path = NULL;
    CHECK(asprintf(&path, "%s/config.json", c->folder) > 0);
    return json_read_file(path, MAX_CONFIG_BYTES, err);
}
