#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "conf/conf.h"
#include "lpx_reasons.h"

static const conf_option router_options[] = {
    {.name = "router.listen",
     .type = CONF_STR,
     .def = "127.0.0.1:1900",
     .arg = "HOST:PORT",
     .help = "where it listens"},
    {.name = "router.queue-age",
     .type = CONF_DURATION,
     .def = "30s",
     .min = 100000,
     .max = INT64_C(3600000000),
     .reloadable = true,
     .help = "how long a message waits"},
    {.name = "router.queue-bytes",
     .type = CONF_SIZE,
     .def = "8MiB",
     .min = 65536,
     .max = INT64_C(1073741824),
     .reloadable = true,
     .help = "bytes that wait"},
    {.name = "router.streams", .type = CONF_INT, .def = "4096", .min = 1, .max = 65535, .help = "streams"},
    {.name = "router.loopback",
     .type = CONF_BOOL,
     .def = "false",
     .reloadable = true,
     .short_name = 'l',
     .help = "own traffic back"},
};
static const conf_option other_options[] = {
    {.name = "log.level",
     .type = CONF_WORD,
     .def = "info",
     .words = "debug|info|warn|error",
     .reloadable = true,
     .help = "least level that is logged"},
    {.name = "roles",
     .type = CONF_LIST,
     .def = "iam,router",
     .min = 1,
     .max = 3,
     .words = "iam|control|router",
     .help = "parts that run"},
    {.name = "iam.audiences", .type = CONF_LIST, .arg = "HOST", .help = "own names"},
    {.name = "iam.secret", .type = CONF_STR, .secret = true, .short_name = 's', .help = "not to be shown"},
    {.name = "offset", .type = CONF_INT, .help = "any whole number"},
    {.name = "client-id", .type = CONF_STR, .short_name = 'c', .help = "id of the key"},
    {.name = "debug", .type = CONF_BOOL, .short_name = 'd', .help = "say more"},
};
static const conf_table router_table = {"Router", router_options, sizeof router_options / sizeof router_options[0]};
static const conf_table other_table = {"Other", other_options, sizeof other_options / sizeof other_options[0]};
static const conf_table *const tables[] = {&router_table, &other_table};

static conf_set *set_new(void)
{
    conf_set *set = NULL;
    assert_false(lpx_failed(conf_new(tables, 2, &set)));
    return set;
}

static lpx_err yaml(conf_set *set, const char *text, lpx_note *note)
{
    *note = (lpx_note){{0}};
    return conf_add_yaml(set, "lpxd.yaml", lpx_str_of(text), note);
}

static void yaml_good(conf_set *set, const char *text)
{
    lpx_note note;
    if (lpx_failed(yaml(set, text, &note))) {
        fail_msg("%s: %s", text, note.text);
    }
}

static void list_is(const conf_set *set, const char *name, const char *joined)
{
    const lpx_str *items = NULL;
    size_t count = conf_list(set, name, &items);
    lpx_buf buf;
    lpx_buf_init(&buf, 1000);
    for (size_t i = 0; i < count; i++) {
        lpx_buf_printf(&buf, "%s%.*s", i > 0 ? "," : "", (int)items[i].len, items[i].ptr);
        assert_int_equal(items[i].ptr[items[i].len], 0);
    }
    assert_true(lpx_str_is(lpx_bytes_str(lpx_buf_view(&buf)), joined));
    lpx_buf_fini(&buf);
}

