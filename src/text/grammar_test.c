/* Grammars: what each notation allows and refuses, byte by byte; masks against trying every token.
 */
#include "base/random.h"
#include "base/test.h"
#include "text/grammar.h"

static const char *golden(const char *name)
{
    static char path[600];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/%s", root ? root : ".", name);
    return path;
}

static Tokenizer *tokenizer(void)
{
    Error err = {0};
    Tokenizer *t = NULL;
    assert_ok(t = tokenizer_open(golden("tokenizers/byte-level.json"), &err));
    return t;
}

/* True if the whole text is allowed. */
static bool allows(const Grammar *g, const TokenTrie *trie, const char *text)
{
    AUTO(matcher_free) Matcher *m = matcher_new(g, trie);
    MatchState at = matcher_feed(m, matcher_start(m), str_of(text));
    return matcher_may_end(m, at);
}

static const TokenTrie *trie(void)
{
    static TokenTrie *one;
    if (!one) {
        AUTO(tokenizer_free) Tokenizer *t = tokenizer();
        one = token_trie_new(t);
    }
    return one;
}

/* "yes|yes||no|no": each of the first texts must be allowed, none of the others. NULL ends each. */
static void check(Grammar *g, const char *name, const char *const *yes, const char *const *no)
{
    for (; *yes; yes++)
        if (!allows(g, trie(), *yes))
            fail_msg("%s: '%s' is refused", name, *yes);
    for (; *no; no++)
        if (allows(g, trie(), *no))
            fail_msg("%s: '%s' is allowed", name, *no);
    grammar_free(g);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void regex(const char *pattern, const char *const *yes, const char *const *no)
{
    Error err = {0};
    Grammar *g = NULL;
    assert_ok(g = grammar_from_regex(str_of(pattern), &err));
    check(g, pattern, yes, no);
}

static void schema(const char *text, const char *const *yes, const char *const *no)
{
    Error err = {0};
    AUTO(json_decref) json_t *parsed = NULL;
    assert_ok(parsed = json_parse(str_of(text), "schema", &err));
    Grammar *g = NULL;
    assert_ok(g = grammar_from_schema(parsed, &err));
    check(g, text, yes, no);
}

static void gbnf(const char *text, const char *const *yes, const char *const *no)
{
    Error err = {0};
    Grammar *g = NULL;
    assert_ok(g = grammar_from_gbnf(str_of(text), &err));
    check(g, text, yes, no);
}

static void test_regular_expressions(void **state)
{
    regex("abc", LIST("abc"), LIST("", "ab", "abcd"));
    regex("a|bc|", LIST("a", "bc", ""), LIST("b", "ab"));
    regex("^(ab)*c+?$", LIST("c", "abcc"), LIST("ab", "a"));
    regex("[a-c\\d]{2,3}", LIST("a1", "c9b"), LIST("a", "abcd", "ad"));
    regex("[^a-z]", LIST("A", "é", "\n", "😀"), LIST("q", "AA"));
    regex(".", LIST("x", "é", "😀", "中"), LIST("\n", "", "\xC3", "\x80", "\xED\xA0\x80"));
    regex("[é-😀]+", LIST("é", "中😀"), LIST("a", "\xC3"));
    regex("\\u0041\\x42\\.\\*", LIST("AB.*"), LIST("ABx*"));
    regex("(?:a(?P<n>b)?){,2}", LIST("", "aab", "ab"), LIST("aaa"));
    regex("x{100}",
          LIST("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
               "xxxxxxxxxxxxxxxxxxxxxxxx"),
          LIST("xxxxxxxxxx"));
    regex("a{2,}", LIST("aa", "aaaaaaa"), LIST("a"));
    regex("(ab){60,}", LIST(), LIST("abab"));
    regex("a{b", LIST("a{b"), LIST("a"));
}

static void test_rules(void **state)
{
    gbnf("root ::= \"yes\" | \"no\" reason? # which\nreason ::= \" because \" [a-z ]{1,4} \".\"\n",
         LIST("yes", "no", "no because abc."), LIST("no because .", "no because abcde.", "maybe"));
    gbnf("root ::= (\n  \"a\" |\n  root2)+\nroot2 ::=\n  \"b\"\n  | \"\\x63\\u00e9\"\n",
         LIST("ab", "cé", "bcéa"), LIST("", "c"));
    gbnf("root ::= expr\nexpr ::= term ((\"+\" | \"-\") term)*\nterm ::= [0-9]+ | \"(\" expr \")\"",
         LIST("1+2", "(1-(2+3))-44"), LIST("(1", "1+", "()"));
    gbnf("root ::= [^\"\\\\\\n]* .", LIST("x", "ab\""), LIST("\"\""));
}

static void test_schemas(void **state)
{
    schema(
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
        "\"string\"},"
        "\"c\":{\"type\":\"boolean\"}},\"required\":[\"a\",\"c\"],\"additionalProperties\":false}",
        LIST("{\"a\":1,\"b\":\"x\",\"c\":true}", "{\"a\": -10,\"c\": false}",
             "{\n  \"a\": 0,\n  \"c\": true\n}"),
        LIST("{}", "{\"a\":1}", "{\"c\":true,\"a\":1}", "{\"a\":01,\"c\":true}",
             "{\"a\":1,\"c\":true,}", "{\"a\":1.5,\"c\":true}", "{\"a\":1 ,\"c\":true}"));
    schema("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{}}}",
           LIST("{}", "{\"a\":null}", "{\"b\":[1,{\"x\":\"y\"}]}", "{\"a\":null,\"b\":-1.5e3}"),
           LIST("{\"z\":1}", "{,}", "{\"b\":1,\"a\":null}"));
    schema(
        "{\"properties\":{\"ab\":{\"type\":\"integer\"}},\"additionalProperties\":{\"type\":"
        "\"string\"}}",
        LIST("{\"ab\":1}", "{\"ab\":1,\"x\":\"y\"}", "{\"a\":\"y\",\"abc\":\"\"}", "{\"é\":\"\"}"),
        LIST("{\"ab\":\"x\"}", "{\"ab\":1,\"ab\":\"x\"}", "{\"q\":1}"));
    schema("{\"enum\":[\"é\\n\",1,null,[true]]}", LIST("\"é\\n\"", "1", "null", "[true]"),
           LIST("true", "\"e\""));
    schema("{\"const\":{\"a\":1}}", LIST("{\"a\":1}"), LIST("{}"));
    schema("{\"type\":[\"string\",\"null\"]}",
           LIST("null", "\"\"", "\"\\u00e9\\ud83d\\ude00\\\"\""),
           LIST("1", "\"\\ud83d\"", "\"\\q\"", "\"\n\""));
    schema("{\"anyOf\":[{\"type\":\"integer\"},{\"$ref\":\"#/$defs/"
           "s\"}],\"$defs\":{\"s\":{\"type\":\"string\"}}}",
           LIST("1", "\"x\""), LIST("null"));
    schema(
        "{\"$ref\":\"#/definitions/n\",\"definitions\":{\"n\":{\"type\":\"object\",\"properties\":"
        "{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#/definitions/"
        "n\"},{\"type\":\"null\"}]}},"
        "\"required\":[\"v\",\"next\"]}}}",
        LIST("{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"), LIST("{\"v\":1,\"next\":{}}"));
    schema("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]},"
           "{\"properties\":{\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]}]}",
           LIST("{\"a\":1,\"b\":null}"), LIST("{\"a\":1}"));
    schema("{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
           LIST("[1]", "[1, 2,3]", "[\n 1,\n 2\n]"), LIST("[]", "[1,2,3,4]", "[1,]"));
    schema("{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"maxItems\":0}",
           LIST("[]", "[ ]"), LIST("[true]"));
    schema("{\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":false,"
           "\"minItems\":1}",
           LIST("[1]", "[1,\"x\"]"), LIST("[]", "[\"x\"]", "[1,\"x\",2]"));
}

static void test_strings_and_numbers_of_schemas(void **state)
{
    schema("{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", LIST("\"ab\"", "\"é😀\\n\""),
           LIST("\"a\"", "\"abcd\""));
    schema("{\"type\":\"string\",\"pattern\":\"^[a-z]+\\\\d$\"}", LIST("\"ab1\""),
           LIST("\"1\"", "\"ab1x\""));
    schema("{\"type\":\"string\",\"pattern\":\"b\"}", LIST("\"abc\"", "\"b\""), LIST("\"ac\""));
    schema("{\"type\":\"string\",\"pattern\":\"^[\\\"\\\\\\\\\\n]$\"}",
           LIST("\"\\\"\"", "\"\\\\\"", "\"\\n\""), LIST("\"\"\"", "\"n\""));
    schema("{\"format\":\"date\"}", LIST("\"2024-02-29\""), LIST("\"2024-13-01\"", "\"x\""));
    schema("{\"format\":\"date-time\"}",
           LIST("\"2024-02-29T10:00:00Z\"", "\"2024-02-29T10:00:00.5+02:00\""),
           LIST("\"2024-02-29\""));
    schema("{\"format\":\"uuid\"}", LIST("\"123e4567-e89b-12d3-a456-426614174000\""),
           LIST("\"123e4567\""));
    schema("{\"format\":\"ipv4\"}", LIST("\"255.0.10.1\""), LIST("\"256.0.0.1\""));
    schema("{\"format\":\"email\"}", LIST("\"a.b@c.org\""), LIST("\"a@b\""));
    schema("{\"type\":\"string\",\"format\":\"odd\"}", LIST("\"x\""), LIST("1"));
    schema("{\"type\":\"integer\",\"minimum\":7,\"maximum\":1203}",
           LIST("7", "9", "10", "99", "100", "999", "1000", "1199", "1203"),
           LIST("6", "1204", "0", "-7", "07", "12030"));
    schema("{\"type\":\"integer\",\"minimum\":-12,\"exclusiveMaximum\":3}",
           LIST("-12", "-1", "0", "2"), LIST("-13", "3", "-0", "-20"));
    schema("{\"type\":\"integer\",\"exclusiveMinimum\":0}", LIST("1", "100000000"),
           LIST("0", "-1"));
    schema("{\"type\":\"integer\",\"maximum\":-5}", LIST("-5", "-60"), LIST("-4", "0", "5"));
    schema("{\"type\":\"number\",\"minimum\":0,\"maximum\":1}",
           LIST("0", "1", "0.5", "1.0", "0.000"), LIST("1.1", "-0.1", "2", "1.01"));
    schema("{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":10}",
           LIST("0.001", "9.99", "5"), LIST("0", "0.0", "10", "10.0"));
    schema("{\"type\":\"number\",\"minimum\":-2,\"maximum\":2}",
           LIST("-2", "-1.5", "-0.5", "0", "2.0"), LIST("-2.5", "2.1", "-3"));
    schema("{\"type\":\"number\"}", LIST("-0.5e-10", "12", "0"), LIST("00", ".5", "1.", "+1"));
}

