/* layers.c: see nn.h. */
#include "nn/nn.h"

enum { NAME_MAX_LENGTH = 500 };

Scope nn_root(Graph *g, Weights *w)
{
    return (Scope){.weights = w, .graph = g, .name = ""};
}

Scope at(Scope s, const char *format, ...)
{
    char name[NAME_MAX_LENGTH];
    size_t n = (size_t)snprintf(name, sizeof name, "%s%s", s.name, s.name[0] ? "." : "");
    va_list args;
    va_start(args, format);
    int more = vsnprintf(name + n, sizeof name - n, format, args);
    va_end(args);
    CHECK(more >= 0 && n + (size_t)more < sizeof name);
    s.name = arena_cstr(graph_arena(s.graph), str_of(name));
    if (!s.numbered && strstr(format, "%d")) {
        s.numbered = true;
        graph_checkpoint(s.graph);
    }
    return s;
}

/* The scope's parameter of this name; a failure becomes the graph's. */
static Tensor *parameter(Graph *g, Scope s, const char *name, WeightUse use, Shape shape,
                         bool *turned)
{
    Error err = {0};
    Scope full = at(s, "%s", name);
    Weight *w = weights_find(s.weights, full.name, use, shape, turned, &err);
    if (!w)
        return graph_fail(g, err.code, "%s", err.text);
    return op_weight(g, w);
}

static Tensor *vector(Graph *g, Scope s, const char *name, int64_t n)
{
    bool turned;
    return parameter(g, s, name, USE_VECTOR, SHAPE(n), &turned);
}

static Tensor *take_wanted(Graph *g, const Step *step, Tensor *x)
{
    return step->wanted ? op_take_rows(g, x, step->wanted) : x;
}

Tensor *step_wanted(Graph *g, const Step *step, Tensor *x)
{
    return step->inside.states ? x : take_wanted(g, step, x); // nn_head takes them then
}

void step_layer(Step *step, int layer, Tensor *x)
{
    step->layers = layer + 1;
    for (int i = 0; i < step->inside.n_layers; i++)
        if (step->inside.layers[i] == layer)
            step->inputs[i] = x;
}

/* y, and what the layer's adapter makes of x, if it has one. */
static Tensor *adapted(Graph *g, Scope s, Tensor *x, int64_t out, Tensor *y)
{
    Error err = {0};
    Adapter a;
    if (!weights_adapter(s.weights, s.name, s.numbered, tensor_dim(x, -1), out, &a, &err))
        return graph_fail(g, err.code, "%s", err.text);
    if (!a.down)
        return y;
    Tensor *h = op_linear(g, op_dropout(g, x, a.dropout), op_weight(g, a.down), NULL);
    return op_add(g, y, op_scale(g, op_linear(g, h, op_weight(g, a.up), NULL), a.scale));
}

Tensor *nn_affine(Graph *g, Scope s, Tensor *x, int64_t out, bool bias)
{
    bool turned;
    Tensor *weight = parameter(g, s, "weight", USE_MATRIX, SHAPE(out, tensor_dim(x, -1)), &turned);
    Tensor *y = op_linear(g, x, weight, bias ? vector(g, s, "bias", out) : NULL);
    return adapted(g, s, x, out, y);
}

Tensor *nn_linear(Graph *g, Scope s, Tensor *x, int64_t out)
{
    return nn_affine(g, s, x, out, false);
}

Tensor *nn_head(Graph *g, Scope s, Step *step, Tensor *x, int64_t vocab)
{
    const Inside *inside = &step->inside;
    if (inside->states) {
        step->states = x;
        x = take_wanted(g, step, x);
    }
    for (int i = 0; i < inside->n_layers; i++) {
        if (!step->inputs[i])
            return graph_fail(g, ERR_INVALID, "there is no layer %d", inside->layers[i]);
        step->early[i] = nn_linear(g, s, take_wanted(g, step, step->inputs[i]), vocab);
    }
    return nn_linear(g, s, x, vocab);
}

