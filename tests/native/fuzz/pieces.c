/* SPDX-License-Identifier: Apache-2.0 */
#include "pieces.h"

#include <stdlib.h>
#include <string.h>

#include "codecs/codecs.h"
#include "target.h"

#define UNPACKED_MOST ((size_t)1 << 20)
#define STORED_MOST 65535 /* bytes of a stored block (RFC 1951) */

dice dice_of(unsigned seed) { return (dice){seed * 2654435761u | 1u}; }

uint32_t roll(dice *d, uint32_t bound) {
    d->state ^= d->state << 13;
    d->state ^= d->state >> 17;
    d->state ^= d->state << 5;
    return d->state % bound;
}

uint32_t get32(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }

void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

void put64(uint8_t *at, uint64_t value) {
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static uint32_t get_big(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static void put_big(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

void change_bytes(uint8_t *data, size_t size) {
    if (size) LLVMFuzzerMutate(data, size, size); /* a shorter one leaves its old end */
}

size_t change_unpacked(uint8_t *data, size_t size, size_t max_size, size_t out_size) {
    const size_t blocks = out_size / STORED_MOST + 1, whole = 2 + 5 * blocks + out_size + 4;
    uint8_t *out = out_size && out_size <= UNPACKED_MOST && whole <= max_size && size > 6 ? malloc(out_size) : 0;
    if (!out || sf_inflate(data + 2, size - 6, out, out_size, 0)) {
        free(out);
        return LLVMFuzzerMutate(data, size, max_size);
    }
    change_bytes(out, out_size);
    uint8_t *to = data + 2;
    data[0] = 0x78, data[1] = 0x01;
    for (size_t at = 0, left = out_size; left;) {
        const size_t count = left < STORED_MOST ? left : STORED_MOST;
        left -= count;
        *to++ = left == 0;
        put32(to, (uint32_t)count | (uint32_t)(~count & 0xFFFF) << 16);
        memcpy(to + 4, out + at, count);
        to += 4 + count;
        at += count;
    }
    put_big(to, sf_adler32(out, out_size));
    free(out);
    return (size_t)(to + 4 - data);
}

void seal_zlib(uint8_t *data, size_t size, size_t out_size) {
    uint8_t *out = size > 6 && out_size <= UNPACKED_MOST ? malloc(out_size ? out_size : 1) : 0;
    if (out && !sf_inflate(data + 2, size - 6, out, out_size, 0)) put_big(data + size - 4, sf_adler32(out, out_size));
    free(out);
}

/* Bytes of a PNG's rows with their filters, or 0 where its header makes no sense. */
static size_t rows_of(const uint8_t *png, size_t size) {
    sf_picture picture;
    if (sf_picture_look(png, size, &picture) || picture.kind != SF_PICTURE_PNG) return 0;
    return ((size_t)picture.width * (size_t)picture.channels + 1) * (size_t)picture.height;
}

/* Mostly one chunk of a PNG; sums of its chunks, and of what they hold where it is one chunk of data. */
static size_t change_png(uint8_t *data, size_t size, size_t max_size, dice *d) {
    size_t starts[64], count = 0;
    for (size_t at = 8; at + 12 <= size && count < 64 && get_big(data + at) <= size - at - 12; at += 12 + get_big(data + at)) starts[count++] = at;
    if (!count) return LLVMFuzzerMutate(data, size, max_size);
    const size_t rows = rows_of(data, size);
    uint8_t *chunk = data + starts[roll(d, (uint32_t)count)];
    const size_t length = get_big(chunk), tail = (size_t)(data + size - (chunk + 8 + length)), spare = max_size - size;
    const uint32_t how = roll(d, 8);
    if (how == 0) {
        change_bytes(chunk + 4, 4); /* its type */
    } else if (length) {
        uint8_t *copy = malloc(length + spare);
        if (!copy) return size;
        memcpy(copy, chunk + 8, length);
        const int is_data = !memcmp(chunk + 4, "IDAT", 4);
        size_t now = length;
        if (!is_data && how < 6) change_bytes(copy, length);
        else if (is_data && how < 4) now = change_unpacked(copy, length, length + spare, rows);
        else now = LLVMFuzzerMutate(copy, length, length + spare);
        if (is_data && how < 7) seal_zlib(copy, now, rows);
        memmove(chunk + 8 + now, chunk + 8 + length, tail);
        memcpy(chunk + 8, copy, now);
        put_big(chunk, (uint32_t)now);
        size = size - length + now;
        free(copy);
    }
    for (size_t at = 8; at + 12 <= size && get_big(data + at) <= size - at - 12; at += 12 + get_big(data + at))
        put_big(data + at + 8 + get_big(data + at), sf_crc32(data + at + 4, get_big(data + at) + 4));
    return size;
}

/* What the only chunk of a WebP holds, and the sizes around it. */
static size_t change_webp(uint8_t *data, size_t size, size_t max_size) {
    if (size <= 20) return LLVMFuzzerMutate(data, size, max_size);
    size = 20 + LLVMFuzzerMutate(data + 20, size - 20, max_size - 20);
    put32(data + 16, (uint32_t)(size - 20));
    if (size % 2 && size < max_size) data[size++] = 0;
    put32(data + 4, (uint32_t)(size - 8));
    return size;
}

size_t change_picture(uint8_t *data, size_t size, size_t max_size, dice *d) {
    if (size > 8 && !memcmp(data, "\x89PNG", 4) && roll(d, 16)) return change_png(data, size, max_size, d);
    if (size > 12 && !memcmp(data, "RIFF", 4) && roll(d, 8)) return change_webp(data, size, max_size);
    return LLVMFuzzerMutate(data, size, max_size);
}
