/* template_parse.c: tokens to a tree, by recursive descent; Jinja2's grammar.
 *
 * The first error is remembered; after it every function returns quickly with a harmless node. In a
 * page the parser also follows the HTML that the template writes, see template_html.c. */
#include "text/template_internal.h"

typedef struct Parser {
    Template *t;
    Arena *arena;
    const Token *token; // the current one; the list ends with TOKEN_END, which is never passed
    HtmlState html;
    int nesting, loops;
    int uses; // USES_ flags of the macro being parsed
    bool failed;
    Error *err;
} Parser;

static Node *parse_expression(Parser *p);
static Node *parse_unary(Parser *p, bool with_filters);
static void parse_body(Parser *p, Nodes *body, const char *const *ends);

static void parse_fail(Parser *p, ErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void parse_fail(Parser *p, ErrorCode code, const char *format, ...)
{
    if (p->failed)
        return;
    p->failed = true;
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)!fail(p->err, code, "line %d: %s", p->token->line, text);
}

static Node *node_new(Parser *p, NodeKind kind)
{
    Node *n = NEW(p->arena, Node);
    n->kind = kind;
    n->line = p->token->line;
    n->depth = 1;
    return n;
}

/* Evaluating a tree recurses as deep as it is, whether it leans left or right. */
static void node_above(Parser *p, Node *n, const Node *child)
{
    if (!child)
        return;
    n->depth = MAX(n->depth, child->depth + 1);
    if (n->depth > MAX_NODE_DEPTH)
        parse_fail(p, ERR_LIMIT, "the expression nests too deep");
}

static void nodes_add(Parser *p, Nodes *list, Node *n)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        Node **grown = NEW_ARRAY(p->arena, Node *, cap);
        if (list->n)
            memcpy(grown, list->nodes, list->n * sizeof *grown);
        list->nodes = grown;
        list->cap = cap;
    }
    list->nodes[list->n++] = n;
}

static void add_item(Parser *p, Node *n, Node *item)
{
    nodes_add(p, &n->items, item);
    node_above(p, n, item);
}

static Node *unary_node(Parser *p, NodeKind kind, Node *left)
{
    Node *n = node_new(p, kind);
    n->left = left;
    node_above(p, n, left);
    return n;
}

static Node *binary_node(Parser *p, NodeKind kind, Node *left, Node *right)
{
    Node *n = unary_node(p, kind, left);
    n->right = right;
    node_above(p, n, right);
    return n;
}

static bool enter(Parser *p)
{
    if (++p->nesting > MAX_NESTING)
        parse_fail(p, ERR_LIMIT, "the template nests too deep");
    return !p->failed;
}

static void leave(Parser *p)
{
    p->nesting--;
}

/* Tokens */

static void next(Parser *p)
{
    if (p->token->kind != TOKEN_END)
        p->token++;
}

static bool is_op(const Parser *p, const char *op)
{
    return p->token->kind == TOKEN_OPERATOR && str_eq(p->token->text, str_of(op));
}

static bool is_word(const Parser *p, const char *word)
{
    return p->token->kind == TOKEN_NAME && str_eq(p->token->text, str_of(word));
}

static bool skip_op(Parser *p, const char *op)
{
    bool found = !p->failed && is_op(p, op);
    if (found)
        next(p);
    return found;
}

static bool skip_word(Parser *p, const char *word)
{
    bool found = !p->failed && is_word(p, word);
    if (found)
        next(p);
    return found;
}

static void unexpected(Parser *p, const char *wanted)
{
    Str text = p->token->text;
    if (p->token->kind == TOKEN_BLOCK_END || p->token->kind == TOKEN_PRINT_END)
        parse_fail(p, ERR_INVALID, "the tag ends where %s should stand", wanted);
    else if (p->token->kind == TOKEN_END)
        parse_fail(p, ERR_INVALID, "the template ends where %s should stand", wanted);
    else
        parse_fail(p, ERR_INVALID, "'%.*s' stands where %s should", STR(str_slice(text, 0, 40)),
                   wanted);
}

static void expect_op(Parser *p, const char *op)
{
    if (!skip_op(p, op))
        unexpected(p, op);
}

static void expect_kind(Parser *p, TokenKind kind, const char *wanted)
{
    if (p->token->kind != kind)
        unexpected(p, wanted);
    else
        next(p);
}

