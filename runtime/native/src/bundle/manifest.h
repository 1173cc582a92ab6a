/* SPDX-License-Identifier: Apache-2.0 */
/* What a bundle says about itself: manifest.json, judged by the rules of stillflow.bundle.manifest. */
#ifndef SF_MANIFEST_H
#define SF_MANIFEST_H

#include "bundle/bundle.h"

#define SF_MANIFEST_MOST ((size_t)4 << 20) /* bytes */

/*
 * Read and judge; gives up where it is no manifest, of another major version, or contradicts itself, and where this
 * library cannot play the bundle. What comes back is safe to act on: all members have the types that they should.
 */
const sf_json *sf_manifest_read(sf_room *room, const uint8_t *bytes, size_t size);

/* A text of a judged manifest, or what stands for it where it is not there. */
const char *sf_manifest_text(const sf_json *value, const char *name, const char *otherwise);

/* A graph, or null; and the name of its file at a precision, or null. */
const sf_json *sf_manifest_graph(const sf_json *manifest, const char *name);
const char *sf_manifest_variant(const sf_json *graph, const char *precision);

/* The entry of a file, or null. */
const sf_json *sf_manifest_file(const sf_json *manifest, const char *path);

/* How the networks are used. */
sf_rules sf_manifest_rules(const sf_json *manifest);

/* The name of what has not the type that it should, or null where all have. */
const char *sf_manifest_misfit(const sf_json *value);

/* "fp32", "fp16" or "int8". */
int sf_is_precision(const char *text);

/* Relative, with / between parts that do not begin with a dot: so no .., no drive, no hidden file. */
int sf_path_confined(const char *path);

#endif
