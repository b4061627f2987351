/* A stand-in for the network between us and a PostgreSQL server: it can cut a session at a given message. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { PROXY_MAX_SESSIONS = 16 };

typedef struct proxy_session {
    int client, server; /* -1: free */
} proxy_session;

/** What happens to the session that sends the text. */
typedef enum proxy_cut {
    PROXY_CUT_NONE,
    PROXY_CUT_BEFORE, /* the server does not get the message */
    PROXY_CUT_AFTER   /* the server gets it, and we do not get its answer */
} proxy_cut;

typedef struct proxy {
    char server_path[128];
    int listen_fd, stop_fd;
    pthread_t thread;
    proxy_session sessions[PROXY_MAX_SESSIONS];
    pthread_mutex_t lock; /* guards what follows */
    proxy_cut cut;
    const char *text;
    unsigned skip; /* messages with the text that pass first */
    bool refuse;   /* new sessions are closed at once */
    atomic_uint cuts;
    atomic_uint refused;
} proxy;

/** Listen in folder for what goes to the server with its socket in server_folder. */
void proxy_start(proxy *p, const char *folder, const char *server_folder);
/** End all sessions and the thread. */
void proxy_stop(proxy *p);
/** Cut, once, the session that sends text for the skip + 1st time from now. */
void proxy_cut_at(proxy *p, proxy_cut cut, const char *text, unsigned skip);
/** Refuse new sessions, or take them again. */
void proxy_refuse(proxy *p, bool refuse);
