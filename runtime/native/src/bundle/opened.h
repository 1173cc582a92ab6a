/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle that is open. */
#ifndef SF_OPENED_H
#define SF_OPENED_H

#include "bundle/manifest.h"

typedef enum sf_graph { SF_FLOW, SF_GENERATOR, SF_GRAPHS } sf_graph;

struct sf_bundle {
    sf_room lasting; /* the manifest and what describes the sessions */
    sf_room making;  /* of a call: what it makes */
    sf_room passing; /* of a call: what it needs meanwhile */
    sf_files *files;
    sf_engine *engine;
    sf_session *sessions[SF_GRAPHS]; /* null where the bundle does not use the graph */
    const sf_json *manifest;
    const char *precision; /* of the graphs' files */
    uint64_t limit;
    int32_t isa;
    sf_log log;
    void *log_user;
};

extern const char *const sf_graph_names[SF_GRAPHS];

/*
 * Begin a call: both of its rooms are empty and tell the bundle's log. What is passing has what the bundle may take
 * beside what lasts; what is made may take the limit of a loop, and who makes one lets both rooms share that.
 */
void sf_bundle_begin(sf_bundle *bundle, sf_error *error);

/* End it, also after a jump: everything is given back but what lasts. Returns status. */
int32_t sf_bundle_end(sf_bundle *bundle, int32_t status);

/* The bytes of a file in a room, after comparing them with the manifest. */
const uint8_t *sf_bundle_file(sf_bundle *bundle, sf_room *room, const char *path, size_t *size);

/*
 * Pixels of a photo as stillflow.photo reads them, (height, width, 3) in the room, scaled down to long_side if that is
 * not 0.
 */
uint8_t *sf_photo_read(sf_room *room, const sf_photo *photo, int32_t long_side, int32_t *height, int32_t *width);

#endif
