// SPDX-License-Identifier: Apache-2.0
//
// The fields step of a cross-faded frame: where both sources of every cell lie, how they are weighed, and what mean and
// gain the blend has. The law is fields() of stillflow/kernels/reference.py; the order of operations is that of NumPy,
// so that traces have the same bits (no contraction: compiled with fmad off).
//
// Everything works on lists of tiles of 8 x 4 cells, made once for a scene (stillflow/kernels/moving.py): what a trace
// may read is listed too, so a picture of which a third moves costs about a third. Cells of a listed tile that nothing
// needs may read what was never written; they hold anything.
#include "scene.cuh"

#define DOUBLINGS 4
#define RADIUS 4
#define EDGE_RAMP 2.5f
#define CONFIDENCE_FLOOR 0.02f
#define VARIANCE_FLOOR 1.0f
#define LIGHT_LIMIT 8.0f
#define LUMA_R 0.299f
#define LUMA_G 0.587f
#define LUMA_B 0.114f
#define TAU 6.283185307179586476925286766559

// The cell of a thread, of a list of tiles.
struct Cell {
    int x, y, at;
};

__device__ inline bool cell_of(const Sizes &s, const unsigned *tiles, long long item, Cell &cell) {
    const int lane = (int)(item % (TILE_WIDTH * TILE_HEIGHT));
    const Place tile = place_of(tiles[item / (TILE_WIDTH * TILE_HEIGHT)]);
    cell.x = tile.column * TILE_WIDTH + lane % TILE_WIDTH;
    cell.y = tile.row * TILE_HEIGHT + lane / TILE_WIDTH;
    cell.at = cell.y * s.w + cell.x;
    return cell.x < s.w && cell.y < s.h;
}

#define CELL(cell, count)                                            \
    ITEM(item, (long long)(count) * (TILE_WIDTH * TILE_HEIGHT));     \
    Cell cell;                                                       \
    if (!cell_of(s, tiles, item, cell)) return

// The four cells around a position, and how far it lies between them. What is no number lies at 0.
struct Spot {
    int at, right, below;
    float fx, fy;
};

__device__ inline Spot locate(const Sizes &s, float x, float y) {
    x = fminf(fmaxf(x, 0.0f), (float)(s.w - 1));
    y = fminf(fmaxf(y, 0.0f), (float)(s.h - 1));
    const int column = least((int)x, most(s.w - 2, 0)), row = least((int)y, most(s.h - 2, 0));
    Spot spot = {row * s.w + column, s.w > 1 ? 1 : 0, s.h > 1 ? s.w : 0, x - (float)column, y - (float)row};
    return spot;
}

__device__ inline float between(float a, float b, float f) { return a + (b - a) * f; }

__device__ inline Two lookup(const Two *field, const Spot &at) {
    const Two *top = field + at.at, *bottom = top + at.below;
    const Two a = top[0], b = top[at.right], c = bottom[0], d = bottom[at.right];
    Two value = {between(between(a.x, b.x, at.fx), between(c.x, d.x, at.fx), at.fy),
                 between(between(a.y, b.y, at.fx), between(c.y, d.y, at.fx), at.fy)};
    return value;
}

__device__ inline Four lookup(const Four *field, const Spot &at) {
    const Four *top = field + at.at, *bottom = top + at.below;
    const Four a = top[0], b = top[at.right], c = bottom[0], d = bottom[at.right];
    Four value = {between(between(a.x, b.x, at.fx), between(c.x, d.x, at.fx), at.fy),
                  between(between(a.y, b.y, at.fx), between(c.y, d.y, at.fx), at.fy),
                  between(between(a.z, b.z, at.fx), between(c.z, d.z, at.fx), at.fy),
                  between(between(a.w, b.w, at.fx), between(c.w, d.w, at.fx), at.fy)};
    return value;
}

// Everything that depends on the time alone, in double like the reference: a phase for each number of cycles that the
// scene has, and cos - 1 and sin of each harmonic, of the sway and then of the light.
extern "C" __global__ void sf_phases(const double *time, int frames, const unsigned char *cycles, int count,
                                     const int *periods, int harmonics, Phase *phases, Two *swings) {
    ITEM(i, count + harmonics);
    const double t = *time;
    if (i >= count) {
        const double theta = TAU * periods[i - count] * t / frames;
        Two swing = {(float)cos(theta) - 1.0f, (float)sin(theta)};
        swings[i - count] = swing;
        return;
    }
    const int n = cycles[i];
    const double phase = (double)n * (t / frames);
    const float u = (float)(phase - floor(phase)), period = (float)frames / (float)n;
    Phase made = {-u * period / (float)(1 << DOUBLINGS),
                  (1.0f - u) * period / (float)(1 << DOUBLINGS),
                  1.0f - u,
                  u,
                  sinf((float)(TAU / 2) * u),
                  sinf((float)TAU * u),
                  {0, 0}};
    phases[n] = made;
}

