/* rpc_authz_doc --write FILE | --check FILE: keeps docs/authorisation.md as the table in authz.c says. */
#include <stdio.h>
#include <string.h>

#include "rpc/authz_doc.h"

enum { DOCUMENT_BYTES = 1 << 20 };

static int write_file(const char *path, lpx_bytes text)
{
    FILE *file = fopen(path, "wb");
    bool done = file != NULL && fwrite(text.ptr, 1, text.len, file) == text.len;
    done = file != NULL && fclose(file) == 0 && done;
    return done ? 0 : 1;
}

static int check_file(const char *path, lpx_bytes text)
{
    static char have[DOCUMENT_BYTES];
    FILE *file = fopen(path, "rb");
    size_t len = file != NULL ? fread(have, 1, sizeof have, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (lpx_bytes_equal(lpx_bytes_of(have, len), text)) {
        return 0;
    }
    (void)fprintf(stderr, "%s is not what src/rpc/authz.c says; write it anew: rpc_authz_doc --write %s\n", path, path);
    return 1;
}

int main(int argc, char **argv)
{
    lpx_buf text;
    lpx_buf_init(&text, DOCUMENT_BYTES);
    rpc_authz_document(&text);
    bool known = argc == 3 && (strcmp(argv[1], "--write") == 0 || strcmp(argv[1], "--check") == 0);
    if (!known) {
        (void)fprintf(stderr, "Usage: rpc_authz_doc --write FILE | --check FILE\n");
    }
    int status = !known                            ? 2
                 : strcmp(argv[1], "--write") == 0 ? write_file(argv[2], lpx_buf_view(&text))
                                                   : check_file(argv[2], lpx_buf_view(&text));
    lpx_buf_fini(&text);
    return status;
}
