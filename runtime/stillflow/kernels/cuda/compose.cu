// SPDX-License-Identifier: Apache-2.0
//
// The compose step of a cross-faded frame, in one pass: planes are interpolated, both sources gathered with cubic
// weights, blended, laid over the photo by the matte, lit and written in 8 bits. The law is compose() of
// stillflow/kernels/reference.py; the frame agrees with it to one grey level.
//
// Only pixels that move are computed and written: the caller has copied the photo under them, once for a buffer that
// is used again. Bytes a pixel, of which m move: the photo copied, then this, is 6 + m (1 + 3 + 8 + 2.5 + 3); a
// kernel that reads the matte everywhere and copies what is still is 1 + 6 (1 - m) + m (3 + 8 + 2.5 + 3). So a copy
// costs more by 7 m - 1 (1.1 at 30 %), at the speed of a copy and not of a kernel that takes bytes one by one; and
// without the copy, over a buffer that held a frame of the scene already, it is 17.5 m (5.3 at 30 %).
//
// A thread takes a column of four pixels. What threads side by side gather then lies side by side: a tap of 32 pixels
// is one row of 128 bytes, where four pixels in a row for a thread would touch four rows. There are 32 taps and three
// stores a pixel, so it is the gather that is laid out well and not the stores, which are of bytes. The four pixels
// lie between the same four cells, of which every plane is read once for all four.
#include "scene.cuh"

// Taps are summed across in integers, two of them by one instruction: bytes less 128, as signed ones, by weights of
// which 2^14 is 1. Down, in floats: a sum is added to the bits of 1.5 * 2^23, which are then that float plus the sum,
// without a conversion. Sums are below 2^22; a float there is as fine as 2^-13 grey levels. Weights that are rounded to
// 2^-15 lose 4 * 128 * 2^-15 * 1.5 = 0.023 grey levels at most.
#define ONE 16384.0f
#define MAGIC 12582912.0f
#define MAGIC_BITS 0x4b400000

#if defined(CUDA_ON_HOST)
static inline float floor_and_magic(float x) { return floorf(x) + MAGIC; }
static inline int two_taps(unsigned weights, unsigned bytes, int sum) {
    return sum + (short)(weights & 0xffffu) * (signed char)(bytes & 0xffu) +
           (short)(weights >> 16) * (signed char)(bytes >> 8 & 0xffu);
}
static inline int two_taps_above(unsigned weights, unsigned bytes, int sum) {
    return two_taps(weights, bytes >> 16, sum);
}
static inline unsigned pick(unsigned a, unsigned b, unsigned selector) {
    const unsigned long long both = (unsigned long long)b << 32 | a;
    unsigned out = 0;
    for (int k = 0; k < 4; k++) out |= (unsigned)(both >> 8 * (selector >> 4 * k & 7u) & 255u) << 8 * k;
    return out;
}
#else
// The whole part of a position, by adding it rounded down.
__device__ inline float floor_and_magic(float x) { return __fadd_rd(x, MAGIC); }
// Of the lower or the upper two bytes.
__device__ inline int two_taps(unsigned weights, unsigned bytes, int sum) {
    return __dp2a_lo((int)weights, (int)bytes, sum);
}
__device__ inline int two_taps_above(unsigned weights, unsigned bytes, int sum) {
    return __dp2a_hi((int)weights, (int)bytes, sum);
}
// Four bytes of two words, numbered from the first's lowest, by hexadecimal digits from the lowest.
__device__ inline unsigned pick(unsigned a, unsigned b, unsigned selector) { return __byte_perm(a, b, selector); }
#endif

struct Colour {
    float r, g, b;
};

// Keys' cubic convolution with a = -1, of the four taps around a fraction in [0, 1). The sum is 1.
struct Weights {
    float before, at, after, beyond;
};

__device__ inline Weights cubic(float f) {
    const float f2 = f * f;
    Weights w;
    w.beyond = fmaf(f2, f, -f2);
    w.after = f - w.beyond;
    const float rest = f2 - w.beyond;
    w.before = rest - f;
    w.at = 1.0f - rest;
    return w;
}

// Two weights as integers of 16 bits.
__device__ inline unsigned pair(float a, float b) {
    return pick((unsigned)__float_as_int(fmaf(a, ONE, MAGIC)), (unsigned)__float_as_int(fmaf(b, ONE, MAGIC)), 0x5410u);
}

// Positions beyond the border are mirrored once, then clamped; what is no number becomes 0.
__device__ inline float mirrored(float x, float last) {
    return fmaxf(fminf(fabsf(x), 2.0f * last - fabsf(x)), 0.0f);
}

