/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Photos: pixels or the bytes of a file become upright RGB of the size that is wished, as stillflow.photo makes them.
 * Colour profiles are not read: their pixels are taken as sRGB.
 */
#include <math.h>
#include <string.h>

#include "bundle/opened.h"
#include "codecs/codecs.h"
#include "raster/raster.h"

#define PIXELS_MOST 120000000 /* largest picture that is decoded: stillflow.picture.MAX_PIXELS */
#define SIDE_MOST 65535
#define SIDE_LEAST 16 /* below it a field at 1/4 size has fewer than 4 samples and nothing can flow */

static const char what[] = "cannot animate this photo";

static void check_size(sf_room *room, int64_t height, int64_t width) {
    if (height < SIDE_LEAST || width < SIDE_LEAST)
        sf_give_up(room, SF_ERROR_SIZE, what, "give a larger picture; 1280x720 or more looks best",
                   "it is %lldx%lld pixels, and each side needs at least %d", (long long)width,
                   (long long)height, SIDE_LEAST);
    if (height > SIDE_MOST || width > SIDE_MOST || height * width > PIXELS_MOST)
        sf_give_up(room, SF_ERROR_SIZE, what, "scale it down first; a loop needs no more than 4096x4096",
                   "it is %lldx%lld pixels, and %d are the most", (long long)width, (long long)height, PIXELS_MOST);
}

/* Lay transparent parts over white: (pixels, 4) to (pixels, 3), which may begin at the same place. */
static void lay_over_white(const uint8_t *rgba, size_t pixels, uint8_t *rgb) {
    for (size_t i = 0; i < pixels; i++) {
        const unsigned alpha = rgba[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((rgba[4 * i + c] * alpha + (255 - alpha) * 255 + 127) / 255);
    }
}

/* Where EXIF's orientation puts a pixel: turns 5 to 8 swap the sides. */
static void turn_upright(const uint8_t *in, int32_t height, int32_t width, int32_t turn, uint8_t *out) {
    const int64_t h = height, w = width;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const int64_t fx = w - 1 - x, fy = h - 1 - y;
            const int64_t to = turn == 2   ? y * w + fx
                               : turn == 3 ? fy * w + fx
                               : turn == 4 ? fy * w + x
                               : turn == 5 ? x * h + y
                               : turn == 6 ? x * h + fy
                               : turn == 7 ? fx * h + fy
                               : turn == 8 ? fx * h + y
                                           : y * w + x;
            memcpy(out + 3 * to, in + 3 * (y * w + x), 3);
        }
}

/* Pixels that a caller gave, with their stride, to dense RGB. */
static void copy_pixels(const sf_photo *photo, uint8_t *out) {
    const int32_t channels = photo->format == SF_RGB ? 3 : 4, red = photo->format == SF_BGRA ? 2 : 0;
    for (int32_t y = 0; y < photo->height; y++) {
        const uint8_t *row = photo->data + (ptrdiff_t)y * photo->stride;
        for (int32_t x = 0; x < photo->width; x++, row += channels, out += 3) {
            const uint8_t rgba[4] = {row[red], row[1], row[2 - red], channels == 4 ? row[3] : 255};
            lay_over_white(rgba, 1, out);
        }
    }
}

static void check_pixels(sf_room *room, const sf_photo *photo) {
    const int64_t row = (int64_t)photo->width * (photo->format == SF_RGB ? 3 : 4);
    const char *fix = "fill in format, width, height, data and stride, or file and file_bytes";
    if (photo->format != SF_RGB && photo->format != SF_BGRA && photo->format != SF_RGBA)
        sf_give_up(room, SF_ERROR_ARGUMENT, what, fix, "its format is not SF_RGB, SF_BGRA or SF_RGBA");
    check_size(room, photo->height, photo->width);
    if (photo->stride < row && photo->stride > -row)
        sf_give_up(room, SF_ERROR_ARGUMENT, what, fix, "its stride is less than a row of pixels");
}

/* The pixels of a file, as they lie in it. */
static void decode(sf_room *room, const sf_photo *photo, const sf_picture *picture, uint8_t *out) {
    if (picture->channels != 4) {
        sf_picture_decode(room, photo->file, photo->file_bytes, out, 3);
        return;
    }
    const size_t pixels = (size_t)picture->height * (size_t)picture->width;
    const sf_mark mark = sf_room_mark(room);
    uint8_t *rgba = sf_take(room, pixels, 4);
    sf_picture_decode(room, photo->file, photo->file_bytes, rgba, 4);
    lay_over_white(rgba, pixels, out);
    sf_room_rewind(room, mark);
}

/* Half to even, as Python rounds. */
static int32_t scaled_side(int32_t side, int32_t long_side, int32_t longest) {
    const double exact = (double)side * long_side / longest, below = floor(exact);
    const int32_t low = (int32_t)below;
    const int32_t rounded = exact - below > 0.5 || (exact - below == 0.5 && low % 2) ? low + 1 : low;
    return rounded < 1 ? 1 : rounded;
}

uint8_t *sf_photo_read(sf_room *room, const sf_photo *photo, int32_t long_side, int32_t *height, int32_t *width) {
    sf_picture picture = {.width = photo->width, .height = photo->height, .channels = 3, .turn = 1};
    if (!photo->file) {
        check_pixels(room, photo);
    } else if (sf_picture_look(photo->file, photo->file_bytes, &picture)) {
        sf_give_up(room, SF_ERROR_FORMAT, what, "give a JPEG, a PNG or a lossless WebP",
                   "its bytes are not those of a picture");
    }
    check_size(room, picture.height, picture.width);
    const int sideways = picture.turn >= 5 && picture.turn <= 8;
    const int32_t h = sideways ? picture.width : picture.height, w = sideways ? picture.height : picture.width;
    const int32_t longest = h > w ? h : w;
    if (long_side && long_side < SIDE_LEAST)
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "ask for a larger size, for example 720",
                   "a long side of %d pixels is less than %d", (int)long_side, SIDE_LEAST);
    const int shrinks = long_side && longest > long_side;
    *height = shrinks ? scaled_side(h, long_side, longest) : h;
    *width = shrinks ? scaled_side(w, long_side, longest) : w;
    check_size(room, *height, *width);
    uint8_t *result = sf_take(room, (uint64_t)*height * (uint64_t)*width, 3);
    const sf_mark mark = sf_room_mark(room);
    const uint64_t pixels = (uint64_t)h * (uint64_t)w;
    uint8_t *upright = shrinks ? sf_take(room, pixels, 3) : result;
    uint8_t *read = picture.turn > 1 ? sf_take(room, pixels, 3) : upright;
    if (photo->file)
        decode(room, photo, &picture, read);
    else
        copy_pixels(photo, read);
    if (read != upright) turn_upright(read, picture.height, picture.width, picture.turn, upright);
    if (shrinks) sf_resize_area_u8(room, upright, h, w, 3, result, *height, *width);
    sf_room_rewind(room, mark);
    return result;
}
