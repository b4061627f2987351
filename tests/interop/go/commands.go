package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	iamv1 "lpx.test/api/iam/v1"
	iamv2 "lpx.test/api/iam/v2"
	routingv1 "lpx.test/api/routing/v1"
	v3 "lpx.test/api/v3"
)

type values struct{ decoder *json.Decoder }

func newValues(all []byte) values { return values{json.NewDecoder(bytes.NewReader(all))} }

func (v values) next() ([]byte, error) {
	var raw json.RawMessage
	err := v.decoder.Decode(&raw)
	return raw, err
}

// timed is the context of a unary call: one that hangs must fail the scenario, not stop it.
func timed() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	time.AfterFunc(31*time.Second, cancel) // the process ends long before
	return ctx
}

func parseBlocks(text string) (blocks []*v3.DevAddrBlock) {
	if text == "" {
		return nil
	}
	for _, item := range strings.Split(text, ",") {
		prefix, cluster, _ := strings.Cut(item, "=")
		value, length, ok := strings.Cut(prefix, "/")
		if !ok {
			check(fmt.Errorf("%q is no block", item))
		}
		v, err := strconv.ParseUint(value, 16, 32)
		check(err)
		l, err := strconv.ParseUint(length, 10, 32)
		check(err)
		blocks = append(blocks, &v3.DevAddrBlock{
			Prefix: &v3.DevAddrPrefix{Value: uint32(v), Length: uint32(l)}, HomeNetworkClusterId: cluster,
		})
	}
	return blocks
}

func parseRights(text string) (rights []v3.Right) {
	for _, name := range strings.Split(text, ",") {
		if name == "" {
			continue
		}
		n, ok := v3.Right_value[name]
		if !ok {
			check(fmt.Errorf("%q is no right", name))
		}
		rights = append(rights, v3.Right(n))
	}
	return rights
}

func printKey(key *v3.NetworkAPIKey) {
	fmt.Printf("API Key ID:   %s\nSecret Key:   %s\nState:   %s\n", key.KeyId, key.Key, key.State)
}

const initRights = "READ_NETWORK,READ_JOIN_SERVER,READ_ROUTING_POLICY,WRITE_ROUTING_POLICY,READ_GATEWAY_VISIBILITY," +
	"WRITE_GATEWAY_VISIBILITY,READ_TRAFFIC,WRITE_TRAFFIC,READ_REPORT"

