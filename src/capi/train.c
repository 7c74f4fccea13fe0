/* train.c: see hug/train.h. */
#include "train/train.h"
#include "capi/capi_internal.h"

#include <hug/train.h>

typedef struct Listener {
    HugOnLog on_log;
    void *context;
    atomic_bool stop;
} Listener;

static void hear(void *context, const json_t *entry)
{
    Listener *l = context;
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, entry);
    if (l->on_log && !l->on_log(l->context, text.ptr))
        atomic_store(&l->stop, true);
}

static bool run(TrainSpec *spec, const char *arguments, Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(json_decref) json_t *given = NULL;
    if (arguments && !(given = json_parse(str_of(arguments), "arguments", err)))
        return false;
    TrainingArguments args;
    spec->args = &args;
    return training_arguments_read(&args, given, a, err) && train(spec, NULL, err);
}

bool hug_train(const char *model, const char *dataset, const char *output, const char *arguments,
               HugOnLog on_log, void *context, HugError *err)
{
    Error e = {0};
    Listener l = {.on_log = on_log, .context = context};
    TrainSpec spec = {.model = model,
                      .dataset = dataset,
                      .output = output,
                      .resume = "",
                      .quiet = true,
                      .cancelled = &l.stop,
                      .on_log = hear,
                      .context = &l};
    return run(&spec, arguments, &e) || capi_fail(err, &e);
}
