/* SPDX-License-Identifier: Apache-2.0 */
/* A graph in ONNX Runtime: float32 arrays in and out, by name. */
#include <string.h>

#include "bundle/engine.h"

#define ASKED_MOST SF_PORTS_MOST

struct sf_session {
    const sf_engine *engine;
    const char *name;
    ort_session *graph;
    int32_t counts[2];
    sf_port *ports[2];
    /* Of what is under way. */
    ort_type *type;
    ort_shape *shape;
    char *text;
    ort_allocator *allocator;
    ort_value *values[2][ASKED_MOST];
};

static void check_open(sf_room *room, const sf_session *session, ort_status *status) {
    sf_engine_check(room, session->engine, status, "cannot load a network of the bundle",
                    "check the bundle with `stillflow bundle verify`, or export it again");
}

static void check_run(sf_room *room, const sf_session *session, ort_status *status) {
    sf_engine_check(room, session->engine, status, "a network of the bundle failed",
                    "check the bundle with sf_bundle_test, and free some memory");
}

_Noreturn static void refuse(sf_room *room, const sf_session *session, const char *port, const char *why) {
    sf_give_up(room, SF_ERROR_ENGINE, "cannot use a network of the bundle", "export the bundle again",
               "'%.100s' of the graph %.100s %s", port, session->name, why);
}

/* A copy of the port's name in the room; type and shape are released again. */
static void read_port(sf_room *room, sf_session *session, int32_t side, size_t index, sf_port *port) {
    const ort_table *ort = session->engine->ort;
    const ort_shape *shape = 0;
    size_t rank = 0;
    int element = 0;
    check_open(room, session, ort->name[side](session->graph, index, session->allocator, &session->text));
    const size_t length = strlen(session->text) + 1;
    port->name = memcpy(sf_take(room, length, 1), session->text, length);
    check_open(room, session, ort->type[side](session->graph, index, &session->type));
    check_open(room, session, ort->tensor_of(session->type, &shape));
    if (!shape) refuse(room, session, port->name, "is no array");
    check_open(room, session, ort->element(shape, &element));
    check_open(room, session, ort->rank(shape, &rank));
    port->dtype = element;
    port->rank = rank > 8 ? 9 : (int32_t)rank;
    sf_session_settle(session);
}

void sf_session_open(sf_room *room, sf_engine *engine, const char *name, const uint8_t *graph, size_t size,
                     sf_session **opened) {
    sf_session *session = *opened = sf_take_zeroed(room, 1, sizeof *session);
    const ort_table *ort = engine->ort;
    session->engine = engine;
    session->name = name;
    check_open(room, session, ort->allocator(&session->allocator));
    check_open(room, session, ort->create_session(engine->env, graph, size, engine->options, &session->graph));
    for (int32_t side = 0; side < 2; side++) {
        size_t count = 0;
        check_open(room, session, ort->count[side](session->graph, &count));
        if (count > SF_PORTS_MOST) refuse(room, session, side ? "outputs" : "inputs", "are too many");
        session->ports[side] = sf_take_zeroed(room, count, sizeof(sf_port));
        session->counts[side] = (int32_t)count;
        for (size_t i = 0; i < count; i++) read_port(room, session, side, i, &session->ports[side][i]);
    }
}

int32_t sf_session_ports(const sf_session *session, int32_t side, const sf_port **ports) {
    *ports = session->ports[side];
    return session->counts[side];
}

static const sf_port *find_port(const sf_session *session, int32_t side, const char *name) {
    for (int32_t i = 0; i < session->counts[side]; i++)
        if (strcmp(session->ports[side][i].name, name) == 0) return &session->ports[side][i];
    return 0;
}

