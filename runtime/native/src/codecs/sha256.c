/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: FIPS 180-4, section 6.2. */
#include <string.h>

#include "bytes.h"
#include "codecs.h"

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define SF_SHA_INSTRUCTIONS 1
#include <cpuid.h>
#include <immintrin.h>
#endif

/* The first 32 bits of the fractions of the square roots of the first 8 primes. */
static const uint32_t START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* The first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

typedef void add_blocks(uint32_t state[8], const uint8_t *bytes, size_t blocks);

static uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void add_blocks_portable(uint32_t state[8], const uint8_t *bytes, size_t blocks) {
    for (; blocks; blocks--, bytes += 64) {
        uint32_t w[64];
        for (int i = 0; i < 16; i++) w[i] = sf_be32(bytes + 4 * i);
        for (int i = 16; i < 64; i++) {
            const uint32_t p = w[i - 15], q = w[i - 2];
            w[i] = w[i - 16] + (turn(p, 7) ^ turn(p, 18) ^ p >> 3) + w[i - 7] + (turn(q, 17) ^ turn(q, 19) ^ q >> 10);
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int i = 0; i < 64; i++) {
            const uint32_t t = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + (g ^ (e & (f ^ g))) + K[i] + w[i];
            const uint32_t u = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) | (c & (a | b)));
            h = g, g = f, f = e, e = d + t;
            d = c, c = b, b = a, a = t + u;
        }
        state[0] += a, state[1] += b, state[2] += c, state[3] += d;
        state[4] += e, state[5] += f, state[6] += g, state[7] += h;
    }
}

#if SF_SHA_INSTRUCTIONS
/*
 * Two rounds an instruction, on the state as (a b e f) and (c d g h), highest element first. Four words of the
 * schedule at a time: message1 adds what comes from w[i - 15], message2 what comes from w[i - 2].
 */
__attribute__((target("sha,sse4.1"))) static void
add_blocks_x86(uint32_t state[8], const uint8_t *bytes, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    for (; blocks; blocks--, bytes += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; i++) {
            memcpy(&w[i], bytes + 16 * i, 16);
            w[i] = _mm_shuffle_epi8(w[i], swap);
        }
        for (int i = 0; i < 64; i += 16) {
            for (int j = 0; j < 4; j++) {
                __m128i k;
                memcpy(&k, K + i + 4 * j, 16);
                k = _mm_add_epi32(k, w[j]);
                cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
                abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
                if (i == 48) continue;
                const __m128i seven_ago = _mm_alignr_epi8(w[(j + 3) & 3], w[(j + 2) & 3], 4);
                w[j] = _mm_add_epi32(_mm_sha256msg1_epu32(w[j], w[(j + 1) & 3]), seven_ago);
                w[j] = _mm_sha256msg2_epu32(w[j], w[(j + 3) & 3]);
            }
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    uint32_t x[4], y[4];
    memcpy(x, &abef, 16);
    memcpy(y, &cdgh, 16);
    state[0] = x[3], state[1] = x[2], state[4] = x[1], state[5] = x[0];
    state[2] = y[3], state[3] = y[2], state[6] = y[1], state[7] = y[0];
}

static add_blocks *best(void) {
    unsigned a, b, c, d;
    const unsigned ssse3_and_sse41 = 1u << 9 | 1u << 19;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & ssse3_and_sse41) != ssse3_and_sse41) return add_blocks_portable;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 29 & 1)) return add_blocks_portable;
    return add_blocks_x86;
}
#else
static add_blocks *best(void) { return add_blocks_portable; }
#endif

static void sum_by(add_blocks *add, const uint8_t *bytes, size_t size, uint8_t sum[32]) {
    uint32_t state[8];
    memcpy(state, START, sizeof state);
    const size_t rest = size % 64;
    if (size / 64) add(state, bytes, size / 64);
    uint8_t tail[128] = {0};
    if (rest) memcpy(tail, bytes + (size - rest), rest);
    tail[rest] = 0x80;
    const size_t end = rest < 56 ? 64 : 128; /* 8 bytes of length must follow the 0x80 */
    const uint64_t bits = (uint64_t)size * 8;
    for (int i = 0; i < 8; i++) tail[end - 8 + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    add(state, tail, end / 64);
    for (int i = 0; i < 32; i++) sum[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void sf_sha256(const void *bytes, size_t size, uint8_t sum[32]) { sum_by(best(), bytes, size, sum); }

void sf_sha256_portable(const void *bytes, size_t size, uint8_t sum[32]) {
    sum_by(add_blocks_portable, bytes, size, sum);
}
