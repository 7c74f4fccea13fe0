/* lora.c: see lora.h. */
#include "nn/lora.h"

#include <math.h>

float lora_scale(const Lora *l)
{
    return (float)(l->alpha / (l->rslora ? sqrt((double)l->r) : (double)l->r));
}

bool lora_has(const Lora *l, const char *layer, bool numbered)
{
    Str name = str_of(layer);
    if (!l->targets)
        return numbered;
    for (const char *const *t = l->targets; *t; t++) {
        Str target = str_of(*t);
        if (str_eq(name, target))
            return true;
        if (name.len > target.len && str_ends(name, target) &&
            name.ptr[name.len - target.len - 1] == '.')
            return true;
    }
    return false;
}

void lora_name(const char *layer, char which, char out[LORA_NAME])
{
    snprintf(out, LORA_NAME, "base_model.model.%s.lora_%c.weight", layer, which);
}

typedef struct LoraFields {
    Lora lora;
    const char *kind, *bias, *targets;
    bool dora;
} LoraFields;

static const Field fields[] = {
    OPT_TEXT(LoraFields, kind, "peft_type", ""),
    OPT_RANGE(LoraFields, lora.r, INT, "r", 8, 1, 1 << 16),
    OPT_RANGE(LoraFields, lora.alpha, DOUBLE, "lora_alpha", 8, 0, 1e6),
    OPT_RANGE(LoraFields, lora.dropout, DOUBLE, "lora_dropout", 0, 0, 0.999),
    OPT(LoraFields, lora.rslora, BOOL, "use_rslora", false),
    OPT(LoraFields, dora, BOOL, "use_dora", false),
    OPT_TEXT(LoraFields, bias, "bias", "none"),
};

static bool is_empty(const json_t *value)
{
    return !value || json_is_null(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static bool read_targets(Lora *l, const json_t *targets, Arena *a, Error *err)
{
    if (json_is_string(targets) && strcmp(json_string_value(targets), "all-linear") == 0)
        return true;
    size_t n = json_array_size(targets);
    const char **names = NEW_ARRAY(a, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(targets, i));
        if (!name || !name[0])
            return fail(err, ERR_INVALID, "'target_modules' must be a list of names");
        names[i] = arena_cstr(a, str_of(name));
    }
    l->targets = names;
    return n > 0 || fail(err, ERR_UNSUPPORTED, "'target_modules' must be a list of names");
}

bool lora_read(Lora *l, const json_t *config, Arena *a, Error *err)
{
    static const char *const not_here[] = {"modules_to_save", "layers_to_transform", "rank_pattern",
                                           "alpha_pattern", "trainable_token_indices"};
    LoraFields read = {0};
    if (!fields_read(&read, fields, COUNT(fields), config, a, err))
        return false;
    if (strcmp(read.kind, "LORA") != 0)
        return fail(err, ERR_UNSUPPORTED, "peft_type '%.40s'; adapters are LORA", read.kind);
    if (read.dora || strcmp(read.bias, "none") != 0)
        return fail(err, ERR_UNSUPPORTED, "adapters with %s",
                    read.dora ? "use_dora" : "trained biases");
    for (size_t i = 0; i < COUNT(not_here); i++)
        if (!is_empty(json_object_get(config, not_here[i])))
            return fail(err, ERR_UNSUPPORTED, "adapters with %s", not_here[i]);
    *l = read.lora;
    return read_targets(l, json_object_get(config, "target_modules"), a, err);
}

json_t *lora_json(const Lora *l, const char *base_model, bool transposed)
{
    json_t *targets = l->targets ? json_array() : json_string("all-linear");
    for (const char *const *t = l->targets; t && *t; t++)
        json_array_append_new(targets, json_string(*t));
    return json_pack("{s:s,s:s,s:s,s:I,s:f,s:f,s:b,s:b,s:s,s:b,s:b,s:b,s:o}", "peft_type", "LORA",
                     "task_type", "CAUSAL_LM", "base_model_name_or_path", base_model, "r",
                     (json_int_t)l->r, "lora_alpha", l->alpha, "lora_dropout", l->dropout,
                     "use_rslora", l->rslora, "use_dora", 0, "bias", "none", "fan_in_fan_out",
                     transposed, "inference_mode", 1, "init_lora_weights", 1, "target_modules",
                     targets);
}
