// SPDX-License-Identifier: Apache-2.0
//
// Displacements and the symmetric splat for GPUs. The law is stillflow/kernels/splat_reference.py, and the sums are
// the same bits: no floats are added atomically. Integers are, to build for every pixel of the window the list of
// the sources that reach it; each list is then sorted by source, and one thread adds up a pixel's channels in that
// order. Compile without contraction (fmad) and with exact division.
//
// Kernels need no barriers and no shared memory, and one thread does one item, so that the very same source runs
// on a CPU too (tests/native/stand_in/cuda_on_host.h).

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

// A field of velocities, pixels a frame; sign is 1, or -1 for the way back.
struct Field {
    int height, width;
    float sign;
};

// One step of a position that began at (x, y). Says false, and goes back there, when it leaves the picture.
__device__ inline bool step(const Field &f, const float *velocity, float x, float y, float &px, float &py) {
    const float last_x = (float)(f.width - 1), last_y = (float)(f.height - 1);
    if (!(px >= 0 && py >= 0 && px <= last_x && py <= last_y)) px = x, py = y;
    // To the nearest, halves to even.
    const size_t nearest = (size_t)rintf(py) * (size_t)f.width + (size_t)rintf(px);
    px += f.sign * velocity[2 * nearest];
    py += f.sign * velocity[2 * nearest + 1];
    if (px >= 0 && py >= 0 && px <= last_x && py <= last_y) return true;
    px = x, py = y;
    return false;
}

extern "C" __global__ void sf_euler_step(Field f, const float *velocity, const unsigned *pixels, int count,
                                         float *position, unsigned char *invalid, float *displacement) {
    ITEM(i, count);
    const unsigned pixel = pixels ? pixels[i] : (unsigned)i;
    if (pixel >= (unsigned)f.height * (unsigned)f.width) return;
    const float x = (float)(pixel % (unsigned)f.width), y = (float)(pixel / (unsigned)f.width);
    float px = position[2 * i], py = position[2 * i + 1];
    const bool gone = !step(f, velocity, x, y, px, py) || invalid[i];
    position[2 * i] = gone ? x : px;
    position[2 * i + 1] = gone ? y : py;
    invalid[i] = gone;
    if (!displacement) return;
    const float beyond = (float)((f.height > f.width ? f.height : f.width) + 1);
    displacement[2 * i] = gone ? beyond : px - x;
    displacement[2 * i + 1] = gone ? beyond : py - y;
}

// Take steps from a state; none is the start. A state is the positions of the pixels listed, and no number for those
// that have left the picture.
__device__ inline bool walk(const Field &f, const float *velocity, const float *state, long long i, int steps, float x,
                            float y, float &px, float &py) {
    px = state ? state[2 * i] : x;
    py = state ? state[2 * i + 1] : y;
    if (!(px == px)) return false;
    for (int k = 0; k < steps; k++)
        if (!step(f, velocity, x, y, px, py)) return false;
    return true;
}

// The state after some more steps. A thread for each pixel listed.
extern "C" __global__ void sf_walk(Field f, const float *velocity, const unsigned *pixels, int count,
                                   const float *state, int steps, float *after) {
    ITEM(i, count);
    const float x = (float)(pixels[i] % (unsigned)f.width), y = (float)(pixels[i] / (unsigned)f.width);
    float px, py;
    const bool inside = walk(f, velocity, state, i, steps, x, y, px, py);
    after[2 * i] = inside ? px : nanf("");
    after[2 * i + 1] = inside ? py : nanf("");
}

// What a time of a loop means for its two throws, forward and backward. Shares come first: sf_sort reads them.
struct Moment {
    float share[2], fraction[2];
    int state[2], steps[2], mixed[2];
};

// Find it: features/displacements.py and share_at. States lie ``every`` steps apart and there are ``kept``, the start
// not counted. One thread; the time, in frames, is read from memory, so that a graph plays any.
extern "C" __global__ void sf_moment(const double *time, int period, int every, int kept, double edge_share,
                                     Moment *moment) {
    ITEM(i, 1);
    double t = time[i] - period * floor(time[i] / period);
    t = t < period ? t : 0;
    double share = 1.0 - t / period;
    share = share > edge_share ? share : edge_share;
    share = share < 1.0 - edge_share ? share : 1.0 - edge_share;
    for (int k = 0; k < 2; k++) {
        const double passed = k ? period - t : t, whole = floor(passed);
        const int state = (int)whole / every < kept ? (int)whole / every : kept;
        moment->share[k] = (float)(k ? 1.0 - share : share);
        moment->fraction[k] = (float)(passed - whole);
        moment->state[k] = state;
        moment->steps[k] = (int)whole - state * every;
        moment->mixed[k] = passed != whole;
    }
}

