#include "crypto/x509.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/limits.h"
#include "crypto/pem_file.h"
#include "crypto/random.h"
#include "crypto/x509_priv.h"
#include "lpx_reasons.h"

enum { SECONDS_PER_DAY = 86400, BACKDATE_SECONDS = 3600, SERIAL_BYTES = 16, HOST_NAME_BYTES = 256 };

void x509_identity_free(x509_identity *id)
{
    X509_free(id->cert);
    EVP_PKEY_free(id->key);
    *id = (x509_identity){0};
}

lpx_err x509_fail(lpx_note *note, const char *what)
{
    const char *why = ERR_reason_error_string(ERR_get_error());
    ERR_clear_error();
    return lpx_fail(note, CRYPTO_X509, "Cannot %s: %s.", what, why != NULL ? why : "OpenSSL gave no reason");
}

/* ---- files ---- */

BIO *x509_cert_pem(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL && PEM_write_bio_X509(bio, cert) != 1) {
        BIO_free(bio);
        return NULL;
    }
    return bio;
}

BIO *x509_key_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        BIO_free(bio);
        return NULL;
    }
    return bio;
}

/* Both files are written and synced before either gets its name, so that a full disk leaves the old pair alone. */
static lpx_err identity_write_pems(BIO *key, BIO *cert, const char *key_file, const char *cert_file, lpx_note *note)
{
    pem_file key_out = {0}, cert_out = {0};
    LPX_TRY(pem_file_stage(&key_out, key_file, key, 0600, note));
    lpx_err err = pem_file_stage(&cert_out, cert_file, cert, 0644, note);
    if (!lpx_failed(err)) {
        err = pem_file_commit(&key_out, note);
    }
    if (!lpx_failed(err)) {
        err = pem_file_commit(&cert_out, note);
    }
    pem_file_discard(&key_out);
    pem_file_discard(&cert_out);
    return err;
}

static lpx_err identity_write(const x509_identity *id, const char *key_file, const char *cert_file, lpx_note *note)
{
    BIO *key = x509_key_pem(id->key);
    BIO *cert = x509_cert_pem(id->cert);
    lpx_err err = key != NULL && cert != NULL ? identity_write_pems(key, cert, key_file, cert_file, note)
                                              : x509_fail(note, "write a certificate as PEM");
    BIO_free(key);
    BIO_free(cert);
    return err;
}

static lpx_err cert_load(const char *file, X509 **out, lpx_note *note)
{
    BIO *bio = NULL;
    LPX_TRY(pem_file_read(file, &bio, note));
    X509 *cert = PEM_read_bio_X509(bio, NULL, x509_no_pass_phrase, NULL);
    BIO_free(bio);
    if (cert == NULL) {
        ERR_clear_error();
        return lpx_fail(note, CRYPTO_FILE, "%s holds no PEM certificate.", file);
    }
    *out = cert;
    return LPX_SUCCESS;
}

int x509_no_pass_phrase(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static lpx_err key_load(const char *file, EVP_PKEY **out, lpx_note *note)
{
    BIO *bio = NULL;
    LPX_TRY(pem_file_read(file, &bio, note));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, x509_no_pass_phrase, NULL);
    BIO_free(bio);
    if (key == NULL) {
        ERR_clear_error();
        return lpx_fail(note, CRYPTO_FILE, "%s holds no PEM private key without a pass phrase.", file);
    }
    *out = key;
    return LPX_SUCCESS;
}

lpx_err x509_identity_load(const char *cert_file, const char *key_file, x509_identity *out, lpx_note *note)
{
    x509_identity id = {0};
    LPX_TRY(cert_load(cert_file, &id.cert, note));
    lpx_err err = key_load(key_file, &id.key, note);
    if (!lpx_failed(err) && X509_check_private_key(id.cert, id.key) != 1) {
        ERR_clear_error();
        err =
            lpx_fail(note, CRYPTO_FILE, "The key in %s does not belong to the certificate in %s.", key_file, cert_file);
    }
    if (lpx_failed(err)) {
        x509_identity_free(&id);
        return err;
    }
    *out = id;
    return LPX_SUCCESS;
}

