/* The page of a repository, as other files of web/ render it. */
#pragma once

#include "hub/hub.h"
#include "net/server.h"
#include "tasks/tasks.h"

/* What the try-it panel answered to a form without scripts. */
typedef struct Tried {
    Str prompt, output, problem, stats;
} Tried;

/* tried: NULL if nothing was. */
void page_repo(Request *r, const Repo *repo, int status, const Tried *tried);
/* Downloads over time, the model tree, and who uses it: the variables of downloads_box.html and
 * lineage_box.html. info: NULL where there is no revision. */
void page_set_lineage(Request *r, json_t *page, const Repo *repo, const RepoInfo *info);
/* HTML of a Markdown file of a repository, with its links and images resolved. */
Str page_markdown(Request *r, const Repo *repo, Str rev, Str text);
/* The same for what somebody says in a discussion: "@name" leads to who is called so. */
Str page_comment(Request *r, const Repo *repo, Str text);