// What is thrown at a moment, forward or backward: some steps after a state, and between two frames mixed of both.
// ``states`` are those after the start, of count pixels each. Writes the pixels listed of a displacement of the whole
// picture.
extern "C" __global__ void sf_displace(Field f, const float *velocity, const unsigned *pixels, int count,
                                       const float *states, const Moment *moment, int which, float *displacement) {
    ITEM(i, count);
    const size_t pixel = pixels[i];
    const float x = (float)(pixel % (unsigned)f.width), y = (float)(pixel / (unsigned)f.width);
    const int kept = moment->state[which];
    const float *state = kept ? states + (size_t)(kept - 1) * 2 * (size_t)count : nullptr;
    float px, py;
    bool inside = walk(f, velocity, state, i, moment->steps[which], x, y, px, py);
    if (inside && moment->mixed[which]) {
        float later_x = px, later_y = py;
        inside = step(f, velocity, x, y, later_x, later_y);
        px += moment->fraction[which] * (later_x - px);
        py += moment->fraction[which] * (later_y - py);
    }
    const float beyond = (float)((f.height > f.width ? f.height : f.width) + 1);
    displacement[2 * pixel] = inside ? px - x : beyond;
    displacement[2 * pixel + 1] = inside ? py - y : beyond;
}

// Lists of both throws lie behind each other: the cells of the first, then those of the second.
__device__ inline long long cells_of(const Picture &p) { return (long long)(p.y1 - p.y0) * (p.x1 - p.x0); }

__device__ inline const float *displacement_of(const float *first, const float *second, bool which) {
    return which ? second : first;
}

