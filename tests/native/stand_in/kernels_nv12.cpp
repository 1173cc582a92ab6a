// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels from RGB to NV12, as they are, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "nv12.cu"

KERNELS(KERNEL(sf_nv12))
} // namespace
