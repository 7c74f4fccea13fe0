/* diff_view.c: what a commit or a pull request changed: lines of text, sizes of large files,
 * pictures side by side, and of weights the tensors that came, went or have another type or shape.
 */
#include "base/map.h"
#include "formats/checkpoint.h"
#include "git/git.h"
#include "hub/tensors.h"
#include "web/file_view.h"
#include "web/web_internal.h"

enum {
    MAX_TENSORS = 200,     // that are listed of a file
    MAX_TENSOR_FILES = 16, // of a page
};

static json_t *line_json(const GitDiffLine *line)
{
    json_t *o = json_object();
    char kind[2] = {line->kind, 0};
    set(o, "kind",
        json_string(line->kind == '+'   ? "added"
                    : line->kind == '-' ? "removed"
                    : line->kind == ' ' ? "same"
                                        : "note"));
    set(o, "sign", json_string(kind));
    set(o, "old", line->old_no > 0 ? json_integer(line->old_no) : json_string(""));
    set(o, "new", line->new_no > 0 ? json_integer(line->new_no) : json_string(""));
    set_str(o, "text", line->text);
    return o;
}

static json_t *hunk_json(const GitDiffHunk *hunk)
{
    json_t *lines = json_array(), *o = json_object();
    for (size_t i = 0; i < hunk->n; i++)
        json_array_append_new(lines, line_json(&hunk->lines[i]));
    set_str(o, "header", hunk->header);
    set(o, "lines", lines);
    return o;
}

/* A change of LFS pointers is a change of sizes: nobody wants to read pointers. */
static bool lfs_sizes(GitRepo *git, const GitDiffFile *file, json_t *o)
{
    GitLfsPointer old = {0}, new = {0};
    bool is_lfs = false;
    for (int side = 0; side < 2; side++) {
        const char *oid = side ? file->new_oid : file->old_oid;
        AUTO_BUF text;
        buf_init(&text, 1024);
        if (oid[0] && git_blob_read(git, oid, &text, NULL) &&
            git_lfs_parse(buf_str(&text), side ? &new : &old))
            is_lfs = true;
    }
    set(o, "old_size", json_size(is_lfs ? old.size : file->old_size));
    set(o, "new_size", json_size(is_lfs ? new.size : file->new_size));
    return is_lfs;
}

/* ---- Files that are not read as text ---- */

typedef struct DiffSides {
    Request *request;
    const Repo *repo;
    const char *from, *to; // commits; from may be NULL
    int tensors_left;      // files whose tensors may still be looked at
} DiffSides;

/* Both sides of a picture, to be looked at beside each other. */
static void set_images(const DiffSides *d, const GitDiffFile *file, json_t *o)
{
    Arena *a = request_arena(d->request);
    bool image = file_is_image(file->new_path.len ? file->new_path : file->old_path);
    bool before = image && file->status != 'A' && d->from, after = image && file->status != 'D';
    set(o, "image", json_boolean(image));
    set_str(o, "before",
            before ? rev_path(a, d->repo, "resolve", str_of(d->from), file->old_path) : (Str){0});
    set_str(o, "after",
            after ? rev_path(a, d->repo, "resolve", str_of(d->to), file->new_path) : (Str){0});
}

static const char *tensor_text(Arena *a, const TensorInfo *t)
{
    char shape[256];
    return arena_printf(a, "%.*s %s", STR(t->dtype),
                        dims_format(t->dims, t->rank, shape, sizeof shape));
}

static void tensor_row(json_t *rows, const char *kind, Str name, const char *before,
                       const char *after)
{
    if (json_array_size(rows) >= MAX_TENSORS)
        return;
    json_t *row = json_pack("{s:s, s:s, s:s}", "kind", kind, "before", before, "after", after);
    set_str(row, "name", name);
    json_array_append_new(rows, row);
}