Tensor *nn_conv1d(Graph *g, Scope s, Tensor *x, int64_t out)
{
    bool turned = false;
    Tensor *weight =
        parameter(g, s, "weight", USE_TRANSPOSED_MATRIX, SHAPE(tensor_dim(x, -1), out), &turned);
    Tensor *bias = vector(g, s, "bias", out);
    Tensor *y = turned ? op_linear(g, x, weight, bias) : op_linear_transposed(g, x, weight, bias);
    return adapted(g, s, x, out, y);
}

Tensor *nn_heads(Graph *g, Scope s, Tensor *x, int64_t heads, int64_t head_dim, bool bias)
{
    return op_split_heads(g, nn_affine(g, s, x, heads * head_dim, bias), heads);
}

Tensor *nn_embed(Graph *g, Scope s, Tensor *ids, int64_t n, int64_t width)
{
    bool turned;
    return op_embed(g, parameter(g, s, "weight", USE_TABLE, SHAPE(n, width), &turned), ids);
}

/* As much noise for each token, however wide and long the text.
 * Source: Jain 2023, "NEFTune", arXiv:2310.05914, algorithm 1. */
Tensor *nn_embed_tokens(Graph *g, Scope s, const Step *step, int64_t n, int64_t width)
{
    Tensor *x = nn_embed(g, s, step->tokens, n, width);
    return op_noise(g, x, step->noise / sqrtf((float)(tensor_dim(step->tokens, -1) * width)));
}

Tensor *nn_rms_norm(Graph *g, Scope s, Tensor *x, float eps)
{
    return op_rms_norm(g, x, vector(g, s, "weight", tensor_dim(x, -1)), eps);
}

Tensor *nn_layer_norm(Graph *g, Scope s, Tensor *x, float eps)
{
    int64_t n = tensor_dim(x, -1);
    return op_layer_norm(g, x, vector(g, s, "weight", n), vector(g, s, "bias", n), eps);
}

Tensor *nn_activation(Graph *g, const char *name, Tensor *x)
{
    static const struct {
        const char *name;
        Tensor *(*op)(Graph *g, Tensor *x);
    } activations[] = {
        {"gelu", op_gelu},
        {"gelu_new", op_gelu_tanh},
        {"gelu_pytorch_tanh", op_gelu_tanh},
        {"gelu_python_tanh", op_gelu_tanh},
        {"gelu_fast", op_gelu_tanh},
        {"quick_gelu", op_gelu_quick},
        {"silu", op_silu},
        {"swish", op_silu},
        {"relu", op_relu},
        {"tanh", op_tanh},
        {"sigmoid", op_sigmoid},
    };
    for (size_t i = 0; i < COUNT(activations); i++)
        if (strcmp(activations[i].name, name) == 0)
            return activations[i].op(g, x);
    return graph_fail(g, ERR_UNSUPPORTED, "activation '%.60s'", name);
}

/* Divides the frequencies by the factors that the checkpoint brings. */
static const float *factored(Graph *g, Scope s, const RopeConfig *config)
{
    Error err = {0};
    float *freqs = NEW_ARRAY(graph_arena(g), float, (size_t)config->pairs);
    const float *factors = weights_floats(s.weights, "rope_freqs.weight", config->pairs, &err);
    if (!factors)
        graph_fail(g, err.code, "%s", err.text);
    for (int64_t i = 0; factors && i < config->pairs; i++)
        freqs[i] = config->freqs[i] / factors[i];
    return freqs;
}

Tensor *nn_rope(Graph *g, Scope s, Tensor *x, const Step *step, const RopeConfig *config)
{
    bool factors = weights_have(s.weights, "rope_freqs.weight");
    Rope rope = {.inv_freq = factors ? factored(g, s, config) : config->freqs,
                 .pairs = config->pairs,
                 .scale = config->scale};
    return op_rope(g, x, step->positions, &rope);
}

Tensor *nn_attend(Graph *g, Step *step, int layer, Tensor *q, Tensor *k, Tensor *v,
                  const Attend *how)
{
    step->kv.layers = MAX(step->kv.layers, layer + 1);
    step->kv.kv_heads = tensor_dim(k, 1);
    step->kv.head_dim = tensor_dim(k, 3);
    Attend params = *how;
    params.causal = params.cached = true;
    params.layer = layer;
    params.precision = step->precision;
    return op_attend(g, q, k, v, &params);
}
