// SPDX-License-Identifier: Apache-2.0
// What has the size of the picture, in GLSL ES 3.00: the plate once a scene, compose() of
// stillflow/kernels/reference.py once a frame.

import { HEAD } from "./field-shaders.js";

/** The photo where the plate is clear, the plate elsewhere; the matte as alpha. CHANNEL: 0 or 1, which is the matte. */
export const PLATE = `${HEAD}
uniform sampler2D photo, over, matte;
out vec4 result;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec4 plate = texelFetch(over, at, 0);
  vec3 colour = HAS_PLATE && plate.a > 0.0 ? plate.rgb : texelFetch(photo, at, 0).rgb;
  result = vec4(colour, texelFetch(matte, at, 0)[CHANNEL]);
}`;

/** A picture as it is. */
export const COPY = `${HEAD}
uniform sampler2D picture;
out vec4 result;
void main() { result = vec4(texelFetch(picture, ivec2(gl_FragCoord.xy), 0).rgb, 1.0); }`;

/** Means of blocks of 4x4 pixels, those beyond the border repeated; 0..255. */
export const BLOCKS = `${HEAD}
uniform sampler2D plate;
uniform ivec2 pixels;
out vec4 result;
void main() {
  vec3 sum = vec3(0.0);
  for (int y = 0; y < 4; y++) {
    for (int x = 0; x < 4; x++) {
      sum += texelFetch(plate, min(ivec2(gl_FragCoord.xy) * 4 + ivec2(x, y), pixels - 1), 0).rgb;
    }
  }
  result = vec4(sum * (255.0 / 16.0), 0.0);
}`;

/**
 * The pixels that move, over a frame that holds the photo. 14 fetches of planes and pixel, 16 for each source; one fetch
 * where nothing moves, 30 where something only sways.
 */
export const COMPOSE = `${HEAD}
uniform sampler2D photo, plate, shift, mean, gain;
uniform ivec2 pixels, size;
out vec4 result;

vec4 plane(sampler2D field, ivec2 at, ivec2 next, vec2 f) {
  vec4 a = texelFetch(field, at, 0), b = texelFetch(field, ivec2(next.x, at.y), 0);
  vec4 c = texelFetch(field, ivec2(at.x, next.y), 0), d = texelFetch(field, next, 0);
  vec4 top = a + (b - a) * f.x, low = c + (d - c) * f.x;
  return top + (low - top) * f.y;
}

// Keys' cubic convolution with a = -1, of the four taps around a fraction.
vec4 cubic(float f) {
  float f2 = f * f, f3 = f2 * f;
  return vec4(-f + 2.0 * f2 - f3, 1.0 - 2.0 * f2 + f3, f + f2 - f3, f3 - f2);
}

// Positions beyond the border are mirrored once, then clamped; taps are clamped.
vec3 gather(vec2 p) {
  vec2 last = vec2(pixels - 1), q = clamp(last - abs(last - abs(p)), vec2(0.0), last), whole = floor(q);
  vec4 across = cubic(q.x - whole.x), down = cubic(q.y - whole.y);
  ivec2 first = ivec2(whole) - 1;
  ivec4 xs = clamp(first.x + ivec4(0, 1, 2, 3), 0, pixels.x - 1);
  vec3 sum = vec3(0.0);
  for (int j = 0; j < 4; j++) {
    int y = clamp(first.y + j, 0, pixels.y - 1);
    sum += down[j] * (across.x * texelFetch(plate, ivec2(xs.x, y), 0).rgb + across.y * texelFetch(plate, ivec2(xs.y, y), 0).rgb +
                      across.z * texelFetch(plate, ivec2(xs.z, y), 0).rgb + across.w * texelFetch(plate, ivec2(xs.w, y), 0).rgb);
  }
  return sum * 255.0;
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  float matte = floor(texelFetch(plate, at, 0).a * 255.0 + 0.5);
  if (matte == 0.0) discard;
  vec2 x = vec2(at), cell = clamp((x - 1.5) / 4.0, vec2(0.0), vec2(size - 1));
  ivec2 field = min(ivec2(cell), max(size - 2, 0)), next = min(field + 1, size - 1);
  vec2 f = cell - vec2(field);
  vec2 gained = plane(gain, field, next, f).xy;
  vec3 value = texelFetch(photo, at, 0).rgb * 255.0;
  // A matte of 1 shows the photo alone: light reaches further than motion.
  if (matte > 1.0) {
    vec4 d = plane(shift, field, next, f), m = plane(mean, field, next, f);
    vec3 moved = gather(x + d.xy);
    if (m.w != 1.0) moved = m.rgb + (m.w * moved + (1.0 - m.w) * gather(x + d.zw) - m.rgb) * gained.x;
    value += (matte - 1.0) / 254.0 * (moved - value);
  }
  result = vec4(floor(clamp(value * gained.y, 0.0, 255.0) + 0.5) / 255.0, 1.0);
}`;

/** The frame on the canvas, whose rows run the other way; smaller than the frame, through its mipmaps. */
export const PRESENT = `${HEAD}
uniform sampler2D frame;
uniform vec2 canvas;
uniform float level;
out vec4 result;
void main() {
  vec2 at = gl_FragCoord.xy / canvas;
  result = vec4(textureLod(frame, vec2(at.x, 1.0 - at.y), level).rgb, 1.0);
}`;
