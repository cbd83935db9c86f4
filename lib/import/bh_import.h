/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_import.h - other people's logs as records: the kernel's packet log (netfilter), Zeek's conn.log,
 * flows of nfdump, and CSV with a mapping of its columns. What a file is is told by its content
 * (docs/format/input-logs.md).
 *
 * A row becomes one row of a batch; a flow becomes the rows, with weights, of the packets it must have
 * had. What the log does not have is absent, not zero: no TCP flags is BH_MARK_NO_FLAGS, no destination
 * sets all_inbound. Rows come out in time order within a window of BH_IMPORT_WINDOW rows (logs of
 * several hosts are often joined one after the other); a row older than what was handed out already is
 * still handed out, and counted as late. A row that cannot be used is counted by reason, and the first is
 * kept to be shown. A TCP row without flags has tcp_flags = SYN beside BH_MARK_NO_FLAGS: such logs hold
 * connections that came in, and lib/track counts them as what opens one.
 *
 * Threads:   one thread per object.
 * Ownership: the caller's; paths are borrowed until close.
 */
#ifndef BH_IMPORT_H
#define BH_IMPORT_H

#include "bh_capture.h"
#include "bh_event.h"

#define BH_IMPORT_WINDOW (1U << 20)

struct bh_import; /* opaque */

struct bh_import_options {
    const char *const *paths; /* "-" is standard input                                        */
    size_t count;
    struct bh_octets **opened; /* NULL, or for each path what was opened already (or NULL): it
                                * belongs to the import from here on, the entry becomes NULL     */
    const char *format;  /* csv, netfilter, zeek, nfdump; NULL or "auto": as it looks           */
    const char *columns; /* of tables, "time=datetime,src=src,proto=proto,dport=dpt,sport=spt,
                          * type=type,dst=dst,flags=f" (docs/format/input-csv.md); NULL or "auto":
                          * by the names in the header line                                     */
    int year;       /* of the first time without a year; 0: the last that is not after the file's
                     * date, of pipes not after ...                                              */
    int64_t now_ns; /* ... this                                                                 */
    bool is_guess; /* nobody said that they are logs: of another text the error says what is read */
};
/* All files are opened and their header lines read here; several are merged by time. */
BH_NODISCARD int bh_import_open_with(const struct bh_import_options *o,
                                     struct bh_import **ret_import, struct bh_error *err);
BH_NODISCARD int bh_import_open(const char *const *paths, size_t count, const char *columns,
                                struct bh_import **ret_import, struct bh_error *err);
/* From memory, for tests and fuzzing; `data` is borrowed until close. Paths are not looked at. */
BH_NODISCARD int bh_import_open_memory(const void *data, size_t size, const char *columns,
                                       struct bh_import **ret_import, struct bh_error *err);
BH_NODISCARD int
bh_import_open_memory_with(const void *data, size_t size, const struct bh_import_options *o,
                           struct bh_import **ret_import, struct bh_error *err);
void bh_import_close(struct bh_import *im);
/* Fill `b` (reset by this call). 1: rows came, 0: the end, negative: an error. What of a file cannot
 * be read or unpacked is damage, as long as anything could: stats.damage. */
BH_NODISCARD int bh_import_read(struct bh_import *im, struct bh_batch *b, struct bh_error *err);

/* Octets as stored, and how far the reader is; total 0: unknown. */
void bh_import_progress(const struct bh_import *im, uint64_t *ret_total, uint64_t *ret_done);

#define BH_IMPORT_REASONS_MAX 24

struct bh_import_stats {
    uint64_t rows; /* of the files so far, bad ones too; neither header nor empty lines  */
    uint64_t bad_rows, late_rows, bytes;
    uint64_t records;       /* rows handed out: of a flow several                      */
    uint64_t other_lines;   /* of other programs; what is no packet and no flow        */
    uint64_t steps_back;    /* rows older than the row before them in their file       */
    uint64_t zoneless_rows; /* times without a zone; they were taken as UTC            */
    uint64_t yearless_rows; /* times without a year ...                                */
    int year;               /* ... the first of which was taken as of this one; 0: none */
    bool year_is_guess;
    bool is_table;              /* the first file is CSV                             */
    const char *form[BH_LANGS]; /* what the first file is                            */
    char columns[320];          /* "time=datetime, src=src, proto:=tcp": what was taken    */
    char bad_example[200];      /* "no port: 1.2.3.4,tcp,..." of the first bad row; escaped */
    char bad_example_ja[200];
    struct bh_error damage; /* the first file that could not be read to its end; code 0: none */
    const char *bad_file;   /* where it is; borrowed as the paths are */
    uint64_t bad_line;
    struct {
        char reason[48]; /* English */
        char reason_ja[64];
        uint64_t count;
    } reasons[BH_IMPORT_REASONS_MAX]; /* bad rows by reason */
    size_t reason_count;
};
void bh_import_get_stats(const struct bh_import *im, struct bh_import_stats *ret_stats);

#endif
