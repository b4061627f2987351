/* The command line of an exchange. Called as lpx it knows every command; called as pbadmin, pbctl, pbpub or pbsub it is
 * that program, with the same words, flags, environment and configuration file. Level 7. */
#pragma once

/** Run one command line.
 * @param argv argv[0] decides which program it is; ended by NULL
 * @return exit status: 0 done; as one of the four, 1 for anything else; as lpx, see CLI_EXIT_... in cli_priv.h. The
 * reason is on standard error */
int cli_main(int argc, char **argv);
