/* Target flags: where and how a peer reaches a network by Backend Interfaces. Credentials in the URL become Basic
 * authentication and leave the address; the order of the kinds of authentication is token of the exchange, user in the
 * URL, custom value, TLS client certificate. */
#include <string.h>

#include "cli/cli_priv.h"
#include "lpx_reasons.h"

typedef struct target_flags {
    const char *address, *authorization, *cert_file, *key_file, *root_cas_file;
    char *user, *password; /* cut out of the address; NULL: none */
    bool pb_token, origin;
    uint32_t origin_net_id;
} target_flags;

static int hex_digit(char ch)
{
    uint64_t value = 0;
    return lpx_parse_hex((lpx_str){&ch, 1}, 1, &value) ? (int)value : -1;
}

/* Percent-decoded copy of len characters. */
static char *unescape(cli *c, const char *text, size_t len)
{
    char *out = cli_get(c, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int high = text[i] == '%' && i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = text[i];
        }
    }
    return out;
}

/* Move user:password@ out of the address. */
static lpx_err split_address(cli *c, target_flags *f)
{
    const char *authority = strstr(f->address, "://");
    if (authority == NULL || authority == f->address || authority[3] == 0) {
        return cli_fail(c, CLI_USAGE,
                        "the address \"%.100s\" is no URL; want a scheme and a host, like https://example.com",
                        f->address);
    }
    authority += 3;
    size_t len = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', len);
    if (at == NULL) {
        return LPX_SUCCESS;
    }
    size_t user_info = (size_t)(at - authority);
    const char *colon = memchr(authority, ':', user_info);
    size_t user = colon != NULL ? (size_t)(colon - authority) : user_info;
    f->user = unescape(c, authority, user);
    f->password = colon != NULL ? unescape(c, colon + 1, user_info - user - 1) : cli_printf(c, "%s", "");
    f->address = cli_printf(c, "%.*s%s", (int)(authority - f->address), f->address, at + 1);
    return LPX_SUCCESS;
}

static lpx_err read_binary(cli *c, const char *path, ProtobufCBinaryData *out)
{
    lpx_str text;
    LPX_TRY(cli_read_file(c, path, CLI_FILE_BYTES, &text));
    *out = (ProtobufCBinaryData){.len = text.len, .data = (uint8_t *)cli_printf(c, "%.*s", (int)text.len, text.ptr)};
    return LPX_SUCCESS;
}

/* The authentication that the flags name; *out stays NULL when they name none. */
static lpx_err authentication_of(cli *c, const target_flags *f, Pb__V3__Target__Authentication **out)
{
    Pb__V3__Target__Authentication *auth = cli_new(c, &pb__v3__target__authentication__descriptor);
    if (f->pb_token) {
        auth->value_case = PB__V3__TARGET__AUTHENTICATION__VALUE_PB_TOKEN_AUTH;
        auth->pb_token_auth = cli_new(c, &pb__v3__target__packet_broker_token_auth__descriptor);
    } else if (f->user != NULL) {
        auth->value_case = PB__V3__TARGET__AUTHENTICATION__VALUE_BASIC_AUTH;
        auth->basic_auth = cli_new(c, &pb__v3__target__basic_auth__descriptor);
        auth->basic_auth->username = f->user;
        auth->basic_auth->password = f->password;
    } else if (f->authorization[0] != 0) {
        auth->value_case = PB__V3__TARGET__AUTHENTICATION__VALUE_CUSTOM_AUTH;
        auth->custom_auth = cli_new(c, &pb__v3__target__custom_auth__descriptor);
        auth->custom_auth->value = cli_printf(c, "%s", f->authorization);
    } else if (f->cert_file[0] != 0 || f->key_file[0] != 0) {
        auth->value_case = PB__V3__TARGET__AUTHENTICATION__VALUE_TLS_CLIENT_AUTH;
        auth->tls_client_auth = cli_new(c, &pb__v3__target__tlsclient_auth__descriptor);
        LPX_TRY(read_binary(c, f->cert_file, &auth->tls_client_auth->cert));
        LPX_TRY(read_binary(c, f->key_file, &auth->tls_client_auth->key));
    } else {
        return LPX_SUCCESS;
    }
    *out = auth;
    return LPX_SUCCESS;
}

