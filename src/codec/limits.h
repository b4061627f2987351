/* Limits of the codecs, each with its reason. */
#pragma once

enum {
    /* Messages inside each other: our deepest has 7 levels; protobuf-c goes down by recursion. As JSON a level is an
     * object and at most one array or map around it, so this is half of JSON_MAX_DEPTH. */
    PB_MAX_DEPTH = 32,
    /* Fields of one message that protojson knows to have seen; our largest has 30. */
    PROTOJSON_MAX_FIELDS = 128,
    /* Bytes of a field path in a note: a note has 240. */
    PROTOJSON_PATH_BYTES = 120,
    /* Memory to put the entries of maps in order while printing. */
    PROTOJSON_SORT_MAX_BYTES = 64 * 1024 * 1024,
    /* Characters of one JSON number: no double has more than 767 digits that count. */
    JSON_NUMBER_MAX_CHARS = 800,
    /* Room for the text of any double in the shortest form. */
    JSON_NUMBER_TEXT_BYTES = 40,
    /* Access tokens are below 2 KiB; a header list is seldom above 16 KiB. */
    OAUTH_TOKEN_BYTES = 16 << 10,
    /* What the existing clients read of a token answer. */
    OAUTH_BODY_BYTES = 1 << 20,
};