static void test_defaults(void **state)
{
    (void)state;
    conf_set *set = set_new();
    assert_true(lpx_str_is(conf_str(set, "router.listen"), "127.0.0.1:1900"));
    assert_int_equal(conf_duration_us(set, "router.queue-age"), 30000000);
    assert_int_equal(conf_size_bytes(set, "router.queue-bytes"), 8 * 1024 * 1024);
    assert_int_equal(conf_int(set, "router.streams"), 4096);
    assert_false(conf_bool(set, "router.loopback"));
    assert_true(lpx_str_is(conf_str(set, "log.level"), "info"));
    assert_int_equal(conf_word(set, "log.level"), 1);
    list_is(set, "roles", "iam,router");
    list_is(set, "iam.audiences", "");
    assert_int_equal(conf_str(set, "iam.secret").len, 0);
    assert_string_equal(conf_str(set, "iam.secret").ptr, "");
    assert_int_equal(conf_int(set, "offset"), 0);
    assert_int_equal(conf_layer_of(set, "roles"), CONF_DEFAULT);
    assert_true(lpx_str_is(conf_source_of(set, "roles"), "default"));
    conf_free(&set);
    assert_null(set);
    conf_free(&set);
}

static void test_layers(void **state)
{
    (void)state;
    conf_set *set = set_new();
    lpx_note note;
    char *env[] = {(char[]){"LPX_ROUTER_STREAMS=20"}, (char[]){"LPX_ROUTER_QUEUE_AGE=20s"}, (char[]){"PATH=/bin"},
                   (char[]){"LPX_ROUTER_LISTEN="},    (char[]){"LPX_CLIENT_ID=from env"},   NULL};
    char *argv[] = {(char[]){"lpxd"}, (char[]){"--router.streams"}, (char[]){"30"}, NULL};
    int argc = 3;
    /* Strongest first: the order of the calls does not count. */
    assert_false(lpx_failed(conf_add_args(set, &argc, argv, &note)));
    assert_false(lpx_failed(conf_add_env(set, "LPX_", env, true, &note)));
    yaml_good(set, "router:\n  streams: 10\n  queue-age: 10s\n  listen: \"[::]:1900\"\nclient-id: from file\n");
    assert_int_equal(argc, 1);
    assert_int_equal(conf_int(set, "router.streams"), 30);
    assert_true(lpx_str_is(conf_source_of(set, "router.streams"), "--router.streams"));
    assert_int_equal(conf_layer_of(set, "router.streams"), CONF_ARGS);
    assert_int_equal(conf_duration_us(set, "router.queue-age"), 20000000);
    assert_true(lpx_str_is(conf_source_of(set, "router.queue-age"), "LPX_ROUTER_QUEUE_AGE"));
    assert_int_equal(conf_layer_of(set, "router.queue-age"), CONF_ENV);
    assert_true(lpx_str_is(conf_str(set, "router.listen"), "[::]:1900"));
    assert_true(lpx_str_is(conf_source_of(set, "router.listen"), "lpxd.yaml:4"));
    assert_int_equal(conf_layer_of(set, "router.listen"), CONF_FILE_LAYER);
    assert_true(lpx_str_is(conf_str(set, "client-id"), "from env"));
    /* A weaker layer is checked although it does not count. */
    assert_int_equal(yaml(set, "router.streams: x", &note).reason, CONF_BAD_VALUE);
    assert_int_equal(conf_int(set, "router.streams"), 30);
    conf_free(&set);
}

