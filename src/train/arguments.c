/* arguments.c: see arguments.h. */
#include "train/arguments.h"

#include <math.h>

#define ARG(member, kind, value) OPT(TrainingArguments, member, kind, #member, value)
#define ARG_IN(member, kind, value, least, most)                                                   \
    OPT_RANGE(TrainingArguments, member, kind, #member, value, least, most)
#define ARG_TEXT(member, value) OPT_TEXT(TrainingArguments, member, #member, value)

enum { MANY = 1000000000 };

static const Field fields[] = {
    ARG_IN(learning_rate, DOUBLE, 5e-5, 0, 1e6),
    ARG_TEXT(lr_scheduler_type, "linear"),
    ARG(lr_scheduler_kwargs.num_cycles, DOUBLE, -1),
    ARG(lr_scheduler_kwargs.lr_end, DOUBLE, 1e-7),
    ARG(lr_scheduler_kwargs.power, DOUBLE, 1),
    ARG(lr_scheduler_kwargs.timescale, DOUBLE, 0),
    ARG(lr_scheduler_kwargs.min_lr, DOUBLE, -1),
    ARG(lr_scheduler_kwargs.min_lr_rate, DOUBLE, -1),
    ARG(lr_scheduler_kwargs.num_decay_steps, INT, -1),
    ARG(lr_scheduler_kwargs.num_stable_steps, INT, -1),
    ARG(lr_scheduler_kwargs.min_lr_ratio, DOUBLE, 0),
    ARG_TEXT(lr_scheduler_kwargs.warmup_type, "linear"),
    ARG_TEXT(lr_scheduler_kwargs.decay_type, "cosine"),
    ARG_IN(warmup_steps, DOUBLE, 0, 0, MANY),
    ARG_IN(warmup_ratio, DOUBLE, 0, 0, 1),
    ARG_IN(per_device_train_batch_size, INT, 8, 1, 1 << 16),
    ARG_IN(per_device_eval_batch_size, INT, 8, 1, 1 << 16),
    ARG_IN(gradient_accumulation_steps, INT, 1, 1, 1 << 20),
    ARG_IN(num_train_epochs, DOUBLE, 3, 0, 1e6),
    ARG_IN(max_steps, INT, -1, -1, MANY),
    ARG_TEXT(optim, "adamw_torch_fused"),
    ARG_TEXT(optim_args, NULL),
    ARG_IN(weight_decay, DOUBLE, 0, 0, 1e3),
    ARG_IN(adam_beta1, DOUBLE, 0.9, 0, 0.999999999),
    ARG_IN(adam_beta2, DOUBLE, 0.999, 0, 0.999999999),
    ARG_IN(adam_epsilon, DOUBLE, 1e-8, 0, 1),
    ARG_IN(max_grad_norm, DOUBLE, 1, 0, 1e30),
    ARG_IN(label_smoothing_factor, DOUBLE, 0, 0, 0.999999),
    ARG_IN(neftune_noise_alpha, DOUBLE, 0, 0, 1e6),
    ARG_TEXT(logging_strategy, "steps"),
    ARG_IN(logging_steps, DOUBLE, 500, 1e-9, MANY),
    ARG(logging_first_step, BOOL, false),
    ARG_TEXT(eval_strategy, "no"),
    ARG_IN(eval_steps, DOUBLE, 0, 0, MANY), // 0: as logging_steps
    ARG(eval_on_start, BOOL, false),
    ARG_TEXT(save_strategy, "steps"),
    ARG_IN(save_steps, DOUBLE, 500, 1e-9, MANY),
    ARG_IN(save_total_limit, INT, 0, 0, MANY),
    ARG(save_only_model, BOOL, false),
    ARG(load_best_model_at_end, BOOL, false),
    ARG_TEXT(metric_for_best_model, "loss"),
    ARG(greater_is_better, BOOL, false),
    ARG(bf16, BOOL, false),
    ARG(gradient_checkpointing, BOOL, false),
    ARG_IN(seed, INT, 42, 0, 0x1p53),
    ARG_IN(data_seed, INT, -1, -1, 0x1p53),
    ARG(group_by_length, BOOL, false),
    ARG(dataloader_drop_last, BOOL, false),
    OPT_RANGE(TrainingArguments, block_size, INT, "block_size|max_length|max_seq_length", 0, 0,
              1 << 20),
    ARG(packing, BOOL, true),
    ARG(append_eos, BOOL, true),
    ARG(assistant_only_loss, BOOL, false),
    ARG(completion_only_loss, BOOL, true),
    ARG_TEXT(text_column_name, "text"),
    ARG_IN(validation_split_percentage, DOUBLE, 5, 0, 90),
    ARG_IN(lora_r, INT, 0, 0, 1 << 16),
    ARG_IN(lora_alpha, DOUBLE, 8, 0, 1e6),
    ARG_IN(lora_dropout, DOUBLE, 0, 0, 0.999),
    ARG_TEXT(lora_target_modules, NULL),
};

/* What transformers' users may have in their files and what changes nothing here: where results are
 * reported, how data is loaded, which devices are used. */
static const char *const without_effect[] = {
    "output_dir",
    "overwrite_output_dir",
    "do_train",
    "do_eval",
    "do_predict",
    "report_to",
    "run_name",
    "disable_tqdm",
    "log_level",
    "log_on_each_node",
    "logging_dir",
    "logging_nan_inf_filter",
    "push_to_hub",
    "save_safetensors",
    "remove_unused_columns",
    "resume_from_checkpoint",
    "dataloader_num_workers",
    "dataloader_pin_memory",
    "dataloader_persistent_workers",
    "dataloader_prefetch_factor",
    "train_sampling_strategy",
    "prediction_loss_only",
    "use_cpu",
    "use_cache",
    "no_cuda",
    "local_rank",
    "ddp_find_unused_parameters",
    "full_determinism",
    "torch_compile",
    "tf32",
    "model_init_kwargs",
};

typedef struct Choice {
    const char *name;
    int code;
} Choice;

static const Choice schedule_names[] = {
#define X(code, name) {name, code},
    SCHEDULES(X)
#undef X
        {0},
};

static const Choice strategy_names[] = {
#define X(code, name) {name, code},
    STRATEGIES(X)
#undef X
        {0},
};

static bool choose(const char *key, const char *value, const Choice *choices, int *out, Error *err)
{
    AUTO_BUF names;
    buf_init(&names, 0);
    for (const Choice *c = choices; c->name; c++) {
        if (strcmp(c->name, value) == 0) {
            *out = c->code;
            return true;
        }
        buf_printf(&names, "%s%s", c == choices ? "" : ", ", c->name);
    }
    return fail(err, ERR_INVALID, "'%s' must be one of %s, not '%.60s'", key, names.ptr, value);
}

/* The row of an argument by one of its names; dotted for those inside lr_scheduler_kwargs. */
static const Field *field_of(Str name)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        Str keys = str_of(fields[i].key), key;
        while (str_split(&keys, '|', &key))
            if (str_eq(key, name))
                return &fields[i];
    }
    return NULL;
}

