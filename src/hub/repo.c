/* repo.c: finding, making, moving and deleting repositories; who may do what.
 *
 * A repository's git folder is named by its id and made, with its first commit, before its row: so
 * whatever has a row is whole, and a crash in between leaves a folder that nothing names. */
#include "base/clock.h"
#include "base/file.h"
#include "hub/notification_sql.h"
#include "hub/webhook_internal.h"

bool repo_id_split(Str id, Str *owner, Str *name)
{
    size_t slash = str_find_char(id, '/', 0);
    *owner = str_slice(id, 0, slash);
    *name = slash == SIZE_MAX ? (Str){0} : str_slice(id, slash + 1, id.len);
    return owner->len && name->len && str_find_char(*name, '/', 0) == SIZE_MAX;
}

/* The viewer's role in an organisation by its id; empty if none. */
static Str role_in(const Viewer *viewer, Str owner)
{
    const Account *account = &viewer->account;
    for (size_t i = 0; i < account->n_others && !account->is_org; i++)
        if (str_eq(account->others[i].id, owner))
            return account->others[i].role;
    return (Str){0};
}

/* What the account may do in a namespace, whatever the credential. */
static Access access_of_role(const Viewer *viewer, Str owner)
{
    if (viewer->by == BY_NOBODY)
        return ACCESS_NONE;
    if (str_eq(viewer->account.id, owner) || viewer->account.is_admin)
        return ACCESS_ADMIN;
    Str role = role_in(viewer, owner);
    return str_eq(role, S("admin"))   ? ACCESS_ADMIN
           : str_eq(role, S("write")) ? ACCESS_WRITE
           : role.len                 ? ACCESS_READ
                                      : ACCESS_NONE;
}

Access access_with(const Viewer *viewer, Str owner, Permission read, Permission write)
{
    Access access = access_of_role(viewer, owner);
    Permissions may = viewer_permissions(viewer, owner);
    if (may & 1u << write)
        return access;
    return may & 1u << read ? MIN(access, ACCESS_READ) : ACCESS_NONE;
}

Access access_in(const Viewer *viewer, Str owner)
{
    return access_with(viewer, owner, MAY_ORG_READ, MAY_ORG_WRITE);
}

/* Those who may write in a namespace may also delete, rename and set what is there, as on
 * huggingface.co; contributors may with what they made, and see the rest. */
static Access access_to_repo(const Viewer *viewer, Repo *repo, Str owner)
{
    Access role = access_of_role(viewer, owner);
    bool made = repo->creator.len && str_eq(repo->creator, viewer->account.id);
    if (role >= ACCESS_WRITE || (made && str_eq(role_in(viewer, owner), S("contributor"))))
        role = ACCESS_ADMIN;
    Permissions may = viewer_permissions(viewer, owner) | viewer_permissions(viewer, repo->id);
    Access allowed = may & 1u << MAY_REPO_WRITE  ? ACCESS_ADMIN
                     : may & 1u << MAY_REPO_PUSH ? ACCESS_WRITE
                     : may & 1u << MAY_REPO_READ ? ACCESS_READ
                                                 : ACCESS_NONE;
    Access access = MIN(role, allowed);
    repo->sees_requests =
        access >= ACCESS_WRITE || (role >= ACCESS_WRITE && may & 1u << MAY_REPO_ACCESS);
    if (!repo->is_private)
        access = MAX(access, ACCESS_READ);
    bool discusses = may & (1u << MAY_DISCUSS | 1u << MAY_REPO_PUSH | 1u << MAY_REPO_WRITE);
    if (access == ACCESS_READ && discusses && !repo->discussions_off)
        access = ACCESS_PROPOSE;
    return access;
}