static void test_yaml_shapes(void **state)
{
    (void)state;
    conf_set *set = set_new();
    yaml_good(set, "");
    yaml_good(set, "# nothing\n");
    yaml_good(set, "{}");
    yaml_good(set, "router:\niam: {}\n");
    yaml_good(set, "iam.audiences: [a, b]\nroles:\n- control\n- iam\nlog: {level: warn}\nrouter.loopback: Yes\n");
    list_is(set, "iam.audiences", "a,b");
    list_is(set, "roles", "control,iam");
    assert_int_equal(conf_word(set, "log.level"), 2);
    assert_true(conf_bool(set, "router.loopback"));
    assert_true(lpx_str_is(conf_source_of(set, "roles"), "lpxd.yaml:3"));
    yaml_good(set, "iam: {audiences: 'x, y ,z'}\n");
    list_is(set, "iam.audiences", "x,y,z");
    yaml_good(set, "iam: {audiences: []}\n");
    list_is(set, "iam.audiences", "");
    yaml_good(set, "client-id: ''\n");
    assert_int_equal(conf_layer_of(set, "client-id"), CONF_FILE_LAYER);
    conf_free(&set);
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int64_t value;
    } rows[] = {
        {"router.queue-age", "100ms", 100000},
        {"router.queue-age", "1m30s", 90000000},
        {"router.queue-age", "1h", INT64_C(3600000000)},
        {"router.queue-age", "59m59s999ms999us", INT64_C(3599999999)},
        {"router.queue-bytes", "65536", 65536},
        {"router.queue-bytes", "65536B", 65536},
        {"router.queue-bytes", "64KiB", 65536},
        {"router.queue-bytes", "66kB", 66000},
        {"router.queue-bytes", "16MiB", 16777216},
        {"router.queue-bytes", "1MB", 1000000},
        {"router.queue-bytes", "1GiB", 1073741824},
        {"router.queue-bytes", "1GB", 1000000000},
        {"router.streams", "65535", 65535},
        {"offset", "-9223372036854775807", -INT64_MAX},
        {"offset", "0", 0},
        {"router.loopback", "TRUE", 1},
        {"router.loopback", "on", 1},
        {"router.loopback", "1", 1},
        {"router.loopback", "No", 0},
        {"router.loopback", "off", 0},
        {"log.level", "error", 3},
    };
    conf_set *set = set_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {{0}};
        if (lpx_failed(conf_put(set, rows[i].name, rows[i].text, &note))) {
            fail_msg("%s", note.text);
        }
        const char *name = rows[i].name;
        int64_t got = strcmp(name, "router.queue-age") == 0     ? conf_duration_us(set, name)
                      : strcmp(name, "router.queue-bytes") == 0 ? conf_size_bytes(set, name)
                      : strcmp(name, "router.loopback") == 0    ? conf_bool(set, name)
                      : strcmp(name, "log.level") == 0          ? conf_word(set, name)
                                                                : conf_int(set, name);
        assert_int_equal(got, rows[i].value);
    }
    conf_free(&set);
}

static void test_bad_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *what;
    } rows[] = {
        {"router.queue-age", "99ms",
         "--router.queue-age: router.queue-age must be a duration like \"90s\" or \"5m\" "
         "from 100ms to 1h, not \"99ms\"."},
        {"router.queue-age", "2h", "from 100ms to 1h"},
        {"router.queue-age", "30", "a duration"},
        {"router.queue-age", "s", "a duration"},
        {"router.queue-age", "30s1m", "a duration"},
        {"router.queue-age", "1s1s", "a duration"},
        {"router.queue-age", "1.5s", "a duration"},
        {"router.queue-age", "-1s", "a duration"},
        {"router.queue-age", "30 s", "a duration"},
        {"router.queue-age", "9223372036854775807d", "a duration"},
        {"router.queue-age", "", "a duration"},
        {"router.queue-bytes", "1", "a size like \"64KiB\" or \"16MiB\" from 64KiB to 1GiB, not \"1\"."},
        {"router.queue-bytes", "1mib", "a size"},
        {"router.queue-bytes", "1 MiB", "a size"},
        {"router.queue-bytes", "MiB", "a size"},
        {"router.queue-bytes", "9223372036854775807GiB", "a size"},
        {"router.streams", "0", "a whole number from 1 to 65535, not \"0\"."},
        {"router.streams", "65536", "from 1 to 65535"},
        {"router.streams", "1x", "a whole number"},
        {"router.streams", "1.0", "a whole number"},
        {"router.streams", "0x10", "a whole number"},
        {"offset", "9223372036854775808", "a whole number, not"},
        {"offset", "--1", "a whole number"},
        {"router.loopback", "maybe", "true or false, not \"maybe\"."},
        {"log.level", "Info", "one of debug, info, warn, error, not \"Info\"."},
        {"log.level", "debug|info", "one of debug, info"},
        {"log.level", "", "one of debug"},
        {"roles", "", "a list of 1 to 3 texts out of iam, control, router"},
        {"roles", "iam,bridge", "out of iam, control, router"},
        {"roles", "iam,,control", "a list"},
        {"roles", "iam,iam,iam,iam", "a list of 1 to 3"},
        {"router.listen", "\xff", "router.listen must be text."},
    };
    conf_set *set = set_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lpx_note note = {{0}};
        lpx_err err = conf_put(set, rows[i].name, rows[i].text, &note);
        if (err.reason != CONF_BAD_VALUE || strstr(note.text, rows[i].what) == NULL) {
            fail_msg("%s %s: %s", rows[i].name, rows[i].text, note.text);
        }
        assert_int_equal(conf_layer_of(set, rows[i].name), CONF_DEFAULT);
    }
    conf_free(&set);
}