static Str expect_name(Parser *p)
{
    Str name = p->token->text;
    expect_kind(p, TOKEN_NAME, "a name");
    return name;
}

/* Primary expressions */

static Node *const_node(Parser *p, Value v)
{
    Node *n = node_new(p, NODE_CONST);
    n->value = v;
    return n;
}

static Node *name_node(Parser *p, Str name)
{
    p->uses |= str_eq(name, S("varargs"))  ? USES_VARARGS
               : str_eq(name, S("kwargs")) ? USES_KWARGS
               : str_eq(name, S("caller")) ? USES_CALLER
                                           : 0;
    Node *n = node_new(p, NODE_NAME);
    n->name = name;
    return n;
}

static Node *parse_name(Parser *p)
{
    static const struct {
        const char *word;
        Value value;
    } constants[] = {
        {"true", {.kind = VALUE_BOOL, .i = 1}},  {"True", {.kind = VALUE_BOOL, .i = 1}},
        {"false", {.kind = VALUE_BOOL, .i = 0}}, {"False", {.kind = VALUE_BOOL, .i = 0}},
        {"none", {.kind = VALUE_NONE}},          {"None", {.kind = VALUE_NONE}},
    };
    Node *n = NULL;
    for (size_t i = 0; i < COUNT(constants) && !n; i++)
        if (is_word(p, constants[i].word))
            n = const_node(p, constants[i].value);
    if (!n)
        n = name_node(p, p->token->text);
    next(p);
    return n;
}

static Node *parse_strings(Parser *p)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    Str first = p->token->text;
    Node *n = const_node(p, value_str(first));
    for (; p->token->kind == TOKEN_STRING; next(p))
        buf_add(&text, p->token->text);
    if (text.len != first.len)
        n->value.s = arena_str(p->arena, buf_str(&text));
    return n;
}

static Node *parse_int(Parser *p)
{
    Str digits = p->token->text;
    char *end;
    char base = (char)(digits.len > 2 ? digits.ptr[1] | 0x20 : 0);
    const char *text = arena_cstr(p->arena, digits);
    int64_t value = 0;
    if (base == 'x' || base == 'o' || base == 'b') {
        unsigned long long big = strtoull(text + 2, &end, base == 'x' ? 16 : base == 'o' ? 8 : 2);
        value = (int64_t)big;
        if (big > INT64_MAX)
            parse_fail(p, ERR_LIMIT, "the number is too large");
    } else if (!str_to_int(digits, 0, INT64_MAX, &value)) {
        parse_fail(p, ERR_LIMIT, "the number is too large");
    }
    Node *n = const_node(p, value_int(value));
    next(p);
    return n;
}

static Node *parse_float(Parser *p)
{
    Node *n = const_node(p, value_float(strtod(arena_cstr(p->arena, p->token->text), NULL)));
    next(p);
    return n;
}

static Node *parse_list(Parser *p)
{
    Node *n = node_new(p, NODE_LIST);
    next(p);
    while (!p->failed && !is_op(p, "]")) {
        if (n->items.n)
            expect_op(p, ",");
        if (is_op(p, "]"))
            break;
        add_item(p, n, parse_expression(p));
    }
    expect_op(p, "]");
    return n;
}

static Node *parse_dict(Parser *p)
{
    Node *n = node_new(p, NODE_DICT);
    next(p);
    while (!p->failed && !is_op(p, "}")) {
        if (n->items.n)
            expect_op(p, ",");
        if (is_op(p, "}"))
            break;
        add_item(p, n, parse_expression(p));
        expect_op(p, ":");
        add_item(p, n, parse_expression(p));
    }
    expect_op(p, "}");
    return n;
}

typedef enum TupleOf { OF_EXPRESSIONS, OF_PRIMARIES, OF_UNCONDITIONED } TupleOf;

static Node *parse_primary(Parser *p);
static Node *parse_or(Parser *p);

static Node *parse_tuple_item(Parser *p, TupleOf of)
{
    return of == OF_EXPRESSIONS ? parse_expression(p)
           : of == OF_PRIMARIES ? parse_primary(p)
                                : parse_or(p);
}

/* One expression, or several with commas as a tuple. `stop` is a word that may follow the last
 * comma ("in"). Empty only inside parentheses. */
