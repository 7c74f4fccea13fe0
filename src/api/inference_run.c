/* inference_run.c: from the id in a request to a running job; see inference_internal.h.
 *
 * A model that is not loaded yet is loaded while its requests wait: newer JavaScript clients repeat
 * a 503 at once and for ever, so nobody gets one before LOAD_HOLD. A stream of events says 200 when
 * there is something to send, or after a while of silence, so that what is wrong with the request
 * is still told by its status. */
#include "api/inference_internal.h"
#include "base/clock.h"

#define LOAD_HOLD (30 * NS_PER_S)
#define LOAD_HOLD_LONG (600 * NS_PER_S) // with wait_for_model
#define SILENCE (10 * NS_PER_S)

// ---- Errors ----

bool is_openai(const Request *r)
{
    const Route *route = request_route(r);
    return str_starts(request_path(r), S("/v1/")) || (route && strstr(route->pattern, "/v1/"));
}

static const char *openai_type(int status)
{
    return status == 403   ? "permission_error"
           : status == 429 ? "rate_limit_error"
           : status == 503 ? "unavailable_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

json_t *inference_error_json(const Request *r, int status, const char *code, const char *param,
                             const char *text)
{
    json_t *message = json_from_str(str_of(text));
    if (!is_openai(r)) {
        json_t *body = json_pack("{s:o}", "error", message);
        if (status == 422)
            json_object_set_new(body, "error_type", json_string("validation"));
        return body;
    }
    if (!code && status == 401)
        code = "invalid_api_key";
    return json_pack("{s:{s:o,s:s,s:s?,s:s?}}", "error", "message", message, "type",
                     openai_type(status), "param", param, "code", code);
}

void inference_failure(Request *r, int status, const char *code, const char *param,
                       const char *text)
{
    AUTO(json_decref) json_t *body = inference_error_json(r, status, code, param, text);
    reply_json(r, status, body);
}

static int status_of(const Request *r, const Error *err)
{
    // A prompt longer than the context is ERR_LIMIT; the body's size was checked before.
    if (err->code == ERR_INVALID || err->code == ERR_LIMIT)
        return is_openai(r) ? 400 : 422;
    return error_http_status(err->code);
}

void inference_error(Request *r, const Error *err)
{
    int status = status_of(r, err);
    if (status >= 500 && status != 503)
        return reply_error(r, err); // logs it
    if (status == 503)
        reply_header(r, "Retry-After", S("1"));
    inference_failure(r, status, NULL, NULL, err->text);
}

// ---- Which model ----

Str inference_path_id(Request *r)
{
    Str owner = request_param(r, "owner"), name = request_param(r, "name");
    if (!owner.len)
        return name;
    return str_of(arena_printf(request_arena(r), "%.*s/%.*s", STR(owner), STR(name)));
}

Str inference_last_id(Request *r)
{
    Arena *a = request_arena(r);
    ModelInfo *models;
    size_t n = 0;
    Repo repo;
    if (api_of(r)->pool)
        pool_list(api_of(r)->pool, a, &models, &n);
    for (size_t i = 0; i < n; i++)
        if (repo_find(api_of(r)->hub, a, api_viewer(r), REPO_MODEL, models[i].id, ACCESS_FILES,
                      &repo, NULL))
            return models[i].id;
    return (Str){0};
}

/* The most downloaded model of this name that the viewer may see. */
static bool find_by_name(Request *r, Str name, Repo *out, Error *err)
{
    Hub *hub = api_of(r)->hub;
    Arena *a = request_arena(r);
    const Viewer *viewer = api_viewer(r);
    RepoQuery query = {
        .kind = REPO_MODEL, .search = &name, .n_search = 1, .sort = SORT_DOWNLOADS, .limit = 100};
    RepoPage page;
    if (!repo_list(hub, a, viewer, &query, &page, err))
        return false;
    for (size_t i = 0; i < page.n; i++)
        if (str_eq_nocase(page.items[i].repo.name, name))
            return repo_find(hub, a, viewer, REPO_MODEL, page.items[i].repo.full, ACCESS_FILES, out,
                             err);
    return fail(err, ERR_NO_REPO, "no model of this name");
}

static bool find_repo(Request *r, Str id, Repo *out, Error *err)
{
    Hub *hub = api_of(r)->hub;
    Arena *a = request_arena(r);
    const Viewer *viewer = api_viewer(r);
    if (str_find_char(id, '/', 0) != SIZE_MAX)
        return repo_find(hub, a, viewer, REPO_MODEL, id, ACCESS_FILES, out, err);
    if (viewer->by != BY_NOBODY) {
        Str own = str_of(arena_printf(a, "%.*s/%.*s", STR(viewer->account.name), STR(id)));
        if (repo_find(hub, a, viewer, REPO_MODEL, own, ACCESS_FILES, out, NULL))
            return true;
    }
    return find_by_name(r, id, out, err);
}

static bool no_model(Request *r, Str id, const Error *err)
{
    if (err->code != ERR_NO_REPO && err->code != ERR_NO_REVISION && err->code != ERR_NOT_FOUND &&
        err->code != ERR_INVALID) {
        reply_error(r, err);
        return false;
    }
    char *text = err->code == ERR_NO_REVISION
                     ? arena_cstr(request_arena(r), str_of(err->text))
                     : arena_printf(request_arena(r), "Model %.*s does not exist", STR(id));
    inference_failure(r, 404, "model_not_found", "model", text);
    return false;
}

/* The path's task, else what the repository says it is for. */
static bool choose_task(Request *r, Str id, Str forced, Target *t)
{
    Str name = forced.len ? forced : t->info->pipeline_tag;
    if (!name.len)
        return true;
    t->task = task_find(name);
    if (t->task)
        return true;
    AUTO_BUF known;
    buf_init(&known, 0);
    for (const Task *const *task = tasks; *task; task++)
        buf_printf(&known, "%s%s", known.len ? ", " : "", (*task)->name);
    inference_failure(r, 400, "model_not_supported", "model",
                      arena_printf(request_arena(r),
                                   "Model %.*s is for the task '%.*s', which is not supported; "
                                   "supported: %.*s",
                                   STR(id), STR(name), STR(buf_str(&known))));
    return false;
}

bool inference_target(Request *r, Str id, Str forced, Target *out)
{
    Hub *hub = api_of(r)->hub;
    Arena *a = request_arena(r);
    Error err = {0};
    *out = (Target){0};
    if (!api_of(r)->pool) {
        inference_failure(r, 503, NULL, NULL, "this server runs no models");
        return false;
    }
    size_t at = str_find_char(id, '@', 0);
    Str rev = at == SIZE_MAX ? (Str){0} : str_slice(id, at + 1, SIZE_MAX);
    Str name = str_slice(id, 0, at);
    if (!find_repo(r, name, &out->repo, &err) ||
        !repo_info(hub, a, &out->repo, rev, &out->info, &err))
        return no_model(r, id, &err);
    if (!choose_task(r, name, forced, out))
        return false;
    if (!repo_snapshot(hub, a, &out->repo, out->info->sha, &out->folder, &err)) {
        reply_error(r, &err);
        return false;
    }
    return true;
}

// ---- Running ----

static bool is_true(Str header)
{
    return str_eq_nocase(header, S("true")) || str_eq(header, S("1"));
}

static int64_t hold_ns(const Request *r, const RunSpec *spec)
{
    int64_t seconds;
    if (str_to_int(request_header(r, "X-Scale-Up-Timeout"), 0, 3600, &seconds))
        return seconds * NS_PER_S;
    bool wait = spec->wait_for_model || is_true(request_header(r, "X-Wait-For-Model"));
    return wait ? LOAD_HOLD_LONG : LOAD_HOLD;
}

static void tell_loading(Request *r, Str id, int64_t left_ns)
{
    double seconds = (double)left_ns / (double)NS_PER_S;
    char *text = arena_printf(request_arena(r), "Model %.*s is currently loading", STR(id));
    reply_headerf(r, "Retry-After", "%d", (int)(seconds + 1));
    AUTO(json_decref) json_t *body = inference_error_json(r, 503, NULL, NULL, text);
    if (!is_openai(r))
        json_object_set_new(body, "estimated_time", json_real(seconds));
    reply_json(r, 503, body);
}

/* Whose fault it is that a model does not load, and which model it is. */
static void explain_load(const Run *run, Error *err)
{
    const Target *t = run->target;
    const char *kind = json_text(t->info->config, "model_type", NULL);
    const char *architecture =
        json_string_value(json_array_get(json_object_get(t->info->config, "architectures"), 0));
    if (err->code == ERR_NOT_FOUND || err->code == ERR_NO_ENTRY || err->code == ERR_INVALID)
        err->code = ERR_UNSUPPORTED; // the repository's content, not the request
    if (kind || architecture)
        (void)!fail_while(err, "Model %.*s (%s%s%s) cannot be loaded", STR(t->repo.full),
                          kind ? kind : "", kind && architecture ? ", " : "",
                          architecture ? architecture : "");
    else
        (void)!fail_while(err, "Model %.*s cannot be loaded", STR(t->repo.full));
}

static void answer_error(Run *run, const Error *why)
{
    Error copy = *why, *err = &copy;
    if (run->job && !job_task(run->job) && err->code != ERR_CANCELLED)
        explain_load(run, err);
    if (!run->streaming)
        return inference_error(run->r, err);
    // The status is gone: clients look for an error in the events.
    AUTO(json_decref)
    json_t *body = inference_error_json(run->r, status_of(run->r, err), NULL, NULL, err->text);
    if (!is_openai(run->r) && !json_object_get(body, "error_type"))
        json_object_set_new(body, "error_type", json_string("generation"));
    reply_event_json(run->r, NULL, body, NULL);
}

bool run_start(Run *run, Request *r, const Target *target, const RunSpec *spec)
{
    Pool *pool = api_of(r)->pool;
    Error err = {0};
    *run = (Run){.r = r,
                 .target = target,
                 .events = spec->events,
                 .streaming = spec->streaming,
                 .heard_ns = clock_ns()};
    ModelKey key = {.id = target->repo.full,
                    .sha = target->info->sha,
                    .task = target->task,
                    .folder = target->folder};
    bool dont_load = spec->dont_load_model || str_eq(request_header(r, "X-Load-Model"), S("0"));
    if (dont_load && !run->streaming && pool_state(pool, &key) != MODEL_LOADED) {
        tell_loading(r, target->repo.full, 20 * NS_PER_S);
        return false;
    }
    run->hold_until_ns = clock_ns() + hold_ns(r, spec);
    run->job = pool_submit(pool,
                           &(JobSpec){.model = key,
                                      .inputs = spec->inputs,
                                      .parameters = spec->parameters,
                                      .want_tokens = spec->want_tokens,
                                      .hide_stop = spec->hide_stop,
                                      .parse_tools = spec->parse_tools,
                                      .want_details = spec->want_details,
                                      .token_bytes = spec->token_bytes},
                           &err);
    if (!run->job)
        answer_error(run, &err);
    return run->job != NULL;
}

void run_done(Run *run)
{
    job_free(run->job);
    run->job = NULL;
}

bool run_stream(Run *run)
{
    if (run->streaming)
        return !request_gone(run->r);
    run->streaming = true;
    reply_header(run->r, "X-Compute-Type", S("cpu"));
    reply_header(run->r, "X-Sha", run->target->info->sha);
    return reply_events(run->r);
}

/* Nothing happened for a while; false if it makes no sense to wait on. */
static bool wait_on(Run *run)
{
    if (atomic_load(request_cancelled(run->r)) || request_gone(run->r)) {
        if (!run->streaming)
            reply_failure(run->r, 499, "the client has gone");
        return false;
    }
    int64_t now = clock_ns();
    if (!run->streaming && job_state(run->job) == JOB_LOADING && now > run->hold_until_ns) {
        tell_loading(run->r, run->target->repo.full, job_load_estimate_ns(run->job));
        return false;
    }
    if (run->events && now - run->heard_ns > SILENCE) {
        run->heard_ns = now;
        return run_stream(run) && reply_event_alive(run->r, NULL);
    }
    return true;
}

JobEvent run_next(Run *run, TaskToken *token)
{
    for (;;) {
        JobEvent event = job_next(run->job, 100 * NS_PER_MS, token);
        if (event == JOB_NOTHING && !wait_on(run))
            return JOB_NOTHING;
        if (event == JOB_FAILED)
            answer_error(run, job_error(run->job));
        if (event == JOB_TOKEN && request_gone(run->r) && run->streaming)
            return JOB_NOTHING;
        if (event != JOB_NOTHING) {
            run->heard_ns = clock_ns();
            return event;
        }
    }
}

void run_headers(const Run *run)
{
    Request *r = run->r;
    reply_header(r, "X-Compute-Type", S("cpu"));
    reply_headerf(r, "X-Compute-Time", "%.3f", (double)job_compute_ns(run->job) / (double)NS_PER_S);
    reply_header(r, "X-Sha", run->target->info->sha);
    size_t i;
    const json_t *warning;
    json_array_foreach(job_call(run->job)->warnings, i, warning)
        reply_headerf(r, "X-HF-Warning", "inference; %s", json_string_value(warning));
}
