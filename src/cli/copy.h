/* `hug cp` and `hug repos cp`: one file between this machine and repositories, or between two. */
#pragma once

#include "cli/commands.h"

bool copy_run(Ask *ask, Error *err);
