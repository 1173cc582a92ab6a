// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels of the compose step, as they are, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "compose.cu"

KERNELS(KERNEL(sf_compose), KERNEL(sf_pack))
} // namespace
