/* template_parse.c: tokens to a tree, by recursive descent; Jinja2's grammar.
 *
 * The first error is remembered; after it every function returns quickly with a harmless node. In a
 * page the parser also follows the HTML that the template writes, see template_html.c. */
#include "text/template_parse_internal.h"

static void parse_body(Parser *p, Nodes *body, const char *const *ends);

void parse_fail(Parser *p, ErrorCode code, const char *format, ...)
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

Node *node_new(Parser *p, NodeKind kind)
{
    Node *n = NEW(p->arena, Node);
    n->kind = kind;
    n->line = p->token->line;
    n->depth = 1;
    return n;
}

/* Evaluating a tree recurses as deep as it is, whether it leans left or right. */
void node_above(Parser *p, Node *n, const Node *child)
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

void node_add_item(Parser *p, Node *n, Node *item)
{
    nodes_add(p, &n->items, item);
    node_above(p, n, item);
}

Node *unary_node(Parser *p, NodeKind kind, Node *left)
{
    Node *n = node_new(p, kind);
    n->left = left;
    node_above(p, n, left);
    return n;
}

bool parse_enter(Parser *p)
{
    if (++p->nesting > MAX_NESTING)
        parse_fail(p, ERR_LIMIT, "the template nests too deep");
    return !p->failed;
}

void parse_leave(Parser *p)
{
    p->nesting--;
}

/* Tokens */

void parse_next(Parser *p)
{
    if (p->token->kind != TOKEN_END)
        p->token++;
}

bool parse_is_op(const Parser *p, const char *op)
{
    return p->token->kind == TOKEN_OPERATOR && str_eq(p->token->text, str_of(op));
}

bool parse_is_word(const Parser *p, const char *word)
{
    return p->token->kind == TOKEN_NAME && str_eq(p->token->text, str_of(word));
}

bool parse_skip_op(Parser *p, const char *op)
{
    bool found = !p->failed && parse_is_op(p, op);
    if (found)
        parse_next(p);
    return found;
}

bool parse_skip_word(Parser *p, const char *word)
{
    bool found = !p->failed && parse_is_word(p, word);
    if (found)
        parse_next(p);
    return found;
}

void parse_unexpected(Parser *p, const char *wanted)
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

void parse_expect_op(Parser *p, const char *op)
{
    if (!parse_skip_op(p, op))
        parse_unexpected(p, op);
}

static void parse_expect_kind(Parser *p, TokenKind kind, const char *wanted)
{
    if (p->token->kind != kind)
        parse_unexpected(p, wanted);
    else
        parse_next(p);
}

Str parse_expect_name(Parser *p)
{
    Str name = p->token->text;
    parse_expect_kind(p, TOKEN_NAME, "a name");
    return name;
}

/* Statements */

static void end_tag(Parser *p)
{
    parse_expect_kind(p, TOKEN_BLOCK_END, "the end of the tag");
}

/* Skips the name of an end tag, which parse_body has left current, and its end. */
static void end_statement(Parser *p)
{
    parse_next(p);
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
        has_else = !first && parse_is_word(p, "else");
        parse_next(p); // if, elif, else
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
        more = !parse_is_word(p, "endif");
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
        Node *n = unary_node(p, NODE_ATTR, name_node(p, parse_expect_name(p)));
        parse_next(p);
        n->name = parse_expect_name(p);
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
    parse_next(p);
    Node *n = node_new(p, NODE_FOR);
    n->left = parse_assign_target(p, false);
    if (!parse_skip_word(p, "in"))
        parse_unexpected(p, "in");
    n->right = parse_tuple(p, OF_UNCONDITIONED, false, "recursive");
    if (parse_skip_word(p, "if"))
        n->third = parse_expression(p);
    if (parse_is_word(p, "recursive"))
        parse_fail(p, ERR_UNSUPPORTED, "recursive loops are not supported");
    end_tag(p);
    HtmlState before = p->html;
    p->loops++;
    parse_body(p, &n->body, (const char *const[]){"endfor", "else", NULL});
    p->loops--;
    want_same_html(p, &before, "the loop");
    if (parse_skip_word(p, "else")) {
        end_tag(p);
        parse_body(p, &n->otherwise, (const char *const[]){"endfor", NULL});
        want_same_html(p, &before, "the else");
    }
    end_statement(p);
    return n;
}

