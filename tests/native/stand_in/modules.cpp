/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: real cubins, whose kernels are looked up by name among those that were built for the host. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"

static HostKernel *first;
HostKernel::HostKernel(const char *name, std::function<void(Grid, Grid)> (*bind)(void **), std::vector<Place> (*layout)())
    : name(name), bind(bind), layout(layout), next(first) {
    first = this;
}
const HostKernel *find_kernel(const char *name) {
    for (const HostKernel *one = first; one; one = one->next)
        if (!strcmp(one->name, name)) return one;
    return nullptr;
}

static std::set<Module *> modules;
static std::set<Function *> functions;
size_t module_count() { return modules.size(); }

/* Bytes of an ELF file that ends with its table of sections or of segments; 0: it is none. */
static size_t elf_size(const unsigned char *image) {
    if (memcmp(image, "\177ELF\2\1", 6)) return 0;
    uint64_t segments, sections;
    uint16_t of_segment, count_segments, of_section, count_sections;
    memcpy(&segments, image + 32, 8), memcpy(&sections, image + 40, 8);
    memcpy(&of_segment, image + 54, 2), memcpy(&count_segments, image + 56, 2);
    memcpy(&of_section, image + 58, 2), memcpy(&count_sections, image + 60, 2);
    const uint64_t a = segments + of_segment * count_segments, b = sections + of_section * count_sections;
    return (size_t)(a > b ? a : b);
}

/* The architecture of a cubin, such as 87: in the flags, whose layout changed with CUDA 13; 0: cannot tell. */
static int cubin_architecture(const unsigned char *image) {
    uint32_t flags;
    memcpy(&flags, image + 48, 4);
    return image[8] >= 8 ? (int)(flags >> 8 & 0xff) : (int)(flags & 0xff);
}

/* PTX is a text: ".target sm_87" says for what at least it was made. */
static bool is_ptx(const char *image) { return !strncmp(image, "//", 2) && strstr(image, "\n.version ") != nullptr; }

static int load(Module **module, const void *image) {
    if (!image) return INVALID_VALUE;
    int major = 8, minor = 7;
    sscanf(setting("STAND_IN_CAPABILITY", "8.7"), "%d.%d", &major, &minor);
    const unsigned char *bytes = static_cast<const unsigned char *>(image);
    size_t size = elf_size(bytes);
    if (size) {
        const int made_for = cubin_architecture(bytes);
        if (made_for && (made_for / 10 != major || made_for % 10 > minor)) return NO_BINARY;
    } else {
        if (!is_ptx((const char *)image)) return INVALID_IMAGE;
        int least = 0;
        const char *target = strstr((const char *)image, "\n.target sm_");
        if (!target || sscanf(target, "\n.target sm_%d", &least) != 1) return INVALID_IMAGE;
        if (least > 10 * major + minor) return NO_BINARY;
        size = strlen((const char *)image);
    }
    *module = new Module{current_context(), std::vector<char>(bytes, bytes + size), {}};
    modules.insert(*module);
    return SUCCESS;
}

static int find(Function **function, Module *module, const char *name) {
    if (!modules.count(module)) return INVALID_HANDLE;
    auto found = module->functions.find(name);
    if (found != module->functions.end()) return *function = found->second, SUCCESS;
    const std::string image(module->image.begin(), module->image.end());
    const std::string section = std::string(".text.") + name + std::string(1, '\0');
    const std::string entry = std::string(".entry ") + name + "(";
    if (image.find(section) == std::string::npos && image.find(entry) == std::string::npos) return NOT_FOUND;
    const HostKernel *kernel = find_kernel(name);
    if (!kernel) {
        fprintf(stderr, "stand-in: %s is in the module, but in no kernels_*.cpp\n", name);
        return NOT_FOUND;
    }
    *function = new Function{kernel, module};
    functions.insert(*function);
    module->functions[name] = *function;
    return SUCCESS;
}

static int unload(Module *module) {
    if (!modules.erase(module)) return INVALID_HANDLE;
    for (auto &one : module->functions) functions.erase(one.second), delete one.second;
    delete module;
    return SUCCESS;
}