/* How many insertions, deletions and replacements turn a into b. Source: Levenshtein 1966. */
static size_t distance(Str a, Str b)
{
    enum { LONGEST = 64 };
    size_t row[LONGEST + 1];
    if (a.len > LONGEST || b.len > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
            diagonal = row[j];
            row[j] = MIN(MIN(row[j], row[j - 1]) + 1, replaced);
        }
    }
    return row[b.len];
}

static void *unknown(Str name, Error *err)
{
    size_t best = name.len / 2 + 1;
    Str nearest = {0};
    for (size_t i = 0; i < COUNT(fields); i++) {
        Str keys = str_of(fields[i].key), key;
        while (str_split(&keys, '|', &key))
            if (distance(name, key) < best) {
                best = distance(name, key);
                nearest = key;
            }
    }
    if (nearest.len > 0)
        return fail(err, ERR_USAGE, "there is no training argument '%.*s'; is it '%.*s'?",
                    STR(str_slice(name, 0, 80)), STR(nearest));
    return fail(err, ERR_USAGE, "there is no training argument '%.*s'",
                STR(str_slice(name, 0, 80)));
}

static bool is_without_effect(Str name)
{
    for (size_t i = 0; i < COUNT(without_effect); i++)
        if (str_eq(name, str_of(without_effect[i])))
            return true;
    return false;
}

/* Every key of `given` must be known; those of objects are checked as "object.key". */
static bool check_keys(const json_t *given, const char *prefix, Error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)given, key, value)
    {
        char name[200];
        snprintf(name, sizeof name, "%s%s", prefix, key);
        if (json_is_object(value) && prefix[0] == 0 && !field_of(str_of(name))) {
            snprintf(name, sizeof name, "%s.", key);
            if (!check_keys(value, name, err))
                return false;
        } else if (!field_of(str_of(name)) && !is_without_effect(str_of(name))) {
            return unknown(str_of(name), err);
        }
    }
    return true;
}

static bool bends_known(const TrainingArguments *a, Error *err)
{
    static const Choice bends[] = {{"linear", 0}, {"cosine", 1}, {"1-sqrt", 2}, {0}};
    int unused;
    return choose("warmup_type", a->lr_scheduler_kwargs.warmup_type, bends, &unused, err) &&
           choose("decay_type", a->lr_scheduler_kwargs.decay_type, bends, &unused, err);
}

static bool metric_known(TrainingArguments *a, Error *err)
{
    static const Choice metrics[] = {
        {"loss", 0}, {"eval_loss", 0}, {"perplexity", 1}, {"eval_perplexity", 1}, {0}};
    int which;
    if (!choose("metric_for_best_model", a->metric_for_best_model, metrics, &which, err))
        return false;
    a->metric_for_best_model = which ? "eval_perplexity" : "eval_loss";
    if (a->load_best_model_at_end && a->eval == STRATEGY_NO)
        return fail(err, ERR_INVALID, "load_best_model_at_end needs an eval_strategy");
    return !a->load_best_model_at_end || a->save == a->eval ||
           fail(err, ERR_INVALID,
                "load_best_model_at_end needs the same eval_strategy and save_strategy");
}

