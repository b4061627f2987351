#include "mapper/mapper_geo_core.h"

#include <math.h>

#define ROW_DEGREES (180.0 / MAPPER_GEO_ROWS)
#define RADIANS (M_PI / 180)
/* More than what rounding moves an edge by: a hundredth of a millimetre. */
#define SLACK_DEGREES 1e-10

/* ---- the grid ---- */

void mapper_grid_init(mapper_grid *grid)
{
    uint32_t cells = 0;
    for (unsigned row = 0; row < MAPPER_GEO_ROWS; row++) {
        double middle = -90 + (row + 0.5) * ROW_DEGREES;
        grid->first[row] = cells;
        cells += (uint32_t)ceil(360 / ROW_DEGREES * cos(middle * RADIANS));
    }
    grid->first[MAPPER_GEO_ROWS] = cells;
}

static uint32_t row_of(double latitude)
{
    double row = floor((latitude + 90) / ROW_DEGREES);
    return row < 0 ? 0 : row >= MAPPER_GEO_ROWS ? MAPPER_GEO_ROWS - 1 : (uint32_t)row;
}

static uint32_t columns(const mapper_grid *grid, uint32_t row)
{
    return grid->first[row + 1] - grid->first[row];
}

static uint32_t column_of(uint32_t count, double longitude)
{
    double column = floor((longitude + 180) / 360 * count);
    return column < 0 ? 0 : column >= count ? count - 1 : (uint32_t)column;
}

uint32_t mapper_grid_cell(const mapper_grid *grid, double latitude, double longitude)
{
    uint32_t row = row_of(latitude);
    return grid->first[row] + column_of(columns(grid, row), longitude);
}

/* ---- circles ---- */

mapper_circle mapper_circle_of(double latitude, double longitude, double radius_m)
{
    double angle = fmin(radius_m / MAPPER_EARTH_M, M_PI);
    double half = sin(angle / 2);
    return (mapper_circle){.latitude = latitude,
                           .longitude = longitude,
                           .cos_latitude = cos(latitude * RADIANS),
                           .radius_degrees = angle / RADIANS,
                           .haversine = half * half};
}

bool mapper_circle_has(const mapper_circle *circle, double latitude, double longitude)
{
    double north = latitude - circle->latitude;
    if (fabs(north) > circle->radius_degrees + SLACK_DEGREES) {
        return false;
    }
    double a = sin(north * RADIANS / 2);
    double b = sin((longitude - circle->longitude) * RADIANS / 2);
    return a * a + circle->cos_latitude * cos(latitude * RADIANS) * b * b <= circle->haversine;
}

/* How far a circle reaches to the east and west of its middle: all around when a pole is inside. */
static double half_width(const mapper_circle *circle)
{
    double angle = circle->radius_degrees + SLACK_DEGREES;
    if (circle->latitude + angle >= 90 || circle->latitude - angle <= -90) {
        return 180;
    }
    return asin(fmin(sin(angle * RADIANS) / circle->cos_latitude, 1)) / RADIANS + SLACK_DEGREES;
}

mapper_walk mapper_walk_of(const mapper_grid *grid, const mapper_circle *circle)
{
    double angle = circle->radius_degrees + SLACK_DEGREES;
    return (mapper_walk){.grid = grid,
                         .circle = circle,
                         .row = row_of(circle->latitude - angle),
                         .last_row = row_of(circle->latitude + angle),
                         .half_width = half_width(circle)};
}

bool mapper_walk_next(mapper_walk *walk, mapper_cells *out)
{
    if (walk->row > walk->last_row) {
        return false;
    }
    uint32_t first = walk->grid->first[walk->row];
    uint32_t count = columns(walk->grid, walk->row);
    double west = walk->circle->longitude - walk->half_width;
    double east = walk->circle->longitude + walk->half_width;
    uint32_t from = column_of(count, west < -180 ? west + 360 : west);
    uint32_t to = column_of(count, east > 180 ? east - 360 : east);
    bool over = west < -180 || east > 180;
    if (walk->half_width >= 180 || (over && from <= to)) { /* all around */
        *out = (mapper_cells){first, first + count - 1};
    } else if (!over) {
        *out = (mapper_cells){first + from, first + to};
    } else if (!walk->second) {
        *out = (mapper_cells){first + from, first + count - 1};
        walk->second = true;
        return true;
    } else {
        *out = (mapper_cells){first, first + to};
    }
    walk->second = false;
    walk->row++;
    return true;
}
