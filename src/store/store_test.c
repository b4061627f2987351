/* The store's tests on one engine: store_test sqlite, or store_test postgres with a server's URL in
 * LPX_TEST_POSTGRES_URL (tools/with_postgres.sh). A second argument is the seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store_test_kit.h"

int main(int argc, char **argv)
{
    kit_postgres = argc > 1 && strcmp(argv[1], "postgres") == 0;
    if (kit_postgres && getenv("LPX_TEST_POSTGRES_URL") == NULL) {
        puts("skipped: no PostgreSQL server is given in LPX_TEST_POSTGRES_URL");
        return 77;
    }
    kit_seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : (uint32_t)getpid();
    printf("seed %u\n", kit_seed);
    fflush(stdout);
    int failed = store_common_tests();
    failed += store_sql_tests();
    failed += kit_postgres ? store_postgres_tests() : store_sqlite_tests();
    return failed == 0 ? 0 : 1;
}
