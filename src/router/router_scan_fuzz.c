/* Requests read in place against the same requests decoded. The first byte chooses the request. */
#include "base/assert.h"
#include "router/router_scan_oracle_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static router_scanner *scanner;
    if (scanner == NULL) {
        scanner = router_scanner_new();
        lpx_assert(scanner != NULL);
    }
    if (size > 0) {
        (void)scan_compare(scanner, (scan_request)(data[0] % SCAN_REQUESTS), lpx_bytes_of(data + 1, size - 1), NULL);
    }
    return 0;
}
