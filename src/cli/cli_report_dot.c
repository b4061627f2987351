/* Reports as graphs: text for Graphviz, and images by the local one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli_report.h"
#include "lpx_reasons.h"

extern char **environ;

/* A member as a node. */
typedef struct node {
    uint32_t net_id;
    const char *tenant_id;
} node;

/* One pair of forwarder and home network, all of its records together. */
typedef struct edge {
    node from, to;
    uint64_t up_routed, up_success, down_routed, down_success;
} edge;

static int compare_nodes(const void *a, const void *b)
{
    const node *x = a, *y = b;
    return x->net_id != y->net_id ? (x->net_id < y->net_id ? -1 : 1) : strcmp(x->tenant_id, y->tenant_id);
}

static int compare_edges(const void *a, const void *b)
{
    const edge *x = a, *y = b;
    int order = compare_nodes(&x->from, &y->from);
    return order != 0 ? order : compare_nodes(&x->to, &y->to);
}

static edge edge_of(const report_record *r)
{
    edge e = {.from = {r->forwarder_net_id, r->forwarder_tenant_id},
              .to = {r->home_network_net_id, r->home_network_tenant_id}};
    if (r->uplink != NULL) {
        e.up_routed = r->uplink->join_requests_routed_count + r->uplink->data_messages_routed_count;
        e.up_success =
            r->uplink->join_requests_processed_success_count + r->uplink->data_messages_processed_success_count;
    }
    if (r->downlink != NULL) {
        e.down_routed = r->downlink->join_accepts_routed_count + r->downlink->data_messages_routed_count;
        e.down_success =
            r->downlink->join_accepts_processed_success_count + r->downlink->data_messages_processed_success_count;
    }
    return e;
}

/* Edges in order, those of one pair added up. @return their number */
static size_t collect_edges(cli *c, const cli_report *r, edge **out)
{
    edge *edges = cli_get(c, (r->count + 1) * sizeof *edges);
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        edges[i] = edge_of(r->records[i]);
    }
    qsort(edges, r->count, sizeof *edges, compare_edges);
    for (size_t i = 0; i < r->count; i++) {
        if (count > 0 && compare_edges(&edges[count - 1], &edges[i]) == 0) {
            edges[count - 1].up_routed += edges[i].up_routed;
            edges[count - 1].up_success += edges[i].up_success;
            edges[count - 1].down_routed += edges[i].down_routed;
            edges[count - 1].down_success += edges[i].down_success;
        } else {
            edges[count++] = edges[i];
        }
    }
    *out = edges;
    return count;
}

static size_t collect_nodes(cli *c, const edge *edges, size_t edge_count, node **out)
{
    node *nodes = cli_get(c, (edge_count * 2 + 1) * sizeof *nodes);
    size_t count = 0, unique = 0;
    for (size_t i = 0; i < edge_count; i++) {
        nodes[count++] = edges[i].from;
        nodes[count++] = edges[i].to;
    }
    qsort(nodes, count, sizeof *nodes, compare_nodes);
    for (size_t i = 0; i < count; i++) {
        if (unique == 0 || compare_nodes(&nodes[unique - 1], &nodes[i]) != 0) {
            nodes[unique++] = nodes[i];
        }
    }
    *out = nodes;
    return unique;
}

/* Text in double quotes of the dot language: quotes and backslashes are escaped, control characters are not there. */
static void add_quoted(cli *c, lpx_buf *out, const char *text)
{
    lpx_buf_add_str(out, LPX_STR("\""));
    for (text = cli_clean(c, text, false); *text != 0; text++) {
        lpx_buf_add_str(out, *text == '"' || *text == '\\' ? LPX_STR("\\") : LPX_STR(""));
        lpx_buf_add_str(out, (lpx_str){text, 1});
    }
    lpx_buf_add_str(out, LPX_STR("\""));
}

static const char *node_id(cli *c, const node *n)
{
    return cli_show_member(c, n->net_id, n->tenant_id, "");
}

