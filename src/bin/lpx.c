/* lpx, the command line of an exchange; also pbadmin, pbctl, pbpub and pbsub when called by these names. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return cli_main(argc, argv);
}
