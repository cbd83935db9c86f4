/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asks how the sensor is: a Unix socket (`beholder status`), and HTTP on a loopback port (metrics). The parent answers
 * between two turns of its loop and never waits for a client.
 */
#ifndef BH_SENSOR_SERVE_H
#define BH_SENSOR_SERVE_H

#include <poll.h>

#include "bh_base.h"

#define SERVE_CLIENTS 8U /* of each of the two, at a time     */
#define SERVE_REQUEST_MAX 4096U
#define SERVE_POLL_MAX (2U + 2U * SERVE_CLIENTS)

struct sensor;
struct serve; /* opaque */

/* As the user the sensor has become. A status socket that was asked for and cannot be had is an error; the default one is
 * only said. */
BH_NODISCARD int serve_open(struct sensor *s, struct bh_error *err);
/* As whoever started us: the folder of the default socket. */
void serve_make_folder(struct sensor *s);
void serve_close(struct serve *v);
/* In a child: not its. */
void serve_forget(struct serve *v);
/* What to wait for; `p` has room for SERVE_POLL_MAX. */
nfds_t serve_poll(struct serve *v, int64_t now_ns, struct pollfd *p);
void serve_turn(struct sensor *s, int64_t now_ns);
/* The metrics file, when its time has come. */
void serve_metrics_file(struct sensor *s, int64_t now_ns);

/* ---- requests, of anybody ----------------------------------------------------------------------------------- */

enum serve_answer {
    SERVE_MORE, /* the request is not whole */
    SERVE_TEXT_EN,
    SERVE_TEXT_JA,
    SERVE_JSON,
    SERVE_METRICS,
    /* HTTP: */
    SERVE_BAD,       /* 400 */
    SERVE_FORBIDDEN, /* 403: asked by another name than loopback's */
    SERVE_NOT_FOUND, /* 404 */
    SERVE_NOT_A_GET, /* 405 */
    SERVE_TOO_LONG,  /* 431 */
    SERVE_ANSWERS
};
/* One word a line: "text en", "text ja", "json", "metrics". `ended`: nothing more comes. */
enum serve_answer serve_parse_line(const char *octets, size_t len, bool ended);
enum serve_answer serve_parse_http(const char *octets, size_t len, bool ended);

#endif