static Node *parse_tuple(Parser *p, TupleOf of, bool parentheses, const char *stop)
{
    Node *tuple = node_new(p, NODE_TUPLE);
    bool comma = false;
    while (!p->failed) {
        TokenKind kind = p->token->kind;
        if (kind == TOKEN_BLOCK_END || kind == TOKEN_PRINT_END || is_op(p, ")") ||
            (stop && is_word(p, stop)))
            break;
        add_item(p, tuple, parse_tuple_item(p, of));
        if (!skip_op(p, ","))
            break;
        comma = true;
    }
    if (p->failed || comma)
        return tuple;
    if (tuple->items.n == 1)
        return tuple->items.nodes[0];
    if (!parentheses)
        unexpected(p, "an expression");
    return tuple;
}

static Node *parse_primary(Parser *p)
{
    Node *n = NULL;
    if (enter(p)) {
        if (p->token->kind == TOKEN_NAME) {
            n = parse_name(p);
        } else if (p->token->kind == TOKEN_STRING) {
            n = parse_strings(p);
        } else if (p->token->kind == TOKEN_INT) {
            n = parse_int(p);
        } else if (p->token->kind == TOKEN_FLOAT) {
            n = parse_float(p);
        } else if (skip_op(p, "(")) {
            n = parse_tuple(p, OF_EXPRESSIONS, true, NULL);
            expect_op(p, ")");
        } else if (is_op(p, "[")) {
            n = parse_list(p);
        } else if (is_op(p, "{")) {
            n = parse_dict(p);
        } else {
            unexpected(p, "an expression");
        }
    }
    leave(p);
    return n ? n : const_node(p, undefined());
}

/* Postfix: attributes, subscripts, calls, filters, tests */

static Node *parse_subscript(Parser *p)
{
    Node *start = NULL, *slice;
    if (!is_op(p, ":")) {
        start = parse_expression(p);
        if (!is_op(p, ":"))
            return start;
    }
    slice = unary_node(p, NODE_SLICE, start);
    next(p);
    if (!is_op(p, "]") && !is_op(p, ":") && !is_op(p, ","))
        node_above(p, slice, slice->right = parse_expression(p));
    if (skip_op(p, ":") && !is_op(p, "]") && !is_op(p, ","))
        node_above(p, slice, slice->third = parse_expression(p));
    return slice;
}

static Node *parse_subscripts(Parser *p, Node *object)
{
    next(p);
    Node *key = parse_subscript(p);
    if (is_op(p, ",")) {
        Node *tuple = node_new(p, NODE_TUPLE);
        add_item(p, tuple, key);
        while (skip_op(p, ",") && !is_op(p, "]"))
            add_item(p, tuple, parse_subscript(p));
        key = tuple;
    }
    expect_op(p, "]");
    return binary_node(p, NODE_ITEM, object, key);
}

static Node *parse_dot(Parser *p, Node *object)
{
    next(p);
    if (p->token->kind == TOKEN_INT)
        return binary_node(p, NODE_ITEM, object, parse_int(p));
    Node *n = unary_node(p, NODE_ATTR, object);
    n->name = expect_name(p);
    return n;
}

/* The arguments of a call, filter or test, "(" to ")", into n->items. */
static void parse_args(Parser *p, Node *n)
{
    expect_op(p, "(");
    bool first = true;
    while (!p->failed && !is_op(p, ")")) {
        if (!first)
            expect_op(p, ",");
        if (is_op(p, ")"))
            break;
        first = false;
        Node *arg;
        if (skip_op(p, "*")) {
            arg = unary_node(p, NODE_STAR, parse_expression(p));
        } else if (skip_op(p, "**")) {
            arg = unary_node(p, NODE_STARS, parse_expression(p));
        } else if (p->token->kind == TOKEN_NAME && p->token[1].kind == TOKEN_OPERATOR &&
                   str_eq(p->token[1].text, S("="))) {
            Str name = expect_name(p);
            next(p);
            arg = unary_node(p, NODE_KEYWORD, parse_expression(p));
            arg->name = name;
        } else {
            arg = parse_expression(p);
        }
        add_item(p, n, arg);
    }
    expect_op(p, ")");
}

static Node *parse_call(Parser *p, Node *callee)
{
    Node *n = unary_node(p, NODE_CALL, callee);
    parse_args(p, n);
    return n;
}

