/* The agent without an exchange: addresses, failures as sentences, token requests, lines of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "agent/agent_lines.h"
#include "agent/agent_priv.h"
#include "lpx_reasons.h"

/* ---- addresses ---- */

static void test_addresses(void **state)
{
    static const struct {
        const char *address, *host, *full; /* NULL: refused */
        bool loopback;
    } rows[] = {
        {"exchange.example.com", "exchange.example.com", "exchange.example.com:443", false},
        {"exchange.example.com:1900", "exchange.example.com", "exchange.example.com:1900", false},
        {"127.0.0.1:1900", "127.0.0.1", "127.0.0.1:1900", true},
        {"127.8.9.10", "127.8.9.10", "127.8.9.10:443", true},
        {"128.0.0.1", "128.0.0.1", "128.0.0.1:443", false},
        {"localhost:1", "localhost", "localhost:1", true},
        {"localhost.example.com:1", "localhost.example.com", "localhost.example.com:1", false},
        {"[::1]:1900", "::1", "[::1]:1900", true},
        {"[::1]", "::1", "[::1]:443", true},
        {"::1", "::1", "[::1]:443", true},
        {"2001:db8::7", "2001:db8::7", "[2001:db8::7]:443", false},
        {"", NULL, NULL, false},
        {":1900", NULL, NULL, false},
        {"[::1", NULL, NULL, false},
        {"[::1]x", NULL, NULL, false},
        {"host:", NULL, NULL, false},
        {"ab8::1]:443", NULL, NULL, false},
        {"1:2:3", NULL, NULL, false},
        {"https://host:1900", NULL, NULL, false},
        {"user@host", NULL, NULL, false},
        {"host:0", "host", NULL, false},
        {"host:65536", "host", NULL, false},
        {"host:http", "host", NULL, false},
    };
    char host[AGENT_HOST_BYTES], full[AGENT_ADDRESS_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(agent_host_of(rows[i].address, host), rows[i].host != NULL);
        assert_int_equal(agent_address_full(rows[i].address, full), rows[i].full != NULL);
        if (rows[i].host != NULL) {
            assert_string_equal(host, rows[i].host);
        }
        if (rows[i].full != NULL) {
            assert_string_equal(full, rows[i].full);
        }
        assert_int_equal(agent_is_loopback(rows[i].address), rows[i].loopback);
    }
}

/* ---- settings ---- */

static agent *open_agent(const agent_opts *opts)
{
    agent *a = NULL;
    lpx_note note = {{0}};
    if (lpx_failed(agent_open(opts, &a, &note))) {
        fail_msg("agent_open: %s", note.text);
    }
    return a;
}

