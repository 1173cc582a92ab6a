/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX Runtime from a shared library that is looked for when a bundle is opened, with one provider and no other. */
#define _POSIX_C_SOURCE 200809L
#include "bundle/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#define BEGIN 70 /* characters of a long message that are told */
#define END 180
#define INSTALL "install ONNX Runtime 1.18 or later, or give the path of its library as onnxruntime"

static const char what[] = "cannot use ONNX Runtime";

#if defined(_WIN32)

static const char usual[][24] = {"onnxruntime.dll", ""};

static void *load(const char *name) { return (void *)LoadLibraryA(name); }
static void unload(void *library) { FreeLibrary((HMODULE)library); }

static ort_entry find_entry(void *library) {
    return (ort_entry)(void (*)(void))GetProcAddress((HMODULE)library, "OrtGetApiBase");
}

static const char *load_error(void) { return "the system does not load it"; }

#else

#if defined(__APPLE__)
static const char usual[][24] = {"libonnxruntime.dylib", "libonnxruntime.1.dylib", ""};
#else
static const char usual[][24] = {"libonnxruntime.so", "libonnxruntime.so.1", ""};
#endif

/* NODELETE: its threads and providers leave things behind that outlive the last session, so its code stays. */
static void *load(const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }
static void unload(void *library) { dlclose(library); }

static ort_entry find_entry(void *library) {
    void *symbol = dlsym(library, "OrtGetApiBase");
    ort_entry entry = 0;
    memcpy(&entry, &symbol, sizeof entry); /* C knows no cast from data to code */
    return entry;
}

static const char *load_error(void) {
    const char *error = dlerror();
    return error ? error : "the system does not load it";
}

#endif

void sf_engine_check(sf_room *room, const sf_engine *engine, ort_status *status, const char *what, const char *fix) {
    char told[1024];
    if (!status) return;
    snprintf(told, sizeof told, "%s", engine->ort->message(status));
    engine->ort->release_status(status);
    told[strcspn(told, "\r\n")] = 0; /* stack traces follow */
    const size_t length = strlen(told);
    if (length <= BEGIN + END)
        sf_give_up(room, SF_ERROR_ENGINE, what, fix, "ONNX Runtime %s says: %s", engine->version, told);
    /* A long line has names of functions in the middle, and the reason at its end. */
    sf_give_up(room, SF_ERROR_ENGINE, what, fix, "ONNX Runtime %s says: %.*s ... %s", engine->version, BEGIN, told,
               told + length - END);
}

static void load_library(sf_room *room, sf_engine *engine, const char *named) {
    const char *name = named;
    char told[300] = ""; /* of each name that was tried, which the system's words begin with */
    for (int i = 0; !engine->library && (named ? !i : *usual[i]); i++) {
        const size_t length = strlen(told);
        if (!named) name = usual[i];
        engine->library = load(name);
        if (!engine->library)
            snprintf(told + length, sizeof told - length, "%s%.*s", i ? "; " : "", named ? 299 : 140, load_error());
    }
    if (!engine->library) sf_give_up(room, SF_ERROR_ENGINE, what, INSTALL, "%s", told);
    const ort_entry entry = find_entry(engine->library);
    if (!entry)
        sf_give_up(room, SF_ERROR_ENGINE, what, INSTALL, "%.200s is not it: it lacks OrtGetApiBase", name);
    const ort_base *base = entry();
    int major = 0, minor = 0;
    engine->version = base->version();
    /* Not simply tried: for a table that it lacks it prints a line. */
    if (sscanf(engine->version, "%d.%d", &major, &minor) != 2 || major != 1 || minor < ORT_TABLE)
        sf_give_up(room, SF_ERROR_VERSION, what, INSTALL, "the library is version %.40s", engine->version);
    engine->ort = base->table(ORT_TABLE);
    if (!engine->ort)
        sf_give_up(room, SF_ERROR_VERSION, what, INSTALL, "version %.40s lacks the functions of 1.18", engine->version);
}

static void check(sf_room *room, const sf_engine *engine, ort_status *status) {
    sf_engine_check(room, engine, status, what, "see whether ONNX Runtime works at all, or install another version");
}

