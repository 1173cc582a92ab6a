/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that stands where libcuda.so.1 stands, on a machine without a GPU: what its parts know of each other.
 *
 * Device memory is the host's, kernels are the CUDA sources themselves (cuda_on_host.h). Streams are lazy: work waits
 * in them until something waits for it, so a forgotten wait shows as a wrong result. See README.md.
 */
#ifndef STAND_IN_DRIVER_H
#define STAND_IN_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "registry.h"

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;

enum : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY = 209,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    ALREADY_REGISTERED = 712,
    NOT_REGISTERED = 713,
    MISALIGNED = 716,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNJOINED = 904,
    CAPTURE_IMPLICIT = 906,
    CAPTURE_WRONG_THREAD = 908,
};

struct Context {
    int device;
    bool primary;
    unsigned flags = 0;
};

/* A moment in a stream: what an event stands for, once recorded. */
struct Stream;
struct Point {
    Stream *stream;
    bool passed = false;
    double milliseconds = 0;
};
typedef std::shared_ptr<Point> PointRef;

/* One piece of work; the number it returns is an error that the device never recovers from. */
typedef std::function<int()> Work;

struct Operation {
    Work work;        /* may be empty */
    PointRef awaited; /* is passed before the work */
    PointRef point;   /* is passed by the work */
};

struct Capture {
    Stream *origin;
    int mode;
    unsigned long thread;
    std::vector<Work> works;
    std::set<Stream *> forked; /* streams whose last work is not joined yet */
    std::set<Stream *> streams;
    bool broken = false;
};

struct Stream {
    Context *context;
    bool blocking; /* waits for the legacy default stream, and it for this one */
    std::deque<Operation> queue;
    std::shared_ptr<Capture> capture;
    bool running = false;
    int priority = 0;
    unsigned flags = 0;
    uint64_t number = 0;
};

struct Event {
    Context *context;
    bool timing;
    PointRef point;
    std::shared_ptr<Capture> capture; /* recorded into one, by which stream */
    Stream *captured = nullptr;
};

struct Graph {
    std::vector<Work> works;
};
struct GraphExec {
    std::shared_ptr<std::vector<Work>> works;
};

struct Module {
    Context *context;
    std::vector<char> image;
    std::map<std::string, struct Function *> functions;
};
struct Function {
    const HostKernel *kernel;
    Module *module;
};

/* The one lock: calls come from several threads, work is done one after the other. */
std::recursive_mutex &lock();
typedef std::lock_guard<std::recursive_mutex> Locked;

/* What every function does first: counts the call, and says whether it fails by wish or because the device is lost. */
int entered(const char *name);
#define ENTER                                                                                                          \
    Locked locked(lock());                                                                                             \
    if (int status = entered(__func__)) return status

int lost();
int lose(int status);
bool initialised();
bool work_is_off();
const char *setting(const char *name, const char *otherwise);

Context *current_context();
#define NEED_CONTEXT                                                                                                   \
    if (!current_context()) return INVALID_CONTEXT

Stream *stream_of(void *handle); /* null: no such stream, or of another context */
int enqueue(Stream *stream, Work work);
int finish(Stream *stream);
int finish_all(Context *context);
int refused_while_capturing(); /* for calls that may wait */
int refused_while_any_captures(Context *context);
void forget_context(Context *context);
void forget_memory(Context *context);

enum Kind { DEVICE, HOST };
bool in_device(uint64_t address, size_t size);
bool in_pinned(uint64_t address, size_t size);
int check_guards(const char *culprit);
int run_guarded(const std::function<void()> &work, const char *what);
size_t memory_pieces();
size_t module_count();
size_t stream_count();
size_t event_count();
size_t graph_count();
int contexts_held();
int contexts_pushed();

#endif
