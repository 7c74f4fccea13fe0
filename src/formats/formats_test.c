/* Checkpoints: what is written is read, and hostile files are refused with the place named. */
#include "base/test.h"
#include "formats/gguf_write.h"
#include "formats/safetensors.h"

/* safetensors bytes with this header text and n bytes of data. */
static Str safetensors(Arena *a, const char *header, size_t n)
{
    Buf b;
    buf_init(&b, 0);
    uint64_t length = strlen(header);
    buf_add_bytes(&b, &length, 8);
    buf_add(&b, str_of(header));
    for (size_t i = 0; i < n; i++)
        buf_add_char(&b, (char)i);
    Str copy = arena_str(a, buf_str(&b));
    buf_done(&b);
    return copy;
}

static void test_safetensors_are_read_where_they_lie(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    Str file = safetensors(a,
                           "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                           "\"none\":{\"dtype\":\"F16\",\"shape\":[0,7],\"data_offsets\":[9,9]}}  ",
                           9);
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_of_bytes(file, "x", &err));
    assert_int_equal(checkpoint_count(c), 3);
    const StoredTensor *t = checkpoint_find(c, S("a"));
    assert_true(t && t->type == DTYPE_F32 && t->rank == 2 && t->dims[1] == 2 && t->size == 8);
    assert_ptr_equal(t->data, file.ptr + file.len - 9);
    assert_null(checkpoint_find(c, S("c")));
}

