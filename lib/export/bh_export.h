/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_export.h - records for other programs: as frames in a capture, as columns in Parquet.
 *
 * A capture is made of what records keep of a frame: headers are rebuilt, checksums computed,
 * payload is zeros, and the file says so (docs/design/asking.md, "Export"). The measure is that the
 * report of the capture is that of the records.
 *
 * Threads:   one thread per object.
 * Ownership: the caller's; output, country data and anonymizer are borrowed.
 * Errors:    without memory, or what writing says.
 */
#ifndef BH_EXPORT_H
#define BH_EXPORT_H

#include "bh_rows.h"

/* ---- frames ------------------------------------------------------------------------------------------- */

#define BH_FRAME_MAX (256U << 10) /* of longer ones the rest is cut */

struct bh_frame_maker; /* opaque */
struct bh_made_frame {
    const uint8_t *data; /* until the next one */
    uint32_t cap_len, wire_len;
    bool is_unknown_link; /* of a link type that nobody reads; else Ethernet */
};
struct bh_frame_maker *bh_frame_maker_new(void); /* NULL without memory */
void bh_frame_maker_free(struct bh_frame_maker *m);
/* Begin a batch; its rows are asked for in rising order. */
void bh_frame_begin(struct bh_frame_maker *m);
void bh_frame_make(struct bh_frame_maker *m, const struct bh_batch *b, uint32_t row,
                   struct bh_made_frame *ret);

/* ---- pcapng ------------------------------------------------------------------------------------------- */

struct bh_export_pcap; /* opaque */
/* `home`: said in the file's comment, as the report of it needs it; "" or NULL: not said. */
BH_NODISCARD int
bh_export_pcap_new(struct bh_out *out, const char *home, struct bh_anonymize *anonymize,
                   struct bh_export_pcap **ret, struct bh_error *err);
void bh_export_pcap_free(struct bh_export_pcap *x);
/* The rows with counted[]. */
BH_NODISCARD int bh_export_pcap_put(struct bh_export_pcap *x, struct bh_batch *b);
/* Records that stand for several packets, and are one frame now. */
uint64_t bh_export_pcap_flows(const struct bh_export_pcap *x);

/* ---- Parquet ------------------------------------------------------------------------------------------- */

struct bh_export_parquet; /* opaque */
BH_NODISCARD int
bh_export_parquet_new(struct bh_out *out, const struct bh_column *columns, size_t count,
                      const kobold *countries, enum bh_lang lang, struct bh_anonymize *anonymize,
                      struct bh_export_parquet **ret, struct bh_error *err);
void bh_export_parquet_free(struct bh_export_parquet *x);
BH_NODISCARD int bh_export_parquet_put(struct bh_export_parquet *x, struct bh_batch *b);
/* The last rows and what readers begin with. */
BH_NODISCARD int bh_export_parquet_end(struct bh_export_parquet *x);

#endif
