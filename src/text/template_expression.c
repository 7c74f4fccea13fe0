/* template_expression.c: expressions of templates to trees; see template_parse.c. */
#include "text/template_parse_internal.h"

static Node *parse_unary(Parser *p, bool with_filters);

static Node *binary_node(Parser *p, NodeKind kind, Node *left, Node *right)
{
    Node *n = unary_node(p, kind, left);
    n->right = right;
    node_above(p, n, right);
    return n;
}

/* Primary expressions */

static Node *const_node(Parser *p, Value v)
{
    Node *n = node_new(p, NODE_CONST);
    n->value = v;
    return n;
}

Node *name_node(Parser *p, Str name)
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
        if (parse_is_word(p, constants[i].word))
            n = const_node(p, constants[i].value);
    if (!n)
        n = name_node(p, p->token->text);
    parse_next(p);
    return n;
}

static Node *parse_strings(Parser *p)
{
    AUTO_BUF text;
    buf_init(&text, 0);
    Str first = p->token->text;
    Node *n = const_node(p, value_str(first));
    for (; p->token->kind == TOKEN_STRING; parse_next(p))
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
    parse_next(p);
    return n;
}

static Node *parse_float(Parser *p)
{
    Node *n = const_node(p, value_float(strtod(arena_cstr(p->arena, p->token->text), NULL)));
    parse_next(p);
    return n;
}

static Node *parse_list(Parser *p)
{
    Node *n = node_new(p, NODE_LIST);
    parse_next(p);
    while (!p->failed && !parse_is_op(p, "]")) {
        if (n->items.n)
            parse_expect_op(p, ",");
        if (parse_is_op(p, "]"))
            break;
        node_add_item(p, n, parse_expression(p));
    }
    parse_expect_op(p, "]");
    return n;
}

static Node *parse_dict(Parser *p)
{
    Node *n = node_new(p, NODE_DICT);
    parse_next(p);
    while (!p->failed && !parse_is_op(p, "}")) {
        if (n->items.n)
            parse_expect_op(p, ",");
        if (parse_is_op(p, "}"))
            break;
        node_add_item(p, n, parse_expression(p));
        parse_expect_op(p, ":");
        node_add_item(p, n, parse_expression(p));
    }
    parse_expect_op(p, "}");
    return n;
}

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
Node *parse_tuple(Parser *p, TupleOf of, bool parentheses, const char *stop)
{
    Node *tuple = node_new(p, NODE_TUPLE);
    bool comma = false;
    while (!p->failed) {
        TokenKind kind = p->token->kind;
        if (kind == TOKEN_BLOCK_END || kind == TOKEN_PRINT_END || parse_is_op(p, ")") ||
            (stop && parse_is_word(p, stop)))
            break;
        node_add_item(p, tuple, parse_tuple_item(p, of));
        if (!parse_skip_op(p, ","))
            break;
        comma = true;
    }
    if (p->failed || comma)
        return tuple;
    if (tuple->items.n == 1)
        return tuple->items.nodes[0];
    if (!parentheses)
        parse_unexpected(p, "an expression");
    return tuple;
}

static Node *parse_primary(Parser *p)
{
    Node *n = NULL;
    if (parse_enter(p)) {
        if (p->token->kind == TOKEN_NAME) {
            n = parse_name(p);
        } else if (p->token->kind == TOKEN_STRING) {
            n = parse_strings(p);
        } else if (p->token->kind == TOKEN_INT) {
            n = parse_int(p);
        } else if (p->token->kind == TOKEN_FLOAT) {
            n = parse_float(p);
        } else if (parse_skip_op(p, "(")) {
            n = parse_tuple(p, OF_EXPRESSIONS, true, NULL);
            parse_expect_op(p, ")");
        } else if (parse_is_op(p, "[")) {
            n = parse_list(p);
        } else if (parse_is_op(p, "{")) {
            n = parse_dict(p);
        } else {
            parse_unexpected(p, "an expression");
        }
    }
    parse_leave(p);
    return n ? n : const_node(p, undefined());
}

