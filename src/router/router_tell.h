/* What observers are told. Level 6. Thread: the shard's loop. */
#pragma once
#include "router/router_priv.h"

/** One message is through. */
void router_tell_passed(const router_shard *shard, const traffic_passage *passage);
/** A copy was sent. */
void router_tell_sent(const router_shard *shard, const router_copy_about *about);
/** A copy was lost. */
void router_tell_lost(const router_shard *shard, const router_copy_about *about, traffic_drop reason);
/** A report counts. */
void router_tell_reported(const router_shard *shard, const router_copy_about *about, const router_batch_report *report);
