/* SPDX-License-Identifier: Apache-2.0 */
/* What is between the scans of a JPEG: T.81, annex B. */
#include <string.h>

#include "jpeg.h"
#include "look.h"

#define WHAT "cannot read the JPEG"
#define FIX_FILE "get the file anew"
#define FIX_KIND "save it as an 8-bit JPEG of gray or Y'CbCr, 4:4:4, 4:2:2 or 4:2:0"

#define SCANS_MOST 1000
#define PASSES_MOST 100      /* of all blocks of the picture... */
#define WORK_FREE (1u << 20) /* ...beyond so many blocks */
#define MCU_BLOCKS_MOST 10

enum { SOF0 = 0xc0, SOF1, SOF2, DHT = 0xc4, JPG = 0xc8, DAC = 0xcc, SOF15 = 0xcf, RST0 = 0xd0, RST7 = 0xd7 };
enum { SOI = 0xd8, EOI, SOS, DQT, DNL, DRI, APP0 = 0xe0, APP1 = 0xe1, APP14 = 0xee, TEM = 0x01 };

void sf_jpeg_give_up(const sf_jpeg *j, const char *why) {
    sf_give_up(j->room, SF_ERROR_FORMAT, WHAT, FIX_FILE, "%s", why);
}

typedef struct segment {
    int marker;
    const uint8_t *data;
    size_t size;
} segment;

static int has_no_data(int marker) { return marker == TEM || (marker >= RST0 && marker <= EOI); }

/* The next segment; what lies before its marker is passed over. 0, or 1 where there is none. */
static int next_segment(const uint8_t **next, const uint8_t *end, segment *s) {
    const uint8_t *p = *next;
    /* A marker is an 0xff and what is neither that (they may be repeated) nor 0 (entropy-coded bytes). */
    while (end - p >= 2 && !(p[0] == 0xff && p[1] != 0xff && p[1] != 0)) p++;
    if (end - p < 2) return 1;
    *s = (segment){p[1], p + 2, 0};
    if (!has_no_data(s->marker)) {
        if (end - p < 4) return 1;
        const size_t size = (size_t)p[2] << 8 | p[3];
        if (size < 2 || size > (size_t)(end - p) - 2) return 1;
        s->data = p + 4;
        s->size = size - 2;
    }
    *next = s->data + s->size;
    return 0;
}

static int is_frame(int marker) {
    return marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC;
}

/* EXIF 2.3, section 4.6.4: tag 0x112 of the first directory. 1 where it is not there. */
static int orientation(const segment *s) {
    if (s->marker != APP1 || s->size < 14 || memcmp(s->data, "Exif\0", 6)) return 1;
    const uint8_t *const tiff = s->data + 6;
    const size_t size = s->size - 6;
    const int little = tiff[0] == 'I';
    if (memcmp(tiff, little ? "II" : "MM", 2)) return 1;
#define TWO(p) ((uint32_t)(p)[little] << 8 | (p)[!little])
#define FOUR(p) (little ? TWO((p) + 2) << 16 | TWO(p) : TWO(p) << 16 | TWO((p) + 2))
    const size_t at = FOUR(tiff + 4);
    if (at > size || size - at < 2) return 1;
    const uint8_t *entry = tiff + at + 2;
    size_t entries = TWO(tiff + at);
    if (entries > (size - at - 2) / 12) entries = (size - at - 2) / 12;
    for (; entries; entries--, entry += 12) {
        if (TWO(entry) != 0x112 || TWO(entry + 2) != 3) continue; /* 3: numbers of 16 bits */
        const uint32_t turn = TWO(entry + 8);
        return turn >= 1 && turn <= 8 ? (int)turn : 1;
    }
    return 1;
#undef TWO
#undef FOUR
}

int sf_jpeg_look(const uint8_t *bytes, size_t size, sf_picture *picture) {
    if (size < 4 || bytes[0] != 0xff || bytes[1] != SOI || bytes[2] != 0xff) return 1;
    const uint8_t *next = bytes + 2;
    segment s;
    int turn = 1;
    while (!next_segment(&next, bytes + size, &s) && s.marker != EOI && s.marker != SOS) {
        if (turn == 1) turn = orientation(&s);
        if (!is_frame(s.marker)) continue;
        if (s.size < 6) return 1;
        const uint32_t height = (uint32_t)s.data[1] << 8 | s.data[2], width = (uint32_t)s.data[3] << 8 | s.data[4];
        if (sf_picture_fill(picture, SF_PICTURE_JPEG, width, height, s.data[5] == 1 ? 1 : 3)) return 1;
        picture->turn = turn;
        return 0;
    }
    return 1;
}