static void test_bad_settings(void **state)
{
    static const struct {
        agent_opts opts;
        const char *because;
    } rows[] = {
        {{.address = {"a:b"}, .insecure = true}, "--iam-address"},
        {{.username = "x", .insecure = true}, "--iam-username needs --iam-password"},
        {{.client_secret = "x", .insecure = true}, "--client-secret needs --client-id"},
        {{.client_id = "x", .client_secret = "y", .insecure = true}, "--token-url"},
        {{.ca_file = "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        agent *a = NULL;
        lpx_note note = {{0}};
        assert_true(lpx_failed(agent_open(&rows[i].opts, &a, &note)));
        if (strstr(note.text, rows[i].because) == NULL) {
            fail_msg("row %zu: \"%s\", want \"%s\"", i, note.text, rows[i].because);
        }
        assert_null(a);
    }
}

static void test_credentials(void **state)
{
    agent_opts opts = {.address = {"127.0.0.1:1", "exchange.example:1", "exchange.example:1", "exchange.example:2"},
                       .insecure = true,
                       .username = "admin",
                       .password = "pass"};
    (void)state;
    agent *a = open_agent(&opts);
    assert_string_equal(a->basic, "Basic YWRtaW46cGFzcw==");
    assert_int_equal(agent_auth_of(a, AGENT_IAM), AGENT_AUTH_BASIC);
    assert_int_equal(agent_auth_of(a, AGENT_ROUTER), AGENT_AUTH_BASIC);
    assert_int_equal(a->targets[AGENT_REPORTS].channel, AGENT_CONTROL); /* same address, same channel */
    assert_int_equal(a->targets[AGENT_ROUTER].channel, AGENT_ROUTER);
    assert_int_equal(a->token_count, 2); /* audiences are hosts */
    agent_close(&a);
    opts.client_id = "id";
    opts.client_secret = "secret";
    opts.token_url = "http://x/token";
    a = open_agent(&opts);
    assert_int_equal(agent_auth_of(a, AGENT_IAM), AGENT_AUTH_BASIC);
    assert_int_equal(agent_auth_of(a, AGENT_CONTROL), AGENT_AUTH_OAUTH);
    agent_close(&a);
    opts.username = opts.password = NULL;
    opts.token = "abc";
    a = open_agent(&opts);
    assert_int_equal(agent_auth_of(a, AGENT_IAM), AGENT_AUTH_TOKEN);
    assert_string_equal(a->bearer, "Bearer abc");
    agent_close(&a);
    opts.token = opts.client_id = opts.client_secret = NULL;
    opts.loopback_username = "local";
    opts.loopback_password = "secret";
    a = open_agent(&opts);
    assert_int_equal(agent_auth_of(a, AGENT_IAM), AGENT_AUTH_BASIC);
    assert_int_equal(agent_auth_of(a, AGENT_ROUTER), AGENT_AUTH_NONE); /* never to another machine */
    agent_close(&a);
    agent_close(&a);
}

static void test_explain(void **state)
{
    agent_opts opts = {.address = {"127.0.0.1:1900"}, .insecure = true};
    agent_failure why;
    (void)state;
    agent *a = open_agent(&opts);
    agent_explain(a, AGENT_IAM, LPX_NOT_FOUND, LPX_STR("There is no network 000013."), &why);
    assert_int_equal(why.code, LPX_NOT_FOUND);
    assert_string_equal(why.text, "NOT_FOUND: There is no network 000013");
    agent_explain(a, AGENT_IAM, LPX_UNAUTHENTICATED, LPX_STR("no credentials"), &why);
    assert_non_null(strstr(why.text, "UNAUTHENTICATED: no credentials. Give --client-id"));
    agent_explain(a, AGENT_IAM, LPX_UNAVAILABLE, LPX_STR("connection refused"), &why);
    assert_non_null(strstr(why.text, "(--iam-address 127.0.0.1:1900). Does the exchange run there"));
    agent_close(&a);
}

/* ---- tokens ---- */

static void test_token_form(void **state)
{
    (void)state;
    char *form = oauth_form("127.0.0.1", "ABC", "s&=+ %\xC3\xA9~");
    assert_string_equal(form, "audience=127.0.0.1&client_id=ABC&client_secret=s%26%3D%2B+%25%C3%A9~"
                              "&grant_type=client_credentials&scope=networks");
    free(form);
    form = oauth_form("::1", "", "");
    assert_string_equal(form,
                        "audience=%3A%3A1&client_id=&client_secret=&grant_type=client_credentials&scope=networks");
    free(form);
}

static void test_token_answers(void **state)
{
    static const struct {
        int status;
        const char *body, *header, *message;
        int64_t lifetime_us;
    } rows[] = {
        {200, "{\"access_token\":\"a.b.c\",\"token_type\":\"bearer\",\"expires_in\":3600}", "Bearer a.b.c", NULL,
         3600000000LL},
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"unknown key\"}", NULL,
         "invalid_client: unknown key", 0},
        {400, "{\"error\":\"invalid_scope\"}", NULL, "invalid_scope", 0},
        {503, "<html>", NULL, "HTTP status 503", 0},
        {302, "{\"access_token\":\"x\",\"expires_in\":1}", NULL, "HTTP status 302", 0},
        {200, "access_token=x&expires_in=3600", NULL, "no JSON with an access_token", 0},
        {200, "{\"access_token\":\"x y\",\"expires_in\":3600}", NULL, "no JSON with an access_token", 0},
        {200, "{\"access_token\":\"x\\r\\ny\",\"expires_in\":3600}", NULL, "no JSON with an access_token", 0},
        {200, "{\"access_token\":\"x\"}", NULL, "no expires_in", 0},
        {200, "{\"access_token\":\"x\",\"expires_in\":0}", NULL, "no expires_in", 0},
        {200, "[]", NULL, "no JSON with an access_token", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *header = NULL;
        int64_t lifetime_us = 0;
        lpx_note message = {{0}};
        lpx_bytes body = lpx_str_bytes(lpx_str_of(rows[i].body));
        assert_int_equal(oauth_read_answer(rows[i].status, body, &header, &lifetime_us, &message),
                         rows[i].header != NULL);
        if (rows[i].header != NULL) {
            assert_string_equal(header, rows[i].header);
            assert_int_equal(lifetime_us, rows[i].lifetime_us);
        } else if (strstr(message.text, rows[i].message) == NULL) {
            fail_msg("row %zu: \"%s\", want \"%s\"", i, message.text, rows[i].message);
        }
        free(header);
    }
}

/* ---- lines ---- */

static char file_name[] = "/tmp/lpx-agent-test-XXXXXX";

static void write_file(const char *text, size_t len, bool compressed)
{
    gzFile file = gzopen(file_name, compressed ? "wb" : "wbT");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)len), len);
    assert_int_equal(gzclose(file), Z_OK);
}

