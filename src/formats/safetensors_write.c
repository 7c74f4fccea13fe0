/* safetensors_write.c: one file, or a folder of shards with their index; see safetensors.h. */
#include "formats/safetensors.h"

#include "base/file.h"
#include "formats/formats_internal.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

enum { HEADER_ALIGN = 8, MAX_SHARDS = 99999, NAME_SIZE = 64 };
static const int64_t default_shard_size = INT64_C(5000000000);

static size_t type_rank(DType type)
{
    size_t i = 0;
    while (i < SAFETENSORS_TYPES && safetensors_types[i].type != type)
        i++;
    return i;
}

static int write_order(const void *a, const void *b)
{
    const StoredTensor *x = *(const StoredTensor *const *)a, *y = *(const StoredTensor *const *)b;
    size_t rx = type_rank(x->type), ry = type_rank(y->type);
    if (rx != ry)
        return rx > ry ? -1 : 1;
    return strcmp(x->name, y->name);
}

static json_t *dims_json(const StoredTensor *t)
{
    json_t *dims = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(dims, json_integer(t->dims[i]));
    return dims;
}

static bool add_entry(json_t *header, const StoredTensor *t, size_t *offset, Error *err)
{
    size_t rank = type_rank(t->type);
    if (t->foreign || rank == SAFETENSORS_TYPES)
        return fail(err, ERR_UNSUPPORTED, "tensor '%s': safetensors has no type %s", t->name,
                    t->foreign ? t->foreign : dtype_name(t->type));
    size_t end;
    if (!size_add(*offset, t->size, &end) || end > INT64_MAX)
        return fail(err, ERR_LIMIT, "tensor '%s': more bytes than a file can have", t->name);
    json_t *entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", safetensors_types[rank].name, "shape",
                              dims_json(t), "data_offsets", (json_int_t)*offset, (json_int_t)end);
    *offset = end;
    if (json_object_get(header, t->name)) {
        json_decref(entry);
        return fail(err, ERR_INVALID, "tensor '%.200s' comes twice", t->name);
    }
    if (!entry || json_object_set_new(header, t->name, entry) < 0)
        return fail(err, ERR_INVALID, "tensor name '%.200s' is not UTF-8", t->name);
    return true;
}

/* Appends the header with its length in front. */
static bool format_header(Buf *out, const StoredTensor *const *sorted, size_t n,
                          const json_t *metadata, Error *err)
{
    AUTO(json_decref) json_t *header = json_object();
    if (metadata)
        json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata);
    size_t offset = 0;
    for (size_t i = 0; i < n; i++)
        if (!add_entry(header, sorted[i], &offset, err))
            return false;
    buf_add_bytes(out, &(uint64_t){0}, 8);
    json_write(out, header);
    while (out->len % HEADER_ALIGN != 0 && !out->failed)
        buf_add_char(out, ' ');
    if (!buf_ok(out, err))
        return false;
    uint64_t length = out->len - 8;
    memcpy(out->ptr, &length, 8);
    return true;
}

typedef struct WriteJob {
    Str header;
    const StoredTensor *const *sorted;
    size_t n;
    const TensorFeed *feed;
} WriteJob;

static bool write_body(int fd, void *context, Error *err)
{
    const WriteJob *job = context;
    if (!fd_write_all(fd, job->header.ptr, job->header.len, err))
        return false;
    for (size_t i = 0; i < job->n; i++)
        if (!feed_write(fd, job->sorted[i], job->feed, err))
            return false;
    return true;
}

bool safetensors_write(const char *path, const StoredTensor *tensors, size_t n,
                       const json_t *metadata, const TensorFeed *feed, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const StoredTensor **sorted = NEW_ARRAY(a, const StoredTensor *, n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &tensors[i];
    qsort(sorted, n, sizeof *sorted, write_order);
    AUTO_BUF header;
    buf_init(&header, SAFETENSORS_MAX_HEADER);
    if (!format_header(&header, sorted, n, metadata, err))
        return fail_while(err, "write '%s'", path);
    WriteJob job = {buf_str(&header), sorted, n, feed};
    return file_write_atomic_by(path, 0644, write_body, &job, err);
}

/* A folder of shards. */

typedef struct Shards {
    size_t *ends; // shard i ends before tensor ends[i]
    size_t n;
    int64_t total_size, total_values;
} Shards;

/* As transformers deals them out: in order, a tensor too large for any shard alone. (There such a
 * tensor leaves the shard before it open for the next ones; here shards are runs, so that what is
 * near in the model is near in the files.) */
static bool deal_out(Shards *s, const StoredTensor *tensors, size_t n, int64_t most, Error *err)
{
    int64_t filled = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t values, size = (int64_t)tensors[i].size;
        if (!dims_count(tensors[i].dims, tensors[i].rank, &values, err))
            return fail_while(err, "tensor '%.200s'", tensors[i].name);
        if (i > 0 && size > most - filled) {
            s->ends[s->n++] = i;
            filled = 0;
        }
        filled += size;
        s->total_size += size;
        s->total_values += values;
    }
    s->ends[s->n++] = n;
    if (s->n > MAX_SHARDS)
        return fail(err, ERR_LIMIT, "%zu shards, at most %d: ask for larger ones", s->n,
                    MAX_SHARDS);
    return true;
}