// The sums of one channel of a row's four taps, as floats: MAGIC more.
__device__ inline float lower(unsigned first, unsigned second, unsigned a, unsigned b) {
    return __int_as_float(two_taps(first, a, two_taps(second, b, MAGIC_BITS)));
}
__device__ inline float upper(unsigned first, unsigned second, unsigned a, unsigned b) {
    return __int_as_float(two_taps_above(first, a, two_taps_above(second, b, MAGIC_BITS)));
}

// A source's colour, less 128 and times ONE.
__device__ inline Colour gather(const unsigned *__restrict__ plate, int texels, float x, float y, float last_x,
                                float last_y) {
    x = mirrored(x, last_x);
    y = mirrored(y, last_y);
    const float left = floor_and_magic(x), top = floor_and_magic(y);
    const Weights across = cubic(x - (left - MAGIC)), down = cubic(y - (top - MAGIC));
    const unsigned first = pair(across.before, across.at), second = pair(across.after, across.beyond);
    // The plate has one texel more on the left and above, so this is the first tap; two more on the right and below.
    const unsigned *row =
        plate + ((__float_as_int(top) - MAGIC_BITS) * texels + (__float_as_int(left) - MAGIC_BITS));
    const float shares[4] = {down.before, down.at, down.after, down.beyond};
    Colour sum = {-MAGIC, -MAGIC, -MAGIC};
    for (int j = 0; j < 4; j++) {
        const unsigned a = row[0], b = row[1], c = row[2], d = row[3];
        const unsigned rg = pick(a, b, 0x5140u), rg_after = pick(c, d, 0x5140u);
        const unsigned blue = pick(a, b, 0x6262u), blue_after = pick(c, d, 0x6262u);
        sum.r = fmaf(shares[j], lower(first, second, rg, rg_after), sum.r);
        sum.g = fmaf(shares[j], upper(first, second, rg, rg_after), sum.g);
        sum.b = fmaf(shares[j], lower(first, second, blue, blue_after), sum.b);
        row += texels;
    }
    return sum;
}

__device__ inline float between(float a, float b, float f) { return fmaf(b - a, f, a); }

__device__ inline Four between(const Four &a, const Four &b, float f) {
    Four value = {between(a.x, b.x, f), between(a.y, b.y, f), between(a.z, b.z, f), between(a.w, b.w, f)};
    return value;
}

// A plane along a thread's column: its value at the field row above, and by how much it rises to the row below.
struct Plane {
    float top, rise;
};
struct Plane4 {
    Four top, rise;
};

__device__ inline Plane column_of(const float *plane, int above, int below, int left, int right, float fx) {
    const float top = between(plane[above + left], plane[above + right], fx);
    const float bottom = between(plane[below + left], plane[below + right], fx);
    Plane made = {top, bottom - top};
    return made;
}

__device__ inline Plane4 column_of(const Four *plane, int above, int below, int left, int right, float fx) {
    const Four top = between(plane[above + left], plane[above + right], fx);
    const Four bottom = between(plane[below + left], plane[below + right], fx);
    Plane4 made = {top, {bottom.x - top.x, bottom.y - top.y, bottom.z - top.z, bottom.w - top.w}};
    return made;
}

__device__ inline float at_row(const Plane &p, float fy) { return fmaf(p.rise, fy, p.top); }

__device__ inline Four at_row(const Plane4 &p, float fy) {
    Four value = {fmaf(p.rise.x, fy, p.top.x), fmaf(p.rise.y, fy, p.top.y), fmaf(p.rise.z, fy, p.top.z),
                  fmaf(p.rise.w, fy, p.top.w)};
    return value;
}

// mean + (w A + (1 - w) B - mean) gain, of sources as gather gives them; mean and result are less 128.
__device__ inline float blended(float w, float a, float b, float mean, float gain) {
    return fmaf(fmaf(fmaf(w, a - b, b), 1.0f / ONE, -mean), gain, mean);
}

// To the nearest, halves to even, within 0..255; what is no number becomes 0.
__device__ inline unsigned char to_byte(float value) {
    const unsigned whole = __float2uint_rn(value);
    return (unsigned char)(whole < 255u ? whole : 255u);
}

// Lay a value over the photo's, both less 128, and light it.
__device__ inline unsigned char shown(float photo, float value, float share, float light) {
    return to_byte(fmaf(fmaf(share, value - photo, photo), light, 128.0f * light));
}

