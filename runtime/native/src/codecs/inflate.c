/* SPDX-License-Identifier: Apache-2.0 */
/* Deflate (RFC 1951) and zlib's wrapping of it (RFC 1950). */
#include <string.h>

#include "bits.h"
#include "bytes.h"
#include "codecs.h"

/*
 * Bits of the first lookups, and the most entries that any complete code of 288 or 32 symbols and at most 15 bits
 * needs with them.
 */
#define LETTER_BITS 11
#define LETTER_ENTRIES 2342
#define DISTANCE_BITS 8
#define DISTANCE_ENTRIES 402
#define ORDER_BITS 7

#define LETTERS 288
#define DISTANCES 32

typedef struct reader {
    sf_bits in;
    uint8_t *out, *out_begin, *out_end;
    uint32_t letters[LETTER_ENTRIES], distances[DISTANCE_ENTRIES];
} reader;

#define LENGTH(base, extra) ((uint32_t)(base) << 16 | (extra))
#define BYTE(i) SF_LITERAL | (uint32_t)(i) << 16
#define BYTES_8(i) BYTE(i), BYTE(i + 1), BYTE(i + 2), BYTE(i + 3), BYTE(i + 4), BYTE(i + 5), BYTE(i + 6), BYTE(i + 7)
#define BYTES_64(i)                                                                                                    \
    BYTES_8(i), BYTES_8(i + 8), BYTES_8(i + 16), BYTES_8(i + 24), BYTES_8(i + 32), BYTES_8(i + 40), BYTES_8(i + 48),   \
        BYTES_8(i + 56)

static const uint32_t LETTER[LETTERS] = {
    BYTES_64(0),    BYTES_64(64),   BYTES_64(128),  BYTES_64(192),  SF_SPECIAL | SF_END,
    LENGTH(3, 0),   LENGTH(4, 0),   LENGTH(5, 0),   LENGTH(6, 0),   LENGTH(7, 0),
    LENGTH(8, 0),   LENGTH(9, 0),   LENGTH(10, 0),  LENGTH(11, 1),  LENGTH(13, 1),
    LENGTH(15, 1),  LENGTH(17, 1),  LENGTH(19, 2),  LENGTH(23, 2),  LENGTH(27, 2),
    LENGTH(31, 2),  LENGTH(35, 3),  LENGTH(43, 3),  LENGTH(51, 3),  LENGTH(59, 3),
    LENGTH(67, 4),  LENGTH(83, 4),  LENGTH(99, 4),  LENGTH(115, 4), LENGTH(131, 5),
    LENGTH(163, 5), LENGTH(195, 5), LENGTH(227, 5), LENGTH(258, 0), SF_SPECIAL,
    SF_SPECIAL,
};

static const uint32_t DISTANCE[DISTANCES] = {
    LENGTH(1, 0),      LENGTH(2, 0),      LENGTH(3, 0),      LENGTH(4, 0),      LENGTH(5, 1),     LENGTH(7, 1),
    LENGTH(9, 2),      LENGTH(13, 2),     LENGTH(17, 3),     LENGTH(25, 3),     LENGTH(33, 4),    LENGTH(49, 4),
    LENGTH(65, 5),     LENGTH(97, 5),     LENGTH(129, 6),    LENGTH(193, 6),    LENGTH(257, 7),   LENGTH(385, 7),
    LENGTH(513, 8),    LENGTH(769, 8),    LENGTH(1025, 9),   LENGTH(1537, 9),   LENGTH(2049, 10), LENGTH(3073, 10),
    LENGTH(4097, 11),  LENGTH(6145, 11),  LENGTH(8193, 12),  LENGTH(12289, 12), LENGTH(16385, 13), LENGTH(24577, 13),
    SF_SPECIAL,        SF_SPECIAL,
};

/* The entry of the next code. What it says to drop is dropped; value gets its base and extra bits. */
static uint32_t decode(reader *r, const uint32_t *table, int main_bits, uint32_t *value) {
    const uint32_t entry = sf_bits_look(&r->in, table, (1u << main_bits) - 1);
    *value = (entry >> 16 & 0x7fff) + (sf_bits_take(&r->in, entry & 63) >> (entry >> 8 & 15));
    return entry;
}

/* Bytes that the copy of a match may write beyond it. */
#define BEYOND 32

/* Out of a round of the fast loop come two literals and a match of at most 258 bytes. Into it go two refills. */
#define ROUND_OUT (2 + 258 + BEYOND)
#define ROUND_IN 16

static void copy_fast(uint8_t *out, size_t distance, size_t length) {
    const uint8_t *from = out - distance, *const end = out + length;
    if (distance >= 16) {
        do {
            memcpy(out, from, 16);
            memcpy(out + 16, from + 16, 16);
            out += 32;
            from += 32;
        } while (out < end);
    } else if (distance >= 8) {
        do {
            memcpy(out, from, 8);
            out += 8;
            from += 8;
        } while (out < end);
    } else if (distance == 1) {
        memset(out, *from, length);
    } else {
        /* Each step makes distance more bytes right; what else it writes is written again. */
        do {
            uint64_t word;
            memcpy(&word, from, 8);
            memcpy(out, &word, 8);
            out += distance;
            from += distance;
        } while (out < end);
    }
}

