/* model_files.c: what a model's folder holds beside its weights: configuration, tokenizer, defaults
 * of generation. */
#include "base/file.h"
#include "text/tokenizer_convert.h"
#include "train/train_internal.h"

enum { MAX_COPY = 256 << 20 };

/* Copied as they are, if they are there. */
static const char *const copied[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "added_tokens.json",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
};

static bool copy_file(const char *from, const char *to, const char *name, Arena *a, Error *err)
{
    const char *source = arena_printf(a, "%s/%s", from, name);
    if (!file_exists(source))
        return true;
    AUTO_BUF bytes;
    buf_init(&bytes, MAX_COPY);
    return file_read(source, &bytes, err) &&
           file_write_atomic(arena_printf(a, "%s/%s", to, name), buf_str(&bytes), 0644, err);
}

/* A .gguf file brings its tokenizer inside. */
static bool unpack_tokenizer(const char *gguf, const char *folder, Error *err)
{
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_open(gguf, err);
    if (!c)
        return false;
    return !checkpoint_gguf(c) || tokenizer_save_json(checkpoint_gguf(c), folder, err);
}

static json_t *saved_config(const Model *m)
{
    json_t *config = json_deep_copy(m->config_json);
    json_object_set_new(config, "architectures", json_pack("[s]", m->architecture->claims[0]));
    json_object_set_new(config, "model_type", json_string(m->architecture->name));
    json_object_set_new(config, "dtype", json_string("float32"));
    json_object_del(config, "torch_dtype");
    json_object_del(config, "quantization_config");
    return config;
}

static json_t *generation_config(const json_t *config)
{
    json_t *g = json_pack("{s:b}", "_from_model_config", 1);
    static const char *const keys[] = {"bos_token_id", "eos_token_id", "pad_token_id"};
    for (size_t i = 0; i < COUNT(keys); i++)
        if (json_object_get(config, keys[i]))
            json_object_set(g, keys[i], json_object_get(config, keys[i]));
    return g;
}

bool model_files_write(const Trainer *t, const char *folder, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *source = t->spec->model;
    if (!file_is_folder(source) && !unpack_tokenizer(source, folder, err))
        return false;
    if (file_is_folder(source) && strcmp(source, folder) != 0)
        for (size_t i = 0; i < COUNT(copied); i++)
            if (!copy_file(source, folder, copied[i], a, err))
                return false;
    // An adapter's folder names its model; a configuration there would be taken for one.
    if (weights_lora(t->model->weights))
        return true;
    AUTO(json_decref) json_t *config = saved_config(t->model);
    if (!write_json(folder, "config.json", config, err))
        return false;
    if (file_exists(arena_printf(a, "%s/generation_config.json", folder)))
        return true;
    AUTO(json_decref) json_t *defaults = generation_config(config);
    return write_json(folder, "generation_config.json", defaults, err);
}
