/* How a file of a revision is looked at: as an image, rows, tensors, a notebook, text, ... */
#pragma once

#include "hub/hub.h"
#include "net/server.h"

#include "base/json.h"

/* Sets all variables of blob.html that depend on the file's content. ?plain=1 asks for the text. */
bool file_view(Request *r, json_t *page, const Repo *repo, const RepoFile *file, Str rev,
               Error *err);
/* By its name. */
bool file_is_image(Str path);
/* The routes' handler of a notebook's pictures. */
void notebook_picture(Request *r);
