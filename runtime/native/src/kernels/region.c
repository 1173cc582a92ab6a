/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a frame have to be computed at all.
 *
 * compose works where the matte is not 0, so the fields step works there, in the box around it that the statistics
 * read, and along the paths that traces take from there. The paths are found by tracing a few phases of one cycle
 * and widening what they touch; a frame whose traces leave that is noticed (reach) and computed everywhere.
 */
#include <math.h>
#include <string.h>

#include "scene.h"

/* Runs closer than this are joined: starting a run costs about as much as computing these cells. */
#define SF_JOIN 8

/* Levels are not joined, since a joined cell's own path would be needed too. */
#define SF_APART 1

/*
 * Fewest and most phases of a cycle that are traced to find the paths. Powers of two from 8 on, so that the shares of
 * the time that levels stand for are whole phases, and what one level looks up is exactly in the next.
 */
#define SF_PHASES_LEAST 8
#define SF_PHASES_MOST 32

/* Above this share of all cells the paths are not worth finding. */
#define SF_WORTH_NUMERATOR 7
#define SF_WORTH_DENOMINATOR 8

static float larger_of(float a, float b) { return a > b ? a : b; }

/* Whether anything of a group shows: 8 bytes of the matte, fewer at the borders. */
static int group_moves(const sf_scene *s, const uint8_t *matte, int32_t g) {
    const int32_t x = g * SF_GROUP - SF_GROUP_SHIFT;
    if (x >= 0 && x + SF_GROUP <= s->width) {
        uint64_t eight;
        memcpy(&eight, matte + x, sizeof eight);
        return eight != 0;
    }
    const int32_t end = x + SF_GROUP < s->width ? x + SF_GROUP : s->width;
    uint8_t any = 0;
    for (int32_t k = x < 0 ? 0 : x; k < end; k++) any |= matte[k];
    return any != 0;
}

/* The next group from g on that moves, or does not; or groups. */
static int32_t next_group(const sf_scene *s, const uint8_t *matte, int32_t g, int32_t groups, int moves) {
    if (g == 0 && group_moves(s, matte, 0) == moves) return 0;
    const int32_t whole = (s->width + SF_GROUP_SHIFT) / SF_GROUP; /* groups before this end within the picture */
    for (g = g ? g : 1; g < whole; g++) {
        uint64_t eight;
        memcpy(&eight, matte + g * SF_GROUP - SF_GROUP_SHIFT, sizeof eight);
        if ((eight != 0) == moves) return g;
    }
    while (g < groups && group_moves(s, matte, g) != moves) g++;
    return g;
}

static void find_groups(sf_scene *s) {
    uint32_t n = 0;
    const int32_t groups = (s->width + SF_GROUP_SHIFT - 1) / SF_GROUP + 1;
    for (int32_t y = 0; y < s->height; y++) {
        const uint8_t *matte = s->matte + (size_t)y * (size_t)s->width;
        s->groups.start[y] = n;
        for (int32_t g = next_group(s, matte, 0, groups, 1); g < groups; g = next_group(s, matte, g, groups, 1)) {
            const int32_t open = g;
            g = next_group(s, matte, g, groups, 0);
            s->groups.runs[n++] = (sf_run){(uint16_t)open, (uint16_t)g};
        }
    }
    s->groups.start[s->height] = n;
}

/* The next column from x on whose mark is 1, or w. Marks are 0 or 1; eight are seen at once. */
static int32_t next_marked(const uint8_t *row, int32_t x, int32_t w) {
    uint64_t eight = 0;
    for (; x + 8 <= w; x += 8) {
        memcpy(&eight, row + x, sizeof eight);
        if (eight) break;
    }
    while (x < w && !row[x]) x++;
    return x;
}

/* The next column from x on whose mark is 0, or w. */
static int32_t next_clear(const uint8_t *row, int32_t x, int32_t w) {
    uint64_t eight = 0;
    for (; x + 8 <= w; x += 8) {
        memcpy(&eight, row + x, sizeof eight);
        if (eight != 0x0101010101010101u) break;
    }
    while (x < w && row[x]) x++;
    return x;
}