static void add_cuda(sf_room *room, sf_engine *engine, const char *device) {
    /* Not the default TF32, which rounds what a float32 file multiplies to 10 bits; and a photo's size is new every
     * time, so that no search for the fastest algorithm is worth while. */
    const char *const keys[] = {"device_id", "use_tf32", "cudnn_conv_algo_search", "arena_extend_strategy"};
    const char *const values[] = {device, "0", "HEURISTIC", "kSameAsRequested"};
    const char *failed = "cannot use ONNX Runtime on CUDA";
    const char *fix =
        "install ONNX Runtime for GPUs with the CUDA and cuDNN that it was built for, or use the provider cpu";
    sf_engine_check(room, engine, engine->ort->create_cuda(&engine->cuda), failed, fix);
    sf_engine_check(room, engine, engine->ort->update_cuda(engine->cuda, keys, values, 4), failed, fix);
    sf_engine_check(room, engine, engine->ort->append_cuda(engine->options, engine->cuda), failed, fix);
}

static void add_tensorrt(sf_room *room, sf_engine *engine, const char *device) {
    const char *const keys[] = {"device_id"};
    const char *failed = "cannot use ONNX Runtime with TensorRT";
    const char *fix =
        "install ONNX Runtime for GPUs with the TensorRT that it was built for, or use the provider cuda or cpu";
    sf_engine_check(room, engine, engine->ort->create_tensorrt(&engine->tensorrt), failed, fix);
    sf_engine_check(room, engine, engine->ort->update_tensorrt(engine->tensorrt, keys, &device, 1), failed, fix);
    sf_engine_check(room, engine, engine->ort->append_tensorrt(engine->options, engine->tensorrt), failed, fix);
}

/* The options that stillflow's sessions have in Python too. */
static void set_options(sf_room *room, sf_engine *engine, const sf_bundle_source *source) {
    const ort_table *ort = engine->ort;
    const char *provider = source->provider ? source->provider : "cpu";
    const int on_cpu = strcmp(provider, "cpu") == 0;
    char device[16];
    snprintf(device, sizeof device, "%d", (int)source->device);
    check(room, engine, ort->create_options(&engine->options));
    check(room, engine, ort->set_severity(engine->options, ORT_FATAL));
    check(room, engine, ort->set_intra_threads(engine->options, source->threads));
    check(room, engine, ort->set_inter_threads(engine->options, 1));
    /* A network runs once a photo, then frames are made on the same cores: threads that spin, and memory that is kept,
     * would only be in the way. */
    check(room, engine, ort->set_entry(engine->options, "session.intra_op.allow_spinning", "0"));
    check(room, engine, ort->disable_arena(engine->options));
    if (on_cpu) return;
    /* Else single nodes, or all of them, would run on the CPU without a word. */
    check(room, engine, ort->set_entry(engine->options, "session.disable_cpu_ep_fallback", "1"));
    if (strcmp(provider, "cuda") == 0)
        add_cuda(room, engine, device);
    else if (strcmp(provider, "tensorrt") == 0)
        add_tensorrt(room, engine, device);
    else
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "use cpu, cuda or tensorrt", "the provider '%.40s' is not known",
                   provider);
}

void sf_engine_open(sf_room *room, const sf_bundle_source *source, sf_engine **opened) {
    sf_engine *engine = *opened = sf_take_zeroed(room, 1, sizeof *engine);
    if (source->device < 0 || source->threads < 0)
        sf_give_up(room, SF_ERROR_ARGUMENT, what, "give 0 or more", "device or threads is below 0");
    /* A library does not change its process's environment; and once ONNX Runtime is loaded it is too late. */
    if (!getenv("ORT_DISABLE_TELEMETRY"))
        sf_tell(room, 2, "ONNX Runtime may keep telemetry: set ORT_DISABLE_TELEMETRY=1 in the environment before");
    load_library(room, engine, source->onnxruntime);
    check(room, engine, engine->ort->create_env(ORT_FATAL, "stillflow", &engine->env));
    check(room, engine, engine->ort->create_memory(ORT_ARENA, ORT_DEFAULT, &engine->memory));
    set_options(room, engine, source);
    sf_tell(room, 1, "ONNX Runtime %s, provider %s", engine->version, source->provider ? source->provider : "cpu");
}

void sf_engine_close(sf_engine *engine) {
    if (!engine) return;
    if (engine->ort) {
        if (engine->cuda) engine->ort->release_cuda(engine->cuda);
        if (engine->tensorrt) engine->ort->release_tensorrt(engine->tensorrt);
        if (engine->options) engine->ort->release_options(engine->options);
        if (engine->memory) engine->ort->release_memory(engine->memory);
        if (engine->env) engine->ort->release_env(engine->env);
    }
    if (engine->library) unload(engine->library);
    memset(engine, 0, sizeof *engine);
}