static void shard_name(char out[NAME_SIZE], size_t i, size_t n)
{
    if (n == 1)
        snprintf(out, NAME_SIZE, "model.safetensors");
    else
        snprintf(out, NAME_SIZE, "model-%05zu-of-%05zu.safetensors", i + 1, n);
}

static bool write_index(const char *path, const Shards *s, const StoredTensor *tensors, Error *err)
{
    AUTO(json_decref) json_t *map = json_object();
    for (size_t shard = 0, i = 0; shard < s->n; shard++) {
        char name[NAME_SIZE];
        shard_name(name, shard, s->n);
        for (; i < s->ends[shard]; i++)
            json_object_set_new(map, tensors[i].name, json_string(name));
    }
    AUTO(json_decref)
    json_t *index =
        json_pack("{s:{s:I,s:I},s:O}", "metadata", "total_parameters", (json_int_t)s->total_values,
                  "total_size", (json_int_t)s->total_size, "weight_map", map);
    AUTO(free) char *text = json_dumps(index, JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    CHECK(text);
    AUTO_BUF out;
    buf_init(&out, 0);
    buf_printf(&out, "%s\n", text);
    return file_write_atomic(path, buf_str(&out), 0644, err);
}

/* "model-00001-of-00002.safetensors" and the other names that a save can leave. */
static bool is_weight_file(Str name)
{
    if (str_eq(name, S("model.safetensors")) || str_eq(name, S("model.safetensors.index.json")))
        return true;
    if (name.len != sizeof "model-00001-of-00002.safetensors" - 1)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char wanted = "model-00000-of-00000.safetensors"[i];
        if (wanted == '0' ? !isdigit((unsigned char)name.ptr[i]) : name.ptr[i] != wanted)
            return false;
    }
    return true;
}

/* Of the shard count in a name; 0 for the index, which belongs to every count but one. */
static bool belongs(Str name, size_t shards)
{
    char wanted[NAME_SIZE];
    if (str_eq(name, S("model.safetensors.index.json")))
        return shards > 1;
    shard_name(wanted, 0, shards);
    size_t count_at = sizeof "model-00000" - 1;
    return name.len == strlen(wanted) &&
           (shards == 1 || str_eq(str_slice(name, count_at, name.len),
                                  str_slice(str_of(wanted), count_at, name.len)));
}

/* Removes weight files that the present save did not write. The one file that readers prefer goes
 * like any other: until then they see the old model, whole. */
static bool remove_stale(const char *folder, size_t shards, Error *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return fail_io(err, "open '%s'", folder);
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(dir));) {
        Str name = str_of(entry->d_name);
        if (is_weight_file(name) && !belongs(name, shards) &&
            unlinkat(dirfd(dir), entry->d_name, 0) < 0 && errno != ENOENT)
            ok = fail_io(err, "remove '%s/%s'", folder, entry->d_name);
    }
    closedir(dir);
    return ok && file_sync_folder(folder, err);
}

bool safetensors_save(const char *folder, const StoredTensor *tensors, size_t n,
                      const SafetensorsSave *how, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref)
    json_t *metadata = how->metadata ? json_incref((json_t *)(uintptr_t)how->metadata)
                                     : json_pack("{s:s}", "format", "pt");
    Shards shards = {.ends = NEW_ARRAY(a, size_t, n + 1)};
    int64_t most = how->max_shard_size > 0 ? how->max_shard_size : default_shard_size;
    if (!deal_out(&shards, tensors, n, most, err))
        return fail_while(err, "save to '%s'", folder);
    for (size_t i = 0, from = 0; i < shards.n; from = shards.ends[i++]) {
        char name[NAME_SIZE];
        shard_name(name, i, shards.n);
        if (!safetensors_write(arena_printf(a, "%s/%s", folder, name), tensors + from,
                               shards.ends[i] - from, metadata, how->feed, err))
            return false;
    }
    const char *index = arena_printf(a, "%s/model.safetensors.index.json", folder);
    if (shards.n > 1 && !write_index(index, &shards, tensors, err))
        return false;
    return remove_stale(folder, shards.n, err);
}