static void test_hostile_safetensors_are_refused(void **state)
{
#define T(dtype, shape, offsets)                                                                   \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    const struct {
        const char *header;
        ErrorCode code;
        const char *words;
    } cases[] = {
        {"[1]", ERR_INVALID, "offset 8: the header must begin with '{'"},
        {"{", ERR_INVALID, "x: line 1"},
        {"{\"t\":1}", ERR_UNSUPPORTED, "tensor 't': dtype ''"},
        {T("Q4", "[1]", "[0,8]"), ERR_UNSUPPORTED, "dtype 'Q4'"},
        {T("F32", "[1]", "[0,8]"), ERR_INVALID, "[1] F32 does not fill its 8 bytes"},
        {T("F32", "[-2]", "[0,8]"), ERR_INVALID, "dimension 0 is -2"},
        {T("F32", "[4294967296,4294967296]", "[0,8]"), ERR_INVALID, "too large a product"},
        {T("F32", "[4611686018427387904]", "[0,8]"), ERR_INVALID, "does not fill"},
        {T("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), ERR_INVALID, "at most 8"},
        {T("F32", "[2.0]", "[0,8]"), ERR_INVALID, "integers"},
        {T("F32", "[2]", "[0,16]"), ERR_INVALID, "outside the 8 bytes"},
        {T("F32", "[2]", "[-8,0]"), ERR_INVALID, "outside"},
        {T("F32", "[2]", "[8,0]"), ERR_INVALID, "outside"},
        {T("F32", "[2]", "[0]"), ERR_INVALID, "two integers"},
        {T("F32", "[1]", "[4,8]"), ERR_INVALID, "begins at 4, the one before ends at 0"},
        {T("F32", "[1]", "[0,4]"), ERR_INVALID, "8 bytes of data, the tensors fill 4"},
        {T("F4", "[1]", "[0,1]"), ERR_INVALID, "does not fill"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         ERR_INVALID, "the one before ends at 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         ERR_INVALID, "duplicate"},
        {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", ERR_INVALID,
         "x: line 1"},
    };
    Error err;
    AUTO(arena_free) Arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_fails(checkpoint_of_bytes(safetensors(a, cases[i].header, 8), "x", &err),
                     cases[i].code, cases[i].words);
    Str good = safetensors(a, T("F32", "[2]", "[0,8]"), 8);
    for (size_t n = 0; n < good.len; n++)
        assert_null(checkpoint_of_bytes(str_slice(good, 0, n), "x", NULL));
    assert_fails(checkpoint_of_bytes(S("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "x", &err), ERR_LIMIT,
                 "x: offset 8: header of");
}

static void test_a_written_file_reads_back_and_is_laid_out_by_type_and_name(void **state)
{
    Error err = {0};
    const float x[] = {1, 2, 3, 4};
    const uint16_t h[] = {7, 8};
    const int64_t n = 5;
    const StoredTensor tensors[] = {
        {.name = "h", .type = DTYPE_BF16, .rank = 1, .dims = {2}, .data = h, .size = 4},
        {.name = "x", .type = DTYPE_F32, .rank = 2, .dims = {2, 2}, .data = x, .size = 16},
        {.name = "n", .type = DTYPE_I64, .rank = 0, .data = &n, .size = 8},
        {.name = "a", .type = DTYPE_F32, .rank = 1, .dims = {4}, .data = x, .size = 16},
    };
    AUTO(json_decref) json_t *metadata = json_pack("{s:s}", "format", "pt");
    const char *path = test_path("m.safetensors");
    assert_ok(safetensors_write(path, tensors, COUNT(tensors), metadata, NULL, &err));
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(path, &err));
    assert_int_equal(checkpoint_count(c), 4);
    assert_string_equal(checkpoint_at(c, 0)->name, "n");
    assert_string_equal(checkpoint_at(c, 1)->name, "a");
    assert_string_equal(checkpoint_at(c, 2)->name, "x");
    assert_memory_equal(checkpoint_find(c, S("x"))->data, x, sizeof x);
    assert_int_equal((uintptr_t)checkpoint_at(c, 0)->data % 8, 0);
    StoredTensor block = {.name = "q", .type = DTYPE_Q8_0, .data = x};
    assert_fails(safetensors_write(path, &block, 1, NULL, NULL, &err), ERR_UNSUPPORTED,
                 "no type q8_0");
}

/* Writes t's values, all its number, in pieces of 3 bytes; one byte too many for "long". */
static bool produce(const StoredTensor *t, TensorSink *sink, void *context, Error *err)
{
    ++*(int *)context;
    const char bytes[] = {'a', 'b', 'c'};
    size_t n = t->size + (strcmp(t->name, "long") == 0) - (strcmp(t->name, "short") == 0);
    for (size_t i = 0; i < n; i += 3)
        if (!tensor_sink_add(sink, bytes, MIN(n - i, (size_t)3), err))
            return false;
    return true;
}

static void test_tensors_may_be_produced_while_they_are_written(void **state)
{
    Error err = {0};
    int calls = 0;
    AUTO(progress_free) Progress *progress = progress_new("x", -1, true);
    TensorFeed feed = {produce, &calls, progress};
    StoredTensor t[] = {
        {.name = "made", .type = DTYPE_U8, .rank = 1, .dims = {5}},
        {.name = "held", .type = DTYPE_U8, .rank = 1, .dims = {2}, .data = "xy"},
    };
    assert_ok(stored_size(&t[0], &err) && stored_size(&t[1], &err));
    const char *path = test_path("made.safetensors");
    assert_ok(safetensors_write(path, t, 2, NULL, &feed, &err));
    assert_int_equal(calls, 1);
    assert_int_equal(progress_done(progress), 7);
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(path, &err));
    assert_memory_equal(checkpoint_find(c, S("made"))->data, "abcab", 5);
    assert_memory_equal(checkpoint_find(c, S("held"))->data, "xy", 2);

    t[0].name = "long";
    assert_fails(safetensors_write(path, t, 1, NULL, &feed, &err), ERR_INVALID,
                 "tensor 'long': 1 bytes more");
    t[0].name = "short";
    assert_fails(safetensors_write(path, t, 1, NULL, &feed, &err), ERR_INVALID,
                 "tensor 'short': 1 bytes fewer");
    t[0].name = t[1].name;
    assert_fails(safetensors_write(path, t, 2, NULL, &feed, &err), ERR_INVALID, "comes twice");
    StoredTensor odd = {.name = "q", .type = DTYPE_Q4_0, .rank = 2, .dims = {2, 33}};
    assert_fails(stored_size(&odd, &err), ERR_INVALID, "multiples of 32");
}

static void test_large_models_are_saved_in_shards(void **state)
{
    Error err = {0};
    const float x[6] = {1, 2, 3, 4, 5, 6};
    StoredTensor t[4];
    const char *names[] = {"d", "big", "c", "a"};
    for (int i = 0; i < 4; i++)
        t[i] = (StoredTensor){.name = names[i],
                              .type = DTYPE_F32,
                              .rank = 1,
                              .dims = {i == 1 ? 6 : 2},
                              .data = x,
                              .size = i == 1 ? 24 : 8};
    const char *dir = test_path("saved");
    assert_ok(file_make_folders(dir, 0700, &err));
    assert_ok(file_write_atomic(test_path("saved/model-one.safetensors"), S("mine"), 0600, &err));
    assert_ok(safetensors_save(dir, t, 4, &(SafetensorsSave){.max_shard_size = 16}, &err));
    AUTO_BUF index;
    buf_init(&index, 4096);
    assert_ok(file_read(test_path("saved/model.safetensors.index.json"), &index, &err));
    assert_str(buf_str(&index), "{\n"
                                "  \"metadata\": {\n"
                                "    \"total_parameters\": 12,\n"
                                "    \"total_size\": 48\n"
                                "  },\n"
                                "  \"weight_map\": {\n"
                                "    \"a\": \"model-00003-of-00003.safetensors\",\n"
                                "    \"big\": \"model-00002-of-00003.safetensors\",\n"
                                "    \"c\": \"model-00003-of-00003.safetensors\",\n"
                                "    \"d\": \"model-00001-of-00003.safetensors\"\n"
                                "  }\n"
                                "}\n");
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(dir, &err));
    assert_int_equal(checkpoint_count(c), 4);
    assert_memory_equal(checkpoint_find(c, S("big"))->data, x, 24);

    // Saved again as one file: what the first save left is gone, what it never wrote is not.
    assert_ok(safetensors_save(dir, t, 3, &(SafetensorsSave){0}, &err));
    assert_true(file_exists(test_path("saved/model.safetensors")));
    assert_false(file_exists(test_path("saved/model.safetensors.index.json")));
    assert_false(file_exists(test_path("saved/model-00001-of-00003.safetensors")));
    assert_true(file_exists(test_path("saved/model-one.safetensors")));
    assert_ok(safetensors_save(dir, t, 4, &(SafetensorsSave){.max_shard_size = 16}, &err));
    assert_false(file_exists(test_path("saved/model.safetensors")));
}

static void write_shard(const char *path, const char *name, float value)
{
    Error err = {0};
    StoredTensor t = {
        .name = name, .type = DTYPE_F32, .rank = 1, .dims = {1}, .data = &value, .size = 4};
    assert_ok(safetensors_write(path, &t, 1, NULL, NULL, &err));
}

static void test_folders_are_searched_in_order(void **state)
{
    Error err = {0};
    const char *dir = test_path("model");
    assert_ok(file_make_folders(dir, 0700, &err));
    assert_fails(checkpoint_open(dir, &err), ERR_NOT_FOUND, "has no weights");
    assert_fails(checkpoint_open(test_path("nothing"), &err), ERR_NOT_FOUND, "nothing");
    write_shard(test_path("model/1.safetensors"), "a", 1);
    write_shard(test_path("model/2.safetensors"), "b", 2);
    const char *index = test_path("model/model.safetensors.index.json");
    assert_ok(file_write_atomic(
        index, S("{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}"), 0600,
        &err));
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(dir, &err));
    assert_true(*(const float *)checkpoint_find(c, S("b"))->data == 2);
    assert_fails(checkpoint_config(c, &err), ERR_NOT_FOUND, "config.json");

    assert_ok(
        file_write_atomic(index, S("{\"weight_map\":{\"c\":\"1.safetensors\"}}"), 0600, &err));
    assert_fails(checkpoint_open(dir, &err), ERR_INVALID, "tensor 'c' is not in '1.safetensors'");
    assert_ok(
        file_write_atomic(index, S("{\"weight_map\":{\"c\":\"../1.safetensors\"}}"), 0600, &err));
    assert_fails(checkpoint_open(dir, &err), ERR_INVALID, "must be a relative path");
    assert_ok(file_write_atomic(index, S("{}"), 0600, &err));
    assert_fails(checkpoint_open(dir, &err), ERR_INVALID, "'weight_map' is missing");

    write_shard(test_path("model/model.safetensors"), "w", 3);
    AUTO(checkpoint_free) Checkpoint *single = NULL;
    assert_ok(single = checkpoint_open(dir, &err));
    assert_non_null(checkpoint_find(single, S("w")));
    assert_string_equal(checkpoint_folder(single), dir);
}