// One midpoint step of both traces: d = s v(x + s/2 v(x)).
extern "C" __global__ void sf_step(Sizes s, const unsigned *__restrict__ tiles, int count,
                                   const Two *__restrict__ velocity, const unsigned char *__restrict__ cycles,
                                   const Phase *__restrict__ phases, Two *__restrict__ to_a, Two *__restrict__ to_b) {
    CELL(cell, count);
    const Phase *phase = phases + cycles[cell.at];
    const float steps[2] = {phase->step_a, phase->step_b};
    const Two v = velocity[cell.at];
    Two *const to[2] = {to_a, to_b};
    for (int k = 0; k < 2; k++) {
        const float half = steps[k] * 0.5f;
        const Spot at = locate(s, (float)cell.x + v.x * half, (float)cell.y + v.y * half);
        const Two there = lookup(velocity, at);
        Two d = {there.x * steps[k], there.y * steps[k]};
        to[k][cell.at] = d;
    }
}

__device__ inline Two doubled(const Sizes &s, const Cell &cell, const Two *from) {
    const Two d = from[cell.at];
    const Two there = lookup(from, locate(s, (float)cell.x + d.x, (float)cell.y + d.y));
    Two sum = {d.x + there.x, d.y + there.y};
    return sum;
}

// d <- d + d(x + d), for both.
extern "C" __global__ void sf_double(Sizes s, const unsigned *__restrict__ tiles, int count,
                                     const Two *__restrict__ from_a, const Two *__restrict__ from_b,
                                     Two *__restrict__ to_a, Two *__restrict__ to_b) {
    CELL(cell, count);
    const Two a = doubled(s, cell, from_a), b = doubled(s, cell, from_b);
    to_a[cell.at] = a;
    to_b[cell.at] = b;
}

// What the sources of a cell are made of. Null where a scene has none of it.
struct Materials {
    const Four *low;             // local mean R, G, B of the plate, and confidence that a place belongs to the layer
    const unsigned char *cycles; // of the cross-fade in one loop
    const unsigned char *flow;   // 0 does not flow, else which layer
    const Two *blend;            // the generator's coefficients
    const Four *sway;            // a plane for each harmonic
    const unsigned *plate;       // RGBX, biased
    int harmonics, layers;       // of the sway; how many layers flow
};

// Confidence in what lies at a position: it ramps down to the floor beyond the picture's border, and another layer is no
// source (clouds must not come down into the sea).
__device__ inline float confidence(const Sizes &s, const Materials &m, unsigned char own, float x, float y) {
    const float beyond_x = fmaxf(fmaxf(-x, x - (float)(s.w - 1)), 0.0f);
    const float beyond_y = fmaxf(fmaxf(-y, y - (float)(s.h - 1)), 0.0f);
    const float ramp = fmaxf(1.0f - fmaxf(beyond_x, beyond_y) * (1.0f / EDGE_RAMP), 0.0f);
    const Spot at = locate(s, x, y);
    const float *top = &m.low[at.at].w, *bottom = &m.low[at.at + at.below].w;
    const int right = 4 * at.right;
    float inside = between(between(top[0], top[right], at.fx), between(bottom[0], bottom[right], at.fx), at.fy);
    if (m.layers > 1) {
        const unsigned char there = m.flow[at.at];
        if (there != 0 && there != own) inside = 0.0f;
    }
    return fmaxf(inside * ramp, CONFIDENCE_FLOOR);
}

// Weight of source A, exactly 1 where u is 0.
__device__ inline float weight_of(const Materials &m, const Phase &phase, int at, float ca, float cb) {
    const float a = phase.share_a * ca, b = phase.share_b * cb;
    float w = a / fmaxf(a + b, 1e-6f);
    if (m.blend) {
        const Two c = m.blend[at];
        const float shift = fminf(fmaxf(phase.sin1 * c.x + phase.sin2 * c.y, -8.0f), 8.0f);
        const float odds = expf(shift);
        w = w * odds / fmaxf(w * odds + (1.0f - w), 1e-6f);
    }
    return phase.share_b == 0.0f ? 1.0f : w;
}

// Luma of the plate at the nearest pixel, less that of the local mean.
__device__ inline float texture_of(const Sizes &s, const unsigned *plate, float x, float y, const Four &low) {
    const float px = fminf(fmaxf(x * (float)FIELD_SCALE + FIELD_OFFSET + 0.5f, 0.0f), (float)(s.width - 1));
    const float py = fminf(fmaxf(y * (float)FIELD_SCALE + FIELD_OFFSET + 0.5f, 0.0f), (float)(s.height - 1));
    const unsigned texel = plate[((int)py + 1) * s.texels + (int)px + 1] ^ PLATE_BIAS;
    return ((float)(texel & 255u) * LUMA_R + (float)(texel >> 8 & 255u) * LUMA_G + (float)(texel >> 16 & 255u) * LUMA_B) -
           (low.x * LUMA_R + low.y * LUMA_G + low.z * LUMA_B);
}

