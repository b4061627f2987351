/* Certificates and signing requests from outside. The first byte says what the rest is: the text, or bytes to be put
 * into the PEM of a request or of a certificate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "crypto/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_BYTES = 16 << 10, PEM_BYTES = 32 << 10 };

static const lpx_utc some_time = {1767225600LL * 1000000};

static const crypto_ca *the_ca(void)
{
    static crypto_ca *ca;
    if (ca == NULL) {
        char folder[] = "/tmp/lpx-pem-fuzz-XXXXXX", cert[64], key[64];
        lpx_assert(mkdtemp(folder) != NULL);
        (void)snprintf(cert, sizeof cert, "%s/ca.pem", folder);
        (void)snprintf(key, sizeof key, "%s/ca.key", folder);
        lpx_assert(!lpx_failed(crypto_ca_create(cert, key, "CA", some_time, NULL)));
        lpx_assert(!lpx_failed(crypto_ca_load(cert, key, &ca, NULL)));
        (void)unlink(cert);
        (void)unlink(key);
        (void)rmdir(folder);
    }
    return ca;
}

static void try_text(lpx_str text)
{
    crypto_cert_info info;
    crypto_client_cert made;
    crypto_client_opts opts = {.csr_pem = text, .common_name = "000013", .days = 1, .now = some_time};
    lpx_arena arena;
    lpx_arena_init_wiped(&arena, 1 << 20);
    if (!lpx_failed(crypto_cert_read_pem(text, &info, NULL))) {
        lpx_assert(strlen(info.fingerprint) == 64 && strlen(info.serial) % 2 == 0);
    }
    if (text.len > 0 && !lpx_failed(crypto_client_issue(the_ca(), &opts, &arena, &made, NULL))) {
        lpx_assert(made.key_pem.len == 0 && made.info.for_clients && !made.info.is_ca);
        lpx_assert(strcmp(made.info.subject, "CN=000013") == 0);
    }
    lpx_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char base64[INPUT_BYTES * 2], pem[PEM_BYTES];
    if (size == 0 || size > INPUT_BYTES) {
        return 0;
    }
    lpx_bytes rest = lpx_bytes_of(data + 1, size - 1);
    if (data[0] == 'T') {
        try_text(lpx_bytes_str(rest));
        return 0;
    }
    const char *what = data[0] == 'R' ? "CERTIFICATE REQUEST" : "CERTIFICATE";
    lpx_base64_encode(rest, base64);
    size_t at = (size_t)snprintf(pem, sizeof pem, "-----BEGIN %s-----\n", what);
    for (size_t i = 0; base64[i] != '\0'; i += 64) {
        size_t len = strnlen(base64 + i, 64);
        at += (size_t)snprintf(pem + at, sizeof pem - at, "%.*s\n", (int)len, base64 + i);
        if (len < 64) {
            break;
        }
    }
    at += (size_t)snprintf(pem + at, sizeof pem - at, "-----END %s-----\n", what);
    try_text((lpx_str){pem, at});
    return 0;
}
