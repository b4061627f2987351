#include "codec/testing/testing_types.h"

#include "everything.pb-c.h"
#include "pb_iam_v1_api.pb-c.h"
#include "pb_routing_v1_api.pb-c.h"
#include "pb_v3_api.pb-c.h"

static const ProtobufCMessageDescriptor *const list[] = {
    &lpx__test__everything__descriptor,
    &pb__v3__uplink_message__descriptor,
    &pb__v3__downlink_message__descriptor,
    &pb__v3__routed_uplink_message__descriptor,
    &pb__v3__network__descriptor,
    &pb__v3__target__descriptor,
    &pb__v3__routing_policy__descriptor,
    &pb__v3__routing_filter__descriptor,
    &google__protobuf__timestamp__descriptor,
    &google__protobuf__duration__descriptor,
    &google__protobuf__uint64_value__descriptor,
    &google__protobuf__bytes_value__descriptor,
};

enum { LIST_LEN = sizeof list / sizeof list[0] };

const ProtobufCMessageDescriptor *testing_type_find(lpx_str name)
{
    for (size_t i = 0; i < LIST_LEN; i++) {
        if (lpx_str_is(name, list[i]->name)) {
            return list[i];
        }
    }
    return NULL;
}

const ProtobufCMessageDescriptor *testing_type_pick(unsigned number)
{
    return list[number % LIST_LEN];
}
