/* Messages of LoRaWAN Backend Interfaces (TS002-1.0 and 1.1): header and bodies, as JSON text. Reading is tolerant: hex
 * with or without 0x in either case, null for what may be absent, unknown members, whole numbers written as floats,
 * both spellings of what has two. Writing keeps to what every known peer of that version takes: no null, no prefix,
 * plain ASCII. Level 4; pure. Thread: any.
 *
 * A message is read in two steps: ts002_message_read takes the header, so that a server knows whom and how to answer
 * when the body is wrong; the reader of its type takes the body. */
#pragma once
#include "codec/json/json.h"
#include "lorawan/ids.h"

typedef enum ts002_version {
    TS002_1_0,
    TS002_1_1,
    TS002_VERSION_OTHER, /* read only: answered with InvalidProtocolVersion */
} ts002_version;

/** Type of a message; an answer follows its request. */
typedef enum ts002_type {
    TS002_HOME_NS_REQ,
    TS002_HOME_NS_ANS,
    TS002_TYPE_OTHER, /* read only: a type that this program does not serve, or none at all */
} ts002_type;

/** What came of a request. */
typedef enum ts002_result {
    TS002_SUCCESS,
    TS002_NO_ACTION, /* 1.1 */
    TS002_MIC_FAILED,
    TS002_FRAME_REPLAYED, /* 1.1 */
    TS002_JOIN_REQ_FAILED,
    TS002_NO_ROAMING_AGREEMENT,
    TS002_DEV_ROAMING_DISALLOWED,
    TS002_ROAMING_ACT_DISALLOWED,
    TS002_ACTIVATION_DISALLOWED,
    TS002_UNKNOWN_DEV_EUI,
    TS002_UNKNOWN_DEV_ADDR,
    TS002_UNKNOWN_SENDER,
    TS002_UNKNOWN_RECEIVER, /* 1.0 writes "UnkownReceiver" */
    TS002_DEFERRED,
    TS002_XMIT_FAILED,
    TS002_INVALID_F_PORT,
    TS002_INVALID_PROTOCOL_VERSION,
    TS002_STALE_DEVICE_PROFILE,
    TS002_MALFORMED_MESSAGE, /* 1.0 writes "MalformedRequest" */
    TS002_FRAME_SIZE_ERROR,
    TS002_OTHER, /* also: a code that is not known */
    TS002_RESULTS,
} ts002_result;

/** Code as a peer of this version reads it; static. What the version does not have is "Other". */
const char *ts002_result_name(ts002_result result, ts002_version version);
/** Code from its text, of either version and with known misspellings; TS002_OTHER when unknown. */
ts002_result ts002_result_of(lpx_str name);

/** Header of every message. Text is as it came, without 0x; empty when absent. */
typedef struct ts002_header {
    ts002_version version;
    ts002_type type;
    lpx_str version_text, type_text;      /* read only: as they came */
    lpx_str sender_id, receiver_id;       /* NetID (6 hex digits), JoinEUI (16) or an AS-ID (any text) */
    lpx_str sender_ns_id, receiver_ns_id; /* 16 hex digits; 1.1 only */
    uint32_t transaction_id;              /* 0 also when absent */
    lpx_str sender_token, receiver_token; /* hex */
} ts002_header;

/** A message whose header is read; views into its arena and text. */
typedef struct ts002_message {
    ts002_header header;
    const json_value *members; /* the whole object */
} ts002_message;

/** Read text as a message.
 * @param text   borrowed as long as *out is used
 * @err INVALID_ARGUMENT: TS002_MALFORMED (no JSON object, no header, longer than TS002_MESSAGE_BYTES);
 *      RESOURCE_EXHAUSTED: BASE_NO_MEMORY, JSON_TOO_DEEP */
LPX_RESULT ts002_message_read(lpx_bytes text, lpx_arena *arena, ts002_message *out, lpx_note *note);

/** Header of the answer to a request: ids, NSIDs and tokens change sides, version and transaction stay. */
ts002_header ts002_answer_header(const ts002_header *request);

/** Question to a Join Server: whose is this device? The JoinEUI is the header's receiver_id. */
typedef struct ts002_home_ns_req {
    lw_eui64 dev_eui;
} ts002_home_ns_req;

/** Answer to it. */
typedef struct ts002_home_ns_ans {
    ts002_result result;
    lpx_str description;  /* may be empty */
    lw_netid h_net_id;    /* TS002_SUCCESS only, like all below */
    lpx_str h_ns_id;      /* 16 hex digits, or empty */
    lpx_str h_tenant_id;  /* extension of The Things Stack (VendorID EC656E): as it came, or empty */
    lpx_str h_ns_address; /* the same: host, host:port or URL, or empty */
} ts002_home_ns_ans;

/** Read the body of a HomeNSReq. @err INVALID_ARGUMENT: TS002_MALFORMED */
LPX_RESULT ts002_home_ns_req_read(const ts002_message *message, ts002_home_ns_req *out, lpx_note *note);
/** Read the body of a HomeNSAns. @err INVALID_ARGUMENT: TS002_MALFORMED */
LPX_RESULT ts002_home_ns_ans_read(const ts002_message *message, ts002_home_ns_ans *out, lpx_note *note);

/** Append a HomeNSReq, whatever the header's type; failures stick to the buffer. NSIDs are written to 1.1 only. */
void ts002_home_ns_req_write(const ts002_header *header, const ts002_home_ns_req *body, lpx_buf *out);
/** Append a HomeNSAns. HNSID is written to 1.1 only, the extension when it says something. */
void ts002_home_ns_ans_write(const ts002_header *header, const ts002_home_ns_ans *body, lpx_buf *out);

/** Exactly digits hex digits (at most 16), after an optional 0x. @return false otherwise */
bool ts002_hex(lpx_str text, unsigned digits, uint64_t *out);

/** Host of an HNSAddress ("eu1.example.com:8884", "https://eu1.example.com/"), as it stands there; empty when the text
 * has none. */
lpx_str ts002_host(lpx_str address);
