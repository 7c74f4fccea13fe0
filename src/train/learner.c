/* learner.c: graphs by shape, and the optimizer's states; see learner.h.
 *
 * A training graph is the model's own forward pass, a cross-entropy and what graph_backward adds. A
 * few are kept, because padded batches come in a few lengths. */
#include "train/learner.h"

#include <math.h>

enum { GRAPHS = 4 };
/* Beyond this graphs of other shapes are let go before a new one is made. */
static const size_t graphs_memory = (size_t)2 << 30;

typedef struct BatchGraph {
    Graph *graph;
    GraphMode mode;
    int64_t rows, length;
    Tensor *tokens, *positions, *labels, *divisor, *loss;
    int64_t used; // when
} BatchGraph;

typedef struct Parameter {
    Weight *weight;
    int64_t rows, columns;
    float *state[OPTIMIZER_STATES];
    bool decays;
} Parameter;

struct Learner {
    Model *model;
    const TrainingArguments *args;
    OptimizerStep step; // without lr, decay, scale
    Parameter *parameters;
    size_t n;
    BatchGraph graphs[GRAPHS];
    int64_t clock;
};

/* ---- The optimizer ---- */

static const struct {
    const char *name;
    OptimizerKind kind;
} optim_names[] = {
    {"adamw_torch_fused", OPTIMIZER_ADAMW},
    {"adamw_torch", OPTIMIZER_ADAMW},
    {"adamw", OPTIMIZER_ADAMW},
    {"adamw_hf", OPTIMIZER_ADAMW},
    {"sgd", OPTIMIZER_SGD},
    {"adafactor", OPTIMIZER_ADAFACTOR},
    {"adagrad", OPTIMIZER_ADAGRAD},
    {"rmsprop", OPTIMIZER_RMSPROP},
    {"lion_32bit", OPTIMIZER_LION},
    {"lion", OPTIMIZER_LION},
};

/* "momentum=0.9,nesterov=true": the options that torch's optimizers have beside the arguments. */
static bool read_optim_args(OptimizerStep *s, const char *text, Error *err)
{
    Str rest = str_of(text), piece;
    while (str_split(&rest, ',', &piece)) {
        size_t equals = str_find_char(piece, '=', 0);
        Str name = str_trim(str_slice(piece, 0, equals));
        Str value =
            equals == SIZE_MAX ? (Str){0} : str_trim(str_slice(piece, equals + 1, piece.len));
        double number = 0;
        bool is_number = str_to_double(value, &number);
        if (str_eq(name, S("nesterov")) && s->kind == OPTIMIZER_SGD) {
            s->nesterov = str_eq_nocase(value, S("true")) || str_eq(value, S("1"));
            continue;
        }
        float *into = str_eq(name, S("momentum")) &&
                              (s->kind == OPTIMIZER_SGD || s->kind == OPTIMIZER_RMSPROP)
                          ? &s->momentum
                      : str_eq(name, S("dampening")) && s->kind == OPTIMIZER_SGD    ? &s->dampening
                      : str_eq(name, S("lr_decay")) && s->kind == OPTIMIZER_ADAGRAD ? &s->lr_decay
                      : str_eq(name, S("alpha")) && s->kind == OPTIMIZER_RMSPROP    ? &s->beta2
                      : str_eq(name, S("eps"))                                      ? &s->epsilon
                                                                                    : NULL;
        if (!into || !is_number)
            return fail(err, ERR_UNSUPPORTED, "optim_args: %s takes no '%.*s'",
                        optimizer_name(s->kind), STR(str_slice(piece, 0, 80)));
        *into = (float)number;
    }
    return true;
}

static bool read_optimizer(OptimizerStep *s, const TrainingArguments *args, Error *err)
{
    size_t i = 0;
    while (i < COUNT(optim_names) && strcmp(optim_names[i].name, args->optim) != 0)
        i++;
    if (i == COUNT(optim_names))
        return fail(err, ERR_UNSUPPORTED,
                    "optim '%.60s'; there are adamw_torch, sgd, adafactor, adagrad, rmsprop and "
                    "lion_32bit",
                    args->optim);
    *s = (OptimizerStep){.kind = optim_names[i].kind,
                         .beta1 = (float)args->adam_beta1,
                         .beta2 = (float)args->adam_beta2,
                         .epsilon = (float)args->adam_epsilon};
    // torch's own defaults where TrainingArguments say nothing.
    if (s->kind == OPTIMIZER_RMSPROP)
        s->beta2 = 0.99F, s->epsilon = 1e-8F;
    if (s->kind == OPTIMIZER_ADAGRAD)
        s->epsilon = 1e-10F;
    return !args->optim_args || read_optim_args(s, args->optim_args, err);
}

