package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "lpx.test/api/lpx/iam/v1"
	_ "lpx.test/api/lpx/routing/v1"
	_ "lpx.test/api/lpx/trace/v1"
	_ "lpx.test/api/mapping/v2"
	_ "lpx.test/api/reporting/v1"
	_ "lpx.test/api/routing/v2"
)

func init() { commands["call"] = call }

// message makes an empty message of the generated type.
func message(descriptor protoreflect.MessageDescriptor) protoreflect.ProtoMessage {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	check(err)
	return kind.New().Interface()
}

// call makes one unary call: the method is --name, as package.Service/Method, the request standard input as protojson.
func call(o *options) {
	service, method, _ := strings.Cut(o.name, "/")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	check(err)
	descriptor := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(method))
	if descriptor == nil {
		check(fmt.Errorf("%s has no method %q", service, method))
	}
	input, output := message(descriptor.Input()), message(descriptor.Output())
	text, err := io.ReadAll(os.Stdin)
	check(err)
	check(protojson.Unmarshal(text, input))
	check(o.dial(o.iam).Invoke(timed(), "/"+o.name, input, output))
	show(output)
}
