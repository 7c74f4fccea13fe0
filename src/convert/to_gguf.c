/* to_gguf.c: a model as one GGUF file: names, row orders, configuration and tokenizer as llama.cpp
 * wants them, all from the architecture's own tables. From a GGUF file only the types change. */
#include "convert/convert_internal.h"

#include "base/file.h"
#include "text/tokenizer_convert.h"

/* The configuration with its defaults filled in, each value under every spelling that the
 * architecture's table has for it. The caller's. */
static json_t *full_config(const Source *s, Arena *a, Error *err)
{
    const Architecture *arch = s->architecture;
    void *config = arena_alloc(a, arch->config_size);
    if (!fields_read(config, arch->fields, arch->n_fields, s->config, a, err) ||
        (arch->prepare && !arch->prepare(config, err)))
        return fail_while(err, "configuration");
    json_t *all = fields_json(config, arch->fields, arch->n_fields);
    for (size_t i = 0; i < arch->n_fields; i++) {
        Str spellings = str_of(arch->fields[i].key), spelling;
        str_split(&spellings, '|', &spelling);
        const json_t *value = json_at(all, arena_cstr(a, spelling));
        while (value && str_split(&spellings, '|', &spelling))
            if (!json_at(all, arena_cstr(a, spelling))) // else another field's own
                json_set_at(all, spelling, json_incref((json_t *)(uintptr_t)value));
    }
    return all;
}

/* Rotary positions: what the keys can say, and what becomes a tensor of divisors. */
static bool put_rope(const Source *s, json_t *config, Plan *p, Error *err)
{
    RopeConfig rope;
    if (!json_at(config, "rope_theta"))
        return true; // none
    int64_t d = source_head_dim(s);
    if (!source_rope(s, config, &rope, p->arena, err))
        return false;
    json_object_set_new(config, "rope_dim", json_integer(d));
    bool scaled = strcmp(rope.kind, "linear") == 0 || strcmp(rope.kind, "yarn") == 0;
    json_t *scaling = json_object_get(config, "rope_scaling");
    if (!scaled)
        json_object_del(config, "rope_scaling");
    else if (json_num(scaling, "attention_factor", 0) == 0)
        json_object_del(scaling, "attention_factor");
    if (strcmp(rope.kind, "llama3") != 0)
        return true;
    StoredTensor *divisors = NEW(p->arena, StoredTensor);
    float *values = NEW_ARRAY(p->arena, float, (size_t)rope.pairs);
    for (int64_t i = 0; i < rope.pairs; i++)
        values[i] = 1 / powf(rope.theta, (float)(2 * i) / (float)d) / rope.freqs[i];
    *divisors = (StoredTensor){.name = "rope_freqs.weight",
                               .type = DTYPE_F32,
                               .rank = 1,
                               .dims = {rope.pairs},
                               .data = values,
                               .size = (size_t)rope.pairs * sizeof(float)};
    return plan_add(p, divisors->name, DTYPE_F32, &(Origin){.from = divisors}, err);
}

static bool add_tensor(const Source *s, Plan *p, Stored *names, const char *name, bool tied,
                       int64_t layers, Error *err)
{
    const char *gguf;
    const Rename *r = rename_find(s->architecture->gguf_names, str_of(name), p->arena, &gguf);
    // A head that is tied is the embedding again; not all files leave it out.
    if (stored_ignorable(names, name) && (!r || tied))
        return true;
    if (!r)
        return fail(err, ERR_UNSUPPORTED, "tensor '%s' has no name in GGUF files of '%s'", name,
                    s->architecture->name);
    bool transposed;
    const StoredTensor *t = stored_find(names, name, &transposed, err);
    if (!t)
        return false;
    Origin origin = {.from = t,
                     .turned = r->transposed && t->rank == 2,
                     .head_dim = r->interleaved ? source_head_dim(s) : 0};
    if (origin.head_dim > 0 && (t->rank < 1 || t->dims[0] % origin.head_dim != 0))
        return fail(err, ERR_INVALID, "tensor '%s': its rows are not heads of %lld", name,
                    (long long)origin.head_dim);
    RecipeTensor shape = {.name = gguf,
                          .stored = t->type,
                          .rank = t->rank,
                          .row = t->rank > 0 ? t->dims[origin.turned ? 0 : t->rank - 1] : 1,
                          .tied = tied,
                          .layers = layers};
    return plan_add(p, gguf, recipe_type(s->recipe, &shape), &origin, err);
}

