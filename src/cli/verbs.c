/* verbs.c: the table of verbs; see cli.h. */
#include "cli/cli.h"

// clang-format off
extern const Verb verb_admin;
extern const Verb verb_auth, verb_cache, verb_download, verb_repos, verb_tokenize, verb_upload;

const Verb *const verbs[] = {
    &verb_admin,
    &verb_tokenize,
    &verb_download,
    &verb_upload,
    &verb_repos,
    &verb_auth,
    &verb_cache,
    NULL,
};
