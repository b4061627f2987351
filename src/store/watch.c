/* The change feed's last step: from a commit to the loops that follow. A watch has a link of its own on the heap, so
 * that the watch may go while a message to its loop is under way. Locks: feed before link. */
#include <stdlib.h>

#include "base/assert.h"
#include "store/store_priv.h"

struct store_watch_link {
    lpx_list node; /* in the feed's list, under its lock */
    io_task task;
    uint32_t topics;
    io_loop *home;
    pthread_mutex_t lock; /* guards what follows */
    uint32_t pending;
    bool posted;
    store_watch *watch; /* NULL: stopped; read on home's thread */
};

static void link_free(struct store_watch_link *link)
{
    pthread_mutex_destroy(&link->lock);
    free(link);
}

/* On home's thread. */
static void deliver(io_task *task)
{
    struct store_watch_link *link = LPX_CONTAINER(task, struct store_watch_link, task);
    pthread_mutex_lock(&link->lock);
    uint32_t topics = link->pending;
    store_watch *watch = link->watch;
    link->pending = 0;
    link->posted = false;
    pthread_mutex_unlock(&link->lock);
    if (watch == NULL) {
        link_free(link);
        return;
    }
    watch->changed(watch, topics);
}

/* The link belongs to nobody from now on: the message under way frees it, or we do. */
static void link_drop(struct store_watch_link *link)
{
    pthread_mutex_lock(&link->lock);
    link->watch = NULL;
    bool posted = link->posted;
    pthread_mutex_unlock(&link->lock);
    if (!posted) {
        link_free(link);
    }
}

void store_feed_init(store_feed *feed)
{
    pthread_mutex_init(&feed->lock, NULL);
    lpx_list_init(&feed->links);
}

void store_feed_fini(store_feed *feed)
{
    for (lpx_list *node = lpx_list_pop(&feed->links); node != NULL; node = lpx_list_pop(&feed->links)) {
        link_drop(LPX_CONTAINER(node, struct store_watch_link, node));
    }
    pthread_mutex_destroy(&feed->lock);
}

static void link_tell(struct store_watch_link *link, uint32_t topics)
{
    pthread_mutex_lock(&link->lock);
    link->pending |= topics;
    bool post = !link->posted;
    link->posted = true;
    pthread_mutex_unlock(&link->lock);
    if (post) {
        io_loop_post(link->home, &link->task);
    }
}

void store_feed_tell(store_feed *feed, uint32_t topics)
{
    pthread_mutex_lock(&feed->lock);
    for (lpx_list *node = feed->links.next; node != &feed->links; node = node->next) {
        struct store_watch_link *link = LPX_CONTAINER(node, struct store_watch_link, node);
        if ((topics & link->topics) != 0) {
            link_tell(link, topics & link->topics);
        }
    }
    pthread_mutex_unlock(&feed->lock);
}

void store_watch_start(store *s, store_watch *watch)
{
    struct store_watch_link *link = calloc(1, sizeof *link);
    lpx_assert(link != NULL); /* start-up */
    link->task.run = deliver;
    link->topics = watch->topics;
    link->home = watch->home;
    link->watch = watch;
    pthread_mutex_init(&link->lock, NULL);
    watch->link = link;
    pthread_mutex_lock(&s->feed.lock);
    lpx_list_push(&s->feed.links, &link->node);
    pthread_mutex_unlock(&s->feed.lock);
}

void store_watch_stop(store *s, store_watch *watch)
{
    struct store_watch_link *link = watch->link;
    if (link == NULL) {
        return;
    }
    watch->link = NULL;
    pthread_mutex_lock(&s->feed.lock);
    lpx_list_remove(&link->node);
    pthread_mutex_unlock(&s->feed.lock);
    link_drop(link);
}