/* Is a gate before the files of this repository open to the viewer? */
static bool gate_opens(Hub *hub, const Viewer *viewer, const Repo *repo, Str owner, bool *open,
                       Error *err)
{
    Permissions may = viewer_permissions(viewer, owner) | viewer_permissions(viewer, repo->id);
    bool reads = may & (1u << MAY_REPO_READ | 1u << MAY_REPO_PUSH | 1u << MAY_REPO_WRITE);
    *open = !repo->gated.len || (reads && access_of_role(viewer, owner) >= ACCESS_READ);
    if (*open || !(reads || (viewer->rights && viewer->rights->reads_gated)))
        return true;
    return gate_is_open(hub, viewer, repo->id, open, err);
}

bool repo_could_read(const Viewer *viewer, const Repo *repo, Str owner)
{
    Repo gone = *repo;
    return access_to_repo(viewer, &gone, owner) >= ACCESS_READ &&
           (!gone.gated.len || access_of_role(viewer, owner) >= ACCESS_READ);
}

static bool need_met(const Viewer *viewer, const Repo *repo, Access need, Error *err)
{
    if (repo->is_disabled)
        return fail(err, ERR_DENIED, "Access to this resource is disabled.");
    if (need == ACCESS_FILES && repo->gate)
        return fail(err, ERR_GATED,
                    "Access to %s %.*s is restricted and you are not in the authorized list. Visit "
                    "its page to ask for access.",
                    repo_kind_info(repo->kind)->name, STR(repo->full));
    if (repo->access >= need || (need == ACCESS_FILES && repo->access >= ACCESS_READ))
        return true;
    if (viewer->by == BY_NOBODY)
        return fail(err, ERR_UNAUTHENTICATED, "Log in or send a token to change %.*s",
                    STR(repo->full));
    if (viewer->rights)
        return fail(err, ERR_DENIED,
                    "This token or its owner may not do this with %.*s; it takes the permission %s",
                    STR(repo->full),
                    permission_info(need == ACCESS_PROPOSE ? MAY_DISCUSS : MAY_REPO_WRITE)->name);
    if (!viewer->can_write)
        return fail(err, ERR_DENIED, "This token may only read; changing %.*s needs a write token",
                    STR(repo->full));
    if (need == ACCESS_PROPOSE)
        return fail(err, ERR_DENIED, "Discussions are disabled for %.*s", STR(repo->full));
    return fail(err, ERR_DENIED, "You may not change %.*s", STR(repo->full));
}

/* A row as it was found, for a second at most: see lookup_key. */
typedef struct FoundRepo {
    Cached cached;
    Arena *arena;
    Repo repo;
    Str owner; // the account's id
} FoundRepo;

static void found_free(Cached *cached)
{
    arena_free(((FoundRepo *)cached)->arena); // holds the thing itself
}

static FoundRepo *repo_look_up(Hub *hub, RepoKind kind, Str key, Str cache_key, Error *err)
{
    Arena *arena = arena_new(0);
    FoundRepo *found = NEW(arena, FoundRepo);
    found->arena = arena;
    found->cached = (Cached){.refs = 1, .key = arena_str(arena, cache_key), .free = found_free};
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_repo_find(c, arena, kind, key, &found->repo, &found->owner, err)) {
            cached_unref(found);
            return NULL;
        }
    }
    found->repo.git_dir = repo_git_dir(hub, arena, found->repo.id);
    found->cached.bytes = arena_used(arena);
    cache_add(hub->lookups, &found->cached);
    return found;
}

bool repo_find(Hub *hub, Arena *a, const Viewer *viewer, RepoKind kind, Str id, Access need,
               Repo *out, Error *err)
{
    Str key = name_key(a, id);
    Str cache_key = lookup_key(hub, a, repo_kind_info(kind)->name, key);
    FoundRepo *found = (FoundRepo *)cache_find(hub->lookups, cache_key);
    if (!found && !(found = repo_look_up(hub, kind, key, cache_key, err)))
        return false;
    arena_defer(a, cached_unref, found);
    Repo repo = found->repo;
    repo.access = access_to_repo(viewer, &repo, found->owner);
    if (repo.access == ACCESS_NONE)
        return fail(err, ERR_NO_REPO, "Repository not found");
    bool open = false;
    if (!gate_opens(hub, viewer, &repo, found->owner, &open, err))
        return false;
    repo.gate = !open;
    if (!need_met(viewer, &repo, need, err))
        return false;
    *out = repo;
    return true;
}

