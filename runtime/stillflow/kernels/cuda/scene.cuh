// SPDX-License-Identifier: Apache-2.0
//
// What the kernels of a cross-faded frame share: the shape of a scene, and lists of what moves in it.
//
// One thread does one item, without barriers, shared memory or atomics, so that the very same source runs on a CPU.
// Indices of pixels and cells fit in 32 bits: a picture has at most 2^27 pixels (cuda_scene.py refuses more), so the
// largest, of a byte in RGB, is below 2^29. Harmonics are many planes and are addressed in 64 bits.
#ifndef STILLFLOW_SCENE_CUH
#define STILLFLOW_SCENE_CUH

#define ITEM(i, count)                                                           \
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;        \
    if (i >= (long long)(count)) return

#if defined(CUDA_ON_HOST)
#define NOT_UNROLLED
#else
#define NOT_UNROLLED _Pragma("unroll 1")
#endif

#define FIELD_SCALE 4
#define FIELD_OFFSET 1.5f

// A tile of cells is what a warp works on: two rows of memory sectors (32 bytes) of x and y in each of four rows.
#define TILE_WIDTH 8
#define TILE_HEIGHT 4

// A unit of pixels: rows 4 r - 2 .. 4 r + 1, which lie between the field rows r - 1 and r, and 8 columns.
#define UNIT_WIDTH 8
#define UNIT_HEIGHT 4
#define UNIT_SHIFT 2

// Texels are RGBX whose bytes are less by 128, as signed ones: this turns their bits over.
#define PLATE_BIAS 0x00808080u

// Loaded and stored by one instruction.
struct alignas(8) Two {
    float x, y;
};
struct alignas(16) Four {
    float x, y, z, w;
};

// Of the picture and of its fields; texels are pixels of the plate, so many a row: a repeated one, the row,
// and two repeated ones.
struct Sizes {
    int height, width, h, w, texels;
};

// Time-dependent constants of the cells that share one number of cycles.
struct alignas(16) Phase {
    float step_a, step_b;   // time of a trace / 16, in frames: back to source A, forward to source B
    float share_a, share_b; // 1 - u and u
    float sin1, sin2;       // sin(pi u) and sin(2 pi u)
    float spare[2];
};

// Lists hold places as row << 16 | column. Sides are below 2^16 pixels, so rows of units and tiles are below 2^15, and
// the highest bit is free: it marks tiles of which something sways.
#define SWAYS 0x80000000u

struct Place {
    int row, column;
};

__device__ inline Place place_of(unsigned entry) {
    Place place = {(int)(entry >> 16 & 0x7fffu), (int)(entry & 0xffffu)};
    return place;
}

__device__ inline int least(int a, int b) { return a < b ? a : b; }
__device__ inline int most(int a, int b) { return a > b ? a : b; }

#endif
