/* What is sent to a token endpoint and what comes back: OAuth 2.0 client credentials (RFC 6749, section 4.4). Level 1;
 * pure. Thread: any. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

/** Body of the token request: form fields in alphabetical order.
 * @return malloc'd text with a secret in it, or NULL */
char *oauth_form(const char *audience, const char *client_id, const char *client_secret);
/** Read the answer of a token endpoint.
 * @param status HTTP status
 * @param header gets malloc'd "Bearer ..." on success @param lifetime_us from now
 * @return false and *message, a sentence, otherwise */
bool oauth_read_answer(int status, lpx_bytes body, char **header, int64_t *lifetime_us, lpx_note *message);
