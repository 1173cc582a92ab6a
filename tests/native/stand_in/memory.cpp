/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of the device and pinned memory, and copies. A piece of device memory ends, but for less than 256 bytes, where
 * nobody may touch anything for 4 MiB, as before it, and has a guard on both sides; what is given back is closed to
 * everybody for a while.
 */
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

#include "driver.h"

enum : size_t { PAGE = 4096, ALIGN = 256, GUARD = 512, CLOSED = 4 << 20, QUARANTINE = 64 };
enum { FRESH = 0xFF, GUARDED = 0xA5 };

struct Piece {
    size_t size;
    char *map;
    size_t mapped;
    int device;
    Context *context;
};
static std::map<uint64_t, Piece> pieces;
static std::map<uint64_t, size_t> pinned, registered;
static std::map<uint64_t, Context *> pinned_by;
static std::deque<Piece> closed;
static size_t used[16];

size_t memory_pieces() { return pieces.size() + pinned.size() + registered.size(); }

static size_t limit() {
    /* STAND_IN_MEMORY: bytes of device memory, read at every call so that a test can lower it. */
    return (size_t)strtoull(setting("STAND_IN_MEMORY", "8589934592"), nullptr, 10);
}
static size_t lowered = 0;
static size_t total() { return lowered ? lowered : limit(); }

template <class P> static bool inside(const std::map<uint64_t, P> &map, uint64_t address, size_t size, size_t (*of)(const P &)) {
    auto next = map.upper_bound(address);
    if (next == map.begin()) return false;
    auto piece = std::prev(next);
    return address + size <= piece->first + of(piece->second);
}
bool in_device(uint64_t address, size_t size) {
    return inside<Piece>(pieces, address, size, [](const Piece &p) { return p.size; });
}
bool in_pinned(uint64_t address, size_t size) {
    auto whole = [](const size_t &n) { return n; };
    return inside<size_t>(pinned, address, size, whole) || inside<size_t>(registered, address, size, whole);
}

static char *front(uint64_t address) { return (char *)(uintptr_t)address - GUARD; }
static bool spoilt(const char *from, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)from[i] != GUARDED) return true;
    return false;
}
static size_t slack(size_t size) { return (ALIGN - size % ALIGN) % ALIGN; }
static bool damaged(uint64_t address, const Piece &piece, const char *culprit) {
    const bool before = spoilt(front(address), GUARD);
    const bool behind = spoilt((char *)(uintptr_t)address + piece.size, slack(piece.size));
    if (before || behind)
        fprintf(stderr, "stand-in: %s wrote %s a piece of %zu bytes\n", culprit, before ? "before" : "behind", piece.size);
    return before || behind;
}
int check_guards(const char *culprit) {
    for (auto &piece : pieces)
        if (damaged(piece.first, piece.second, culprit)) return lose(ILLEGAL_ADDRESS);
    return SUCCESS;
}

/* Work that touches what it may not: the signal becomes CUDA's error. */
static thread_local sigjmp_buf escape;
static thread_local volatile bool escapable;
static const int signals[] = {SIGSEGV, SIGBUS, SIGILL};
static struct sigaction before[3];
static void caught(int number, siginfo_t *info, void *context) {
    if (escapable) siglongjmp(escape, number);
    const struct sigaction &old = before[number == SIGSEGV ? 0 : number == SIGBUS ? 1 : 2];
    if (old.sa_flags & SA_SIGINFO) return old.sa_sigaction(number, info, context);
    if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) return old.sa_handler(number);
    signal(number, SIG_DFL);
    raise(number);
}
int run_guarded(const std::function<void()> &work, const char *what) {
    static bool ready = [] {
        struct sigaction action = {};
        action.sa_sigaction = caught;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        for (int i = 0; i < 3; i++) sigaction(signals[i], &action, &before[i]);
        return true;
    }();
    (void)ready;
    if (const int number = sigsetjmp(escape, 1)) {
        escapable = false;
        if (number == SIGILL) {
            fprintf(stderr, "stand-in: %s took a misaligned address, or did what is not defined with a number\n", what);
            return lose(MISALIGNED);
        }
        fprintf(stderr, "stand-in: %s touched memory that is not its own\n", what);
        return lose(ILLEGAL_ADDRESS);
    }
    escapable = true;
    work();
    escapable = false;
    return SUCCESS;
}

