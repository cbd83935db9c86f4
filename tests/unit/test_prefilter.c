/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel leaves out changes nothing: random filters over captures, once with all frames and once with those
 * that the program passes on. What a filter selects must be there both times, with the same class and outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/sensor/sensor_priv.h"

#define FRAMES_MAX 20000U
#define FILTERS 24U

/* ---- a capture, decoded -------------------------------------------------------------------------------------- */

static struct bh_batch *all[FRAMES_MAX / BH_BATCH_ROWS + 64];
static size_t batches;
static struct octets {
    uint8_t *data;
    uint32_t len;
    uint16_t link;
} frame[FRAMES_MAX];
static uint32_t frames;
static struct judged {
    uint8_t selected, cls, direction, outcome, there;
} first[FRAMES_MAX], second[FRAMES_MAX];
static uint8_t keep[FRAMES_MAX];
static uint64_t too_long, dropped_all, selected_all, headers_all;
static uint64_t state = 1;

static uint32_t
pick(uint32_t n) /* 0 .. n - 1 */
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static void
forget(void)
{
    for (uint32_t k = 0; k < frames; k++) {
        free(frame[k].data);
    }
    for (size_t k = 0; k < batches; k++) {
        bh_batch_free(all[k]);
    }
    frames = 0;
    batches = 0;
}

/* False: nothing to be had of it. */
static bool
take(const char *path)
{
    struct bh_capture *c;
    struct bh_error err = { 0 };
    struct bh_frames *f = bh_frames_new();
    struct bh_decoder d = { .want = BH_WANT_COLD };
    bool good = bh_capture_open(&path, 1, &c, &err) == 0;
    while (good && frames < FRAMES_MAX && bh_capture_read(c, f) == 1) {
        f->count = f->count < FRAMES_MAX - frames ? f->count : FRAMES_MAX - frames;
        for (uint32_t k = 0; k < f->count; k++) {
            const struct bh_frame *from = &f->frame[k];
            frame[frames + k] =
                (struct octets){ malloc(from->cap_len + 1), from->cap_len, from->link_type };
            memcpy(frame[frames + k].data, from->data, from->cap_len);
        }
        frames += f->count;
        for (uint32_t at = 0; at < f->count && batches < BH_COUNT(all);) {
            struct bh_batch *b = bh_batch_new();
            bh_packet_decode(&d, f, &at, b);
            all[batches++] = b;
        }
    }
    if (good) {
        bh_capture_close(c);
    }
    bh_frames_free(f);
    bool one_link = frames > 0 && (frame[0].link == 1 || frame[0].link == 101);
    for (uint32_t k = 1; k < frames; k++) {
        one_link = one_link && frame[k].link == frame[0].link;
    }
    if (!one_link) {
        forget();
        return false;
    }
    return true;
}

/* ---- judging ---------------------------------------------------------------------------------------------------- */

static struct bh_home home;

static bool
find_home(void)
{
    struct bh_error err = { 0 };
    struct bh_home_guess *g = bh_home_guess_new(FRAMES_MAX);
    for (size_t k = 0; k < batches && bh_home_guess_batch(g, all[k]); k++) {
    }
    const bool good = bh_home_guess_end(g, &home, &err) == 0;
    bh_home_guess_free(g);
    return good;
}

