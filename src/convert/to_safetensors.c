/* to_safetensors.c: a model as save_pretrained leaves it: safetensors, config.json, the tokenizer's
 * files. From safetensors names and shapes stay as they are, so that any architecture will do. */
#include "convert/convert_internal.h"

#include "base/file.h"
#include "text/tokenizer_convert.h"

#include <errno.h>

enum { MAX_SIDE_FILE = 512 << 20 };

static bool is_float(DType type)
{
    return type == DTYPE_F32 || type == DTYPE_F16 || type == DTYPE_BF16 || type == DTYPE_F64 ||
           type == DTYPE_F8_E4M3 || type == DTYPE_F8_E5M2;
}

/* As model.to(dtype) does: every tensor of floats, norms as well. */
static bool choose_type(const Source *s, const StoredTensor *t, DType *type, Error *err)
{
    *type = t->type;
    if (!s->recipe->stored && dtype_is_block(s->recipe->type))
        return fail(err, ERR_UNSUPPORTED,
                    "safetensors has no type %s: choose f32, f16 or bf16, or --to gguf",
                    s->recipe->name);
    if (s->recipe->stored && dtype_is_block(t->type))
        *type = DTYPE_F32; // which holds every value exactly
    else if (!s->recipe->stored && (is_float(t->type) || dtype_is_block(t->type)))
        *type = s->recipe->type;
    return true;
}

static bool plan_tensors(const Source *s, Plan *p, Stored *names, Error *err)
{
    const Checkpoint *c = s->checkpoint;
    size_t n = 0;
    for (; names ? stored_name(names, n) != NULL : n < checkpoint_count(c); n++) {
        Origin origin = {0};
        const char *name = names ? stored_name(names, n) : checkpoint_at(c, n)->name;
        if (names && strcmp(name, "rope_freqs.weight") == 0)
            continue; // goes into config.json
        bool transposed = false;
        origin.from = names ? stored_find(names, name, &transposed, err) : checkpoint_at(c, n);
        DType type;
        if (!origin.from || !choose_type(s, origin.from, &type, err))
            return false;
        origin.turned = transposed && origin.from->rank == 2;
        if (!plan_add(p, name, type, &origin, err))
            return false;
    }
    return true;
}

/* config.json. */

static const char *torch_name(DType type)
{
    return type == DTYPE_BF16 ? "bfloat16" : type == DTYPE_F16 ? "float16" : "float32";
}

/* Whether Llama 3's scaling with these parameters gives these divisors. */
static bool same_divisors(const Source *s, json_t *config, json_t *scaling, const float *values,
                          Arena *a)
{
    json_object_set_new(config, "rope_scaling", scaling);
    RopeConfig rope;
    if (!source_rope(s, config, &rope, a, NULL))
        return false;
    for (int64_t i = 0; i < rope.pairs; i++) {
        float divisor = 1 / powf(rope.theta, (float)i / (float)rope.pairs) / rope.freqs[i];
        if (fabsf(divisor - values[i]) > 1e-3f * values[i])
            return false;
    }
    return true;
}

/* Llama 3's scaling as the parameters that give these divisors: GGUF has only the divisors, all
 * published models have the same corner frequencies, and the original length is a power of two. */
static bool add_llama3(const Source *s, json_t *config, const StoredTensor *divisors, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    int64_t d = source_head_dim(s), n = divisors->rank == 1 ? divisors->dims[0] : 0;
    if (divisors->type != DTYPE_F32 || n != d / 2 || n < 1)
        return fail(err, ERR_INVALID, "rope_freqs.weight: %lld divisors for heads of %lld",
                    (long long)n, (long long)d);
    float *values = NEW_ARRAY(a, float, (size_t)n);
    dtype_to_f32(DTYPE_F32, divisors->data, values, n);
    // 8192 is what Meta's have; few frequencies tell lengths apart, so it goes first.
    for (int64_t original = 8192; original <= 1 << 20; original = original == 8192 ? 16
                                                                  : original == 4096
                                                                      ? 16384
                                                                      : 2 * original) {
        json_t *scaling =
            json_pack("{s:s,s:f,s:f,s:f,s:I}", "rope_type", "llama3", "factor",
                      (double)values[n - 1], "low_freq_factor", 1.0, "high_freq_factor", 4.0,
                      "original_max_position_embeddings", (json_int_t)original);
        if (same_divisors(s, config, scaling, values, a))
            return true;
    }
    return fail(
        err, ERR_UNSUPPORTED,
        "rope_freqs.weight is not Llama 3's scaling, which is all that config.json can say");
}

