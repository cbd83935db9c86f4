/* SPDX-License-Identifier: BSD-2-Clause */
/* Room to put blocks together, and the names of their columns. */
#include "store_priv.h"

#include <errno.h>
#include <stdlib.h>

int
block_work_init(struct block_work *w)
{
    *w = (struct block_work){ 0 };
    int r = code_work_init(&w->code);
    w->number = malloc((BLOCK_ROWS + 16) * sizeof *w->number);
    w->second = malloc((BLOCK_ROWS + 16) * sizeof *w->second);
    w->entry = malloc((BLOCK_ROWS + 16) * sizeof *w->entry);
    w->row = malloc((BLOCK_ROWS + 16) * sizeof *w->row);
    w->octet = malloc(BLOCK_ROWS + 16);
    w->other = malloc(BLOCK_ROWS + 16);
    w->usual = malloc(BLOCK_ROWS + 16);
    w->service = malloc(BLOCK_ROWS + 16);
    w->country = malloc((BLOCK_ROWS + 16) * sizeof *w->country);
    if (r != 0 || w->number == NULL || w->second == NULL || w->entry == NULL || w->row == NULL ||
        w->octet == NULL || w->other == NULL || w->usual == NULL || w->service == NULL ||
        w->country == NULL) {
        block_work_done(w);
        return -ENOMEM;
    }
    return 0;
}

void
block_work_done(struct block_work *w)
{
    code_work_done(&w->code);
    free(w->number);
    free(w->second);
    free(w->entry);
    free(w->row);
    free(w->octet);
    free(w->other);
    free(w->usual);
    free(w->service);
    free(w->country);
    bh_buf_done(&w->bits);
    bh_buf_done(&w->head);
    bh_buf_done(&w->body);
    *w = (struct block_work){ 0 };
}

const char *
column_name(unsigned column)
{
    static const char *const names[COLUMNS] = {
        [COLUMN_TIME] = "time",
        [COLUMN_COUNTRY] = "country",
        [COLUMN_FAR] = "remote",
        [COLUMN_NEAR] = "home",
        [COLUMN_SERVICE] = "service",
        [COLUMN_SHAPE] = "shape",
        [COLUMN_OTHER_KNOCK] = "other_port_access",
        [COLUMN_OTHER_KNOCK + 1] = "other_port_tcp",
        [COLUMN_OTHER_KNOCK + 2] = "other_port_udp",
        [COLUMN_OTHER_KNOCK + 3] = "icmp_code",
        [COLUMN_OTHER_LAST] = "other_port_rest",
        [COLUMN_OUTCOME] = "outcome",
        [COLUMN_TTL] = "ttl",
        [COLUMN_SEQ] = "tcp_seq",
        [COLUMN_IP_ID] = "ip_id",
        [COLUMN_WINDOW] = "tcp_window",
        [COLUMN_WEIGHT] = "weight",
        [COLUMN_QUOTES] = "quotes",
        [COLUMN_SEEN] = "tunnels",
    };
    return column < COLUMNS && names[column] != NULL ? names[column] : "unknown";
}
