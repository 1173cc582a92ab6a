// SPDX-License-Identifier: Apache-2.0
// The fields step of a frame (stillflow/kernels/reference.py: fields) in GLSL ES 3.00: where both sources of every cell
// lie, how they are weighed, and what mean and gain the blend has. One texel is one cell, a block of 4x4 pixels.

/** Draws one triangle over everything. */
export const TRIANGLE = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

/** The first lines of every fragment shader. */
export const HEAD = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;
precision highp usampler2D;
precision highp isampler2DArray;
`;

const CELL = `${HEAD}
uniform ivec2 size;                 // columns and rows of the fields
#define CELL ivec2(gl_FragCoord.xy)

// The four cells around a position, and how far it lies between them.
struct Spot { ivec2 at, next; vec2 f; };

Spot locate(vec2 p) {
  vec2 q = clamp(p, vec2(0.0), vec2(size - 1));
  ivec2 at = min(ivec2(q), max(size - 2, 0));
  return Spot(at, min(at + 1, size - 1), q - vec2(at));
}

vec4 between(vec4 a, vec4 b, float f) { return a + (b - a) * f; }

vec4 lookup(sampler2D field, Spot s) {
  vec4 top = between(texelFetch(field, s.at, 0), texelFetch(field, ivec2(s.next.x, s.at.y), 0), s.f.x);
  vec4 low = between(texelFetch(field, ivec2(s.at.x, s.next.y), 0), texelFetch(field, s.next, 0), s.f.x);
  return between(top, low, s.f.y);
}
`;

/** One midpoint step of both traces, d = s v(x + s/2 v(x)): A back in time (xy), B forward (zw). */
export const STEP = `${CELL}
uniform isampler2D velocity;
uniform float velocity_step;
uniform usampler2D kinds;           // flow, cycles
uniform sampler2D phases;           // row 0, by the number of cycles: steps of A and B, 1 - u, u
out vec4 d;

vec2 velocity_at(vec2 p) {
  Spot s = locate(p);
  vec4 top = between(vec4(texelFetch(velocity, s.at, 0)), vec4(texelFetch(velocity, ivec2(s.next.x, s.at.y), 0)), s.f.x);
  vec4 low = between(vec4(texelFetch(velocity, ivec2(s.at.x, s.next.y), 0)), vec4(texelFetch(velocity, s.next, 0)), s.f.x);
  return between(top, low, s.f.y).xy * velocity_step;
}

void main() {
  vec2 steps = texelFetch(phases, ivec2(texelFetch(kinds, CELL, 0).y, 0), 0).xy;
  vec2 v = vec2(texelFetch(velocity, CELL, 0).xy) * velocity_step, x = vec2(CELL);
  d = vec4(velocity_at(x + v * (steps.x * 0.5)) * steps.x, velocity_at(x + v * (steps.y * 0.5)) * steps.y);
}`;

const DOUBLED = `
uniform sampler2D traces;

vec4 doubled() {
  vec4 d = texelFetch(traces, CELL, 0);
  vec2 x = vec2(CELL);
  return d + vec4(lookup(traces, locate(x + d.xy)).xy, lookup(traces, locate(x + d.zw)).zw);
}
`;

/** d <- d + d(x + d), for both traces. */
export const DOUBLE = `${CELL}${DOUBLED}
out vec4 d;
void main() { d = doubled(); }`;

/**
 * The last doubling and what follows from it. SWAYS, BLENDS and LAYERS are defined by who compiles it.
 * shift: displacements of A and B in pixels. mean: mixed local mean, weight of A. products: AA, AB, BB of the textures.
 */
export const SOURCES = `${CELL}${DOUBLED}
uniform sampler2D low;              // local mean of the plate, 0..255
uniform sampler2D plate;
uniform ivec2 pixels;               // columns and rows of the picture
uniform isampler2D inside;
uniform float inside_step;
uniform usampler2D kinds;
uniform sampler2D phases;           // row 1: sin(pi u), sin(2 pi u)
#if BLENDS
uniform isampler2D blend;
uniform float blend_step;
#endif
#if SWAYS > 0
uniform isampler2DArray sway;       // a layer for each harmonic: ax, ay, bx, by
uniform float sway_step;
uniform vec2 swings[SWAYS];         // cos - 1, sin
#endif
layout(location = 0) out vec4 shift;
layout(location = 1) out vec4 mean;
layout(location = 2) out vec4 products;

const vec3 LUMA = vec3(0.299, 0.587, 0.114);

