/* What the inference files share: finding the model that a request names, running it, waiting for
 * it, and errors in the dialect of the path. See inference_run.c. */
#pragma once

#include "api/api_internal.h"
#include "serve/serve.h"

enum { MAX_INFERENCE_BODY = 32 << 20 };
/* Route.access of what runs a model: for anybody, but not for each token. */
#define INFERENCE API_NEEDS(API_ANYBODY, MAY_INFER)

/* The model of one request. */
typedef struct Target {
    Repo repo;
    const RepoInfo *info; // of the revision asked for
    const Task *task;     // NULL: the one its configuration says
    const char *folder;   // where its files lie
} Target;

/* id: "owner/name", "name" (the viewer's own, else the most downloaded of that name), either with
 * "@revision". forced: the path's task, or empty. False: it has answered. */
bool inference_target(Request *r, Str id, Str forced, Target *out);
/* The id of the path: {owner}/{name} or {name}. */
Str inference_path_id(Request *r);
/* Of those loaded models that the viewer may run, the one that was used last; empty if none. Others
 * are not even named. */
Str inference_last_id(Request *r);

typedef struct Run {
    Request *r;
    const Target *target;
    Job *job;
    int64_t hold_until_ns; // loading may take until then; later it is 503
    bool events;           // the answer is a stream of events
    bool streaming;        // which has begun
    int64_t heard_ns;      // when the client last got something
} Run;

typedef struct RunSpec {
    const json_t *inputs, *parameters;
    bool want_tokens, hide_stop, events;
    bool parse_tools, want_details, token_bytes; // as TaskCall's
    bool wait_for_model, dont_load_model;        // from the body; the headers are looked at too
    bool streaming;                              // the stream of events has begun with another run
} RunSpec;

/* Submits the job. False: it has answered. */
bool run_start(Run *run, Request *r, const Target *target, const RunSpec *spec);
/* The job's next event; keeps a stream of events alive meanwhile. JOB_NOTHING: there is nothing
 * more to do, the client has gone or was told to come back. JOB_FAILED has been answered. */
JobEvent run_next(Run *run, TaskToken *token);
/* Begins the stream of events if it has not begun; false if the client has gone. */
bool run_stream(Run *run);
void run_done(Run *run);
#define AUTO_RUN __attribute__((cleanup(run_done))) Run
/* X-Compute-Type, X-Compute-Time, X-Sha, and the job's warnings as X-HF-Warning. */
void run_headers(const Run *run);

/* Errors as the path's clients read them: {"error": text} or OpenAI's object. code and param may
 * be NULL. */
bool is_openai(const Request *r);
void inference_failure(Request *r, int status, const char *code, const char *param,
                       const char *text);
/* of a run; bad input is 422 with error_type "validation", or OpenAI's 400. */
void inference_error(Request *r, const Error *err);
json_t *inference_error_json(const Request *r, int status, const char *code, const char *param,
                             const char *text);
