/* SPDX-License-Identifier: Apache-2.0 */
/* What libFuzzer calls, and what it offers (LLVM's FuzzerInterface.h). */
#ifndef TARGET_H
#define TARGET_H

#include <stddef.h>
#include <stdint.h>

/* A target: whatever the bytes are, it must come back, and have lost nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Change bytes in place; at most max_size of them; returns how many they are. The first is ours, the second libFuzzer's. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
