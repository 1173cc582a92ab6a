/* SPDX-License-Identifier: Apache-2.0 */
/* Functions by name: libraries ask for "cuMemAlloc" and mean the newest version that they were written for. */
#include <cstdio>
#include <cstring>
#include <dlfcn.h>

#include "driver.h"

extern "C" CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status);

static void *exported(const std::string &name) {
    static Dl_info own;
    static void *library = dladdr((void *)&cuGetProcAddress_v2, &own) ? dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : nullptr;
    return library ? dlsym(library, name.c_str()) : nullptr;
}

extern "C" {

CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t, int *status) {
    *function = nullptr;
    if (status) *status = 1; /* no such symbol */
    const std::string wanted = name;
    /* The same name took more arguments from a version on. */
    const char *newest = wanted == "cuCtxCreate"              ? (version >= 13000 ? "_v4" : "_v2")
                         : wanted == "cuStreamGetCaptureInfo" ? (version >= 13000 ? "_v3" : "_v2")
                         : wanted == "cuStreamGetCtx"         ? (version >= 12050 ? "_v2" : "")
                                                              : nullptr;
    if (newest) *function = exported(wanted + newest);
    for (const char *suffix : {"_v3", "_v2", ""})
        if (!*function && !newest) *function = exported(wanted + suffix);
    if (*function && status) *status = 0;
    if (!*function && setting("STAND_IN_ASKED", nullptr)) fprintf(stderr, "stand-in: no %s\n", name);
    return *function ? SUCCESS : NOT_FOUND;
}
CUresult cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, nullptr);
}
CUresult cuGetExportTable(const void **table, const void *) { return *table = nullptr, NOT_FOUND; }
CUresult cuProfilerStart(void) { return SUCCESS; }
CUresult cuProfilerStop(void) { return SUCCESS; }
}
