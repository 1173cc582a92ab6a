// SPDX-License-Identifier: Apache-2.0
// A scene on the GPU: what lies there, and the passes of a frame. The law is stillflow/kernels/reference.py.

import { DOUBLE, GAIN, MEAN, SOURCES, STEP } from "./field-shaders.js";
import { BLOCKS, COMPOSE, COPY, PLATE, PRESENT } from "./frame-shaders.js";
import { Pass, openGpu, target, texture } from "./gpu.js";

const DOUBLINGS = 4;
/** A canvas smaller than this share of the frame is drawn through mipmaps; above, the page scales it without aliasing. */
const MIPMAPS_BELOW = 0.67;

/** Plays one scene on one canvas. Made by openPlayer. */
class Player {
  #gl; #scene; #passes; #held; #lost = false;

  constructor(gl, scene, passes, held) {
    this.#gl = gl;
    this.#scene = scene;
    this.#passes = passes;
    this.#held = held;
  }

  /** Whether the GPU took it away, or it was closed. */
  get lost() {
    return this.#lost || this.#gl.isContextLost();
  }

  /** Compute the frame at t, in frames, and show it on a canvas of a size: at most that of the scene. */
  show(t, width, height) {
    this.#compute(t);
    const gl = this.#gl, { canvas } = gl, { frame } = this.#held, scale = width / this.#scene.width;
    const small = scale < MIPMAPS_BELOW;
    const sides = small ? [width, height] : [this.#scene.width, this.#scene.height];
    if (canvas.width !== sides[0] || canvas.height !== sides[1]) [canvas.width, canvas.height] = sides;
    if (small) {
      gl.bindTexture(gl.TEXTURE_2D, frame.textures[0].texture);
      gl.generateMipmap(gl.TEXTURE_2D);
    }
    const level = small ? Math.max(Math.log2(1 / scale), 0) : 0;
    this.#passes.present.draw(null, { frame: frame.textures[0], canvas: { floats: sides }, level });
  }

  /** Compute the frame at t, in frames; return its RGBA bytes, the uppermost row first. */
  read(t) {
    this.#compute(t);
    const gl = this.#gl, { width, height } = this.#scene, bytes = new Uint8ClampedArray(width * height * 4);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#held.frame.framebuffer);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
    if (this.lost) throw new Error("the GPU was taken away");
    return bytes;
  }

  /** Give the GPU back. */
  close() {
    this.#lost = true;
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #compute(time) {
    const gl = this.#gl, t = Number.isFinite(time) ? time : 0, scene = this.#scene, held = this.#held;
    const p = this.#passes, { common } = held;
    const { rows, used } = phasesAt(scene, t);
    gl.bindTexture(gl.TEXTURE_2D, held.phases.texture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, used, 2, gl.RGBA, gl.FLOAT, rows);
    p.step.draw(held.traces[0], common);
    for (let k = 1; k < DOUBLINGS; k++) {
      p.double.draw(held.traces[k % 2], { ...common, traces: held.traces[(k + 1) % 2].textures[0] });
    }
    const [shift, mean, products] = held.sources.textures;
    const traces = held.traces[(DOUBLINGS + 1) % 2].textures[0];
    p.sources.draw(held.sources, { ...common, traces, swings: { floats: swings(scene.swayPeriods, t, scene.frames) } });
    p.mean.draw(held.rows, { ...common, values: products, way: { ints: [1, 0] } });
    p.gain.draw(held.gain, {
      ...common, values: held.rows.textures[0], mean, lights: { floats: swings(scene.lightPeriods, t, scene.frames) },
    });
    p.compose.draw(held.frame, { ...common, shift, mean, gain: held.gain.textures[0] });
  }
}

/** cos - 1 and sin of each harmonic: all that changes of an oscillation from frame to frame. In double. */
function swings(periods, t, frames) {
  return periods.flatMap((count) => {
    const theta = 2 * Math.PI * count * t / frames;
    return [Math.cos(theta) - 1, Math.sin(theta)];
  });
}

/** By the number of cycles: steps of both traces, 1 - u, u; sin(pi u), sin(2 pi u). used: columns that are filled. */
function phasesAt(scene, t) {
  const used = scene.mostCycles + 1, rows = new Float32Array(8 * used);
  for (let n = 1; n < used; n++) {
    const phase = n * (t / scene.frames), u = Math.fround(phase - Math.floor(phase)), period = scene.frames / n;
    rows.set([-u * period / 2 ** DOUBLINGS, (1 - u) * period / 2 ** DOUBLINGS, 1 - u, u], 4 * n);
    rows.set([Math.sin(Math.PI * u), Math.sin(2 * Math.PI * u), 0, 0], 4 * (used + n));
  }
  return { rows, used };
}

/**
 * Lay a scene out on the GPU.
 * @param {HTMLCanvasElement|OffscreenCanvas} canvas with no context yet.
 * @param scene what readScene returned.
 * @returns {Promise<Player>} Throws an Error that says why it cannot play here; taken: the GPU was taken away meanwhile.
 */
export async function openPlayer(canvas, scene) {
  const gl = openGpu(canvas), most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
  try {
    if (Math.max(scene.width, scene.height) > most) throw new Error(`this GPU's textures end at ${most} pixels`);
    const passes = passesOf(gl, scene), fields = fieldTextures(gl, scene), made = targetsOf(gl, scene);
    const pictures = {};
    for (const name of ["photo", "matte", ...(scene.hasPlate ? ["plate"] : [])]) {
      pictures[name] = pictureTexture(gl, await scene.picture(name), name, scene);
    }
    for (const pass of Object.values(passes)) pass.check();
    const common = { ...fields, photo: pictures.photo, plate: made.plate.textures[0] };
    Object.assign(common, { size: { ints: [scene.fieldWidth, scene.fieldHeight] }, pixels: { ints: [scene.width, scene.height] } });
    prepare(passes, made, pictures, common);
    gl.deleteTexture(pictures.matte.texture);
    if (pictures.plate) gl.deleteTexture(pictures.plate.texture);
    const error = gl.getError();
    if (error || gl.isContextLost()) throw new Error(error === gl.OUT_OF_MEMORY ? "the GPU has no memory left" : "the GPU refused");
    return new Player(gl, scene, passes, { ...made, common, phases: fields.phases });
  } catch (error) {
    error.taken = gl.isContextLost();
    gl.getExtension("WEBGL_lose_context")?.loseContext();
    throw error;
  }
}

// What is drawn once: the plate, its local mean, and the photo under all frames.
function prepare(passes, made, pictures, common) {
  const low = made.low.textures[0], row = made.rows.textures[0];
  passes.plate.draw(made.plate, { photo: pictures.photo, over: pictures.plate ?? pictures.photo, matte: pictures.matte });
  passes.blocks.draw(made.low, common);
  for (let twice = 0; twice < 2; twice++) {
    passes.mean.draw(made.rows, { ...common, values: low, way: { ints: [1, 0] } });
    passes.mean.draw(made.low, { ...common, values: row, way: { ints: [0, 1] } });
  }
  passes.copy.draw(made.frame, { picture: pictures.photo });
  common.low = low;
}

function passesOf(gl, scene) {
  const parts = { BLENDS: Number(scene.blend !== null), LAYERS: Number(scene.layers > 1), SWAYS: scene.swayPeriods.length };
  return {
    plate: new Pass(gl, PLATE, { HAS_PLATE: scene.hasPlate, CHANNEL: scene.matteChannel }),
    copy: new Pass(gl, COPY), blocks: new Pass(gl, BLOCKS), mean: new Pass(gl, MEAN), step: new Pass(gl, STEP),
    double: new Pass(gl, DOUBLE), sources: new Pass(gl, SOURCES, parts),
    gain: new Pass(gl, GAIN, { LIGHTS: scene.lightPeriods.length }), compose: new Pass(gl, COMPOSE),
    present: new Pass(gl, PRESENT),
  };
}

function targetsOf(gl, scene) {
  const { width, height } = scene, levels = Math.floor(Math.log2(Math.max(width, height))) + 1;
  const field = () => texture(gl, "RGBA32F", scene.fieldWidth, scene.fieldHeight);
  return {
    plate: target(gl, texture(gl, "RGBA8", width, height)),
    frame: target(gl, texture(gl, "RGBA8", width, height, { levels })),
    traces: [target(gl, field()), target(gl, field())], sources: target(gl, field(), field(), field()),
    rows: target(gl, field()), gain: target(gl, field()), low: target(gl, field()),
  };
}

function fieldTextures(gl, scene) {
  const { fieldWidth: w, fieldHeight: h } = scene, made = {};
  const upload = (name, internal, format, type, values, layers) => {
    made[name] = texture(gl, internal, w, h, { layers });
    if (layers) gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, w, h, layers, format, type, values);
    else gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, w, h, format, type, values);
  };
  const numbers = (name, internal, format, layers) => {
    if (scene[name] === null) return;
    upload(name, internal, format, gl.SHORT, scene[name].values, layers);
    made[`${name}_step`] = scene[name].step;
  };
  numbers("velocity", "RG16I", gl.RG_INTEGER);
  numbers("inside", "R16I", gl.RED_INTEGER);
  numbers("blend", "RG16I", gl.RG_INTEGER);
  numbers("sway", "RGBA16I", gl.RGBA_INTEGER, scene.swayPeriods.length);
  numbers("light", "RG16I", gl.RG_INTEGER, scene.lightPeriods.length);
  const kinds = new Uint8Array(2 * w * h);
  for (let i = 0; i < w * h; i++) [kinds[2 * i], kinds[2 * i + 1]] = [scene.flow[i], scene.cycles[i]];
  upload("kinds", "RG8UI", gl.RG_INTEGER, gl.UNSIGNED_BYTE, kinds);
  made.phases = texture(gl, "RGBA32F", scene.mostCycles + 1, 2);
  return made;
}

function pictureTexture(gl, picture, name, { width, height }) {
  const raw = picture instanceof Uint8Array;
  const [internal, format] = !raw || name === "plate" ? ["RGBA8", gl.RGBA] : name === "photo" ? ["RGB8", gl.RGB] : ["R8", gl.RED];
  const made = texture(gl, internal, width, height);
  gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, format, gl.UNSIGNED_BYTE, picture);
  if (!raw) picture.close();
  return made;
}
