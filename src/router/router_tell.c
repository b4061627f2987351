#include "router/router_tell.h"

void router_tell_passed(const router_shard *shard, const traffic_passage *passage)
{
    for (const traffic_observer *const *o = shard->router->observers; *o != NULL; o++) {
        if ((*o)->passed != NULL) {
            (*o)->passed((*o)->ctx, shard->index, passage);
        }
    }
}

static void tell_settled(const router_shard *shard, const router_copy_about *about, bool sent, traffic_drop drop)
{
    if (*shard->router->observers == NULL) {
        return;
    }
    traffic_copy copy = {
        .time = io_loop_now(shard->loop).utc,
        .id = about->id,
        .direction = about->direction,
        .kind = about->kind,
        .forwarder = about->forwarder,
        .home = about->home,
        .sent = sent,
        .drop = drop,
    };
    for (const traffic_observer *const *o = shard->router->observers; *o != NULL; o++) {
        if ((*o)->settled != NULL) {
            (*o)->settled((*o)->ctx, shard->index, &copy);
        }
    }
}

void router_tell_sent(const router_shard *shard, const router_copy_about *about)
{
    tell_settled(shard, about, true, (traffic_drop)0);
}

void router_tell_lost(const router_shard *shard, const router_copy_about *about, traffic_drop reason)
{
    tell_settled(shard, about, false, reason);
}

void router_tell_reported(const router_shard *shard, const router_copy_about *about, const router_batch_report *report)
{
    traffic_report told = {
        .time = io_loop_now(shard->loop).utc,
        .id = about->id,
        .direction = about->direction,
        .kind = report->kind,
        .forwarder = about->forwarder,
        .home = about->home,
        .failed = report->failed,
        .error = report->error,
    };
    for (const traffic_observer *const *o = shard->router->observers; *o != NULL; o++) {
        if ((*o)->reported != NULL) {
            (*o)->reported((*o)->ctx, shard->index, &told);
        }
    }
}
