/* Tests of cache.h: finding, the bound, and things that outlive their place. */
#include "base/test.h"
#include "hub/cache.h"

typedef struct Thing {
    Cached cached;
    char name[16];
    int *alive;
} Thing;

static void thing_free(Cached *cached)
{
    Thing *thing = (Thing *)cached;
    --*thing->alive;
    free(thing);
}

static Thing *thing_new(const char *name, size_t bytes, int *alive)
{
    Thing *thing = xcalloc(1, sizeof *thing);
    snprintf(thing->name, sizeof thing->name, "%s", name);
    thing->alive = alive;
    thing->cached =
        (Cached){.refs = 1, .bytes = bytes, .key = str_of(thing->name), .free = thing_free};
    ++*alive;
    return thing;
}

static void test_finds_what_was_added(void **state)
{
    int alive = 0;
    Cache *c = cache_new(1000);
    Thing *thing = thing_new("a", 10, &alive);
    assert_null(cache_find(c, S("a")));
    cache_add(c, &thing->cached);
    cached_unref(thing);
    Cached *found = cache_find(c, S("a"));
    assert_ptr_equal(found, thing);
    assert_null(cache_find(c, S("b")));
    cache_free(c);
    assert_int_equal(alive, 1); // the finder still has it
    cached_unref(found);
    assert_int_equal(alive, 0);
}

static void test_keeps_to_its_limit_and_forgets_the_oldest(void **state)
{
    int alive = 0;
    Cache *c = cache_new(1000);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        Thing *thing = thing_new(name, 100, &alive);
        cache_add(c, &thing->cached);
        cached_unref(thing);
        Cached *first = cache_find(c, S("0")); // used each time: never the oldest
        assert_non_null(first);
        cached_unref(first);
    }
    assert_int_equal(alive, 10);
    assert_null(cache_find(c, S("50")));
    Thing *large = thing_new("large", 501, &alive);
    cache_add(c, &large->cached);
    cached_unref(large);
    assert_int_equal(alive, 10);
    cache_free(c);
    assert_int_equal(alive, 0);
}

static void test_the_same_key_twice_is_one_thing(void **state)
{
    int alive = 0;
    Cache *c = cache_new(1000);
    for (int i = 0; i < 3; i++) {
        Thing *thing = thing_new("same", 100, &alive);
        cache_add(c, &thing->cached);
        cached_unref(thing);
    }
    assert_int_equal(alive, 1);
    cache_free(c);
    assert_int_equal(alive, 0);
}

int main(void)
{
    return RUN(test_finds_what_was_added, test_keeps_to_its_limit_and_forgets_the_oldest,
               test_the_same_key_twice_is_one_thing);
}
