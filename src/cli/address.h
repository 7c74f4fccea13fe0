/* hf:// addresses of repositories and what is in them. */
#pragma once

#include "fetch/fetch.h"

/* hf://[datasets/]org/name[@revision]/path */
typedef struct HubAddress {
    FetchKind kind;
    const char *id, *revision; // NULL: main
    const char *path;          // "" for the repository itself
    bool folder;               // ended with a slash
} HubAddress;

bool is_hub_address(const char *text); // NULL is none
/* ERR_USAGE says what they look like. */
bool hub_address_parse(HubAddress *out, Arena *a, const char *text, Error *err);
