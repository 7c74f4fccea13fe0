/* Discussions and pull requests of a repository. They are numbered together from 1; each is a row
 * and a list of events, the first of which is the opening comment. A pull request is a discussion
 * with a ref of its own, refs/pr/N, which begins at the head of the branch that it wants to change
 * and resolves wherever a revision does; its commits show as events.
 *
 * Whoever may read a repository and is logged in may open one, comment, and commit to the ref of a
 * pull request of their own (ACCESS_PROPOSE); its title and status are its author's and the
 * writers' to change; merging is the writers'. A merge makes one commit of all.
 * Threads and memory are as in hub.h; results are filled in the arena. */
#pragma once

#include "hub/hub.h"

typedef struct Discussion {
    Str id; // 24 hex digits
    int64_t num;
    Str title;
    Str status; // "draft" (pull requests), "open", "closed" or "merged"
    bool is_pull, is_pinned;
    Str author_id, author; // the name is empty when the account is gone
    Str base;              // of a pull request: "refs/heads/main"
    Str base_sha;          // where it began
    Str merge_commit;      // empty until it is merged
    int64_t created_ns, updated_ns;
    int64_t comments;
} Discussion;

/* An emoji under a comment, and who chose it, the first one first. */
typedef struct Reaction {
    Str emoji;
    Str *users; // names
    size_t n;
} Reaction;

typedef struct DiscussionEvent {
    Str id;
    Str kind; // "comment", "status-change", "title-change", "commit"
    Str author_id, author;
    int64_t created_ns;
    Str text;  // the comment's Markdown, the new status, the new title, the commit's title
    Str other; // the old title, the commit's id
    bool is_hidden;
    int64_t edits, edited_ns;
    Reaction *reactions; // of comments
    size_t n_reactions;
} DiscussionEvent;

typedef struct DiscussionQuery {
    const bool *is_pull; // NULL: both
    Str status;          // "open" (drafts too), "closed" (merged too); empty: all
    Str author;          // a name; empty: anybody
    int64_t skip, limit; // limit: 1 to 100
} DiscussionQuery;

typedef struct DiscussionPage {
    Discussion *items; // pinned ones first, then the newest
    size_t n;
    int64_t total;
} DiscussionPage;

typedef struct NewDiscussion {
    Str title;       // 1 to 255 bytes
    Str description; // Markdown, may be empty
    bool is_pull;    // a draft on the main branch
} NewDiscussion;

bool discussion_create(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                       const NewDiscussion *new, Discussion *out, Error *err);
bool discussion_list(Hub *hub, Arena *a, const Repo *repo, const DiscussionQuery *query,
                     DiscussionPage *out, Error *err);
/* ERR_NOT_FOUND */
bool discussion_find(Hub *hub, Arena *a, const Repo *repo, int64_t num, Discussion *out,
                     Error *err);
/* All events in order of time, a pull request's commits among them. */
bool discussion_events(Hub *hub, Arena *a, const Repo *repo, const Discussion *d,
                       DiscussionEvent **out, size_t *n, Error *err);

/* Each gives the event that it made or changed. ERR_DENIED, ERR_INVALID. */
bool discussion_comment(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                        const Discussion *d, Str text, DiscussionEvent *out, Error *err);
bool discussion_retitle(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                        const Discussion *d, Str title, DiscussionEvent *out, Error *err);
/* "open" publishes a draft and opens what was closed; a comment (may be empty) goes before. */
bool discussion_set_status(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                           const Discussion *d, Str status, Str comment, DiscussionEvent *out,
                           Error *err);
/* Of the viewer's own comments. */
bool discussion_edit(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                     const Discussion *d, Str event, Str text, DiscussionEvent *out, Error *err);
/* For good: the text is forgotten. One's own, or by who may write. */
bool discussion_hide(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                     const Discussion *d, Str event, DiscussionEvent *out, Error *err);
/* What can be chosen, in the order in which it is shown; ends with NULL. */
extern const char *const reaction_emoji[];
/* Sets or takes back one's own; once each. ERR_INVALID for an emoji that is none of these. */
bool discussion_react(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo,
                      const Discussion *d, Str event, Str emoji, bool on, DiscussionEvent *out,
                      Error *err);
bool discussion_pin(Hub *hub, const Repo *repo, const Discussion *d, bool pinned, Error *err);
/* With its ref. */
bool discussion_delete(Hub *hub, const Repo *repo, const Discussion *d, Error *err);

/* One commit on the base branch. ERR_CONFLICT names a file in the way; ERR_INVALID for a draft, for
 * one that is not open, or where nothing is to be merged. A merge that was cut off after its commit
 * is found again. */
bool pull_merge(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, const Discussion *d,
                Str comment, Str *sha, Error *err);
/* Forgets refs/pr/N of one that is closed or merged. */
bool pull_drop_ref(Hub *hub, const Repo *repo, const Discussion *d, Error *err);
/* Where it left its base, and its newest commit; both empty when its ref or its base is gone. */
bool pull_range(Hub *hub, Arena *a, const Repo *repo, const Discussion *d, Str *from, Str *to,
                Error *err);
/* What it changes since it left its base, as unified diff; *cut past out's limit. */
bool pull_diff(Hub *hub, const Repo *repo, const Discussion *d, Buf *out, bool *cut, Error *err);
/* The files that keep it from being merged. */
bool pull_conflicts(Hub *hub, Arena *a, const Repo *repo, const Discussion *d, Str **paths,
                    size_t *n, Error *err);

/* May the viewer move this ref? Writers any branch and tag, and the ref of an open pull request;
 * others that of their own. ERR_DENIED, ERR_INVALID, ERR_NOT_FOUND. */
bool pull_may_push(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str ref, Error *err);

/* A pull request made of a commit: as change_open for the branch that it wants to change, then
 * change_commit_pull in the place of change_commit. */
struct Change;
struct Change *change_open_pull(Hub *hub, const Repo *repo, const Viewer *viewer, Str base,
                                Error *err);
bool change_commit_pull(struct Change *c, Arena *a, Str *sha, Discussion *out, Error *err);
