/* What the two files of the PostgreSQL engine share. */
#pragma once
#include <libpq-fe.h>

#include "base/err.h"

/** Connect and set the session up; blocks for at most some seconds for each host of the URL.
 * @param read_write refuse servers that only follow another one
 * @param note       says why on failure; never NULL
 * @return NULL on failure */
PGconn *store_postgres_connect(const char *url, bool read_write, lpx_note *note);
/** Copy libpq's message of the connection into note, cut to one line. */
void store_postgres_explain(const PGconn *pg, lpx_note *note);

/** Channel of the change feed; the payload is the set of topics as a decimal number. */
#define STORE_POSTGRES_CHANNEL "lpx_changes"
