/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle on disk, checked, and its networks in ONNX Runtime. */
#ifndef SF_BUNDLE_H
#define SF_BUNDLE_H

#include "motion/motion.h"

/* A JSON document in a room: a tree that is read by name. All input is hostile; at most 64 levels, 2^20 values. */
typedef enum sf_json_kind {
    SF_JSON_NULL, SF_JSON_FALSE, SF_JSON_TRUE, SF_JSON_NUMBER, SF_JSON_STRING, SF_JSON_ARRAY, SF_JSON_OBJECT
} sf_json_kind;

typedef struct sf_json {
    sf_json_kind kind;
    int32_t whole;      /* a number without fraction and exponent */
    double number;
    const char *string; /* UTF-8, ended by 0, without a 0 inside; of SF_JSON_STRING */
    const char *name;   /* where it is a member of an object */
    const struct sf_json *first, *next; /* members or elements; the next of the same parent */
    int32_t count;
} sf_json;

/* Parse; gives up with SF_ERROR_FORMAT where it is no JSON. */
const sf_json *sf_json_read(sf_room *room, const char *text, size_t size);
/* A member, or null: also of what is no object, or null. */
const sf_json *sf_json_get(const sf_json *value, const char *name);

/*
 * The files of a bundle: a folder, or an uncompressed zip of one. Paths are confined to it; links are followed where
 * they stay inside. *opened is set before anything can fail, and closed by whoever entered the room.
 */
typedef struct sf_files sf_files;
void sf_files_open(sf_room *room, const char *path, sf_files **opened);
/* Whole bytes of a file, of at most `most`; gives up where it is missing or larger. */
const uint8_t *sf_files_read(sf_room *room, sf_files *files, const char *name, size_t most, size_t *size);
void sf_files_close(sf_files *files); /* null is allowed */

/*
 * Read one array of an .npz (a zip of .npy, stored or deflated), float32 only, rank <= 4, with shapes of lower rank
 * ending in 1; 0 where there is none of that name.
 */
int sf_npz_read(sf_room *room, const uint8_t *bytes, size_t size, const char *name, sf_tensor *tensor);

/* ONNX Runtime, loaded. Like files, *opened is set early and closed by whoever entered the room. */
typedef struct sf_engine sf_engine;
void sf_engine_open(sf_room *room, const sf_bundle_source *source, sf_engine **opened);
void sf_engine_close(sf_engine *engine); /* after its sessions; null is allowed */

#define SF_PORTS_MOST 64 /* inputs or outputs of a graph */

/* One input or output of a graph. */
typedef struct sf_port {
    const char *name;
    int32_t dtype; /* as ONNX numbers them: 1 is float32 */
    int32_t rank;
} sf_port;

/* A graph that can be asked as sf_network says. */
typedef struct sf_session sf_session;
void sf_session_open(sf_room *room, sf_engine *engine, const char *name, const uint8_t *graph, size_t size,
                     sf_session **opened);
/* Inputs (side 0) or outputs (side 1) as the file has them; returns how many. */
int32_t sf_session_ports(const sf_session *session, int32_t side, const sf_port **ports);
void sf_session_run(void *session, sf_room *room, const sf_tensor *inputs, int32_t input_count, sf_tensor *outputs,
                    int32_t output_count);
/* Release what a run that gave up has left; a run that ended has left nothing. */
void sf_session_settle(sf_session *session);
void sf_session_close(sf_session *session); /* null is allowed */

#endif