static void wrap_input(sf_room *room, sf_session *session, const sf_tensor *input, ort_value **value) {
    const sf_port *port = find_port(session, 0, input->name);
    uint64_t count = 1;
    if (!port) refuse(room, session, input->name, "is no input");
    if (port->dtype != ORT_FLOAT32 || port->rank > 4)
        refuse(room, session, input->name, "is not float32 of four dimensions at most");
    for (int i = 0; i < 4; i++) {
        if (input->shape[i] < 1 || input->shape[i] > 1 << 28 || (i >= port->rank && input->shape[i] != 1))
            refuse(room, session, input->name, "is given another number of dimensions");
        count *= (uint64_t)input->shape[i];
        if (count > 1 << 28) refuse(room, session, input->name, "is given too many samples");
    }
    const sf_engine *engine = session->engine;
    check_run(room, session, engine->ort->wrap(engine->memory, input->data, count * sizeof(float), input->shape,
                                               (size_t)port->rank, ORT_FLOAT32, value));
}

/* Copy a value into the room; shapes of lower rank end in 1. */
static void copy_output(sf_room *room, sf_session *session, ort_value *value, sf_tensor *output) {
    const ort_table *ort = session->engine->ort;
    size_t rank = 0;
    int element = 0;
    uint64_t count = 1;
    void *data = 0;
    check_run(room, session, ort->shape_of(value, &session->shape));
    check_run(room, session, ort->element(session->shape, &element));
    check_run(room, session, ort->rank(session->shape, &rank));
    if (element != ORT_FLOAT32 || rank > 4)
        refuse(room, session, output->name, "is not float32 of four dimensions at most");
    for (int i = 0; i < 4; i++) output->shape[i] = 1;
    check_run(room, session, ort->sides(session->shape, output->shape, rank));
    for (int i = 0; i < 4; i++) {
        if (output->shape[i] < 0 || output->shape[i] > 1 << 28)
            refuse(room, session, output->name, "has an absurd shape");
        count *= (uint64_t)output->shape[i];
        if (count > 1 << 28) refuse(room, session, output->name, "has an absurd shape");
    }
    check_run(room, session, ort->data(value, &data));
    output->data = sf_take(room, count, sizeof(float));
    if (count) memcpy(output->data, data, (size_t)count * sizeof(float));
    ort->release_shape(session->shape);
    session->shape = 0;
}

void sf_session_run(void *self, sf_room *room, const sf_tensor *inputs, int32_t input_count, sf_tensor *outputs,
                    int32_t output_count) {
    sf_session *session = self;
    const char *names[2][ASKED_MOST];
    sf_tensor *wanted[ASKED_MOST];
    size_t count = 0;
    if (input_count > ASKED_MOST || output_count > ASKED_MOST) refuse(room, session, "run", "is asked too much");
    sf_session_settle(session);
    for (int32_t i = 0; i < input_count; i++) {
        names[0][i] = inputs[i].name;
        wrap_input(room, session, &inputs[i], &session->values[0][i]);
    }
    for (int32_t i = 0; i < output_count; i++) {
        outputs[i].data = 0;
        if (!find_port(session, 1, outputs[i].name)) continue;
        names[1][count] = outputs[i].name;
        wanted[count++] = &outputs[i];
    }
    const ort_value *const *values = (const ort_value *const *)session->values[0];
    check_run(room, session, session->engine->ort->run(session->graph, 0, names[0], values, (size_t)input_count,
                                                       names[1], count, session->values[1]));
    for (size_t i = 0; i < count; i++) copy_output(room, session, session->values[1][i], wanted[i]);
    sf_session_settle(session);
}

void sf_session_settle(sf_session *session) {
    const ort_table *ort = session->engine->ort;
    for (int32_t side = 0; side < 2; side++)
        for (int i = 0; i < ASKED_MOST; i++) {
            if (session->values[side][i]) ort->release_value(session->values[side][i]);
            session->values[side][i] = 0;
        }
    if (session->shape) ort->release_shape(session->shape);
    if (session->type) ort->release_type(session->type);
    if (session->text) {
        ort_status *status = ort->free(session->allocator, session->text);
        if (status) ort->release_status(status);
    }
    session->shape = 0;
    session->type = 0;
    session->text = 0;
}

void sf_session_close(sf_session *session) {
    if (!session) return;
    sf_session_settle(session);
    if (session->graph) session->engine->ort->release_session(session->graph);
    session->graph = 0;
}
