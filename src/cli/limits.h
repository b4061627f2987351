/* Limits of the command line. */
#pragma once

enum {
    CLI_MAX_FLAGS = 96,               /* a command has at most 60, with the global ones */
    CLI_MAX_ARGS = 64,                /* words of one command line that are no flags */
    CLI_MAX_DEPTH = 6,                /* words of a command path */
    CLI_WHY_BYTES = 2048,             /* text of an error */
    CLI_ARENA_BYTES = 256 << 20,      /* answers and tables of one command: a million networks of 200 bytes */
    CLI_OUT_BYTES = 256 << 20,        /* printed table */
    CLI_FILE_BYTES = 1 << 20,         /* configuration files, PEM files */
    CLI_STDIN_VALUE_BYTES = 24 << 20, /* one JSON message on standard input: 16 MiB of bytes in base64, and more */
    CLI_MAX_COLUMNS = 64,             /* the report of routed messages has 49 */
    CLI_MAX_WORDS = 64,               /* words that one flag knows */
};

#define CLI_SLOW_US 1000000LL /* a list that takes longer shows how far it is */
