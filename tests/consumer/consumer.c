/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consumer.c DATABASE - a program of somebody else, in the words that C and C++ share: it calls
 * every function of the installed library. tests/consumer/consumer builds it as C and as C++,
 * linked dynamically and statically, and compares what it prints.
 */
#include <kobold.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that are the library's own affair: a consumer may have the same. */
int bh_text_trim(void);
int bh_errno_text(void);
int kobold_cpu(void);
int
bh_text_trim(void)
{
    return 1;
}
int
bh_errno_text(void)
{
    return 2;
}
int
kobold_cpu(void)
{
    return 3;
}

/* Results are by value and never grow: a consumer built years ago relies on these. */
static const size_t sizes[][2] = {
    { sizeof(struct kobold_result), 8 },       { sizeof(struct kobold_value), 78 },
    { sizeof(struct kobold_meta), 296 },       { sizeof(struct kobold_opinion), 16 },
    { sizeof(struct kobold_input_info), 364 }, { sizeof(struct kobold_as_meta), 284 },
};

static void
need(int is_true, const char *what)
{
    if (!is_true) {
        printf("not so: %s\n", what);
        exit(1);
    }
}

static void
print_value(const kobold *k, const char *what, uint16_t value)
{
    struct kobold_value v;
    memset(&v, 0, sizeof v);
    need(kobold_value_info(k, value, &v), "a value has its meaning");
    printf("%s: %s%s %d %d %s\n", what, v.code, v.class_name, v.kind, v.globally_reachable, v.rfc);
}

static void
look_up(const kobold *k)
{
    static const uint8_t mapped[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 8, 8, 8, 8 };
    static const uint32_t v4[2] = { 0x08080808, 0xc0a80101 };
    static const uint64_t v6[2][2] = { { 0x2001020000000000U, 1 }, { 0xff02000000000000U, 1 } };
    uint16_t values[2];
    print_value(k, "v4", kobold_v4(k, v4[0]));
    print_value(k, "v6", kobold_v6(k, v6[0][0], v6[0][1]));
    kobold_v4_many(k, v4, values, 2);
    print_value(k, "v4_many", values[1]);
    kobold_v6_many(k, v6, values, 2);
    print_value(k, "v6_many", values[1]);
    kobold_v4_strided(k, v4, sizeof v4[0], KOBOLD_HOST, values, 2);
    need(values[0] == kobold_v4(k, v4[0]) && values[1] == kobold_v4(k, v4[1]), "v4, strided");
    kobold_v6_strided(k, v6, sizeof v6[0], KOBOLD_HOST, values, 2);
    need(values[0] == kobold_v6(k, v6[0][0], 1) && values[1] == kobold_v6(k, v6[1][0], 1),
         "v6, strided");
    need(kobold_v4_inline(k, v4[0]) == kobold_v4(k, v4[0]), "v4, inline");
    need(kobold_v4_deep(k, v4[1]) == kobold_v4(k, v4[1]), "v4, deep");
    struct kobold_result r = kobold_lookup(k, mapped, 6);
    print_value(k, "lookup", r.value);
    printf("carrier: %s %08lx\n", kobold_carrier_name(r.carrier), (unsigned long)r.embedded_v4);
    need(kobold_value_count(k) >= 256, "256 values or more");
    uint32_t last4;
    uint64_t last_hi, last_lo;
    need(kobold_v4_span(k, v4[0], &last4) == kobold_v4(k, v4[0]) && last4 >= v4[0], "v4, span");
    need(kobold_v6_span(k, v6[0][0], 1, &last_hi, &last_lo) == kobold_v6(k, v6[0][0], 1) &&
             last_hi >= v6[0][0],
         "v6, span");
}

/* This database has neither details nor systems. */
static void
ask_further(const kobold *k)
{
    static const uint8_t octets[4] = { 8, 8, 8, 8 };
    struct kobold_opinion opinions[2];
    struct kobold_input_info input;
    struct kobold_as_meta as;
    char name[256];
    need(kobold_opinions(k, octets, 4, opinions, 2) == 0, "no opinions");
    need(kobold_second(k, octets, 4) == KOBOLD_VALUE_UNKNOWN, "no second opinion");
    need(kobold_input_count(k) == 0 && !kobold_input_info(k, 0, &input), "no inputs");
    need(kobold_as(k, octets, 4) == 0 && kobold_as_v4(k, 0x08080808) == 0 &&
             kobold_as_v6(k, 1, 1) == 0,
         "no system");
    need(!kobold_as_name(k, 1, name, sizeof name) && !kobold_as_meta(k, &as),
         "no name of a system");
    printf("words: %s, %s, %s\n", kobold_registry_name(KOBOLD_REGISTRY_APNIC),
           kobold_status_name(KOBOLD_STATUS_ALLOCATED), kobold_layer_name(KOBOLD_LAYER_GEOFEED));
}

static void
print_names(void)
{
    char code[3];
    need(kobold_country_next(0, code) == 1, "there is a first country");
    printf("first country: %s\n", code);
    printf("names: %s, %s, %s, %s\n", kobold_country_name("JP", 0), kobold_country_name("JP", 1),
           kobold_region_name(kobold_country_region("JP"), 0), kobold_class_name("private-use", 0));
}

static int
count_days(void *arg, const char *date, const char *path)
{
    need(date[0] != '\0' && path[0] != '\0', "a date and a path");
    ++*(int *)arg;
    return 0;
}

static void
open_history(void)
{
    kobold *k;
    int count = 0;
    need(kobold_open_asof("/nowhere/at all", "2014-06-30", &k) < 0, "no such directory");
    need(kobold_asof_list("/nowhere/at all", count_days, &count) < 0 && count == 0,
         "nothing to list");
}

static void
replace(const char *path)
{
    kobold_live *live;
    kobold *k;
    need(kobold_live_open(path, &live) == 0, "open a live database");
    const kobold *old = kobold_take(live);
    need(kobold_live_reload(live) == 0, "reload");
    need(kobold_open(path, &k) == 0 && kobold_live_swap(live, k) == 0, "swap");
    look_up(old);
    kobold_give(old);
    kobold_live_close(live);
    need(kobold_open(path, &k) == 0 && kobold_live_new(k, &live) == 0, "live, of a handle");
    need(kobold_live_reload(live) < 0, "no path to reload");
    kobold_live_close(live);
}

int
main(int argc, char **argv)
{
    kobold *k;
    char path[4096];
    struct kobold_meta meta;
    need(argc == 2, "one argument");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        need(sizes[i][0] == sizes[i][1], "the sizes of results");
    }
    need(bh_text_trim() + bh_errno_text() + kobold_cpu() == 6, "our names are ours");
    int code = kobold_open("/nowhere/at all.kdb", &k);
    need(code < 0, "no such file");
    printf("error: %s\n", kobold_strerror(code, 0));
    printf("damaged: %s\n", kobold_strerror(KOBOLD_EDAMAGED, 1));
    need(kobold_open_memory("GIF89a, no database", 19, &k) == KOBOLD_EFORMAT, "no database");
    printf("default: %s\n", kobold_default_path(path, sizeof path));
    need(kobold_open(argv[1], &k) == 0, "open");
    need(kobold_verify(k) == 0, "verify");
    kobold_get_meta(k, &meta);
    printf("meta: %s %s\n", meta.name, meta.date);
    look_up(k);
    ask_further(k);
    kobold_close(k);
    print_names();
    replace(argv[1]);
    open_history();
    puts("done");
    return 0;
}
