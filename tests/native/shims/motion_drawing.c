/* SPDX-License-Identifier: Apache-2.0 */
/* Sway and light as bodies for test_try: their rooms may be too small. */
#include "motion/motion.h"

typedef struct test_scenery {
    const uint8_t *photo, *classes, *order;
    const float *matte;
    int32_t height, width, h, w;
    sf_oscillation drawn;
} test_scenery;

void test_draw_sway(sf_room *room, void *argument) {
    test_scenery *s = argument;
    sf_predict_sway(room, s->photo, s->height, s->width, s->matte, s->classes, s->order, s->h, s->w, 1, 0, &s->drawn);
}

void test_draw_light(sf_room *room, void *argument) {
    test_scenery *s = argument;
    sf_predict_light(room, s->photo, s->height, s->width, s->matte, s->classes, s->h, s->w, 1, 0, &s->drawn);
}
