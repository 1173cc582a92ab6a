/* SPDX-License-Identifier: Apache-2.0 */
/* Devices, contexts, failures by wish, and what tests ask of the stand-in (stand_in_*). */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "driver.h"

std::recursive_mutex &lock() {
    static std::recursive_mutex one;
    return one;
}

const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static bool begun;
static pid_t begun_by;
static int lost_status;
static bool without_work;
static std::map<std::string, long> calls;
struct Failure {
    long after;
    int status;
};
static std::map<std::string, Failure> failures;

/* Tests name a function as CUDA's documentation does; it is counted where it does its work. */
static std::string counted(const std::string &name) {
    static const std::set<std::string> second = {
        "cuMemAlloc", "cuMemFree", "cuMemGetInfo", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemcpyDtoDAsync",
        "cuMemHostGetDevicePointer", "cuMemHostRegister", "cuEventDestroy", "cuEventElapsedTime", "cuStreamDestroy",
        "cuStreamBeginCapture", "cuCtxPushCurrent", "cuCtxDestroy", "cuDevicePrimaryCtxRelease",
    };
    if (second.count(name)) return name + "_v2";
    if (name == "cuStreamCreate") return "cuStreamCreateWithPriority";
    if (name == "cuGraphInstantiate") return "cuGraphInstantiateWithFlags";
    if (name == "cuMemAllocHost") return "cuMemHostAlloc";
    return name;
}

int lost() { return lost_status; }
int lose(int status) { return lost_status = status; }
bool initialised() { return begun; }
bool work_is_off() { return without_work; }

/* STAND_IN_FAIL: "cuMemAlloc:3:2,..." lets the third call return 2; 0 instead of 3: every call. */
static void read_failures() {
    std::string text = setting("STAND_IN_FAIL", "");
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        char name[128];
        Failure failure;
        if (sscanf(text.substr(at, end - at).c_str(), "%127[^:]:%ld:%d", name, &failure.after, &failure.status) == 3)
            failures[counted(name)] = failure;
        at = end + 1;
    }
}

int entered(const char *name) {
    static bool read = (read_failures(), true);
    (void)read;
    const long call = ++calls[name];
    /* CUDA does not survive a fork: a child of a process that used it has no driver. */
    if (begun && getpid() != begun_by && strcmp(name, "cuDriverGetVersion")) return NOT_INITIALIZED;
    if (lost_status) return lost_status;
    auto failure = failures.find(name);
    if (failure != failures.end() && (failure->second.after == call || !failure->second.after)) return failure->second.status;
    if (!begun && strcmp(name, "cuInit") && strcmp(name, "cuDriverGetVersion")) return NOT_INITIALIZED;
    return SUCCESS;
}

/* Devices and contexts. */

enum { DEVICES_MOST = 8 };
static Context primaries[DEVICES_MOST] = {{0, true}, {1, true}, {2, true}, {3, true},
                                          {4, true}, {5, true}, {6, true}, {7, true}};
static int retained[DEVICES_MOST];
static std::set<Context *> made;
static thread_local std::vector<Context *> pushed;

static int devices() {
    const int n = atoi(setting("STAND_IN_DEVICES", "1"));
    return n < DEVICES_MOST ? n : (int)DEVICES_MOST;
}
static bool known(const Context *context) {
    for (int i = 0; i < devices(); i++)
        if (context == &primaries[i]) return retained[i] > 0;
    return made.count(const_cast<Context *>(context)) > 0;
}
Context *current_context() { return pushed.empty() || !pushed.back() || !known(pushed.back()) ? nullptr : pushed.back(); }
int contexts_held() {
    int n = (int)made.size();
    for (int count : retained) n += count;
    return n;
}
int contexts_pushed() { return (int)pushed.size(); }

static int capability(int which) {
    int major = 8, minor = 7;
    sscanf(setting("STAND_IN_CAPABILITY", "8.7"), "%d.%d", &major, &minor);
    return which ? minor : major;
}

