/* GGUF's block types: read as the reference reads them, written at least as well as it writes.
 * Golden: tests/golden/quantised.safetensors, made by tools/golden/quantised.py. */
#include "base/test.h"
#include "formats/checkpoint.h"

#include <math.h>

static Checkpoint *golden(void)
{
    Error err = {0};
    char path[4096];
    const char *root = getenv("HUG_SOURCE_ROOT");
    snprintf(path, sizeof path, "%s/tests/golden/quantised.safetensors", root ? root : ".");
    Checkpoint *c = NULL;
    assert_ok(c = checkpoint_open(path, &err));
    return c;
}

static const StoredTensor *tensor(const Checkpoint *c, const char *prefix, const char *middle,
                                  const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s%s", prefix, middle, suffix);
    return checkpoint_find(c, str_of(name));
}

static void test_every_block_type_reads_as_the_reference_reads_it(void **state)
{
    AUTO(checkpoint_free) Checkpoint *c = golden();
    AUTO(arena_free) Arena *a = arena_new(0);
    int types = 0;
    for (DType type = 0; type < DTYPE_COUNT; type++) {
        const StoredTensor *blocks = tensor(c, "", dtype_name(type), ".blocks");
        if (!blocks) {
            assert_false(dtype_is_block(type)); // all of them are recorded
            continue;
        }
        types++;
        const StoredTensor *values = tensor(c, "", dtype_name(type), ".values");
        int64_t n = values->dims[0];
        float *x = NEW_ARRAY(a, float, (size_t)n), *want = NEW_ARRAY(a, float, (size_t)n);
        dtype_to_f32(DTYPE_F32, values->data, want, n);
        dtype_to_f32(type, blocks->data, x, n);
        for (int64_t i = 0; i < n; i++)
            // The order of two f32 products may differ: one part in 2^22.
            if (fabsf(x[i] - want[i]) > 0x1p-22f * fabsf(want[i]))
                fail_msg("%s: value %d is %g, not %g", dtype_name(type), (int)i, (double)x[i],
                         (double)want[i]);
    }
    assert_int_equal(types, 15);
}

static double squared_error(DType type, const float *x, int64_t n, Arena *a)
{
    Error err = {0};
    size_t size;
    assert_ok(dtype_size(type, n, &size, &err));
    void *blocks = arena_alloc(a, size);
    float *back = NEW_ARRAY(a, float, (size_t)n);
    assert_ok(dtype_from_f32(type, x, blocks, n, &err));
    dtype_to_f32(type, blocks, back, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((double)back[i] - (double)x[i]) * ((double)back[i] - (double)x[i]);
    return sum / (double)n;
}

static void test_what_is_written_is_as_close_as_the_reference_writes_it(void **state)
{
    AUTO(checkpoint_free) Checkpoint *c = golden();
    AUTO(arena_free) Arena *a = arena_new(0);
    const StoredTensor *stored = checkpoint_find(c, S("x"));
    int64_t n = stored->dims[0];
    float *x = NEW_ARRAY(a, float, (size_t)n);
    dtype_to_f32(DTYPE_F32, stored->data, x, n);
    int types = 0;
    for (DType type = 0; type < DTYPE_COUNT; type++) {
        const StoredTensor *recorded = tensor(c, "error.", dtype_name(type), "");
        if (!recorded)
            continue;
        types++;
        double theirs, ours = squared_error(type, x, n, a);
        memcpy(&theirs, recorded->data, sizeof theirs);
        if (getenv("HUG_VERBOSE"))
            print_message("%s: mean squared error %.4g, the reference's %.4g\n", dtype_name(type),
                          ours, theirs);
        if (!(ours <= theirs * 1.0001))
            fail_msg("%s: mean squared error %g, the reference's is %g", dtype_name(type), ours,
                     theirs);
    }
    assert_int_equal(types, 8);
}

/* The types whose rounding the format fixes come out byte for byte. */
static void test_simple_types_are_written_byte_for_byte(void **state)
{
    Error err = {0};
    AUTO(checkpoint_free) Checkpoint *c = golden();
    float x[512];
    dtype_to_f32(DTYPE_F32, checkpoint_find(c, S("x"))->data, x, 512);
    int types = 0;
    for (DType type = 0; type < DTYPE_COUNT; type++) {
        const StoredTensor *want = tensor(c, "written.", dtype_name(type), "");
        if (!want)
            continue;
        types++;
        uint8_t blocks[1024];
        assert_ok(dtype_from_f32(type, x, blocks, 512, &err));
        assert_memory_equal(blocks, want->data, want->size);
    }
    assert_int_equal(types, 5);
}

/* Blocks of nothing, of one value, of one sign and of extremes. */
static void test_odd_blocks_survive(void **state)
{
    AUTO(arena_free) Arena *a = arena_new(0);
    static const DType types[] = {DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K};
    for (size_t t = 0; t < COUNT(types); t++)
        for (int kind = 0; kind < 5; kind++) {
            float x[256];
            double most = 0;
            for (int i = 0; i < 256; i++) {
                x[i] = kind == 0   ? 0
                       : kind == 1 ? 3
                       : kind == 2 ? -3
                       : kind == 3 ? (i == 77 ? 1000.f : 0)
                                   : (float)(i % 2 ? i : -i) * 1e-30f;
                most = MAX(most, fabs((double)x[i]));
            }
            assert_true(sqrt(squared_error(types[t], x, 256, a)) <= most / 8 + 1e-27);
        }
}

int main(void)
{
    return RUN(test_every_block_type_reads_as_the_reference_reads_it,
               test_what_is_written_is_as_close_as_the_reference_writes_it,
               test_simple_types_are_written_byte_for_byte, test_odd_blocks_survive);
}
