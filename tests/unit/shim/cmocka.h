/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of cmocka's words our tests use, for cross builds, where there is no cmocka. Prints TAP.
 * On the include path only there (tests/unit/meson.build). A failed assertion jumps out of the
 * test, as cmocka does; group and test fixtures work, mocks do not exist.
 */
#ifndef BH_SHIM_CMOCKA_H
#define BH_SHIM_CMOCKA_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uintmax_t LargestIntegralType;
typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
    const char *name;
    CMUnitTestFunction test_func;
    CMFixtureFunction setup_func, teardown_func;
    void *initial_state;
};

static jmp_buf shim_out;
enum { SHIM_FAILED = 1, SHIM_SKIPPED = 2 };

#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#f, f, NULL, NULL, NULL                                                                    \
    }
#define cmocka_unit_test_setup(f, setup)                                                           \
    {                                                                                              \
#f, f, setup, NULL, NULL                                                                   \
    }
#define cmocka_unit_test_teardown(f, teardown)                                                     \
    {                                                                                              \
#f, f, NULL, teardown, NULL                                                                \
    }
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                        \
    {                                                                                              \
#f, f, setup, teardown, NULL                                                               \
    }
#define cmocka_unit_test_prestate(f, state)                                                        \
    {                                                                                              \
#f, f, NULL, NULL, state                                                                   \
    }

static inline _Noreturn void
shim_fail(const char *file, int line, const char *what)
{
    printf("# %s:%d: %s\n", file, line, what);
    longjmp(shim_out, SHIM_FAILED);
}

#define SHIM_CHECK(ok, what) ((ok) ? (void)0 : shim_fail(__FILE__, __LINE__, what))
#define fail() shim_fail(__FILE__, __LINE__, "fail()")
#define fail_msg(...)                                                                              \
    do {                                                                                           \
        printf("# ");                                                                              \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        shim_fail(__FILE__, __LINE__, "fail_msg()");                                               \
    } while (0)
#define skip() longjmp(shim_out, SHIM_SKIPPED)
#define print_message(...) printf(__VA_ARGS__)
#define print_error(...) printf(__VA_ARGS__)

/* Functions, so that each argument is evaluated once. */
static inline void
shim_compare(uintmax_t a, const char *op, uintmax_t b, const char *what, const char *file, int line)
{
    int ok = op[0] == '=' ? a == b : op[0] == '!' ? a != b : op[0] == '<' ? a <= b : a >= b;
    if (!ok) {
        printf("# 0x%jx %s 0x%jx does not hold\n", a, op, b);
        shim_fail(file, line, what);
    }
}

static inline void
shim_range(uintmax_t v, uintmax_t low, uintmax_t high, int want_inside, const char *what,
           const char *file, int line)
{
    if ((v >= low && v <= high) != want_inside) {
        printf("# 0x%jx %s 0x%jx .. 0x%jx does not hold\n", v, want_inside ? "in" : "not in", low,
               high);
        shim_fail(file, line, what);
    }
}

static inline void
shim_float(double a, double b, double epsilon, const char *what, const char *file, int line)
{
    if (!(a - b <= epsilon && b - a <= epsilon)) {
        printf("# %g == %g does not hold\n", a, b);
        shim_fail(file, line, what);
    }
}

#define SHIM_INT(a, op, b)                                                                         \
    shim_compare((uintmax_t)(a), op, (uintmax_t)(b), #a " " op " " #b, __FILE__, __LINE__)
#define assert_true(c) SHIM_CHECK(!!(c), #c)
#define assert_false(c) SHIM_CHECK(!(c), "not " #c)
#define assert_null(p) SHIM_CHECK((p) == NULL, #p " is NULL")
#define assert_non_null(p) SHIM_CHECK((p) != NULL, #p " is not NULL")
#define assert_int_equal(a, b) SHIM_INT(a, "==", b)
#define assert_int_not_equal(a, b) SHIM_INT(a, "!=", b)
#define assert_ptr_equal(a, b) SHIM_CHECK((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_ptr_not_equal(a, b) SHIM_CHECK((const void *)(a) != (const void *)(b), #a " != " #b)
#define assert_return_code(rc, error) SHIM_CHECK((rc) >= 0, #rc " >= 0")
#define assert_in_range(v, low, high)                                                              \
    shim_range((uintmax_t)(v), (uintmax_t)(low), (uintmax_t)(high), 1, #v, __FILE__, __LINE__)
#define assert_not_in_range(v, low, high)                                                          \
    shim_range((uintmax_t)(v), (uintmax_t)(low), (uintmax_t)(high), 0, #v, __FILE__, __LINE__)
#define assert_float_equal(a, b, e) shim_float((a), (b), (e), #a " == " #b, __FILE__, __LINE__)
#define assert_double_equal(a, b, e) shim_float((a), (b), (e), #a " == " #b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) SHIM_CHECK(memcmp((a), (b), (n)) == 0, #a " == " #b)
#define assert_memory_not_equal(a, b, n) SHIM_CHECK(memcmp((a), (b), (n)) != 0, #a " != " #b)

static inline void
shim_strings(const char *a, const char *b, int want_equal, const char *file, int line)
{
    if ((strcmp(a, b) == 0) != want_equal) {
        printf("# \"%s\" %s \"%s\" does not hold\n", a, want_equal ? "==" : "!=", b);
        shim_fail(file, line, "strings");
    }
}

#define assert_string_equal(a, b) shim_strings((a), (b), 1, __FILE__, __LINE__)
#define assert_string_not_equal(a, b) shim_strings((a), (b), 0, __FILE__, __LINE__)

static inline int
shim_run_one(const struct CMUnitTest *t, void *group_state)
{
    void *state = t->initial_state != NULL ? t->initial_state : group_state;
    int end = setjmp(shim_out);
    if (end == 0) {
        if (t->setup_func != NULL && t->setup_func(&state) != 0) {
            return SHIM_FAILED;
        }
        t->test_func(&state);
        if (t->teardown_func != NULL && t->teardown_func(&state) != 0) {
            return SHIM_FAILED;
        }
    }
    return end;
}

static inline int
shim_run(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
         CMFixtureFunction teardown)
{
    void *state = NULL;
    int failed = 0;
    printf("1..%zu\n", count);
    if (setup != NULL && setup(&state) != 0) {
        printf("not ok 1 - group setup\n");
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        static volatile int end;
        end = shim_run_one(&tests[i], state);
        failed += end == SHIM_FAILED;
        printf("%s %zu - %s%s\n", end == SHIM_FAILED ? "not ok" : "ok", i + 1, tests[i].name,
               end == SHIM_SKIPPED ? " # SKIP" : "");
        fflush(stdout);
    }
    if (teardown != NULL && teardown(&state) != 0) {
        printf("not ok %zu - group teardown\n", count + 1);
        failed++;
    }
    return failed;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    shim_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    shim_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
