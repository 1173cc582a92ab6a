// SPDX-License-Identifier: Apache-2.0
// The little of WebGL 2 that is needed: textures that are read texel by texel, targets, and programs of one triangle.

import { TRIANGLE } from "./field-shaders.js";

/** A canvas' WebGL 2 that can draw to float textures. Throws an Error that says what is missing. */
export function openGpu(canvas) {
  const gl = canvas.getContext("webgl2", {
    alpha: false, antialias: false, depth: false, stencil: false, powerPreference: "default",
  });
  if (!gl) throw new Error("this browser has no WebGL 2 here");
  if (!gl.getExtension("EXT_color_buffer_float")) throw new Error("this GPU cannot draw to float textures");
  gl.disable(gl.DITHER);
  gl.disable(gl.BLEND);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
  return gl;
}

/** An empty texture. layers: of an array of textures; levels: of mipmaps. */
export function texture(gl, format, width, height, { layers = 0, levels = 1 } = {}) {
  const target = layers ? gl.TEXTURE_2D_ARRAY : gl.TEXTURE_2D, made = gl.createTexture();
  gl.bindTexture(target, made);
  if (layers) gl.texStorage3D(target, levels, gl[format], width, height, layers);
  else gl.texStorage2D(target, levels, gl[format], width, height);
  for (const side of ["S", "T"]) gl.texParameteri(target, gl[`TEXTURE_WRAP_${side}`], gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, levels > 1 ? gl.LINEAR : gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, levels > 1 ? gl.LINEAR_MIPMAP_LINEAR : gl.NEAREST);
  return { texture: made, target, width, height };
}

/** Where passes draw to: one texture or several of the same size. */
export function target(gl, ...textures) {
  const framebuffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  const points = textures.map((one, i) => {
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, one.texture, 0);
    return gl.COLOR_ATTACHMENT0 + i;
  });
  gl.drawBuffers(points);
  const { width, height } = textures[0];
  return { framebuffer, textures, width, height };
}

/** A fragment shader that draws over the whole of a target. */
export class Pass {
  #gl; #program; #places = new Map();

  /** defines: names and numbers for the shader's preprocessor. */
  constructor(gl, source, defines = {}) {
    this.#gl = gl;
    const lines = Object.entries(defines).map(([name, value]) => `#define ${name} ${value}\n`).join("");
    this.#program = gl.createProgram();
    const head = "#version 300 es\n";
    const parts = [[gl.VERTEX_SHADER, TRIANGLE], [gl.FRAGMENT_SHADER, source.replace(head, head + lines)]];
    for (const [kind, text] of parts) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(this.#program, shader);
      gl.deleteShader(shader);
    }
    gl.linkProgram(this.#program);
  }

  /** Ask whether it was compiled: after all passes were made, since drivers compile side by side. */
  check() {
    const gl = this.#gl;
    if (gl.getProgramParameter(this.#program, gl.LINK_STATUS) || gl.isContextLost()) return this;
    const said = gl.getAttachedShaders(this.#program).map((shader) => gl.getShaderInfoLog(shader)).join(" ");
    throw new Error(`this GPU cannot run a shader: ${said} ${gl.getProgramInfoLog(this.#program)}`);
  }

  /**
   * Draw.
   * @param to what target made; null: the canvas.
   * @param values by the names of the shader's uniforms: textures, numbers, pairs of whole numbers ({ints: [x, y]}), or
   *   floats ({floats: [...]}, pairs where they are an array of the shader).
   */
  draw(to, values) {
    const gl = this.#gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, to ? to.framebuffer : null);
    gl.viewport(0, 0, to ? to.width : gl.drawingBufferWidth, to ? to.height : gl.drawingBufferHeight);
    gl.useProgram(this.#program);
    let unit = 0;
    for (const [name, value] of Object.entries(values)) {
      const place = this.#place(name);
      if (place === null) continue; // the compiler left it out
      if (typeof value === "number") gl.uniform1f(place, value);
      else if (value.ints) gl.uniform2iv(place, value.ints);
      else if (value.floats) gl.uniform2fv(place, value.floats);
      else {
        gl.activeTexture(gl.TEXTURE0 + unit);
        gl.bindTexture(value.target, value.texture);
        gl.uniform1i(place, unit++);
      }
    }
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  #place(name) {
    if (!this.#places.has(name)) this.#places.set(name, this.#gl.getUniformLocation(this.#program, name));
    return this.#places.get(name);
  }
}