var commands = map[string]func(*options){
	"pbadmin network list": func(o *options) {
		client := iamv1.NewNetworkRegistryClient(o.dial(o.iam))
		for offset := uint32(0); ; {
			page, err := client.ListNetworks(timed(), &iamv1.ListNetworksRequest{Offset: offset})
			check(err)
			for _, n := range page.Networks {
				fmt.Printf("%06X   %s   %d\n", n.NetId, n.Name, len(n.DevAddrBlocks))
			}
			offset += uint32(len(page.Networks))
			if len(page.Networks) == 0 || offset >= page.Total {
				return
			}
		}
	},
	"pbadmin network create": func(o *options) {
		network := &v3.Network{NetId: o.own.id(), Name: o.name, DevAddrBlocks: parseBlocks(o.blocks), Listed: o.listed}
		got, err := iamv1.NewNetworkRegistryClient(o.dial(o.iam)).CreateNetwork(timed(), &iamv1.CreateNetworkRequest{Network: network})
		check(err)
		fmt.Printf("NetID:   %06X\nName:   %s\n", got.Network.NetId, got.Network.Name)
	},
	"pbadmin network get": func(o *options) {
		got, err := iamv1.NewNetworkRegistryClient(o.dial(o.iam)).GetNetwork(timed(), &iamv1.NetworkRequest{NetId: o.own.id()})
		check(err)
		fmt.Printf("NetID:   %06X\nName:   %s\n", got.Network.NetId, got.Network.Name)
	},
	"pbadmin network update": func(o *options) {
		_, err := iamv1.NewNetworkRegistryClient(o.dial(o.iam)).UpdateNetwork(timed(), &iamv1.UpdateNetworkRequest{
			NetId: o.own.id(), Name: wrapperspb.String(o.name),
		})
		check(err)
	},
	"pbadmin network delete": func(o *options) {
		_, err := iamv1.NewNetworkRegistryClient(o.dial(o.iam)).DeleteNetwork(timed(), &iamv1.NetworkRequest{NetId: o.own.id()})
		check(err)
	},
	"pbadmin network init": func(o *options) {
		key, err := iamv2.NewNetworkAPIKeyVaultClient(o.dial(o.iam)).CreateAPIKey(timed(), &iamv2.CreateNetworkAPIKeyRequest{
			NetId: o.own.id(), TenantId: o.own.tenant, ClusterId: o.own.cluster, Rights: parseRights(initRights),
		})
		check(err)
		text := fmt.Sprintf("client-id: %s\nclient-secret: %s\n", key.Key.KeyId, key.Key.Key)
		check(os.WriteFile(".pb.yaml", []byte(text), 0o600))
		fmt.Printf("API Key ID:   %s\nAPI Secret Key:   %s\nAPI Key State:   %s\n", key.Key.KeyId, key.Key.Key, key.Key.State)
	},
	"pbadmin network tenant create": func(o *options) {
		tenant := &v3.Tenant{NetId: o.own.id(), TenantId: o.own.tenant, Name: o.name, DevAddrBlocks: parseBlocks(o.blocks)}
		got, err := iamv1.NewTenantRegistryClient(o.dial(o.iam)).CreateTenant(timed(), &iamv1.CreateTenantRequest{Tenant: tenant})
		check(err)
		fmt.Printf("NetID:   %06X\nTenant ID:   %s\n", got.Tenant.NetId, got.Tenant.TenantId)
	},
	"pbadmin network tenant list": func(o *options) {
		got, err := iamv1.NewTenantRegistryClient(o.dial(o.iam)).ListTenants(timed(), &iamv1.ListTenantsRequest{NetId: o.own.id()})
		check(err)
		for _, t := range got.Tenants {
			fmt.Printf("%06X   %s   %s\n", t.NetId, t.TenantId, t.Name)
		}
	},
	"pbadmin network apikey create": func(o *options) {
		key, err := iamv2.NewNetworkAPIKeyVaultClient(o.dial(o.iam)).CreateAPIKey(timed(), &iamv2.CreateNetworkAPIKeyRequest{
			NetId: o.own.id(), TenantId: o.own.tenant, ClusterId: o.own.cluster, Rights: parseRights(o.rights),
		})
		check(err)
		printKey(key.Key)
	},
	"pbadmin network apikey list": func(o *options) {
		got, err := iamv2.NewNetworkAPIKeyVaultClient(o.dial(o.iam)).ListAPIKeys(timed(), &iamv2.ListNetworkAPIKeysRequest{
			NetId: wrapperspb.UInt32(o.own.id()),
		})
		check(err)
		for _, k := range got.Keys {
			fmt.Printf("%s   %06X   %s   %s\n", k.KeyId, k.NetId, k.TenantId, k.State)
		}
	},
	"pbadmin network apikey update-state": func(o *options) {
		_, err := iamv2.NewNetworkAPIKeyVaultClient(o.dial(o.iam)).UpdateAPIKeyState(timed(), &iamv2.UpdateAPIKeyStateRequest{
			KeyId: o.keyID, State: v3.APIKeyState(v3.APIKeyState_value[o.state]),
		})
		check(err)
	},
	"pbadmin network apikey delete": func(o *options) {
		_, err := iamv2.NewNetworkAPIKeyVaultClient(o.dial(o.iam)).DeleteAPIKey(timed(), &iamv2.APIKeyRequest{KeyId: o.keyID})
		check(err)
	},
	"pbctl policy set":      func(o *options) { setPolicy(o, false) },
	"pbctl policy delete":   func(o *options) { setPolicy(o, true) },
	"pbctl policy get":      getPolicy,
	"pbctl policy list":     listPolicies,
	"pbctl policy networks": listNetworks,
	"pbpub":                 publish,
	"pbsub":                 subscribe,
}

