/* Data sets: files of text to examples of token ids, of which some are learned.
 *
 * A data set is a file or a folder of them, in any depth:
 *     .txt, .md          a document, of which all is learned
 *     .jsonl, .json      an object a line, or a list of objects
 *     .csv, .tsv         a record a row, under names in the first
 * An object or record has one of these:
 *     "text"                   (or what text_column_name says) all of it is learned
 *     "prompt", "completion"   texts; with completion_only_loss the completion alone is learned
 *     "messages"               a conversation, through the model's chat template; with
 *                              assistant_only_loss what the assistant says alone is learned
 * Documents are tokenised once, by all processors. With packing they are put one behind the other,
 * an end token between them, and cut into full blocks (as run_clm does; the rest is dropped);
 * without it each document is an example, cut at block_size.
 * Threads: a Dataset is immutable once loaded. */
#pragma once

#include "text/tokenizer.h"
#include "train/arguments.h"

/* Examples lie one behind the other; a view, borrowed from its Dataset. */
typedef struct Examples {
    const int32_t *ids;
    const uint8_t *learned; // of each id: whether it is predicted
    const int64_t *starts;  // example i is [starts[i], starts[i + 1])
    size_t n;
} Examples;

static inline int64_t example_length(const Examples *e, size_t i)
{
    return e->starts[i + 1] - e->starts[i];
}
Examples examples_slice(const Examples *e, size_t from, size_t to);
/* Of a batch: how many tokens are predicted. The first of an example never is. */
int64_t example_labels(const Examples *e, size_t i);

typedef struct Dataset Dataset;

typedef enum Split { SPLIT_TRAIN, SPLIT_EVAL } Split;

/* What to make of the text. packing has no default here: see dataset_packs. */
typedef struct DatasetSpec {
    const char *path;
    Split split; // of a folder whose files are named by splits: train*, and test*, valid*, eval*
    const Tokenizer *tokenizer;
    const TrainingArguments *args;
    int64_t block_size; // tokens
    int64_t vocab;      // ids lie below; 0: any
} DatasetSpec;

/* ERR_INVALID names file and line; ERR_NOT_FOUND: a folder has no such files, for SPLIT_EVAL no
 * files of that split. */
Dataset *dataset_load(const DatasetSpec *spec, Error *err);
void dataset_free(Dataset *d);
AUTO_FREE(Dataset, dataset_free)
const Examples *dataset_examples(const Dataset *d);
/* Documents that were read, tokens in them, and tokens that no example has. */
typedef struct DatasetFacts {
    int64_t documents, tokens, dropped;
    bool packed;
} DatasetFacts;
DatasetFacts dataset_facts(const Dataset *d);

/* The order in which one epoch goes through n examples. */
typedef struct OrderSpec {
    uint64_t seed;
    const int64_t *given; // an order read from a file, for all epochs; NULL: shuffled
    size_t n_given;
    const Examples *by_length; // batches of like lengths; NULL: not
    size_t batch;              // examples a batch, for that
} OrderSpec;
/* Writes a permutation (or the file's part) of [0, n) for this epoch; the same for equal seeds. */
void epoch_order(const OrderSpec *spec, int64_t epoch, size_t n, uint32_t *order);
/* Reads numbers of examples, separated by white space: the order of training, all epochs.
 * ERR_INVALID names a number that is none, or not below n. */
bool order_read(const char *path, size_t n, Arena *a, OrderSpec *spec, Error *err);