// The last doubling and what follows from it: displacements in pixels, mean and weight, and products of both textures
// (AA, AB, BB, and the weight again). products may lie where the traces before the last lay, not where from lies.
extern "C" __global__ void sf_sources(Sizes s, const unsigned *__restrict__ tiles, int count, Materials m,
                                      const Phase *__restrict__ phases, const Two *__restrict__ swings,
                                      const Two *__restrict__ from_a, const Two *__restrict__ from_b,
                                      Four *__restrict__ shift, Four *__restrict__ mean, Four *__restrict__ products) {
    CELL(cell, count);
    const float x = (float)cell.x, y = (float)cell.y;
    const unsigned char own = m.flow[cell.at];
    Two a = {0, 0}, b = {0, 0};
    float w = 1;
    // What does not flow may still sway; the velocity there only carries the traces of its neighbours on.
    if (own != 0) {
        if (from_a) {
            a = doubled(s, cell, from_a);
            b = doubled(s, cell, from_b);
        }
        const Phase phase = phases[m.cycles[cell.at]];
        w = weight_of(m, phase, cell.at, confidence(s, m, own, x + a.x, y + a.y),
                      confidence(s, m, own, x + b.x, y + b.y));
    }
    Two d = {0, 0};
    const int harmonics = tiles[item / (TILE_WIDTH * TILE_HEIGHT)] & SWAYS ? m.harmonics : 0;
    for (int k = 0; k < harmonics; k++) {
        const Four c = m.sway[(size_t)k * ((size_t)s.h * (size_t)s.w) + (size_t)cell.at];
        const Two swing = swings[k];
        d.x += c.x * swing.x + c.z * swing.y;
        d.y += c.y * swing.x + c.w * swing.y;
    }
    a.x += d.x, a.y += d.y, b.x += d.x, b.y += d.y;
    const Four low_a = lookup(m.low, locate(s, x + a.x, y + a.y));
    const float ra = texture_of(s, m.plate, x + a.x, y + a.y, low_a);
    Four low_b = low_a;
    float rb = ra;
    if (own != 0) {
        low_b = lookup(m.low, locate(s, x + b.x, y + b.y));
        rb = texture_of(s, m.plate, x + b.x, y + b.y, low_b);
    }
    const float scale = (float)FIELD_SCALE, v = 1.0f - w;
    Four moved = {a.x * scale, a.y * scale, b.x * scale, b.y * scale};
    Four mixed = {w * low_a.x + v * low_b.x, w * low_a.y + v * low_b.y, w * low_a.z + v * low_b.z, w};
    Four product = {ra * ra, ra * rb, rb * rb, w};
    shift[cell.at] = moved;
    mean[cell.at] = mixed;
    products[cell.at] = product;
}

// Sums of nine along a row, cells beyond the border repeated; the weight of the cell itself is handed on.
extern "C" __global__ void sf_rows(Sizes s, const unsigned *__restrict__ tiles, int count,
                                   const Four *__restrict__ products, Four *__restrict__ sums) {
    CELL(cell, count);
    const Four *row = products + (cell.at - cell.x);
    Four sum = {0, 0, 0, row[cell.x].w};
    for (int k = -RADIUS; k <= RADIUS; k++) {
        const Four p = row[least(most(cell.x + k, 0), s.w - 1)];
        sum.x += p.x, sum.y += p.y, sum.z += p.z;
    }
    sums[cell.at] = sum;
}

// The other way, and the gain that keeps the variance: 1 / sqrt(w² + (1 - w)² + 2 w (1 - w) rho).
extern "C" __global__ void sf_gain(Sizes s, const unsigned *__restrict__ tiles, int count,
                                   const Four *__restrict__ sums, float *__restrict__ gain) {
    CELL(cell, count);
    const float w = sums[cell.at].w, v = 1.0f - w;
    Four sum = {0, 0, 0, 0};
    for (int k = -RADIUS; k <= RADIUS; k++) {
        const Four p = sums[least(most(cell.y + k, 0), s.h - 1) * s.w + cell.x];
        sum.x += p.x, sum.y += p.y, sum.z += p.z;
    }
    const float each = 1.0f / ((2 * RADIUS + 1) * (2 * RADIUS + 1));
    const float var_a = sum.x * each + VARIANCE_FLOOR, var_b = sum.z * each + VARIANCE_FLOOR;
    const float rho = fminf(fmaxf((sum.y * each + VARIANCE_FLOOR) * rsqrtf(var_a * var_b), 0.0f), 1.0f);
    // Exactly 1 where one source has all the weight, as in the reference: the approximation may be two units off.
    const float power = w * w + v * v + 2.0f * w * v * rho;
    gain[cell.at] = power == 1.0f ? 1.0f : rsqrtf(power);
}

// Brightness: e to the power of the sum of its harmonics.
extern "C" __global__ void sf_light(Sizes s, const unsigned *__restrict__ tiles, int count,
                                    const Two *__restrict__ coefficients, int harmonics, const Two *__restrict__ swings,
                                    float *__restrict__ light) {
    CELL(cell, count);
    float total = 0;
    for (int k = 0; k < harmonics; k++) {
        const Two c = coefficients[(size_t)k * ((size_t)s.h * (size_t)s.w) + (size_t)cell.at];
        total += c.x * swings[k].x + c.y * swings[k].y;
    }
    light[cell.at] = expf(fminf(fmaxf(total, -LIGHT_LIMIT), LIGHT_LIMIT));
}
