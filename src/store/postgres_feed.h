/* The change feed of PostgreSQL: a session that listens, on a thread of its own. */
#pragma once
#include "store/store_priv.h"

/** Begin to listen; what is committed after this returns is told. */
LPX_RESULT store_postgres_feed_start(store *store, lpx_note *note);
/** Stop, and wait for the thread. */
void store_postgres_feed_stop(store *store);
