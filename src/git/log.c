/* log.c: reading commits and walking history; see git.h. */
#include "git_internal.h"

#include "base/clock.h"
#include "base/file.h"

enum {
    COUNT_LIMIT = 1000000,
    LAST_COMMITS_LIMIT = 20000,
    MESSAGE_LIMIT = 65536, // of one message in a listing
};

/* Text from a commit: it may be in any encoding. */
static Str text_of(Arena *a, const char *text)
{
    Str s = str_slice(str_of(text), 0, MESSAGE_LIMIT);
    if (str_is_utf8(s))
        return arena_str(a, s);
    AUTO_BUF fixed;
    buf_init(&fixed, 0);
    for (size_t pos = 0; pos < s.len;) {
        int32_t code = utf8_next(s, &pos);
        buf_add_utf8(&fixed, code < 0 ? 0xFFFD : code);
    }
    return arena_str(a, buf_str(&fixed));
}

void commit_fill(git_commit *commit, Arena *a, GitCommit *out)
{
    const git_signature *author = git_commit_author(commit);
    const git_signature *committer = git_commit_committer(commit);
    *out = (GitCommit){
        .author_name = text_of(a, author->name),
        .author_email = text_of(a, author->email),
        .author_ns = author->when.time * NS_PER_S,
        .committer_name = text_of(a, committer->name),
        .committer_email = text_of(a, committer->email),
        .committer_ns = committer->when.time * NS_PER_S,
        .n_parents = git_commit_parentcount(commit),
    };
    oid_to_hex(git_commit_id(commit), out->id);
    oid_to_hex(git_commit_tree_id(commit), out->tree);
    out->parents = arena_array(a, out->n_parents, GIT_HEX_SIZE);
    for (unsigned i = 0; i < out->n_parents; i++)
        oid_to_hex(git_commit_parent_id(commit, i), out->parents[i]);
    Str message = str_trim(text_of(a, git_commit_message(commit)));
    size_t line = str_find_char(message, '\n', 0);
    out->title = str_trim(str_slice(message, 0, line));
    if (line != SIZE_MAX)
        out->body = str_trim(str_slice(message, line, message.len));
}

bool git_commit_read(GitRepo *r, const char *id, Arena *a, GitCommit *out, Error *err)
{
    AUTO_GIT(git_commit, git_commit_free) *commit = commit_of(r, id, err);
    if (!commit)
        return NULL;
    commit_fill(commit, a, out);
    return true;
}

/* ---- Which commits changed a path ---- */

/* The object at a path of a commit, zero when absent; the root's tree for the empty path. */
static bool oid_at(git_commit *commit, Str path, git_oid *out, Error *err)
{
    AUTO_GIT(git_tree, git_tree_free) *tree = NULL;
    AUTO_GIT(git_tree_entry, git_tree_entry_free) *entry = NULL;
    Error absent;
    *out = (git_oid){0};
    int status = git_commit_tree(&tree, commit);
    if (status < 0)
        return fail_git(err, status, "read a tree");
    if (!path.len) {
        *out = *git_tree_id(tree);
        return true;
    }
    entry = tree_entry_at(tree, path, &absent);
    if (entry)
        *out = *git_tree_entry_id(entry);
    else if (absent.code != ERR_NO_ENTRY) {
        if (err)
            *err = absent;
        return NULL;
    }
    return true;
}

/* As git's history simplification: a commit counts when it differs from each of its parents. */
static bool changes_path(git_commit *commit, Str path, bool *yes, Error *err)
{
    git_oid here, there;
    if (!oid_at(commit, path, &here, err))
        return NULL;
    unsigned n = git_commit_parentcount(commit);
    *yes = n > 0 || !git_oid_is_zero(&here);
    for (unsigned i = 0; i < n && *yes; i++) {
        AUTO_GIT(git_commit, git_commit_free) *parent = NULL;
        int status = git_commit_parent(&parent, commit, i);
        if (status < 0)
            return fail_git(err, status, "read a parent");
        if (!oid_at(parent, path, &there, err))
            return NULL;
        *yes = !git_oid_equal(&here, &there);
    }
    return true;
}