/* ---- names ---- */

static bool dns_label_valid(lpx_str label)
{
    if (label.len == 0 || label.len > CRYPTO_DNS_LABEL_MAX_CHARS || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') {
            return false;
        }
    }
    return true;
}

/* Letters, digits and hyphens in labels; the first label may be a star. */
static bool dns_name_valid(lpx_str name)
{
    if (name.len > CRYPTO_DNS_NAME_MAX_CHARS) {
        return false;
    }
    lpx_str rest = lpx_str_starts(name, LPX_STR("*.")) ? lpx_str_skip(name, 2) : name;
    for (;;) {
        const char *dot = memchr(rest.ptr, '.', rest.len);
        lpx_str label = {rest.ptr, dot != NULL ? (size_t)(dot - rest.ptr) : rest.len};
        if (!dns_label_valid(label)) {
            return false;
        }
        if (dot == NULL) {
            return true;
        }
        rest = lpx_str_skip(rest, label.len + 1);
    }
}

/* A name as it stands in the certificate; NULL when it is neither an address nor a DNS name. */
static GENERAL_NAME *general_name_new(const char *name)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
    ERR_clear_error();
    if (address == NULL && !dns_name_valid(lpx_str_of(name))) {
        return NULL;
    }
    GENERAL_NAME *general = GENERAL_NAME_new();
    if (general == NULL || address != NULL) {
        if (general == NULL) {
            ASN1_OCTET_STRING_free(address);
            return NULL;
        }
        GENERAL_NAME_set0_value(general, GEN_IPADD, address);
        return general;
    }
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    if (text == NULL || ASN1_STRING_set(text, name, -1) != 1) {
        ASN1_IA5STRING_free(text);
        GENERAL_NAME_free(general);
        return NULL;
    }
    GENERAL_NAME_set0_value(general, GEN_DNS, text);
    return general;
}

static bool names_hold(const GENERAL_NAMES *names, GENERAL_NAME *one)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), one) == 0) {
            return true;
        }
    }
    return false;
}

static lpx_err names_add(GENERAL_NAMES *names, const char *name, lpx_note *note)
{
    GENERAL_NAME *general = general_name_new(name);
    if (general == NULL) {
        return lpx_fail(note, CRYPTO_BAD_NAME, "\"%.100s\" is neither a DNS name nor an IP address.", name);
    }
    if (names_hold(names, general)) {
        GENERAL_NAME_free(general);
        return LPX_SUCCESS;
    }
    if (sk_GENERAL_NAME_num(names) >= CRYPTO_CERT_MAX_NAMES || sk_GENERAL_NAME_push(names, general) <= 0) {
        GENERAL_NAME_free(general);
        return lpx_fail(note, CRYPTO_BAD_NAME, "A certificate has at most %d names.", CRYPTO_CERT_MAX_NAMES);
    }
    return LPX_SUCCESS;
}

static lpx_err names_fill(GENERAL_NAMES *names, const crypto_cert_opts *opts, lpx_note *note)
{
    static const char *const builtin[] = {"localhost", "127.0.0.1", "::1"};
    for (size_t i = 0; !opts->client && i < sizeof builtin / sizeof builtin[0]; i++) {
        LPX_TRY(names_add(names, builtin[i], note));
    }
    char host[HOST_NAME_BYTES] = "";
    bool has_host = !opts->client && gethostname(host, sizeof host - 1) == 0;
    if (has_host && dns_name_valid(lpx_str_of(host))) {
        LPX_TRY(names_add(names, host, note));
    }
    for (size_t i = 0; i < opts->name_count; i++) {
        LPX_TRY(names_add(names, opts->names[i], note));
    }
    return LPX_SUCCESS;
}

