// Bare unary echo with grpc-go, without decoding: what a call costs there before anything is done with it.
// Prints "listening PORT" and serves until it is killed. Usage: echo --tls CERT KEY
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// rawCodec hands bytes through.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

// grpc-go reuses its buffer after Unmarshal: the bytes are copied, as any decoder does.
func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func echo(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	message := new([]byte)
	if err := decode(message); err != nil {
		return nil, err
	}
	return message, nil
}

var service = grpc.ServiceDesc{
	ServiceName: "echo.Echo",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Unary", Handler: echo}},
}

func serve(certFile, keyFile string) error {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)), grpc.ForceServerCodec(rawCodec{}))
	server.RegisterService(&service, nil)
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func main() {
	if len(os.Args) != 4 || os.Args[1] != "--tls" {
		fmt.Fprintln(os.Stderr, "usage: echo --tls CERT KEY")
		os.Exit(2)
	}
	if err := serve(os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}