extern "C" {

CUresult cuInit(unsigned flags) {
    ENTER;
    if (flags) return INVALID_VALUE;
    if (devices() < 1) return 100;
    begun = true, begun_by = getpid();
    return SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
    ENTER;
    *version = atoi(setting("STAND_IN_VERSION", "13000"));
    return SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
    ENTER;
    *count = devices();
    return SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int index) {
    ENTER;
    if (index < 0 || index >= devices()) return INVALID_DEVICE;
    *device = index;
    return SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    snprintf(name, (size_t)size, "stand-in %d", device);
    return SUCCESS;
}

CUresult cuDeviceGetUuid_v2(char *uuid, CUdevice device) {
    ENTER;
    memset(uuid, 0x51, 16);
    uuid[15] = (char)device;
    return SUCCESS;
}
CUresult cuDeviceGetUuid(char *uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

CUresult cuDeviceGetPCIBusId(char *text, int size, CUdevice device) {
    ENTER;
    snprintf(text, (size_t)size, "0000:%02x:00.0", device + 1);
    return SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice) {
    ENTER;
    *major = capability(0), *minor = capability(1);
    return SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, int which, CUdevice device) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    const bool integrated = atoi(setting("STAND_IN_INTEGRATED", "0"));
    switch (which) {
    case 1: *value = 1024; break;             /* threads of a block */
    case 2: case 3: *value = 1024; break;     /* its sides */
    case 4: *value = 64; break;
    case 5: *value = 0x7fffffff; break;       /* blocks */
    case 6: case 7: *value = 65535; break;
    case 8: *value = 49152; break;            /* shared memory */
    case 10: *value = 32; break;              /* a warp */
    case 12: *value = 65536; break;           /* registers */
    case 13: *value = 1000000; break;         /* kHz */
    case 14: *value = 512; break;
    case 15: case 31: *value = 1; break;      /* overlap, concurrent kernels */
    case 16: *value = 4; break;               /* multiprocessors */
    case 18: *value = integrated; break;
    case 19: case 41: *value = 1; break;      /* maps host memory, one address space */
    case 36: *value = 1000000; break;
    case 37: *value = 256; break;             /* bits of the bus */
    case 38: *value = 4 << 20; break;         /* second-level cache */
    case 39: *value = 1536; break;
    case 40: *value = 2; break;
    case 88: *value = atoi(setting("STAND_IN_PAGEABLE", "0")); break; /* reaches memory that is not pinned */
    case 75: *value = capability(0); break;
    case 76: *value = capability(1); break;
    case 97: *value = 101376; break;
    default: *value = 0;
    }
    return SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(Context **context, CUdevice device) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    retained[device]++;
    *context = &primaries[device];
    return SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    if (retained[device] < 1) return INVALID_CONTEXT;
    if (!--retained[device]) forget_context(&primaries[device]);
    return SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return cuDevicePrimaryCtxRelease_v2(device); }

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    *flags = primaries[device].flags, *active = retained[device] > 0;
    return SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    primaries[device].flags = flags;
    return SUCCESS;
}

CUresult cuCtxCreate_v2(Context **context, unsigned flags, CUdevice device) {
    ENTER;
    if (device < 0 || device >= devices()) return INVALID_DEVICE;
    *context = new Context{device, false, flags};
    made.insert(*context);
    pushed.push_back(*context);
    return SUCCESS;
}
CUresult cuCtxCreate_v4(Context **context, void *, unsigned flags, CUdevice device) {
    return cuCtxCreate_v2(context, flags, device);
}

CUresult cuCtxDestroy_v2(Context *context) {
    ENTER;
    if (!made.erase(context)) return INVALID_CONTEXT;
    forget_context(context);
    if (!pushed.empty() && pushed.back() == context) pushed.pop_back();
    return SUCCESS; /* the few bytes stay: other threads may still have it pushed */
}

