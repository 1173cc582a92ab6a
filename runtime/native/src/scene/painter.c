/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator network: what the layer looks like where the photo does not show it, how much of the mirrored texture
 * stays there, and how far each place is to be trusted as a source (stillflow.generator).
 */
#include <math.h>
#include <string.h>

#include "scene/stages.h"

#define SF_LONG_SIDE 320       /* of the network's input, field samples */
#define SF_SIDE_MOST 65536     /* of an output */
#define SF_PLANES_IN 9         /* RGB of the plate, known, inside, travel x and y, luma and red less blue of the photo */
#define SF_TRAVEL_UNIT 32.0f   /* field pixels that count as 1 */
#define SF_MEAN_BOX 5          /* side of the box, in the network's samples, that is applied twice */
#define SF_STRIP 128           /* rows that are repainted at a time */

/* What the network said, at field size: planes of colours 0..1, of texture and of trust. */
typedef struct sf_said {
    float *colours, *texture, *trust;
} sf_said;

/* generator.generator_field, plane after plane. plate and photo are (h, w, 3) of 0..255. */
static void field_of(const sf_layer *layer, const float *plate, const float *photo, float *field) {
    const size_t count = (size_t)layer->h * (size_t)layer->w;
    for (size_t i = 0; i < count; i++) {
        const float period = (float)layer->frames / (float)layer->cycles[i];
        const float there[3] = {photo[3 * i] / 255, photo[3 * i + 1] / 255, photo[3 * i + 2] / 255};
        const float planes[SF_PLANES_IN] = {
            plate[3 * i] / 255, plate[3 * i + 1] / 255, plate[3 * i + 2] / 255, layer->known[i], layer->inside[i],
            layer->velocity[2 * i] * period / SF_TRAVEL_UNIT, layer->velocity[2 * i + 1] * period / SF_TRAVEL_UNIT,
            there[0] * 0.299f + there[1] * 0.587f + there[2] * 0.114f, there[0] - there[2],
        };
        for (size_t k = 0; k < SF_PLANES_IN; k++) field[k * count + i] = planes[k];
    }
}

static int all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return 0;
    return 1;
}

/* Give up where an output is nothing that can be used. */
static void check(sf_room *room, const sf_tensor *tensor, int channels) {
    const int64_t *shape = tensor->shape;
    const char *wrong = 0;
    if (!tensor->data)
        wrong = "missing";
    else if (shape[0] != 1 || shape[1] != channels || shape[2] < 1 || shape[2] > SF_SIDE_MOST || shape[3] < 1 ||
             shape[3] > SF_SIDE_MOST)
        wrong = "of a shape that fits no photo";
    else if (!all_finite(tensor->data, (size_t)shape[1] * (size_t)shape[2] * (size_t)shape[3]))
        wrong = "not finite";
    if (wrong)
        sf_give_up(room, SF_ERROR_ENGINE, "cannot use what the generator network says",
                   "use a bundle that passes sf_bundle_test", "its output %s is %s", tensor->name, wrong);
}

/* Ask; 0 where the graph is of a bundle from before trust: what that one says was meant for another field. */
static int ask(sf_room *room, const sf_network *generator, const float *field, int h, int w, sf_said *said) {
    const size_t count = (size_t)h * (size_t)w;
    const double scale = (double)SF_LONG_SIDE / (h > w ? h : w);
    const int nh = sf_network_side(h, scale < 1 ? scale : 1), nw = sf_network_side(w, scale < 1 ? scale : 1);
    const size_t few = (size_t)nh * (size_t)nw;
    float *small = sf_take(room, SF_PLANES_IN * few, sizeof(float));
    for (size_t k = 0; k < SF_PLANES_IN; k++)
        sf_resize_area_f32(room, field + k * count, h, w, 1, small + k * few, nh, nw);
    const sf_tensor input = {"field", {1, SF_PLANES_IN, nh, nw}, small};
    sf_tensor outputs[2] = {{"plate", {0, 0, 0, 0}, 0}, {"trust", {0, 0, 0, 0}, 0}};
    generator->run(generator->self, room, &input, 1, outputs, 2);
    if (!outputs[1].data) return 0;
    check(room, &outputs[0], 3);
    check(room, &outputs[1], 2);
    for (int k = 0; k < 5; k++) {
        const sf_tensor *from = &outputs[k < 3 ? 0 : 1];
        const int oh = (int)from->shape[2], ow = (int)from->shape[3], plane = k < 3 ? k : k - 3;
        float *to = k < 3 ? said->colours + (size_t)k * count : k == 3 ? said->texture : said->trust;
        sf_resize_linear_f32(room, from->data + (size_t)plane * (size_t)oh * (size_t)ow, oh, ow, 1, to, h, w);
    }
    for (size_t i = 0; i < 3 * count; i++) said->colours[i] = sf_clamp(said->colours[i], 0, 1);
    return 1;
}

