/* What layers stand on: rotary frequencies against transformers', and names of stored tensors. */
#include "base/random.h"
#include "base/test.h"
#include "formats/safetensors.h"
#include "nn/nn.h"

#include <math.h>

typedef struct Config {
    RopeConfig rope;
} Config;

static const Field rope_fields[] = {ROPE_FIELDS(Config, rope)};

static bool read_rope(Config *c, const char *json, Error *err)
{
    static Arena *a; // the kind's text lives here, until the program ends
    if (!a)
        a = arena_new(0);
    AUTO(json_decref) json_t *object = json_parse(str_of(json), "config.json", err);
    return object && fields_read(c, rope_fields, COUNT(rope_fields), object, a, err) &&
           rope_prepare(&c->rope, 16, err);
}

/* Values printed by transformers 5.24.0's ROPE_INIT_FUNCTIONS. */
static void test_rope_frequencies_are_those_of_the_reference(void **state)
{
    const struct {
        const char *config;
        float scale, freqs[8];
    } cases[] = {
        {"{\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":500000.0,\"factor\":8.0,"
         "\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
         "\"original_max_position_embeddings\":8192}}",
         1,
         {1, 0.193922758f, 0.0376060307f, 0.00729266508f, 0.000524846022f, 3.42810235e-05f,
          6.64786967e-06f, 1.28917316e-06f}},
        {"{\"rope_theta\":10000.0,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0,"
         "\"original_max_position_embeddings\":4096}}",
         1.138629436f,
         {1, 0.316227764f, 0.100000001f, 0.025693506f, 0.00624999963f, 0.00138349656f,
          0.000250000012f, 7.90569466e-05f}},
        {"{\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":4.0,\"mscale\":1.0,"
         "\"mscale_all_dim\":0.5,\"beta_fast\":16,\"truncate\":false,"
         "\"original_max_position_embeddings\":4096}}",
         1.0648216254f,
         {1, 0.316227764f, 0.100000001f, 0.0316227786f, 0.00757121434f, 0.00140939793f,
          0.000250000012f, 7.90569466e-05f}},
        {"{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2.0}}",
         1,
         {0.5f, 0.158113882f, 0.0500000007f, 0.0158113893f, 0.00499999989f, 0.00158113893f,
          0.000500000024f, 0.000158113893f}},
    };
    Error err = {0};
    Config c;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_ok(read_rope(&c, cases[i].config, &err));
        assert_true(fabsf(c.rope.scale - cases[i].scale) < 1e-6f);
        for (int j = 0; j < 8; j++) // two units in the last place of f32
            assert_true(fabsf(c.rope.freqs[j] / cases[i].freqs[j] - 1) < 2.5e-7f);
    }
    assert_ok(read_rope(&c, "{\"rope_scaling\":null}", &err));
    assert_fails(read_rope(&c, "{\"rope_scaling\":{\"rope_type\":\"longrope\"}}", &err),
                 ERR_UNSUPPORTED, "rope of kind 'longrope'");
    assert_fails(rope_prepare(&c.rope, 7, &err), ERR_INVALID, "heads of 7 values");
}

static void test_names_match_patterns(void **state)
{
    Str number;
    assert_true(name_matches(S("blk.#.attn_q"), S("blk.12.attn_q"), &number));
    assert_str(number, "12");
    assert_false(name_matches(S("blk.#.attn_q"), S("blk..attn_q"), &number));
    assert_false(name_matches(S("blk.#.attn_q"), S("blk.1.attn_q2"), &number));
    assert_false(name_matches(S("blk.#.attn_q"), S("blk.1.attn"), &number));
    assert_true(name_matches(S("a"), S("a"), &number));
}

static Checkpoint *checkpoint_with(const StoredTensor *tensors, size_t n)
{
    Error err = {0};
    Checkpoint *c = NULL;
    assert_ok(safetensors_write(test_path("x.safetensors"), tensors, n, NULL, NULL, &err));
    assert_ok(c = checkpoint_open(test_path("x.safetensors"), &err));
    return c;
}