/* Mark the cells that compose interpolates between. */
static void mark_blend_cells(const sf_scene *s, uint8_t *mark) {
    const int32_t corner = s->h > 1 ? s->h - 2 : 0;
    for (int32_t y = 0; y < s->height; y++) {
        float fy = ((float)y - SF_FIELD_OFFSET) / SF_FIELD_SCALE;
        int32_t row = fy < 0 ? 0 : (int32_t)fy;
        if (row > corner) row = corner;
        uint8_t *top = mark + (size_t)row * (size_t)s->w, *bottom = top + (row + 1 < s->h ? s->w : 0);
        for (uint32_t r = s->groups.start[y]; r < s->groups.start[y + 1]; r++) {
            int32_t begin = 2 * s->groups.runs[r].begin - 1, end = 2 * s->groups.runs[r].end;
            if (begin < 0) begin = 0;
            if (end > s->w) end = s->w;
            memset(top + begin, 1, (size_t)(end - begin));
            memset(bottom + begin, 1, (size_t)(end - begin));
        }
    }
}

/* Set to 1 every cell within radius (a box) of a marked one. */
static void widen(int32_t h, int32_t w, int32_t radius, uint8_t *mark, uint8_t *other) {
    for (int32_t y = 0; y < h; y++) {
        const uint8_t *from = mark + (size_t)y * (size_t)w;
        uint8_t *to = other + (size_t)y * (size_t)w;
        memset(to, 0, (size_t)w);
        for (int32_t x = next_marked(from, 0, w); x < w;) {
            const int32_t end = next_clear(from, x, w), begin = x - radius < 0 ? 0 : x - radius;
            memset(to + begin, 1, (size_t)((end + radius < w ? end + radius : w) - begin));
            x = next_marked(from, end, w);
        }
    }
    memset(mark, 0, (size_t)h * (size_t)w);
    for (int32_t y = 0; y < h; y++) {
        uint8_t *to = mark + (size_t)y * (size_t)w;
        int32_t first = y - radius < 0 ? 0 : y - radius, last = y + radius < h - 1 ? y + radius : h - 1;
        for (int32_t k = first; k <= last; k++) {
            const uint8_t *from = other + (size_t)k * (size_t)w;
            for (int32_t x = 0; x < w; x++) to[x] |= from[x];
        }
    }
}

static void mark_to_runs(const sf_scene *s, const uint8_t *mark, int32_t join, sf_runs *runs) {
    uint32_t n = 0;
    for (int32_t y = 0; y < s->h; y++) {
        const uint8_t *row = mark + (size_t)y * (size_t)s->w;
        runs->start[y] = n;
        for (int32_t x = next_marked(row, 0, s->w); x < s->w;) {
            const int32_t begin = x;
            int32_t end = next_clear(row, x, s->w);
            for (x = next_marked(row, end, s->w); x < s->w && x - end < join; x = next_marked(row, end, s->w))
                end = next_clear(row, x, s->w);
            runs->runs[n++] = (sf_run){(uint16_t)begin, (uint16_t)end};
        }
    }
    runs->start[s->h] = n;
}

static size_t count_cells(const sf_scene *s, const sf_runs *runs) {
    size_t n = 0;
    for (uint32_t r = 0; r < runs->start[s->h]; r++) n += (size_t)(runs->runs[r].end - runs->runs[r].begin);
    return n;
}

/* Set bit k of reach where a lookup finds all four cells of level k. */
static void mark_reach(sf_scene *s, const sf_runs *runs, int k, uint8_t *mark) {
    memset(mark, 0, (size_t)s->h * (size_t)s->w);
    for (int32_t y = 0; y < s->h; y++)
        for (uint32_t r = runs->start[y]; r < runs->start[y + 1]; r++)
            memset(mark + (size_t)y * (size_t)s->w + runs->runs[r].begin, 1,
                   (size_t)(runs->runs[r].end - runs->runs[r].begin));
    for (int32_t y = 0; y < s->h; y++) {
        const uint8_t *top = mark + (size_t)y * (size_t)s->w, *bottom = top + (y + 1 < s->h ? s->w : 0);
        uint8_t *reach = s->reach + (size_t)y * (size_t)s->cell_stride;
        for (int32_t x = 0; x + 1 < s->w; x++)
            reach[x] = (uint8_t)(reach[x] | (top[x] & top[x + 1] & bottom[x] & bottom[x + 1]) << k);
        reach[s->w - 1] = (uint8_t)(reach[s->w - 1] | (top[s->w - 1] & bottom[s->w - 1]) << k);
    }
}

