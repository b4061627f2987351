/* Limits of identity and access management, with their reasons. */
#pragma once

enum {
    IAM_LIST_DEFAULT = 100,            /* page when a client asks for limit 0 */
    IAM_LIST_MAX = 1000,               /* consoles ask for up to 1,000 and skip what a smaller page leaves out */
    IAM_NAME_MAX_BYTES = 256,          /* names and contact fields: a line on a screen */
    IAM_URL_MAX_BYTES = 2048,          /* what browsers and proxies take */
    IAM_MAX_BLOCKS = 1024,             /* DevAddr blocks of one network or tenant: each one is a route */
    IAM_TARGET_MAX_BYTES = 64 << 10,   /* a serialised target: certificates, keys and a few hundred origins */
    IAM_MAX_REPRESENTED = 256,         /* networks that delegate to one network */
    IAM_MAX_DELEGATION_CHAIN = 64,     /* networks that delegate one after the other; longer ones count as a circle */
    IAM_MAX_PREFIXES = 1024,           /* JoinEUI prefixes of one Join Server: each one is a route */
    IAM_AUTHORITY_MAX_BYTES = 64,      /* a short name, as "ttnr" */
    IAM_SECRET_MIN_BYTES = 8,          /* of a secret that a caller chooses; ours have 48 characters */
    IAM_SECRET_MAX_BYTES = 256,        /* so that hashing one stays cheap */
    IAM_KEY_ID_RANDOM_BYTES = 10,      /* 80 bits: 16 base32 characters */
    IAM_SECRET_RANDOM_BYTES = 30,      /* 240 bits: 48 base32 characters */
    IAM_MAX_REQUESTED_KEYS = 1000,     /* keys that wait for an administrator: strangers make them */
    IAM_CERT_DAYS = 365,               /* a client certificate, unless asked for otherwise */
    IAM_MAX_CERTS = 1000,              /* of one network, or of all clusters, that have not ended; revoked ones too */
    IAM_CERT_KEPT_DAYS = 90,           /* after their end, so that people find in the list what expired */
    IAM_ANONYMOUS_PER_HOUR = 60,       /* key requests without credentials, all strangers together */
    IAM_ANONYMOUS_BURST = 20,          /* how many of them may come at once */
    IAM_FORM_MAX_BYTES = 16 << 10,     /* body of a token request: five short fields */
    IAM_FORM_MAX_FIELDS = 64,          /* fields of a form, before their names are looked at */
    IAM_HEADER_MAX_BYTES = 8 << 10,    /* Authorization or Content-Type header of a token request */
    IAM_TOKEN_ARENA_BYTES = 256 << 10, /* one token request: form, claims, token, answer */
    IAM_MAX_TOKEN_REQUESTS = 1024,     /* token requests under way; each holds an arena */
    IAM_TOKEN_S = 3600,                /* life of an access token */
    IAM_MAX_AUDIENCES = 64,            /* own names of one exchange */
    IAM_AUTHENTICATED_EVERY_S = 60,    /* "last used" is written at most once per key in this time */
    IAM_KEY_WARMUP_S = 3600,       /* a signing key is published this long before it signs: verifiers cache 10 min */
    IAM_KEY_ROTATE_S = 30 * 86400, /* a signing key is followed by a new one after this time */
    IAM_KEY_GRACE_S = 600,         /* kept longer than its last token: leeway and slow clocks of verifiers */
    IAM_MAX_SIGNING_KEYS = 16,     /* ring size: two or three in practice */
    IAM_KEYRING_EVERY_S = 600,     /* how often the ring is looked at */
    IAM_RETRY_S = 1,               /* between attempts to read keys from a store that does not answer */
    IAM_SNAPSHOT_ARENA_BYTES = 64 << 20, /* a million API keys would not fit; a hundred thousand do */
};
