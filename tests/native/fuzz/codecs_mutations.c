/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of pictures and of streams, of which the sums are right afterwards, but for one in eight. */
#include "pieces.h"
#include "target.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    dice d = dice_of(seed);
    const int is_picture = size > 2 && (data[0] == 0x89 || data[0] == 0xFF || data[0] == 'R');
    if (is_picture) return change_picture(data, size, max_size, &d);
    size = LLVMFuzzerMutate(data, size, max_size);
    if (size > 9 && data[2] & 1 && roll(&d, 8)) seal_zlib(data + 3, size - 3, (size_t)data[0] | (size_t)data[1] << 8);
    return size;
}