/* Postfix: attributes, subscripts, calls, filters, tests */

static Node *parse_subscript(Parser *p)
{
    Node *start = NULL, *slice;
    if (!parse_is_op(p, ":")) {
        start = parse_expression(p);
        if (!parse_is_op(p, ":"))
            return start;
    }
    slice = unary_node(p, NODE_SLICE, start);
    parse_next(p);
    if (!parse_is_op(p, "]") && !parse_is_op(p, ":") && !parse_is_op(p, ","))
        node_above(p, slice, slice->right = parse_expression(p));
    if (parse_skip_op(p, ":") && !parse_is_op(p, "]") && !parse_is_op(p, ","))
        node_above(p, slice, slice->third = parse_expression(p));
    return slice;
}

static Node *parse_subscripts(Parser *p, Node *object)
{
    parse_next(p);
    Node *key = parse_subscript(p);
    if (parse_is_op(p, ",")) {
        Node *tuple = node_new(p, NODE_TUPLE);
        node_add_item(p, tuple, key);
        while (parse_skip_op(p, ",") && !parse_is_op(p, "]"))
            node_add_item(p, tuple, parse_subscript(p));
        key = tuple;
    }
    parse_expect_op(p, "]");
    return binary_node(p, NODE_ITEM, object, key);
}

static Node *parse_dot(Parser *p, Node *object)
{
    parse_next(p);
    if (p->token->kind == TOKEN_INT)
        return binary_node(p, NODE_ITEM, object, parse_int(p));
    Node *n = unary_node(p, NODE_ATTR, object);
    n->name = parse_expect_name(p);
    return n;
}

/* The arguments of a call, filter or test, "(" to ")", into n->items. */
static void parse_args(Parser *p, Node *n)
{
    parse_expect_op(p, "(");
    bool first = true;
    while (!p->failed && !parse_is_op(p, ")")) {
        if (!first)
            parse_expect_op(p, ",");
        if (parse_is_op(p, ")"))
            break;
        first = false;
        Node *arg;
        if (parse_skip_op(p, "*")) {
            arg = unary_node(p, NODE_STAR, parse_expression(p));
        } else if (parse_skip_op(p, "**")) {
            arg = unary_node(p, NODE_STARS, parse_expression(p));
        } else if (p->token->kind == TOKEN_NAME && p->token[1].kind == TOKEN_OPERATOR &&
                   str_eq(p->token[1].text, S("="))) {
            Str name = parse_expect_name(p);
            parse_next(p);
            arg = unary_node(p, NODE_KEYWORD, parse_expression(p));
            arg->name = name;
        } else {
            arg = parse_expression(p);
        }
        node_add_item(p, n, arg);
    }
    parse_expect_op(p, ")");
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
        if (parse_is_op(p, "."))
            n = parse_dot(p, n);
        else if (parse_is_op(p, "["))
            n = parse_subscripts(p, n);
        else if (parse_is_op(p, "("))
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
    n->name = parse_expect_name(p);
    while (parse_skip_op(p, "."))
        parse_expect_name(p);
    n->builtin = kind == NODE_FILTER ? filter_find(n->name) : test_find(n->name);
    if (!n->builtin && p->t->options.html)
        parse_fail(p, ERR_INVALID, "there is no %s '%.*s'", kind == NODE_FILTER ? "filter" : "test",
                   STR(n->name));
    return n;
}

Node *parse_filter(Parser *p, Node *left)
{
    Node *n = parse_named(p, NODE_FILTER, left);
    if (parse_is_op(p, "("))
        parse_args(p, n);
    return n;
}

