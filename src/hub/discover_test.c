/* Tests of what finds repositories: search.h, lineage.h, evals.h, and the words and changes of
 * card.h. */
#include "hub/card.h"
#include "hub/downloads.h"
#include "hub/evals.h"
#include "hub/hub_testing.h"
#include "hub/lineage.h"
#include "hub/search.h"

static Arena *a;
static Hub *hub;
static Viewer nobody, ada, bob;

static Repo make(const char *name, RepoKind kind, bool is_private, const char *readme)
{
    Error err = {0};
    Repo repo;
    Str sha;
    NewRepo new = {
        .kind = kind, .name = str_of(name), .is_private = is_private, .sdk = S("static")};
    assert_ok(repo_create(hub, a, &ada, &new, &repo, &err));
    AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
    assert_ok(c);
    change_title(c, S("card"), S(""));
    change_add(c, S("README.md"), str_of(readme));
    assert_ok(change_commit(c, a, &sha, &err));
    return repo;
}

/* The names of what a search finds, behind one another. */
static const char *found(const Viewer *viewer, const char *words)
{
    Error err = {0};
    RepoPage page;
    RepoQuery query = {.text = str_of(words), .limit = 1};
    AUTO_BUF out;
    buf_init(&out, 0);
    do { // one a page: the cursor is tried as well
        assert_ok(repo_list(hub, a, viewer, &query, &page, &err));
        for (size_t i = 0; i < page.n; i++)
            buf_printf(&out, "%s%.*s", out.len ? " " : "", STR(page.items[i].repo.name));
        query.cursor = page.next;
    } while (page.next.len);
    return arena_cstr(a, buf_str(&out));
}

static void test_names_come_before_metadata_before_cards(void **state)
{
    make("owl", REPO_MODEL, false, "# A bird\n");
    make("owl-small", REPO_MODEL, false, "# Smaller\n");
    make("barn-owl", REPO_MODEL, false, "# From the barn\n");
    make("night", REPO_MODEL, false, "---\ntags: [owl]\n---\n# Night\n");
    make("forest", REPO_MODEL, false,
         "# Trees\n\nAn **Owl** lives here, with 42 Mäuse. [link](https://x.example/hidden)\n");
    make("secret-owl", REPO_MODEL, true, "# Owl\n");
    assert_string_equal(found(&nobody, "owl"), "owl owl-small barn-owl night forest");
    assert_string_equal(found(&nobody, "OWL small"), "owl-small");
    assert_string_equal(found(&bob, "secret"), "");
    assert_string_equal(found(&ada, "secret"), "secret-owl");
    assert_string_equal(found(&nobody, "trees mäu"), "forest");
    assert_string_equal(found(&nobody, "hidden"), "");
    assert_string_equal(found(&nobody, "\"owl\" AND *"), "");
    assert_string_equal(found(&nobody, "%"), "");
    assert_string_equal(found(&nobody, "barn-owl"), "barn-owl");
    make("zh", REPO_MODEL, false, "# 一个语言模型\n");
    assert_string_equal(found(&nobody, "语言"), "zh");
    assert_string_equal(found(&nobody, "言语"), "");
}

static void test_a_card_that_changes_is_found_by_its_new_words(void **state)
{
    Error err = {0};
    Str sha;
    Repo repo = make("changing", REPO_MODEL, false, "# Aardvark\n");
    assert_string_equal(found(&nobody, "aardvark"), "changing");
    AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
    change_title(c, S("again"), S(""));
    change_add(c, S("README.md"), S("# Buffalo\n"));
    assert_ok(change_commit(c, a, &sha, &err));
    assert_string_equal(found(&nobody, "aardvark"), "");
    assert_string_equal(found(&nobody, "buffalo"), "changing");
    SearchPart *parts;
    size_t n;
    assert_ok(search_excerpt(hub, a, &repo, S("buff"), &parts, &n, &err));
    assert_int_equal(n, 2);
    assert_true(parts[0].is_match);
    assert_str(parts[0].text, "Buff");
    assert_ok(repo_delete(hub, &repo, &err));
    assert_string_equal(found(&nobody, "buffalo"), "");
}

