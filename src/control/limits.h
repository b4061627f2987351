/* Limits of the control plane, with their reasons. */
#pragma once

enum {
    CONTROL_LIST_DEFAULT = 100, /* page by offset when a client asks for limit 0 */
    CONTROL_SINCE_DEFAULT = 10, /* page by time for limit 0: a client that collects these pages and then cuts pages of
                                   its own gets them right only when this divides what it asks for */
    CONTROL_LIST_MAX = 1000,    /* consoles ask for up to 1,000 and skip what a smaller page leaves out */
    CONTROL_MAX_FORWARDERS =
        200000, /* rows looked at for effective policies, 100 bytes each: fits the memory of a call */
};
