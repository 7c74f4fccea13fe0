/* tensors.c: see tensors.h. */
#include "hub/tensors.h"

#include "formats/gguf.h"
#include "hub/cache.h"
#include "hub/content.h"
#include "hub/hub_internal.h"

enum {
    MAX_INDEX = 32 << 20,
    MAX_FILES = 1000,
    MAX_TENSORS = 1000000,
    MAX_TYPES = 64,
    MAX_ITEMS_SHOWN = 64, // of an array in GGUF's metadata
};

static const char index_suffix[] = ".safetensors.index.json";

bool tensors_in(Str path)
{
    return str_ends(path, S(".safetensors")) || str_ends(path, S(".gguf")) ||
           str_ends(path, str_of(index_suffix));
}

Str tensors_of_model(const RepoInfo *info)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        ".gguf", ".safetensors"};
    for (size_t k = 0; k < COUNT(names); k++)
        for (size_t i = 0; i < info->n_files; i++) {
            Str path = info->files[i].path;
            bool is_suffix = names[k][0] == '.';
            if (is_suffix ? str_ends(path, str_of(names[k])) : str_eq(path, str_of(names[k])))
                return path;
        }
    return (Str){0};
}

/* ---- One file ---- */

/* A source that counts what is read of it. */
typedef struct Counted {
    const ByteSource *source;
    int64_t *left;
} Counted;

static bool counted_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    Counted *c = context;
    *c->left -= (int64_t)n;
    if (*c->left < 0)
        return fail(err, ERR_LIMIT, "%s: the headers of all files come to more than %d bytes",
                    c->source->name, WEIGHTS_HEADERS);
    return byte_source_read(c->source, out, n, offset, err);
}

Checkpoint *weights_header(Hub *hub, const Repo *repo, Str sha, const RepoEntry *entry,
                           int64_t *left, Error *err)
{
    AUTO(arena_free) Arena *scratch = arena_new(0);
    AUTO_CONTENT file = {0};
    if (!content_open(hub, scratch, repo, sha, entry, &file, err))
        return NULL;
    Counted counted = {&file.source, left};
    ByteSource source = {file.source.name, file.source.size, counted_read, &counted};
    return checkpoint_of_header(&source, err);
}

static void checkpoint_release(void *checkpoint)
{
    checkpoint_free(checkpoint);
}

static void json_release(void *json)
{
    json_decref(json);
}

