/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#include "room.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Lies before every piece, padded so that the piece begins at a multiple of SF_ALIGNMENT. */
typedef struct sf_piece {
    struct sf_piece *before;
    uint64_t bytes;
} sf_piece;

#define SF_HEAD ((size_t)SF_ALIGNMENT)

/* Pieces of at least two large pages are asked for in such pages: a page fault costs more than writing the page. */
#define SF_LARGE_PAGE ((size_t)1 << 21)

/* A multiple of a page on any system. */
#define SF_WHOLE_PAGES ((uintptr_t)1 << 16)

#if defined(__linux__) && defined(MADV_HUGEPAGE)
#define SF_HAS_STORE 1
#else
#define SF_HAS_STORE 0
#endif
#if defined(__SANITIZE_ADDRESS__)
#undef SF_HAS_STORE
#define SF_HAS_STORE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef SF_HAS_STORE
#define SF_HAS_STORE 0
#endif
#endif

static void *allocate(size_t bytes) {
#if defined(_WIN32)
    return _aligned_malloc(bytes, SF_ALIGNMENT);
#else
    void *memory = 0;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes >= 2 * SF_LARGE_PAGE) {
        if (posix_memalign(&memory, SF_LARGE_PAGE, bytes)) return 0;
        /* Whole pages only: the last part shares its pages with others. No harm where it fails. */
        madvise(memory, bytes / SF_LARGE_PAGE * SF_LARGE_PAGE, MADV_HUGEPAGE);
        return memory;
    }
#endif
    /* Not aligned_alloc: that wants whole multiples, and would hide a few bytes read past the end from a sanitizer. */
    return posix_memalign(&memory, SF_ALIGNMENT, bytes) ? 0 : memory;
#endif
}

static void deallocate(void *memory) {
#if defined(_WIN32)
    _aligned_free(memory);
#else
    free(memory);
#endif
}

void sf_room_open(sf_room *room, uint64_t limit, sf_error *error) {
    memset(room, 0, sizeof *room);
    room->limit = room->given = limit ? limit : SF_MEMORY_LIMIT;
    room->error = error;
    sf_fail(error, SF_OK, 0, 0, "%s", "");
}

void sf_room_reserve(sf_room *room, uint64_t bytes) {
    const uint64_t left = room->limit - room->used;
    if (bytes > left) bytes = left;
    if (!SF_HAS_STORE || room->store || bytes < 2 * SF_LARGE_PAGE || bytes > SIZE_MAX) return;
    room->store = allocate((size_t)bytes);
    if (!room->store) return;
    room->store_bytes = bytes;
    room->used += bytes;
}

void sf_room_settle(sf_room *room) {
#if SF_HAS_STORE
    if (!room->store) return;
    const uintptr_t begin = (uintptr_t)room->store;
    const uintptr_t from = (begin + room->store_used + SF_WHOLE_PAGES - 1) / SF_WHOLE_PAGES * SF_WHOLE_PAGES;
    const uintptr_t to = (begin + room->store_bytes) / SF_WHOLE_PAGES * SF_WHOLE_PAGES;
    if (from < to) madvise(room->store + (from - begin), to - from, MADV_DONTNEED);
    room->used -= room->store_bytes - room->store_used;
    room->store_bytes = room->store_used;
#else
    (void)room;
#endif
}

/* A piece in the store, or null where it does not fit. */
static sf_piece *store_piece(sf_room *room, uint64_t bytes) {
    const uint64_t left = room->store_bytes - room->store_used;
    if (bytes > left || left - bytes < SF_ALIGNMENT) return 0;
    sf_piece *piece = (sf_piece *)(void *)(room->store + room->store_used);
    room->store_used += (bytes + SF_ALIGNMENT - 1) / SF_ALIGNMENT * SF_ALIGNMENT;
    return piece;
}

static int is_stored(const sf_room *room, const sf_piece *piece) {
    return room->store && (uintptr_t)piece - (uintptr_t)room->store < room->store_bytes;
}

sf_mark sf_room_mark(const sf_room *room) { return room->last; }

