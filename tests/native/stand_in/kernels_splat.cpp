// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels of the splat, as they are, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "splat.cu"

KERNELS(KERNEL(sf_euler_step), KERNEL(sf_walk), KERNEL(sf_moment), KERNEL(sf_displace), KERNEL(sf_count),
        KERNEL(sf_run_sums), KERNEL(sf_starts), KERNEL(sf_fill), KERNEL(sf_sort), KERNEL(sf_land))
} // namespace
