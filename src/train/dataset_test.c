/* Data sets of every form, with the tokenizer of tests/golden/text-generation. */
#include "base/test.h"
#include "train/dataset.h"

static Tokenizer *tokenizer;

static const char *write_file(const char *name, const char *text)
{
    Error err = {0};
    const char *path = test_path(name);
    char folder[512];
    snprintf(folder, sizeof folder, "%.*s", STR(path_parent(str_of(path))));
    assert_ok(file_make_folders(folder, 0755, &err));
    assert_ok(file_write_atomic(path, str_of(text), 0644, &err));
    return path;
}

static Dataset *load(const char *path, const char *arguments, int64_t block, Error *err)
{
    static Arena *a;
    a = a ? a : arena_new(0);
    AUTO(json_decref) json_t *given = json_parse(str_of(arguments), "arguments", err);
    TrainingArguments *args = NEW(a, TrainingArguments);
    assert_true(training_arguments_read(args, given, a, err));
    const DatasetSpec spec = {
        .path = path, .tokenizer = tokenizer, .args = args, .block_size = block};
    return dataset_load(&spec, err);
}

/* The text of the learned tokens of an example, and of all. */
static void assert_example(const Dataset *d, size_t i, const char *all, const char *learned)
{
    const Examples *e = dataset_examples(d);
    AUTO_BUF text, part;
    buf_init(&text, 0);
    buf_init(&part, 0);
    for (int64_t t = e->starts[i]; t < e->starts[i + 1]; t++) {
        tokenizer_decode(tokenizer, &e->ids[t], 1, false, &text);
        if (e->learned[t])
            tokenizer_decode(tokenizer, &e->ids[t], 1, false, &part);
    }
    assert_str(buf_str(&text), all);
    assert_str(buf_str(&part), learned);
}

static void test_text_becomes_full_blocks(void **state)
{
    Error err = {0};
    const char *path = write_file("a.txt", "abcdefghij klmnop\nqrstuv wxyz 0123456789");
    AUTO(dataset_free) Dataset *d = load(path, "{}", 8, &err);
    assert_ok(d);
    DatasetFacts facts = dataset_facts(d);
    const Examples *e = dataset_examples(d);
    assert_true(facts.documents == 1 && facts.packed);
    assert_int_equal(e->n, facts.tokens / 8);
    assert_int_equal(facts.dropped, facts.tokens % 8);
    assert_int_equal(example_length(e, 0), 8);
    assert_int_equal(example_labels(e, 0), 7);

    AUTO(dataset_free) Dataset *shorter = load(path, "{}", 1000, &err);
    assert_ok(shorter);
    assert_int_equal(dataset_examples(shorter)->n, 1);
}

static void test_documents_are_examples_where_they_are_not_packed(void **state)
{
    Error err = {0};
    AUTO(dataset_free)
    Dataset *d = load(write_file("b.jsonl", "{\"text\": \"one\"}\n\n{\"text\": \"twenty two\"}\n"),
                      "{\"packing\": false}", 100, &err);
    assert_ok(d);
    assert_int_equal(dataset_examples(d)->n, 2);
    assert_example(d, 0, "one<|endoftext|>", "one<|endoftext|>");
    assert_example(d, 1, "twenty two<|endoftext|>", "twenty two<|endoftext|>");
}

static void test_of_a_pair_the_completion_is_learned(void **state)
{
    Error err = {0};
    const char *path = write_file("c.json", "[{\"prompt\": \"say\", \"completion\": \" yes\"},\n"
                                            " {\"prompt\": \"\", \"completion\": \"no\"}]");
    AUTO(dataset_free) Dataset *d = load(path, "{}", 100, &err);
    assert_ok(d);
    assert_false(dataset_facts(d).packed);
    assert_example(d, 0, "say yes<|endoftext|>", " yes<|endoftext|>");
    assert_example(d, 1, "no<|endoftext|>", "no<|endoftext|>");
    AUTO(dataset_free) Dataset *all = load(path, "{\"completion_only_loss\": false}", 100, &err);
    assert_ok(all);
    assert_example(all, 0, "say yes<|endoftext|>", "say yes<|endoftext|>");
}

static void test_conversations_go_through_the_template(void **state)
{
    Error err = {0};
    const char *path = write_file(
        "d.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", "
        "\"content\": \"ho\"}, {\"role\": \"user\", \"content\": \"a\"}, {\"role\": "
        "\"assistant\", \"content\": \"b\"}]}\n");
    static const char whole[] = "<user>hi<|endoftext|>\n<assistant>ho<|endoftext|>\n"
                                "<user>a<|endoftext|>\n<assistant>b<|endoftext|>\n";
    AUTO(dataset_free) Dataset *d = load(path, "{}", 100, &err);
    assert_ok(d);
    assert_example(d, 0, whole, whole);
    AUTO(dataset_free) Dataset *own = load(path, "{\"assistant_only_loss\": true}", 100, &err);
    assert_ok(own);
    assert_example(own, 0, whole, "ho<|endoftext|>\nb<|endoftext|>\n");
}

