/* Training: a model and a data set in, a folder that hug and transformers load out.
 *
 *     hug_train("my-gpt2", "tales.txt", "out", "{\"num_train_epochs\": 1, \"bf16\": true}", NULL,
 *               NULL, &err);
 *
 * Arguments are a JSON object with the keys and defaults of transformers' TrainingArguments; what
 * is not given has its default. `hug train arguments` lists them. Threads: one training at a time.
 */
#pragma once

#include <hug/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called with each entry of the log as JSON ({"loss", "grad_norm", "learning_rate", "epoch",
 * "step"},
 * {"eval_loss", ...}); false ends the training behind a checkpoint. */
typedef bool (*HugOnLog)(void *context, const char *entry);

/* model is a folder (without weights it begins from scratch) or a .gguf file; dataset a .txt,
 * .jsonl, .csv file or a folder of them; output a folder, in which a training that was stopped goes
 * on. arguments and on_log may be NULL. */
HUG_API bool hug_train(const char *model, const char *dataset, const char *output,
                       const char *arguments, HugOnLog on_log, void *context, HugError *err);

#ifdef __cplusplus
}
#endif