static void read_quant(sf_jpeg *j, const segment *s) {
    const uint8_t *p = s->data, *const end = p + s->size;
    while (p < end) {
        const int wide = p[0] >> 4, table = p[0] & 15;
        if (wide > 1 || table >= SF_JPEG_TABLES || end - p < 1 + 64 * (1 + wide))
            sf_jpeg_give_up(j, "its quantisation tables are damaged");
        p++;
        for (int k = 0; k < 64; k++, p += 1 + wide)
            j->quant[table][SF_JPEG_ORDER[k]] = wide ? (uint16_t)(p[0] << 8 | p[1]) : p[0];
        j->has_quant[table] = 1;
    }
}

static void read_codes(sf_jpeg *j, const segment *s) {
    const uint8_t *p = s->data, *const end = p + s->size;
    while (p < end) {
        const int kind = p[0] >> 4, table = p[0] & 15;
        if (kind > 1 || table >= SF_JPEG_TABLES) sf_jpeg_give_up(j, "its Huffman codes are damaged");
        sf_jpeg_codes **const codes = &j->codes[kind][table];
        if (!*codes) *codes = sf_take(j->room, 1, sizeof **codes);
        const size_t taken = sf_jpeg_fill_codes(*codes, p + 1, (size_t)(end - p) - 1);
        if (!taken) sf_jpeg_give_up(j, "its Huffman codes are damaged");
        p += 1 + taken;
    }
}

static int32_t parts(int32_t whole, int32_t part) { return (whole + part - 1) / part; }

/* How many pixels a sample spans: 1 or 2; Y' must not span more than the others. */
static void check_sampling(const sf_jpeg *j) {
    int blocks = 0;
    for (int i = 0; i < j->components; i++) {
        const sf_jpeg_component *const c = j->component + i;
        const int known = j->h % c->h == 0 && j->v % c->v == 0 && j->h / c->h <= 2 && j->v / c->v <= 2;
        if (!known || (i == 0 && (c->h != j->h || c->v != j->v)))
            sf_give_up(j->room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "its chroma is sampled in an unusual way");
        blocks += c->h * c->v;
    }
    if (blocks > MCU_BLOCKS_MOST) sf_jpeg_give_up(j, "it has more than 10 blocks in an MCU");
}

static void read_frame(sf_jpeg *j, const segment *s) {
    if (j->components) sf_jpeg_give_up(j, "it has two frames");
    if (s->marker > SOF2)
        sf_give_up(j->room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "it is of a kind that nobody writes (0xff%02x)",
                   (unsigned)s->marker);
    if (s->size < 6 || s->size != 6 + 3 * (size_t)s->data[5]) sf_jpeg_give_up(j, "its head is damaged");
    if (s->data[0] != 8)
        sf_give_up(j->room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "it has %d bits a sample, not 8", s->data[0]);
    const int count = s->data[5];
    if (count != 1 && count != 3)
        sf_give_up(j->room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "it has %d channels, not 1 or 3", count);
    j->is_progressive = s->marker == SOF2;
    j->components = count;
    for (int i = 0; i < count; i++) {
        const uint8_t *const p = s->data + 6 + 3 * i;
        sf_jpeg_component *const c = j->component + i;
        c->id = p[0];
        c->h = p[1] >> 4;
        c->v = p[1] & 15;
        c->quant_table = p[2];
        if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4 || c->quant_table >= SF_JPEG_TABLES)
            sf_jpeg_give_up(j, "its head is damaged");
        if (count == 1) c->h = c->v = 1; /* whatever it says, the only channel is as large as the picture */
        if (c->h > j->h) j->h = c->h;
        if (c->v > j->v) j->v = c->v;
        memset(c->missing, -1, sizeof c->missing);
    }
    check_sampling(j);
    j->mcus_x = parts(j->width, 8 * j->h);
    j->mcus_y = parts(j->height, 8 * j->v);
    for (int i = 0; i < count; i++) {
        sf_jpeg_component *const c = j->component + i;
        c->width = parts(j->width * c->h, j->h);
        c->height = parts(j->height * c->v, j->v);
        c->blocks_x = parts(c->width, 8);
        c->blocks_y = parts(c->height, 8);
        c->padded_x = j->mcus_x * c->h;
        c->padded_y = j->mcus_y * c->v;
    }
}

/* Coefficients must come from the highest bits down, each bit once. */
static void check_progress(sf_jpeg *j) {
    const int most = j->first ? 63 : 0;
    if (j->first > j->last || j->last > most || j->high > 13 || j->low > 13 || (j->high && j->low != j->high - 1) ||
        (j->first && j->scanned_count > 1))
        sf_jpeg_give_up(j, "its scans are damaged");
    for (int i = 0; i < j->scanned_count; i++) {
        int8_t *const missing = j->scanned[i]->missing;
        if (j->first && missing[0] < 0) sf_jpeg_give_up(j, "its scans come in no order that makes sense");
        for (int k = j->first; k <= j->last; k++) {
            if (missing[k] != (j->high ? j->high : -1))
                sf_jpeg_give_up(j, "its scans come in no order that makes sense");
            missing[k] = (int8_t)j->low;
        }
    }
}