static void test_secret_hidden(void **state)
{
    (void)state;
    conf_set *set = set_new();
    lpx_note note = {{0}};
    assert_int_equal(yaml(set, "iam: {secret: [hunter2]}", &note).reason, CONF_BAD_VALUE);
    assert_null(strstr(note.text, "hunter2"));
    assert_int_equal(conf_put(set, "iam.secret", "hunter2\xff", &note).reason, CONF_BAD_VALUE);
    assert_null(strstr(note.text, "hunter2"));
    yaml_good(set, "iam.secret: hunter2");
    lpx_buf out;
    lpx_buf_init(&out, 10000);
    conf_print(set, &out);
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    assert_null(strstr((const char *)out.ptr, "hunter2"));
    assert_non_null(strstr((const char *)out.ptr, "# iam.secret: (hidden)  # lpxd.yaml:1\n"));
    lpx_buf_fini(&out);
    conf_free(&set);
}

static void test_yaml_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t reason;
        const char *what;
    } rows[] = {
        {"router:\n  lisen: x\n", CONF_UNKNOWN_KEY,
         "lpxd.yaml:2: there is no setting router.lisen; did you mean router.listen?"},
        {"\nrouter.queue_age: 1s\n", CONF_UNKNOWN_KEY,
         "lpxd.yaml:2: there is no setting router.queue_age; did you mean "
         "router.queue-age?"},
        {"quite-different-thing: 1\n", CONF_UNKNOWN_KEY, "there is no setting quite-different-thing."},
        {"nothing:\n", CONF_UNKNOWN_KEY, "nothing"},
        {"router: 5\n", CONF_UNKNOWN_KEY, "router must be a group"},
        {"just text\n", CONF_UNKNOWN_KEY, "the file must be a group"},
        {"- a\n", CONF_UNKNOWN_KEY, "the file must be a group"},
        {"router.streams: 1\nrouter: {streams: 2}\n", CONF_TWICE, "lpxd.yaml:2: router.streams is there twice"},
        {"router.streams: [1]\n", CONF_BAD_VALUE, "router.streams must be one value, not a list"},
        {"router.streams: []\n", CONF_BAD_VALUE, "router.streams must be one value"},
        {"router.streams: {a: 1}\n", CONF_UNKNOWN_KEY, "router.streams.a"},
        {"router.streams: {}\n", CONF_BAD_VALUE, "router.streams must be one value"},
        {"router.streams:\n", CONF_BAD_VALUE, "router.streams has no value"},
        {"iam.audiences: [a, [b]]\n", CONF_BAD_VALUE, "iam.audiences must be a list of texts"},
        {"iam.audiences: [a, {b: c}]\n", CONF_BAD_VALUE, "iam.audiences must be a list of texts"},
        {"iam.audiences: [a, ~]\n", CONF_BAD_VALUE, "iam.audiences must be a list of texts"},
        {"roles: [iam, nose]\n", CONF_BAD_VALUE,
         "lpxd.yaml:1: roles must be a list of 1 to 3 texts out of iam, control, "
         "router, not \"nose\"."},
        {"roles: []\n", CONF_BAD_VALUE, "roles must be a list of 1 to 3"},
        {"a: b: c\n", YAML_MALFORMED, "lpxd.yaml: YAML line 1, column 5"},
        {"router: {listen: a}\nrouter: {streams: 1}\n", YAML_MALFORMED, "line 2, column 1: this key is there twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        conf_set *set = set_new();
        lpx_note note;
        lpx_err err = yaml(set, rows[i].text, &note);
        if (err.reason != rows[i].reason || strstr(note.text, rows[i].what) == NULL) {
            fail_msg("%s: %s: %s", rows[i].text, lpx_reason_name(err.reason), note.text);
        }
        conf_free(&set);
    }
}

