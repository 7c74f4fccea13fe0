/* Tensors of a file of weights, as a tree of modules: the variable "tensors" of tensors_box.html.
 */
#pragma once

#include "hub/tensors.h"
#include "net/server.h"

/* The query says what is shown: ?q= searches names, ?in= goes into a module, ?from= turns pages. */
json_t *tensor_view(Request *r, const Tensors *tensors);
