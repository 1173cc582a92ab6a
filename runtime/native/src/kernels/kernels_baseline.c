/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels as compiled for one instruction set; CMakeLists.txt gives this file its flags. */
#include "compose_kernel.h"
#include "fields_kernel.h"
#include "output_kernel.h"
#include "splat_kernel.h"

const sf_kernels sf_kernels_baseline = {trace, finish, compose, add_row, divide_row,
                              to_four, to_plate, to_nv12, mix_rows, add_row_part, end_sums, stretch};
