#include "io/lookup.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/loop_priv.h"

/* The name service may use much stack; it is touched only as far as used. */
enum { LOOKUP_STACK_BYTES = 1024 * 1024 };

/* Shared by the loop and the thread: the thread may still block in the name service when the loop goes away. */
struct io_lookup {
    io_task task;
    lpx_list node; /* of loop->lookups; touched by the owner only */
    io_address address;
    io_lookup_done *done; /* NULL: cancelled; touched by the owner only */
    void *ctx;

    pthread_mutex_t lock;
    io_loop *loop; /* NULL: the loop is gone, the thread frees */
    bool posted;   /* the thread is through, the loop frees */
    int code;
    struct addrinfo *list;
};

static void lookup_free(io_lookup *lookup)
{
    if (lookup->list != NULL) {
        freeaddrinfo(lookup->list);
    }
    (void)pthread_mutex_destroy(&lookup->lock);
    free(lookup);
}

static void lookup_home(io_task *task)
{
    io_lookup *lookup = LPX_CONTAINER(task, io_lookup, task);
    /* The thread posts under the lock: whoever has it after the post knows that the thread is through. */
    (void)pthread_mutex_lock(&lookup->lock);
    (void)pthread_mutex_unlock(&lookup->lock);
    lpx_list_remove(&lookup->node);
    if (lookup->done != NULL) {
        struct addrinfo *list = lookup->list;
        lookup->list = NULL;
        lookup->done(lookup->ctx, lookup->code, list);
    }
    lookup_free(lookup);
}

static void *lookup_thread(void *arg)
{
    io_lookup *lookup = arg;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)lookup->address.port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    lookup->code = getaddrinfo(lookup->address.host, port, &hints, &lookup->list);

    (void)pthread_mutex_lock(&lookup->lock);
    bool wanted = lookup->loop != NULL;
    if (wanted) {
        lookup->posted = true;
        io_loop_post(lookup->loop, &lookup->task);
    }
    (void)pthread_mutex_unlock(&lookup->lock);
    if (!wanted) {
        lookup_free(lookup);
    }
    return NULL;
}

static bool start_thread(io_lookup *lookup)
{
    pthread_attr_t attr;
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    pthread_t thread;
    bool started = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
                   pthread_attr_setstacksize(&attr, LOOKUP_STACK_BYTES) == 0 &&
                   pthread_create(&thread, &attr, lookup_thread, lookup) == 0;
    (void)pthread_attr_destroy(&attr);
    return started;
}

static size_t count_lookups(const io_loop *loop)
{
    size_t count = 0;
    for (const lpx_list *node = loop->lookups.next; node != &loop->lookups; node = node->next) {
        count++;
    }
    return count;
}

io_lookup *io_lookup_start(io_loop *loop, const io_address *address, io_lookup_done *done, void *ctx)
{
    if (count_lookups(loop) >= IO_LOOKUPS_MAX) {
        return NULL;
    }
    io_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL || pthread_mutex_init(&lookup->lock, NULL) != 0) {
        free(lookup);
        return NULL;
    }
    lookup->task.run = lookup_home;
    lookup->address = *address;
    lookup->done = done;
    lookup->ctx = ctx;
    lookup->loop = loop;
    lpx_list_init(&lookup->node);
    lpx_list_push(&loop->lookups, &lookup->node);
    if (!start_thread(lookup)) {
        lpx_list_remove(&lookup->node);
        lookup_free(lookup);
        return NULL;
    }
    return lookup;
}

void io_lookup_cancel(io_lookup **lookup)
{
    if (*lookup != NULL) {
        (*lookup)->done = NULL;
    }
    *lookup = NULL;
}

void io_lookups_drop(io_loop *loop)
{
    for (lpx_list *node = lpx_list_pop(&loop->lookups); node != NULL; node = lpx_list_pop(&loop->lookups)) {
        io_lookup *lookup = LPX_CONTAINER(node, io_lookup, node);
        (void)pthread_mutex_lock(&lookup->lock);
        bool posted = lookup->posted;
        lookup->loop = NULL;
        (void)pthread_mutex_unlock(&lookup->lock);
        if (posted) {
            lookup_free(lookup);
        }
    }
}
