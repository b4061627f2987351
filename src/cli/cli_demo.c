/* lpx demo: two networks exchange messages through a running exchange, and one can watch. */
#include "cli/cli_demo.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/random.h"
#include "lpx_reasons.h"

int64_t demo_mono_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Beside the exchange's own files when one may write there, else in the home directory. */
static const char *state_file(cli *c)
{
    const char *given = cli_text(c, "state"), *dir = cli_data_dir(c), *home = c->world->env("HOME");
    if (given[0] != 0) {
        return given;
    }
    if (access(dir, W_OK) == 0) {
        return cli_printf(c, "%s/demo.yaml", dir);
    }
    return cli_printf(c, "%s/.lpx-demo.yaml", home != NULL ? home : ".");
}

static lpx_err seed(demo *d)
{
    if (lpx_failed(crypto_random((lpx_space){d->run, sizeof d->run})) ||
        lpx_failed(crypto_random((lpx_space){d->mic_key, sizeof d->mic_key}))) {
        return cli_fail(d->c, CLI_FILE, "the system gives no random bytes");
    }
    memcpy(&d->random, d->run, sizeof d->random);
    d->random |= 1;
    d->dev_nonce = (uint16_t)demo_random(d);
    return LPX_SUCCESS;
}

/* Send until the count is reached, then wait for what is on its way. */
static lpx_err exchange(demo *d, uint64_t count, double rate)
{
    int64_t started = demo_mono_us(), stopped = 0;
    demo_view_start(d);
    for (;;) {
        int64_t now = demo_mono_us(), due = started + (int64_t)((double)d->counts.sent * 1e6 / rate);
        bool more = (count == 0 || d->counts.sent < count) && !cli_interrupted() && d->broken.code == LPX_OK;
        if (more && now >= due) {
            LPX_TRY(demo_send(d));
        }
        if (!more && stopped == 0) {
            stopped = now;
        }
        /* after Ctrl-C nobody wants to wait until everything counts as lost */
        bool patience = !cli_interrupted() || now - stopped < 2000000;
        if (!more && (!demo_waiting(d) || !patience)) {
            break;
        }
        io_loop_turn(agent_loop(d->c->agent), more && due - now < 50000 ? (due > now ? due - now : 0) : 50000);
        demo_expire(d);
        demo_view_draw(d, false);
    }
    demo_view_draw(d, true);
    return LPX_SUCCESS;
}

static lpx_err judge(demo *d)
{
    const demo_counts *n = &d->counts;
    if (d->broken.code != LPX_OK) {
        return cli_call_failed(d->c, &d->broken);
    }
    /* what an interrupt cut off is not lost; what is lost is */
    uint64_t missing = cli_interrupted() ? n->lost : n->sent - n->complete;
    if (missing > 0) {
        return cli_fail(d->c, CLI_INCOMPLETE, "%llu of %llu messages did not arrive whole", (unsigned long long)missing,
                        (unsigned long long)n->sent);
    }
    return LPX_SUCCESS;
}

static lpx_err run_steps(demo *d, uint64_t count, double rate)
{
    cli *c = d->c;
    LPX_TRY(seed(d));
    LPX_TRY(demo_setup(d));
    LPX_TRY(demo_open(d));
    LPX_TRY(cli_flush(c));
    LPX_TRY(demo_subscribe(d));
    LPX_TRY(cli_flush(c));
    LPX_TRY(exchange(d, count, rate));
    demo_view_summary(d);
    LPX_TRY(cli_flush(c));
    LPX_TRY(judge(d));
    return cli_on(c, "remove") ? demo_remove(d) : LPX_SUCCESS;
}

static lpx_err run_demo(cli *c)
{
    double rate = strtod(cli_text(c, "rate"), NULL);
    uint64_t count = cli_number(c, "count");
    if (rate > DEMO_MAX_RATE) {
        return cli_fail(c, CLI_USAGE, "--rate: want at most %d; \"lpx replay\" sends faster", DEMO_MAX_RATE);
    }
    if (!cli_changed(c, "count") && cli_on(c, "once")) {
        count = DEMO_ONCE_COUNT;
    }
    LPX_TRY(cli_connect(c));
    demo *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return cli_fail(c, CLI_CALL, "not enough memory");
    }
    d->c = c;
    d->oldest = 1;
    d->state_file = state_file(c);
    d->terminal = c->world->out_is_terminal;
    d->color = d->terminal && c->world->env("NO_COLOR") == NULL;
    lpx_arena_init(&d->arena, CLI_STDIN_VALUE_BYTES);
    cli_catch_interrupt();
    lpx_err err = run_steps(d, count, rate);
    agent_close(&d->forwarder);
    agent_close(&d->home);
    lpx_arena_fini(&d->arena);
    lpx_wipe(d, sizeof *d);
    free(d);
    return err;
}

static const cli_flag demo_flags[] = {
    {"count", CLI_NUMBER, "end after so many messages; 0: with Ctrl-C", "30"},
    {"once", CLI_SWITCH, "end after 10 messages: each kind twice"},
    {"rate", CLI_DECIMAL, "messages in a second, at most 100", "2"},
    {"state", CLI_PATH, "file that keeps the demo's API keys for the next run (mode 0600)"},
    {"remove", CLI_SWITCH, "remove the demo's networks, keys and policies at the end"},
    {0},
};

const cli_command cli_demo_command = {
    .name = "demo",
    .brief = "Watch two networks exchange messages",
    .about =
        "Make two networks, a Forwarder (NetID C0FFE0) and a Home Network (NetID C0FFEE), with API keys and a policy\n"
        "that allows everything; publish LoRaWAN uplinks as the Forwarder, receive, report and answer them as the\n"
        "Home Network, receive the answers as the Forwarder, and show every message. It needs an administrator's\n"
        "account; for an exchange on this machine it finds that by itself. Running it again uses the same networks\n"
        "and keys. The exit status is 1 when a message or its answer did not arrive, or not as it was sent.",
    .examples = "  Against the exchange on this machine:\n    $ %\n\n"
                "  Until Ctrl-C, five messages in a second:\n    $ % --count 0 --rate 5\n\n"
                "  Against another exchange, leaving nothing behind:\n"
                "    $ % --once --remove --iam-address exchange.example.com:1900 \\\n"
                "        --controlplane-address exchange.example.com:1900 \\\n"
                "        --router-address exchange.example.com:1900 \\\n"
                "        --token-url https://exchange.example.com:1901/token \\\n"
                "        --iam-username admin --iam-password ...\n",
    .flags = (const cli_flag *const[]){demo_flags, NULL},
    .run = run_demo,
};