static void test_long_list(void **state)
{
    (void)state;
    conf_set *set = set_new();
    lpx_note note;
    for (int extra = 0; extra < 2; extra++) {
        lpx_buf text;
        lpx_buf_init(&text, 10000);
        lpx_buf_add_str(&text, LPX_STR("iam.audiences: ["));
        for (int i = 0; i < CONF_MAX_LIST + extra; i++) {
            lpx_buf_printf(&text, "h%d,", i);
        }
        lpx_buf_add_str(&text, LPX_STR("]"));
        lpx_err err = conf_add_yaml(set, "x", lpx_bytes_str(lpx_buf_view(&text)), &note);
        assert_int_equal(err.reason, extra == 0 ? 0 : CONF_BAD_VALUE);
        lpx_buf_fini(&text);
    }
    const lpx_str *items;
    assert_int_equal(conf_list(set, "iam.audiences", &items), CONF_MAX_LIST);
    conf_free(&set);
}

static void test_env(void **state)
{
    (void)state;
    conf_set *set = set_new();
    lpx_note note = {{0}};
    char *unknown[] = {(char[]){"LPX_ROUTER_STREAM=1"}, NULL};
    char *far_off[] = {(char[]){"LPX_SERVICE_HOST=1"}, NULL};
    char *bad[] = {(char[]){"LPX_ROUTER_STREAMS=many"}, NULL};
    char *odd[] = {(char[]){"LPX_ROUTER_STREAMS"},
                   (char[]){"LPX_"},
                   (char[]){"=x"},
                   (char[]){""},
                   (char[]){"lpx_router_streams=7"},
                   NULL};
    char *pb[] = {(char[]){"PB_CLIENT_ID=K"}, (char[]){"PB_IAM_AUDIENCES=a,b"}, NULL};
    assert_int_equal(conf_add_env(set, "LPX_", unknown, true, &note).reason, CONF_UNKNOWN_KEY);
    assert_string_equal(note.text,
                        "Environment: there is no setting LPX_ROUTER_STREAM; did you mean LPX_ROUTER_STREAMS?");
    assert_int_equal(conf_add_env(set, "LPX_", unknown, false, &note).code, LPX_OK);
    assert_int_equal(conf_add_env(set, "LPX_", far_off, true, &note).reason, CONF_UNKNOWN_KEY);
    assert_int_equal(conf_add_env(set, "LPX_", bad, false, &note).reason, CONF_BAD_VALUE);
    assert_non_null(strstr(note.text, "LPX_ROUTER_STREAMS: router.streams must be a whole number"));
    assert_int_equal(conf_add_env(set, "LPX_", odd, true, &note).code, LPX_OK);
    assert_int_equal(conf_int(set, "router.streams"), 4096);
    assert_int_equal(conf_add_env(set, "PB_", pb, true, &note).code, LPX_OK);
    assert_true(lpx_str_is(conf_str(set, "client-id"), "K"));
    list_is(set, "iam.audiences", "a,b");
    conf_free(&set);
}

