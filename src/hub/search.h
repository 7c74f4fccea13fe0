/* Full-text search over names, metadata and cards.
 *
 * repo_index puts a repository's words into the database's full-text index with everything else
 * that lists show, in one transaction; RepoQuery.text then finds it. Names come first: the exact
 * one, then what begins with the words, what has them in its name, in its metadata, in its card;
 * within each the order that was asked for. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

enum { MAX_SEARCH_WORDS = 8, MAX_SEARCH_TEXT = 200, MAX_SEARCH_BODY = 64 << 10 };

/* What is known of a repository, as words (search_words_add). */
typedef struct SearchDoc {
    Str meta, body;
} SearchDoc;

/* Appends the words of a text with one space behind each: letters and digits in lower case, without
 * what stands between them, without HTML tags and addresses; characters of scripts that do not
 * separate words become words of their own. */
void search_words_add(Buf *out, Str text, bool is_markdown);

typedef struct SearchPart {
    Str text;
    bool is_match;
} SearchPart;
/* A few lines of the card around the first of the words, in parts; none if it has none of them. */
bool search_excerpt(Hub *hub, Arena *a, const Repo *repo, Str words, SearchPart **out, size_t *n,
                    Error *err);

/* The first few hundred bytes of the card as running text, and the first BibTeX entry in it; empty
 * if there is none. Of the default branch. */
Str card_summary(Hub *hub, Arena *a, const Repo *repo);
Str card_citation(Hub *hub, Arena *a, const Repo *repo);

/* Accounts whose name or full name begins with these words, users or organisations. */
bool search_accounts(Hub *hub, Arena *a, Str words, bool orgs, size_t limit, Account **out,
                     size_t *n, int64_t *total, Error *err);

/* Has every repository indexed anew, by the hub that serves; at once where this one does. */
bool search_rebuild(Hub *hub, Error *err);
