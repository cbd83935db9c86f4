/* SPDX-License-Identifier: BSD-2-Clause */
/* What clients of the status socket and of the metrics port may ask. Octets of anybody on this machine. */
#include <strings.h>

#include "serve.h"

static bool
is_word(const char *octets, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(octets, word, len) == 0;
}

enum serve_answer
serve_parse_line(const char *octets, size_t len, bool ended)
{
    static const struct {
        const char *word;
        enum serve_answer answer;
    } words[] = { { "text en", SERVE_TEXT_EN },
                  { "text ja", SERVE_TEXT_JA },
                  { "json", SERVE_JSON },
                  { "metrics", SERVE_METRICS },
                  { "", SERVE_TEXT_EN } };
    const char *end = memchr(octets, '\n', len);
    if (end == NULL && !ended) {
        return len < 64 ? SERVE_MORE : SERVE_BAD;
    }
    size_t n = end != NULL ? (size_t)(end - octets) : len;
    n -= n > 0 && octets[n - 1] == '\r';
    for (size_t k = 0; k < BH_COUNT(words); k++) {
        if (is_word(octets, n, words[k].word)) {
            return words[k].answer;
        }
    }
    return SERVE_BAD;
}

/* ---- HTTP (RFC 9112), as much as a GET needs ---------------------------------------------------------------- */

/* The line at *ret_at without its end, and the place of the next. False: it has no end yet. */
static bool
take_line(const char *octets, size_t len, size_t *ret_at, const char **ret_line, size_t *ret_len)
{
    const char *line = octets + *ret_at, *end = memchr(line, '\n', len - *ret_at);
    if (end == NULL) {
        return false;
    }
    *ret_at = (size_t)(end - octets) + 1;
    *ret_line = line;
    *ret_len = (size_t)(end - line);
    *ret_len -= *ret_len > 0 && line[*ret_len - 1] == '\r';
    return true;
}

/* A page of a browser can be made to ask us under a name of its own ("DNS rebinding"): such a name is not ours. */
static bool
is_our_name(const char *value, size_t len)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
    while (len > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        len--;
    }
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
        len--;
    }
    for (size_t k = 0; k < BH_COUNT(names); k++) {
        const size_t n = strlen(names[k]);
        if (len >= n && strncasecmp(value, names[k], n) == 0 && (len == n || value[n] == ':')) {
            return true;
        }
    }
    /* 127.x.y.z */
    struct bh_ip ip;
    const char *colon = memchr(value, ':', len);
    return bh_ip_parse(value, colon != NULL ? (size_t)(colon - value) : len, &ip) &&
           ip.family == 4 && ip.octets[0] == 127;
}

/* "GET /metrics HTTP/1.1" */
static enum serve_answer
request_line(const char *line, size_t len)
{
    const char *first = memchr(line, ' ', len);
    if (first == NULL || first == line) {
        return SERVE_BAD;
    }
    const char *target = first + 1;
    const char *second = memchr(target, ' ', len - (size_t)(target - line));
    if (second == NULL) {
        return SERVE_BAD;
    }
    const char *version = second + 1;
    const size_t version_len = len - (size_t)(version - line),
                 target_len = (size_t)(second - target);
    if (version_len != 8 || memcmp(version, "HTTP/1.", 7) != 0 || version[7] < '0' ||
        version[7] > '9' || target_len == 0 || target[0] != '/') {
        return SERVE_BAD;
    }
    if (!is_word(line, (size_t)(first - line), "GET")) {
        return SERVE_NOT_A_GET;
    }
    const char *question = memchr(target, '?', target_len);
    const size_t path_len = question != NULL ? (size_t)(question - target) : target_len;
    return is_word(target, path_len, "/metrics") ? SERVE_METRICS : SERVE_NOT_FOUND;
}

enum serve_answer
serve_parse_http(const char *octets, size_t len, bool ended)
{
    size_t at = 0, n;
    const char *line;
    const enum serve_answer not_whole = ended                      ? SERVE_BAD
                                        : len >= SERVE_REQUEST_MAX ? SERVE_TOO_LONG
                                                                   : SERVE_MORE;
    if (!take_line(octets, len, &at, &line, &n)) {
        return not_whole;
    }
    enum serve_answer answer = request_line(line, n);
    while (answer != SERVE_BAD) {
        if (!take_line(octets, len, &at, &line, &n)) {
            return not_whole;
        }
        if (n == 0) {
            return answer;
        }
        const char *colon = memchr(line, ':', n);
        if (colon == NULL || colon == line || *line == ' ' || *line == '\t') {
            return SERVE_BAD;
        }
        if (colon - line == 4 && strncasecmp(line, "host", 4) == 0 &&
            !is_our_name(colon + 1, n - (size_t)(colon + 1 - line))) {
            answer = SERVE_FORBIDDEN;
        }
    }
    return answer;
}