/* What came, went, and has another type or shape. That values differ the headers do not say. */
static json_t *tensors_json(Arena *a, const Tensors *old, const Tensors *new)
{
    static const Tensors none = {0};
    Map by_name = {0};
    json_t *rows = json_array();
    int64_t counts[4] = {0}; // added, removed, changed, same
    old = old ? old : &none;
    new = new ? new : &none;
    for (size_t i = 0; i < old->n; i++)
        map_put(&by_name, old->items[i].name, &old->items[i]);
    for (size_t i = 0; i < new->n; i++) {
        const TensorInfo *now = &new->items[i], *was = map_find(&by_name, now->name);
        const char *after = tensor_text(a, now), *before = was ? tensor_text(a, was) : "";
        bool same = was && strcmp(before, after) == 0;
        counts[!was ? 0 : same ? 3 : 2]++;
        if (!same)
            tensor_row(rows, was ? "changed" : "added", now->name, before, after);
        if (was)
            map_put(&by_name, now->name, NULL);
    }
    for (size_t i = 0; i < by_name.n; i++) {
        const TensorInfo *gone = by_name.entries[i].value;
        if (!gone)
            continue;
        counts[1]++;
        tensor_row(rows, "removed", gone->name, tensor_text(a, gone), "");
    }
    map_done(&by_name);
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "rows", rows, "added", (json_int_t)counts[0],
                     "removed", (json_int_t)counts[1], "changed", (json_int_t)counts[2], "same",
                     (json_int_t)counts[3]);
}

static void set_tensors(DiffSides *d, const GitDiffFile *file, json_t *o)
{
    const Tensors *old = NULL, *new = NULL;
    Arena *a = request_arena(d->request);
    Hub *hub = hub_of(d->request);
    bool is = tensors_in(file->new_path.len ? file->new_path : file->old_path) &&
              (file->binary || json_is_true(json_object_get(o, "lfs"))) && d->tensors_left > 0;
    d->tensors_left -= is;
    if (is && file->status != 'A' && d->from)
        is = tensors_read(hub, a, d->repo, str_of(d->from), file->old_path, &old, NULL);
    if (is && file->status != 'D')
        is = tensors_read(hub, a, d->repo, str_of(d->to), file->new_path, &new, NULL);
    set(o, "tensors", is ? tensors_json(a, old, new) : json_null());
}

/* ---- Files ---- */

static json_t *file_json(GitRepo *git, DiffSides *d, const GitDiffFile *file)
{
    json_t *o = json_object(), *hunks = json_array();
    bool lfs = lfs_sizes(git, file, o);
    for (size_t i = 0; i < file->n && !lfs; i++)
        json_array_append_new(hunks, hunk_json(&file->hunks[i]));
    set(o, "status",
        json_string(file->status == 'A'   ? "added"
                    : file->status == 'D' ? "deleted"
                    : file->status == 'R' ? "renamed"
                                          : "changed"));
    set_str(o, "path", file->new_path.len ? file->new_path : file->old_path);
    set_str(o, "old_path", file->old_path);
    set(o, "binary", json_boolean(file->binary));
    set(o, "lfs", json_boolean(lfs));
    set(o, "cut", json_boolean(file->cut));
    set(o, "added", json_integer(lfs ? 0 : (json_int_t)file->added));
    set(o, "removed", json_integer(lfs ? 0 : (json_int_t)file->removed));
    set(o, "hunks", hunks);
    set_images(d, file, o);
    set_tensors(d, file, o);
    return o;
}

bool page_set_diff(Request *r, json_t *page, const Repo *repo, const char *from, const char *to,
                   Error *err)
{
    GitDiff diff;
    AUTO(git_repo_free) GitRepo *git = git_repo_open(repo->git_dir, err);
    if (!git || !git_repo_diff(git, from, to, request_arena(r), &diff, err))
        return false;
    json_t *files = json_array();
    int64_t added = 0, removed = 0;
    DiffSides sides = {
        .request = r, .repo = repo, .from = from, .to = to, .tensors_left = MAX_TENSOR_FILES};
    for (size_t i = 0; i < diff.n; i++) {
        json_t *file = file_json(git, &sides, &diff.files[i]);
        added += json_int(file, "added", 0);
        removed += json_int(file, "removed", 0);
        json_array_append_new(files, file);
    }
    set(page, "files", files);
    set(page, "n_changed", json_integer((json_int_t)diff.n_changed));
    set(page, "added", json_integer(added));
    set(page, "removed", json_integer(removed));
    return true;
}
