/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * truth_layers - hold the decoder against another one.
 *
 *   truth_layers TRUTH.tsv CAPTURES_DIR [EXCEPTIONS.tsv]
 *
 * TRUTH.tsv has one line per capture file with what tshark counts in it: frames, frames that
 * hold each layer, distinct outermost sources, distinct (protocol, port) destinations, frames
 * stored short. Every file that differs is printed; EXCEPTIONS.tsv lists those that may, with
 * the reason (path, TAB, reason). At most 1 % of the files may be excused.
 *
 * A file that tshark could not open has zeros everywhere. Where we can read frames out of it,
 * their number is not held against zero, but their layers are. A frame stored longer than sent,
 * by a record that contradicts itself, counts as short there, and so it does here.
 *
 * Exit: 0 all equal or excused, 1 not, 2 usage, 77 the captures are not there.
 */
#include "bh_packet.h"

#include <stdlib.h>
#include <sys/stat.h>

enum {
    PACKETS,
    IPV4,
    IPV6,
    TCP,
    UDP,
    ICMP,
    ICMPV6,
    ARP,
    VLAN,
    SYN_ONLY,
    SOURCES,
    DST_PORTS,
    SHORT,
    COLUMNS
};
static const char *const column_names[COLUMNS] = {
    "packets", "ipv4", "ipv6",         "tcp",     "udp",       "icmp",        "icmpv6",
    "arp",     "vlan", "tcp_syn_only", "sources", "dst_ports", "short_frames"
};
static const struct {
    unsigned bit;
    unsigned column;
} layer_columns[] = {
    { BH_LAYER_IPV4, IPV4 }, { BH_LAYER_IPV6, IPV6 }, { BH_LAYER_TCP, TCP },
    { BH_LAYER_UDP, UDP },   { BH_LAYER_ICMP, ICMP }, { BH_LAYER_ICMP6, ICMPV6 },
    { BH_LAYER_ARP, ARP },   { BH_LAYER_VLAN, VLAN }, { BH_LAYER_SYN_ONLY, SYN_ONLY },
};

struct line {
    char path[512];
    uint64_t count[COLUMNS];
    bool unreadable;
};

/* A growing set of octet strings of 17: sorted and counted at the end. */
struct set {
    uint8_t (*item)[17];
    size_t used, room;
};

static struct set sources, ports;

static void
set_add(struct set *s, uint8_t tag, uint64_t hi, uint64_t lo)
{
    if (s->used == s->room) {
        s->room = s->room == 0 ? 4096 : s->room * 2;
        s->item = realloc(s->item, s->room * sizeof *s->item);
        if (s->item == NULL) {
            abort();
        }
    }
    uint8_t *p = s->item[s->used++];
    p[0] = tag;
    bh_put_be64(p + 1, hi);
    bh_put_be64(p + 9, lo);
}

static int
compare_items(const void *a, const void *b)
{
    return memcmp(a, b, 17);
}

static uint64_t
set_count(struct set *s)
{
    uint64_t n = 0;
    if (s->used > 0) {
        qsort(s->item, s->used, sizeof *s->item, compare_items);
    }
    for (size_t i = 0; i < s->used; i++) {
        n += i == 0 || memcmp(s->item[i], s->item[i - 1], 17) != 0;
    }
    s->used = 0;
    return n;
}

static void
count_batch(const struct bh_batch *b, struct line *ours)
{
    uint32_t cursor = 0;
    for (uint32_t row = 0; row < b->rows; row++) {
        for (size_t i = 0; i < BH_COUNT(layer_columns); i++) {
            ours->count[layer_columns[i].column] += (b->layers[row] & layer_columns[i].bit) != 0;
        }
        struct bh_seen seen = bh_batch_seen(b, row, &cursor);
        if (seen.has_src4) {
            set_add(&sources, 4, 0, seen.src4);
        }
        if (seen.has_src6) {
            set_add(&sources, 6, seen.src6_hi, seen.src6_lo);
        }
        if (seen.port_proto != 0) {
            set_add(&ports, seen.port_proto, 0, seen.port);
        }
    }
}