static void release_oldest() {
    munmap(closed.front().map, closed.front().mapped);
    closed.pop_front();
}

static int take(CUdeviceptr *address, size_t size, int device) {
    if (!size) return INVALID_VALUE;
    if (size > total() || used[device] + size > total()) return OUT_OF_MEMORY;
    const size_t body = (size + slack(size) + GUARD + PAGE - 1) / PAGE * PAGE, mapped = body + 2 * CLOSED;
    char *map = (char *)mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return OUT_OF_MEMORY;
    if (mprotect(map + CLOSED, body, PROT_READ | PROT_WRITE)) return munmap(map, mapped), OUT_OF_MEMORY;
    char *at = map + CLOSED + body - size - slack(size);
    memset(at - GUARD, GUARDED, GUARD);
    /* Not a number for floats, 255 for bytes: what is read before it is written shows. */
    memset(at, FRESH, size);
    memset(at + size, GUARDED, slack(size));
    *address = (uint64_t)(uintptr_t)at;
    pieces[*address] = {size, map, mapped, device, current_context()};
    used[device] += size;
    return SUCCESS;
}

static int give(CUdeviceptr address) {
    if (!address) return SUCCESS;
    auto piece = pieces.find(address);
    if (piece == pieces.end()) return INVALID_VALUE;
    const bool bad = damaged(address, piece->second, "something");
    mprotect(piece->second.map, piece->second.mapped, PROT_NONE);
    madvise(piece->second.map, piece->second.mapped, MADV_DONTNEED);
    used[piece->second.device] -= piece->second.size;
    closed.push_back(piece->second);
    pieces.erase(piece);
    while (closed.size() > QUARANTINE) release_oldest();
    return bad ? lose(ILLEGAL_ADDRESS) : SUCCESS;
}

/* Pinned memory that was given back: whoever still copies from or to it, or looks at it, touches what nobody may. */
static std::deque<std::pair<void *, size_t>> closed_pins;
static void close_pin(uint64_t address, size_t size) {
    void *at = (void *)(uintptr_t)address;
    mprotect(at, size, PROT_NONE);
    madvise(at, size, MADV_DONTNEED);
    closed_pins.push_back({at, size});
    if (closed_pins.size() <= QUARANTINE) return;
    munmap(closed_pins.front().first, closed_pins.front().second);
    closed_pins.pop_front();
}

/* A context takes with it what was allocated in it. */
void forget_memory(Context *context) {
    std::vector<uint64_t> lost_pieces, lost_pins;
    for (auto &piece : pieces)
        if (piece.second.context == context) lost_pieces.push_back(piece.first);
    for (auto &one : pinned_by)
        if (one.second == context) lost_pins.push_back(one.first);
    for (uint64_t address : lost_pieces) give(address);
    for (uint64_t address : lost_pins) {
        const size_t size = pinned[address];
        pinned.erase(address), pinned_by.erase(address), close_pin(address, size);
    }
}

static int copy_now(void *to, const void *from, size_t size) {
    return run_guarded([=] { memmove(to, from, size); }, "a copy");
}
/* STAND_IN_PAGEABLE: a device that reaches all of the host's memory by itself, so that copies of it are not staged. */
static bool reaches_all() { return atoi(setting("STAND_IN_PAGEABLE", "0")); }
static bool on_device(uint64_t address, size_t size) { return in_device(address, size) || in_pinned(address, size); }

template <class T> static CUresult fill(CUdeviceptr to, T value, size_t count, void *stream) {
    Stream *on = stream_of(stream);
    if (!on) return INVALID_HANDLE;
    if (!count) return SUCCESS;
    if (!on_device(to, count * sizeof(T))) return INVALID_VALUE;
    return enqueue(on, [=] {
        return run_guarded([=] { for (size_t i = 0; i < count; i++) memcpy((char *)(uintptr_t)to + i * sizeof(T), &value, sizeof(T)); }, "a fill");
    });
}
extern "C" {

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    ENTER;
    NEED_CONTEXT;
    if (int status = refused_while_capturing()) return status;
    return take(address, size, current_context()->device);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned) {
    *pitch = (width + 511) / 512 * 512;
    return cuMemAlloc_v2(address, *pitch * height);
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    ENTER;
    NEED_CONTEXT;
    if (int status = refused_while_capturing()) return status;
    return give(address);
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, void *stream) {
    ENTER;
    NEED_CONTEXT;
    if (!stream_of(stream)) return INVALID_HANDLE;
    return take(address, size, current_context()->device);
}

