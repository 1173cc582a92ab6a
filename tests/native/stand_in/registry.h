/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels that this library knows, by name: what cuda_on_host.h fills and modules.cpp looks up. */
#ifndef STAND_IN_REGISTRY_H
#define STAND_IN_REGISTRY_H

#include <functional>

struct Grid {
    unsigned x, y, z;
};

struct HostKernel {
    const char *name;
    /* Copies the arguments, as a launch does, and returns what runs the kernel with them. */
    std::function<void(Grid blocks, Grid threads)> (*bind)(void **parameters);
    HostKernel *next;
    HostKernel(const char *name, std::function<void(Grid, Grid)> (*bind)(void **));
};

const HostKernel *find_kernel(const char *name);

#endif
