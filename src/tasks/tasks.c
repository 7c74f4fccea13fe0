/* tasks.c: the table of tasks, and what all pipelines have in common; see tasks.h. */
#include "tasks/tasks_internal.h"

extern const Task task_text_generation;

const Task *const tasks[] = {
    &task_text_generation,
    NULL,
};

const Task *task_find(Str name)
{
    for (const Task *const *t = tasks; *t; t++) {
        if (str_eq(name, str_of((*t)->name)))
            return *t;
        for (size_t i = 0; i < COUNT((*t)->aliases) && (*t)->aliases[i]; i++)
            if (str_eq(name, str_of((*t)->aliases[i])))
                return *t;
    }
    return NULL;
}

const char *finish_reason_name(FinishReason reason)
{
    static const char *const names[] = {[FINISH_LENGTH] = "length",
                                        [FINISH_EOS] = "eos_token",
                                        [FINISH_STOP] = "stop_sequence",
                                        [FINISH_CANCELLED] = "cancelled"};
    CHECK((unsigned)reason < COUNT(names));
    return names[reason];
}

Pipeline *pipeline_open(const char *path, const Task *task, const PipelineOptions *options,
                        Error *err)
{
    AUTO(pipeline_free) Pipeline *p = xcalloc(1, sizeof *p);
    p->task = task ? task : tasks[0]; // one task so far: opening says what kinds of model it takes
    p->path = xstrdup(path);
    if (options)
        p->options = *options;
    if (!p->task->open(p, err))
        return fail_while(err, "%s", p->task->name);
    return TAKE(p);
}

void pipeline_free(Pipeline *p)
{
    if (!p)
        return;
    p->task->close(p);
    tokenizer_free(p->tokenizer);
    free(p->path);
    free(p);
}

const Task *pipeline_task(const Pipeline *p)
{
    return p->task;
}

const Tokenizer *pipeline_tokenizer(const Pipeline *p)
{
    return p->tokenizer;
}

size_t pipeline_memory(const Pipeline *p)
{
    return p->memory + pipeline_counts(p).cache_bytes;
}

PipelineCounts pipeline_counts(const Pipeline *p)
{
    PipelineCounts counts = {0};
    if (p->task->count)
        p->task->count(p, &counts);
    return counts;
}

int64_t pipeline_max_tokens(const Pipeline *p)
{
    return p->max_tokens;
}

json_t *pipeline_run(Pipeline *p, const json_t *inputs, const json_t *parameters, TaskCall *call,
                     Error *err)
{
    TaskCall silent = {0};
    if (parameters && !json_is_null(parameters) && !json_is_object(parameters))
        return fail(err, ERR_INVALID, "'parameters' must be an object");
    if (!inputs)
        return fail(err, ERR_INVALID, "'inputs' is missing");
    TaskCall *told = call ? call : &silent;
    task_call_done(told); // of an earlier run
    json_t *answer =
        p->task->run(p, inputs, json_is_null(parameters) ? NULL : parameters, told, err);
    task_call_done(&silent);
    return answer;
}

void task_call_done(TaskCall *call)
{
    free((char *)(uintptr_t)call->generated_text.ptr);
    call->generated_text = (Str){0};
}

void task_warn(TaskCall *call, const char *format, ...)
{
    if (!call->warnings)
        return;
    AUTO_BUF text;
    buf_init(&text, 4096);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_array_append_new(call->warnings, json_from_str(buf_str(&text)));
}

void task_warn_unknown(TaskCall *call, const json_t *parameters, const char *const *known)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)parameters, key, value)
    {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0)
            i++;
        if (!known[i] && !json_is_null(value))
            task_warn(call, "unknown parameter '%s' was ignored", key);
    }
}