static void refused(Grammar *g, const Error *err, ErrorCode code, const char *words)
{
    if (g || err->code != code || !strstr(err->text, words))
        fail_msg("expected '%s', not %s '%s'", words, error_code_name(err->code), err->text);
}

static void test_multiples_bounds_and_what_is_not(void **state)
{
    schema("{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":0,\"maximum\":100}",
           LIST("0", "7", "98", "70"), LIST("8", "105", "-7", "07", "7.0"));
    schema("{\"type\":\"integer\",\"multipleOf\":250}", LIST("-250", "0", "1000000"),
           LIST("25", "125", "--250", "0250"));
    schema("{\"multipleOf\":0.05}", LIST("0.05", "1", "-3.15", "2.5", "2.500"),
           LIST("0.01", "3.14", "1.001", ".05", "1."));
    schema("{\"type\":\"integer\",\"multipleOf\":0.5}", LIST("3", "-1"), LIST("0.5"));
    schema("{\"type\":\"number\",\"minimum\":0.25,\"maximum\":1.5}",
           LIST("0.25", "0.3", "1", "1.4999", "1.5", "1.500", "0.2500001"),
           LIST("0.2", "0.2499", "1.51", "1.5001", "2", "0", "-1"));
    schema("{\"type\":\"number\",\"exclusiveMinimum\":-0.5,\"exclusiveMaximum\":0.5}",
           LIST("-0.4", "-0.49", "0", "0.0", "0.49999"),
           LIST("-0.5", "0.5", "-0.500", "0.51", "1"));
    schema("{\"type\":\"number\",\"minimum\":1.25}", LIST("1.25", "2", "100.5"),
           LIST("1.2", "1", "0.5"));
    schema("{\"type\":\"number\",\"maximum\":-0.001}", LIST("-0.001", "-1", "-0.5"),
           LIST("0", "-0.0009", "-0"));
    schema("{\"type\":\"number\",\"minimum\":0.5,\"maximum\":2,\"multipleOf\":0.5}",
           LIST("0.5", "1", "1.50", "2.0"), LIST("0", "0.75", "2.5"));
    schema("{\"type\":\"integer\",\"minimum\":1,\"maximum\":5,\"not\":{\"enum\":[2,4.0]}}",
           LIST("1", "3", "5"), LIST("2", "4", "6"));
    schema("{\"type\":\"number\",\"not\":{\"const\":0}}", LIST("1", "0.1", "-5"),
           LIST("0", "-0", "0.00", "1e3"));
    schema("{\"type\":\"string\",\"not\":{\"enum\":[\"ab\",\"\",1]}}",
           LIST("\"a\"", "\"abc\"", "\"é\\n\""), LIST("\"ab\"", "\"\""));
    schema("{\"type\":\"string\",\"not\":{\"pattern\":\"x\"},\"maxLength\":3}",
           LIST("\"abc\"", "\"\""), LIST("\"axb\"", "\"abcd\""));
    schema("{\"not\":{\"type\":[\"null\",\"string\"]}}", LIST("1", "[]", "{\"a\":null}", "true"),
           LIST("null", "\"a\""));
    schema("{\"type\":[\"boolean\",\"null\"],\"not\":{\"const\":false}}", LIST("true", "null"),
           LIST("false"));
    schema("{\"enum\":[1,2,\"a\",null],\"not\":{\"type\":\"string\"}}", LIST("1", "null"),
           LIST("\"a\""));
    schema("{\"properties\":{\"a\":{},\"b\":{}},\"not\":{\"required\":[\"a\"]}}",
           LIST("{\"b\":1}", "{}"), LIST("{\"a\":1}"));
}

