/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that looks like ONNX Runtime with one graph, that of the golden bundle, and counts what it hands out. Any of
 * its calls can be made to fail, so that a test can see that everything is released on every path.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundle/ort_slots.h"

#define PUBLIC __attribute__((visibility("default")))

static int calls, fail_at, live;
static const char *version = "1.18.0";
static int dtype = ORT_FLOAT32, same_names = 1;
static char told[2000];

PUBLIC int fake_calls(void) { return calls; }
PUBLIC int fake_live(void) { return live; }
PUBLIC const char *fake_told(void) { return told; }

/* Begin anew: the call of that number fails, 0 for none. */
PUBLIC void fake_begin(int number, const char *as_version, int as_dtype, int with_same_names) {
    calls = live = 0;
    fail_at = number;
    version = as_version;
    dtype = as_dtype;
    same_names = with_same_names;
    told[0] = 0;
}

static void tell(const char *a, const char *b) {
    const size_t used = strlen(told);
    snprintf(told + used, sizeof told - used, "%s=%s\n", a, b);
}

static void *hand_out(size_t size) {
    live++;
    return calloc(1, size);
}

static void take_back(void *piece) {
    if (!piece) return;
    live--;
    free(piece);
}

/* A status where this call is the one to fail. */
static ort_status *status(void) { return ++calls == fail_at ? hand_out(1) : 0; }

#define TRY                         \
    do {                            \
        ort_status *failed = status(); \
        if (failed) return failed;  \
    } while (0)

struct ort_value {
    int64_t shape[4];
    float *data;
    int own;
};

struct ort_shape {
    int64_t shape[4];
};

static const char *message(const ort_status *given) {
    (void)given;
    return "made to fail\nat a line of its own";
}

static ort_status *create_env(int severity, const char *name, ort_env **env) {
    (void)name;
    TRY;
    tell("severity", severity == ORT_FATAL ? "fatal" : "chatty");
    *env = hand_out(1);
    return 0;
}

static ort_status *create_session(const ort_env *env, const void *graph, size_t size, const ort_options *options,
                                  ort_session **session) {
    (void)env, (void)graph, (void)size, (void)options;
    TRY;
    *session = hand_out(1);
    return 0;
}

static ort_status *run(ort_session *session, const void *run_options, const char *const *input_names,
                       const ort_value *const *inputs, size_t input_count, const char *const *output_names,
                       size_t output_count, ort_value **outputs) {
    (void)session, (void)run_options, (void)input_names, (void)inputs, (void)input_count, (void)output_names;
    TRY;
    for (size_t i = 0; i < output_count; i++) {
        outputs[i] = hand_out(sizeof(ort_value));
        for (int side = 0; side < 4; side++) outputs[i]->shape[side] = 2;
        outputs[i]->data = calloc(16, sizeof(float));
        outputs[i]->own = 1;
    }
    return 0;
}

static ort_status *create_options(ort_options **options) {
    TRY;
    *options = hand_out(1);
    return 0;
}

static ort_status *plain(ort_options *options) {
    (void)options;
    return status();
}

static ort_status *number(ort_options *options, int value) {
    (void)options, (void)value;
    return status();
}

static ort_status *count_inputs(const ort_session *session, size_t *count) {
    (void)session;
    TRY;
    *count = 2;
    return 0;
}

static ort_status *count_outputs(const ort_session *session, size_t *count) {
    (void)session;
    TRY;
    *count = 4;
    return 0;
}

static ort_status *type(const ort_session *session, size_t index, ort_type **found) {
    (void)session, (void)index;
    TRY;
    *found = hand_out(1);
    return 0;
}

static ort_status *name(const char *text, char **copy) {
    TRY;
    *copy = hand_out(strlen(text) + 1);
    strcpy(*copy, text);
    return 0;
}

static ort_status *input_name(const ort_session *session, size_t index, ort_allocator *allocator, char **copy) {
    static const char *const names[] = {"photo", "hints"};
    (void)session, (void)allocator;
    return name(names[index], copy);
}

static ort_status *output_name(const ort_session *session, size_t index, ort_allocator *allocator, char **copy) {
    static const char *const names[] = {"classes", "moves", "velocity", "spread"};
    (void)session, (void)allocator;
    return name(same_names ? names[index] : "noise", copy);
}

