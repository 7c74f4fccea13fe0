/* What the files of the template engine share.
 *
 * template_lex.c    source to tokens; white space control
 * template_parse.c  tokens to a tree of Nodes
 * template_html.c   which kind of escaping each {{ }} of a page needs
 * template_value.c  values and Python's rules for them: str, repr, ==, <
 * template_text.c   Python's string operations; template_json.c tojson
 * template_eval.c   expressions
 * template_run.c    statements, scopes, macros, inheritance
 * template_filter.c filters; template_is.c tests; template_method.c methods of strings, lists and
 *                   dicts and the global functions
 * template_names.c  which variables a template wants
 *
 * A Value is copied freely; what it points to lies in the rendering's arena (or, for constants, in
 * the template's) and never changes, but for namespaces. An error is remembered in the Render:
 * functions then return quickly with any value, and whoever loops asks render_ok. */
#pragma once

#include "base/map.h"
#include "text/template.h"

typedef enum ValueKind {
    VALUE_MISSING, // an argument that was not given; never seen by a template
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_NAMESPACE, // namespace(), an imported module: attributes only
    VALUE_MACRO,
    VALUE_FUNCTION, // a global function, or a method bound to `self`
    VALUE_LOOP,
    VALUE_CYCLER,
    VALUE_JOINER,
} ValueKind;

typedef struct List List;
typedef struct Dict Dict;
typedef struct Macro Macro;
typedef struct Bound Bound;
typedef struct Loop Loop;
typedef struct Cycler Cycler;

typedef struct Value {
    uint8_t kind;  // ValueKind
    bool safe;     // STRING: is HTML already
    uint8_t owner; // UNDEFINED: ValueKind of what lacks the attribute `s`, 0 for a variable
    union {
        int64_t i; // BOOL, INT
        double f;
        Str s;
        List *list; // LIST, TUPLE
        Dict *dict; // DICT, NAMESPACE
        Macro *macro;
        Bound *bound;
        Loop *loop;
        Cycler *cycler; // CYCLER, JOINER
    };
} Value;

struct List {
    Value *items;
    size_t n, cap;
};

typedef struct Pair {
    Value key, value;
} Pair;

/* In insertion order. */
struct Dict {
    Pair *pairs;
    size_t n, cap;
    Map *index; // of keys that are strings, once there are many
};

/* Trees. What the fields hold by kind stands behind each kind; "body" and "otherwise" are
 * statements. */
typedef enum NodeKind {
    // Expressions
    NODE_CONST,   // value
    NODE_NAME,    // name
    NODE_LIST,    // items
    NODE_TUPLE,   // items
    NODE_DICT,    // items: key, value, key, value
    NODE_ATTR,    // left . name
    NODE_ITEM,    // left [ right ]
    NODE_SLICE,   // left : right : third, each may be NULL
    NODE_CALL,    // left ( items )
    NODE_KEYWORD, // name = left, an argument
    NODE_STAR,    // * left, an argument
    NODE_STARS,   // ** left, an argument
    NODE_FILTER,  // left | name ( items ); left is NULL at the start of a filter block's chain
    NODE_TEST,    // left is name ( items )
    NODE_NOT,     // left
    NODE_MINUS,   // left
    NODE_PLUS,    // left
    NODE_BINARY,  // left op right
    NODE_AND,     // left, right
    NODE_OR,      // left, right
    NODE_COMPARE, // left, items: NODE_OPERAND
    NODE_OPERAND, // op left
    NODE_CONCAT,  // items
    NODE_CHOICE,  // right if left else third; third may be NULL
    // Statements
    NODE_TEXT,         // value
    NODE_PRINT,        // left, by op, an Escape
    NODE_IF,           // items: NODE_BRANCH
    NODE_BRANCH,       // left (NULL: else), body
    NODE_FOR,          // for left in right if third: body, otherwise
    NODE_SET,          // left = right
    NODE_SET_BLOCK,    // left = body, through the filters of right (may be NULL)
    NODE_MACRO,        // name, items: NODE_PARAM, body; op: USES_ flags
    NODE_PARAM,        // name, left: default or NULL
    NODE_CALL_BLOCK,   // right: the call, left: the NODE_MACRO of its body
    NODE_FILTER_BLOCK, // left: chain, body
    NODE_WITH,         // items: target, value, target, value; body
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_GENERATION, // body
    NODE_BLOCK,      // name, body
    NODE_EXTENDS,    // left
    NODE_INCLUDE,    // left; op: 1 ignore missing, 2 without context
    NODE_IMPORT,     // left as name; op: 2 with context
    NODE_FROM,       // left; items: NODE_KEYWORD (name: alias, left: NODE_NAME)
} NodeKind;

