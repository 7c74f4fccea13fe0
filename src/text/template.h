/* Templates: one Jinja2 engine for chat templates and for the web pages.
 *
 * A template is parsed once to a tree and rendered any number of times with variables from a JSON
 * object. What it prints is what Jinja2 prints, with Python's rules for str(), repr(), arithmetic,
 * slices and methods; lists, dicts and strings cannot be changed in place (as in Jinja's immutable
 * sandbox). Statements: if, for, set, macro, call, filter, with, raw, break, continue, generation,
 * block, extends, include, import, from. Not there: recursive loops, `do`, line statements.
 *
 * Templates come with models, so from strangers: parsing has a depth limit, and rendering stops
 * with ERR_LIMIT when it has done too much work, taken too much memory, nested too deep or printed
 * too much. Errors read "name: line N: what".
 *
 * Pages are rendered with `html`. The parser then follows the HTML that the template writes and
 * every {{ }} is escaped by where it stands:
 *     text and <title>, <textarea>   & < > " '
 *     attribute value                the same; values must be quoted
 *     href, src, action, ...         a whole URL may only be relative, http, https or mailto; parts
 *                                    behind a literal are percent-encoded (path keeps '/')
 *     <script>                       JSON that cannot end the element
 * Printing anywhere else (tag and attribute names, <style>, comments, unquoted values) does not
 * parse. Only `| safe` prints as it is. A branch or loop must end in the context it began in.
 *
 * Threads: a Template is immutable once parsed; any number of threads may render it. */
#pragma once

#include "base/json.h"

typedef struct Template Template;

typedef struct TemplateOptions {
    const char *name;           // for messages and for `extends`; copied
    bool trim_blocks;           // drop the newline behind a block or comment
    bool lstrip_blocks;         // drop the white space before a block that begins a line
    bool keep_trailing_newline; // of the whole template
    bool html;                  // escape by context
    bool strict;                // printing, looping over or testing what is undefined is an error
    // Finds what extends, include and import name; NULL: these statements fail. The result must
    // outlive the template and have been parsed with the same options.
    const Template *(*find)(void *context, Str name);
    void *context;
} TemplateOptions;

/* As transformers' tokenizers render chat templates. */
#define TEMPLATE_CHAT                                                                              \
    ((TemplateOptions){.name = "chat template", .trim_blocks = true, .lstrip_blocks = true})
/* As the pages are rendered; set name, find and context. */
#define TEMPLATE_PAGE                                                                              \
    ((TemplateOptions){.trim_blocks = true, .lstrip_blocks = true, .html = true, .strict = true})

/* ERR_INVALID with the line where the source is not a template, ERR_LIMIT when it nests too deep.
 */
Template *template_parse(Str source, const TemplateOptions *options, Error *err);
void template_free(Template *t);
AUTO_FREE(Template, template_free)

/* All zero: the defaults, which are generous for honest templates. */
typedef struct TemplateLimits {
    size_t output; // bytes printed, 0: 64 MiB
    size_t memory; // bytes of values, 0: 256 MiB
    int64_t work;  // steps, and bytes copied by the dozen; 0: 50 million, about a second
} TemplateLimits;

typedef struct TemplateRun {
    TemplateLimits limits;
    int64_t now; // what strftime_now tells, wall ns in local time; 0: the clock
    // Told the bytes [start, end) of `out` that each {% generation %} block printed; may be NULL.
    void (*generation)(void *context, size_t start, size_t end);
    void *context;
} TemplateRun;

/* Appends the text to out. `variables` is an object; `run` may be NULL. ERR_INVALID carries what
 * the template raised (raise_exception, an undefined variable, a type that does not fit). On
 * failure out keeps what was printed until then. */
bool template_render(const Template *t, const json_t *variables, const TemplateRun *run, Buf *out,
                     Error *err);

/* Calls each once for every name that the template takes from its variables (not its own sets,
 * loops, macros or the engine's globals), in order of appearance; templates that it extends,
 * includes or imports under a constant name count too. Pages are held to their variables with this.
 */
void template_each_variable(const Template *t, void (*each)(void *context, Str name),
                            void *context);