static Node *parse_postfix(Parser *p, Node *n)
{
    while (!p->failed) {
        if (is_op(p, "."))
            n = parse_dot(p, n);
        else if (is_op(p, "["))
            n = parse_subscripts(p, n);
        else if (is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* Unknown filters and tests are an error when they run, since honest chat templates guard them with
 * `if`; in pages already here. */
static Node *parse_named(Parser *p, NodeKind kind, Node *left)
{
    Node *n = unary_node(p, kind, left);
    n->name = expect_name(p);
    while (skip_op(p, "."))
        expect_name(p);
    n->builtin = kind == NODE_FILTER ? filter_find(n->name) : test_find(n->name);
    if (!n->builtin && p->t->options.html)
        parse_fail(p, ERR_INVALID, "there is no %s '%.*s'", kind == NODE_FILTER ? "filter" : "test",
                   STR(n->name));
    return n;
}

static Node *parse_filter(Parser *p, Node *left)
{
    Node *n = parse_named(p, NODE_FILTER, left);
    if (is_op(p, "("))
        parse_args(p, n);
    return n;
}

static bool at_test_argument(const Parser *p)
{
    TokenKind kind = p->token->kind;
    if (kind == TOKEN_NAME)
        return !is_word(p, "else") && !is_word(p, "or") && !is_word(p, "and") && !is_word(p, "if");
    return kind == TOKEN_STRING || kind == TOKEN_INT || kind == TOKEN_FLOAT || is_op(p, "[") ||
           is_op(p, "{");
}

static Node *parse_test(Parser *p, Node *left)
{
    next(p);
    bool negated = skip_word(p, "not");
    Node *n = parse_named(p, NODE_TEST, left);
    if (is_op(p, "(")) {
        parse_args(p, n);
    } else if (at_test_argument(p)) {
        if (is_word(p, "is"))
            parse_fail(p, ERR_INVALID, "tests cannot be chained with 'is'");
        add_item(p, n, parse_postfix(p, parse_primary(p)));
    }
    return negated ? unary_node(p, NODE_NOT, n) : n;
}

static Node *parse_filters(Parser *p, Node *n)
{
    while (!p->failed) {
        if (skip_op(p, "|"))
            n = parse_filter(p, n);
        else if (is_word(p, "is"))
            n = parse_test(p, n);
        else if (is_op(p, "("))
            n = parse_call(p, n);
        else
            break;
    }
    return n;
}

/* Operators, loosest last */

static Node *parse_unary(Parser *p, bool with_filters)
{
    Node *n = NULL;
    if (enter(p)) {
        if (skip_op(p, "-"))
            n = unary_node(p, NODE_MINUS, parse_unary(p, false));
        else if (skip_op(p, "+"))
            n = unary_node(p, NODE_PLUS, parse_unary(p, false));
        else
            n = parse_primary(p);
        n = parse_postfix(p, n);
        if (with_filters)
            n = parse_filters(p, n);
    }
    leave(p);
    return n ? n : const_node(p, undefined());
}

/* One level of left-associative operators. */
typedef struct Level {
    const char *const *texts;
    const Operator *ops;
    size_t n;
} Level;

static bool take_operator(Parser *p, const Level *level, Operator *op)
{
    for (size_t i = 0; i < level->n && !p->failed; i++)
        if (skip_op(p, level->texts[i])) {
            *op = level->ops[i];
            return true;
        }
    return false;
}

static Node *parse_power(Parser *p)
{
    Node *left = parse_unary(p, true);
    while (skip_op(p, "**")) {
        left = binary_node(p, NODE_BINARY, left, parse_unary(p, true));
        left->op = OP_POW;
    }
    return left;
}

static Node *parse_product(Parser *p)
{
    static const char *const texts[] = {"*", "/", "//", "%"};
    static const Operator ops[] = {OP_MUL, OP_DIV, OP_FLOOR_DIV, OP_MOD};
    static const Level level = {texts, ops, COUNT(texts)};
    Node *left = parse_power(p);
    for (Operator op; take_operator(p, &level, &op);) {
        left = binary_node(p, NODE_BINARY, left, parse_power(p));
        left->op = op;
    }
    return left;
}

static Node *parse_concat(Parser *p)
{
    Node *first = parse_product(p);
    if (!is_op(p, "~"))
        return first;
    Node *n = node_new(p, NODE_CONCAT);
    add_item(p, n, first);
    while (skip_op(p, "~"))
        add_item(p, n, parse_product(p));
    return n;
}

static Node *parse_sum(Parser *p)
{
    static const char *const texts[] = {"+", "-"};
    static const Operator ops[] = {OP_ADD, OP_SUB};
    static const Level level = {texts, ops, COUNT(texts)};
    Node *left = parse_concat(p);
    for (Operator op; take_operator(p, &level, &op);) {
        left = binary_node(p, NODE_BINARY, left, parse_concat(p));
        left->op = op;
    }
    return left;
}

static bool take_comparison(Parser *p, Operator *op)
{
    static const char *const texts[] = {"==", "!=", "<=", ">=", "<", ">"};
    static const Operator ops[] = {OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT};
    static const Level level = {texts, ops, COUNT(texts)};
    if (take_operator(p, &level, op))
        return true;
    if (skip_word(p, "in")) {
        *op = OP_IN;
        return true;
    }
    if (is_word(p, "not") && p->token[1].kind == TOKEN_NAME && str_eq(p->token[1].text, S("in"))) {
        next(p);
        next(p);
        *op = OP_NOT_IN;
        return true;
    }
    return false;
}

static Node *parse_comparison(Parser *p)
{
    Node *first = parse_sum(p), *n = NULL;
    for (Operator op; take_comparison(p, &op);) {
        if (!n)
            n = unary_node(p, NODE_COMPARE, first);
        Node *operand = unary_node(p, NODE_OPERAND, parse_sum(p));
        operand->op = op;
        add_item(p, n, operand);
    }
    return n ? n : first;
}

static Node *parse_not(Parser *p)
{
    if (!is_word(p, "not"))
        return parse_comparison(p);
    Node *n = NULL;
    if (enter(p)) {
        next(p);
        n = unary_node(p, NODE_NOT, parse_not(p));
    }
    leave(p);
    return n ? n : const_node(p, undefined());
}

static Node *parse_and(Parser *p)
{
    Node *left = parse_not(p);
    while (skip_word(p, "and"))
        left = binary_node(p, NODE_AND, left, parse_not(p));
    return left;
}

static Node *parse_or(Parser *p)
{
    Node *left = parse_and(p);
    while (skip_word(p, "or"))
        left = binary_node(p, NODE_OR, left, parse_and(p));
    return left;
}

/* With the inline if: a if b else c. */
static Node *parse_expression(Parser *p)
{
    Node *n = NULL;
    if (enter(p)) {
        n = parse_or(p);
        while (skip_word(p, "if")) {
            Node *choice = binary_node(p, NODE_CHOICE, parse_or(p), n);
            if (skip_word(p, "else"))
                node_above(p, choice, choice->third = parse_expression(p));
            n = choice;
        }
    }
    leave(p);
    return n ? n : const_node(p, undefined());
}

static Node *parse_whole(Parser *p)
{
    return parse_tuple(p, OF_EXPRESSIONS, false, NULL);
}

/* Statements */

static void end_tag(Parser *p)
{
    expect_kind(p, TOKEN_BLOCK_END, "the end of the tag");
}

/* Skips the name of an end tag, which parse_body has left current, and its end. */
static void end_statement(Parser *p)
{
    next(p);
    end_tag(p);
}

static void parse_to_end(Parser *p, Nodes *body, const char *end)
{
    parse_body(p, body, (const char *const[]){end, NULL});
    end_statement(p);
}

static void want_same_html(Parser *p, const HtmlState *before, const char *what)
{
    if (p->t->options.html && !p->failed && !html_state_eq(&p->html, before))
        parse_fail(p, ERR_INVALID, "%s begins in %s and ends in %s", what, html_state_name(before),
                   html_state_name(&p->html));
}

static void want_html_text(Parser *p, const char *what)
{
    if (p->t->options.html && !html_is_text(&p->html))
        parse_fail(p, ERR_INVALID, "%s cannot stand in %s", what, html_state_name(&p->html));
}

/* A body whose text goes elsewhere than here: of macros, set blocks and so on. It is HTML text. */
static void parse_apart(Parser *p, Nodes *body, const char *end)
{
    HtmlState here = p->html, text = {0};
    int loops = p->loops;
    p->html = text;
    p->loops = 0;
    parse_to_end(p, body, end);
    want_same_html(p, &text, "the body");
    p->html = here;
    p->loops = loops;
}

static Node *parse_if(Parser *p)
{
    Node *n = node_new(p, NODE_IF);
    HtmlState before = p->html, after = before;
    bool has_else = false;
    for (bool more = true, first = true; more && !p->failed; first = false) {
        Node *branch = node_new(p, NODE_BRANCH);
        has_else = !first && is_word(p, "else");
        next(p); // if, elif, else
        if (!has_else)
            branch->left = parse_tuple(p, OF_EXPRESSIONS, false, NULL);
        end_tag(p);
        p->html = before;
        parse_body(p, &branch->body,
                   has_else ? (const char *const[]){"endif", NULL}
                            : (const char *const[]){"elif", "else", "endif", NULL});
        if (first)
            after = p->html;
        want_same_html(p, &after, "a branch");
        nodes_add(p, &n->items, branch);
        more = !is_word(p, "endif");
    }
    end_statement(p);
    if (!has_else)
        want_same_html(p, &before, "the if");
    return n;
}

static Node *parse_assign_target(Parser *p, bool with_namespace)
{
    if (with_namespace && p->token->kind == TOKEN_NAME && p->token[1].kind == TOKEN_OPERATOR &&
        str_eq(p->token[1].text, S("."))) {
        Node *n = unary_node(p, NODE_ATTR, name_node(p, expect_name(p)));
        next(p);
        n->name = expect_name(p);
        return n;
    }
    Node *n = parse_tuple(p, OF_PRIMARIES, false, "in");
    Nodes one = {.nodes = &n, .n = 1}, *names = n->kind == NODE_TUPLE ? &n->items : &one;
    for (size_t i = 0; i < names->n; i++)
        if (names->nodes[i]->kind != NODE_NAME && names->nodes[i]->kind != NODE_TUPLE)
            parse_fail(p, ERR_INVALID, "cannot assign to this");
    return n;
}

static Node *parse_for(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_FOR);
    n->left = parse_assign_target(p, false);
    if (!skip_word(p, "in"))
        unexpected(p, "in");
    n->right = parse_tuple(p, OF_UNCONDITIONED, false, "recursive");
    if (skip_word(p, "if"))
        n->third = parse_expression(p);
    if (is_word(p, "recursive"))
        parse_fail(p, ERR_UNSUPPORTED, "recursive loops are not supported");
    end_tag(p);
    HtmlState before = p->html;
    p->loops++;
    parse_body(p, &n->body, (const char *const[]){"endfor", "else", NULL});
    p->loops--;
    want_same_html(p, &before, "the loop");
    if (skip_word(p, "else")) {
        end_tag(p);
        parse_body(p, &n->otherwise, (const char *const[]){"endfor", NULL});
        want_same_html(p, &before, "the else");
    }
    end_statement(p);
    return n;
}

static Node *parse_set(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_SET);
    n->left = parse_assign_target(p, true);
    if (skip_op(p, "=")) {
        n->right = parse_whole(p);
        end_tag(p);
        return n;
    }
    n->kind = NODE_SET_BLOCK;
    while (skip_op(p, "|"))
        n->right = parse_filter(p, n->right);
    end_tag(p);
    parse_apart(p, &n->body, "endset");
    return n;
}

static void parse_params(Parser *p, Node *macro)
{
    expect_op(p, "(");
    while (!p->failed && !is_op(p, ")")) {
        if (macro->items.n)
            expect_op(p, ",");
        if (is_op(p, ")"))
            break;
        Node *param = node_new(p, NODE_PARAM);
        param->name = expect_name(p);
        if (skip_op(p, "="))
            param->left = parse_expression(p);
        else if (macro->items.n && macro->items.nodes[macro->items.n - 1]->left)
            parse_fail(p, ERR_INVALID, "a parameter without a default follows one with it");
        nodes_add(p, &macro->items, param);
    }
    expect_op(p, ")");
}

static void parse_macro_body(Parser *p, Node *macro, const char *end)
{
    int uses = p->uses;
    p->uses = 0;
    parse_apart(p, &macro->body, end);
    macro->op = p->uses;
    p->uses = uses;
}

static Node *parse_macro(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_MACRO);
    n->name = expect_name(p);
    parse_params(p, n);
    end_tag(p);
    parse_macro_body(p, n, "endmacro");
    return n;
}

