/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bh_config.h"

/* ---- a module to configure ----------------------------------------------------------------------- */

static const struct bh_setting settings[] = {
    { .name = "directory", .type = BH_SETTING_DIR, .required = true, .text = { "where", "場所" } },
    { .name = "size",
      .type = BH_SETTING_SIZE,
      .default_text = "1M",
      .least = 1024,
      .most = 1U << 30,
      .text = { "how large", "大きさ" } },
    { .name = "key", .type = BH_SETTING_SECRET, .text = { "a secret", "秘密" } },
};

static int
never_open(struct bh_output *o)
{
    (void)o;
    fail();
    return 0;
}

static int
never_write(struct bh_output *o, const struct bh_output_batch *b)
{
    (void)o;
    (void)b;
    fail();
    return 0;
}

static void
never_close(struct bh_output *o)
{
    (void)o;
    fail();
}

#define MODULE(module_name)                                                                        \
    {                                                                                              \
        .abi_major = BH_OUTPUT_ABI, .size = sizeof(struct bh_output_module), .name = module_name,  \
        .summary = { "a module", "モジュール" }, .settings = settings,                             \
        .setting_count = BH_COUNT(settings), .open = never_open, .write = never_write,             \
        .close = never_close                                                                       \
    }
static const struct bh_output_module iplog = MODULE("iplog"), paper = MODULE("paper");
static const struct bh_output_module *const all_modules[] = { &iplog, &paper };

static const struct bh_output_module *const *
modules(size_t *ret_count)
{
    *ret_count = BH_COUNT(all_modules);
    return all_modules;
}

static struct bh_config *
read_text(const char *text)
{
    struct bh_config *c = bh_config_new(modules);
    assert_non_null(c);
    const int r = bh_config_read_memory(c, "t.conf", text, strlen(text));
    const int whole = bh_config_finish(c);
    assert_int_equal(r != 0 || whole != 0, bh_config_error_count(c) > 0);
    return c;
}

/* ---- errors ------------------------------------------------------------------------------------------ */

static void
test_errors(void **state)
{
    static const struct {
        const char *text;
        uint32_t line;
        const char *says;
    } cases[] = {
        { "[site]\nsenser = x\n", 2, "did you mean sensor?" },
        { "[sit]\nsensor = x\n", 1, "did you mean [site]?" },
        { "sensor = x\n", 1, "before the first [section]" },
        { "[site]\nsensor\n", 2, "neither [section]" },
        { "\n\n[site\n", 3, "neither [section]" },
        { "[site]\nsensor = a\n\nsensor = b\n", 4, "twice, also in line 2" },
        { "[capture]\nring = 1Q\n", 2, "a size like" },
        { "[capture]\nring = 1048575\n", 2, "1048575: must be from 1M to 16G" },
        { "[capture]\nring = 18446744073709551616\n", 2, "a size" },
        { "[capture]\npromiscuous = maybe\n", 2, "yes or no" },
        { "[capture]\noutcomes = 1\n", 2, "yes or no" },
        { "[output]\nmodule = paper\n", 1, "[output NAME]" },
        { "[output a b]\nmodule = paper\n", 1, "[output NAME]" },
        { "[output a/b]\nmodule = paper\n", 1, "letters, digits" },
        { "[output .a]\nmodule = paper\n", 1, "letters, digits" },
        { "[output a]\n", 1, "says no module" },
        { "[output a]\nmodule = papr\ndirectory = /x\n", 2, "did you mean paper?" },
        { "[output a]\nmodule = paper\n", 1, "directory: must be given" },
        { "[output a]\nmodule = paper\ndirectory = /x\nsiz = 3\n", 4, "did you mean size?" },
        { "[output a]\nmodule = paper\ndirectory = /x\nsize = 1023\n", 4, "1023: must be " },
        { "[output a]\nmodule = paper\ndirectory = /x\nfilter = prt 22\n", 4,
          "did you mean port?" },
        { "[output a]\nmodule = paper\ndirectory = /x\nqueue = 1k\n", 4,
          "1k: must be from 64k to 4G" },
        { "[capture]\nring = 2M\nfilter = prt 22\n", 3, "[capture] prt: word 1" },
        { "[site]\n0123456789012345678901234567890123456789012345678 = x\n", 2, "longer than 48" },
        { "[output 012345678901234567890123456789012345678901]\nmodule = paper\n", 1,
          "longer than 48" },
    };
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_config *c = read_text(cases[k].text);
        if (bh_config_error_count(c) != 1) {
            fail_msg("case %zu: %zu errors", k, bh_config_error_count(c));
        }
        const struct bh_error *e = bh_config_error(c, 0);
        if (e->line != cases[k].line || strstr(e->text[BH_EN], cases[k].says) == NULL ||
            strcmp(e->where, "t.conf") != 0 || e->text[BH_JA][0] == '\0') {
            fail_msg("case %zu: %s:%u: %s", k, e->where, e->line, e->text[BH_EN]);
        }
        bh_config_free(c);
    }
}

