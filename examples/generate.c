/* Continues a text with a language model, piece by piece.
 *
 *     cc generate.c $(pkg-config --cflags --libs hug) -o generate
 *     ./generate path/to/model "Once upon a time"
 */
#include <hug/hug.h>
#include <stdio.h>

static bool show(void *context, const char *text, size_t n)
{
    (void)context;
    fwrite(text, 1, n, stdout);
    fflush(stdout);
    return true; // false would end the text here
}

int main(int n, char **args)
{
    if (n != 3) {
        fprintf(stderr, "usage: generate MODEL PROMPT\n");
        return 2;
    }
    HugError err;
    HugModel *model = hug_model_open(args[1], NULL, &err);
    char *text =
        model ? hug_model_generate(model, args[2], "{\"max_new_tokens\": 100}", show, NULL, &err)
              : NULL;
    if (text)
        putchar('\n');
    else
        fprintf(stderr, "generate: %s\n", err.text);
    hug_text_free(text);
    hug_model_free(model);
    return text ? 0 : 1;
}
