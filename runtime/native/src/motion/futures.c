/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futures: other motions that the same photo could have, drawn from a seed within what is uncertain: stillflow.futures.
 * Seed 0 is the most probable motion. The numbers of a seed are those of a Kronecker sequence, multiples of irrational
 * steps modulo 1: a few neighbouring seeds then spread over the possibilities in proportion.
 */
#include <string.h>

#include "motion/motion.h"
#include "raster/raster.h"

#define SURE 0.12            /* doubt up to which a direction is as good as certain */
#define MOST_DOUBT 0.5f      /* beyond it the other direction would be the more probable one */
#define MOST_TILT 25.0       /* degrees */
#define SPEED_SPREAD 0.25    /* standard deviation of the logarithm of the speed */
#define EXTREME 1.8          /* standard deviations at which tilts and speeds are cut off */
#define WATER_LEVEL_DOUBT 0.35 /* of a level drift where the network does not say any */
#define CLOUD_LEVEL_DOUBT 0.45
#define BORDER 0.015         /* picture widths over which a turned part passes into one that is not */
#define LARGEST 240          /* samples across at which parts are found and turned */
#define DEGREE 0.017453292519943295

/* Numbers of one seed for one class: turn is uniform in 0..1, tilt and speed are normal, cut off at EXTREME. */
typedef struct pull {
    double turn, tilt, speed;
} pull;

static double polynomial(const double *coefficients, int count, double x) {
    double sum = coefficients[count - 1];
    for (int i = count - 2; i >= 0; i--) sum = sum * x + coefficients[i];
    return sum;
}

/* The standard normal deviate below which a share p of all lies, 0 < p < 1: PPND16 of Wichura 1988, AS 241. */
double sf_normal_deviate(double p) {
    static const double a[] = {3.3871328727963666080,  1.3314166789178437745e2, 1.9715909503065514427e3,
                               1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                               3.3430575583588128105e4, 2.5090809287301226727e3};
    static const double b[] = {1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
                               2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
                               5.2264952788528545610e3};
    static const double c[] = {1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
                               3.64784832476320460504, 1.27045825245236838258, 2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4};
    static const double d[] = {1, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
                               1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
                               1.05075007164441684324e-9};
    static const double e[] = {6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
                               2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                               2.71155556874348757815e-5, 2.01033439929228813265e-7};
    static const double f[] = {1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
                               7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
                               2.04426310338993978564e-15};
    const double q = p - 0.5;
    if (fabs(q) <= 0.425) {
        const double r = 0.180625 - q * q;
        return q * polynomial(a, 8, r) / polynomial(b, 8, r);
    }
    const double r = sqrt(-log(q < 0 ? p : 1 - p));
    const double x = r <= 5 ? polynomial(c, 8, r - 1.6) / polynomial(d, 8, r - 1.6)
                            : polynomial(e, 8, r - 5) / polynomial(f, 8, r - 5);
    return q < 0 ? -x : x;
}

static double uniform(uint32_t seed, int prime) { return fmod(seed * fmod(sqrt(prime), 1), 1); }

static double normal(double p) {
    const double deviate = sf_normal_deviate(p < 1e-6 ? 1e-6 : p > 1 - 1e-6 ? 1 - 1e-6 : p);
    return deviate < -EXTREME ? -EXTREME : deviate > EXTREME ? EXTREME : deviate;
}

static pull draw(uint32_t seed, int label) {
    /* The irrational steps are square roots of primes. */
    static const uint8_t turn[] = {[SF_CLOUD] = 2, [SF_WATER] = 3, [SF_SMOKE] = 5, [SF_FIRE] = 7};
    static const uint8_t tilt[] = {[SF_CLOUD] = 11, [SF_WATER] = 13, [SF_SMOKE] = 17, [SF_FIRE] = 19};
    static const uint8_t speed[] = {[SF_CLOUD] = 23, [SF_WATER] = 29, [SF_SMOKE] = 31, [SF_FIRE] = 37};
    return (pull){uniform(seed, turn[label]), normal(uniform(seed, tilt[label])), normal(uniform(seed, speed[label]))};
}

