/* SPDX-License-Identifier: BSD-2-Clause */
/* What a sensor says about itself: requests of anybody, and the three forms of the answer with names and numbers that are
 * as bad as they can be. The sensor itself, asked while it runs: tests/system/operate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/sensor/serve.h"
#include "../../lib/sensor/status_priv.h"

static void
test_lines(void **state)
{
    static const struct {
        const char *octets;
        bool ended;
        enum serve_answer answer;
    } cases[] = {
        { "", false, SERVE_MORE },
        { "", true, SERVE_TEXT_EN },
        { "\n", false, SERVE_TEXT_EN },
        { "text en\n", false, SERVE_TEXT_EN },
        { "text ja\n", false, SERVE_TEXT_JA },
        { "text ja\r\n", false, SERVE_TEXT_JA },
        { "json\n", false, SERVE_JSON },
        { "json", false, SERVE_MORE },
        { "json", true, SERVE_JSON },
        { "metrics\n", false, SERVE_METRICS },
        { "metrics\nmore", false, SERVE_METRICS },
        { "metric\n", false, SERVE_BAD },
        { " json\n", false, SERVE_BAD },
        { "json \n", false, SERVE_BAD },
        { "JSON\n", false, SERVE_BAD },
        { "GET /metrics HTTP/1.1\n", false, SERVE_BAD },
    };
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        print_message("# %s\n", cases[k].octets);
        assert_int_equal(serve_parse_line(cases[k].octets, strlen(cases[k].octets), cases[k].ended),
                         cases[k].answer);
    }
    char many[64];
    memset(many, 'x', sizeof many);
    assert_int_equal(serve_parse_line(many, 63, false), SERVE_MORE);
    assert_int_equal(serve_parse_line(many, 64, false), SERVE_BAD);
    assert_int_equal(serve_parse_line("json\0\n", 6, false), SERVE_BAD);
}

#define GET "GET /metrics HTTP/1.1\r\n"
static void
test_http(void **state)
{
    static const struct {
        const char *octets;
        enum serve_answer answer;
    } cases[] = {
        { GET "Host: localhost\r\n\r\n", SERVE_METRICS },
        { GET "host:localhost:9477\r\nAccept: */*\r\n\r\n", SERVE_METRICS },
        { GET "Host: 127.0.0.1:9477\r\n\r\n", SERVE_METRICS },
        { GET "Host: 127.8.8.8\r\n\r\n", SERVE_METRICS },
        { GET "Host: [::1]:9477\r\n\r\n", SERVE_METRICS },
        { GET "HOST: \t LOCALHOST \t\r\n\r\n", SERVE_METRICS },
        { GET "\r\n", SERVE_METRICS },
        { "GET /metrics HTTP/1.0\n\n", SERVE_METRICS },
        { "GET /metrics?a=/b HTTP/1.1\r\n\r\n", SERVE_METRICS },
        { GET "Host: example.org\r\n\r\n", SERVE_FORBIDDEN },
        { GET "Host: localhost.example.org\r\n\r\n", SERVE_FORBIDDEN },
        { GET "Host: 127.0.0.1.example.org\r\n\r\n", SERVE_FORBIDDEN },
        { GET "Host: 192.0.2.1\r\n\r\n", SERVE_FORBIDDEN },
        { GET "Host:\r\n\r\n", SERVE_FORBIDDEN },
        { GET "Host: localhost\r\nHost: example.org\r\n\r\n", SERVE_FORBIDDEN },
        { "GET / HTTP/1.1\r\n\r\n", SERVE_NOT_FOUND },
        { "GET /metricss HTTP/1.1\r\n\r\n", SERVE_NOT_FOUND },
        { "GET /metrics/ HTTP/1.1\r\n\r\n", SERVE_NOT_FOUND },
        { "GET //metrics HTTP/1.1\r\n\r\n", SERVE_NOT_FOUND },
        { "HEAD /metrics HTTP/1.1\r\n\r\n", SERVE_NOT_A_GET },
        { "POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", SERVE_NOT_A_GET },
        { "get /metrics HTTP/1.1\r\n\r\n", SERVE_NOT_A_GET },
        { "GET http://localhost/metrics HTTP/1.1\r\n\r\n", SERVE_BAD },
        { "GET /metrics HTTP/2.0\r\n\r\n", SERVE_BAD },
        { "GET /metrics HTTP/1.x\r\n\r\n", SERVE_BAD },
        { "GET /metrics HTTP/1.1 \r\n\r\n", SERVE_BAD },
        { "GET /metrics\r\n\r\n", SERVE_BAD },
        { "GET  /metrics HTTP/1.1\r\n\r\n", SERVE_BAD },
        { " GET /metrics HTTP/1.1\r\n\r\n", SERVE_BAD },
        { "\r\n\r\n", SERVE_BAD },
        { GET "no colon\r\n\r\n", SERVE_BAD },
        { GET ": no name\r\n\r\n", SERVE_BAD },
        { GET "Host: localhost\r\n folded: example.org\r\n\r\n", SERVE_BAD },
    };
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        const size_t len = strlen(cases[k].octets);
        print_message("# %s\n", cases[k].octets);
        assert_int_equal(serve_parse_http(cases[k].octets, len, false), cases[k].answer);
        /* Octet by octet: nothing is decided too early but what is bad already. */
        for (size_t n = 0; n < len; n++) {
            const enum serve_answer a = serve_parse_http(cases[k].octets, n, false);
            assert_true(a == SERVE_MORE || a == SERVE_BAD ||
                        (a == cases[k].answer && cases[k].octets[len - 1] == 'x'));
            assert_true(cases[k].answer == SERVE_BAD || a != SERVE_BAD);
        }
    }
    char *many = malloc(SERVE_REQUEST_MAX);
    assert_non_null(many);
    memset(many, 'a', SERVE_REQUEST_MAX);
    assert_int_equal(serve_parse_http(many, SERVE_REQUEST_MAX - 1, false), SERVE_MORE);
    assert_int_equal(serve_parse_http(many, SERVE_REQUEST_MAX, false), SERVE_TOO_LONG);
    assert_int_equal(serve_parse_http(many, 10, true), SERVE_BAD);
    free(many);
}

