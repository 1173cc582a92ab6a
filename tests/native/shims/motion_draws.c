/* SPDX-License-Identifier: Apache-2.0 */
/* Many draws in one call; and once more with the 128-bit products made by hand, as where a compiler has none. */
#include "motion/draws.h"

#include <stddef.h>

#define FILL(name, open, bits, one, between, normal)                                                     \
    void name(uint32_t seed, uint32_t what, int32_t kind, size_t count, double *out, uint64_t *words) {  \
        sf_draws draws;                                                                                  \
        open(&draws, seed, what);                                                                        \
        for (size_t i = 0; i < count; i++) {                                                             \
            if (kind == 0) words[i] = bits(&draws);                                                      \
            if (kind == 1) out[i] = one(&draws);                                                         \
            if (kind == 2) out[i] = between(&draws, -0.3, 0.3);                                          \
            if (kind == 3) out[i] = normal(&draws);                                                      \
        }                                                                                                \
    }

FILL(test_draws, sf_draws_open, sf_draw_bits, sf_draw, sf_draw_between, sf_draw_normal)

#define SF_WITHOUT_INT128
#define sf_draws_open narrow_open
#define sf_draw_bits narrow_bits
#define sf_draw narrow_draw
#define sf_draw_between narrow_between
#define sf_draw_normal narrow_normal
#include "motion/draws.c"

FILL(test_narrow_draws, narrow_open, narrow_bits, narrow_draw, narrow_between, narrow_normal)
