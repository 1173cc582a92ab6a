// SPDX-License-Identifier: Apache-2.0
// The least that shows that a GPU runs what is compiled for it: one thread an item, as in every kernel of this folder.

// numbers[i] = 3 numbers[i] + 1 for i in 0..count-1.
extern "C" __global__ void sf_probe(int *numbers, int count)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        numbers[i] = 3 * numbers[i] + 1;
}