bool training_arguments_read(TrainingArguments *out, const json_t *given, Arena *arena, Error *err)
{
    TrainingArguments a;
    AUTO(json_decref) json_t *none = json_object();
    given = given ? given : none;
    if (!json_is_object(given))
        return fail(err, ERR_INVALID, "training arguments must be an object of names and values");
    int schedule, logging, eval, save;
    if (!check_keys(given, "", err) || !fields_read(&a, fields, COUNT(fields), given, arena, err) ||
        !choose("lr_scheduler_type", a.lr_scheduler_type, schedule_names, &schedule, err) ||
        !choose("logging_strategy", a.logging_strategy, strategy_names, &logging, err) ||
        !choose("eval_strategy", a.eval_strategy, strategy_names, &eval, err) ||
        !choose("save_strategy", a.save_strategy, strategy_names, &save, err) ||
        !bends_known(&a, err))
        return false;
    a.schedule = (ScheduleType)schedule;
    a.logging = (Strategy)logging;
    a.eval = (Strategy)eval;
    a.save = (Strategy)save;
    a.eval_steps = a.eval_steps > 0 ? a.eval_steps : a.logging_steps;
    a.data_seed = a.data_seed >= 0 ? a.data_seed : a.seed;
    a.packing_given = json_is_boolean(json_object_get(given, "packing"));
    // transformers 5 has a name for it, earlier ones a flag.
    if (strcmp(json_text(given, "train_sampling_strategy", ""), "group_by_length") == 0)
        a.group_by_length = true;
    if (!metric_known(&a, err))
        return false;
    *out = a;
    return true;
}

json_t *training_arguments_json(const TrainingArguments *args)
{
    return fields_json(args, fields, COUNT(fields));
}

static json_t *typed(const Field *f, Str value)
{
    int64_t whole;
    double number;
    if (str_eq(value, S("null")) || str_eq(value, S("None")))
        return json_null();
    switch (f->kind) {
    case FIELD_INT:
        if (str_to_int(value, INT64_MIN, INT64_MAX, &whole))
            return json_integer(whole);
        break;
    case FIELD_FLOAT:
    case FIELD_DOUBLE:
        if (str_to_double(value, &number))
            return json_real(number);
        break;
    case FIELD_BOOL:
        if (str_eq_nocase(value, S("true")) || str_eq_nocase(value, S("false")))
            return json_boolean(str_eq_nocase(value, S("true")));
        break;
    case FIELD_TEXT:
        break;
    }
    return json_from_str(value); // reading the table then says what is wrong with it
}

bool training_arguments_set(json_t *given, const char *assignment, Error *err)
{
    Str text = str_of(assignment);
    size_t equals = str_find_char(text, '=', 0);
    if (equals == SIZE_MAX)
        return fail(err, ERR_USAGE, "'%.80s' is not key=value", assignment);
    Str name = str_slice(text, 0, equals), value = str_slice(text, equals + 1, text.len);
    const Field *f = field_of(name);
    if (!f && is_without_effect(name)) {
        json_object_setn_new(given, name.ptr, name.len, json_from_str(value));
        return true;
    }
    if (!f)
        return unknown(name, err);
    json_t *object = given;
    size_t dot = str_find_char(name, '.', 0);
    if (dot != SIZE_MAX) {
        object = json_object_getn(given, name.ptr, dot);
        if (!json_is_object(object)) {
            object = json_object();
            json_object_setn_new(given, name.ptr, dot, object);
        }
        name = str_slice(name, dot + 1, name.len);
    }
    json_object_setn_new(object, name.ptr, name.len, typed(f, value));
    return true;
}

void training_arguments_help(Buf *out)
{
    TrainingArguments defaults;
    AUTO(arena_free) Arena *a = arena_new(0);
    CHECK(training_arguments_read(&defaults, NULL, a, NULL));
    for (size_t i = 0; i < COUNT(fields); i++) {
        const Field *f = &fields[i];
        Str name = str_slice(str_of(f->key), 0, str_find_char(str_of(f->key), '|', 0));
        buf_printf(out, "  %-38.*s ", STR(name));
        switch (f->kind) {
        case FIELD_INT:
        case FIELD_FLOAT:
        case FIELD_DOUBLE:
            buf_printf(out, "%g\n", f->otherwise);
            break;
        case FIELD_BOOL:
            buf_printf(out, "%s\n", f->otherwise != 0 ? "true" : "false");
            break;
        case FIELD_TEXT:
            buf_printf(out, "%s\n", f->text ? f->text : "-");
            break;
        }
    }
}
