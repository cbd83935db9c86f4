/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters of all processes, as the parent finds them in shared memory. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "status_priv.h"

static uint64_t
get(const _Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

const char *
status_time(int64_t ts_ns, char buf[32])
{
    const time_t s = (time_t)(ts_ns / 1000000000);
    struct tm t;
    if (gmtime_r(&s, &t) == NULL || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &t) == 0) {
        snprintf(buf, 32, "-");
    }
    return buf;
}

/* What the kernel says, whatever the process itself says. */
static void
ask_kernel(struct status_process *p)
{
    char path[40], line[200];
    snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "Seccomp:", 8) == 0) {
            p->seccomp = (int)strtol(line + 8, NULL, 10);
        } else if (strncmp(line, "Threads:", 8) == 0) {
            p->threads = (unsigned)strtoul(line + 8, NULL, 10);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

static void
take_process(struct status *t, const char *name, pid_t pid, int64_t since_ns, uint64_t restarts,
             uint32_t confined)
{
    struct status_process *p = &t->process[t->processes++];
    *p = (struct status_process){ .name = name,
                                  .pid = pid > 0 ? pid : 0,
                                  .restarts = restarts,
                                  .confined = confined,
                                  .seccomp = -1 };
    if (p->pid > 0) {
        p->up_ns = sensor_clock_ns() - since_ns;
        ask_kernel(p);
    }
}

/* Sums and gaps of one output's run. Capture may be writing them: each number may be of another moment. */
static void
take_gaps(const struct bh_output_health *h, const struct outlet *outlet, struct status_output *to)
{
    const uint32_t count = h->gap_count < BH_OUTPUT_GAPS_MAX ? h->gap_count : BH_OUTPUT_GAPS_MAX;
    const uint32_t from = count > STATUS_GAPS ? count - STATUS_GAPS : 0;
    for (uint32_t k = from; k < count; k++) {
        if (h->gap[k].kind < BH_GAP_KINDS) {
            to->gap[k - from] = h->gap[k];
        }
    }
    to->gap_count = count;
    memcpy(to->lost_by, h->lost, sizeof to->lost_by);
    to->lost_by[BH_GAP_DEAD] += outlet->dead_rows;
    to->lost_by[BH_GAP_QUEUE] += get(&outlet->counters.spool_lost_rows);
}

static void
take_output(const struct sensor *s, size_t k, struct status *t)
{
    const struct output *o = &s->output[k];
    const struct bh_host_counters *h = &o->outlet->counters;
    const struct sent *sent = &s->capture->sent[k];
    struct status_output *to = &t->output[t->outputs++];
    *to = (struct status_output){
        .name = o->name,
        .module = o->module->name,
        .state = o->state != OUTPUT_RUNS      ? "ends"
                 : o->stands_in && o->pid > 0 ? "spools"
                 : o->pid > 0                 ? "runs"
                                              : "waits",
        .queued = get(&sent->rows),
        .written = get(&h->written_rows),
        .retried = get(&h->retried),
        .failed = get(&h->failed_rows),
        .lost = get(&sent->lost_rows) + o->outlet->dead_rows + get(&h->spool_lost_rows),
        .spooled = get(&h->spooled_rows),
        .held = get(&h->held_rows),
        .early = get(&h->early_rows),
        .missed_verdicts = get(&h->missed_verdicts),
        .queue_used = bh_queue_memory_used(o->queue, o->queue_size),
        .queue_size = o->queue_size,
        .last_ns = (int64_t)get(&h->last_ns),
    };
    const uint64_t taken = get(&h->offered_rows) + o->outlet->dead_rows;
    /* in memory, on disk */
    to->waiting = (to->queued > taken ? to->queued - taken : 0) + get(&h->spool_rows);
    for (unsigned n = 0; n < BH_OUTPUT_OWN; n++) {
        memcpy(to->own_name[n], h->own_name[n], BH_OUTPUT_OWN_NAME - 1);
        to->own[n] = get(&h->own[n]);
        /* shared memory: anything may stand there */
        for (char *c = to->own_name[n]; *c != '\0'; c++) {
            const bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' ||
                              (c > to->own_name[n] && *c >= '0' && *c <= '9');
            *c = good ? *c : '_';
        }
    }
    take_gaps(&sent->health, o->outlet, to);
    take_process(t, to->name, o->pid, o->since_ns, o->all_restarts,
                 atomic_load_explicit(&o->outlet->confined, memory_order_relaxed));
}

static void
take_sums(const struct sensor *s, struct status *t)
{
    const struct capture *c = s->capture;
    t->frames = get(&c->frames);
    t->kernel_lost = get(&c->kernel_lost);
    t->records = get(&c->rows);
    t->accesses = get(&c->accesses);
    t->undecoded = get(&c->undecoded);
    t->cut = get(&c->cut);
    for (unsigned k = 0; k < BH_REASON_COUNT; k++) {
        t->reason[k] = get(&c->reason[k]);
    }
    for (size_t k = 0; k < bh_live_count(s->live); k++) {
        t->interface[t->interfaces++] = (struct status_interface){
            .name = bh_live_name(s->live, k),
            .up = atomic_load_explicit(&s->plan->up[k], memory_order_relaxed) != 0,
            .rings = bh_live_rings(s->live),
            .ring_bytes = bh_live_ring_bytes(s->live, k),
            .frames = get(&c->interface[k].frames),
            .lost = get(&c->interface[k].lost),
        };
    }
    size_t any = 0; /* these are the same for all outputs */
    while (any + 1 < s->output_count && s->output[any].state != OUTPUT_RUNS) {
        any++;
    }
    const struct bh_output_health *h = &c->sent[any].health;
    t->own = get(&c->own);
    t->duplicates = get(&c->duplicates);
    t->kernel_filter = s->kernel_filter;
    t->steps_back = h->steps_back;
    t->clock_steps = get(&c->clock_steps);
    t->flows_lost = h->flows_lost;
    t->conversations_lost = h->conversations_lost;
    t->repeats_lost = h->repeats_lost;
    t->held_early = h->held_early;
}

static void
take_countries(const kobold *k, struct status *t)
{
    struct kobold_meta m = { 0 };
    if (k != NULL) {
        kobold_get_meta(k, &m);
        snprintf(t->country_name, sizeof t->country_name, "%s", m.name);
        snprintf(t->country_date, sizeof t->country_date, "%s", m.date);
        bh_text_trim(t->country_name);
    }
}

void
status_take(const struct sensor *s, struct status *ret)
{
    const struct plan_run *run = &s->plan->runs[atomic_load(&s->plan->run) % RUNS];
    *ret = (struct status){
        .sensor = run->sensor,
        .user = s->user,
        .home = run->home,
        .waits = s->waits,
        .gone_lost = s->gone_lost,
        .now_ns = sensor_time_ns(),
        .up_ns = sensor_clock_ns() - s->started_ns,
        .run_start_ns = run->start_ns,
        .sandbox = s->config->sandbox != BH_SANDBOX_OFF,
        .landlock_abi = confine_landlock_abi(),
    };
    take_countries(s->countries[run->countries % RUNS].k, ret);
    take_sums(s, ret);
    take_process(ret, "parent", s->parent_pid, s->started_ns, 0, 0);
    take_process(ret, "capture", s->capture_pid, s->capture_started_ns, s->capture_restarts,
                 atomic_load_explicit(&s->capture->confined, memory_order_relaxed));
    for (size_t k = 0; k < s->output_count; k++) {
        if (s->output[k].state != OUTPUT_NONE) {
            take_output(s, k, ret);
        }
    }
}
