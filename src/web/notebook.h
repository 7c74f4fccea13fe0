/* Notebooks (.ipynb, format 4) as pages show them: Markdown and code cells with what they put out.
 * Nothing of it runs: HTML goes through html_sanitize, pictures have an address of their own. */
#pragma once

#include "base/json.h"

typedef struct NotebookOptions {
    /* HTML of a Markdown cell. */
    Str (*markdown)(void *user, Str text);
    void *user;
    const char *image_base; // a picture's address is this and its number
} NotebookOptions;

enum { NOTEBOOK_MAX = 8 << 20 };
/* The variable "notebook" of notebook.html: {"cells": [...], "cut"}. NULL: ERR_INVALID for what is
 * no notebook. The caller's; html is in the arena. */
json_t *notebook_view(Arena *a, Str text, const char *name, const NotebookOptions *options,
                      Error *err);
/* The bytes of its n-th picture, and what kind it is. ERR_NOT_FOUND. */
bool notebook_image(Arena *a, Str text, const char *name, int64_t n, const char **mime, Str *bytes,
                    Error *err);
