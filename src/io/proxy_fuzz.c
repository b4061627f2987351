/* Any bytes as a header of the PROXY protocol, whole and as the beginning of a stream. */
#include "base/assert.h"
#include "io/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_header(lpx_bytes in)
{
    io_proxy_header header;
    bool whole = !lpx_failed(io_proxy_read(in, &header, NULL));
    lpx_assert(!whole || !header.has_peer || header.peer.ss_family == AF_INET || header.peer.ss_family == AF_INET6);
    return whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = 0;
    bool whole = is_header(lpx_bytes_of(data, size));
    size_t fixed = size < IO_PROXY_FIXED_BYTES ? size : IO_PROXY_FIXED_BYTES;
    bool begins = !lpx_failed(io_proxy_length(lpx_bytes_of(data, fixed), &len, NULL));
    lpx_assert(!whole || (begins && len == size));
    lpx_assert(!begins || (len >= IO_PROXY_FIXED_BYTES && len <= IO_PROXY_MAX_BYTES));
    if (begins && len < size) {
        bool first = is_header(lpx_bytes_of(data, len)); /* what follows it does not matter */
        lpx_assert(first || data[12] != 0x20);
    }
    return 0;
}
