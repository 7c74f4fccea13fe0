/* model.c: see model.h. */
#include "cli/model.h"

#include "fetch/fetch.h"

char *model_path(Arena *a, const char *model, Error *err)
{
    return fetch_model(a, model, err);
}