/* All rows of frames that are kept. */
static void
judge(const struct bh_filter *f, const uint8_t *kept, struct judged *ret)
{
    static struct open {
        uint32_t row, connection;
        int64_t ts_ns;
    } open[FRAMES_MAX];
    struct bh_track *t;
    struct bh_batch *b = bh_batch_new();
    const struct bh_move *moves;
    uint32_t n = 0, base = 0;
    const struct bh_track_config cfg = { .home = &home,
                                         .two_sided = true,
                                         .outcomes = true,
                                         .hold = true,
                                         .start_ns = all[0]->ts_ns[0],
                                         .key = 7 };
    assert_int_equal(bh_track_new(&cfg, &t), 0);
    memset(ret, 0, frames * sizeof *ret);
    for (size_t k = 0; k < batches; k++) {
        uint8_t selected[BH_BATCH_ROWS];
        uint32_t row[BH_BATCH_ROWS];
        bh_batch_reset(b);
        for (uint32_t i = 0; i < all[k]->rows; i++) {
            if (kept == NULL || kept[base + i] != 0) {
                row[b->rows] = base + i;
                bh_batch_copy_row(b, all[k], i);
            }
        }
        base += all[k]->rows;
        b->want = BH_WANT_COLD;
        bh_track_classify(t, b);
        memset(b->counted, 1, b->rows);
        memset(b->country, 0, b->rows * sizeof *b->country);
        memset(b->outcome, BH_OUTCOME_NONE, b->rows);
        bh_track_flows(t, b, &moves);
        bh_filter_batch(f, b, selected);
        for (uint32_t i = 0; i < b->rows; i++) {
            ret[row[i]] = (struct judged){ selected[i], b->cls[i], b->direction[i], 0, 1 };
            if (b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP) {
                open[n++] = (struct open){ row[i], b->connection[i], b->ts_ns[i] };
            }
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        ret[open[k].row].outcome = (uint8_t)bh_track_verdict(t, open[k].connection, open[k].ts_ns);
    }
    bh_track_free(t);
    bh_batch_free(b);
}

/* ---- filters ------------------------------------------------------------------------------------------------------ */

static void
put_leaf(struct bh_buf *to)
{
    static const char *const ends[] = { "", "src ", "dst ", "src and dst " };
    static const char *const words[] = { "tcp",    "udp",      "ip6",       "ip",
                                         "arp",    "icmp",     "in",        "out",
                                         "access", "flags S",  "len > 100", "proto 47",
                                         "vlan",   "ttl < 60", "ping",      "class special" };
    const struct bh_batch *b = all[pick((uint32_t)batches)];
    const uint32_t i = pick(b->rows);
    char text[BH_IP_TEXT_MAX] = "192.0.2.1";
    const struct bh_ip ip = pick(2) == 0 ? bh_batch_src(b, i) : bh_batch_dst(b, i);
    const uint32_t port = pick(2) == 0 ? b->ports[i] >> 16 : b->ports[i] & 0xffff;
    const uint32_t reach = pick(2) == 0 ? 0 : pick(200);
    if (ip.family != 0) {
        bh_ip_format(&ip, text);
    }
    switch (pick(5)) {
    case 0:
        bh_buf_puts(to, words[pick(BH_COUNT(words))]);
        break;
    case 1:
        bh_buf_printf(to, "%shost %s", ends[pick(4)], text);
        break;
    case 2:
        bh_buf_printf(to, "%s%sport %u", pick(3) == 0 ? "tcp " : "", ends[pick(4)], port);
        break;
    case 3:
        bh_buf_printf(to, "%sportrange %u-%u", ends[pick(4)], port,
                      port + reach > 65535 ? 65535 : port + reach);
        break;
    default: {
        struct bh_ip net = ip;
        const unsigned octets = net.family == 6 ? 1 + pick(15) : 1 + pick(3);
        if (net.family == 0) {
            bh_buf_puts(to, "tcp");
            break;
        }
        memset(net.octets + octets, 0, sizeof net.octets - octets);
        bh_ip_format(&net, text);
        bh_buf_printf(to, "%snet %s/%u", ends[pick(4)], text, octets * 8);
        break;
    }
    }
}

static void
put_filter(struct bh_buf *to, unsigned depth)
{
    const uint32_t what = depth == 0 ? 0 : pick(4);
    if (what == 0) {
        put_leaf(to);
    } else if (what == 1) {
        bh_buf_puts(to, "not (");
        put_filter(to, depth - 1);
        bh_buf_puts(to, ")");
    } else {
        bh_buf_puts(to, "(");
        put_filter(to, depth - 1);
        bh_buf_puts(to, what == 2 ? ") and (" : ") or (");
        put_filter(to, depth - 1);
        bh_buf_puts(to, ")");
    }
}

static void
try_filter(const char *path, const char *text)
{
    static struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX];
    static const struct bh_live_aux aux = { .hatype = 1 };
    struct bh_live_test tests[BH_FILTER_PARTS];
    struct bh_filter *f;
    struct bh_error err = { 0 };
    if (bh_filter_parse(&text, 1, NULL, &f, &err) != 0) {
        return; /* countries that are not there */
    }
    const unsigned count = prefilter_add(tests, 0, f);
    const struct bh_live_choice choice = { .keep = { tests, count }, .whole = { tests, count } };
    const enum bh_live_link link = frame[0].link == 1 ? BH_LIVE_ETHERNET : BH_LIVE_RAW_IP;
    const unsigned n = bh_live_header_program(link, &choice, code);
    assert_true(count > 0);
    too_long += n == 0;
    if (n == 0) {
        bh_filter_free(f);
        return; /* test_long: then there is none */
    }
    judge(f, NULL, first);
    for (uint32_t k = 0; k < frames; k++) {
        const uint32_t kept = bh_live_run(code, n, frame[k].data, frame[k].len, &aux);
        keep[k] = kept > 0 || frame[k].len == 0;
        dropped_all += keep[k] == 0;
        selected_all += first[k].selected;
        headers_all += kept > 0 && kept < frame[k].len;
        /* Who asks for whole frames gets them. */
        if (first[k].selected != 0 && kept < frame[k].len) {
            fail_msg("%s, frame %u: %u octets of %u for '%s'", path, k, kept, frame[k].len, text);
        }
    }
    judge(f, keep, second);
    for (uint32_t k = 0; k < frames; k++) {
        const bool same =
            first[k].selected == 0 ||
            (second[k].there != 0 && second[k].selected != 0 && first[k].cls == second[k].cls &&
             first[k].direction == second[k].direction && first[k].outcome == second[k].outcome);
        if (!same) {
            fail_msg("%s, frame %u: %s, outcome %s; with all frames %s, %s, for '%s'", path, k,
                     second[k].there == 0 ? "left out" : bh_class_name(second[k].cls),
                     bh_outcome_name(second[k].outcome), bh_class_name(first[k].cls),
                     bh_outcome_name(first[k].outcome), text);
        }
    }
    bh_filter_free(f);
}

