/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "codecs.h"
#include "look.h"

int sf_picture_look(const uint8_t *bytes, size_t size, sf_picture *picture) {
    memset(picture, 0, sizeof *picture);
    return sf_jpeg_look(bytes, size, picture) && sf_png_look(bytes, size, picture) &&
           sf_webp_look(bytes, size, picture);
}

void sf_picture_decode(sf_room *room, const uint8_t *bytes, size_t size, uint8_t *out, int32_t channels) {
    sf_picture picture;
    if (sf_picture_look(bytes, size, &picture))
        sf_give_up(room, SF_ERROR_FORMAT, "cannot read the picture", "save it as JPEG, PNG or lossless WebP",
                   "it is of no kind that is known, is cut off, or has a size beyond the limits");
    if (picture.kind == SF_PICTURE_JPEG) sf_jpeg_decode(room, bytes, size, out, channels);
    else if (picture.kind == SF_PICTURE_PNG) sf_png_decode(room, bytes, size, out, channels);
    else sf_webp_decode(room, bytes, size, out, channels);
}
