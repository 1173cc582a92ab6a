/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a bundle: its manifest, then ONNX Runtime, then the networks that loops are made with. */
#include "bundle/opened.h"

#include <stdlib.h>
#include <string.h>

#include "codecs/codecs.h"
#include "kernels/scene.h"

#define SOUND_COPY "fetch or export the bundle again"
/* Of the memory limit, for what lasts; the rest is for what is read meanwhile. */
#define LASTING(limit) ((limit) / 4 + 1)

const char *const sf_graph_names[SF_GRAPHS] = {"flow", "generator"};

static const char what[] = "cannot open the bundle";

static void open_room(const sf_bundle *bundle, sf_room *room, uint64_t limit, sf_error *error) {
    sf_room_open(room, limit, error);
    room->given = bundle->limit;
    room->log = bundle->log;
    room->log_user = bundle->log_user;
}

void sf_bundle_begin(sf_bundle *bundle, sf_error *error) {
    open_room(bundle, &bundle->making, bundle->limit, error);
    open_room(bundle, &bundle->passing, bundle->limit - LASTING(bundle->limit), error);
}

int32_t sf_bundle_end(sf_bundle *bundle, int32_t status) {
    for (int i = 0; i < SF_GRAPHS; i++)
        if (bundle->sessions[i]) sf_session_settle(bundle->sessions[i]);
    sf_room_close(&bundle->making);
    sf_room_close(&bundle->passing);
    bundle->lasting.error = bundle->making.error = bundle->passing.error = 0; /* the caller's, of this call */
    return status;
}

static int same_sum(const uint8_t *bytes, size_t size, const char *expected) {
    static const char digits[] = "0123456789abcdef";
    uint8_t sum[32];
    char text[65] = {0};
    sf_sha256(bytes, size, sum);
    for (int i = 0; i < 32; i++) {
        text[2 * i] = digits[sum[i] >> 4];
        text[2 * i + 1] = digits[sum[i] & 15];
    }
    return strcmp(text, expected) == 0;
}

const uint8_t *sf_bundle_file(sf_bundle *bundle, sf_room *room, const char *path, size_t *size) {
    const sf_json *file = sf_manifest_file(bundle->manifest, path);
    if (!file)
        sf_give_up(room, SF_ERROR_FORMAT, "cannot read a file of the bundle", SOUND_COPY, "%.200s is not listed", path);
    const size_t wanted = (size_t)sf_json_get(file, "bytes")->number;
    const uint8_t *bytes = sf_files_read(room, bundle->files, path, wanted, size);
    if (*size != wanted || !same_sum(bytes, *size, sf_manifest_text(file, "sha256", "")))
        sf_give_up(room, SF_ERROR_FORMAT, "cannot read a file of the bundle", SOUND_COPY,
                   "the bytes of %.200s are not those the manifest was written for: it is damaged or was changed", path);
    return bytes;
}

/* An ONNX file says that a tensor lies in another file by this key. */
static int reads_elsewhere(const uint8_t *graph, size_t size) {
    static const char key[] = "\x0a\x08location";
    const size_t length = sizeof key - 1;
    for (size_t i = 0; i + length <= size; i++) {
        const uint8_t *found = memchr(graph + i, key[0], size - length - i + 1);
        if (!found) return 0;
        if (memcmp(found, key, length) == 0) return 1;
        i = (size_t)(found - graph);
    }
    return 0;
}

static int32_t number_of_dtype(const char *dtype) {
    static const struct {
        char name[8];
        int32_t number;
    } dtypes[] = {{"float32", 1}, {"uint8", 2}, {"int32", 6}, {"int64", 7}, {"float16", 10}};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, dtype) == 0) return dtypes[i].number;
    return 0;
}

/* The file has the inputs and outputs that the manifest gives the graph, by name, type and number of dimensions. */
static void check_ports(sf_bundle *bundle, const sf_json *graph, const sf_session *session) {
    static const char sides[][8] = {"inputs", "outputs"};
    for (int32_t side = 0; side < 2; side++) {
        const sf_json *said = sf_json_get(graph, sides[side]);
        const sf_port *ports = 0;
        int32_t same = 0;
        const int32_t count = sf_session_ports(session, side, &ports);
        for (const sf_json *tensor = said->first; tensor; tensor = tensor->next)
            for (int32_t i = 0; i < count; i++)
                same += strcmp(ports[i].name, sf_manifest_text(tensor, "name", "")) == 0 &&
                        ports[i].dtype == number_of_dtype(sf_manifest_text(tensor, "dtype", "")) &&
                        ports[i].rank == sf_json_get(tensor, "shape")->count;
        if (same != count || same != said->count)
            sf_give_up(&bundle->passing, SF_ERROR_FORMAT, what, "export the bundle again",
                       "the %s of the graph %.100s are not those that the manifest gives it", sides[side],
                       sf_manifest_text(graph, "name", ""));
    }
}