// light is null where a scene has none; then a matte of 1 is left out too, since it shows the photo alone.
extern "C" __global__ void __launch_bounds__(256) sf_compose(
    Sizes s, const unsigned *__restrict__ units, int count, const unsigned *__restrict__ plate,
    const unsigned char *__restrict__ photo, const unsigned char *__restrict__ matte, const Four *__restrict__ shift,
    const Four *__restrict__ mean, const float *__restrict__ gain, const float *__restrict__ light,
    unsigned char *__restrict__ rgb) {
    ITEM(item, (long long)count * UNIT_WIDTH);
    const Place unit = place_of(units[item / UNIT_WIDTH]);
    const int x = unit.column * UNIT_WIDTH + (int)(item % UNIT_WIDTH), first = unit.row * UNIT_HEIGHT - UNIT_SHIFT;
    if (x >= s.width) return;
    // One byte each, the uppermost lowest; 0 outside the picture.
    unsigned mattes = 0, any = 0;
    for (int k = 0; k < UNIT_HEIGHT; k++) {
        const int y = first + k;
        const unsigned m = y >= 0 && y < s.height ? matte[y * s.width + x] : 0;
        mattes |= m << 8 * k;
        any |= m;
    }
    if (any <= (light ? 0u : 1u)) return;
    // The four cells around, repeated beyond the border.
    const int cell = (x + UNIT_SHIFT) / FIELD_SCALE - 1, left = most(cell, 0), right = least(cell + 1, s.w - 1);
    const int above = most(unit.row - 1, 0) * s.w, below = least(unit.row, s.h - 1) * s.w;
    const float fx = (float)((x + UNIT_SHIFT) % FIELD_SCALE) * 0.25f + 0.125f;
    Plane4 shifts = {}, means = {};
    Plane gains = {1, 0}, lights = {1, 0};
    if (any > 1) {
        shifts = column_of(shift, above, below, left, right, fx);
        means = column_of(mean, above, below, left, right, fx);
        gains = column_of(gain, above, below, left, right, fx);
        // Displacements become positions (row k, at k / 4 + 1 / 8 between the field rows, is first + k) and means lose 128.
        shifts.top.x += (float)x, shifts.top.z += (float)x;
        shifts.top.y += (float)first - 0.5f, shifts.top.w += (float)first - 0.5f;
        shifts.rise.y += 4.0f, shifts.rise.w += 4.0f;
        means.top.x -= 128.0f, means.top.y -= 128.0f, means.top.z -= 128.0f;
    }
    if (light) lights = column_of(light, above, below, left, right, fx);
    const float last_x = (float)(s.width - 1), last_y = (float)(s.height - 1);
    // One after the other: unrolled, the gathers would fill the instruction cache and registers for nothing.
    NOT_UNROLLED
    for (int k = 0; k < UNIT_HEIGHT; k++) {
        const int m = (int)(mattes >> 8 * k & 255u);
        if (m <= (light ? 0 : 1)) continue;
        const int at = 3 * ((first + k) * s.width + x);
        const float fy = (float)k * 0.25f + 0.125f;
        const float share = (float)(m - 1) * (1.0f / 254.0f), lit = at_row(lights, fy);
        // Colours, less 128.
        Colour still = {0, 0, 0}, value = {0, 0, 0};
        if (m < 255) {
            still.r = (float)photo[at] - 128.0f;
            still.g = (float)photo[at + 1] - 128.0f;
            still.b = (float)photo[at + 2] - 128.0f;
        }
        if (m > 1) {
            const Four place = at_row(shifts, fy), mu = at_row(means, fy);
            value = gather(plate, s.texels, place.x, place.y, last_x, last_y);
            // What only sways has one source.
            if (mu.w != 1.0f) {
                const Colour other = gather(plate, s.texels, place.z, place.w, last_x, last_y);
                const float g = at_row(gains, fy);
                value.r = blended(mu.w, value.r, other.r, mu.x, g);
                value.g = blended(mu.w, value.g, other.g, mu.y, g);
                value.b = blended(mu.w, value.b, other.b, mu.z, g);
            } else {
                value.r *= 1.0f / ONE;
                value.g *= 1.0f / ONE;
                value.b *= 1.0f / ONE;
            }
        }
        rgb[at] = shown(still.r, value.r, share, lit);
        rgb[at + 1] = shown(still.g, value.g, share, lit);
        rgb[at + 2] = shown(still.b, value.b, share, lit);
    }
}

// Lay a plate out for gathering: RGBX, each byte less 128, a texel repeated before each row and column and two after. A thread a texel.
extern "C" __global__ void sf_pack(Sizes s, const unsigned char *__restrict__ rgb, unsigned *__restrict__ plate) {
    ITEM(i, (long long)s.texels * (s.height + 3));
    const int x = least(most((int)(i % s.texels) - 1, 0), s.width - 1);
    const int y = least(most((int)(i / s.texels) - 1, 0), s.height - 1);
    const unsigned char *pixel = rgb + 3 * (y * s.width + x);
    plate[i] = ((unsigned)pixel[0] | (unsigned)pixel[1] << 8 | (unsigned)pixel[2] << 16) ^ PLATE_BIAS;
}
