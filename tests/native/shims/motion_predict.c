/* SPDX-License-Identifier: Apache-2.0 */
/* What may give up because of what a network says, for test_try. */
#include "motion/motion.h"

typedef struct prediction {
    const sf_network *flow;
    const sf_rules *rules;
    const sf_order *order; /* null for the network's part alone */
    const uint8_t *photo;
    int32_t height, width;
    sf_motion *motion;
} prediction;

void test_predict(sf_room *room, void *argument) {
    const prediction *p = argument;
    if (p->order) sf_make_motion(room, p->flow, p->rules, p->order, p->photo, p->height, p->width, p->motion);
    else sf_predict_motion(room, p->flow, p->rules, p->photo, p->height, p->width, p->motion);
}
