/* Files: whole reads with limits, maps, and writes that survive a crash.
 *
 * Durability: a write is acknowledged only after file_write_atomic or file_sync_folder returned
 * true: data fsynced, renamed, folder fsynced.
 * Threads: free of state. */
#pragma once

#include "base/str.h"

#include <sys/stat.h>

/* Closes the descriptor at the end of the scope: `AUTO_FD int fd = open(...)`. */
#define AUTO_FD __attribute__((cleanup(fd_close_auto)))
void fd_close_auto(int *fd);

/* Appends the file to out; ERR_LIMIT when it is larger than out's limit. */
bool file_read(const char *path, Buf *out, Error *err);
/* Replaces path by these bytes: temporary file, fsync, rename, fsync of the folder. The old
 * content stays whole until the new one is safe. */
bool file_write_atomic(const char *path, Str bytes, int mode, Error *err);
/* The same for content that write(fd, context, err) streams. */
bool file_write_atomic_by(const char *path, int mode,
                          bool (*write)(int fd, void *context, Error *err), void *context,
                          Error *err);
/* All n bytes or an error; goes on after short writes and signals. */
bool fd_write_all(int fd, const void *bytes, size_t n, Error *err);
/* Reads exactly n bytes at offset; ERR_INVALID when the file ends before. */
bool fd_read_at(int fd, void *out, size_t n, int64_t offset, Error *err);
/* Makes the bytes of a file durable. */
bool file_sync(const char *path, Error *err);
/* Makes the names in a folder durable. */
bool file_sync_folder(const char *path, Error *err);
/* Bytes that unprivileged programs may still write where path lies, and all there are. */
bool file_disk_space(const char *path, int64_t *left, int64_t *all, Error *err);
bool file_exists(const char *path);
bool file_is_folder(const char *path);
/* mkdir -p */
bool file_make_folders(const char *path, int mode, Error *err);
/* rm -rf; nothing there is fine. Never follows a link. */
bool file_remove_tree(const char *path, Error *err);
/* A fresh folder below `parent`; its path is in the arena. */
char *file_temp_folder(Arena *a, const char *parent, Error *err);

/* A read-only map of a whole file. Its pages may vanish when someone truncates the file: map only
 * files that are ours or that the caller vouches for. */
typedef struct FileMap {
    const uint8_t *ptr; // NULL when len is 0
    size_t len;
} FileMap;
bool file_map(FileMap *map, const char *path, Error *err);
void file_unmap(FileMap *map);

/* True for a relative path that stays inside: no empty part, ".", "..", NUL, backslash, control
 * character, leading or trailing slash; at most 4096 bytes, parts at most 255. The reason goes to
 * err as ERR_INVALID. */
bool path_is_safe(Str path, Error *err);
/* The last part of a path: "a/b.c" gives "b.c". */
Str path_name(Str path);
/* What is before the last part: "a/b.c" gives "a", "/b" gives "/"; empty when there is no slash. */
Str path_parent(Str path);
/* With the dot: ".c"; empty when there is none. */
Str path_suffix(Str path);
