// SPDX-License-Identifier: Apache-2.0
//
// Dense RGB to NV12, BT.709 in limited range: the bytes of stillflow/video/colour.py, with the arithmetic of OpenCV
// that it uses (ten bits of fraction, then means that are rounded one after the other). Chroma sits on even columns,
// between two rows, and takes a quarter of each column beside it.
//
// A kernel of its own over the RGB frame, because of chroma: a pixel's neighbour on the left belongs to another thread
// of sf_compose, which would gather half as much again to have it. Bytes a pixel, of which m move: what is still is
// copied from the photo's planes, made once (3); what moves is written and read as RGB and written as planes (7.5).
// That is 3 + 4.5 m; planes straight from the blend would be 3 - 1.5 m with a gather of 1.5 times the work, and a whole
// frame of RGB converted is 10.5.
#include "scene.cuh"

// Rounded from 1024 times stillflow.video.colour.RGB_TO_YCBCR; half is added to the offsets.
#define BITS 10
#define LUMA(r, g, b) (187 * (r) + 629 * (g) + 63 * (b) + 16384 + 512)
#define BLUE(r, g, b) (-103 * (r) - 347 * (g) + 450 * (b) + 131072 + 512)
#define RED(r, g, b) (450 * (r) - 409 * (g) - 41 * (b) + 131072 + 512)

#define COLUMNS 4 // of a thread, and two rows: a word of each row of Y, and a word of chroma

// Five pixels of a row, packed as in RGBX: that before the thread's columns, and those.
struct Row {
    unsigned pixel[COLUMNS + 1];
};

__device__ inline Row words(const unsigned char *rgb, int row, int x) {
    // 12 bytes from a word's beginning, and the last three of the word before; there is none before the first column.
    const unsigned *at = (const unsigned *)(rgb + 3 * (row + x));
    const unsigned a = at[0], b = at[1], c = at[2];
    Row made = {{x > 0 ? at[-1] >> 8 : a, a, a >> 24 | b << 8, b >> 16 | c << 16, c >> 8}};
    return made;
}

__device__ inline Row bytes(const unsigned char *rgb, int row, int x, int width) {
    Row made;
    for (int k = 0; k <= COLUMNS; k++) {
        const unsigned char *at = rgb + 3 * (row + least(most(x + k - 1, 0), width - 1));
        made.pixel[k] = (unsigned)at[0] | (unsigned)at[1] << 8 | (unsigned)at[2] << 16;
    }
    return made;
}

// The mean, rounded to the even one of two that are as near.
__device__ inline int middle(int a, int b) {
    const int sum = a + b;
    return (sum + (sum >> 1 & 1)) >> 1;
}

// units: list of 8 x 4 pixels as in sf_compose, null for the whole picture. Sides of NV12 are even: the last column and
// row are repeated. wide: rows of both are made of whole words. A thread for four columns of two rows.
extern "C" __global__ void sf_nv12(int height, int width, const unsigned *__restrict__ units, int count, int wide,
                                   const unsigned char *__restrict__ rgb, unsigned char *__restrict__ nv12) {
    ITEM(item, (long long)count * 4);
    const int rows = height + (height & 1), columns = width + (width & 1);
    const int across = (columns + UNIT_WIDTH - 1) / UNIT_WIDTH, unit = (int)(item / 4);
    Place place = {unit / across, unit % across};
    if (units) place = place_of(units[unit]);
    const int x = place.column * UNIT_WIDTH + (int)(item & 1) * COLUMNS;
    const int y = place.row * UNIT_HEIGHT - UNIT_SHIFT + (int)(item & 2);
    if (x >= columns || y < 0 || y >= rows) return;
    unsigned char luma[2][COLUMNS];
    int blue[COLUMNS + 1] = {}, red[COLUMNS + 1] = {};
    for (int k = 0; k < 2; k++) {
        const int row = least(y + k, height - 1) * width;
        const Row made = wide ? words(rgb, row, x) : bytes(rgb, row, x, width);
        for (int c = 0; c <= COLUMNS; c++) {
            const int r = (int)(made.pixel[c] & 255u), g = (int)(made.pixel[c] >> 8 & 255u);
            const int b = (int)(made.pixel[c] >> 16 & 255u);
            if (c > 0) luma[k][c - 1] = (unsigned char)(LUMA(r, g, b) >> BITS);
            blue[c] += BLUE(r, g, b) >> BITS;
            red[c] += RED(r, g, b) >> BITS;
        }
    }
    unsigned char chroma[COLUMNS];
    for (int c = 0; c < COLUMNS; c += 2) {
        chroma[c] = (unsigned char)middle((blue[c] + blue[c + 1] + 2) >> 2, (blue[c + 1] + blue[c + 2] + 2) >> 2);
        chroma[c + 1] = (unsigned char)middle((red[c] + red[c + 1] + 2) >> 2, (red[c + 1] + red[c + 2] + 2) >> 2);
    }
    unsigned char *top = nv12 + (y * columns + x), *below = nv12 + (rows * columns + y / 2 * columns + x);
    if (wide) {
        *(unsigned *)top = luma[0][0] | luma[0][1] << 8 | luma[0][2] << 16 | (unsigned)luma[0][3] << 24;
        *(unsigned *)(top + columns) = luma[1][0] | luma[1][1] << 8 | luma[1][2] << 16 | (unsigned)luma[1][3] << 24;
        *(unsigned *)below = chroma[0] | chroma[1] << 8 | chroma[2] << 16 | (unsigned)chroma[3] << 24;
        return;
    }
    for (int c = 0; c < COLUMNS; c++) {
        if (x + c >= columns) break;
        top[c] = luma[0][c];
        top[columns + c] = luma[1][c];
        below[c] = chroma[c];
    }
}
