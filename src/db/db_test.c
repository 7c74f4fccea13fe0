/* Tests of db.h: binding and reading, transactions, threads, migrations, other processes. */
#include "base/test.h"
#include "db/db_testing.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static const Migration list[] = {
    {1, "people", "CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT NOT NULL, age BIGINT);"},
    {2, "pets", "CREATE TABLE pets (name TEXT NOT NULL); INSERT INTO pets VALUES ('Rex');"},
};

static Db *fresh(const char *name)
{
    Error err = {0};
    Db *db = db_open(test_db(name), &err);
    if (!db || !db_migrate(db, list, COUNT(list), &err))
        fail_msg("%s", err.text);
    return db;
}

static bool add(Db *db, Str id, Str name, int64_t age, bool commit, Error *err)
{
    AUTO(conn_end) Conn *c = db_write(db, err);
    if (!c)
        return false;
    AUTO(query_end)
    Query *q = query_open(c, "INSERT INTO people (id, name, age) VALUES ($1, $2, $3)");
    bind_str(q, id);
    bind_str(q, name);
    bind_int(q, age);
    if (!query_run(q, err))
        return false;
    return !commit || conn_commit(c, err);
}

static int64_t count(Db *db)
{
    AUTO(conn_end) Conn *c = db_read(db, NULL);
    AUTO(query_end) Query *q = query_open(c, "SELECT count(*) FROM people");
    assert_true(query_next(q));
    return row_int(q);
}

static void test_reads_back_what_it_wrote(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("write");
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_ok(add(db, S("1"), S("Ada \xC3\xA9"), 36, true, &err));
    AUTO(conn_end) Conn *c = db_read(db, &err);
    AUTO(query_end) Query *q = query_open(c, "SELECT name, age, NULL FROM people WHERE id = $1");
    bind_str(q, S("1"));
    assert_true(query_next(q));
    assert_str(row_str(q, a), "Ada \xC3\xA9");
    assert_int_equal(row_int(q), 36);
    assert_str(row_view(q), "");
    assert_false(query_next(q));
    assert_ok(query_ok(q, &err));
}

static void test_takes_back_what_was_not_committed(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("rollback");
    assert_ok(add(db, S("1"), S("x"), 1, false, &err));
    assert_int_equal(count(db), 0);
    assert_ok(add(db, S("1"), S("x"), 1, true, &err));
    assert_fails(add(db, S("1"), S("y"), 1, true, &err), ERR_EXISTS,
                 test_on_postgres() ? "unique constraint" : "UNIQUE");
    assert_int_equal(count(db), 1);
}

static void test_says_what_is_wrong_with_a_statement(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("wrong");
    AUTO(conn_end) Conn *c = db_read(db, &err);
    for (int i = 0; i < 2; i++) {
        AUTO(query_end) Query *q = query_open(c, "SELECT nothing FROM nowhere WHERE x = $1");
        bind_int(q, 1);
        assert_fails(query_run(q, &err), ERR_CORRUPT, "nowhere");
    }
    // A connection for reading cannot write.
    AUTO(query_end) Query *q = query_open(c, "DELETE FROM people");
    assert_fails(query_run(q, &err), ERR_IO, test_on_postgres() ? "read-only" : "readonly");
}

static void test_gives_nested_users_of_one_text_their_own_statement(void **state)
{
    AUTO(db_close) Db *db = fresh("nested");
    assert_true(add(db, S("1"), S("a"), 1, true, NULL) && add(db, S("2"), S("b"), 2, true, NULL));
    AUTO(conn_end) Conn *c = db_read(db, NULL);
    int rows = 0;
    AUTO(query_end) Query *outer = query_open(c, "SELECT id FROM people ORDER BY id");
    while (query_next(outer)) {
        AUTO(query_end) Query *inner = query_open(c, "SELECT id FROM people ORDER BY id");
        while (query_next(inner))
            rows++;
    }
    assert_int_equal(rows, 4);
}

