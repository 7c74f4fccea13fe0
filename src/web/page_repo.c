/* page_repo.c: a repository's first page: its card beside what it is and how to use it. */
#include "web/page_repo.h"

#include "base/encode.h"
#include "hub/gates.h"
#include "hub/notifications.h"
#include "hub/tensors.h"
#include "web/highlight.h"
#include "web/markdown.h"
#include "web/web_internal.h"

static json_t *repo_json(Request *r, const Repo *repo)
{
    Error err = {0};
    bool liked = false, watched = false;
    json_t *o = json_object();
    const RepoKindInfo *kind = repo_kind_info(repo->kind);
    if (!watch_is_on(hub_of(r), web_viewer(r), repo, NULL, &watched, &err))
        watched = false;
    if (web_is_known(r) && !repo_is_liked(hub_of(r), web_viewer(r), repo, &liked, &err))
        liked = false;
    set(o, "kind", json_string(kind->name));
    set(o, "plural", json_string(kind->plural));
    set_str(o, "owner", repo->owner);
    set_str(o, "name", repo->name);
    set_str(o, "full", repo->full);
    set_str(o, "path", repo_path(request_arena(r), repo));
    set(o, "private", json_boolean(repo->is_private));
    set(o, "gated", json_boolean(repo->gated.len > 0));
    set(o, "likes", json_count(repo->likes));
    set(o, "downloads", json_count(repo->downloads));
    set(o, "liked", json_boolean(liked));
    set(o, "watched", json_boolean(watched));
    set(o, "can_propose", json_boolean(repo->access >= ACCESS_PROPOSE && !repo->discussions_off));
    set(o, "can_write", json_boolean(repo->access >= ACCESS_WRITE));
    set(o, "can_admin", json_boolean(repo->access >= ACCESS_ADMIN));
    return o;
}

/* Tags that say something, each a link to the list of its like. */
static json_t *chips_json(const Repo *repo, const RepoInfo *info)
{
    static const struct {
        const char *prefix, *param;
    } kinds[] = {{"license:", "license"},      {"task_categories:", "pipeline_tag"},
                 {"language:", "language"},    {"dataset:", "other"},
                 {"size_categories:", "size"}, {"format:", "format"}};
    static const char *const dull[] = {
        "region:",   "base_model:",          "library:",
        "modality:", "endpoints_compatible", "text-generation-inference"};
    json_t *out = json_array();
    for (size_t i = 0; info && i < info->n_tags && json_array_size(out) < 16; i++) {
        Str tag = info->tags[i];
        const char *param = "other", *kind = "";
        bool skip = str_eq(tag, info->pipeline_tag);
        for (size_t k = 0; k < COUNT(dull); k++)
            skip = skip || str_starts(tag, str_of(dull[k]));
        Str label = tag;
        for (size_t k = 0; k < COUNT(kinds); k++)
            if (str_starts(tag, str_of(kinds[k].prefix))) {
                param = kinds[k].param;
                kind = kinds[k].param;
                label = str_slice(tag, strlen(kinds[k].prefix), tag.len);
            }
        if (skip)
            continue;
        json_t *chip = json_object();
        set_str(chip, "label", label);
        set_str(chip, "tag", tag);
        set(chip, "param", json_string(param));
        set(chip, "kind", json_string(kind));
        json_array_append_new(out, chip);
    }
    (void)repo;
    return out;
}

void page_set_repo(Request *r, json_t *page, const Repo *repo, const char *tab, Str rev)
{
    Error err = {0};
    const RepoInfo *info = NULL;
    if (!repo_info(hub_of(r), request_arena(r), repo, (Str){0}, &info, &err))
        info = NULL;
    set(page, "repo", repo_json(r, repo));
    set(page, "section", json_string(repo_kind_info(repo->kind)->plural));
    set(page, "tab", json_string(tab));
    AUTO_BUF escaped;
    buf_init(&escaped, 0);
    url_encode(&escaped, rev, "");
    set_str(page, "rev", rev);
    set_str(page, "rev_url", buf_str(&escaped)); // one segment: a slash in a branch is %2F
    set(page, "chips", chips_json(repo, info));
    set(page, "task", info ? task_label(info->pipeline_tag) : json_string(""));
    set_str(page, "task_tag", info ? info->pipeline_tag : (Str){0});
    set(page, "n_files", json_integer(info ? (json_int_t)info->n_files : 0));
    DiscussionPage open = {0};
    DiscussionQuery query = {.status = S("open"), .limit = 1};
    if (!discussion_list(hub_of(r), request_arena(r), repo, &query, &open, &err))
        open.total = 0;
    set(page, "n_discussions", json_integer(open.total));
}

