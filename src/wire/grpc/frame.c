#include "wire/grpc/frame.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/reader.h"
#include "lpx_reasons.h"

void grpc_frames_init(grpc_frames *frames, uint32_t max_message_bytes)
{
    *frames = (grpc_frames){.max_message_bytes = max_message_bytes};
}

void grpc_frames_fini(grpc_frames *frames)
{
    free(frames->held);
    *frames = (grpc_frames){0};
}

/* Room for more bytes behind those that are held: twice as much as before, but not more than the message needs. */
static bool held_reserve(grpc_frames *frames, size_t more)
{
    if (frames->head > 0) {
        memmove(frames->held, frames->held + frames->head, frames->len);
        frames->head = 0;
    }
    if (frames->room - frames->len >= more) {
        return true;
    }
    size_t need = frames->len + more, room = frames->room * 2;
    room = frames->want != 0 && room > frames->want ? frames->want : room;
    room = room < need ? need : room;
    uint8_t *held = realloc(frames->held, room);
    if (held == NULL) {
        return false;
    }
    frames->held = held;
    frames->room = room;
    return true;
}

static lpx_err hold(grpc_frames *frames, lpx_bytes in)
{
    if (in.len == 0) {
        return LPX_SUCCESS;
    }
    if (!held_reserve(frames, in.len)) {
        frames->failed = lpx_err_of(GRPC_NO_MEMORY);
        return frames->failed;
    }
    memcpy(frames->held + frames->len, in.ptr, in.len);
    frames->len += in.len;
    return LPX_SUCCESS;
}

lpx_err grpc_frames_feed(grpc_frames *frames, lpx_bytes in)
{
    lpx_assert(frames->in.len == 0);
    if (lpx_failed(frames->failed)) {
        return frames->failed;
    }
    if (frames->len > 0) {
        return hold(frames, in);
    }
    frames->in = in;
    return LPX_SUCCESS;
}

static lpx_bytes pending(const grpc_frames *frames)
{
    return frames->len > 0 ? lpx_bytes_of(frames->held + frames->head, frames->len) : frames->in;
}

static void advance(grpc_frames *frames, size_t n)
{
    if (frames->len > 0) {
        frames->head += n;
        frames->len -= n;
        return;
    }
    frames->in = lpx_bytes_of(frames->in.ptr + n, frames->in.len - n);
}

lpx_err grpc_frames_next(grpc_frames *frames, grpc_frame *out, bool *got)
{
    *got = false;
    if (lpx_failed(frames->failed)) {
        return frames->failed;
    }
    lpx_reader r;
    lpx_reader_init(&r, pending(frames));
    if (lpx_reader_left(&r) < GRPC_PREFIX_BYTES) {
        return LPX_SUCCESS;
    }
    uint8_t flag = lpx_reader_u8(&r);
    uint32_t len = lpx_reader_u32be(&r);
    if (flag > 1) {
        frames->failed = lpx_err_of(GRPC_FRAME_FLAG);
        return frames->failed;
    }
    if (len > frames->max_message_bytes) {
        frames->failed = lpx_err_of(GRPC_MESSAGE_TOO_LARGE);
        return frames->failed;
    }
    frames->want = (size_t)len + GRPC_PREFIX_BYTES;
    if (lpx_reader_left(&r) < len) {
        return LPX_SUCCESS;
    }
    *out = (grpc_frame){.compressed = flag == 1, .body = lpx_reader_take(&r, len)};
    *got = true;
    advance(frames, frames->want);
    frames->want = 0;
    return LPX_SUCCESS;
}

lpx_err grpc_frames_keep(grpc_frames *frames)
{
    lpx_bytes rest = frames->in;
    frames->in = (lpx_bytes){0};
    if (frames->len == 0 && rest.len == 0 && frames->held != NULL) {
        free(frames->held);
        frames->held = NULL;
        frames->head = frames->room = 0;
    }
    return hold(frames, rest);
}

bool grpc_frames_rest(const grpc_frames *frames)
{
    return frames->len > 0 || frames->in.len > 0;
}

size_t grpc_frames_held(const grpc_frames *frames)
{
    return frames->room;
}

void grpc_prefix_make(uint8_t out[static GRPC_PREFIX_BYTES], bool compressed, size_t len)
{
    out[0] = compressed ? 1 : 0;
    out[1] = (uint8_t)(len >> 24);
    out[2] = (uint8_t)(len >> 16);
    out[3] = (uint8_t)(len >> 8);
    out[4] = (uint8_t)len;
}