/* ---- certificates ---- */

static bool serial_set(X509 *cert)
{
    uint8_t serial[SERIAL_BYTES];
    if (lpx_failed(crypto_random((lpx_space){serial, sizeof serial}))) {
        return false;
    }
    serial[0] = (uint8_t)((serial[0] & 0x7F) | 0x40); /* positive, and always of full length */
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    bool good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

bool x509_extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool good = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* Version, serial number, key, subject and validity. */
static bool cert_fill(x509_identity *id, const char *common_name, lpx_utc now, int64_t end_s)
{
    int64_t now_s = now.us / 1000000;
    X509_NAME *subject = X509_get_subject_name(id->cert);
    return X509_set_version(id->cert, X509_VERSION_3) == 1 && serial_set(id->cert) &&
           X509_set_pubkey(id->cert, id->key) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(id->cert), (time_t)(now_s - BACKDATE_SECONDS)) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(id->cert), (time_t)end_s) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) == 1;
}

bool x509_identity_new(x509_identity *out)
{
    *out = (x509_identity){.cert = X509_new(), .key = EVP_EC_gen("P-256")};
    return out->cert != NULL && out->key != NULL;
}

lpx_err x509_common_name_check(const char *name, lpx_note *note)
{
    size_t len = strlen(name);
    if (len == 0 || len > CRYPTO_COMMON_NAME_MAX_CHARS || !lpx_utf8_valid(lpx_bytes_of(name, len))) {
        return lpx_fail(note, CRYPTO_BAD_NAME, "The common name of a certificate has 1 to %d characters.",
                        CRYPTO_COMMON_NAME_MAX_CHARS);
    }
    return LPX_SUCCESS;
}

