/* The words of cards: tasks, libraries, languages and licenses that the Hub's clients know; and
 * changes to a card's front matter that leave the rest of it as somebody wrote it. */
#pragma once

#include "hub/hub.h"

/* Tasks: what pipeline_tag and task_categories may be. */
typedef struct CardTask {
    const char *id, *label, *group; // "text-generation", "Text generation", "Natural language"
} CardTask;
extern const CardTask card_tasks[];
extern const size_t card_tasks_n;
bool card_is_task(Str word);

/* Libraries that models are loaded with, ending with NULL. */
extern const char *const card_libraries[];
bool card_is_library(Str word);

/* License identifiers, ending with NULL. */
extern const char *const card_licenses[];
bool card_is_license(Str word);

/* ISO 639-1, or what looks like 639-2 and 639-3: two or three small letters; also "code",
 * "multilingual" and their like. */
bool card_is_language(Str word);

/* What a key of a card may be, ending with NULL; NULL where it may be anything. */
const char *const *card_choices(RepoKind kind, const char *key);

/* A key of the front matter and its new value: one text, several, or none, which takes the key
 * away. */
typedef struct CardChange {
    const char *key;
    const Str *values;
    size_t n;
    bool is_list; // written as a list even if it is one value
} CardChange;

/* README.md with these changes: other keys, their order, comments and the text below stay byte for
 * byte. Front matter is made if there is none. A key whose value is already this one is not
 * touched. ERR_INVALID if the front matter is not a mapping that YAML can read. */
bool card_edit(Str readme, const CardChange *changes, size_t n, Buf *out, Error *err);
