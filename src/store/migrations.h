/* The numbered SQL files of migrations/, compiled in by gen_migrations.py. */
#pragma once
#include <stddef.h>

typedef struct store_migration {
    const char *name;     /* file name */
    const char *checksum; /* SHA-256 of the file, hex */
    const char *sql;
} store_migration;

/** In order; the version of a migration is its index + 1. */
extern const store_migration store_migrations[];
extern const size_t store_migrations_count;