static Node *parse_set(Parser *p)
{
    parse_next(p);
    Node *n = node_new(p, NODE_SET);
    n->left = parse_assign_target(p, true);
    if (parse_skip_op(p, "=")) {
        n->right = parse_whole(p);
        end_tag(p);
        return n;
    }
    n->kind = NODE_SET_BLOCK;
    while (parse_skip_op(p, "|"))
        n->right = parse_filter(p, n->right);
    end_tag(p);
    parse_apart(p, &n->body, "endset");
    return n;
}

static void parse_params(Parser *p, Node *macro)
{
    parse_expect_op(p, "(");
    while (!p->failed && !parse_is_op(p, ")")) {
        if (macro->items.n)
            parse_expect_op(p, ",");
        if (parse_is_op(p, ")"))
            break;
        Node *param = node_new(p, NODE_PARAM);
        param->name = parse_expect_name(p);
        if (parse_skip_op(p, "="))
            param->left = parse_expression(p);
        else if (macro->items.n && macro->items.nodes[macro->items.n - 1]->left)
            parse_fail(p, ERR_INVALID, "a parameter without a default follows one with it");
        nodes_add(p, &macro->items, param);
    }
    parse_expect_op(p, ")");
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
    parse_next(p);
    Node *n = node_new(p, NODE_MACRO);
    n->name = parse_expect_name(p);
    parse_params(p, n);
    end_tag(p);
    parse_macro_body(p, n, "endmacro");
    return n;
}

static Node *parse_call_block(Parser *p)
{
    parse_next(p);
    want_html_text(p, "a call");
    Node *n = node_new(p, NODE_CALL_BLOCK), *body = node_new(p, NODE_MACRO);
    body->name = S("caller");
    if (parse_is_op(p, "("))
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
    parse_next(p);
    want_html_text(p, "a filter block");
    Node *n = node_new(p, NODE_FILTER_BLOCK);
    do
        n->left = parse_filter(p, n->left);
    while (parse_skip_op(p, "|"));
    end_tag(p);
    parse_apart(p, &n->body, "endfilter");
    return n;
}

static Node *parse_with(Parser *p)
{
    parse_next(p);
    Node *n = node_new(p, NODE_WITH);
    while (!p->failed && p->token->kind != TOKEN_BLOCK_END) {
        if (n->items.n)
            parse_expect_op(p, ",");
        nodes_add(p, &n->items, parse_assign_target(p, false));
        parse_expect_op(p, "=");
        nodes_add(p, &n->items, parse_expression(p));
    }
    end_tag(p);
    parse_to_end(p, &n->body, "endwith");
    return n;
}

static Node *parse_jump(Parser *p)
{
    Node *n = node_new(p, parse_is_word(p, "break") ? NODE_BREAK : NODE_CONTINUE);
    if (!p->loops)
        parse_fail(p, ERR_INVALID, "'%.*s' outside a loop", STR(p->token->text));
    parse_next(p);
    end_tag(p);
    return n;
}

static Node *parse_generation(Parser *p)
{
    parse_next(p);
    Node *n = node_new(p, NODE_GENERATION);
    end_tag(p);
    parse_to_end(p, &n->body, "endgeneration");
    return n;
}

static Node *parse_block(Parser *p)
{
    parse_next(p);
    want_html_text(p, "a block");
    Node *n = node_new(p, NODE_BLOCK);
    n->name = parse_expect_name(p);
    parse_skip_word(p, "scoped");
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
    parse_next(p);
    if (p->token->kind == TOKEN_NAME && str_eq(p->token->text, n->name))
        parse_next(p);
    end_tag(p);
    return n;
}