CUresult cuMemFreeAsync(CUdeviceptr address, void *stream) {
    ENTER;
    Stream *on = stream_of(stream);
    if (!on) return INVALID_HANDLE;
    if (!in_device(address, 1)) return INVALID_VALUE;
    return enqueue(on, [=] { return give(address); });
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *all) {
    ENTER;
    NEED_CONTEXT;
    const size_t mine = used[current_context()->device];
    *all = total();
    *free = *all > mine ? *all - mine : 0;
    return SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *all, CUdevice) {
    ENTER;
    *all = total();
    return SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    ENTER;
    auto next = pieces.upper_bound(address);
    if (next == pieces.begin() || !in_device(address, 1)) return NOT_FOUND;
    auto piece = std::prev(next);
    if (base) *base = piece->first;
    if (size) *size = piece->second.size;
    return SUCCESS;
}

CUresult cuMemHostAlloc(void **address, size_t size, unsigned) {
    ENTER;
    NEED_CONTEXT;
    if (!size) return INVALID_VALUE;
    if (int status = refused_while_capturing()) return status;
    *address = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*address == MAP_FAILED) return OUT_OF_MEMORY;
    memset(*address, FRESH, size);
    pinned[(uint64_t)(uintptr_t)*address] = size;
    pinned_by[(uint64_t)(uintptr_t)*address] = current_context();
    return SUCCESS;
}
CUresult cuMemAllocHost_v2(void **address, size_t size) { return cuMemHostAlloc(address, size, 0); }

CUresult cuMemFreeHost(void *address) {
    ENTER;
    NEED_CONTEXT;
    auto found = pinned.find((uint64_t)(uintptr_t)address);
    if (found == pinned.end()) return INVALID_VALUE;
    const size_t size = found->second;
    pinned.erase(found), pinned_by.erase((uint64_t)(uintptr_t)address);
    close_pin((uint64_t)(uintptr_t)address, size);
    return SUCCESS;
}

CUresult cuMemHostRegister_v2(void *address, size_t size, unsigned) {
    ENTER;
    NEED_CONTEXT;
    if (registered.count((uint64_t)(uintptr_t)address)) return ALREADY_REGISTERED;
    registered[(uint64_t)(uintptr_t)address] = size;
    return SUCCESS;
}

CUresult cuMemHostUnregister(void *address) {
    ENTER;
    NEED_CONTEXT;
    return registered.erase((uint64_t)(uintptr_t)address) ? SUCCESS : NOT_REGISTERED;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *host, unsigned) {
    ENTER;
    if (!in_pinned((uint64_t)(uintptr_t)host, 1)) return INVALID_VALUE;
    *address = (uint64_t)(uintptr_t)host;
    return SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *host) {
    ENTER;
    if (!in_pinned((uint64_t)(uintptr_t)host, 1)) return INVALID_VALUE;
    *flags = 0;
    return SUCCESS;
}

CUresult cuPointerGetAttribute(void *data, int which, CUdeviceptr address) {
    ENTER;
    const bool device = in_device(address, 1), host = in_pinned(address, 1);
    if (!device && !host) return INVALID_VALUE;
    switch (which) {
    case 1: *(void **)data = current_context(); return SUCCESS;
    case 2: *(int *)data = host ? 1 : 2; return SUCCESS;
    case 3: *(CUdeviceptr *)data = address; return SUCCESS;
    case 4: *(void **)data = (void *)(uintptr_t)address; return host ? SUCCESS : INVALID_VALUE;
    case 8: *(int *)data = 0; return SUCCESS;
    case 9: *(int *)data = device ? std::prev(pieces.upper_bound(address))->second.device : 0; return SUCCESS;
    default: return NOT_SUPPORTED;
    }
}

