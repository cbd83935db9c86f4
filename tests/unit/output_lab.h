/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of output modules share: a host that runs one, batches to give it, a folder to write into. */
#ifndef OUTPUT_LAB_H
#define OUTPUT_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bh_modules.h"
#include "bh_output_host.h"

#define LAB_START 1796000400000000000LL /* 2026-11-30T01:00:00Z, begin of an hour */
#define LAB_SECOND 1000000000LL

static struct bh_output_run lab_run = { .size = sizeof lab_run,
                                        .sensor = "lab",
                                        .start_ns = LAB_START,
                                        .source = "eth0",
                                        .home = "192.0.2.1",
                                        .filter = "",
                                        .outcomes = true };
static char lab_said[8][512]; /* the last ones; [0] the newest */
static char lab_folder[64];

static inline void
lab_hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    (void)arg;
    (void)instance;
    (void)level;
    memmove(lab_said[1], lab_said[0], sizeof lab_said - sizeof lab_said[0]);
    bh_error_line(err, BH_EN, lab_said[0], sizeof lab_said[0]);
    print_message("# said: %s\n", lab_said[0]);
    assert_true(err->text[BH_JA][0] != '\0');
}

static inline bool
lab_heard(const char *part)
{
    for (size_t k = 0; k < BH_COUNT(lab_said); k++) {
        if (strstr(lab_said[k], part) != NULL) {
            return true;
        }
    }
    return false;
}

static inline const char *
lab_path(const char *name)
{
    static char path[4][128];
    static unsigned turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", lab_folder, name);
    return path[turn];
}

static inline int
lab_begin(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    memset(lab_said, 0, sizeof lab_said);
    snprintf(lab_folder, sizeof lab_folder, "/tmp/beholder-output-XXXXXX");
    return mkdtemp(lab_folder) == NULL ? -1 : 0;
}

/* Settings last as long as their host does: to the end of the case. */
static char *lab_kept[256];
static size_t lab_kept_count;

static inline const char *
lab_keep(const char *text)
{
    assert_true(lab_kept_count < BH_COUNT(lab_kept));
    return lab_kept[lab_kept_count++] = strdup(text);
}

static inline int
lab_end(void **state)
{
    char command[128];
    (void)state;
    while (lab_kept_count > 0) {
        free(lab_kept[--lab_kept_count]);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", lab_folder);
    return system(command);
}

/* "key=value" ..., NULL. */
static inline int
lab_try(const char *module, const char *const *words, struct bh_child *child, struct bh_host **ret)
{
    struct bh_host_setting set[16];
    char name[16][64];
    size_t n = 0;
    for (; words[n] != NULL; n++) {
        const char *equals = strchr(words[n], '=');
        snprintf(name[n], sizeof name[n], "%.*s", (int)(equals - words[n]), words[n]);
        set[n] = (struct bh_host_setting){ lab_keep(name[n]), lab_keep(equals + 1) };
    }
    const struct bh_output_module *m;
    struct bh_error err = { 0 };
    if (bh_module_load(module, &m, &err) != 0) {
        char line[512];
        print_message("# %s\n", bh_error_line(&err, BH_EN, line, sizeof line));
        return BH_EUNKNOWN;
    }
    const struct bh_host_config cfg = { .module = m,
                                        .instance = "out",
                                        .settings = set,
                                        .setting_count = n,
                                        .say = lab_hear,
                                        .child_fd = child != NULL
                                                        ? (int (*)(void *, bool))bh_child_fd
                                                        : NULL,
                                        .child_arg = child };
    const int r = bh_host_new(&cfg, ret, &err);
    if (r != 0) {
        lab_hear(NULL, "", BH_SAY_ERROR, &err);
    }
    return r;
}

static inline struct bh_host *
lab_host(const char *module, const char *const *words, struct bh_child *child)
{
    struct bh_host *h = NULL;
    assert_int_equal(lab_try(module, words, child, &h), 0);
    assert_int_equal(bh_host_run(h, &lab_run, NULL), 0);
    return h;
}
#define LAB_WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Batch `number`: `rows` packets, one a millisecond: SYNs to port 23, every fourth a UDP datagram over IPv6 to 53. */
static inline struct bh_batch *
lab_batch(uint64_t number, uint32_t rows, int64_t first_ns)
{
    static struct bh_batch *b;
    if (b == NULL) {
        b = bh_batch_new();
    }
    bh_batch_reset(b);
    b->v6_rows = 0;
    b->want = BH_WANT_COLD;
    for (uint32_t i = 0; i < rows; i++) {
        const bool udp = i % 4 == 3;
        b->ts_ns[i] = first_ns + i * 1000000;
        b->kind[i] = udp ? BH_KIND_IP6 : BH_KIND_IP4;
        b->src[i] = 0xcb007100 + (uint32_t)(number % 100);
        b->dst[i] = 0xc0000201;
        if (udp) {
            b->ip6[b->v6_rows] =
                (struct bh_ip6_pair){ 0x20010db800000000, number, 0x20010db800010000, 1 };
            b->src[i] = b->dst[i] = b->v6_rows++;
        }
        b->proto[i] = udp ? BH_PROTO_UDP : BH_PROTO_TCP;
        b->ports[i] = 40000U << 16 | (udp ? 53 : 23);
        b->tcp_flags[i] = udp ? 0 : BH_TCP_SYN;
        b->ip_len[i] = 60;
        b->payload_len[i] = 0;
        b->layers[i] = 0;
        b->marks[i] = b->reason[i] = 0;
        b->cls[i] = BH_CLASS_ACCESS;
        b->direction[i] = BH_DIR_IN;
        b->outcome[i] = udp ? BH_OUTCOME_NONE : BH_OUTCOME_REFUSED;
        b->vlan[i] = 6;
        b->ttl[i] = 55;
        b->src_mac[i] = 0x00005e005301;
        b->wire_len[i] = 74;
        b->df[i] = 1;
        b->ethertype[i] = 0x0800;
        b->ip_id[i] = (uint16_t)i;
        b->tcp_window[i] = 1024;
        b->tcp_options[i] = b->tunnel_sender[i] = b->tunnel_vni[i] = b->tcp_seq[i] = 0;
        b->interface[i] = 0;
    }
    b->rows = rows;
    return b;
}

/* Offer batches [from, to) of `rows`, a second apart, and let the host hand them out. */
static inline int
lab_offer(struct bh_host *h, uint64_t from, uint64_t to, uint32_t rows)
{
    int r = 0;
    for (uint64_t k = from; r == 0 && k < to; k++) {
        r = bh_host_offer(h, lab_batch(k, rows, LAB_START + (int64_t)k * LAB_SECOND), k, k * rows);
        r = r != 0 ? r : bh_host_tick(h, LAB_START + (int64_t)k * LAB_SECOND);
    }
    return r;
}

/* Output of a shell command; *ret_status its exit status. */
static inline char *
lab_shell(const char *command)
{
    static char out[1 << 20];
    FILE *f = popen(command, "r");
    assert_non_null(f);
    const size_t n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    pclose(f);
    while (n > 0 && out[strlen(out) - 1] == '\n') {
        out[strlen(out) - 1] = '\0';
    }
    return out;
}

static inline char *
lab_read(const char *path)
{
    static char text[4 << 20];
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
    text[n] = '\0';
    if (f != NULL) {
        fclose(f);
    }
    return text;
}

/* `f` in a process of its own that ends without any goodbye. */
static inline void
lab_killed(void (*f)(void))
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        f();
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline void
lab_nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static inline size_t
lab_count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part)) {
        n++;
    }
    return n;
}

#endif