/* Run conf_add_args over words; argv gets what stays. */
static lpx_err args(conf_set *set, const char *line, char *room, char **argv, int *argc, lpx_note *note)
{
    char *save = NULL;
    (void)snprintf(room, 400, "%s", line);
    *argc = 0;
    for (char *word = strtok_r(room, " ", &save); word != NULL && *argc < 23; word = strtok_r(NULL, " ", &save)) {
        argv[(*argc)++] = word;
    }
    argv[*argc] = NULL;
    *note = (lpx_note){{0}};
    return conf_add_args(set, argc, argv, note);
}

static void test_args(void **state)
{
    (void)state;
    conf_set *set = set_new();
    lpx_note note;
    char room[400], *argv[24];
    int argc;
    lpx_err err = args(set,
                       "lpx network --router.streams=7 list -d -cKEY --router.loopback --iam.audiences a,b - "
                       "--iam.audiences c --router.streams 8 -s x -- --not-an-option -y",
                       room, argv, &argc, &note);
    if (lpx_failed(err)) {
        fail_msg("%s", note.text);
    }
    assert_int_equal(argc, 6);
    assert_string_equal(argv[0], "lpx");
    assert_string_equal(argv[1], "network");
    assert_string_equal(argv[2], "list");
    assert_string_equal(argv[3], "-");
    assert_string_equal(argv[4], "--not-an-option");
    assert_string_equal(argv[5], "-y");
    assert_int_equal(conf_int(set, "router.streams"), 8);
    assert_true(conf_bool(set, "debug"));
    assert_true(conf_bool(set, "router.loopback"));
    assert_true(lpx_str_is(conf_str(set, "client-id"), "KEY"));
    assert_true(lpx_str_is(conf_str(set, "iam.secret"), "x"));
    list_is(set, "iam.audiences", "a,b,c");
    assert_false(
        lpx_failed(args(set, "lpx --no-router.loopback --debug=false -ld --roles control", room, argv, &argc, &note)));
    assert_true(conf_bool(set, "router.loopback"));
    assert_true(conf_bool(set, "debug"));
    list_is(set, "roles", "control");
    assert_false(
        lpx_failed(args(set, "lpx --no-router.loopback --debug=false --client-id=", room, argv, &argc, &note)));
    assert_false(conf_bool(set, "router.loopback"));
    assert_false(conf_bool(set, "debug"));
    assert_int_equal(conf_str(set, "client-id").len, 0);
    argc = 0;
    argv[0] = NULL;
    assert_false(lpx_failed(conf_add_args(set, &argc, argv, &note)));
    assert_int_equal(argc, 0);
    conf_free(&set);
}

static void test_args_errors(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint16_t reason;
        const char *what;
    } rows[] = {
        {"lpx --router.stream 1", CONF_UNKNOWN_KEY,
         "Command line: there is no setting --router.stream; did you mean --router.streams?"},
        {"lpx --zzzzzzzzzzzz", CONF_UNKNOWN_KEY, "there is no setting --zzzzzzzzzzzz."},
        {"lpx -x", CONF_UNKNOWN_KEY, "no option -x"},
        {"lpx -dx", CONF_UNKNOWN_KEY, "no option -x"},
        {"lpx --router.listen", CONF_BAD_VALUE, "--router.listen wants a value after it: HOST:PORT."},
        {"lpx -c", CONF_BAD_VALUE, "-c wants a value"},
        {"lpx --no-router.streams", CONF_UNKNOWN_KEY, "--no-router.streams"},
        {"lpx --no-debug=true", CONF_UNKNOWN_KEY, "--no-debug"},
        {"lpx --debug=perhaps", CONF_BAD_VALUE, "--debug: debug must be true or false"},
        {"lpx --router.streams x", CONF_BAD_VALUE, "--router.streams: router.streams must be a whole number"},
        {"lpx --roles iam --roles nose", CONF_BAD_VALUE, "--roles: roles must be a list"},
        {"lpx --roles iam,iam --roles iam,iam", CONF_BAD_VALUE, "--roles: roles must be a list of 1 to 3"},
        {"lpx --=x", CONF_UNKNOWN_KEY, "there is no setting"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        conf_set *set = set_new();
        lpx_note note;
        char room[400], *argv[24];
        int argc;
        lpx_err err = args(set, rows[i].line, room, argv, &argc, &note);
        if (err.reason != rows[i].reason || strstr(note.text, rows[i].what) == NULL) {
            fail_msg("%s: %s: %s", rows[i].line, lpx_reason_name(err.reason), note.text);
        }
        conf_free(&set);
    }
}

