/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory with a limit, and the one way out of an error.
 *
 * What opens or makes something works in a room: it takes memory from it and never gives single pieces back; closing
 * the room, or rewinding it to a mark, gives back all that was taken since. Who cannot go on calls sf_give_up from
 * any depth, which fills the caller's sf_error and jumps to where the room was entered. So code between holds nothing
 * but the room's memory; what else must be released (a mapped file, ONNX Runtime's values) is kept by the function
 * that entered the room, or in a struct that it releases.
 *
 *     int32_t sf_thing_open(..., sf_error *error) {
 *         sf_room room;
 *         sf_room_open(&room, limit, error);
 *         if (setjmp(room.way_out)) { sf_room_close(&room); return room.status; }
 *         open_thing(&room, ...);   // the work, in a function of its own: locals of this one are undefined after a jump
 *         ...
 *     }
 */
#ifndef SF_ROOM_H
#define SF_ROOM_H

#include <setjmp.h>

#include "stillflow.h"

#define SF_MEMORY_LIMIT ((uint64_t)1 << 30)

#if defined(__GNUC__)
#define SF_PRINTS(text, first) __attribute__((format(printf, text, first)))
#else
#define SF_PRINTS(text, first)
#endif

typedef struct sf_room {
    uint64_t limit, used;
    uint64_t given; /* the caller's limit: what is beyond this room's own is for other rooms */
    struct sf_piece *last; /* the newest of a list of all pieces */
    unsigned char *store;  /* or null: where pieces lie one behind the other as long as they fit */
    uint64_t store_bytes, store_used;
    jmp_buf way_out;
    sf_error *error; /* the caller's, or null */
    int32_t status;
    sf_log log;
    void *log_user;
} sf_room;

typedef struct sf_piece *sf_mark;

/* An empty room; limit 0 means SF_MEMORY_LIMIT. error may be null and is cleared. */
void sf_room_open(sf_room *room, uint64_t limit, sf_error *error);

/* Give back everything. The room is empty and may be used on. */
void sf_room_close(sf_room *room);

/*
 * Get memory for many pieces at once, at most what the limit leaves, in an empty room. What is rewound in it is taken
 * again by the next pieces, so that its pages are asked of the system once. All of it counts as used, until
 * sf_room_settle gives back what no piece takes; later pieces come from the system. Where it cannot be had, all do; and
 * under the address sanitizer, which knows nothing of the ends of such pieces.
 */
void sf_room_reserve(sf_room *room, uint64_t bytes);
void sf_room_settle(sf_room *room);

/* Memory for count elements of size bytes, uninitialised, at a multiple of SF_ALIGNMENT. Gives up beyond the limit. */
void *sf_take(sf_room *room, uint64_t count, uint64_t size);

/* The same, all 0. */
void *sf_take_zeroed(sf_room *room, uint64_t count, uint64_t size);

/* Everything that is taken after a mark can be given back at once. */
sf_mark sf_room_mark(const sf_room *room);
void sf_room_rewind(sf_room *room, sf_mark mark);

/* Fill an error; why is a printf format. Struct and texts may be null. Returns status. */
int32_t sf_fail(sf_error *error, int32_t status, const char *what, const char *fix, const char *why, ...)
    SF_PRINTS(5, 6);

/* Put the file that an error is about before its reason, cut to fit. The error may be null. */
void sf_fail_of(sf_error *error, const char *path);

/* Fill the room's error and jump to its way out. */
_Noreturn void sf_give_up(sf_room *room, int32_t status, const char *what, const char *fix, const char *why, ...)
    SF_PRINTS(5, 6);

/* Bytes of a character of more than one, by the Unicode standard's table 3-7; 0 where none is at the beginning. */
size_t sf_utf8_length(const unsigned char *at, size_t left);

/* Tell the caller's log one line; level as in sf_log. */
void sf_tell(const sf_room *room, int32_t level, const char *format, ...) SF_PRINTS(3, 4);

#endif
