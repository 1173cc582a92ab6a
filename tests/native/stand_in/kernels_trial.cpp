// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels of the tests, on a CPU.
#include "cuda_on_host.h"

namespace {
#include "trial.cu"

KERNELS(KERNEL(trial_fill), KERNEL(trial_mixed), KERNEL(trial_frame), KERNEL(trial_order), KERNEL(trial_read),
        KERNEL(trial_word), KERNEL(trial_cast))
} // namespace