static ort_status *wrap(const ort_memory *memory, void *data, size_t bytes, const int64_t *shape, size_t rank, int element,
                        ort_value **value) {
    (void)memory, (void)bytes, (void)shape, (void)rank, (void)element;
    TRY;
    *value = hand_out(sizeof(ort_value));
    (*value)->data = data;
    return 0;
}

static ort_status *data(ort_value *value, void **found) {
    TRY;
    *found = value->data;
    return 0;
}

static ort_status *tensor_of(const ort_type *given, const ort_shape **shape) {
    static const ort_shape any;
    (void)given;
    TRY;
    *shape = &any;
    return 0;
}

static ort_status *element(const ort_shape *shape, int *found) {
    (void)shape;
    TRY;
    *found = dtype;
    return 0;
}

static ort_status *rank(const ort_shape *shape, size_t *found) {
    (void)shape;
    TRY;
    *found = 4;
    return 0;
}

static ort_status *sides(const ort_shape *shape, int64_t *found, size_t count) {
    TRY;
    memcpy(found, shape->shape, count * sizeof *found);
    return 0;
}

static ort_status *shape_of(const ort_value *value, ort_shape **shape) {
    TRY;
    *shape = hand_out(sizeof(ort_shape));
    memcpy((*shape)->shape, value->shape, sizeof value->shape);
    return 0;
}

static ort_status *create_memory(int allocator, int memory_type, ort_memory **memory) {
    (void)allocator, (void)memory_type;
    TRY;
    *memory = hand_out(1);
    return 0;
}

static ort_status *release_piece(ort_allocator *allocator, void *piece) {
    (void)allocator;
    take_back(piece);
    return 0;
}

static ort_status *allocator(ort_allocator **found) {
    TRY;
    *found = 0;
    return 0;
}

static ort_status *set_entry(ort_options *options, const char *key, const char *value) {
    (void)options;
    TRY;
    tell(key, value);
    return 0;
}

static ort_status *create_provider(ort_provider **provider) {
    TRY;
    *provider = hand_out(1);
    return 0;
}

static ort_status *update_provider(ort_provider *provider, const char *const *keys, const char *const *values, size_t count) {
    (void)provider;
    TRY;
    for (size_t i = 0; i < count; i++) tell(keys[i], values[i]);
    return 0;
}

static ort_status *append_cuda(ort_options *options, const ort_provider *provider) {
    (void)options, (void)provider;
    TRY;
    tell("append", "cuda");
    return 0;
}

static ort_status *append_tensorrt(ort_options *options, const ort_provider *provider) {
    (void)options, (void)provider;
    TRY;
    tell("append", "tensorrt");
    return 0;
}

static void release_value(ort_value *value) {
    if (value && value->own) free(value->data);
    take_back(value);
}

#define RELEASE(kind) \
    static void release_##kind(ort_##kind *piece) { take_back(piece); }
RELEASE(env)
RELEASE(status)
RELEASE(memory)
RELEASE(session)
RELEASE(type)
RELEASE(shape)
RELEASE(options)
RELEASE(provider)

static const ort_table functions = {
    .message = message,
    .create_env = create_env,
    .create_session = create_session,
    .run = run,
    .create_options = create_options,
    .disable_arena = plain,
    .set_severity = number,
    .set_intra_threads = number,
    .set_inter_threads = number,
    .count = {count_inputs, count_outputs},
    .type = {type, type},
    .name = {input_name, output_name},
    .wrap = wrap,
    .data = data,
    .tensor_of = tensor_of,
    .element = element,
    .rank = rank,
    .sides = sides,
    .shape_of = shape_of,
    .create_memory = create_memory,
    .free = release_piece,
    .allocator = allocator,
    .release_env = release_env,
    .release_status = release_status,
    .release_memory = release_memory,
    .release_session = release_session,
    .release_value = release_value,
    .release_type = release_type,
    .release_shape = release_shape,
    .release_options = release_options,
    .set_entry = set_entry,
    .append_tensorrt = append_tensorrt,
    .create_tensorrt = create_provider,
    .update_tensorrt = update_provider,
    .release_tensorrt = release_provider,
    .append_cuda = append_cuda,
    .create_cuda = create_provider,
    .update_cuda = update_provider,
    .release_cuda = release_provider,
};

static const ort_table *table(uint32_t wanted) { return wanted == ORT_TABLE ? &functions : 0; }
static const char *told_version(void) { return version; }

PUBLIC const ort_base *OrtGetApiBase(void) {
    static const ort_base base = {table, told_version};
    return &base;
}