// It ramps down to the floor within 2.5 cells beyond the picture's border, and another layer is no source.
float confidence(uint own, vec2 p) {
  vec2 over = max(max(-p, p - vec2(size - 1)), 0.0);
  float ramp = max(1.0 - max(over.x, over.y) / 2.5, 0.0);
  Spot s = locate(p);
  vec4 four = vec4(texelFetch(inside, s.at, 0).x, texelFetch(inside, ivec2(s.next.x, s.at.y), 0).x,
                   texelFetch(inside, ivec2(s.at.x, s.next.y), 0).x, texelFetch(inside, s.next, 0).x) * inside_step;
  vec2 rows = four.xz + (four.yw - four.xz) * s.f.x;
  float value = (rows.x + (rows.y - rows.x) * s.f.y) * ramp;
#if LAYERS
  uint there = texelFetch(kinds, s.at, 0).x;
  if (there != 0u && there != own) value = 0.0;
#endif
  return max(value, 0.02);
}

// Exactly 1 where u is 0.
float weight_of(uint own, vec4 d, ivec2 cycles) {
  vec4 phase = texelFetch(phases, cycles, 0);
  vec2 x = vec2(CELL);
  float a = phase.z * confidence(own, x + d.xy), b = phase.w * confidence(own, x + d.zw);
  float w = a / max(a + b, 1e-6);
#if BLENDS
  vec2 c = vec2(texelFetch(blend, CELL, 0).xy) * blend_step;
  vec2 sines = texelFetch(phases, cycles + ivec2(0, 1), 0).xy;
  float odds = exp(clamp(dot(sines, c), -8.0, 8.0));
  w = w * odds / max(w * odds + (1.0 - w), 1e-6);
#endif
  return phase.w == 0.0 ? 1.0 : w;
}

// Luma of the plate at the nearest pixel, less that of the local mean.
float texture_of(vec2 p, vec3 around) {
  ivec2 at = ivec2(clamp(floor(p * 4.0 + 2.0), vec2(0.0), vec2(pixels - 1)));
  return dot(texelFetch(plate, at, 0).rgb * 255.0, LUMA) - dot(around, LUMA);
}

void main() {
  vec2 x = vec2(CELL);
  uvec2 kind = texelFetch(kinds, CELL, 0).xy;
  vec4 d = vec4(0.0);
  float w = 1.0;
  // What does not flow may still sway; the velocity there only carries the traces of its neighbours on.
  if (kind.x != 0u) {
    d = doubled();
    w = weight_of(kind.x, d, ivec2(kind.y, 0));
  }
#if SWAYS > 0
  vec2 swayed = vec2(0.0);
  for (int k = 0; k < SWAYS; k++) {
    vec4 c = vec4(texelFetch(sway, ivec3(CELL, k), 0)) * sway_step;
    swayed += c.xy * swings[k].x + c.zw * swings[k].y;
  }
  d += swayed.xyxy;
#endif
  vec3 low_a = lookup(low, locate(x + d.xy)).rgb, low_b = low_a;
  float a = texture_of(x + d.xy, low_a), b = a;
  if (kind.x != 0u) {
    low_b = lookup(low, locate(x + d.zw)).rgb;
    b = texture_of(x + d.zw, low_b);
  }
  shift = d * 4.0;
  mean = vec4(w * low_a + (1.0 - w) * low_b, w);
  products = vec4(a * a, a * b, b * b, 0.0);
}`;

const BOX = `
uniform sampler2D values;

// Mean of nine cells along one way, those beyond the border repeated.
vec4 box(ivec2 way) {
  vec4 sum = vec4(0.0);
  for (int k = -4; k <= 4; k++) sum += texelFetch(values, clamp(CELL + k * way, ivec2(0), size - 1), 0);
  return sum / 9.0;
}
`;

export const MEAN = `${CELL}${BOX}
uniform ivec2 way;
out vec4 result;
void main() { result = box(way); }`;

/** The other way, the gain that keeps the variance, and the light. LIGHTS is defined by who compiles it. */
export const GAIN = `${CELL}${BOX}
uniform sampler2D mean;
#if LIGHTS > 0
uniform isampler2DArray light;      // a layer for each harmonic: a, b
uniform float light_step;
uniform vec2 lights[LIGHTS];        // cos - 1, sin
#endif
out vec4 result;

void main() {
  vec4 p = box(ivec2(0, 1));
  float w = texelFetch(mean, CELL, 0).w, v = 1.0 - w;
  float rho = clamp((p.y + 1.0) * inversesqrt((p.x + 1.0) * (p.z + 1.0)), 0.0, 1.0);
  float power = w * w + v * v + 2.0 * w * v * rho, total = 0.0;
#if LIGHTS > 0
  for (int k = 0; k < LIGHTS; k++) {
    total += dot(vec2(texelFetch(light, ivec3(CELL, k), 0).xy) * light_step, lights[k]);
  }
#endif
  // Exactly 1 where one source has all the weight.
  result = vec4(power == 1.0 ? 1.0 : inversesqrt(power), exp(clamp(total, -8.0, 8.0)), 0.0, 1.0);
}`;
