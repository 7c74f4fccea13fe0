/* Stories of a repository: commits made of operations, refs that move once, history and diffs, and
 * what the git program thinks of the result. */
#include "git/git.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#define ME ((GitPerson){.name = S("alice"), .email = S("alice@example.org")})
#define MAIN "refs/heads/main"

static GitRepo *fresh_repo(const char *name)
{
    Error err = {0};
    const char *path = test_path(name);
    assert_ok(git_repo_create(path, "main", &err));
    GitRepo *r = git_repo_open(path, &err);
    assert_ok(r != NULL);
    return r;
}

static GitOp put(GitRepo *r, const char *path, const char *text)
{
    Error err = {0};
    GitOp op = {.kind = GITOP_PUT, .path = str_of(path)};
    assert_ok(git_blob_write(r, str_of(text), op.oid, &err));
    return op;
}

static bool commit_ops(GitRepo *r, const char *title, const GitOp *ops, size_t n, char *out,
                       Error *err)
{
    GitCommitParams p = {
        .ref = MAIN, .message = str_of(title), .author = ME, .ops = ops, .n_ops = n};
    return git_repo_commit(r, &p, out, err);
}

/* One file in a commit of its own. */
static void commit_file(GitRepo *r, const char *path, const char *text, char *out)
{
    Error err = {0};
    GitOp op = put(r, path, text);
    assert_ok(commit_ops(r, path, &op, 1, out, &err));
}

/* The paths of a revision, "a,b/,b/c". */
static const char *paths_of(GitRepo *r, const char *commit)
{
    static char text[4096];
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    GitEntries entries;
    assert_ok(
        git_repo_list(r, &(GitListParams){.commit = commit, .recursive = true}, a, &entries, &err));
    size_t n = 0;
    text[0] = 0;
    for (size_t i = 0; i < entries.n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s%s", i ? "," : "",
                              STR(entries.items[i].path), entries.items[i].is_folder ? "/" : "");
    return text;
}

static void assert_git_fsck(GitRepo *r)
{
    char command[1024];
    snprintf(command, sizeof command, "git --git-dir='%s' fsck --strict --full >/dev/null 2>&1",
             git_repo_path(r));
    assert_int_equal(system(command), 0);
}