/* Longest way in one cycle over the cells that count, in field pixels. */
static float longest_way(const sf_scene *s, const sf_runs *cells) {
    float longest = 0, period[256];
    for (int c = 1; c < 256; c++) period[c] = (float)s->frames / (float)c;
    for (int32_t y = 0; y < s->h; y++) {
        for (uint32_t r = cells->start[y]; r < cells->start[y + 1]; r++) {
            for (int32_t x = cells->runs[r].begin; x < cells->runs[r].end; x++) {
                size_t at = (size_t)y * (size_t)s->cell_stride + (size_t)x;
                const float *v = s->velocity + 2 * at;
                float way = larger_of(fabsf(v[0]), fabsf(v[1])) * period[s->cycles[at]];
                longest = larger_of(longest, s->reach[at] & SF_FLOWS ? way : 0);
            }
        }
    }
    return longest;
}

/* Upper left of the four cells that a position lies between. */
static size_t corner_of(const sf_scene *s, float x, float y, float *fx, float *fy) {
    const float last_x = (float)(s->w - 1), last_y = (float)(s->h - 1);
    const int32_t right = s->w > 1 ? s->w - 2 : 0, below = s->h > 1 ? s->h - 2 : 0;
    x = x > 0 ? x < last_x ? x : last_x : 0;
    y = y > 0 ? y < last_y ? y : last_y : 0;
    const int32_t column = (int32_t)x < right ? (int32_t)x : right, row = (int32_t)y < below ? (int32_t)y : below;
    *fx = x - (float)column;
    *fy = y - (float)row;
    return (size_t)row * (size_t)s->w + (size_t)column;
}

/* The four labels around a position become at most the phase. Returns whether all were 0 already. */
static int label_four(const sf_scene *s, size_t corner, uint8_t phase, uint8_t *label) {
    const size_t across = s->w > 1, down = s->h > 1 ? (size_t)s->w : 0;
    uint8_t *four[4] = {label + corner, label + corner + across, label + corner + down, label + corner + down + across};
    if (!(*four[0] | *four[1] | *four[2] | *four[3])) return 1;
    for (int k = 0; k < 4; k++)
        if (*four[k] > phase) *four[k] = phase;
    return 0;
}

/* Take a path one phase on. */
static void follow(const sf_scene *s, const float *step, float place[2]) {
    float fx, fy;
    const size_t corner = corner_of(s, place[0], place[1], &fx, &fy), stride = 2 * (size_t)s->cell_stride;
    const float *a = step + 2 * (corner % (size_t)s->w) + corner / (size_t)s->w * stride, *b = a + stride;
    for (int k = 0; k < 2; k++) {
        const float top = a[k] + (a[k + 2] - a[k]) * fx, bottom = b[k] + (b[k + 2] - b[k]) * fx;
        place[k] += top + (bottom - top) * fy;
    }
}

/*
 * Find the paths of one source: labels become the first phase of the cycle at which a path gets there. step is the
 * displacement of one phase. A path that is among the sources again needs no following: from there on it is what theirs
 * were, at a phase that is no later. So only those are followed that leave.
 */
static void follow_paths(const sf_scene *s, const float *step, int phases, float *places, uint8_t *label) {
    const sf_runs *sources = &s->levels[SF_DOUBLINGS];
    size_t count = 0;
    float fx, fy;
    for (int32_t y = 0; y < s->h; y++)
        for (uint32_t r = sources->start[y]; r < sources->start[y + 1]; r++)
            for (int32_t x = sources->runs[r].begin; x < sources->runs[r].end; x++) {
                const size_t at = (size_t)y * (size_t)s->cell_stride + (size_t)x;
                if (!(s->reach[at] & SF_FLOWS)) continue;
                const float to[2] = {(float)x + step[2 * at], (float)y + step[2 * at + 1]};
                if (!label_four(s, corner_of(s, to[0], to[1], &fx, &fy), 1, label))
                    memcpy(places + 2 * count++, to, sizeof to);
            }
    for (int m = 2; m <= phases; m++) {
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            float *place = places + 2 * i;
            follow(s, step, place);
            if (label_four(s, corner_of(s, place[0], place[1], &fx, &fy), (uint8_t)m, label)) continue;
            memmove(places + 2 * left++, place, 2 * sizeof *place);
        }
        count = left;
    }
}

/*
 * Find the cells that each level of the traces needs. After k doublings a displacement covers 2^k / 16 of the time,
 * and the lookups that remain happen up to 1 - 2^k / 16 of it away. So cells are labelled with the first phase of
 * the cycle at which a path gets to them, and level k holds the labels up to that share.
 */
