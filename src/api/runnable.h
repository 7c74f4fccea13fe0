/* Which models this hub itself runs, and which programs run which models: for filters and for
 * `inference`. */
#pragma once

#include "api/api_internal.h"

/* Whether a call of the Inference API would find a task and weights for it here. */
bool is_runnable(const Api *api, Str task, const Str *tags, size_t n_tags);
/* Adds what ?inference=, ?inference_provider= and ?apps= ask for to a query whose tags have room
 * for `max`. False: it has answered. */
bool query_runnable(Request *r, RepoQuery *query, Str *tags, size_t max);
