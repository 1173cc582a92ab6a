/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Just enough of CUDA to run kernels without barriers on a CPU: the words of the language, and the functions of the
 * driver's library that stillflow/kernels/cuda_device.py calls.
 *
 * Threads run one after the other, in an order that is scrambled, so that results that hang on the order show. Memory
 * has a guard behind it; a kernel that writes there is found when the memory is given back.
 *
 *     #include "cuda_on_host.h"
 *     #include "splat.cu"
 *     KERNELS(KERNEL(sf_count), KERNEL(sf_fill))
 */
#ifndef CUDA_ON_HOST_H
#define CUDA_ON_HOST_H

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#define __global__
#define __device__

struct Index {
    unsigned x, y, z;
};
static thread_local Index blockIdx, blockDim, threadIdx;

static inline unsigned atomicAdd(unsigned *at, unsigned value) {
    unsigned old = *at;
    *at = old + value;
    return old;
}
static inline unsigned atomicSub(unsigned *at, unsigned value) { return atomicAdd(at, 0u - value); }

template <class... A, size_t... I>
void run_each(void (*kernel)(A...), void **parameters, unsigned blocks, unsigned threads, std::index_sequence<I...>) {
    const uint64_t all = (uint64_t)blocks * threads;
    uint64_t step = 2654435761u, a = step, b = all;
    while (b) {
        uint64_t rest = a % b;
        a = b, b = rest;
    }
    if (a != 1) step = 1; /* not coprime: would miss some */
    blockDim = {threads, 1, 1};
    for (uint64_t k = 0, i = all / 3 % all; k < all; k++, i = (i + step) % all) {
        blockIdx = {(unsigned)(i / threads), 0, 0};
        threadIdx = {(unsigned)(i % threads), 0, 0};
        kernel(*static_cast<A *>(parameters[I])...);
    }
}

template <class... A> void run(void (*kernel)(A...), void **parameters, unsigned blocks, unsigned threads) {
    run_each(kernel, parameters, blocks, threads, std::index_sequence_for<A...>());
}

struct HostKernel {
    const char *name;
    void (*call)(void **parameters, unsigned blocks, unsigned threads);
};

#define KERNEL(name)                                                                                                   \
    HostKernel { #name, [](void **parameters, unsigned blocks, unsigned threads) { run(name, parameters, blocks, threads); } }
#define KERNELS(...)                                                                                                   \
    static const HostKernel host_kernels[] = {__VA_ARGS__};                                                            \
    const HostKernel *find_kernel(const char *name) {                                                                  \
        for (const HostKernel &kernel : host_kernels)                                                                  \
            if (!strcmp(kernel.name, name)) return &kernel;                                                            \
        return nullptr;                                                                                                \
    }
const HostKernel *find_kernel(const char *name);

enum { GUARD = 256, FILL = 0xA5, BAD_VALUE = 1, NO_MEMORY = 2, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };

static std::map<uint64_t, size_t> host_memory;
static int host_context, host_depth, host_retained;

static inline bool in_memory(uint64_t address, size_t size) {
    auto next = host_memory.upper_bound(address);
    if (next == host_memory.begin()) return false;
    auto piece = std::prev(next);
    return address + size <= piece->first + piece->second;
}

extern "C" {

int cuInit(unsigned flags) { return flags ? BAD_VALUE : 0; }
int cuDeviceGet(int *device, int index) { return index ? 101 : (*device = 0); }
int cuDeviceGetAttribute(int *value, int which, int) { return (*value = which == 75 ? 8 : 7), 0; }
int cuDevicePrimaryCtxRetain(void **context, int) { return *context = &host_context, host_retained++, 0; }
int cuDevicePrimaryCtxRelease_v2(int) { return host_retained-- > 0 ? 0 : BAD_VALUE; }
int cuCtxGetCurrent(void **context) { return *context = host_depth ? &host_context : nullptr, 0; }
int cuCtxGetDevice(int *device) { return host_depth ? (*device = 0) : 201; }
int cuCtxPushCurrent_v2(void *context) { return context == &host_context ? (host_depth++, 0) : 201; }
int cuCtxPopCurrent_v2(void **context) { return *context = &host_context, host_depth-- > 0 ? 0 : 201; }
int cuModuleLoadData(void **module, const void *) { return *module = &host_context, 0; }
int cuModuleUnload(void *) { return 0; }
int cuStreamSynchronize(void *) { return 0; }
int cuGetErrorString(int status, const char **text) {
    return *text = status == ILLEGAL_ADDRESS ? "illegal address" : status == NOT_FOUND ? "not found" : "error", 0;
}

int cuModuleGetFunction(void **function, void *, const char *name) {
    *function = const_cast<HostKernel *>(find_kernel(name));
    return *function ? 0 : NOT_FOUND;
}

int cuMemAlloc_v2(uint64_t *address, size_t size) {
    if (!host_depth) return 201;
    void *piece = size && size < ((size_t)1 << 31) ? malloc(size + GUARD) : nullptr;
    if (!piece) return NO_MEMORY;
    memset(piece, FILL, size + GUARD);
    *address = (uint64_t)(uintptr_t)piece;
    host_memory[*address] = size;
    return 0;
}

int cuMemFree_v2(uint64_t address) {
    auto piece = host_memory.find(address);
    if (piece == host_memory.end()) return BAD_VALUE;
    const unsigned char *guard = (const unsigned char *)(uintptr_t)address + piece->second;
    int damaged = 0;
    for (int i = 0; i < GUARD; i++) damaged |= guard[i] != FILL;
    free((void *)(uintptr_t)address);
    host_memory.erase(piece);
    return damaged ? ILLEGAL_ADDRESS : 0;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *) {
    return in_memory(to, size) ? (memcpy((void *)(uintptr_t)to, from, size), 0) : ILLEGAL_ADDRESS;
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *) {
    return in_memory(from, size) ? (memcpy(to, (const void *)(uintptr_t)from, size), 0) : ILLEGAL_ADDRESS;
}

int cuLaunchKernel(void *function, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b, unsigned c, unsigned,
                   void *, void **parameters, void **extra) {
    if (!host_depth || !function || !x || y != 1 || z != 1 || !a || a > 1024 || b != 1 || c != 1 || extra) return BAD_VALUE;
    static_cast<HostKernel *>(function)->call(parameters, x, a);
    return 0;
}

/* For the tests: pieces of memory not given back, contexts held, and contexts still current. */
int host_held(void) { return (int)host_memory.size() + host_retained + host_depth; }
}

#endif