static git_revwalk *walk_new(GitRepo *r, const GitLogParams *p, Error *err)
{
    AUTO_GIT(git_revwalk, git_revwalk_free) *walk = NULL;
    git_oid start, hide;
    if (!hex_to_oid(p->start, &start, err) || (p->hide && !hex_to_oid(p->hide, &hide, err)))
        return NULL;
    int status = git_revwalk_new(&walk, r->git);
    // No sorting: newest first as the walk goes, children before their parents. GIT_SORT_TIME would
    // walk all of history before the first commit, and mix those of one second.
    if (status == 0)
        status = git_revwalk_push(walk, &start);
    if (status == 0 && p->hide)
        status = git_revwalk_hide(walk, &hide);
    if (status < 0)
        return fail_git(err, status, "walk from %s", p->start);
    return TAKE(walk);
}

bool git_repo_log(GitRepo *r, const GitLogParams *p, Arena *a, GitLog *out, Error *err)
{
    *out = (GitLog){0};
    AUTO_GIT(git_revwalk, git_revwalk_free) *walk = walk_new(r, p, err);
    if (!walk || !(out->items = arena_try(a, p->limit, sizeof *out->items, err)))
        return NULL;
    git_oid oid;
    int status;
    size_t seen = 0;
    while (seen < COUNT_LIMIT && (status = git_revwalk_next(&oid, walk)) == 0) {
        bool wanted = seen >= p->skip && out->n < p->limit;
        AUTO_GIT(git_commit, git_commit_free) *commit = NULL;
        if (wanted || p->path.len) {
            status = git_commit_lookup(&commit, r->git, &oid);
            if (status < 0)
                return fail_git(err, status, "read a commit");
        }
        bool matches = true;
        if (p->path.len && !changes_path(commit, p->path, &matches, err))
            return NULL;
        if (!matches)
            continue;
        seen++;
        if (wanted)
            commit_fill(commit, a, &out->items[out->n++]);
        else if (seen > p->skip)
            out->more = true;
        if (out->more && !p->count)
            break;
    }
    out->total = seen;
    return true;
}

bool git_repo_is_ancestor(GitRepo *r, const char *ancestor, const char *commit, bool *yes,
                          Error *err)
{
    git_oid up, down;
    if (!hex_to_oid(ancestor, &up, err) || !hex_to_oid(commit, &down, err))
        return NULL;
    int status = git_oid_equal(&up, &down) ? 1 : git_graph_descendant_of(r->git, &down, &up);
    if (status < 0)
        return fail_git(err, status, "compare %s with %s", ancestor, commit);
    *yes = status == 1;
    return true;
}

/* ---- The last commit of each path ----
 * A group is a commit and the paths that are, unchanged since the start, the same in it. The newest
 * group goes first: a path that some parent has unchanged moves on to that parent's group, the
 * others were changed here. A folder that is the same as a whole moves its paths without a look. */

typedef struct Group {
    git_commit *commit;
    size_t *paths; // indexes into entries
    size_t n;
} Group;

typedef struct Search {
    GitRepo *repo;
    const GitEntries *entries;
    Group *groups; // a heap by time would be faster; there are as many as open branches
    size_t n, cap;
    GitCommit *out;
} Search;

static void group_done(Group *group)
{
    git_commit_free(group->commit);
    free(group->paths);
}

static void search_done(Search *s)
{
    for (size_t i = 0; i < s->n; i++)
        group_done(&s->groups[i]);
    free(s->groups);
}

/* The group of a commit, made when absent; consumes the commit. */
static Group *group_of(Search *s, git_commit *commit)
{
    for (size_t i = 0; i < s->n; i++)
        if (git_oid_equal(git_commit_id(s->groups[i].commit), git_commit_id(commit))) {
            git_commit_free(commit);
            return &s->groups[i];
        }
    if (s->n == s->cap) {
        s->cap = MAX(s->cap * 2, (size_t)8);
        s->groups = xrealloc(s->groups, s->cap * sizeof *s->groups);
    }
    s->groups[s->n] = (Group){.commit = commit, .paths = xcalloc(s->entries->n, sizeof(size_t))};
    return &s->groups[s->n++];
}

