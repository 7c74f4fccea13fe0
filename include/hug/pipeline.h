/* Pipelines: a task and a model in, JSON out, as transformers' pipeline and the Inference API give
 * it.
 *
 *     HugPipeline *p = hug_pipeline_open("path/to/model", "text-generation", NULL, &err);
 *     char *answer = hug_pipeline_run(p, "\"Once upon\"", "{\"max_new_tokens\": 40}", &err);
 *     // [{"generated_text": "Once upon a time ..."}]
 *
 * Threads: a HugPipeline belongs to one thread at a time. */
#pragma once

#include <hug/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct HugPipeline HugPipeline;

/* task NULL: the one that the model's configuration says; dtype as for hug_model_open. */
HUG_API HugPipeline *hug_pipeline_open(const char *path, const char *task, const char *dtype,
                                       HugError *err);
HUG_API void hug_pipeline_free(HugPipeline *p);
/* inputs and parameters (may be NULL) are JSON, as in a request's body; so is the answer, which is
 * the caller's: hug_text_free. */
HUG_API char *hug_pipeline_run(HugPipeline *p, const char *inputs, const char *parameters,
                               HugError *err);

#ifdef __cplusplus
}
#endif