static Node *parse_extends(Parser *p)
{
    parse_next(p);
    Node *n = node_new(p, NODE_EXTENDS);
    n->left = parse_expression(p);
    end_tag(p);
    return n;
}

/* "with context", "without context", "ignore missing" behind include and import. */
static int parse_context_flags(Parser *p)
{
    int flags = 0;
    if (parse_skip_word(p, "ignore")) {
        if (!parse_skip_word(p, "missing"))
            parse_unexpected(p, "missing");
        flags |= IGNORE_MISSING;
    }
    bool with = parse_is_word(p, "with"), without = parse_is_word(p, "without");
    if ((with || without) && p->token[1].kind == TOKEN_NAME &&
        str_eq(p->token[1].text, S("context"))) {
        parse_next(p);
        parse_next(p);
        flags |= with ? WITH_CONTEXT : WITHOUT_CONTEXT;
    }
    return flags;
}

static Node *parse_include(Parser *p)
{
    parse_next(p);
    want_html_text(p, "an include");
    Node *n = node_new(p, NODE_INCLUDE);
    n->left = parse_expression(p);
    n->op = parse_context_flags(p);
    end_tag(p);
    return n;
}

static Node *parse_import(Parser *p)
{
    parse_next(p);
    Node *n = node_new(p, NODE_IMPORT);
    n->left = parse_expression(p);
    if (!parse_skip_word(p, "as"))
        parse_unexpected(p, "as");
    n->name = parse_expect_name(p);
    n->op = parse_context_flags(p);
    end_tag(p);
    return n;
}

static Node *parse_from(Parser *p)
{
    parse_next(p);
    Node *n = node_new(p, NODE_FROM);
    n->left = parse_expression(p);
    if (!parse_skip_word(p, "import"))
        parse_unexpected(p, "import");
    do {
        Node *alias = node_new(p, NODE_KEYWORD);
        alias->name = parse_expect_name(p);
        alias->left = name_node(p, alias->name);
        if (parse_skip_word(p, "as"))
            alias->name = parse_expect_name(p);
        nodes_add(p, &n->items, alias);
    } while (parse_skip_op(p, ",") && p->token->kind == TOKEN_NAME);
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
        parse_unexpected(p, "a statement");
        return;
    }
    for (size_t i = 0; i < COUNT(statements); i++)
        if (parse_is_word(p, statements[i].word)) {
            Node *n = statements[i].parse(p);
            nodes_add(p, body, n);
            return;
        }
    parse_fail(p, ERR_INVALID, "unknown statement '%.*s'", STR(str_slice(p->token->text, 0, 40)));
}

static void parse_print(Parser *p, Nodes *body)
{
    Node *n = node_new(p, NODE_PRINT);
    parse_next(p);
    n->left = parse_whole(p);
    Escape escape = ESCAPE_NONE;
    Error why = {0};
    if (p->t->options.html && !p->failed && !html_print(&p->html, &escape, &why))
        parse_fail(p, ERR_INVALID, "%s", why.text);
    n->op = (int)escape;
    parse_expect_kind(p, TOKEN_PRINT_END, "the end of the print");
    nodes_add(p, body, n);
}

static bool at_end_word(const Parser *p, const char *const *ends)
{
    for (; ends && *ends; ends++)
        if (parse_is_word(p, *ends))
            return true;
    return false;
}

/* Statements up to one of the end words, which is left current. */
static void parse_body(Parser *p, Nodes *body, const char *const *ends)
{
    if (!parse_enter(p))
        return;
    while (!p->failed && p->token->kind != TOKEN_END) {
        if (p->token->kind == TOKEN_DATA) {
            Node *n = node_new(p, NODE_TEXT);
            n->value = value_str(p->token->text);
            if (p->t->options.html)
                html_follow(&p->html, p->token->text);
            nodes_add(p, body, n);
            parse_next(p);
        } else if (p->token->kind == TOKEN_PRINT_BEGIN) {
            parse_print(p, body);
        } else {
            parse_next(p);
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
    parse_leave(p);
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
