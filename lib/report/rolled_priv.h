/* SPDX-License-Identifier: BSD-2-Clause */
/* A report out of roll-ups: rolled.c plans it, rolled_count.c joins records and days, rolled_ports.c who asked for
 * what, rolled_order.c what depends on order: pings and bursts. */
#ifndef ROLLED_PLAN_PRIV_H
#define ROLLED_PLAN_PRIV_H

#include "run_priv.h"

#define HOUR_NS 3600000000000LL

struct plan_day {
    int64_t start_ns, end_ns;
    bool rows;       /* comes from records                         */
    uint32_t parts;  /* files whose roll-ups have it               */
    int64_t some_ns; /* a record's time                           */
    uint64_t sources;
};

struct part {    /* a file's roll-up */
    size_t file; /* BH_STORE_JOINED: of many of them */
    bool used, whole;
    uint32_t days;
    uint32_t *day;              /* index of plan days; UINT32_MAX: not from here */
    struct bh_rollup_day *kept; /* of each: who pinged, and bursts */
    struct bh_rollup *rollup;
    struct bh_rolled_part *sources;
    uint16_t *place; /* of its countries */
};

struct unit {
    uint32_t day, file; /* of the plan */
};

struct hour {
    int64_t start_ns;
    uint32_t busiest;
    bool shared;
};

struct rolled_plan {
    struct plan_day *day;
    uint32_t days;
    int64_t first_day; /* number of day[0] */
    struct part *part;
    size_t parts;
    struct bh_rolled *r;
    struct unit *unit; /* sorted */
    uint32_t units;
    int64_t *day_of_unit;
    struct hour *hour;
    size_t hours, hour_cap;
};

int rolled_take_services(struct run *x, struct rolled_plan *p);
int rolled_take_pings(struct run *x, struct rolled_plan *p);
int rolled_take_bursts(struct run *x, struct rolled_plan *p);

#endif