static void open_graph(sf_bundle *bundle, sf_graph which) {
    sf_room *passing = &bundle->passing;
    const sf_mark mark = sf_room_mark(passing);
    const sf_json *graph = sf_manifest_graph(bundle->manifest, sf_graph_names[which]);
    const char *file = sf_manifest_variant(graph, bundle->precision);
    size_t size = 0;
    if (!file)
        sf_give_up(passing, SF_ERROR_ARGUMENT, what, "leave the precision out, or see `stillflow bundle show`",
                   "it has no %.20s file of the graph %s", bundle->precision, sf_graph_names[which]);
    const uint8_t *bytes = sf_bundle_file(bundle, passing, file, &size);
    if (reads_elsewhere(bytes, size))
        sf_give_up(passing, SF_ERROR_FORMAT, what, "export it again with the weights inside",
                   "the graph %s wants to read weights from another file, which a bundle must not",
                   sf_graph_names[which]);
    sf_session_open(&bundle->lasting, bundle->engine, sf_graph_names[which], bytes, size, &bundle->sessions[which]);
    check_ports(bundle, graph, bundle->sessions[which]);
    sf_room_rewind(passing, mark);
}

static void open_all(sf_bundle *bundle, const sf_bundle_source *source) {
    sf_room *lasting = &bundle->lasting, *passing = &bundle->passing;
    size_t size = 0;
    sf_files_open(lasting, source->path, &bundle->files);
    const uint8_t *bytes = sf_files_read(passing, bundle->files, "manifest.json", SF_MANIFEST_MOST, &size);
    bundle->manifest = sf_manifest_read(lasting, bytes, size);
    sf_room_close(passing);
    bundle->precision = sf_manifest_text(bundle->manifest, "default_precision", "fp32");
    if (source->precision) {
        const size_t length = strlen(source->precision) + 1;
        if (!sf_is_precision(source->precision))
            sf_give_up(lasting, SF_ERROR_ARGUMENT, what, "use fp32, fp16 or int8", "there is no precision '%.20s'",
                       source->precision);
        bundle->precision = memcpy(sf_take(lasting, length, 1), source->precision, length);
    }
    const sf_rules rules = sf_manifest_rules(bundle->manifest);
    sf_engine_open(lasting, source, &bundle->engine);
    open_graph(bundle, SF_FLOW);
    if (rules.plate_network || rules.blend_network) open_graph(bundle, SF_GENERATOR);
}

static int32_t close_after(sf_bundle *bundle, int32_t status) {
    sf_bundle_end(bundle, status);
    sf_bundle_close(bundle);
    return status;
}

int32_t sf_bundle_open(const sf_bundle_source *source, sf_bundle **opened, sf_error *error) {
    const char *fix = "set struct_size to sizeof(sf_bundle_source), and path";
    if (opened) *opened = 0;
    if (!opened || !source || source->struct_size < sizeof *source || !source->path)
        return sf_fail(error, SF_ERROR_ARGUMENT, what, fix, "a pointer is null, or struct_size is too small");
    if (!sf_kernels_for(source->isa))
        return sf_fail(error, SF_ERROR_UNSUPPORTED, what, "set isa to SF_ISA_BEST", "%s",
                       sf_status_text(SF_ERROR_UNSUPPORTED));
    sf_bundle *bundle = calloc(1, sizeof *bundle);
    if (!bundle) return sf_fail(error, SF_ERROR_LIMIT, what, "free some memory", "the system has none left");
    bundle->limit = source->memory_limit ? source->memory_limit : SF_MEMORY_LIMIT;
    bundle->isa = source->isa;
    bundle->log = source->log;
    bundle->log_user = source->log_user;
    open_room(bundle, &bundle->lasting, LASTING(bundle->limit), error);
    sf_bundle_begin(bundle, error);
    if (setjmp(bundle->lasting.way_out)) return close_after(bundle, bundle->lasting.status);
    if (setjmp(bundle->passing.way_out)) return close_after(bundle, bundle->passing.status);
    open_all(bundle, source);
    *opened = bundle;
    return sf_bundle_end(bundle, SF_OK);
}

void sf_bundle_close(sf_bundle *bundle) {
    if (!bundle) return;
    for (int i = 0; i < SF_GRAPHS; i++) sf_session_close(bundle->sessions[i]);
    sf_engine_close(bundle->engine);
    sf_files_close(bundle->files);
    sf_room_close(&bundle->lasting);
    free(bundle);
}