// How many sources reach each cell. A thread for each source of each throw; a second displacement of null is one throw.
extern "C" __global__ void sf_count(Picture p, const float *displacement0, const float *displacement1,
                                    unsigned *count) {
    const long long sources = (long long)p.rows * p.columns;
    ITEM(i, displacement1 ? 2 * sources : sources);
    const bool second = i >= sources;
    Landing at;
    if (!land(p, displacement_of(displacement0, displacement1, second), (unsigned)(i - second * sources), at)) return;
    count += second * cells_of(p);
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

// Put each source into the lists of its cells, in any order. Counts go down to 0 again. Threads as for sf_count.
extern "C" __global__ void sf_fill(Picture p, const float *displacement0, const float *displacement1,
                                   const unsigned *start, unsigned *count, unsigned *entries) {
    const long long sources = (long long)p.rows * p.columns;
    ITEM(i, displacement1 ? 2 * sources : sources);
    const bool second = i >= sources;
    const unsigned source = (unsigned)(i - second * sources);
    Landing at;
    if (!land(p, displacement_of(displacement0, displacement1, second), source, at)) return;
    start += second * cells_of(p);
    count += second * cells_of(p);
    for (int corner = 0; corner < 4; corner++) {
        const long long cell = cell_of(p, at, corner);
        if (cell >= 0) entries[start[cell] + atomicSub(count + cell, 1u) - 1] = source;
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

__device__ inline void in_order(unsigned &a, unsigned &b) {
    const unsigned least = a < b ? a : b;
    b = a < b ? b : a;
    a = least;
}

// Sort a list. Up to four, the rule, in registers; a whole picture thrown onto one pixel must end all the same, so
// long lists take n log n.
__device__ inline void sort(unsigned *list, unsigned n) {
    if (n < 2) return;
    if (n <= 4) {
        unsigned a = list[0], b = list[1], c = n > 2 ? list[2] : ~0u, d = n > 3 ? list[3] : ~0u;
        in_order(a, b);
        in_order(c, d);
        in_order(a, c);
        in_order(b, d);
        in_order(b, c);
        list[0] = a;
        list[1] = b;
        if (n > 2) list[2] = c;
        if (n > 3) list[3] = d;
    } else if (n <= 16) {
        for (unsigned k = 1; k < n; k++) {
            const unsigned entry = list[k];
            unsigned at = k;
            for (; at > 0 && list[at - 1] > entry; at--) list[at] = list[at - 1];
            list[at] = entry;
        }
    } else {
        for (unsigned k = n / 2; k-- > 0;) sink(list, k, n);
        for (unsigned last = n - 1; last > 0; last--) {
            const unsigned largest = list[0];
            list[0] = list[last];
            list[last] = largest;
            sink(list, 0, last);
        }
    }
}

// Sort each cell's list, and write beside each source the factor of its term, so that sf_land, whose threads are 16
// times as many, need not find it again. A thread for each cell of each throw.
extern "C" __global__ void sf_sort(Picture p, const float *displacement0, const float *displacement1,
                                   const float *shares, const unsigned *start, unsigned *entries, float *factors) {
    const long long cells = cells_of(p);
    ITEM(i, displacement1 ? 2 * cells : cells);
    const bool second = i >= cells;
    const unsigned begin = start[i], end = start[i + 1], width = (unsigned)(p.x1 - p.x0);
    if (begin == end) return;
    sort(entries + begin, end - begin);
    const unsigned cell = (unsigned)(i - second * cells);
    const int y = p.y0 + (int)(cell / width), x = p.x0 + (int)(cell % width);
    const float *displacement = displacement_of(displacement0, displacement1, second);
    const float share = shares[second];
    for (unsigned e = begin; e < end; e++) {
        Landing at = {};
        land(p, displacement, entries[e], at);
        const float wx = at.x == x ? 1.0f - at.fx : at.fx, wy = at.y == y ? 1.0f - at.fy : at.fy;
        factors[e] = wx * (wy * share);
    }
}

// Channels of one thread, read and written 16 bytes at a time, and the pixels beside each other that it adds up.
#define BLOCK 4
#define DENOMINATORS_MOST 4

struct alignas(16) Block {
    float at[BLOCK];
};

// What is thrown, and by which weights it is divided: see sf_splat of stillflow.h. Sources lie ``stride`` numbers
// apart, a multiple of BLOCK.
struct Values {
    int stride, outputs, denominators, ends[DENOMINATORS_MOST];
};

// The part of the window that is written.
struct Tile {
    int y0, y1, x0, x1;
};

struct Sums {
    float channel[BLOCK], weight[DENOMINATORS_MOST];
};

__device__ inline void add(const Values &v, const float *__restrict__ values, const unsigned *__restrict__ entries,
                           const float *__restrict__ factors, unsigned begin, unsigned end, int first, Sums &sums) {
    for (unsigned e = begin; e < end; e++) {
        const float k = factors[e];
        const float *from = values + (size_t)entries[e] * (size_t)v.stride;
        const Block block = *(const Block *)(from + first);
        if (k == 0) continue;
        for (int c = 0; c < BLOCK; c++) sums.channel[c] += block.at[c] * k;
        for (int g = 0; g < DENOMINATORS_MOST; g++)
            if (g < v.denominators) sums.weight[g] += from[v.outputs + g] * k;
    }
}

// Add up both throws and divide. A thread for 4 channels of 4 pixels of a row; threads next to each other take the next
// channels of the same pixels, so that a source is read as it lies, and write 16 bytes of each plane. out is (outputs,
// rows, columns) of the tile, landed (rows, columns); there is one denominator at least.
extern "C" __global__ void sf_land(Picture p, Tile t, Values v, int throws, const float *values,
                                   const unsigned *start, const unsigned *entries, const float *factors, float *out,
                                   float *landed) {
    const int rows = t.y1 - t.y0, columns = t.x1 - t.x0;
    const unsigned lanes = (unsigned)(v.outputs + BLOCK - 1) / BLOCK, groups = (unsigned)(columns + BLOCK - 1) / BLOCK;
    ITEM(i, (long long)rows * groups * lanes);
    // Below 2^32: the output of so many threads would take 256 GB.
    const unsigned lane = (unsigned)i % lanes, group = (unsigned)i / lanes;
    const int first = (int)lane * BLOCK, row = (int)(group / groups), column = (int)(group % groups) * BLOCK;
    const int cells = (int)cells_of(p), at = row * columns + column;
    const int cell = (t.y0 - p.y0 + row) * (p.x1 - p.x0) + (t.x0 - p.x0 + column);
    const int count = columns - column < BLOCK ? columns - column : BLOCK;
    Block results[BLOCK];
    for (int n = 0; n < BLOCK; n++) {
        Sums sums = {};
        if (n < count) {
            for (int k = 0; k < throws; k++) {
                const unsigned *list = start + (size_t)k * cells + cell + n;
                add(v, values, entries, factors, list[0], list[1], first, sums);
            }
            if (lane == 0) landed[at + n] = sums.weight[0] != 0 ? 1.0f : 0.0f;
        }
        for (int c = 0; c < BLOCK; c++) {
            float weight = 1;
            for (int g = DENOMINATORS_MOST - 1; g >= 0; g--)
                if (g < v.denominators && first + c < v.ends[g]) weight = sums.weight[g] > 1e-8f ? sums.weight[g] : 1e-8f;
            results[c].at[n] = sums.channel[c] / weight;
        }
    }
    for (int c = 0; c < BLOCK; c++) {
        if (first + c >= v.outputs) break;
        float *to = out + (size_t)(first + c) * rows * columns + at;
        if (count == BLOCK && ((size_t)to & (sizeof(Block) - 1)) == 0) {
            *(Block *)to = results[c];
        } else {
            for (int n = 0; n < BLOCK; n++)
                if (n < count) to[n] = results[c].at[n];
        }
    }
}
