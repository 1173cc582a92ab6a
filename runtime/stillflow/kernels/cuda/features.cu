// SPDX-License-Identifier: Apache-2.0
//
// What lies around the splat in a frame of a feature scene: pieces of the photo for the encoder, its features weighed
// and laid out as they are thrown, and what the decoder painted put over the photo. The law is the package features
// (painter.py, layered.py, feature_scene.py). No barriers, no shared memory, one thread one item, so that the very same
// source runs on a CPU too. Compile without contraction (fmad) and with exact division.

#define ITEM(i, count)                                                           \
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;        \
    if (i >= (long long)(count)) return

// Rows y0..y1-1 and columns x0..x1-1 of the picture.
struct Window {
    int y0, y1, x0, x1;
};

__device__ inline int rows_of(const Window &w) { return w.y1 - w.y0; }
__device__ inline int columns_of(const Window &w) { return w.x1 - w.x0; }

// A graph's planes for an outer window, of which the core is wanted.
struct Piece {
    Window outer, core;
};

// Where a pixel of the core, counted from its first, lies in one of the planes.
__device__ inline size_t inside(const Piece &p, int row, int column) {
    const int y = p.core.y0 - p.outer.y0 + row, x = p.core.x0 - p.outer.x0 + column;
    return (size_t)y * (size_t)columns_of(p.outer) + (size_t)x;
}

__device__ inline size_t plane_of(const Window &w) { return (size_t)rows_of(w) * (size_t)columns_of(w); }

// 0..255 as graphs take it, -1..1.
__device__ inline float signed_of(unsigned char value) { return (float)value / 127.5f - 1.0f; }

__device__ inline int clamped(int k, int count) { return k < count ? k : count - 1; }

// A window of the photo as a graph's input, (3, rows, columns); beyond the photo its last row and column go on. A
// thread for each pixel.
extern "C" __global__ void sf_cut(const unsigned char *photo, int height, int width, Window w, float *out) {
    const size_t plane = plane_of(w);
    ITEM(i, plane);
    const int y = clamped(w.y0 + (int)(i / columns_of(w)), height), x = clamped(w.x0 + (int)(i % columns_of(w)), width);
    const unsigned char *from = photo + 3 * ((size_t)y * (size_t)width + (size_t)x);
    for (int c = 0; c < 3; c++) out[c * plane + i] = signed_of(from[c]);
}

// Keep planes of a piece's core in planes of the picture. A thread for each pixel of the core and plane.
extern "C" __global__ void sf_keep(Piece p, int planes, const float *made, int height, int width, float *out) {
    const long long core = (long long)plane_of(p.core);
    ITEM(i, core * planes);
    const int plane = (int)(i / core), row = (int)(i % core / columns_of(p.core)), column = (int)(i % columns_of(p.core));
    const size_t to = ((size_t)plane * (size_t)height + (size_t)(p.core.y0 + row)) * (size_t)width;
    out[to + (size_t)(p.core.x0 + column)] = made[plane * plane_of(p.outer) + inside(p, row, column)];
}

#define BLOCK 4

// Keep features of a piece's core as they are thrown: (height, width, stride). A thread for 4 channels of a pixel;
// threads next to each other take the next channels.
extern "C" __global__ void sf_interleave(Piece p, int channels, const float *made, int width, int stride,
                                         float *values) {
    const int lanes = (channels + BLOCK - 1) / BLOCK;
    ITEM(i, (long long)plane_of(p.core) * lanes);
    const long long pixel = i / lanes;
    const int first = (int)(i % lanes) * BLOCK, row = (int)(pixel / columns_of(p.core)),
              column = (int)(pixel % columns_of(p.core));
    const float *from = made + inside(p, row, column);
    float *to = values + ((size_t)(p.core.y0 + row) * (size_t)width + (size_t)(p.core.x0 + column)) * (size_t)stride;
    for (int c = first; c < first + BLOCK && c < channels; c++) to[c] = from[c * plane_of(p.outer)];
}

// The largest of runs of numbers; no number where one of them is not finite. A thread for each run.
extern "C" __global__ void sf_peak(const float *numbers, int count, int run, float *peaks) {
    ITEM(i, (count + run - 1) / run);
    const long long begin = i * run, end = begin + run < count ? begin + run : count;
    float peak = numbers[begin];
    bool finite = true;
    for (long long k = begin; k < end; k++) {
        finite = finite && numbers[k] - numbers[k] == 0;
        peak = numbers[k] > peak ? numbers[k] : peak;
    }
    peaks[i] = finite ? peak : nanf("");
}

// Weights of the encoder's logits, in their place: weights_of. The floor is minus infinity where there is none.
extern "C" __global__ void sf_weights(float *logits, int count, const float *peak, float floor) {
    ITEM(i, count);
    const float relative = logits[i] - peak[0];
    logits[i] = (float)exp((double)(relative > floor ? relative : floor));
}

__device__ inline double logistic(float x) { return 1.0 / (1.0 + exp(-(double)x)); }

// The weight of the fluid's alpha by the share it has of both alphas, and the background's alpha in place of its logit:
// layered_source. A thread for each pixel.
extern "C" __global__ void sf_alphas(const float *fluid, float *standing, int count, float *weight) {
    ITEM(i, count);
    const double af = logistic(fluid[i]), ab = logistic(standing[i]), both = af + ab;
    weight[i] = (float)exp(af / (both > 1e-8 ? both : 1e-8));
    standing[i] = (float)ab;
}