static void *writer(void *arg)
{
    static int names;
    for (int i = 0; i < 25; i++) {
        char id[32];
        snprintf(id, sizeof id, "t%d", __atomic_fetch_add(&names, 1, __ATOMIC_RELAXED));
        if (!add(arg, str_of(id), S("thread"), i, true, NULL) || count(arg) < 1)
            return arg;
    }
    return NULL;
}

static void test_serves_many_threads(void **state)
{
    AUTO(db_close) Db *db = fresh("threads");
    pthread_t threads[20]; // more than there are connections for reading
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, writer, db), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(count(db), 500);
}

static void test_shares_the_file_with_another_process(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("process");
    pid_t child = fork();
    if (child == 0) {
        Db *own = db_open(test_db("process"), NULL);
        _exit(own && add(own, S("child"), S("c"), 1, true, NULL) ? 0 : 1);
    }
    assert_ok(add(db, S("parent"), S("p"), 1, true, &err));
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(count(db), 2);
}

static void test_migrates_once_and_refuses_a_newer_file(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("migrate");
    assert_ok(db_migrate(db, list, COUNT(list), &err));
    {
        AUTO(conn_end) Conn *c = db_read(db, &err);
        AUTO(query_end) Query *q = query_open(c, "SELECT count(*) FROM pets");
        assert_true(query_next(q));
        assert_int_equal(row_int(q), 1);
    }
    assert_fails(db_migrate(db, list, 1, &err), ERR_UNSUPPORTED, "newer");
    static const Migration broken[] = {
        {1, "people", ""}, {2, "pets", ""}, {3, "bad", "CREATE TABLE t (x BIGINT); NONSENSE;"}};
    assert_fails(db_migrate(db, broken, 3, &err), ERR_CORRUPT, "migration 3 'bad'");
    static const Migration mended[] = {
        {1, "people", ""}, {2, "pets", ""}, {3, "good", "CREATE TABLE t (x BIGINT);"}};
    assert_ok(db_migrate(db, mended, 3, &err));
}

static void test_names_a_scheme_without_a_driver(void **state)
{
    Error err = {0};
    assert_fails(db_open("oracle://x", &err), ERR_UNSUPPORTED, "oracle:");
    assert_fails(db_open("postgres://u:sesame@127.0.0.1:1/x", &err), ERR_UNAVAILABLE,
                 "postgres://127.0.0.1:1/x");
    assert_null(strstr(err.text, "sesame"));
    assert_fails(db_open("postgres://u:sesame@[::1/x", &err), ERR_INVALID, "not a URL");
    assert_null(strstr(err.text, "sesame"));
    assert_fails(db_open("sqlite:/nonexistent/folder/x.db", &err), ERR_NOT_FOUND, "/nonexistent");
}

static void test_says_which_engine_it_is_and_runs_scripts(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("engine");
    AUTO(conn_end) Conn *c = db_write(db, &err);
    assert_ok(c);
    assert_int_equal(conn_engine(c), test_on_postgres() ? DB_POSTGRES : DB_SQLITE);
    assert_ok(conn_script(c, "CREATE TABLE a (n BIGINT); INSERT INTO a VALUES (1);", &err));
    assert_ok(conn_commit(c, &err));
}

static void test_commits_nothing_of_a_transaction_in_which_something_failed(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("failed");
    assert_ok(add(db, S("1"), S("x"), 1, true, &err));
    {
        AUTO(conn_end) Conn *c = db_write(db, &err);
        AUTO(query_end) Query *q = query_open(c, "UPDATE people SET age = 2 WHERE id = '1'");
        assert_ok(query_run(q, &err));
        AUTO(query_end)
        Query *twice = query_open(c, "INSERT INTO people (id, name, age)"
                                     " VALUES ('1', '', 0)");
        assert_fails(query_run(twice, &err), ERR_EXISTS, "");
        AUTO(query_end) Query *late = query_open(c, "DELETE FROM people");
        assert_fails(query_run(late, &err), ERR_CONFLICT, "failed");
        assert_fails(conn_commit(c, &err), ERR_CONFLICT, "failed");
    }
    {
        AUTO(conn_end) Conn *c = db_write(db, &err);
        assert_fails(conn_script(c, "CREATE NONSENSE", &err), ERR_CORRUPT, "syntax error");
        assert_fails(conn_commit(c, &err), ERR_CONFLICT, "failed");
    }
    AUTO(conn_end) Conn *c = db_read(db, &err);
    AUTO(query_end) Query *q = query_open(c, "SELECT age FROM people");
    assert_true(query_next(q));
    assert_int_equal(row_int(q), 1);
}