static void check_lines(bool compressed)
{
    static const char *const want[] = {"first", "", "third", "last without a line break"};
    lpx_note note = {{0}};
    agent_lines *lines = NULL;
    lpx_str line;
    bool end = false;
    const char text[] = "first\r\n\nthird\nlast without a line break";
    write_file(text, sizeof text - 1, compressed);
    assert_false(lpx_failed(agent_lines_open(file_name, &lines, &note)));
    for (size_t i = 0; i < 4; i++) {
        assert_false(lpx_failed(agent_lines_next(lines, &line, &end, &note)));
        assert_false(end);
        assert_true(lpx_str_is(line, want[i]));
        assert_int_equal(agent_lines_number(lines), i + 1);
    }
    assert_false(lpx_failed(agent_lines_next(lines, &line, &end, &note)));
    assert_true(end);
    assert_true(agent_lines_progress(lines) > 0.99);
    agent_lines_close(&lines);
    assert_null(lines);
}

static void test_lines(void **state)
{
    (void)state;
    check_lines(true);
    check_lines(false);
}

static void test_bad_files(void **state)
{
    lpx_note note = {{0}};
    agent_lines *lines = NULL;
    lpx_str line;
    bool end = false;
    (void)state;
    assert_int_equal(agent_lines_open("/nonexistent/file.gz", &lines, &note).reason, AGENT_NO_FILE);
    assert_non_null(strstr(note.text, "/nonexistent/file.gz: No such file"));
    char *text = malloc(AGENT_LINE_BYTES + 2);
    assert_non_null(text);
    memset(text, 'x', AGENT_LINE_BYTES + 1);
    write_file(text, AGENT_LINE_BYTES + 1, true);
    assert_false(lpx_failed(agent_lines_open(file_name, &lines, &note)));
    assert_int_equal(agent_lines_next(lines, &line, &end, &note).reason, AGENT_BAD_FILE);
    agent_lines_close(&lines);
    for (size_t i = 0; i < AGENT_LINE_BYTES; i++) { /* so that compressing it does not make it tiny */
        text[i] = i % 100 == 99 ? '\n' : "abcdefghijklmnopqrstuvwxyz"[rand() % 26];
    }
    write_file(text, AGENT_LINE_BYTES, true);
    assert_int_equal(truncate(file_name, 5000), 0);
    assert_false(lpx_failed(agent_lines_open(file_name, &lines, &note)));
    lpx_err err = LPX_SUCCESS;
    while (!lpx_failed(err) && !end) {
        err = agent_lines_next(lines, &line, &end, &note);
    }
    assert_int_equal(err.reason, AGENT_BAD_FILE); /* cut off: an error, not an end */
    agent_lines_close(&lines);
    agent_lines_close(&lines);
    free(text);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file_name);
    return fd < 0 || close(fd) != 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file_name);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_bad_settings), cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_explain),   cmocka_unit_test(test_token_form),   cmocka_unit_test(test_token_answers),
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(cases, make_file, remove_file);
}
