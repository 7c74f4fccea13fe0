/* Accounts that take another name, and accounts that go.
 *
 * A rename is one transaction: the account and all of its repositories have their old names or all
 * have their new ones. The old name leads to the account for as long as it lives (account_find),
 * its repositories' old names lead to them, and nobody else may take it.
 *
 * A deletion is one transaction as well: the account goes with its repositories, tokens, sessions,
 * likes, followers and collections; what it said in discussions of others stays, by nobody. Files
 * are removed behind it: see removal.c. Threads and memory are as in hub.h. */
#pragma once

#include "hub/hub.h"

/* ERR_INVALID for a bad name, ERR_EXISTS for one that somebody has, or had. */
bool account_rename(Hub *hub, const Account *account, Str to, Error *err);
/* ERR_CONFLICT for the only admin of an organisation, and for the hub's last administrator. */
bool account_delete(Hub *hub, const Account *account, Error *err);
