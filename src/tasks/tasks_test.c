#include "base/test.h"

#include "tasks/tasks.h"

/* A tiny GPT-2 with a tokenizer and a chat template, made by tools/golden/text_generation.py. */
static const char *golden(const char *name)
{
    static char path[512];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/text-generation%s", root ? root : ".", name);
    return path;
}

static Pipeline *open_pipeline(void)
{
    Error err = {0};
    Pipeline *p = pipeline_open(golden(""), task_find(S("text-generation")), NULL, &err);
    if (!p)
        fail_msg("%s", err.text);
    return p;
}

static json_t *parse(const char *text)
{
    Error err = {0};
    json_t *value = json_parse(str_of(text), "test", &err);
    if (!value)
        fail_msg("%s", err.text);
    return value;
}

static void test_answers_are_those_of_the_reference_pipeline(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    AUTO(json_decref) json_t *file = json_read_file(golden("/cases.json"), 1 << 20, &err);
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(file, "cases"), i, row)
    {
        AUTO(json_decref)
        json_t *answer = pipeline_run(p, json_object_get(row, "inputs"),
                                      json_object_get(row, "parameters"), NULL, &err);
        if (!answer)
            fail_msg("case %zu: %s", i, err.text);
        if (!json_equal(answer, json_object_get(row, "answer")))
            fail_msg("case %zu: %s", i, json_dumps(answer, 0));
    }
    assert_int_equal(i, 14);
}

/* The same weights propose what the model says itself. */
static void test_an_assistant_changes_no_word(void **state)
{
    Error err = {0};
    static char path[600];
    snprintf(path, sizeof path, "%s", golden(""));
    const PipelineOptions options = {.assistant = path};
    AUTO(pipeline_free) Pipeline *plain = open_pipeline();
    AUTO(pipeline_free)
    Pipeline *p = pipeline_open(path, task_find(S("text-generation")), &options, &err);
    if (!p)
        fail_msg("%s", err.text);
    AUTO(json_decref) json_t *parameters = parse("{\"max_new_tokens\": 24}");
    AUTO(json_decref) json_t *inputs = json_string("the the");
    AUTO(json_decref) json_t *alone = pipeline_run(plain, inputs, parameters, NULL, &err);
    AUTO(json_decref) json_t *assisted = pipeline_run(p, inputs, parameters, NULL, &err);
    assert_true(alone && json_equal(alone, assisted));
    PipelineCounts counts = pipeline_counts(p);
    assert_true(counts.drafted > 0 && counts.accepted > 0 && counts.accepted <= counts.drafted);
    json_object_set_new(parameters, "num_beams", json_integer(2));
    AUTO(json_decref) json_t *beams = pipeline_run(p, inputs, parameters, NULL, &err);
    assert_true(beams && pipeline_counts(p).drafted == counts.drafted);
}

static void test_an_assistant_with_other_tokens_is_left_out(void **state)
{
    Error err = {0};
    static char other[600];
    snprintf(other, sizeof other, "%s", golden("/../llama"));
    const PipelineOptions options = {.assistant = other};
    AUTO(pipeline_free)
    Pipeline *p = pipeline_open(golden(""), task_find(S("text-generation")), &options, &err);
    AUTO(json_decref) json_t *inputs = json_string("the the");
    AUTO(json_decref) json_t *answer = p ? pipeline_run(p, inputs, NULL, NULL, &err) : NULL;
    if (!answer)
        fail_msg("%s", err.text);
    assert_int_equal(pipeline_counts(p).drafted, 0);
}

typedef struct Seen {
    Buf text;
    int tokens, stop_after;
} Seen;

static bool see(void *context, const TaskToken *token)
{
    Seen *seen = context;
    buf_add(&seen->text, token->text);
    seen->tokens += token->index >= 0;
    assert_true(token->index == -1 || token->index == seen->tokens - 1);
    return seen->tokens != seen->stop_after;
}

static json_t *run(Pipeline *p, const char *inputs, const char *parameters, TaskCall *call,
                   Error *err)
{
    AUTO(json_decref) json_t *in = parse(inputs);
    AUTO(json_decref) json_t *with = parse(parameters);
    return pipeline_run(p, in, with, call, err);
}

