/* gRPC messages in a stream of bytes: 1 byte flag, 4 bytes length, body. A message that lies whole in what was fed is
 * handed out in place; only what is left over is copied. Pure. Level 4. */
#pragma once
#include "base/bytes.h"
#include "base/err.h"

enum { GRPC_PREFIX_BYTES = 5 };

/** One message as it came. */
typedef struct grpc_frame {
    bool compressed;
    lpx_bytes body; /* valid until the next feed or keep */
} grpc_frame;

/** Reader of one direction of one call. Treat the fields as private. */
typedef struct grpc_frames {
    uint8_t *held; /* bytes not handed out yet: [head, head + len) of room */
    size_t head, len, room;
    lpx_bytes in; /* what was fed, when nothing is held */
    size_t want;  /* bytes of the message that begins here, prefix included; 0: not known yet */
    uint32_t max_message_bytes;
    lpx_err failed;
} grpc_frames;

/** Begin. */
void grpc_frames_init(grpc_frames *frames, uint32_t max_message_bytes);
/** Free what is held; may be begun again. */
void grpc_frames_fini(grpc_frames *frames);
/** Bytes came; then take messages by grpc_frames_next and end by grpc_frames_keep, before in goes away.
 * @err GRPC_NO_MEMORY */
LPX_RESULT grpc_frames_feed(grpc_frames *frames, lpx_bytes in);
/** Next whole message.
 * @param got false: there is none yet
 * @err GRPC_FRAME_FLAG, GRPC_MESSAGE_TOO_LARGE (by its prefix alone); sticks */
LPX_RESULT grpc_frames_next(grpc_frames *frames, grpc_frame *out, bool *got);
/** Copy what is left over. @err GRPC_NO_MEMORY */
LPX_RESULT grpc_frames_keep(grpc_frames *frames);
/** Are there bytes that no message was made of yet? */
bool grpc_frames_rest(const grpc_frames *frames);
/** Memory that is held. */
size_t grpc_frames_held(const grpc_frames *frames);
/** Prefix of a message of this length. */
void grpc_prefix_make(uint8_t out[static GRPC_PREFIX_BYTES], bool compressed, size_t len);
