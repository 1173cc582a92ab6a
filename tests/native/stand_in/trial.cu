// SPDX-License-Identifier: Apache-2.0
// Kernels that the tests of the CUDA layer and of the stand-in try things with.

struct Mixed {
    int begin;
    double by;
    float more[2];
};

extern "C" __global__ void trial_fill(int *at, int count, int value) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) at[i] = value;
}

// Arguments of every kind.
extern "C" __global__ void trial_mixed(double *at, int count, Mixed m, float x, double y, const double *null) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) at[i] = m.begin + m.by * i + m.more[0] + m.more[1] + x + y + (null ? 1000 : 0);
}

// What a frame is: something of a time that lies in memory.
extern "C" __global__ void trial_frame(const double *time, int count, double *frame) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) frame[i] = *time * i;
}

// Wrong without the order that threads have on a CPU, and with it: each takes what its neighbour wrote.
extern "C" __global__ void trial_order(int *at, int count) {
    const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (i > 0 && i < count) at[i] = at[i - 1] + 1;
}

// Reads far behind a piece of memory.
extern "C" __global__ void trial_read(const int *from, long long index, int *to) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *to = from[index];
}

// Reads 4 bytes at once, which must lie at a multiple of 4.
extern "C" __global__ void trial_word(const char *from, int *to) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *to = *(const int *)from;
}

// A number that no int holds: the largest on a GPU, anything on a CPU.
extern "C" __global__ void trial_cast(float from, int *to) {
    if (blockIdx.x == 0 && threadIdx.x == 0) *to = (int)from;
}
