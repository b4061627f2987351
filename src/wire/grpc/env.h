/* What the calls of one server or client share: clock, timers, work for later in the turn, compressor, memory count.
 * Without a loop (tests) whoever drives it sets the time and runs it. Level 4. Thread: owner loop. */
#pragma once
#include "base/list.h"
#include "io/loop.h"
#include "wire/grpc/due.h"
#include "wire/grpc/gzip.h"

/** Work for a little later, when nobody is in the middle of something; lives inside its owner. */
typedef struct grpc_later {
    lpx_list node; /* all zero: not posted */
    void (*run)(struct grpc_later *later);
} grpc_later;

typedef struct grpc_env {
    io_loop *loop; /* NULL: driven by hand */
    lpx_mono now;  /* without a loop */
    grpc_due due;
    lpx_list later;
    grpc_gzip *gzip;
    size_t held_bytes; /* received and not yet handed out, by all calls */
    io_hook hook;
    io_timer timer;
    int64_t armed_us; /* when the loop's timer fires */
    bool *ended;      /* set by grpc_env_fini while grpc_env_run is at work */
} grpc_env;

/** Begin. @err GRPC_NO_MEMORY */
LPX_RESULT grpc_env_init(grpc_env *env, io_loop *loop);
/** Let go of the loop: nothing runs any more. What is posted or set stays so. */
void grpc_env_detach(grpc_env *env);
/** End; nothing may be posted or set any more. */
void grpc_env_fini(grpc_env *env);
/** Time of this turn. */
lpx_mono grpc_env_now(const grpc_env *env);
/** Do it at the end of this turn; harmless when it is posted already. */
void grpc_env_post(grpc_env *env, grpc_later *later, void (*run)(grpc_later *later));
/** Do not do it. */
void grpc_env_unpost(grpc_later *later);
/** Set a timer. @return false when out of memory */
bool grpc_env_arm(grpc_env *env, grpc_due_node *node, lpx_mono at, void (*fire)(grpc_due_node *node));
/** Clear a timer. */
void grpc_env_disarm(grpc_env *env, grpc_due_node *node);
/** Do what is posted and what is due; what is posted or set meanwhile waits for the next time.
 * @return false: the environment was ended by what it did */
bool grpc_env_run(grpc_env *env);
