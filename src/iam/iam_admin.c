/* Administrators: people with a user name and a password. */
#include "base/text.h"
#include "crypto/password.h"
#include "crypto/random.h"
#include "iam/iam.h"
#include "iam/iam_store.h"
#include "lpx_reasons.h"

enum { PASSWORD_RANDOM_BYTES = 15, ADMIN_ARENA_BYTES = 4096 };

/* A password that nobody has, so that an unknown name costs as much as a known one. */
static const char nobody_phc[] =
    "$argon2id$v=19$m=19456,t=2,p=1$bHB4IG5vYm9keSBpYW0h$6T3FJm8o0S0XkIh1tB8xJ3nJr7ZQv9dY5u2cWq4eLxM";

typedef struct admin_job {
    store_job job;
    lpx_utc now;
    const char *phc; /* NULL: only count */
    int64_t existing;
} admin_job;

static lpx_err admin_work(store_tx *tx, store_job *job)
{
    admin_job *a = LPX_CONTAINER(job, admin_job, job);
    LPX_TRY(iam_store_admin_count(tx, &a->existing));
    if (a->phc == NULL || a->existing > 0) {
        return LPX_SUCCESS;
    }
    store_touch(tx, STORE_TOPIC_KEYS);
    return iam_store_admin_put(tx, LPX_STR("admin"), lpx_str_of(a->phc), a->now);
}

static lpx_err make_password(char text[static IAM_PASSWORD_BYTES], char phc[static CRYPTO_PASSWORD_TEXT_BYTES])
{
    uint8_t random[PASSWORD_RANDOM_BYTES];
    LPX_TRY(crypto_random((lpx_space){.ptr = random, .len = sizeof random}));
    lpx_base32_encode(lpx_bytes_of(random, sizeof random), text);
    lpx_wipe(random, sizeof random);
    return crypto_password_hash(lpx_str_of(text), phc);
}

lpx_err iam_admin_ensure(store *db, lpx_utc now, char password[static IAM_PASSWORD_BYTES])
{
    char text[IAM_PASSWORD_BYTES];
    char phc[CRYPTO_PASSWORD_TEXT_BYTES];
    admin_job count = {.job = {.work = admin_work}, .now = now};
    LPX_TRY(store_run(db, &count.job));
    password[0] = '\0';
    if (count.existing > 0) {
        return LPX_SUCCESS;
    }
    LPX_TRY(make_password(text, phc));
    admin_job put = {.job = {.work = admin_work, .write = true}, .now = now, .phc = phc};
    lpx_err err = store_run(db, &put.job);
    if (!lpx_failed(err) && put.existing == 0) {
        memcpy(password, text, sizeof text);
    }
    lpx_wipe(text, sizeof text);
    return err;
}

static bool is_username(lpx_str name)
{
    bool ok = name.len > 0 && name.len < RPC_ID_BYTES;
    for (size_t i = 0; ok && i < name.len; i++) {
        ok = name.ptr[i] > ' ' && name.ptr[i] < 0x7F && name.ptr[i] != ':';
    }
    return ok;
}

lpx_err iam_admin_set(store_tx *tx, lpx_str username, lpx_str password, lpx_utc now, lpx_note *note)
{
    char phc[CRYPTO_PASSWORD_TEXT_BYTES];
    if (!is_username(username)) {
        return lpx_fail(note, IAM_BAD_ADMIN, "%s", lpx_reason_text(IAM_BAD_ADMIN));
    }
    LPX_TRY(crypto_password_hash(password, phc));
    store_touch(tx, STORE_TOPIC_KEYS);
    return iam_store_admin_put(tx, username, lpx_str_of(phc), now);
}

bool iam_admin_verify(store_tx *tx, lpx_str username, lpx_str password)
{
    lpx_arena arena;
    lpx_str phc = LPX_STR("");
    lpx_arena_init_wiped(&arena, ADMIN_ARENA_BYTES);
    bool known = is_username(username) && !lpx_failed(iam_store_admin_phc(tx, username, &arena, &phc)) && phc.len > 0;
    bool same = crypto_password_verify(password, known ? phc.ptr : nobody_phc);
    lpx_arena_fini(&arena);
    return known && same;
}