static void put_general(GgufWriter *w, const Source *s)
{
    Str name = path_name(str_of(s->path));
    gguf_put_str(w, "general.architecture", str_of(s->architecture->name));
    gguf_put_str(w, "general.type", S("model"));
    gguf_put_str(w, "general.name", name.len ? name : S("model"));
}

static int file_type(const Source *s, const Plan *p)
{
    if (!s->recipe->stored)
        return s->recipe->file_type;
    // Of the largest tensor, which is what the file mostly is.
    size_t largest = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->tensors[i].size > p->tensors[largest].size)
            largest = i;
    const Recipe *r = p->n ? recipe_find(dtype_name(p->tensors[largest].type), NULL) : NULL;
    return r ? r->file_type : 0;
}

static bool write_plan(const Source *s, const char *path, GgufWriter *w, Plan *p, Error *err)
{
    gguf_put_u32(w, "general.file_type", (uint32_t)file_type(s, p));
    gguf_put_u32(w, "general.quantization_version", 2);
    Str name = path_name(str_of(path));
    AUTO(progress_free) Progress *progress = progress_new(name.ptr, plan_bytes(p), s->how->quiet);
    TensorFeed feed = plan_feed(p, progress);
    return gguf_write(path, w, p->tensors, p->n, &feed, err);
}

/* From one GGUF file to another: all metadata and names stay. */
static bool write_again(const Source *s, const char *path, Error *err)
{
    const Checkpoint *c = s->checkpoint;
    const Gguf *g = checkpoint_gguf(c);
    AUTO(gguf_writer_free) GgufWriter *w = gguf_writer_new();
    AUTO(plan_free) Plan *p = plan_new();
    gguf_put_all(w, g);
    gguf_put_u32(w, "general.alignment", 32);
    for (size_t i = 0; i < checkpoint_count(c); i++) {
        const StoredTensor *t = checkpoint_at(c, i);
        bool floats = t->type == DTYPE_F32 || t->type == DTYPE_F16 || t->type == DTYPE_BF16 ||
                      t->type == DTYPE_F64 || dtype_is_block(t->type);
        RecipeTensor shape = {.name = t->name,
                              .stored = t->type,
                              .rank = t->rank,
                              .row = t->rank > 0 ? t->dims[t->rank - 1] : 1,
                              .tied = !checkpoint_find(c, S("output.weight")),
                              .layers = json_int(s->config, "num_hidden_layers", 0)};
        DType type = floats ? recipe_type(s->recipe, &shape) : t->type;
        if (!plan_add(p, t->name, type, &(Origin){.from = t}, err))
            return false;
    }
    return write_plan(s, path, w, p, err);
}

bool write_gguf_model(const Source *s, const char *path, Error *err)
{
    if (checkpoint_gguf(s->checkpoint))
        return write_again(s, path, err);
    if (!s->architecture->gguf_names)
        return fail(err, ERR_UNSUPPORTED, "there are no GGUF files of architecture '%s'",
                    s->architecture->name);
    AUTO(stored_free) Stored *names = source_names(s, err);
    AUTO(gguf_writer_free) GgufWriter *w = gguf_writer_new();
    AUTO(plan_free) Plan *p = plan_new();
    AUTO(json_decref) json_t *config = names ? full_config(s, p->arena, err) : NULL;
    if (!config)
        return false;
    put_general(w, s);
    if (!put_rope(s, config, p, err))
        return false;
    gguf_put_config(w, s->architecture->name, config);
    bool tied = json_flag(config, "tie_word_embeddings", false);
    for (size_t i = 0; stored_name(names, i); i++)
        if (!add_tensor(s, p, names, stored_name(names, i), tied,
                        json_int(config, "num_hidden_layers", 0), err))
            return false;
    Error why = {0};
    if (!tokenizer_put_gguf(w, checkpoint_folder(s->checkpoint), json_int(config, "vocab_size", 0),
                            &why)) {
        if (why.code != ERR_NOT_FOUND) {
            if (err)
                *err = why;
            return false;
        }
        gguf_put_str(w, "tokenizer.ggml.model", S("no_vocab")); // a model of ids alone
    }
    return write_plan(s, path, w, p, err);
}