/* What a GGUF file's metadata say, spelled as the architecture's own config.json is. */
static bool config_of_gguf(const Source *s, json_t *config, DType type, Error *err)
{
    const Architecture *arch = s->architecture;
    for (size_t i = 0; i < arch->n_fields; i++) {
        Str spellings = str_of(arch->fields[i].key), own, other;
        str_split(&spellings, '|', &own);
        while (str_find_char(own, '.', 0) == SIZE_MAX && str_split(&spellings, '|', &other)) {
            json_t *value = json_object_getn(config, other.ptr, other.len);
            if (!value)
                continue;
            json_object_setn(config, own.ptr, own.len, value);
            json_object_deln(config, other.ptr, other.len);
        }
    }
    json_object_del(config, "rope_dim");
    json_object_set_new(config, "architectures", json_pack("[s]", arch->claims[0]));
    json_object_set_new(config, "torch_dtype", json_string(torch_name(type)));
    const StoredTensor *divisors = checkpoint_find(s->checkpoint, S("rope_freqs.weight"));
    return !divisors || add_llama3(s, config, divisors, err);
}

static bool save_json(const char *folder, const char *name, const json_t *value, Error *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    AUTO_BUF out;
    buf_init(&out, 0);
    json_write_indented(&out, value);
    buf_add_char(&out, '\n');
    return file_write_atomic(path, buf_str(&out), 0644, err);
}

static bool write_config(const Source *s, const char *folder, const Plan *p, Error *err)
{
    if (!s->config)
        return true;
    AUTO(json_decref) json_t *config = json_deep_copy(s->config);
    size_t largest = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->tensors[i].size > p->tensors[largest].size)
            largest = i;
    DType type = p->n ? p->tensors[largest].type : DTYPE_F32;
    if (checkpoint_gguf(s->checkpoint)) {
        if (!config_of_gguf(s, config, type, err))
            return false;
    } else if (!s->recipe->stored) {
        const char *key = json_object_get(config, "torch_dtype") ? "torch_dtype" : "dtype";
        json_object_set_new(config, key, json_string(torch_name(type)));
    }
    return save_json(folder, "config.json", config, err);
}

/* Everything else. */

static bool copy_file(const char *from, const char *to, Error *err)
{
    AUTO_BUF bytes;
    buf_init(&bytes, MAX_SIDE_FILE);
    return file_read(from, &bytes, err) && file_write_atomic(to, buf_str(&bytes), 0644, err);
}

static bool copy_side_files(const Source *s, const char *folder, Error *err)
{
    static const char *const names[] = {"generation_config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "tokenizer.model",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "vocab.txt",
                                        "chat_template.jinja",
                                        "README.md",
                                        "LICENSE"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char from[4200], to[4200];
        snprintf(from, sizeof from, "%s/%s", checkpoint_folder(s->checkpoint), names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        if (file_exists(from) && !copy_file(from, to, err))
            return false;
    }
    return true;
}

static bool write_others(const Source *s, const char *folder, Error *err)
{
    const Gguf *g = checkpoint_gguf(s->checkpoint);
    if (!g)
        return copy_side_files(s, folder, err);
    Error why = {0};
    if (tokenizer_save_json(g, folder, &why) || why.code == ERR_NOT_FOUND)
        return true;
    if (err)
        *err = why;
    return false;
}

static bool write_weights(const Source *s, const char *path, bool single, Plan *p, Error *err)
{
    AUTO(json_decref) json_t *metadata = json_pack("{s:s}", "format", "pt");
    Str name = path_name(str_of(path));
    AUTO(progress_free) Progress *progress = progress_new(name.ptr, plan_bytes(p), s->how->quiet);
    TensorFeed feed = plan_feed(p, progress);
    if (single)
        return safetensors_write(path, p->tensors, p->n, metadata, &feed, err);
    SafetensorsSave how = {
        .metadata = metadata, .feed = &feed, .max_shard_size = s->how->max_shard_size};
    return safetensors_save(path, p->tensors, p->n, &how, err);
}

static bool plan_all(const Source *s, Plan *p, Stored **names, Error *err)
{
    // From GGUF the model's names are wanted.
    if (checkpoint_gguf(s->checkpoint) && !(*names = source_names(s, err)))
        return false;
    return plan_tensors(s, p, *names, err);
}

bool write_safetensors_model(const Source *s, const char *folder, Error *err)
{
    AUTO(stored_free) Stored *names = NULL;
    AUTO(plan_free) Plan *p = plan_new();
    return plan_all(s, p, &names, err) && write_config(s, folder, p, err) &&
           write_others(s, folder, err) && write_weights(s, folder, false, p, err);
}

bool write_safetensors_file(const Source *s, const char *path, Error *err)
{
    AUTO(stored_free) Stored *names = NULL;
    AUTO(plan_free) Plan *p = plan_new();
    return plan_all(s, p, &names, err) && write_weights(s, path, true, p, err);
}
