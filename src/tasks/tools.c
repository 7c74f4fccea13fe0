/* tools.c: calls of functions in generated texts. Chat templates teach models different forms; a
 * row of `formats` is one, found by what the template says. */
#include "tasks/generation.h"

enum { MAX_CALLS = 64 };

/* The first is used, and explained, where a template says nothing of tools. */
static const ToolFormat formats[] = {
    {"hermes", "<tool_call>", "<tool_call>", "</tool_call>", "arguments", false},
    {"mistral", "[TOOL_CALLS]", "[TOOL_CALLS]", "", "arguments", true},
    {"llama", "\"parameters\": dictionary", "", "", "parameters", false},
};

static const ToolFormat *find_native(Str source)
{
    for (size_t i = 0; i < COUNT(formats); i++)
        if (str_find(source, str_of(formats[i].sign), 0) != SIZE_MAX)
            return &formats[i];
    return NULL;
}

const ToolFormat *tool_format_find(Str chat_template)
{
    const ToolFormat *native = find_native(chat_template);
    return native ? native : &formats[0];
}

bool tool_format_is_native(Str chat_template)
{
    return find_native(chat_template) || str_find(chat_template, S("tools"), 0) != SIZE_MAX;
}

void tool_format_explain(const ToolFormat *f, const json_t *tools, Buf *out)
{
    buf_printf(out, "You can call these functions, each described by a JSON schema:\n<tools>\n");
    size_t i;
    const json_t *tool;
    json_array_foreach(tools, i, tool)
    {
        json_write(out, tool);
        buf_add_char(out, '\n');
    }
    buf_printf(out,
               "</tools>\nTo call one, write its name and arguments as JSON, and nothing else:\n"
               "%s\n{\"name\": <name>, \"%s\": <object>}\n%s",
               f->open, f->arguments, f->close);
}

// ---- Reading ----

static Str skip_space(Str s)
{
    size_t i = 0;
    while (i < s.len && strchr(" \t\r\n;,", s.ptr[i]))
        i++;
    return str_slice(s, i, s.len);
}

/* A JSON value at the front of *rest, which moves behind it; NULL if there is none. */
static json_t *take_json(Str *rest)
{
    json_error_t where;
    json_t *value = json_loadb(rest->ptr, rest->len, JSON_DISABLE_EOF_CHECK, &where);
    if (value)
        *rest = str_slice(*rest, (size_t)where.position, rest->len);
    return value;
}

/* {"name", "arguments"} in this form; NULL if it is none. */
static json_t *call_of(const json_t *value)
{
    const json_t *inner = json_object_get(value, "function");
    if (json_is_object(inner))
        value = inner;
    const json_t *arguments = json_object_get(value, "arguments");
    if (!arguments)
        arguments = json_object_get(value, "parameters");
    const char *name = json_text(value, "name", NULL);
    AUTO(json_decref) json_t *parsed = NULL;
    if (json_is_string(arguments)) // some write them as a text
        arguments = parsed = json_parse(
            (Str){json_string_value(arguments), json_string_length(arguments)}, "", NULL);
    if (!name || (arguments && !json_is_object(arguments)))
        return NULL;
    return json_pack("{s:s,s:o}", "name", name, "arguments",
                     arguments ? json_deep_copy(arguments) : json_object());
}

/* One call or a list of them; false if it is neither. */
static bool add_calls(json_t *calls, const json_t *value)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        json_t *call = call_of(json_is_array(value) ? json_array_get(value, i) : value);
        if (!call || json_array_size(calls) == MAX_CALLS) {
            json_decref(call);
            return false;
        }
        json_array_append_new(calls, call);
    }
    return n > 0;
}

static bool take_text(Str *rest, const char *text)
{
    if (!str_starts(*rest, str_of(text)))
        return false;
    *rest = str_slice(*rest, strlen(text), rest->len);
    return true;
}

json_t *tool_calls_parse(const ToolFormat *f, Str text, Str *before)
{
    bool sure;
    size_t at = tool_call_find(f, text, &sure);
    *before = text;
    if (at == SIZE_MAX || !sure)
        return NULL;
    Str rest = str_slice(text, at, text.len);
    AUTO(json_decref) json_t *calls = json_array();
    for (rest = skip_space(rest); rest.len; rest = skip_space(rest)) {
        if (!take_text(&rest, f->open))
            break;
        rest = skip_space(rest);
        AUTO(json_decref) json_t *value = take_json(&rest);
        if (!value || !add_calls(calls, value))
            return NULL;
        rest = skip_space(rest);
        take_text(&rest, f->close);
    }
    if (!json_array_size(calls))
        return NULL;
    *before = str_trim(str_slice(text, 0, at));
    return TAKE(calls);
}

size_t tool_call_find(const ToolFormat *f, Str text, bool *sure)
{
    Str open = str_of(f->open);
    *sure = true;
    if (open.len == 0) { // a call is the whole text, and begins like JSON
        Str begin = skip_space(text);
        *sure = begin.len > 0;
        return begin.len == 0 || begin.ptr[0] == '{' ? 0 : SIZE_MAX;
    }
    size_t at = str_find(text, open, 0);
    if (at != SIZE_MAX)
        return at;
    *sure = false;
    for (size_t n = MIN(open.len - 1, text.len); n > 0; n--)
        if (str_ends(text, str_slice(open, 0, n)))
            return text.len - n;
    return SIZE_MAX;
}

// ---- Demanding ----

/* The schema of a call of one function. */
static json_t *schema_of_call(const ToolFormat *f, const json_t *tool)
{
    const json_t *function = json_object_get(tool, "function");
    if (!function)
        function = tool;
    const char *name = json_text(function, "name", NULL);
    const json_t *parameters = json_object_get(function, "parameters");
    if (!name)
        return NULL;
    json_t *arguments = json_is_object(parameters) ? json_deep_copy(parameters)
                                                   : json_pack("{s:s}", "type", "object");
    return json_pack("{s:s,s:{s:{s:s},s:o},s:[s,s],s:b}", "type", "object", "properties", "name",
                     "const", name, f->arguments, arguments, "required", "name", f->arguments,
                     "additionalProperties", 0);
}

Grammar *tool_grammar(const ToolFormat *f, const json_t *tools, const char *name, Error *err)
{
    AUTO(json_decref) json_t *calls = json_array();
    size_t i;
    const json_t *tool;
    json_array_foreach(tools, i, tool)
    {
        const json_t *function = json_object_get(tool, "function");
        const char *own = json_text(function ? function : tool, "name", "");
        if (name && strcmp(own, name) != 0)
            continue;
        json_t *call = schema_of_call(f, tool);
        if (!call)
            return fail(err, ERR_INVALID, "'tools': number %zu has no name", i);
        json_array_append_new(calls, call);
    }
    if (!json_array_size(calls))
        return fail(err, ERR_INVALID, "'tool_choice': there is no function '%s'", name ? name : "");
    AUTO(json_decref) json_t *schema = json_pack("{s:O}", "anyOf", calls);
    Str open = str_of(f->open), close = str_of(f->close);
    AUTO_BUF before, after;
    buf_init(&before, 0);
    buf_init(&after, 0);
    buf_add(&before, open);
    if (f->list)
        buf_add_char(&before, '[');
    else if (open.len)
        buf_add_char(&before, '\n');
    if (f->list)
        buf_add_char(&after, ']');
    else if (close.len)
        buf_add_char(&after, '\n');
    buf_add(&after, close);
    Grammar *g = grammar_from_schema_between(buf_str(&before), schema, buf_str(&after), err);
    return g ? g : fail_while(err, "'tools'");
}
