/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Just enough of CUDA's language to run kernels without barriers on a CPU. A file for each source:
 *
 *     #include "cuda_on_host.h"
 *     namespace {
 *     #include "splat.cu"
 *     KERNELS(KERNEL(sf_count), KERNEL(sf_fill))
 *     }
 *
 * (The namespace keeps what two sources call by the same name apart.) Blocks, and threads within them, run one after
 * the other in an order that is scrambled, so that results that hang on the order show.
 */
#ifndef CUDA_ON_HOST_H
#define CUDA_ON_HOST_H

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "registry.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define CUDA_ON_HOST 1

using std::abs;
using std::isfinite;
using std::max;
using std::min;

struct Index {
    unsigned x, y, z;
};
static thread_local Index blockIdx, blockDim, gridDim, threadIdx;

#define VECTOR(type, name)                                                                                             \
    struct name##2 { type x, y; };                                                                                     \
    struct name##3 { type x, y, z; };                                                                                  \
    struct alignas(sizeof(type) * 4 > 16 ? 16 : sizeof(type) * 4) name##4 { type x, y, z, w; };                        \
    static inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                            \
    static inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                                 \
    static inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
VECTOR(float, float)
VECTOR(int, int)
VECTOR(unsigned, uint)
VECTOR(unsigned char, uchar)
VECTOR(unsigned short, ushort)
#undef VECTOR
struct double2 {
    double x, y;
};
static inline double2 make_double2(double x, double y) { return {x, y}; }

static inline unsigned atomicAdd(unsigned *at, unsigned value) {
    unsigned old = *at;
    *at = old + value;
    return old;
}
static inline unsigned atomicSub(unsigned *at, unsigned value) { return atomicAdd(at, 0u - value); }
template <class T> static inline T __ldg(const T *at) { return *at; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
static inline float __saturatef(float a) { return a >= 0 ? (a <= 1 ? a : 1.0f) : 0.0f; }
static inline int __float2int_rn(float a) { return (int)rintf(a); }
static inline int __float2int_rd(float a) { return (int)floorf(a); }
static inline int __float2int_rz(float a) { return (int)a; }
static inline unsigned __float2uint_rn(float a) { return a > 0 ? (unsigned)rintf(a) : 0u; }
static inline double sinpi(double a) { return sin(M_PI * a); }
static inline double cospi(double a) { return cos(M_PI * a); }
static inline float __int_as_float(int a) {
    float out;
    memcpy(&out, &a, 4);
    return out;
}
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const uint64_t both = (uint64_t)b << 32 | a;
    unsigned out = 0;
    for (int k = 0; k < 4; k++) out |= (unsigned)(both >> 8 * (selector >> 4 * k & 7) & 255) << 8 * k;
    return out;
}
static inline int __float_as_int(float a) {
    int out;
    memcpy(&out, &a, 4);
    return out;
}

/* An odd stride through n things that meets each of them once. */
static inline unsigned coprime_stride(unsigned n) {
    unsigned step = 2654435761u % n | 1u;
    for (;; step += 2) {
        unsigned a = step, b = n;
        while (b) {
            unsigned rest = a % b;
            a = b, b = rest;
        }
        if (a == 1) return step % n;
    }
}

template <class... A> struct Bound {
    void (*kernel)(A...);
    std::tuple<std::remove_cv_t<A>...> arguments;

    void operator()(Grid blocks, Grid threads) {
        gridDim = {blocks.x, blocks.y, blocks.z};
        blockDim = {threads.x, threads.y, threads.z};
        const unsigned all = blocks.x * blocks.y * blocks.z, each = threads.x * threads.y * threads.z;
        const unsigned block_step = coprime_stride(all), thread_step = coprime_stride(each);
        uint64_t block = all / 3;
        for (unsigned b = 0; b < all; b++, block = (block + block_step) % all) {
            const unsigned at = (unsigned)block;
            blockIdx = {at % blocks.x, at / blocks.x % blocks.y, at / blocks.x / blocks.y};
            unsigned thread = each / 3;
            for (unsigned t = 0; t < each; t++) {
                threadIdx = {thread % threads.x, thread / threads.x % threads.y, thread / threads.x / threads.y};
                std::apply(kernel, arguments);
                thread += thread_step;
                if (thread >= each) thread -= each;
            }
        }
    }
};

template <class... A, size_t... I>
static std::function<void(Grid, Grid)> bound(void (*kernel)(A...), void **parameters, std::index_sequence<I...>) {
    (void)parameters;
    return Bound<A...>{kernel, {*static_cast<std::remove_cv_t<A> *>(parameters[I])...}};
}
template <class... A> static std::function<void(Grid, Grid)> bound(void (*kernel)(A...), void **parameters) {
    return bound(kernel, parameters, std::index_sequence_for<A...>());
}

template <class... A> static std::vector<Place> layout(void (*)(A...)) {
    std::vector<Place> places;
    size_t end = 0;
    ((end = (end + alignof(A) - 1) / alignof(A) * alignof(A), places.push_back({end, sizeof(A)}), end += sizeof(A)), ...);
    return places;
}

#define KERNEL(name)                                                                                                   \
    HostKernel { #name, [](void **parameters) { return bound(name, parameters); }, [] { return layout(name); } }
#define KERNELS(...) static HostKernel host_kernels[] = {__VA_ARGS__};

#endif
