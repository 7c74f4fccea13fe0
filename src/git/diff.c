/* diff.c: what differs between two commits; see git.h. */
#include "git_internal.h"

enum {
    FILES_LIMIT = 300,
    FILE_LINES_LIMIT = 3000,
    LINES_LIMIT = 20000,
    BLOB_LIMIT = 1 << 20, // a larger file is not compared by line
    LINE_LIMIT = 4096,    // bytes shown of one line
    RENAMES_LIMIT = 400,
};

static git_diff *diff_of(GitRepo *r, const char *from, const char *to, Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *old = NULL;
    AUTO_GIT(git_tree, git_tree_free) *new = tree_of(r, to, err);
    if (!new || (from && !(old = tree_of(r, from, err))))
        return NULL;
    git_diff_options options = GIT_DIFF_OPTIONS_INIT;
    options.max_size = BLOB_LIMIT;
    AUTO_GIT(git_diff, git_diff_free) *diff = NULL;
    int status = git_diff_tree_to_tree(&diff, r->git, old, new, &options);
    git_diff_find_options find = GIT_DIFF_FIND_OPTIONS_INIT;
    // Exact renames only: comparing contents of many large files takes minutes.
    find.flags = GIT_DIFF_FIND_RENAMES | GIT_DIFF_FIND_EXACT_MATCH_ONLY;
    find.rename_limit = RENAMES_LIMIT;
    if (status == 0)
        status = git_diff_find_similar(diff, &find);
    if (status < 0)
        return fail_git(err, status, "compare %s with %s", from ? from : "nothing", to);
    return TAKE(diff);
}

static Str line_text(Arena *a, const git_diff_line *line)
{
    Str text = {line->content, line->content_len};
    while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    return arena_str(a, str_slice(text, 0, LINE_LIMIT));
}

static char line_kind(char origin)
{
    switch (origin) {
    case GIT_DIFF_LINE_ADDITION:
        return '+';
    case GIT_DIFF_LINE_DELETION:
        return '-';
    case GIT_DIFF_LINE_CONTEXT:
        return ' ';
    default:
        return '\\';
    }
}

static bool fill_hunk(git_patch *patch, size_t index, size_t room, Arena *a, GitDiffHunk *out,
                      Error *err)
{
    const git_diff_hunk *hunk;
    size_t n;
    int status = git_patch_get_hunk(&hunk, &n, patch, index);
    if (status < 0)
        return fail_git(err, status, "read a hunk");
    out->header = arena_str(a, str_trim((Str){hunk->header, hunk->header_len}));
    out->n = MIN(n, room);
    out->lines = NEW_ARRAY(a, GitDiffLine, out->n);
    for (size_t i = 0; i < out->n; i++) {
        const git_diff_line *line;
        status = git_patch_get_line_in_hunk(&line, patch, index, i);
        if (status < 0)
            return fail_git(err, status, "read a line");
        out->lines[i] = (GitDiffLine){.kind = line_kind(line->origin),
                                      .old_no = line->old_lineno,
                                      .new_no = line->new_lineno,
                                      .text = line_text(a, line)};
    }
    return true;
}

static char status_of(git_delta_t status)
{
    char c = git_diff_status_char(status);
    return strchr("ADMRT", c) ? c : 'M';
}

/* Fills the hunks as far as *room lines allow. */
static bool fill_hunks(git_diff *diff, size_t index, size_t *room, Arena *a, GitDiffFile *out,
                       Error *err)
{
    AUTO_GIT(git_patch, git_patch_free) *patch = NULL;
    int status = git_patch_from_diff(&patch, diff, index);
    if (status < 0)
        return fail_git(err, status, "compare '%.*s'", STR(out->new_path));
    // Whether a file is binary is known only now.
    out->binary = (git_diff_get_delta(diff, index)->flags & GIT_DIFF_FLAG_BINARY) != 0;
    if (!patch || out->binary)
        return true;
    git_patch_line_stats(NULL, &out->added, &out->removed, patch);
    size_t n = git_patch_num_hunks(patch), left = MIN(*room, (size_t)FILE_LINES_LIMIT);
    out->hunks = NEW_ARRAY(a, GitDiffHunk, n);
    for (size_t i = 0; i < n && left; i++, out->n++) {
        if (!fill_hunk(patch, i, left, a, &out->hunks[i], err))
            return NULL;
        left -= out->hunks[i].n;
        *room -= out->hunks[i].n;
    }
    out->cut = left == 0;
    return true;
}

bool git_repo_diff(GitRepo *r, const char *from, const char *to, Arena *a, GitDiff *out, Error *err)
{
    AUTO_GIT(git_diff, git_diff_free) *diff = diff_of(r, from, to, err);
    if (!diff)
        return NULL;
    *out = (GitDiff){.n_changed = git_diff_num_deltas(diff)};
    out->n = MIN(out->n_changed, (size_t)FILES_LIMIT);
    out->files = NEW_ARRAY(a, GitDiffFile, out->n);
    size_t room = LINES_LIMIT;
    for (size_t i = 0; i < out->n; i++) {
        const git_diff_delta *delta = git_diff_get_delta(diff, i);
        GitDiffFile *file = &out->files[i];
        file->status = status_of(delta->status);
        file->old_path = arena_str(a, str_of(delta->old_file.path));
        file->new_path = arena_str(a, str_of(delta->new_file.path));
        oid_to_hex(&delta->old_file.id, file->old_oid);
        oid_to_hex(&delta->new_file.id, file->new_oid);
        if (!fill_hunks(diff, i, &room, a, file, err))
            return NULL;
        file->old_size = (int64_t)delta->old_file.size; // known once the file was read
        file->new_size = (int64_t)delta->new_file.size;
    }
    return true;
}

static int print_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
                      const git_diff_line *line, void *user)
{
    Buf *out = user;
    if (strchr(" +-", line->origin))
        buf_add_char(out, line->origin);
    buf_add_bytes(out, line->content, line->content_len);
    return out->failed ? GIT_EUSER : 0;
}

bool git_repo_diff_text(GitRepo *r, const char *from, const char *to, Buf *out, Error *err)
{
    AUTO_GIT(git_diff, git_diff_free) *diff = diff_of(r, from, to, err);
    if (!diff)
        return NULL;
    int status = git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, print_line, out);
    if (status < 0 && status != GIT_EUSER)
        return fail_git(err, status, "print differences");
    return buf_ok(out, err);
}
