/* Tokens that we keep: the one in use in HF_HOME/token, all of them by name in
 * HF_HOME/stored_tokens, an INI file that the `hf` command reads and writes as well:
 *
 *     [laptop]
 *     hf_token = hf_...
 *
 * What else a section has (an OAuth token's refresh_token and expires_at) stays as it is. */
#pragma once

#include "base/json.h"

/* {"laptop": {"hf_token": "hf_..."}}; empty if none are kept. ERR_INVALID names the line. */
json_t *fetch_tokens(Error *err);
/* Asks the hub whether the token is good, keeps it by the name that it has there, and makes it the
 * one in use. What whoami says; *name (in the arena) is what it is kept as. */
json_t *fetch_login(Arena *a, const char *token, const char **name, Error *err);
/* Makes a kept token the one in use. ERR_NOT_FOUND if there is none of this name. */
bool fetch_token_switch(const char *name, Error *err);
/* Forgets one token, or all and the one in use (NULL). ERR_NOT_FOUND if there is none. */
bool fetch_logout(const char *name, Error *err);

/* The token that calls use, NULL if nobody is logged in; and HF_TOKEN, which goes before the kept
 * one, NULL if it is not set. */
const char *fetch_token(Arena *a);
const char *fetch_env_token(Arena *a);

/* Tells git's credential helpers the token for this hub; NULL: to forget it. ERR_UNAVAILABLE where
 * git or a helper is missing. */
bool fetch_git_credential(const char *token, Error *err);

/* The text of the file; exposed for tests and fuzzing. */
json_t *tokens_parse(Str text, Error *err);