static void test_tokens_put_together_are_the_generated_text(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    Seen seen = {0};
    buf_init(&seen.text, 0);
    TaskCall call = {.on_token = see, .context = &seen};
    AUTO(json_decref)
    json_t *answer =
        run(p, "\"Hello\"", "{\"max_new_tokens\": 40, \"return_full_text\": false, \"seed\": null}",
            &call, &err);
    assert_non_null(answer);
    assert_str(buf_str(&seen.text),
               json_string_value(json_object_get(json_array_get(answer, 0), "generated_text")));
    assert_true(str_eq(buf_str(&seen.text), call.generated_text));
    assert_int_equal(seen.tokens, call.generated_tokens);
    assert_int_equal(call.finish_reason, FINISH_LENGTH);
    assert_true(call.prompt_tokens > 0);
    task_call_done(&call);
    buf_done(&seen.text);
}

static void test_a_stop_text_stays_or_is_hidden(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    TaskCall call = {0};
    json_decref(run(p, "\"Hello\"", "{\"max_new_tokens\": 24}", &call, &err));
    // Some letters from the middle of what it says are the stop text.
    Str all = call.generated_text;
    size_t from = all.len / 2;
    while ((all.ptr[from] & 0x80) || (all.ptr[from + 1] & 0x80) || all.ptr[from] == '"')
        from++;
    char stop[3] = {all.ptr[from], all.ptr[from + 1], 0};
    AUTO(json_decref) json_t *object = json_pack("{s:i,s:[s]}", "max_new_tokens", 24, "stop", stop);
    AUTO(json_decref) json_t *inputs = json_string("Hello");
    AUTO_BUF before;
    buf_init(&before, 0);
    buf_add(&before, str_slice(all, 0, str_find(all, str_of(stop), 0)));

    json_decref(pipeline_run(p, inputs, object, &call, &err));
    assert_int_equal(call.finish_reason, FINISH_STOP);
    assert_true(str_find(call.generated_text, str_of(stop), 0) == before.len);
    task_call_done(&call);

    Seen seen = {0};
    buf_init(&seen.text, 0);
    call = (TaskCall){.on_token = see, .context = &seen, .hide_stop = true};
    json_decref(pipeline_run(p, inputs, object, &call, &err));
    assert_int_equal(call.finish_reason, FINISH_STOP);
    assert_str(call.generated_text, before.ptr);
    assert_str(buf_str(&seen.text), before.ptr);
    task_call_done(&call);
    buf_done(&seen.text);
}

static void test_details_tell_of_each_token(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    AUTO(json_decref)
    json_t *answer =
        run(p, "\"Hello\"", "{\"max_new_tokens\": 3, \"details\": true, \"seed\": 7}", NULL, &err);
    const json_t *details = json_object_get(json_array_get(answer, 0), "details");
    assert_str(json_str(details, "finish_reason"), "length");
    assert_int_equal(json_int(details, "generated_tokens", 0), 3);
    assert_int_equal(json_int(details, "seed", 0), 7);
    assert_int_equal(json_array_size(json_object_get(details, "prefill")), 0);
    const json_t *token = json_array_get(json_object_get(details, "tokens"), 2);
    assert_true(json_num(token, "logprob", 1) < 0);
    assert_true(json_int(token, "id", -1) >= 0);
    assert_false(json_flag(token, "special", true));
}

static void test_turns_give_a_conversation(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    AUTO(json_decref)
    json_t *answer = run(
        p,
        "{\"text\": \"and?\", \"past_user_inputs\": [\"hi\"], \"generated_responses\": [\"yo\"]}",
        "{\"max_new_tokens\": 4}", NULL, &err);
    Str text = json_str(answer, "generated_text");
    const json_t *conversation = json_object_get(answer, "conversation");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(conversation, "past_user_inputs"), 1)),
        "and?");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(conversation, "generated_responses"), 1)),
        text.ptr);
}

static void test_sampling_repeats_with_a_seed(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    const char *seeded = "{\"max_new_tokens\": 16, \"temperature\": 1.5, \"seed\": 5}";
    AUTO(json_decref) json_t *a = run(p, "\"x\"", seeded, NULL, &err);
    AUTO(json_decref) json_t *b = run(p, "\"x\"", seeded, NULL, &err);
    AUTO(json_decref) json_t *greedy = run(p, "\"x\"", "{\"max_new_tokens\": 16}", NULL, &err);
    AUTO(json_decref)
    json_t *zero = run(p, "\"x\"", "{\"max_new_tokens\": 16, \"temperature\": 0}", NULL, &err);
    assert_true(json_equal(a, b));
    assert_false(json_equal(a, greedy));
    assert_true(json_equal(zero, greedy));
}

