/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which a motion is made: Animator.animate as far as the motion, for a photo without guidance. */
#include <string.h>

#include "motion/motion.h"

/* The velocity of one strength and one future. */
static void at_strength(sf_room *room, const float *natural, double strength, uint32_t seed, sf_motion *motion) {
    const size_t count = 2 * (size_t)motion->h * (size_t)motion->w;
    for (size_t k = 0; k < count; k++) motion->velocity[k] = natural[k] * (float)strength;
    sf_draw_future(room, motion, seed);
}

#define REFUSED 0.1 /* chance up to which a photo is refused, */
#define POOR 0.5    /* and up to which it is poor; both as in stillflow.assess */

static void judge(sf_room *room, double chance, int32_t strict) {
    const char *cannot = "cannot make a good loop of this photo", *fix = "choose another photo, or leave strict 0";
    if (strict && chance <= 0) sf_give_up(room, SF_ERROR_UNSUITED, cannot, fix, "nothing in the picture would move");
    if (strict && chance <= REFUSED)
        sf_give_up(room, SF_ERROR_UNSUITED, cannot, fix,
                   "people would like it better left still: its chance is %.0f %%", 100 * chance);
    if (chance <= POOR)
        sf_tell(room, 2, "this photo will hardly make a good loop: its chance is %.0f %%", 100 * chance);
}

void sf_make_motion(sf_room *room, const sf_network *flow, const sf_rules *rules, const sf_order *order,
                    const uint8_t *photo, int32_t height, int32_t width, sf_motion *motion) {
    sf_predict_motion(room, flow, rules, photo, height, width, motion);
    motion->chance = sf_chance(motion);
    judge(room, motion->chance, order->strict);
    const size_t bytes = 2 * (size_t)motion->h * (size_t)motion->w * sizeof(float);
    const sf_mark mark = sf_room_mark(room);
    float *natural = sf_take(room, bytes, 1);
    memcpy(natural, motion->velocity, bytes);
    double strength = order->adaptive ? 1 : order->strength;
    at_strength(room, natural, strength, order->seed, motion);
    const double suited = order->adaptive ? sf_suited_strength(room, motion, order->seconds) : strength;
    if (suited < strength) {
        strength = suited;
        at_strength(room, natural, strength, order->seed, motion);
        sf_tell(room, 1, "slowed to %.2f of its natural speed: more of what flows would leave its region", strength);
    }
    sf_room_rewind(room, mark);
    motion->strength = strength;
    /* Neither has a say in the strength. */
    sf_predict_sway(room, photo, height, width, motion->matte, motion->classes, motion->order, motion->h, motion->w,
                    strength, order->seed, &motion->sway);
    sf_predict_light(room, photo, height, width, motion->matte, motion->classes, motion->h, motion->w, strength,
                     order->seed, &motion->light);
}