func printPolicy(p *v3.RoutingPolicy) {
	letters := ""
	for _, flag := range []struct {
		set    bool
		letter string
	}{
		{p.Uplink.GetJoinRequest(), "J"}, {p.Uplink.GetMacData(), "M"}, {p.Uplink.GetApplicationData(), "A"},
		{p.Uplink.GetSignalQuality(), "S"}, {p.Uplink.GetLocalization(), "L"}, {true, " "},
		{p.Downlink.GetJoinAccept(), "J"}, {p.Downlink.GetMacData(), "M"}, {p.Downlink.GetApplicationData(), "A"},
	} {
		if flag.set {
			letters += flag.letter
		}
	}
	fmt.Printf("%06X %s -> %06X %s: %s\n", p.ForwarderNetId, p.ForwarderTenantId, p.HomeNetworkNetId, p.HomeNetworkTenantId, letters)
}

// dialControl dials all three addresses as pbctl does, whatever the command.
func dialControl(o *options) routingv1.PolicyManagerClient {
	o.dial(o.iam)
	o.dial(o.reports)
	return routingv1.NewPolicyManagerClient(o.dial(o.control))
}

func setPolicy(o *options, remove bool) {
	policy := &v3.RoutingPolicy{
		ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant,
		HomeNetworkNetId: o.home.id(), HomeNetworkTenantId: o.home.tenant,
	}
	if !remove {
		up := func(letter string) bool { return strings.Contains(o.uplink, letter) }
		down := func(letter string) bool { return strings.Contains(o.downlink, letter) }
		policy.Uplink = &v3.RoutingPolicy_Uplink{
			JoinRequest: up("J"), MacData: up("M"), ApplicationData: up("A"), SignalQuality: up("S"), Localization: up("L"),
		}
		policy.Downlink = &v3.RoutingPolicy_Downlink{JoinAccept: down("J"), MacData: down("M"), ApplicationData: down("A")}
	}
	client, err := dialControl(o), error(nil)
	if o.defaults {
		_, err = client.SetDefaultPolicy(timed(), &routingv1.SetPolicyRequest{Policy: policy})
	} else {
		_, err = client.SetHomeNetworkPolicy(timed(), &routingv1.SetPolicyRequest{Policy: policy})
	}
	check(err)
	if !remove {
		printPolicy(policy)
	}
}

func getPolicy(o *options) {
	client := dialControl(o)
	var got *routingv1.GetPolicyResponse
	var err error
	if o.defaults {
		got, err = client.GetDefaultPolicy(timed(), &routingv1.GetDefaultPolicyRequest{
			ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant,
		})
	} else {
		got, err = client.GetHomeNetworkPolicy(timed(), &routingv1.GetHomeNetworkPolicyRequest{
			ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant,
			HomeNetworkNetId: o.home.id(), HomeNetworkTenantId: o.home.tenant,
		})
	}
	check(err)
	printPolicy(got.Policy)
}

func listPolicies(o *options) {
	client := dialControl(o)
	if o.home.net != "" {
		for offset := uint32(0); ; {
			page, err := client.ListEffectivePolicies(timed(), &routingv1.ListEffectivePoliciesRequest{
				HomeNetworkNetId: o.home.id(), HomeNetworkTenantId: o.home.tenant, Offset: offset,
			})
			check(err)
			for _, p := range page.Policies {
				printPolicy(p)
			}
			offset += uint32(len(page.Policies))
			if len(page.Policies) == 0 || offset >= page.Total {
				return
			}
		}
	}
	var since *timestamppb.Timestamp
	for {
		var page interface{ GetPolicies() []*v3.RoutingPolicy }
		var err error
		if o.defaults {
			page, err = client.ListDefaultPolicies(timed(), &routingv1.ListDefaultPoliciesRequest{UpdatedSince: since})
		} else {
			page, err = client.ListHomeNetworkPolicies(timed(), &routingv1.ListHomeNetworkPoliciesRequest{
				ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant, UpdatedSince: since,
			})
		}
		check(err)
		policies := page.GetPolicies()
		if len(policies) == 0 {
			return
		}
		for _, p := range policies {
			printPolicy(p)
		}
		since = policies[len(policies)-1].UpdatedAt
	}
}

func listNetworks(o *options) {
	got, err := dialControl(o).ListNetworksWithPolicy(timed(), &routingv1.ListNetworksWithPolicyRequest{
		NetId: o.own.id(), TenantId: o.own.tenant,
	})
	check(err)
	for _, n := range got.Networks {
		switch v := n.Value.(type) {
		case *v3.NetworkOrTenant_Network:
			fmt.Printf("%06X   -\n", v.Network.NetId)
		case *v3.NetworkOrTenant_Tenant:
			fmt.Printf("%06X   %s\n", v.Tenant.NetId, v.Tenant.TenantId)
		default:
			check(errors.New("neither network nor tenant"))
		}
	}
}