/* ---- How to use it ---- */

static void add_use(json_t *list, const char *id, const char *label, const char *language,
                    const char *code)
{
    AUTO_BUF html;
    buf_init(&html, 0);
    highlight(&html, str_of(code), str_of(language));
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "id", id, "label", label, "code",
                                          code, "html", json_from_str(buf_str(&html))));
}

static json_t *uses_json(Request *r, const Repo *repo, const RepoInfo *info)
{
    Arena *a = request_arena(r);
    json_t *list = json_array();
    const char *url = web_url(r), *id = arena_cstr(a, repo->full);
    const char *path = arena_cstr(a, repo_path(a, repo));
    bool text = info && str_eq(info->pipeline_tag, S("text-generation"));
    if (repo->kind == REPO_DATASET && info && info_has_tag(info, S("library:datasets")))
        add_use(list, "datasets", "datasets", "python",
                arena_printf(a,
                             "import os\nos.environ[\"HF_ENDPOINT\"] = \"%s\"\n\n"
                             "from datasets import load_dataset\n\n"
                             "dataset = load_dataset(\"%s\")",
                             url, id));
    if (repo->kind == REPO_MODEL && text) {
        add_use(list, "curl", "curl", "bash",
                arena_printf(a,
                             "curl %s/models/%s \\\n  -H \"Authorization: Bearer $HF_TOKEN\" \\\n"
                             "  -d '{\"inputs\": \"Once upon a time\"}'",
                             url, id));
        add_use(list, "python", "Python", "python",
                arena_printf(a,
                             "import os\nos.environ[\"HF_ENDPOINT\"] = \"%s\"\n\n"
                             "from transformers import pipeline\n\n"
                             "generate = pipeline(\"text-generation\", \"%s\")\n"
                             "print(generate(\"Once upon a time\"))",
                             url, id));
        add_use(list, "hug", "hug", "bash",
                arena_printf(a,
                             "export HF_ENDPOINT=%s\n"
                             "hug generate %s \"Once upon a time\"\nhug chat %s",
                             url, id, id));
    } else {
        const char *type = repo_kind_info(repo->kind)->name;
        add_use(list, "python", "Python", "python",
                arena_printf(a,
                             "import os\nos.environ[\"HF_ENDPOINT\"] = \"%s\"\n\n"
                             "from huggingface_hub import snapshot_download\n\n"
                             "folder = snapshot_download(\"%s\", repo_type=\"%s\")",
                             url, id, type));
        add_use(list, "hug", "hug", "bash",
                arena_printf(a, "export HF_ENDPOINT=%s\nhug download %s --repo-type %s", url, id,
                             type));
    }
    add_use(list, "git", "git", "bash",
            arena_printf(a, "git lfs install\ngit clone %s%s", url, path));
    return list;
}

/* ---- What it is ---- */

static json_t *dtypes_json(const json_t *safetensors)
{
    json_t *out = json_array();
    const char *name;
    json_t *n;
    json_t *counts = json_object_get(safetensors, "parameters");
    double total = 0;
    json_object_foreach(counts, name, n) total += json_number_value(n);
    json_object_foreach(counts, name, n) json_array_append_new(
        out, json_pack("{s:s, s:o, s:i}", "name", name, "count", json_count(json_integer_value(n)),
                       "percent", (int)(total > 0 ? json_number_value(n) * 100 / total + 0.5 : 0)));
    return out;
}

static void set_facts(Arena *a, json_t *page, const Repo *repo, const RepoInfo *info)
{
    int64_t parameters = info ? json_int(info->safetensors, "total", 0) : 0;
    if (info && !parameters)
        parameters = json_int(info->gguf, "total", 0);
    set(page, "size", json_size(info ? info->bytes : 0));
    set(page, "updated", json_when(info ? info->modified_ns : repo->updated_ns));
    set(page, "created", json_when(repo->created_ns));
    set(page, "parameters", parameters ? json_count(parameters) : json_null());
    set(page, "dtypes", dtypes_json(info ? info->safetensors : NULL));
    Str weights = info && repo->kind == REPO_MODEL ? tensors_of_model(info) : (Str){0};
    set(page, "weights",
        weights.len ? json_from_str(rev_path(a, repo, "blob", S("main"), weights)) : json_null());
    set_str(page, "library", info ? info->library : (Str){0});
    set(page, "architecture",
        json_string(
            info ? json_text(info->gguf, "architecture", json_text(info->config, "model_type", ""))
                 : ""));
}

