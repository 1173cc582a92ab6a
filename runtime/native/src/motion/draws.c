/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's random numbers.
 *
 * Seeds are hashed as numpy.random.SeedSequence describes it; the generator is PCG64: a linear congruential generator
 * of 128 bits whose output is folded and rotated (XSL RR; O'Neill, "PCG: A Family of Simple Fast Space-Efficient
 * Statistically Good Algorithms for Random Number Generation", 2014). Normal numbers come from a ziggurat of 256
 * layers (Marsaglia and Tsang, "The Ziggurat Method for Generating Random Variables", 2000).
 */
#include "motion/draws.h"

#include <math.h>

#include "motion/normal_edges.h"

#if defined(__SIZEOF_INT128__) && !defined(SF_WITHOUT_INT128)
__extension__ typedef unsigned __int128 sf_wide;

static void step_on(sf_draws *d) {
    sf_wide state = (sf_wide)d->state[0] << 64 | d->state[1], step = (sf_wide)d->step[0] << 64 | d->step[1];
    state = state * ((sf_wide)0x2360ed051fc65da4u << 64 | 0x4385df649fccf645u) + step;
    d->state[0] = (uint64_t)(state >> 64);
    d->state[1] = (uint64_t)state;
}
#else
/* The high half of a product of 64 bits, from products of 32. */
static uint64_t high_of(uint64_t a, uint64_t b) {
    uint64_t a0 = a & 0xffffffffu, a1 = a >> 32, b0 = b & 0xffffffffu, b1 = b >> 32;
    uint64_t low = a0 * b0, one = a1 * b0 + (low >> 32), other = a0 * b1 + (one & 0xffffffffu);
    return a1 * b1 + (one >> 32) + (other >> 32);
}

static void step_on(sf_draws *d) {
    const uint64_t high = 0x2360ed051fc65da4u, low = 0x4385df649fccf645u;
    uint64_t s0 = d->state[0], s1 = d->state[1], product = s1 * low;
    d->state[1] = product + d->step[1];
    d->state[0] = high_of(s1, low) + s1 * high + s0 * low + d->step[0] + (d->state[1] < product);
}
#endif

/* Two hashes of SeedSequence: each turns a word with a constant that changes from call to call. */
static uint32_t hashed(uint32_t word, uint32_t *constant, uint32_t factor) {
    word ^= *constant;
    *constant *= factor;
    word *= *constant;
    return word ^ word >> 16;
}

static uint32_t mixed(uint32_t a, uint32_t b) {
    uint32_t word = 0xca01f9ddu * a - 0x4973f715u * b;
    return word ^ word >> 16;
}

void sf_draws_open(sf_draws *draws, uint32_t seed, uint32_t what) {
    uint32_t pool[4] = {seed, what, 0, 0}, constant = 0x43b0d7e5u;
    for (int i = 0; i < 4; i++) pool[i] = hashed(pool[i], &constant, 0x931e8875u);
    for (int from = 0; from < 4; from++)
        for (int to = 0; to < 4; to++)
            if (from != to) pool[to] = mixed(pool[to], hashed(pool[from], &constant, 0x931e8875u));
    uint64_t words[4];
    constant = 0x8b51f9ddu;
    for (int i = 0; i < 4; i++) {
        uint64_t low = hashed(pool[2 * i % 4], &constant, 0x58f38dedu);
        words[i] = low | (uint64_t)hashed(pool[(2 * i + 1) % 4], &constant, 0x58f38dedu) << 32;
    }
    /* The last two words choose the sequence, the first two where in it to begin. */
    draws->step[0] = words[2] << 1 | words[3] >> 63;
    draws->step[1] = words[3] << 1 | 1;
    draws->state[1] = draws->step[1] + words[1];
    draws->state[0] = draws->step[0] + words[0] + (draws->state[1] < words[1]);
    step_on(draws);
}

uint64_t sf_draw_bits(sf_draws *draws) {
    step_on(draws);
    uint64_t folded = draws->state[0] ^ draws->state[1];
    unsigned turn = (unsigned)(draws->state[0] >> 58);
    return folded >> turn | folded << (-turn & 63u);
}

double sf_draw(sf_draws *draws) { return (double)(sf_draw_bits(draws) >> 11) * 0x1p-53; }

double sf_draw_between(sf_draws *draws, double low, double high) { return low + (high - low) * sf_draw(draws); }

/* Beyond the last edge, by Marsaglia's method of two exponentials. */
static double tail(sf_draws *draws) {
    const double edge = normal_edges[1];
    for (;;) {
        double beyond = -log1p(-sf_draw(draws)) * (1 / edge), other = -log1p(-sf_draw(draws));
        if (2 * other > beyond * beyond) return edge + beyond;
    }
}

double sf_draw_normal(sf_draws *draws) {
    for (;;) {
        uint64_t bits = sf_draw_bits(draws), within = bits >> 9 & 0xfffffffffffffu;
        /* Layers are numbered from the bottom, 0, and on from the top, 1: edges from the outermost to the middle. */
        unsigned layer = (256u - (unsigned)(bits & 255u)) & 255u;
        double outer = normal_edges[layer], inner = normal_edges[layer + 1];
        double x = (double)within * (outer * 0x1p-52), sign = bits & 256u ? -1 : 1;
        if (x < inner) return sign * x;
        if (layer == 0) return within >> 8 & 1 ? -tail(draws) : tail(draws);
        double low = exp(-0.5 * outer * outer), high = exp(-0.5 * inner * inner);
        if ((high - low) * sf_draw(draws) + low < exp(-0.5 * x * x)) return sign * x;
    }
}