CUresult cuCtxPushCurrent_v2(Context *context) {
    ENTER;
    if (context && !known(context)) return INVALID_CONTEXT;
    pushed.push_back(context);
    return SUCCESS;
}

CUresult cuCtxPopCurrent_v2(Context **context) {
    Locked locked(lock()); /* a lost device lets go of the thread all the same */
    if (pushed.empty()) return INVALID_CONTEXT;
    if (context) *context = pushed.back();
    pushed.pop_back();
    return SUCCESS;
}

CUresult cuCtxSetCurrent(Context *context) {
    ENTER;
    if (context && !known(context)) return INVALID_CONTEXT;
    if (!pushed.empty()) pushed.pop_back();
    if (context) pushed.push_back(context);
    return SUCCESS;
}

CUresult cuCtxGetCurrent(Context **context) {
    ENTER;
    *context = pushed.empty() ? nullptr : pushed.back();
    return SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device) {
    ENTER;
    NEED_CONTEXT;
    *device = current_context()->device;
    return SUCCESS;
}

CUresult cuCtxGetApiVersion(Context *, unsigned *version) {
    ENTER;
    *version = 3020;
    return SUCCESS;
}

CUresult cuCtxGetFlags(unsigned *flags) {
    ENTER;
    NEED_CONTEXT;
    *flags = current_context()->flags;
    return SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    ENTER;
    NEED_CONTEXT;
    if (least) *least = 0;
    if (greatest) *greatest = -5;
    return SUCCESS;
}

CUresult cuCtxSynchronize(void) {
    ENTER;
    NEED_CONTEXT;
    if (int status = refused_while_any_captures(current_context())) return status;
    return finish_all(current_context());
}

CUresult cuCtxGetLimit(size_t *value, int) {
    ENTER;
    *value = 1024;
    return SUCCESS;
}
CUresult cuCtxSetLimit(int, size_t) {
    ENTER;
    return SUCCESS;
}
CUresult cuCtxGetCacheConfig(int *value) {
    ENTER;
    *value = 0;
    return SUCCESS;
}
CUresult cuCtxSetCacheConfig(int) {
    ENTER;
    return SUCCESS;
}

static const struct {
    int status;
    const char *name, *text;
} statuses[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
};

CUresult cuGetErrorString(CUresult status, const char **text) {
    for (const auto &one : statuses)
        if (one.status == status) return *text = one.text, SUCCESS;
    return *text = nullptr, INVALID_VALUE;
}
CUresult cuGetErrorName(CUresult status, const char **text) {
    for (const auto &one : statuses)
        if (one.status == status) return *text = one.name, SUCCESS;
    return *text = nullptr, INVALID_VALUE;
}

/* For tests. */

/* What is not given back, by kind: 0 memory, 1 modules, 2 streams, 3 events, 4 graphs, 5 contexts, 6 pushed here. */
long stand_in_held(int kind) {
    Locked locked(lock());
    switch (kind) {
    case 0: return (long)memory_pieces();
    case 1: return (long)module_count();
    case 2: return (long)stream_count();
    case 3: return (long)event_count();
    case 4: return (long)graph_count();
    case 5: return contexts_held();
    default: return contexts_pushed();
    }
}

/* Let a call fail: the after-th from now on (1 is the next) of a function. */
void stand_in_fail(const char *function, long after, int status) {
    Locked locked(lock());
    const std::string name = counted(function);
    failures[name] = {calls[name] + after, status};
}

/* Calls of a function so far. */
long stand_in_calls(const char *function) {
    Locked locked(lock());
    return calls[counted(function)];
}

/* From now on every call returns this, as after a crash of the device; 0 ends it, which no real device does. */
void stand_in_lose(int status) {
    Locked locked(lock());
    lost_status = status;
}

/* Take calls and do no work at all: for measuring what the calls themselves cost. */
void stand_in_without_work(int on) {
    Locked locked(lock());
    without_work = on;
}
}
