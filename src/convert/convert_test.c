/* Models go from one format to the other and back, and are the same. */
#include "base/test.h"
#include "convert/convert.h"
#include "formats/gguf.h"
#include "models/models.h"

#include <math.h>

static const char *golden(const char *name)
{
    static char path[4][4096];
    static int next;
    const char *root = getenv("HUG_SOURCE_ROOT");
    char *out = path[next++ % 4];
    snprintf(out, 4096, "%s/tests/golden/%s", root ? root : ".", name);
    return out;
}

static void convert(const char *from, const char *to, const char *format, const char *dtype)
{
    Error err = {0};
    const ConvertOptions how = {.format = format, .dtype = dtype, .quiet = true};
    assert_ok(convert_model(from, to, &how, &err));
}

/* Every tensor of `one` that `other` has too, and how many of `other`. */
static void assert_same_tensors(const char *one, const char *other)
{
    Error err = {0};
    AUTO(checkpoint_free) Checkpoint *a = NULL, *b = NULL;
    assert_ok(a = checkpoint_open(one, &err));
    assert_ok(b = checkpoint_open(other, &err));
    for (size_t i = 0; i < checkpoint_count(b); i++) {
        const StoredTensor *t = checkpoint_at(b, i), *u = checkpoint_find(a, str_of(t->name));
        assert_non_null(u);
        assert_int_equal(t->type, u->type);
        assert_int_equal(t->rank, u->rank);
        assert_memory_equal(t->dims, u->dims, sizeof t->dims);
        assert_memory_equal(t->data, u->data, t->size);
    }
    assert_true(checkpoint_count(b) > 10);
}

static void assert_same_setting(const json_t *a, const json_t *b, const char *key)
{
    json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    if (x != y && !json_equal(x, y))
        fail_msg("'%s' differs", key);
}

/* To GGUF and back: bit for bit, for both orders of rows, turned projections, scaled rotations. */
static void test_a_model_survives_gguf_and_back(void **state)
{
    Error err = {0};
    static const char *const names[] = {"gpt2", "llama", "llama-3", "llama-linear", "llama-yarn"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char gguf[512], folder[512];
        snprintf(gguf, sizeof gguf, "%s/%s.gguf", test_folder(), names[i]);
        snprintf(folder, sizeof folder, "%s/%s", test_folder(), names[i]);
        convert(golden(names[i]), gguf, "gguf", NULL);
        convert(gguf, folder, "safetensors", NULL);
        assert_same_tensors(golden(names[i]), folder);
        AUTO(model_free) Model *m = NULL;
        assert_ok(m = model_open(gguf, NULL, &err));
        AUTO(model_free) Model *back = NULL;
        assert_ok(back = model_open(folder, NULL, &err));
        // The architecture's struct has all that a configuration decides, the rotation included.
        AUTO(model_free) Model *source = NULL;
        assert_ok(source = model_open(golden(names[i]), NULL, &err));
        AUTO(json_decref)
        json_t *a = fields_json(source->config, source->architecture->fields,
                                source->architecture->n_fields);
        AUTO(json_decref)
        json_t *b =
            fields_json(back->config, back->architecture->fields, back->architecture->n_fields);
        static const char *const keys[] = {"n_embd",
                                           "n_layer",
                                           "n_head",
                                           "n_positions",
                                           "hidden_size",
                                           "num_hidden_layers",
                                           "head_dim",
                                           "num_key_value_heads",
                                           "rms_norm_eps",
                                           "layer_norm_epsilon",
                                           "tie_word_embeddings"};
        for (size_t k = 0; k < COUNT(keys); k++)
            assert_same_setting(a, b, keys[k]);
    }
}