static bool state_needed(const OptimizerStep *s, int j)
{
    bool momentum =
        (s->kind == OPTIMIZER_SGD && j == 0) || (s->kind == OPTIMIZER_RMSPROP && j == 1);
    return !momentum || s->momentum != 0;
}

static void add_parameter(Learner *l, Weight *w)
{
    const Shape *shape = weight_shape(w);
    Parameter *p = &l->parameters[l->n++];
    p->weight = w;
    p->columns = shape->dims[shape->rank - 1];
    p->rows = shape_count(shape) / p->columns;
    // Norms and biases do not decay, as transformers has it: those are the vectors.
    p->decays = shape->rank > 1;
    for (int j = 0; j < OPTIMIZER_STATES; j++) {
        size_t n = optimizer_state_count(l->step.kind, j, p->rows, p->columns);
        if (n > 0 && state_needed(&l->step, j))
            p->state[j] = xcalloc(n, sizeof(float));
    }
}

Learner *learner_new(Model *m, const TrainingArguments *args, Error *err)
{
    AUTO(learner_free) Learner *l = xcalloc(1, sizeof *l);
    l->model = m;
    l->args = args;
    if (!read_optimizer(&l->step, args, err))
        return NULL;
    size_t n = weights_count(m->weights);
    l->parameters = xcalloc(n, sizeof *l->parameters);
    for (size_t i = 0; i < n; i++)
        if (weight_values(weights_at(m->weights, i)))
            add_parameter(l, weights_at(m->weights, i));
    return TAKE(l);
}

void learner_free(Learner *l)
{
    if (!l)
        return;
    for (int i = 0; i < GRAPHS; i++)
        graph_free(l->graphs[i].graph);
    for (size_t i = 0; i < l->n; i++)
        for (int j = 0; j < OPTIMIZER_STATES; j++)
            free(l->parameters[i].state[j]);
    free(l->parameters);
    free(l);
}

void learner_zero(Learner *l)
{
    for (size_t i = 0; i < l->n; i++)
        weight_zero_gradient(l->parameters[i].weight);
}

void learner_update(Learner *l, double lr, double *norm)
{
    double squares = 0, most = l->args->max_grad_norm, scale = 1;
    for (size_t i = 0; i < l->n; i++) {
        const Parameter *p = &l->parameters[i];
        squares += squares_sum(p->rows * p->columns, weight_gradient(p->weight));
    }
    *norm = sqrt(squares);
    if (most > 0)
        scale = MIN(1, most / (*norm + 1e-6)); // as torch's clip_grad_norm_
    OptimizerStep step = l->step;
    step.step = ++l->step.step;
    step.lr = (float)lr;
    step.gradient_scale = (float)scale;
    for (size_t i = 0; i < l->n; i++) {
        Parameter *p = &l->parameters[i];
        step.weight_decay = p->decays ? (float)l->args->weight_decay : 0;
        optimizer_update(&step, p->rows, p->columns, weight_gradient(p->weight),
                         weight_values(p->weight), p->state);
        weight_updated(p->weight);
        weight_zero_gradient(p->weight);
    }
}

/* ---- Graphs ---- */

static bool graph_build(Learner *l, BatchGraph *out, GraphMode mode, int64_t rows, int64_t length,
                        Error *err)
{
    const Model *m = l->model;
    AUTO(graph_free) Graph *g = graph_new();
    graph_set_mode(g, mode);
    graph_use_checkpoints(g, l->args->gradient_checkpointing);
    Step step = {.tokens = graph_input(g, DTYPE_I32, SHAPE(rows, length)),
                 .positions = graph_input(g, DTYPE_I32, SHAPE(rows, length)),
                 .precision = weights_precision(m->weights),
                 .noise = (float)l->args->neftune_noise_alpha};
    Tensor *labels = graph_input(g, DTYPE_I32, SHAPE(rows, length));
    Tensor *divisor = graph_input(g, DTYPE_F32, SHAPE(1));
    Tensor *logits = m->architecture->decoder(g, nn_root(g, m->weights), m->config, &step);
    const CrossEntropy how = {.label_smoothing =
                                  mode == GRAPH_TRAIN ? (float)l->args->label_smoothing_factor : 0,
                              .divisor = divisor};
    Tensor *loss = graph_output(g, op_cross_entropy(g, logits, labels, &how));
    if (!graph_ok(g, err) || (mode == GRAPH_TRAIN && !graph_backward(g, loss, err)))
        return false;
    int32_t *positions = tensor_data(step.positions);
    for (int64_t i = 0; i < rows * length; i++)
        positions[i] = (int32_t)(i % length);
    *out = (BatchGraph){.mode = mode,
                        .rows = rows,
                        .length = length,
                        .tokens = step.tokens,
                        .positions = step.positions,
                        .labels = labels,
                        .divisor = divisor,
                        .loss = loss,
                        .graph = TAKE(g)};
    return true;
}