static void test_bad_requests_are_refused_by_name(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    assert_fails(run(p, "5", "{}", NULL, &err), ERR_INVALID, "'inputs' must be");
    assert_fails(run(p, "[\"a\", 5]", "{}", NULL, &err), ERR_INVALID, "inputs[1]");
    assert_fails(run(p, "\"a\"", "{\"top_p\": 3}", NULL, &err), ERR_INVALID, "top_p");
    assert_fails(run(p, "\"a\"", "{\"max_new_tokens\": \"many\"}", NULL, &err), ERR_INVALID,
                 "max_new_tokens");
    assert_fails(run(p, "\"a\"", "{\"num_return_sequences\": 2}", NULL, &err), ERR_INVALID,
                 "num_return_sequences");
    assert_fails(run(p, "\"a\"", "[]", NULL, &err), ERR_INVALID, "'parameters'");
    AUTO(json_decref) json_t *warnings = json_array();
    TaskCall call = {.warnings = warnings};
    json_decref(
        run(p, "\"a\"", "{\"max_new_tokens\": 1, \"bogus\": 1, \"none\": null}", &call, &err));
    assert_int_equal(json_array_size(warnings), 1);
    assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)), "'bogus'"));
    task_call_done(&call);
}

static void test_a_caller_who_leaves_stops_the_run(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    Seen seen = {.stop_after = 3};
    buf_init(&seen.text, 0);
    TaskCall call = {.on_token = see, .context = &seen};
    assert_fails(run(p, "\"a\"", "{\"max_new_tokens\": 40}", &call, &err), ERR_CANCELLED, "gone");
    assert_int_equal(call.generated_tokens, 3);
    task_call_done(&call);
    atomic_bool cancelled = true;
    call = (TaskCall){.cancelled = &cancelled};
    assert_fails(run(p, "\"a\"", "{\"max_new_tokens\": 40}", &call, &err), ERR_CANCELLED, "");
    task_call_done(&call);
    buf_done(&seen.text);
}

/* An answer that must match something does, and calls are taken out of the text. */
static void test_constrained_answers_and_calls(void **state)
{
    Error err = {0};
    AUTO(pipeline_free) Pipeline *p = open_pipeline();
    AUTO(json_decref)
    json_t *answer = run(p, "\"a\"",
                         "{\"grammar\": {\"type\": \"regex\", \"value\": \"(ab|ba){2}!\"}, "
                         "\"return_full_text\": false, \"max_new_tokens\": 40}",
                         NULL, &err);
    Str text = json_str(json_array_get(answer, 0), "generated_text");
    assert_true(text.len == 5 && text.ptr[4] == '!');
    TaskCall call = {.parse_tools = true};
    AUTO(json_decref)
    json_t *called = run(
        p, "[{\"role\": \"user\", \"content\": \"x\"}]",
        "{\"tools\": [{\"function\": {\"name\": \"f\", \"parameters\": {\"properties\": {\"n\": "
        "{\"$ref\": \"#/$defs/d\"}}, \"required\": [\"n\"], \"$defs\": {\"d\": {\"enum\": "
        "[7]}}}}}], \"tool_choice\": \"required\", \"return_full_text\": false}",
        &call, &err);
    const json_t *record = json_array_get(called, 0),
                 *one = json_array_get(json_object_get(record, "tool_calls"), 0);
    assert_string_equal(json_text(one, "name", ""), "f");
    assert_int_equal(json_int(json_object_get(one, "arguments"), "n", 0), 7);
    assert_int_equal(json_str(record, "generated_text").len, 0);
    task_call_done(&call);
    assert_fails(
        run(p, "\"a\"", "{\"grammar\": {\"type\": \"regex\", \"value\": \"(\"}}", NULL, &err),
        ERR_INVALID, "expected ')'");
}

int main(void)
{
    return RUN(test_answers_are_those_of_the_reference_pipeline, test_an_assistant_changes_no_word,
               test_an_assistant_with_other_tokens_is_left_out,
               test_tokens_put_together_are_the_generated_text, test_a_stop_text_stays_or_is_hidden,
               test_details_tell_of_each_token, test_turns_give_a_conversation,
               test_constrained_answers_and_calls, test_sampling_repeats_with_a_seed,
               test_bad_requests_are_refused_by_name, test_a_caller_who_leaves_stops_the_run);
}
