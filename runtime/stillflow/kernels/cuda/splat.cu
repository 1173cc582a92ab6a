// SPDX-License-Identifier: Apache-2.0
//
// Displacements and the symmetric splat for GPUs. The law is stillflow/kernels/splat_reference.py, and the sums are
// the same bits: no floats are added atomically. Integers are, to build for every pixel of the window the list of
// the sources that reach it; each list is then sorted by source, and one thread adds up a pixel's channels in that
// order. Compile without contraction (fmad) and with exact division.
//
// Kernels need no barriers and no shared memory, and one thread does one item, so that the very same source runs
// on a CPU too (tests/native/cuda_on_host.h).

#define ITEM(i, count)                                                           \
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;        \
    if (i >= (long long)(count)) return

// What a source pixel is, and where in the picture: the shapes of stillflow.h.
struct Picture {
    int height, width;              // of the picture
    int top, left, rows, columns;   // the part of it that is thrown
    int y0, y1, x0, x1;             // the part of it that is wanted
};

// Where a source lands: the pixel above left, and how far beyond it.
struct Landing {
    int x, y;
    float fx, fy;
};

__device__ inline bool land(const Picture &p, const float *displacement, unsigned source, Landing &at) {
    const float tx = (float)(p.left + (int)(source % (unsigned)p.columns)) + displacement[2 * (size_t)source];
    const float ty = (float)(p.top + (int)(source / (unsigned)p.columns)) + displacement[2 * (size_t)source + 1];
    // False for what is no number, too.
    if (!(tx > -1 && ty > -1 && tx < (float)p.width && ty < (float)p.height)) return false;
    const float x = floorf(tx), y = floorf(ty);
    at.x = (int)x;
    at.y = (int)y;
    at.fx = tx - x;
    at.fy = ty - y;
    return true;
}

// The window's cell that corner 0..3 of a landing is, or -1: outside, or with a weight of 0.
__device__ inline long long cell_of(const Picture &p, const Landing &at, int corner) {
    const int right = corner & 1, below = corner >> 1, x = at.x + right, y = at.y + below;
    if ((right ? at.fx : 1.0f - at.fx) == 0 || (below ? at.fy : 1.0f - at.fy) == 0) return -1;
    if (x < p.x0 || x >= p.x1 || y < p.y0 || y >= p.y1) return -1;
    return (long long)(y - p.y0) * (p.x1 - p.x0) + (x - p.x0);
}

extern "C" __global__ void sf_euler_step(const float *velocity, int height, int width, const unsigned *pixels,
                                         int count, float *position, unsigned char *invalid, float *displacement) {
    ITEM(i, count);
    const unsigned pixel = pixels ? pixels[i] : (unsigned)i;
    if (pixel >= (unsigned)height * (unsigned)width) return;
    const float x = (float)(pixel % (unsigned)width), y = (float)(pixel / (unsigned)width);
    const float last_x = (float)(width - 1), last_y = (float)(height - 1);
    float px = position[2 * i], py = position[2 * i + 1];
    if (!(px >= 0 && py >= 0 && px <= last_x && py <= last_y)) px = x, py = y;
    // To the nearest, halves to even.
    const size_t nearest = (size_t)rintf(py) * (size_t)width + (size_t)rintf(px);
    px += velocity[2 * nearest];
    py += velocity[2 * nearest + 1];
    const bool gone = invalid[i] || !(px >= 0 && py >= 0 && px <= last_x && py <= last_y);
    position[2 * i] = gone ? x : px;
    position[2 * i + 1] = gone ? y : py;
    invalid[i] = gone;
    if (!displacement) return;
    const float beyond = (float)((height > width ? height : width) + 1);
    displacement[2 * i] = gone ? beyond : px - x;
    displacement[2 * i + 1] = gone ? beyond : py - y;
}

extern "C" __global__ void sf_clear(unsigned *numbers, int count) {
    ITEM(i, count);
    numbers[i] = 0;
}

// How many sources reach each cell. A thread for each source.
extern "C" __global__ void sf_count(Picture p, const float *displacement, unsigned *count) {
    ITEM(source, (long long)p.rows * p.columns);
    Landing at;
    if (!land(p, displacement, (unsigned)source, at)) return;
    for (int corner = 0; corner < 4; corner++) {
        const long long cell = cell_of(p, at, corner);
        if (cell >= 0) atomicAdd(count + cell, 1u);
    }
}

// Sums of runs of numbers. A thread for each run.
extern "C" __global__ void sf_run_sums(const unsigned *numbers, int count, int run, unsigned *sums) {
    ITEM(i, (count + run - 1) / run);
    const long long begin = i * run, end = begin + run < count ? begin + run : count;
    unsigned sum = 0;
    for (long long k = begin; k < end; k++) sum += numbers[k];
    sums[i] = sum;
}

// Sums of all numbers before each, of all of them at the end. run_start: those before each run, null for one run.
extern "C" __global__ void sf_starts(const unsigned *numbers, int count, int run, const unsigned *run_start,
                                     unsigned *start) {
    ITEM(i, (count + run - 1) / run);
    const long long begin = i * run, end = begin + run < count ? begin + run : count;
    unsigned sum = run_start ? run_start[i] : 0;
    for (long long k = begin; k < end; k++) {
        start[k] = sum;
        sum += numbers[k];
    }
    if (end == count) start[count] = sum;
}

