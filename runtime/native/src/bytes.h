/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in files, read byte by byte: of any alignment, on any machine. */
#ifndef SF_BYTES_H
#define SF_BYTES_H

#include <stdint.h>

static inline uint32_t sf_le16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t sf_le24(const uint8_t *p) { return sf_le16(p) | (uint32_t)p[2] << 16; }
static inline uint32_t sf_le32(const uint8_t *p) { return sf_le24(p) | (uint32_t)p[3] << 24; }
static inline uint64_t sf_le64(const uint8_t *p) { return sf_le32(p) | (uint64_t)sf_le32(p + 4) << 32; }

static inline uint32_t sf_be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }
static inline uint32_t sf_be32(const uint8_t *p) { return sf_be16(p) << 16 | sf_be16(p + 2); }

#endif
