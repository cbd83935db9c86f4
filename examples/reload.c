/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload - two threads look up without a pause while the database is opened anew a hundred
 * times, as a server does that gets SIGHUP.
 *
 *     cc -o reload reload.c $(pkg-config --cflags --libs kobold) -pthread
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include <kobold.h>

#define BATCH 1000

static kobold_live *live;
static atomic_bool is_ending;

static void *
look_up(void *arg)
{
    uint32_t addresses[BATCH];
    uint16_t values[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) {
        addresses[i] = i << 22;
    }
    do {
        const kobold *k = kobold_take(live); /* once per batch */
        kobold_v4_many(k, addresses, values, BATCH);
        /* Values are this database's: translate them before it is given back. */
        kobold_give(k);
    } while (!atomic_load(&is_ending));
    return arg;
}

int
main(void)
{
    pthread_t threads[2];
    int code = kobold_live_open(NULL, &live);
    if (code < 0) {
        fprintf(stderr, "reload: %s\n", kobold_strerror(code, 0));
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, look_up, NULL) != 0) {
            return 1;
        }
    }
    int failed = 0;
    for (int i = 0; i < 100; i++) {
        /* When the new file cannot be used the old database stays. */
        failed += kobold_live_reload(live) < 0;
    }
    atomic_store(&is_ending, 1);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    kobold_live_close(live);
    printf("100 reloads, %d failed\n", failed);
    return failed > 0;
}
