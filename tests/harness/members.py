"""Members of an exchange: a network or tenant with an API key, calling over TLS with tokens."""
import queue
import threading

import grpc

RIGHTS = {"READ_NETWORK": 0, "READ_ROUTING_POLICY": 4, "WRITE_ROUTING_POLICY": 7, "READ_TRAFFIC": 10, "WRITE_TRAFFIC": 11,
          "READ_REPORT": 14}
ALL_RIGHTS = sorted(RIGHTS.values())


class Admin:
    """The administrator's view."""

    def __init__(self, exchange):
        self.exchange, self.pb = exchange, exchange.pb
        self.channel = exchange.channel()
        self.metadata = exchange.admin_metadata()
        self.networks = self.pb.iam1.NetworkRegistryStub(self.channel)
        self.tenants = self.pb.iam1.TenantRegistryStub(self.channel)
        self.keys = self.pb.iam2.NetworkAPIKeyVaultStub(self.channel)

    def create_network(self, net_id, name="", blocks=(), **fields):
        network = self.pb.v3.Network(net_id=net_id, name=name or f"Network {net_id:06X}",
                                     dev_addr_blocks=[self.block(*b) for b in blocks], **fields)
        request = self.pb.iam1.CreateNetworkRequest(network=network)
        return self.networks.CreateNetwork(request, metadata=self.metadata).network

    def create_tenant(self, net_id, tenant_id, blocks=(), **fields):
        tenant = self.pb.v3.Tenant(net_id=net_id, tenant_id=tenant_id, name=f"Tenant {tenant_id}",
                                   dev_addr_blocks=[self.block(*b) for b in blocks], **fields)
        return self.tenants.CreateTenant(self.pb.iam1.CreateTenantRequest(tenant=tenant), metadata=self.metadata).tenant

    def block(self, value, length, cluster=""):
        return self.pb.v3.DevAddrBlock(prefix=self.pb.v3.DevAddrPrefix(value=value, length=length),
                                       home_network_cluster_id=cluster)

    def create_key(self, net_id, tenant_id="", cluster_id="", rights=ALL_RIGHTS):
        request = self.pb.iam2.CreateNetworkAPIKeyRequest(net_id=net_id, tenant_id=tenant_id, cluster_id=cluster_id,
                                                          rights=list(rights))
        return self.keys.CreateAPIKey(request, metadata=self.metadata).key

    def delete_key(self, key_id):
        self.keys.DeleteAPIKey(self.pb.iam2.APIKeyRequest(key_id=key_id), metadata=self.metadata)

    def member(self, net_id, tenant_id="", cluster_id="", rights=ALL_RIGHTS):
        return Member(self.exchange, self.create_key(net_id, tenant_id, cluster_id, rights), net_id, tenant_id, cluster_id)


class Member:
    """A network or tenant with a token."""

    def __init__(self, exchange, key, net_id, tenant_id, cluster_id):
        self.exchange, self.pb, self.key = exchange, exchange.pb, key
        self.net_id, self.tenant_id, self.cluster_id = net_id, tenant_id, cluster_id
        self.channel = exchange.channel()
        self.token = exchange.token(key.key_id, key.key)
        self.metadata = (("authorization", f"Bearer {self.token}"),)
        self.policies = self.pb.routing1.PolicyManagerStub(self.channel)
        self.forwarder = self.pb.routing1.ForwarderDataStub(self.channel)
        self.home = self.pb.routing1.HomeNetworkDataStub(self.channel)

    def set_default_policy(self, uplink=None, downlink=None):
        policy = self.pb.v3.RoutingPolicy(forwarder_net_id=self.net_id, forwarder_tenant_id=self.tenant_id,
                                          **self._flags(uplink, downlink))
        self.policies.SetDefaultPolicy(self.pb.routing1.SetPolicyRequest(policy=policy), metadata=self.metadata)

    def set_policy(self, home_net_id, home_tenant_id="", uplink=None, downlink=None):
        policy = self.pb.v3.RoutingPolicy(forwarder_net_id=self.net_id, forwarder_tenant_id=self.tenant_id,
                                          home_network_net_id=home_net_id, home_network_tenant_id=home_tenant_id,
                                          **self._flags(uplink, downlink))
        self.policies.SetHomeNetworkPolicy(self.pb.routing1.SetPolicyRequest(policy=policy), metadata=self.metadata)

    def _flags(self, uplink, downlink):
        """uplink from the letters JMASL, downlink from JMA; None leaves the part absent."""
        up_names = {"J": "join_request", "M": "mac_data", "A": "application_data", "S": "signal_quality", "L": "localization"}
        down_names = {"J": "join_accept", "M": "mac_data", "A": "application_data"}
        flags = {}
        if uplink is not None:
            flags["uplink"] = self.pb.v3.RoutingPolicy.Uplink(**{up_names[c]: True for c in uplink})
        if downlink is not None:
            flags["downlink"] = self.pb.v3.RoutingPolicy.Downlink(**{down_names[c]: True for c in downlink})
        return flags

    def publish_uplink(self, message, **fields):
        request = self.pb.routing1.PublishUplinkMessageRequest(
            forwarder_net_id=self.net_id, forwarder_tenant_id=self.tenant_id, forwarder_cluster_id=self.cluster_id,
            message=message, **fields)
        return self.forwarder.Publish(request, metadata=self.metadata, timeout=30).id

    def publish_downlink(self, uplink, message):
        """Answer a routed uplink."""
        request = self.pb.routing1.PublishDownlinkMessageRequest(
            home_network_net_id=self.net_id, home_network_tenant_id=self.tenant_id, home_network_cluster_id=self.cluster_id,
            forwarder_net_id=uplink.forwarder_net_id, forwarder_tenant_id=uplink.forwarder_tenant_id,
            forwarder_cluster_id=uplink.forwarder_cluster_id, message=message)
        return self.home.Publish(request, metadata=self.metadata, timeout=30).id

    def subscribe_home(self, group="", filters=(), cluster_id=None):
        request = self.pb.routing1.SubscribeHomeNetworkRequest(
            home_network_net_id=self.net_id, home_network_tenant_id=self.tenant_id,
            home_network_cluster_id=self.cluster_id if cluster_id is None else cluster_id, group=group, filters=filters)
        return Stream(self.home.Subscribe(request, metadata=self.metadata))

    def subscribe_forwarder(self, group=""):
        request = self.pb.routing1.SubscribeForwarderRequest(
            forwarder_net_id=self.net_id, forwarder_tenant_id=self.tenant_id, forwarder_cluster_id=self.cluster_id,
            group=group)
        return Stream(self.forwarder.Subscribe(request, metadata=self.metadata))


class Stream:
    """A subscription read by a thread. The server's first headers say that it is in place."""

    def __init__(self, call):
        self.call, self.messages, self.error = call, queue.Queue(), None
        self.call.initial_metadata()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for message in self.call:
                self.messages.put(message)
        except grpc.RpcError as error:
            self.error = error
        self.messages.put(None)

    def next(self, seconds=20):
        """The next message; None when the stream ended."""
        return self.messages.get(timeout=seconds)

    def drain(self):
        """What has arrived so far."""
        found = []
        while not self.messages.empty():
            found.append(self.messages.get())
        return found

    def close(self):
        self.call.cancel()
        self.thread.join(20)
