/* Limits of the LoRaWAN layer, each with its reason. */
#pragma once

enum {
    /* The length field of a LoRa or FSK frame is one byte. */
    LW_PHY_MAX_BYTES = 255,
    /* FOptsLen is four bits. */
    LW_F_OPTS_MAX_BYTES = 15,
    /* The Things Stack refuses longer tenant ids, so a longer one would be a tenant that it cannot show. */
    LW_TENANT_ID_MAX_CHARS = 36,
    /* The longest label of a host name; known cluster ids have up to 27 characters. */
    LW_CLUSTER_ID_MAX_CHARS = 63,
};
