/* SPDX-License-Identifier: Apache-2.0 */
/* What engine.c and session.c share. */
#ifndef SF_ENGINE_H
#define SF_ENGINE_H

#include "bundle/bundle.h"
#include "bundle/ort_slots.h"

/* All that must be released lies here as soon as it is there, since a give-up may come at any time. */
struct sf_engine {
    void *library;
    const ort_table *ort;
    const char *version;
    ort_env *env;
    ort_memory *memory;
    ort_options *options; /* of all sessions */
    ort_provider *cuda, *tensorrt;
};

/* Give up where a call gave a status, which is released; what is the beginning of the message. */
void sf_engine_check(sf_room *room, const sf_engine *engine, ort_status *status, const char *what, const char *fix);

#endif