static void
try_capture(const char *path)
{
    if (!take(path) || !find_home()) {
        forget();
        return;
    }
    for (unsigned k = 0; k < FILTERS; k++) {
        struct bh_buf text = { 0 };
        put_filter(&text, 1 + k % 4);
        try_filter(path, text.data);
        bh_buf_done(&text);
    }
    bh_home_done(&home);
    forget();
}

static void
try_folder(const char *path, unsigned depth)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char at[4096];
        snprintf(at, sizeof at, "%s/%s", path, e->d_name);
        if (e->d_name[0] == '.') {
            continue;
        }
        if (strstr(e->d_name, ".pcap") != NULL || strstr(e->d_name, ".cap") != NULL) {
            try_capture(at);
        } else if (depth > 0) {
            try_folder(at, depth - 1);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

static void
test_labelled(void **unused)
{
    (void)unused;
    char path[4096];
    const char *data = getenv("BH_TEST_DATA");
    snprintf(path, sizeof path, "%s/labelled", data != NULL ? data : "tests");
    try_folder(path, 0);
    print_message("# %llu frames dropped, %llu selected, %llu cut to headers\n",
                  (unsigned long long)dropped_all, (unsigned long long)selected_all,
                  (unsigned long long)headers_all);
    /* it was tried at all */
    assert_true(dropped_all > 1000 && selected_all > 1000 && headers_all > 100 && too_long == 0);
}

static void
test_others(void **unused)
{
    (void)unused;
    char path[4096];
    if (getenv("BH_SHARED_DATA") == NULL) {
        skip(); /* nobody else\'s captures here */
    }
    snprintf(path, sizeof path, "%s/captures", getenv("BH_SHARED_DATA"));
    try_folder(path, 3);
}

/* ---- what hangs on what ----------------------------------------------------------------------------------------------- */

static void
choose(const char *text, const char *frame_text, bool expected)
{
    static struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX];
    static const struct bh_live_aux aux = { .hatype = 1 };
    struct bh_live_test tests[BH_FILTER_PARTS];
    struct bh_filter *f;
    struct bh_error err = { 0 };
    uint8_t octets[256];
    uint32_t len = 0;
    assert_int_equal(bh_filter_parse(&text, 1, NULL, &f, &err), 0);
    const struct bh_live_choice choice = { .keep = { tests, prefilter_add(tests, 0, f) } };
    const unsigned n = bh_live_header_program(BH_LIVE_ETHERNET, &choice, code);
    for (const char *p = frame_text; *p != '\0'; p += 3) {
        octets[len++] = (uint8_t)strtoul(p, NULL, 16);
    }
    print_message("# %s: %s\n", text, frame_text);
    assert_int_equal(bh_live_run(code, n, octets, len, &aux) > 0, expected);
    bh_filter_free(f);
}

#define MAC "02 00 00 00 00 01 02 00 00 00 00 02 "
#define GROUP "ff ff ff ff ff ff 02 00 00 00 00 02 "
#define IP(fragment, proto, to)                                                                    \
    "45 00 00 28 00 01 " fragment " 40 " proto " 00 00 c0 00 02 01 " to " "