/* ---- Making ---- */

static const char model_attributes[] =
    "*.7z *.arrow *.bin *.bz2 *.ckpt *.ftz *.gguf *.gz *.h5 *.joblib *.lfs.* *.mlmodel *.model "
    "*.msgpack *.npy *.npz *.onnx *.ot *.parquet *.pb *.pickle *.pkl *.pt *.pth *.rar "
    "*.safetensors saved_model/**/* *.tar.* *.tar *.tflite *.tgz *.wasm *.xz *.zip *.zst "
    "*tfevents*";
static const char dataset_attributes[] =
    " *.lz4 *.mds *.pcm *.sam *.raw *.aac *.flac *.mp3 *.ogg *.wav *.bmp *.gif *.png *.tiff "
    "*.jpg *.jpeg *.webp *.mp4 *.webm";

static Str attributes_text(Arena *a, RepoKind kind)
{
    Str patterns = str_of(
        arena_printf(a, "%s%s", model_attributes, kind == REPO_DATASET ? dataset_attributes : ""));
    AUTO_BUF out;
    buf_init(&out, 0);
    for (Str pattern; str_split(&patterns, ' ', &pattern);)
        buf_printf(&out, "%.*s filter=lfs diff=lfs merge=lfs -text\n", STR(pattern));
    return arena_str(a, buf_str(&out));
}

static Str space_readme(Arena *a, const NewRepo *new)
{
    static const char *const colors[] = {"red",    "yellow", "green", "blue",
                                         "indigo", "purple", "pink",  "gray"};
    size_t pick = str_hash(new->name);
    bool gradio = str_eq(new->sdk, S("gradio"));
    return str_of(arena_printf(
        a,
        "---\ntitle: %.*s\nemoji: \xF0\x9F\x9A\x80\ncolorFrom: %s\ncolorTo: %s\nsdk: %.*s\n%s"
        "pinned: false\n%s%.*s%s---\n\n# %.*s\n",
        STR(new->name), colors[pick % COUNT(colors)], colors[(pick / 8 + 3) % COUNT(colors)],
        STR(new->sdk), gradio ? "app_file: app.py\n" : "", new->license.len ? "license: " : "",
        STR(new->license), new->license.len ? "\n" : "", STR(new->name)));
}

static bool sdk_check(const NewRepo *new, Error *err)
{
    static const char *const sdks[] = {"gradio", "docker", "static", "streamlit"};
    if (new->kind != REPO_SPACE)
        return true;
    for (size_t i = 0; i < COUNT(sdks); i++)
        if (str_eq(new->sdk, str_of(sdks[i])))
            return true;
    return fail(err, ERR_INVALID, "a Space needs an sdk: gradio, docker, static or streamlit");
}

/* The git folder with its first commit: sha. */
static bool repo_lay_out(Arena *a, const Viewer *viewer, const NewRepo *new, const char *git_dir,
                         char sha[GIT_HEX_SIZE], Error *err)
{
    AUTO(git_repo_free) GitRepo *git = NULL;
    if (!git_repo_create(git_dir, "main", err) || !(git = git_repo_open(git_dir, err)))
        return false;
    NewFile ours[2] = {{S(".gitattributes"), attributes_text(a, new->kind)}};
    size_t n_ours = 1;
    if (new->kind == REPO_SPACE)
        ours[n_ours++] = (NewFile){S("README.md"), space_readme(a, new)};
    else if (new->license.len)
        ours[n_ours++] =
            (NewFile){S("README.md"),
                      str_of(arena_printf(a, "---\nlicense: %.*s\n---\n", STR(new->license)))};
    GitOp *ops = NEW_ARRAY(a, GitOp, n_ours + new->n_files);
    for (size_t i = 0; i < n_ours + new->n_files; i++) {
        const NewFile *file = i < n_ours ? &ours[i] : &new->files[i - n_ours];
        ops[i] = (GitOp){.kind = GITOP_PUT, .path = file->path};
        if (!git_path_check(file->path, err) || !git_blob_write(git, file->bytes, ops[i].oid, err))
            return false;
    }
    GitCommitParams commit = {.ref = "refs/heads/main",
                              .message = S("initial commit"),
                              .author = person_of(a, viewer),
                              .ops = ops,
                              .n_ops = n_ours + new->n_files};
    return git_repo_commit(git, &commit, sha, err);
}