static void test_records_have_columns(void **state)
{
    Error err = {0};
    AUTO(dataset_free)
    Dataset *d = load(write_file("e.csv", "id,body\n1,\"a, b\"\n2,c\n"),
                      "{\"text_column_name\": \"body\", \"packing\": false}", 100, &err);
    assert_ok(d);
    assert_example(d, 0, "a, b<|endoftext|>", "a, b<|endoftext|>");
    assert_int_equal(dataset_examples(d)->n, 2);
}

static void test_a_folder_may_have_splits(void **state)
{
    Error err = {0};
    write_file("f/train-1.jsonl", "{\"text\": \"one\"}");
    write_file("f/inner/train-2.txt", "two");
    write_file("f/test.jsonl", "{\"text\": \"three\"}");
    write_file("f/README.md", "no data");
    AUTO(dataset_free) Dataset *d = load(test_path("f"), "{\"packing\": false}", 100, &err);
    assert_ok(d);
    assert_int_equal(dataset_examples(d)->n, 2);
    assert_example(d, 0, "two<|endoftext|>", "two<|endoftext|>");
}

static void test_mistakes_name_file_and_line(void **state)
{
    Error err = {0};
    assert_fails(
        load(write_file("g.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n"), "{}", 9, &err),
        ERR_INVALID, "g.jsonl: line 2: has neither 'text'");
    assert_fails(load(write_file("h.jsonl", "{\"text\": \"a\"}\n{\n"), "{}", 9, &err), ERR_INVALID,
                 "h.jsonl: line 2: JSON");
    assert_fails(load(write_file("i.csv", "a,b\n1,2\n"), "{}", 9, &err), ERR_INVALID,
                 "i.csv: line 2: has no column 'text'");
    assert_fails(load(write_file("j.txt", ""), "{}", 9, &err), ERR_INVALID, "nothing to learn");
    assert_fails(load(write_file("k.bin", "x"), "{}", 9, &err), ERR_UNSUPPORTED, "data sets are");
    assert_fails(load("/nowhere", "{}", 9, &err), ERR_NOT_FOUND, "there is no data set");
}

static void test_epochs_are_permutations_that_can_be_made_again(void **state)
{
    enum { N = 101 };
    uint32_t first[N], second[N], again[N];
    const OrderSpec spec = {.seed = 42};
    epoch_order(&spec, 0, N, first);
    epoch_order(&spec, 1, N, second);
    epoch_order(&spec, 0, N, again);
    assert_memory_equal(first, again, sizeof first);
    assert_memory_not_equal(first, second, sizeof first);
    bool seen[N] = {false};
    for (int i = 0; i < N; i++)
        seen[second[i]] = true;
    for (int i = 0; i < N; i++)
        assert_true(seen[i]);
}

static void test_batches_of_like_lengths(void **state)
{
    enum { N = 100, BATCH = 4 };
    static int64_t starts[N + 1];
    for (int i = 0; i < N; i++)
        starts[i + 1] = starts[i] + 1 + i * 37 % N;
    const Examples e = {.starts = starts, .n = N};
    const OrderSpec spec = {.seed = 1, .by_length = &e, .batch = BATCH};
    uint32_t order[N];
    epoch_order(&spec, 0, N, order);
    int64_t longest = 0, padding = 0;
    for (int i = 0; i < N; i += BATCH) {
        int64_t most = 0, sum = 0;
        for (int j = 0; j < BATCH; j++) {
            most = MAX(most, example_length(&e, order[i + j]));
            sum += example_length(&e, order[i + j]);
        }
        padding += most * BATCH - sum;
        longest = MAX(longest, most);
    }
    assert_int_equal(example_length(&e, order[0]), longest);
    assert_true(padding < starts[N] / 5); // at random it is more than half
}

static void test_an_order_may_be_given(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    OrderSpec spec = {0};
    assert_ok(order_read(write_file("order", "2 0\n1\n0 1 2 "), 3, a, &spec, &err));
    uint32_t order[3];
    epoch_order(&spec, 0, 3, order);
    assert_true(order[0] == 2 && order[1] == 0 && order[2] == 1);
    epoch_order(&spec, 1, 3, order);
    assert_true(order[0] == 0 && order[1] == 1 && order[2] == 2);
    assert_fails(order_read(write_file("bad", "0 3"), 3, a, &spec, &err), ERR_INVALID,
                 "offset 2: '3' is no number below 3");
}

int main(void)
{
    Error err = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/tests/golden/text-generation", getenv("HUG_SOURCE_ROOT"));
    tokenizer = tokenizer_open(path, &err);
    if (!tokenizer) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int failed =
        RUN(test_text_becomes_full_blocks, test_documents_are_examples_where_they_are_not_packed,
            test_of_a_pair_the_completion_is_learned, test_conversations_go_through_the_template,
            test_records_have_columns, test_a_folder_may_have_splits,
            test_mistakes_name_file_and_line, test_epochs_are_permutations_that_can_be_made_again,
            test_batches_of_like_lengths, test_an_order_may_be_given);
    tokenizer_free(tokenizer);
    test_folder_remove();
    return failed;
}