// publish acts as a home network when one is given, else as a forwarder.
func publish(o *options) {
	conn := o.dial(o.router)
	forwarder, home := routingv1.NewForwarderDataClient(conn), routingv1.NewHomeNetworkDataClient(conn)
	asHome, states := o.home.net != "", o.messageType == "message-delivery-state"
	told := func(id string, err error) {
		check(err)
		fmt.Fprintln(os.Stderr, "Published message", id)
	}
	switch {
	case asHome && states:
		readEach(func() proto.Message { return &v3.UplinkMessageDeliveryStateChange{} }, func(m proto.Message) {
			_, err := home.ReportUplinkMessageDeliveryState(timed(), &routingv1.UplinkMessageDeliveryStateChangeRequest{
				StateChange: m.(*v3.UplinkMessageDeliveryStateChange),
			})
			told("report", err)
		})
	case states:
		readEach(func() proto.Message { return &v3.DownlinkMessageDeliveryStateChange{} }, func(m proto.Message) {
			_, err := forwarder.ReportDownlinkMessageDeliveryState(timed(), &routingv1.DownlinkMessageDeliveryStateChangeRequest{
				StateChange: m.(*v3.DownlinkMessageDeliveryStateChange),
			})
			told("report", err)
		})
	case asHome:
		readEach(func() proto.Message { return &v3.DownlinkMessage{} }, func(m proto.Message) {
			got, err := home.Publish(timed(), &routingv1.PublishDownlinkMessageRequest{
				HomeNetworkNetId: o.home.id(), HomeNetworkTenantId: o.home.tenant, HomeNetworkClusterId: o.home.cluster,
				ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant, ForwarderClusterId: o.forwarder.cluster,
				Message: m.(*v3.DownlinkMessage),
			})
			told(got.GetId(), err)
		})
	default:
		readEach(func() proto.Message { return &v3.UplinkMessage{} }, func(m proto.Message) {
			got, err := forwarder.Publish(timed(), &routingv1.PublishUplinkMessageRequest{
				ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant, ForwarderClusterId: o.forwarder.cluster,
				Message: m.(*v3.UplinkMessage),
			})
			told(got.GetId(), err)
		})
	}
}

// subscribe acts as a forwarder when one is given, else as a home network.
func subscribe(o *options) {
	conn := o.dial(o.router)
	ctx := context.Background()
	var receive func() (proto.Message, error)
	if o.forwarder.net != "" {
		stream, err := routingv1.NewForwarderDataClient(conn).Subscribe(ctx, &routingv1.SubscribeForwarderRequest{
			ForwarderNetId: o.forwarder.id(), ForwarderTenantId: o.forwarder.tenant, ForwarderClusterId: o.forwarder.cluster,
			Group: o.group,
		})
		check(err)
		receive = func() (proto.Message, error) { return stream.Recv() }
	} else {
		stream, err := routingv1.NewHomeNetworkDataClient(conn).Subscribe(ctx, &routingv1.SubscribeHomeNetworkRequest{
			HomeNetworkNetId: o.home.id(), HomeNetworkTenantId: o.home.tenant, HomeNetworkClusterId: o.home.cluster,
			Group: o.group, Filters: subscribeFilters(),
		})
		check(err)
		receive = func() (proto.Message, error) { return stream.Recv() }
	}
	for {
		m, err := receive()
		if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled {
			return
		}
		check(err)
		show(m)
	}
}

// subscribeFilters are those of pbsub.
func subscribeFilters() []*v3.RoutingFilter {
	return []*v3.RoutingFilter{
		{Message: &v3.RoutingFilter_Mac{Mac: &v3.RoutingFilter_MACPayload{}}},
		{Message: &v3.RoutingFilter_JoinRequest_{JoinRequest: &v3.RoutingFilter_JoinRequest{
			EuiPrefixes: []*v3.RoutingFilter_JoinRequest_EUIPrefixes{{}},
		}}},
	}
}
