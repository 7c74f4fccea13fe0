/* model.c: see model.h. */
#include "cli/model.h"

#include "base/file.h"

char *model_path(Arena *a, const char *model, Error *err)
{
    if (file_exists(model))
        return arena_cstr(a, str_of(model));
    return fail(err, ERR_NOT_FOUND, "there is no file or folder '%s'", model);
}
