/* verb_env.c: `hug env`: what the environment says of the hub, for whoever is asked for help. */
#include "cli/commands.h"

#include "fetch/api.h"
#include "fetch/tokens.h"

#include <sys/utsname.h>

#ifndef HUG_VERSION
#define HUG_VERSION "unknown"
#endif

static bool run(Ask *ask, Error *err)
{
    struct utsname os;
    uname(&os);
    const char *token = fetch_token(ask->a);
    AUTO(json_decref) json_t *who = token ? fetch_whoami(NULL, NULL) : NULL;
    const char *off = getenv("HF_HUB_OFFLINE");
    AUTO(json_decref)
    json_t *said =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "hug version", HUG_VERSION, "platform",
                  arena_printf(ask->a, "%s %s %s", os.sysname, os.release, os.machine), "endpoint",
                  fetch_endpoint(ask->a), "cache", fetch_cache_path(ask->a), "token",
                  fetch_env_token(ask->a) ? "HF_TOKEN"
                  : token                 ? "kept"
                                          : "none",
                  "user", who ? json_text(who, "name", "?") : "not logged in, or the hub is away",
                  "HF_HUB_OFFLINE", off ? off : "");
    output_object(&ask->out, said, NULL);
    return true;
}

static const Command commands[] = {
    {"", "", "what the environment says of the hub", 0, 0, "", run},
};

const Verb verb_env = {
    .name = "env",
    .synopsis = "",
    .summary = "what the environment says of the hub",
    COMMANDS(commands),
};
