/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strength at which a loop still looks clean: stillflow.artefacts, for motions in which stillflow.assess finds
 * anything that moves.
 *
 * A moving sample is shown from where it came from, or from where it goes to one cycle later. Where both lie outside
 * its own region the plate is shown instead, which is seen. Slower motion uncovers less.
 */
#include <math.h>

#include "motion/motion.h"
#include "raster/raster.h"

#define ACROSS 160            /* samples across at which it is foretold */
#define PHASES 3              /* places in a cycle that are looked at: 1/4, 1/2, 3/4 */
#define UNCOVERED_LIMIT 0.08  /* share of the flowing area that may lack a source */
#define UNSEEN 0.002          /* share of the picture that may lack one anyway */
#define LITTLE_MOTION 0.003   /* share of the picture below which motion is not noticed */
#define NETWORK_BIAS (-1.0)   /* added to the log odds of the network's own chance, which is too fond of photos it never saw */
#define SUREST 0.01           /* no network is surer than this */
#define LEAST_STEPS 8         /* of 0.05: slower than 0.4 hardly helps any more */
#define MOST_STEPS 20

/* What flows, 0..1, and its velocity in picture widths a second, at most ACROSS samples across. */
typedef struct reduced {
    int h, w;
    float *flows, *velocity;
    uint8_t *region; /* where flows is above a half */
    size_t flowing;  /* samples of it */
    float *speed, *scaled, *slower; /* scratch of share_lost */
    uint8_t *cycles;
} reduced;

static int flow_class(uint8_t c) { return c >= SF_WATER && c <= SF_FIRE; }

static reduced reduce(sf_room *room, const sf_motion *motion) {
    const double scale = motion->w > ACROSS ? ACROSS / (double)motion->w : 1;
    const int h = (int)rint(motion->h * scale), w = (int)rint(motion->w * scale);
    reduced r = {.h = h > 2 ? h : 2, .w = w > 2 ? w : 2};
    const size_t n = (size_t)r.h * (size_t)r.w, all = (size_t)motion->h * (size_t)motion->w;
    r.flows = sf_take(room, n, sizeof(float));
    r.velocity = sf_take(room, 2 * n, sizeof(float));
    r.region = sf_take(room, n, 1);
    r.speed = sf_take(room, n, sizeof(float));
    r.scaled = sf_take(room, 2 * n, sizeof(float));
    r.slower = sf_take(room, n, sizeof(float));
    r.cycles = sf_take(room, n, 1);
    float *full = sf_take(room, all, sizeof(float));
    for (size_t k = 0; k < all; k++) full[k] = motion->matte[k] > 0.5f && flow_class(motion->classes[k]);
    sf_resize_area_f32(room, full, motion->h, motion->w, 1, r.flows, r.h, r.w);
    sf_resize_area_f32(room, motion->velocity, motion->h, motion->w, 2, r.velocity, r.h, r.w);
    for (size_t k = 0; k < n; k++) r.flowing += r.region[k] = r.flows[k] > 0.5f;
    return r;
}

/* A position folded into 0..size - 1: beyond the picture it is mirrored at its border, as the kernels do. */
static float mirrored(float position, int size) {
    const float top = size > 2 ? (float)(size - 1) : 1, period = 2 * top;
    float folded = fmodf(position, period);
    if (folded < 0) folded += period;
    return folded < period - folded ? folded : period - folded;
}

/* kernels.reference.lookup of one plane of 2 x 2 samples at least. */
static float lookup(const float *field, int h, int w, float x, float y) {
    const float right = (float)(w - 1), bottom = (float)(h - 1);
    x = x > 0 ? x < right ? x : right : 0;
    y = y > 0 ? y < bottom ? y : bottom : 0;
    int x0 = (int)x, y0 = (int)y;
    if (x0 > w - 2) x0 = w - 2;
    if (y0 > h - 2) y0 = h - 2;
    const float fx = x - (float)x0, fy = y - (float)y0;
    const float *a = field + (size_t)y0 * (size_t)w + x0, *b = a + w;
    const float above = a[0] + (a[1] - a[0]) * fx, below = b[0] + (b[1] - b[0]) * fx;
    return above + (below - above) * fy;
}