/* The network's doubt; where it has none to say, that of a level drift. */
static void find_doubt(const sf_motion *motion, size_t n, float *doubt) {
    int said = 0;
    for (size_t k = 0; k < n && !said; k++) said = motion->doubt[k] != 0;
    for (size_t k = 0; k < n; k++) {
        if (said) {
            doubt[k] = motion->doubt[k] < MOST_DOUBT ? motion->doubt[k] : MOST_DOUBT;
            continue;
        }
        const float x = motion->velocity[2 * k], speed = sf_hypot(x, motion->velocity[2 * k + 1]);
        const float level = fabsf(x) / (speed > 1e-6f ? speed : 1e-6f);
        const uint8_t c = motion->classes[k];
        const double most = c == SF_WATER ? WATER_LEVEL_DOUBT : c == SF_CLOUD ? CLOUD_LEVEL_DOUBT : 0;
        doubt[k] = (float)(most * (double)(level * level));
    }
}

/* (xx, xy, yx, yy) of a rotation after a turn: water turns along its own lines, what the wind carries rises on. */
static void make_matrix(double degrees, int label, int turned, float matrix[4]) {
    const double c = cos(degrees * DEGREE), s = sin(degrees * DEGREE);
    const double x = turned ? -1 : 1, y = label == SF_WATER ? x : 1;
    matrix[0] = (float)(c * x);
    matrix[1] = (float)(-s * y);
    matrix[2] = (float)(s * x);
    matrix[3] = (float)(c * y);
}

/* What turns as a whole: owner becomes 1.. in each part, 0 elsewhere; returns the number of parts. */
static int32_t find_parts(sf_room *room, const uint8_t *inside, const uint8_t *falling, int h, int w, int label,
                          int32_t *owner) {
    const size_t n = (size_t)h * (size_t)w;
    if (label == SF_CLOUD) { /* all clouds have one wind */
        for (size_t k = 0; k < n; k++) owner[k] = inside[k];
        return 1;
    }
    int32_t count = 0, *labels = sf_take(room, n, sizeof *labels);
    uint8_t *where = sf_take(room, n, 1);
    memset(owner, 0, n * sizeof *owner);
    /* Connected water is one, but for what surely falls: a pool may turn below a fall that does not. */
    for (int falls = 0; falls < (label == SF_WATER ? 2 : 1); falls++) {
        for (size_t k = 0; k < n; k++) where[k] = inside[k] && (label != SF_WATER || falling[k] == falls);
        const int32_t more = sf_components(room, where, h, w, 8, labels, 0) - 1;
        for (size_t k = 0; k < n; k++)
            if (labels[k]) owner[k] = count + labels[k];
        count += more;
    }
    return count;
}

/* The matrix of every part, 4 numbers each and those of no part first; hesitant is the doubt of each sample. */
static const float *make_matrices(sf_room *room, const int32_t *owner, const float *hesitant, size_t n, int32_t parts,
                                  int label, pull p) {
    static const double tilts[] = {[SF_WATER] = 25, [SF_CLOUD] = 45, [SF_SMOKE] = 45, [SF_FIRE] = 40}; /* at doubt 1 */
    float *matrices = sf_take_zeroed(room, (uint64_t)parts + 1, 4 * sizeof(float));
    double *sum = sf_take_zeroed(room, (uint64_t)parts + 1, sizeof *sum);
    int32_t *count = sf_take_zeroed(room, (uint64_t)parts + 1, sizeof *count);
    for (size_t k = 0; k < n; k++) {
        sum[owner[k]] += (double)hesitant[k];
        count[owner[k]]++;
    }
    for (int32_t i = 1; i <= parts; i++) {
        const double mean = (double)(float)(sum[i] / count[i]), tilt = tilts[label] * mean * p.tilt;
        make_matrix(tilt < -MOST_TILT ? -MOST_TILT : tilt > MOST_TILT ? MOST_TILT : tilt, label,
                    mean > SURE && p.turn < mean, matrices + 4 * i);
    }
    return matrices;
}

