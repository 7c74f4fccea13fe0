/* What the files of generate/ share. */
#pragma once

#include "generate/batch.h"
#include "models/models.h"

const Model *language_model_internals(const LanguageModel *m);