static Node *parse_call_block(Parser *p)
{
    next(p);
    want_html_text(p, "a call");
    Node *n = node_new(p, NODE_CALL_BLOCK), *body = node_new(p, NODE_MACRO);
    body->name = S("caller");
    if (is_op(p, "("))
        parse_params(p, body);
    n->left = body;
    n->right = parse_expression(p);
    if (n->right->kind != NODE_CALL)
        parse_fail(p, ERR_INVALID, "a call block needs a call");
    end_tag(p);
    int uses = p->uses;
    parse_macro_body(p, body, "endcall");
    p->uses = uses | body->op; // a call block's body sees the names of the macro around it
    return n;
}

static Node *parse_filter_block(Parser *p)
{
    next(p);
    want_html_text(p, "a filter block");
    Node *n = node_new(p, NODE_FILTER_BLOCK);
    do
        n->left = parse_filter(p, n->left);
    while (skip_op(p, "|"));
    end_tag(p);
    parse_apart(p, &n->body, "endfilter");
    return n;
}

static Node *parse_with(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_WITH);
    while (!p->failed && p->token->kind != TOKEN_BLOCK_END) {
        if (n->items.n)
            expect_op(p, ",");
        nodes_add(p, &n->items, parse_assign_target(p, false));
        expect_op(p, "=");
        nodes_add(p, &n->items, parse_expression(p));
    }
    end_tag(p);
    parse_to_end(p, &n->body, "endwith");
    return n;
}