// Multiply channels that lie from ``first`` on by their weight, and keep it in the channel ``place``. A thread for 4
// channels of a pixel.
extern "C" __global__ void sf_weigh(const float *weight, int pixels, int stride, int first, int channels, int place,
                                    float *values) {
    const int lanes = (channels + BLOCK - 1) / BLOCK;
    ITEM(i, (long long)pixels * lanes);
    const long long pixel = i / lanes;
    const int lane = (int)(i % lanes);
    float *of = values + (size_t)pixel * (size_t)stride;
    for (int c = lane * BLOCK; c < (lane + 1) * BLOCK && c < channels; c++) of[first + c] *= weight[pixel];
    if (lane == 0) of[place] = weight[pixel];
}

// What a frame is put together of, at the padded size: planes of what was painted, which of its pixels are holes that
// the network could not close, and which blocks of 16x16 pixels have some.
struct Canvas {
    int height, width;
    float *painted;
    unsigned char *open, *near;
};

#define SIDE 16

__device__ inline int blocks_of(int width) { return (width + SIDE - 1) / SIDE; }

// Keep what the decoder painted of a piece's core. With two layers, alpha is what the fluid has of it and standing the
// background's own, and they are mixed here; without, they are null. A thread for each pixel of the core.
extern "C" __global__ void sf_paint(Piece p, Canvas c, const float *frame, const float *closed, const float *alpha,
                                    const float *standing, const float *background) {
    ITEM(i, plane_of(p.core));
    const int row = (int)(i / columns_of(p.core)), column = (int)(i % columns_of(p.core));
    const int y = p.core.y0 + row, x = p.core.x0 + column;
    const size_t from = inside(p, row, column), to = (size_t)y * (size_t)c.width + (size_t)x;
    const size_t whole = (size_t)c.height * (size_t)c.width;
    for (int k = 0; k < 3; k++) {
        float value = frame[k * plane_of(p.outer) + from];
        if (alpha) {
            const float both = alpha[from] + standing[to];
            value = (alpha[from] * value + standing[to] * background[k * whole + to]) / (both > 1e-8f ? both : 1e-8f);
        }
        c.painted[k * whole + to] = value;
    }
    const bool open = closed[from] == 0;
    c.open[to] = open;
    // Threads that write here write the same.
    if (open) c.near[(y / SIDE) * blocks_of(c.width) + x / SIDE] = 1;
}

// Squared distance to the nearest hole, as far as it is below ``feather`` pixels; feather squared otherwise.
__device__ inline int to_a_hole(const Canvas &c, int y, int x, int feather) {
    const int top = y > feather ? y - feather : 0, bottom = clamped(y + feather, c.height);
    const int left = x > feather ? x - feather : 0, right = clamped(x + feather, c.width);
    const int farthest = feather * feather;
    bool near = false;
    for (int by = top / SIDE; by <= bottom / SIDE; by++)
        for (int bx = left / SIDE; bx <= right / SIDE; bx++) near = near || c.near[by * blocks_of(c.width) + bx];
    if (!near) return farthest;
    int nearest = c.open[(size_t)y * (size_t)c.width + (size_t)x] ? 0 : farthest;
    for (int v = top; v <= bottom && nearest; v++) {
        const int dy = (v - y) * (v - y);
        if (dy >= nearest) continue;
        const unsigned char *row = c.open + (size_t)v * (size_t)c.width;
        for (int u = left; u <= right; u++) {
            const int distance = dy + (u - x) * (u - x);
            if (row[u] && distance < nearest) nearest = distance;
        }
    }
    return nearest;
}

// The photo, of which the canvas is as large or larger.
struct Photo {
    int height, width;
    const unsigned char *pixels, *matte;
};

// Put a window of the canvas over the photo as far as the matte lets it: FeatureScene._show. Holes, and what is around
// them, show the background, without one the photo. Pixels where the matte is 0 are not written: out holds the photo. A
// thread for each pixel of the window.
extern "C" __global__ void sf_show(Window w, Photo photo, Canvas c, const float *background, int feather,
                                   unsigned char *out) {
    ITEM(i, plane_of(w));
    const int y = w.y0 + (int)(i / columns_of(w)), x = w.x0 + (int)(i % columns_of(w));
    const size_t pixel = (size_t)y * (size_t)photo.width + (size_t)x, at = (size_t)y * (size_t)c.width + (size_t)x;
    const unsigned char matte = photo.matte[pixel];
    if (!matte) return;
    const int squared = to_a_hole(c, y, x, feather);
    float hole = 1.0f - sqrtf((float)squared) / (float)feather;
    hole = hole > 0 ? hole : 0;
    hole = hole * hole * (3.0f - 2.0f * hole);
    const size_t whole = (size_t)c.height * (size_t)c.width;
    for (int k = 0; k < 3; k++) {
        const unsigned char was = photo.pixels[3 * pixel + k];
        float painted = c.painted[k * whole + at];
        if (hole > 0) {
            const float fill = background ? background[k * whole + at] : signed_of(was);
            painted += hole * (fill - painted);
        }
        float value = (painted + 1.0f) * 127.5f;
        if (matte != 255) value = (float)was + (float)matte / 255.0f * (value - (float)was);
        value = rintf(value);
        out[3 * pixel + k] = (unsigned char)(value > 0 ? (value < 255 ? value : 255.0f) : 0.0f);
    }
}
