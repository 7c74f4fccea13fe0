/* verbs.c: the table of verbs, in the order of the help; see cli.h. */
#include "cli/cli.h"

#define VERBS(X)                                                                                   \
    X(verb_serve)                                                                                  \
    X(verb_admin)                                                                                  \
    X(verb_generate)                                                                               \
    X(verb_run)                                                                                    \
    X(verb_chat)                                                                                   \
    X(verb_train)                                                                                  \
    X(verb_tokenize)                                                                               \
    X(verb_convert)                                                                                \
    X(verb_download)                                                                               \
    X(verb_upload)                                                                                 \
    X(verb_cp)                                                                                     \
    X(verb_repos)                                                                                  \
    X(verb_models)                                                                                 \
    X(verb_datasets)                                                                               \
    X(verb_spaces)                                                                                 \
    X(verb_discussions)                                                                            \
    X(verb_collections)                                                                            \
    X(verb_webhooks)                                                                               \
    X(verb_auth)                                                                                   \
    X(verb_cache)                                                                                  \
    X(verb_env)                                                                                    \
    X(verb_bench)

#define X(verb) extern const Verb verb;
VERBS(X)
#undef X

const Verb *const verbs[] = {
#define X(verb) &verb,
    VERBS(X)
#undef X
        NULL,
};
