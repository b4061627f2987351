/* Limits of the crypto module, each with its reason. */
#pragma once

enum {
    /* Argon2id: the first choice that RFC 9106 and OWASP give for machines that serve others too; 19 MiB leave the
     * resident size of an idle exchange alone, because they are mapped for the call only. */
    CRYPTO_ARGON2_MEMORY_KIB = 19 * 1024,
    CRYPTO_ARGON2_PASSES = 2,
    CRYPTO_ARGON2_LANES = 1,
    CRYPTO_ARGON2_SALT_BYTES = 16,
    CRYPTO_ARGON2_HASH_BYTES = 32,
    /* What a stored string may ask for: four times our own, so that settings can be raised later and a forged row still
     * cannot take the machine. */
    CRYPTO_ARGON2_MAX_MEMORY_KIB = 4 * CRYPTO_ARGON2_MEMORY_KIB,
    CRYPTO_ARGON2_MAX_PASSES = 8,
    CRYPTO_ARGON2_MAX_LANES = 4,
    CRYPTO_ARGON2_MAX_PART_BYTES = 64, /* salt or hash */

    /* A PEM file with a certificate and its chain is a few KiB. */
    CRYPTO_PEM_MAX_BYTES = 256 * 1024,
    /* One certificate or signing request from outside; with RSA-8192 and many names it is below 8 KiB. */
    CRYPTO_PEM_TEXT_MAX_BYTES = 32 * 1024,
    /* RSA keys of clients: below is too weak, above costs the server too much per handshake. */
    CRYPTO_RSA_MIN_BITS = 2048,
    CRYPTO_RSA_MAX_BITS = 8192,
    /* Longest path that a certificate file may have, temporary ending included. */
    CRYPTO_PATH_MAX_BYTES = 4096,
    /* RFC 5280 ub-common-name. */
    CRYPTO_COMMON_NAME_MAX_CHARS = 64,
    /* Longest DNS name (RFC 1035). */
    CRYPTO_DNS_NAME_MAX_CHARS = 253,
    CRYPTO_DNS_LABEL_MAX_CHARS = 63,
};