/* A GGUF file under construction. */
static void put_u32(Buf *b, uint32_t v)
{
    buf_add_bytes(b, &v, 4);
}
static void put_u64(Buf *b, uint64_t v)
{
    buf_add_bytes(b, &v, 8);
}
static void put_str(Buf *b, const char *s)
{
    put_u64(b, strlen(s));
    buf_add(b, str_of(s));
}
static void put_key(Buf *b, const char *key, uint32_t type)
{
    put_str(b, key);
    put_u32(b, type);
}
static void put_head(Buf *b, uint64_t tensors, uint64_t values)
{
    buf_add(b, S("GGUF"));
    put_u32(b, 3);
    put_u64(b, tensors);
    put_u64(b, values);
}
static void put_tensor(Buf *b, const char *name, uint64_t inner, uint64_t outer, uint32_t type,
                       uint64_t offset)
{
    put_str(b, name);
    put_u32(b, 2);
    put_u64(b, inner);
    put_u64(b, outer);
    put_u32(b, type);
    put_u64(b, offset);
}
static void put_data(Buf *b, size_t n)
{
    while (b->len % 32 != 0)
        buf_add_char(b, 0);
    for (size_t i = 0; i < n; i++)
        buf_add_char(b, (char)i);
}

static void put_sample(Buf *b)
{
    put_head(b, 2, 8);
    put_key(b, "general.architecture", 8);
    put_str(b, "llama");
    put_key(b, "llama.block_count", 4);
    put_u32(b, 3);
    put_key(b, "llama.attention.head_count", 4);
    put_u32(b, 4);
    put_key(b, "llama.rope.freq_base", 6);
    float base = 5000;
    buf_add_bytes(b, &base, 4);
    put_key(b, "llama.rope.scaling.factor", 12);
    double factor = 8;
    buf_add_bytes(b, &factor, 8);
    put_key(b, "tokenizer.ggml.tokens", 9);
    put_u32(b, 8);
    put_u64(b, 3);
    put_str(b, "a");
    put_str(b, "");
    put_str(b, "ccc");
    put_key(b, "x.bytes", 9);
    put_u32(b, 1);
    put_u64(b, 2);
    buf_add(b, S("\xff\x05"));
    put_key(b, "x.flag", 7);
    buf_add_char(b, 1);
    put_tensor(b, "token_embd.weight", 32, 2, 3, 0);
    put_tensor(b, "output_norm.weight", 2, 1, 0, 64);
    put_data(b, 72);
}

