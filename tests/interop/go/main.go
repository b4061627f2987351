// Command members is an exchange's client by other people's libraries: grpc-go, golang.org/x/oauth2 and Go's protojson, used the way
// the Packet Broker clients use them. Called as pbadmin, pbctl, pbpub or pbsub it takes the words and flags of that
// program which the interop scenario needs, so that the scenario runs the same with the real ones.
package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/oauth"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// options are the flags of all four programs; each uses some.
type options struct {
	set                                                  *flag.FlagSet
	iam, control, reports, router, tokenURL              string
	user, password, clientID, clientSecret               string
	forwarder, home, own                                 endpoint
	name, blocks, rights, keyID, state, uplink, downlink string
	group, messageType                                   string
	defaults, listed                                     bool
}

type endpoint struct{ net, tenant, cluster string }

func (e *endpoint) flags(set *flag.FlagSet, prefix string) {
	set.StringVar(&e.net, prefix+"net-id", "", "")
	set.StringVar(&e.tenant, prefix+"tenant-id", "", "")
	set.StringVar(&e.cluster, prefix+"cluster-id", "", "")
}

func (e endpoint) id() uint32 {
	n, err := strconv.ParseUint(e.net, 16, 24)
	if err != nil {
		return 0
	}
	return uint32(n)
}

func env(name, def string) string {
	if v := os.Getenv("PB_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))); v != "" {
		return v
	}
	return def
}

func newOptions(name string) *options {
	o := &options{set: flag.NewFlagSet(name, flag.ExitOnError)}
	text := func(p *string, name, def string) { o.set.StringVar(p, name, env(name, def), "") }
	text(&o.iam, "iam-address", "iam.packetbroker.net:443")
	text(&o.control, "controlplane-address", "cp.packetbroker.net:443")
	text(&o.reports, "reports-address", "reports.packetbroker.net:443")
	text(&o.router, "router-address", "")
	text(&o.tokenURL, "token-url", "https://iam.packetbroker.net/token")
	text(&o.user, "iam-username", "")
	text(&o.password, "iam-password", "")
	text(&o.clientID, "client-id", "")
	text(&o.clientSecret, "client-secret", "")
	text(&o.name, "name", "")
	text(&o.blocks, "dev-addr-blocks", "")
	text(&o.rights, "rights", "")
	text(&o.keyID, "key-id", "")
	text(&o.state, "state", "")
	text(&o.uplink, "set-uplink", "")
	text(&o.downlink, "set-downlink", "")
	text(&o.group, "group", "")
	text(&o.messageType, "message-type", "message")
	o.set.BoolVar(&o.defaults, "defaults", false, "")
	o.set.BoolVar(&o.listed, "listed", false, "")
	o.own.flags(o.set, "")
	o.forwarder.flags(o.set, "forwarder-")
	o.home.flags(o.set, "home-network-")
	return o
}

type basicAuth string

func (b basicAuth) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(b))}, nil
}

func (basicAuth) RequireTransportSecurity() bool { return true }

// dial connects as the clients do: system roots, blocking, credentials per call: Basic, else OAuth 2.0, else none.
func (o *options) dial(address string) *grpc.ClientConn {
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{})),
		grpc.WithBlock(), grpc.FailOnNonTempDialError(true),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute}),
	}
	switch {
	case o.user != "" && o.password != "":
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(basicAuth(o.user+":"+o.password)))
	case o.clientID != "" && o.clientSecret != "":
		host, _, err := net.SplitHostPort(address)
		check(err)
		config := clientcredentials.Config{
			ClientID: o.clientID, ClientSecret: o.clientSecret, TokenURL: o.tokenURL,
			Scopes: []string{"networks"}, AuthStyle: oauth2.AuthStyleInParams,
			EndpointParams: map[string][]string{"audience": {host}},
		}
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(oauth.TokenSource{TokenSource: config.TokenSource(context.Background())}))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := grpc.DialContext(ctx, address, dialOptions...)
	check(err)
	return conn
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func show(m proto.Message) {
	text, err := protojson.MarshalOptions{Multiline: true, Indent: "  ", EmitUnpopulated: true}.Marshal(m)
	check(err)
	_, err = os.Stdout.Write(text)
	check(err)
}

// readEach decodes the stream of JSON values on standard input, strictly.
func readEach(fresh func() proto.Message, each func(proto.Message)) {
	all, err := io.ReadAll(os.Stdin)
	check(err)
	for values := newValues(all); ; {
		value, err := values.next()
		if errors.Is(err, io.EOF) {
			return
		}
		check(err)
		m := fresh()
		check(protojson.Unmarshal(value, m))
		each(m)
	}
}

func main() {
	name := filepath.Base(os.Args[0])
	var words []string
	rest := os.Args[1:]
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		words, rest = append(words, rest[0]), rest[1:]
	}
	o := newOptions(name)
	check(o.set.Parse(rest))
	command := strings.Join(words, " ")
	run, ok := commands[name+" "+command]
	if !ok {
		run, ok = commands[name]
	}
	if !ok {
		check(fmt.Errorf("%s has no command %q here", name, command))
	}
	run(o)
}
