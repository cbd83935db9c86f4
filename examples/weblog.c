/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weblog - a filter that writes the registered country in front of each line of a web server's
 * log (Apache's and nginx's formats begin with the client's address):
 *
 *     cc -o weblog weblog.c $(pkg-config --cflags --libs kobold)
 *     weblog < access.log | cut -d' ' -f1 | sort | uniq -c | sort -rn
 *
 * Lines that begin with anything else, a host name say, get "--".
 */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kobold.h>

/* "US", "private-use", "unallocated", or "--" for what is no address. */
static const char *
country_of(const kobold *k, const char *text, struct kobold_value *v)
{
    uint8_t octets[16];
    struct kobold_result r;
    if (inet_pton(AF_INET, text, octets) == 1) {
        r = kobold_lookup(k, octets, 4);
    } else if (inet_pton(AF_INET6, text, octets) == 1) {
        r = kobold_lookup(k, octets, 6);
    } else {
        return "--";
    }
    if (!kobold_value_info(k, r.value, v)) {
        return "--";
    }
    return v->kind == KOBOLD_SPECIAL       ? v->class_name
           : v->kind == KOBOLD_UNALLOCATED ? "unallocated"
                                           : v->code;
}

int
main(void)
{
    char *line = NULL;
    size_t room = 0;
    kobold *k;
    int code = kobold_open(NULL, &k);
    if (code < 0) {
        fprintf(stderr, "weblog: %s\n", kobold_strerror(code, 0));
        return 1;
    }
    while (getline(&line, &room, stdin) > 0) {
        char address[64];
        size_t len = strcspn(line, " \t\n");
        struct kobold_value v;
        snprintf(address, sizeof address, "%.*s", (int)(len < 63 ? len : 63), line);
        printf("%s %s", country_of(k, address, &v), line);
    }
    free(line);
    kobold_close(k);
    return fflush(stdout) == 0 ? 0 : 1;
}
