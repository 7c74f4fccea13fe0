/* Trains a model on a data set, and tells the loss.
 *
 *     cc train.c $(pkg-config --cflags --libs hug) -o train
 *     ./train path/to/model tales.txt out
 */
#include <hug/hug.h>
#include <stdio.h>

static bool show(void *context, const char *entry)
{
    (void)context;
    puts(entry);
    return true; // false would end the training, behind a checkpoint
}

int main(int n, char **args)
{
    HugError err;
    const char *arguments =
        "{\"num_train_epochs\": 1, \"learning_rate\": 1e-4, \"logging_steps\": 10}";
    if (n != 4) {
        fprintf(stderr, "usage: train MODEL DATASET OUTPUT\n");
        return 2;
    }
    if (hug_train(args[1], args[2], args[3], arguments, show, NULL, &err))
        return 0;
    fprintf(stderr, "train: %s\n", err.text);
    return 1;
}