static void test_patterns_with_other_words(void **state)
{
    schema("{\"type\":\"string\",\"pattern\":\"^[a-z]+$\",\"minLength\":2,\"maxLength\":4}",
           LIST("\"ab\"", "\"abcd\""), LIST("\"a\"", "\"abcde\"", "\"aB\""));
    schema("{\"type\":\"string\",\"pattern\":\"b\",\"minLength\":3}",
           LIST("\"abc\"", "\"bbb\"", "\"\\nb\\\"\""), LIST("\"ab\"", "\"acd\""));
    schema("{\"type\":\"string\",\"format\":\"date\",\"pattern\":\"^2024\"}",
           LIST("\"2024-01-31\""), LIST("\"2023-01-31\"", "\"2024\""));
    schema(
        "{\"type\":\"object\",\"patternProperties\":{\"^n_\":{\"type\":\"integer\"},\"_s$\":"
        "false},\"properties\":{\"id\":{\"type\":\"string\"}},\"additionalProperties\":{\"type\":"
        "\"null\"},\"not\":{\"required\":[\"bad\"]}}",
        LIST("{\"id\":\"x\",\"n_a\":1,\"z\":null}", "{\"n_\":2}", "{}"),
        LIST("{\"n_a\":null}", "{\"z\":1}", "{\"bad\":null}", "{\"a_s\":null}", "{\"id\":null}"));
    schema("{\"patternProperties\":{\"^a\":{\"type\":\"integer\"}},\"properties\":{\"ab\":{"
           "\"minimum\":"
           "5}},\"additionalProperties\":false}",
           LIST("{\"ab\":7,\"a\":1}"), LIST("{\"ab\":1}", "{\"ab\":5.5}", "{\"b\":1}"));
    schema("{\"type\":\"array\",\"uniqueItems\":true,\"items\":{\"enum\":[\"a\",\"b\",1]},"
           "\"minItems\":"
           "2}",
           LIST("[\"a\",1]", "[1, \"b\",\"a\"]"),
           LIST("[1,1]", "[\"a\"]", "[\"a\",1,\"a\"]", "[]"));
    schema("{\"type\":\"array\",\"uniqueItems\":true,\"maxItems\":1}", LIST("[]", "[{}]"),
           LIST("[1,2]"));
    schema("{\"items\":{\"type\":\"boolean\"},\"uniqueItems\":true,\"maxItems\":5}",
           LIST("[true,false]", "[]"), LIST("[true,true]", "[true,false,true]"));
}

