/* The tensors of a checkpoint under the names that a model definition gives them.
 *
 * Files differ in spelling: GGUF has names of its own and rotates differently, the first GPT-2 file
 * lacks the "transformer." prefix. All of that is undone here, once, so that nobody else knows.
 * Threads: stored_find marks what it finds as used; one thread at a time. */
#pragma once

#include "formats/checkpoint.h"

/* Where a GGUF file's name differs from the model's; '#' stands for the same number in both. Names
 * are without ".weight" or ".bias". */
typedef struct Rename {
    const char *name, *stored; // "model.layers.#.self_attn.q_proj", "blk.#.attn_q"
    bool interleaved;          // rows are ordered for the rotation of neighbours, a head at a time
    bool transposed;           // stored [out,in] where the model has [in,out]
} Rename;

typedef struct StoredNames {
    const char *prefix;           // put before every name if no name has it; NULL: none
    const Rename *gguf;           // ends with a row of NULLs; NULL: no GGUF files of this kind
    const char *const *ignorable; // patterns as above of whole names, ending with NULL
    int64_t head_dim;             // for `interleaved`
} StoredNames;

typedef struct Stored Stored;

/* The checkpoint is borrowed. ERR_INVALID if two names become one, ERR_UNSUPPORTED for a GGUF file
 * without a table of names. */
Stored *stored_new(const Checkpoint *c, const StoredNames *names, Error *err);
void stored_free(Stored *s);
AUTO_FREE(Stored, stored_free)

/* A tensor by the model's name, rows put in order, marked as used; *transposed tells that its two
 * dimensions come the other way round than the model has them. ERR_NOT_FOUND names it; the error
 * for a type that we cannot read is ERR_UNSUPPORTED. Borrowed. */
const StoredTensor *stored_find(Stored *s, const char *name, bool *transposed, Error *err);
bool stored_has(const Stored *s, const char *name);
/* The models' names of all tensors, in the order of the file; NULL behind the last. */
const char *stored_name(const Stored *s, size_t i);
/* Whether the architecture does without it. */
bool stored_ignorable(const Stored *s, const char *name);
/* ERR_INVALID names the first tensor that was neither found nor ignorable, and how many there are.
 */
bool stored_all_used(const Stored *s, Error *err);

/* The row of a table of renames for a model's tensor, with the GGUF name, ending included, in the
 * arena; NULL if the table has none. */
const Rename *rename_find(const Rename *table, Str name, Arena *a, const char **stored);

/* "h.#.attn" matches "h.12.attn" and gives "12" in *number, borrowed; exposed for its test. */
bool name_matches(Str pattern, Str name, Str *number);