static void read_scan_head(sf_jpeg *j, const segment *s) {
    if (!j->components) sf_jpeg_give_up(j, "it has no head");
    const int count = s->size ? s->data[0] : 0;
    if (count < 1 || count > j->components || s->size != 4 + 2 * (size_t)count)
        sf_jpeg_give_up(j, "its scans are damaged");
    const uint8_t *const rest = s->data + 1 + 2 * count;
    j->first = j->is_progressive ? rest[0] : 0;
    j->last = j->is_progressive ? rest[1] : 63;
    j->high = j->is_progressive ? rest[2] >> 4 : 0;
    j->low = j->is_progressive ? rest[2] & 15 : 0;
    j->scanned_count = count;
    int before = -1;
    for (int i = 0; i < count; i++) {
        const uint8_t *const p = s->data + 1 + 2 * i;
        int k = before + 1; /* they come in the order of the head */
        while (k < j->components && j->component[k].id != p[0]) k++;
        if (k == j->components) sf_jpeg_give_up(j, "its scans are damaged");
        before = k;
        sf_jpeg_component *const c = j->scanned[i] = j->component + k;
        const int dc = p[1] >> 4, ac = p[1] & 15;
        const int needs_dc = !j->first && !j->high, needs_ac = !j->is_progressive || j->first;
        c->dc = needs_dc && dc < SF_JPEG_TABLES ? j->codes[0][dc] : 0;
        c->ac = needs_ac && ac < SF_JPEG_TABLES ? j->codes[1][ac] : 0;
        if ((needs_dc && (!c->dc || c->dc->highest > 15)) || (needs_ac && !c->ac))
            sf_jpeg_give_up(j, "its Huffman codes are missing");
        if (c->has_quant) continue;
        if (!j->has_quant[c->quant_table]) sf_jpeg_give_up(j, "its quantisation tables are missing");
        memcpy(c->quant, j->quant[c->quant_table], sizeof c->quant);
        c->has_quant = 1;
    }
    if (j->is_progressive) check_progress(j);
    else
        for (int i = 0; i < count; i++) {
            if (!j->scanned[i]->missing[0]) sf_jpeg_give_up(j, "it has the same scan twice");
            memset(j->scanned[i]->missing, 0, 64);
        }
}

/* A small file can ask for many scans of a large picture. */
static void count_work(sf_jpeg *j) {
    uint64_t all = 0;
    for (int i = 0; i < j->components; i++)
        all += (uint64_t)j->component[i].padded_x * (uint64_t)j->component[i].padded_y;
    for (int i = 0; i < j->scanned_count; i++)
        j->work += (uint64_t)j->scanned[i]->padded_x * (uint64_t)j->scanned[i]->padded_y;
    if (++j->scans > SCANS_MOST || j->work > PASSES_MOST * all + WORK_FREE)
        sf_jpeg_give_up(j, "it has more scans than any picture needs");
}

/* Decoders smooth over what is missing, each in its own way. */
static void check_complete(const sf_jpeg *j) {
    int missing = j->components == 0;
    for (int i = 0; i < j->components; i++)
        for (int k = 0; k < 64; k++) missing |= j->component[i].missing[k];
    if (missing) sf_jpeg_give_up(j, "a part of its scans is missing");
}

sf_jpeg_found sf_jpeg_read_segments(sf_jpeg *j) {
    segment s;
    while (!next_segment(&j->next, j->end, &s)) {
        if (is_frame(s.marker)) {
            read_frame(j, &s);
        } else if (s.marker == DHT) {
            read_codes(j, &s);
        } else if (s.marker == DQT) {
            read_quant(j, &s);
        } else if (s.marker == DRI) {
            if (s.size != 2) sf_jpeg_give_up(j, "its restart interval is damaged");
            j->restart_interval = s.data[0] << 8 | s.data[1];
        } else if (s.marker == APP0) {
            if (s.size >= 14 && !memcmp(s.data, "JFIF", 5)) j->has_jfif = 1;
        } else if (s.marker == APP14) {
            if (s.size >= 12 && !memcmp(s.data, "Adobe", 5)) j->adobe_transform = s.data[11];
        } else if (s.marker == SOS) {
            read_scan_head(j, &s);
            count_work(j);
            return SF_JPEG_SCAN;
        } else if (s.marker == EOI) {
            check_complete(j);
            return SF_JPEG_END;
        } else if (s.marker == DAC || s.marker == DNL) {
            sf_give_up(j->room, SF_ERROR_FORMAT, WHAT, FIX_KIND, "it is of a kind that nobody writes (0xff%02x)",
                       (unsigned)s.marker);
        }
    }
    sf_jpeg_give_up(j, "it is cut off");
}
