/* open.c: from files to a model that runs; see models.h. */
#include "models/models.h"

#include "base/file.h"

enum { MAX_CONFIG = 16 << 20 };

/* What all decoders' configurations say, under one name or another. */
typedef struct Common {
    int64_t positions, hidden, heads, head_dim, layers;
    double deviation; // of what begins at random
} Common;

static const Field common_fields[] = {
    OPT_RANGE(Common, positions, INT, "max_position_embeddings|n_positions|n_ctx", 2048, 1,
              1 << 30),
    DIM_OR_0(Common, hidden, "hidden_size|n_embd"),
    DIM_OR_0(Common, heads, "num_attention_heads|n_head"),
    DIM_OR_0(Common, head_dim, "head_dim"),
    OPT_RANGE(Common, layers, INT, "num_hidden_layers|n_layer", 1, 1, DIM_MAX),
    OPT_RANGE(Common, deviation, DOUBLE, "initializer_range", 0.02, 0, 100),
};

static bool read_config(Model *m, Common *common, Error *err)
{
    const Architecture *a = m->architecture;
    m->config = arena_alloc(m->arena, a->config_size);
    bool ok =
        fields_read(m->config, a->fields, a->n_fields, m->config_json, m->arena, err) &&
        (!a->prepare || a->prepare(m->config, err)) &&
        fields_read(common, common_fields, COUNT(common_fields), m->config_json, m->arena, err);
    return ok || fail_while(err, "configuration");
}

static Weights *open_weights(const Model *m, const Common *common, Checkpoint *c,
                             const WeightPolicy *policy, Error *err)
{
    const StoredNames names = {
        .prefix = m->architecture->prefix,
        .gguf = m->architecture->gguf_names,
        .ignorable = m->architecture->ignorable,
        .head_dim = common->head_dim ? common->head_dim
                    : common->heads  ? common->hidden / common->heads
                                     : 0,
    };
    return weights_new(c, &names, policy, err);
}

bool step_graph_build(StepGraph *out, const Model *m, int64_t n, int64_t rows, const Inside *inside,
                      Error *err)
{
    AUTO(graph_free) Graph *g = graph_new();
    Step step = {.tokens = graph_input(g, DTYPE_I32, SHAPE(1, n)),
                 .positions = graph_input(g, DTYPE_I32, SHAPE(1, n)),
                 .wanted = graph_input(g, DTYPE_I32, SHAPE(rows)),
                 .precision = weights_precision(m->weights),
                 .inside = inside ? *inside : (Inside){0}};
    Tensor *logits = m->architecture->decoder(g, nn_root(g, m->weights), m->config, &step);
    logits = graph_output(g, logits);
    if (step.states)
        step.states = graph_output(g, step.states);
    for (int i = 0; i < step.inside.n_layers && graph_ok(g, NULL); i++)
        step.early[i] = graph_output(g, step.early[i]);
    if (!graph_ok(g, err))
        return false;
    *out = (StepGraph){.tokens = step.tokens,
                       .positions = step.positions,
                       .wanted = step.wanted,
                       .logits = logits,
                       .states = step.states,
                       .layers = step.layers,
                       .kv = step.kv,
                       .n = n,
                       .rows = rows,
                       .graph = TAKE(g)};
    memcpy(out->early, step.early, sizeof out->early);
    return true;
}

void step_graph_done(StepGraph *s)
{
    graph_free(s->graph);
    *s = (StepGraph){0};
}

/* What the architecture's own configuration says, whose default is each one's own. */
static bool is_tied(const Model *m)
{
    const Architecture *a = m->architecture;
    for (size_t i = 0; i < a->n_fields; i++)
        if (strcmp(a->fields[i].key, "tie_word_embeddings") == 0) {
            bool tied;
            memcpy(&tied, (const char *)m->config + a->fields[i].offset, sizeof tied);
            return tied;
        }
    return false;
}

/* Building one step asks for every parameter, which makes and checks them, and shows what a cache
 * must hold. */
static bool make_parameters(Model *m, int64_t positions, Error *err)
{
    StepGraph step = {0};
    if (!step_graph_build(&step, m, 1, 1, NULL, err))
        return false;
    m->kv = step.kv;
    m->kv.capacity = positions;
    m->vocab = tensor_dim(step.logits, -1);
    m->layers = step.layers;
    m->tied = is_tied(m);
    step_graph_done(&step);
    return weights_seal(m->weights, err);
}

/* Adapters on the way into a model. */
typedef struct Adapting {
    Lora lora;
    bool own_targets; // the architecture's
    Checkpoint *adapters;
    bool trainable;
    uint64_t seed;
} Adapting;

