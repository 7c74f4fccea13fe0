/* Any bytes as a grammar: the first byte chooses GBNF, a regular expression or a JSON schema. What
 * parses is run over a few bytes of the text itself, so that its states are made as well. */
#include "base/json.h"
#include "fuzz.h"
#include "text/grammar.h"

static Grammar *read_schema(Str text, Error *err)
{
    AUTO(json_decref) json_t *schema = json_parse(text, "schema", err);
    return schema ? grammar_from_schema(schema, err) : NULL;
}

static const TokenTrie *no_tokens(void)
{
    static TokenTrie *one;
    Error err = {0};
    if (!one) {
        AUTO(tokenizer_free)
        Tokenizer *t = tokenizer_from_json(
            S("{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0,\"ab\":1,\"{\\\"\":2},"
              "\"unk_token\":\"a\"}}"),
            "fuzz", &err);
        CHECK(t);
        one = token_trie_new(t);
    }
    return one;
}

static void run(const Grammar *g, Str text)
{
    Error err = {0};
    AUTO(matcher_free) Matcher *m = matcher_new(g, no_tokens());
    MatchState at = matcher_start(m);
    for (size_t i = 0; i < MIN(text.len, 200) && at >= 0; i++) {
        if (i < 20 && !matcher_mask(m, at, &err)) {
            CHECK(err.code == ERR_LIMIT);
            return;
        }
        (void)matcher_may_end(m, at);
        at = matcher_feed(m, at, str_slice(text, i, i + 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Error err = {0};
    if (size < 1 || size > 20000)
        return 0;
    Str text = {(const char *)data + 1, size - 1};
    AUTO(grammar_free)
    Grammar *g = data[0] == 'g'   ? grammar_from_gbnf(text, &err)
                 : data[0] == 'r' ? grammar_from_regex(text, &err)
                                  : read_schema(text, &err);
    CHECK(g || (err.code != ERR_NONE && err.text[0]));
    if (g)
        run(g, text);
    return 0;
}