static float shown(const reduced *r, float x, float y) {
    return lookup(r->flows, r->h, r->w, mirrored(x, r->w), mirrored(y, r->h));
}

/* Mean over the phases of the share of flowing samples whose two straight paths both end outside. */
static double share_lost(sf_room *room, const reduced *r, double strength, double seconds) {
    const size_t n = (size_t)r->h * (size_t)r->w;
    if (!r->flowing) return 0;
    for (size_t k = 0; k < 2 * n; k++) r->scaled[k] = r->velocity[k] * (float)strength;
    for (size_t k = 0; k < n; k++) r->speed[k] = sf_hypot(r->scaled[2 * k], r->scaled[2 * k + 1]);
    sf_cycle_plan(room, r->region, r->speed, r->h, r->w, seconds, r->cycles, r->slower);
    /* Samples that the content travels in one cycle. */
    for (size_t k = 0; k < n; k++) {
        const double time = (double)r->slower[k] * (seconds / r->cycles[k]);
        for (int c = 0; c < 2; c++) r->scaled[2 * k + c] = (float)((double)r->scaled[2 * k + c] * time * r->w);
    }
    double sum = 0;
    for (int p = 1; p <= PHASES; p++) {
        const float past = -0.25f * (float)p, future = 1 + past;
        size_t lost = 0;
        for (size_t k = 0; k < n; k++) {
            if (!r->region[k]) continue;
            const float x = (float)(k % (size_t)r->w), y = (float)(k / (size_t)r->w);
            const float dx = r->scaled[2 * k], dy = r->scaled[2 * k + 1];
            lost += shown(r, x + past * dx, y + past * dy) < 0.5f && shown(r, x + future * dx, y + future * dy) < 0.5f;
        }
        sum += (double)lost / (double)r->flowing;
    }
    return sum / PHASES;
}

/* Share of the picture that moves in any way. */
static double moving_share(const sf_motion *motion) {
    const size_t n = (size_t)motion->h * (size_t)motion->w;
    size_t moving = 0;
    for (size_t k = 0; k < n; k++)
        moving += motion->matte[k] > 0.5f && motion->classes[k] >= SF_WATER && motion->classes[k] <= SF_CLOTH;
    return (double)moving / (double)n;
}

double sf_chance(const sf_motion *motion) {
    if (moving_share(motion) < LITTLE_MOTION) return 0;
    if (isnan(motion->suitability)) return NAN;
    double said = motion->suitability;
    said = said < SUREST ? SUREST : said > 1 - SUREST ? 1 - SUREST : said;
    return 1 / (1 + exp(-(NETWORK_BIAS + log(said / (1 - said)))));
}

double sf_suited_strength(sf_room *room, const sf_motion *motion, double seconds) {
    if (moving_share(motion) < LITTLE_MOTION) return 1;
    const sf_mark mark = sf_room_mark(room);
    const reduced r = reduce(room, motion);
    const double flowing = (double)r.flowing / ((double)r.h * r.w), unseen = UNSEEN / (flowing > 1e-6 ? flowing : 1e-6);
    const double limit = unseen > UNCOVERED_LIMIT ? unseen : UNCOVERED_LIMIT;
    int low = LEAST_STEPS, high = MOST_STEPS;
    if (share_lost(room, &r, 1, seconds) <= limit) low = high;
    /* The share does not grow strictly with the strength; that bisection ends where it crosses the limit is enough. */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (share_lost(room, &r, middle * 0.05, seconds) <= limit) low = middle;
        else high = middle;
    }
    sf_room_rewind(room, mark);
    return low * 5 / 100.0;
}