/* 1 where the closed form painted the plate, (height, width). */
static void painted_of(sf_room *room, const sf_layer *layer, uint8_t *painted) {
    const sf_mark mark = sf_room_mark(room);
    const size_t whole = (size_t)layer->height * (size_t)layer->width;
    uint8_t *changed = sf_take(room, whole, 1);
    for (size_t i = 0; i < whole; i++) changed[i] = memcmp(layer->plate + 3 * i, layer->photo + 3 * i, 3) != 0;
    sf_close_u8(room, changed, layer->height, layer->width, 3, painted);
    for (size_t i = 0; i < whole; i++) painted[i] = painted[i] && !layer->matte[i];
    sf_room_rewind(room, mark);
}

/*
 * Where the closed form left the photo as it is (what sways, and its surroundings) no trust is added: a piece of sky
 * above a lip would come down with the water, and the outline of a tree would walk out to sea.
 */
static void follow_trust(sf_room *room, const sf_layer *layer, const uint8_t *painted, const float *trust) {
    const sf_mark mark = sf_room_mark(room);
    const int height = layer->height, width = layer->width, h = layer->h, w = layer->w;
    const size_t count = (size_t)h * (size_t)w, whole = (size_t)height * (size_t)width;
    uint8_t *shown = sf_take(room, count, 1), *flows = sf_take(room, whole, 1), *left = sf_take(room, whole, 1);
    float *values = sf_take(room, whole, sizeof(float)), *here = sf_take(room, count, sizeof(float));
    float *near = sf_take(room, count, sizeof(float));
    for (size_t i = 0; i < count; i++) shown[i] = layer->known[i] > 0;
    sf_resize_nearest(shown, h, w, 1, flows, height, width);
    for (size_t i = 0; i < whole; i++) flows[i] = !flows[i] && !painted[i];
    /* Along the edge a ring of the layer's own pixels is not known yet: that is no piece of anything else. */
    sf_open_u8(room, flows, height, width, 5, left);
    for (size_t i = 0; i < whole; i++) values[i] = left[i];
    sf_resize_area_f32(room, values, height, width, 1, here, h, w);
    sf_dilate_f32(here, h, w, near);
    for (size_t i = 0; i < count; i++) {
        const float more = near[i] > 0 && trust[i] > 0 ? 0 : trust[i];
        layer->inside[i] = sf_clamp(layer->inside[i] + more, SF_CONFIDENCE_FLOOR, 1);
    }
    sf_room_rewind(room, mark);
}

/* generator.plate_mean: what the network's colours stand for. */
static void mean_of(sf_room *room, const float *plate, int h, int w, float *mean) {
    const sf_mark mark = sf_room_mark(room);
    const int longest = h > w ? h : w;
    const double side = longest > SF_LONG_SIDE ? (double)SF_MEAN_BOX * longest / SF_LONG_SIDE : SF_MEAN_BOX;
    const int box = 2 * (int)rint(side / 2 - 0.5) + 1;
    float *once = sf_take(room, 3 * (uint64_t)h * (uint64_t)w, sizeof(float));
    sf_blur_f32(room, plate, h, w, 3, box, SF_REPLICATE, once);
    sf_blur_f32(room, once, h, w, 3, box, SF_REPLICATE, mean);
    sf_room_rewind(room, mark);
}

