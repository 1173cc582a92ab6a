/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers: those of numpy.random.default_rng((seed, what)), so that a seed means the same here as in Python. */
#ifndef SF_DRAWS_H
#define SF_DRAWS_H

#include <stdint.h>

/* The generator's state and its odd step, 128 bits each: high, low. */
typedef struct sf_draws {
    uint64_t state[2], step[2];
} sf_draws;

/* default_rng((seed, what)). */
void sf_draws_open(sf_draws *draws, uint32_t seed, uint32_t what);

/* The next 64 bits. */
uint64_t sf_draw_bits(sf_draws *draws);

/* random(), in [0, 1), and uniform(low, high). */
double sf_draw(sf_draws *draws);
double sf_draw_between(sf_draws *draws, double low, double high);

/* standard_normal(). */
double sf_draw_normal(sf_draws *draws);

#endif