static void
test_loopback(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint16_t port;
    } cases[] = {
        { "127.0.0.1:9477", true, 9477 },
        { "127.255.0.9:1", true, 1 },
        { "[::1]:65535", true, 65535 },
        { "127.0.0.1:0", false, 0 },
        { "127.0.0.1:65536", false, 0 },
        { "127.0.0.1", false, 0 },
        { "127.0.0.1:", false, 0 },
        { "127.0.0.1:80x", false, 0 },
        { "127.0.0.1:-1", false, 0 },
        { "127.0.0.1: 80", false, 0 },
        { ":80", false, 0 },
        { "[]:80", false, 0 },
        { "[127.0.0.1]:80", false, 0 },
        { "::1:80", false, 0 },
        { "[::1:80", false, 0 },
        { "0.0.0.0:80", false, 0 },
        { "[::]:80", false, 0 },
        { "[::2]:80", false, 0 },
        { "[::ffff:127.0.0.1]:80", false, 0 },
        { "128.0.0.1:80", false, 0 },
        { "localhost:80", false, 0 },
        { "", false, 0 },
        { "127.0.0.1:99999999999999999999", false, 0 },
    };
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_ip ip;
        struct bh_error err = { 0 };
        uint16_t port = 0;
        const int r = bh_setting_loopback(cases[k].text, &ip, &port, &err);
        print_message("# %s\n", cases[k].text);
        assert_int_equal(r == 0, cases[k].good);
        assert_true(r == 0 || (err.text[BH_EN][0] != '\0' && err.text[BH_JA][0] != '\0'));
        assert_int_equal(port, cases[k].port);
    }
}

/* ---- the answers ----------------------------------------------------------------------------------------------- */

#define BAD "a\"b\\c\nd\x1b[31m\xff\t\x7f"

static struct status *
worst_status(void)
{
    struct status *t = calloc(1, sizeof *t);
    assert_non_null(t);
    *t = (struct status){ .sensor = BAD,
                          .user = BAD,
                          .home = BAD,
                          .waits = BAD,
                          .now_ns = INT64_MAX,
                          .up_ns = INT64_MIN,
                          .run_start_ns = INT64_MIN,
                          .sandbox = true,
                          .frames = UINT64_MAX,
                          .kernel_lost = UINT64_MAX,
                          .records = UINT64_MAX,
                          .accesses = UINT64_MAX,
                          .undecoded = UINT64_MAX,
                          .cut = UINT64_MAX,
                          .own = UINT64_MAX,
                          .clock_steps = UINT64_MAX,
                          .interfaces = BH_LIVE_INTERFACES,
                          .processes = BH_SENSOR_OUTPUTS + 2,
                          .outputs = BH_SENSOR_OUTPUTS };
    snprintf(t->country_name, sizeof t->country_name, "%s", BAD);
    snprintf(t->country_date, sizeof t->country_date, "%s", BAD);
    memset(t->reason, 0xff, sizeof t->reason);
    for (size_t k = 0; k < BH_LIVE_INTERFACES; k++) {
        t->interface[k] = (struct status_interface){ BAD,        k % 2 == 0, UINT32_MAX,
                                                     UINT64_MAX, UINT64_MAX, UINT64_MAX };
    }
    for (size_t k = 0; k < t->processes; k++) {
        t->process[k] = (struct status_process){ BAD,        INT32_MAX, INT64_MAX, UINT64_MAX,
                                                 UINT32_MAX, 2,         UINT32_MAX };
    }
    for (size_t k = 0; k < BH_SENSOR_OUTPUTS; k++) {
        struct status_output *o = &t->output[k];
        *o = (struct status_output){ .name = BAD,
                                     .module = BAD,
                                     .state = "runs",
                                     .written = UINT64_MAX,
                                     .queued = UINT64_MAX,
                                     .queue_used = UINT64_MAX / 128,
                                     .queue_size = 1,
                                     .last_ns = INT64_MAX,
                                     .gap_count = BH_OUTPUT_GAPS_MAX };
        for (unsigned n = 0; n < BH_OUTPUT_OWN; n++) {
            memset(o->own_name[n], 'n', BH_OUTPUT_OWN_NAME - 1);
            o->own[n] = UINT64_MAX;
        }
        for (unsigned n = 0; n < STATUS_GAPS; n++) {
            o->gap[n] = (struct bh_gap){ INT64_MIN, INT64_MAX, UINT64_MAX, n % BH_GAP_KINDS };
        }
    }
    return t;
}

