// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels of feature scenes, as they are, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "features.cu"

KERNELS(KERNEL(sf_cut), KERNEL(sf_keep), KERNEL(sf_interleave), KERNEL(sf_peak), KERNEL(sf_weights), KERNEL(sf_alphas),
        KERNEL(sf_weigh), KERNEL(sf_paint), KERNEL(sf_show))
} // namespace
