/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in whole steps, so that a file of int16 repeats a scene exactly: docs/sflow.md, "Steps of the numbers". */
#include <math.h>

#include "raster/raster.h"
#include "scene/making.h"

#define SF_STEPS_MOST 32767.0f /* of an int16 */
#define SF_EXPONENT_MOST 60    /* what a file may say */

int32_t sf_round_to_steps(float *values, size_t count, int32_t least_exponent) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(values[i]);
        if (size > largest) largest = size;
    }
    int32_t exponent = least_exponent;
    /* What is not finite stays so, and is refused by who prepares the scene. */
    while (exponent < SF_EXPONENT_MOST && rintf(ldexpf(largest, -exponent)) > SF_STEPS_MOST) exponent++;
    const float step = ldexpf(1, exponent), steps = ldexpf(1, -exponent);
    for (size_t i = 0; i < count; i++) values[i] = sf_rint(values[i] * steps) * step;
    return exponent;
}