/* Repaint one strip of rows; planes are 7 of (h, w): mean, colours, texture. here has room for them at full size. */
static void repaint_strip(sf_room *room, const sf_layer *layer, const uint8_t *painted, float *const planes[7], int top,
                          int rows, float *here) {
    const size_t strip = (size_t)rows * (size_t)layer->width, first = (size_t)top * (size_t)layer->width;
    const double at[6] = {0.25, 0, -1.5 * 0.25, 0, 0.25, (top - 1.5) * 0.25};
    for (size_t k = 0; k < 7; k++)
        sf_warp_affine_f32(room, planes[k], layer->h, layer->w, at, here + k * strip, rows, layer->width);
    for (size_t i = 0; i < strip; i++) {
        if (!painted[first + i]) continue;
        for (size_t c = 0; c < 3; c++) {
            uint8_t *pixel = layer->plate + 3 * (first + i) + c;
            const float fine = (float)*pixel - here[c * strip + i];
            const float value = here[(3 + c) * strip + i] + here[6 * strip + i] * fine;
            *pixel = sf_to_byte(value);
        }
    }
}

/* generator.repaint: the network's colours in place of the closed form's. texture null keeps all of what is finer. */
static void repaint(sf_room *room, const sf_layer *layer, const uint8_t *painted, const float *mean,
                    const float *colours, const float *texture) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)layer->h * (size_t)layer->w;
    float *planes[7];
    for (size_t k = 0; k < 7; k++) {
        planes[k] = sf_take(room, count, sizeof(float));
        for (size_t i = 0; i < count; i++)
            planes[k][i] = k < 3 ? mean[3 * i + k] : k < 6 ? colours[3 * i + k - 3] : texture ? texture[i] : 1;
    }
    float *here = sf_take(room, 7 * (uint64_t)SF_STRIP * (uint64_t)layer->width, sizeof(float));
    for (int top = 0; top < layer->height; top += SF_STRIP) {
        const int rows = layer->height - top < SF_STRIP ? layer->height - top : SF_STRIP;
        if (sf_any(painted + (size_t)top * (size_t)layer->width, (size_t)rows * (size_t)layer->width))
            repaint_strip(room, layer, painted, planes, top, rows, here);
    }
    sf_room_rewind(room, mark);
}

/* A picture at field size, as floats. */
static void shrunk(sf_room *room, const sf_layer *layer, const uint8_t *picture, float *out) {
    const sf_mark mark = sf_room_mark(room);
    const size_t values = 3 * (size_t)layer->h * (size_t)layer->w;
    uint8_t *bytes = sf_take(room, values, 1);
    sf_resize_area_u8(room, picture, layer->height, layer->width, 3, bytes, layer->h, layer->w);
    for (size_t k = 0; k < values; k++) out[k] = bytes[k];
    sf_room_rewind(room, mark);
}

void sf_consult(sf_room *room, const sf_network *generator, const sf_rules *rules, const sf_layer *layer,
                float (*curve)[3]) {
    const sf_mark mark = sf_room_mark(room);
    const size_t count = (size_t)layer->h * (size_t)layer->w, whole = (size_t)layer->height * (size_t)layer->width;
    float *small = sf_take(room, 3 * count, sizeof(float)), *photo = sf_take(room, 3 * count, sizeof(float));
    float *field = sf_take(room, SF_PLANES_IN * count, sizeof(float));
    sf_said said = {sf_take(room, 3 * count, sizeof(float)), sf_take(room, count, sizeof(float)),
                    sf_take(room, count, sizeof(float))};
    shrunk(room, layer, layer->plate, small);
    shrunk(room, layer, layer->photo, photo);
    field_of(layer, small, photo, field);
    if (ask(room, generator, field, layer->h, layer->w, &said)) {
        uint8_t *painted = sf_take(room, whole, 1);
        painted_of(room, layer, painted);
        if (rules->blend_network) follow_trust(room, layer, painted, said.trust);
        if (rules->plate_network) {
            float *colours = field, *mean = photo; /* both have been read */
            for (size_t i = 0; i < count; i++)
                for (size_t c = 0; c < 3; c++) colours[3 * i + c] = said.colours[c * count + i] * 255;
            if (curve) sf_toned(colours, count, curve);
            mean_of(room, small, layer->h, layer->w, mean);
            repaint(room, layer, painted, mean, colours, rules->blend_network ? said.texture : 0);
        }
    }
    sf_room_rewind(room, mark);
}
