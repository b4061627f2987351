/* Messages that tests and fuzz targets of the codecs work on, by name. Level 1. */
#pragma once
#include <protobuf-c/protobuf-c.h>

#include "base/bytes.h"

/** Descriptor by full name ("org.packetbroker.v3.UplinkMessage"); NULL when it is not in the list. */
const ProtobufCMessageDescriptor *testing_type_find(lpx_str name);
/** Descriptor by number, for fuzz targets: any number gives one. */
const ProtobufCMessageDescriptor *testing_type_pick(unsigned number);