static void test_reads_numbers_as_engines_compute_them(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("numbers");
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_ok(add(db, S("1"), S("x"), INT64_MAX, true, &err));
    assert_ok(add(db, S("2"), S("y"), -5, true, &err));
    AUTO(conn_end) Conn *c = db_read(db, &err);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT age, age = $1, sum(age) OVER (), $2 || name FROM people"
                             " ORDER BY id");
    bind_int(q, INT64_MAX);
    bind_str(q, S("name "));
    assert_true(query_next(q));
    assert_int_equal(row_int(q), INT64_MAX);
    assert_int_equal(row_int(q), 1);
    assert_int_equal(row_int(q), INT64_MAX - 5); // PostgreSQL sums in numerics
    assert_str(row_str(q, a), "name x");
    assert_true(query_next(q));
    assert_int_equal(row_int(q), -5);
    assert_int_equal(row_int(q), 0);
    assert_false(query_next(q));
    assert_ok(query_ok(q, &err));
}

static void test_binds_null_where_a_value_was_and_a_value_where_null_was(void **state)
{
    Error err = {0};
    AUTO(db_close) Db *db = fresh("nulls");
    for (int i = 0; i < 4; i++) {
        AUTO(conn_end) Conn *c = db_write(db, &err);
        AUTO(query_end)
        Query *q = query_open(c, "INSERT INTO people (id, name, age) VALUES ($1, $2, $3)");
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        bind_str(q, str_of(id));
        bind_str(q, S(""));
        i % 2 ? bind_int(q, i) : bind_null(q);
        assert_ok(query_run(q, &err));
        assert_int_equal(query_changes(q), 1);
        assert_ok(conn_commit(c, &err));
    }
    AUTO(conn_end) Conn *c = db_read(db, &err);
    AUTO(query_end)
    Query *q = query_open(c, "SELECT count(*), count(age), sum(age) FROM people WHERE name = ''");
    assert_true(query_next(q));
    assert_int_equal(row_int(q), 4);
    assert_int_equal(row_int(q), 2);
    assert_int_equal(row_int(q), 4);
}

static void test_stores_no_text_that_an_engine_cannot_hold(void **state)
{
    if (!test_on_postgres())
        skip();
    Error err = {0};
    AUTO(db_close) Db *db = fresh("bytes");
    AUTO(arena_free) Arena *a = arena_new(0);
    assert_ok(add(db, S("1"), S("caf\xE9 \0!"), 1, true, &err));
    AUTO(conn_end) Conn *c = db_read(db, &err);
    AUTO(query_end) Query *q = query_open(c, "SELECT name FROM people WHERE id = '1'");
    assert_true(query_next(q));
    assert_str(row_str(q, a), "caf\xEF\xBF\xBD \xEF\xBF\xBD!");
}

int main(void)
{
    int failed =
        RUN(test_commits_nothing_of_a_transaction_in_which_something_failed,
            test_reads_numbers_as_engines_compute_them,
            test_binds_null_where_a_value_was_and_a_value_where_null_was,
            test_stores_no_text_that_an_engine_cannot_hold,
            test_says_which_engine_it_is_and_runs_scripts, test_reads_back_what_it_wrote,
            test_takes_back_what_was_not_committed, test_says_what_is_wrong_with_a_statement,
            test_gives_nested_users_of_one_text_their_own_statement, test_serves_many_threads,
            test_shares_the_file_with_another_process, test_migrates_once_and_refuses_a_newer_file,
            test_names_a_scheme_without_a_driver);
    test_folder_remove();
    return failed;
}