bool repo_store(Hub *hub, const Repo *repo, Str owner_id, Str head, const SharedBlobs *shared,
                Error *err)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    WebhookEvent event = {.action = "create", .scope = "repo", .repo = repo, .head = head};
    Error seen = {0};
    bool stored = false;
    {
        AUTO(conn_end) Conn *c = db_write(hub->db, &seen);
        stored = c && sql_repo_add(c, repo, name_key(a, repo->full), owner_id, &seen);
        for (size_t i = 0; stored && i < shared->n; i++)
            stored = sql_blob_share(c, shared->from, repo->id, repo->creator, shared->sha256[i],
                                    wall_ns(), &seen);
        stored = stored && webhook_record(c, hub, &event, &seen) && conn_commit(c, &seen);
    }
    if (stored)
        return true;
    (void)!git_repo_delete(repo->git_dir, NULL);
    if (seen.code == ERR_EXISTS) // also when it is there but not for these eyes
        return fail(err, ERR_EXISTS, "You already created this %s repo",
                    repo_kind_info(repo->kind)->name);
    *(err ? err : &seen) = seen;
    return false;
}

/* May the viewer make repositories in this namespace? */
static bool namespace_check(Hub *hub, Arena *a, const Viewer *viewer, Str name, Account *owner,
                            Error *err)
{
    if (viewer->by == BY_NOBODY)
        return fail(err, ERR_UNAUTHENTICATED, "Log in or send a token to make a repository");
    if (!viewer->can_write && !viewer->rights)
        return fail(err, ERR_DENIED,
                    "This token may only read; making a repository needs a "
                    "write token");
    Error seen = {0};
    bool may = account_find(hub, a, name, owner, &seen);
    if (!may && seen.code != ERR_NOT_FOUND) {
        *(err ? err : &seen) = seen;
        return false;
    }
    if (may)
        may = access_of_role(viewer, owner->id) >= ACCESS_WRITE ||
              str_eq(role_in(viewer, owner->id), S("contributor"));
    if (!may)
        return fail(err, ERR_DENIED,
                    "You don't have the rights to create a repository under "
                    "the namespace \"%.*s\"",
                    STR(name));
    if (!(viewer_permissions(viewer, owner->id) & 1u << MAY_REPO_WRITE))
        return fail(err, ERR_DENIED, "This token lacks the permission %s on %.*s",
                    permission_info(MAY_REPO_WRITE)->name, STR(owner->name));
    return true;
}

bool repo_vacancy(Hub *hub, Arena *a, const Viewer *viewer, RepoKind kind, Str owner_name, Str name,
                  Account *owner, Repo *there, Error *err)
{
    if (!name_check(name, err) || !namespace_check(hub, a, viewer, owner_name, owner, err))
        return false;
    Str full = str_of(arena_printf(a, "%.*s/%.*s", STR(owner->name), STR(name)));
    // Looked for first: mostly it is there already (exist_ok), and then nothing is to be undone.
    if (repo_find(hub, a, viewer, kind, full, ACCESS_READ, there, NULL) && !there->moved)
        return fail(err, ERR_EXISTS, "You already created this %s repo",
                    repo_kind_info(kind)->name);
    *there = (Repo){.id = id_new(a),
                    .kind = kind,
                    .full = full,
                    .name = name,
                    .creator = viewer->account.id,
                    .created_ns = wall_ns()};
    there->git_dir = repo_git_dir(hub, a, there->id);
    return true;
}