void sf_room_rewind(sf_room *room, sf_mark mark) {
    while (room->last != mark) {
        sf_piece *piece = room->last;
        room->last = piece->before;
        if (is_stored(room, piece)) {
            room->store_used = (uintptr_t)piece - (uintptr_t)room->store;
            continue;
        }
        room->used -= piece->bytes;
        deallocate(piece);
    }
}

void sf_room_close(sf_room *room) {
    sf_room_rewind(room, 0);
    if (!room->store) return;
    deallocate(room->store);
    room->store = 0;
    room->used = room->store_bytes = 0;
}

void *sf_take(sf_room *room, uint64_t count, uint64_t size) {
    const char *what = "cannot get the memory", *fix = "raise memory_limit; the loop of a smaller picture needs less";
    if (size && count > (UINT64_MAX - SF_HEAD) / size)
        sf_give_up(room, SF_ERROR_LIMIT, what, fix, "a size of more than 64 bits was asked for");
    const uint64_t bytes = count * size + SF_HEAD;
    sf_piece *piece = store_piece(room, bytes);
    if (!piece && (bytes > room->limit - room->used || bytes > SIZE_MAX))
        sf_give_up(room, SF_ERROR_LIMIT, what, fix,
                   "%llu bytes beside %llu in use or set aside are more than the limit of %llu", (unsigned long long)bytes,
                   (unsigned long long)(room->used + room->given - room->limit), (unsigned long long)room->given);
    if (!piece) {
        piece = allocate((size_t)bytes);
        if (!piece)
            sf_give_up(room, SF_ERROR_LIMIT, what, fix, "the system has no %llu bytes", (unsigned long long)bytes);
        piece->bytes = bytes;
        room->used += bytes;
    }
    piece->before = room->last;
    room->last = piece;
    return (unsigned char *)piece + SF_HEAD;
}

void *sf_take_zeroed(sf_room *room, uint64_t count, uint64_t size) {
    void *memory = sf_take(room, count, size);
    memset(memory, 0, (size_t)(count * size));
    return memory;
}

size_t sf_utf8_length(const unsigned char *at, size_t left) {
    const int first = *at;
    const size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || left <= more) return 0;
    const int least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const int most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < least || at[1] > most) return 0;
    for (size_t i = 2; i <= more; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    return more + 1;
}

/* Texts tell of names in hostile files, and are cut to fit: what is left over of a character becomes question marks. */
static void keep_utf8(char *text) {
    for (unsigned char *at = (unsigned char *)text; *at;) {
        const size_t length = *at >= 0x20 && *at < 0x7F ? 1 : sf_utf8_length(at, strlen((const char *)at));
        if (!length) *at = '?';
        at += length ? length : 1;
    }
}

static void fill(sf_error *error, int32_t status, const char *what, const char *fix, const char *why, va_list values) {
    if (!error || error->struct_size < sizeof(sf_error)) return;
    error->status = status;
    snprintf(error->what, sizeof error->what, "%s", what ? what : "");
    vsnprintf(error->why, sizeof error->why, why, values);
    snprintf(error->fix, sizeof error->fix, "%s", fix ? fix : "");
    keep_utf8(error->why);
}

int32_t sf_fail(sf_error *error, int32_t status, const char *what, const char *fix, const char *why, ...) {
    va_list values;
    va_start(values, why);
    fill(error, status, what, fix, why, values);
    va_end(values);
    return status;
}

void sf_fail_of(sf_error *error, const char *path) {
    char before[160];
    if (!error || error->struct_size < sizeof(sf_error)) return;
    const size_t length = (size_t)snprintf(before, sizeof before, "%.150s: ", path), size = sizeof error->why;
    memmove(error->why + length, error->why, size - length);
    memcpy(error->why, before, length);
    error->why[size - 1] = 0;
    keep_utf8(error->why);
}

void sf_give_up(sf_room *room, int32_t status, const char *what, const char *fix, const char *why, ...) {
    va_list values;
    va_start(values, why);
    fill(room->error, status, what, fix, why, values);
    va_end(values);
    room->status = status;
    longjmp(room->way_out, 1);
}

void sf_tell(const sf_room *room, int32_t level, const char *format, ...) {
    if (!room->log) return;
    char line[512];
    va_list values;
    va_start(values, format);
    vsnprintf(line, sizeof line, format, values);
    va_end(values);
    room->log(room->log_user, level, line);
}
