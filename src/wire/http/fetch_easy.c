#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lpx_reasons.h"
#include "wire/http/fetch_priv.h"
#include "wire/http/http1_limits.h"

static void init_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

void fetch_easy_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_curl);
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    fetch_easy *easy = arg;
    lpx_buf_add(&easy->body, lpx_bytes_of(data, size * count));
    return lpx_buf_failed(&easy->body) ? 0 : size * count;
}

bool fetch_url_host(const char *url, char out[static FETCH_HOST_BYTES])
{
    CURLU *parts = curl_url();
    char *host = NULL;
    char *scheme = NULL;
    bool sound = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                 curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    lpx_str name = sound ? lpx_str_of(host) : (lpx_str){"", 0};
    if (name.len > 2 && name.ptr[0] == '[') {
        name = (lpx_str){name.ptr + 1, name.len - 2};
    }
    sound = name.len > 0 && name.len < FETCH_HOST_BYTES;
    if (sound) {
        memcpy(out, name.ptr, name.len);
        out[name.len] = 0;
    }
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(parts);
    return sound;
}

/* The host of the URL, which is checked on the way. Only the host goes into notes: the rest may hold secrets. */
static lpx_err take_host(fetch_easy *easy, const char *url, lpx_note *note)
{
    return fetch_url_host(url, easy->host)
               ? LPX_SUCCESS
               : lpx_fail(note, FETCH_BAD_REQUEST, "the URL is none: want http:// or https:// and a host");
}

static lpx_err take_header(fetch_easy *easy, const char *line, lpx_note *note)
{
    if (strchr(line, ':') == NULL || strpbrk(line, "\r\n") != NULL) {
        return lpx_fail(note, FETCH_BAD_REQUEST, "a header of the request to %s is not of the form \"Name: value\"",
                        easy->host);
    }
    struct curl_slist *longer = curl_slist_append(easy->headers, line);
    if (longer == NULL) {
        return lpx_err_of(IO_NO_RESOURCES);
    }
    easy->headers = longer;
    return LPX_SUCCESS;
}

static lpx_err take_headers(fetch_easy *easy, const fetch_opts *opts, lpx_note *note)
{
    /* Waiting for "100 Continue" costs a second with servers that do not know it. */
    LPX_TRY(take_header(easy, "Expect:", note));
    for (const char *const *line = opts->headers; line != NULL && *line != NULL; line++) {
        LPX_TRY(take_header(easy, *line, note));
    }
    return LPX_SUCCESS;
}

static long milliseconds(int64_t us, int64_t fallback_us)
{
    int64_t wanted_us = us > 0 ? us : fallback_us;
    return (long)((wanted_us + 999) / 1000);
}

static CURLcode set_method(CURL *c, const fetch_opts *opts)
{
    bool has_body = opts->body.len > 0;
    const char *method = opts->method != NULL ? opts->method : has_body ? "POST" : "GET";
    if (strcmp(method, "HEAD") == 0) {
        return curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    }
    CURLcode code = CURLE_OK;
    if (has_body || strcmp(method, "POST") == 0) {
        code = curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)opts->body.len);
        const void *bytes = has_body ? (const void *)opts->body.ptr : "";
        code = code == CURLE_OK ? curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, bytes) : code;
    }
    return code == CURLE_OK ? curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method) : code;
}

/* PEM text from memory; libcurl copies it. */
static CURLcode set_blob(CURL *c, CURLoption option, lpx_bytes pem)
{
    struct curl_blob blob = {.data = (void *)(uintptr_t)pem.ptr, .len = pem.len, .flags = CURL_BLOB_COPY};
    return pem.len > 0 ? curl_easy_setopt(c, option, &blob) : CURLE_OK;
}

static CURLcode set_tls(CURL *c, const fetch_opts *opts)
{
    CURLcode codes[] = {
        curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2),
        set_blob(c, CURLOPT_CAINFO_BLOB, opts->ca_pem),
        set_blob(c, CURLOPT_SSLCERT_BLOB, opts->cert_pem),
        set_blob(c, CURLOPT_SSLKEY_BLOB, opts->key_pem),
    };
    CURLcode code = CURLE_OK;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0] && code == CURLE_OK; i++) {
        code = codes[i];
    }
    /* OpenSSL alone would look at this variable, libcurl does not. */
    const char *ca_file = opts->ca_file != NULL ? opts->ca_file : getenv("SSL_CERT_FILE");
    if (code == CURLE_OK && ca_file != NULL && opts->ca_pem.len == 0) {
        code = curl_easy_setopt(c, CURLOPT_CAINFO, ca_file);
    }
    if (code == CURLE_OK && opts->cert_file != NULL) {
        code = curl_easy_setopt(c, CURLOPT_SSLCERT, opts->cert_file);
    }
    if (code == CURLE_OK && opts->key_file != NULL) {
        code = curl_easy_setopt(c, CURLOPT_SSLKEY, opts->key_file);
    }
    return code;
}

