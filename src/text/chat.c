/* chat.c: see chat.h. */
#include "text/chat.h"

#include "text/template.h"

/* Transformers marks the end of a message that is to be continued, and cuts there. */
#define MARK "CONTINUE_FINAL_MESSAGE_TAG "

static bool check_messages(const json_t *messages, Error *err)
{
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return fail(err, ERR_INVALID, "messages: not a list of at least one");
    for (size_t i = 0; i < json_array_size(messages); i++)
        if (!json_is_string(json_object_get(json_array_get(messages, i), "role")))
            return fail(err, ERR_INVALID, "messages[%zu]: has no 'role'", i);
    return true;
}

/* A copy without null members: templates ask whether a member is there. */
static json_t *copy_messages(const json_t *messages)
{
    json_t *copy = json_deep_copy(messages);
    for (size_t i = 0; i < json_array_size(copy); i++) {
        json_t *message = json_array_get(copy, i);
        const char *key;
        json_t *value;
        void *next;
        json_object_foreach_safe(message, next, key, value)
        {
            if (json_is_null(value))
                json_object_del(message, key);
        }
    }
    return copy;
}

static json_t *with_mark(const json_t *text)
{
    AUTO_BUF marked;
    buf_init(&marked, 0);
    buf_add(&marked, (Str){json_string_value(text), json_string_length(text)});
    buf_add(&marked, S(MARK));
    return json_from_str(buf_str(&marked));
}

/* Puts the mark behind the text of the last message. */
static bool mark_last(json_t *messages, Error *err)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    json_t *content = json_object_get(last, "content");
    if (json_is_string(content)) {
        json_object_set_new(last, "content", with_mark(content));
        return true;
    }
    for (size_t i = json_array_size(content); i > 0; i--) {
        json_t *part = json_array_get(content, i - 1);
        json_t *text = json_object_get(part, "text");
        if (json_is_string(text)) {
            json_object_set_new(part, "text", with_mark(text));
            return true;
        }
    }
    return fail(err, ERR_INVALID, "the last message has no text that could be continued");
}

/* Cuts at the mark; where the template trimmed the space behind it, it trimmed the message. */
static bool cut_at_mark(Buf *out, size_t from, Error *err)
{
    Str mark = str_trim(S(MARK)), text = str_slice(buf_str(out), from, out->len);
    size_t at = SIZE_MAX;
    for (size_t next = 0; (next = str_find(text, mark, next)) != SIZE_MAX; next += mark.len)
        at = next;
    if (at == SIZE_MAX)
        return fail(err, ERR_INVALID,
                    "the chat template leaves the last message out: it cannot be continued");
    bool kept = str_starts(str_slice(text, at, text.len), S(MARK));
    Str before = str_slice(text, 0, at);
    while (!kept && before.len && strchr(" \t\n\r\f\v", before.ptr[before.len - 1]))
        before.len--;
    out->len = from + before.len;
    out->ptr[out->len] = 0;
    return true;
}

static void set_or_null(json_t *variables, const char *key, const json_t *value)
{
    json_object_set(variables, key, value ? (json_t *)(uintptr_t)value : json_null());
}

static json_t *variables_of(const Tokenizer *t, json_t *messages, const ChatOptions *o)
{
    json_t *variables = json_object();
    for (int role = 0; role < SPECIAL_COUNT; role++) {
        Str text = tokenizer_special_text(t, (SpecialToken)role);
        if (text.len)
            json_object_set_new(variables, special_token_name((SpecialToken)role),
                                json_from_str(text));
    }
    json_object_update(variables, (json_t *)(uintptr_t)o->template_kwargs);
    json_object_set(variables, "messages", messages);
    set_or_null(variables, "tools", o->tools);
    set_or_null(variables, "documents", o->documents);
    json_object_set_new(variables, "add_generation_prompt", json_boolean(o->add_generation_prompt));
    return variables;
}

static bool render(const Tokenizer *t, json_t *messages, const ChatOptions *o, Buf *out, Error *err)
{
    Str source =
        o->template_source.len ? o->template_source : tokenizer_chat_template(t, o->template_name);
    if (source.len == 0)
        return fail(err, ERR_UNSUPPORTED,
                    "the model has no chat template%s%s: give it a text, not messages",
                    o->template_name ? " named " : "", o->template_name ? o->template_name : "");
    TemplateOptions options = TEMPLATE_CHAT;
    AUTO(template_free) Template *template = template_parse(source, &options, err);
    if (!template)
        return false;
    size_t from = out->len;
    AUTO(json_decref) json_t *variables = variables_of(t, messages, o);
    return template_render(template, variables, NULL, out, err) &&
           (!o->continue_final_message || cut_at_mark(out, from, err));
}

bool chat_render(const Tokenizer *t, const json_t *messages, const ChatOptions *options, Buf *out,
                 Error *err)
{
    if (!check_messages(messages, err))
        return false;
    if (options->add_generation_prompt && options->continue_final_message)
        return fail(err, ERR_INVALID, "a message cannot be both continued and answered");
    AUTO(json_decref) json_t *copy = copy_messages(messages);
    if (options->continue_final_message && !mark_last(copy, err))
        return false;
    return render(t, copy, options, out, err);
}