/* All errors are said, not only the first. */
static void
test_all_errors(void **state)
{
    (void)state;
    struct bh_config *c = read_text("[site]\na = 1\nb = 2\n[capture]\nring = x\n[output z]\n");
    assert_int_equal(bh_config_error_count(c), 4);
    bh_config_free(c);
}

/* A line that inih would have cut is an error, one octet less is not, and its neighbours count. */
static void
test_long_line(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        char text[400] = "[site]\nhome = ";
        const size_t begin = strlen(text), at_line = strlen("[site]\n");
        const size_t len = 198 + (size_t)more; /* of the line */
        memset(text + begin, 'x', len - (begin - at_line));
        strcpy(text + at_line + len, "\nsensor = s\n");
        struct bh_config *c = read_text(text);
        assert_int_equal(bh_config_error_count(c), more);
        assert_string_equal(bh_config_text(c, BH_CONFIG_SITE, "sensor"), "s");
        if (more == 0) {
            assert_int_equal(strlen(bh_config_text(c, BH_CONFIG_SITE, "home")),
                             198 - strlen("home = "));
        } else {
            assert_int_equal(bh_config_error(c, 0)->line, 2);
        }
        bh_config_free(c);
    }
}

static void
test_nul(void **state)
{
    static const char text[] = "[site]\nsensor = a\0b\nhome = h\n";
    (void)state;
    struct bh_config *c = bh_config_new(modules);
    assert_true(bh_config_read_memory(c, "t", text, sizeof text - 1) < 0);
    assert_int_equal(bh_config_error(c, 0)->line, 2);
    assert_string_equal(bh_config_text(c, BH_CONFIG_SITE, "home"), "h");
    bh_config_free(c);
}

/* ---- values ------------------------------------------------------------------------------------------- */

static void
test_values(void **state)
{
    (void)state;
    struct bh_config *c =
        read_text("; comment\n[site]\nhome = 10.0.0.0/8,\n  192.0.2.0/24 ; more\n"
                  "[capture]\nring = 2M\ninterface = eth0, eth1\npromiscuous=no\n"
                  "[output one]\nmodule = paper\ndirectory = /a\nqueue = 1M\nfilter = port 22\n"
                  "[output two]\nmodule=paper\ndirectory=/b\nsize = 4k\n");
    struct bh_config_output o;
    assert_int_equal(bh_config_error_count(c), 0);
    assert_string_equal(bh_config_text(c, BH_CONFIG_SITE, "home"), "10.0.0.0/8, 192.0.2.0/24");
    assert_int_equal(bh_config_uint(c, BH_CONFIG_CAPTURE, "ring"), 2 << 20);
    assert_int_equal(bh_config_uint(c, BH_CONFIG_CAPTURE, "promiscuous"), 0);
    assert_int_equal(bh_config_uint(c, BH_CONFIG_CAPTURE, "outcomes"), 1); /* default */
    assert_true(bh_config_given(c, BH_CONFIG_CAPTURE, "ring"));
    assert_false(bh_config_given(c, BH_CONFIG_CAPTURE, "outcomes"));
    assert_null(bh_config_text(c, BH_CONFIG_SITE, "sensor"));
    assert_int_equal(bh_config_output_count(c), 2);
    bh_config_output(c, 0, &o);
    assert_string_equal(o.name, "one");
    assert_string_equal(o.filter, "port 22");
    assert_int_equal(o.queue_octets, 1 << 20);
    assert_int_equal(o.setting_count, 1);
    assert_string_equal(o.settings[0].value, "/a");
    bh_config_output(c, 1, &o);
    assert_int_equal(o.queue_octets, 16 << 20);
    assert_int_equal(o.setting_count, 2);
    bh_config_free(c);
}