static void test_commits_build_trees_from_operations(void **state)
{
    Error err = {0};
    char first[GIT_HEX_SIZE], second[GIT_HEX_SIZE], third[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("ops");
    GitOp ops[] = {put(r, "README.md", "hello\n"), put(r, "data/a.txt", "a"),
                   put(r, "data/b.txt", "b"), put(r, "data/deep/er/c.txt", "c")};
    assert_ok(commit_ops(r, "first", ops, 4, first, &err));
    assert_string_equal(paths_of(r, first), "README.md,data/,data/a.txt,data/b.txt,data/deep/,"
                                            "data/deep/er/,data/deep/er/c.txt");
    GitOp more[] = {{.kind = GITOP_DELETE_FILE, .path = S("data/a.txt")},
                    {.kind = GITOP_DELETE_FOLDER, .path = S("data/deep/")},
                    {.kind = GITOP_COPY, .path = S("copy.txt"), .source_path = S("data/a.txt")},
                    put(r, "data/b.txt", "old"),
                    put(r, "data/b.txt", "new")};
    assert_ok(commit_ops(r, "second", more, 5, second, &err));
    assert_string_equal(paths_of(r, second), "README.md,copy.txt,data/,data/b.txt");
    AUTO_BUF text;
    buf_init(&text, 100);
    assert_ok(git_repo_read(r, second, S("data/b.txt"), &text, &err));
    assert_str(buf_str(&text), "new");

    GitOp rest[] = {
        {.kind = GITOP_DELETE_FILE, .path = S("data/b.txt")},
        {.kind = GITOP_COPY, .path = S("old"), .source_path = S("data"), .source_commit = ""}};
    memcpy(rest[1].source_commit, first, sizeof first);
    assert_ok(commit_ops(r, "an empty folder vanishes", rest, 2, third, &err));
    assert_string_equal(paths_of(r, third),
                        "README.md,copy.txt,old/,old/a.txt,old/b.txt,old/deep/,old/deep/er/,"
                        "old/deep/er/c.txt");
    assert_git_fsck(r);
}

static void test_refuses_operations_that_make_no_sense(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], out[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("bad-ops");
    commit_file(r, "file", "x", head);
    GitOp missing = {.kind = GITOP_DELETE_FILE, .path = S("nothing")};
    assert_fails(commit_ops(r, "t", &missing, 1, out, &err), ERR_NO_ENTRY,
                 "A file with the name \"nothing\" does not exist");
    GitOp folder = {.kind = GITOP_DELETE_FOLDER, .path = S("file")};
    assert_fails(commit_ops(r, "t", &folder, 1, out, &err), ERR_NO_ENTRY, "A folder with");
    GitOp below = put(r, "file/below", "x");
    assert_fails(commit_ops(r, "t", &below, 1, out, &err), ERR_INVALID, "in the way");
    GitOp absent = {
        .kind = GITOP_PUT, .path = S("a"), .oid = "1234567890123456789012345678901234567890"};
    assert_fails(commit_ops(r, "t", &absent, 1, out, &err), ERR_CORRUPT, "write a folder");
    GitOp copy = {.kind = GITOP_COPY, .path = S("a"), .source_path = S("b")};
    assert_fails(commit_ops(r, "t", &copy, 1, out, &err), ERR_NO_ENTRY, "Entry not found");
    assert_ok(git_ref_read(r, MAIN, out, &err));
    assert_string_equal(out, head);
}

static void test_an_unchanged_tree_makes_no_commit(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], again[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("unchanged");
    commit_file(r, "file", "x", head);
    commit_file(r, "file", "x", again);
    assert_string_equal(head, again);
    GitCommitParams p = {.ref = MAIN, .message = S("empty"), .author = ME, .allow_empty = true};
    assert_ok(git_repo_commit(r, &p, again, &err));
    assert_string_not_equal(head, again);
}

static void test_paths_that_mean_git_are_refused(void **state)
{
    Error err = {0};
    static const char *const bad[] = {".git/config",
                                      "a/.GIT/hooks/x",
                                      ".git",
                                      ".git. ",
                                      "git~1/x",
                                      "GIT~1",
                                      "..",
                                      "a/../b",
                                      "/a",
                                      "a//b",
                                      "a\\b",
                                      ".g\xE2\x80\x8Cit/config",
                                      ".git::$INDEX_ALLOCATION/x",
                                      "",
                                      ".git:a-long-stream-name-here",
                                      ".gi\xEF\xBB\xBFt",
                                      "a/.git . ."};
    for (size_t i = 0; i < COUNT(bad); i++)
        if (git_path_check(str_of(bad[i]), &err))
            fail_msg("'%s' was accepted", bad[i]);
    static const char *const good[] = {".gitattributes", ".gitignore", ".github/x", "git",
                                       "git~12",         "a.git/b",    "x.git",     ".gitx:y",
                                       "naïve/模型.bin"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_ok(git_path_check(str_of(good[i]), &err));
}

static void test_a_named_parent_must_be_the_head(void **state)
{
    Error err = {0};
    char first[GIT_HEX_SIZE], second[GIT_HEX_SIZE], out[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("parent");
    commit_file(r, "a", "1", first);
    GitOp op = put(r, "a", "2");
    GitCommitParams p = {.ref = MAIN,
                         .parent = first,
                         .message = S("second\n\nwith a body"),
                         .author = ME,
                         .ops = &op,
                         .n_ops = 1};
    assert_ok(git_repo_commit(r, &p, second, &err));
    op = put(r, "a", "3");
    assert_fails(git_repo_commit(r, &p, out, &err), ERR_STALE, "not at");
    p.parent = NULL;
    p.base = first;
    assert_fails(git_repo_commit(r, &p, out, &err), ERR_EXISTS, "already exists");
    p.ref = "refs/pr/1";
    assert_ok(git_repo_commit(r, &p, out, &err));
    AUTO(arena_free) Arena *a = arena_new(0);
    GitCommit commit;
    assert_ok(git_commit_read(r, out, a, &commit, &err));
    assert_string_equal(commit.parents[0], first);
    assert_str(commit.title, "second");
    assert_str(commit.body, "with a body");
    assert_str(commit.author_name, "alice");
}

/* ---- Two at once ---- */

typedef struct Racer {
    pthread_t thread;
    const char *path;
    int number;
} Racer;

enum { RACERS = 4, LAPS = 8 };

static void *race(void *user)
{
    Racer *racer = user;
    Error err = {0};
    AUTO(git_repo_free) GitRepo *r = git_repo_open(racer->path, &err);
    for (int i = 0; r && i < LAPS; i++) {
        char name[32], head[GIT_HEX_SIZE];
        snprintf(name, sizeof name, "%d-%d", racer->number, i);
        GitOp op = {.kind = GITOP_PUT, .path = str_of(name)};
        if (!git_blob_write(r, str_of(name), op.oid, &err) ||
            !commit_ops(r, name, &op, 1, head, &err))
            return racer;
    }
    return r ? NULL : racer;
}

static void test_commits_at_once_all_land(void **state)
{
    Error err = {0};
    AUTO(git_repo_free) GitRepo *r = fresh_repo("race");
    Racer racers[RACERS];
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (Racer){.path = git_repo_path(r), .number = i};
        pthread_create(&racers[i].thread, NULL, race, &racers[i]);
    }
    for (int i = 0; i < RACERS; i++) {
        void *failed;
        pthread_join(racers[i].thread, &failed);
        assert_null(failed);
    }
    char head[GIT_HEX_SIZE];
    AUTO(arena_free) Arena *a = arena_new(0);
    GitLog log;
    GitEntries entries;
    assert_ok(git_ref_read(r, MAIN, head, &err));
    assert_ok(
        git_repo_log(r, &(GitLogParams){.start = head, .limit = 5, .count = true}, a, &log, &err));
    assert_int_equal(log.total, RACERS * LAPS);
    assert_int_equal(log.n, 5);
    assert_true(log.more);
    assert_ok(git_repo_list(r, &(GitListParams){.commit = head}, a, &entries, &err));
    assert_int_equal(entries.n, RACERS * LAPS);
    assert_git_fsck(r);
}

static void test_a_lock_left_by_a_killed_process_is_removed(void **state)
{
    char head[GIT_HEX_SIZE], lock[600];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("stale-lock");
    commit_file(r, "a", "1", head);
    snprintf(lock, sizeof lock, "%s/%s.lock", git_repo_path(r), MAIN);
    close(open(lock, O_CREAT | O_WRONLY, 0644));
    struct utimbuf old = {time(NULL) - 100, time(NULL) - 100};
    assert_int_equal(utime(lock, &old), 0);
    commit_file(r, "a", "2", head);
    assert_false(file_exists(lock));
}

/* ---- Refs ---- */

static void test_revisions_resolve(void **state)
{
    Error err = {0};
    char first[GIT_HEX_SIZE], second[GIT_HEX_SIZE], out[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("resolve");
    assert_fails(git_repo_resolve(r, S("main"), out, &err), ERR_NO_REVISION, "Invalid rev id");
    commit_file(r, "a", "1", first);
    commit_file(r, "a", "2", second);
    assert_ok(git_ref_create(r, "refs/heads/feature/x", first, &err));
    assert_ok(git_tag_make(r, "v1", first, S("the first"), ME, &err));
    assert_ok(git_tag_make(r, "v2", second, (Str){0}, ME, &err));
    assert_ok(git_ref_create(r, "refs/pr/1", second, &err));
    const struct {
        const char *rev, *commit;
    } rows[] = {{"main", second}, {"", second},   {"HEAD", second},      {"feature/x", first},
                {"v1", first},    {"v2", second}, {"refs/pr/1", second}, {"refs/tags/v1", first},
                {first, first}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_ok(git_repo_resolve(r, str_of(rows[i].rev), out, &err));
        assert_string_equal(out, rows[i].commit);
    }
    assert_ok(git_repo_resolve(r, str_slice(str_of(first), 0, 8), out, &err));
    assert_string_equal(out, first);
    static const char *const bad[] = {
        "no", "main~1", "main^",   "refs/heads",
        "..", "@{1}",   "abcdef1", "0000000000000000000000000000000000000000"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(git_repo_resolve(r, str_of(bad[i]), out, &err), ERR_NO_REVISION, bad[i]);
}

static void test_refs_are_made_once_and_listed(void **state)
{
    Error err = {0};
    char first[GIT_HEX_SIZE], second[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("refs");
    AUTO(arena_free) Arena *a = arena_new(0);
    commit_file(r, "a", "1", first);
    commit_file(r, "a", "2", second);
    assert_ok(git_ref_create(r, "refs/heads/dev", first, &err));
    assert_fails(git_ref_create(r, "refs/heads/dev", first, &err), ERR_EXISTS,
                 "Reference refs/heads/dev already exists");
    assert_fails(git_ref_create(r, "refs/heads/dev/x", first, &err), ERR_EXISTS, "refs/heads/dev");
    assert_ok(git_ref_create(r, "refs/heads/deep/x", first, &err));
    assert_fails(git_ref_create(r, "refs/heads/deep", first, &err), ERR_EXISTS, "deep/x");
    static const char *const bad[] = {"refs/heads/", "refs/heads/a..b",   "refs/heads/a b",
                                      "heads/x",     "refs/heads/x.lock", "refs/heads/-\x01"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_fails(git_ref_create(r, bad[i], first, &err), ERR_INVALID, "Invalid reference");
    assert_fails(git_ref_update(r, "refs/heads/dev", first, second, &err), ERR_STALE, "not at");
    assert_ok(git_ref_update(r, "refs/heads/dev", second, first, &err));
    GitRefs refs;
    assert_ok(git_repo_refs(r, "refs/heads/", a, &refs, &err));
    assert_int_equal(refs.n, 3);
    assert_str(refs.items[0].short_name, "deep/x");
    assert_string_equal(refs.items[1].commit, second);
    assert_fails(git_ref_delete(r, MAIN, &err), ERR_CONFLICT, "Cannot delete refs/heads/main");
    // Packed refs as well.
    char command[700];
    snprintf(command, sizeof command, "git --git-dir='%s' pack-refs --all", git_repo_path(r));
    assert_int_equal(system(command), 0);
    assert_ok(git_ref_delete(r, "refs/heads/dev", &err));
    assert_fails(git_ref_delete(r, "refs/heads/dev", &err), ERR_NO_REVISION, "Invalid rev id");
    assert_fails(git_ref_create(r, "refs/heads/deep/x/y", first, &err), ERR_EXISTS, "deep/x");
}

static void test_squash_leaves_one_commit(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], squashed[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("squash");
    AUTO(arena_free) Arena *a = arena_new(0);
    commit_file(r, "a", "1", head);
    commit_file(r, "b", "2", head);
    assert_ok(git_repo_squash(r, MAIN, S("all in one"), ME, squashed, &err));
    GitCommit old, new;
    assert_ok(git_commit_read(r, head, a, &old, &err));
    assert_ok(git_commit_read(r, squashed, a, &new, &err));
    assert_int_equal(new.n_parents, 0);
    assert_string_equal(old.tree, new.tree);
    bool yes;
    assert_ok(git_repo_is_ancestor(r, head, squashed, &yes, &err));
    assert_false(yes);
    assert_fails(git_repo_squash(r, "refs/heads/no", S("m"), ME, squashed, &err), ERR_NO_REVISION,
                 "Invalid rev id");
}

static void test_a_file_is_forgotten_by_the_whole_history(void **state)
{
    Error err = {0};
    char first[GIT_HEX_SIZE], second[GIT_HEX_SIZE], head[GIT_HEX_SIZE], kept[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("forget");
    AUTO(arena_free) Arena *a = arena_new(0);
    commit_file(r, "README", "hello", first);
    commit_file(r, "deep/er/big", "secret", second);
    commit_file(r, "deep/copy", "secret", head);
    commit_file(r, "other", "stays", head);
    assert_ok(git_ref_create(r, "refs/heads/old", first, &err));
    assert_ok(git_ref_create(r, "refs/pr/1", second, &err));
    assert_ok(git_tag_make(r, "v1", second, S("a release"), ME, &err));
    GitOp gone[] = {{.kind = GITOP_DELETE_FILE, .path = S("deep/copy")}};
    assert_ok(commit_ops(r, "tidy", gone, 1, head, &err));
    assert_string_equal(paths_of(r, head), "README,deep/,deep/er/,deep/er/big,other");

    char blobs[3][GIT_HEX_SIZE];
    Str paths[3];
    git_blob_oid(S("secret"), blobs[0]);
    git_blob_oid(S("stays"), blobs[1]);
    git_blob_oid(S("was never here"), blobs[2]);
    assert_ok(git_repo_names(r, blobs, 3, 100, a, paths, &err));
    assert_str(paths[0], "deep/er/big");
    assert_str(paths[1], "other");
    assert_str(paths[2], "");

    assert_ok(git_repo_forget(r, blobs, 1, &err));
    assert_ok(git_ref_read(r, "refs/heads/old", kept, &err));
    assert_string_equal(kept, first); // what never had it is as it was
    assert_ok(git_ref_read(r, MAIN, head, &err));
    assert_string_equal(paths_of(r, head), "README,other");
    assert_ok(git_ref_read(r, "refs/pr/1", second, &err));
    assert_string_equal(paths_of(r, second), "README");
    assert_ok(git_ref_read(r, "refs/tags/v1", kept, &err));
    assert_string_equal(kept, second);
    assert_ok(git_repo_names(r, blobs, 2, 100, a, paths, &err));
    assert_str(paths[0], "");
    assert_str(paths[1], "other");
    GitLog log;
    assert_ok(git_repo_log(r, &(GitLogParams){.start = head, .limit = 9}, a, &log, &err));
    assert_int_equal(log.n, 5); // also those in which nothing is left
    assert_str(log.items[0].title, "tidy");
    assert_str(log.items[0].author_name, "alice");
    assert_git_fsck(r);
    // Again there is nothing to do.
    assert_ok(git_repo_forget(r, blobs, 1, &err));
    assert_ok(git_ref_read(r, MAIN, kept, &err));
    assert_string_equal(kept, head);
}

static void test_a_folder_that_was_the_whole_is_forgotten(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], blobs[1][GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("forget-moved");
    commit_file(r, "deep/big", "secret", head);
    // The tree of the folder is the commit's own from now on, and then the folder's again.
    GitOp up[] = {{.kind = GITOP_DELETE_FILE, .path = S("deep/big")}, put(r, "big", "secret")};
    assert_ok(commit_ops(r, "up", up, 2, head, &err));
    GitOp down[] = {{.kind = GITOP_DELETE_FILE, .path = S("big")}, put(r, "far/big", "secret")};
    assert_ok(commit_ops(r, "down", down, 2, head, &err));
    git_blob_oid(S("secret"), blobs[0]);
    assert_ok(git_repo_forget(r, blobs, 1, &err));
    assert_ok(git_ref_read(r, MAIN, head, &err));
    assert_string_equal(paths_of(r, head), "");
    assert_git_fsck(r);
}

/* ---- Trees and blobs ---- */

/* A commit of one file on top of `base`, at a ref of its own. */
static void commit_aside(GitRepo *r, const char *ref, const char *base, const char *path,
                         const char *text, char *out)
{
    Error err = {0};
    GitOp op = put(r, path, text);
    GitCommitParams p = {
        .ref = ref, .base = base, .message = S("aside"), .author = ME, .ops = &op, .n_ops = 1};
    assert_ok(git_repo_commit(r, &p, out, &err));
}

static void test_a_copy_has_branches_and_tags_and_nothing_else(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], aside[GIT_HEX_SIZE], found[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("original");
    commit_file(r, "a", "1", head);
    commit_file(r, "b", "2", head);
    assert_ok(git_ref_create(r, "refs/heads/other", head, &err));
    assert_ok(git_tag_make(r, "v1", head, S("a release"), ME, &err));
    commit_aside(r, "refs/pr/1", head, "proposed", "3", aside);
    AUTO(git_repo_free) GitRepo *copy = fresh_repo("copy");
    assert_ok(git_repo_copy(git_repo_path(r), git_repo_path(copy), &err));
    assert_ok(git_ref_read(copy, MAIN, found, &err));
    assert_string_equal(found, head);
    assert_string_equal(paths_of(copy, found), "a,b");
    assert_ok(git_ref_read(copy, "refs/heads/other", found, &err));
    assert_ok(git_ref_read(copy, "refs/tags/v1", found, &err));
    assert_string_equal(found, head);
    assert_fails(git_ref_read(copy, "refs/pr/1", found, &err), ERR_NO_REVISION, "refs/pr/1");
    assert_fails(git_repo_resolve(copy, str_of(aside), found, &err), ERR_NO_REVISION, "Invalid");
    assert_git_fsck(copy);
    // It stands alone.
    assert_ok(git_repo_delete(git_repo_path(r), &err));
    commit_file(copy, "c", "4", head);
    assert_string_equal(paths_of(copy, head), "a,b,c");
}

static void test_merges_squash_or_name_what_is_in_the_way(void **state)
{
    Error err = {0};
    AUTO(git_repo_free) GitRepo *r = fresh_repo("merge");
    AUTO(arena_free) Arena *a = arena_new(0);
    char base[GIT_HEX_SIZE], head[GIT_HEX_SIZE], clean[GIT_HEX_SIZE], clash[GIT_HEX_SIZE];
    char merged[GIT_HEX_SIZE], found[GIT_HEX_SIZE];
    Str *paths;
    size_t n;
    GitCommit commit;
    commit_file(r, "a", "1\n", base);
    commit_aside(r, "refs/pr/1", base, "b", "new\n", clean);
    commit_aside(r, "refs/pr/2", base, "a", "theirs\n", clash);
    commit_file(r, "a", "ours\n", head);
    assert_ok(git_repo_merge_base(r, head, clean, found, &err));
    assert_string_equal(found, base);
    assert_ok(git_repo_conflicts(r, head, clean, a, &paths, &n, &err));
    assert_int_equal(n, 0);
    assert_ok(git_repo_conflicts(r, head, clash, a, &paths, &n, &err));
    assert_int_equal(n, 1);
    assert_str(paths[0], "a");
    GitMergeParams p = {.ref = MAIN, .from = clash, .message = S("Merge (#2)"), .author = ME};
    assert_fails(git_repo_merge(r, &p, merged, &err), ERR_CONFLICT, "both sides changed a");
    p.from = base;
    assert_fails(git_repo_merge(r, &p, merged, &err), ERR_INVALID, "nothing to merge");
    p.from = clean;
    assert_ok(git_repo_merge(r, &p, merged, &err));
    assert_ok(git_commit_read(r, merged, a, &commit, &err));
    assert_int_equal(commit.n_parents, 1);
    assert_string_equal(commit.parents[0], head);
    assert_string_equal(paths_of(r, merged), "a,b");
    assert_git_fsck(r);
}

static void test_lists_in_pages_that_add_up(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("pages");
    GitOp ops[] = {put(r, "a.b", "1"), put(r, "a/x", "2"), put(r, "a/y/z", "3"), put(r, "a0", "4"),
                   put(r, "b/c", "5")};
    assert_ok(commit_ops(r, "t", ops, COUNT(ops), head, &err));
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF seen;
    buf_init(&seen, 0);
    GitListParams p = {.commit = head, .recursive = true, .limit = 2};
    for (GitEntries page = {.more = true}; page.more;) {
        assert_ok(git_repo_list(r, &p, a, &page, &err));
        assert_true(page.n > 0 && page.n <= 2);
        for (size_t i = 0; i < page.n; i++)
            buf_printf(&seen, "%.*s ", STR(page.items[i].path));
        p.after = page.items[page.n - 1].path;
    }
    assert_str(buf_str(&seen), "a.b a a/x a/y a/y/z a0 b b/c ");
    GitEntries entries;
    p = (GitListParams){.commit = head, .folder = S("a"), .after = S("a/x")};
    assert_ok(git_repo_list(r, &p, a, &entries, &err));
    assert_int_equal(entries.n, 1);
    assert_str(entries.items[0].path, "a/y");
    p = (GitListParams){.commit = head, .folder = S("a.b")};
    assert_fails(git_repo_list(r, &p, a, &entries, &err), ERR_NO_ENTRY, "not a folder");
    p = (GitListParams){.commit = head, .folder = S("q")};
    assert_fails(git_repo_list(r, &p, a, &entries, &err), ERR_NO_ENTRY, "Entry not found");
    p = (GitListParams){.commit = head, .after = S("q")};
    assert_fails(git_repo_list(r, &p, a, &entries, &err), ERR_INVALID, "is not in");
}

static void test_lfs_pointers_show_the_real_size(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("lfs");
    AUTO(arena_free) Arena *a = arena_new(0);
    const char *oid = "4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8";
    AUTO_BUF pointer;
    buf_init(&pointer, 0);
    git_lfs_format(&pointer, oid, 12345678901);
    assert_int_equal(pointer.len, 125 + 11);
    commit_file(r, "model.safetensors", pointer.ptr, head);
    GitEntry entry;
    assert_ok(git_repo_entry(r, head, S("model.safetensors"), a, &entry, &err));
    assert_true(entry.is_lfs);
    assert_int_equal(entry.size, 12345678901);
    assert_int_equal(entry.blob_size, 136);
    assert_string_equal(entry.lfs_oid, oid);
    static const char *const not_pointers[] = {
        "version https://git-lfs.github.com/spec/v1\noid sha256:xyz\nsize 1\n",
        "version https://example.org/v1\noid "
        "sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nsize 1\n",
        "version https://git-lfs.github.com/spec/v1\noid "
        "sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nsize -1\n",
        "version https://git-lfs.github.com/spec/v1\noid "
        "sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nno size here\n"};
    GitLfsPointer parsed;
    for (size_t i = 0; i < COUNT(not_pointers); i++)
        assert_false(git_lfs_parse(str_of(not_pointers[i]), &parsed));
}

static void test_blobs_go_in_and_out(void **state)
{
    Error err = {0};
    AUTO(git_repo_free) GitRepo *r = fresh_repo("blobs");
    char oid[GIT_HEX_SIZE], same[GIT_HEX_SIZE];
    size_t n = 300000;
    char *bytes = xmalloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)(i * i >> 3);
    AUTO_FD int fd = open(test_path("bytes"), O_CREAT | O_RDWR, 0600);
    assert_ok(fd_write_all(fd, bytes, n, &err));
    assert_ok(git_blob_write_fd(r, fd, (int64_t)n, oid, &err));
    git_blob_oid((Str){bytes, n}, same);
    assert_string_equal(oid, same);
    git_blob_oid((Str){0}, same);
    assert_string_equal(same, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    AUTO_BUF out;
    buf_init(&out, n);
    assert_ok(git_blob_read(r, oid, &out, &err));
    assert_memory_equal(out.ptr, bytes, n);
    free(bytes);
    AUTO_BUF small;
    buf_init(&small, n - 1);
    assert_fails(git_blob_read(r, oid, &small, &err), ERR_LIMIT, "300000");
    assert_fails(git_blob_write_fd(r, fd, (int64_t)n + 1, oid, &err), ERR_INVALID, "file ends");
}

/* ---- History and differences ---- */

static void test_each_path_knows_its_last_commit(void **state)
{
    Error err = {0};
    char ids[5][GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("last");
    AUTO(arena_free) Arena *a = arena_new(0);
    commit_file(r, "a", "1", ids[0]);
    commit_file(r, "d/x", "1", ids[1]);
    commit_file(r, "d/y", "1", ids[2]);
    commit_file(r, "a", "2", ids[3]);
    commit_file(r, "d/x", "2", ids[4]);
    GitEntries entries;
    assert_ok(
        git_repo_list(r, &(GitListParams){.commit = ids[4], .recursive = true}, a, &entries, &err));
    GitCommit *last;
    assert_ok(git_repo_last_commits(r, ids[4], &entries, a, &last, &err));
    const int expected[] = {3, 4, 4, 2}; // a, d, d/x, d/y
    assert_int_equal(entries.n, COUNT(expected));
    for (size_t i = 0; i < entries.n; i++)
        assert_string_equal(last[i].id, ids[expected[i]]);
    GitLog log;
    assert_ok(git_repo_log(r, &(GitLogParams){.start = ids[4], .path = S("d"), .limit = 10}, a,
                           &log, &err));
    assert_int_equal(log.n, 3);
    assert_string_equal(log.items[2].id, ids[1]);
    GitLogParams page = {.start = ids[4], .skip = 1, .limit = 2, .count = true};
    assert_ok(git_repo_log(r, &page, a, &log, &err));
    assert_string_equal(log.items[0].id, ids[3]);
    assert_int_equal(log.total, 5);
    page = (GitLogParams){.start = ids[4], .hide = ids[2], .limit = 9};
    assert_ok(git_repo_log(r, &page, a, &log, &err));
    assert_int_equal(log.n, 2);
}

static void test_diffs_show_lines_renames_and_binaries(void **state)
{
    Error err = {0};
    char one[GIT_HEX_SIZE], two[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("diff");
    AUTO(arena_free) Arena *a = arena_new(0);
    GitOp ops[] = {put(r, "a", "one\ntwo\nthree\n"), put(r, "b", "moved as it is\n"),
                   put(r, "c", "gone")};
    assert_ok(commit_ops(r, "one", ops, 3, one, &err));
    GitOp more[] = {put(r, "a", "one\n2\nthree\n"),
                    {.kind = GITOP_COPY, .path = S("z"), .source_path = S("b")},
                    {.kind = GITOP_DELETE_FILE, .path = S("b")},
                    {.kind = GITOP_DELETE_FILE, .path = S("c")},
                    {.kind = GITOP_PUT, .path = S("bin")}};
    assert_ok(git_blob_write(r, S("\0\1\2binary"), more[4].oid, &err));
    assert_ok(commit_ops(r, "two", more, 5, two, &err));
    GitDiff diff;
    assert_ok(git_repo_diff(r, one, two, a, &diff, &err));
    assert_int_equal(diff.n, 4);
    const GitDiffFile *f = diff.files;
    assert_str(f[0].new_path, "a");
    assert_int_equal(f[0].status, 'M');
    assert_int_equal(f[0].added, 1);
    assert_int_equal(f[0].removed, 1);
    assert_str(f[0].hunks[0].header, "@@ -1,3 +1,3 @@");
    assert_int_equal(f[0].hunks[0].lines[1].kind, '-');
    assert_str(f[0].hunks[0].lines[1].text, "two");
    assert_int_equal(f[0].hunks[0].lines[2].new_no, 2);
    assert_str(f[1].new_path, "bin");
    assert_true(f[1].binary);
    assert_int_equal(f[1].new_size, 9);
    assert_int_equal(f[2].status, 'D');
    assert_int_equal(f[3].status, 'R');
    assert_str(f[3].old_path, "b");
    AUTO_BUF text;
    buf_init(&text, 4096);
    assert_ok(git_repo_diff_text(r, one, two, &text, &err));
    assert_non_null(strstr(text.ptr, "-two\n+2\n"));
    assert_ok(git_repo_diff(r, NULL, one, a, &diff, &err));
    assert_int_equal(diff.n, 3);
    AUTO_BUF small;
    buf_init(&small, 10);
    assert_fails(git_repo_diff_text(r, one, two, &small, &err), ERR_LIMIT, "10 bytes");
}

/* ---- Pushes ---- */

static bool note_path(void *user, const GitEntry *entry, Error *err)
{
    if (str_eq(entry->path, S("refused")))
        return fail(err, ERR_INVALID, "no");
    buf_printf(user, "%.*s ", STR(entry->path));
    return true;
}

static void test_new_files_are_those_no_ref_reaches(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], out[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("news");
    commit_file(r, "old", "1", head);
    GitOp ops[] = {put(r, "a/b", "2"), put(r, "a/c", "3"), put(r, "z", "1")};
    GitCommitParams p = {.ref = "refs/heads/x",
                         .base = head,
                         .message = S("m"),
                         .author = ME,
                         .ops = ops,
                         .n_ops = 3};
    assert_ok(git_repo_commit(r, &p, out, &err));
    AUTO_BUF seen;
    buf_init(&seen, 0);
    assert_ok(git_repo_new_files(r, out, note_path, &seen, &err));
    assert_int_equal(seen.len, 0);
    assert_ok(git_ref_delete(r, "refs/heads/x", &err));
    assert_ok(git_repo_new_files(r, out, note_path, &seen, &err));
    assert_str(buf_str(&seen), "a/b a/c z ");
    assert_fails(git_repo_new_files(r, ops[0].oid, note_path, &seen, &err), ERR_INVALID,
                 "not a commit");
    GitOp bad = put(r, "refused", "x");
    p.ops = &bad;
    p.n_ops = 1;
    assert_ok(git_repo_commit(r, &p, out, &err));
    assert_ok(git_ref_delete(r, "refs/heads/x", &err));
    assert_fails(git_repo_new_files(r, out, note_path, &seen, &err), ERR_INVALID, "no");
}

/* ---- Repositories ---- */

static void test_many_objects_are_rolled_up(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE], name[16];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("care");
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%d", i);
        commit_file(r, name, name, head);
    }
    assert_false(git_repo_needs_care(git_repo_path(r)));
    // As many as there would be with about 7,000 in all.
    char folder[700], path[800];
    snprintf(folder, sizeof folder, "%s/objects/17", git_repo_path(r));
    (void)mkdir(folder, 0755);
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%s/tmp_obj_%d", folder, i);
        close(open(path, O_CREAT | O_WRONLY, 0644));
    }
    assert_true(git_repo_needs_care(git_repo_path(r)));
    assert_ok(git_repo_care(git_repo_path(r), &err));
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%s/tmp_obj_%d", folder, i);
        unlink(path);
    }
    // The repository that was open meanwhile finds its objects in the pack.
    commit_file(r, "after", "x", head);
    assert_string_equal(paths_of(r, head), "0,1,10,11,2,3,4,5,6,7,8,9,after");
    assert_git_fsck(r);
}

static void test_repositories_move_and_go(void **state)
{
    Error err = {0};
    char head[GIT_HEX_SIZE];
    AUTO(git_repo_free) GitRepo *r = fresh_repo("here");
    commit_file(r, "a", "1", head);
    const char *to = test_path("some/where/else");
    assert_fails(git_repo_create(git_repo_path(r), "main", &err), ERR_EXISTS, "is there");
    assert_ok(git_repo_move(git_repo_path(r), to, &err));
    assert_null(git_repo_open(git_repo_path(r), &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    AUTO(git_repo_free) GitRepo *moved = git_repo_open(to, &err);
    assert_ok(moved != NULL);
    assert_ok(git_ref_read(moved, MAIN, head, &err));
    AUTO(git_repo_free) GitRepo *other = fresh_repo("other");
    assert_fails(git_repo_move(git_repo_path(other), to, &err), ERR_EXISTS, "move");
    assert_ok(git_repo_delete(to, &err));
    assert_fails(git_repo_delete(to, &err), ERR_NOT_FOUND, "delete");
    assert_false(file_exists(to));
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_commits_build_trees_from_operations, test_refuses_operations_that_make_no_sense,
               test_an_unchanged_tree_makes_no_commit, test_paths_that_mean_git_are_refused,
               test_a_named_parent_must_be_the_head, test_commits_at_once_all_land,
               test_a_lock_left_by_a_killed_process_is_removed, test_revisions_resolve,
               test_refs_are_made_once_and_listed, test_squash_leaves_one_commit,
               test_a_file_is_forgotten_by_the_whole_history,
               test_a_folder_that_was_the_whole_is_forgotten,
               test_a_copy_has_branches_and_tags_and_nothing_else,
               test_merges_squash_or_name_what_is_in_the_way, test_lists_in_pages_that_add_up,
               test_lfs_pointers_show_the_real_size, test_blobs_go_in_and_out,
               test_each_path_knows_its_last_commit, test_diffs_show_lines_renames_and_binaries,
               test_new_files_are_those_no_ref_reaches, test_many_objects_are_rolled_up,
               test_repositories_move_and_go);
}