static Node *parse_jump(Parser *p)
{
    Node *n = node_new(p, is_word(p, "break") ? NODE_BREAK : NODE_CONTINUE);
    if (!p->loops)
        parse_fail(p, ERR_INVALID, "'%.*s' outside a loop", STR(p->token->text));
    next(p);
    end_tag(p);
    return n;
}

static Node *parse_generation(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_GENERATION);
    end_tag(p);
    parse_to_end(p, &n->body, "endgeneration");
    return n;
}

static Node *parse_block(Parser *p)
{
    next(p);
    want_html_text(p, "a block");
    Node *n = node_new(p, NODE_BLOCK);
    n->name = expect_name(p);
    skip_word(p, "scoped");
    for (size_t i = 0; i < p->t->blocks.n; i++)
        if (str_eq(p->t->blocks.nodes[i]->name, n->name))
            parse_fail(p, ERR_INVALID, "block '%.*s' is defined twice", STR(n->name));
    nodes_add(p, &p->t->blocks, n);
    end_tag(p);
    HtmlState before = p->html;
    int loops = p->loops;
    p->loops = 0;
    parse_body(p, &n->body, (const char *const[]){"endblock", NULL});
    want_same_html(p, &before, "the block");
    p->loops = loops;
    next(p);
    if (p->token->kind == TOKEN_NAME && str_eq(p->token->text, n->name))
        next(p);
    end_tag(p);
    return n;
}

