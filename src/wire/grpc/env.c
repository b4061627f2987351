#include "wire/grpc/env.h"

#include "base/assert.h"
#include "lpx_reasons.h"

static void on_turn_end(io_hook *hook)
{
    (void)grpc_env_run(LPX_CONTAINER(hook, grpc_env, hook));
}

/* The loop's timer may fire too early: a nearer deadline was cleared in the meantime. */
static void rearm(grpc_env *env)
{
    lpx_mono next = grpc_due_next(&env->due);
    if (env->loop == NULL || next.us == INT64_MAX) {
        return;
    }
    int64_t delay_us = next.us - grpc_env_now(env).us;
    env->armed_us = next.us;
    io_timer_arm(&env->timer, delay_us > 0 ? delay_us : 0);
}

static void on_timer(io_timer *timer)
{
    grpc_env *env = LPX_CONTAINER(timer, grpc_env, timer);
    env->armed_us = INT64_MAX;
    if (grpc_env_run(env) && env->armed_us == INT64_MAX) {
        rearm(env);
    }
}

lpx_err grpc_env_init(grpc_env *env, io_loop *loop)
{
    *env = (grpc_env){.loop = loop, .armed_us = INT64_MAX, .hook.run = on_turn_end};
    lpx_list_init(&env->later);
    env->gzip = grpc_gzip_new();
    if (env->gzip == NULL) {
        return lpx_err_of(GRPC_NO_MEMORY);
    }
    return loop != NULL ? io_timer_init(&env->timer, loop, on_timer) : LPX_SUCCESS;
}

void grpc_env_detach(grpc_env *env)
{
    if (env->ended != NULL) {
        *env->ended = true;
        env->ended = NULL;
    }
    io_hook_cancel(&env->hook);
    io_timer_fini(&env->timer);
    env->timer = (io_timer){0};
    env->loop = NULL;
}

void grpc_env_fini(grpc_env *env)
{
    lpx_assert(lpx_list_empty(&env->later));
    grpc_env_detach(env);
    grpc_gzip_free(&env->gzip);
    grpc_due_fini(&env->due);
}

lpx_mono grpc_env_now(const grpc_env *env)
{
    return env->loop != NULL ? io_loop_now(env->loop).mono : env->now;
}

void grpc_env_post(grpc_env *env, grpc_later *later, void (*run)(grpc_later *later))
{
    if (!lpx_list_empty(&later->node)) {
        return;
    }
    later->run = run;
    lpx_list_push(&env->later, &later->node);
    if (env->loop != NULL) {
        io_loop_at_turn_end(env->loop, &env->hook);
    }
}

void grpc_env_unpost(grpc_later *later)
{
    lpx_list_remove(&later->node);
}

bool grpc_env_arm(grpc_env *env, grpc_due_node *node, lpx_mono at, void (*fire)(grpc_due_node *node))
{
    if (!grpc_due_set(&env->due, node, at, fire)) {
        return false;
    }
    if (at.us < env->armed_us) {
        rearm(env);
    }
    return true;
}

void grpc_env_disarm(grpc_env *env, grpc_due_node *node)
{
    grpc_due_clear(&env->due, node);
}

bool grpc_env_run(grpc_env *env)
{
    bool ended = false;
    lpx_list batch;
    lpx_list_init(&batch);
    while (!lpx_list_empty(&env->later)) {
        lpx_list_push(&batch, lpx_list_pop(&env->later));
    }
    env->ended = &ended;
    for (lpx_list *node = lpx_list_pop(&batch); node != NULL && !ended; node = lpx_list_pop(&batch)) {
        grpc_later *later = LPX_CONTAINER(node, grpc_later, node);
        later->run(later);
    }
    for (size_t most = ended ? 0 : env->due.count; most > 0 && !ended; most--) {
        grpc_due_node *node = grpc_due_take(&env->due, grpc_env_now(env));
        if (node == NULL) {
            break;
        }
        node->fire(node);
    }
    if (!ended) {
        env->ended = NULL;
    }
    return !ended;
}