static bool at_test_argument(const Parser *p)
{
    TokenKind kind = p->token->kind;
    if (kind == TOKEN_NAME)
        return !parse_is_word(p, "else") && !parse_is_word(p, "or") && !parse_is_word(p, "and") &&
               !parse_is_word(p, "if");
    return kind == TOKEN_STRING || kind == TOKEN_INT || kind == TOKEN_FLOAT ||
           parse_is_op(p, "[") || parse_is_op(p, "{");
}

static Node *parse_test(Parser *p, Node *left)
{
    parse_next(p);
    bool negated = parse_skip_word(p, "not");
    Node *n = parse_named(p, NODE_TEST, left);
    if (parse_is_op(p, "(")) {
        parse_args(p, n);
    } else if (at_test_argument(p)) {
        if (parse_is_word(p, "is"))
            parse_fail(p, ERR_INVALID, "tests cannot be chained with 'is'");
        node_add_item(p, n, parse_postfix(p, parse_primary(p)));
    }
    return negated ? unary_node(p, NODE_NOT, n) : n;
}

static Node *parse_filters(Parser *p, Node *n)
{
    while (!p->failed) {
        if (parse_skip_op(p, "|"))
            n = parse_filter(p, n);
        else if (parse_is_word(p, "is"))
            n = parse_test(p, n);
        else if (parse_is_op(p, "("))
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
    if (parse_enter(p)) {
        if (parse_skip_op(p, "-"))
            n = unary_node(p, NODE_MINUS, parse_unary(p, false));
        else if (parse_skip_op(p, "+"))
            n = unary_node(p, NODE_PLUS, parse_unary(p, false));
        else
            n = parse_primary(p);
        n = parse_postfix(p, n);
        if (with_filters)
            n = parse_filters(p, n);
    }
    parse_leave(p);
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
        if (parse_skip_op(p, level->texts[i])) {
            *op = level->ops[i];
            return true;
        }
    return false;
}

static Node *parse_power(Parser *p)
{
    Node *left = parse_unary(p, true);
    while (parse_skip_op(p, "**")) {
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
    if (!parse_is_op(p, "~"))
        return first;
    Node *n = node_new(p, NODE_CONCAT);
    node_add_item(p, n, first);
    while (parse_skip_op(p, "~"))
        node_add_item(p, n, parse_product(p));
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
    if (parse_skip_word(p, "in")) {
        *op = OP_IN;
        return true;
    }
    if (parse_is_word(p, "not") && p->token[1].kind == TOKEN_NAME &&
        str_eq(p->token[1].text, S("in"))) {
        parse_next(p);
        parse_next(p);
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
        node_add_item(p, n, operand);
    }
    return n ? n : first;
}

static Node *parse_not(Parser *p)
{
    if (!parse_is_word(p, "not"))
        return parse_comparison(p);
    Node *n = NULL;
    if (parse_enter(p)) {
        parse_next(p);
        n = unary_node(p, NODE_NOT, parse_not(p));
    }
    parse_leave(p);
    return n ? n : const_node(p, undefined());
}

static Node *parse_and(Parser *p)
{
    Node *left = parse_not(p);
    while (parse_skip_word(p, "and"))
        left = binary_node(p, NODE_AND, left, parse_not(p));
    return left;
}

static Node *parse_or(Parser *p)
{
    Node *left = parse_and(p);
    while (parse_skip_word(p, "or"))
        left = binary_node(p, NODE_OR, left, parse_and(p));
    return left;
}

/* With the inline if: a if b else c. */
Node *parse_expression(Parser *p)
{
    Node *n = NULL;
    if (parse_enter(p)) {
        n = parse_or(p);
        while (parse_skip_word(p, "if")) {
            Node *choice = binary_node(p, NODE_CHOICE, parse_or(p), n);
            if (parse_skip_word(p, "else"))
                node_above(p, choice, choice->third = parse_expression(p));
            n = choice;
        }
    }
    parse_leave(p);
    return n ? n : const_node(p, undefined());
}

Node *parse_whole(Parser *p)
{
    return parse_tuple(p, OF_EXPRESSIONS, false, NULL);
}