static void find_levels(sf_scene *s, const sf_scratch *scratch, float way) {
    const sf_runs *sources = &s->levels[SF_DOUBLINGS];
    const size_t cells = (size_t)s->h * (size_t)s->w;
    uint8_t *label = scratch->marks[2], *mark = scratch->marks[0], *other = scratch->marks[1];
    int phases = SF_PHASES_LEAST;
    while (phases < SF_PHASES_MOST && way > 2 * (float)phases) phases *= 2;
    float gap = way / (float)phases / 2;
    int32_t radius = 2 + (gap < 8 ? (int32_t)gap : 8);
    memset(label, 0xff, cells);
    for (int32_t y = 0; y < s->h; y++) {
        const uint8_t *reach = s->reach + (size_t)y * (size_t)s->cell_stride;
        for (uint32_t r = sources->start[y]; r < sources->start[y + 1]; r++)
            for (int32_t x = sources->runs[r].begin; x < sources->runs[r].end; x++)
                label[(size_t)y * (size_t)s->w + (size_t)x] = reach[x] & SF_FLOWS ? 0 : 0xff;
    }
    /* The displacement of one phase: in steps of a sixteenth of the cycle, as frames are, or less. */
    const int top = phases == SF_PHASES_LEAST;
    sf_phase table[256];
    memset(table, 0, sizeof table);
    for (int c = 1; c < 256; c++) {
        const float time = (float)s->frames / (float)c / (float)phases / (float)(1 << top);
        table[c].step[0] = table[c].step[1] = -time;
        table[c].step[2] = table[c].step[3] = time;
    }
    s->kernels->trace(s, table, scratch, s->everywhere, top);
    for (int k = 0; k < 2; k++) follow_paths(s, scratch->d[top][k], phases, scratch->d[1 - top][k], label);
    for (int k = 0; k < SF_DOUBLINGS; k++) {
        const uint8_t last = (uint8_t)(phases - (phases << k) / (1 << SF_DOUBLINGS));
        for (size_t i = 0; i < cells; i++) mark[i] = label[i] <= last;
        /* Cells of the margin are doubled as well, so each level reaches a little beyond the next. */
        widen(s->h, s->w, radius + 2 * (SF_DOUBLINGS - k), mark, other);
        mark_to_runs(s, mark, SF_APART, &s->levels[k]);
    }
}

static void copy_runs(const sf_scene *s, const sf_runs *from, sf_runs *to) {
    memcpy(to->start, from->start, ((size_t)s->h + 1) * sizeof *to->start);
    memcpy(to->runs, from->runs, from->start[s->h] * sizeof *to->runs);
}

void sf_find_regions(sf_scene *s, const sf_scratch *scratch) {
    const size_t cells = (size_t)s->h * (size_t)s->w;
    uint8_t *mark = scratch->marks[0], *other = scratch->marks[1];
    for (int32_t y = 0; y <= s->h; y++) s->everywhere[0].start[y] = (uint32_t)y;
    for (int32_t y = 0; y < s->h; y++) s->everywhere[0].runs[y] = (sf_run){0, (uint16_t)s->w};
    find_groups(s);
    memset(mark, 0, cells);
    mark_blend_cells(s, mark);
    mark_to_runs(s, mark, SF_JOIN, &s->blend_cells);
    /* Joining runs adds cells, whose own boxes are needed too. */
    for (int32_t y = 0; y < s->h; y++)
        for (uint32_t r = s->blend_cells.start[y]; r < s->blend_cells.start[y + 1]; r++)
            memset(mark + (size_t)y * (size_t)s->w + s->blend_cells.runs[r].begin, 1,
                   (size_t)(s->blend_cells.runs[r].end - s->blend_cells.runs[r].begin));
    widen(s->h, s->w, SF_STATISTICS_RADIUS, mark, other);
    mark_to_runs(s, mark, SF_JOIN, &s->levels[SF_DOUBLINGS]);
    size_t needed = count_cells(s, &s->levels[SF_DOUBLINGS]);
    const float way = longest_way(s, &s->levels[SF_DOUBLINGS]);
    s->flows = way > 0;
    if (!s->flows || needed / SF_WORTH_NUMERATOR > cells / SF_WORTH_DENOMINATOR) {
        for (int k = 0; k < SF_DOUBLINGS; k++) copy_runs(s, &s->everywhere[0], &s->levels[k]);
    } else {
        find_levels(s, scratch, way);
    }
    for (int k = 0; k < SF_DOUBLINGS; k++) mark_reach(s, &s->levels[k], k, mark);
}