static void test_gguf_metadata_and_tensors(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO_BUF b;
    buf_init(&b, 0);
    put_sample(&b);
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_of_bytes(buf_str(&b), "x.gguf", &err));
    const StoredTensor *t = checkpoint_find(c, S("token_embd.weight"));
    assert_true(t && t->type == DTYPE_Q4_1 && t->rank == 2 && t->dims[0] == 2 && t->dims[1] == 32);
    assert_int_equal(t->size, 40);
    const Gguf *g = checkpoint_gguf(c);
    Str *words;
    assert_int_equal(gguf_strs(g, "tokenizer.ggml.tokens", a, &words), 3);
    assert_str(words[2], "ccc");
    double *nums;
    assert_int_equal(gguf_nums(g, "x.bytes", a, &nums), 2);
    assert_true(nums[0] == -1 && nums[1] == 5);
    assert_true(gguf_flag(g, "x.flag", false));
    int64_t n;
    assert_true(gguf_int(g, "llama.block_count", &n) && n == 3);
    assert_false(gguf_int(g, "llama.rope.freq_base", &n));
    assert_str(gguf_str(g, "general.architecture"), "llama");
    AUTO(json_decref) json_t *config = checkpoint_config(c, &err);
    assert_non_null(config);
    assert_int_equal(json_int(config, "num_hidden_layers", 0), 3);
    assert_int_equal(json_int(config, "vocab_size", 0), 2);
    assert_true(json_num(config, "rope_theta", 0) == 5000);
    assert_true(json_number_value(json_at(config, "rope_scaling.factor")) == 8);
    assert_true(json_flag(config, "tie_word_embeddings", false));
    AUTO(json_decref) json_t *all = gguf_to_json(g, 2);
    assert_int_equal(
        json_integer_value(json_at(json_object_get(all, "tokenizer.ggml.tokens"), "length")), 3);
}

