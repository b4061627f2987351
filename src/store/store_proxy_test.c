#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"
#include "store/store_proxy_test.h"

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int len = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    lpx_assert(len > 0 && (size_t)len < sizeof address.sun_path);
    return address;
}

static void send_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        data += sent;
        len -= (size_t)sent;
    }
}

static void end_session(proxy_session *s)
{
    close(s->client);
    close(s->server);
    s->client = s->server = -1;
}

static void begin_session(proxy *p)
{
    int client = accept(p->listen_fd, NULL, NULL);
    pthread_mutex_lock(&p->lock);
    bool refuse = p->refuse;
    pthread_mutex_unlock(&p->lock);
    if (refuse) {
        atomic_fetch_add(&p->refused, 1);
        close(client);
        return;
    }
    struct sockaddr_un address = address_of(p->server_path);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    lpx_assert(connect(server, (struct sockaddr *)&address, sizeof address) == 0);
    for (unsigned i = 0; i < PROXY_MAX_SESSIONS; i++) {
        if (p->sessions[i].client < 0) {
            p->sessions[i] = (proxy_session){.client = client, .server = server};
            return;
        }
    }
    lpx_assert(!"a free session");
}

static proxy_cut take_cut(proxy *p, const uint8_t *data, size_t len)
{
    pthread_mutex_lock(&p->lock);
    proxy_cut cut = PROXY_CUT_NONE;
    if (p->cut != PROXY_CUT_NONE && memmem(data, len, p->text, strlen(p->text)) != NULL) {
        cut = p->skip == 0 ? p->cut : PROXY_CUT_NONE;
        p->cut = p->skip == 0 ? PROXY_CUT_NONE : p->cut;
        p->skip -= p->skip > 0;
    }
    pthread_mutex_unlock(&p->lock);
    return cut;
}

static void forward_up(proxy *p, proxy_session *s)
{
    uint8_t data[65536];
    ssize_t len = read(s->client, data, sizeof data);
    if (len <= 0) {
        end_session(s);
        return;
    }
    proxy_cut cut = take_cut(p, data, (size_t)len);
    if (cut != PROXY_CUT_BEFORE) {
        send_all(s->server, data, (size_t)len);
    }
    if (cut == PROXY_CUT_AFTER) {
        len = read(s->server, data, sizeof data); /* it has answered: the message had its effect */
        lpx_assert(len > 0);
    }
    if (cut != PROXY_CUT_NONE) {
        atomic_fetch_add(&p->cuts, 1);
        end_session(s);
    }
}

static void forward_down(proxy_session *s)
{
    uint8_t data[65536];
    ssize_t len = read(s->server, data, sizeof data);
    if (len <= 0) {
        end_session(s);
        return;
    }
    send_all(s->client, data, (size_t)len);
}

static void *proxy_main(void *arg)
{
    proxy *p = arg;
    for (;;) {
        struct pollfd fds[2 + 2 * PROXY_MAX_SESSIONS] = {{.fd = p->stop_fd, .events = POLLIN},
                                                         {.fd = p->listen_fd, .events = POLLIN}};
        for (unsigned i = 0; i < PROXY_MAX_SESSIONS; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = p->sessions[i].client, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = p->sessions[i].server, .events = POLLIN};
        }
        if (poll(fds, 2 + 2 * PROXY_MAX_SESSIONS, -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (fds[0].revents != 0) {
            return NULL;
        }
        for (unsigned i = 0; i < PROXY_MAX_SESSIONS; i++) {
            if (fds[2 + 2 * i].revents != 0) {
                forward_up(p, &p->sessions[i]);
            } else if (fds[3 + 2 * i].revents != 0) {
                forward_down(&p->sessions[i]);
            }
        }
        if (fds[1].revents != 0) {
            begin_session(p);
        }
    }
}

void proxy_start(proxy *p, const char *folder, const char *server_folder)
{
    *p = (proxy){.listen_fd = -1};
    char path[128];
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", folder);
    snprintf(p->server_path, sizeof p->server_path, "%s/.s.PGSQL.5432", server_folder);
    pthread_mutex_init(&p->lock, NULL);
    for (unsigned i = 0; i < PROXY_MAX_SESSIONS; i++) {
        p->sessions[i] = (proxy_session){.client = -1, .server = -1};
    }
    struct sockaddr_un address = address_of(path);
    p->stop_fd = eventfd(0, EFD_CLOEXEC);
    p->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    lpx_assert(p->stop_fd >= 0 && bind(p->listen_fd, (struct sockaddr *)&address, sizeof address) == 0);
    lpx_assert(listen(p->listen_fd, 64) == 0);
    lpx_assert(pthread_create(&p->thread, NULL, proxy_main, p) == 0);
}

void proxy_stop(proxy *p)
{
    uint64_t one = 1;
    lpx_assert(write(p->stop_fd, &one, sizeof one) == (ssize_t)sizeof one);
    pthread_join(p->thread, NULL);
    for (unsigned i = 0; i < PROXY_MAX_SESSIONS; i++) {
        if (p->sessions[i].client >= 0) {
            end_session(&p->sessions[i]);
        }
    }
    close(p->listen_fd);
    close(p->stop_fd);
    pthread_mutex_destroy(&p->lock);
}

void proxy_cut_at(proxy *p, proxy_cut cut, const char *text, unsigned skip)
{
    pthread_mutex_lock(&p->lock);
    p->skip = skip;
    p->cut = cut;
    p->text = text;
    pthread_mutex_unlock(&p->lock);
}

void proxy_refuse(proxy *p, bool refuse)
{
    pthread_mutex_lock(&p->lock);
    p->refuse = refuse;
    pthread_mutex_unlock(&p->lock);
}