/* ---- The card ---- */

static bool is_account(void *user, Str name)
{
    Request *r = user;
    Account account;
    return account_find(hub_of(r), request_arena(r), name, &account, NULL);
}

static Str render(Request *r, const Repo *repo, Str rev, Str text, bool mentions)
{
    Arena *a = request_arena(r);
    AUTO_BUF escaped;
    AUTO_BUF html;
    buf_init(&escaped, 0);
    buf_init(&html, 8 << 20);
    url_encode(&escaped, rev, "");
    Str path = repo_path(a, repo);
    MarkdownOptions options = {
        .link_base = str_of(arena_printf(a, "%.*s/blob/%s/", STR(path), escaped.ptr)),
        .image_base = str_of(arena_printf(a, "%.*s/resolve/%s/", STR(path), escaped.ptr)),
        .is_account = mentions ? is_account : NULL,
        .user = r};
    markdown_html(text, &options, &html);
    return arena_str(a, buf_str(&html));
}

Str page_markdown(Request *r, const Repo *repo, Str rev, Str text)
{
    return render(r, repo, rev, text, false);
}

Str page_comment(Request *r, const Repo *repo, Str text)
{
    return render(r, repo, S("main"), text, true);
}

static Str card_html(Request *r, const Repo *repo, Str rev)
{
    Error err = {0};
    RepoFile file;
    Str readme, yaml, text;
    if (!repo_file(hub_of(r), request_arena(r), repo, rev, S("README.md"), &file, &err) ||
        file.entry.is_lfs ||
        !repo_file_bytes(hub_of(r), request_arena(r), repo, &file, MARKDOWN_MAX, &readme, &err))
        return (Str){0};
    card_split(readme, &yaml, &text);
    return str_trim(text).len ? page_markdown(r, repo, rev, text) : (Str){0};
}

/* Examples that the card gives for the panel: widget: [{text, example_title}]. */
static json_t *examples_json(const RepoInfo *info)
{
    json_t *out = json_array();
    const json_t *widget = info ? json_object_get(info->card, "widget") : NULL;
    for (size_t i = 0; i < json_array_size(widget) && i < 5; i++) {
        Str text = json_str(json_array_get(widget, i), "text");
        Str title = json_str(json_array_get(widget, i), "example_title");
        if (!text.len)
            continue;
        json_t *row = json_object();
        set_str(row, "text", text);
        set_str(row, "title", title.len ? title : str_slice(text, 0, 40));
        json_array_append_new(out, row);
    }
    return out;
}

static void set_try(json_t *page, const Repo *repo, const RepoInfo *info, const Tried *tried)
{
    Str task = info ? info->pipeline_tag : (Str){0};
    const Task *known = task.len ? task_find(task) : NULL;
    bool can = repo->kind == REPO_MODEL && !repo->gate && known && known->streams;
    bool chat = can && (json_at(info->config, "tokenizer_config.chat_template") ||
                        json_at(info->config, "chat_template_jinja") ||
                        json_at(info->gguf, "chat_template"));
    set(page, "try_panel", json_boolean(can));
    set(page, "try_chat", json_boolean(chat));
    set(page, "examples", examples_json(info));
    set_str(page, "prompt", tried ? tried->prompt : (Str){0});
    set_str(page, "output", tried ? tried->output : (Str){0});
    set_str(page, "try_problem", tried ? tried->problem : (Str){0});
    set_str(page, "try_stats", tried ? tried->stats : (Str){0});
}

/* ---- Its gate ---- */

/* One question of the card's extra_gated_fields: "text", "checkbox", "date_picker", "country", or
 * {"type": "select", "options": [...]}. */
static json_t *question_json(const char *label, const json_t *kind)
{
    const char *type =
        json_is_string(kind) ? json_string_value(kind) : json_text(kind, "type", "text");
    json_t *options = json_array();
    const json_t *given = json_object_get(kind, "options");
    for (size_t i = 0; i < json_array_size(given) && i < 100; i++) {
        const json_t *option = json_array_get(given, i);
        const char *text =
            json_is_string(option) ? json_string_value(option) : json_text(option, "label", "");
        json_array_append_new(options, json_string(text));
    }
    return json_pack("{s:s, s:s, s:o}", "label", label, "type", type, "options", options);
}

