// SPDX-License-Identifier: Apache-2.0
// stillflow in C++17: handles that close themselves, errors as exceptions. Header only; copy it into your project.
#ifndef STILLFLOW_HPP
#define STILLFLOW_HPP

#include <stillflow.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace stillflow {

// What a call says when it fails: what(), and what to do about it.
class Error : public std::runtime_error {
public:
    Error(int32_t code, const std::string &text, std::string cure)
        : std::runtime_error(text), status(code), fix(std::move(cure)) {}
    const int32_t status;
    const std::string fix;
};

namespace detail {
inline void check(int32_t status) {
    if (status) throw Error(status, sf_status_text(status), "");
}
inline void check(int32_t status, const sf_error &error) {
    if (status) throw Error(status, std::string(error.what) + ": " + error.why, error.fix);
}
template <typename T>
T sized() {
    T made = {};
    made.struct_size = sizeof made;
    return made;
}
} // namespace detail

// Memory at a multiple of SF_ALIGNMENT.
class Memory {
public:
    explicit Memory(std::size_t size = 0)
        : size_(size), bytes_(static_cast<std::uint8_t *>(::operator new(size ? size : 1, align))) {}
    std::uint8_t *data() const { return bytes_.get(); }
    std::size_t size() const { return size_; }

private:
    static constexpr std::align_val_t align{SF_ALIGNMENT};
    struct Free {
        void operator()(std::uint8_t *bytes) const { ::operator delete(bytes, align); }
    };
    std::size_t size_;
    std::unique_ptr<std::uint8_t, Free> bytes_;
};

// A loop: a baked scene, or what a bundle made of a photo. May be used by any number of threads.
class Loop {
public:
    explicit Loop(const std::string &path) {
        auto source = detail::sized<sf_source>();
        source.path = path.c_str();
        open(source);
    }
    // A file's bytes, at a multiple of SF_ALIGNMENT, which stay until the loop is gone; or any other source.
    Loop(const void *bytes, std::size_t size) {
        auto source = detail::sized<sf_source>();
        source.bytes = bytes;
        source.size = size;
        open(source);
    }
    explicit Loop(const sf_source &source) { open(source); }
    explicit Loop(sf_loop *taken) : loop_(taken) {}

    sf_facts facts(const sf_target *target = nullptr) const {
        auto found = detail::sized<sf_facts>();
        detail::check(sf_loop_facts(loop_.get(), target, &found));
        return found;
    }
    const sf_loop *get() const { return loop_.get(); }

private:
    void open(const sf_source &source) {
        auto error = detail::sized<sf_error>();
        sf_loop *opened = nullptr;
        detail::check(sf_loop_open(&source, &opened, &error), error);
        loop_.reset(opened);
    }
    struct Close {
        void operator()(sf_loop *loop) const { sf_loop_close(loop); }
    };
    std::unique_ptr<sf_loop, Close> loop_;
};

// One frame at a time of a loop; a thread has one of its own.
class Player {
public:
    explicit Player(const Loop &loop, int32_t format = SF_RGB, int32_t width = 0, int32_t height = 0)
        : loop_(loop), target_(detail::sized<sf_target>()) {
        target_.format = format;
        target_.width = width;
        target_.height = height;
        facts_ = loop.facts(&target_);
        frame_ = Memory(facts_.frame_bytes);
        rows_ = Memory(facts_.rows_bytes);
    }
    Player(const Loop &&, int32_t = SF_RGB, int32_t = 0, int32_t = 0) = delete; // the loop must outlive it
    int32_t width() const { return target_.width ? target_.width : facts_.width; }
    int32_t height() const { return target_.height ? target_.height : facts_.height; }
    const sf_facts &facts() const { return facts_; }

    // Write the frame at time t. chroma is for SF_NV12 only.
    void frame(double t, std::uint8_t *data, std::ptrdiff_t stride, std::uint8_t *chroma = nullptr,
               std::ptrdiff_t chroma_stride = 0) {
        target_.data = data;
        target_.stride = stride;
        target_.chroma = chroma;
        target_.chroma_stride = chroma_stride;
        detail::check(sf_loop_at(loop_.get(), t, frame_.data(), frame_.size()));
        detail::check(sf_loop_rows(loop_.get(), frame_.data(), 0, height(), &target_, rows_.data(), rows_.size()));
    }

private:
    const Loop &loop_;
    sf_target target_;
    sf_facts facts_;
    Memory frame_, rows_;
};

// A bundle's networks; one thread at a time.
class Bundle {
public:
    explicit Bundle(const std::string &path, const std::string &onnxruntime = "", const std::string &provider = "cpu") {
        auto source = detail::sized<sf_bundle_source>();
        auto error = detail::sized<sf_error>();
        source.path = path.c_str();
        source.onnxruntime = onnxruntime.empty() ? nullptr : onnxruntime.c_str();
        source.provider = provider.c_str();
        sf_bundle *opened = nullptr;
        detail::check(sf_bundle_open(&source, &opened, &error), error);
        bundle_.reset(opened);
    }
    // Run the test vectors.
    void test() {
        auto error = detail::sized<sf_error>();
        detail::check(sf_bundle_test(bundle_.get(), &error), error);
    }
    // Make a loop of pixels; a stride of 0 is that of dense rows. The wish of wished() is what suits the photo.
    Loop loop(const std::uint8_t *pixels, int32_t width, int32_t height, const sf_wish &wish = wished(),
              int32_t format = SF_RGB, std::ptrdiff_t stride = 0) {
        auto photo = detail::sized<sf_photo>();
        photo.format = format;
        photo.width = width;
        photo.height = height;
        photo.data = pixels;
        photo.stride = stride ? stride : (format == SF_RGB ? 3 : 4) * static_cast<std::ptrdiff_t>(width);
        return loop(photo, wish);
    }
    // Make a loop of the bytes of a JPEG, PNG or lossless WebP file.
    Loop loop(const void *file, std::size_t size, const sf_wish &wish = wished()) {
        auto photo = detail::sized<sf_photo>();
        photo.file = file;
        photo.file_bytes = size;
        return loop(photo, wish);
    }
    static sf_wish wished() { return detail::sized<sf_wish>(); }

private:
    Loop loop(const sf_photo &photo, const sf_wish &wish) {
        auto error = detail::sized<sf_error>();
        sf_loop *made = nullptr;
        detail::check(sf_bundle_loop(bundle_.get(), &photo, &wish, &made, &error), error);
        return Loop(made);
    }
    struct Close {
        void operator()(sf_bundle *bundle) const { sf_bundle_close(bundle); }
    };
    std::unique_ptr<sf_bundle, Close> bundle_;
};

} // namespace stillflow

#endif
