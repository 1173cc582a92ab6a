/* SPDX-License-Identifier: Apache-2.0 */
/* Photo to loop, the same as Animator().animate(photo): motion by one network, the scene with another's help. */
#include <string.h>

#include "bundle/opened.h"
#include "loop/loop.h"
#include "scene/making.h"

#define SECONDS_MOST 60.0
#define FPS_MOST 240.0
#define STRENGTH_MOST 3.0

/* Shares of the time at which stages end, for 1280x960 pixels on a CPU. */
#define PHOTO_READ 0.01
#define MOTION_MADE 0.25
#define SCENE_BUILT 0.99

static const char what[] = "cannot make a loop";

/* A wish with its zeros filled in, within the bounds that stillflow.animator and stillflow.guidance have. */
static sf_order order_of(sf_room *room, const sf_wish *wish) {
    sf_order order = {.seconds = 4, .fps = 30, .strength = 1, .adaptive = 1};
    if (!wish) return order;
    if (wish->seconds != 0) order.seconds = wish->seconds;
    if (wish->fps != 0) order.fps = wish->fps;
    if (wish->strength != 0) {
        order.strength = wish->strength;
        order.adaptive = 0;
    }
    order.seed = wish->seed;
    order.strict = wish->strict;
    if (!(order.seconds > 0 && order.seconds <= SECONDS_MOST))
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "give 4, for example", "%g seconds are not above 0 and at most %g",
                   order.seconds, SECONDS_MOST);
    if (!(order.fps >= 1 && order.fps <= FPS_MOST))
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "give 24, 25, 30 or 60",
                   "%g frames a second are not between 1 and %g", order.fps, FPS_MOST);
    if (!(order.strength > 0 && order.strength <= STRENGTH_MOST))
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "give 1 for the natural speed, 0.5 for half, 2 for twice",
                   "a strength of %g is not above 0 and at most %g", order.strength, STRENGTH_MOST);
    if (order.seconds * order.fps < 1.5)
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "give more seconds or more frames a second",
                   "%g s at %g frames a second are fewer than 2 frames", order.seconds, order.fps);
    return order;
}

static void tell(sf_room *room, const sf_wish *wish, double done) {
    if (wish && wish->progress && wish->progress(wish->progress_user, done))
        sf_give_up(room, SF_ERROR_STOPPED, what, "call again without stopping it", "progress asked to stop");
}

static sf_loop *make(sf_bundle *bundle, const sf_photo *photo, const sf_wish *wish) {
    sf_room *making = &bundle->making, *passing = &bundle->passing;
    const sf_rules rules = sf_manifest_rules(bundle->manifest);
    const sf_network flow = {sf_session_run, bundle->sessions[SF_FLOW]};
    const sf_network generator = {sf_session_run, bundle->sessions[SF_GENERATOR]};
    sf_motion motion;
    sf_scene_arrays arrays;
    int32_t height, width;
    const sf_order order = order_of(making, wish);
    tell(making, wish, 0);
    uint8_t *pixels = sf_photo_read(making, photo, wish ? wish->long_side : 0, &height, &width);
    tell(making, wish, PHOTO_READ);
    memset(&motion, 0, sizeof motion);
    memset(&arrays, 0, sizeof arrays);
    /* The motion is needed until the scene is cut. Both rooms together stay within the limit of one loop. */
    passing->limit = bundle->limit - making->used;
    sf_make_motion(passing, &flow, &rules, &order, pixels, height, width, &motion);
    tell(making, wish, MOTION_MADE);
    making->limit = bundle->limit - passing->used;
    arrays.struct_size = sizeof arrays;
    sf_build_scene(making, generator.self ? &generator : 0, &rules, &order, pixels, &motion, &arrays);
    sf_room_close(passing);
    making->limit = bundle->limit;
    arrays.isa = bundle->isa;
    tell(making, wish, SCENE_BUILT);
    sf_loop *loop = sf_loop_of(making, &arrays, order.fps);
    loop->chance = motion.chance;
    loop->strength = motion.strength;
    if (wish && wish->progress) wish->progress(wish->progress_user, 1);
    return loop;
}

int32_t sf_bundle_loop(sf_bundle *bundle, const sf_photo *photo, const sf_wish *wish, sf_loop **loop, sf_error *error) {
    const char *fix = "give a bundle, and a photo with either data or file; set each struct_size";
    if (loop) *loop = 0;
    if (!bundle || !photo || !loop || photo->struct_size < sizeof *photo || (wish && wish->struct_size < sizeof *wish))
        return sf_fail(error, SF_ERROR_ARGUMENT, what, fix, "a pointer is null, or a struct_size is too small");
    if (!photo->data == !photo->file)
        return sf_fail(error, SF_ERROR_ARGUMENT, what, fix, "the photo has neither pixels nor a file, or both");
    sf_bundle_begin(bundle, error);
    if (setjmp(bundle->making.way_out)) return sf_bundle_end(bundle, bundle->making.status);
    if (setjmp(bundle->passing.way_out)) return sf_bundle_end(bundle, bundle->passing.status);
    *loop = make(bundle, photo, wish);
    return sf_bundle_end(bundle, SF_OK);
}
