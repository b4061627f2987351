/* Files that are there whole or not at all. For this folder only. Level 1. */
#pragma once
#include <openssl/bio.h>

#include "base/err.h"
#include "crypto/limits.h"

/** A file written under a temporary name beside its place. */
typedef struct pem_file {
    const char *path;
    char temp[CRYPTO_PATH_MAX_BYTES];
} pem_file;

/** Write what bio (a memory BIO) holds to a temporary file beside path, with this mode, and sync it.
 * @param path borrowed until the commit or discard
 * @err FAILED_PRECONDITION: CRYPTO_FILE */
LPX_RESULT pem_file_stage(pem_file *file, const char *path, BIO *bio, unsigned mode, lpx_note *note);
/** Give it its name and sync the folder. @err FAILED_PRECONDITION: CRYPTO_FILE, the temporary file is gone then */
LPX_RESULT pem_file_commit(pem_file *file, lpx_note *note);
/** Remove the temporary file of a stage that was not committed. */
void pem_file_discard(pem_file *file);
/** Whole file as a BIO of its own, to free; files that are too large are refused.
 * @err FAILED_PRECONDITION: CRYPTO_FILE */
LPX_RESULT pem_file_read(const char *path, BIO **out, lpx_note *note);
