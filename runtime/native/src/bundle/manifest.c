/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest is judged as a whole: its version, its types, that its parts agree, and that this library can play it. */
#include "bundle/manifest.h"

#include <stdlib.h>
#include <string.h>

#define UPGRADE "use a newer libstillflow, or export the bundle again for this version"
#define OTHER "use the shipped bundle edge, or run it with `stillflow animate --bundle`"
#define SOUND "use a bundle that `stillflow-export bundle` wrote, or ask whoever made this one for a sound copy"

static const char what[] = "cannot open the bundle";

#define CONTRADICTS(room, ...) \
    sf_give_up(room, SF_ERROR_FORMAT, "cannot open the bundle: its manifest.json contradicts itself", SOUND, \
               __VA_ARGS__)

const char *sf_manifest_text(const sf_json *value, const char *name, const char *otherwise) {
    const sf_json *member = sf_json_get(value, name);
    return member && member->kind == SF_JSON_STRING ? member->string : otherwise;
}

/* The first element of a list that is a member, or null. */
static const sf_json *list(const sf_json *value, const char *name) {
    const sf_json *member = sf_json_get(value, name);
    return member ? member->first : 0;
}

static const sf_json *named(const sf_json *list, const char *key, const char *value) {
    for (; list; list = list->next)
        if (strcmp(sf_manifest_text(list, key, ""), value) == 0) return list;
    return 0;
}

const sf_json *sf_manifest_graph(const sf_json *manifest, const char *name) {
    return named(list(manifest, "graphs"), "name", name);
}

const char *sf_manifest_variant(const sf_json *graph, const char *precision) {
    if (strcmp(sf_manifest_text(graph, "precision", "fp32"), precision) == 0) return sf_manifest_text(graph, "file", 0);
    return sf_manifest_text(named(list(graph, "variants"), "precision", precision), "file", 0);
}

const sf_json *sf_manifest_file(const sf_json *manifest, const char *path) {
    return named(list(manifest, "files"), "path", path);
}

sf_rules sf_manifest_rules(const sf_json *manifest) {
    const sf_json *outputs = sf_json_get(manifest, "outputs");
    const sf_json *side = sf_json_get(sf_json_get(manifest, "sizes"), "flow_long_side");
    sf_rules rules = {side ? (int32_t)side->number : 0, 0, 0};
    rules.plate_network = strcmp(sf_manifest_text(outputs, "plate", ""), "network") == 0;
    rules.blend_network = strcmp(sf_manifest_text(outputs, "blend", ""), "network") == 0;
    return rules;
}

static void check_version(sf_room *room, const sf_json *manifest) {
    const char *version = sf_manifest_text(manifest, "schema_version", "");
    const size_t major = strspn(version, "0123456789");
    if (major && (version[major] == '.' || !version[major]) && !(major == 1 && version[0] == '1'))
        sf_give_up(room, SF_ERROR_VERSION, what, UPGRADE, "it has schema version %.20s, this library reads 1.x",
                   version);
}

typedef struct listed {
    const char *path, *sum;
} listed;

/* The files of a bundle, by path. Folded, since A.onnx and a.onnx are one file on macOS and Windows. */
typedef struct listing {
    sf_room *room;
    listed *files;
    size_t count;
} listing;

static int compare_folded(const void *one, const void *other) {
    const char *a = ((const listed *)one)->path, *b = ((const listed *)other)->path;
    for (;; a++, b++) {
        const int x = *a >= 'A' && *a <= 'Z' ? *a + 32 : *a, y = *b >= 'A' && *b <= 'Z' ? *b + 32 : *b;
        if (x != y || !x) return x - y;
    }
}

static const listed *find_listed(const listing *all, const char *path) {
    const listed wanted = {path, 0};
    return all->count ? bsearch(&wanted, all->files, all->count, sizeof wanted, compare_folded) : 0;
}

static listing list_files(sf_room *room, const sf_json *manifest) {
    const sf_json *files = sf_json_get(manifest, "files");
    listing all = {room, sf_take(room, (uint64_t)files->count, sizeof(listed)), 0};
    for (const sf_json *file = files->first; file; file = file->next)
        all.files[all.count++] = (listed){sf_manifest_text(file, "path", ""), sf_manifest_text(file, "sha256", "")};
    if (all.count) qsort(all.files, all.count, sizeof *all.files, compare_folded);
    for (size_t i = 1; i < all.count; i++)
        if (compare_folded(&all.files[i - 1], &all.files[i]) == 0)
            CONTRADICTS(room, "the file %.200s is listed twice", all.files[i].path);
    if (find_listed(&all, "manifest.json")) CONTRADICTS(room, "the manifest lists itself");
    return all;
}

/* A file that something speaks of is listed, with the same sum. */
static void check_listed(const listing *all, const sf_json *speaks) {
    const char *path = sf_manifest_text(speaks, "file", 0), *sum = sf_manifest_text(speaks, "sha256", 0);
    if (!path) return; /* a licence without a text of its own */
    const listed *file = find_listed(all, path);
    if (!file || strcmp(file->path, path) != 0)
        CONTRADICTS(all->room, "%.200s is used but not listed under files", path);
    if (sum && strcmp(sum, file->sum) != 0) CONTRADICTS(all->room, "%.200s has two different sha256", path);
}

static void check_names_differ(sf_room *room, const char *graph, const sf_json *tensor) {
    for (; tensor; tensor = tensor->next)
        if (named(tensor->next, "name", sf_manifest_text(tensor, "name", "")))
            CONTRADICTS(room, "the graph %.100s has two inputs or two outputs of one name", graph);
}