static Str dtype_text(Arena *a, const StoredTensor *t)
{
    char *name = arena_cstr(a, str_of(t->foreign ? t->foreign : dtype_name(t->type)));
    for (char *p = name; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    return str_of(name);
}

/* The type's row, made when it is new; its name is shared by all tensors that have it. */
static TensorType *type_of(Arena *a, Tensors *out, const StoredTensor *t)
{
    const char *name = t->foreign ? t->foreign : dtype_name(t->type);
    for (size_t i = 0; i < out->n_types; i++)
        if (str_eq_nocase(out->types[i].dtype, str_of(name)))
            return &out->types[i];
    if (out->n_types == MAX_TYPES)
        return &out->types[MAX_TYPES - 1];
    out->types[out->n_types].dtype = dtype_text(a, t);
    return &out->types[out->n_types++];
}

static bool tensor_add(Arena *a, Tensors *out, const StoredTensor *t, Error *err)
{
    TensorInfo *info = &out->items[out->n++];
    *info = (TensorInfo){.name = str_of(t->name),
                         .dims = t->dims,
                         .rank = t->rank,
                         .n = 1,
                         .bytes = (int64_t)t->size,
                         .offset = (int64_t)t->offset,
                         .file = out->n_files};
    for (int d = 0; d < t->rank; d++)
        info->n *= t->dims[d]; // the header's parser has checked each product
    TensorType *type = type_of(a, out, t);
    info->dtype = type->dtype;
    type->tensors++;
    if (__builtin_add_overflow(type->n, info->n, &type->n) ||
        __builtin_add_overflow(type->bytes, info->bytes, &type->bytes) ||
        __builtin_add_overflow(out->total, info->n, &out->total) ||
        __builtin_add_overflow(out->bytes, info->bytes, &out->bytes))
        return fail(err, ERR_LIMIT, "tensor '%s': the sum of all is too large a number", t->name);
    return true;
}

typedef struct Reading {
    Hub *hub;
    Arena *arena;
    const Repo *repo;
    const Snapshot *snapshot;
    Tensors *out;
    size_t room;  // of out->items
    int64_t left; // of what headers may come to
} Reading;

static const RepoEntry *file_at(const Reading *r, Str path, Error *err)
{
    const RepoEntry *entry = map_find(&r->snapshot->by_path, path);
    return entry && !entry->is_folder
               ? entry
               : fail(err, ERR_NO_ENTRY, "'%.*s' is not in this revision", STR(path));
}

static void room_for(Reading *r, size_t n)
{
    if (r->out->n + n <= r->room)
        return;
    r->room = MAX(2 * r->room, r->out->n + n);
    TensorInfo *items = NEW_ARRAY(r->arena, TensorInfo, r->room);
    if (r->out->n)
        memcpy(items, r->out->items, r->out->n * sizeof *items);
    r->out->items = items;
}

static bool file_add(Reading *r, const RepoEntry *entry, Error *err)
{
    Tensors *out = r->out;
    Checkpoint *c = weights_header(r->hub, r->repo, r->snapshot->tree.sha, entry, &r->left, err);
    if (!c)
        return false;
    arena_defer(r->arena, checkpoint_release, c);
    size_t n = checkpoint_count(c);
    if (out->n + n > MAX_TENSORS)
        return fail(err, ERR_LIMIT, "%.*s: more than %d tensors", STR(entry->path), MAX_TENSORS);
    room_for(r, n);
    for (size_t i = 0; i < n; i++)
        if (!tensor_add(r->arena, out, checkpoint_at(c, i), err))
            return fail_while(err, "%.*s", STR(entry->path));
    TensorFile *file = &out->files[out->n_files++];
    file->path = entry->path;
    file->metadata = checkpoint_metadata(c);
    const Gguf *gguf = checkpoint_gguf(c);
    out->format = gguf ? S("gguf") : S("safetensors");
    if (gguf) {
        json_t *all = gguf_to_json(gguf, MAX_ITEMS_SHOWN);
        arena_defer(r->arena, json_release, all);
        file->metadata = all;
    }
    return true;
}

/* ---- Files that belong together ---- */

static bool names_file(const Tensors *t, Str path)
{
    for (size_t i = 0; i < t->n_files; i++)
        if (str_eq(t->files[i].path, path))
            return true;
    return false;
}

/* All files of an index; their names are beside it, whatever its folder. */
static bool index_add(Reading *r, const RepoEntry *entry, Error *err)
{
    AUTO_CONTENT file = {0};
    if (entry->size > MAX_INDEX)
        return fail(err, ERR_LIMIT, "%.*s: %lld bytes, at most %d are read", STR(entry->path),
                    (long long)entry->size, MAX_INDEX);
    if (!content_open(r->hub, r->arena, r->repo, r->snapshot->tree.sha, entry, &file, err))
        return false;
    char *text = arena_try(r->arena, (size_t)file.source.size + 1, 1, err);
    if (!text || !byte_source_read(&file.source, text, (size_t)file.source.size, 0, err))
        return false;
    json_t *index = json_parse((Str){text, (size_t)file.source.size}, file.source.name, err);
    if (!index)
        return false;
    arena_defer(r->arena, json_release, index);
    r->out->index = json_object_get(index, "metadata");
    size_t slash = str_rfind_char(entry->path, '/');
    Str folder = slash == SIZE_MAX ? (Str){0} : str_slice(entry->path, 0, slash + 1);
    const char *tensor;
    json_t *shard;
    Str last = {0};
    json_object_foreach(json_object_get(index, "weight_map"), tensor, shard)
    {
        Str path = str_of(arena_printf(r->arena, "%.*s%s", STR(folder),
                                       json_is_string(shard) ? json_string_value(shard) : ""));
        if (str_eq(path, last) || names_file(r->out, path))
            continue;
        last = path;
        if (r->out->n_files == MAX_FILES)
            return fail(err, ERR_LIMIT, "%.*s: more than %d files", STR(entry->path), MAX_FILES);
        const RepoEntry *part = file_at(r, path, err);
        if (!part || !file_add(r, part, err))
            return fail_while(err, "%.*s: tensor '%.200s'", STR(entry->path), tensor);
    }
    return r->out->n_files ||
           (bool)fail(err, ERR_INVALID, "%.*s: 'weight_map' is missing or empty", STR(entry->path));
}

/* "stem-00001-of-00003.gguf" stands for all three; any other file for itself. */
static bool gguf_add(Reading *r, const RepoEntry *entry, Error *err)
{
    static const char first[] = "-00001-of-";
    enum { TAIL = sizeof "00003.gguf" - 1 };
    int64_t n = 1;
    size_t head = sizeof first - 1 + TAIL;
    if (entry->path.len > head &&
        str_starts(str_slice(entry->path, entry->path.len - head, entry->path.len),
                   str_of(first)) &&
        !str_to_int(str_slice(entry->path, entry->path.len - TAIL, entry->path.len - 5), 2,
                    MAX_FILES, &n))
        n = 1;
    if (!file_add(r, entry, err))
        return false;
    for (int64_t i = 2; i <= n; i++) {
        Str path = str_of(arena_printf(r->arena, "%.*s-%05d-of-%05d.gguf",
                                       STR(str_slice(entry->path, 0, entry->path.len - head)),
                                       (int)i, (int)n));
        const RepoEntry *part = file_at(r, path, err);
        if (!part || !file_add(r, part, err))
            return false;
    }
    return true;
}

static int type_order(const void *a, const void *b)
{
    const TensorType *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

bool tensors_of_snapshot(Hub *hub, Arena *a, const Repo *repo, const Snapshot *s, Str path,
                         const Tensors **out, Error *err)
{
    Tensors *t = NEW(a, Tensors);
    Reading r = {
        .hub = hub, .arena = a, .repo = repo, .snapshot = s, .out = t, .left = WEIGHTS_HEADERS};
    const RepoEntry *entry = file_at(&r, path, err);
    if (!entry)
        return false;
    if (!tensors_in(path))
        return fail(err, ERR_UNSUPPORTED, "'%.*s' holds no tensors: safetensors and GGUF files do",
                    STR(path));
    t->files = NEW_ARRAY(a, TensorFile, MAX_FILES);
    t->types = NEW_ARRAY(a, TensorType, MAX_TYPES);
    if (!(str_ends(path, S(".gguf"))             ? gguf_add(&r, entry, err)
          : str_ends(path, str_of(index_suffix)) ? index_add(&r, entry, err)
                                                 : file_add(&r, entry, err)))
        return false;
    qsort(t->types, t->n_types, sizeof *t->types, type_order);
    *out = t;
    return true;
}

/* ---- Kept, because people walk from module to module ---- */

typedef struct CachedTensors {
    Cached cached;
    Arena *arena; // holds this as well
    const Tensors *tensors;
} CachedTensors;

static void cached_free(Cached *cached)
{
    arena_free(((CachedTensors *)cached)->arena);
}

static CachedTensors *cached_make(Hub *hub, const Repo *repo, const Snapshot *s, Str key, Str path,
                                  Error *err)
{
    Arena *arena = arena_new(0);
    CachedTensors *c = NEW(arena, CachedTensors);
    *c = (CachedTensors){.cached = {.refs = 1, .key = arena_str(arena, key), .free = cached_free},
                         .arena = arena};
    // Paths are the snapshot's, which may go before this does.
    if (!tensors_of_snapshot(hub, arena, repo, s, arena_str(arena, path), &c->tensors, err)) {
        cached_unref(c);
        return NULL;
    }
    for (size_t i = 0; i < c->tensors->n_files; i++)
        c->tensors->files[i].path = arena_str(arena, c->tensors->files[i].path);
    // What headers became lies in arenas of their own: some hundred bytes a tensor.
    c->cached.bytes = arena_used(arena) + 512 * c->tensors->n;
    return c;
}

bool tensors_read(Hub *hub, Arena *a, const Repo *repo, Str rev, Str path, const Tensors **out,
                  Error *err)
{
    Str sha;
    if (!repo_revision(hub, a, repo, rev.len ? rev : S("HEAD"), &sha, err))
        return false;
    // By repository as well: which content may be looked into depends on it.
    Str key = str_of(arena_printf(a, "tensors %.*s %.*s %.*s", STR(repo->id), STR(sha), STR(path)));
    CachedTensors *c = (CachedTensors *)cache_find(hub->infos, key);
    if (!c) {
        const Snapshot *s = snapshot_get(hub, a, repo, sha.ptr, err);
        if (!s || !(c = cached_make(hub, repo, s, key, path, err)))
            return false;
        cache_add(hub->infos, &c->cached);
    }
    arena_defer(a, cached_unref, c);
    *out = c->tensors;
    return true;
}