/* Matrices that turn a class's velocity, (h, w, 4); region is what flows of it, falls what surely falls. */
static void find_changes(sf_room *room, const uint8_t *region, const float *doubt, const uint8_t *falls, int h, int w,
                         int label, pull p, float *changes) {
    const int side = h > w ? h : w;
    const double scale = side > LARGEST ? LARGEST / (double)side : 1;
    const int rows = (int)rint(h * scale), columns = (int)rint(w * scale);
    const int sh = rows > 1 ? rows : 1, sw = columns > 1 ? columns : 1;
    const size_t n = (size_t)h * (size_t)w, small = (size_t)sh * (size_t)sw;
    uint8_t *inside = sf_take(room, small, 1), *falling = sf_take(room, small, 1);
    float *field = sf_take(room, small, 4 * sizeof(float)), *blurred = sf_take(room, small, 4 * sizeof(float));
    float *full = sf_take(room, n, sizeof(float));
    float *hesitant = sf_take(room, small, sizeof(float)), *weight = sf_take(room, small, sizeof(float));
    int32_t *owner = sf_take(room, small, sizeof *owner);
    sf_resize_nearest(region, h, w, 1, inside, sh, sw);
    sf_resize_nearest(falls, h, w, 1, falling, sh, sw);
    if (!memchr(inside, 1, small)) { /* too little to be seen at this size */
        for (size_t k = 0; k < n; k++) make_matrix(0, label, 0, changes + 4 * k);
        return;
    }
    for (size_t k = 0; k < n; k++) full[k] = region[k] ? doubt[k] : 0;
    sf_resize_area_f32(room, full, h, w, 1, hesitant, sh, sw);
    for (size_t k = 0; k < n; k++) full[k] = region[k];
    sf_resize_area_f32(room, full, h, w, 1, weight, sh, sw);
    for (size_t k = 0; k < small; k++) hesitant[k] /= weight[k] > 1e-3f ? weight[k] : 1e-3f;
    const int32_t parts = find_parts(room, inside, falling, sh, sw, label, owner);
    const float *matrices = make_matrices(room, owner, hesitant, small, parts, label, p);
    sf_nearest_owner(room, owner, sh, sw, owner);
    for (size_t k = 0; k < small; k++) memcpy(field + 4 * k, matrices + 4 * (size_t)owner[k], 4 * sizeof(float));
    sf_gaussian_f32(room, field, sh, sw, 4, BORDER * sw > 0.5 ? BORDER * sw : 0.5, blurred);
    sf_resize_linear_f32(room, blurred, sh, sw, 4, changes, h, w);
}

void sf_draw_future(sf_room *room, sf_motion *motion, uint32_t seed) {
    if (!seed) return;
    const int h = motion->h, w = motion->w;
    const size_t n = (size_t)h * (size_t)w;
    const sf_mark mark = sf_room_mark(room);
    int32_t *owner = sf_take(room, n, sizeof *owner);
    uint8_t *region = sf_take(room, n, 1), *falls = sf_take(room, n, 1), *flows = sf_take(room, n, 1);
    float *doubt = sf_take(room, n, sizeof(float)), *changes = sf_take(room, n, 4 * sizeof(float));
    uint32_t kinds = 0;
    find_doubt(motion, n, doubt);
    for (size_t k = 0; k < n; k++) {
        const uint8_t c = motion->classes[k];
        flows[k] = c >= SF_WATER && c <= SF_FIRE && motion->matte[k] > 0.5f ? c : 0;
        owner[k] = flows[k];
        kinds |= 1u << flows[k];
        falls[k] = motion->velocity[2 * k + 1] > fabsf(motion->velocity[2 * k]) && doubt[k] <= (float)SURE;
    }
    if (kinds >> 1) sf_nearest_owner(room, owner, h, w, owner);
    for (int label = SF_WATER; label <= SF_FIRE; label++) {
        if (!(kinds >> label & 1)) continue;
        const sf_mark before = sf_room_mark(room);
        const pull p = draw(seed, label);
        const float factor = (float)exp(SPEED_SPREAD * p.speed);
        for (size_t k = 0; k < n; k++) region[k] = flows[k] == label;
        find_changes(room, region, doubt, falls, h, w, label, p, changes);
        for (size_t k = 0; k < n; k++) {
            if (owner[k] != label) continue;
            float *v = motion->velocity + 2 * k;
            const float x = v[0], y = v[1], *m = changes + 4 * k;
            v[0] = m[0] * factor * x + m[1] * factor * y;
            v[1] = m[2] * factor * x + m[3] * factor * y;
        }
        sf_room_rewind(room, before);
    }
    sf_room_rewind(room, mark);
}