static void add_nodes(cli *c, const cli_report *r, const node *nodes, size_t count, lpx_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        const char *name = cli_report_name(r, nodes[i].net_id, nodes[i].tenant_id);
        if (i == 0 || nodes[i - 1].net_id != nodes[i].net_id) {
            const char *network = cli_report_name(r, nodes[i].net_id, "");
            lpx_buf_printf(out, "  subgraph cluster_%06X {\n    label=", nodes[i].net_id);
            add_quoted(c, out, cli_printf(c, "%06X%s%s", nodes[i].net_id, network[0] != 0 ? " " : "", network));
            lpx_buf_add_str(out, LPX_STR(";\n"));
        }
        lpx_buf_add_str(out, LPX_STR("    "));
        add_quoted(c, out, node_id(c, &nodes[i]));
        lpx_buf_add_str(out, LPX_STR(" [label="));
        add_quoted(c, out,
                   name[0] != 0 ? name : (nodes[i].tenant_id[0] != 0 ? nodes[i].tenant_id : node_id(c, &nodes[i])));
        lpx_buf_add_str(out, LPX_STR("];\n"));
        if (i + 1 == count || nodes[i + 1].net_id != nodes[i].net_id) {
            lpx_buf_add_str(out, LPX_STR("  }\n"));
        }
    }
}

/* "↑ 120 (98%)": what was processed, and its part of what was routed. */
static const char *direction_text(cli *c, const char *arrow, uint64_t routed, uint64_t success)
{
    return routed > 0 ? cli_printf(c, "%s %" PRIu64 " (%.0f%%)", arrow, success, (double)success / (double)routed * 100)
                      : cli_printf(c, "%s 0", arrow);
}

void cli_report_dot(cli *c, const cli_report *r, lpx_buf *out)
{
    edge *edges = NULL;
    node *nodes = NULL;
    size_t edge_count = collect_edges(c, r, &edges), node_count = collect_nodes(c, edges, edge_count, &nodes);
    lpx_buf_add_str(out, LPX_STR("digraph {\n  rankdir=LR;\n  node [shape=box];\n"));
    add_nodes(c, r, nodes, node_count, out);
    for (size_t i = 0; i < edge_count; i++) {
        const edge *e = &edges[i];
        double width = 1 + log10(1 + (double)(e->up_routed + e->down_routed)) / 2;
        lpx_buf_add_str(out, LPX_STR("  "));
        add_quoted(c, out, node_id(c, &e->from));
        lpx_buf_add_str(out, LPX_STR(" -> "));
        add_quoted(c, out, node_id(c, &e->to));
        lpx_buf_printf(out, " [label=\"%s\\n%s\", penwidth=%.2f];\n",
                       direction_text(c, "↑", e->up_routed, e->up_success),
                       direction_text(c, "↓", e->down_routed, e->down_success), width);
    }
    lpx_buf_add_str(out, LPX_STR("}\n"));
}

/* ---- Graphviz ---- */

static bool write_all(int fd, lpx_str text)
{
    while (text.len > 0) {
        ssize_t written = write(fd, text.ptr, text.len);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        text = lpx_str_skip(text, written > 0 ? (size_t)written : 0);
    }
    return true;
}

/* Start dot with the reading end of a pipe as its input. @return 0, or why not */
static int spawn_dot(const char *format, const char *path, const int pipe_fds[2], pid_t *pid)
{
    char type[16];
    char *const words[] = {(char[]){"dot"}, type, (char[]){"-o"}, (char *)(uintptr_t)path, NULL};
    posix_spawn_file_actions_t actions;
    (void)snprintf(type, sizeof type, "-T%s", format);
    int why = posix_spawn_file_actions_init(&actions);
    if (why != 0) {
        return why;
    }
    why = posix_spawn_file_actions_adddup2(&actions, pipe_fds[0], STDIN_FILENO);
    why = why != 0 ? why : posix_spawnp(pid, "dot", &actions, NULL, words, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return why;
}

lpx_err cli_report_draw(cli *c, lpx_str graph, const char *format, const char *path)
{
    int pipe_fds[2], status = 0;
    pid_t pid = 0;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return cli_fail(c, CLI_FILE, "cannot start Graphviz: %s", strerror(errno));
    }
    int why = spawn_dot(format, path, pipe_fds, &pid);
    (void)close(pipe_fds[0]);
    if (why != 0) {
        (void)close(pipe_fds[1]);
        return cli_fail(c, CLI_FILE,
                        why == ENOENT ? "images need Graphviz, whose program dot is not here: install the package "
                                        "graphviz, or take the graph with -f dot%s"
                                      : "cannot start Graphviz: %s",
                        why == ENOENT ? "" : strerror(why));
    }
    bool written = write_all(pipe_fds[1], graph);
    (void)close(pipe_fds[1]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return written && WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? LPX_SUCCESS
               : cli_fail(c, CLI_FILE, "Graphviz (dot -T%s -o %s) failed", format, path);
}