#define PORTS "00 35 00 50 00 00 00 00 00 00 00 00 50 00 00 00 00 00 00 00 "

static void
test_never_left_out(void **unused)
{
    (void)unused;
    static const struct {
        const char *filter, *frame;
        bool kept;
    } cases[] = {
        { "port 80", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, true },
        { "src port 80", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS,
          true }, /* its answer may be it */
        { "port 81", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
        { "port 81", MAC "08 00 " IP("00 00", "01", "c0 00 02 02") PORTS, true },
        { "port 81", MAC "08 00 " IP("00 00", "2f", "c0 00 02 02") PORTS, true },
        { "port 81", MAC "08 00 " IP("20 00", "06", "c0 00 02 02") PORTS,
          true }, /* the first fragment */
        { "port 81", MAC "08 00 " IP("00 01", "06", "c0 00 02 02") PORTS, true }, /* a later one */
        { "port 81", GROUP "08 00 " IP("00 00", "11", "c0 00 02 ff") PORTS, true },
        { "port 81", MAC "08 00 " IP("00 00", "11", "e0 00 00 01") PORTS, true },
        { "port 81", MAC "08 00 " IP("00 00", "11", "df ff ff ff") PORTS, false },
        { "port 81", MAC "81 00 00 07 08 00 " IP("00 00", "11", "c0 00 02 02") PORTS, false },
        { "port 81", MAC "08 06 00 01 08 00 06 04 00 01 ", true },
        { "port 81", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") "00 35 ", true }, /* cut */
        { "port 81", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") "00 35 00 50 ", false },
        { "port 81", MAC "08 00 65 00 ", true },
        { "port 80 and in", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, true },
        { "port 81 and in", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
        { "not port 80", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
        { "not src port 80", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, true },
        { "udp and not host 192.0.2.2", MAC "08 00 " IP("00 00", "11", "c0 00 02 02") PORTS,
          false },
        { "not (tcp and host 192.0.2.2)", MAC "08 00 " IP("00 00", "11", "c0 00 02 02") PORTS,
          true },
        { "src and dst net 192.0.2.0/24", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS,
          true },
        { "tcp and src and dst net 192.0.2.0/24",
          MAC "08 00 " IP("00 00", "06", "c0 00 03 02") PORTS, false },
        { "ip6", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
        { "not ip6", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, true },
        { "host 192.0.2.9", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS,
          true }, /* it may be a router */
        { "tcp and host 192.0.2.9", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
        { "dst host 192.0.2.9", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
        { "dst host 192.0.2.1", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, true },
        { "icmp", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, true },
        { "arp", MAC "08 00 " IP("00 00", "06", "c0 00 02 02") PORTS, false },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        choose(cases[k].filter, cases[k].frame, cases[k].kept);
    }
}

/* The longest that fits, and what does not: then there is no program, and whoever asks does without. The kernel takes
 * whatever there is. */
static void
test_long(void **unused)
{
    (void)unused;
    static struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX];
    struct bh_buf text = { 0 };
    bool any_fits = false, any_too_long = false;
    for (unsigned ports = 1; ports <= 140; ports++) {
        const char *words[1];
        struct bh_live_test tests[BH_FILTER_PARTS];
        struct bh_filter *f;
        struct bh_error err = { 0 };
        bh_buf_printf(&text, "%s%u", ports > 1 ? "," : "dst port ", ports * 3);
        words[0] = text.data;
        assert_int_equal(bh_filter_parse(words, 1, NULL, &f, &err), 0);
        const unsigned count = prefilter_add(tests, 0, f);
        const struct bh_live_choice choice = { .keep = { tests, count } };
        const unsigned n = count > 0 ? bh_live_header_program(BH_LIVE_ANY, &choice, code) : 0;
        assert_true(n > 0 || ports > 10);
        any_fits |= n > 0;
        any_too_long |= n == 0;
        if (n > 0) {
            const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
            struct sock_fprog program = { .len = (unsigned short)n,
                                          .filter = (struct sock_filter *)(void *)code };
            const int r = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
            assert_true(r == 0 || errno == ENOMEM); /* its bound on the memory of options */
            close(fd);
        }
        bh_filter_free(f);
    }
    bh_buf_done(&text);
    assert_true(any_fits && any_too_long);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_left_out),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_labelled),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