typedef enum Operator {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOOR_DIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
} Operator;

typedef enum Escape {
    ESCAPE_NONE,
    ESCAPE_TEXT,
    ESCAPE_ATTRIBUTE,
    ESCAPE_URL,       // the whole of a URL, or its beginning
    ESCAPE_URL_PATH,  // behind a literal beginning
    ESCAPE_URL_QUERY, // behind a literal '?' or '#'
    ESCAPE_SCRIPT,
} Escape;

/* Special names that a macro's body mentions: only then may it be given such arguments. */
enum { USES_VARARGS = 1, USES_KWARGS = 2, USES_CALLER = 4 };

/* Words behind include and import. */
enum { IGNORE_MISSING = 1, WITHOUT_CONTEXT = 2, WITH_CONTEXT = 4 };

typedef struct Node Node;
typedef struct Nodes {
    Node **nodes;
    size_t n, cap;
} Nodes;

struct Node {
    NodeKind kind;
    int op; // Operator, Escape or flags
    int line;
    int depth; // of the tree below, 1 for a leaf
    Str name;
    Value value;
    Node *left, *right, *third;
    Nodes items, body, otherwise;
    const struct Builtin *builtin; // of FILTER and TEST
};

struct Template {
    Arena *arena;
    char *name;
    TemplateOptions options;
    Nodes body;
    Nodes blocks; // every NODE_BLOCK, inner ones too
};

/* Limits on the nesting of sources, values and calls: each level is a few C frames. */
enum { MAX_NESTING = 120, MAX_NODE_DEPTH = 250, MAX_RUN_DEPTH = 600, MAX_VALUE_DEPTH = 200 };

/* Lexer */
typedef enum TokenKind {
    TOKEN_DATA,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_NAME,
    TOKEN_STRING, // text is decoded
    TOKEN_INT,    // text has no underscores
    TOKEN_FLOAT,
    TOKEN_OPERATOR,
    TOKEN_END,
} TokenKind;

typedef struct Token {
    TokenKind kind;
    int line;
    Str text;
} Token;

typedef struct Tokens {
    Token *tokens;
    size_t n, cap;
} Tokens;

bool template_lex(Tokens *out, Arena *a, Str source, const TemplateOptions *options, Error *err);
/* Python's str.isspace for one code point. */
bool is_python_space(int32_t code);

/* HTML contexts. A state is plain data: compare with html_state_eq. */
typedef struct HtmlState {
    uint8_t where;   // see template_html.c
    uint8_t element; // what raw text element we are in or about to be in
    uint8_t url;     // how far a URL in the attribute value has come; 0: not a URL
    char quote;
    char tag[12], attribute[16]; // what has been read of the names, lower case
    uint8_t tag_len, attribute_len;
    bool closing; // "</"
} HtmlState;

void html_follow(HtmlState *s, Str text);
bool html_state_eq(const HtmlState *a, const HtmlState *b);
/* How to escape what is printed here; a sentence in err where nothing may be. Moves the state. */
bool html_print(HtmlState *s, Escape *escape, Error *err);
bool html_is_text(const HtmlState *s);
const char *html_state_name(const HtmlState *s);

/* Rendering */
typedef struct Binding {
    Str name;
    Value value;
} Binding;

typedef struct Scope {
    struct Scope *parent;
    Binding *bindings;
    size_t n, cap;
    bool captured;  // a macro holds it: do not reuse
    bool variables; // the bottom: falls through to the caller's JSON
} Scope;

