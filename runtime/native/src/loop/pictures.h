/* SPDX-License-Identifier: Apache-2.0 */
/* What pictures in a .sflow file must be (docs/sflow.md), beyond what the codecs take of any photo. */
#ifndef SF_PICTURES_H
#define SF_PICTURES_H

#include "loop/container.h"

/* Why the picture of a section whose size was looked at is none that a scene may hold; null where it is one. */
const char *sf_picture_wrong(const sf_section *section);

#endif
