/* The public C API of hug, whole. Names begin with hug_ (functions), Hug (types) or HUG_
 * (constants); nothing else is exported. Link with `pkg-config --cflags --libs hug`. */
#pragma once

#include <hug/error.h>
#include <hug/model.h>
#include <hug/pipeline.h>
#include <hug/tokenizer.h>
#include <hug/train.h>