typedef enum Flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

typedef struct Definition { // of a block, the youngest first
    const Node *node;
    const Template *from;
    struct Definition *super;
} Definition;

typedef struct Render {
    const Template *template; // being run: for messages and options
    Arena *arena;
    Buf *out;
    Error *err;
    bool failed;
    int line;
    int depth;
    int64_t work;
    TemplateLimits limits;
    const TemplateRun *run;
    const json_t *variables;
    Scope *scope, *top;
    Flow flow;
    const Template *parent; // extends was met
    bool muted;             // nothing is printed behind it
    Map blocks;             // name to Definition
    Buf *main_out;          // the caller's; generation spans count here
    size_t main_start;      // what it held before
} Render;

struct Macro {
    const Node *node; // MACRO
    const Template *from;
    Scope *closure;
};

typedef struct Args {
    Value *items;
    size_t n;
    Binding *named;
    size_t n_named;
} Args;

/* A filter, test, method or global function. `params` names them, separated by spaces: arguments
 * are then put in that order, MISSING where absent; "*" takes arguments as they come. */
typedef struct Builtin {
    const char *name;
    const char *params;
    Value (*call)(Render *r, Value self, const Args *args);
} Builtin;

struct Bound {
    const Builtin *builtin;
    Value self;
};

struct Loop {
    List *items;
    size_t at;
    Value changed; // the last arguments of loop.changed, a tuple
};

struct Cycler {
    List *items;
    size_t at;
    Str separator; // of a joiner
};

/* template_value.c */
static inline Value undefined(void)
{
    return (Value){.kind = VALUE_UNDEFINED};
}
static inline Value none(void)
{
    return (Value){.kind = VALUE_NONE};
}
static inline Value value_bool(bool b)
{
    return (Value){.kind = VALUE_BOOL, .i = b};
}
static inline Value value_int(int64_t i)
{
    return (Value){.kind = VALUE_INT, .i = i};
}
static inline Value value_float(double f)
{
    return (Value){.kind = VALUE_FLOAT, .f = f};
}
static inline Value value_str(Str s)
{
    return (Value){.kind = VALUE_STRING, .s = s};
}
static inline bool is_string(Value v)
{
    return v.kind == VALUE_STRING;
}
static inline bool is_list(Value v)
{
    return v.kind == VALUE_LIST || v.kind == VALUE_TUPLE;
}
static inline bool is_int(Value v)
{
    return v.kind == VALUE_INT || v.kind == VALUE_BOOL;
}
static inline bool is_number(Value v)
{
    return is_int(v) || v.kind == VALUE_FLOAT;
}
static inline double number_of(Value v)
{
    return v.kind == VALUE_FLOAT ? v.f : (double)v.i;
}