static void test_a_missing_prefix_is_added_and_leftovers_are_named(void **state)
{
    Error err = {0};
    const float x[] = {1, 2};
    const StoredTensor tensors[] = {
        {.name = "h.3.w", .type = DTYPE_F32, .rank = 1, .dims = {2}, .data = x, .size = 8},
        {.name = "h.3.attn.bias", .type = DTYPE_F32, .rank = 1, .dims = {2}, .data = x, .size = 8},
    };
    const char *const ignorable[] = {"body.h.#.attn.bias", NULL};
    const StoredNames names = {.prefix = "body.", .ignorable = ignorable};
    AUTO(checkpoint_free) Checkpoint *c = checkpoint_with(tensors, 2);
    AUTO(stored_free) Stored *s = NULL;
    assert_ok(s = stored_new(c, &names, &err));
    assert_fails(stored_all_used(s, &err), ERR_INVALID, "tensor 'body.h.3.w' belongs to no layer");
    bool transposed;
    assert_fails(stored_find(s, "body.h.4.w", &transposed, &err), ERR_NOT_FOUND,
                 "tensor 'body.h.4.w' is missing");
    const StoredTensor *t = NULL;
    assert_ok(t = stored_find(s, "body.h.3.w", &transposed, &err));
    assert_memory_equal(t->data, x, sizeof x);
    assert_ok(stored_all_used(s, &err));
}

/* One linear layer of 64 values to 96, stored [in,out], in every type that --dtype offers. */
static void run_layer(const char *dtype, const float *x, float *y)
{
    Error err = {0};
    static float matrix[64 * 96], bias[96];
    Random r = random_of(3);
    for (int i = 0; i < 64 * 96; i++)
        matrix[i] = (float)random_unit(&r) - 0.5f;
    const StoredTensor tensors[] = {
        {.name = "c.weight",
         .type = DTYPE_F32,
         .rank = 2,
         .dims = {64, 96},
         .data = matrix,
         .size = sizeof matrix},
        {.name = "c.bias",
         .type = DTYPE_F32,
         .rank = 1,
         .dims = {96},
         .data = bias,
         .size = sizeof bias},
    };
    WeightPolicy policy;
    assert_ok(weight_policy_parse(&policy, dtype, &err));
    const StoredNames names = {0};
    AUTO(weights_free) Weights *w = NULL;
    assert_ok(w = weights_new(checkpoint_with(tensors, 2), &names, &policy, &err));
    AUTO(graph_free) Graph *g = graph_new();
    Tensor *in = graph_input(g, DTYPE_F32, SHAPE(1, 64));
    Tensor *out = graph_output(g, nn_conv1d(g, at(nn_root(g, w), "c"), in, 96));
    assert_ok(graph_ok(g, &err));
    assert_ok(weights_seal(w, &err));
    memcpy(tensor_data(in), x, 64 * sizeof *x);
    assert_ok(graph_run(g, &err));
    memcpy(y, tensor_data(out), 96 * sizeof *y);
}

static void test_every_type_of_weights_computes_the_same_layer(void **state)
{
    const struct {
        const char *dtype;
        float tolerance; // half a step of a weight in [-.5,.5], times sqrt(64) values up to 1,
                         // times 4
    } cases[] = {{"auto", 1e-6f},      {"f32", 1e-6f},      {"f16", 4e-3f},
                 {"bf16", 0.04f},      {"q8_0", 0.05f},     {"q5_0", 0.4f},
                 {"q5_1", 0.4f},       {"q4_0", 0.8f},      {"q4_1", 0.8f},
                 {"f32+bf16", 0.04f},  {"f32+int8", 0.05f}, {"q8_0+int8", 0.07f},
                 {"q4_1+int8", 0.85f}, {"bf16+f32", 0.04f}};
    float x[64], want[96], y[96];
    for (int i = 0; i < 64; i++)
        x[i] = sinf((float)i);
    run_layer("f32", x, want);
    for (size_t c = 0; c < COUNT(cases); c++) {
        run_layer(cases[c].dtype, x, y);
        for (int i = 0; i < 96; i++)
            if (!(fabsf(y[i] - want[i]) <= cases[c].tolerance))
                fail_msg("%s: output %d is %g, not %g", cases[c].dtype, i, (double)y[i],
                         (double)want[i]);
    }
}

int main(void)
{
    atexit(test_folder_remove);
    return RUN(test_rope_frequencies_are_those_of_the_reference, test_names_match_patterns,
               test_a_missing_prefix_is_added_and_leftovers_are_named,
               test_every_type_of_weights_computes_the_same_layer);
}