extern "C" {

CUresult cuModuleLoadData(Module **module, const void *image) {
    ENTER;
    NEED_CONTEXT;
    return load(module, image);
}
CUresult cuModuleLoadDataEx(Module **module, const void *image, unsigned count, int *options, void **values) {
    for (unsigned i = 0; i < count; i++)
        if (options[i] == 4 || options[i] == 6) values[i] = nullptr; /* bytes of the logs: nothing is said */
    return cuModuleLoadData(module, image);
}
CUresult cuModuleLoadFatBinary(Module **module, const void *image) { return cuModuleLoadData(module, image); }
CUresult cuModuleUnload(Module *module) {
    ENTER;
    NEED_CONTEXT;
    return unload(module);
}
CUresult cuModuleGetFunction(Function **function, Module *module, const char *name) {
    ENTER;
    NEED_CONTEXT;
    return find(function, module, name);
}
CUresult cuModuleGetLoadingMode(int *mode) {
    ENTER;
    *mode = 2;
    return SUCCESS;
}

CUresult cuLibraryLoadData(Module **module, const void *image, int *, void **, unsigned, int *, void **, unsigned) {
    ENTER;
    return load(module, image);
}
CUresult cuLibraryUnload(Module *module) {
    ENTER;
    return unload(module);
}
CUresult cuLibraryGetKernel(Function **function, Module *module, const char *name) {
    ENTER;
    return find(function, module, name);
}
CUresult cuLibraryGetModule(Module **module, Module *library) {
    ENTER;
    *module = library;
    return SUCCESS;
}
CUresult cuKernelGetFunction(Function **function, Function *kernel) {
    ENTER;
    *function = kernel;
    return SUCCESS;
}
CUresult cuKernelGetLibrary(Module **library, Function *kernel) {
    ENTER;
    *library = kernel->module;
    return SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, int which, Function *function) {
    ENTER;
    if (!functions.count(function)) return INVALID_HANDLE;
    *value = which == 0 ? 1024 : which == 4 ? 32 : 0;
    return SUCCESS;
}
CUresult cuFuncGetParamInfo(Function *function, size_t index, size_t *offset, size_t *size) {
    ENTER;
    if (!functions.count(function)) return INVALID_HANDLE;
    const std::vector<Place> places = function->kernel->layout();
    if (index >= places.size()) return INVALID_VALUE;
    *offset = places[index].offset, *size = places[index].size;
    return SUCCESS;
}
CUresult cuFuncLoad(Function *function) {
    ENTER;
    return functions.count(function) ? SUCCESS : INVALID_HANDLE;
}
CUresult cuFuncSetCacheConfig(Function *, int) {
    ENTER;
    return SUCCESS;
}

/* Arguments in one buffer, as PyCUDA gives them: 1, the buffer, 2, where its size is, 0. */
static bool unpack(const HostKernel *kernel, void **extra, std::vector<void *> &places) {
    char *buffer = nullptr;
    size_t size = 0;
    for (; *extra; extra += 2) {
        if (*extra == (void *)1) buffer = static_cast<char *>(extra[1]);
        else if (*extra == (void *)2) size = *static_cast<size_t *>(extra[1]);
        else return false;
    }
    const std::vector<Place> layout = kernel->layout();
    if (!buffer || size != (layout.empty() ? 0 : layout.back().offset + layout.back().size)) return false;
    for (const Place &place : layout) places.push_back(buffer + place.offset);
    return true;
}

CUresult cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned, void *stream, void **parameters, void **extra) {
    ENTER;
    NEED_CONTEXT;
    Stream *on = stream_of(stream);
    if (!on) return INVALID_HANDLE;
    if (!functions.count(function)) return INVALID_HANDLE;
    const uint64_t threads = (uint64_t)bx * by * bz;
    if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || !threads || threads > 1024) return INVALID_VALUE;
    std::vector<void *> places;
    if (extra) {
        if (parameters || !unpack(function->kernel, extra, places)) return INVALID_VALUE;
        parameters = places.data();
    }
    if (!parameters) return INVALID_VALUE;
    auto run = function->kernel->bind(parameters);
    const char *name = function->kernel->name;
    const Grid blocks = {gx, gy, gz}, each = {bx, by, bz};
    return enqueue(on, [=] {
        /* Or a graph launches it that outlived it. */
        if (!functions.count(function)) {
            fprintf(stderr, "stand-in: %s was unloaded before it ran\n", name);
            return lose(ILLEGAL_ADDRESS);
        }
        const int status = run_guarded([&] { run(blocks, each); }, name);
        return status ? status : check_guards(name);
    });
}
}