bool repo_create(Hub *hub, Arena *a, const Viewer *viewer, const NewRepo *new, Repo *out,
                 Error *err)
{
    Account owner;
    Repo repo;
    Error seen = {0};
    char sha[GIT_HEX_SIZE] = "";
    Str namespace = new->owner.len ? new->owner : viewer->account.name;
    if (!sdk_check(new, err))
        return false;
    if (!repo_vacancy(hub, a, viewer, new->kind, namespace, new->name, &owner, &repo, &seen)) {
        if (seen.code == ERR_EXISTS)
            *out = repo;
        *(err ? err : &seen) = seen;
        return false;
    }
    repo.is_private = new->by_default ? owner.repos_private : new->is_private;
    if (!repo_lay_out(a, viewer, new, repo.git_dir, sha, err)) {
        (void)!git_repo_delete(repo.git_dir, NULL);
        return false;
    }
    return repo_store(hub, &repo, owner.id, str_of(sha), &(SharedBlobs){0}, err) &&
           repo_find(hub, a, viewer, new->kind, repo.full, ACCESS_READ, out, err) &&
           repo_index(hub, out, err);
}

bool repo_remove_in(Conn *c, Hub *hub, const Repo *repo, Error *err)
{
    WebhookEvent event = {.action = "delete", .scope = "repo", .repo = repo};
    return webhook_record(c, hub, &event, err) && sql_webhook_forget_repo(c, repo, err) &&
           sql_removals_add(c, repo->id, err) && sql_search_remove(c, repo->id, err) &&
           sql_watches_forget(c, repo->id, err) && sql_repo_remove(c, repo->id, err);
}

bool repo_delete(Hub *hub, const Repo *repo, Error *err)
{
    {
        AUTO(conn_end) Conn *c = db_write(hub->db, err);
        if (!c || !repo_remove_in(c, hub, repo, err) || !conn_commit(c, err))
            return false;
    }
    return removals_run(hub, err);
}

bool repo_rename_in(Conn *c, Hub *hub, Arena *a, const Repo *repo, Str full, Str name, Str owner,
                    Error *err)
{
    Error seen = {0};
    WebhookEvent event = {
        .action = "move", .scope = "repo", .repo = repo, .moved_to = full, .moved_owner = owner};
    if (!webhook_record(c, hub, &event, err))
        return false;
    if (!sql_repo_rename(c, repo, name_key(a, repo->full), name_key(a, full), full, name, owner,
                         &seen)) {
        if (seen.code == ERR_EXISTS)
            return fail(err, ERR_EXISTS, "A %s repository called `%.*s` already exists",
                        repo_kind_info(repo->kind)->name, STR(full));
        *(err ? err : &seen) = seen;
        return false;
    }
    // The words of its name are found a little later: by sweep.c, without a look into git here.
    return sql_repo_unindex(c, repo->id, 0, err);
}

bool repo_move(Hub *hub, Arena *a, const Viewer *viewer, const Repo *repo, Str to, Error *err)
{
    Str owner_name, name;
    Account owner;
    if (!repo_id_split(to, &owner_name, &name))
        return fail(err, ERR_INVALID, "'%.*s' is not of the form owner/name", STR(to));
    if (!name_check(name, err) || !namespace_check(hub, a, viewer, owner_name, &owner, err))
        return false;
    Str full = str_of(arena_printf(a, "%.*s/%.*s", STR(owner.name), STR(name)));
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && repo_rename_in(c, hub, a, repo, full, name, owner.id, err) && conn_commit(c, err);
}

/* What of its settings changes, as webhooks hear of it; NULL if nothing does. */
static json_t *settings_json(const Repo *old, const Repo *new)
{
    json_t *out = json_object();
    if (old->is_private != new->is_private)
        json_object_set_new(out, "private", json_boolean(new->is_private));
    if (old->discussions_off != new->discussions_off)
        json_object_set_new(out, "discussionsDisabled", json_boolean(new->discussions_off));
    if (!str_eq(old->gated, new->gated))
        json_object_set_new(out, "gated",
                            new->gated.len ? json_from_str(new->gated) : json_false());
    if (json_object_size(out))
        return out;
    json_decref(out);
    return NULL;
}

