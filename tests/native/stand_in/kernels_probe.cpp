// SPDX-License-Identifier: Apache-2.0
// The kernel that the doctor runs, as it is, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "probe.cu"

KERNELS(KERNEL(sf_probe))
} // namespace
