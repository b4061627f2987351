/* Result codes: one table for both versions. */
#include "ts002/ts002_message.h"

typedef struct code_names {
    const char *v1_0, *v1_1;
    const char *also; /* read only; may be NULL */
} code_names;

static const code_names names[TS002_RESULTS] = {
    [TS002_SUCCESS] = {"Success", "Success", NULL},
    [TS002_NO_ACTION] = {"Other", "NoAction", NULL},
    [TS002_MIC_FAILED] = {"MICFailed", "MICFailed", NULL},
    [TS002_FRAME_REPLAYED] = {"Other", "FrameReplayed", NULL},
    [TS002_JOIN_REQ_FAILED] = {"JoinReqFailed", "JoinReqFailed", NULL},
    [TS002_NO_ROAMING_AGREEMENT] = {"NoRoamingAgreement", "NoRoamingAgreement", NULL},
    [TS002_DEV_ROAMING_DISALLOWED] = {"DevRoamingDisallowed", "DevRoamingDisallowed", NULL},
    [TS002_ROAMING_ACT_DISALLOWED] = {"RoamingActDisallowed", "RoamingActDisallowed", "RoamingActDisallowedA"},
    [TS002_ACTIVATION_DISALLOWED] = {"ActivationDisallowed", "ActivationDisallowed", NULL},
    [TS002_UNKNOWN_DEV_EUI] = {"UnknownDevEUI", "UnknownDevEUI", NULL},
    [TS002_UNKNOWN_DEV_ADDR] = {"UnknownDevAddr", "UnknownDevAddr", NULL},
    [TS002_UNKNOWN_SENDER] = {"UnknownSender", "UnknownSender", NULL},
    [TS002_UNKNOWN_RECEIVER] = {"UnkownReceiver", "UnknownReceiver", NULL},
    [TS002_DEFERRED] = {"Deferred", "Deferred", NULL},
    [TS002_XMIT_FAILED] = {"XmitFailed", "XmitFailed", NULL},
    [TS002_INVALID_F_PORT] = {"InvalidFPort", "InvalidFPort", NULL},
    [TS002_INVALID_PROTOCOL_VERSION] = {"InvalidProtocolVersion", "InvalidProtocolVersion", NULL},
    [TS002_STALE_DEVICE_PROFILE] = {"StaleDeviceProfile", "StaleDeviceProfile", NULL},
    [TS002_MALFORMED_MESSAGE] = {"MalformedRequest", "MalformedMessage", NULL},
    [TS002_FRAME_SIZE_ERROR] = {"FrameSizeError", "FrameSizeError", NULL},
    [TS002_OTHER] = {"Other", "Other", NULL},
};

const char *ts002_result_name(ts002_result result, ts002_version version)
{
    return version == TS002_1_1 ? names[result].v1_1 : names[result].v1_0;
}

ts002_result ts002_result_of(lpx_str name)
{
    for (unsigned i = 0; i < TS002_OTHER; i++) {
        bool v1_0 = lpx_str_is(name, names[i].v1_0) && !lpx_str_is(name, "Other");
        if (v1_0 || lpx_str_is(name, names[i].v1_1) || (names[i].also != NULL && lpx_str_is(name, names[i].also))) {
            return (ts002_result)i;
        }
    }
    return TS002_OTHER;
}
