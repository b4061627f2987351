/* What the tests on a real store share: a database and an iam object for each test, and calls of its methods as the
 * pipeline makes them. */
#pragma once
#include "codec/pb/pb.h"
#include "iam/iam_core.h"
#include "iam/iam_priv.h"
#include "lpx_reasons.h"
#include "store/store_test_kit.h"

/** One test's surroundings. */
typedef struct fixture {
    kit *k;
    iam *iam;
    lpx_arena arena;
    lpx_utc now;   /* of calls */
    lpx_note note; /* of the last call */
} fixture;

/** Set-up: audiences localhost and iam.example.com, issuer https://iam.example.com, burst of anonymous key requests 3.
 */
int fixture_setup(void **state);
/** The same with private NetIDs allowed. */
int fixture_setup_private(void **state);
/** Teardown. */
int fixture_teardown(void **state);

/** Some callers. */
extern const rpc_principal test_admin, test_stranger, test_cluster, test_network, test_other_network, test_tenant;

/** Call a method ("iam.v1.NetworkRegistry/GetNetwork", or a whole path) with a request that goes over the wire.
 * @param reply  gets the decoded answer; NULL: not wanted */
lpx_err fixture_try(fixture *f, const char *method, const rpc_principal *who, const void *request, const void **reply);
/** The same, must succeed. @return the decoded answer */
const void *fixture_ask(fixture *f, const char *method, const rpc_principal *who, const void *request);

/** Must fail with this reason and a note that has this text. */
#define refuse(f, method, who, request, reason, words)                             \
    do {                                                                           \
        assert_reason(fixture_try((f), (method), (who), (request), NULL), reason); \
        assert_non_null(strstr((f)->note.text, (words)));                          \
    } while (0)

/** Register a network, or a tenant, with nothing but its name. */
void fixture_network(fixture *f, uint32_t net_id, const char *name);
/** Register a tenant. */
void fixture_tenant(fixture *f, uint32_t net_id, const char *tenant_id, const char *name);
/** Text that lives as long as the test. */
char *fixture_text(fixture *f, const char *text);
/** Blocks for a request; length 0 ends the list of value, length pairs. */
Pb__V3__DevAddrBlock **fixture_blocks(fixture *f, const uint32_t *pairs, size_t *count);
/** Make an API key. @return its answer with id and secret */
const Pb__V3__NetworkAPIKey *fixture_key(fixture *f, const rpc_principal *who, uint32_t net_id, const char *tenant_id,
                                         uint64_t rights);

#define NETWORKS "iam.v1.NetworkRegistry/"
#define TENANTS "iam.v1.TenantRegistry/"
#define VAULT "iam.v2.NetworkAPIKeyVault/"
#define CLUSTER_VAULT "iam.v2.ClusterAPIKeyVault/"
#define OLD_VAULT "iam.v1.APIKeyVault/"
#define CATALOG "iam.v2.Catalog/"
#define JOIN_SERVERS "iam.v2.JoinServerRegistry/"

/** Tests of each file. @return number of failed tests */
int iam_registry_tests(void);
/** Delegation, cascades, the change feed. */
int iam_cascade_tests(void);
/** API keys. */
int iam_keys_tests(void);
/** The vaults of clusters and of the first generation, authorities. */
int iam_vaults_tests(void);
/** The catalog and the registry of Join Servers. */
int iam_catalog_tests(void);
/** Client certificates. */
int iam_certs_tests(void);
/** Tokens, signing keys, snapshots, administrators. */
int iam_token_tests(void);