/* Every default is a value of its own setting, and has a text in both languages. */
static void
test_tables(void **state)
{
    (void)state;
    for (int s = 0; s < BH_CONFIG_SECTIONS; s++) {
        size_t count;
        const struct bh_setting *keys = bh_config_keys((enum bh_config_section)s, &count);
        assert_true(count > 0);
        for (size_t k = 0; k < count; k++) {
            uint64_t n;
            struct bh_error err = { 0 };
            assert_true(keys[k].text[BH_EN] != NULL && keys[k].text[BH_JA] != NULL);
            assert_true(keys[k].default_text == NULL ||
                        bh_setting_check(&keys[k], keys[k].default_text, &n, &err) == 0);
        }
    }
}

static void
test_no_output_is_the_log(void **state)
{
    (void)state;
    struct bh_config *c = read_text("[site]\nlog-dir = /tmp/l\n");
    struct bh_config_output o;
    assert_int_equal(bh_config_output_count(c), 1);
    bh_config_output(c, 0, &o);
    assert_string_equal(o.name, "log");
    assert_ptr_equal(o.module, &iplog);
    assert_int_equal(o.setting_count, 1);
    assert_string_equal(o.settings[0].name, "directory");
    assert_string_equal(o.settings[0].value, "/tmp/l");
    bh_config_free(c);
}

static void
test_command_line_wins(void **state)
{
    (void)state;
    struct bh_config *c = bh_config_new(modules);
    struct bh_error err = { 0 };
    const char *text = "[capture]\nring = 2M\n";
    assert_int_equal(bh_config_read_memory(c, "t", text, strlen(text)), 0);
    assert_int_equal(bh_config_set(c, "capture", "ring", "4M", "--ring", &err), 0);
    assert_int_equal(bh_config_uint(c, BH_CONFIG_CAPTURE, "ring"), 4 << 20);
    assert_true(bh_config_set(c, "capture", "rong", "4M", "--ring", &err) < 0);
    assert_true(bh_config_set(c, "capture", "ring", "4X", "--ring", &err) < 0);
    bh_config_free(c);
}

/* The mark of an output changes with it, and with nothing else. */
static void
test_marks(void **state)
{
    static const char a[] =
        "[output one]\nmodule = paper\ndirectory = /a\n[output two]\nmodule = paper\ndirectory = /b\n";
    static const char b[] = "[capture]\nring = 2M\n[output one]\nmodule = paper\ndirectory = /a\n"
                            "[output two]\nmodule = paper\ndirectory = /b\nfilter = port 1\n";
    (void)state;
    struct bh_config *x = read_text(a), *y = read_text(b);
    assert_int_equal(bh_config_error_count(y), 0);
    assert_true(bh_config_output_mark(x, 0) == bh_config_output_mark(y, 0));
    assert_true(bh_config_output_mark(x, 1) != bh_config_output_mark(y, 1));
    bh_config_free(x);
    bh_config_free(y);
}