static void graph_drop(BatchGraph *b)
{
    graph_free(b->graph);
    *b = (BatchGraph){0};
}

/* A free place: an empty one, else that of the graph that was used the longest ago. */
static BatchGraph *graph_place(Learner *l)
{
    size_t held = 0;
    for (int i = 0; i < GRAPHS; i++)
        held += l->graphs[i].graph ? graph_memory(l->graphs[i].graph) : 0;
    for (;;) {
        BatchGraph *oldest = NULL, *empty = NULL;
        for (int i = 0; i < GRAPHS; i++) {
            BatchGraph *b = &l->graphs[i];
            if (!b->graph)
                empty = b;
            else if (!oldest || b->used < oldest->used)
                oldest = b;
        }
        if (empty && (held <= graphs_memory || !oldest))
            return empty;
        held -= graph_memory(oldest->graph);
        graph_drop(oldest);
    }
}

static BatchGraph *graph_for(Learner *l, GraphMode mode, const TrainBatch *b, Error *err)
{
    BatchGraph *found = NULL;
    for (int i = 0; i < GRAPHS; i++) {
        BatchGraph *g = &l->graphs[i];
        if (g->graph && g->mode == mode && g->rows == b->rows && g->length == b->length)
            found = g;
    }
    if (!found) {
        BatchGraph *place = graph_place(l);
        if (!graph_build(l, place, mode, b->rows, b->length, err))
            return NULL;
        found = place;
    }
    found->used = ++l->clock;
    return found;
}

static bool run(Learner *l, GraphMode mode, const TrainBatch *b, double divisor, uint64_t seed,
                double *loss, Error *err)
{
    BatchGraph *g = graph_for(l, mode, b, err);
    if (!g)
        return false;
    size_t bytes = (size_t)(b->rows * b->length) * sizeof *b->ids;
    memcpy(tensor_data(g->tokens), b->ids, bytes);
    memcpy(tensor_data(g->labels), b->labels, bytes);
    *(float *)tensor_data(g->divisor) = (float)divisor;
    graph_set_seed(g->graph, seed);
    if (!graph_run(g->graph, err))
        return false;
    *loss = (double)*(const float *)tensor_data(g->loss);
    return true;
}

bool learner_show(Learner *l, const TrainBatch *b, int64_t labels, uint64_t seed, double *loss,
                  Error *err)
{
    return run(l, GRAPH_TRAIN, b, (double)MAX(labels, 1), seed, loss, err);
}

bool learner_evaluate(Learner *l, const TrainBatch *b, double *sum, Error *err)
{
    return run(l, GRAPH_EVALUATE, b, 1, 0, sum, err);
}

/* ---- What a checkpoint holds ---- */

int64_t learner_updates(const Learner *l)
{
    return l->step.step;
}

void learner_set_updates(Learner *l, int64_t n)
{
    l->step.step = n;
}

size_t learner_count(const Learner *l)
{
    return l->n;
}

Weight *learner_weight(const Learner *l, size_t i)
{
    return l->parameters[i].weight;
}

float *learner_state(const Learner *l, size_t i, int j, size_t *n)
{
    const Parameter *p = &l->parameters[i];
    *n = p->state[j] ? optimizer_state_count(l->step.kind, j, p->rows, p->columns) : 0;
    return p->state[j];
}

const char *learner_state_name(const Learner *l, int j)
{
    return optimizer_state_name(l->step.kind, j);
}

int64_t learner_values(const Learner *l)
{
    int64_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += l->parameters[i].rows * l->parameters[i].columns;
    return n;
}

size_t learner_memory(const Learner *l)
{
    size_t bytes = 2 * sizeof(float) * (size_t)learner_values(l), n;
    for (size_t i = 0; i < l->n; i++) {
        bytes += weight_packed_bytes(l->parameters[i].weight);
        for (int j = 0; j < OPTIMIZER_STATES; j++)
            bytes += learner_state(l, i, j, &n) ? n * sizeof(float) : 0;
    }
    for (int i = 0; i < GRAPHS; i++)
        bytes += l->graphs[i].graph ? graph_memory(l->graphs[i].graph) : 0;
    return bytes;
}