// Put each source into the lists of its cells, in any order. Counts go down to 0 again. A thread for each source.
extern "C" __global__ void sf_fill(Picture p, const float *displacement, const unsigned *start, unsigned *count,
                                   unsigned *entries) {
    ITEM(source, (long long)p.rows * p.columns);
    Landing at;
    if (!land(p, displacement, (unsigned)source, at)) return;
    for (int corner = 0; corner < 4; corner++) {
        const long long cell = cell_of(p, at, corner);
        if (cell >= 0) entries[start[cell] + atomicSub(count + cell, 1u) - 1] = (unsigned)source;
    }
}

// Let the entry at k sink to its place in a heap of n whose largest is first.
__device__ inline void sink(unsigned *list, unsigned k, unsigned n) {
    const unsigned entry = list[k];
    for (unsigned child = 2 * k + 1; child < n; child = 2 * k + 1) {
        if (child + 1 < n && list[child + 1] > list[child]) child++;
        if (list[child] <= entry) break;
        list[k] = list[child];
        k = child;
    }
    list[k] = entry;
}

// Sort each cell's list. A thread for each cell. Four or five are the rule; a whole picture thrown onto one pixel
// must end all the same, so long lists are sorted in n log n.
extern "C" __global__ void sf_sort(const unsigned *start, int cells, unsigned *entries) {
    ITEM(cell, cells);
    unsigned *list = entries + start[cell];
    const unsigned n = start[cell + 1] - start[cell];
    if (n <= 16) {
        for (unsigned k = 1; k < n; k++) {
            const unsigned entry = list[k];
            unsigned at = k;
            for (; at > 0 && list[at - 1] > entry; at--) list[at] = list[at - 1];
            list[at] = entry;
        }
        return;
    }
    for (unsigned k = n / 2; k-- > 0;) sink(list, k, n);
    for (unsigned last = n - 1; last > 0; last--) {
        const unsigned largest = list[0];
        list[0] = list[last];
        list[last] = largest;
        sink(list, 0, last);
    }
}

// Channels of one thread: 32 bytes, as much as memory is read by.
#define BLOCK 8
#define DENOMINATORS_MOST 4

// What is thrown, and by which weights it is divided: see sf_splat of stillflow.h.
struct Values {
    int channels, denominators, ends[DENOMINATORS_MOST];
};

struct Sums {
    float channel[BLOCK], weight[DENOMINATORS_MOST];
};

__device__ inline void add(const Picture &p, const Values &v, const float *values, const float *displacement,
                           const unsigned *start, const unsigned *entries, float share, long long cell, int first,
                           int outputs, Sums &sums) {
    const int width = p.x1 - p.x0, y = p.y0 + (int)(cell / width), x = p.x0 + (int)(cell % width);
    for (unsigned e = start[cell]; e < start[cell + 1]; e++) {
        const unsigned source = entries[e];
        Landing at;
        if (!land(p, displacement, source, at)) continue;
        const float wx = at.x == x ? 1.0f - at.fx : at.fx, wy = at.y == y ? 1.0f - at.fy : at.fy;
        const float k = wx * (wy * share);
        if (k == 0) continue;
        const float *from = values + (size_t)source * (size_t)v.channels;
        for (int c = 0; c < BLOCK; c++)
            if (first + c < outputs) sums.channel[c] += from[first + c] * k;
        for (int g = 0; g < DENOMINATORS_MOST; g++)
            if (g < v.denominators) sums.weight[g] += from[outputs + g] * k;
    }
}

// Add up both throws and divide. A thread for 8 channels of a pixel; pixels are next to each other, so that what is
// written is too. out is (channels - denominators, cells), landed (cells); there is one denominator at least. A second
// displacement of null is one throw.
extern "C" __global__ void sf_land(Picture p, Values v, const float *values, const float *displacement0,
                                   const unsigned *start0, const unsigned *entries0, float share0,
                                   const float *displacement1, const unsigned *start1, const unsigned *entries1,
                                   float share1, float *out, float *landed) {
    const long long cells = (long long)(p.y1 - p.y0) * (p.x1 - p.x0);
    const int outputs = v.channels - v.denominators, blocks = (outputs + BLOCK - 1) / BLOCK;
    ITEM(i, cells * blocks);
    const long long cell = i % cells;
    const int first = (int)(i / cells) * BLOCK;
    Sums sums = {};
    if (share0 != 0) add(p, v, values, displacement0, start0, entries0, share0, cell, first, outputs, sums);
    if (displacement1 && share1 != 0)
        add(p, v, values, displacement1, start1, entries1, share1, cell, first, outputs, sums);
    for (int c = 0; c < BLOCK && first + c < outputs; c++) {
        float weight = 1;
        for (int g = v.denominators - 1; g >= 0; g--)
            if (first + c < v.ends[g]) weight = sums.weight[g] > 1e-8f ? sums.weight[g] : 1e-8f;
        out[(long long)(first + c) * cells + cell] = sums.channel[c] / weight;
    }
    if (first == 0) landed[cell] = sums.weight[0] != 0 ? 1.0f : 0.0f;
}
