/* Notifications come for the commits of all nodes, our own included, in the order of the commits. While the session is
 * down they are lost, so that all topics are told once it is back. */
#include "store/postgres_feed.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/text.h"
#include "lpx_reasons.h"
#include "store/postgres_priv.h"

typedef struct listener {
    store *store;
    PGconn *pg; /* NULL: not connected */
    int stop_fd;
    pthread_t thread;
} listener;

static bool listen_now(listener *l, lpx_note *note)
{
    l->pg = store_postgres_connect(l->store->location, true, note);
    if (l->pg == NULL) {
        return false;
    }
    PGresult *result = PQexec(l->pg, "LISTEN " STORE_POSTGRES_CHANNEL);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!good) {
        store_postgres_explain(l->pg, note);
        PQfinish(l->pg);
        l->pg = NULL;
    }
    return good;
}

/* Wait for the session, the stop or the time; negative: for ever. @return false when it is time to stop */
static bool wait_for_event(const listener *l, int wait_ms)
{
    struct pollfd fds[2] = {{.fd = l->stop_fd, .events = POLLIN},
                            {.fd = l->pg != NULL ? PQsocket(l->pg) : -1, .events = POLLIN}};
    poll(fds, 2, wait_ms);
    return fds[0].revents == 0;
}

/* Tell what came. @return false when the session is lost */
static bool read_events(listener *l)
{
    if (PQconsumeInput(l->pg) == 0) {
        return false;
    }
    uint32_t topics = 0;
    for (PGnotify *event = PQnotifies(l->pg); event != NULL; event = PQnotifies(l->pg)) {
        uint64_t told = 0;
        /* What we do not understand comes from a newer node: anything may have changed. */
        bool known = lpx_parse_u64(lpx_str_of(event->extra), STORE_ALL_TOPICS, &told);
        topics |= known ? (uint32_t)told : STORE_ALL_TOPICS;
        PQfreemem(event);
    }
    if (topics != 0) {
        store_feed_tell(&l->store->feed, topics);
    }
    return PQstatus(l->pg) == CONNECTION_OK;
}

/* @return false when it is time to stop */
static bool reconnect(listener *l)
{
    lpx_note why = {""};
    int64_t wait_us = STORE_MIN_BACKOFF_US;
    while (!listen_now(l, &why)) {
        if (!wait_for_event(l, (int)(wait_us / 1000))) {
            return false;
        }
        wait_us = 2 * wait_us < STORE_MAX_BACKOFF_US ? 2 * wait_us : STORE_MAX_BACKOFF_US;
    }
    store_feed_tell(&l->store->feed, STORE_ALL_TOPICS);
    return true;
}

static void *listener_main(void *arg)
{
    listener *l = arg;
    while (wait_for_event(l, -1)) {
        if (read_events(l)) {
            continue;
        }
        lpx_note why = {""};
        store_postgres_explain(l->pg, &why);
        store_report(l->store, "the change feed lost its connection", why.text);
        PQfinish(l->pg);
        l->pg = NULL;
        if (!reconnect(l)) {
            break;
        }
    }
    return NULL;
}

static void listener_free(listener *l)
{
    PQfinish(l->pg);
    if (l->stop_fd >= 0) {
        close(l->stop_fd);
    }
    free(l);
}

/* Signals belong to the program's own threads. */
static int start_thread(listener *l)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&l->thread, NULL, listener_main, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

lpx_err store_postgres_feed_start(store *s, lpx_note *note)
{
    listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return lpx_err_of(BASE_NO_MEMORY);
    }
    l->store = s;
    l->stop_fd = eventfd(0, EFD_CLOEXEC);
    lpx_note why = {"no event descriptor or thread is to be had"};
    if (l->stop_fd < 0 || !listen_now(l, &why) || start_thread(l) != 0) {
        listener_free(l);
        return lpx_fail(note, STORE_CANNOT_OPEN, "The change feed of the database cannot be followed: %s.", why.text);
    }
    s->listener = l;
    return LPX_SUCCESS;
}

void store_postgres_feed_stop(store *s)
{
    listener *l = s->listener;
    s->listener = NULL;
    uint64_t one = 1;
    ssize_t written = write(l->stop_fd, &one, sizeof one);
    (void)written; /* an event descriptor takes its first number always */
    pthread_join(l->thread, NULL);
    listener_free(l);
}
