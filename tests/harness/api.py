"""Every rpc of api/, from its descriptors alone: what tests walk that must not miss a method."""
import functools
import pathlib
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class Method:
    def __init__(self, api, service, descriptor):
        self.service, self.name = service, descriptor.name
        self.path = f"/{service}/{descriptor.name}"
        self.request, self.response = (api.message_class(d) for d in (descriptor.input_type, descriptor.output_type))
        self.client_streaming, self.server_streaming = descriptor.client_streaming, descriptor.server_streaming
        self.unary = not (self.client_streaming or self.server_streaming)

    def call(self, channel, request=None, metadata=(), timeout=20):
        """Call it with one request. @return the answer of a unary method, an iterator over those of a stream"""
        request = request if request is not None else self.request()
        serialise, parse = self.request.SerializeToString, self.response.FromString
        if self.unary:
            return channel.unary_unary(self.path, serialise, parse)(request, metadata=metadata, timeout=timeout)
        if self.client_streaming:
            return channel.stream_stream(self.path, serialise, parse)(iter([request]), metadata=metadata, timeout=timeout)
        return channel.unary_stream(self.path, serialise, parse)(request, metadata=metadata, timeout=timeout)


class Api:
    """All files of api/ in a pool of their own."""

    def __init__(self):
        protos = sorted(str(p.relative_to(ROOT / "api")) for p in (ROOT / "api").rglob("*.proto"))
        with tempfile.NamedTemporaryFile() as out:
            subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'api'}", "--include_imports",
                            f"--descriptor_set_out={out.name}", *protos], check=True)
            self.files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes()).file
        self.pool = descriptor_pool.DescriptorPool()
        for file in self.files:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)
        self.methods = {}
        for file in self.files:
            for service in file.service:
                name = f"{file.package}.{service.name}"
                for method in service.method:
                    found = Method(self, name, method)
                    self.methods[found.path] = found

    def message_class(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name.lstrip(".")))

    @property
    def services(self):
        return sorted({method.service for method in self.methods.values()})


@functools.lru_cache(maxsize=1)
def load_api():
    return Api()