typedef enum progress { DAMAGED, NEAR_AN_END, BLOCK_DONE } progress;

/* As sf_bits_refill, far from the end. */
#define REFILL() (bits |= sf_le64(next) << count, next += (63 - count) >> 3, count |= 56)
#define LOOK() r->letters[bits & ((1u << LETTER_BITS) - 1)]
#define DROP(n) (bits >>= (n), count -= (int)(n))
#define SECOND(table, entry) (table)[(entry >> 16) + (bits & ((1u << (entry >> 8 & 15)) - 1))]
/* Base and extra bits. */
#define VALUE(entry) ((entry >> 16) + (uint32_t)((bits & (((uint64_t)1 << (entry & 63)) - 1)) >> (entry >> 8 & 15)))

/*
 * The bulk of a block. A round begins with at least 56 - 11 bits and takes two letters of 11 bits and the code of a
 * third, of 15, before it refills; a length takes 15 + 5 and a distance 15 + 13.
 */
static progress decode_fast(reader *r) {
    if (r->in.end - r->in.next < ROUND_IN || r->out_end - r->out < ROUND_OUT) return NEAR_AN_END;
    const uint8_t *next = r->in.next, *const last_in = r->in.end - ROUND_IN;
    uint8_t *out = r->out, *const last_out = r->out_end - ROUND_OUT;
    uint64_t bits = r->in.bits;
    int count = r->in.count;
    progress result = NEAR_AN_END;
    REFILL();
    uint32_t entry = LOOK();
    while (next <= last_in && out <= last_out) {
        if (entry & SF_LITERAL) {
            *out++ = (uint8_t)(entry >> 16);
            DROP(entry & 63);
            entry = LOOK();
            if (entry & SF_LITERAL) {
                *out++ = (uint8_t)(entry >> 16);
                DROP(entry & 63);
                entry = LOOK();
            }
        }
        if (entry & SF_SPECIAL) {
            if (entry & SF_POINTER) {
                DROP(LETTER_BITS);
                entry = SECOND(r->letters, entry);
            }
            if (entry & SF_SPECIAL) {
                DROP(entry & 63);
                result = entry & SF_END ? BLOCK_DONE : DAMAGED;
                break;
            }
        }
        REFILL();
        if (entry & SF_LITERAL) {
            *out++ = (uint8_t)(entry >> 16);
            DROP(entry & 63);
            entry = LOOK();
            continue;
        }
        const size_t length = VALUE(entry);
        DROP(entry & 63);
        entry = r->distances[bits & ((1u << DISTANCE_BITS) - 1)];
        if (entry & SF_POINTER) {
            DROP(DISTANCE_BITS);
            entry = SECOND(r->distances, entry);
        }
        const size_t distance = VALUE(entry);
        DROP(entry & 63);
        if (entry & SF_SPECIAL || distance > (size_t)(out - r->out_begin)) {
            result = DAMAGED;
            break;
        }
        REFILL();
        entry = LOOK();
        copy_fast(out, distance, length);
        out += length;
    }
    r->in.next = next;
    r->out = out;
    r->in.bits = bits;
    r->in.count = count;
    return result;
}

/* A letter, and what belongs to it, with every check. */
static progress decode_one(reader *r) {
    uint32_t value, length;
    sf_bits_refill(&r->in);
    uint32_t entry = decode(r, r->letters, LETTER_BITS, &length);
    if (sf_bits_are_past_the_end(&r->in)) return DAMAGED;
    if (entry & SF_LITERAL) {
        if (r->out == r->out_end) return DAMAGED;
        *r->out++ = (uint8_t)length;
        return NEAR_AN_END;
    }
    if (entry & SF_SPECIAL) return entry & SF_END ? BLOCK_DONE : DAMAGED;
    entry = decode(r, r->distances, DISTANCE_BITS, &value);
    if (entry & SF_SPECIAL || sf_bits_are_past_the_end(&r->in)) return DAMAGED;
    if (value > (size_t)(r->out - r->out_begin) || length > (size_t)(r->out_end - r->out)) return DAMAGED;
    for (; length; length--, r->out++) *r->out = *(r->out - value);
    return NEAR_AN_END;
}

static progress decode_block(reader *r) {
    progress now;
    do {
        now = decode_fast(r);
        if (now == NEAR_AN_END) now = decode_one(r);
    } while (now == NEAR_AN_END);
    return now;
}

