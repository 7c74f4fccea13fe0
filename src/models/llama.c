/* llama.c: dense decoder-only language model with RMSNorm, rotary positions, gated feed-forward and
 * grouped queries (Touvron et al. 2023, arXiv:2302.13971; Llama 3, arXiv:2407.21783, section 3.2).
 * Also what calls itself so: SmolLM, TinyLlama, Vicuna, Yi and many more.
 * Golden: tests/golden/llama*, made by tools/golden/decoders.py.
 * Shapes: B sequences, T tokens, E hidden, H heads, K key/value heads, D head size, F inner. */
#include "nn/nn.h"

typedef struct Llama {
    int64_t vocab, hidden, inner, layers, heads, kv_heads, head_dim;
    float norm_eps, attention_dropout;
    const char *activation;
    RopeConfig rope;
    bool tied, attention_bias, mlp_bias;
} Llama;

static const Field fields[] = {
    DIM(Llama, vocab, "vocab_size"),
    DIM(Llama, hidden, "hidden_size"),
    DIM(Llama, inner, "intermediate_size"),
    DIM(Llama, layers, "num_hidden_layers"),
    DIM(Llama, heads, "num_attention_heads"),
    DIM_OR_0(Llama, kv_heads, "num_key_value_heads"), // 0: as many as heads
    DIM_OR_0(Llama, head_dim, "head_dim"),            // 0: hidden / heads
    OPT(Llama, norm_eps, FLOAT, "rms_norm_eps", 1e-6),
    OPT_TEXT(Llama, activation, "hidden_act", "silu"),
    OPT(Llama, tied, BOOL, "tie_word_embeddings", false),
    OPT(Llama, attention_bias, BOOL, "attention_bias", false),
    OPT_RANGE(Llama, attention_dropout, FLOAT, "attention_dropout", 0, 0, 0.999),
    OPT(Llama, mlp_bias, BOOL, "mlp_bias", false),
    ROPE_FIELDS(Llama, rope),
};

static bool prepare(void *config, Error *err)
{
    Llama *c = config;
    c->kv_heads = c->kv_heads ? c->kv_heads : c->heads;
    c->head_dim = c->head_dim ? c->head_dim : c->hidden / c->heads;
    return rope_prepare(&c->rope, c->head_dim, err);
}

static Tensor *attention(Graph *g, Scope s, const Llama *c, Tensor *x, Step *step, int layer)
{
    bool bias = c->attention_bias;
    Tensor *q = nn_heads(g, at(s, "q_proj"), x, c->heads, c->head_dim, bias);    // [B,H,T,D]
    Tensor *k = nn_heads(g, at(s, "k_proj"), x, c->kv_heads, c->head_dim, bias); // [B,K,T,D]
    Tensor *v = nn_heads(g, at(s, "v_proj"), x, c->kv_heads, c->head_dim, bias); // [B,K,T,D]

    q = nn_rope(g, s, q, step, &c->rope);
    k = nn_rope(g, s, k, step, &c->rope);

    const Attend how = {.dropout = c->attention_dropout};
    Tensor *y = nn_attend(g, step, layer, q, k, v, &how);                        // [B,H,T,D]
    return nn_affine(g, at(s, "o_proj"), op_merge_heads(g, y), c->hidden, bias); // [B,T,E]
}

static Tensor *feed_forward(Graph *g, Scope s, const Llama *c, Tensor *x)
{
    Tensor *gate = nn_affine(g, at(s, "gate_proj"), x, c->inner, c->mlp_bias); // [B,T,F]
    Tensor *up = nn_affine(g, at(s, "up_proj"), x, c->inner, c->mlp_bias);     // [B,T,F]
    Tensor *h = op_mul(g, nn_activation(g, c->activation, gate), up);
    return nn_affine(g, at(s, "down_proj"), h, c->hidden, c->mlp_bias);
}

static Tensor *forward(Graph *g, Scope root, const void *config, Step *step)
{
    const Llama *c = config;
    Tensor *x = nn_embed_tokens(g, at(root, "model.embed_tokens"), step, c->vocab, c->hidden);

    for (int i = 0; i < c->layers; i++) {
        Scope s = at(root, "model.layers.%d", i);
        step_layer(step, i, x);
        Tensor *h = nn_rms_norm(g, at(s, "input_layernorm"), x, c->norm_eps);
        x = op_add(g, x, attention(g, at(s, "self_attn"), c, h, step, i));
        h = nn_rms_norm(g, at(s, "post_attention_layernorm"), x, c->norm_eps);
        x = op_add(g, x, feed_forward(g, at(s, "mlp"), c, h));
    }
    x = nn_rms_norm(g, at(root, "model.norm"), step_wanted(g, step, x), c->norm_eps);
    return nn_head(g, at(root, c->tied ? "model.embed_tokens" : "lm_head"), step, x, c->vocab);
}

static const Rename gguf_names[] = {
    {"model.embed_tokens", "token_embd"},
    {"model.layers.#.input_layernorm", "blk.#.attn_norm"},
    {"model.layers.#.self_attn.q_proj", "blk.#.attn_q", .interleaved = true},
    {"model.layers.#.self_attn.k_proj", "blk.#.attn_k", .interleaved = true},
    {"model.layers.#.self_attn.v_proj", "blk.#.attn_v"},
    {"model.layers.#.self_attn.o_proj", "blk.#.attn_output"},
    {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm"},
    {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate"},
    {"model.layers.#.mlp.up_proj", "blk.#.ffn_up"},
    {"model.layers.#.mlp.down_proj", "blk.#.ffn_down"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
    {0},
};

const Architecture arch_llama = {
    .name = "llama",
    .claims = {"LlamaForCausalLM", "LLaMAForCausalLM"},
    CONFIG(Llama, fields),
    .prepare = prepare,
    .decoder = forward,
    .ignorable = {"model.layers.#.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq",
                  "lm_head.weight"}, // some files keep a tied head all the same
    .gguf_names = gguf_names,
    .lora_targets = {"q_proj", "v_proj"},
};
