/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch.c - a file by https, through libcurl.
 *
 * The library is loaded when something is to be fetched and not before: it brings some thirty others,
 * which every other run of kobold would wait for, and kobold works without any of them. TLS cannot be
 * switched off here, nor can a redirect lead out of it.
 */
#include "fetch.h"

#include <errno.h>
#include <stdlib.h>

#ifdef KOBOLD_WITH_CURL

#include <dlfcn.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

/* Macros of the headers; we call through pointers. */
#undef curl_easy_setopt

struct fetch {
    void *library;
    CURL *curl;
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_perform)(CURL *);
    void (*easy_cleanup)(CURL *);
    const char *(*easy_strerror)(CURLcode);
    char reason[CURL_ERROR_SIZE];
    struct bh_buf *out;
    size_t size_max;
    bool is_too_large;
};

/* A function of the library. ISO C has no way from an object pointer to a function's. */
static bool
take_function(void *library, const char *name, void *ret_function)
{
    void *p = dlsym(library, name);
    memcpy(ret_function, &p, sizeof p);
    return p != NULL;
}

static bool
load(struct fetch *f)
{
    static const char *const names[] = { "libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so" };
    CURLcode (*global_init)(long) = NULL;
    for (size_t i = 0; i < BH_COUNT(names) && f->library == NULL; i++) {
        f->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return f->library != NULL && take_function(f->library, "curl_global_init", &global_init) &&
           take_function(f->library, "curl_easy_init", &f->easy_init) &&
           take_function(f->library, "curl_easy_setopt", &f->easy_setopt) &&
           take_function(f->library, "curl_easy_perform", &f->easy_perform) &&
           take_function(f->library, "curl_easy_cleanup", &f->easy_cleanup) &&
           take_function(f->library, "curl_easy_strerror", &f->easy_strerror) &&
           global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static size_t
take_octets(char *data, size_t size, size_t count, void *arg)
{
    struct fetch *f = arg;
    size_t n = size * count;
    if (n > f->size_max - f->out->len) {
        f->is_too_large = true;
        return 0;
    }
    bh_buf_add(f->out, data, n);
    return f->out->failed ? 0 : n;
}

/* Only https, also behind a redirect. A library that does not know these options is not used. */
static bool
allow_https_only(struct fetch *f)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    return f->easy_setopt(f->curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           f->easy_setopt(f->curl, CURLOPT_REDIR_PROTOCOLS_STR, "https") == CURLE_OK;
#else
    return f->easy_setopt(f->curl, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTPS) == CURLE_OK &&
           f->easy_setopt(f->curl, CURLOPT_REDIR_PROTOCOLS, (long)CURLPROTO_HTTPS) == CURLE_OK;
#endif
}

static bool
set_up(struct fetch *f, const struct fetch_options *o)
{
    long timeout = (long)o->timeout_s;
    bool is_good = allow_https_only(f);
    is_good &= f->easy_setopt(f->curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_MAXREDIRS, 3L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_TIMEOUT, timeout) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_CONNECTTIMEOUT, timeout / 2 + 1) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_LOW_SPEED_TIME, timeout / 2 + 1) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_USERAGENT, "beholder/" BH_VERSION) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->reason) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, take_octets) == CURLE_OK;
    is_good &= f->easy_setopt(f->curl, CURLOPT_WRITEDATA, f) == CURLE_OK;
    if (o->ca_file != NULL) {
        is_good &= f->easy_setopt(f->curl, CURLOPT_CAINFO, o->ca_file) == CURLE_OK;
    }
    return is_good;
}

int
fetch_open(const struct fetch_options *o, struct fetch **ret, struct bh_error *err)
{
    struct fetch *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot fetch", "取得できません");
    }
    if (!load(f)) {
        fetch_close(f);
        return bh_error_set(err, BH_EUNKNOWN, "",
                            "libcurl is not installed, and fetching needs it (Debian: libcurl4)%s",
                            "取得に必要な libcurl がありません (Debian では libcurl4)%s", "");
    }
    f->curl = f->easy_init();
    if (f->curl == NULL || !set_up(f, o)) {
        fetch_close(f);
        return bh_error_set(err, BH_EVERSION, "", "this libcurl is too old, or has no TLS%s",
                            "この libcurl は古すぎるか、TLS に対応していません%s", "");
    }
    *ret = f;
    return 0;
}

void
fetch_close(struct fetch *f)
{
    if (f == NULL) {
        return;
    }
    if (f->curl != NULL) {
        f->easy_cleanup(f->curl);
    }
    /* The library stays: what it started inside others cannot be undone. */
    free(f);
}

int
fetch_get(struct fetch *f, const char *url, size_t size_max, struct bh_buf *out,
          struct bh_error *err)
{
    out->len = 0;
    f->out = out;
    f->size_max = size_max;
    f->is_too_large = false;
    f->reason[0] = '\0';
    CURLcode c = f->easy_setopt(f->curl, CURLOPT_URL, url);
    c = c == CURLE_OK ? f->easy_perform(f->curl) : c;
    if (c == CURLE_OK) {
        return 0;
    }
    if (f->is_too_large) {
        return bh_error_set(err, BH_ELIMIT, url, "larger than %zu octets",
                            "大きさが %zu バイトを超えています", size_max);
    }
    return bh_error_set(err, BH_EDAMAGED, url, "cannot fetch: %s", "取得できません: %s",
                        f->reason[0] != '\0' ? f->reason : f->easy_strerror(c));
}

#else

int
fetch_open(const struct fetch_options *o, struct fetch **ret, struct bh_error *err)
{
    (void)o;
    (void)ret;
    return bh_error_set(err, BH_EUNKNOWN, "",
                        "this kobold was built without libcurl and cannot fetch%s",
                        "この kobold は libcurl なしで作られており、取得できません%s", "");
}

void
fetch_close(struct fetch *f)
{
    (void)f;
}

int
fetch_get(struct fetch *f, const char *url, size_t size_max, struct bh_buf *out,
          struct bh_error *err)
{
    (void)f;
    (void)size_max;
    (void)out;
    return bh_error_set(err, BH_EUNKNOWN, url, "cannot fetch%s", "取得できません%s", "");
}

#endif
