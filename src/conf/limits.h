/* Limits of the configuration, each with its reason. Those that callers need are in conf.h. */
#pragma once

enum {
    /* A name with its prefix as an environment variable; our longest has 40 characters. */
    CONF_NAME_BYTES = 128,
    /* Characters of a wrong value that a note shows: enough to know it again. */
    CONF_SHOWN_CHARS = 40,
    /* What a note says that a value must be. */
    CONF_WANT_BYTES = 160,
    /* Column where the texts of --help begin, and their width, for terminals of 80 and more. */
    CONF_HELP_COLUMN = 34,
    CONF_HELP_WIDTH = 100,
};