/* One value of JSON, checked as far as it goes: strings, brackets, commas; every member has a key. */
static const char *json_value(const char *p);

static const char *
json_string(const char *p)
{
    assert_int_equal(*p, '"');
    for (p++; *p != '"'; p++) {
        assert_true((unsigned char)*p >= ' ' && (unsigned char)*p != 0x7f);
        if (*p == '\\') {
            p++;
            assert_non_null(strchr("\"\\/bfnrtu", *p));
        }
    }
    return p + 1;
}

static const char *
json_list(const char *p, char end)
{
    for (p++; *p != end;) {
        if (end == '}') {
            p = json_string(p);
            assert_int_equal(*p++, ':');
        }
        p = json_value(p);
        assert_true(*p == ',' || *p == end);
        p += *p == ',';
        assert_true(p[-1] != ',' || *p != end);
    }
    return p + 1;
}

static const char *
json_value(const char *p)
{
    if (*p == '{' || *p == '[') {
        return json_list(p, *p == '{' ? '}' : ']');
    }
    if (*p == '"') {
        return json_string(p);
    }
    const size_t n = strspn(p, "-.0123456789truefalsn");
    assert_true(n > 0);
    return p + n;
}

static void
test_worst_json(void **state)
{
    struct status *t = worst_status();
    struct bh_buf out = { 0 };
    (void)state;
    status_json(t, &out);
    assert_false(out.failed);
    assert_string_equal(json_value(out.data), "\n");
    free(t);
    bh_buf_done(&out);
}

static void
test_worst_text(void **state)
{
    struct status *t = worst_status();
    (void)state;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        struct bh_buf out = { 0 };
        status_text(t, (enum bh_lang)lang, &out);
        assert_false(out.failed);
        for (size_t k = 0; k < out.len; k++) {
            assert_true((unsigned char)out.data[k] >= ' ' || out.data[k] == '\n');
            assert_true((unsigned char)out.data[k] != 0x7f);
        }
        bh_buf_done(&out);
    }
    free(t);
}

static void
test_worst_metrics(void **state)
{
    struct status *t = worst_status();
    struct bh_buf out = { 0 };
    (void)state;
    status_metrics(t, &out);
    assert_false(out.failed);
    for (size_t k = 0; k < out.len; k++) {
        assert_true(((unsigned char)out.data[k] >= ' ' && (unsigned char)out.data[k] < 0x7f) ||
                    out.data[k] == '\n');
    }
    assert_non_null(strstr(out.data, ",sensor=\"a\\\"b\\\\c_d_[31m___\"} 1\n"));
    assert_null(strstr(out.data, "\n\n"));
    assert_string_equal(out.data + out.len - 6, "# EOF\n");
    free(t);
    bh_buf_done(&out);
}

/* Nothing runs, nothing is there. */
static void
test_empty(void **state)
{
    struct status *t = calloc(1, sizeof *t);
    struct bh_buf out = { 0 };
    (void)state;
    assert_non_null(t);
    t->sensor = t->user = t->home = t->waits = "";
    status_json(t, &out);
    assert_string_equal(json_value(out.data), "\n");
    status_text(t, BH_JA, &out);
    status_metrics(t, &out);
    assert_false(out.failed);
    free(t);
    bh_buf_done(&out);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),      cmocka_unit_test(test_http),
        cmocka_unit_test(test_loopback),   cmocka_unit_test(test_worst_json),
        cmocka_unit_test(test_worst_text), cmocka_unit_test(test_worst_metrics),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