static void refused_schema(const char *text, ErrorCode code, const char *words)
{
    Error err = {0};
    AUTO(json_decref) json_t *parsed = json_parse(str_of(text), "schema", &err);
    assert_non_null(parsed);
    refused(grammar_from_schema(parsed, &err), &err, code, words);
}

static void refused_regex(const char *text, ErrorCode code, const char *words)
{
    Error err = {0};
    refused(grammar_from_regex(str_of(text), &err), &err, code, words);
}

static void refused_gbnf(const char *text, const char *words)
{
    Error err = {0};
    refused(grammar_from_gbnf(str_of(text), &err), &err, ERR_INVALID, words);
}

static void test_what_cannot_be_is_named(void **state)
{
    refused_schema("{\"properties\":{\"a\":{\"propertyNames\":{}}}}", ERR_UNSUPPORTED,
                   "JSON schema: #/properties/a: 'propertyNames' is not supported");
    refused_schema("{\"multipleOf\":123457}", ERR_UNSUPPORTED, "at most four digits");
    refused_schema("{\"multipleOf\":0}", ERR_INVALID, "above 0");
    refused_schema("{\"uniqueItems\":true,\"items\":{\"type\":\"string\"}}", ERR_UNSUPPORTED,
                   "at most 10 values");
    refused_schema("{\"not\":{\"minimum\":3}}", ERR_UNSUPPORTED, "'not' is supported of");
    refused_schema("{\"enum\":[1],\"not\":{\"const\":1}}", ERR_INVALID, "'enum' must be");
    refused_schema("{\"type\":\"string\",\"pattern\":\"^a$\",\"minLength\":2}", ERR_INVALID,
                   "no text matches");
    refused_schema("{\"patternProperties\":{\"a\":{},\"b\":{}}}", ERR_UNSUPPORTED,
                   "the same names");
    refused_schema("{\"type\":\"string\",\"pattern\":\"(a|b){5000}c\",\"not\":{\"pattern\":"
                   "\"(a|b){9000}\"}}",
                   ERR_LIMIT, "too l");
    refused_schema("{\"$ref\":\"#/x\"}", ERR_INVALID, "'$ref' leads nowhere");
    refused_schema("{\"$ref\":\"#\"}", ERR_INVALID, "can never end");
    refused_schema("{\"type\":\"objekt\"}", ERR_INVALID, "no type 'objekt'");
    refused_schema("{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", ERR_INVALID,
                   "no number lies");
    refused_schema("{\"type\":\"string\",\"pattern\":\"(?=a)\"}", ERR_UNSUPPORTED, "lookaround");
    refused_schema("[1]", ERR_INVALID, "a schema must be an object");
    refused_schema("{\"type\":\"array\",\"items\":false,\"minItems\":2}", ERR_INVALID, "no array");
    refused_regex("(a", ERR_INVALID, "expected ')'");
    refused_regex("a)", ERR_INVALID, "a ')' too many");
    refused_regex("(a)\\1", ERR_UNSUPPORTED, "backreferences");
    refused_regex("*a", ERR_INVALID, "does not make sense");
    refused_regex("[z-a]", ERR_INVALID, "runs backwards");
    refused_regex("\\bx", ERR_UNSUPPORTED, "this escape");
    refused_gbnf("root ::= a", "rule 'a' is not defined");
    refused_gbnf("a ::= \"x\"", "rule 'root' is not defined");
    refused_gbnf("root ::= root \"a\" | \"b\"", "rule 'root' begins with itself");
    refused_gbnf("root ::= \"a\" root", "rule 'root' can never end");
    refused_gbnf("root ::= \"a\nb\" (", "line 2");
    refused_gbnf("root ::= \"a\"\nroot ::= \"b\"", "line 2: a rule of this name");
}

