/* What the tests of the control plane share. */
#pragma once
#include "lpx_reasons.h"
#include "store/store_test_kit.h"

/** Next 24 bits of the seeded generator. */
uint32_t test_random(void);
/** Tests of the decisions. @return number of failed tests */
int control_core_tests(void);
/** Tests of states and changes. @return number of failed tests */
int control_feed_core_tests(void);
/** Tests of readers, routes, visibilities and settings on the store. @return number of failed tests */
int control_entity_tests(void);