static void test_file(void **state)
{
    (void)state;
    conf_set *set = set_new();
    lpx_note note = {{0}};
    char path[] = "/tmp/lpx-conf-test-XXXXXX";
    assert_int_equal(conf_add_file(set, "/nonexistent/lpxd.yaml", &note).reason, CONF_FILE);
    assert_non_null(strstr(note.text, "/nonexistent/lpxd.yaml: No such file"));
    assert_int_equal(conf_add_file(set, "/tmp", &note).reason, CONF_FILE);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "router:\n  streams: 12\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    assert_false(lpx_failed(conf_add_file(set, path, &note)));
    assert_int_equal(conf_int(set, "router.streams"), 12);
    assert_int_equal(ftruncate(fd, CONF_MAX_FILE_BYTES + 1), 0);
    assert_int_equal(conf_add_file(set, path, &note).reason, CONF_FILE);
    (void)close(fd);
    (void)unlink(path);
    conf_free(&set);
}

/* ---- texts ---- */

static lpx_str text_end(lpx_buf *buf)
{
    assert_false(lpx_buf_failed(buf));
    return lpx_bytes_str(lpx_buf_view(buf));
}

static void test_help(void **state)
{
    (void)state;
    lpx_buf out;
    lpx_buf_init(&out, 100000);
    conf_help(tables, 2, &out);
    static const char want[] =
        "Router:\n"
        "      --router.listen HOST:PORT   where it listens (default 127.0.0.1:1900)\n"
        "      --router.queue-age TIME     how long a message waits (default 30s)\n"
        "      --router.queue-bytes SIZE   bytes that wait (default 8MiB)\n"
        "      --router.streams NUMBER     streams (default 4096)\n"
        "  -l, --router.loopback           own traffic back\n"
        "\n"
        "Other:\n"
        "      --log.level WORD            least level that is logged: debug, info, warn, error (default\n"
        "                                  info)\n"
        "      --roles LIST                parts that run: iam, control, router (default iam,router)\n"
        "      --iam.audiences HOST        own names\n"
        "  -s, --iam.secret TEXT           not to be shown\n"
        "      --offset NUMBER             any whole number\n"
        "  -c, --client-id TEXT            id of the key\n"
        "  -d, --debug                     say more\n";
    lpx_str got = text_end(&out);
    if (!lpx_str_is(got, want)) {
        fail_msg("%.*s", (int)got.len, got.ptr);
    }
    lpx_buf_fini(&out);
}

static void test_reference(void **state)
{
    (void)state;
    lpx_buf out;
    lpx_buf_init(&out, 100000);
    conf_reference(tables, 2, "LPX_", &out);
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    const char *text = (const char *)out.ptr;
    assert_non_null(strstr(text,
                           "## Router\n\n| setting | environment | type | default | allowed | reload | meaning |\n"
                           "| --- | --- | --- | --- | --- | --- | --- |\n"));
    assert_non_null(strstr(text,
                           "| `router.queue-age` | `LPX_ROUTER_QUEUE_AGE` | duration | `30s` | 100ms to 1h | yes | "
                           "how long a message waits |\n"));
    assert_non_null(
        strstr(text, "| `log.level` | `LPX_LOG_LEVEL` | word | `info` | debug, info, warn, error | yes | "));
    lpx_buf_clear(&out);
    conf_reference(tables, 1, NULL, &out);
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    assert_non_null(
        strstr((const char *)out.ptr, "| `router.streams` | number | `4096` | 1 to 65535 | no | streams |\n"));
    lpx_buf_clear(&out);
    conf_man(tables, 2, &out);
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    assert_non_null(strstr((const char *)out.ptr, ".SH OPTIONS\n.SS \"Router\"\n.TP\n\\fB\\-\\-router.listen\\fR "
                                                  "\\fIHOST:PORT\\fR\nwhere it listens (default 127.0.0.1:1900)\n"));
    assert_non_null(strstr((const char *)out.ptr, ".TP\n\\fB\\-d\\fR, \\fB\\-\\-debug\\fR\nsay more\n"));
    lpx_buf_fini(&out);
}

