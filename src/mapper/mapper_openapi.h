/* The OpenAPI document of the REST API. Private to this folder. */
#pragma once

/** openapi.json on one line, with "@URL@" before "@TOKEN_URL@"; NUL-ended. */
extern const char mapper_openapi_template[];
