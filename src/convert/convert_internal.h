/* What the files of convert/ share: a plan is a list of tensors to be written, each with where its
 * values come from. plan.c makes and feeds it, recipe.c chooses the types, to_gguf.c and
 * to_safetensors.c know what a whole model is in their format. */
#pragma once

#include "convert/convert.h"
#include "formats/gguf_write.h"
#include "formats/safetensors.h"
#include "models/models.h"

/* How the values of a written tensor lie in the one that is read. */
typedef struct Origin {
    const StoredTensor *from;
    bool turned;      // the last two dimensions are swapped
    int64_t head_dim; // not 0: rows are put in order for GGUF's rotation, a head at a time
} Origin;

typedef struct Plan {
    Arena *arena;
    StoredTensor *tensors; // what is written; data NULL
    Origin *origins;
    size_t n, cap;
} Plan;

Plan *plan_new(void) __attribute__((returns_nonnull));
void plan_free(Plan *p);
AUTO_FREE(Plan, plan_free)
/* Adds a tensor of this name (copied) and type. */
bool plan_add(Plan *p, const char *name, DType type, const Origin *origin, Error *err);
/* The values of p's tensors, for the writers; the progress bar counts all of them. */
TensorFeed plan_feed(Plan *p, Progress *progress);
int64_t plan_bytes(const Plan *p);

/* Which type each tensor gets. */
typedef struct Recipe {
    const char *name;
    DType type;    // of matrices
    DType head;    // of the output head, or of the embedding where it is both
    DType more;    // of the tensors that suffer most, in some layers; DTYPE_COUNT: none
    int file_type; // GGUF's general.file_type
    bool stored;   // "auto": each tensor keeps its type
} Recipe;

/* NULL for NULL is "auto". ERR_UNSUPPORTED lists what there is. */
const Recipe *recipe_find(const char *name, Error *err);

typedef struct RecipeTensor {
    const char *name; // GGUF's
    DType stored;
    int rank;
    int64_t row; // values of a row
    bool tied;   // there is no output.weight
    int64_t layers;
} RecipeTensor;
DType recipe_type(const Recipe *r, const RecipeTensor *t);

/* A source that is open: everything but `config` may be NULL where nothing needs it. */
typedef struct Source {
    Checkpoint *checkpoint;
    json_t *config;
    const Architecture *architecture;
    const ConvertOptions *how;
    const Recipe *recipe;
    const char *path;
} Source;

bool write_gguf_model(const Source *s, const char *path, Error *err);
bool write_safetensors_model(const Source *s, const char *folder, Error *err);
bool write_safetensors_file(const Source *s, const char *path, Error *err);
/* The architecture's tensors under the model's names. */
Stored *source_names(const Source *s, Error *err);
int64_t source_head_dim(const Source *s);
/* The rotation that a configuration describes. */
bool source_rope(const Source *s, const json_t *config, RopeConfig *rope, Arena *a, Error *err);
