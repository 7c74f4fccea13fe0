/* Completion for shells: small scripts that ask `hug --complete WORD...`, so that what they offer
 * is always what this program knows. */
#pragma once

#include "base/error.h"

/* `hug --show-completion [SHELL]`: prints the script for bash, zsh or fish. shell NULL: the one in
 * SHELL. */
bool completion_show(const char *shell, Error *err);
/* `hug --install-completion [SHELL]`: puts it where the shell looks for it, and says where. */
bool completion_install(const char *shell, Error *err);
