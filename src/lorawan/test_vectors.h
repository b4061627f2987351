/* Vector files of tests: one case per line, fields apart by one tab, lines that begin with # are comments. Tests only.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

/* The build names the folder. */
#ifndef LPX_VECTORS
#define LPX_VECTORS "tests/vectors/lorawan"
#endif

enum { VECTOR_LINE_BYTES = 4096, VECTOR_FIELDS = 5 };

typedef struct test_vectors {
    FILE *file;
    const char *name;
    unsigned line;
    unsigned cases;
    char text[VECTOR_LINE_BYTES];
    lpx_str field[VECTOR_FIELDS]; /* NUL-ended; empty when there are fewer */
} test_vectors;

/** Open tests/vectors/lorawan/NAME; ends the process when it is not there. */
static inline void test_vectors_open(test_vectors *v, const char *name)
{
    char path[1024];
    *v = (test_vectors){.name = name};
    (void)snprintf(path, sizeof(path), "%s/%s", LPX_VECTORS, name);
    v->file = fopen(path, "r");
    if (v->file == NULL) {
        (void)fprintf(stderr, "cannot open %s\n", path);
        abort();
    }
}

/** Next case into v->field; false at the end, where the file is closed. A file without cases ends the process. */
static inline bool test_vectors_next(test_vectors *v)
{
    do {
        if (fgets(v->text, sizeof(v->text), v->file) == NULL) {
            (void)fclose(v->file);
            if (v->cases == 0) {
                (void)fprintf(stderr, "%s has no cases\n", v->name);
                abort();
            }
            return false;
        }
        v->line++;
    } while (v->text[0] == '#' || v->text[0] == '\n');
    v->cases++;
    v->text[strcspn(v->text, "\n")] = '\0';
    char *at = v->text;
    for (int i = 0; i < VECTOR_FIELDS; i++) {
        size_t len = strcspn(at, "\t");
        char *next = at[len] == '\t' ? at + len + 1 : at + len;
        at[len] = '\0';
        v->field[i] = (lpx_str){at, len};
        at = next;
    }
    return true;
}

/** Bytes of a field in hex, in heap memory of exactly that length (the caller frees ptr), so that the address sanitizer
 * sees a read behind its end. */
static inline lpx_bytes test_vectors_bytes(lpx_str hex)
{
    size_t len = hex.len / 2;
    uint8_t *ptr = malloc(len > 0 ? len : 1);
    if (ptr == NULL || !lpx_hex_decode(hex, (lpx_space){ptr, len})) {
        (void)fprintf(stderr, "no hex: %.*s\n", (int)hex.len, hex.ptr);
        abort();
    }
    return lpx_bytes_of(ptr, len);
}