/* Remembers the first error, "name: line N: ...". Returns undefined. */
Value render_fail(Render *r, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline bool render_ok(const Render *r)
{
    return !r->failed;
}
/* Counts n units of work and looks at the limits; false when rendering must stop. */
bool render_work(Render *r, size_t n);
/* May n more bytes be taken from the arena? Fails otherwise. Small takes need not ask. */
bool render_room(Render *r, size_t n);

Value value_copy(Render *r, Str s); // of a string, into the arena
Value value_from_json(Render *r, const json_t *json);
const char *value_type(Value v); // Python's name of the type
bool value_truth(Render *r, Value v);
/* str(v) and repr(v), appended; *text is borrowed. */
Str value_text(Render *r, Value v);
void value_print(Render *r, Buf *out, Value v);
void value_repr(Render *r, Buf *out, Value v);
bool value_eq(Render *r, Value a, Value b);
/* -1, 0, 1; fails on types that have no order. */
int value_cmp(Render *r, Value a, Value b);
bool value_contains(Render *r, Value container, Value item);
typedef struct JsonStyle {
    int indent; // -1: one line
    bool ascii, sort, html;
    Str comma, colon;
} JsonStyle;
void value_json(Render *r, Buf *out, Value v, const JsonStyle *style);

List *list_new(Render *r, size_t cap);
void list_add(Render *r, List *l, Value v);
Value value_list(List *l);
Value value_tuple(List *l);
/* The items to loop over: a list's, a dict's keys, a string's characters. NULL and an error for
 * what cannot be looped over. */
List *value_items(Render *r, Value v);
/* False, without an error, for what has no length. */
bool value_length(Render *r, Value v, int64_t *n);

Dict *dict_new(Render *r);
Value value_dict(Dict *d);
void dict_put(Render *r, Dict *d, Value key, Value value);
Value *dict_find(Render *r, const Dict *d, Value key);
Value *dict_find_str(Render *r, const Dict *d, Str key);

/* Strings count code points. */
size_t str_chars(Str s);
/* The byte position of code point n, at most s.len. */
size_t str_char_at(Str s, size_t n);
/* Python's slice.indices: where to begin, how to step, how many. */
bool slice_indices(Render *r, Value start, Value stop, Value step, int64_t length, int64_t *first,
                   int64_t *stride, size_t *count);

/* template_eval.c */
Value eval(Render *r, const Node *n);
/* Raises what is wrong with an undefined value. */
Value eval_undefined(Render *r, Value v);
/* A call; `caller` is what a call block gives, MISSING elsewhere. */
Value eval_call(Render *r, const Node *n, Value caller);
Value eval_filters(Render *r, const Node *chain, Value input);
Value value_attr(Render *r, Value object, Str name);
Value value_item(Render *r, Value object, Value key);
Value call_value(Render *r, Value callee, const Args *args);
Value call_builtin(Render *r, const Builtin *b, Value self, const Args *args);
Value eval_binary(Render *r, Operator op, Value a, Value b);
Value format_percent(Render *r, Str format, Value args);

/* template_run.c */
void run_body(Render *r, const Nodes *body);
Value call_macro(Render *r, const Macro *m, const Args *args);
Value scope_find(Render *r, Str name);
void scope_set(Render *r, Scope *s, Str name, Value v);

/* Tables; NULL if there is no such thing. */
const Builtin *filter_find(Str name);
const Builtin *test_find(Str name);
const Builtin *global_find(Str name);
const Builtin *method_find(Value object, Str name);

/* Arguments of builtins with defaults. */
static inline Value arg_or(const Args *args, size_t i, Value otherwise)
{
    return args->items[i].kind == VALUE_MISSING ? otherwise : args->items[i];
}
bool arg_flag(Render *r, const Args *args, size_t i, bool otherwise);
int64_t arg_int(Render *r, const Args *args, size_t i, int64_t otherwise);
Str arg_str(Render *r, const Args *args, size_t i, Str otherwise);

/* template_text.c: Python's string operations. */
typedef enum TextCase { CASE_LOWER, CASE_UPPER, CASE_CAPITALIZE, CASE_TITLE, CASE_SWAP } TextCase;
Value text_case(Render *r, Str s, TextCase to);
typedef enum TextSide { SIDE_LEFT = 1, SIDE_RIGHT = 2, SIDE_BOTH = 3 } TextSide;
/* Without the characters of `chars`, or without white space where chars.ptr is NULL. */
Str text_strip(Str s, Str chars, TextSide side);
/* limit -1: no limit. Where separator.ptr is NULL, white space separates. */
List *text_split(Render *r, Str s, Str separator, int64_t limit, bool from_right);
List *text_lines(Render *r, Str s, bool keep_ends);
Value text_replace(Render *r, Str s, Str old, Str new, int64_t limit);
Value text_reverse(Render *r, Str s);
/* Pads to `width` characters; align is '<', '>', '^' or 'c' (as str.center). */
Value text_pad(Render *r, Str s, int64_t width, Str fill, char align);
Value text_format(Render *r, Str format, const Args *args); // str.format
/* True if s is not empty and every character is of the class; of 'l'ower and 'u'pper only cased
 * characters count, and one must be there. */
bool text_is(Render *r, Str s, char class);

/* template_filter.c */
Value filter_join(Render *r, Value items, const Args *args);
