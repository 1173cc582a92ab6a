/* SPDX-License-Identifier: Apache-2.0 */
/* sf_build_scene with a way out, for tests in Python. */
#include "scene/making.h"

int32_t test_try(sf_room *room, void (*body)(sf_room *, void *), void *argument);

typedef struct building {
    const sf_network *generator;
    const sf_rules *rules;
    const sf_order *order;
    const uint8_t *photo;
    const sf_motion *motion;
    sf_scene_arrays *arrays;
} building;

static void build(sf_room *room, void *argument) {
    const building *b = argument;
    sf_build_scene(room, b->generator, b->rules, b->order, b->photo, b->motion, b->arrays);
}

int32_t test_build_scene(sf_room *room, const sf_network *generator, const sf_rules *rules, const sf_order *order,
                         const uint8_t *photo, const sf_motion *motion, sf_scene_arrays *arrays) {
    building b = {generator, rules, order, photo, motion, arrays};
    return test_try(room, build, &b);
}
