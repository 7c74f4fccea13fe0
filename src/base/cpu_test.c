/* Processor levels: names round-trip, and the level in force never passes what is there. */
#include "base/cpu.h"
#include "base/test.h"

static void test_every_level_has_a_name_that_parses(void **state)
{
    for (int i = 0; i < CPU_LEVEL_COUNT; i++) {
        CpuLevel level;
        assert_true(cpu_level_parse(str_of(cpu_level_name((CpuLevel)i)), &level));
        assert_int_equal(level, i);
    }
    CpuLevel level;
    assert_false(cpu_level_parse(S("sse9"), &level));
}

static void test_the_environment_lowers_the_level_and_never_raises_it(void **state)
{
    setenv("HUG_CPU", "plain", 1); // before the first call: it is read once
    assert_int_equal(cpu_level(), CPU_PLAIN);
    assert_true(cpu_detect() >= cpu_level());
}

int main(void)
{
    return RUN(test_every_level_has_a_name_that_parses,
               test_the_environment_lowers_the_level_and_never_raises_it);
}
