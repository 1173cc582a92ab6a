/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of an .npz: a zip of .npy files (NumPy enhancement proposal 1, versions 1 and 2), whose header is a Python
 * dictionary with three entries. What is read here is float32, little-endian, row by row, of four dimensions at most.
 */
#include <string.h>

#include "bundle/bundle.h"
#include "bundle/zip.h"
#include "bytes.h"

#define ARRAYS_MOST 256
#define BYTES_MOST ((uint64_t)1 << 28) /* of all arrays of a file */
#define NAME_MOST 200
#define COUNT_MOST ((uint64_t)1 << 26) /* samples of one array: BYTES_MOST */

static const char what[] = "cannot read a test vector", fix[] = "export the bundle again";

typedef struct reader {
    sf_room *room;
    const char *name; /* of the array, for messages */
    const uint8_t *at, *end;
} reader;

_Noreturn static void refuse(const reader *r, const char *why) {
    sf_give_up(r->room, SF_ERROR_FORMAT, what, fix, "the array '%.200s' %s", r->name, why);
}

/* The next character of the header that is no space, which stays; 0 at its end. */
static int next(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n')) r->at++;
    return r->at < r->end ? *r->at : 0;
}

static void expect(reader *r, int c) {
    if (next(r) != c) refuse(r, "has a damaged header");
    r->at++;
}

static int skip_word(reader *r, const char *word) {
    const size_t length = strlen(word);
    next(r);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return 0;
    r->at += length;
    return 1;
}

static uint64_t read_shape(reader *r, int64_t shape[4]) {
    uint64_t count = 1;
    int rank = 0;
    expect(r, '(');
    while (next(r) != ')') {
        uint64_t side = 0;
        if (rank == 4) refuse(r, "has more than four dimensions");
        if (next(r) < '0' || next(r) > '9') refuse(r, "has a damaged shape");
        for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
            if (side <= COUNT_MOST) side = side * 10 + (uint64_t)(*r->at - '0');
        shape[rank++] = (int64_t)side;
        count = side <= COUNT_MOST ? count * side : COUNT_MOST + 1; /* both at most 2^26: no overflow */
        if (count > COUNT_MOST) refuse(r, "is larger than a test vector may be");
        if (next(r) != ')') expect(r, ',');
    }
    r->at++;
    while (rank < 4) shape[rank++] = 1;
    return count;
}

/* Read the dictionary; the number of samples. */
static uint64_t read_header(reader *r, int64_t shape[4]) {
    uint64_t count = 0;
    int seen = 0;
    expect(r, '{');
    while (next(r) != '}') {
        if (skip_word(r, "'descr'")) {
            expect(r, ':');
            if (!skip_word(r, "'<f4'")) refuse(r, "is not little-endian float32");
            seen |= 1;
        } else if (skip_word(r, "'fortran_order'")) {
            expect(r, ':');
            if (!skip_word(r, "False")) refuse(r, "is not stored row by row");
            seen |= 2;
        } else if (skip_word(r, "'shape'")) {
            expect(r, ':');
            count = read_shape(r, shape);
            seen |= 4;
        } else {
            refuse(r, "has a damaged header");
        }
        if (next(r) != '}') expect(r, ',');
    }
    r->at++;
    if (seen != 7 || next(r)) refuse(r, "has a damaged header");
    return count;
}

static void read_array(sf_room *room, const char *name, const uint8_t *bytes, size_t size, sf_tensor *tensor) {
    reader r = {room, name, bytes, bytes + size};
    if (size < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 2 || bytes[7] != 0)
        refuse(&r, "is no .npy of version 1.0 or 2.0");
    const size_t before = bytes[6] == 1 ? 10 : 12;
    const uint64_t length = bytes[6] == 1 ? sf_le16(bytes + 8) : sf_le32(bytes + 8);
    if (length > size - before) refuse(&r, "is cut short");
    r.at = bytes + before;
    r.end = r.at + length;
    const uint64_t count = read_header(&r, tensor->shape);
    const uint8_t *samples = bytes + before + length;
    if (count * 4 != size - before - length) refuse(&r, "has another size than its header says");
    tensor->data = sf_take(room, count, 4);
    for (uint64_t i = 0; i < count; i++, samples += 4) {
        const uint32_t bits = sf_le32(samples);
        memcpy(&tensor->data[i], &bits, 4);
    }
}

int sf_npz_read(sf_room *room, const uint8_t *bytes, size_t size, const char *name, sf_tensor *tensor) {
    sf_zip zip = {.disk = {-1, bytes, size}, .what = what, .fix = fix};
    char file[NAME_MOST + 5];
    uint64_t sum = 0;
    tensor->name = name;
    tensor->data = 0;
    if (strlen(name) > NAME_MOST) return 0;
    memcpy(file, name, strlen(name));
    memcpy(file + strlen(name), ".npy", 5);
    sf_zip_read(room, &zip, ARRAYS_MOST);
    for (uint32_t i = 0; i < zip.count; i++) {
        sum += zip.entries[i].size;
        if (sf_zip_find(&zip, zip.entries[i].name) != &zip.entries[i])
            sf_give_up(room, SF_ERROR_FORMAT, what, fix, "it holds '%.80s' twice", zip.entries[i].name);
    }
    if (sum > BYTES_MOST) sf_give_up(room, SF_ERROR_FORMAT, what, fix, "it unpacks to more than 256 MiB");
    const sf_zip_entry *entry = sf_zip_find(&zip, file);
    if (!entry) return 0;
    const uint8_t *unpacked = sf_zip_bytes(room, &zip, entry);
    read_array(room, name, unpacked, entry->size, tensor);
    return 1;
}