/* Both tables, from the lengths of all codes. Returns 0, or 1 where they are no codes. */
static int fill_tables(reader *r, const uint8_t *lengths, int letters, int distances) {
    uint16_t sorted[LETTERS];
    const sf_prefix of_letters = {lengths, LETTER, letters, LETTER_BITS, r->letters, LETTER_ENTRIES, sorted};
    const sf_prefix of_distances = {lengths + letters, DISTANCE,         distances, DISTANCE_BITS,
                                    r->distances,      DISTANCE_ENTRIES, sorted};
    return sf_prefix_fill(&of_letters, 0) == SF_PREFIX_BAD || sf_prefix_fill(&of_distances, 0) == SF_PREFIX_BAD;
}

static int read_fixed_tables(reader *r) {
    uint8_t lengths[LETTERS + DISTANCES];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    memset(lengths + LETTERS, 5, DISTANCES);
    return fill_tables(r, lengths, LETTERS, DISTANCES);
}

static int read_tables(reader *r) {
    static const uint8_t ORDER[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    sf_bits_refill(&r->in);
    const int letters = 257 + (int)sf_bits_take(&r->in, 5), distances = 1 + (int)sf_bits_take(&r->in, 5);
    const int orders = 4 + (int)sf_bits_take(&r->in, 4);
    if (letters > 286 || distances > 30) return 1;
    uint8_t order_lengths[19] = {0}, lengths[LETTERS + DISTANCES];
    for (int i = 0; i < orders; i++) {
        sf_bits_refill(&r->in);
        order_lengths[ORDER[i]] = (uint8_t)sf_bits_take(&r->in, 3);
    }
    uint32_t table[1 << ORDER_BITS];
    uint16_t sorted[19];
    const sf_prefix order = {order_lengths, 0, 19, ORDER_BITS, table, 1 << ORDER_BITS, sorted};
    if (sf_prefix_fill(&order, 0) != SF_PREFIX_COMPLETE) return 1;
    for (int i = 0; i < letters + distances;) {
        uint32_t symbol;
        sf_bits_refill(&r->in);
        if (decode(r, table, ORDER_BITS, &symbol) & SF_SPECIAL || sf_bits_are_past_the_end(&r->in)) return 1;
        if (symbol < 16) {
            lengths[i++] = (uint8_t)symbol;
            continue;
        }
        if (symbol == 16 && !i) return 1;
        const uint32_t bits = symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
        const int again = (symbol == 18 ? 11 : 3) + (int)sf_bits_take(&r->in, bits);
        if (again > letters + distances - i) return 1;
        memset(lengths + i, symbol == 16 ? lengths[i - 1] : 0, (size_t)again);
        i += again;
    }
    if (sf_bits_are_past_the_end(&r->in) || !lengths[256]) return 1;
    return fill_tables(r, lengths, letters, distances);
}

/* Go to the next whole byte; give back those that were read ahead. */
static int align(reader *r) {
    if (sf_bits_are_past_the_end(&r->in)) return 1;
    r->in.next -= r->in.count / 8 - r->in.beyond;
    r->in.bits = 0;
    r->in.count = r->in.beyond = 0;
    return 0;
}

static int copy_stored(reader *r) {
    if (align(r) || r->in.end - r->in.next < 4) return 1;
    const uint8_t *const p = r->in.next;
    const size_t size = sf_le16(p), inverse = sf_le16(p + 2);
    r->in.next += 4;
    if ((size ^ 0xffff) != inverse) return 1;
    if (size > (size_t)(r->in.end - r->in.next) || size > (size_t)(r->out_end - r->out)) return 1;
    if (size) memcpy(r->out, r->in.next, size);
    r->in.next += size;
    r->out += size;
    return 0;
}

static int inflate_blocks(reader *r) {
    uint32_t is_last;
    do {
        sf_bits_refill(&r->in);
        is_last = sf_bits_take(&r->in, 1);
        const uint32_t kind = sf_bits_take(&r->in, 2);
        if (sf_bits_are_past_the_end(&r->in) || kind == 3) return 1;
        if (kind == 0) {
            if (copy_stored(r)) return 1;
        } else if ((kind == 1 ? read_fixed_tables(r) : read_tables(r)) || decode_block(r) != BLOCK_DONE) {
            return 1;
        }
    } while (!is_last);
    return r->out != r->out_end || align(r);
}

int sf_inflate(const uint8_t *bytes, size_t size, uint8_t *out, size_t out_size, int zlib) {
    reader r;
    r.in.next = bytes;
    r.in.end = bytes + size;
    r.in.bits = 0;
    r.in.count = r.in.beyond = 0;
    r.out = r.out_begin = out;
    r.out_end = out + out_size;
    if (zlib) {
        if (size < 2) return 1;
        /* Deflate with a window of at most 32768 bytes, and no dictionary that we would have to know. */
        if ((bytes[0] & 15) != 8 || bytes[0] >> 4 > 7 || (bytes[0] * 256 + bytes[1]) % 31 || bytes[1] & 32) return 1;
        r.in.next += 2;
    }
    if (inflate_blocks(&r)) return 1;
    if (!zlib) return 0;
    if (r.in.end - r.in.next < 4 || (zlib == 2 && r.in.end - r.in.next > 4)) return 1;
    return sf_be32(r.in.next) != sf_adler32(out, out_size);
}