static void set_default(Pb__V3__Target *target, const Pb__V3__Target__Authentication *auth)
{
    switch (auth->value_case) {
    case PB__V3__TARGET__AUTHENTICATION__VALUE_BASIC_AUTH:
        target->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_BASIC_AUTH;
        target->basic_auth = auth->basic_auth;
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE_CUSTOM_AUTH:
        target->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_CUSTOM_AUTH;
        target->custom_auth = auth->custom_auth;
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE_TLS_CLIENT_AUTH:
        target->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_TLS_CLIENT_AUTH;
        target->tls_client_auth = auth->tls_client_auth;
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE_PB_TOKEN_AUTH:
        target->default_authentication_case = PB__V3__TARGET__DEFAULT_AUTHENTICATION_PB_TOKEN_AUTH;
        target->pb_token_auth = auth->pb_token_auth;
        break;
    case PB__V3__TARGET__AUTHENTICATION__VALUE__NOT_SET:
    case _PB__V3__TARGET__AUTHENTICATION__VALUE__CASE_IS_INT_SIZE:
        break;
    }
}

/* Authentication for one origin; without any, that origin's is removed. */
static void set_origin(cli *c, Pb__V3__Target *target, uint32_t net_id, Pb__V3__Target__Authentication *auth)
{
    Pb__V3__Target__OriginNetIdAuthenticationEntry **all =
        cli_get(c, (target->n_origin_net_id_authentication + 1) * sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < target->n_origin_net_id_authentication; i++) {
        if (target->origin_net_id_authentication[i]->key != net_id) {
            all[count++] = target->origin_net_id_authentication[i];
        }
    }
    if (auth != NULL) {
        all[count] = cli_new(c, &pb__v3__target__origin_net_id_authentication_entry__descriptor);
        all[count]->key = net_id;
        all[count++]->value = auth;
    }
    target->origin_net_id_authentication = all;
    target->n_origin_net_id_authentication = count;
}

static void set_paths(cli *c, const char *prefix, Pb__V3__Target *target)
{
    if (cli_actor_changed(c, prefix, "fns-path")) {
        target->f_ns_path = cli_actor_text(c, prefix, "fns-path");
    }
    if (cli_actor_changed(c, prefix, "sns-path")) {
        target->s_ns_path = cli_actor_text(c, prefix, "sns-path");
    }
    if (cli_actor_changed(c, prefix, "hns-path")) {
        target->h_ns_path = cli_actor_text(c, prefix, "hns-path");
    }
}

static lpx_err apply(cli *c, const char *prefix, Pb__V3__Target *target)
{
    const char *origin = prefix[0] != 0 ? cli_printf(c, "%s-origin", prefix) : "origin";
    target_flags f = {
        .address = cli_actor_text(c, prefix, "address"),
        .authorization = cli_actor_text(c, prefix, "authorization"),
        .cert_file = cli_actor_text(c, prefix, "tls-cert-file"),
        .key_file = cli_actor_text(c, prefix, "tls-key-file"),
        .root_cas_file = cli_actor_text(c, prefix, "root-cas-file"),
        .pb_token = strcmp(cli_actor_text(c, prefix, "pb-token"), "true") == 0,
        .origin = cli_actor_changed(c, origin, "net-id"),
        .origin_net_id = cli_net_id_of(cli_actor_text(c, origin, "net-id")),
    };
    if (f.address[0] != 0) {
        LPX_TRY(split_address(c, &f));
        target->address = cli_printf(c, "%s", f.address);
    }
    Pb__V3__Target__Authentication *auth = NULL;
    LPX_TRY(authentication_of(c, &f, &auth));
    if (f.origin) {
        set_origin(c, target, f.origin_net_id, auth);
    } else if (auth != NULL) {
        set_default(target, auth);
    }
    set_paths(c, prefix, target);
    return f.root_cas_file[0] != 0 ? read_binary(c, f.root_cas_file, &target->root_cas) : LPX_SUCCESS;
}

lpx_err cli_target_apply(cli *c, const char *prefix, Pb__V3__Target **target)
{
    const char *protocol = cli_actor_text(c, prefix, "protocol");
    if (*target == NULL && protocol[0] == 0) {
        return LPX_SUCCESS;
    }
    if (*target == NULL) {
        *target = cli_new(c, &pb__v3__target__descriptor);
    }
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value_by_name(&pb__v3__protocol__descriptor, protocol);
    if (value != NULL) {
        (*target)->protocol = (Pb__V3__Protocol)value->value;
    }
    if ((*target)->protocol != PB__V3__PROTOCOL__TS002_V1_0 && (*target)->protocol != PB__V3__PROTOCOL__TS002_V1_1) {
        return cli_fail(c, CLI_USAGE,
                        "this target speaks %s; give --%s%sprotocol TS002_V1_0 or TS002_V1_1 to change it",
                        cli_show_enum(c, &pb__v3__protocol__descriptor, (int)(*target)->protocol), prefix,
                        prefix[0] != 0 ? "-" : "");
    }
    return apply(c, prefix, *target);
}
