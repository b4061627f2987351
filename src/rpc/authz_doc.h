/* The table of rpc/authz.c for people: docs/authorisation.md. Pure. Level 5. */
#pragma once
#include "base/buf.h"

/** Append the whole document. */
void rpc_authz_document(lpx_buf *out);
