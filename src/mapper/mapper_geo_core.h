/* Places on a sphere: which are near, and a grid that finds them without a look at all. Private to this folder. Pure.
 *
 * The grid has rows of 0.1 degrees of latitude, and in each row as many cells as make them about as wide as high (11
 * km); the rows at the poles have few. Numbers of cells run from south to north, then from -180 degrees eastward. */
#pragma once
#include "base/bytes.h"

enum { MAPPER_GEO_ROWS = 1800 };

/** Radius of the sphere: the Earth's mean radius. */
#define MAPPER_EARTH_M 6371008.8

/** First cell of each row, and the number of cells behind the last. */
typedef struct mapper_grid {
    uint32_t first[MAPPER_GEO_ROWS + 1];
} mapper_grid;

/** Work out the grid. */
void mapper_grid_init(mapper_grid *grid);
/** Cell of a place. latitude -90 to 90, longitude -180 to 180 degrees. */
uint32_t mapper_grid_cell(const mapper_grid *grid, double latitude, double longitude);

/** A circle on the sphere, with what is worked out once. Fields are private. */
typedef struct mapper_circle {
    double latitude, longitude, cos_latitude; /* degrees */
    double radius_degrees;                    /* its angle; at most 180 */
    double haversine;                         /* of its angle */
} mapper_circle;

/** Make a circle. latitude -90 to 90, longitude -180 to 180, radius_m from 0; finite. */
mapper_circle mapper_circle_of(double latitude, double longitude, double radius_m);
/** Is the place inside, or on the edge? */
bool mapper_circle_has(const mapper_circle *circle, double latitude, double longitude);

/** Cells from first to last that the circle may touch. */
typedef struct mapper_cells {
    uint32_t first, last;
} mapper_cells;

/** Walk over the cells of a circle. Fields are private. */
typedef struct mapper_walk {
    const mapper_grid *grid;
    const mapper_circle *circle;
    uint32_t row, last_row;
    double half_width; /* degrees of longitude to either side; 180 and more: all around */
    bool second;       /* of the two runs of a row that goes over the antimeridian */
} mapper_walk;

/** Begin to walk; grid and circle are borrowed. */
mapper_walk mapper_walk_of(const mapper_grid *grid, const mapper_circle *circle);
/** Next run of cells; none comes twice. @return false at the end */
bool mapper_walk_next(mapper_walk *walk, mapper_cells *out);
