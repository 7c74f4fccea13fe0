/* page_try.c: the try-it panel without scripts: a form that is answered with the page and the text.
 * With scripts the panel streams from POST /models/{id} instead; see static/try.js. */
#include "serve/serve.h"
#include "web/page_repo.h"
#include "web/web_internal.h"

#include <stdatomic.h>

enum { MAX_PROMPT = 20000, MAX_TOKENS = 200, PATIENCE_S = 120 };

static Job *submit(Request *r, const Repo *repo, Str prompt, Error *err)
{
    Arena *a = request_arena(r);
    const RepoInfo *info;
    const char *folder;
    if (!web_current()->options.pool)
        return fail(err, ERR_UNSUPPORTED, "this hub runs no models");
    if (!repo_info(hub_of(r), a, repo, (Str){0}, &info, err) ||
        !repo_snapshot(hub_of(r), a, repo, (Str){0}, &folder, err))
        return NULL;
    AUTO(json_decref) json_t *inputs = json_from_str(prompt);
    AUTO(json_decref)
    json_t *parameters = json_pack("{s:i}", "max_new_tokens", MAX_TOKENS);
    JobSpec spec = {.model = {.id = repo->full, .sha = info->sha, .folder = folder},
                    .inputs = inputs,
                    .parameters = parameters};
    spec.model.task = task_find(info->pipeline_tag);
    return pool_submit(web_current()->options.pool, &spec, err);
}

static bool wait_for(Request *r, Job *job, Tried *out, Error *err)
{
    int64_t until = clock_ns() + PATIENCE_S * NS_PER_S;
    while (clock_ns() < until && !request_gone(r)) {
        TaskToken token;
        JobEvent event = job_next(job, NS_PER_S, &token);
        if (event == JOB_FAILED) {
            *err = *job_error(job);
            return false;
        }
        if (event != JOB_DONE)
            continue;
        const TaskCall *call = job_call(job);
        double seconds = (double)call->decode_ns / 1e9;
        out->output = arena_str(request_arena(r), call->generated_text);
        out->stats = str_of(arena_printf(
            request_arena(r), "%lld tokens, %.1f tokens/s", (long long)call->generated_tokens,
            seconds > 0 ? (double)call->generated_tokens / seconds : 0.0));
        return true;
    }
    return fail(err, ERR_TIMEOUT, "the model took longer than %d seconds", PATIENCE_S);
}

static void try_model(Request *r)
{
    Params form;
    Error err = {0};
    Repo repo;
    if (!web_form(r, &form) || !web_repo(r, ACCESS_FILES, &repo))
        return;
    Tried tried = {.prompt = params_get(&form, "prompt")};
    if (!str_trim(tried.prompt).len || tried.prompt.len > MAX_PROMPT) {
        tried.problem = S("Write something for the model to continue, at most 20,000 bytes");
        return page_repo(r, &repo, 400, &tried);
    }
    AUTO(job_free) Job *job = submit(r, &repo, tried.prompt, &err);
    bool ok = job && wait_for(r, job, &tried, &err);
    if (!ok)
        tried.problem = str_of(err.text);
    page_repo(r, &repo, ok ? 200 : error_http_status(err.code), &tried);
}

const Route web_try_routes[] = {
    {"POST", "/{owner}/{name}/try", try_model, .access = WEB_LOGGED_IN, .summary = "Try a model"},
};
const size_t web_try_routes_n = COUNT(web_try_routes);