static Node *parse_extends(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_EXTENDS);
    n->left = parse_expression(p);
    end_tag(p);
    return n;
}

/* "with context", "without context", "ignore missing" behind include and import. */
static int parse_context_flags(Parser *p)
{
    int flags = 0;
    if (skip_word(p, "ignore")) {
        if (!skip_word(p, "missing"))
            unexpected(p, "missing");
        flags |= IGNORE_MISSING;
    }
    bool with = is_word(p, "with"), without = is_word(p, "without");
    if ((with || without) && p->token[1].kind == TOKEN_NAME &&
        str_eq(p->token[1].text, S("context"))) {
        next(p);
        next(p);
        flags |= with ? WITH_CONTEXT : WITHOUT_CONTEXT;
    }
    return flags;
}

static Node *parse_include(Parser *p)
{
    next(p);
    want_html_text(p, "an include");
    Node *n = node_new(p, NODE_INCLUDE);
    n->left = parse_expression(p);
    n->op = parse_context_flags(p);
    end_tag(p);
    return n;
}

static Node *parse_import(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_IMPORT);
    n->left = parse_expression(p);
    if (!skip_word(p, "as"))
        unexpected(p, "as");
    n->name = expect_name(p);
    n->op = parse_context_flags(p);
    end_tag(p);
    return n;
}