static void check_graph(const listing *all, const sf_json *manifest, const sf_json *graph) {
    sf_room *room = all->room;
    const char *name = sf_manifest_text(graph, "name", ""), *own = sf_manifest_text(graph, "precision", "fp32");
    const char *usual = sf_manifest_text(manifest, "default_precision", "fp32");
    if (named(graph->next, "name", name)) CONTRADICTS(room, "two graphs are named %.100s", name);
    check_listed(all, graph);
    for (const sf_json *variant = list(graph, "variants"); variant; variant = variant->next) {
        const char *precision = sf_manifest_text(variant, "precision", "");
        check_listed(all, variant);
        if (strcmp(precision, own) == 0 || named(variant->next, "precision", precision))
            CONTRADICTS(room, "the graph %.100s has two files of one precision", name);
    }
    if (!sf_manifest_variant(graph, usual))
        CONTRADICTS(room, "the graph %.100s has no file of the default precision %s", name, usual);
    check_names_differ(room, name, list(graph, "inputs"));
    check_names_differ(room, name, list(graph, "outputs"));
}

/* For each output, who may make it and which graph that takes. */
static const struct {
    char output[18], maker[20], graph[11]; /* the graph may be empty */
} makers[] = {
    {"velocity_unguided", "network", "flow"},
    {"velocity_unguided", "scene_flow", "scene_flow"},
    {"velocity_guided", "network", "flow"},
    {"velocity_guided", "rbf", ""},
    {"velocity_guided", "scene_flow", "scene_flow"},
    {"matte", "network", "flow"},
    {"plate", "network", "generator"},
    {"plate", "push_pull", ""},
    {"plate", "decoder", "decoder"},
    {"blend", "network", "generator"},
    {"blend", "variance_preserving", ""},
    {"blend", "symmetric_splat", "encoder"},
};

static void check_output(sf_room *room, const sf_json *manifest, const char *output) {
    const char *chosen = sf_manifest_text(sf_json_get(manifest, "outputs"), output, "");
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        if (strcmp(makers[i].output, output) != 0 || strcmp(makers[i].maker, chosen) != 0) continue;
        if (*makers[i].graph && !sf_manifest_graph(manifest, makers[i].graph))
            CONTRADICTS(room, "outputs.%s is made by the graph %s, which is not there", output, makers[i].graph);
        return;
    }
    CONTRADICTS(room, "outputs.%s is '%.40s', which makes no such output", output, chosen);
}

static void check_playable(sf_room *room, const sf_json *manifest) {
    const char *rule = sf_manifest_text(sf_json_get(manifest, "loop"), "rule", "cross_fade");
    const sf_json *outputs = sf_json_get(manifest, "outputs");
    const int splat = strcmp(rule, "symmetric_splat") == 0;
    if (splat != (strcmp(sf_manifest_text(outputs, "plate", ""), "decoder") == 0) ||
        splat != (strcmp(sf_manifest_text(outputs, "blend", ""), "symmetric_splat") == 0))
        CONTRADICTS(room, "symmetric_splat goes with outputs.plate decoder and outputs.blend symmetric_splat");
    if (splat)
        sf_give_up(room, SF_ERROR_UNSUPPORTED, what, OTHER,
                   "a network makes each of its frames (loop rule symmetric_splat), which libstillflow does not do");
    if (strcmp(rule, "cross_fade") != 0)
        sf_give_up(room, SF_ERROR_UNSUPPORTED, what, UPGRADE, "its loop rule '%.100s' is not known", rule);
    if (strcmp(sf_manifest_text(outputs, "velocity_unguided", ""), "scene_flow") == 0)
        sf_give_up(room, SF_ERROR_UNSUPPORTED, what, OTHER,
                   "its motion comes from a scene_flow network, which libstillflow does not run");
}

static void check_parts(sf_room *room, const sf_json *manifest) {
    static const char speaking[][9] = {"vectors", "receipts", "licences"};
    static const char of_graphs[][8] = {"vectors", "weights"};
    static const char outputs[][18] = {"velocity_unguided", "velocity_guided", "matte", "plate", "blend"};
    const listing all = list_files(room, manifest);
    for (const sf_json *graph = list(manifest, "graphs"); graph; graph = graph->next)
        check_graph(&all, manifest, graph);
    for (int i = 0; i < 3; i++)
        for (const sf_json *part = list(manifest, speaking[i]); part; part = part->next)
            check_listed(&all, part);
    for (int i = 0; i < 2; i++)
        for (const sf_json *part = list(manifest, of_graphs[i]); part; part = part->next)
            if (!sf_manifest_graph(manifest, sf_manifest_text(part, "graph", "")))
                CONTRADICTS(room, "%s speak of a graph that is not there", of_graphs[i]);
    for (int i = 0; i < 5; i++) check_output(room, manifest, outputs[i]);
}

const sf_json *sf_manifest_read(sf_room *room, const uint8_t *bytes, size_t size) {
    const sf_json *manifest = sf_json_read(room, (const char *)bytes, size);
    check_version(room, manifest);
    const char *misfit = sf_manifest_misfit(manifest);
    if (misfit)
        sf_give_up(room, SF_ERROR_FORMAT, "cannot open the bundle: its manifest.json is not valid", SOUND,
                   "'%s' is missing, or is not what it may be", misfit);
    check_parts(room, manifest);
    check_playable(room, manifest);
    return manifest;
}
