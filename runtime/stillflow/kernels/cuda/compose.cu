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

// A byte as a float in one instruction: it becomes the third of a float's four bytes, of 2^15 + byte. Such floats are
// 1/256 apart, and weights that sum to 1 take 2^15 out again: 0.02 grey levels at most are lost.
#define BYTE_BIAS 32768.0f

__device__ inline float biased(unsigned texel, int channel) {
#if defined(CUDA_ON_HOST)
    return __int_as_float((int)(0x47000000u | (texel >> 8 * channel & 255u) << 8));
#else
    return __int_as_float((int)__byte_perm(texel, 0x47000000u, 0x7404u | (unsigned)channel << 4));
#endif
}

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
    w.before = (f2 - f) - w.beyond;
    w.at = (1.0f - f2) + w.beyond;
    return w;
}

__device__ inline float weighted(const Weights &w, float a, float b, float c, float d) {
    return fmaf(w.beyond, d, fmaf(w.after, c, fmaf(w.before, a, w.at * b)));
}

// Positions beyond the border are mirrored once, then clamped; what is no number becomes 0.
__device__ inline float mirrored(float x, float last) {
    return fminf(fmaxf(last - fabsf(last - fabsf(x)), 0.0f), last);
}

__device__ inline Colour gather(const unsigned *__restrict__ plate, int texels, float x, float y, float last_x,
                                float last_y) {
    x = mirrored(x, last_x);
    y = mirrored(y, last_y);
    const float left = floorf(x), top = floorf(y);
    const Weights across = cubic(x - left), down = cubic(y - top);
    // The plate has one texel more on the left and above, so this is the first tap; two more on the right and below.
    const unsigned *row = plate + ((int)top * texels + (int)left);
    const float shares[4] = {down.before, down.at, down.after, down.beyond};
    Colour sum = {-BYTE_BIAS, -BYTE_BIAS, -BYTE_BIAS};
    for (int j = 0; j < 4; j++) {
        const unsigned a = row[0], b = row[1], c = row[2], d = row[3];
        sum.r = fmaf(shares[j], weighted(across, biased(a, 0), biased(b, 0), biased(c, 0), biased(d, 0)), sum.r);
        sum.g = fmaf(shares[j], weighted(across, biased(a, 1), biased(b, 1), biased(c, 1), biased(d, 1)), sum.g);
        sum.b = fmaf(shares[j], weighted(across, biased(a, 2), biased(b, 2), biased(c, 2), biased(d, 2)), sum.b);
        row += texels;
    }
    return sum;
}

__device__ inline float between(float a, float b, float f) { return fmaf(b - a, f, a); }

__device__ inline Four between(const Four &a, const Four &b, float f) {
    Four value = {between(a.x, b.x, f), between(a.y, b.y, f), between(a.z, b.z, f), between(a.w, b.w, f)};
    return value;
}

// To the nearest, halves to even, within 0..255: the low byte of 1.5 * 2^23 + value.
__device__ inline unsigned char to_byte(float value) {
    return (unsigned char)__float_as_int(fminf(fmaxf(value, 0.0f), 255.0f) + 12582912.0f);
}

// Lay a value over the photo's, and light it.
__device__ inline unsigned char shown(float photo, float value, float share, float light) {
    return to_byte(fmaf(share, value - photo, photo) * light);
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
    Four shift_top = {}, shift_bottom = {}, mean_top = {}, mean_bottom = {};
    float gain_top = 1, gain_bottom = 1, light_top = 1, light_bottom = 1;
    if (any > 1) {
        shift_top = between(shift[above + left], shift[above + right], fx);
        shift_bottom = between(shift[below + left], shift[below + right], fx);
        mean_top = between(mean[above + left], mean[above + right], fx);
        mean_bottom = between(mean[below + left], mean[below + right], fx);
        gain_top = between(gain[above + left], gain[above + right], fx);
        gain_bottom = between(gain[below + left], gain[below + right], fx);
    }
    if (light) {
        light_top = between(light[above + left], light[above + right], fx);
        light_bottom = between(light[below + left], light[below + right], fx);
    }
    const float last_x = (float)(s.width - 1), last_y = (float)(s.height - 1);
    // One after the other: unrolled, the gathers would fill the instruction cache and registers for nothing.
    NOT_UNROLLED
    for (int k = 0; k < UNIT_HEIGHT; k++) {
        const int m = (int)(mattes >> 8 * k & 255u);
        if (m <= (light ? 0 : 1)) continue;
        const int y = first + k, at = 3 * (y * s.width + x);
        const float fy = (float)k * 0.25f + 0.125f;
        const float share = (float)(m - 1) * (1.0f / 254.0f), lit = between(light_top, light_bottom, fy);
        Colour still = {0, 0, 0}, value = {0, 0, 0};
        if (m < 255) {
            still.r = (float)photo[at];
            still.g = (float)photo[at + 1];
            still.b = (float)photo[at + 2];
        }
        if (m > 1) {
            const Four d = between(shift_top, shift_bottom, fy), mu = between(mean_top, mean_bottom, fy);
            value = gather(plate, s.texels, (float)x + d.x, (float)y + d.y, last_x, last_y);
            // What only sways has one source.
            if (mu.w != 1.0f) {
                const Colour other = gather(plate, s.texels, (float)x + d.z, (float)y + d.w, last_x, last_y);
                const float g = between(gain_top, gain_bottom, fy);
                value.r = fmaf(fmaf(mu.w, value.r - other.r, other.r) - mu.x, g, mu.x);
                value.g = fmaf(fmaf(mu.w, value.g - other.g, other.g) - mu.y, g, mu.y);
                value.b = fmaf(fmaf(mu.w, value.b - other.b, other.b) - mu.z, g, mu.z);
            }
        }
        rgb[at] = shown(still.r, value.r, share, lit);
        rgb[at + 1] = shown(still.g, value.g, share, lit);
        rgb[at + 2] = shown(still.b, value.b, share, lit);
    }
}

// Lay a plate out for gathering: RGBX, a texel repeated before each row and column and two after. A thread a texel.
extern "C" __global__ void sf_pack(Sizes s, const unsigned char *__restrict__ rgb, unsigned *__restrict__ plate) {
    ITEM(i, (long long)s.texels * (s.height + 3));
    const int x = least(most((int)(i % s.texels) - 1, 0), s.width - 1);
    const int y = least(most((int)(i / s.texels) - 1, 0), s.height - 1);
    const unsigned char *pixel = rgb + 3 * (y * s.width + x);
    plate[i] = (unsigned)pixel[0] | (unsigned)pixel[1] << 8 | (unsigned)pixel[2] << 16;
}