static void test_a_model_knows_its_parents_and_children(void **state)
{
    Error err = {0};
    Repo base = make("base", REPO_MODEL, false, "# Base\n");
    make("tuned", REPO_MODEL, false, "---\nbase_model: ada/base\n---\n");
    make("merged", REPO_MODEL, false, "---\nbase_model: [ada/base, ada/owl]\n---\n");
    make("lora", REPO_MODEL, false, "---\nbase_model: [ada/base]\ntags: [lora]\n---\n");
    make("hidden-tune", REPO_MODEL, true, "---\nbase_model: ada/base\n---\n");
    Repo deep = make("deep", REPO_MODEL, false,
                     "---\nbase_model: ada/tuned\nbase_model_relation: quantized\n---\n");
    int64_t counts[RELATIONS];
    assert_ok(lineage_children(hub, &nobody, &base, counts, &err));
    assert_int_equal(counts[RELATION_FINETUNE], 1);
    assert_int_equal(counts[RELATION_MERGE], 1);
    assert_int_equal(counts[RELATION_ADAPTER], 1);
    assert_int_equal(counts[RELATION_QUANTIZED], 0);
    assert_ok(lineage_children(hub, &ada, &base, counts, &err));
    assert_int_equal(counts[RELATION_FINETUNE], 2);
    const RepoInfo *info;
    Relative *up;
    size_t n;
    assert_ok(repo_info(hub, a, &deep, S(""), &info, &err));
    assert_ok(lineage_ancestors(hub, a, &nobody, info->tags, info->n_tags, &up, &n, &err));
    assert_int_equal(n, 2);
    assert_str(up[0].full, "ada/tuned");
    assert_str(up[0].relation, "quantized");
    assert_str(up[1].full, "ada/base");
    assert_ok(repo_move(hub, a, &ada, &base, S("ada/root"), &err));
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, S("ada/root"), ACCESS_READ, &base, &err));
    assert_ok(lineage_children(hub, &nobody, &base, counts, &err));
    assert_int_equal(counts[RELATION_FINETUNE], 1);
    assert_ok(lineage_ancestors(hub, a, &nobody, info->tags, info->n_tags, &up, &n, &err));
    assert_str(up[1].full, "ada/root");
}

static void test_who_uses_a_dataset(void **state)
{
    Error err = {0};
    RepoPage page;
    Repo data = make("data", REPO_DATASET, false, "# Data\n");
    make("trained", REPO_MODEL, false, "---\ndatasets: [ada/data]\n---\n");
    make("show", REPO_SPACE, false,
         "---\nsdk: static\nmodels: [ada/owl]\ndatasets: [ada/data]\n---\n");
    assert_ok(lineage_users(hub, a, &nobody, &data, REPO_MODEL, 10, &page, &err));
    assert_int_equal(page.total, 1);
    assert_str(page.items[0].repo.name, "trained");
    assert_ok(lineage_users(hub, a, &nobody, &data, REPO_SPACE, 10, &page, &err));
    assert_int_equal(page.total, 1);
    Repo owl;
    const Str *names;
    size_t n;
    assert_ok(repo_find(hub, a, &nobody, REPO_MODEL, S("ada/owl"), ACCESS_READ, &owl, &err));
    assert_ok(lineage_spaces(hub, a, &owl, &names, &n, &err));
    assert_int_equal(n, 1);
    assert_str(names[0], "ada/show");
}

static void test_results_make_a_leaderboard(void **state)
{
    Error err = {0};
    Repo data = make("bench", REPO_DATASET, false, "# Bench\n");
    static const char *const values[] = {"0.5", "0.75", "high"};
    for (size_t i = 0; i < COUNT(values); i++) {
        Str sha;
        Repo repo = make(arena_printf(a, "scored-%zu", i), REPO_MODEL, false, "# Scored\n");
        AUTO(change_free) Change *c = change_open(hub, &repo, &ada, S("main"), &err);
        change_title(c, S("results"), S(""));
        change_add(c, S(".eval_results/bench.yaml"),
                   str_of(arena_printf(a,
                                       "- dataset: {id: ada/bench, task_id: all}\n  value: %s\n"
                                       "- dataset: {id: ada/bench}\n  value: 1\n",
                                       values[i])));
        change_add(c, S(".eval_results/bad.yaml"), S("a: [\n"));
        assert_ok(change_commit(c, a, &sha, &err));
        const RepoInfo *info;
        assert_ok(repo_info(hub, a, &repo, S(""), &info, &err));
        assert_int_equal(json_array_size(info->eval_results), 3);
    }
    EvalScore *scores;
    size_t n;
    assert_ok(eval_leaderboard(hub, a, &nobody, &data, S(""), true, &scores, &n, &err));
    assert_int_equal(n, 2);
    assert_str(scores[0].repo.name, "scored-1");
    assert_str(scores[0].file, ".eval_results/bench.yaml");
}

/* ---- Cards ---- */

static void test_a_form_changes_only_what_it_must(void **state)
{
    static const char before[] = "---\n"
                                 "# who may\n"
                                 "license: mit  # for now\n"
                                 "language:\n"
                                 "  - en # first\n"
                                 "  # the old one\n"
                                 "  - la\n"
                                 "tags: [a, b]   # two\n"
                                 "widget:\n"
                                 "- text: |\n"
                                 "    # not a comment\n"
                                 "\n"
                                 "# the end\n"
                                 "---\n"
                                 "# Title\n";
    Str languages[] = {S("en"), S("fr")}, tags[] = {S("a"), S("b: c"), S("1")};
    Str license[] = {S("apache-2.0")}, base[] = {S("me/x")};
    CardChange changes[] = {
        {"license", license, 1},   {"language", languages, 2, .is_list = true},
        {"tags", tags, 3, true},   {"base_model", base, 1},
        {"library_name", NULL, 0},
    };
    Error err = {0};
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_ok(card_edit(str_of(before), changes, COUNT(changes), &out, &err));
    assert_str(buf_str(&out), "---\n"
                              "# who may\n"
                              "license: apache-2.0  # for now\n"
                              "language:\n"
                              "  - en # first\n"
                              "  # the old one\n"
                              "  - fr\n"
                              "tags:   # two\n"
                              "- a\n"
                              "- \"b: c\"\n"
                              "- \"1\"\n"
                              "widget:\n"
                              "- text: |\n"
                              "    # not a comment\n"
                              "\n"
                              "# the end\n"
                              "base_model: me/x\n"
                              "---\n"
                              "# Title\n");
}