static void test_a_written_gguf_file_reads_back(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    AUTO(gguf_writer_free) GgufWriter *w = gguf_writer_new();
    gguf_put_str(w, "general.architecture", S("replaced"));
    gguf_put_str(w, "general.architecture", S("llama"));
    AUTO(json_decref)
    json_t *config =
        json_pack("{s:i,s:f,s:{s:s,s:f},s:i}", "hidden_size", 32, "rope_theta", 5e5, "rope_scaling",
                  "rope_type", "linear", "factor", 2.0, "num_key_value_heads", -1);
    gguf_put_config(w, "llama", config);
    const Str words[] = {S("a"), S(""), S("c c")};
    gguf_put_strs(w, "tokenizer.ggml.tokens", words, 3);
    gguf_put_i32s(w, "x.ints", (const int32_t[]){1, -2}, 2);
    gguf_put_f32s(w, "x.floats", (const float[]){0.5f}, 1);
    gguf_put_flag(w, "x.flag", true);
    int calls = 0;
    TensorFeed feed = {produce, &calls, NULL};
    const float norm[] = {1, 2, 3};
    StoredTensor t[] = {
        {.name = "output_norm.weight", .type = DTYPE_F32, .rank = 1, .dims = {3}, .data = norm},
        {.name = "token_embd.weight", .type = DTYPE_Q8_0, .rank = 2, .dims = {2, 32}},
    };
    assert_ok(stored_size(&t[0], &err) && stored_size(&t[1], &err));
    const char *path = test_path("written.gguf");
    assert_ok(gguf_write(path, w, t, 2, &feed, &err));
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(path, &err));
    assert_memory_equal(checkpoint_find(c, S("output_norm.weight"))->data, norm, sizeof norm);
    const StoredTensor *q = checkpoint_find(c, S("token_embd.weight"));
    assert_true(q->type == DTYPE_Q8_0 && q->dims[0] == 2 && q->dims[1] == 32 && q->size == 68);
    const Gguf *g = checkpoint_gguf(c);
    assert_str(gguf_str(g, "general.architecture"), "llama");
    assert_true(gguf_num(g, "llama.rope.freq_base", 0) == 5e5);
    assert_true(gguf_flag(g, "x.flag", false));
    assert_false(gguf_has(g, "llama.attention.head_count_kv"));
    Str *read;
    assert_int_equal(gguf_strs(g, "tokenizer.ggml.tokens", a, &read), 3);
    assert_str(read[2], "c c");
    double *numbers;
    assert_int_equal(gguf_nums(g, "x.ints", a, &numbers), 2);
    assert_true(numbers[1] == -2);

    // All values of one file go into another as they are.
    AUTO(gguf_writer_free) GgufWriter *copy = gguf_writer_new();
    gguf_put_all(copy, g);
    assert_ok(gguf_write(test_path("copy.gguf"), copy, t, 2, &feed, &err));
    AUTO_BUF one, two;
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    assert_ok(file_read(path, &one, &err) && file_read(test_path("copy.gguf"), &two, &err));
    assert_true(str_eq(buf_str(&one), buf_str(&two)));
    t[0].type = DTYPE_U8;
    assert_fails(gguf_write(path, w, t, 1, NULL, &err), ERR_UNSUPPORTED, "GGUF has no type u8");
}

static void write_part(const char *path, uint32_t number, uint32_t tensors, const char *name)
{
    Error err = {0};
    const float value = (float)number;
    AUTO(gguf_writer_free) GgufWriter *w = gguf_writer_new();
    if (number == 0)
        gguf_put_str(w, "general.architecture", S("llama"));
    gguf_put_u32(w, "split.no", number);
    gguf_put_u32(w, "split.count", 2);
    gguf_put_u32(w, "split.tensors.count", tensors);
    StoredTensor t = {
        .name = name, .type = DTYPE_F32, .rank = 1, .dims = {1}, .data = &value, .size = 4};
    assert_ok(gguf_write(path, w, &t, 1, NULL, &err));
}

