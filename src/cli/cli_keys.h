/* What the commands about API keys share: those of networks and tenants, and those of clusters. */
#pragma once
#include "cli/cli_priv.h"

/** Help about the rights that networks can have. */
#define CLI_NETWORK_RIGHTS_TEXT                                           \
    "\nRights:\n"                                                         \
    "  READ_NETWORK              Read networks and tenants\n"             \
    "  READ_NETWORK_CONTACT      Read contacts of networks and tenants\n" \
    "  READ_JOIN_SERVER          Read Join Servers\n"                     \
    "  READ_JOIN_SERVER_CONTACT  Read contacts of Join Servers\n"         \
    "  READ_ROUTING_POLICY       Read routing policies\n"                 \
    "  WRITE_ROUTING_POLICY      Write routing policies\n"                \
    "  READ_GATEWAY_VISIBILITY   Read gateway visibilities\n"             \
    "  WRITE_GATEWAY_VISIBILITY  Write gateway visibilities\n"            \
    "  READ_TRAFFIC              Subscribe to messages\n"                 \
    "  WRITE_TRAFFIC             Publish messages\n"                      \
    "  READ_REPORT               Read reports\n"

/** With --prompt-key, a secret typed without echo; from a pipe, its first line. @param out untouched without the flag
 */
LPX_RESULT cli_key_prompt(cli *c, char **out);
/** Say that the secret cannot be had again. */
void cli_key_warn(cli *c);
/** The command update-state of a vault. @param path its method */
LPX_RESULT cli_key_update_state(cli *c, const char *path);
/** The command delete of a vault. @param path its method */
LPX_RESULT cli_key_delete(cli *c, const char *path);