static void
write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* So it does with what the file of a secret holds: credentials are renewed under the same name. */
static void
test_marks_of_secrets(void **state)
{
    char path[] = "/tmp/beholder-secret-XXXXXX", text[200];
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof text, "[output one]\nmodule = paper\ndirectory = /a\nkey = %s\n", path);
    struct bh_config *c = read_text(text);
    assert_int_equal(bh_config_error_count(c), 0);
    write_file(path, "first\n");
    const uint64_t first = bh_config_output_mark(c, 0);
    assert_true(bh_config_output_mark(c, 0) == first);
    write_file(path, "other\n");
    assert_true(bh_config_output_mark(c, 0) != first);
    write_file(path, "first\n");
    assert_true(bh_config_output_mark(c, 0) == first);
    unlink(path);
    assert_true(bh_config_output_mark(c, 0) != first);
    bh_config_free(c);
}

/* What is printed reads the same, also values longer than a line. */
static void
test_printed_reads_the_same(void **state)
{
    (void)state;
    struct bh_buf text = { 0 }, again = { 0 }, first = { 0 }, second = { 0 };
    char long_text[900] = "[output one]\nmodule = paper\ndirectory = /a\nfilter =\n";
    for (int k = 0; k < 40; k++) {
        strcat(long_text, " port 22 or\n");
    }
    strcat(long_text, " port 23\n");
    struct bh_config *c = read_text(long_text);
    assert_int_equal(bh_config_error_count(c), 0);
    bh_config_print(c, true, BH_EN, &text);
    bh_config_print_json(c, &first);
    bh_buf_putc(&text, '\0');
    struct bh_config *d = read_text(text.data);
    assert_int_equal(bh_config_error_count(d), 0);
    struct bh_config_output o, p;
    bh_config_output(c, 0, &o);
    bh_config_output(d, 0, &p);
    assert_string_equal(o.filter, p.filter);
    assert_string_equal(o.settings[0].value, p.settings[0].value);
    bh_config_free(c);
    bh_config_free(d);
    bh_buf_done(&text);
    bh_buf_done(&again);
    bh_buf_done(&first);
    bh_buf_done(&second);
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static void
put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* conf.d in the order of names; only .conf; the last one counts; errors name the file. */
static void
test_folder(void **state)
{
    char folder[] = "/tmp/bh-config-XXXXXX", path[200];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/conf.d", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    static const char *const files[][2] = {
        { "conf.d/20.conf", "[site]\nsensor = twenty\n" },
        { "conf.d/10.conf", "[site]\nsensor = ten\nhome = 10.0.0.0/8\n" },
        { "conf.d/30.txt", "[site]\nsensor = thirty\n" },
        { "b.conf", "[site]\nsensor = first\nuser = ja\n" },
    };
    for (size_t k = 0; k < BH_COUNT(files); k++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[k][0]);
        put_file(path, files[k][1]);
    }
    struct bh_config *c = bh_config_new(modules);
    assert_int_equal(bh_config_read(c, path), 0);
    assert_string_equal(bh_config_text(c, BH_CONFIG_SITE, "sensor"), "twenty");
    assert_string_equal(bh_config_text(c, BH_CONFIG_SITE, "home"), "10.0.0.0/8");
    assert_string_equal(bh_config_text(c, BH_CONFIG_SITE, "user"), "ja");
    bh_config_free(c);
    snprintf(path, sizeof path, "%s/conf.d/10.conf", folder);
    put_file(path, "[site]\nsensr = ten\n");
    snprintf(path, sizeof path, "%s/b.conf", folder);
    c = bh_config_new(modules);
    assert_true(bh_config_read(c, path) < 0);
    assert_non_null(strstr(bh_config_error(c, 0)->where, "conf.d/10.conf"));
    bh_config_free(c);
    snprintf(path, sizeof path, "%s/none.conf", folder);
    c = bh_config_new(modules);
    assert_true(bh_config_read(c, path) < 0);
    assert_string_equal(bh_config_error(c, 0)->where, path);
    bh_config_free(c);
    for (size_t k = 0; k < BH_COUNT(files); k++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[k][0]);
        assert_int_equal(unlink(path), 0);
    }
    snprintf(path, sizeof path, "%s/conf.d", folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_all_errors),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_no_output_is_the_log),
        cmocka_unit_test(test_command_line_wins),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_marks_of_secrets),
        cmocka_unit_test(test_printed_reads_the_same),
        cmocka_unit_test(test_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