static bool ca_fill(x509_identity *id, const char *common_name, lpx_utc now)
{
    int64_t end_s = now.us / 1000000 + (int64_t)CRYPTO_CA_DAYS * SECONDS_PER_DAY;
    return x509_identity_new(id) && cert_fill(id, common_name, now, end_s) &&
           X509_set_issuer_name(id->cert, X509_get_subject_name(id->cert)) == 1 &&
           x509_extension_add(id->cert, id->cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           x509_extension_add(id->cert, id->cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           x509_extension_add(id->cert, id->cert, NID_subject_key_identifier, "hash") &&
           X509_sign(id->cert, id->key, EVP_sha256()) > 0;
}

LPX_RESULT crypto_ca_create(const char *cert_file, const char *key_file, const char *common_name, lpx_utc now,
                            lpx_note *note)
{
    LPX_TRY(x509_common_name_check(common_name, note));
    x509_identity id = {0};
    lpx_err err =
        ca_fill(&id, common_name, now) ? identity_write(&id, key_file, cert_file, note) : x509_fail(note, "make a CA");
    x509_identity_free(&id);
    return err;
}

int64_t x509_time_s(const ASN1_TIME *time)
{
    struct tm parts = {0};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

bool x509_leaf_sign(x509_identity *id, const x509_identity *ca, const x509_leaf *leaf)
{
    int64_t end_s = leaf->now.us / 1000000 + (int64_t)leaf->days * SECONDS_PER_DAY;
    int64_t ca_end_s = x509_time_s(X509_get0_notAfter(ca->cert));
    bool named = leaf->names != NULL && sk_GENERAL_NAME_num(leaf->names) > 0;
    return cert_fill(id, leaf->common_name, leaf->now, end_s < ca_end_s ? end_s : ca_end_s) &&
           X509_set_issuer_name(id->cert, X509_get_subject_name(ca->cert)) == 1 &&
           x509_extension_add(id->cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
           x509_extension_add(id->cert, ca->cert, NID_key_usage, "critical,digitalSignature") &&
           x509_extension_add(id->cert, ca->cert, NID_ext_key_usage, leaf->client ? "clientAuth" : "serverAuth") &&
           x509_extension_add(id->cert, ca->cert, NID_subject_key_identifier, "hash") &&
           x509_extension_add(id->cert, ca->cert, NID_authority_key_identifier, "keyid:always") &&
           (!named || X509_add1_ext_i2d(id->cert, NID_subject_alt_name, leaf->names, 0, X509V3_ADD_DEFAULT) == 1) &&
           X509_sign(id->cert, ca->key, EVP_sha256()) > 0;
}

static lpx_err leaf_issue(const x509_identity *ca, const crypto_cert_opts *opts, lpx_note *note)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    if (names == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    x509_identity id = {0};
    lpx_err err = names_fill(names, opts, note);
    if (!lpx_failed(err)) {
        x509_leaf leaf = {.common_name = opts->common_name,
                          .client = opts->client,
                          .days = CRYPTO_CERT_DAYS,
                          .now = opts->now,
                          .names = names};
        err = x509_identity_new(&id) && x509_leaf_sign(&id, ca, &leaf)
                  ? identity_write(&id, opts->key_file, opts->cert_file, note)
                  : x509_fail(note, "make a certificate");
    }
    x509_identity_free(&id);
    GENERAL_NAMES_free(names);
    return err;
}

LPX_RESULT crypto_cert_issue(const crypto_cert_opts *opts, lpx_note *note)
{
    LPX_TRY(x509_common_name_check(opts->common_name, note));
    x509_identity ca = {0};
    LPX_TRY(x509_identity_load(opts->ca_cert_file, opts->ca_key_file, &ca, note));
    lpx_err err = leaf_issue(&ca, opts, note);
    x509_identity_free(&ca);
    return err;
}

/* ---- reading ---- */

static void name_text(const X509_NAME *name, char out[static CRYPTO_SUBJECT_BYTES])
{
    BIO *bio = BIO_new(BIO_s_mem());
    out[0] = '\0';
    if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        int len = BIO_read(bio, out, CRYPTO_SUBJECT_BYTES - 1);
        out[len > 0 ? len : 0] = '\0';
    }
    BIO_free(bio);
}

static bool serial_text(const X509 *cert, char out[static CRYPTO_SERIAL_BYTES])
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    uint8_t bytes[(CRYPTO_SERIAL_BYTES - 1) / 2];
    bool fits = number != NULL && BN_num_bytes(number) <= (int)sizeof bytes;
    if (fits) {
        lpx_hex_encode(lpx_bytes_of(bytes, (size_t)BN_bn2bin(number, bytes)), out);
    }
    BN_free(number);
    return fits;
}

lpx_err x509_info(X509 *cert, crypto_cert_info *out, lpx_note *note)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (X509_digest(cert, EVP_sha256(), hash, &len) != 1 || !serial_text(cert, out->serial)) {
        return x509_fail(note, "read a certificate");
    }
    lpx_hex_encode(lpx_bytes_of(hash, len), out->fingerprint);
    out->not_before = (lpx_utc){x509_time_s(X509_get0_notBefore(cert)) * 1000000};
    out->not_after = (lpx_utc){x509_time_s(X509_get0_notAfter(cert)) * 1000000};
    out->is_ca = X509_check_ca(cert) != 0;
    out->for_clients = X509_check_purpose(cert, X509_PURPOSE_SSL_CLIENT, 0) == 1;
    name_text(X509_get_subject_name(cert), out->subject);
    name_text(X509_get_issuer_name(cert), out->issuer);
    ERR_clear_error();
    return LPX_SUCCESS;
}

LPX_RESULT crypto_cert_read(const char *file, crypto_cert_info *out, lpx_note *note)
{
    X509 *cert = NULL;
    LPX_TRY(cert_load(file, &cert, note));
    lpx_err err = x509_info(cert, out, note);
    X509_free(cert);
    return err;
}