static void test_the_tokenizer_goes_along(void **state)
{
    Error err = {0};
    AUTO(arena_free) Arena *a = arena_new(0);
    convert(golden("text-generation"), test_path("t.gguf"), "gguf", "f16");
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(test_path("t.gguf"), &err));
    const Gguf *g = checkpoint_gguf(c);
    assert_str(gguf_str(g, "tokenizer.ggml.model"), "gpt2");
    assert_true(gguf_str(g, "tokenizer.chat_template").len > 0);
    Str *tokens;
    size_t n = gguf_strs(g, "tokenizer.ggml.tokens", a, &tokens);
    assert_int_equal(n, checkpoint_find(c, S("token_embd.weight"))->dims[0]);
    convert(test_path("t.gguf"), test_path("t"), "safetensors", "f32");
    assert_true(file_exists(test_path("t/tokenizer.json")));
    assert_true(file_exists(test_path("t/tokenizer_config.json")));
}

static DType type_in(const char *path, const char *name)
{
    Error err = {0};
    AUTO(checkpoint_free) Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(path, &err));
    return checkpoint_find(c, str_of(name))->type;
}

static void test_types_are_chosen_as_the_recipe_says(void **state)
{
    Error err = {0};
    const char *model = golden("text-generation"), *matrix = "blk.0.attn_qkv.weight";
    convert(model, test_path("q.gguf"), "gguf", "q8_0");
    assert_int_equal(type_in(test_path("q.gguf"), matrix), DTYPE_Q8_0);
    assert_int_equal(type_in(test_path("q.gguf"), "blk.0.attn_norm.weight"), DTYPE_F32);
    assert_int_equal(type_in(test_path("q.gguf"), "position_embd.weight"), DTYPE_F32);
    // Rows of 32 are no super-blocks, so a type of 32 takes the place; those of 40 fill neither.
    convert(model, test_path("k.gguf"), "gguf", "q4_k");
    assert_int_equal(type_in(test_path("k.gguf"), matrix), DTYPE_Q5_0);
    assert_int_equal(type_in(test_path("k.gguf"), "token_embd.weight"), DTYPE_Q8_0);
    convert(golden("llama"), test_path("l.gguf"), "gguf", "q4_k");
    assert_int_equal(type_in(test_path("l.gguf"), "blk.0.attn_q.weight"), DTYPE_F16);
    // Another type for a GGUF file.
    convert(test_path("q.gguf"), test_path("h.gguf"), "gguf", "f16");
    assert_int_equal(type_in(test_path("h.gguf"), matrix), DTYPE_F16);
    convert(golden("llama"), test_path("b"), "safetensors", "bf16");
    assert_int_equal(type_in(test_path("b"), "model.norm.weight"), DTYPE_BF16);
    AUTO(json_decref) json_t *config = json_read_file(test_path("b/config.json"), 1 << 20, &err);
    assert_string_equal(
        json_text(config, json_object_get(config, "dtype") ? "dtype" : "torch_dtype", ""),
        "bfloat16");
}

static void test_what_cannot_be_is_said(void **state)
{
    Error err;
    const ConvertOptions onnx = {.format = "onnx"},
                         block = {.format = "safetensors", .dtype = "q4_0", .quiet = true},
                         typo = {.format = "gguf", .dtype = "q9"};
    assert_fails(convert_model(golden("llama"), test_path("x"), &onnx, &err), ERR_UNSUPPORTED,
                 "'onnx' is not there yet");
    assert_fails(convert_model(golden("llama"), test_path("x"), &block, &err), ERR_UNSUPPORTED,
                 "safetensors has no type q4_0");
    assert_false(file_exists(test_path("x"))); // and nothing is left of the attempt
    assert_fails(convert_model(golden("llama"), test_path("x"), &typo, &err), ERR_UNSUPPORTED,
                 "dtype 'q9'; there are auto, f32");
    assert_fails(convert_model(golden("llama"), golden("llama"),
                               &(ConvertOptions){.format = "safetensors"}, &err),
                 ERR_INVALID, "the same");
}

int main(void)
{
    int failed = RUN(test_a_model_survives_gguf_and_back, test_the_tokenizer_goes_along,
                     test_types_are_chosen_as_the_recipe_says, test_what_cannot_be_is_said);
    test_folder_remove();
    return failed;
}