static Node *parse_from(Parser *p)
{
    next(p);
    Node *n = node_new(p, NODE_FROM);
    n->left = parse_expression(p);
    if (!skip_word(p, "import"))
        unexpected(p, "import");
    do {
        Node *alias = node_new(p, NODE_KEYWORD);
        alias->name = expect_name(p);
        alias->left = name_node(p, alias->name);
        if (skip_word(p, "as"))
            alias->name = expect_name(p);
        nodes_add(p, &n->items, alias);
    } while (skip_op(p, ",") && p->token->kind == TOKEN_NAME);
    n->op = parse_context_flags(p);
    end_tag(p);
    return n;
}

static const struct {
    const char *word;
    Node *(*parse)(Parser *p);
} statements[] = {
    {"if", parse_if},           {"for", parse_for},
    {"set", parse_set},         {"macro", parse_macro},
    {"call", parse_call_block}, {"filter", parse_filter_block},
    {"with", parse_with},       {"break", parse_jump},
    {"continue", parse_jump},   {"generation", parse_generation},
    {"block", parse_block},     {"extends", parse_extends},
    {"include", parse_include}, {"import", parse_import},
    {"from", parse_from},
};

static void parse_statement(Parser *p, Nodes *body)
{
    if (p->token->kind != TOKEN_NAME) {
        unexpected(p, "a statement");
        return;
    }
    for (size_t i = 0; i < COUNT(statements); i++)
        if (is_word(p, statements[i].word)) {
            Node *n = statements[i].parse(p);
            nodes_add(p, body, n);
            return;
        }
    parse_fail(p, ERR_INVALID, "unknown statement '%.*s'", STR(str_slice(p->token->text, 0, 40)));
}

static void parse_print(Parser *p, Nodes *body)
{
    Node *n = node_new(p, NODE_PRINT);
    next(p);
    n->left = parse_whole(p);
    Escape escape = ESCAPE_NONE;
    Error why = {0};
    if (p->t->options.html && !p->failed && !html_print(&p->html, &escape, &why))
        parse_fail(p, ERR_INVALID, "%s", why.text);
    n->op = (int)escape;
    expect_kind(p, TOKEN_PRINT_END, "the end of the print");
    nodes_add(p, body, n);
}

static bool at_end_word(const Parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (is_word(p, *ends))
            return true;
    return false;
}

/* Statements up to one of the end words, which is left current. */
static void parse_body(Parser *p, Nodes *body, const char *const *ends)
{
    if (!enter(p))
        return;
    while (!p->failed && p->token->kind != TOKEN_END) {
        if (p->token->kind == TOKEN_DATA) {
            Node *n = node_new(p, NODE_TEXT);
            n->value = value_str(p->token->text);
            if (p->t->options.html)
                html_follow(&p->html, p->token->text);
            nodes_add(p, body, n);
            next(p);
        } else if (p->token->kind == TOKEN_PRINT_BEGIN) {
            parse_print(p, body);
        } else {
            next(p);
            if (at_end_word(p, ends))
                break;
            parse_statement(p, body);
        }
    }
    if (ends && p->token->kind == TOKEN_END) {
        size_t last = 0;
        while (ends[last + 1])
            last++;
        parse_fail(p, ERR_INVALID, "the template ends without '%s'", ends[last]);
    }
    leave(p);
}

Template *template_parse(Str source, const TemplateOptions *options, Error *err)
{
    AUTO(template_free) Template *t = xcalloc(1, sizeof *t);
    t->arena = arena_new(0);
    t->options = *options;
    t->name = arena_cstr(t->arena, str_of(options->name ? options->name : "template"));
    t->options.name = t->name;
    if (source.len > (size_t)16 << 20)
        return fail(err, ERR_LIMIT, "%s: %zu bytes", t->name, source.len);
    Tokens tokens = {0};
    if (!template_lex(&tokens, t->arena, source, options, err))
        return fail_while(err, "%s", t->name);
    Parser p = {.t = t, .arena = t->arena, .token = tokens.tokens, .err = err};
    parse_body(&p, &t->body, NULL);
    HtmlState text = {0};
    want_same_html(&p, &text, "the template");
    if (p.failed)
        return fail_while(err, "%s", t->name);
    return TAKE(t);
}

void template_free(Template *t)
{
    if (t)
        arena_free(t->arena);
    free(t);
}