static size_t changes;
static char changed[200];

static void on_change(void *ctx, const conf_option *option)
{
    assert_ptr_equal(ctx, &changes);
    changes++;
    (void)strncat(changed, option->name, sizeof changed - strlen(changed) - 2);
    (void)strncat(changed, " ", 2);
}

static void test_diff(void **state)
{
    (void)state;
    conf_set *before = set_new(), *after = set_new();
    yaml_good(before, "router: {queue-age: 60s, loopback: yes, streams: 5}\niam.audiences: [a, b]\n");
    yaml_good(after, "router: {queue-age: 1m, loopback: true, streams: 5}\niam.audiences: 'a,b'\n");
    changes = 0;
    changed[0] = '\0';
    assert_int_equal(conf_diff(before, after, on_change, &changes), 0);
    assert_int_equal(changes, 0);
    yaml_good(after, "router: {queue-age: 2m, streams: 6}\niam.audiences: [a]\nlog.level: debug\nclient-id: x\n");
    assert_int_equal(conf_diff(before, after, on_change, &changes), 3);
    assert_string_equal(changed, "router.queue-age router.streams log.level iam.audiences client-id ");
    assert_int_equal(conf_diff(before, after, NULL, NULL), 3);
    conf_free(&before);
    conf_free(&after);
}

/* What is printed reads back as the same settings. */
static void test_print(void **state)
{
    (void)state;
    conf_set *set = set_new(), *again = set_new();
    lpx_buf out;
    lpx_buf_init(&out, 10000);
    yaml_good(set, "router.listen: \"a \\\"b\\\" \\\\ \\x7f\\n\xc3\xa9 \\u2028\\ufeff \xf0\x9f\x98\x80 # x\"\n"
                   "iam.audiences: ['x: y', \"a,b\", '~', \"- z\"]\nrouter.loopback: on\nrouter.queue-bytes: 1MiB\n");
    conf_print(set, &out);
    lpx_note note;
    if (lpx_failed(conf_add_yaml(again, "printed", lpx_bytes_str(lpx_buf_view(&out)), &note))) {
        fail_msg("%s\n%.*s", note.text, (int)out.len, (const char *)out.ptr);
    }
    assert_int_equal(conf_diff(set, again, NULL, NULL), 0);
    assert_true(conf_bool(again, "router.loopback"));
    lpx_buf_add(&out, lpx_bytes_of("", 1));
    const char *text = (const char *)out.ptr;
    assert_non_null(strstr(text, "router.loopback: true  # lpxd.yaml:3\n"));
    assert_non_null(strstr(text, "router.streams: 4096  # default\n"));
    assert_non_null(strstr(text, "# client-id: (not set)  # default\n"));
    assert_non_null(strstr(text, "log.level: \"info\"  # default\n"));
    lpx_buf_fini(&out);
    conf_free(&set);
    conf_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_layers),      cmocka_unit_test(test_yaml_shapes),
        cmocka_unit_test(test_values),      cmocka_unit_test(test_bad_values),  cmocka_unit_test(test_secret_hidden),
        cmocka_unit_test(test_yaml_errors), cmocka_unit_test(test_long_list),   cmocka_unit_test(test_env),
        cmocka_unit_test(test_args),        cmocka_unit_test(test_args_errors), cmocka_unit_test(test_file),
        cmocka_unit_test(test_help),        cmocka_unit_test(test_reference),   cmocka_unit_test(test_diff),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