static void adapt(Model *m, Adapting *how)
{
    const char *const *from = how->own_targets ? m->architecture->lora_targets : how->lora.targets;
    Lora *lora = arena_copy(m->arena, &how->lora, sizeof how->lora);
    size_t n = 0;
    while (from && from[n])
        n++;
    const char **targets = NEW_ARRAY(m->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        targets[i] = arena_cstr(m->arena, str_of(from[i]));
    lora->targets = from ? targets : NULL;
    weights_adapt(m->weights, lora, TAKE(how->adapters), how->trainable, how->seed);
}

/* Reads m->config_json, makes all parameters by the policy; c is consumed. adapting may be NULL. */
static bool open_with(Model *m, Checkpoint *c, WeightPolicy *policy, Adapting *adapting, Error *err)
{
    Common common;
    AUTO(checkpoint_free) Checkpoint *owned = c;
    m->architecture = architecture_find(m->config_json, err);
    if (!m->architecture || !read_config(m, &common, err))
        return false;
    WeightInit init;
    if (policy->init) {
        init = *policy->init;
        init.deviation = common.deviation;
        init.residual_deviation = common.deviation / sqrt(2 * (double)common.layers);
        init.residual = m->architecture->residual;
        policy->init = arena_copy(m->arena, &init, sizeof init);
    }
    m->weights = open_weights(m, &common, TAKE(owned), policy, err);
    if (m->weights && adapting)
        adapt(m, adapting);
    return m->weights && make_parameters(m, common.positions, err);
}

static Model *open_checkpoint(const char *path, WeightPolicy *policy, Adapting *adapting,
                              Error *err)
{
    Checkpoint *c = checkpoint_open(path, err);
    if (!c)
        return NULL;
    AUTO(model_free) Model *m = xcalloc(1, sizeof *m);
    m->arena = arena_new(0);
    m->config_json = checkpoint_config(c, err);
    if (!m->config_json) {
        checkpoint_free(c);
        return fail_while(err, "open model '%s'", path);
    }
    return open_with(m, c, policy, adapting, err) ? TAKE(m)
                                                  : fail_while(err, "open model '%s'", path);
}

/* A folder with an adapter: its configuration and values, and where the model is. */
static bool read_adapter(const char *folder, Adapting *how, const char **base, Arena *a, Error *err)
{
    AUTO(json_decref)
    json_t *config =
        json_read_file(arena_printf(a, "%s/adapter_config.json", folder), MAX_CONFIG, err);
    if (!config || !lora_read(&how->lora, config, a, err))
        return false;
    *base = arena_cstr(a, json_str(config, "base_model_name_or_path"));
    how->adapters = checkpoint_open(arena_printf(a, "%s/adapter_model.safetensors", folder), err);
    return how->adapters != NULL;
}

static bool is_adapter(const char *path)
{
    char name[4400];
    snprintf(name, sizeof name, "%s/adapter_config.json", path);
    return file_exists(name);
}

static Model *open_adapter(const char *path, WeightPolicy *policy, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    Adapting how = {0};
    const char *base;
    if (!read_adapter(path, &how, &base, a, err))
        return NULL;
    Model *m = file_exists(base)
                   ? open_checkpoint(base, policy, &how, err)
                   : fail(err, ERR_NOT_FOUND,
                          "base_model_name_or_path '%s' is no folder or file here", base);
    checkpoint_free(how.adapters);
    return m;
}

Model *model_open(const char *path, const char *dtype, Error *err)
{
    WeightPolicy policy;
    if (!weight_policy_parse(&policy, dtype ? dtype : "auto", err))
        return fail_while(err, "open model '%s'", path);
    if (!is_adapter(path))
        return open_checkpoint(path, &policy, NULL, err);
    Model *m = open_adapter(path, &policy, err);
    return m ? m : fail_while(err, "open adapter '%s'", path);
}

Model *model_open_trainable(const char *path, Precision precision, Error *err)
{
    WeightPolicy policy = {.trainable = true, .precision = precision};
    return open_checkpoint(path, &policy, NULL, err);
}

Model *model_open_adapted(const char *path, const AdapterOptions *options, Error *err)
{
    WeightPolicy policy;
    bool bf16 = options->precision == PRECISION_BF16;
    CHECK(weight_policy_parse(&policy, bf16 ? "bf16" : "f32", err));
    AUTO(arena_free) Arena *a = arena_new(0);
    Adapting how = {.lora = options->lora,
                    .own_targets = !options->lora.targets && !options->all_layers,
                    .trainable = true,
                    .seed = options->seed};
    const char *base;
    if (options->adapters && !read_adapter(options->adapters, &how, &base, a, err))
        return fail_while(err, "open adapter '%s'", options->adapters);
    if (options->adapters) // as they were said now, which is how they were said then
        how.lora = options->lora;
    Model *m = open_checkpoint(path, &policy, &how, err);
    checkpoint_free(how.adapters);
    return m;
}

Model *model_begin(const char *path, Precision precision, uint64_t seed, Error *err)
{
    const WeightInit init = {.seed = seed};
    WeightPolicy policy = {.trainable = true, .precision = precision, .init = &init};
    AUTO(model_free) Model *m = xcalloc(1, sizeof *m);
    m->arena = arena_new(0);
    m->config_json =
        json_read_file(arena_printf(m->arena, "%s/config.json", path), MAX_CONFIG, err);
    return m->config_json && open_with(m, NULL, &policy, NULL, err)
               ? TAKE(m)
               : fail_while(err, "begin model '%s'", path);
}

void model_free(Model *m)
{
    if (!m)
        return;
    weights_free(m->weights);
    json_decref(m->config_json);
    arena_free(m->arena);
    free(m);
}
