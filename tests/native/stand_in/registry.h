/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels that this library knows, by name: what cuda_on_host.h fills and modules.cpp looks up. */
#ifndef STAND_IN_REGISTRY_H
#define STAND_IN_REGISTRY_H

#include <cstddef>
#include <functional>
#include <vector>

struct Grid {
    unsigned x, y, z;
};

/* Where an argument lies when all come in one buffer, and how long it is. */
struct Place {
    size_t offset, size;
};

struct HostKernel {
    const char *name;
    /* Copies the arguments, as a launch does, and returns what runs the kernel with them. */
    std::function<void(Grid blocks, Grid threads)> (*bind)(void **parameters);
    std::vector<Place> (*layout)();
    HostKernel *next;
    HostKernel(const char *name, std::function<void(Grid, Grid)> (*bind)(void **), std::vector<Place> (*layout)());
};

const HostKernel *find_kernel(const char *name);

#endif