static void test_gguf_in_parts_is_one_checkpoint(void **state)
{
    Error err = {0};
    assert_ok(file_make_folders(test_path("parts"), 0700, &err));
    const char *first = test_path("parts/m-00001-of-00002.gguf"),
               *second = test_path("parts/m-00002-of-00002.gguf");
    write_part(first, 0, 2, "a");
    assert_fails(checkpoint_open(first, &err), ERR_NOT_FOUND, "m-00002-of-00002.gguf");
    write_part(second, 1, 2, "b");
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(first, &err));
    assert_int_equal(checkpoint_count(c), 2);
    assert_true(*(const float *)checkpoint_find(c, S("b"))->data == 1);
    assert_str(gguf_str(checkpoint_gguf(c), "general.architecture"), "llama");
    AUTO(checkpoint_free) Checkpoint *folder = NULL;
    assert_ok(folder = checkpoint_open(test_path("parts"), &err));
    assert_fails(checkpoint_open(second, &err), ERR_INVALID, "part 2 of 2; open the first");
    write_part(second, 1, 2, "a");
    assert_fails(checkpoint_open(first, &err), ERR_INVALID, "comes twice");
    write_part(first, 0, 3, "c");
    assert_fails(checkpoint_open(first, &err), ERR_INVALID, "2 tensors in all parts");
}

static void test_hostile_gguf_is_refused(void **state)
{
    Error err;
    AUTO_BUF b;
    buf_init(&b, 0);
    put_sample(&b);
    for (size_t n = 0; n < b.len; n++)
        assert_null(checkpoint_of_bytes((Str){b.ptr, n}, "x", NULL));
#define REFUSED(error_code, words)                                                                 \
    assert_fails(checkpoint_of_bytes(buf_str(&b), "x", &err), error_code, words);                  \
    buf_reset(&b)
    buf_reset(&b);
    buf_add(&b, S("GGUF\1\0\0\0"));
    REFUSED(ERR_UNSUPPORTED, "x: offset 8: GGUF version 1");
    put_head(&b, 0, UINT64_MAX);
    REFUSED(ERR_LIMIT, "metadata values");
    put_head(&b, UINT64_MAX, 0);
    REFUSED(ERR_INVALID, "do not fit the file");
    put_head(&b, 0, 1);
    put_u64(&b, UINT64_MAX);
    REFUSED(ERR_INVALID, "offset 32");
    put_head(&b, 0, 1); // an array whose size overflows
    put_key(&b, "k", 9);
    put_u32(&b, 10);
    put_u64(&b, UINT64_MAX / 4);
    REFUSED(ERR_INVALID, "wanted");
    put_head(&b, 0, 1); // an array of more strings than bytes
    put_key(&b, "k", 9);
    put_u32(&b, 8);
    put_u64(&b, UINT64_MAX);
    REFUSED(ERR_INVALID, "wanted");
    put_head(&b, 0, 1);
    put_key(&b, "k", 9);
    for (int i = 0; i < 50; i++) {
        put_u32(&b, 9);
        put_u64(&b, 1);
    }
    REFUSED(ERR_INVALID, "nested 5 deep");
    put_head(&b, 0, 1);
    put_key(&b, "k", 13);
    REFUSED(ERR_INVALID, "value of type 13");
    put_head(&b, 0, 1);
    put_key(&b, "general.alignment", 4);
    put_u32(&b, 0);
    REFUSED(ERR_INVALID, "general.alignment is 0");
    put_head(&b, 1, 0);
    put_tensor(&b, "t", 2, 1, 0, 8);
    put_data(&b, 64);
    REFUSED(ERR_INVALID, "offset 8 is no multiple of 32");
    put_head(&b, 1, 0);
    put_tensor(&b, "t", 2, 1, 0, UINT64_MAX - 31);
    put_data(&b, 64);
    REFUSED(ERR_INVALID, "pass the end");
    put_head(&b, 1, 0);
    put_tensor(&b, "t", 17, 1, 0, 0);
    put_data(&b, 64);
    REFUSED(ERR_INVALID, "68 bytes at 0 pass the end of the data at 64");
    put_head(&b, 1, 0);
    put_tensor(&b, "t", 33, 1, 2, 0);
    put_data(&b, 64);
    REFUSED(ERR_INVALID, "rows of Q4_0 are multiples of 32");
    put_head(&b, 1, 0);
    put_tensor(&b, "t", UINT64_C(1) << 62, 4, 0, 0);
    REFUSED(ERR_INVALID, "too large");
    put_head(&b, 2, 0);
    put_tensor(&b, "t", 16, 1, 0, 0);
    put_tensor(&b, "u", 8, 1, 0, 32);
    put_data(&b, 64);
    REFUSED(ERR_INVALID, "tensor 't' overlaps 'u'");
    put_head(&b, 2, 0);
    put_tensor(&b, "t", 8, 1, 0, 0);
    put_tensor(&b, "t", 8, 1, 0, 32);
    put_data(&b, 64);
    REFUSED(ERR_INVALID, "comes twice");
    put_head(&b, 1, 0); // types that we cannot read are named when used, not here
    put_tensor(&b, "t", 256, 1, 16, 0);
    put_data(&b, 66);
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_of_bytes(buf_str(&b), "x", &err));
    assert_string_equal(checkpoint_at(c, 0)->foreign, "IQ2_XXS");
}

