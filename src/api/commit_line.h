/* One line of a commit's body: {"key": "file", "value": {...}}. */
#pragma once

#include "base/json.h"

typedef enum CommitLineKind {
    LINE_HEADER,
    LINE_FILE,
    LINE_LFS_FILE,
    LINE_DELETED_FILE,
    LINE_DELETED_FOLDER,
    LINE_COPY_FILE,
} CommitLineKind;

typedef struct CommitLine {
    CommitLineKind kind;
    Str summary, description, parent; // LINE_HEADER
    Str path;
    Str content;            // LINE_FILE: decoded
    Str sha256;             // LINE_LFS_FILE
    int64_t size;           // LINE_LFS_FILE: -1 if not said
    Str source, source_rev; // LINE_COPY_FILE
    json_t *owned;          // what the strings are borrowed from
    Buf decoded;
} CommitLine;

/* ERR_INVALID, ERR_LIMIT. commit_line_done frees it, after failures too. */
bool commit_line_parse(Str line, CommitLine *out, Error *err);
void commit_line_done(CommitLine *line);