static CURLcode set_all(fetch_easy *easy, const fetch_opts *opts)
{
    CURL *c = easy->curl;
    CURLcode codes[] = {
        curl_easy_setopt(c, CURLOPT_URL, opts->url),
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(c, CURLOPT_USERAGENT, "lpx"),
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, easy->words),
        curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                         milliseconds(opts->connect_timeout_us, FETCH_CONNECT_TIMEOUT_US)),
        curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, milliseconds(opts->timeout_us, FETCH_TIMEOUT_US)),
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body),
        curl_easy_setopt(c, CURLOPT_WRITEDATA, easy),
        curl_easy_setopt(c, CURLOPT_HTTPHEADER, easy->headers),
        curl_easy_setopt(c, CURLOPT_PRIVATE, easy),
        set_method(c, opts),
        set_tls(c, opts),
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] != CURLE_OK) {
            return codes[i];
        }
    }
    return CURLE_OK;
}

LPX_RESULT fetch_easy_begin(fetch_easy *easy, const fetch_opts *opts, lpx_note *note)
{
    fetch_easy_init();
    *easy = (fetch_easy){0};
    lpx_buf_init(&easy->body, opts->max_body_bytes > 0 ? opts->max_body_bytes : FETCH_BODY_BYTES);
    lpx_err err = take_host(easy, opts->url, note);
    if (!lpx_failed(err)) {
        err = take_headers(easy, opts, note);
    }
    if (!lpx_failed(err)) {
        easy->curl = curl_easy_init();
        bool set = easy->curl != NULL && set_all(easy, opts) == CURLE_OK;
        err = set ? LPX_SUCCESS : lpx_fail(note, IO_NO_RESOURCES, "no memory for a request to %s", easy->host);
    }
    if (lpx_failed(err)) {
        fetch_easy_end(easy);
    }
    return err;
}

void fetch_easy_end(fetch_easy *easy)
{
    if (easy->curl != NULL) {
        curl_easy_cleanup(easy->curl);
    }
    curl_slist_free_all(easy->headers);
    lpx_buf_fini(&easy->body);
    easy->curl = NULL;
    easy->headers = NULL;
}

static uint16_t reason_of(CURLcode code, bool too_long)
{
    if (too_long) {
        return FETCH_TOO_LONG;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return FETCH_TIMED_OUT;
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR) {
        return FETCH_UNTRUSTED;
    }
    return code == CURLE_OUT_OF_MEMORY ? IO_NO_RESOURCES : FETCH_FAILED;
}

LPX_RESULT fetch_easy_outcome(const fetch_easy *easy, CURLcode code, fetch_result *out, lpx_note *note)
{
    bool too_long = lpx_buf_failed(&easy->body);
    if (code != CURLE_OK) {
        const char *words = easy->words[0] != 0 ? easy->words : curl_easy_strerror(code);
        return lpx_fail(note, reason_of(code, too_long), "the request to %.100s failed: %s", easy->host,
                        too_long ? "the answer is longer than it may be" : words);
    }
    long status = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(easy->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy->curl, CURLINFO_CONTENT_TYPE, &type);
    *out = (fetch_result){.status = (int)status, .content_type = lpx_str_of(type), .body = lpx_buf_view(&easy->body)};
    return LPX_SUCCESS;
}

LPX_RESULT fetch_blocking(const fetch_opts *opts, lpx_arena *arena, fetch_result *out, lpx_note *note)
{
    fetch_easy easy;
    fetch_result found = {0};
    LPX_TRY(fetch_easy_begin(&easy, opts, note));
    lpx_err err = fetch_easy_outcome(&easy, curl_easy_perform(easy.curl), &found, note);
    if (!lpx_failed(err)) {
        lpx_bytes body = lpx_arena_copy(arena, found.body);
        lpx_bytes type = lpx_arena_copy(arena, lpx_str_bytes(found.content_type));
        if (body.ptr == NULL || type.ptr == NULL) {
            err = lpx_fail(note, FETCH_TOO_LONG, "the answer of %.100s is longer than it may be", easy.host);
        } else {
            *out = (fetch_result){.status = found.status, .content_type = lpx_bytes_str(type), .body = body};
        }
    }
    fetch_easy_end(&easy);
    return err;
}
