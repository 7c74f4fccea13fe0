/* Downloads, counted honestly, and what follows from them: sums of 30 days, charts, trending.
 *
 * A client counts once a day for a repository, however many files it asks for and however often. A
 * client is an account, or for those without one an address and a program. What is kept of it is a
 * keyed hash under a secret that is thrown away with the day, so that nobody can find out later who
 * downloaded what. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

enum { DOWNLOAD_DAYS = 30, MAX_CHART_DAYS = 366 };

/* Whether asking for a file counts: of models the file that a library begins with (its query file:
 * config.json mostly), of datasets and Spaces any but what describes them. `said` is for clients
 * that announce a download themselves: then every file is one. */
bool download_is_counted(RepoKind kind, Str library, Str path, bool said);
/* A cheap look before the library is known: false if no library would count it. */
bool download_may_count(RepoKind kind, Str path, bool said);

typedef struct DownloadClient {
    Str account;        // its id; empty: nobody is logged in
    Str address, agent; // then these
} DownloadClient;
/* Written to the database now and then; a crash loses seconds. */
void download_count(Hub *hub, const Repo *repo, const DownloadClient *client);

/* A repository's downloads of each of the last n days (1 to MAX_CHART_DAYS), the oldest first;
 * today, in UTC, is the last. */
bool download_days(Hub *hub, const Repo *repo, size_t n, int64_t *out, Error *err);

typedef struct Leader {
    Repo repo;
    int64_t downloads, before; // in the window, and in the one before it
    int64_t *days;             // of the window
} Leader;
/* The repositories of a kind with the most downloads in the last `days`, at most 100 of them, of
 * those that the viewer may see. */
bool download_leaders(Hub *hub, Arena *a, const Viewer *viewer, RepoKind kind, size_t days,
                      size_t limit, Leader **out, size_t *n, Error *err);