static void
count_file(const char *path, struct line *ours)
{
    static const struct bh_decoder decoder;
    struct bh_capture *capture;
    struct bh_error error;
    *ours = (struct line){ .unreadable = false };
    if (bh_capture_open(&path, 1, &capture, &error) < 0) {
        ours->unreadable = true;
        return;
    }
    struct bh_frames *frames = bh_frames_new();
    struct bh_batch *batch = bh_batch_new();
    struct bh_fragments *fragments = bh_fragments_new();
    if (frames == NULL || batch == NULL || fragments == NULL) {
        abort();
    }
    while (bh_capture_read(capture, frames) == 1) {
        ours->count[PACKETS] += frames->count;
        for (uint32_t i = 0; i < frames->count; i++) {
            const struct bh_frame *x = &frames->frame[i];
            ours->count[SHORT] += x->cap_len < x->wire_len || (x->flags & BH_FRAME_LONG) != 0;
        }
        for (uint32_t at = 0; at < frames->count;) {
            bh_batch_reset(batch);
            bh_packet_decode(&decoder, frames, &at, batch);
            bh_fragments_apply(fragments, batch);
            count_batch(batch, ours);
        }
    }
    ours->count[SOURCES] = set_count(&sources);
    ours->count[DST_PORTS] = set_count(&ports);
    bh_fragments_free(fragments);
    bh_batch_free(batch);
    bh_frames_free(frames);
    bh_capture_close(capture);
}

static bool
parse_line(char *text, struct line *ret_line)
{
    char *field = strtok(text, "\t");
    if (field == NULL || strcmp(field, "file") == 0) {
        return false;
    }
    *ret_line = (struct line){ .unreadable = false };
    snprintf(ret_line->path, sizeof ret_line->path, "%.500s", field);
    for (unsigned i = 0; i < COLUMNS; i++) {
        field = strtok(NULL, "\t");
        if (field == NULL) {
            return false;
        }
        ret_line->count[i] = strtoull(field, NULL, 10);
    }
    for (; field != NULL; field = strtok(NULL, "\t\n")) {
        ret_line->unreadable |= strcmp(field, "unreadable or damaged") == 0;
    }
    return true;
}

/* The reason why `path` may differ; false when there is none. */
static bool
find_reason(const char *list, const char *path, char *reason, size_t size)
{
    FILE *f = list == NULL ? NULL : fopen(list, "r");
    char text[2048];
    bool found = false;
    while (f != NULL && !found && fgets(text, sizeof text, f) != NULL) {
        char *tab = strchr(text, '\t');
        if (text[0] == '#' || tab == NULL) {
            continue;
        }
        *tab = '\0';
        found = strcmp(text, path) == 0;
        snprintf(reason, size, "%.*s", (int)strcspn(tab + 1, "\n"), tab + 1);
    }
    if (f != NULL) {
        fclose(f);
    }
    return found;
}

static bool
print_difference(const struct line *truth, const struct line *ours)
{
    bool differs = false;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (truth->unreadable && (i == PACKETS || i == SHORT)) {
            continue;
        }
        if (truth->count[i] != ours->count[i]) {
            if (!differs) {
                printf("%s", truth->path);
            }
            differs = true;
            printf("\t%s %llu, truth %llu", column_names[i], (unsigned long long)ours->count[i],
                   (unsigned long long)truth->count[i]);
        }
    }
    return differs;
}

int
main(int argc, char **argv)
{
    struct stat st;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: truth_layers TRUTH.tsv CAPTURES_DIR [EXCEPTIONS.tsv]\n");
        return 2;
    }
    FILE *f = fopen(argv[1], "r");
    if (f == NULL || stat(argv[2], &st) != 0) {
        printf("skipped\n");
        return 77;
    }
    unsigned files = 0, equal = 0, justified = 0;
    char text[4096];
    while (fgets(text, sizeof text, f) != NULL) {
        struct line truth, ours;
        char path[8192];
        char reason[1024];
        if (!parse_line(text, &truth)) {
            continue;
        }
        bool prefixed = strncmp(truth.path, "captures/", 9) == 0;
        snprintf(path, sizeof path, "%.4000s/%s", argv[2], truth.path + (prefixed ? 9 : 0));
        count_file(path, &ours);
        files++;
        if (!print_difference(&truth, &ours)) {
            equal++;
        } else if (find_reason(argc == 4 ? argv[3] : NULL, truth.path, reason, sizeof reason)) {
            justified++;
            printf("\tjustified: %s\n", reason);
        } else {
            printf("\n");
        }
    }
    fclose(f);
    printf("%u files, %u equal, %u differ (justified %u)\n", files, equal, files - equal,
           justified);
    free(sources.item);
    free(ports.item);
    return files - equal == justified && justified * 100 <= files ? 0 : 1;
}