static bool set_gate(Request *r, json_t *page, const Repo *repo, const RepoInfo *info, Error *err)
{
    const json_t *card = info ? info->card : NULL;
    AccessRequest request = {0};
    if (repo->gate &&
        !gate_of_viewer(hub_of(r), request_arena(r), web_viewer(r), repo, &request, err))
        return false;
    json_t *questions = json_array();
    const char *label;
    json_t *kind;
    json_object_foreach(json_object_get(card, "extra_gated_fields"), label, kind)
    {
        if (json_array_size(questions) < MAX_QUESTIONS)
            json_array_append_new(questions, question_json(label, kind));
    }
    json_t *gate = json_pack("{s:b, s:b, s:o}", "closed", repo->gate, "manual",
                             str_eq(repo->gated, S("manual")), "questions", questions);
    set_str(gate, "status", request.status);
    set_str(gate, "reason", request.reason);
    set(gate, "heading",
        json_string(json_text(card, "extra_gated_heading", "You need to ask for these files")));
    set(gate, "prompt", json_string(json_text(card, "extra_gated_prompt", "")));
    set(gate, "description", json_string(json_text(card, "extra_gated_description", "")));
    set(gate, "button",
        json_string(json_text(card, "extra_gated_button_content", "Ask for access")));
    set(page, "gate", gate);
    return true;
}

/* The answers to the card's questions, as a JSON object. */
static Str answers_of(Request *r, const Params *form)
{
    AUTO(json_decref) json_t *answers = json_object();
    for (size_t i = 0; i < form->n; i++) {
        Str name = form->items[i].name, prefix = S("field:");
        if (str_starts(name, prefix))
            json_object_set_new(answers,
                                arena_cstr(request_arena(r), str_slice(name, prefix.len, name.len)),
                                json_from_str(form->items[i].value));
    }
    AUTO_BUF text;
    buf_init(&text, 0);
    if (json_object_size(answers))
        json_write(&text, answers);
    return arena_str(request_arena(r), buf_str(&text));
}

static void ask(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    AccessRequest request;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_READ, &repo))
        return;
    if (!gate_ask(hub_of(r), request_arena(r), web_viewer(r), &repo, answers_of(r, &form), &request,
                  &err) &&
        err.code != ERR_EXISTS)
        return reply_error(r, &err);
    reply_redirect(r, 303, repo_path(request_arena(r), &repo));
}

void page_repo(Request *r, const Repo *repo, int status, const Tried *tried)
{
    Error err = {0};
    const RepoInfo *info = NULL;
    Arena *a = request_arena(r);
    if (!repo_info(hub_of(r), a, repo, (Str){0}, &info, &err)) {
        if (err.code != ERR_NO_REVISION)
            return reply_error(r, &err);
        info = NULL;
    }
    json_t *page = page_new(r, arena_cstr(a, repo->full));
    page_set_repo(r, page, repo, "card", S("main"));
    set_facts(a, page, repo, info);
    set(page, "uses", uses_json(r, repo, info));
    set_str(page, "card", info ? card_html(r, repo, S("main")) : (Str){0});
    set_str(page, "card_error", info ? info->card_error : (Str){0});
    set_try(page, repo, info, tried);
    page_set_lineage(r, page, repo, info);
    if (!set_gate(r, page, repo, info, &err)) {
        json_decref(page);
        return reply_error(r, &err);
    }
    page_render(r, status, "repo", page);
}

static void repo(Request *r)
{
    Repo found;
    if (web_repo(r, ACCESS_READ, &found))
        page_repo(r, &found, 200, NULL);
}

static void like(Request *r)
{
    Params form;
    Error err = {0};
    Repo found;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_READ, &found))
        return;
    bool on = str_eq(params_get(&form, "like"), S("yes"));
    if (!repo_like(hub_of(r), web_viewer(r), &found, on, &err))
        return reply_error(r, &err);
    reply_redirect(r, 303, web_next(params_get(&form, "next")));
}

const Route web_repo_routes[] = {
    {"GET", "/{owner}/{name}", repo, .summary = "A model"},
    {"GET", "/datasets/{owner}/{name}", repo, .summary = "A dataset"},
    {"GET", "/spaces/{owner}/{name}", repo, .summary = "A Space"},
    EACH_KIND("POST", "/ask-access", ask, WEB_LOGGED_IN, "Ask for access"),
    EACH_KIND("POST", "/like", like, WEB_LOGGED_IN, "Like it or not"),
};
const size_t web_repo_routes_n = COUNT(web_repo_routes);
