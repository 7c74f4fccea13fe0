/* gpt2.c: the decoder that began it (Radford et al. 2019, "Language Models are Unsupervised
 * Multitask Learners"): learned positions, LayerNorm before each block, biases everywhere, the head
 * tied to the embedding. Its projections are stored [in,out], which nn_conv1d knows. Golden:
 * tests/golden/gpt2 and gpt2-bare, made by tools/golden/decoders.py. Shapes: B sequences, T tokens,
 * E hidden, H heads, D head size, F inner. */
#include "nn/nn.h"

typedef struct Gpt2 {
    int64_t vocab, hidden, inner, layers, heads, positions;
    float norm_eps, embedding_dropout, attention_dropout, residual_dropout;
    const char *activation;
    bool scaled, scaled_by_layer, tied;
} Gpt2;

static const Field fields[] = {
    DIM(Gpt2, vocab, "vocab_size"),
    DIM(Gpt2, hidden, "n_embd|hidden_size"),
    DIM(Gpt2, layers, "n_layer|num_hidden_layers"),
    DIM(Gpt2, heads, "n_head|num_attention_heads"),
    OPT_RANGE(Gpt2, positions, INT, "n_positions|max_position_embeddings", 1024, 1, DIM_MAX),
    DIM_OR_0(Gpt2, inner, "n_inner|intermediate_size"), // 0: four times hidden
    OPT(Gpt2, norm_eps, FLOAT, "layer_norm_epsilon", 1e-5),
    OPT_TEXT(Gpt2, activation, "activation_function", "gelu_new"),
    OPT(Gpt2, scaled, BOOL, "scale_attn_weights", true),
    OPT(Gpt2, scaled_by_layer, BOOL, "scale_attn_by_inverse_layer_idx", false),
    OPT_RANGE(Gpt2, embedding_dropout, FLOAT, "embd_pdrop", 0.1, 0, 0.999),
    OPT_RANGE(Gpt2, attention_dropout, FLOAT, "attn_pdrop", 0.1, 0, 0.999),
    OPT_RANGE(Gpt2, residual_dropout, FLOAT, "resid_pdrop", 0.1, 0, 0.999),
    OPT(Gpt2, tied, BOOL, "tie_word_embeddings", true),
};

static bool prepare(void *config, Error *err)
{
    Gpt2 *c = config;
    c->inner = c->inner ? c->inner : 4 * c->hidden;
    return true;
}

static Tensor *attention(Graph *g, Scope s, const Gpt2 *c, Tensor *x, Step *step, int layer)
{
    int64_t head_dim = c->hidden / c->heads;
    Tensor *qkv = nn_conv1d(g, at(s, "c_attn"), x, 3 * c->hidden); // [B,T,3E]
    Tensor *part[3];
    op_split(g, qkv, 3, part);
    Tensor *q = op_split_heads(g, part[0], c->heads); // [B,H,T,D]
    Tensor *k = op_split_heads(g, part[1], c->heads);
    Tensor *v = op_split_heads(g, part[2], c->heads);

    Attend how = {.scale = c->scaled ? 1 / sqrtf((float)head_dim) : 1,
                  .dropout = c->attention_dropout};
    if (c->scaled_by_layer)
        how.scale /= (float)(layer + 1);
    Tensor *y = nn_attend(g, step, layer, q, k, v, &how);               // [B,H,T,D]
    y = nn_conv1d(g, at(s, "c_proj"), op_merge_heads(g, y), c->hidden); // [B,T,E]
    return op_dropout(g, y, c->residual_dropout);
}

static Tensor *feed_forward(Graph *g, Scope s, const Gpt2 *c, Tensor *x)
{
    Tensor *h = nn_activation(g, c->activation, nn_conv1d(g, at(s, "c_fc"), x, c->inner));
    return op_dropout(g, nn_conv1d(g, at(s, "c_proj"), h, c->hidden), c->residual_dropout);
}

static Tensor *forward(Graph *g, Scope root, const void *config, Step *step)
{
    const Gpt2 *c = config;
    Scope body = at(root, "transformer");
    Tensor *x = op_add(g, nn_embed_tokens(g, at(body, "wte"), step, c->vocab, c->hidden),
                       nn_embed(g, at(body, "wpe"), step->positions, c->positions, c->hidden));
    x = op_dropout(g, x, c->embedding_dropout);

    for (int i = 0; i < c->layers; i++) {
        Scope s = at(body, "h.%d", i);
        step_layer(step, i, x);
        Tensor *h = nn_layer_norm(g, at(s, "ln_1"), x, c->norm_eps);
        x = op_add(g, x, attention(g, at(s, "attn"), c, h, step, i));
        h = nn_layer_norm(g, at(s, "ln_2"), x, c->norm_eps);
        x = op_add(g, x, feed_forward(g, at(s, "mlp"), c, h));
    }
    x = nn_layer_norm(g, at(body, "ln_f"), step_wanted(g, step, x), c->norm_eps);
    return nn_head(g, c->tied ? at(body, "wte") : at(root, "lm_head"), step, x, c->vocab);
}

/* What a GGUF file calls them; it stores the projections [out,in]. */
static const Rename gguf_names[] = {
    {"transformer.wte", "token_embd"},
    {"transformer.wpe", "position_embd"},
    {"transformer.h.#.ln_1", "blk.#.attn_norm"},
    {"transformer.h.#.attn.c_attn", "blk.#.attn_qkv", .transposed = true},
    {"transformer.h.#.attn.c_proj", "blk.#.attn_output", .transposed = true},
    {"transformer.h.#.ln_2", "blk.#.ffn_norm"},
    {"transformer.h.#.mlp.c_fc", "blk.#.ffn_up", .transposed = true},
    {"transformer.h.#.mlp.c_proj", "blk.#.ffn_down", .transposed = true},
    {"transformer.ln_f", "output_norm"},
    {"lm_head", "output"},
    {0},
};

const Architecture arch_gpt2 = {
    .name = "gpt2",
    .claims = {"GPT2LMHeadModel"},
    CONFIG(Gpt2, fields),
    .prepare = prepare,
    .decoder = forward,
    .prefix = "transformer.", // the first published file has none
    .ignorable = {"transformer.h.#.attn.bias", "transformer.h.#.attn.masked_bias", "lm_head.weight",
                  "output.weight"},
    .gguf_names = gguf_names,
    .lora_targets = {"c_attn"},
    .transposed = true,
    .residual = {"transformer.h.#.attn.c_proj.weight", "transformer.h.#.mlp.c_proj.weight"},
};