/* Reads what is asked for, of a file that is longer than its bytes. */
typedef struct Beginning {
    Str bytes;
    int64_t furthest;
} Beginning;

static bool beginning_read(void *context, void *out, size_t n, int64_t offset, Error *err)
{
    Beginning *b = context;
    b->furthest = MAX(b->furthest, offset + (int64_t)n);
    for (size_t i = 0; i < n; i++)
        ((char *)out)[i] =
            (size_t)offset + i < b->bytes.len ? b->bytes.ptr[(size_t)offset + i] : '\0';
    return true;
}

static void test_a_header_alone_gives_names_and_shapes(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    Beginning b = {.bytes =
                       safetensors(a,
                                   "{\"__metadata__\":{\"format\":\"pt\"},"
                                   "\"w\":{\"dtype\":\"F32\",\"shape\":[1000,1000,1000],"
                                   "\"data_offsets\":[1,4000000001]},"
                                   "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}",
                                   0)};
    ByteSource file = {"big", (int64_t)b.bytes.len + 4000000001, beginning_read, &b};
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_of_header(&file, &err));
    const StoredTensor *t = checkpoint_find(c, S("w"));
    assert_true(t && !t->data && t->size == 4000000000 && t->offset == 1 && t->dims[2] == 1000);
    assert_string_equal(json_text(checkpoint_metadata(c), "format", ""), "pt");
    assert_int_equal(b.furthest, 256 << 10);
    file.size--;
    assert_fails(checkpoint_of_header(&file, &err), ERR_INVALID, "outside the 4000000000 bytes");
}

static void test_a_long_gguf_header_is_read_to_its_end(void **state)
{
    Error err = {0};
    Buf b;
    buf_init(&b, 0);
    put_head(&b, 1, 1); // a vocabulary of 100,000 tokens
    put_key(&b, "tokens", 9);
    put_u32(&b, 8);
    put_u64(&b, 100000);
    for (int i = 0; i < 100000; i++) {
        put_u64(&b, 8);
        buf_printf(&b, "%08d", i);
    }
    put_tensor(&b, "t", 8, 1, 0, 0);
    Beginning part = {.bytes = buf_str(&b)};
    ByteSource file = {"x.gguf", (64 << 20) + 64, beginning_read, &part};
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_of_header(&file, &err));
    assert_int_equal(part.furthest, 4 << 20);
    assert_string_equal(checkpoint_at(c, 0)->name, "t");
    part.bytes.len = 200; // the array goes on for ever: its length says more strings than there are
    memset(b.ptr + 46, 0xFF, 8);
    assert_fails(checkpoint_of_header(&file, &err), ERR_LIMIT, "header is longer than");
    buf_done(&b);
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_safetensors_are_read_where_they_lie, test_hostile_safetensors_are_refused,
               test_a_written_file_reads_back_and_is_laid_out_by_type_and_name,
               test_tensors_may_be_produced_while_they_are_written,
               test_large_models_are_saved_in_shards, test_folders_are_searched_in_order,
               test_gguf_metadata_and_tensors, test_a_written_gguf_file_reads_back,
               test_gguf_in_parts_is_one_checkpoint, test_hostile_gguf_is_refused,
               test_a_header_alone_gives_names_and_shapes,
               test_a_long_gguf_header_is_read_to_its_end);
}