/* The mask says of each token what trying it says, along random ways through a grammar. */
static void check_masks(const Grammar *g, const TokenTrie *t, size_t vocab, uint64_t seed)
{
    Error err = {0};
    Random random = random_of(seed);
    AUTO(matcher_free) Matcher *m = matcher_new(g, t);
    for (int run = 0; run < 12; run++) {
        MatchState at = matcher_start(m);
        for (int step = 0; step < 40; step++) {
            const uint64_t *mask = NULL;
            assert_ok(mask = matcher_mask(m, at, &err));
            int32_t chosen = -1;
            uint64_t found = 0;
            for (size_t id = 0; id < vocab; id++) {
                bool fits = matcher_step(m, at, (int32_t)id) >= 0;
                if (fits != (mask[id / 64] >> id % 64 & 1))
                    fail_msg("seed %llu: token %zu: tried %d", (unsigned long long)seed, id, fits);
                if (fits && random_below(&random, ++found) == 0)
                    chosen = (int32_t)id;
            }
            if (chosen < 0) {
                assert_true(matcher_may_end(m, at));
                break;
            }
            at = matcher_step(m, at, chosen);
        }
    }
}

static void test_masks_are_what_trying_says(void **state)
{
    static const char *const schemas[] = {
        "{\"type\":\"object\"}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":90},"
        "\"maxItems\":70}",
        "{\"properties\":{\"abc\":{\"type\":\"integer\",\"minimum\":5,\"maximum\":600},\"x\":{"
        "\"pattern\":\"é+\"}},"
        "\"additionalProperties\":{\"type\":\"array\"}}",
        "{\"type\":\"string\",\"minLength\":300}",
    };
    Error err = {0};
    AUTO(tokenizer_free) Tokenizer *t = tokenizer();
    for (size_t i = 0; i < COUNT(schemas); i++) {
        AUTO(json_decref) json_t *parsed = json_parse(str_of(schemas[i]), "schema", &err);
        AUTO(grammar_free) Grammar *g = NULL;
        assert_ok(g = grammar_from_schema(parsed, &err));
        check_masks(g, trie(), (size_t)tokenizer_size(t), i + 1);
    }
    AUTO(grammar_free) Grammar *words = NULL;
    assert_ok(words = grammar_from_regex(S("(the |a |[a-z]{1,9}[,.]? )*end"), &err));
    check_masks(words, trie(), (size_t)tokenizer_size(t), 99);
}

int main(void)
{
    return RUN(test_regular_expressions, test_rules, test_schemas,
               test_strings_and_numbers_of_schemas, test_multiples_bounds_and_what_is_not,
               test_patterns_with_other_words, test_what_cannot_be_is_named,
               test_masks_are_what_trying_says);
}
