/* pipeline.c: see hug/pipeline.h. A HugPipeline is our Pipeline under its public name. */
#include "capi/capi_internal.h"
#include "tasks/tasks.h"

#include <hug/pipeline.h>

static Pipeline *inner(HugPipeline *p)
{
    return (Pipeline *)(void *)p;
}

HugPipeline *hug_pipeline_open(const char *path, const char *task, const char *dtype, HugError *err)
{
    Error e = {0};
    const Task *wanted = task ? task_find(str_of(task)) : NULL;
    if (task && !wanted) {
        (void)!fail(&e, ERR_UNSUPPORTED, "there is no task '%.60s'", task);
        return capi_fail(err, &e);
    }
    const PipelineOptions options = {.dtype = dtype};
    Pipeline *p = pipeline_open(path, wanted, &options, &e);
    return p ? (HugPipeline *)(void *)p : capi_fail(err, &e);
}

void hug_pipeline_free(HugPipeline *p)
{
    pipeline_free(inner(p));
}

static char *run(Pipeline *p, const char *inputs, const char *parameters, Error *err)
{
    AUTO(json_decref) json_t *in = json_parse(str_of(inputs), "inputs", err);
    AUTO(json_decref) json_t *with = NULL;
    if (!in || (parameters && !(with = json_parse(str_of(parameters), "parameters", err))))
        return NULL;
    AUTO(json_decref) json_t *answer = pipeline_run(p, in, with, NULL, err);
    if (!answer)
        return NULL;
    AUTO_BUF text;
    buf_init(&text, 0);
    json_write(&text, answer);
    return buf_take(&text);
}

char *hug_pipeline_run(HugPipeline *p, const char *inputs, const char *parameters, HugError *err)
{
    Error e = {0};
    char *text = run(inner(p), inputs, parameters, &e);
    return text ? text : capi_fail(err, &e);
}
