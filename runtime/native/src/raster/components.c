/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected parts by runs: a run of set pixels is united with the runs of the row above that touch it (union-find,
 * the root is the earliest run), then every root gets the next number where the picture is first met.
 *
 * The order of OpenCV's numbers, found by experiment: with 4 neighbours that of each part's first pixel; with 8, where
 * it looks at blocks of 2 x 2 pixels, that of each part's first block: rows 2k and 2k + 1 are walked together, by
 * x / 2. Two parts never share a block.
 */
#include <string.h>

#include "raster.h"

typedef struct sf_run { int32_t begin, end, parent; } sf_run; /* end: the first column after it */

static size_t count_runs(const uint8_t *in, int h, int w) {
    size_t count = 0;
    for (int y = 0; y < h; y++) {
        const uint8_t *row = in + (size_t)y * (size_t)w;
        uint32_t found = row[0] != 0;
        for (int x = 1; x < w; x++) found += (uint32_t)((row[x] != 0) & (row[x - 1] == 0));
        count += found;
    }
    return count;
}

static int32_t root_of(sf_run *runs, int32_t i) {
    while (runs[i].parent != i) {
        runs[i].parent = runs[runs[i].parent].parent;
        i = runs[i].parent;
    }
    return i;
}

/* The runs of row y, from count on; returns the new count. */
static int32_t find_runs(const uint8_t *row, int w, sf_run *runs, int32_t count) {
    for (int x = 0; x < w;) {
        while (x < w && !row[x]) x++;
        if (x == w) break;
        const int begin = x;
        while (x < w && row[x]) x++;
        runs[count] = (sf_run){begin, x, count};
        count++;
    }
    return count;
}

/* Unite the runs above..here - 1 with the runs here..end - 1 of the next row; corners: whether they touch. */
static void unite(sf_run *runs, int32_t above, int32_t here, int32_t end, int corners) {
    const int32_t last = here;
    for (int32_t i = above; i < last && here < end;) {
        if (runs[i].end + corners <= runs[here].begin)
            i++;
        else if (runs[here].end + corners <= runs[i].begin)
            here++;
        else {
            const int32_t a = root_of(runs, i), b = root_of(runs, here);
            if (a < b)
                runs[b].parent = a;
            else
                runs[a].parent = b;
            if (runs[i].end < runs[here].end)
                i++;
            else
                here++;
        }
    }
}

/* Give a run's root its number if it has none yet. */
static void number(sf_run *runs, int32_t *numbers, int32_t i, int32_t *next) {
    const int32_t root = root_of(runs, i);
    if (!numbers[root]) numbers[root] = (*next)++;
    numbers[i] = numbers[root];
}

static sf_part *parts_of(sf_room *room, const int32_t *labels, int h, int w, int32_t count) {
    sf_part *parts = sf_take_zeroed(room, (uint64_t)count, sizeof *parts);
    for (int y = 0; y < h; y++) {
        const int32_t *row = labels + (size_t)y * (size_t)w;
        for (int x = 0; x < w;) {
            const int begin = x;
            const int32_t label = row[x];
            while (x < w && row[x] == label) x++;
            sf_part *part = &parts[label];
            if (!part->area)
                *part = (sf_part){begin, y, x, 0, 0}; /* width is the right end until all is seen */
            if (begin < part->left) part->left = begin;
            if (x > part->width) part->width = x;
            part->height = y + 1 - part->top;
            part->area += x - begin;
        }
    }
    for (int32_t i = 0; i < count; i++) parts[i].width -= parts[i].left;
    return parts;
}

int32_t sf_components(sf_room *room, const uint8_t *in, int h, int w, int connectivity, int32_t *labels,
                      sf_part **parts) {
    sf_mark mark = sf_room_mark(room);
    const size_t most = count_runs(in, h, w);
    sf_run *runs = sf_take(room, most + 1, sizeof *runs);
    int32_t *numbers = sf_take_zeroed(room, most + 1, 4), *starts = sf_take(room, (uint64_t)h + 2, 4);
    const int corners = connectivity == 8, step = corners ? 2 : 1;
    int32_t count = 0, next = 1;
    for (int y = 0; y < h; y++) {
        starts[y] = count;
        count = find_runs(in + (size_t)y * (size_t)w, w, runs, count);
        if (y) unite(runs, starts[y - 1], starts[y], count, corners);
    }
    starts[h] = starts[h + 1] = count;
    for (int y = 0; y < h; y += step) {
        const int32_t middle = starts[y + 1], end = step == 2 ? starts[y + 2] : middle;
        int32_t a = starts[y], b = middle;
        while (a < middle || b < end)
            if (b == end || (a < middle && runs[a].begin / 2 <= runs[b].begin / 2))
                number(runs, numbers, a++, &next);
            else
                number(runs, numbers, b++, &next);
    }
    memset(labels, 0, (size_t)h * (size_t)w * sizeof *labels);
    for (int y = 0; y < h; y++)
        for (int32_t i = starts[y]; i < starts[y + 1]; i++)
            for (int x = runs[i].begin; x < runs[i].end; x++) labels[(size_t)y * (size_t)w + (size_t)x] = numbers[i];
    sf_room_rewind(room, mark);
    if (parts) *parts = parts_of(room, labels, h, w, next);
    return next;
}
