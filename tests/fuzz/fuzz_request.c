/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a request to the status socket or to the metrics port. The answer to what is whole stays the same with
 * more octets behind it; nobody gets metrics under a name that is not loopback's.
 */
#include <stdlib.h>
#include <string.h>

#include "../../lib/sensor/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > SERVE_REQUEST_MAX) {
        return 0;
    }
    char *octets = malloc(size + 1); /* so that a sanitizer sees where it ends */
    if (octets == NULL) {
        return 0;
    }
    memcpy(octets, data, size);
    octets[size] = 'x';
    const enum serve_answer line = serve_parse_line(octets, size, false),
                            http = serve_parse_http(octets, size, false);
    if (line > SERVE_BAD || (http >= SERVE_TEXT_EN && http <= SERVE_JSON) ||
        http >= SERVE_ANSWERS) {
        abort();
    }
    if (memchr(octets, '\n', size) != NULL && serve_parse_line(octets, size + 1, false) != line) {
        abort();
    }
    if (http == SERVE_METRICS && (size < 16 || memcmp(octets, "GET /metrics", 12) != 0)) {
        abort();
    }
    if (serve_parse_line(octets, size, true) == SERVE_MORE ||
        serve_parse_http(octets, size, true) == SERVE_MORE) {
        abort();
    }
    free(octets);
    return 0;
}