static void test_a_form_makes_and_empties_front_matter(void **state)
{
    Error err = {0};
    Str value[] = {S("mit")};
    CardChange set = {"license", value, 1}, unset = {"license", NULL, 0};
    static const struct {
        const char *before, *after;
        bool set;
    } cases[] = {
        {"", "---\nlicense: mit\n---\n", true},
        {"# T\r\n", "---\r\nlicense: mit\n---\r\n\r\n# T\r\n", true},
        {"# T\n", "# T\n", false},
        {"---\n---\n# T\n", "---\nlicense: mit\n---\n# T\n", true},
        {"---\na: 1\r\nlicense: gpl\r\n---\r\nx", "---\na: 1\r\nlicense: mit\r\n---\r\nx", true},
        {"---\nlicense: gpl\nb: 2\n---\nx", "---\nb: 2\n---\nx", false},
        {"---\nlicense:\n- mit\n---\n", "---\nlicense:\n- mit\n---\n", true}, // says it already
        {"---\nlicense:\n---\n", "---\nlicense: mit\n---\n", true},
        {"---\n\"license\" : 'gpl'\n---\n", "---\n\"license\" : mit\n---\n", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_BUF out;
        buf_init(&out, 0);
        if (!card_edit(str_of(cases[i].before), cases[i].set ? &set : &unset, 1, &out, &err))
            fail_msg("%s: %s", cases[i].before, err.text);
        assert_str(buf_str(&out), cases[i].after);
    }
    AUTO_BUF out;
    buf_init(&out, 0);
    assert_fails(card_edit(S("---\n{a: 1}\n---\n"), &set, 1, &out, &err), ERR_INVALID,
                 "edit its text");
    assert_fails(card_edit(S("---\na: &x b\nlicense: &y c\nd: *y\n---\n"), &set, 1, &out, &err),
                 ERR_INVALID, "edit its text");
    assert_fails(card_edit(S("---\na: [\n---\n"), &set, 1, &out, &err), ERR_INVALID, "YAML");
}

static void test_words_of_cards(void **state)
{
    assert_true(card_is_task(S("text-generation")));
    assert_true(card_is_library(S("peft")));
    assert_true(card_is_license(S("other")));
    assert_true(card_is_language(S("en")) && card_is_language(S("nn")));
    assert_true(card_is_language(S("yue")) && card_is_language(S("code")));
    assert_false(card_is_language(S("xx")) || card_is_language(S("EN")) ||
                 card_is_language(S("english")) || card_is_language(S("")));
}

static void test_which_files_count_as_downloads(void **state)
{
    assert_true(download_is_counted(REPO_MODEL, S("transformers"), S("config.json"), false));
    assert_false(download_is_counted(REPO_MODEL, S("transformers"), S("a/config.json"), false));
    assert_false(download_is_counted(REPO_MODEL, S("peft"), S("config.json"), false));
    assert_true(download_is_counted(REPO_MODEL, S("peft"), S("adapter_config.json"), false));
    assert_true(download_is_counted(REPO_MODEL, S(""), S("q/x.gguf"), false));
    assert_false(download_is_counted(REPO_MODEL, S(""), S("README.md"), false));
    assert_true(download_is_counted(REPO_DATASET, S(""), S("a/train.csv"), false));
    assert_false(download_is_counted(REPO_DATASET, S(""), S(".gitattributes"), false));
    assert_true(download_is_counted(REPO_MODEL, S(""), S("x.bin"), true)); // the client says so
    assert_false(download_may_count(REPO_MODEL, S("x.txt"), false));
    assert_true(download_may_count(REPO_MODEL, S("adapter_config.json"), false));
}

static int set_up(void **state)
{
    a = arena_new(0);
    hub = test_hub();
    ada = test_user(hub, a, "ada", false);
    bob = test_user(hub, a, "bob", false);
    return 0;
}

static int tear_down(void **state)
{
    return test_hub_done(hub, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_EACH(T1, test_names_come_before_metadata_before_cards,
                 test_a_card_that_changes_is_found_by_its_new_words,
                 test_a_model_knows_its_parents_and_children, test_who_uses_a_dataset,
                 test_results_make_a_leaderboard, test_a_form_changes_only_what_it_must,
                 test_a_form_makes_and_empties_front_matter, test_words_of_cards,
                 test_which_files_count_as_downloads)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
