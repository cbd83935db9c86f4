/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status as OpenMetrics text (version 1.0.0 of its specification): one family after the other, each with TYPE, UNIT
 * where it has one, HELP, then its samples; counters end in _total; # EOF at the end. Labels are names of the
 * configuration, of interfaces and of counters; addresses never are.
 */
#include <inttypes.h>

#include "status_priv.h"

static void
label_value(struct bh_buf *out, const char *value)
{
    for (; *value != '\0'; value++) {
        const char c = *value;
        if (c == '\\' || c == '"') {
            bh_buf_putc(out, '\\');
            bh_buf_putc(out, c);
        } else {
            bh_buf_putc(out, (unsigned char)c < ' ' || (unsigned char)c >= 127 ? '_' : c);
        }
    }
}

static void
label(struct bh_buf *out, bool first, const char *name, const char *value)
{
    bh_buf_printf(out, "%s%s=\"", first ? "{" : ",", name);
    label_value(out, value);
    bh_buf_putc(out, '"');
}

struct family {
    const char *name, *type, *unit, *help;
    size_t at; /* of a uint64_t in the structure the table is about */
};

static void
head(struct bh_buf *out, const char *name, const char *type, const char *unit, const char *help)
{
    bh_buf_printf(out, "# TYPE beholder_%s %s\n", name, type);
    if (unit != NULL) {
        bh_buf_printf(out, "# UNIT beholder_%s %s\n", name, unit);
    }
    bh_buf_printf(out, "# HELP beholder_%s %s\n", name, help);
}

static uint64_t
value_at(const void *of, size_t at)
{
    uint64_t v;
    memcpy(&v, (const char *)of + at, sizeof v);
    return v;
}

static const char *
ending(const struct family *f)
{
    return strcmp(f->type, "counter") == 0 ? "_total" : "";
}

/* ---- of the whole ------------------------------------------------------------------------------------------ */

#define SUM(field) offsetof(struct status, field)
static const struct family sums[] = {
    { "records", "counter", NULL, "Records made of frames.", SUM(records) },
    { "accesses", "counter", NULL, "Records that are accesses.", SUM(accesses) },
    { "not_decoded", "counter", NULL,
      "Records of frames that are neither IP nor ARP, or are damaged.", SUM(undecoded) },
    { "cut", "counter", NULL, "Records whose headers are cut.", SUM(cut) },
    { "own_exports", "counter", NULL, "Frames of the sensor's own exports, left out.", SUM(own) },
    { "duplicates", "counter", NULL, "Records that are copies of others: a mirror, a bridge.",
      SUM(duplicates) },
    { "gone_lost", "counter", NULL, "Records lost by outputs that a new configuration took away.",
      SUM(gone_lost) },
    { "clock_steps", "counter", NULL, "How often the clock was set.", SUM(clock_steps) },
};

static void
put_whole(const struct status *t, struct bh_buf *out)
{
    bh_buf_puts(out, "# TYPE beholder info\n# HELP beholder What runs.\nbeholder_info");
    label(out, true, "version", BH_VERSION);
    label(out, false, "sensor", t->sensor);
    bh_buf_puts(out, "} 1\n");
    head(out, "start_time_seconds", "gauge", "seconds", "When the sensor was started.");
    bh_buf_printf(out, "beholder_start_time_seconds %.3f\n",
                  ((double)t->now_ns - (double)t->up_ns) * 1e-9);
    for (size_t k = 0; k < BH_COUNT(sums); k++) {
        const struct family *f = &sums[k];
        head(out, f->name, f->type, f->unit, f->help);
        bh_buf_printf(out, "beholder_%s%s %" PRIu64 "\n", f->name, ending(f), value_at(t, f->at));
    }
    head(out, "decode_outcomes", "counter", NULL, "Records by what is wrong with them.");
    for (unsigned k = 1; k < BH_REASON_COUNT; k++) {
        bh_buf_puts(out, "beholder_decode_outcomes_total");
        label(out, true, "reason", bh_reason_name(k));
        bh_buf_printf(out, "} %" PRIu64 "\n", t->reason[k]);
    }
}

/* ---- of interfaces, outputs, processes ------------------------------------------------------------------------ */

#define OF_INTERFACE(field) offsetof(struct status_interface, field)
static const struct family of_interfaces[] = {
    { "interface_frames", "counter", NULL, "Frames the kernel took for the sensor, lost ones too.",
      OF_INTERFACE(frames) },
    { "interface_lost", "counter", NULL, "Frames that found no room in the ring.",
      OF_INTERFACE(lost) },
    { "interface_ring_bytes", "gauge", "bytes", "Memory of the ring.", OF_INTERFACE(ring_bytes) },
};

static void
put_interfaces(const struct status *t, struct bh_buf *out)
{
    for (size_t k = 0; k < BH_COUNT(of_interfaces); k++) {
        const struct family *f = &of_interfaces[k];
        head(out, f->name, f->type, f->unit, f->help);
        for (size_t i = 0; i < t->interfaces; i++) {
            bh_buf_printf(out, "beholder_%s%s", f->name, ending(f));
            label(out, true, "interface", t->interface[i].name);
            bh_buf_printf(out, "} %" PRIu64 "\n", value_at(&t->interface[i], f->at));
        }
    }
    head(out, "interface_up", "gauge", NULL, "Whether the interface is there and up.");
    for (size_t i = 0; i < t->interfaces; i++) {
        bh_buf_puts(out, "beholder_interface_up");
        label(out, true, "interface", t->interface[i].name);
        bh_buf_printf(out, "} %d\n", t->interface[i].up);
    }
}

