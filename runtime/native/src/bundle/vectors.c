/* SPDX-License-Identifier: Apache-2.0 */
/* Does a bundle hold what it promises: the sums of its files, and test vectors that come out right. */
#include <math.h>
#include <string.h>

#include "bundle/opened.h"

#define NAME_MOST 100 /* bytes of a name in a manifest */

static const char what[] = "the bundle does not do what it promises";
static const char fix[] =
    "fetch or export the bundle again; if it is sound, use another ONNX Runtime, provider or precision";

#define DIFFERS(room, ...) sf_give_up(room, SF_ERROR_DIFFERS, what, fix, __VA_ARGS__)

/* The array of that name, such as input.photo. */
static void read_array(sf_room *room, const uint8_t *bytes, size_t size, const char *side, const sf_json *tensor,
                       const char *file, sf_tensor *array) {
    const char *name = sf_manifest_text(tensor, "name", "");
    char *whole = sf_take(room, NAME_MOST + 8, 1);
    const size_t before = strlen(side);
    memcpy(whole, side, before);
    memcpy(whole + before, name, strlen(name) + 1);
    if (!sf_npz_read(room, bytes, size, whole, array)) DIFFERS(room, "%.100s holds no array %.110s", file, whole);
    array->name = name;
}

static double share(double off, double allowed) { return off / (allowed > 1e-30 ? allowed : 1e-30); }

/* abs(got - expected) <= absolute + relative * abs(expected), for every value. */
static void compare(sf_room *room, const char *file, const sf_tensor *got, const sf_tensor *expected,
                    const sf_json *tolerance) {
    const sf_json *member = sf_json_get(tolerance, "relative");
    const double absolute = sf_json_get(tolerance, "absolute")->number, relative = member ? member->number : 0;
    const int64_t *shape = got->shape;
    size_t count = 1, worst = 0;
    double off = 0, allowed = 0;
    if (!got->data) DIFFERS(room, "%.100s: the graph has no output %.100s", file, got->name);
    if (memcmp(shape, expected->shape, sizeof got->shape) != 0)
        DIFFERS(room, "%.100s: %.100s has another shape than expected", file, got->name);
    for (int i = 0; i < 4; i++) count *= (size_t)shape[i];
    if (!count) DIFFERS(room, "%.100s: %.100s is empty", file, got->name);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(got->data[i]) || !isfinite(expected->data[i]))
            DIFFERS(room, "%.100s: %.100s holds values that are not finite", file, got->name);
        const double here = fabs((double)got->data[i] - (double)expected->data[i]);
        const double may = absolute + relative * fabs((double)expected->data[i]);
        if (i && share(here, may) <= share(off, allowed)) continue;
        off = here;
        allowed = may;
        worst = i;
    }
    if (off <= allowed) return;
    DIFFERS(room, "%.100s: %.60s is off by %.3g at (%d, %d, %d, %d), allowed %.3g", file, got->name, off,
            (int)(worst / (size_t)(shape[1] * shape[2] * shape[3])),
            (int)(worst / (size_t)(shape[2] * shape[3]) % (size_t)shape[1]),
            (int)(worst / (size_t)shape[3] % (size_t)shape[2]), (int)(worst % (size_t)shape[3]), allowed);
}

static void test_vector(sf_bundle *bundle, sf_session *session, const sf_json *graph, const sf_json *vector) {
    sf_room *room = &bundle->passing;
    const char *file = sf_manifest_text(vector, "file", "");
    const sf_json *tolerances = sf_json_get(sf_json_get(vector, "tolerance"), bundle->precision);
    const sf_json *inputs = sf_json_get(graph, "inputs"), *outputs = sf_json_get(graph, "outputs");
    sf_tensor given[SF_PORTS_MOST], got[SF_PORTS_MOST];
    int32_t given_count = 0, got_count = 0;
    size_t size = 0;
    const uint8_t *bytes = sf_bundle_file(bundle, room, file, &size);
    for (const sf_json *input = inputs->first; input; input = input->next)
        read_array(room, bytes, size, "input.", input, file, &given[given_count++]);
    for (const sf_json *output = outputs->first; output; output = output->next)
        got[got_count++].name = sf_manifest_text(output, "name", "");
    sf_session_run(session, room, given, given_count, got, got_count);
    got_count = 0;
    for (const sf_json *output = outputs->first; output; output = output->next) {
        sf_tensor expected;
        const sf_tensor *one = &got[got_count++];
        const sf_json *tolerance = sf_json_get(tolerances, one->name);
        read_array(room, bytes, size, "output.", output, file, &expected);
        if (!tolerance) DIFFERS(room, "%.100s gives no tolerance for %.100s at %s", file, one->name, bundle->precision);
        compare(room, file, one, &expected, tolerance);
    }
}

static void test_graph(sf_bundle *bundle, sf_graph which) {
    const sf_json *graph = sf_manifest_graph(bundle->manifest, sf_graph_names[which]);
    const sf_json *vectors = sf_json_get(bundle->manifest, "vectors");
    int tested = 0;
    for (const sf_json *vector = vectors ? vectors->first : 0; vector; vector = vector->next) {
        if (strcmp(sf_manifest_text(vector, "graph", ""), sf_graph_names[which]) != 0) continue;
        const sf_mark mark = sf_room_mark(&bundle->passing);
        test_vector(bundle, bundle->sessions[which], graph, vector);
        sf_room_rewind(&bundle->passing, mark);
        tested = 1;
    }
    if (!tested)
        DIFFERS(&bundle->passing, "the graph %s has no test vector, so nothing shows that it works",
                sf_graph_names[which]);
}

static void test_all(sf_bundle *bundle) {
    for (const sf_json *file = sf_json_get(bundle->manifest, "files")->first; file; file = file->next) {
        size_t size = 0;
        const sf_mark mark = sf_room_mark(&bundle->passing);
        sf_bundle_file(bundle, &bundle->passing, sf_manifest_text(file, "path", ""), &size);
        sf_room_rewind(&bundle->passing, mark);
    }
    for (int which = 0; which < SF_GRAPHS; which++)
        if (bundle->sessions[which]) test_graph(bundle, (sf_graph)which);
}

int32_t sf_bundle_test(sf_bundle *bundle, sf_error *error) {
    if (!bundle)
        return sf_fail(error, SF_ERROR_ARGUMENT, "cannot test a bundle", "open it first", "the bundle is null");
    sf_bundle_begin(bundle, error);
    if (setjmp(bundle->passing.way_out)) return sf_bundle_end(bundle, bundle->passing.status);
    test_all(bundle);
    return sf_bundle_end(bundle, SF_OK);
}
