/* gguf_config.c: a GGUF file's metadata in config.json's words, so that one model definition reads
 * both. Keys follow one pattern for all architectures ("ARCH.block_count"), hence one table. */
#include "formats/gguf_internal.h"
#include "formats/gguf_write.h"

typedef struct KeyPair {
    const char *gguf; // behind "ARCH."
    const char *hf;   // a dotted path
    GgufType type;    // as it is written; GGUF_TYPES: not, because another key says it
} KeyPair;

static const KeyPair keys[] = {
    {"vocab_size", "vocab_size", GGUF_U32},
    {"context_length", "max_position_embeddings", GGUF_U32},
    {"embedding_length", "hidden_size", GGUF_U32},
    {"block_count", "num_hidden_layers", GGUF_U32},
    {"feed_forward_length", "intermediate_size", GGUF_U32},
    {"attention.head_count", "num_attention_heads", GGUF_U32},
    {"attention.head_count_kv", "num_key_value_heads", GGUF_U32},
    {"attention.key_length", "head_dim", GGUF_U32},
    {"attention.value_length", "head_dim", GGUF_U32},
    {"attention.sliding_window", "sliding_window", GGUF_U32},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", GGUF_F32},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon", GGUF_F32},
    {"rope.dimension_count", "rope_dim", GGUF_U32},
    {"rope.freq_base", "rope_theta", GGUF_F32},
    {"rope.scaling.type", "rope_scaling.rope_type", GGUF_STR},
    {"rope.scaling.factor", "rope_scaling.factor", GGUF_F32},
    {"rope.scaling.original_context_length", "rope_scaling.original_max_position_embeddings",
     GGUF_U32},
    {"rope.scaling.attn_factor", "rope_scaling.attention_factor", GGUF_F32},
    {"rope.scaling.yarn_beta_fast", "rope_scaling.beta_fast", GGUF_F32},
    {"rope.scaling.yarn_beta_slow", "rope_scaling.beta_slow", GGUF_F32},
    {"expert_count", "num_local_experts", GGUF_U32},
    {"expert_used_count", "num_experts_per_tok", GGUF_U32},
};

/* Special tokens are named alike in all files. */
static const KeyPair tokens[] = {
    {"tokenizer.ggml.bos_token_id", "bos_token_id", GGUF_TYPES},
    {"tokenizer.ggml.eos_token_id", "eos_token_id", GGUF_TYPES},
    {"tokenizer.ggml.padding_token_id", "pad_token_id", GGUF_TYPES},
};

static void set_flag(json_t *config, const char *key, bool value)
{
    json_object_set_new(config, key, json_boolean(value));
}

static int64_t first_dim(const Checkpoint *c, const char *name)
{
    const StoredTensor *t = checkpoint_find(c, str_of(name));
    return t && t->rank > 0 ? t->dims[0] : 0;
}

json_t *gguf_config(const Checkpoint *c, Error *err)
{
    const Gguf *g = checkpoint_gguf(c);
    Str arch = gguf_str(g, "general.architecture");
    if (arch.len == 0 || arch.len > 64 || !str_is_utf8(arch))
        return fail(err, ERR_INVALID, "'general.architecture' is missing or unusable");
    AUTO(json_decref) json_t *all = gguf_to_json(g, 1024), *config = json_object();
    json_object_set_new(config, "model_type", json_from_str(arch));
    for (size_t i = 0; i < COUNT(keys); i++) {
        char key[160];
        snprintf(key, sizeof key, "%.*s.%s", STR(arch), keys[i].gguf);
        json_t *value = json_object_get(all, key);
        if (value)
            json_set_at(config, str_of(keys[i].hf), json_incref(value));
    }
    for (size_t i = 0; i < COUNT(tokens); i++) {
        json_t *value = json_object_get(all, tokens[i].gguf);
        if (value)
            json_object_set(config, tokens[i].hf, value);
    }
    // The embedding says how many tokens there are even where the metadata do not.
    if (!json_object_get(config, "vocab_size"))
        json_object_set_new(config, "vocab_size", json_integer(first_dim(c, "token_embd.weight")));
    // Such files say by their tensors what a config.json says by flags.
    set_flag(config, "tie_word_embeddings", !checkpoint_find(c, S("output.weight")));
    set_flag(config, "attention_bias", checkpoint_find(c, S("blk.0.attn_q.bias")) != NULL);
    set_flag(config, "mlp_bias", checkpoint_find(c, S("blk.0.ffn_gate.bias")) != NULL);
    return TAKE(config);
}

/* Writing. */

static void put_one(GgufWriter *w, const char *key, GgufType type, const json_t *value)
{
    if (type == GGUF_STR && json_is_string(value))
        gguf_put_str(w, key, (Str){json_string_value(value), json_string_length(value)});
    else if (type == GGUF_F32 && json_is_number(value))
        gguf_put_f32(w, key, (float)json_number_value(value));
    else if (type == GGUF_U32 && json_is_integer(value) && json_integer_value(value) >= 0 &&
             json_integer_value(value) <= UINT32_MAX)
        gguf_put_u32(w, key, (uint32_t)json_integer_value(value));
}

void gguf_put_config(GgufWriter *w, const char *arch, const json_t *config)
{
    for (size_t i = 0; i < COUNT(keys); i++) {
        char key[160];
        snprintf(key, sizeof key, "%s.%s", arch, keys[i].gguf);
        put_one(w, key, keys[i].type, json_at(config, keys[i].hf));
    }
}