#define OF_OUTPUT(field) offsetof(struct status_output, field)
static const struct family of_outputs[] = {
    { "output_queued", "counter", NULL, "Records put into the output's queue.", OF_OUTPUT(queued) },
    { "output_written", "counter", NULL, "Records its module took.", OF_OUTPUT(written) },
    { "output_retried", "counter", NULL, "How often a batch was offered again.",
      OF_OUTPUT(retried) },
    { "output_spooled", "counter", NULL, "Records that were put aside on disk.",
      OF_OUTPUT(spooled) },
    { "output_failed", "counter", NULL, "Records its module refused for good.", OF_OUTPUT(failed) },
    { "output_lost", "counter", NULL,
      "Records that found no room in its queue, or died with its process.", OF_OUTPUT(lost) },
    { "output_early", "counter", NULL, "Records handed out before their outcomes were final.",
      OF_OUTPUT(early) },
    { "output_waiting", "gauge", NULL, "Records in its queue.", OF_OUTPUT(waiting) },
    { "output_held", "gauge", NULL, "Records that wait for their outcomes.", OF_OUTPUT(held) },
    { "output_queue_used_bytes", "gauge", "bytes", "Memory in use of its queue.",
      OF_OUTPUT(queue_used) },
    { "output_queue_bytes", "gauge", "bytes", "Memory of its queue.", OF_OUTPUT(queue_size) },
};

static void
output_labels(const struct status_output *o, struct bh_buf *out)
{
    label(out, true, "output", o->name);
    label(out, false, "module", o->module);
}

static void
put_outputs(const struct status *t, struct bh_buf *out)
{
    for (size_t k = 0; k < BH_COUNT(of_outputs); k++) {
        const struct family *f = &of_outputs[k];
        head(out, f->name, f->type, f->unit, f->help);
        for (size_t i = 0; i < t->outputs; i++) {
            bh_buf_printf(out, "beholder_%s%s", f->name, ending(f));
            output_labels(&t->output[i], out);
            bh_buf_printf(out, "} %" PRIu64 "\n", value_at(&t->output[i], f->at));
        }
    }
    head(out, "output_gap_packets", "counter", NULL,
         "Packets that are missing in the output's run, by cause.");
    for (size_t i = 0; i < t->outputs; i++) {
        for (unsigned g = 0; g < BH_GAP_KINDS; g++) {
            bh_buf_puts(out, "beholder_output_gap_packets_total");
            output_labels(&t->output[i], out);
            label(out, false, "cause", bh_gap_name(g));
            bh_buf_printf(out, "} %" PRIu64 "\n", t->output[i].lost_by[g]);
        }
    }
    head(out, "output_own", "counter", NULL, "What modules count by themselves.");
    for (size_t i = 0; i < t->outputs; i++) {
        const struct status_output *o = &t->output[i];
        for (unsigned n = 0; n < BH_OUTPUT_OWN && o->own_name[n][0] != '\0'; n++) {
            bh_buf_puts(out, "beholder_output_own_total");
            output_labels(o, out);
            label(out, false, "counter", o->own_name[n]);
            bh_buf_printf(out, "} %" PRIu64 "\n", o->own[n]);
        }
    }
}

/* An output may be called "parent" too: its processes have a role besides. */
static void
process_labels(const struct status *t, size_t k, struct bh_buf *out)
{
    label(out, true, "process", t->process[k].name);
    label(out, false, "role", k == 0 ? "parent" : k == 1 ? "capture" : "output");
}

static void
put_processes(const struct status *t, struct bh_buf *out)
{
    head(out, "process_running", "gauge", NULL, "Whether the process runs.");
    for (size_t k = 0; k < t->processes; k++) {
        bh_buf_puts(out, "beholder_process_running");
        process_labels(t, k, out);
        bh_buf_printf(out, "} %d\n", t->process[k].pid != 0);
    }
    head(out, "process_restarts", "counter", NULL, "How often it was started again.");
    for (size_t k = 0; k < t->processes; k++) {
        bh_buf_puts(out, "beholder_process_restarts_total");
        process_labels(t, k, out);
        bh_buf_printf(out, "} %" PRIu64 "\n", t->process[k].restarts);
    }
    head(out, "process_confined", "gauge", NULL, "Whether the process is confined in this way.");
    for (size_t k = 1; k < t->processes; k++) { /* the parent sees nothing foreign */
        static const char *const by[] = { "capabilities", "landlock", "seccomp" };
        for (unsigned b = 0; b < BH_COUNT(by); b++) {
            const bool is =
                b == 2 ? t->process[k].seccomp == 2 : (t->process[k].confined >> b & 1U) != 0;
            bh_buf_puts(out, "beholder_process_confined");
            process_labels(t, k, out);
            label(out, false, "by", by[b]);
            bh_buf_printf(out, "} %d\n", is);
        }
    }
}

void
status_metrics(const struct status *t, struct bh_buf *out)
{
    put_whole(t, out);
    put_interfaces(t, out);
    put_outputs(t, out);
    put_processes(t, out);
    bh_buf_puts(out, "# EOF\n");
}