static Group take_newest(Search *s)
{
    size_t best = 0;
    for (size_t i = 1; i < s->n; i++)
        if (git_commit_time(s->groups[i].commit) > git_commit_time(s->groups[best].commit))
            best = i;
    Group group = s->groups[best];
    s->groups[best] = s->groups[--s->n];
    return group;
}

/* A commit's folder, kept while the paths that are asked for lie in one. */
typedef struct Folder {
    git_commit *commit;
    Str path;
    bool is_read;
    git_tree *tree; // NULL: there is no such folder
} Folder;

static void folder_done(Folder *f)
{
    git_tree_free(f->tree);
}

static bool folder_enter(Search *s, Folder *f, Str path, Error *err)
{
    if (f->is_read && str_eq(f->path, path))
        return true;
    git_tree_free(f->tree);
    *f = (Folder){.commit = f->commit, .path = path};
    git_oid oid;
    if (!oid_at(f->commit, path, &oid, err))
        return NULL;
    f->is_read = true;
    // A file of that name, or nothing: then nothing is below it.
    if (git_oid_is_zero(&oid) || git_tree_lookup(&f->tree, s->repo->git, &oid) < 0)
        f->tree = NULL;
    return true;
}

static bool is_unchanged(Search *s, Folder *f, const GitEntry *entry, bool *yes, Error *err)
{
    char name[4097], hex[GIT_HEX_SIZE] = "";
    if (!folder_enter(s, f, path_parent(entry->path), err))
        return NULL;
    snprintf(name, sizeof name, "%.*s", STR(path_name(entry->path)));
    const git_tree_entry *there = f->tree ? git_tree_entry_byname(f->tree, name) : NULL;
    if (there)
        oid_to_hex(git_tree_entry_id(there), hex);
    *yes = strcmp(hex, entry->oid) == 0;
    return true;
}

/* Moves the paths that a parent has unchanged to it; the others stay in the group. */
static bool pass_to_parent(Search *s, Group *group, git_commit *parent, Error *err)
{
    __attribute__((cleanup(folder_done))) Folder folder = {.commit = parent};
    size_t stay = 0, n = group->n;
    bool same = git_oid_equal(git_commit_tree_id(parent), git_commit_tree_id(group->commit));
    Group *to = NULL;
    for (size_t i = 0; i < n; i++) {
        bool unchanged = same;
        if (!same &&
            !is_unchanged(s, &folder, &s->entries->items[group->paths[i]], &unchanged, err))
            return NULL;
        if (!unchanged) {
            group->paths[stay++] = group->paths[i];
            continue;
        }
        if (!to) {
            git_commit *copy = NULL;
            CHECK(git_commit_dup(&copy, parent) == 0);
            to = group_of(s, copy);
        }
        to->paths[to->n++] = group->paths[i];
    }
    group->n = stay;
    return true;
}

static bool settle(Search *s, Group *group, Arena *a, Error *err)
{
    for (unsigned i = 0; group->n && i < git_commit_parentcount(group->commit); i++) {
        AUTO_GIT(git_commit, git_commit_free) *parent = NULL;
        int status = git_commit_parent(&parent, group->commit, i);
        if (status < 0)
            return fail_git(err, status, "read a parent");
        if (!pass_to_parent(s, group, parent, err))
            return NULL;
    }
    if (!group->n)
        return true;
    GitCommit filled;
    commit_fill(group->commit, a, &filled);
    for (size_t i = 0; i < group->n; i++)
        s->out[group->paths[i]] = filled;
    return true;
}

bool git_repo_last_commits(GitRepo *r, const char *commit, const GitEntries *entries, Arena *a,
                           GitCommit **out, Error *err)
{
    __attribute__((cleanup(search_done))) Search s = {.repo = r, .entries = entries};
    git_commit *start = commit_of(r, commit, err);
    if (!start)
        return NULL;
    s.out = NEW_ARRAY(a, GitCommit, entries->n);
    Group *first = group_of(&s, start);
    for (size_t i = 0; i < entries->n; i++)
        first->paths[first->n++] = i;
    for (int steps = 0; s.n && steps < LAST_COMMITS_LIMIT; steps++) {
        Group group = take_newest(&s);
        bool ok = settle(&s, &group, a, err);
        group_done(&group);
        if (!ok)
            return NULL;
    }
    *out = s.out;
    return true;
}
