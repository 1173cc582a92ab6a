// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels of the fields step, as they are, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "fields.cu"

KERNELS(KERNEL(sf_phases), KERNEL(sf_step), KERNEL(sf_double), KERNEL(sf_sources), KERNEL(sf_rows), KERNEL(sf_gain),
        KERNEL(sf_light))
} // namespace