CUresult cuPointerGetAttributes(unsigned count, int *which, void **data, CUdeviceptr address) {
    ENTER;
    const bool device = in_device(address, 1), host = in_pinned(address, 1);
    for (unsigned i = 0; i < count; i++) {
        switch (which[i]) {
        case 2: *(int *)data[i] = host ? 1 : device ? 2 : 0; break;
        case 3: *(CUdeviceptr *)data[i] = device || host ? address : 0; break;
        case 4: *(void **)data[i] = host ? (void *)(uintptr_t)address : nullptr; break;
        case 8: *(int *)data[i] = 0; break;
        case 9: *(int *)data[i] = device ? std::prev(pieces.upper_bound(address))->second.device : host ? 0 : -2; break;
        default: break;
        }
    }
    return SUCCESS;
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, void *stream) {
    ENTER;
    Stream *on = stream_of(stream);
    if (!on) return INVALID_HANDLE;
    if (!size) return SUCCESS;
    if (!on_device(to, size) || !from) return INVALID_VALUE;
    void *target = (void *)(uintptr_t)to;
    if (in_pinned((uint64_t)(uintptr_t)from, size) || on->capture || reaches_all())
        return enqueue(on, [=] { return copy_now(target, from, size); });
    /* Pageable: what it holds now. */
    auto kept = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + size);
    return enqueue(on, [=] { return copy_now(target, kept->data(), size); });
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, void *stream) {
    ENTER;
    Stream *on = stream_of(stream);
    if (!on) return INVALID_HANDLE;
    if (!size) return SUCCESS;
    if (!on_device(from, size) || !to) return INVALID_VALUE;
    const void *source = (const void *)(uintptr_t)from;
    const int status = enqueue(on, [=] { return copy_now(to, source, size); });
    if (status || on->capture || in_pinned((uint64_t)(uintptr_t)to, size) || reaches_all()) return status;
    return finish(on); /* pageable: done when it returns */
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, void *stream) {
    ENTER;
    Stream *on = stream_of(stream);
    if (!on) return INVALID_HANDLE;
    if (!size) return SUCCESS;
    if (!on_device(to, size) || !on_device(from, size)) return INVALID_VALUE;
    return enqueue(on, [=] { return copy_now((void *)(uintptr_t)to, (const void *)(uintptr_t)from, size); });
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t size, void *stream) {
    if (!on_device(from, size)) return cuMemcpyHtoDAsync_v2(to, (const void *)(uintptr_t)from, size, stream);
    if (!on_device(to, size)) return cuMemcpyDtoHAsync_v2((void *)(uintptr_t)to, from, size, stream);
    return cuMemcpyDtoDAsync_v2(to, from, size, stream);
}

static CUresult wait_default(CUresult status) { return status ? status : finish(stream_of(nullptr)); }
static CUresult may_wait() {
    Locked locked(lock());
    return current_context() ? refused_while_capturing() : INVALID_CONTEXT;
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
    if (int status = may_wait()) return status;
    Locked locked(lock());
    return wait_default(cuMemcpyHtoDAsync_v2(to, from, size, nullptr));
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
    if (int status = may_wait()) return status;
    Locked locked(lock());
    return wait_default(cuMemcpyDtoHAsync_v2(to, from, size, nullptr));
}
CUresult cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t size) {
    if (int status = may_wait()) return status;
    return cuMemcpyDtoDAsync_v2(to, from, size, nullptr); /* does not wait on real ones either */
}
CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t size) {
    if (int status = may_wait()) return status;
    Locked locked(lock());
    return wait_default(cuMemcpyAsync(to, from, size, nullptr));
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, void *stream) {
    ENTER;
    return fill(to, value, count, stream);
}
CUresult cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, void *stream) {
    ENTER;
    return fill(to, value, count, stream);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, void *stream) {
    ENTER;
    return fill(to, value, count, stream);
}
CUresult cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) { return cuMemsetD8Async(to, value, count, nullptr); }
CUresult cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) { return cuMemsetD16Async(to, value, count, nullptr); }
CUresult cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) { return cuMemsetD32Async(to, value, count, nullptr); }

/* For tests: bytes of device memory there are from now on; 0: as STAND_IN_MEMORY says. */
void stand_in_memory(size_t bytes) {
    Locked locked(lock());
    lowered = bytes;
}

/* Bytes of device memory in use. */
long stand_in_used(void) {
    Locked locked(lock());
    size_t all = 0;
    for (size_t one : used) all += one;
    return (long)all;
}
}