bool repo_change(Hub *hub, const Repo *repo, const RepoSettings *settings, Error *err)
{
    Repo changed = *repo;
    if (settings->is_private)
        changed.is_private = *settings->is_private;
    if (settings->discussions_off)
        changed.discussions_off = *settings->discussions_off;
    if (settings->gated) {
        changed.gated = *settings->gated;
        if (changed.gated.len && !str_eq(changed.gated, S("auto")) &&
            !str_eq(changed.gated, S("manual")))
            return fail(err, ERR_INVALID, "gated: \"auto\", \"manual\" or false");
    }
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    if (!c || !sql_repo_set(c, &changed, wall_ns(), err))
        return false;
    AUTO(json_decref) json_t *config = settings_json(repo, &changed);
    WebhookEvent event = {
        .action = "update", .scope = "repo.config", .repo = &changed, .config = config};
    return (!config || webhook_record(c, hub, &event, err)) && conn_commit(c, err);
}

/* ---- Likes, downloads, lists ---- */

bool repo_like(Hub *hub, const Viewer *viewer, const Repo *repo, bool like, Error *err)
{
    if (!viewer_need(viewer, MAY_SOCIAL, err))
        return false;
    AUTO(conn_end) Conn *c = db_write(hub->db, err);
    return c && sql_like(c, repo->id, viewer->account.id, like, wall_ns(), err) &&
           conn_commit(c, err);
}

bool repo_is_liked(Hub *hub, const Viewer *viewer, const Repo *repo, bool *liked, Error *err)
{
    *liked = false;
    if (viewer->by == BY_NOBODY)
        return true;
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_liked(c, repo->id, viewer->account.id, liked, err);
}

/* "6B", "350M", "1.5b", "7000" */
static bool count_parse(Str text, int64_t *out)
{
    static const struct {
        char letter;
        double scale;
    } units[] = {{'K', 1e3}, {'M', 1e6}, {'B', 1e9}, {'T', 1e12}};
    double number, scale = 1;
    for (size_t i = 0; text.len && i < COUNT(units); i++)
        if (toupper((unsigned char)text.ptr[text.len - 1]) == units[i].letter) {
            scale = units[i].scale;
            text.len--;
            break;
        }
    if (!str_to_double(text, &number) || !(number >= 0 && number * scale < 9e18))
        return false;
    *out = (int64_t)(number * scale);
    return true;
}

bool parameter_range_parse(Str text, ParameterRange *out, Error *err)
{
    ParameterRange range = {0};
    Str part;
    while (str_split(&text, ',', &part)) {
        bool is_min = str_starts(part, S("min:")), is_max = str_starts(part, S("max:"));
        if (!(is_min || is_max) ||
            !count_parse(str_slice(part, 4, part.len), is_min ? &range.min : &range.max))
            return fail(err, ERR_INVALID, "num_parameters: \"min:6B,max:128B\", or one of the two");
    }
    *out = range;
    return true;
}

bool repo_list(Hub *hub, Arena *a, const Viewer *viewer, const RepoQuery *query, RepoPage *out,
               Error *err)
{
    if (query->limit < 1 || query->limit > 1000)
        return fail(err, ERR_INVALID, "limit: 1 to 1000");
    RepoQuery asked = *query;
    asked.text = str_trim(str_slice(query->text, 0, MAX_SEARCH_TEXT));
    {
        AUTO(conn_end) Conn *c = db_read(hub->db, err);
        if (!c || !sql_repo_list(c, a, viewer, &asked, out, err))
            return false;
    }
    for (size_t i = 0; i < out->n; i++)
        out->items[i].repo.git_dir = repo_git_dir(hub, a, out->items[i].repo.id);
    return true;
}

bool repo_tag_counts(Hub *hub, Arena *a, RepoKind kind, int64_t limit, TagCount **out, size_t *n,
                     Error *err)
{
    AUTO(conn_end) Conn *c = db_read(hub->db, err);
    return c && sql_tag_counts(c, a, kind, limit, out, n, err);
}
