/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle on disk, checked, and its networks in ONNX Runtime. */
#ifndef SF_BUNDLE_H
#define SF_BUNDLE_H

#include "motion/motion.h"

/* A JSON document in a room: a tree that is read by name. All input is hostile; at most 64 levels, 2^20 values. */
typedef enum sf_json_kind { SF_JSON_NULL, SF_JSON_FALSE, SF_JSON_TRUE, SF_JSON_NUMBER, SF_JSON_STRING, SF_JSON_ARRAY, SF_JSON_OBJECT } sf_json_kind;

typedef struct sf_json {
    sf_json_kind kind;
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

/* The files of a bundle: a folder, or an uncompressed zip of one. Paths are confined to it. */
typedef struct sf_files sf_files;
sf_files *sf_files_open(sf_room *room, const char *path);
/* Whole bytes of a file, of at most `most`; gives up where it is missing or larger. */
const uint8_t *sf_files_read(sf_room *room, sf_files *files, const char *name, size_t most, size_t *size);
void sf_files_close(sf_files *files); /* unmap; null is allowed */

/* Read one array of an .npz (a zip of .npy, stored or deflated), float32 only, rank <= 4; 0 where there is none of that name. */
int sf_npz_read(sf_room *room, const uint8_t *bytes, size_t size, const char *name, sf_tensor *tensor);

/* ONNX Runtime, loaded. */
typedef struct sf_engine sf_engine;
typedef struct sf_session sf_session;
sf_engine *sf_engine_open(sf_room *room, const sf_bundle_source *source);
void sf_engine_close(sf_engine *engine);
/* A graph's bytes, to be asked as sf_network says; inputs and outputs are checked against the names that are given. */
sf_session *sf_session_open(sf_room *room, sf_engine *engine, const char *name, const uint8_t *graph, size_t size);
void sf_session_run(void *session, sf_room *room, const sf_tensor *inputs, int32_t input_count, sf_tensor *outputs, int32_t output_count);
void sf_session_close(sf_session *session);

#endif
