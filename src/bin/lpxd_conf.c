/* Every setting of the server, in one place: parser, checks, help and reference come from these rows. */
#include "bin/lpxd.h"

/* clang-format off */
static const conf_option general[] = {
    {.name = "data.dir", .type = CONF_STR, .arg = "DIR", .help = "data folder: database, own CA, certificates (default: /var/lib/lpx for root, else ~/.local/share/lpx)"},
    {.name = "roles", .type = CONF_LIST, .def = "iam,control,router,mapper", .min = 1, .max = 4, .words = "iam|control|router|mapper", .help = "parts of the exchange that this process runs"},
    {.name = "server.loops", .type = CONF_INT, .def = "0", .min = 0, .max = 64, .help = "event loops, one thread each; 0: one per processor, at most 4"},
    {.name = "server.drain", .type = CONF_DURATION, .def = "10s", .min = 0, .max = INT64_C(600000000), .reloadable = true, .help = "how long open calls may go on after SIGTERM"},
    {.name = "log.level", .type = CONF_WORD, .def = "info", .words = "debug|info|warn|error", .reloadable = true, .help = "least level that is logged"},
    {.name = "log.format", .type = CONF_WORD, .def = "logfmt", .words = "logfmt|json", .help = "form of a log line"},
};
static const conf_option listen[] = {
    {.name = "grpc.listen", .type = CONF_LIST, .def = "127.0.0.1:1900", .min = 0, .max = 8, .arg = "HOST:PORT", .help = "gRPC over TLS"},
    {.name = "grpc.mutual-listen", .type = CONF_LIST, .min = 0, .max = 8, .arg = "HOST:PORT", .help = "gRPC over TLS where clients must show a certificate (on grpc.listen they may)"},
    {.name = "grpc.mutual-needs-token", .type = CONF_BOOL, .def = "false", .help = "on grpc.mutual-listen want a token beside the certificate"},
    {.name = "grpc.plaintext-listen", .type = CONF_LIST, .min = 0, .max = 8, .arg = "HOST:PORT", .help = "gRPC without TLS, for local tests and sidecars"},
    {.name = "grpc.proxy-listen", .type = CONF_LIST, .min = 0, .max = 8, .arg = "HOST:PORT", .help = "gRPC without TLS behind load balancers that speak the PROXY protocol, version 2"},
    {.name = "http.listen", .type = CONF_LIST, .def = "127.0.0.1:1901", .min = 0, .max = 8, .arg = "HOST:PORT", .help = "HTTPS: /token, /.well-known/jwks.json, and every unary rpc as JSON (POST /package.Service/Method)"},
    {.name = "http.proxy-listen", .type = CONF_LIST, .min = 0, .max = 8, .arg = "HOST:PORT", .help = "what http.listen serves, without TLS behind load balancers that speak the PROXY protocol, version 2"},
    {.name = "server.proxy-from", .type = CONF_LIST, .min = 0, .max = 64, .arg = "ADDRESS", .help = "addresses or prefixes (10.0.0.0/8) of the load balancers; others are closed at once"},
    {.name = "http.cors-origins", .type = CONF_LIST, .min = 0, .max = 64, .arg = "ORIGIN", .help = "web origins whose pages may call rpcs as JSON (https://console.example.org); * for all; default: none"},
    {.name = "metrics.listen", .type = CONF_LIST, .def = "127.0.0.1:9464", .min = 0, .max = 8, .arg = "HOST:PORT", .help = "plaintext HTTP: /metrics for Prometheus, /livez, /readyz"},
    {.name = "tls.cert-file", .type = CONF_STR, .arg = "FILE", .help = "server certificate chain, PEM; default: one from the own CA"},
    {.name = "tls.key-file", .type = CONF_STR, .arg = "FILE", .help = "its private key, PEM"},
    {.name = "tls.client-own-ca", .type = CONF_BOOL, .def = "true", .help = "take client certificates of the own CA"},
    {.name = "tls.client-ca-files", .type = CONF_LIST, .min = 0, .max = 8, .arg = "FILE", .help = "PEM files of further CAs whose client certificates can be registered; read again on SIGHUP"},
    {.name = "tls.names", .type = CONF_LIST, .min = 0, .max = 16, .arg = "NAME", .help = "further names and addresses in the certificate from the own CA"},
    {.name = "grpc.max-connections", .type = CONF_INT, .def = "10000", .min = 1, .max = 1000000, .help = "gRPC connections per loop"},
};
static const conf_option storage[] = {
    {.name = "store.url", .type = CONF_STR, .arg = "URL", .secret = true, .help = "sqlite:/path/lpx.db or postgresql://user@host/db; default: lpx.db in the data folder"},
    {.name = "store.readers", .type = CONF_INT, .def = "2", .min = 1, .max = 64, .help = "threads that read from the database"},
};
static const conf_option iam[] = {
    {.name = "iam.issuer", .type = CONF_STR, .def = "https://localhost:1901", .arg = "URL", .help = "issuer in tokens; clients find /.well-known/jwks.json below it"},
    {.name = "iam.audiences", .type = CONF_LIST, .min = 0, .max = 12, .arg = "HOST", .help = "host names under which clients reach this exchange; localhost, 127.0.0.1, ::1 and the host name always count"},
    {.name = "iam.allow-private-net-ids", .type = CONF_BOOL, .def = "false", .help = "allow the NetIDs 000000 and 000001"},
    {.name = "iam.anonymous-keys-per-minute", .type = CONF_INT, .def = "10", .min = 0, .max = 100000, .help = "API keys that callers without credentials may ask for"},
};
static const conf_option routing[] = {
    {.name = "control.default-policy", .type = CONF_WORD, .def = "open", .words = "open|closed", .help = "what applies between members when no policy is set"},
    {.name = "router.loopback", .type = CONF_BOOL, .def = "false", .help = "route a network's own traffic back to it"},
    {.name = "router.name", .type = CONF_STR, .arg = "NAME", .help = "of this exchange in the hops of messages; exchanges that hand over to each other need different ones (default: the host name)"},
    {.name = "router.peers-file", .type = CONF_STR, .arg = "FILE", .help = "YAML file that names other exchanges, what they get and for whom they may speak"},
    {.name = "router.max-uplink", .type = CONF_SIZE, .def = "1MiB", .min = 4096, .max = INT64_C(16777216), .help = "largest message that is taken; gRPC clients refuse more than 4 MiB unless told otherwise"},
    {.name = "router.queue-messages", .type = CONF_INT, .def = "4096", .min = 1, .max = 1000000, .help = "messages that wait for one slow subscriber; then the oldest goes"},
    {.name = "router.queue-bytes", .type = CONF_SIZE, .def = "8MiB", .min = 65536, .max = INT64_C(1073741824), .help = "bytes that wait for one slow subscriber"},
    {.name = "router.queue-age", .type = CONF_DURATION, .def = "30s", .min = 100000, .max = INT64_C(3600000000), .help = "how long a message waits for a slow subscriber"},
    {.name = "router.rate-network", .type = CONF_INT, .def = "0", .min = 0, .max = 1000000, .help = "messages a second that a network may publish together with its tenants; 0: no limit"},
    {.name = "router.rate-tenant", .type = CONF_INT, .def = "0", .min = 0, .max = 1000000, .help = "messages a second that a tenant may publish; 0: no limit"},
    {.name = "router.rate-key", .type = CONF_INT, .def = "0", .min = 0, .max = 1000000, .help = "messages a second that may be published with one API key or certificate; 0: no limit"},
    {.name = "router.rate-gateway", .type = CONF_INT, .def = "0", .min = 0, .max = 1000000, .help = "uplinks a second that may be published of one gateway; 0: no limit"},
    {.name = "router.rate-burst", .type = CONF_DURATION, .def = "2s", .min = 0, .max = INT64_C(3600000000), .help = "for how long messages that were not published are saved up"},
    {.name = "trace.messages", .type = CONF_INT, .def = "20000", .min = 0, .max = 100000000, .help = "messages whose way is remembered for lpx trace, 768 bytes each; 0: none"},
    {.name = "trace.age", .type = CONF_DURATION, .def = "15m", .min = 1000000, .max = INT64_C(86400000000), .help = "how long the way of a message can be asked for"},
    {.name = "router.sender-net-id", .type = CONF_STR, .def = "000000", .arg = "NETID", .help = "who asks Join Servers, where neither a token nor credentials of the forwarder's network say so"},
    {.name = "router.sender-ns-id", .type = CONF_STR, .arg = "EUI64", .help = "NSID of this exchange; Join Servers that speak Backend Interfaces 1.1 are not asked without"},
    {.name = "router.lookup-timeout", .type = CONF_DURATION, .def = "2s", .min = 100000, .max = INT64_C(60000000), .help = "how long a Join Server may take to say whose a device is"},
    {.name = "router.lookup-keep", .type = CONF_DURATION, .def = "10m", .min = 1000, .max = INT64_C(86400000000), .help = "how long its answer is remembered"},
    {.name = "router.lookup-keep-unknown", .type = CONF_DURATION, .def = "30s", .min = 1000, .max = INT64_C(86400000000), .help = "how long it is remembered that it does not know a device"},
};
static const conf_option reports[] = {
    {.name = "reports.keep", .type = CONF_DURATION, .def = "400d", .min = INT64_C(86400000000), .max = INT64_C(315360000000000), .help = "how long daily counters of routed messages are kept"},
};
static const conf_option mapping[] = {
    {.name = "mapper.url", .type = CONF_STR, .arg = "URL", .help = "where the map is reached, for its OpenAPI document (default: iam.issuer)"},
    {.name = "mapper.keep", .type = CONF_DURATION, .def = "30d", .min = 1000000, .max = INT64_C(315360000000000), .help = "how long a gateway stays on the map that its forwarder does not tell of"},
    {.name = "mapper.max-gateways", .type = CONF_INT, .def = "250000", .min = 1, .max = 4194304, .help = "gateways of one network"},
    {.name = "mapper.requests-per-minute", .type = CONF_INT, .def = "120", .min = 0, .max = 1000000, .help = "requests of the map that one address or key may make; 0: no limit"},
};
/* clang-format on */

#define TABLE(heading, rows)                                                             \
    {                                                                                    \
        .title = (heading), .options = (rows), .count = sizeof(rows) / sizeof((rows)[0]) \
    }

static const conf_table general_table = TABLE("General", general);
static const conf_table listen_table = TABLE("Listeners", listen);
static const conf_table storage_table = TABLE("Storage", storage);
static const conf_table iam_table = TABLE("Identity and access", iam);
static const conf_table routing_table = TABLE("Routing", routing);
static const conf_table reports_table = TABLE("Reports", reports);
static const conf_table mapping_table = TABLE("Map of gateways", mapping);
static const conf_table *const tables[] = {&general_table, &listen_table,  &storage_table, &iam_table,
                                           &routing_table, &reports_table, &mapping_table};

const conf_table *const *lpxd_tables(size_t *count)
{
    *count = sizeof tables / sizeof tables[0];
    return tables;
}
