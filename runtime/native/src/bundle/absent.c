/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of bundles in a library that was built without networks: the same ABI, and a reason. */
#include "room.h"

#if defined(SF_NO_NETWORKS)

static int32_t absent(sf_error *error) {
    return sf_fail(error, SF_ERROR_UNSUPPORTED, "bundles and photos cannot be used",
                   "use a library that was built with -DSTILLFLOW_NETWORKS=ON, or bake the photo and open the .sflow file",
                   "this libstillflow only plays baked scenes");
}

int32_t sf_bundle_open(const sf_bundle_source *source, sf_bundle **bundle, sf_error *error) {
    (void)source;
    if (bundle) *bundle = 0;
    return absent(error);
}

int32_t sf_bundle_test(sf_bundle *bundle, sf_error *error) {
    (void)bundle;
    return absent(error);
}

int32_t sf_bundle_loop(sf_bundle *bundle, const sf_photo *photo, const sf_wish *wish, sf_loop **loop, sf_error *error) {
    (void)bundle, (void)photo, (void)wish;
    if (loop) *loop = 0;
    return absent(error);
}

void sf_bundle_close(sf_bundle *bundle) { (void)bundle; }

#endif
