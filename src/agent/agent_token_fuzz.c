/* Answers of a token endpoint, and addresses: whatever comes, a header is visible ASCII and an address is host:port. */
#include <stdlib.h>

#include "agent/agent_priv.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_answer(int status, lpx_bytes body)
{
    char *header = NULL;
    int64_t lifetime_us = 0;
    lpx_note message = {{0}};
    if (!oauth_read_answer(status, body, &header, &lifetime_us, &message)) {
        lpx_assert(header == NULL);
        return;
    }
    lpx_assert(strncmp(header, "Bearer ", 7) == 0 && lifetime_us > 0 && status / 100 == 2);
    for (const char *p = header + 7; *p != 0; p++) {
        lpx_assert(*p > ' ' && *p <= '~');
    }
    free(header);
}

static void check_address(lpx_bytes text)
{
    char host[AGENT_HOST_BYTES], full[AGENT_ADDRESS_BYTES], again[AGENT_HOST_BYTES], twice[AGENT_ADDRESS_BYTES];
    char *address = strndup((const char *)text.ptr, text.len);
    lpx_assert(address != NULL);
    if (agent_address_full(address, full)) {
        lpx_assert(agent_host_of(address, host));
        lpx_assert(agent_host_of(full, again) && strcmp(host, again) == 0);
        lpx_assert(agent_address_full(full, twice) && strcmp(full, twice) == 0);
        lpx_assert(agent_is_loopback(full) == agent_is_loopback(address));
    }
    free(address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 299, 300, 400, 401, 500};
    if (size == 0) {
        return 0;
    }
    lpx_bytes rest = lpx_bytes_of(data + 1, size - 1);
    if (data[0] == 'a') {
        check_address(rest);
    } else {
        check_answer(statuses[data[0] % (sizeof statuses / sizeof *statuses)], rest);
    }
    return 0;
}
