/* Inside of outbound HTTP: what the blocking call and the calls on a loop share. Level 3. */
#pragma once
#include <curl/curl.h>

#include "base/buf.h"
#include "wire/http/fetch.h"

/** One request to libcurl. */
typedef struct fetch_easy {
    CURL *curl;
    struct curl_slist *headers;
    lpx_buf body;
    char host[FETCH_HOST_BYTES]; /* for notes */
    char words[CURL_ERROR_SIZE]; /* of libcurl on failure */
} fetch_easy;

/** Ready libcurl, once. @thread any */
void fetch_easy_init(void);
/** Make the request; the URL and headers are checked here. On failure nothing is left behind.
 * @err FETCH_BAD_REQUEST, IO_NO_RESOURCES */
LPX_RESULT fetch_easy_begin(fetch_easy *easy, const fetch_opts *opts, lpx_note *note);
/** Free it. */
void fetch_easy_end(fetch_easy *easy);
/** What came of it; *out points into easy. */
LPX_RESULT fetch_easy_outcome(const fetch_easy *easy, CURLcode code, fetch_result *out, lpx_note *note);
